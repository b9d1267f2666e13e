use std::fs::OpenOptions;
use std::io::{Seek as _, SeekFrom, Write as _};

use tempfile::NamedTempFile;

use super::made::{TIME, begin, event, nested, span, text, unavailable};
use super::*;
use crate::event::{
    Aggregate, AggregateBody, Done, DoneReason, LeftOut, ProbeDone, ProbeId, ProbeLimited,
};
use crate::session::FollowedProcesses;
use crate::sink::Sink as _;
use crate::sink::export::replay;
use crate::sink::export::spool::Spool;
use crate::sink::json::JsonSink;
use crate::sink::recording::lines::{RecordedTarget, RecordingLine, VERSION, timestamp};
use crate::sink::recording::reader::Recording;
use crate::sink::recording::writer::RecordingWriter;
use crate::value::Value;

/// The description of the session of [`begin`].
pub(super) fn described() -> RecordingLine {
    let begin = begin();
    RecordingLine {
        version: VERSION,
        tracer: "0.1.0".into(),
        target: "app (42)".into(),
        pid: Some(42),
        selectors: None,
        targets: begin.targets.iter().map(RecordedTarget::from).collect(),
        time: timestamp(TIME),
        clock: "CLOCK_MONOTONIC".into(),
        host: "h".into(),
        kernel: String::new(),
        redacted: Vec::new(),
    }
}

fn events() -> Vec<Event> {
    let mut gap = event(5, vec![("x", Value::Int(-5, 32)), ("s", text(b"=x"))]);
    gap.left_out = LeftOut {
        limited: 1,
        lost: 0,
    };
    vec![
        event(
            1,
            vec![("x", Value::Uint(u64::MAX.into())), ("j", nested())],
        ),
        event(2, vec![("x", unavailable())]),
        gap,
        span(7, 3, 9),
    ]
}

fn limited() -> ProbeLimited {
    ProbeLimited {
        probe: ProbeId(1),
        name: "p1".into(),
        rate: 5,
        is_default: true,
        per_process: false,
        time_ns: TIME + 4,
    }
}

fn done() -> ProbeDone {
    ProbeDone {
        probe: ProbeId(1),
        name: "p1".into(),
        done: Done {
            reason: DoneReason::Hits(4),
            time_ns: TIME + 9,
        },
    }
}

fn aggregate(total: u64) -> Aggregate {
    Aggregate {
        probe: ProbeId(2),
        probe_name: "p2".into(),
        action: "count",
        expr: "".into(),
        total,
        other: 0,
        body: AggregateBody::Count(Vec::new()),
    }
}

fn followed() -> FollowedProcesses {
    FollowedProcesses {
        followed: 3,
        ..FollowedProcesses::default()
    }
}

/// A recording with a block for each event.
fn recorded(events: &[Event]) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a file");
    let out = file.reopen().expect("the file");
    let mut writer = RecordingWriter::new(out).expect("a writer");
    writer.begin(&described(), TIME).expect("written");
    for event in events {
        writer.event(event).expect("written");
        writer
            .aggregate(&aggregate(event.hit), event.time_ns)
            .expect("written");
        writer.write_block().expect("written");
    }
    writer.limited(limited()).expect("written");
    writer.done(done()).expect("written");
    writer.end(Some(followed()), TIME + 10).expect("written");
    writer.write_block().expect("written");
    file
}

fn exported(file: &NamedTempFile, format: ExportFormat) -> (replay::Replayed, Vec<u8>) {
    let recording = Recording::open(file.path()).expect("a recording");
    let bytes = SharedBytes::default();
    let looks = ExportLooks::default();
    let out = Box::new(bytes.clone());
    let replayed = replay::export(&recording, format, looks, out).expect("exported");
    (replayed, bytes.take())
}

#[test]
fn json_of_a_recording_is_that_of_its_session() {
    let events = events();
    let (replayed, bytes) = exported(&recorded(&events), ExportFormat::Json);
    assert_eq!((replayed.events, replayed.added_up), (4, true));
    let mut expected = Vec::new();
    let mut sink = JsonSink::new(&mut expected);
    sink.begin(&begin()).expect("written");
    for event in &events {
        sink.event(event).expect("written");
    }
    sink.limited(&limited()).expect("written");
    sink.done(&done()).expect("written");
    sink.aggregate(&aggregate(9), TIME + 9).expect("written");
    sink.followed(&followed()).expect("written");
    sink.finish().expect("written");
    assert_eq!(
        String::from_utf8(bytes).expect("UTF-8"),
        String::from_utf8(expected).expect("UTF-8")
    );
}

#[test]
fn session_and_its_recording_have_the_same_export() {
    let events = events();
    let file = recorded(&events);
    for (name, format) in crate::sink::export::FORMATS {
        let bytes = SharedBytes::default();
        let spooled = tempfile::tempfile().expect("a file");
        let spool = format.needs_spool().then(|| Spool {
            writes: Box::new(spooled.try_clone().expect("the file")),
            file: spooled,
        });
        let out = Box::new(bytes.clone());
        let sink = format.live(out, spool, ExportLooks::default());
        let mut sink = sink.expect("a sink");
        sink.begin(&begin()).expect("written");
        for event in &events {
            sink.event(event).expect("written");
            sink.flush().expect("flushed");
        }
        sink.limited(&limited()).expect("written");
        sink.done(&done()).expect("written");
        sink.aggregate(&aggregate(9), TIME + 9).expect("written");
        sink.followed(&followed()).expect("written");
        sink.finish().expect("written");
        let (_, of_recording) = exported(&file, format);
        assert_eq!(bytes.take(), of_recording, "{name}");
    }
}

#[test]
fn damaged_block_is_left_out_and_told() {
    let file = recorded(&events());
    let recording = Recording::open(file.path()).expect("a recording");
    let second = recording.index().blocks[1];
    let mut out = OpenOptions::new()
        .write(true)
        .open(file.path())
        .expect("the file");
    out.seek(SeekFrom::Start(second.at + 20)).expect("within");
    out.write_all(&[0xaa; 8]).expect("written");
    for (name, format) in crate::sink::export::FORMATS {
        let (replayed, _) = exported(&file, format);
        assert_eq!(replayed.events, 3, "{name}");
        let [told] = replayed.damaged.as_slice() else {
            panic!("{name}: {:?}", replayed.damaged);
        };
        assert!(
            told.starts_with("block 2 of the recording is left out, with 1 event: "),
            "{told}"
        );
    }
}
