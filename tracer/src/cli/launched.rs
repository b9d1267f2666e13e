//! The program that `tracer run` starts: first it waits, then it gets the signals of this process.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::INTERRUPTED;
use super::failure::CommandFailure;
use super::output::say;
use crate::base::cancel;
use crate::base::signals::{self, ReceivedSignal, Signals};
use crate::session::Aim;
use crate::target::launch::{LaunchError, RunningProgram, WaitingProgram};

/// Terminations that are passed on. The next one is meant for the tracer.
const PASSED_ON: u32 = 1;

/// The program of a run, which gets the signals of this process.
pub(super) struct LaunchedRun {
    stage: Arc<Mutex<LaunchStage>>,
    _signals: Signals,
}

/// How far a program is.
enum LaunchStage {
    /// Its process waits.
    Waiting(WaitingProgram),
    /// A signal came before it ran, so it never does.
    Interrupted,
    Running {
        program: RunningProgram,
        /// SIGTERM and SIGHUP so far.
        terminations: u32,
    },
    /// It could not be executed.
    Gone,
}

impl LaunchedRun {
    /// Decides on all signals from now on.
    pub(super) fn new(program: WaitingProgram) -> Result<Self, CommandFailure> {
        let stage = Arc::new(Mutex::new(LaunchStage::Waiting(program)));
        let of_signals = Arc::clone(&stage);
        signals::divert(true);
        // The lock is held while the program is executed, so a signal comes before or after that.
        let signals = Signals::listen_with_sender(move |signal| lock(&of_signals).take(signal));
        let signals = signals
            .map_err(|error| CommandFailure::new(format!("cannot wait for signals: {error}")))?;
        Ok(Self {
            stage,
            _signals: signals,
        })
    }

    /// The aim of its session. `None` if it does not wait any more.
    pub(super) fn aim(&self) -> Option<Aim> {
        match &*lock(&self.stage) {
            LaunchStage::Waiting(waiting) => Some(Aim::Launched {
                pid: waiting.pid(),
                program: waiting.program().executable.clone(),
            }),
            _ => None,
        }
    }

    /// Lets the program run, unless a signal has come. Signals are meant for it from now on.
    pub(super) fn release(&mut self) -> Result<(), CommandFailure> {
        let mut stage = lock(&self.stage);
        match std::mem::replace(&mut *stage, LaunchStage::Gone) {
            LaunchStage::Waiting(waiting) => {
                let program = waiting.run().map_err(|error| launch_failure(&error))?;
                *stage = LaunchStage::Running {
                    program,
                    terminations: 0,
                };
                Ok(())
            }
            LaunchStage::Interrupted => {
                *stage = LaunchStage::Interrupted;
                Err(CommandFailure::told(INTERRUPTED))
            }
            LaunchStage::Running { .. } | LaunchStage::Gone => Ok(()),
        }
    }

    /// Returns true if a signal came before the program ran.
    pub(super) fn is_interrupted(&self) -> bool {
        matches!(*lock(&self.stage), LaunchStage::Interrupted)
    }

    /// Waits for the program's end. Returns the exit code that a shell would give, or `None` if it was
    /// not started.
    pub(super) fn wait(&mut self) -> Result<Option<u8>, CommandFailure> {
        let failed =
            |error: io::Error| CommandFailure::new(format!("cannot wait for the program: {error}"));
        loop {
            // Without the lock, since a signal may come meanwhile.
            let pidfd = match &mut *lock(&self.stage) {
                LaunchStage::Running { program, .. } => {
                    if let Some(outcome) = program.try_wait().map_err(failed)? {
                        return Ok(Some(outcome.exit_code()));
                    }
                    program.pidfd().try_clone_to_owned().map_err(failed)?
                }
                _ => return Ok(None),
            };
            let mut fds = [rustix::event::PollFd::new(
                &pidfd,
                rustix::event::PollFlags::IN,
            )];
            let _interrupted = rustix::event::poll(&mut fds, None);
        }
    }
}

impl LaunchStage {
    /// Decides on a signal. Returns false if no further one is to be decided on.
    fn take(&mut self, signal: ReceivedSignal) -> bool {
        let Self::Running {
            program,
            terminations,
        } = self
        else {
            *self = Self::Interrupted;
            cancel::cancel();
            return to_tracer(signal.number);
        };
        match program.try_wait() {
            Ok(Some(_)) => return to_tracer(signal.number),
            Ok(None) => {}
            Err(error) => say!("the program cannot be waited for: {error}"),
        }
        if matches!(signal.number, libc::SIGTERM | libc::SIGHUP) {
            *terminations += 1;
            if *terminations > PASSED_ON {
                // The program goes on without probes.
                return to_tracer(signal.number);
            }
        }
        if let Err(error) = program.take_signal(signal.number, signal.by_terminal) {
            say!("the program cannot be sent a signal: {error}");
        }
        true
    }
}

/// Signals are meant for this process from now on, and so was this one.
fn to_tracer(signal: i32) -> bool {
    signals::divert(false);
    // Those who have ignored it get it again. None of them listens for SIGQUIT.
    let signal = match signal {
        libc::SIGINT => rustix::process::Signal::INT,
        _ => rustix::process::Signal::TERM,
    };
    let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
    false
}

fn lock(stage: &Mutex<LaunchStage>) -> MutexGuard<'_, LaunchStage> {
    stage.lock().unwrap_or_else(PoisonError::into_inner)
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
