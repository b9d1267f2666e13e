//! The Trace Event Format: JSON that Perfetto's UI, `chrome://tracing` and speedscope read.
//!
//! Times are in µs since the session began: as a double, a time since the epoch would lose its nanoseconds.

use std::collections::HashSet;
use std::io::{self, Write};

use serde::Serialize;
use serde::ser::SerializeMap as _;
use serde_json::value::RawValue;

use super::lanes::{Interval, Lane, Lanes};
use super::limits::KNOWN_TRACKS;
use super::step_frames::{EndedFrame, LastFrames, StepFrames};
use crate::event::{
    Event, NamedValue, SpanContext, SpanEvent, SpanIds, SpanStatus, StepEvent, TargetStatus,
};
use crate::sink::json::{AccessLine, Frames, write_object};
use crate::sink::stamp::Stamp;
use crate::sink::{Begin, Sink};

/// Writes events as they come.
pub(super) struct ChromeSink<W> {
    out: W,
    began_ns: u64,
    lanes: Lanes,
    steps: StepFrames,
    /// Threads whose name is written.
    threads: HashSet<(u32, u32, String)>,
    /// A line is written, so a comma comes before the next.
    has_lines: bool,
}

impl<W: Write + Send> ChromeSink<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            began_ns: 0,
            lanes: Lanes::default(),
            steps: StepFrames::default(),
            threads: HashSet::new(),
            has_lines: false,
        }
    }

    fn line(&mut self, line: &TraceLine<'_>) -> io::Result<()> {
        if std::mem::replace(&mut self.has_lines, true) {
            self.out.write_all(b",")?;
        }
        write_object(&mut self.out, line)
    }

    fn process(&mut self, pid: u32, name: &str) -> io::Result<()> {
        self.line(&TraceLine {
            args: LineArgs::Name { name },
            ..TraceLine::new("M", "process_name", pid)
        })
    }

    fn thread(&mut self, event: &Event) -> io::Result<()> {
        let key = (event.pid, event.tid, event.thread.clone());
        if self.threads.contains(&key) {
            return Ok(());
        }
        if self.threads.len() >= KNOWN_TRACKS {
            self.threads.clear();
        }
        self.threads.insert(key);
        self.line(&TraceLine {
            tid: Some(event.tid),
            args: LineArgs::Name {
                name: &event.thread,
            },
            ..TraceLine::new("M", "thread_name", event.pid)
        })
    }

    /// µs since the session began, as a JSON number.
    fn time(&self, time_ns: u64) -> io::Result<Box<RawValue>> {
        let sign = if time_ns < self.began_ns { "-" } else { "" };
        let distance = time_ns.abs_diff(self.began_ns);
        micros(sign, distance)
    }

    fn span(&mut self, event: &Event, span: &SpanEvent) -> io::Result<()> {
        let interval = Interval {
            start: span.start_ns,
            end: span.start_ns.saturating_add(span.duration_ns),
        };
        let line = TraceLine {
            cat: Some("span"),
            args: LineArgs::Event(event),
            ..TraceLine::new("X", &span.name, event.pid)
        };
        self.slice(event.tid, interval, &span.ids.span.to_string(), line)
    }

    /// Frames of a traced call that have ended.
    fn frames(&mut self, event: &Event, call: u64, ended: Vec<EndedFrame>) -> io::Result<()> {
        for frame in ended {
            let args = match frame.unfinished {
                Some(unfinished) => LineArgs::Frame { unfinished },
                None => LineArgs::None,
            };
            let line = TraceLine {
                cat: Some("trace"),
                args,
                ..TraceLine::new("X", &frame.function, event.pid)
            };
            let interval = frame.interval;
            let id = format!("{}-{call}-{}", event.tid, interval.start);
            self.slice(event.tid, interval, &id, line)?;
        }
        Ok(())
    }

    /// An interval on the track of its thread, or by its id beside it if it overlaps others.
    fn slice(
        &mut self,
        tid: u32,
        interval: Interval,
        id: &str,
        line: TraceLine<'_>,
    ) -> io::Result<()> {
        let lane = self.lanes.of(line.pid, tid, interval);
        let start = self.time(interval.start)?;
        let line = TraceLine {
            tid: Some(tid),
            ts: Some(&start),
            ..line
        };
        if lane == Lane::Thread {
            let duration = micros("", interval.end.saturating_sub(interval.start))?;
            let dur = Some(&*duration);
            return self.line(&TraceLine { dur, ..line });
        }
        // Complete events that overlap would be shown as if they were nested.
        let id = Some(id);
        let end = self.time(interval.end)?;
        let begins = TraceLine {
            ph: "b",
            id,
            ..line
        };
        self.line(&begins)?;
        self.line(&TraceLine {
            ph: "e",
            id,
            ts: Some(&end),
            args: LineArgs::None,
            ..begins
        })
    }

    /// Writes each number of an event as a value of its counter.
    fn counters(&mut self, event: &Event) -> io::Result<()> {
        for named in &event.values {
            let Some(value) = super::number(&named.value) else {
                continue;
            };
            let name = format!("{}.{}", event.origin.probe_name, named.expr);
            let time = self.time(event.time_ns)?;
            self.line(&TraceLine {
                ts: Some(&time),
                args: LineArgs::Counter { value },
                ..TraceLine::new("C", &name, event.pid)
            })?;
        }
        Ok(())
    }
}

fn micros(sign: &str, ns: u64) -> io::Result<Box<RawValue>> {
    let text = format!("{sign}{}.{:03}", ns / 1000, ns % 1000);
    Ok(RawValue::from_string(text)?)
}

