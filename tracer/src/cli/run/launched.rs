//! The program that `tracer run` starts: first it waits, then it gets the signals of this process.

use std::sync::Arc;

use super::super::INTERRUPTED;
use super::super::failure::CommandFailure;
use super::pane::PaneProgram;
use super::stage::{SharedStage, launch_failure};
use crate::base::signals::{self, Signals};
use crate::base::visible::Visible;
use crate::session::{Aim, Session};
use crate::target::launch::{LaunchOutcome, WaitingProgram};

/// The program of a run, which gets the signals of this process.
pub(in crate::cli) struct LaunchedRun {
    stage: SharedStage,
    /// The program, if the terminal UI shows it.
    pane: Option<Arc<PaneProgram>>,
    _signals: Signals,
}

impl LaunchedRun {
    /// Decides on all signals from now on.
    pub(super) fn new(mut program: WaitingProgram) -> Result<Self, CommandFailure> {
        let terminal = program.take_terminal();
        let path = program.program().path.clone();
        let stage = SharedStage::new(program);
        let of_signals = stage.clone();
        signals::divert(true);
        // The lock is held while the program is executed, so a signal comes before or after that.
        let signals = Signals::listen_with_sender(move |signal| of_signals.take(signal));
        let signals = signals
            .map_err(|error| CommandFailure::new(format!("cannot wait for signals: {error}")))?;
        let pane = terminal.map(|terminal| PaneProgram::new(stage.clone(), terminal, &path));
        let pane = pane.transpose().map_err(|error| {
            CommandFailure::new(format!("cannot read the program's output: {error}"))
        })?;
        Ok(Self {
            stage,
            pane: pane.map(Arc::new),
            _signals: signals,
        })
    }

    /// The program, if the terminal UI shows it.
    pub(in crate::cli) fn pane(&self) -> Option<&Arc<PaneProgram>> {
        self.pane.as_ref()
    }

    /// The aim of its session. `None` if it does not wait any more.
    pub(in crate::cli) fn aim(&self) -> Option<Aim> {
        self.stage.waiting(|waiting| Aim::Launched {
            pid: waiting.pid(),
            program: waiting.program().executable.clone(),
        })
    }

    /// Advice on refused probes, if the program has no debug information. It may only start the program that is
    /// meant.
    pub(in crate::cli) fn advice_on(&self, session: &Session) -> Option<String> {
        if session.has_sources() {
            return None;
        }
        let program = self.stage.waiting(|waiting| waiting.program().clone())?;
        let name = program.executable.file_name()?.to_string_lossy();
        let name = Visible(&name);
        let beside = "`tracer attach --wait --exe PROGRAM` beside this command traces a program that it executes";
        Some(match program.interpreters.is_empty() {
            false => {
                format!("`{name}` runs this script, and the probes are for `{name}`; {beside}")
            }
            true => format!(
                "build `{name}` with `-g`, or with `debug = true` in its Cargo profile; if it only starts the \
                 program that you mean: {beside}"
            ),
        })
    }

    /// Lets the program run, unless a signal has come. Signals are meant for it from now on.
    pub(in crate::cli) fn release(&self) -> Result<(), CommandFailure> {
        match self.stage.release() {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(CommandFailure::told(INTERRUPTED)),
            Err(error) => Err(launch_failure(&error)),
        }
    }

    /// Returns true if a signal came before the program ran.
    pub(super) fn is_interrupted(&self) -> bool {
        self.stage.is_interrupted()
    }

    /// Waits for the program's end. `None` if it was not started, which it never is from now on.
    pub(super) fn wait(&self) -> Result<Option<LaunchOutcome>, CommandFailure> {
        let outcome = self.stage.wait();
        self.stage.give_up();
        outcome
            .map_err(|error| CommandFailure::new(format!("cannot wait for the program: {error}")))
    }
}
