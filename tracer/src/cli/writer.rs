//! The thread that writes events, until something ends it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;

use super::failure::CommandFailure;
use super::output::say;
use super::watchdog::Progress;
use crate::base::cancel;
use crate::base::limits::LAST_WRITES;
use crate::base::visible::Visible;
use crate::event::{Event, ProbeDone, Used};
use crate::session::{Control, Notice, ProbeStatus, Removed};
use crate::sink::{Begin, Sink};

/// Notices taken from the queue at a time.
const BATCH: usize = 1024;

/// Nanoseconds since the Unix epoch.
pub(super) fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

/// Why it ends.
pub(super) enum End {
    Signal,
    TargetExited(Option<i32>),
    /// The requested number of events was written.
    Enough,
    /// All probes are done.
    AllDone,
    /// stdout is closed. `None` if its reader is gone.
    Closed(Option<io::Error>),
    /// The writer has written everything.
    Written,
}

/// A signal has come, and the time for events is over.
fn is_late() -> bool {
    cancel::writing_since().is_some_and(|since| since > LAST_WRITES)
}

/// Tells the writer that no more notices come.
#[derive(Default)]
pub(super) struct Finished {
    flag: AtomicBool,
    notify: Notify,
}

impl Finished {
    pub(super) fn tell(&self) {
        self.flag.store(true, Ordering::Release);
        self.notify.notify_one();
    }

    pub(super) fn is_told(&self) -> bool {
        self.flag.load(Ordering::Acquire)
    }

    /// Completes when it is told.
    pub(super) async fn told(&self) {
        self.notify.notified().await;
    }
}

/// The input and the limits of a writer.
pub(super) struct Writing {
    pub(super) session: Arc<dyn Control>,
    pub(super) sink: Box<dyn Sink>,
    pub(super) progress: Arc<Progress>,
    /// Interval at which aggregates are written, besides the end.
    pub(super) every: Option<Duration>,
    /// Events that are written at most.
    pub(super) limit: Option<u64>,
    /// Ends when all probes are done.
    pub(super) ends_when_done: bool,
    /// Write warnings and notes to stderr, too.
    pub(super) says: bool,
    /// Receives the writer's end, and the end of its input.
    pub(super) ended: Sender<End>,
}

/// Writes a session's notices on a thread of its own.
pub(super) struct EventWriter {
    writing: Writing,
    /// In their last states, once everything is written.
    pub(super) probes: Vec<ProbeStatus>,
    pub(super) events: u64,
    /// Events that came after the last requested one.
    pub(super) beyond: u64,
    closed: bool,
    /// Written events, which go back to the session for reuse.
    shown_events: Vec<Used>,
    /// Time of the last display of aggregates.
    shown: Instant,
    /// Waits for the session and for the end at once.
    runtime: tokio::runtime::Runtime,
}

