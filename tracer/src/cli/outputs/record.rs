//! `--record FILE`: everything that the session knew, in a file to look at later.
//!
//! As `--tee`, it is a frontend of its own, with its own account of lost events.

mod recorder;
mod source_fetcher;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;

use rustix::system::uname;

use crate::base::visible::Visible;
use crate::cli::args::TraceArgs;
use crate::cli::failure::CommandFailure;
use crate::cli::output::{say, tell};
use crate::cli::stream::wait_written;
use crate::cli::subject::options;
use crate::cli::watchdog::{Progress, WatchedWrites, unwritten};
use crate::cli::writer::{End, Finished};
use crate::event::{counted, grouped};
use crate::session::{Control, Session, Subscriber};
use crate::sink::Begin;
use crate::sink::recording::lines::{RecordedTarget, RecordingLine, VERSION, timestamp};

use recorder::{Recorded, Recorder};

/// The file, before there is a session.
pub(in crate::cli) struct RecordFile {
    path: PathBuf,
    file: File,
    redacted: Vec<String>,
}

impl RecordFile {
    /// Makes the file, or empties it: before anything is attached, so that a mistake in its name
    /// costs nothing.
    pub(in crate::cli) fn create(path: &Path, args: &TraceArgs) -> Result<Self, CommandFailure> {
        let file =
            File::create(path).map_err(|error| CommandFailure::cannot_write(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            redacted: options(args).redactor.names(),
        })
    }

    /// Subscribes to a session: before its first probe, so that no event is older.
    pub(in crate::cli) fn subscribe(self, session: &Arc<Session>) -> RecordSubscription {
        let subscriber = Subscriber {
            patient: true,
            wants_probes: true,
            ..Subscriber::default()
        };
        RecordSubscription {
            control: Arc::new(session.subscribe(subscriber)),
            file: self,
        }
    }
}

/// The recording's place at the session.
pub(in crate::cli) struct RecordSubscription {
    control: Arc<dyn Control>,
    file: RecordFile,
}

impl RecordSubscription {
    /// Records from now on.
    pub(in crate::cli) fn start(self, begin: &Begin) -> Result<Record, CommandFailure> {
        let Self { control, file } = self;
        let RecordFile {
            path,
            file,
            redacted,
        } = file;
        let progress = Arc::<Progress>::default();
        let finished = Arc::<Finished>::default();
        let (ended, ends) = mpsc::channel();
        let out = WatchedWrites {
            to: file,
            progress: Arc::clone(&progress),
        };
        let described = described(&*control, begin, redacted);
        let recorder = Recorder::new(control, out, Arc::clone(&progress), ended)?;
        let thread = recorder.start(described, begin.clone(), Arc::clone(&finished))?;
        Ok(Record {
            path,
            progress,
            finished,
            ends,
            thread,
        })
    }
}

/// The first line of the recording.
fn described(control: &dyn Control, begin: &Begin, redacted: Vec<String>) -> RecordingLine {
    let target = control.target();
    let machine = uname();
    RecordingLine {
        version: VERSION,
        tracer: env!("CARGO_PKG_VERSION").to_owned(),
        target: target.name,
        pid: target.pid,
        selectors: begin.selectors.clone(),
        targets: begin.targets.iter().map(RecordedTarget::from).collect(),
        time: timestamp(begin.time_ns),
        clock: "CLOCK_MONOTONIC of the traced machine, as UTC".into(),
        host: machine.nodename().to_string_lossy().into_owned(),
        kernel: machine.release().to_string_lossy().into_owned(),
        redacted,
    }
}

/// A recording that is being written.
pub(in crate::cli) struct Record {
    path: PathBuf,
    progress: Arc<Progress>,
    finished: Arc<Finished>,
    ends: Receiver<End>,
    thread: JoinHandle<Recorded>,
}

impl Record {
    /// Waits until everything is written, when the session has finished. After a signal it waits only as
    /// long as writes make progress.
    pub(in crate::cli) fn end(self) -> Result<(), CommandFailure> {
        self.finished.tell();
        let mut closed = None;
        if !wait_written(&self.ends, &self.progress, &mut closed) {
            tell(&unwritten(self.progress.in_hand()));
            return Ok(());
        }
        let Ok(recorded) = self.thread.join() else {
            return Err(CommandFailure::new("the writer of the recording failed"));
        };
        if let Some(error) = closed {
            return Err(CommandFailure::cannot_write(&self.path, &error));
        }
        let events = counted(recorded.events, "event");
        say!(
            "recorded {events} in `{}`, {} bytes; `tracer view` shows it",
            Visible(&self.path.to_string_lossy()),
            grouped(recorded.bytes),
        );
        Ok(())
    }
}
