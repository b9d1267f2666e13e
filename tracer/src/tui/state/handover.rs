//! Copying what is selected, and editing its source.

use std::path::Path;
use std::sync::Arc;

use super::super::action::{EditorPlace, Pane, UiEffect};
use super::super::tree::{Copied, SourcePlace, copied_frame};
use super::{Overlay, SourceView, UiState};
use crate::base::diagnostic::Diagnostic;
use crate::base::limits::CLIPBOARD_BYTES;
use crate::event::{counted, grouped};
use crate::sink::json;

impl UiState {
    pub(super) fn copy_row(&mut self) -> Vec<UiEffect> {
        let Overlay::Event(detail) = &self.overlay else {
            return Vec::new();
        };
        let tree = detail.lay_out(&self.folds, self.size, false);
        let text = match tree.contents.get(detail.look.list.cursor) {
            Some(Copied::Value(value)) => json::value_text(value),
            Some(Copied::Text(text)) => (*text).to_owned(),
            Some(Copied::Frame(frame)) => copied_frame(frame),
            Some(Copied::Event) | None => json::event_line(&detail.event).trim_end().to_owned(),
        };
        self.copy(text)
    }

    /// Copies the selected event's message, or what is selected in another pane.
    pub(super) fn copy_selected(&mut self) -> Vec<UiEffect> {
        let text = match self.focus {
            Pane::Events => self.events.text(self.events.list.cursor),
            Pane::Probes | Pane::Results => {
                let probe = self.probes.get(self.probes_list.cursor);
                probe.map(|probe| probe.text.clone())
            }
            Pane::Source => self.source.as_ref().and_then(SourceView::line_text),
            Pane::Program => None,
        };
        match text {
            Some(text) => self.copy(text),
            None => {
                self.say("there is nothing to copy here", false);
                Vec::new()
            }
        }
    }

    /// Copies the selected event as JSON.
    pub(super) fn copy_event(&mut self) -> Vec<UiEffect> {
        match self.events.event(self.events.list.cursor) {
            Some((event, _)) if self.focus == Pane::Events => {
                let line = json::event_line(event);
                self.copy(line.trim_end().to_owned())
            }
            _ => {
                self.say("select an event to copy it as JSON", false);
                Vec::new()
            }
        }
    }

    /// Copies a text to the clipboard of the terminal.
    pub(super) fn copy(&mut self, mut text: String) -> Vec<UiEffect> {
        let length = text.len();
        let mut end = length.min(CLIPBOARD_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        if text.len() < length {
            let (copied, length) = (grouped(text.len() as u64), grouped(length as u64));
            let told =
                format!("copied the first {copied} of {length} bytes: many terminals take no more");
            self.say(told, true);
        } else {
            self.say(format!("copied {}", counted(length, "byte")), false);
        }
        vec![UiEffect::Copy(text)]
    }

    /// Opens the selected place in the user's editor.
    pub(super) fn edit_source(&mut self) -> Vec<UiEffect> {
        let place = match (&self.overlay, self.focus) {
            (Overlay::Event(detail), _) => Some(detail.place()),
            (Overlay::Steps(_), _) | (_, Pane::Source) => {
                self.source.as_ref().map(|source| SourcePlace {
                    file: Arc::clone(&source.file.path),
                    line: source.line(),
                })
            }
            (_, Pane::Probes | Pane::Results) => {
                let probe = self.probes.get(self.probes_list.cursor);
                probe.map(|probe| SourcePlace {
                    file: Arc::clone(&probe.file),
                    line: probe.line,
                })
            }
            (_, Pane::Events) => {
                let event = self.events.event(self.events.list.cursor);
                event.map(|(event, _)| SourcePlace {
                    file: Arc::clone(&event.origin.file),
                    line: event.origin.line,
                })
            }
            (_, Pane::Program) => None,
        };
        let Some(place) = place else {
            self.say("select a line to edit it", false);
            return Vec::new();
        };
        if place.line == 0 || Path::new(&*place.file).file_name().is_none() {
            self.say("no debug information says where its source is", false);
            return Vec::new();
        }
        vec![UiEffect::EditSource {
            file: self.source_file(&place.file),
            line: place.line,
        }]
    }

    /// Lets the user's editor have the terminal.
    pub(super) fn open_editor(&mut self, place: Result<EditorPlace, Diagnostic>) -> Vec<UiEffect> {
        match place {
            Ok(place) if !self.editing => {
                self.editing = true;
                vec![UiEffect::OpenEditor(place)]
            }
            Ok(_) => Vec::new(),
            Err(error) => {
                self.say_error(&error);
                Vec::new()
            }
        }
    }
}
