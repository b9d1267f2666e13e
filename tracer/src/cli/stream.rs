//! Text and JSON: events to stdout as they come, until something ends it.
//!
//! Three threads: the session's reader fills a bounded queue; one here writes
//! what is in it; the one that called waits for the end. So a pipe that nobody
//! reads blocks neither the reading of the ring nor the taking of the probes out.

use std::io::{self, BufWriter};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use jiff::tz::TimeZone;
use tokio::sync::Notify;

use super::args::Output;
use super::failure::Failure;
use super::output::{Colours, say};
use crate::event::{Notice, Used};
use crate::session::{Control as _, ProbeStatus, Removed, Session};
use crate::signals::Signals;
use crate::sink::Sink;
use crate::sink::json::JsonSink;
use crate::sink::text::TextSink;
use crate::visible::Visible;

/// Notices taken from the queue at a time.
const BATCH: usize = 1024;
/// Bytes written to stdout at a time.
const BUFFER: usize = 1 << 16;
/// Exit code of a second Ctrl-C, which waits for nothing.
const INTERRUPTED: i32 = 130;
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
}

/// How lines are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Text or JSON.
    pub(super) how: Output,
    /// Whether text is coloured.
    pub(super) colours: Colours,
    /// Whether text says of which process each event is.
    pub(super) processes: bool,
    /// How often what was added up is shown, beside the end.
    pub(super) every: Option<Duration>,
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
}

/// Why it ends.
enum End {
    Signal,
    TargetExited(Option<i32>),
    /// As many events as were asked for.
    Enough,
    /// stdout takes no more; `None`: its reader is gone.
    Closed(Option<io::Error>),
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
) -> Result<Shown, Failure> {
    let Ends {
        ended,
        ends,
        signals,
    } = ends;
    let finished = Arc::new(Finished::default());
    let writer = Writer {
        session: Arc::clone(session),
        sink: sink(style),
        every: style.every,
        shown_events: Vec::new(),
        shown: Instant::now(),
        limit: until.events,
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
        .spawn(move || writer.run(&of_writer))
        .map_err(|error| Failure::new(format!("cannot start a thread: {error}")))?;
    let end = wait(&ends, until.time);
    match &end {
        Some(End::TargetExited(Some(code))) => say!("the target exited with code {code}"),
        Some(End::TargetExited(None)) => say!("the target exited"),
        _ => {}
    }
    let probes = session.finish();
    finished.tell();
    let Ok(mut writer) = writer.join() else {
        return Err(Failure::new("the writer of events failed"));
    };
    drop(signals);
    let removed = writer.removed();
    writer.aggregates();
    let probes: Vec<ProbeStatus> = removed.into_iter().chain(probes).collect();
    writer.summaries(&probes);
    let closed = match end {
        Some(End::Closed(error)) => error,
        _ => None,
    };
    match closed.or_else(|| failure_among(&ends)) {
        Some(error) => Err(Failure::new(format!("cannot write to stdout: {error}"))),
        None => Ok(Shown {
            probes,
            events: writer.events,
            beyond: writer.beyond,
        }),
    }
}

fn failure_among(ends: &Receiver<End>) -> Option<io::Error> {
    ends.try_iter().find_map(|end| match end {
        End::Closed(error) => error,
        _ => None,
    })
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
            Some(_) => std::process::exit(INTERRUPTED),
        }
        // Nobody listens any more when it ends already.
        let _ = ended.send(End::Signal);
        true
    })
}

fn sink(style: Style) -> Box<dyn Sink> {
    let out = BufWriter::with_capacity(BUFFER, io::stdout());
    match style.how {
        Output::Json => Box::new(JsonSink::new(out)),
        Output::Text | Output::Tui => {
            let sink = TextSink::new(out, TimeZone::system(), style.colours.stdout);
            Box::new(sink.with_processes(style.processes))
        }
    }
}

/// Nanoseconds since the Unix epoch.
fn now_ns() -> u64 {
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
    limit: Option<u64>,
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
    fn run(mut self, finished: &Finished) -> Self {
        loop {
            // In this order: what came before the end is taken after the look at the flag.
            let last = finished.is_told();
            let notices = self.session.take_notices(BATCH);
            if notices.is_empty() {
                self.flush();
                if last {
                    return self;
                }
                self.wait(finished);
            }
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
            Notice::Event(_) if self.limit.is_some_and(|limit| self.events >= limit) => {
                self.beyond += 1;
            }
            Notice::Event(event) => {
                let written = self.sink.event(&event);
                self.shown_events.push(Used(event));
                self.events += 1;
                self.check(written);
                if self.limit == Some(self.events) {
                    self.flush();
                    self.end(End::Enough);
                }
            }
            Notice::Warning(text) => say!("warning: {}", Visible(&text)),
            Notice::TargetExited(code) => self.end(End::TargetExited(code)),
        }
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

    fn summaries(&mut self, probes: &[ProbeStatus]) {
        for probe in probes {
            let written = self.sink.summary(probe);
            self.check(written);
        }
        if let Some(followed) = self.session.followed() {
            let written = self.sink.followed(&followed);
            self.check(written);
        }
        self.flush();
    }
}
