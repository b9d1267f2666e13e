//! Text and JSON: events to stdout as they come, until something ends it.
//!
//! Three threads: the session's reader fills a bounded queue; one here writes
//! what is in it; the one that called waits for the end. So a pipe that nobody
//! reads blocks neither the reading of the ring nor the taking of the probes out.
//! After a signal the writer has [`LAST_WRITES`] for events, and is left behind
//! when a write does not end.

use std::io::{self, BufWriter};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;

use super::INTERRUPTED;
use super::args::Output;
use super::failure::Failure;
use super::output::{Colours, say};
use super::watchdog::{Progress, WatchedWrites};
use crate::cancel;
use crate::event::{Event, Notice, ProbeDone, Used};
use crate::limits::LAST_WRITES;
use crate::session::{Control as _, ProbeStatus, Removed, Session};
use crate::signals::Signals;
use crate::sink::json::JsonSink;
use crate::sink::text::TextSink;
use crate::sink::{Begin, Clock, Sink};
use crate::visible::Visible;

/// Notices taken from the queue at a time.
const BATCH: usize = 1024;
/// Bytes written to stdout at a time.
const BUFFER: usize = 1 << 16;
/// Between two looks whether the writer is stuck.
const STUCK_LOOK: Duration = Duration::from_millis(20);
/// Signals that come so soon after the first are the same wish: `timeout` tells the process and
/// then its group, and a terminal's Ctrl-C may be passed on by a parent besides.
const SAME_WISH: Duration = Duration::from_millis(250);

/// When to end, beside the target's exit and a signal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Until {
    /// After this time.
    pub(super) time: Option<Duration>,
    /// After this many events.
    pub(super) events: Option<u64>,
    /// When all probes are done.
    pub(super) done: bool,
}

/// How lines are written.
#[derive(Clone, Debug)]
pub(super) struct Style {
    /// Text or JSON.
    pub(super) how: Output,
    /// Whether text is coloured.
    pub(super) colours: Colours,
    /// Whether text says of which process each event is.
    pub(super) processes: bool,
    /// How often what was added up is shown, beside the end.
    pub(super) every: Option<Duration>,
    /// For the times of text.
    pub(super) clock: Clock,
    /// What is written before anything else.
    pub(super) begin: Begin,
}

/// What was shown.
#[derive(Debug)]
pub(super) struct Shown {
    /// Probes with their last counters.
    pub(super) probes: Vec<ProbeStatus>,
    /// Events that were written.
    pub(super) events: u64,
    /// Events that came after the last one that was asked for.
    pub(super) beyond: u64,
    /// Events at least that could not be written, as stdout takes no more.
    pub(super) unwritten: Option<u64>,
}

/// Why it ends.
enum End {
    Signal,
    TargetExited(Option<i32>),
    /// As many events as were asked for.
    Enough,
    /// Nothing can come from any probe any more.
    AllDone,
    /// stdout takes no more; `None`: its reader is gone.
    Closed(Option<io::Error>),
    /// The writer has written everything.
    Written,
}

/// What ends it, signals among it from now on.
pub(super) struct Ends {
    ended: Sender<End>,
    ends: Receiver<End>,
    signals: Signals,
}

impl Ends {
    /// Listens for signals: to be called before anything is attached, so that one that comes
    /// meanwhile ends the session with its summary, too.
    pub(super) fn listen() -> Result<Self, Failure> {
        let (ended, ends) = mpsc::channel();
        let signals = listen(ended.clone())
            .map_err(|error| Failure::new(format!("cannot wait for signals: {error}")))?;
        Ok(Self {
            ended,
            ends,
            signals,
        })
    }
}

