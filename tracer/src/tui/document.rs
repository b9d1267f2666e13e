//! The text of a source file, split in lines, and its syntax.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::LazyLock;

use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};

use super::theme::Hue;
use crate::sources::SourceText;

/// Lines after this one have no colours: people read files that are much shorter.
const HIGHLIGHT_LINES: usize = 60_000;
/// Longer lines (generated, minified) have no colours: the parser's time grows with them.
const HIGHLIGHT_COLUMNS: usize = 2_000;
/// Lines that are handed over at a time.
const PORTION: usize = 500;

/// A text and where its lines begin.
#[derive(Debug, Default)]
pub(super) struct Document {
    text: String,
    starts: Vec<u32>,
    /// The place where it was found, if it is not at its path.
    elsewhere: Option<PathBuf>,
}

/// Parts of one line that have a colour: byte offset where each begins.
pub(super) type LineSpans = Vec<(u32, Hue)>;

impl Document {
    /// Splits a text of at most 4 GiB. A session gives at most 16 MiB.
    pub(super) fn new(text: String) -> Self {
        let mut starts = vec![0];
        starts.extend(
            text.bytes()
                .enumerate()
                .filter(|(_, byte)| *byte == b'\n')
                .map_while(|(at, _)| u32::try_from(at + 1).ok()),
        );
        if starts
            .last()
            .is_some_and(|start| *start as usize == text.len())
        {
            starts.pop();
        }
        Self {
            text,
            starts,
            elsewhere: None,
        }
    }

    /// The text of a source file.
    pub(super) fn of_source(source: SourceText) -> Self {
        Self {
            elsewhere: source.elsewhere,
            ..Self::new(source.text)
        }
    }

    /// The place where it was found, if it is not at the path in the debug information.
    pub(super) fn elsewhere(&self) -> Option<&Path> {
        self.elsewhere.as_deref()
    }

    /// Number of lines.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// One line, from 0, without its end.
    pub(super) fn line(&self, index: usize) -> &str {
        let Some(start) = self.starts.get(index) else {
            return "";
        };
        let end = self
            .starts
            .get(index + 1)
            .map_or(self.text.len(), |end| *end as usize);
        let line = self.text.get(*start as usize..end).unwrap_or("");
        line.strip_suffix('\n')
            .map_or(line, |line| line.strip_suffix('\r').unwrap_or(line))
    }

    /// The next line after `from` (or before, when `back`) that holds `needle`, going round at the end.
    pub(super) fn find(&self, needle: &str, from: usize, back: bool) -> Option<usize> {
        let count = self.len();
        let pattern = Needle::new(needle)?;
        (1..=count)
            .map(|step| {
                if back {
                    (from + count - step % count) % count
                } else {
                    (from + step) % count
                }
            })
            .find(|index| pattern.first(self.line(*index)).is_some())
    }
}

/// The text of a search. Case counts only if it has a capital letter.
pub(super) struct Needle {
    text: String,
    exact: bool,
}

impl Needle {
    /// A search for the text. `None` if it is empty.
    pub(super) fn new(text: &str) -> Option<Self> {
        let exact = text.chars().any(char::is_uppercase);
        let text = if exact {
            text.to_owned()
        } else {
            text.to_ascii_lowercase()
        };
        (!text.is_empty()).then_some(Self { text, exact })
    }

    /// Byte range of the first place in a line.
    pub(super) fn first(&self, line: &str) -> Option<std::ops::Range<usize>> {
        let at = if self.exact {
            line.find(&self.text)
        } else {
            line.to_ascii_lowercase().find(&self.text)
        }?;
        Some(at..at + self.text.len())
    }

    /// Byte ranges of all places in a line, at most 64.
    pub(super) fn all(&self, line: &str) -> Vec<std::ops::Range<usize>> {
        let lowered = if self.exact {
            None
        } else {
            Some(line.to_ascii_lowercase())
        };
        let hay = lowered.as_deref().unwrap_or(line);
        hay.match_indices(&self.text)
            .take(64)
            .map(|(at, found)| at..at + found.len())
            .collect()
    }
}

static SYNTAXES: LazyLock<SyntaxSet> = LazyLock::new(SyntaxSet::load_defaults_newlines);

/// Scopes and their hue. The longest matching scope wins.
static HUES: LazyLock<Vec<(Scope, Hue)>> = LazyLock::new(|| {
    [
        ("comment", Hue::Comment),
        ("string", Hue::Text),
        ("constant", Hue::Literal),
        ("constant.character", Hue::Text),
        ("keyword", Hue::Keyword),
        ("keyword.operator", Hue::Plain),
        ("storage", Hue::Keyword),
        ("storage.type", Hue::Type),
        ("storage.type.function", Hue::Keyword),
        ("storage.type.struct", Hue::Keyword),
        ("storage.type.enum", Hue::Keyword),
        ("storage.type.impl", Hue::Keyword),
        ("storage.type.module", Hue::Keyword),
        ("storage.type.rust", Hue::Keyword),
        ("storage.type.c", Hue::Type),
        ("support.type", Hue::Type),
        ("support.class", Hue::Type),
        ("entity.name.type", Hue::Type),
        ("entity.name.struct", Hue::Type),
        ("entity.name.enum", Hue::Type),
        ("entity.name.class", Hue::Type),
        ("entity.name.function", Hue::Function),
        ("support.function", Hue::Function),
        ("support.macro", Hue::Function),
        ("variable.function", Hue::Function),
        ("variable.annotation", Hue::Attribute),
        ("meta.annotation", Hue::Attribute),
        ("meta.preprocessor", Hue::Attribute),
    ]
    .into_iter()
    .filter_map(|(name, hue)| Some((Scope::from_str(name).ok()?, hue)))
    .collect()
});

