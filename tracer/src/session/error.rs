//! Why a session cannot begin, and why a probe is refused.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::base::causes::chain;
use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::DebugInfoError;
use crate::kernel::KernelError;
use crate::target::TargetError;

/// Why a session cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The process cannot be a target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The kernel's side could not be set up.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The executable is not a readable file.
    #[error(transparent)]
    Executable(Arc<DebugInfoError>),
    /// No process matches the selectors, or they could not be looked up.
    #[error("{}", .0.message)]
    Selection(Diagnostic),
    /// The file to execute cannot be looked at.
    #[error("cannot read `{}`", path.display())]
    Program {
        /// Its path.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The process has mapped no file with code.
    #[error("process {pid} has mapped no file with code")]
    NoCode {
        /// Its pid.
        pid: u32,
    },
    /// The reader could not be started.
    #[error("cannot start the reader")]
    Reader {
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

impl AttachError {
    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Target(error) => error.hint(),
            Self::Kernel(error) => error.hint(),
            Self::Executable(error) => error.hint(),
            Self::Selection(error) => error.hint.clone(),
            Self::NoCode { .. } | Self::Program { .. } | Self::Reader { .. } => None,
        }
    }

    /// A privilege or a kernel feature is missing, so no other input would help.
    #[must_use]
    pub fn is_missing_privilege_or_feature(&self) -> bool {
        match self {
            Self::Target(error) => error.is_permission(),
            Self::Kernel(error) => error.is_missing_privilege_or_feature(),
            Self::Selection(error) => error.needs_privilege,
            _ => false,
        }
    }
}

impl From<Diagnostic> for AttachError {
    fn from(error: Diagnostic) -> Self {
        Self::Selection(error)
    }
}

impl From<&DebugInfoError> for Diagnostic {
    fn from(error: &DebugInfoError) -> Self {
        Self::new(error).maybe_hint(error.hint())
    }
}

/// The kernel refused something.
pub(super) fn refused_by_kernel(error: &KernelError) -> Diagnostic {
    Diagnostic {
        needs_privilege: error.is_refused(),
        ..Diagnostic::new(chain(error)).maybe_hint(error.hint())
    }
}
