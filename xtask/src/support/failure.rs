//! Failures with a hint and an exit code.

use std::process::ExitCode;

/// Exit code for wrong usage, and for an unsupported machine.
pub(crate) const USAGE: u8 = 2;
/// Exit code for missing privilege.
pub(crate) const PRIVILEGE: u8 = 77;

/// Why a command ended, and a suggestion for the user.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    hint: Option<String>,
    code: u8,
}

impl Failure {
    /// A failure with exit code 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            code: 1,
        }
    }

    /// A failure with exit code 1 and a hint, which is printed on a separate line.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A failure with another exit code.
    pub(crate) fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Prints the error with its causes and hint. Returns its exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("xtask: {error:#}");
    let failure = error.downcast_ref::<Failure>();
    if let Some(hint) = failure.and_then(|failure| failure.hint.as_ref()) {
        for line in hint.lines() {
            eprintln!("  hint: {line}");
        }
    }
    ExitCode::from(failure.map_or(1, |failure| failure.code))
}
