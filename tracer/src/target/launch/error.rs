//! Why a program could not be started.

use std::io;
use std::path::PathBuf;

use crate::base::diagnostic::Diagnostic;

/// Exit code of shells for a program that was not found.
const NOT_FOUND: u8 = 127;

/// Exit code of shells for a program that was found and could not be executed.
const NOT_EXECUTABLE: u8 = 126;

/// The reason why a program was not started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// No command was given.
    #[error("the command is missing")]
    Empty,
    /// An argument or a variable of the environment has a zero byte.
    #[error("`{0}` has a zero byte")]
    ZeroByte(String),
    /// No directory of `PATH` has the program.
    #[error("no program `{0}` is in `PATH`")]
    NotInPath(String),
    /// There is no file at the path.
    #[error("`{}` does not exist", .0.display())]
    NotFound(PathBuf),
    /// The interpreter or loader of the program does not exist.
    #[error("`{}`, which runs `{}`, does not exist", interpreter.display(), program.display())]
    NoInterpreter {
        /// The program.
        program: PathBuf,
        /// The file that is missing.
        interpreter: PathBuf,
    },
    /// The file is there and cannot be executed.
    #[error("cannot execute `{}`", path.display())]
    NotExecutable {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// No user has this name or number.
    #[error("no user is named `{0}`")]
    NoSuchUser(String),
    /// `sudo` left a variable that is no number.
    #[error("`{variable}` is `{value}`, which is not a number")]
    BadSudo {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// The process could not take the user's identity.
    #[error("cannot run a program as user `{user}`")]
    CannotBecome {
        /// The user.
        user: String,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// The kernel made no terminal, or did not let the process have it.
    #[error("cannot make a terminal for the program")]
    Terminal(#[source] io::Error),
    /// The kernel made no process.
    #[error("cannot start a process")]
    Fork(#[source] io::Error),
    /// The process ended before it executed the program.
    #[error("the process ended before `{0}` was executed")]
    EndedEarly(String),
}

impl LaunchError {
    /// Returns the exit code that a shell would give.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotInPath(_) | Self::NotFound(_) | Self::NoInterpreter { .. } => NOT_FOUND,
            _ => NOT_EXECUTABLE,
        }
    }

    /// Returns a suggestion for the user.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let by_sudo = std::env::var_os("SUDO_UID").is_some();
        Some(match self {
            Self::Empty => "write it behind `--`: `tracer run -- ./app --flag`".to_owned(),
            Self::NotInPath(_) if by_sudo => {
                "`sudo` sets a `PATH` of its own; write the path of the program".to_owned()
            }
            Self::NotInPath(name) => {
                format!("a program of this directory is `./{name}`")
            }
            Self::NoInterpreter { .. } => {
                "the first line of a script names its interpreter; a program for another system \
                 needs that system's loader"
                    .to_owned()
            }
            Self::NotExecutable { path, source } => match source.raw_os_error() {
                Some(libc::EACCES) if path.is_dir() => "it is a directory".to_owned(),
                Some(libc::EACCES) => {
                    "the user that it runs as needs the right to execute it: `chmod +x`, `--user`"
                        .to_owned()
                }
                Some(libc::ENOEXEC) => "it is a program for another kind of machine".to_owned(),
                _ => return None,
            },
            Self::NoSuchUser(_) => {
                "names come from `/etc/passwd`; a user of a directory service has a number"
                    .to_owned()
            }
            Self::CannotBecome { .. } => "only root can run a program as another user".to_owned(),
            _ => return None,
        })
    }
}

impl From<&LaunchError> for Diagnostic {
    fn from(error: &LaunchError) -> Self {
        Self::new(crate::base::causes::chain(error)).maybe_hint(error.hint())
    }
}
