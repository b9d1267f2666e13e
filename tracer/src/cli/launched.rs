//! The program that `tracer run` starts: first it waits, then it gets the signals of this process.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::failure::CommandFailure;
use super::output::say;
use crate::base::signals::{self, Signals};
use crate::target::launch::{LaunchError, RunningProgram, WaitingProgram};

/// Terminations that are passed on. The next one is meant for the tracer.
const PASSED_ON: u32 = 1;

/// The program of a run.
pub(super) enum LaunchedRun {
    /// Its process waits.
    Waiting(WaitingProgram),
    Running(DivertedProgram),
    /// It could not be executed.
    Gone,
}

impl LaunchedRun {
    /// Lets the program run. Signals are meant for it from now on.
    pub(super) fn release(&mut self) -> Result<(), CommandFailure> {
        let Self::Waiting(waiting) = std::mem::replace(self, Self::Gone) else {
            return Ok(());
        };
        let program = waiting.run().map_err(|error| launch_failure(&error))?;
        *self = Self::Running(DivertedProgram::new(program)?);
        Ok(())
    }
}

/// A running program that gets the signals of this process.
pub(super) struct DivertedProgram {
    program: Arc<Mutex<RunningProgram>>,
    _signals: Signals,
}

impl DivertedProgram {
    fn new(program: RunningProgram) -> Result<Self, CommandFailure> {
        let program = Arc::new(Mutex::new(program));
        let of_signals = Arc::clone(&program);
        let terminations = AtomicU32::new(0);
        signals::divert(true);
        let signals = Signals::listen(move |signal| {
            let is_termination = signal != libc::SIGINT;
            if is_termination && terminations.fetch_add(1, Ordering::Relaxed) >= PASSED_ON {
                // The program goes on without probes.
                signals::divert(false);
                // Those who have ignored it get it again.
                let own = rustix::process::getpid();
                let _ = rustix::process::kill_process(own, rustix::process::Signal::TERM);
                return false;
            }
            let mut program = of_signals.lock().unwrap_or_else(PoisonError::into_inner);
            match program.take_signal(signal) {
                Ok(true) => {}
                Ok(false) => signals::divert(false),
                Err(error) => say!("the program cannot be sent a signal: {error}"),
            }
            true
        })
        .map_err(|error| CommandFailure::new(format!("cannot wait for signals: {error}")))?;
        Ok(Self {
            program,
            _signals: signals,
        })
    }

    /// Waits for the program's end. Returns the exit code that a shell would give.
    pub(super) fn wait(&mut self) -> Result<u8, CommandFailure> {
        let failed =
            |error: io::Error| CommandFailure::new(format!("cannot wait for the program: {error}"));
        loop {
            // Without the lock, since a signal may come meanwhile.
            let pidfd = {
                let program = self.program.lock().unwrap_or_else(PoisonError::into_inner);
                program.pidfd().try_clone_to_owned().map_err(failed)?
            };
            let mut fds = [rustix::event::PollFd::new(
                &pidfd,
                rustix::event::PollFlags::IN,
            )];
            let _interrupted = rustix::event::poll(&mut fds, None);
            let mut program = self.program.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(outcome) = program.try_wait().map_err(failed)? {
                return Ok(outcome.exit_code());
            }
        }
    }
}

/// The failure of a launch, with the exit code that a shell would give.
pub(super) fn launch_failure(error: &LaunchError) -> CommandFailure {
    let failure =
        CommandFailure::new(crate::base::causes::chain(error)).with_code(error.exit_code());
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