/// Shows events until something ends it; the probes are gone then.
pub(super) fn run(
    session: &Arc<Session>,
    style: Style,
    until: Until,
    ends: Ends,
    progress: &Arc<Progress>,
) -> Result<Shown, Failure> {
    let Ends {
        ended,
        ends,
        signals,
    } = ends;
    let finished = Arc::new(Finished::default());
    let writer = Writer {
        session: Arc::clone(session),
        sink: sink(&style, progress),
        progress: Arc::clone(progress),
        probes: Vec::new(),
        every: style.every,
        shown_events: Vec::new(),
        shown: Instant::now(),
        limit: until.events,
        ends_when_done: until.done,
        events: 0,
        beyond: 0,
        ended,
        closed: false,
        runtime: tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| Failure::new(format!("cannot wait for events: {error}")))?,
    };
    let of_writer = Arc::clone(&finished);
    let writer = thread::Builder::new()
        .name("writer".into())
        .spawn(move || writer.run(&style.begin, &of_writer))
        .map_err(|error| Failure::new(format!("cannot start a thread: {error}")))?;
    let end = wait(&ends, until.time);
    match &end {
        Some(End::TargetExited(Some(code))) => say!("the target exited with code {code}"),
        Some(End::TargetExited(None)) => say!("the target exited"),
        Some(End::AllDone) => say!("all probes are done"),
        _ => {}
    }
    progress.set_detaching(true);
    session.finish();
    progress.set_detaching(false);
    finished.tell();
    let mut closed = match end {
        Some(End::Closed(error)) => error,
        _ => None,
    };
    if !wait_written(&ends, progress, &mut closed) {
        return Ok(left_behind(session, progress));
    }
    let Ok(writer) = writer.join() else {
        return Err(Failure::new("the writer of events failed"));
    };
    drop(signals);
    match closed {
        Some(error) => Err(Failure::new(format!("cannot write to stdout: {error}"))),
        None => Ok(Shown {
            probes: writer.probes,
            events: writer.events,
            beyond: writer.beyond,
            unwritten: None,
        }),
    }
}

