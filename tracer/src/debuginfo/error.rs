//! What can go wrong with an ELF file and its debug information.

use std::io;
use std::path::PathBuf;

use super::budget::Refusal;

/// Why a file, or something in it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DebugInfoError {
    /// The file cannot be opened or read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A directory, a device, a pipe.
    #[error("`{}` is not a regular file", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// It does not begin as an ELF file does.
    #[error("`{}` is not an ELF file", path.display())]
    NotElf {
        /// The file.
        path: PathBuf,
    },
    /// 32-bit code.
    #[error("`{}` is a 32-bit program, which is not supported", path.display())]
    Class32 {
        /// The file.
        path: PathBuf,
    },
    /// Code for another processor.
    #[error("`{}` is built for {machine}, not for x86-64", path.display())]
    Machine {
        /// The file.
        path: PathBuf,
        /// The processor, by its name or its ELF number.
        machine: String,
    },
    /// ELF that contradicts itself.
    #[error("`{}` is a damaged ELF file: {what}", path.display())]
    BadElf {
        /// The file.
        path: PathBuf,
        /// What is wrong.
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
        /// What is wrong.
        what: String,
    },
    /// There is no DWARF in the file, nor in any file beside it.
    #[error("`{}` has no debug information", path.display())]
    NoDebugInfo {
        /// The file.
        path: PathBuf,
    },
    /// A debug file that belongs to another build.
    #[error("`{}` is the debug file of another build: {what}", path.display())]
    Mismatch {
        /// The debug file.
        path: PathBuf,
        /// What differs.
        what: String,
    },
    /// Reading it takes more work or memory than any honest file of its size.
    #[error("`{}` is not read any further: {refusal}", path.display())]
    OverBudget {
        /// The file.
        path: PathBuf,
        /// Which limit was reached, and what was read until then.
        refusal: Refusal,
    },
    /// DWARF that cannot be read.
    #[error("bad debug information: {what}")]
    BadDwarf {
        /// What is wrong.
        what: String,
    },
}

impl DebugInfoError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoDebugInfo { .. } => Some(
                "build it with `-g`, or with `debug = true` in its Cargo profile; the code stays the same"
                    .into(),
            ),
            Self::Mismatch { .. } => Some(
                "the file of the same build is needed; `--ignore-build-id` takes this one, and values may be wrong"
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
