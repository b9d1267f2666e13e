//! Perfetto's trace: packets of protobuf, for <https://ui.perfetto.dev> and Perfetto's trace processor.
//!
//! Packets need not be in the order of their times, so each event is written as it comes. Tracks have hashes as
//! their ids, so one may be described twice.

mod annotations;
pub(super) mod messages;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Write};

use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};

use super::lanes::{Interval, Lane, Lanes};
use super::limits::KNOWN_TRACKS;
use super::step_frames::{EndedFrame, LastFrames, StepFrames};
use super::{PlottedNumber, number, title};
use crate::event::{Event, SpanEvent, Stack, TargetStatus};
use crate::sink::{Begin, Sink};

use annotations::annotations;
use messages::{
    ClockReading, ClockSnapshot, CounterDescriptor, InlineCallstack, InlineFrame,
    ProcessDescriptor, ThreadDescriptor, TracePacket, TrackDescriptor, TrackEvent, TrackEventKind,
};

/// `BUILTIN_CLOCK_REALTIME`: ns since the Unix epoch.
const REALTIME: u32 = 1;
/// The field of packets in a trace.
const PACKET: u32 = 1;
/// The only sequence of packets.
const SEQUENCE: u32 = 1;
/// `SEQ_INCREMENTAL_STATE_CLEARED`: the sequence begins.
const BEGINS: u32 = 1;

/// Writes events as they come.
pub(super) struct PerfettoSink<W> {
    out: W,
    lanes: Lanes,
    steps: StepFrames,
    /// Tracks that are described, by id and name.
    known: HashSet<(u64, String)>,
    packet: Vec<u8>,
}

/// The subject of a track.
#[derive(Hash)]
enum TrackKey<'k> {
    Process(u32),
    Thread(u32, u32),
    Lane(u32, u32, usize),
    Span(u64),
    Counter(u32, &'k str),
}

impl TrackKey<'_> {
    /// Its id: the same each time, and never 0, which is the trace itself.
    fn uuid(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish().max(1)
    }
}

impl<W: Write + Send> PerfettoSink<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            lanes: Lanes::default(),
            steps: StepFrames::default(),
            known: HashSet::new(),
            packet: Vec::new(),
        }
    }

    fn packet(&mut self, packet: &TracePacket) -> io::Result<()> {
        self.packet.clear();
        encode_key(PACKET, WireType::LengthDelimited, &mut self.packet);
        encode_varint(packet.encoded_len() as u64, &mut self.packet);
        packet.encode_raw(&mut self.packet);
        self.out.write_all(&self.packet)
    }

    fn track_event(
        &mut self,
        time_ns: u64,
        kind: TrackEventKind,
        event: TrackEvent,
    ) -> io::Result<()> {
        self.packet(&TracePacket {
            timestamp: Some(time_ns),
            timestamp_clock_id: Some(REALTIME),
            trusted_packet_sequence_id: Some(SEQUENCE),
            track_event: Some(TrackEvent {
                r#type: Some(kind as i32),
                ..event
            }),
            ..TracePacket::default()
        })
    }

    /// Describes a track, unless it is known by this name.
    fn track(&mut self, name: &str, track: TrackDescriptor) -> io::Result<()> {
        let key = (track.uuid.unwrap_or_default(), name.to_owned());
        if self.known.contains(&key) {
            return Ok(());
        }
        if self.known.len() >= KNOWN_TRACKS {
            self.known.clear();
        }
        self.known.insert(key);
        self.packet(&TracePacket {
            trusted_packet_sequence_id: Some(SEQUENCE),
            track_descriptor: Some(track),
            ..TracePacket::default()
        })
    }

    fn process(&mut self, pid: u32, name: &str) -> io::Result<u64> {
        let uuid = TrackKey::Process(pid).uuid();
        let process = ProcessDescriptor {
            pid: i32::try_from(pid).ok(),
            process_name: (!name.is_empty()).then(|| name.to_owned()),
        };
        let track = TrackDescriptor {
            uuid: Some(uuid),
            process: Some(process),
            ..TrackDescriptor::default()
        };
        self.track(name, track)?;
        Ok(uuid)
    }

    fn thread(&mut self, event: &Event) -> io::Result<u64> {
        let uuid = TrackKey::Thread(event.pid, event.tid).uuid();
        let thread = ThreadDescriptor {
            pid: i32::try_from(event.pid).ok(),
            tid: Some(event.tid.into()),
            thread_name: Some(event.thread.clone()),
        };
        let track = TrackDescriptor {
            uuid: Some(uuid),
            thread: Some(thread),
            ..TrackDescriptor::default()
        };
        self.track(&event.thread, track)?;
        Ok(uuid)
    }

    /// A track for spans that overlap those of the thread's own.
    fn overlapping(&mut self, event: &Event, key: &TrackKey<'_>, thread: u64) -> io::Result<u64> {
        let uuid = key.uuid();
        let name = format!("overlapping spans of {}", event.thread);
        let track = TrackDescriptor {
            uuid: Some(uuid),
            parent_uuid: Some(thread),
            name: Some(name.clone()),
            ..TrackDescriptor::default()
        };
        self.track(&name, track)?;
        Ok(uuid)
    }

    fn span(&mut self, event: &Event, span: &SpanEvent, thread: u64) -> io::Result<()> {
        let interval = Interval {
            start: span.start_ns,
            end: span.start_ns.saturating_add(span.duration_ns),
        };
        let begins = TrackEvent {
            name: Some(span.name.clone()),
            debug_annotations: annotations(event),
            callstack: callstack(&event.stack),
            ..TrackEvent::default()
        };
        let alone = TrackKey::Span(span.ids.span.0.get());
        self.slice(event, interval, thread, &alone, begins)
    }

    /// Frames of a traced call that have ended.
    fn frames(&mut self, event: &Event, thread: u64, ended: Vec<EndedFrame>) -> io::Result<()> {
        for EndedFrame {
            function,
            interval,
            unfinished,
        } in ended
        {
            let begins = TrackEvent {
                name: Some(function),
                debug_annotations: unfinished
                    .map(annotations::unfinished)
                    .into_iter()
                    .collect(),
                ..TrackEvent::default()
            };
            let alone = TrackKey::Span(interval.start);
            self.slice(event, interval, thread, &alone, begins)?;
        }
        Ok(())
    }

    /// A slice on its thread's track, or beside it if it overlaps others. `alone` is its track if there are too
    /// many of them.
    fn slice(
        &mut self,
        event: &Event,
        interval: Interval,
        thread: u64,
        alone: &TrackKey<'_>,
        begins: TrackEvent,
    ) -> io::Result<()> {
        let Event { pid, tid, .. } = *event;
        let track = match self.lanes.of(pid, tid, interval) {
            Lane::Thread => thread,
            Lane::Beside(number) => {
                let key = TrackKey::Lane(pid, tid, number);
                self.overlapping(event, &key, thread)?
            }
            Lane::Alone => self.overlapping(event, alone, thread)?,
        };
        let begins = TrackEvent {
            categories: vec![event.origin.action.to_owned()],
            track_uuid: Some(track),
            ..begins
        };
        self.track_event(interval.start, TrackEventKind::SliceBegin, begins)?;
        let ends = TrackEvent {
            track_uuid: Some(track),
            ..TrackEvent::default()
        };
        self.track_event(interval.end, TrackEventKind::SliceEnd, ends)
    }

    /// Writes each number of an event on its counter track.
    fn counters(&mut self, event: &Event) -> io::Result<()> {
        for named in &event.values {
            let Some(number) = number(&named.value) else {
                continue;
            };
            let name = format!("{}.{}", event.origin.probe_name, named.expr);
            let uuid = TrackKey::Counter(event.pid, &name).uuid();
            let track = TrackDescriptor {
                uuid: Some(uuid),
                parent_uuid: Some(TrackKey::Process(event.pid).uuid()),
                name: Some(name.clone()),
                counter: Some(CounterDescriptor {}),
                ..TrackDescriptor::default()
            };
            self.track(&name, track)?;
            let mut value = TrackEvent {
                track_uuid: Some(uuid),
                ..TrackEvent::default()
            };
            match number {
                PlottedNumber::Integer(number) => value.counter_value = Some(number),
                PlottedNumber::Double(number) => value.double_counter_value = Some(number),
            }
            self.track_event(event.time_ns, TrackEventKind::Counter, value)?;
        }
        Ok(())
    }
}

