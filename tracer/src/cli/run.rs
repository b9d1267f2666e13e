//! `tracer run -- COMMAND`: starts a program with the probes in it from its first instruction.
//!
//! The program's stdout stays its own, so events are written to stderr. Signals are meant for the
//! program as long as it runs, and the exit code is the program's. In the terminal UI the program has a
//! terminal of its own, which a pane shows, and waits until the user starts it.

pub(super) mod launched;
mod pane;
mod plain;
mod stage;

use super::args::RunArgs;
use super::attach;
use super::failure::CommandFailure;
use super::output::{Colours, say};
use crate::target::launch::{LaunchOutcome, LaunchSpec, WaitingProgram};
use crate::tui::ProgramControl as _;

use launched::LaunchedRun;
use stage::launch_failure;

/// Starts the program in a process that waits. To be called before this process gives up privileges.
pub(super) fn launch(args: &RunArgs) -> Result<WaitingProgram, CommandFailure> {
    let user = args.user.as_deref();
    let mut spec =
        LaunchSpec::new(args.command.clone(), user).map_err(|error| launch_failure(&error))?;
    spec.terminal = pane::terminal_of(&args.trace)?;
    spec.launch().map_err(|error| launch_failure(&error))
}

/// Runs the command.
pub(super) fn run(
    args: &RunArgs,
    waiting: WaitingProgram,
    colours: Colours,
) -> Result<u8, CommandFailure> {
    let run = LaunchedRun::new(waiting)?;
    let traced = attach::run_launched(&args.trace, &run, colours);
    if run.is_interrupted() {
        say!("interrupted before the program was started");
        return Ok(super::INTERRUPTED);
    }
    if let Some(pane) = run.pane()
        && let Some(pid) = pane.pid()
    {
        say!(
            "`{}` goes on without probes, as pid {pid}; its output follows, and Ctrl-C is for it",
            pane.name()
        );
        pane.write_output();
    }
    // If nothing was traced, the program was not started.
    let Some(outcome) = run.wait()? else {
        if let (Some(pane), Ok(_)) = (run.pane(), &traced) {
            say!("`{}` was not started", pane.name());
        }
        return traced;
    };
    if let Some(pane) = run.pane() {
        match outcome {
            LaunchOutcome::Exited(code) => say!("`{}` exited with code {code}", pane.name()),
            LaunchOutcome::Killed(signal) => {
                say!("`{}` was ended by signal {signal}", pane.name());
            }
        }
    }
    if let Err(failure) = traced {
        super::output::tell(&failure.render(colours.stderr));
    }
    Ok(outcome.exit_code())
}