/// Waits for the writer's end; false when it is stuck and a signal has come.
fn wait_written(ends: &Receiver<End>, progress: &Progress, closed: &mut Option<io::Error>) -> bool {
    loop {
        match ends.recv_timeout(STUCK_LOOK) {
            Ok(End::Closed(Some(error))) => *closed = Some(error),
            Ok(End::Written) | Err(RecvTimeoutError::Disconnected) => return true,
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) if progress.is_stuck() => return false,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// What there is to say when the writer is stuck; its thread ends with the process.
fn left_behind(session: &Session, progress: &Progress) -> Shown {
    let unwritten = session.waiting_events() as u64 + progress.in_hand();
    session.drop_events();
    let removed = session.take_removed().into_iter().map(|gone| gone.status);
    Shown {
        probes: removed.chain(session.probes()).collect(),
        events: progress.written(),
        beyond: 0,
        unwritten: Some(unwritten),
    }
}

/// The first end that comes; `None` is the end of the time.
fn wait(ends: &Receiver<End>, time: Option<Duration>) -> Option<End> {
    match time {
        None => ends.recv().ok(),
        Some(time) => ends.recv_timeout(time).ok(),
    }
}

/// The first signal ends the session; a second one ends the process at once. The kernel takes the
/// probes out when our file descriptors go.
fn listen(ended: Sender<End>) -> io::Result<Signals> {
    let mut first: Option<Instant> = None;
    Signals::listen(move |_| {
        match first {
            None => first = Some(Instant::now()),
            Some(first) if first.elapsed() < SAME_WISH => return true,
            Some(_) => std::process::exit(INTERRUPTED.into()),
        }
        // Nobody listens any more when it ends already.
        let _ = ended.send(End::Signal);
        true
    })
}

fn sink(style: &Style, progress: &Arc<Progress>) -> Box<dyn Sink> {
    let watched = WatchedWrites {
        to: io::stdout(),
        progress: Arc::clone(progress),
    };
    let out = BufWriter::with_capacity(BUFFER, watched);
    match style.how {
        Output::Json => Box::new(JsonSink::new(out)),
        Output::Text | Output::Tui => {
            let sink = TextSink::new(out, style.clock.clone(), style.colours.stdout);
            Box::new(sink.with_processes(style.processes))
        }
    }
}

/// A signal has come, and the time for events is over.
fn is_late() -> bool {
    cancel::writing_since().is_some_and(|since| since > LAST_WRITES)
}

/// Nanoseconds since the Unix epoch.
pub(super) fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

/// Tells the writer that no more notices come.
#[derive(Default)]
struct Finished {
    flag: AtomicBool,
    notify: Notify,
}

impl Finished {
    fn tell(&self) {
        self.flag.store(true, Ordering::Release);
        self.notify.notify_one();
    }

    fn is_told(&self) -> bool {
        self.flag.load(Ordering::Acquire)
    }
}

/// What the thread that writes has.
struct Writer {
    session: Arc<Session>,
    sink: Box<dyn Sink>,
    progress: Arc<Progress>,
    /// In their last states, once everything is written.
    probes: Vec<ProbeStatus>,
    limit: Option<u64>,
    ends_when_done: bool,
    events: u64,
    beyond: u64,
    ended: Sender<End>,
    closed: bool,
    every: Option<Duration>,
    /// Events that were written: the session wants their room back.
    shown_events: Vec<Used>,
    /// When what was added up was shown last.
    shown: Instant,
    /// Waits for the session and for the end at once.
    runtime: tokio::runtime::Runtime,
}

impl Writer {
    fn run(mut self, begin: &Begin, finished: &Finished) -> Self {
        let written = self.sink.begin(begin);
        self.check(written);
        loop {
            // In this order: what came before the end is taken after the look at the flag.
            let last = finished.is_told();
            if is_late() {
                self.session.drop_events();
            }
            let notices = self.session.take_notices(BATCH);
            if notices.is_empty() {
                self.flush();
                if last {
                    self.finish();
                    return self;
                }
                self.wait(finished);
            }
            let is_event = |notice: &&Notice| matches!(notice, Notice::Event(_));
            self.progress.take(notices.iter().filter(is_event).count());
            for notice in notices {
                self.take(notice);
            }
            self.session.give_back(&mut self.shown_events);
            if self.until_aggregates() == Some(Duration::ZERO) {
                self.aggregates();
                self.flush();
            }
        }
    }

    fn wait(&self, finished: &Finished) {
        let ready = self.session.notices_ready();
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
                self.progress.done(written);
                self.shown_events.push(Used(event));
            }
            Notice::Warning(text) => say!("warning: {}", Visible(&text)),
            Notice::Limited(limited) => {
                say!("note: {}", Visible(&limited.to_string()));
                let written = self.sink.limited(&limited);
                self.check(written);
            }
            Notice::Done(done) => self.done(&done),
            Notice::TargetExited(code) => self.end(End::TargetExited(code)),
        }
    }

    fn done(&mut self, done: &ProbeDone) {
        say!("note: {}", Visible(&done.to_string()));
        let written = self.sink.done(done);
        self.check(written);
        if self.ends_when_done && self.session.is_done() {
            self.end(End::AllDone);
        }
    }

    /// False when it is not written.
    fn event(&mut self, event: &Event) -> bool {
        if self.limit.is_some_and(|limit| self.events >= limit) {
            self.beyond += 1;
            return false;
        }
        if is_late() {
            self.session.count_unshown(event);
            return false;
        }
        let written = self.sink.event(event);
        self.events += 1;
        self.check(written);
        if self.limit == Some(self.events) {
            self.flush();
            self.end(End::Enough);
        }
        true
    }

    /// Writes what is said at the end, when no more notices come.
    fn finish(&mut self) {
        let removed = self.removed();
        self.aggregates();
        let probes = removed.into_iter().chain(self.session.probes());
        self.probes = probes.collect();
        self.summaries();
        self.end(End::Written);
    }

    fn flush(&mut self) {
        let flushed = self.sink.flush();
        self.check(flushed);
    }

    /// Ends when stdout takes no more; quietly when its reader is gone.
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
        // Nobody listens any more when it ends already.
        let _ = self.ended.send(end);
    }

    /// Time until what was added up is to be shown again.
    fn until_aggregates(&self) -> Option<Duration> {
        let every = self.every?;
        Some(every.saturating_sub(self.shown.elapsed()))
    }

    /// Writes what probes have added up.
    fn aggregates(&mut self) {
        self.shown = Instant::now();
        let now = now_ns();
        for aggregate in self.session.aggregates() {
            let written = self.sink.aggregate(&aggregate, now);
            self.check(written);
        }
    }

    /// Writes what probes had added up that were removed, and gives their last states.
    fn removed(&mut self) -> Vec<ProbeStatus> {
        let now = now_ns();
        let mut probes = Vec::new();
        for Removed { status, aggregate } in self.session.take_removed() {
            if let Some(aggregate) = aggregate {
                let written = self.sink.aggregate(&aggregate, now);
                self.check(written);
            }
            probes.push(status);
        }
        probes
    }

    fn summaries(&mut self) {
        let probes = std::mem::take(&mut self.probes);
        for probe in &probes {
            let written = self.sink.summary(probe);
            self.check(written);
        }
        self.probes = probes;
        if let Some(followed) = self.session.followed() {
            let written = self.sink.followed(&followed);
            self.check(written);
        }
        self.flush();
    }
}
