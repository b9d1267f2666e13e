//! Why a command failed, as its user reads it: one message, maybe what was
//! typed with the mistake underlined, maybe a hint; and the exit code.

use std::error::Error;

use super::{BAD_INPUT, MISSING};
use crate::causes::chain;
use crate::debuginfo::DebugInfoError;
use crate::lang::SyntaxError;
use crate::lang::ast::Span;
use crate::lang::diagnostic::Diagnostic;
use crate::session::{AttachError, ProbeError};
use crate::target::TargetError;

/// Why a command failed.
#[derive(Debug)]
pub(super) struct Failure {
    message: String,
    hint: Option<String>,
    typed: Option<(String, Span)>,
    code: u8,
}

impl Failure {
    /// Bad usage or input.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            typed: None,
            code: BAD_INPUT,
        }
    }

    /// One whose message was printed already.
    pub(super) fn told(code: u8) -> Self {
        Self {
            code,
            ..Self::new(String::new())
        }
    }

    /// What went wrong, without advice.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// What the user can do about it.
    pub(super) fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// With advice.
    pub(super) fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }

    /// About a probe, whose text is `typed`.
    pub(super) fn of_probe(error: ProbeError, typed: &str) -> Self {
        let typed = error.span.map(|span| (typed.to_owned(), span));
        Self {
            hint: error.hint,
            typed,
            code: if error.missing { MISSING } else { BAD_INPUT },
            ..Self::new(error.message)
        }
    }

    /// About a text that could not be parsed.
    pub(super) fn of_syntax(error: SyntaxError, typed: &str) -> Self {
        Self {
            hint: error.hint,
            typed: Some((typed.to_owned(), error.span)),
            ..Self::new(error.message)
        }
    }

    /// Says first where the mistake is: a file and a line.
    pub(super) fn at(mut self, place: Option<&str>) -> Self {
        if let Some(place) = place {
            self.message = format!("{place}: {}", self.message);
        }
        self
    }

    /// Some lines for stderr; none when they were printed already.
    pub(super) fn render(&self, colour: bool) -> String {
        if self.message.is_empty() {
            return String::new();
        }
        Diagnostic {
            message: &self.message,
            text: self.typed.as_ref().map(|(text, _)| text.as_str()),
            span: self.typed.as_ref().map(|(_, span)| span),
            hint: self.hint.as_deref(),
        }
        .render(colour)
    }

    /// The exit code that it ends with.
    pub(super) const fn code(&self) -> u8 {
        self.code
    }

    fn of_error(error: &dyn Error, hint: Option<String>, missing: bool) -> Self {
        Self {
            hint,
            code: if missing { MISSING } else { BAD_INPUT },
            ..Self::new(chain(error))
        }
    }
}

impl From<AttachError> for Failure {
    fn from(error: AttachError) -> Self {
        let missing = error.is_missing_privilege_or_feature();
        Self::of_error(&error, error.hint(), missing)
    }
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        Self::of_error(&error, error.hint(), error.is_permission())
    }
}

impl From<&DebugInfoError> for Failure {
    fn from(error: &DebugInfoError) -> Self {
        Self::of_error(error, error.hint(), false)
    }
}

impl From<ProbeError> for Failure {
    fn from(error: ProbeError) -> Self {
        Self {
            hint: error.hint,
            ..Self::new(error.message)
        }
    }
}
