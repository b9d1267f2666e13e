//! Why a session cannot begin, and why a probe is refused.

use std::io;
use std::sync::Arc;

use super::ProbeError;
use crate::causes::chain;
use crate::debuginfo::DebugInfoError;
use crate::kernel::KernelError;
use crate::lang::SyntaxError;
use crate::plan::PlanError;
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
    /// The executable is nothing that can be read.
    #[error(transparent)]
    Executable(Arc<DebugInfoError>),
    /// The process has mapped no file with code.
    #[error("process {pid} has mapped no file with code")]
    NoCode {
        /// Its pid.
        pid: u32,
    },
    /// The reader could not be started.
    #[error("cannot start the reader")]
    Reader {
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl AttachError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Target(error) => error.hint(),
            Self::Kernel(error) => error.hint(),
            Self::Executable(error) => error.hint(),
            Self::NoCode { .. } | Self::Reader { .. } => None,
        }
    }

    /// A privilege or a kernel feature is missing, so no other input would help.
    #[must_use]
    pub fn is_missing_privilege_or_feature(&self) -> bool {
        match self {
            Self::Target(error) => error.is_permission(),
            Self::Kernel(error) => error.is_missing_privilege_or_feature(),
            _ => false,
        }
    }
}

impl ProbeError {
    /// An error of that text, without a place in the probe's text.
    pub(super) fn new(message: impl ToString) -> Self {
        Self {
            message: message.to_string(),
            hint: None,
            span: None,
            missing: false,
        }
    }

    /// A module's debug information cannot be read.
    pub(super) fn of_debug_info(error: &DebugInfoError) -> Self {
        Self {
            hint: error.hint(),
            ..Self::new(error)
        }
    }

    /// The kernel refused something.
    pub(super) fn kernel(error: KernelError) -> Self {
        Self {
            message: chain(&error),
            hint: error.hint(),
            span: None,
            missing: error.is_refused(),
        }
    }
}

impl From<PlanError> for ProbeError {
    fn from(error: PlanError) -> Self {
        Self {
            message: error.message,
            hint: error.hint,
            span: error.span,
            missing: false,
        }
    }
}

impl From<SyntaxError> for ProbeError {
    fn from(error: SyntaxError) -> Self {
        Self {
            message: error.message,
            hint: error.hint,
            span: Some(error.span),
            missing: false,
        }
    }
}
