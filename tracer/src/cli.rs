//! The command line: arguments become a checked plan, then it runs.
//!
//! stdout is data, stderr is talk. Exit codes: 0 done, 1 nothing captured,
//! 2 bad usage or input, 77 a privilege or a feature of the kernel is missing,
//! 130 interrupted before anything was traced.

mod args;
mod attach;
mod check;
mod choose;
mod doctor;
mod failure;
mod lists;
mod manual;
mod output;
mod outputs;
mod privileges;
mod probes;
mod recordings;
mod reload;
mod run;
mod stream;
mod subject;
mod usage;
mod watchdog;
mod writer;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use args::{Args, TracerCommand};
use failure::CommandFailure;
use output::tell;

use crate::target::launch::prepare_editor;
use crate::target::paging;

/// Everything went well.
const DONE: u8 = 0;
/// It ran, and no event came.
const NOTHING_CAPTURED: u8 = 1;
/// A signal came before anything was traced, or a second one.
const INTERRUPTED: u8 = 130;
/// The request cannot be carried out.
const BAD_INPUT: u8 = 2;
/// A privilege or a feature of the kernel is missing.
const MISSING: u8 = 77;

/// Reads the command line and runs its command.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some(code) = paging::run(&arguments) {
        return code;
    }
    let mut args = match Args::try_parse_from(&arguments) {
        Ok(args) => args,
        Err(error) => {
            let error = usage::with_tip(error, &arguments);
            // Help and version are data, and no error.
            let code = if error.use_stderr() { BAD_INPUT } else { DONE };
            return match error.print() {
                Ok(()) => ExitCode::from(code),
                Err(_) => ExitCode::from(BAD_INPUT),
            };
        }
    };
    let colour = output::Colours::of(args.color);
    let result = start_log(args.log_file.as_deref(), args.log_kernel)
        .and_then(|()| args.command.configure());
    let mut launched = None;
    let shows_ui = result.is_ok() && may_edit(&args.command);
    if shows_ui {
        prepare_editor();
    }
    match &args.command {
        // The doctor reports the privileges that it was given.
        TracerCommand::Doctor(_) => {}
        TracerCommand::Attach(attach) => {
            start_user_thread(shows_ui);
            privileges::give_up(attach.trace.perf_events, false);
        }
        TracerCommand::Record(record) => privileges::give_up(record.trace.perf_events, false),
        TracerCommand::View(_) => {
            start_user_thread(shows_ui);
            privileges::give_up(false, false);
        }
        TracerCommand::Run(run) if result.is_ok() => {
            // The program gets this process's privileges, and no thread of it.
            launched = Some(run::launch(run));
            start_user_thread(shows_ui);
            privileges::give_up(run.trace.perf_events, true);
        }
        _ => privileges::give_up(false, false),
    }
    let result = result.and_then(|()| match args.command {
        TracerCommand::Attach(attach) => attach::run(*attach, colour),
        TracerCommand::Record(record) => attach::run(record.into_attach()?, colour),
        TracerCommand::Run(run) => match launched {
            Some(waiting) => run::run(&run, waiting?, colour),
            None => Ok(BAD_INPUT),
        },
        TracerCommand::View(args) => recordings::view::run(&args, colour),
        TracerCommand::Export(args) => recordings::export::run(&args),
        TracerCommand::Mcp(args) => attach::assistant::run(*args),
        TracerCommand::Lines(lines) => lists::lines(&lines),
        TracerCommand::Vars(vars) => lists::vars(&vars),
        TracerCommand::Funcs(funcs) => lists::funcs(&funcs),
        TracerCommand::Doctor(doctor) => doctor::run(&doctor),
        TracerCommand::Completions { shell } => manual::completions(shell),
        TracerCommand::Man { command } => manual::page(command.as_deref()),
    });
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            tell(&failure.render(colour.stderr));
            ExitCode::from(failure.code())
        }
    }
}

/// Returns true if the command may open the terminal UI, which starts the user's editor.
fn may_edit(command: &TracerCommand) -> bool {
    let output = match command {
        TracerCommand::Attach(attach) => attach.trace.output,
        TracerCommand::Run(run) => run.trace.output,
        TracerCommand::View(_) => None,
        _ => return false,
    };
    let is_on_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    matches!(output, None | Some(args::Output::Tui)) && is_on_terminal
}

/// The terminal UI writes files for the user.
fn start_user_thread(shows_ui: bool) {
    if shows_ui {
        privileges::start_user_thread();
    }
}

/// Writes the tracer's own log to a file, filtered by `RUST_LOG`.
fn start_log(file: Option<&Path>, kernel: bool) -> Result<(), CommandFailure> {
    let Some(path) = file else { return Ok(()) };
    let log = crate::base::private::create_named(path).map_err(|error| {
        CommandFailure::new(format!("cannot write `{}`: {error}", path.display()))
    })?;
    // The kernel side writes messages for each hit, so it does only on request.
    let all = if kernel {
        "debug,tracer_ebpf=trace"
    } else {
        "debug,tracer_ebpf=off"
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(all));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::sync::Mutex::new(log))
        .with_ansi(false)
        .init();
    Ok(())
}
