//! Commands that are being carried out, those that wait behind them, and probes that were refused.
//!
//! Nothing here takes the keyboard by itself. Whoever types goes on typing, and no key is taken for another.

use std::collections::VecDeque;
use std::time::Duration;

use crossterm::event::KeyEvent;
use tui_input::InputRequest;

use super::super::action::{AddRequest, UiEffect};
use super::super::keymap::{self, KeyCommand, Mode};
use super::super::prompt::file_command::FileCommand;
use super::super::prompt::{Prompt, Purpose};
use super::{Overlay, UiState};
use crate::base::diagnostic::Diagnostic;

/// Refused probes that wait to be mended. Older ones are in the history of lines.
const REFUSED: usize = 100;
/// Lines of a paste that wait for Enter.
const PASTED: usize = 1000;
/// Keys that wait for what the key before them opens. Later ones are not taken.
const HELD: usize = 1000;
/// Time between two frames of the busy sign.
const SPIN: Duration = Duration::from_millis(100);
/// The busy sign.
const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// A probe or another command that was refused, with its text.
#[derive(Debug)]
pub(in crate::tui) struct RefusedProbe {
    /// The purpose of the line that mends it.
    pub(in crate::tui) purpose: Purpose,
    /// The text as typed.
    pub(in crate::tui) text: String,
    /// The mistake.
    pub(in crate::tui) error: Diagnostic,
}

/// Commands and texts that wait.
#[derive(Debug, Default)]
pub(in crate::tui) struct CommandQueue {
    /// Probes that are being attached: the first one now, the others behind it.
    pub(in crate::tui) pending: Vec<AddRequest>,
    /// Probes that were refused, oldest first.
    pub(in crate::tui) refused: VecDeque<RefusedProbe>,
    /// Lines of a paste that wait for Enter.
    pub(in crate::tui) pasted: VecDeque<String>,
    /// Enter was pressed in the list of files before they were known.
    pub(super) wants_file: bool,
    /// Keys that were pressed after it, or after Enter on an event that is still being read.
    pub(super) held: VecDeque<KeyEvent>,
    /// Files that are written after the probes are attached.
    pub(super) files: VecDeque<FileCommand>,
    /// Files that are being written.
    pub(super) writing: usize,
    ticket: u64,
}

impl UiState {
    /// Something goes on that the busy sign tells.
    pub(in crate::tui) fn is_busy(&self) -> bool {
        !self.queue.pending.is_empty() || self.queue.writing > 0
    }

    /// Keys wait until the chosen file is open.
    pub(super) fn waits_for_files(&self) -> bool {
        self.queue.wants_file && self.files.is_none() && matches!(self.overlay, Overlay::Files(_))
    }

    /// Keys wait until what the key before them opens is there: the files, or an event of a recording.
    pub(super) fn is_waiting(&self) -> bool {
        self.waits_for_files() || self.waits_for_event()
    }

    /// Keeps a key that waits.
    pub(super) fn hold(&mut self, key: KeyEvent) {
        if self.queue.held.len() < HELD {
            self.queue.held.push_back(key);
        } else {
            self.say("too many keys wait; this one was not taken", true);
        }
    }

