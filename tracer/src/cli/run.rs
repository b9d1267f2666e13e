//! `tracer run -- COMMAND`: starts a program with the probes in it from its first instruction.
//!
//! The program's stdout stays its own, so events are written to stderr. Signals are meant for the
//! program as long as it runs, and the exit code is the program's.

use super::args::{Output, RunArgs};
use super::attach;
use super::failure::CommandFailure;
use super::launched::{LaunchedRun, launch_failure};
use super::output::Colours;
use crate::target::launch::{LaunchSpec, WaitingProgram};

/// Starts the program in a process that waits. To be called before this process gives up privileges.
pub(super) fn launch(args: &RunArgs) -> Result<WaitingProgram, CommandFailure> {
    let user = args.user.as_deref();
    let spec =
        LaunchSpec::new(args.command.clone(), user).map_err(|error| launch_failure(&error))?;
    spec.launch().map_err(|error| launch_failure(&error))
}

/// Runs the command.
pub(super) fn run(
    args: &RunArgs,
    waiting: WaitingProgram,
    colours: Colours,
) -> Result<u8, CommandFailure> {
    if args.trace.output == Some(Output::Tui) {
        return Err(
            CommandFailure::new("the terminal is the program's, so there is no room for the terminal UI")
                .hint("leave out `--output`, or start the program and `tracer attach --wait --exe PROGRAM` beside it".to_owned()),
        );
    }
    let mut run = LaunchedRun::new(waiting)?;
    let traced = attach::run_launched(&args.trace, &mut run, colours);
    if run.is_interrupted() {
        super::output::say!("interrupted before the program was started");
        return Ok(super::INTERRUPTED);
    }
    // If nothing was traced, the program was not started.
    let Some(code) = run.wait()? else {
        return traced;
    };
    if let Err(failure) = traced {
        super::output::tell(&failure.render(colours.stderr));
    }
    Ok(code)
}
