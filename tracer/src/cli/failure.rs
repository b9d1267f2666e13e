//! The failure of a command as its user reads it: one message, perhaps the typed text with the
//! mistake underlined, perhaps a hint, and the exit code.

use std::io;
use std::path::Path;

use std::error::Error;

use super::{BAD_INPUT, MISSING};
use crate::base::causes::chain;
use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::DebugInfoError;
use crate::session::AttachError;
use crate::target::TargetError;

/// Why a command failed.
#[derive(Debug)]
pub(super) struct CommandFailure {
    diagnostic: Diagnostic,
    /// The text that the diagnostic is about.
    typed: Option<String>,
    code: u8,
}

impl CommandFailure {
    /// Bad usage or input.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self::of(Diagnostic::new(message.into()))
    }

    /// A file that the user named cannot be written.
    pub(super) fn cannot_write(path: &Path, error: &io::Error) -> Self {
        Self::new(format!("cannot write `{}`: {error}", path.display()))
    }

    /// A failure whose message was printed already.
    pub(super) fn told(code: u8) -> Self {
        Self {
            code,
            ..Self::new(String::new())
        }
    }

    /// A mistake that is not about a text that the user typed.
    pub(super) fn of(diagnostic: Diagnostic) -> Self {
        Self {
            code: if diagnostic.needs_privilege {
                MISSING
            } else {
                BAD_INPUT
            },
            diagnostic,
            typed: None,
        }
    }

    /// A mistake in the text `typed`.
    pub(super) fn of_text(diagnostic: Diagnostic, typed: &str) -> Self {
        Self {
            typed: Some(typed.to_owned()),
            ..Self::of(diagnostic)
        }
    }

    /// Changes the exit code.
    pub(super) fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// The error without advice.
    pub(super) fn message(&self) -> &str {
        &self.diagnostic.message
    }

    /// Advice for the user.
    pub(super) fn advice(&self) -> Option<&str> {
        self.diagnostic.hint.as_deref()
    }

    /// Adds advice.
    pub(super) fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.diagnostic.hint = hint.into();
        self
    }

    /// Adds the place of the mistake at the front: a file and a line.
    pub(super) fn at(mut self, place: Option<&str>) -> Self {
        if let Some(place) = place {
            self.diagnostic.message = format!("{place}: {}", self.diagnostic.message);
        }
        self
    }

    /// The lines for stderr. Empty if they were printed already.
    pub(super) fn render(&self, color: bool) -> String {
        if self.diagnostic.message.is_empty() {
            return String::new();
        }
        self.diagnostic.render(self.typed.as_deref(), color)
    }

    /// The exit code that it ends with.
    pub(super) const fn code(&self) -> u8 {
        self.code
    }

    fn of_error(error: &dyn Error, hint: Option<String>, needs_privilege: bool) -> Self {
        Self::of(Diagnostic {
            needs_privilege,
            ..Diagnostic::new(chain(error)).maybe_hint(hint)
        })
    }
}

impl From<AttachError> for CommandFailure {
    fn from(error: AttachError) -> Self {
        let missing = error.is_missing_privilege_or_feature();
        Self::of_error(&error, error.hint(), missing)
    }
}

impl From<TargetError> for CommandFailure {
    fn from(error: TargetError) -> Self {
        Self::of_error(&error, error.hint(), error.is_permission())
    }
}

impl From<&DebugInfoError> for CommandFailure {
    fn from(error: &DebugInfoError) -> Self {
        Self::of_error(error, error.hint(), false)
    }
}

impl From<Diagnostic> for CommandFailure {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::of(diagnostic)
    }
}
