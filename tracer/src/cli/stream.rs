//! All outputs but the terminal UI: writes events to stdout as they come, until an end condition holds.
//!
//! There are three threads. The session's reader fills a bounded queue, a thread of this module
//! writes the queue's events, and the caller's thread waits for the end. So a pipe that nobody
//! reads blocks neither the draining of the ring nor the removal of the probes. After a signal the
//! writer has [`crate::base::limits::LAST_WRITES`] for events, and is left behind when a write does not end.

use std::io::{self, BufWriter};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::INTERRUPTED;
use super::args::Output;
use super::failure::CommandFailure;
use super::output::{Colours, say};
use super::outputs::{SessionLines, Telemetry};
use super::watchdog::{Progress, WatchedWrites};
use super::writer::{End, EventWriter, Finished, Writing};
use crate::actions::{self, ActionSites};
use crate::base::signals::{self, Signals};
use crate::session::{Control, ProbeStatus};
use crate::sink::json::JsonSink;
use crate::sink::nothing::NoSink;
use crate::sink::otel::console::ConsoleSink;
use crate::sink::text::TextSink;
use crate::sink::{Begin, Clock, Sink};

/// Bytes written to stdout at a time.
const BUFFER: usize = 1 << 16;
/// Between two looks whether the writer is stuck.
const STUCK_LOOK: Duration = Duration::from_millis(20);
/// Signals that come so soon after the first are the same wish: `timeout` tells the process and
/// then its group, and a terminal's Ctrl-C may be passed on by a parent besides.
const SAME_WISH: Duration = Duration::from_millis(250);

/// End conditions besides the target's exit and a signal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Until {
    /// After this time.
    pub(super) time: Option<Duration>,
    /// After this many events.
    pub(super) events: Option<u64>,
    /// When all probes are done.
    pub(super) done: bool,
}

/// Options for writing lines.
#[derive(Clone, Debug)]
pub(super) struct Style {
    /// The form of the lines.
    pub(super) how: Output,
    /// Use of colours in text.
    pub(super) colours: Colours,
    /// stdout belongs to a program that the tracer has started.
    pub(super) to_stderr: bool,
    /// List the processes in the summaries.
    pub(super) per_process: bool,
    /// Show the process of each event in text.
    pub(super) processes: bool,
    /// Interval at which aggregates are shown, besides the end.
    pub(super) every: Option<Duration>,
    /// For the times of text.
    pub(super) clock: Clock,
    /// The target, the start time and the probes, which are written first.
    pub(super) begin: Begin,
}

/// The number of shown events, and the end.
#[derive(Debug)]
pub(super) struct ShownEvents {
    /// Probes with their last counters.
    pub(super) probes: Vec<ProbeStatus>,
    /// Events that were written.
    pub(super) events: u64,
    /// Events that came after the last requested one.
    pub(super) beyond: u64,
    /// Events at least that could not be written, as stdout takes no more.
    pub(super) unwritten: Option<u64>,
}

/// The events that end the stream, including signals from now on.
pub(super) struct Ends {
    ended: Sender<End>,
    ends: Receiver<End>,
    signals: Signals,
}

impl Ends {
    /// Listens for signals: to be called before anything is attached, so that one that comes
    /// meanwhile ends the session with its summary, too.
    pub(super) fn listen() -> Result<Self, CommandFailure> {
        let (ended, ends) = mpsc::channel();
        let signals = listen(ended.clone())
            .map_err(|error| CommandFailure::new(format!("cannot wait for signals: {error}")))?;
        Ok(Self {
            ended,
            ends,
            signals,
        })
    }
}

