//! `--tee FILE`: the whole JSON output in a file, in addition to any other output.
//!
//! It is a frontend of its own. If the file system is stuck, this file loses its oldest events,
//! which its own records count as lost. The terminal UI and stdout go on.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::cli::failure::CommandFailure;
use crate::cli::output::tell;
use crate::cli::stream::wait_written;
use crate::cli::watchdog::{Progress, WatchedWrites, unwritten};
use crate::cli::writer::{End, EventWriter, Finished, Writing};
use crate::session::{Control, Session, Subscriber};
use crate::sink::Begin;
use crate::sink::json::JsonSink;

/// Bytes written to the file at a time.
const BUFFER: usize = 1 << 16;

/// The file, before there is a session.
pub(in crate::cli) struct TeeFile {
    path: PathBuf,
    file: File,
}

impl TeeFile {
    /// Makes the file, or empties it: before anything is attached, so that a mistake in its name
    /// costs nothing.
    pub(in crate::cli) fn create(path: &Path) -> Result<Self, CommandFailure> {
        let file =
            File::create(path).map_err(|error| CommandFailure::cannot_write(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Subscribes to a session: before its first probe, so that no event is older.
    pub(in crate::cli) fn subscribe(self, session: &Arc<Session>) -> TeeSubscription {
        let subscriber = Subscriber {
            patient: true,
            ..Subscriber::default()
        };
        TeeSubscription {
            control: Arc::new(session.subscribe(subscriber)),
            file: self,
        }
    }
}

/// The file's place at the session.
pub(in crate::cli) struct TeeSubscription {
    control: Arc<dyn Control>,
    file: TeeFile,
}

impl TeeSubscription {
    /// Writes from now on.
    pub(in crate::cli) fn start(
        self,
        begin: Begin,
        every: Option<Duration>,
        per_process: bool,
    ) -> Result<Tee, CommandFailure> {
        let Self { control, file } = self;
        let TeeFile { path, file } = file;
        let progress = Arc::<Progress>::default();
        let finished = Arc::<Finished>::default();
        let (ended, ends) = mpsc::channel();
        let out = WatchedWrites {
            to: file,
            progress: Arc::clone(&progress),
        };
        let sink = JsonSink::new(BufWriter::with_capacity(BUFFER, out));
        let writing = Writing {
            session: control,
            sink: Box::new(sink.with_processes(per_process)),
            progress: Arc::clone(&progress),
            every,
            limit: None,
            ends_when_done: false,
            says: false,
            ended,
        };
        let thread = EventWriter::start("tee", writing, begin, Arc::clone(&finished))?;
        Ok(Tee {
            path,
            progress,
            finished,
            ends,
            thread,
        })
    }
}

/// A file that is being written.
pub(in crate::cli) struct Tee {
    path: PathBuf,
    progress: Arc<Progress>,
    finished: Arc<Finished>,
    ends: Receiver<End>,
    thread: JoinHandle<EventWriter>,
}

impl Tee {
    /// Waits until everything is written, when the session has finished. After a signal it waits only as
    /// long as writes make progress.
    pub(in crate::cli) fn end(self) -> Result<(), CommandFailure> {
        self.finished.tell();
        let mut closed = None;
        if !wait_written(&self.ends, &self.progress, &mut closed) {
            tell(&unwritten(self.progress.in_hand()));
            return Ok(());
        }
        if self.thread.join().is_err() {
            return Err(CommandFailure::new("the writer of the file failed"));
        }
        match closed {
            Some(error) => Err(CommandFailure::cannot_write(&self.path, &error)),
            None => Ok(()),
        }
    }
}
