//! `--tee FILE` and `--export FORMAT=PATH`: the whole output in a file, in addition to any other output.
//!
//! Each is a frontend of its own. If the file system is stuck, this file loses its oldest events,
//! which its own records count as lost. The terminal UI and stdout go on.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::cli::args::LiveExport;
use crate::cli::failure::CommandFailure;
use crate::cli::output::tell;
use crate::cli::stream::wait_written;
use crate::cli::watchdog::{Progress, WatchedWrites, unwritten};
use crate::cli::writer::{End, EventWriter, Finished, Writing};
use crate::session::{Control, Session, Subscriber};
use crate::sink::Begin;
use crate::sink::export::spool::Spool;
use crate::sink::export::{ExportFormat, ExportLooks, ExportOut};

/// Bytes written to the file at a time.
const BUFFER: usize = 1 << 16;

/// The file, before there is a session.
pub(in crate::cli) struct TeeFile {
    path: PathBuf,
    file: File,
    format: ExportFormat,
    /// Events wait in it until the end. It has no name, and is gone with this process.
    spool: Option<File>,
}

impl TeeFile {
    /// The file of `--tee`.
    pub(in crate::cli) fn tee(path: &Path) -> Result<Self, CommandFailure> {
        Self::create(path, ExportFormat::Json)
    }

    /// The file of `--export`.
    pub(in crate::cli) fn export(export: &LiveExport) -> Result<Self, CommandFailure> {
        Self::create(&export.path, export.format)
    }

    /// Makes the file, or empties it: before anything is attached, so that a mistake in its name
    /// costs nothing.
    fn create(path: &Path, format: ExportFormat) -> Result<Self, CommandFailure> {
        let failed = |error| CommandFailure::cannot_write(path, &error);
        let file = File::create(path).map_err(failed)?;
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        // The disk of the file is to have as much room.
        let spool = format.needs_spool().then(|| {
            let parent = parent.unwrap_or(Path::new("."));
            tempfile::tempfile_in(parent)
        });
        Ok(Self {
            path: path.to_owned(),
            file,
            format,
            spool: spool.transpose().map_err(failed)?,
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
        let TeeFile {
            path,
            file,
            format,
            spool,
        } = file;
        let progress = Arc::<Progress>::default();
        let finished = Arc::<Finished>::default();
        let (ended, ends) = mpsc::channel();
        let watched = |to: File| -> ExportOut {
            let progress = Arc::clone(&progress);
            let watched = WatchedWrites { to, progress };
            Box::new(BufWriter::with_capacity(BUFFER, watched))
        };
        let failed = |error| CommandFailure::cannot_write(&path, &error);
        let spool = spool.map(|file| {
            let writes = watched(file.try_clone()?);
            Ok(Spool { file, writes })
        });
        let spool = spool.transpose().map_err(failed)?;
        let looks = ExportLooks {
            per_process,
            ..ExportLooks::default()
        };
        let sink = format.live(watched(file), spool, looks);
        let writing = Writing {
            session: control,
            sink: sink.map_err(failed)?,
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
            writes_at_end: format.writes_at_end(),
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
    writes_at_end: bool,
}

impl Tee {
    /// Waits until everything is written, when the session has finished. After a signal it waits only as
    /// long as writes make progress. `shown` is the progress of the output that is shown.
    pub(in crate::cli) fn end(self, shown: &Progress) -> Result<(), CommandFailure> {
        self.finished.tell();
        // A table is written from its first row on now, which takes as long as it needs.
        shown.set_exporting(self.writes_at_end);
        let ended = self.wait();
        shown.set_exporting(false);
        ended
    }

    fn wait(self) -> Result<(), CommandFailure> {
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
