//! The tracer on a terminal: keys in, a screen out.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::PATIENCE;
use super::tracer::TRACER;

/// The sequence by which programs leave the alternate screen.
const LEAVE_ALTERNATE: &[u8] = b"\x1b[?1049l";

struct Screen {
    parser: vt100::Parser,
    raw: Vec<u8>,
    closed: bool,
}

/// The tracer's terminal UI, as users see it.
pub(crate) struct Terminal {
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    screen: Arc<(Mutex<Screen>, Condvar)>,
    modes_before: String,
}

impl Terminal {
    /// Starts the tracer on a terminal of this size.
    #[track_caller]
    pub(crate) fn start(args: &[String], rows: u16, columns: u16) -> Self {
        let mut command = CommandBuilder::new(TRACER);
        command.args(args);
        Self::run(command, rows, columns)
    }

    /// Starts a command on a terminal of this size.
    #[track_caller]
    pub(crate) fn run(mut command: CommandBuilder, rows: u16, columns: u16) -> Self {
        let pair = native_pty_system()
            .openpty(size(rows, columns))
            .expect("a pseudo-terminal can be had");
        command.env("TERM", "xterm-256color");
        command.env_remove("RUST_LOG");
        // The settings of whoever runs the tests.
        for name in [
            "COLORTERM",
            "NO_COLOR",
            "XDG_CONFIG_HOME",
            "COLORFGBG",
            "SUDO_UID",
            "PKEXEC_UID",
            "DOAS_USER",
        ] {
            let is_own = command.get_env(name) == std::env::var_os(name).as_deref();
            if is_own {
                command.env_remove(name);
            }
        }
        if command.get_env("XDG_CONFIG_HOME").is_none() {
            command.env("XDG_CONFIG_HOME", "/nonexistent");
        }
        let mut reader = pair.master.try_clone_reader().expect("it is readable");
        let keys = pair.master.take_writer().expect("it is writable");
        let modes_before = modes(&*pair.master);
        let child = pair
            .slave
            .spawn_command(command)
            .expect("the tracer is built");
        let screen = Arc::new((
            Mutex::new(Screen {
                parser: vt100::Parser::new(cells(rows), cells(columns), 0),
                raw: Vec::new(),
                closed: false,
            }),
            Condvar::new(),
        ));
        let shared = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 1 << 14];
            loop {
                let length = reader.read(&mut bytes).unwrap_or(0);
                let mut screen = lock(&shared.0);
                screen.parser.process(&bytes[..length]);
                screen.raw.extend(&bytes[..length]);
                screen.closed = length == 0;
                let closed = screen.closed;
                drop(screen);
                shared.1.notify_all();
                if closed {
                    return;
                }
            }
        });
        // The slave side is dropped with `pair`, so the reader ends with the child.
        Self {
            master: pair.master,
            child,
            keys,
            screen,
            modes_before,
        }
    }

    /// Starts the tracer, closes its terminal once it shows `text`, and waits for its end.
    #[track_caller]
    pub(crate) fn close_once_shown(args: &[&str], text: &str) {
        let pair = native_pty_system()
            .openpty(size(24, 80))
            .expect("a pseudo-terminal can be had");
        let mut command = CommandBuilder::new(TRACER);
        command.args(args);
        command.env("TERM", "xterm-256color");
        let mut reader = pair.master.try_clone_reader().expect("it is readable");
        let mut child = pair
            .slave
            .spawn_command(command)
            .expect("the tracer is built");
        let mut seen = Vec::new();
        let mut bytes = [0; 1 << 12];
        while !String::from_utf8_lossy(&seen).contains(text) {
            let length = reader.read(&mut bytes).expect("it is open");
            seen.extend(&bytes[..length]);
        }
        drop((reader, pair));
        let end = Instant::now() + PATIENCE;
        while child.try_wait().expect("it is our child").is_none() {
            if Instant::now() >= end {
                child.kill().expect("it is our child");
                panic!("it still runs without a terminal");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Process id of the tracer.
    pub(crate) fn pid(&self) -> u32 {
        self.child.process_id().expect("it was started")
    }

    /// Types these keys.
    #[track_caller]
    pub(crate) fn keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("it reads keys");
        self.keys.flush().expect("it reads keys");
    }

    /// The text of the screen.
    pub(crate) fn text(&self) -> String {
        lock(&self.screen.0).parser.screen().contents()
    }

    /// Reads the screen.
    pub(crate) fn with_screen<T>(&self, read: impl FnOnce(&vt100::Screen) -> T) -> T {
        read(lock(&self.screen.0).parser.screen())
    }

    /// Every byte that was sent to the terminal.
    pub(crate) fn raw(&self) -> Vec<u8> {
        lock(&self.screen.0).raw.clone()
    }

    /// Waits until the screen satisfies `is`.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        let mut screen = lock(&self.screen.0);
        loop {
            let text = screen.parser.screen().contents();
            if is(&text) {
                return text;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || screen.closed {
                drop(screen);
                panic!("waited for {what}; the screen shows:\n{text}");
            }
            // The wait is bounded, because a screen that already satisfies it sends nothing more.
            let left = left.min(Duration::from_millis(100));
            let waited = self.screen.1.wait_timeout(screen, left);
            screen = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until the screen shows this text.
    #[track_caller]
    pub(crate) fn wait_text(&self, text: &str) -> String {
        self.wait(&format!("`{text}`"), |screen| screen.contains(text))
    }

    /// Changes the size of the terminal, like a window manager.
    #[track_caller]
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        let mut screen = lock(&self.screen.0);
        screen.parser.set_size(cells(rows), cells(columns));
        self.master.resize(size(rows, columns)).expect("it is open");
    }

    /// Waits for the tracer's end. Returns the exit code, and checks that the terminal is as
    /// before.
    #[track_caller]
    pub(crate) fn assert_restored(mut self) -> u32 {
        let code = self.wait_end();
        self.wait_closed();
        let screen = lock(&self.screen.0);
        let said = String::from_utf8_lossy(&screen.raw).into_owned();
        let left = screen.raw.windows(LEAVE_ALTERNATE.len());
        // The list of processes shows the command lines of others, which may have the word.
        assert!(!said.contains(" panicked at "), "{said}");
        assert!(left.into_iter().any(|bytes| bytes == LEAVE_ALTERNATE));
        assert!(
            !screen.parser.screen().alternate_screen(),
            "alternate screen left"
        );
        assert!(!screen.parser.screen().hide_cursor(), "cursor shown");
        assert_eq!(
            screen.parser.screen().mouse_protocol_mode(),
            vt100::MouseProtocolMode::None,
            "mouse let go"
        );
        assert!(!screen.parser.screen().bracketed_paste(), "pastes let go");
        drop(screen);
        assert_eq!(modes(&*self.master), self.modes_before, "terminal modes");
        code
    }

    /// Waits for the end of the command. Returns its exit code.
    #[track_caller]
    pub(crate) fn wait_end(&mut self) -> u32 {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status.exit_code();
            }
            assert!(Instant::now() < end, "it still runs:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn wait_closed(&self) {
        let mut screen = lock(&self.screen.0);
        let end = Instant::now() + PATIENCE;
        while !screen.closed && Instant::now() < end {
            let waited = self
                .screen
                .1
                .wait_timeout(screen, Duration::from_millis(100));
            screen = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lock(screen: &Mutex<Screen>) -> std::sync::MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("a terminal has cells")
}

fn size(rows: u16, cols: u16) -> PtySize {
    PtySize {
        rows,
        cols,
        pixel_width: 0,
        pixel_height: 0,
    }
}

/// The terminal's modes, as `stty` shows them.
fn modes(master: &dyn MasterPty) -> String {
    let termios = master.get_termios().expect("it is a terminal");
    format!("{termios:?}")
}
