//! Parses probes, templates and expressions into a syntax tree with source positions.
//!
//! The grammar is that of docs/probe-language.md. This module knows nothing of DWARF: a name is only a
//! name here.

pub mod ast;
mod expr;
pub(crate) mod grammar;
mod hexadecimal;
pub(crate) mod lexer;
mod mistakes;
mod order;
mod probe;
mod process_values;
mod quantity;
mod template;
mod words;

pub(crate) use expr::SPECIALS;
pub use probe::parse_location;
pub(crate) use probe::{lines_of_probes, lines_of_targets, parse_probe};
pub(crate) use quantity::{parse_duration, parse_share};
pub use template::parse_template;
pub(crate) use words::OPTIONS;

use ast::Expr;
use lexer::Cursor;

use crate::base::diagnostic::Diagnostic;

/// Bytes of one probe's text. A longer text is refused.
pub const MAX_TEXT: usize = 64 * 1024;
/// Levels of parentheses, operators and indexes in one expression. A deeper one is refused.
pub const MAX_NESTING: u32 = 64;

/// Parses a text that is one expression.
///
/// # Errors
/// The text is not an expression, or has something after it.
pub fn parse_expr(text: &str) -> Result<Expr, Diagnostic> {
    let mut cursor = Cursor::new(text, 0..text.len());
    let expr = expr::parse(&mut cursor)?;
    cursor.expect_end("the expression")?;
    Ok(expr)
}

#[cfg(test)]
mod tests;
