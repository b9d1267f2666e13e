//! The one type for a mistake in the user's input, or a reason why it cannot be carried out.

use std::borrow::Borrow;
use std::fmt::Write as _;
use std::ops::Range;

use unicode_width::UnicodeWidthChar;

use super::visible::Visible;

const RED: &str = "\x1b[1;31m";
const BLUE: &str = "\x1b[34m";
const RESET: &str = "\x1b[0m";

/// A message for the user, with advice and the place of the mistake if they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Diagnostic {
    /// Lower case, no full stop.
    pub message: String,
    /// Advice on how to solve it.
    pub hint: Option<String>,
    /// The part of the user's text that it is about.
    pub span: Option<Range<usize>>,
    /// A privilege is missing, so no other input would help.
    pub needs_privilege: bool,
}

impl Diagnostic {
    /// A message that is about no part of the user's text.
    pub fn new(message: impl ToString) -> Self {
        Self {
            message: message.to_string(),
            ..Self::default()
        }
    }

    /// A message about a part of the user's text.
    pub fn at(span: impl Borrow<Range<usize>>, message: impl ToString) -> Self {
        Self::new(message).about(span)
    }

    /// Sets the part of the user's text that it is about.
    #[must_use]
    pub fn about(mut self, span: impl Borrow<Range<usize>>) -> Self {
        self.span = Some(span.borrow().clone());
        self
    }

    /// Sets the advice.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        self.maybe_hint(Some(hint.into()))
    }

    /// Message and advice on one line: `no such file (did you mean …?)`.
    #[must_use]
    pub fn with_hint(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{} ({hint})", self.message),
            None => self.message.clone(),
        }
    }

    /// Sets the advice, or takes it away.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// Renders the message as lines that end with a line feed. Control characters become escapes.
    ///
    /// `text` is the text that the user typed; the part that the message is about is underlined.
    #[must_use]
    pub fn render(&self, text: Option<&str>, color: bool) -> String {
        let paint = |color_code: &'static str| if color { color_code } else { "" };
        let reset = paint(RESET);
        let mut out = format!("{}tracer:{reset} {}\n", paint(RED), Visible(&self.message));
        if let (Some(text), Some(span)) = (text, &self.span) {
            let part = |range: Option<&str>| Visible(range.unwrap_or_default()).to_string();
            let before = Visible(text.get(..span.start).unwrap_or(text)).to_string();
            let marked = part(text.get(span.clone()));
            let behind = part(text.get(span.end..));
            let marks = "^".repeat(width(&marked).max(1));
            // Writing to a string does not fail.
            let _ = writeln!(out, "  {before}{marked}{behind}");
            let indent = " ".repeat(width(&before));
            let _ = writeln!(out, "  {indent}{}{marks}{reset}", paint(RED));
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(out, "  {}hint:{reset} {}", paint(BLUE), Visible(hint));
        }
        out
    }
}

/// Number of columns of a text on a terminal.
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
        let diagnostic = Diagnostic::at(start..start + 6, "no variable `curent` here")
            .hint("did you mean `current`?");
        assert_eq!(
            diagnostic.render(Some(text), false),
            "tracer: no variable `curent` here\n  log main.rs:57 \"ä日 {curent.x}\"\n                       ^^^^^^\n  hint: did you mean `current`?\n"
        );
    }

    #[test]
    fn span_behind_the_end_still_has_a_mark() {
        let diagnostic = Diagnostic::at(3..3, "m");
        assert_eq!(
            diagnostic.render(Some("log"), false),
            "tracer: m\n  log\n     ^\n"
        );
    }

    #[test]
    fn control_characters_are_shown_as_escapes() {
        let diagnostic = Diagnostic::new("a\x1b[2Jb");
        assert_eq!(diagnostic.render(None, false), "tracer: a\\u{1b}[2Jb\n");
    }
}
