//! A terminal of the program's own: a pseudo-terminal, whose other side this process shows.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{Uid, fchown};
use rustix::io::Errno;
use rustix::process::{ioctl_tiocsctty, setsid};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::termios::{OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

/// The kind of terminal that [`ProgramTerminal`]'s owner emulates.
const TERM: &str = "xterm-256color";

/// Variables that describe the terminal of this process, which the program does not have.
const OF_OUR_TERMINAL: [&str; 4] = ["LINES", "COLUMNS", "TERM_PROGRAM", "TERM_PROGRAM_VERSION"];

/// Columns and rows of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    /// Characters in a row.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

impl TerminalSize {
    fn window(self) -> Winsize {
        Winsize {
            ws_row: self.rows,
            ws_col: self.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        }
    }
}

/// Our side of a program's terminal. When it is dropped, the program's terminal hangs up.
#[derive(Debug)]
pub struct ProgramTerminal {
    master: File,
}

impl ProgramTerminal {
    /// Makes a terminal of this size, with the modes that our own has. `owner` may open it by its name.
    pub(super) fn open(
        size: TerminalSize,
        owner: Option<u32>,
    ) -> io::Result<(Self, ChildTerminal)> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        // Opened by the other side, since `/dev/pts` may be another one here.
        let side = ioctl_tiocgptpeer(&master, flags)?;
        if let Some(owner) = owner {
            // Only root may, and others run programs as themselves.
            let _ = fchown(&side, Some(Uid::from_raw(owner)), None);
        }
        // The user's keys for erasing and interrupting.
        if let Ok(modes) = tcgetattr(io::stdout()) {
            tcsetattr(&side, OptionalActions::Now, &modes)?;
        }
        tcsetwinsize(&side, size.window())?;
        let terminal = Self {
            master: File::from(master),
        };
        let child = ChildTerminal {
            side,
            stdin: io::stdin().is_terminal(),
            stdout: io::stdout().is_terminal(),
            stderr: io::stderr().is_terminal(),
        };
        Ok((terminal, child))
    }

    /// Reads what the program has written. Zero at the end, when no process has the terminal any more.
    ///
    /// # Errors
    /// The terminal cannot be read.
    pub fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match (&self.master).read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // How Linux reports that the last process has closed its side.
                Err(error) if error.raw_os_error() == Some(libc::EIO) => return Ok(0),
                read => return read,
            }
        }
    }

    /// Types this into the terminal. Waits while the program reads nothing and there is no room.
    ///
    /// # Errors
    /// The terminal cannot be written.
    pub fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.master).write_all(bytes)
    }

    /// Changes its size, which the program learns by SIGWINCH.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn resize(&self, size: TerminalSize) -> io::Result<()> {
        Ok(tcsetwinsize(&self.master, size.window())?)
    }
}

/// The child's side of a terminal, and the streams that it is for.
#[derive(Debug)]
pub(super) struct ChildTerminal {
    side: OwnedFd,
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

impl ChildTerminal {
    /// Makes it the terminal of the calling process, in a session of its own. Streams that are no
    /// terminals stay what they are.
    ///
    /// Only makes system calls, so that a forked child may call it.
    pub(super) fn take(&self) -> Result<(), Errno> {
        setsid()?;
        ioctl_tiocsctty(&self.side)?;
        if self.stdin {
            dup2_stdin(&self.side)?;
        }
        if self.stdout {
            dup2_stdout(&self.side)?;
        }
        if self.stderr {
            dup2_stderr(&self.side)?;
        }
        Ok(())
    }
}

/// Has the environment describe the new terminal in place of ours.
pub(super) fn describe_terminal(environment: &mut Vec<(OsString, OsString)>) {
    environment.retain(|(name, _)| {
        name != "TERM" && !OF_OUR_TERMINAL.iter().any(|variable| name == variable)
    });
    environment.push(("TERM".into(), TERM.into()));
}
