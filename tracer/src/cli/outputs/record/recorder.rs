//! The thread that records a session.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::source_fetcher::{SourceFetcher, WantedSource};
use crate::base::cancel;
use crate::base::limits::LAST_WRITES;
use crate::base::visible::Visible;
use crate::cli::failure::CommandFailure;
use crate::cli::watchdog::{Progress, WatchedWrites};
use crate::cli::writer::{End, Finished, now_ns};
use crate::event::{Aggregate, ProbeId, Used};
use crate::session::{Control, Cost, Notice, ProbeStatus};
use crate::sink::Begin;
use crate::sink::recording::limits::BLOCK_AGE;
use crate::sink::recording::lines::RecordingLine;
use crate::sink::recording::writer::RecordingWriter;

/// Notices taken from the queue at a time.
const BATCH: usize = 1024;

/// The size of the recording.
pub(super) struct Recorded {
    /// Events.
    pub(super) events: u64,
    /// Bytes of the file.
    pub(super) bytes: u64,
}

/// Records a session.
pub(super) struct Recorder {
    session: Arc<dyn Control>,
    writer: RecordingWriter<WatchedWrites<File>>,
    progress: Arc<Progress>,
    /// Receives the end.
    ended: Sender<End>,
    sources: SourceFetcher,
    /// Lines of probes whose variables are asked for.
    wanted: HashSet<(PathBuf, u64)>,
    /// The newest states of the probes.
    probes: Vec<ProbeStatus>,
    /// The states that are recorded last, without costs.
    recorded_probes: Vec<ProbeStatus>,
    /// Hits in the aggregates that are recorded last.
    recorded_totals: BTreeMap<ProbeId, u64>,
    events: u64,
    closed: bool,
    /// Written events, which go back to the session for reuse.
    shown_events: Vec<Used>,
    /// When a block was last written because of its age. Full ones are written in between.
    since: Instant,
    /// Waits for the session and for the end at once.
    runtime: tokio::runtime::Runtime,
}

