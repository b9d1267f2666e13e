//! Completions and manual pages, made from the arguments themselves.

use std::io;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::Args;
use super::failure::CommandFailure;
use super::output::print;

/// Prints a shell's completions.
pub(super) fn completions(shell: Shell) -> Result<u8, CommandFailure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "tracer", &mut text);
    print(|out| io::Write::write_all(out, &text))
}

/// Prints the manual page of the tracer, or of one of its commands.
pub(super) fn page(of: Option<&str>) -> Result<u8, CommandFailure> {
    let mut all = Args::command().disable_help_subcommand(true);
    // Builds the commands' full names and their global options.
    all.build();
    let Some(name) = of else {
        return print(|out| write(all, "tracer", out));
    };
    let Some(command) = all.find_subcommand(name).cloned() else {
        let names: Vec<String> = all
            .get_subcommands()
            .map(|one| format!("`{}`", one.get_name()))
            .collect();
        return Err(CommandFailure::new(format!("no command is named `{name}`"))
            .hint(format!("the commands are {}", names.join(", "))));
    };
    let title = format!("tracer-{name}");
    print(|out| write(command, &title, out))
}

/// Writes a page whose synopsis is the usage instead of one line of all options.
fn write(mut command: clap::Command, title: &str, out: &mut dyn io::Write) -> io::Result<()> {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim_start();
    let has_commands = command.has_subcommands();
    let has_more = command.get_after_long_help().or(command.get_after_help());
    let has_more = has_more.is_some();
    let has_version = command.get_version().is_some();
    let page = clap_mangen::Man::new(command).title(title);
    page.render_title(out)?;
    page.render_name_section(out)?;
    writeln!(out, ".SH SYNOPSIS")?;
    for line in usage.lines() {
        writeln!(out, "{}\n.br", line.trim().replace('-', "\\-"))?;
    }
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    if has_commands {
        page.render_subcommands_section(out)?;
    }
    if has_more {
        page.render_extra_section(out)?;
    }
    if has_version {
        page.render_version_section(out)?;
    }
    Ok(())
}
