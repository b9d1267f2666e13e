//! Completions and manual pages, made from the arguments themselves.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::Args;
use super::failure::Failure;
use super::output::print;

/// Prints a shell's completions.
pub(super) fn completions(shell: Shell) -> Result<u8, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "tracer", &mut text);
    print(|out| std::io::Write::write_all(out, &text))
}

/// Prints the manual page of the tracer, or of one of its commands.
pub(super) fn page(of: Option<&str>) -> Result<u8, Failure> {
    let mut all = Args::command().disable_help_subcommand(true);
    // Builds the commands' full names and their global options.
    all.build();
    let Some(name) = of else {
        return print(|out| clap_mangen::Man::new(all).render(out));
    };
    let Some(command) = all.find_subcommand(name).cloned() else {
        let names: Vec<String> = all
            .get_subcommands()
            .map(|one| format!("`{}`", one.get_name()))
            .collect();
        return Err(Failure::new(format!("no command is named `{name}`"))
            .hint(format!("the commands are {}", names.join(", "))));
    };
    let title = format!("tracer-{name}");
    print(|out| clap_mangen::Man::new(command).title(title).render(out))
}