/// The frames of a stack, the outermost first. `None` without any.
fn callstack(stack: &Stack) -> Option<InlineCallstack> {
    let frames = stack.frames.iter().rev().map(|frame| InlineFrame {
        function_name: match &frame.function {
            Some(function) => Some(function.clone()),
            None => Some(format!("{:#x}", frame.address)),
        },
        source_file: frame
            .file
            .as_ref()
            .map(|file| file.to_string_lossy().into_owned()),
        line_number: frame.line.and_then(|line| u32::try_from(line).ok()),
    });
    (!stack.frames.is_empty()).then(|| InlineCallstack {
        frames: frames.collect(),
    })
}

impl<W: Write + Send> Sink for PerfettoSink<W> {
    fn begin(&mut self, session: &Begin) -> io::Result<()> {
        let clock = ClockReading {
            clock_id: Some(REALTIME),
            timestamp: Some(session.time_ns),
        };
        self.packet(&TracePacket {
            timestamp: Some(session.time_ns),
            timestamp_clock_id: Some(REALTIME),
            trusted_packet_sequence_id: Some(SEQUENCE),
            sequence_flags: Some(BEGINS),
            clock_snapshot: Some(ClockSnapshot {
                clocks: vec![clock],
                primary_trace_clock: Some(REALTIME.cast_signed()),
            }),
            ..TracePacket::default()
        })?;
        for target in &session.targets {
            let name = target.exe.file_name().unwrap_or_default();
            self.process(target.pid, &name.to_string_lossy())?;
        }
        Ok(())
    }

    fn came(&mut self, target: &TargetStatus) -> io::Result<()> {
        self.process(target.pid, &target.program)?;
        Ok(())
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        let thread = self.thread(event)?;
        if let Some(span) = &event.span {
            return self.span(event, span, thread);
        }
        if let Some(step) = &event.step {
            let ended = self.steps.advance(event, step);
            self.frames(event, thread, ended)?;
        }
        let instant = TrackEvent {
            categories: vec![event.origin.action.to_owned()],
            name: Some(title(event)),
            track_uuid: Some(thread),
            debug_annotations: annotations(event),
            callstack: callstack(&event.stack),
            ..TrackEvent::default()
        };
        self.track_event(event.time_ns, TrackEventKind::Instant, instant)?;
        self.counters(event)
    }

    fn finish(&mut self) -> io::Result<()> {
        for LastFrames { event, frames, .. } in self.steps.finish() {
            let thread = self.thread(&event)?;
            self.frames(&event, thread, frames)?;
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
