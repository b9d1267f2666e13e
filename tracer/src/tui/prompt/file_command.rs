//! Commands that write files.

use crate::base::diagnostic::Diagnostic;
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
    pub(in crate::tui) text: String,
    /// The format of events. `None` for probes.
    pub(in crate::tui) format: Option<ExportFormat>,
    /// The path, as typed.
    pub(in crate::tui) path: String,
    /// A file of this name may be replaced.
    pub(in crate::tui) replaces: bool,
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
