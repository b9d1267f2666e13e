//! The command line: arguments become a checked plan, then it runs.
//!
//! stdout is data, stderr is talk. Exit codes: 0 done, 1 nothing captured,
//! 2 bad usage or input, 77 a privilege or a feature of the kernel is missing,
//! 130 interrupted before anything was traced.

mod args;
mod attach;
mod check;
mod doctor;
mod failure;
mod lists;
mod manual;
mod output;
mod privileges;
mod probes;
mod reload;
mod stream;
mod summary_file;
mod usage;
mod watchdog;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use args::{Args, Command};
use failure::Failure;
use output::tell;

use crate::paging;

/// Everything went well.
const DONE: u8 = 0;
/// It ran, and no event came.
const NOTHING_CAPTURED: u8 = 1;
/// A signal came before anything was traced, or a second one.
const INTERRUPTED: u8 = 130;
/// What was asked for cannot be done.
const BAD_INPUT: u8 = 2;
/// A privilege or a feature of the kernel is missing.
const MISSING: u8 = 77;

/// Reads the command line and does what it says.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some(code) = paging::run(&arguments) {
        return code;
    }
    let args = match Args::try_parse_from(&arguments) {
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
    let result = start_log(args.log_file.as_deref(), args.log_kernel);
    match &args.command {
        // Says what it was given.
        Command::Doctor(_) => {}
        Command::Attach(attach) => privileges::give_up(attach.perf_events),
        _ => privileges::give_up(false),
    }
    let result = result.and_then(|()| match args.command {
        Command::Attach(attach) => attach::run(*attach, colour),
        Command::Lines(lines) => lists::lines(&lines),
        Command::Vars(vars) => lists::vars(&vars),
        Command::Funcs(funcs) => lists::funcs(&funcs),
        Command::Doctor(doctor) => doctor::run(&doctor),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { command } => manual::page(command.as_deref()),
    });
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            tell(&failure.render(colour.stderr));
            ExitCode::from(failure.code())
        }
    }
}

/// Sends what the tracer says of itself to a file, as `RUST_LOG` filters it.
fn start_log(file: Option<&Path>, kernel: bool) -> Result<(), Failure> {
    let Some(path) = file else { return Ok(()) };
    let log = crate::private::create_named(path)
        .map_err(|error| Failure::new(format!("cannot write `{}`: {error}", path.display())))?;
    // The kernel side writes for hits, so it does only when it is asked to.
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
