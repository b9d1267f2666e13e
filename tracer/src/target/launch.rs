//! Starts a program that waits before its first instruction until it may run.
//!
//! The new process is forked, takes the user that it will run as, finds the program in `PATH`, and
//! waits. So its pid and its program are known before the program runs, and probes can be attached to
//! the file in the meantime. It is not traced by `ptrace`, and it stops at no instruction.
//!
//! The program gets what `env` or `nice` would give it: the same standard streams, terminal and
//! foreground process group, signals, limits, working directory and environment. Started by `sudo`,
//! it runs as the user who called `sudo`. On request it gets a terminal of its own instead of ours.
//!
//! [`prepare_editor`] forks a process that runs the user's editor later, likewise as the user who called
//! `sudo`.
//!
//! If this process ends while the program waits, the program is never executed.

mod editor;
mod error;
mod inherited;
mod process;
mod program;
mod running;
mod terminal;
mod user;

pub use editor::{check_editor, edit, prepare_editor};
pub use error::LaunchError;
pub use program::ResolvedProgram;
pub use running::{LaunchOutcome, LaunchSpec, RunningProgram, WaitingProgram};
pub use terminal::{ProgramTerminal, TerminalSize};
pub use user::LaunchUser;

#[cfg(test)]
mod tests;
