//! The terminal while the screen is up, and its return to what it was, whatever happens.

use std::io::{self, BufWriter, Stdout, Write};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Position, Rect};
use ratatui::{Frame, Terminal};

use super::Error;
use crate::{cancel, signals};

/// How long the loop has to end by itself once the terminal is gone.
const GRACE: Duration = Duration::from_millis(300);

/// The screen is up: the terminal is not as its user left it.
static UP: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// The terminal in the state that the screen needs; dropped, it is as before.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn open(mouse: bool) -> Result<Self, Error> {
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                restore();
                before(info);
            }));
        });
        UP.store(true, Ordering::SeqCst);
        let opened = Self::set_up(mouse);
        if opened.is_err() {
            restore();
        }
        opened
    }

    fn set_up(mouse: bool) -> Result<Self, Error> {
        enable_raw_mode()?;
        let mut out = BufWriter::with_capacity(1 << 16, io::stdout());
        execute!(
            out,
            EnterAlternateScreen,
            Clear(ClearType::All),
            EnableBracketedPaste
        )?;
        if mouse {
            execute!(out, EnableMouseCapture)?;
        }
        // The screen is empty, as the first frame takes it to be. `Terminal::clear` would ask the
        // terminal where its cursor is, and not every terminal answers.
        let terminal = Terminal::new(CrosstermBackend::new(out))?;
        Ok(Self { terminal })
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> Result<(u16, u16), Error> {
        let size = self.terminal.size()?;
        Ok((size.width, size.height))
    }

    /// Has the next frame drawn whole. A terminal that was resized, even to the size that it had
    /// before, shows something else than what was drawn.
    pub(super) fn forget(&mut self) -> Result<(), Error> {
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::from((Position::ORIGIN, size)))?;
        Ok(())
    }

    /// Draws one frame; what changed is written at once.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<(), Error> {
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        self.terminal.draw(draw)?;
        queue!(self.terminal.backend_mut(), EndSynchronizedUpdate)?;
        self.terminal.backend_mut().flush()?;
        Ok(())
    }

    /// A panic of another thread has already given the terminal back.
    pub(super) fn is_lost(&self) -> bool {
        !UP.load(Ordering::SeqCst)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Puts the terminal back; safe to call more than once. Nothing can be done about its errors.
fn restore() {
    if !UP.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout();
    let _ = write_leave(&mut out).and_then(|()| out.flush());
    let _ = disable_raw_mode();
}

fn write_leave(out: &mut impl Write) -> io::Result<()> {
    queue!(
        out,
        EndSynchronizedUpdate,
        DisableMouseCapture,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        cursor::Show
    )
}

/// The same without a lock or a wait, for another thread than the one that draws.
pub(super) fn abandon() {
    if !UP.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut leave = Vec::new();
    if write_leave(&mut leave).is_ok() {
        cancel::write_at_once(&io::stdout(), &leave);
    }
    let _ = disable_raw_mode();
}

/// Signals that ask us to end, as numbers.
pub(super) struct Signals {
    received: Receiver<i32>,
    _listener: signals::Signals,
}

impl Signals {
    /// Waits for SIGTERM, SIGHUP and SIGINT from now on.
    pub(super) fn listen() -> Result<Self, Error> {
        let (sender, received) = channel();
        watch_for_hangup(sender.clone())?;
        let listener = signals::Signals::listen(move |signal| sender.send(signal).is_ok())?;
        Ok(Self {
            received,
            _listener: listener,
        })
    }

    /// A signal that came.
    pub(super) fn take(&self) -> Option<i32> {
        self.received.try_recv().ok()
    }
}

/// Ends the process when the terminal goes away, as when its window is closed.
///
/// Reading keys from a terminal that is gone never returns (crossterm 0.29 reads its end again and
/// again), so the loop may not be able to. The kernel takes the probes out with our file descriptors.
fn watch_for_hangup(ended: Sender<i32>) -> io::Result<()> {
    thread::Builder::new()
        .name("tui-hangup".into())
        .spawn(move || {
            if wait_for_hangup() && ended.send(libc::SIGHUP).is_ok() {
                thread::sleep(GRACE);
                // Nobody receives any more where the loop has ended.
                if ended.send(libc::SIGHUP).is_ok() {
                    std::process::exit(128 + libc::SIGHUP);
                }
            }
        })
        .map(drop)
}

/// Returns once stdin has no other side any more; false when it cannot be asked.
fn wait_for_hangup() -> bool {
    loop {
        let mut stdin = libc::pollfd {
            fd: libc::STDIN_FILENO,
            // Hang-ups and errors are always told, and nothing else is asked for.
            events: 0,
            revents: 0,
        };
        #[expect(unsafe_code, reason = "poll has no safe wrapper in std")]
        // SAFETY: `stdin` is one valid pollfd, and the count says one.
        let ready = unsafe { libc::poll(&raw mut stdin, 1, -1) };
        if ready > 0 {
            return stdin.revents & libc::POLLHUP != 0;
        }
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return false;
        }
    }
}
