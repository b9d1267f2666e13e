//! The state of a program's pane.

use ratatui::layout::Size;

use super::emulator::Emulator;

/// Typed bytes that the program has not read, at most. Further keys are refused.
pub(in crate::tui) const UNREAD: usize = 1 << 16;

/// How far the program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tui) enum ProgramPhase {
    /// Its process waits before the first instruction.
    Waiting,
    /// It starts once the probes that are under way are attached.
    Wanted,
    /// It is being executed.
    Starting,
    /// It runs, with this process id.
    Running(u32),
    /// Its exit code, or the number of the signal that ended it, negated.
    Ended(Option<i32>),
    /// It could not be executed.
    Failed,
}

/// The program, and what it has drawn.
#[derive(Debug)]
pub(in crate::tui) struct ProgramPane {
    /// Its short name.
    pub(in crate::tui) name: String,
    /// The command that starts it.
    pub(in crate::tui) command: String,
    pub(in crate::tui) phase: ProgramPhase,
    /// Keys go to the program, as long as its pane has the focus.
    pub(in crate::tui) typing: bool,
    /// Its terminal.
    pub(in crate::tui) emulator: Emulator,
    /// Typed bytes that it has not read.
    pub(in crate::tui) unread: usize,
}

impl ProgramPane {
    /// A program that waits.
    pub(in crate::tui) fn new(name: String, command: String) -> Self {
        Self {
            name,
            command,
            phase: ProgramPhase::Waiting,
            typing: false,
            emulator: Emulator::new(Size::new(80, 24)),
            unread: 0,
        }
    }

    /// Returns true if it waits for its start.
    pub(in crate::tui) fn is_waiting(&self) -> bool {
        matches!(self.phase, ProgramPhase::Waiting | ProgramPhase::Wanted)
    }

    /// Returns true if it may run.
    pub(in crate::tui) fn is_running(&self) -> bool {
        matches!(
            self.phase,
            ProgramPhase::Starting | ProgramPhase::Running(_)
        )
    }

    /// How far it is, in words.
    pub(in crate::tui) fn state(&self) -> String {
        match self.phase {
            ProgramPhase::Waiting => "not started".into(),
            ProgramPhase::Wanted => "starts with the next probe".into(),
            ProgramPhase::Starting => "starting".into(),
            ProgramPhase::Running(pid) => format!("pid {pid}"),
            ProgramPhase::Ended(None) => "ended".into(),
            ProgramPhase::Ended(Some(code)) if code < 0 => {
                format!("ended by signal {}", code.unsigned_abs())
            }
            ProgramPhase::Ended(Some(code)) => format!("exited with code {code}"),
            ProgramPhase::Failed => "could not be started".into(),
        }
    }
}
