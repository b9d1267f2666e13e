//! Reasons not to read a process, with advice.

use std::io;
use std::path::PathBuf;

use crate::interpreter::{KNOWN_VERSIONS, PyVersion};
use crate::memory::Unreadable;

/// The reason why a process is not read as Python.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No file of the process is a CPython.
    #[error("process {pid} runs no CPython")]
    NoPython {
        /// The process.
        pid: u32,
    },
    /// The process or its files cannot be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        error: io::Error,
    },
    /// The interpreter has not begun, or is about to end.
    #[error("the Python interpreter of process {pid} is not initialized")]
    NotYet {
        /// The process.
        pid: u32,
    },
    /// A version that has no table.
    #[error("CPython {version} is not supported")]
    UnknownVersion {
        /// The version.
        version: PyVersion,
    },
    /// The file does not tell its version.
    #[error("the version of CPython in `{}` is unknown", path.display())]
    NoVersion {
        /// The file of the interpreter.
        path: PathBuf,
    },
    /// A build without the global interpreter lock.
    #[error("this CPython {version} is free-threaded: it has no global interpreter lock")]
    FreeThreaded {
        /// The version.
        version: PyVersion,
    },
    /// The JIT may run lines without their instructions.
    #[error("the JIT of this CPython {version} is on: it runs lines without their instructions")]
    JitOn {
        /// The version.
        version: PyVersion,
    },
    /// A symbol is missing that every build of CPython has.
    #[error("`{}` has no symbol `{symbol}`", path.display())]
    NoSymbol {
        /// The file of the interpreter.
        path: PathBuf,
        /// The symbol.
        symbol: &'static str,
    },
    /// The way to the thread state is not understood.
    #[error("cannot find the thread state of this CPython {version}")]
    NoThreadState {
        /// The version.
        version: PyVersion,
    },
    /// The target's structures are not those of its version.
    #[error("this CPython {version} is not laid out as CPython {version} is: {what}")]
    Layout {
        /// The version.
        version: PyVersion,
        /// The check that failed.
        what: String,
    },
    /// The memory of the process cannot be read.
    #[error("the interpreter's state cannot be read")]
    Memory(#[from] Unreadable),
}

impl Refusal {
    /// Advice for the user, if there is any.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NoPython { .. } => {
                "PyPy and programs that Cython or Nuitka compiled have no Python lines".to_owned()
            }
            Self::Open { .. } => {
                "reading another process needs root or the capability CAP_SYS_PTRACE".to_owned()
            }
            Self::NotYet { .. } => "try again once the program has started".to_owned(),
            Self::UnknownVersion { .. } | Self::NoVersion { .. } => {
                format!("run the program with {KNOWN_VERSIONS}")
            }
            Self::FreeThreaded { version } => format!(
                "run the program with the usual python3.{0} instead of python3.{0}t",
                version.minor
            ),
            Self::JitOn { .. } => "start the program with PYTHON_JIT=0".to_owned(),
            Self::NoThreadState { .. } | Self::Layout { .. } | Self::NoSymbol { .. } => {
                "the interpreter may be patched, or built with unusual options".to_owned()
            }
            Self::Memory(_) => "the process may have ended".to_owned(),
        };
        Some(text)
    }
}
