//! The part of the grammar that belongs to one action.
//!
//! The parser of probes knows no action. It is given the grammar of each, and asks it for what stands
//! between the location and the message.

use super::ast::{Action, Expr};
use super::expr;
use super::lexer::{Cursor, TokenKind};
use crate::base::diagnostic::Diagnostic;

pub(crate) use super::mistakes::{Mistake, could_be_option, is_path};

/// The grammar of one action.
pub(crate) struct ActionGrammar {
    /// The word that starts a probe.
    pub(crate) word: &'static str,
    /// Words before an operand, such as `by`, which a prompt completes.
    pub(crate) keywords: &'static [&'static str],
    /// The form of its location.
    pub(crate) location: LocationForm,
    /// True if the action shows a message. Only hints depend on it.
    pub(crate) has_message: bool,
    /// Parses the operands, which follow the location, or stand before it in the form [`LocationForm::Value`].
    pub(crate) operands: fn(&mut Cursor<'_>) -> Result<Action, Diagnostic>,
    /// Parses the clauses, which follow the message.
    pub(crate) clauses: fn(&mut Cursor<'_>, Action) -> Result<Action, Diagnostic>,
    /// Explains a text in the position of an option, for a mistake that only users of this action make.
    pub(crate) mistake: fn(&Action, &str) -> Option<Mistake>,
}

/// The form of an action's location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LocationForm {
    /// `LOCATION`.
    Place,
    /// `LOCATION` or `FROM..TO`. A function stands for its calls up to their returns.
    Interval,
    /// The operands are a value, and the location is that of the value: `VALUE`, `VALUE at LOCATION`, or
    /// `VALUE at LOCATION until LOCATION`.
    Value,
}

/// The clauses of an action without any.
pub(crate) fn no_clauses(_: &mut Cursor<'_>, action: Action) -> Result<Action, Diagnostic> {
    Ok(action)
}

/// Parses the expression after a word such as `by`. `missing` and `hint` explain an end of the text there.
pub(crate) fn expression_after(
    cursor: &mut Cursor<'_>,
    missing: &str,
    hint: &str,
) -> Result<Expr, Diagnostic> {
    let token = cursor.peek()?;
    if token.kind == TokenKind::End {
        return Err(Diagnostic::at(token.span, missing).hint(hint));
    }
    expr::parse(cursor)
}

/// Parses the expression that is the operand of an action, right after the location. `action` is its word.
pub(crate) fn operand(cursor: &mut Cursor<'_>, action: &str) -> Result<Expr, Diagnostic> {
    let token = cursor.peek()?;
    let value = cursor.rest().strip_prefix("by ").map(str::trim);
    if token.kind == TokenKind::End || value.is_some() {
        let error = Diagnostic::at(token.span, "the value goes right after the location");
        let value = value.unwrap_or("EXPR");
        return Err(error.hint(format!("write `{action} LOCATION {value}`")));
    }
    expr::parse(cursor)
}

/// Parses the number after an option or a keyword such as `step`. It is above zero.
pub(crate) fn positive(cursor: &mut Cursor<'_>, option: &str) -> Result<u64, Diagnostic> {
    let token = cursor.next()?;
    match token.kind {
        TokenKind::Int(value) if value > 0 && value <= u128::from(u64::MAX) => {
            Ok(u64::try_from(value).unwrap_or(u64::MAX))
        }
        _ => {
            let found = cursor.found(&token);
            let message = format!("expected a number from 1 after `{option}`{found}");
            let error = Diagnostic::at(token.span, message);
            Err(match option {
                "rate" => error.hint("write `rate 100/s`"),
                _ => error.hint(format!("write `{option} 10`")),
            })
        }
    }
}
