//! The program that the screen starts: its start, its keys, its output, its end.

use crossterm::event::KeyEvent;
use ratatui::layout::Size;

use super::super::UiOutcome;
use super::super::action::{Pane, UiEffect};
use super::super::keymap::KeyCommand;
use super::super::layout::PaneRegions;
use super::super::program::keys;
use super::super::program::pane::{ProgramPane, ProgramPhase, UNREAD};
use super::{Overlay, UiState};
use crate::base::diagnostic::Diagnostic;

impl UiState {
    /// Shows a program that waits. Returns the effects of its pane.
    pub(in crate::tui) fn show_program(&mut self, program: ProgramPane) -> Vec<UiEffect> {
        self.program = Some(program);
        self.settle();
        self.settle_program()
    }

    /// Keeps the program's terminal as large as its pane, and starts the program if that is wanted and
    /// no probe is under way.
    pub(super) fn settle_program(&mut self) -> Vec<UiEffect> {
        let area = PaneRegions::inner(self.regions().program);
        let Some(program) = &mut self.program else {
            return Vec::new();
        };
        let mut effects = Vec::new();
        // A pane that is not shown keeps its size.
        if !area.is_empty() && program.emulator.resize(Size::new(area.width, area.height)) {
            effects.push(UiEffect::ResizeProgram(program.emulator.size()));
        }
        if program.phase == ProgramPhase::Wanted && self.queue.pending.is_empty() {
            program.phase = ProgramPhase::Starting;
            effects.push(UiEffect::StartProgram);
        }
        effects
    }

    /// Returns true if keys go to the program.
    pub(super) fn is_typing(&self) -> bool {
        self.focus == Pane::Program && self.program.as_ref().is_some_and(|program| program.typing)
    }

    pub(super) fn focus_program(&mut self) {
        match self.program {
            Some(_) => self.focus = Pane::Program,
            None => self.say("`tracer run` shows the output of a program here", false),
        }
    }

    /// Has the program started, with all probes that were asked for before.
    pub(super) fn start_program(&mut self) {
        let Some(program) = &mut self.program else {
            return self.say(
                "the target runs already; `tracer run` starts a program",
                false,
            );
        };
        let text = match program.phase {
            ProgramPhase::Waiting if self.queue.pending.is_empty() => {
                program.phase = ProgramPhase::Wanted;
                return;
            }
            ProgramPhase::Waiting => {
                program.phase = ProgramPhase::Wanted;
                format!("{} starts when the probe is attached", program.name)
            }
            ProgramPhase::Wanted | ProgramPhase::Starting => {
                format!("{} is being started", program.name)
            }
            ProgramPhase::Running(pid) => format!("{} runs already, as pid {pid}", program.name),
            ProgramPhase::Ended(_) | ProgramPhase::Failed => {
                format!("{} ran; `tracer run` starts it again", program.name)
            }
        };
        self.say(text, false);
    }

    /// A probe was refused, so the program waits again: its user wanted it in.
    pub(super) fn hold_program(&mut self) {
        if let Some(program) = &mut self.program
            && program.phase == ProgramPhase::Wanted
        {
            program.phase = ProgramPhase::Waiting;
        }
    }

    pub(super) fn program_started(&mut self, started: Result<u32, Diagnostic>) {
        let Some(program) = &mut self.program else {
            return;
        };
        match started {
            Ok(pid) => program.phase = ProgramPhase::Running(pid),
            Err(error) => {
                program.phase = ProgramPhase::Failed;
                self.say_error(&error);
            }
        }
    }

    pub(super) fn program_ended(&mut self, code: Option<i32>) {
        if matches!(self.overlay, Overlay::Leave) {
            self.overlay = Overlay::None;
        }
        if let Some(program) = &mut self.program {
            program.phase = ProgramPhase::Ended(code);
            program.typing = false;
        }
    }

    /// Draws the program's output. Answers its questions.
    pub(super) fn program_output(&mut self, bytes: &[u8]) -> Vec<UiEffect> {
        let Some(program) = &mut self.program else {
            return Vec::new();
        };
        let answers = program.emulator.write(bytes);
        self.send(answers)
    }

    /// From now on keys go to the program.
    pub(super) fn type_to_program(&mut self) {
        let Some(program) = &mut self.program else {
            return self.focus_program();
        };
        self.focus = Pane::Program;
        match program.phase {
            ProgramPhase::Starting | ProgramPhase::Running(_) => {
                program.typing = true;
                program.emulator.scroll(isize::MIN / 2);
            }
            ProgramPhase::Waiting => {
                let key = self.hint_main(KeyCommand::StartProgram);
                self.say(
                    format!("it reads keys once it runs; {key} starts it"),
                    false,
                );
            }
            ProgramPhase::Wanted => self.say("it is being started", false),
            ProgramPhase::Ended(_) | ProgramPhase::Failed => {
                self.say("it does not run any more", false)
            }
        }
    }

    /// From now on keys are commands again.
    pub(super) fn leave_program(&mut self) {
        if let Some(program) = &mut self.program {
            program.typing = false;
        }
    }

    pub(super) fn type_key(&mut self, key: KeyEvent) -> Vec<UiEffect> {
        let Some(program) = &mut self.program else {
            return Vec::new();
        };
        program.emulator.scroll(isize::MIN / 2);
        let application = program.emulator.screen().application_cursor();
        let bytes = keys::bytes_of(key, application);
        bytes.map_or_else(Vec::new, |bytes| self.send(bytes))
    }

    pub(super) fn type_paste(&mut self, text: &str) -> Vec<UiEffect> {
        let Some(program) = &self.program else {
            return Vec::new();
        };
        let bracketed = program.emulator.screen().bracketed_paste();
        self.send(keys::pasted(text, bracketed))
    }

    fn send(&mut self, bytes: Vec<u8>) -> Vec<UiEffect> {
        let Some(program) = &mut self.program else {
            return Vec::new();
        };
        if bytes.is_empty() {
            return Vec::new();
        }
        if program.unread + bytes.len() > UNREAD {
            let text = format!("{} does not read what is typed", program.name);
            self.say(text, true);
            return Vec::new();
        }
        program.unread += bytes.len();
        vec![UiEffect::TypeBytes(bytes)]
    }

    pub(super) fn program_typed(&mut self, bytes: usize) {
        if let Some(program) = &mut self.program {
            program.unread = program.unread.saturating_sub(bytes);
        }
    }

    /// Scrolls back in the program's output, or forth.
    pub(super) fn scroll_program(&mut self, rows: isize) {
        if let Some(program) = &mut self.program {
            program.emulator.scroll(rows.saturating_neg());
        }
    }

    /// Leaves the screen, once the user has decided on a program that runs.
    pub(super) fn quit(&mut self) {
        let runs = self.program.as_ref().is_some_and(ProgramPane::is_running);
        if runs && !matches!(self.overlay, Overlay::Leave) {
            self.leave_program();
            self.overlay = Overlay::Leave;
            return;
        }
        self.outcome = Some(self.exited.map_or(UiOutcome::Quit, UiOutcome::TargetExited));
    }

    pub(super) fn leave_command(&mut self, command: KeyCommand) {
        match command {
            KeyCommand::Activate => self.quit(),
            KeyCommand::EndProgram => self.outcome = Some(UiOutcome::EndProgram),
            KeyCommand::Back => self.overlay = Overlay::None,
            _ => {}
        }
    }
}