/// An event of the format.
#[derive(Serialize)]
struct TraceLine<'l> {
    ph: &'static str,
    name: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cat: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'l str>,
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    tid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<&'l RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<&'l RawValue>,
    /// The scope of an instant: `t`, the thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<&'static str>,
    #[serde(skip_serializing_if = "LineArgs::is_none")]
    args: LineArgs<'l>,
}

impl<'l> TraceLine<'l> {
    const fn new(ph: &'static str, name: &'l str, pid: u32) -> Self {
        Self {
            ph,
            name,
            cat: None,
            id: None,
            pid,
            tid: None,
            ts: None,
            dur: None,
            s: None,
            args: LineArgs::None,
        }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum LineArgs<'l> {
    None,
    Name {
        name: &'l str,
    },
    Counter {
        value: super::PlottedNumber,
    },
    Frame {
        unfinished: &'static str,
    },
    #[serde(serialize_with = "event_args")]
    Event(&'l Event),
}

impl LineArgs<'_> {
    const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

/// The values of an event, and the rest as `tracer`.
fn event_args<S: serde::Serializer>(event: &Event, out: S) -> Result<S::Ok, S::Error> {
    let attributes = event.span.iter().flat_map(|span| &span.attributes);
    let values: Vec<&NamedValue> = event.values.iter().chain(attributes).collect();
    let mut map = out.serialize_map(None)?;
    for (at, named) in values.iter().enumerate() {
        let is_there = |other: &&NamedValue| other.expr == named.expr;
        if !values.iter().take(at).any(is_there) {
            map.serialize_entry(&*super::argument(&named.expr), &named.value)?;
        }
    }
    map.serialize_entry("tracer", &About::of(event))?;
    map.end()
}

/// The part of an event that is not a value.
#[derive(Serialize)]
struct About<'e> {
    probe: &'e str,
    place: String,
    function: &'e str,
    hit: u64,
    message: &'e str,
    #[serde(skip_serializing_if = "is_zero")]
    limited: u64,
    #[serde(skip_serializing_if = "is_zero")]
    lost: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<Frames<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack_stopped: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_unknown: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'e str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'e [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'e StepEvent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<AccessLine<'e>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl<'e> About<'e> {
    fn of(event: &'e Event) -> Self {
        let span = event.span.as_deref();
        let ids: Option<SpanIds> = span.map(|span| span.ids).or(event.context.ids());
        let frames = &event.stack.frames;
        Self {
            probe: &event.origin.probe_name,
            place: event.origin.place().into_owned(),
            function: &event.origin.function,
            hit: event.hit,
            message: &event.message,
            limited: event.left_out.limited,
            lost: event.left_out.lost,
            stack: (!frames.is_empty()).then_some(Frames(frames)),
            stack_stopped: event.stack.stopped.as_deref(),
            trace_id: ids.map(|ids| ids.trace.to_string()),
            span_id: ids.map(|ids| ids.span.to_string()),
            parent_span_id: span
                .and_then(|span| span.parent)
                .map(|parent| parent.to_string()),
            span_unknown: match &event.context {
                SpanContext::Unknown(why) => Some(why),
                _ => None,
            },
            error: span.and_then(|span| match &span.status {
                SpanStatus::Unset => None,
                SpanStatus::Error(text) => Some(text.as_str()),
            }),
            notes: span.map_or(&[], |span| span.notes.as_slice()),
            step: event.step.as_deref(),
            access: event.access.as_deref().map(AccessLine::of),
        }
    }
}

impl<W: Write + Send> Sink for ChromeSink<W> {
    fn begin(&mut self, session: &Begin) -> io::Result<()> {
        #[derive(Serialize)]
        struct OtherData<'e> {
            tracer: &'static str,
            start: String,
            probes: Vec<(&'e str, &'e str)>,
        }
        self.began_ns = session.time_ns;
        let mut stamp = Stamp::utc();
        let (second, nanoseconds) = stamp.of(session.time_ns);
        let probes = session.probes.iter();
        self.out
            .write_all(br#"{"displayTimeUnit":"ns","otherData":"#)?;
        write_object(
            &mut self.out,
            &OtherData {
                tracer: env!("CARGO_PKG_VERSION"),
                start: format!("{second}.{nanoseconds:09}Z"),
                probes: probes.map(|probe| (&*probe.name, &*probe.text)).collect(),
            },
        )?;
        self.out.write_all(b",\"traceEvents\":[\n")?;
        for target in &session.targets {
            let name = target.exe.file_name().unwrap_or_default();
            self.process(target.pid, &name.to_string_lossy())?;
        }
        Ok(())
    }

    fn came(&mut self, target: &TargetStatus) -> io::Result<()> {
        self.process(target.pid, &target.program)
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.thread(event)?;
        if let Some(span) = &event.span {
            return self.span(event, span);
        }
        if let Some(step) = &event.step {
            let ended = self.steps.advance(event, step);
            self.frames(event, step.call, ended)?;
        }
        let name = super::title(event);
        let time = self.time(event.time_ns)?;
        self.line(&TraceLine {
            cat: Some(event.origin.action),
            tid: Some(event.tid),
            ts: Some(&time),
            s: Some("t"),
            args: LineArgs::Event(event),
            ..TraceLine::new("i", &name, event.pid)
        })?;
        self.counters(event)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        for LastFrames {
            event,
            call,
            frames,
        } in self.steps.finish()
        {
            self.frames(&event, call, frames)?;
        }
        self.out.write_all(b"]}\n")?;
        self.out.flush()
    }
}
