//! Shows a mistake in the text that was typed, underlined.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar;

use super::ast::Span;
use crate::visible::Visible;

const RED: &str = "\x1b[1;31m";
const BLUE: &str = "\x1b[34m";
const RESET: &str = "\x1b[0m";

/// A message, maybe about a part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic<'a> {
    /// Lower case, no full stop.
    pub message: &'a str,
    /// What was typed.
    pub text: Option<&'a str>,
    /// Which part of it.
    pub span: Option<&'a Span>,
    /// What to do about it.
    pub hint: Option<&'a str>,
}

impl Diagnostic<'_> {
    /// Some lines, each with its line feed; control characters are made visible.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let paint = |color_code: &'static str| if color { color_code } else { "" };
        let reset = paint(RESET);
        let mut out = format!("{}tracer:{reset} {}\n", paint(RED), visible(self.message));
        if let (Some(text), Some(span)) = (self.text, self.span) {
            let before = visible(text.get(..span.start).unwrap_or(text));
            let marked = visible(text.get(span.clone()).unwrap_or_default());
            let behind = visible(text.get(span.end..).unwrap_or_default());
            let marks = "^".repeat(width(&marked).max(1));
            // Writing to a string does not fail.
            let _ = writeln!(out, "  {before}{marked}{behind}");
            let _ = writeln!(
                out,
                "  {}{}{marks}{reset}",
                " ".repeat(width(&before)),
                paint(RED)
            );
        }
        if let Some(hint) = self.hint {
            let _ = writeln!(out, "  {}hint:{reset} {}", paint(BLUE), visible(hint));
        }
        out
    }
}

/// The text with control characters written as escapes.
fn visible(text: &str) -> String {
    Visible(text).to_string()
}

/// Columns on a terminal.
fn width(text: &str) -> usize {
    text.chars().filter_map(UnicodeWidthChar::width).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn span_in_the_text_is_underlined_in_columns() {
        let text = "log main.rs:57 \"ä日 {curent.x}\"";
        let start = text.find("curent").unwrap();
        let diagnostic = Diagnostic {
            message: "no variable `curent` here",
            text: Some(text),
            span: Some(&(start..start + 6)),
            hint: Some("did you mean `current`?"),
        };
        assert_eq!(
            diagnostic.render(false),
            "tracer: no variable `curent` here\n  log main.rs:57 \"ä日 {curent.x}\"\n                       ^^^^^^\n  hint: did you mean `current`?\n"
        );
    }

    #[test]
    fn span_behind_the_end_still_has_a_mark() {
        let diagnostic = Diagnostic {
            message: "m",
            text: Some("log"),
            span: Some(&(3..3)),
            hint: None,
        };
        assert_eq!(diagnostic.render(false), "tracer: m\n  log\n     ^\n");
    }

    #[test]
    fn control_characters_are_shown_as_escapes() {
        let diagnostic = Diagnostic {
            message: "a\x1b[2Jb",
            text: None,
            span: None,
            hint: None,
        };
        assert_eq!(diagnostic.render(false), "tracer: a\\u{1b}[2Jb\n");
    }
}
