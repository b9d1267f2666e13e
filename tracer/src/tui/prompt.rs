//! The line editor: the typed line, its purpose, and its error.

use crossterm::event::{Event as TerminalEvent, KeyEvent};
use tui_input::backend::crossterm::to_input_request;
use tui_input::{Input, InputRequest};

use crate::base::diagnostic::Diagnostic;
use crate::event::ProbeId;
use completion::WordCompletion;

pub(super) mod completion;
pub(super) mod context;
pub(super) mod file_command;

/// Characters that a line may have: a probe's text is short, a paste may not be.
const LENGTH: usize = 4096;
/// Lines remembered.
const REMEMBERED: usize = 100;

/// The purpose of a typed line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A probe, or a line number.
    Command,
    /// A probe, already filled in.
    Probe,
    /// Another text for a probe.
    Edit(ProbeId),
    /// A line number.
    GoTo,
    /// A place in a recording.
    Place,
    /// A text in the source.
    Search,
    /// The filter of events.
    Filter,
}

impl Purpose {
    /// The label before the line.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Command => ":",
            Self::Probe => "new probe ",
            Self::Edit(_) => "edit probe ",
            Self::GoTo => "go to line ",
            Self::Place => "go to event (#1000, 50%, +90s, 12:04:31) ",
            Self::Search => "/",
            Self::Filter => "show events with ",
        }
    }

    /// Returns true if the line is a probe.
    pub(super) fn is_probe(self) -> bool {
        matches!(self, Self::Command | Self::Probe | Self::Edit(_))
    }
}

/// A line being typed.
#[derive(Debug)]
pub(super) struct Prompt {
    /// The purpose of the line.
    pub(super) purpose: Purpose,
    /// The line.
    pub(super) input: Input,
    /// The error of the last text that was tried.
    pub(super) error: Option<Diagnostic>,
    /// The completions at the cursor.
    pub(super) completion: WordCompletion,
    /// The line up to the cursor for which they were looked for.
    looked: Option<String>,
    /// Number of the displayed history line, from the end.
    recalled: usize,
    /// The typed line from before the history was opened.
    draft: String,
}

impl Prompt {
    /// A prompt with a text and the cursor (in characters) in it.
    pub(super) fn new(purpose: Purpose, text: String, cursor: usize) -> Self {
        let input = Input::new(text).with_cursor(cursor);
        Self {
            purpose,
            input,
            error: None,
            completion: WordCompletion::default(),
            looked: None,
            recalled: 0,
            draft: String::new(),
        }
    }

    /// An empty prompt.
    pub(super) fn empty(purpose: Purpose) -> Self {
        Self::new(purpose, String::new(), 0)
    }

    /// A key for the editor.
    pub(super) fn edit(&mut self, key: KeyEvent) {
        if let Some(request) = to_input_request(&TerminalEvent::Key(key)) {
            self.request(request);
        }
    }

    /// Inserts text at the cursor. Line ends become blanks.
    pub(super) fn insert(&mut self, text: &str) {
        for c in text.trim_end_matches(['\r', '\n']).chars() {
            self.request(InputRequest::InsertChar(if c.is_control() {
                ' '
            } else {
                c
            }));
        }
    }

    fn request(&mut self, request: InputRequest) {
        self.completion.chosen = None;
        let grows = matches!(request, InputRequest::InsertChar(_));
        if grows && self.input.value().len() >= LENGTH {
            return;
        }
        if self
            .input
            .handle(request)
            .is_some_and(|change| change.value)
        {
            // The underlined range would now cover another part of the text.
            self.error = None;
        }
    }

    /// Shows previous input (`older`) or after.
    pub(super) fn recall(&mut self, history: &History, older: bool) {
        if self.recalled == 0 {
            self.draft = self.input.value().to_owned();
        }
        let wanted = if older {
            self.recalled + 1
        } else {
            self.recalled.saturating_sub(1)
        };
        let text = match wanted {
            0 => Some(self.draft.clone()),
            back => history.back(back).map(str::to_owned),
        };
        if let Some(text) = text {
            self.recalled = wanted;
            self.error = None;
            self.completion.chosen = None;
            self.input = Input::new(text);
        }
    }

    /// The line up to the cursor.
    pub(super) fn before(&self) -> &str {
        let value = self.input.value();
        let end = value
            .char_indices()
            .nth(self.input.cursor())
            .map_or(value.len(), |(at, _)| at);
        value.get(..end).unwrap_or(value)
    }

    /// Returns true, once, if the completions are not those at the cursor.
    pub(super) fn is_elsewhere(&mut self) -> bool {
        // While Tab goes through them, they stay.
        if !self.purpose.is_probe() || self.completion.chosen.is_some() {
            return false;
        }
        let before = self.before().to_owned();
        if self.looked.as_ref() == Some(&before) {
            return false;
        }
        self.looked = Some(before);
        true
    }

    /// More is known at the cursor.
    pub(super) fn look_again(&mut self) {
        self.looked = None;
    }

    /// Puts the first completion into the line, as Tab does when it goes through the list.
    pub(super) fn choose_first(&mut self) {
        if let Some(first) = self.completion.all.first() {
            let line = format!("{}{}", self.before(), first.text);
            self.completion.chosen = Some(0);
            self.input = Input::new(line);
        }
    }

    /// Puts a completion in place of the word before the cursor, or a note that there is none.
    pub(super) fn complete(&mut self, back: bool) {
        let chosen = self.completion.chosen;
        let chosen = chosen.and_then(|at| self.completion.all.get(at));
        // The word in the line: the completion before, or the part that was typed.
        let word = chosen
            .map_or(&self.completion.stem, |one| &one.text)
            .clone();
        let Some(text) = self.completion.next(back) else {
            return;
        };
        let before = self.before();
        let Some(front) = before.strip_suffix(word.as_str()) else {
            return;
        };
        let after = self.input.value().get(before.len()..).unwrap_or_default();
        let line = format!("{front}{text}{after}");
        if line.len() <= LENGTH {
            let cursor = front.chars().count() + text.chars().count();
            self.input = Input::new(line).with_cursor(cursor);
            self.error = None;
        }
    }
}

/// Lines typed before.
#[derive(Debug, Default)]
pub(super) struct History(Vec<String>);

impl History {
    /// Remembers a line.
    pub(super) fn push(&mut self, text: &str) {
        if text.is_empty() || self.0.last().is_some_and(|last| last == text) {
            return;
        }
        if self.0.len() >= REMEMBERED {
            self.0.remove(0);
        }
        self.0.push(text.to_owned());
    }

    fn back(&self, steps: usize) -> Option<&str> {
        self.0
            .len()
            .checked_sub(steps)
            .and_then(|index| self.0.get(index))
            .map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_goes_back_and_returns_to_the_draft() {
        let mut history = History::default();
        history.push("one");
        history.push("two");
        let mut prompt = Prompt::new(Purpose::Command, "draft".into(), 0);
        let mut seen = Vec::new();
        for older in [true, true, true, false, false, false] {
            prompt.recall(&history, older);
            seen.push(prompt.input.value().to_owned());
        }
        assert_eq!(seen, ["two", "one", "one", "two", "draft", "draft"]);
    }

    #[test]
    fn insert_of_a_paste_with_controls_is_one_bounded_line() {
        let mut prompt = Prompt::empty(Purpose::Command);
        prompt.insert("a\nb\x1b\n");
        assert_eq!(prompt.input.value(), "a b ");
        prompt.insert(&"x".repeat(10_000));
        assert_eq!(prompt.input.value().len(), LENGTH);
    }
}