impl EventWriter {
    /// Starts the thread. It ends once `finished` is told and everything is written.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn start(
        name: &str,
        writing: Writing,
        begin: Begin,
        finished: Arc<Finished>,
    ) -> Result<JoinHandle<Self>, CommandFailure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| CommandFailure::new(format!("cannot wait for events: {error}")))?;
        let writer = Self {
            writing,
            probes: Vec::new(),
            events: 0,
            beyond: 0,
            closed: false,
            shown_events: Vec::new(),
            shown: Instant::now(),
            runtime,
        };
        thread::Builder::new()
            .name(name.into())
            .spawn(move || writer.run(&begin, &finished))
            .map_err(|error| CommandFailure::new(format!("cannot start a thread: {error}")))
    }

    fn run(mut self, begin: &Begin, finished: &Finished) -> Self {
        let written = self.writing.sink.begin(begin);
        self.check(written);
        loop {
            // The order matters: notices from before the end are taken after the look at the flag.
            let last = finished.is_told();
            if is_late() {
                self.writing.session.drop_events();
            }
            let notices = self.writing.session.take_notices(BATCH);
            if notices.is_empty() {
                self.flush();
                if last {
                    self.finish();
                    return self;
                }
                self.wait(finished);
            }
            let is_event = |notice: &&Notice| matches!(notice, Notice::Event(_));
            self.writing
                .progress
                .take(notices.iter().filter(is_event).count());
            for notice in notices {
                self.take(notice);
            }
            self.writing.session.give_back(&mut self.shown_events);
            if self.until_aggregates() == Some(Duration::ZERO) {
                self.aggregates();
                self.flush();
            }
        }
    }

    fn wait(&self, finished: &Finished) {
        let ready = self.writing.session.notices_ready();
        let left = self.until_aggregates();
        let due = async move {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        };
        self.runtime.block_on(async {
            tokio::select! {
                () = ready => {}
                () = finished.notify.notified() => {}
                () = due => {}
            }
        });
    }

    fn take(&mut self, notice: Notice) {
        match notice {
            Notice::Event(event) => {
                let written = self.event(&event);
                self.writing.progress.done(written);
                self.shown_events.push(Used(event));
            }
            Notice::Warning(text) => self.say(&format!("warning: {text}")),
            Notice::Note(text) => self.say(&format!("note: {text}")),
            Notice::Limited(limited) => {
                self.say(&format!("note: {limited}"));
                let written = self.writing.sink.limited(&limited);
                self.check(written);
            }
            Notice::Done(done) => self.done(&done),
            Notice::TargetCame(target) => {
                let written = self.writing.sink.came(&target);
                self.check(written);
            }
            // Warnings report these, as far as they are few. Lists of probes are not requested.
            Notice::TargetStopped { .. } | Notice::TargetLeft(_) | Notice::Probes(_) => {}
            Notice::TargetExited(code) => self.end(End::TargetExited(code)),
        }
    }

    fn say(&self, text: &str) {
        if self.writing.says {
            say!("{}", Visible(text));
        }
    }

    fn done(&mut self, done: &ProbeDone) {
        self.say(&format!("note: {done}"));
        let written = self.writing.sink.done(done);
        self.check(written);
        if self.writing.ends_when_done && self.writing.session.is_done() {
            self.end(End::AllDone);
        }
    }

    /// False when it is not written.
    fn event(&mut self, event: &Event) -> bool {
        if self.writing.limit.is_some_and(|limit| self.events >= limit) {
            self.beyond += 1;
            return false;
        }
        if is_late() {
            self.writing.session.count_unshown(event);
            return false;
        }
        let written = self.writing.sink.event(event);
        self.events += 1;
        self.check(written);
        if self.writing.limit == Some(self.events) {
            self.flush();
            self.end(End::Enough);
        }
        true
    }

    /// Writes the final lines, when no more notices come.
    fn finish(&mut self) {
        let removed = self.removed();
        self.aggregates();
        let probes = removed.into_iter().chain(self.writing.session.probes());
        self.probes = probes.collect();
        self.summaries();
        let finished = self.writing.sink.finish();
        self.check(finished);
        self.end(End::Written);
    }

    fn flush(&mut self) {
        let flushed = self.writing.sink.flush();
        self.check(flushed);
    }

    /// Ends when stdout is closed; silently if its reader is gone.
    fn check(&mut self, written: io::Result<()>) {
        let Err(error) = written else { return };
        if self.closed {
            return;
        }
        self.closed = true;
        let quiet = error.kind() == io::ErrorKind::BrokenPipe;
        self.end(End::Closed((!quiet).then_some(error)));
    }

    fn end(&self, end: End) {
        // The receiver is gone if the stream has ended.
        let _ = self.writing.ended.send(end);
    }

    /// Time until aggregates are to be shown again.
    fn until_aggregates(&self) -> Option<Duration> {
        let every = self.writing.every?;
        Some(every.saturating_sub(self.shown.elapsed()))
    }

    /// Writes the aggregates of the probes.
    fn aggregates(&mut self) {
        self.shown = Instant::now();
        let now = now_ns();
        for aggregate in self.writing.session.aggregates() {
            let written = self.writing.sink.aggregate(&aggregate, now);
            self.check(written);
        }
    }

    /// Writes the aggregates of removed probes, and returns their last states.
    fn removed(&mut self) -> Vec<ProbeStatus> {
        let now = now_ns();
        let mut probes = Vec::new();
        for Removed { status, aggregate } in self.writing.session.take_removed() {
            if let Some(aggregate) = aggregate {
                let written = self.writing.sink.aggregate(&aggregate, now);
                self.check(written);
            }
            probes.push(status);
        }
        probes
    }

    fn summaries(&mut self) {
        let probes = std::mem::take(&mut self.probes);
        for probe in &probes {
            let written = self.writing.sink.summary(probe);
            self.check(written);
        }
        self.probes = probes;
        if let Some(followed) = self.writing.session.followed() {
            let written = self.writing.sink.followed(&followed);
            self.check(written);
        }
    }
}
