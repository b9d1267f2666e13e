//! The text that the user writes: probes, templates and expressions, as a
//! syntax tree with source positions.
//!
//! Knows the grammar of docs/probe-language.md and nothing of DWARF: names are
//! only names here.

pub mod ast;
pub mod diagnostic;
mod expr;
mod hexadecimal;
pub(crate) mod lexer;
mod mistakes;
mod order;
mod probe;
mod template;

pub(crate) use probe::{ACTIONS, parse_duration, parse_share, words};
pub use probe::{parse_location, parse_probe, parse_probe_file};
pub use template::parse_template;

use ast::{Expr, Span};
use lexer::Cursor;

/// Bytes of one probe's text; a longer one is refused.
pub const MAX_TEXT: usize = 64 * 1024;
/// Levels of parentheses, operators and indexes in one expression; more are refused.
pub const MAX_NESTING: u32 = 64;

/// A mistake in what was typed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// Lower case, no full stop.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// Where in the text.
    pub span: Span,
}

impl SyntaxError {
    fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            span,
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Parses an expression that stands alone.
///
/// # Errors
/// It is no expression, or something stands behind it.
pub fn parse_expr(text: &str) -> Result<Expr, SyntaxError> {
    let mut cursor = Cursor::new(text, 0..text.len());
    let expr = expr::parse(&mut cursor)?;
    cursor.expect_end("the expression")?;
    Ok(expr)
}

#[cfg(test)]
mod tests;
