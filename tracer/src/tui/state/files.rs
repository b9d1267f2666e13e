//! Writing probes and events to files, and work that would be lost at the end.

use std::collections::BTreeSet;

use super::super::UnsavedWork;
use super::super::action::UiEffect;
use super::super::keymap::{self, KeyCommand, Mode};
use super::super::prompt::file_command::FileCommand;
use super::super::prompt::{Prompt, Purpose};
use super::super::workers::saving::{FileContents, FileRequest};
use super::queue::RefusedProbe;
use super::{Overlay, UiState};
use crate::actions::line_of_probe;
use crate::base::diagnostic::Diagnostic;
use crate::event::{counted, grouped};

/// Work that has been written, or need not be.
#[derive(Debug, Default)]
pub(in crate::tui) struct SavedWork {
    /// Texts of probes.
    pub(super) probes: BTreeSet<String>,
    /// Events before this number.
    pub(super) events: u64,
}

impl UiState {
    /// Opens the line editor with the beginning of a command.
    pub(super) fn begin_command(&mut self, text: &str) {
        let end = text.chars().count();
        self.overlay = Overlay::Prompt(Prompt::new(Purpose::Command, text.to_owned(), end));
    }

    /// Writes a file once the commands before it are carried out.
    pub(super) fn submit_file(
        &mut self,
        text: &str,
        command: Result<FileCommand, Diagnostic>,
    ) -> Vec<UiEffect> {
        self.typed.push(text);
        self.overlay = Overlay::None;
        match command {
            Ok(command) => {
                self.queue.files.push_back(command);
                self.run_files()
            }
            Err(error) => {
                self.refuse_line(text, error);
                Vec::new()
            }
        }
    }

    /// Writes the files that nothing has to be waited for.
    pub(super) fn run_files(&mut self) -> Vec<UiEffect> {
        if !self.queue.pending.is_empty() {
            return Vec::new();
        }
        let commands = std::mem::take(&mut self.queue.files);
        let mut effects = Vec::new();
        for command in commands {
            match self.request_of(&command) {
                Ok(request) => {
                    self.queue.writing += 1;
                    effects.push(UiEffect::WriteFile(request));
                }
                Err(error) => self.refuse_line(&command.text, error),
            }
        }
        effects
    }

    fn refuse_line(&mut self, text: &str, error: Diagnostic) {
        self.refuse(RefusedProbe {
            purpose: Purpose::Command,
            text: text.to_owned(),
            error,
        });
    }

    fn request_of(&self, command: &FileCommand) -> Result<FileRequest, Diagnostic> {
        let contents = match command.format {
            None => self.probes_to_write()?,
            Some(format) => FileContents::Events(format, self.events.shown_events()),
        };
        Ok(FileRequest {
            command: command.text.clone(),
            path: command.path.clone(),
            replaces: command.replaces,
            contents,
            saves_to: self.events.filter.is_empty().then(|| self.events.end()),
        })
    }

    /// The probes as a file for `-f`.
    fn probes_to_write(&self) -> Result<FileContents, Diagnostic> {
        if self.probes.is_empty() {
            return Err(Diagnostic::new("there is no probe to write"));
        }
        let mut text = "# Probes of tracer. `tracer attach … -f FILE` installs them.\n".to_owned();
        for probe in &self.probes {
            let Some(line) = line_of_probe(&probe.text) else {
                let message = format!("the text of {} does not fit on one line", probe.name);
                return Err(Diagnostic::new(message).hint("write its line breaks as `\\n`"));
            };
            text.push_str(&line);
            text.push('\n');
        }
        let probes = self.probes.iter().map(|probe| probe.text.clone());
        Ok(FileContents::Probes(text, probes.collect()))
    }

    /// A file was written, or not.
    pub(super) fn file_written(
        &mut self,
        request: &FileRequest,
        result: Result<String, Diagnostic>,
    ) {
        self.queue.writing = self.queue.writing.saturating_sub(1);
        let done = match result {
            Ok(done) => done,
            Err(error) => return self.refuse_line(&request.command, error),
        };
        match &request.contents {
            FileContents::Probes(_, texts) => {
                self.saved.probes.extend(texts.iter().cloned());
                self.say(done, false);
            }
            FileContents::Events(..) => {
                let saved = request.saves_to.unwrap_or_default();
                self.saved.events = self.saved.events.max(saved);
                let rest = self.not_exported();
                self.say(format!("{done}{rest}"), false);
            }
        }
    }

    /// The events that an export has not, in words.
    fn not_exported(&self) -> String {
        let mut parts = Vec::new();
        if !self.events.filter.is_empty() {
            parts.push(format!("those that pass `{}`", self.events.filter.text));
        }
        let gone = self.events.displaced();
        if gone > 0 {
            parts.push(format!("{} older ones were no longer kept", grouped(gone)));
        }
        if self.events.paused {
            let since = grouped(self.events.waiting());
            parts.push(format!("without {since} that came since the pause"));
        }
        if self.recording.is_some() {
            parts.push("those on the screen; `tracer export` writes all".into());
        }
        match parts.is_empty() {
            true => String::new(),
            false => format!(" ({})", parts.join("; ")),
        }
    }

    /// Work that is lost at the end.
    pub(in crate::tui) fn unsaved(&self) -> UnsavedWork {
        if self.recording.is_some() {
            return UnsavedWork::default();
        }
        let is_lost = |text: &&String| !self.saved.probes.contains(*text);
        let probes = self.probes.iter().map(|probe| &probe.text);
        UnsavedWork {
            probes: probes.filter(is_lost).count(),
            events: self.events.count_from(self.saved.events),
        }
    }
}

/// The key of a command, or what can be typed for it if it has none.
fn command_of(command: KeyCommand, typed: &str) -> String {
    match keymap::hint(Mode::Main, command) {
        none if none.is_empty() => format!("`{typed}`"),
        key => format!("`{key}`"),
    }
}

impl std::fmt::Display for UnsavedWork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        if self.probes > 0 {
            let probes = counted(self.probes, "probe");
            let write = command_of(KeyCommand::WriteProbes, ":w FILE");
            parts.push(format!("{probes} ({write} writes probes to a file)"));
        }
        if self.events > 0 {
            let events = counted(self.events, "event");
            let export = command_of(KeyCommand::ExportEvents, ":export FILE.csv");
            parts.push(format!(
                "{events} ({export} exports them, `--record FILE` keeps all)"
            ));
        }
        write!(f, "not kept: {}", parts.join(", "))
    }
}
