//! stdout and stderr: colours, and closed pipes.

use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write as _};

use super::DONE;
use super::args::Colour;
use super::failure::CommandFailure;

/// Writes a message to stderr. If stderr is closed, nobody can be told and the work goes on,
/// whereas `eprintln!` would end it.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}
pub(super) use say;

/// Writes a text with its own line ends to stderr, as `say!` does.
pub(super) fn tell(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// True for each stream that gets colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colours {
    /// Data.
    pub(super) stdout: bool,
    /// Talk.
    pub(super) stderr: bool,
}

impl Colours {
    /// The choice for the requested colour, the kinds of the streams, and `NO_COLOR`.
    pub(super) fn of(asked: Colour) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let decide = |terminal: bool| match asked {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => terminal && !refused,
        };
        Self {
            stdout: decide(io::stdout().is_terminal()),
            stderr: decide(io::stderr().is_terminal()),
        }
    }
}

/// Writes data to stdout. A reader that has gone away ends it quietly.
pub(super) fn print(
    write: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> io::Result<()>,
) -> Result<u8, CommandFailure> {
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CommandFailure::new(
            format!("cannot write to stdout: {error}"),
        )),
        _ => Ok(DONE),
    }
}
