//! stdout and stderr: colours, and pipes that nobody reads any more.

use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write as _};

use super::DONE;
use super::args::Colour;
use super::failure::Failure;

/// Writes a line of talk to stderr. Where nobody listens any more there is nobody to tell, and
/// what runs goes on: `eprintln!` would end it.
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

/// Whether each stream is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colours {
    /// Data.
    pub(super) stdout: bool,
    /// Talk.
    pub(super) stderr: bool,
}

impl Colours {
    /// What was asked for, what the streams are, and `NO_COLOR`.
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
) -> Result<u8, Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(DONE),
    }
}
