//! A program that the screen starts, shows in a pane and passes keys to.
//!
//! Its output is bytes for a terminal. [`emulator`] keeps the screen that they draw, and only that
//! screen's characters and colours are shown. So nothing that the program writes reaches the user's
//! terminal.

use std::io;

use ratatui::layout::Size;

use crate::base::diagnostic::Diagnostic;

pub(super) mod emulator;
pub(super) mod keys;
pub(super) mod pane;

/// The program of `tracer run`, on a terminal of its own.
///
/// All calls may come from different threads.
pub trait ProgramControl: Send + Sync {
    /// A short name, for the title of its pane.
    fn name(&self) -> String;

    /// The command that starts it.
    fn command(&self) -> String;

    /// Lets it run, and waits until it is executed. Returns its process id.
    ///
    /// # Errors
    /// It cannot be executed any more.
    fn start(&self) -> Result<u32, Diagnostic>;

    /// Waits for its end. Returns its exit code, or the number of the signal that ended it, negated.
    fn wait(&self) -> Option<i32>;

    /// The next bytes that it has written, if there are any.
    fn take_output(&self) -> Option<Vec<u8>>;

    /// Types bytes into its terminal. Waits while the program reads none and there is no room.
    ///
    /// # Errors
    /// The terminal is gone.
    fn write_all(&self, bytes: &[u8]) -> io::Result<()>;

    /// Gives its terminal another size.
    fn resize(&self, size: Size);
}
