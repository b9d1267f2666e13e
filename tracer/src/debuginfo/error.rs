//! Errors of an ELF file and its debug information.

use std::io;
use std::path::PathBuf;

use crate::debuginfo::budget::BudgetRefusal;

/// The reason why a file, or something in it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DebugInfoError {
    /// The file cannot be opened or read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The path is a directory, a device or a pipe.
    #[error("`{}` is not a regular file", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// The file does not begin with the ELF magic number.
    #[error("`{}` is not an ELF file", path.display())]
    NotElf {
        /// The file.
        path: PathBuf,
    },
    /// The file has 32-bit code.
    #[error("`{}` is a 32-bit program, which is not supported", path.display())]
    Class32 {
        /// The file.
        path: PathBuf,
    },
    /// The file has code for another processor.
    #[error("`{}` is built for {machine}, not for x86-64", path.display())]
    Machine {
        /// The file.
        path: PathBuf,
        /// The processor, by its name or its ELF number.
        machine: String,
    },
    /// The file's ELF tables contradict each other.
    #[error("`{}` is a damaged ELF file: {what}", path.display())]
    BadElf {
        /// The file.
        path: PathBuf,
        /// The mistake.
        what: String,
    },
    /// The file was cut short or could not be read while it was in use.
    #[error("`{}` changed while it was being read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A section is compressed in a way that is not supported, or too big.
    #[error("the debug sections of `{}` cannot be unpacked: {what}", path.display())]
    Compressed {
        /// The file.
        path: PathBuf,
        /// The mistake.
        what: String,
    },
    /// The process that has mapped the file has exited, and another one may have its pid.
    #[error("`{}` cannot be read any more: its process has exited", path.display())]
    Exited {
        /// The file.
        path: PathBuf,
    },
    /// There is no DWARF in the file, nor in a separate debug file.
    #[error("`{}` has no debug information", path.display())]
    NoDebugInfo {
        /// The file.
        path: PathBuf,
    },
    /// The debug file belongs to another build.
    #[error("`{}` is the debug file of another build: {what}", path.display())]
    Mismatch {
        /// The debug file.
        path: PathBuf,
        /// The difference.
        what: String,
    },
    /// Reading the file takes more work or memory than any honest file of its size.
    #[error("`{}` is not read any further: {refusal}", path.display())]
    OverBudget {
        /// The file.
        path: PathBuf,
        /// The limit that was reached, and the amount that was read until then.
        refusal: BudgetRefusal,
    },
    /// The DWARF cannot be read.
    #[error("bad debug information: {what}")]
    BadDwarf {
        /// The mistake.
        what: String,
    },
}

impl DebugInfoError {
    /// Returns advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoDebugInfo { .. } => Some(
                "build it with `-g`, or with `debug = true` in its Cargo profile; the code stays the same"
                    .into(),
            ),
            Self::Mismatch { .. } => Some(
                "pass the file of the same build; `--ignore-build-id` accepts this one, but values may be wrong"
                    .into(),
            ),
            Self::OverBudget { .. } => Some(
                "its debug information is damaged, or made to be slow to read; `strip --strip-debug` on a copy leaves \
                 its functions"
                    .into(),
            ),
            _ => None,
        }
    }
}

impl From<gimli::Error> for DebugInfoError {
    fn from(error: gimli::Error) -> Self {
        Self::BadDwarf {
            what: error.to_string(),
        }
    }
}
