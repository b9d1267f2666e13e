//! The terminal while the screen is up, and its restoration in every case.

pub(super) mod clipboard;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crossterm::event::{
    self, DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
    Event as TerminalEvent,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Size;
use ratatui::layout::{Position, Rect};
use ratatui::{Frame, Terminal};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use super::Error;
use crate::base::{cancel, signals};

/// Time that the loop has to end by itself once the terminal is gone.
const GRACE: Duration = Duration::from_millis(300);

/// The time in which crossterm looks for input. It looks at nothing without any.
const LEAST: Duration = Duration::from_micros(200);
/// Crossterm is asked at least this often.
const LOOK: Duration = Duration::from_millis(50);

/// The screen is up: the terminal is not as its user left it.
static UP: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// The terminal in the state that the screen needs. Dropping it restores the terminal.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn open(mouse: bool) -> Result<Self, Error> {
        // The theme has no colours if `NO_COLOR` is set, unless the user has chosen another one.
        crossterm::style::force_color_output(true);
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
        let mut out = BufWriter::with_capacity(1 << 16, io::stdout());
        enter(&mut out, mouse)?;
        // The screen is empty, as the first frame takes it to be. `Terminal::clear` would ask the
        // terminal where its cursor is, and not every terminal answers.
        let terminal = Terminal::new(CrosstermBackend::new(out))?;
        Ok(Self { terminal })
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> Result<Size, Error> {
        Ok(self.terminal.size()?)
    }

    /// Has the next frame drawn whole. After a resize, even one back to the former size, the
    /// terminal no longer shows the drawn frame.
    pub(super) fn forget(&mut self) -> Result<(), Error> {
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::from((Position::ORIGIN, size)))?;
        Ok(())
    }

    /// Draws one frame. The changes are written at once.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<(), Error> {
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        self.terminal.draw(draw)?;
        queue!(self.terminal.backend_mut(), EndSynchronizedUpdate)?;
        self.terminal.backend_mut().flush()?;
        Ok(())
    }

    /// Writes sequences that change nothing on the screen.
    pub(super) fn write(&mut self, sequences: &str) -> Result<(), Error> {
        self.terminal
            .backend_mut()
            .write_all(sequences.as_bytes())?;
        self.terminal.backend_mut().flush()?;
        Ok(())
    }

    /// Gives the terminal to another program, as its user left it.
    pub(super) fn lend(&mut self) {
        restore();
    }

    /// Takes the terminal back.
    pub(super) fn take_back(&mut self, mouse: bool) -> Result<(), Error> {
        UP.store(true, Ordering::SeqCst);
        enter(self.terminal.backend_mut(), mouse)?;
        self.terminal.hide_cursor()?;
        self.forget()
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

/// Has the terminal in the modes that the screen needs.
fn enter(out: &mut impl Write, mouse: bool) -> Result<(), Error> {
    enable_raw_mode()?;
    execute!(
        out,
        EnterAlternateScreen,
        Clear(ClearType::All),
        EnableBracketedPaste
    )?;
    if mouse {
        execute!(out, EnableMouseCapture)?;
    }
    Ok(())
}

/// Restores the terminal. It is safe to call more than once. Its errors cannot be handled.
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

/// Restores the terminal without a lock or a wait, from a thread other than the drawing one.
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

/// Keys, mouse, pastes and sizes of the terminal.
pub(super) struct TerminalInput {
    /// The source of keys if stdin is not a terminal.
    tty: Option<File>,
    /// There may be more that is read and not yet taken.
    has_more: bool,
    looked: Option<Instant>,
}

impl TerminalInput {
    /// Nothing is read yet.
    pub(super) fn new() -> Self {
        Self {
            tty: keyboard(),
            has_more: false,
            looked: None,
        }
    }

    /// The next event. Waits for it as long as `patience` at most.
    pub(super) fn next(&mut self, patience: Duration) -> io::Result<Option<TerminalEvent>> {
        // A new size comes by a signal, which does not make the terminal readable.
        let is_due = self.looked.is_none_or(|then| then.elapsed() >= LOOK);
        let patience = if is_due { Duration::ZERO } else { patience };
        if !self.has_more && !self.is_readable(patience)? && !is_due {
            return Ok(None);
        }
        self.looked = Some(Instant::now());
        self.has_more = event::poll(LEAST)?;
        match self.has_more {
            true => event::read().map(Some),
            false => Ok(None),
        }
    }

    fn is_readable(&self, patience: Duration) -> io::Result<bool> {
        let stdin = io::stdin();
        let fd = match &self.tty {
            Some(file) => file.as_fd(),
            None => stdin.as_fd(),
        };
        let time = Timespec::try_from(patience).map_err(io::Error::other)?;
        let mut polled = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        match rustix::event::poll(&mut polled, Some(&time)) {
            Ok(ready) => Ok(ready > 0),
            // Perhaps by the signal of a new size.
            Err(Errno::INTR) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}

/// The file that keys come from, unless that is stdin.
fn keyboard() -> Option<File> {
    match io::stdin().is_terminal() {
        true => None,
        false => File::open("/dev/tty").ok(),
    }
}

/// Signals that request the end, as numbers.
pub(super) struct TerminalSignals {
    received: Receiver<i32>,
    _listener: signals::Signals,
}

impl TerminalSignals {
    /// Waits for SIGTERM, SIGHUP and SIGINT from now on.
    pub(super) fn listen() -> Result<Self, Error> {
        let (sender, received) = channel();
        watch_for_hangup(sender.clone())?;
        let listener = signals::Signals::listen(move |signal| {
            // Meant for a program that runs.
            signals::are_diverted() || sender.send(signal).is_ok()
        })?;
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
/// A write to a terminal that is gone may not return, so the loop may not be able to. The kernel takes the probes out with our file descriptors.
fn watch_for_hangup(ended: Sender<i32>) -> io::Result<()> {
    thread::Builder::new()
        .name("tui-hangup".into())
        .spawn(move || {
            if wait_for_hangup() && ended.send(libc::SIGHUP).is_ok() {
                thread::sleep(GRACE);
                // The channel is closed if the loop has ended.
                if ended.send(libc::SIGHUP).is_ok() {
                    std::process::exit(128 + libc::SIGHUP);
                }
            }
        })
        .map(drop)
}

/// Returns once the terminal has hung up. False if it cannot be polled.
fn wait_for_hangup() -> bool {
    let terminal = keyboard();
    let fd = terminal
        .as_ref()
        .map_or(libc::STDIN_FILENO, File::as_raw_fd);
    loop {
        let mut polled = libc::pollfd {
            fd,
            // Hang-ups and errors are always reported, and no other event is requested.
            events: 0,
            revents: 0,
        };
        #[expect(unsafe_code, reason = "poll has no safe wrapper in std")]
        // SAFETY: `polled` is one valid pollfd, and the count is one.
        let ready = unsafe { libc::poll(&raw mut polled, 1, -1) };
        if ready > 0 {
            return polled.revents & libc::POLLHUP != 0;
        }
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return false;
        }
    }
}