/// Shows events until an end condition holds. The probes are removed by then.
pub(super) fn run(
    session: &Arc<dyn Control>,
    style: Style,
    until: Until,
    ends: Ends,
    progress: &Arc<Progress>,
    telemetry: Telemetry,
) -> Result<ShownEvents, CommandFailure> {
    let Ends {
        ended,
        ends,
        signals,
    } = ends;
    let finished = Arc::new(Finished::default());
    let writing = Writing {
        session: Arc::clone(session),
        sink: sink(session, &style, progress)?,
        progress: Arc::clone(progress),
        every: style.every,
        limit: until.events,
        ends_when_done: until.done,
        says: true,
        ended,
    };
    let writer = EventWriter::start("writer", writing, style.begin, Arc::clone(&finished))?;
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
    // The writer goes on meanwhile.
    telemetry.end(progress);
    finished.tell();
    let mut closed = match end {
        Some(End::Closed(error)) => error,
        _ => None,
    };
    if !wait_written(&ends, progress, &mut closed) {
        return Ok(left_behind(&**session, progress));
    }
    let Ok(writer) = writer.join() else {
        return Err(CommandFailure::new("the writer of events failed"));
    };
    drop(signals);
    match closed {
        Some(error) => Err(CommandFailure::new(format!(
            "cannot write to stdout: {error}"
        ))),
        None => Ok(ShownEvents {
            probes: writer.probes,
            events: writer.events,
            beyond: writer.beyond,
            unwritten: None,
        }),
    }
}

/// Waits for a writer's end. Returns false if it is stuck and a signal has come.
pub(super) fn wait_written(
    ends: &Receiver<End>,
    progress: &Progress,
    closed: &mut Option<io::Error>,
) -> bool {
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

/// The notes on a stuck writer. Its thread ends with the process.
fn left_behind(session: &dyn Control, progress: &Progress) -> ShownEvents {
    let unwritten = session.waiting_events() as u64 + progress.in_hand();
    session.drop_events();
    let removed = session.take_removed().into_iter().map(|gone| gone.status);
    ShownEvents {
        probes: removed.chain(session.probes()).collect(),
        events: progress.written(),
        beyond: 0,
        unwritten: Some(unwritten),
    }
}

/// Waits for the first end. `None` if the time is up.
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
        if signals::are_diverted() {
            return true;
        }
        match first {
            None => first = Some(Instant::now()),
            Some(first) if first.elapsed() < SAME_WISH => return true,
            Some(_) => std::process::exit(INTERRUPTED.into()),
        }
        // The receiver is gone if the stream has ended.
        let _ = ended.send(End::Signal);
        true
    })
}

fn sink(
    session: &Arc<dyn Control>,
    style: &Style,
    progress: &Arc<Progress>,
) -> Result<Box<dyn Sink>, CommandFailure> {
    let to: Box<dyn io::Write + Send> = match style.to_stderr {
        false => Box::new(io::stdout()),
        true => Box::new(io::stderr()),
    };
    let watched = WatchedWrites {
        to,
        progress: Arc::clone(progress),
    };
    let colour = match style.to_stderr {
        false => style.colours.stdout,
        true => style.colours.stderr,
    };
    let out = BufWriter::with_capacity(BUFFER, watched);
    Ok(match style.how {
        Output::OtelConsole => Box::new(ConsoleSink::new(out)?),
        Output::Nothing => Box::new(NoSink),
        Output::Json => Box::new(JsonSink::new(out).with_processes(style.per_process)),
        Output::Text | Output::Tui => {
            let sink = TextSink::new(out, style.clock.clone(), colour);
            let sink = sink.with_processes(style.processes);
            let mut texts = SessionLines::new(Arc::clone(session));
            let traces = style.begin.probes.iter().filter(|probe| has_steps(probe));
            traces.for_each(|probe| texts.expect(&probe.file));
            Box::new(sink.with_line_texts(Box::new(texts)))
        }
    })
}

/// Returns true if the events of a probe are steps, whose source lines are shown.
fn has_steps(probe: &ProbeStatus) -> bool {
    let spec = actions::parse_probe(&probe.text);
    spec.is_ok_and(|spec| spec.action.kind().sites() == ActionSites::Calls)
}