impl Recorder {
    /// # Errors
    /// The thread that reads sources cannot be started, or the compressor cannot allocate its memory.
    pub(super) fn new(
        session: Arc<dyn Control>,
        out: WatchedWrites<File>,
        progress: Arc<Progress>,
        ended: Sender<End>,
    ) -> Result<Self, CommandFailure> {
        let cannot = |error: io::Error| CommandFailure::new(format!("cannot record: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(cannot)?;
        Ok(Self {
            sources: SourceFetcher::start(Arc::clone(&session)).map_err(cannot)?,
            session,
            writer: RecordingWriter::new(out).map_err(cannot)?,
            progress,
            ended,
            wanted: HashSet::new(),
            probes: Vec::new(),
            recorded_probes: Vec::new(),
            recorded_totals: BTreeMap::new(),
            events: 0,
            closed: false,
            shown_events: Vec::new(),
            since: Instant::now(),
            runtime,
        })
    }

    /// Starts the thread. It ends once `finished` is told and everything is written.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn start(
        self,
        described: RecordingLine,
        begin: Begin,
        finished: Arc<Finished>,
    ) -> Result<JoinHandle<Recorded>, CommandFailure> {
        thread::Builder::new()
            .name("record".into())
            .spawn(move || self.run(&described, begin, &finished))
            .map_err(|error| CommandFailure::new(format!("cannot start a thread: {error}")))
    }

    fn run(mut self, described: &RecordingLine, begin: Begin, finished: &Finished) -> Recorded {
        let written = self.writer.begin(described, begin.time_ns);
        self.check(written);
        self.probes = begin.probes;
        self.states(begin.time_ns);
        // A session that is killed at once has left its description.
        self.write_block();
        loop {
            // The order matters: notices from before the end are taken after the look at the flag.
            let last = finished.is_told();
            if cancel::writing_since().is_some_and(|since| since > LAST_WRITES) {
                self.session.drop_events();
            }
            let notices = self.session.take_notices(BATCH);
            if notices.is_empty() {
                if last {
                    self.finish();
                    return Recorded {
                        events: self.events,
                        bytes: self.writer.written(),
                    };
                }
                self.wait(finished);
            }
            let is_event = |notice: &&Notice| matches!(notice, Notice::Event(_));
            self.progress.take(notices.iter().filter(is_event).count());
            for notice in notices {
                self.take(notice);
            }
            self.session.give_back(&mut self.shown_events);
            if self.since.elapsed() >= BLOCK_AGE {
                self.states(now_ns());
                self.write_block();
            }
        }
    }

    fn wait(&self, finished: &Finished) {
        let ready = self.session.notices_ready();
        let left = BLOCK_AGE.saturating_sub(self.since.elapsed());
        self.runtime.block_on(async {
            tokio::select! {
                () = ready => {}
                () = finished.told() => {}
                () = tokio::time::sleep(left) => {}
            }
        });
    }

    fn take(&mut self, notice: Notice) {
        let written = match notice {
            Notice::Event(event) => {
                let written = self.writer.event(&event);
                self.events += u64::from(written.is_ok());
                self.progress.done(written.is_ok());
                self.shown_events.push(Used(event));
                written
            }
            Notice::Warning(text) => self.writer.warning(text, now_ns()),
            Notice::Note(text) => self.writer.note(text, now_ns()),
            Notice::Limited(limited) => self.writer.limited(limited),
            Notice::Done(done) => self.writer.done(done),
            Notice::TargetCame(target) => self.writer.target_came(target, now_ns()),
            // It is in a note.
            Notice::TargetStopped { .. } => Ok(()),
            Notice::TargetLeft(target) => self.writer.target_left(target, now_ns()),
            Notice::TargetExited(code) => self.writer.exit(code, now_ns()),
            Notice::Probes(probes) => {
                self.probes = probes;
                Ok(())
            }
        };
        self.check(written);
    }

    /// Adds the states of probes and the aggregates, as far as they have changed, and the sources that have
    /// been read.
    fn states(&mut self, now: u64) {
        self.want_sources();
        for read in self.sources.take() {
            let written = read.write(&mut self.writer, now);
            self.check(written);
        }
        let compared: Vec<ProbeStatus> = self.probes.iter().map(without_cost).collect();
        if compared != self.recorded_probes {
            let written = self.writer.probes(self.probes.clone(), Vec::new(), now);
            self.check(written);
            self.recorded_probes = compared;
        }
        for aggregate in self.session.aggregates() {
            self.aggregate(&aggregate, now);
        }
    }

    fn aggregate(&mut self, aggregate: &Aggregate, now: u64) {
        let last = self
            .recorded_totals
            .insert(aggregate.probe, aggregate.total);
        if last != Some(aggregate.total) {
            let written = self.writer.aggregate(aggregate, now);
            self.check(written);
        }
    }

    /// Asks for the sources of probes, and for those that a frontend has shown.
    fn want_sources(&mut self) {
        for probe in self.probes.iter().filter(|probe| probe.line > 0) {
            let place = (probe.file.to_path_buf(), probe.line);
            if self.wanted.insert(place) {
                self.sources.want(WantedSource::Line {
                    path: Arc::clone(&probe.file),
                    line: probe.line,
                });
            }
        }
        for file in self.session.shown_sources() {
            let place = (file.path.to_path_buf(), 0);
            if self.wanted.insert(place) {
                self.sources.want(WantedSource::File(file));
            }
        }
    }

    /// Writes the end, when no more notices come.
    fn finish(&mut self) {
        let now = now_ns();
        self.want_sources();
        for read in self.sources.take_last() {
            let written = read.write(&mut self.writer, now);
            self.check(written);
        }
        let mut removed = Vec::new();
        for gone in self.session.take_removed() {
            if let Some(aggregate) = gone.aggregate {
                self.aggregate(&aggregate, now);
            }
            removed.push(gone.status);
        }
        for aggregate in self.session.aggregates() {
            self.aggregate(&aggregate, now);
        }
        let written = self.writer.probes(self.session.probes(), removed, now);
        self.check(written);
        let written = self.writer.end(self.session.followed(), now);
        self.check(written);
        self.write_block();
        self.end(End::Written);
    }

    fn write_block(&mut self) {
        self.since = Instant::now();
        let written = self.writer.write_block();
        self.check(written);
    }

    /// Tells of the first failure, while the session goes on.
    fn check(&mut self, written: io::Result<()>) {
        let Err(error) = written else { return };
        if self.closed {
            return;
        }
        self.closed = true;
        self.session.warn(format!(
            "the recording is not complete: {}",
            Visible(&error.to_string())
        ));
        self.end(End::Closed(Some(error)));
    }

    fn end(&self, end: End) {
        // The receiver is gone if the session has ended.
        let _ = self.ended.send(end);
    }
}

/// A state without the parts that change while nothing happens.
fn without_cost(probe: &ProbeStatus) -> ProbeStatus {
    ProbeStatus {
        cost: Cost {
            attached: Duration::ZERO,
            cpus: None,
            ..probe.cost
        },
        ..probe.clone()
    }
}
