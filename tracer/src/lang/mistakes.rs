//! Messages and hints for mistakes that users of other tools make.
//!
//! The parser finds the mistakes. This module only explains them.

mod actions;
mod expressions;
mod locations;
mod options;

pub(super) use actions::no_action;
pub(super) use expressions::{
    behind_operand, in_hole, no_call, no_format, no_operand, no_special, unreadable,
};
pub(super) use locations::{no_line, no_location, no_number, no_usdt_probe};
pub(crate) use options::{Mistake, could_be_option};
pub(super) use options::{ProbeParts, no_duration, no_space};

/// The first word of a text, up to a space.
fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

/// Returns true if a text is `FILE:LINE`.
fn is_line(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(file, line)| {
        !file.is_empty() && !line.is_empty() && line.chars().all(|c| c.is_ascii_digit())
    })
}

/// Returns true if a text could be the name of a variable or function, or the path to a field.
pub(crate) fn is_path(text: &str) -> bool {
    text.starts_with(|c: char| c == '_' || c.is_alphabetic())
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | ':' | '[' | ']' | '-' | '>'))
}
