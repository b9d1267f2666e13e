//! The program of a run in a pane of the terminal UI, and its output once that is left.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::layout::Size;
use rustix::process::Signal;

use super::super::args::{Output, TraceArgs};
use super::super::failure::CommandFailure;
use super::plain::PlainText;
use super::stage::{SharedStage, launch_failure};
use crate::base::diagnostic::Diagnostic;
use crate::target::launch::{LaunchOutcome, ProgramTerminal, TerminalSize};
use crate::tui::ProgramControl;

/// Bytes that are read at a time.
const BUFFER: usize = 1 << 14;
/// Pieces of output that wait. While they do, the program waits with its writes, as on any terminal.
const PIECES: usize = 16;
/// Between two looks whether the program has ended.
const LOOK: Duration = Duration::from_millis(50);
/// Time for the last output of a program that has ended. Another process may keep its terminal.
const LAST_OUTPUT: Duration = Duration::from_millis(300);
/// The size of the terminal until the pane has one.
const SIZE: TerminalSize = TerminalSize {
    columns: 80,
    rows: 24,
};

/// The size of the terminal of a program in a pane. `None` if it keeps the user's terminal: there are
/// probes, or an output was chosen, or there is no terminal for a screen.
pub(super) fn terminal_of(args: &TraceArgs) -> Result<Option<TerminalSize>, CommandFailure> {
    // Keys come from the terminal even if stdin is the program's pipe.
    let has_keys = io::stdin().is_terminal() || File::open("/dev/tty").is_ok();
    let has_screen = io::stdout().is_terminal() && has_keys;
    match args.output {
        Some(Output::Tui) if !has_screen => {
            Err(CommandFailure::new("the terminal UI needs a terminal")
                .hint("`--output text` or `--output json` write lines to stderr".to_owned()))
        }
        Some(Output::Tui) => Ok(Some(SIZE)),
        None if args.probes.is_empty() && args.files.is_empty() && has_screen => Ok(Some(SIZE)),
        _ => Ok(None),
    }
}

/// The program of a run, for the terminal UI.
pub(in crate::cli) struct PaneProgram {
    stage: SharedStage,
    terminal: Arc<ProgramTerminal>,
    output: Mutex<Receiver<Vec<u8>>>,
    name: String,
    command: String,
}

impl PaneProgram {
    /// Reads the program's output from now on.
    pub(super) fn new(
        stage: SharedStage,
        terminal: ProgramTerminal,
        path: &Path,
    ) -> io::Result<Self> {
        let terminal = Arc::new(terminal);
        let (pieces, output) = sync_channel(PIECES);
        let of_reader = Arc::clone(&terminal);
        thread::Builder::new()
            .name("program-output".into())
            .spawn(move || read(&of_reader, &pieces))?;
        let name = path.file_name().unwrap_or(path.as_os_str());
        Ok(Self {
            stage,
            terminal,
            output: Mutex::new(output),
            name: text(name),
            command: command(),
        })
    }

    /// Asks the program to end.
    pub(in crate::cli) fn terminate(&self) {
        self.stage.signal(Some(Signal::TERM));
    }

    /// Tells the program that its terminal is gone.
    pub(in crate::cli) fn hang_up(&self) {
        self.stage.signal(Some(Signal::HUP));
    }

    /// The pid of the program, if it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.stage.signal(None)
    }

    /// Writes the program's output as plain text to stdout, until it has ended and nothing more comes.
    pub(super) fn write_output(&self) {
        let output = self.lock();
        let mut plain = PlainText::default();
        let mut stdout = io::stdout();
        let mut ended = None;
        loop {
            match output.recv_timeout(LOOK) {
                Ok(piece) => {
                    // Its output is read even if nobody wants it, since it would wait else.
                    let text = plain.push(&piece);
                    let _ = stdout
                        .write_all(text.as_bytes())
                        .and_then(|()| stdout.flush());
                }
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if ended.is_none() && self.pid().is_none() {
                ended = Some(Instant::now());
            }
            if ended.is_some_and(|ended| ended.elapsed() > LAST_OUTPUT) {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Receiver<Vec<u8>>> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the program's output until its end, or until nobody takes it any more.
fn read(terminal: &ProgramTerminal, pieces: &SyncSender<Vec<u8>>) {
    let mut bytes = vec![0; BUFFER];
    while let Ok(count @ 1..) = terminal.read(&mut bytes) {
        let piece = bytes.get(..count).unwrap_or_default().to_vec();
        if pieces.send(piece).is_err() {
            return;
        }
    }
}

/// The command behind `--`.
fn command() -> String {
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    words
        .map(|word| {
            let word = text(&word);
            let quoted = shlex::try_quote(&word).map(std::borrow::Cow::into_owned);
            quoted.unwrap_or(word)
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn text(word: &OsStr) -> String {
    word.to_string_lossy().into_owned()
}

impl ProgramControl for PaneProgram {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn command(&self) -> String {
        self.command.clone()
    }

    fn start(&self) -> Result<u32, Diagnostic> {
        match self.stage.release() {
            Ok(Some(pid)) => Ok(pid),
            Ok(None) => Err(Diagnostic::new(
                "a signal came before the program was started",
            )),
            Err(error) => Err(Diagnostic::new(launch_failure(&error).message().to_owned())
                .maybe_hint(error.hint())),
        }
    }

    fn wait(&self) -> Option<i32> {
        match self.stage.wait().ok().flatten()? {
            LaunchOutcome::Exited(code) => Some(code),
            LaunchOutcome::Killed(signal) => Some(-signal),
        }
    }

    fn take_output(&self) -> Option<Vec<u8>> {
        self.lock().try_recv().ok()
    }

    fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        self.terminal.write_all(bytes)
    }

    fn resize(&self, size: Size) {
        let size = TerminalSize {
            columns: size.width,
            rows: size.height,
        };
        // A terminal that nobody has any more has no size.
        let _ = self.terminal.resize(size);
    }
}