/// Finds the syntax of a text, in portions. `give` returns whether to go on.
pub(super) fn highlight(
    document: &Document,
    path: &Path,
    mut give: impl FnMut(usize, Vec<LineSpans>) -> bool,
) {
    let Some(syntax) = language(path) else { return };
    let mut state = ParseState::new(syntax);
    let mut stack = ScopeStack::new();
    let count = document.len().min(HIGHLIGHT_LINES);
    for from in (0..count).step_by(PORTION) {
        let portion = (from..count.min(from + PORTION))
            .map(|index| line_spans(document.line(index), &mut state, &mut stack));
        if !give(from, portion.collect()) {
            return;
        }
    }
}

fn language(path: &Path) -> Option<&'static SyntaxReference> {
    let extension = path.extension()?.to_str()?;
    let extension = match extension {
        "inl" | "ipp" | "tpp" | "ixx" | "cppm" => "cpp",
        other => other,
    };
    SYNTAXES.find_syntax_by_extension(extension)
}

fn line_spans(line: &str, state: &mut ParseState, stack: &mut ScopeStack) -> LineSpans {
    let mut spans: LineSpans = Vec::new();
    if line.len() > HIGHLIGHT_COLUMNS {
        return spans;
    }
    let Ok(ops) = state.parse_line(&format!("{line}\n"), &SYNTAXES) else {
        return spans;
    };
    spans.push((0, hue(stack)));
    for (at, op) in ops {
        if stack.apply(&op).is_err() {
            break;
        }
        let (at, now) = (at as u32, hue(stack));
        match spans.last_mut() {
            Some(last) if last.0 == at => last.1 = now,
            Some(last) if last.1 == now => {}
            _ => spans.push((at, now)),
        }
    }
    spans
}

/// The hue of the innermost scope that has one.
fn hue(stack: &ScopeStack) -> Hue {
    stack
        .as_slice()
        .iter()
        .rev()
        .find_map(|scope| {
            HUES.iter()
                .filter(|(prefix, _)| prefix.is_prefix_of(*scope))
                .max_by_key(|(prefix, _)| prefix.len())
        })
        .map_or(Hue::Plain, |(_, hue)| *hue)
}

/// The hue at a byte offset.
pub(super) fn hue_at(spans: &[(u32, Hue)], at: usize) -> Hue {
    let after = spans.partition_point(|(start, _)| *start as usize <= at);
    after
        .checked_sub(1)
        .and_then(|index| spans.get(index))
        .map_or(Hue::Plain, |(_, hue)| *hue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_with_any_line_ends_gives_the_lines() {
        let document = Document::new("a\r\n\nc".into());
        assert_eq!(
            (0..4).map(|i| document.line(i)).collect::<Vec<_>>(),
            ["a", "", "c", ""]
        );
        assert_eq!(document.len(), 3);
        assert_eq!(Document::new("a\n".into()).len(), 1);
        assert_eq!(Document::new(String::new()).len(), 0);
    }

    #[test]
    fn find_goes_round_in_both_directions() {
        let document = Document::new("Foo\nbar\nfoo\n".into());
        assert_eq!(document.find("foo", 0, false), Some(2));
        assert_eq!(document.find("foo", 2, false), Some(0));
        assert_eq!(document.find("Foo", 0, false), Some(0));
        assert_eq!(document.find("foo", 0, true), Some(2));
        assert_eq!(document.find("none", 0, true), None);
        assert_eq!(Document::new(String::new()).find("x", 0, false), None);
    }

    #[test]
    fn highlight_of_rust_knows_keywords_text_and_comments() {
        let line = "let x = \"a\"; // b";
        let document = Document::new(line.into());
        let mut all = Vec::new();
        highlight(&document, Path::new("a.rs"), |_, spans| {
            all.extend(spans);
            true
        });
        let at = |what: &str| hue_at(&all[0], line.find(what).unwrap_or(0));
        assert_eq!(
            (at("let"), at("x"), at("\"a"), at("// b")),
            (Hue::Keyword, Hue::Plain, Hue::Text, Hue::Comment)
        );
    }

    #[test]
    fn highlight_of_an_unknown_language_gives_nothing() {
        highlight(
            &Document::new("x".into()),
            Path::new("a.unheard-of"),
            |_, _| unreachable!("spans for no language"),
        );
    }
}
