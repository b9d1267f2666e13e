//! Excerpts of the program's sources.

use schemars::JsonSchema;
use serde::Serialize;

use crate::base::diagnostic::Diagnostic;
use crate::mcp::assistant::AssistantSession;
use crate::mcp::limits::{PAGE_BYTES, SOURCE_LINE, SOURCE_LINES};
use crate::mcp::shown::cut_text;
use crate::session::SourceFile;

/// Some lines of a source file.
#[derive(Serialize, JsonSchema)]
pub(super) struct SourceExcerpt {
    /// Path in the debug information.
    file: String,
    /// Lines of the whole file.
    total: u64,
    pub(super) lines: Vec<ExcerptLine>,
    /// The text is from another place than the path says.
    #[serde(skip_serializing_if = "Option::is_none")]
    elsewhere: Option<String>,
}

/// A line of source.
#[derive(Serialize, JsonSchema)]
pub(super) struct ExcerptLine {
    pub(super) line: u64,
    /// Addresses at which a probe of the line sits. 0 if the line has no code.
    sites: u32,
    /// Data of the program.
    pub(super) text: String,
}

/// The lines of a file from `first` to `last`, as far as an answer has room.
pub(super) fn excerpt(
    session: &AssistantSession,
    file: &SourceFile,
    first: u64,
    last: u64,
) -> Result<SourceExcerpt, Diagnostic> {
    let catalog = session.catalog();
    let text = catalog.source_text(file)?.ok_or_else(|| {
        Diagnostic::new("the source file is not on this machine")
            .hint("`list_lines` and `find_functions` work without it")
    })?;
    let sites = catalog.lines(file).unwrap_or_default();
    let last = last.min(first.saturating_add(SOURCE_LINES - 1));
    let mut lines = Vec::new();
    let mut bytes = 0;
    for (line, text) in (1..).zip(text.text.lines()) {
        if line < first {
            continue;
        }
        let mut text = text.replace('\t', "    ");
        cut_text(&mut text, SOURCE_LINE);
        bytes += text.len();
        if line > last || bytes > PAGE_BYTES / 2 {
            break;
        }
        let at = sites.binary_search_by_key(&line, |info| info.line);
        lines.push(ExcerptLine {
            line,
            sites: at
                .ok()
                .and_then(|at| sites.get(at))
                .map_or(0, |info| info.sites),
            text,
        });
    }
    Ok(SourceExcerpt {
        file: file.path.to_string_lossy().into_owned(),
        total: text.text.lines().count() as u64,
        lines,
        elsewhere: text
            .elsewhere
            .map(|place| place.to_string_lossy().into_owned()),
    })
}
