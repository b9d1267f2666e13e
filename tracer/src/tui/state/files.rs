//! Writing probes and events to files, and what would be lost at the end.

use std::collections::BTreeSet;

use super::super::UnsavedWork;
use super::super::action::UiEffect;
use super::super::prompt::{Prompt, Purpose};
use super::super::saving::{FileContents, FileRequest, counted};
use super::queue::RefusedProbe;
use super::{Overlay, UiState};
use crate::actions::line_of_probe;
use crate::base::diagnostic::Diagnostic;
use crate::event::grouped;
use crate::sink::export::{ExportFormat, FORMATS};

/// Endings of file names that are not the name of a format.
const ENDINGS: [(&str, ExportFormat); 6] = [
    ("jsonl", ExportFormat::Json),
    ("ndjson", ExportFormat::Json),
    ("pftrace", ExportFormat::Perfetto),
    ("perfetto-trace", ExportFormat::Perfetto),
    ("pb.gz", ExportFormat::Pprof),
    ("pprof", ExportFormat::Pprof),
];

/// A command that writes a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::tui) struct FileCommand {
    /// The line as typed.
    text: String,
    /// The format of events. `None` for probes.
    format: Option<ExportFormat>,
    path: String,
    replaces: bool,
}

/// What has been written, or need not be.
#[derive(Debug, Default)]
pub(in crate::tui) struct SavedWork {
    /// Texts of probes.
    pub(super) probes: BTreeSet<String>,
    /// Events before this number.
    pub(super) events: u64,
}

impl FileCommand {
    /// The command of a typed line. `None` if the line is another one.
    ///
    /// # Errors
    /// The file is missing, or its format.
    pub(in crate::tui) fn parse(text: &str) -> Option<Result<Self, Diagnostic>> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let (name, replaces) = match word.strip_suffix('!') {
            Some(name) => (name, true),
            None => (word, false),
        };
        let rest = rest.trim();
        let command = |format, path: &str| Self {
            text: text.to_owned(),
            format,
            path: path.to_owned(),
            replaces,
        };
        match name {
            "w" | "write" if rest.is_empty() => {
                Some(Err(Diagnostic::at(0..text.len(), "the file is missing")
                    .hint("`:w FILE` writes the probes, for `-f FILE`")))
            }
            "w" | "write" => Some(Ok(command(None, rest))),
            "export" => {
                Some(export_format(text, rest).map(|(format, path)| command(Some(format), path)))
            }
            _ => None,
        }
    }
}

/// The format and the path of `:export [FORMAT] FILE`.
fn export_format<'t>(text: &str, rest: &'t str) -> Result<(ExportFormat, &'t str), Diagnostic> {
    let names = FORMATS.map(|(name, _)| name).join(", ");
    if let Some((word, path)) = rest.split_once(' ')
        && let Some(format) = ExportFormat::named(word)
    {
        return Ok((format, path.trim()));
    }
    let hint = format!("`:export FILE.json` or `:export FORMAT FILE`; the formats are {names}");
    if rest.is_empty() || ExportFormat::named(rest).is_some() {
        return Err(Diagnostic::at(0..text.len(), "the file is missing").hint(hint));
    }
    let known = |ending: &str| rest.ends_with(&format!(".{ending}"));
    let named = FORMATS.into_iter().chain(ENDINGS);
    match named.into_iter().find(|(ending, _)| known(ending)) {
        Some((_, format)) => Ok((format, rest)),
        None => {
            let at = text.len() - rest.len();
            let message = "the file's name does not tell the format";
            Err(Diagnostic::at(at..text.len(), message).hint(hint))
        }
    }
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
                self.saved.events = self.events.end();
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

    /// What is lost at the end, if nothing else keeps it.
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

impl std::fmt::Display for UnsavedWork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        if self.probes > 0 {
            parts.push(format!(
                "{} (`w` writes probes to a file)",
                counted(self.probes, "probe")
            ));
        }
        if self.events > 0 {
            let events = counted(self.events, "event");
            parts.push(format!(
                "{events} (`W` exports them, `--record FILE` keeps all)"
            ));
        }
        write!(f, "not kept: {}", parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<Result<FileCommand, String>> {
        FileCommand::parse(text).map(|result| result.map_err(|error| error.message))
    }

    #[test]
    fn commands_for_files_have_a_path_and_a_format() {
        let file = |text: &str, format, path: &str, replaces| {
            Some(Ok(FileCommand {
                text: text.into(),
                format,
                path: path.into(),
                replaces,
            }))
        };
        for (text, format, path, replaces) in [
            ("w a b.txt", None, "a b.txt", false),
            ("w! ~/x", None, "~/x", true),
            ("write x", None, "x", false),
            ("export x.json", Some(ExportFormat::Json), "x.json", false),
            (
                "export! a.ndjson",
                Some(ExportFormat::Json),
                "a.ndjson",
                true,
            ),
            ("export csv out", Some(ExportFormat::Csv), "out", false),
            (
                "export chrome a.json",
                Some(ExportFormat::Chrome),
                "a.json",
                false,
            ),
            (
                "export a.pb.gz",
                Some(ExportFormat::Pprof),
                "a.pb.gz",
                false,
            ),
            (
                "export /t/a.pftrace",
                Some(ExportFormat::Perfetto),
                "/t/a.pftrace",
                false,
            ),
        ] {
            assert_eq!(parsed(text), file(text, format, path, replaces), "{text}");
        }
        for text in ["w", "w!", "export", "export json", "write "] {
            assert_eq!(
                parsed(text),
                Some(Err("the file is missing".into())),
                "{text}"
            );
        }
        assert_eq!(
            parsed("export events.txt"),
            Some(Err("the file's name does not tell the format".into()))
        );
        for text in ["log main.rs:1", "where x", "exports x.json", "", "18"] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
