//! How far a program is that was started, and what a signal means then.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::failure::CommandFailure;
use super::super::output::say;
use crate::base::cancel;
use crate::base::signals::{self, ReceivedSignal};
use crate::target::launch::{LaunchError, LaunchOutcome, RunningProgram, WaitingProgram};

/// Terminations that are passed on. The next one is meant for the tracer.
const PASSED_ON: u32 = 1;

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

/// How far the program is, for the signals, the terminal UI and the command.
#[derive(Clone)]
pub(super) struct SharedStage(Arc<Mutex<LaunchStage>>);

impl SharedStage {
    /// The program waits.
    pub(super) fn new(program: WaitingProgram) -> Self {
        Self(Arc::new(Mutex::new(LaunchStage::Waiting(program))))
    }

    /// Looks at the program, if it still waits.
    pub(super) fn waiting<T>(&self, look: impl FnOnce(&WaitingProgram) -> T) -> Option<T> {
        match &*self.lock() {
            LaunchStage::Waiting(waiting) => Some(look(waiting)),
            _ => None,
        }
    }

    /// Returns true if a signal came before the program ran.
    pub(super) fn is_interrupted(&self) -> bool {
        matches!(*self.lock(), LaunchStage::Interrupted)
    }

    /// Decides on a signal. Returns false if no further one is to be decided on.
    pub(super) fn take(&self, signal: ReceivedSignal) -> bool {
        self.lock().take(signal)
    }

    fn lock(&self) -> MutexGuard<'_, LaunchStage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the program run. Returns its pid, or `None` if a signal has come before.
    pub(super) fn release(&self) -> Result<Option<u32>, LaunchError> {
        let mut stage = self.lock();
        match std::mem::replace(&mut *stage, LaunchStage::Gone) {
            LaunchStage::Waiting(waiting) => {
                let program = waiting.run()?;
                let pid = program.pid();
                *stage = LaunchStage::Running {
                    program,
                    terminations: 0,
                };
                Ok(Some(pid))
            }
            other => {
                let pid = match &other {
                    LaunchStage::Running { program, .. } => Some(program.pid()),
                    _ => None,
                };
                *stage = other;
                Ok(pid)
            }
        }
    }

    /// A program that still waits never runs.
    pub(super) fn give_up(&self) {
        let mut stage = self.lock();
        if matches!(*stage, LaunchStage::Waiting(_)) {
            *stage = LaunchStage::Gone;
        }
    }

    /// Waits for the program's end. `None` if it does not run.
    pub(super) fn wait(&self) -> io::Result<Option<LaunchOutcome>> {
        loop {
            // Without the lock, since a signal may come meanwhile.
            let pidfd = match &mut *self.lock() {
                LaunchStage::Running { program, .. } => {
                    if let Some(outcome) = program.try_wait()? {
                        return Ok(Some(outcome));
                    }
                    program.pidfd().try_clone_to_owned()?
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

    /// Sends a program that runs a signal. Returns its pid.
    pub(super) fn signal(&self, signal: Option<rustix::process::Signal>) -> Option<u32> {
        let mut stage = self.lock();
        let LaunchStage::Running { program, .. } = &mut *stage else {
            return None;
        };
        if !matches!(program.try_wait(), Ok(None)) {
            return None;
        }
        if let Some(signal) = signal
            && let Err(error) = program.send(signal)
        {
            say!("the program cannot be sent a signal: {error}");
        }
        Some(program.pid())
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

/// The failure of a launch, with the exit code that a shell would give.
pub(super) fn launch_failure(error: &LaunchError) -> CommandFailure {
    let failure =
        CommandFailure::new(crate::base::causes::chain(error)).with_code(error.exit_code());
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