    /// The present frame of the busy sign.
    pub(in crate::tui) fn spinner(&self) -> &'static str {
        let time = self.now.saturating_duration_since(self.opened);
        let frame = time.as_millis() / SPIN.as_millis();
        let frame = usize::try_from(frame).unwrap_or(0) % SPINNER.len();
        SPINNER.get(frame).copied().unwrap_or_default()
    }

    /// The refused probe that is shown: the oldest, unless something else has the keyboard.
    pub(in crate::tui) fn shown_refusal(&self) -> Option<&RefusedProbe> {
        match self.overlay {
            Overlay::None => self.queue.refused.front(),
            _ => None,
        }
    }

    /// Has a probe installed behind those that were asked for before.
    pub(super) fn request(&mut self, request: AddRequest) -> UiEffect {
        self.queue.ticket += 1;
        let request = AddRequest {
            ticket: self.queue.ticket,
            ..request
        };
        self.queue.pending.push(request.clone());
        UiEffect::Add(request)
    }

    /// Keeps the text of a refused probe. It is shown with the mistake once nothing else is being typed.
    pub(super) fn refused(&mut self, request: &AddRequest, error: Diagnostic) {
        self.refuse(RefusedProbe {
            purpose: request.replaces.map_or(Purpose::Probe, Purpose::Edit),
            text: request.text.clone(),
            error,
        });
    }

    /// Keeps a line that was refused.
    pub(super) fn refuse(&mut self, refused: RefusedProbe) {
        if !matches!(self.overlay, Overlay::None) {
            self.say_error(&refused.error);
        }
        self.typed.push(&refused.text);
        if self.queue.refused.len() >= REFUSED {
            self.queue.refused.pop_front();
        }
        self.queue.refused.push_back(refused);
    }

    /// Opens the line editor with the oldest refused probe and its mistake.
    pub(super) fn mend(&mut self) {
        let Some(refused) = self.queue.refused.pop_front() else {
            return self.say("no probe was refused", false);
        };
        let end = refused.text.chars().count();
        let mut prompt = Prompt::new(refused.purpose, refused.text, end);
        prompt.error = Some(refused.error);
        self.overlay = Overlay::Prompt(prompt);
    }

    /// Leaves the refused probe that is shown. Returns false if there is none.
    pub(super) fn leave_refused(&mut self) -> bool {
        if self.shown_refusal().is_none() {
            return false;
        }
        self.queue.refused.pop_front();
        true
    }

    /// Takes a pasted text: into the line that is typed, or into a new one. It never acts by itself: each of its
    /// lines waits for Enter.
    pub(super) fn paste(&mut self, text: &str) {
        let mode = self.mode();
        match &mut self.overlay {
            Overlay::Files(picker) => picker.type_text(text),
            Overlay::Prompt(prompt) if !prompt.purpose.is_probe() => prompt.insert(text),
            Overlay::Prompt(prompt) => {
                let (first, others) = text.split_once('\n').unwrap_or((text, ""));
                prompt.insert(first);
                self.queue.pasted.extend(pasted_lines(others));
            }
            Overlay::None => {
                let mut lines = pasted_lines(text);
                if let Some(first) = lines.next() {
                    let end = first.chars().count();
                    self.overlay = Overlay::Prompt(Prompt::new(Purpose::Command, first, end));
                    self.queue.pasted.extend(lines);
                }
            }
            Overlay::Event(_) if mode == Mode::EventSearch => {
                for c in text.chars().filter(|c| !c.is_control()) {
                    self.type_search(InputRequest::InsertChar(c));
                }
            }
            _ => {
                let back = keymap::hint(mode, KeyCommand::Back);
                let text = format!("a paste needs a line to go to; {back} leads back");
                self.say(text, true);
            }
        }
        self.queue.pasted.truncate(PASTED);
        self.typing();
    }

    /// After a line was entered: the next one of a paste is there to be looked at.
    pub(super) fn next_pasted(&mut self) {
        if !matches!(self.overlay, Overlay::None) {
            // A later line of another kind must not find the rest.
            return self.leave_pasted();
        }
        if let Some(line) = self.queue.pasted.pop_front() {
            let end = line.chars().count();
            self.overlay = Overlay::Prompt(Prompt::new(Purpose::Command, line, end));
        }
    }

    /// The rest of a paste is not wanted. It can be had again as lines typed before.
    pub(super) fn leave_pasted(&mut self) {
        for line in std::mem::take(&mut self.queue.pasted).into_iter().rev() {
            self.typed.push(&line);
        }
    }
}

/// The lines of a pasted text that say something, as in a file of probes.
fn pasted_lines(text: &str) -> impl Iterator<Item = String> {
    text.lines()
        .flat_map(|line| line.split('\r'))
        .map(|line| line.trim_start().trim_start_matches(':').trim())
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
}
