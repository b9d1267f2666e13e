use std::io::{Seek as _, Write as _};
use std::num::{NonZeroU64, NonZeroU128};
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::NamedTempFile;

use super::container::{BlockHeader, Flags, HEADER};
use super::limits::SOURCE_BYTES;
use super::lines::{RecordedSource, RecordingLine, VERSION, timestamp};
use super::reader::{OpenError, RecordedEntry, Recording, entries};
use super::writer::RecordingWriter;
use crate::base::unavailable::Unavailable;
use crate::event::{
    Access, AccessKind, Event, FrameKind, KernelAccess, LeftOut, NamedValue, PlacementId, ProbeId,
    SiteOrigin, SpanContext, SpanEvent, SpanId, SpanIds, SpanStatus, Stack, StackFrame, TraceId,
};
use crate::session::SourceFile;
use crate::value::Value;

mod playback;

const TIME: u64 = 1_764_489_600_000_000_000;

fn described() -> RecordingLine {
    RecordingLine {
        version: VERSION,
        tracer: "0.1.0".into(),
        target: "app (42)".into(),
        pid: Some(42),
        selectors: None,
        targets: Vec::new(),
        time: timestamp(TIME),
        clock: "CLOCK_MONOTONIC".into(),
        host: String::new(),
        kernel: String::new(),
        redacted: vec!["password".into()],
    }
}

fn origin(probe: u32, action: &'static str) -> Arc<SiteOrigin> {
    Arc::new(SiteOrigin {
        frame_function: None,
        probe: ProbeId(probe),
        placement: PlacementId(7),
        probe_name: format!("p{probe}"),
        action,
        file: Arc::new(PathBuf::from("/src/main.rs")),
        line: 57,
        function: "app::report".into(),
        address: 0x1234,
        site: (1, 2),
        multiline: false,
    })
}

fn named(expr: &str, value: Value) -> NamedValue {
    NamedValue {
        expr: expr.into(),
        ty: "i64".into(),
        value,
    }
}

fn event(origin: &Arc<SiteOrigin>, hit: u64, time_ns: u64) -> Event {
    let (x, y) = (hit * 7 % 1920, hit * 3 % 1080);
    Event {
        origin: Arc::clone(origin),
        time_ns,
        pid: 42,
        tid: 43,
        thread: "Monitor".into(),
        hit,
        message: format!("x {x} -> {y}"),
        values: vec![
            named("x", Value::Uint(x.into())),
            named("y", Value::Uint(y.into())),
        ],
        stack: Stack::default(),
        left_out: LeftOut::default(),
        span: None,
        step: None,
        context: SpanContext::Outside,
        access: None,
    }
}

fn ids(span: u64) -> SpanIds {
    SpanIds {
        trace: TraceId(NonZeroU128::new(0xabc).expect("not zero")),
        span: SpanId(NonZeroU64::new(span).expect("not zero")),
    }
}

/// Events with everything in them.
fn all_kinds() -> Vec<Event> {
    let log = origin(1, "log");
    let frame = |function: &str, kind| StackFrame {
        function: Some(function.into()),
        file: Some(Arc::new(PathBuf::from("/src/lib.rs"))),
        line: Some(3),
        kind,
        address: 0x7fff_ffff_ffff_f000,
        values: Vec::new(),
    };
    let mut stacked = event(&log, 5, TIME + 10);
    stacked.stack.frames = vec![
        frame("inner", FrameKind::Inlined),
        frame("outer", FrameKind::Function),
    ];
    stacked.stack.stopped = Some("no more".into());
    let mut snapshot = stacked.clone();
    snapshot.hit = 6;
    snapshot.stack.frames[1].values = vec![named("z", Value::Int(-1, 128))];
    let mut gap = event(&log, 9, TIME + 5);
    gap.left_out = LeftOut {
        limited: 1,
        lost: 2,
    };
    gap.context = SpanContext::Unknown("it is not certain".into());
    gap.thread = "evil \u{1b}[31m".into();
    gap.values.pop();
    let mut inside = event(&log, 10, TIME + 20);
    inside.context = SpanContext::Inside(ids(5));
    inside.values[0].value = Value::Unavailable(Unavailable::Recorded("optimised out".into()));
    let mut span = event(&origin(2, "span"), 1, TIME + 30);
    span.span = Some(Box::new(SpanEvent {
        ids: ids(5),
        parent: Some(ids(4).span),
        parent_is_remote: true,
        name: "checkout 7".into(),
        start_ns: TIME + 2,
        duration_ns: 28,
        status: SpanStatus::Error("Full".into()),
        attributes: vec![named("order", Value::Bool(true))],
        events: vec![Arc::new(inside.clone())],
        left_out_events: 3,
        notes: vec!["parent not valid".into()],
    }));
    let mut clock_was_set = span.clone();
    clock_was_set.hit = 2;
    if let Some(span) = &mut clock_was_set.span {
        span.start_ns = TIME + 7;
        span.status = SpanStatus::Unset;
        span.parent = None;
    }
    let mut access = event(&origin(3, "watch"), 1, TIME + 35);
    access.access = Some(Box::new(Access {
        kind: AccessKind::Unknown,
        address: u64::MAX,
        code: 0x7f00_0000_1000,
        instruction: None,
        by_kernel: Some(KernelAccess {
            system_call: Some(0),
            name: Some("read".into()),
        }),
        uncertain: Some("the code is in no file".into()),
    }));
    vec![
        event(&log, 1, TIME),
        event(&log, 2, TIME + 1),
        stacked.clone(),
        stacked,
        snapshot,
        gap,
        inside,
        span,
        clock_was_set,
        access,
        event(&log, 11, TIME + 40),
    ]
}

/// A recording with one block for each list of events.
fn recording(blocks: &[Vec<Event>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = RecordingWriter::new(&mut bytes).expect("a writer");
    writer.begin(&described(), TIME).expect("written");
    for block in blocks {
        for event in block {
            writer.event(event).expect("written");
        }
        writer.write_block().expect("written");
    }
    writer.end(None, TIME + 100).expect("written");
    writer.write_block().expect("written");
    bytes
}

fn file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("written");
    file
}

fn events(recording: &Recording, block: usize) -> Vec<Event> {
    let entries = recording.block(block).expect("a block");
    let event = |entry| match entry {
        RecordedEntry::Event(event) => Some((*event).clone()),
        _ => None,
    };
    entries.into_iter().filter_map(event).collect()
}

#[test]
fn events_are_read_as_they_were_written() {
    let (first, second) = (all_kinds(), all_kinds());
    let file = file(&recording(&[first.clone(), second.clone()]));
    let recording = Recording::open(file.path()).expect("a recording");
    assert_eq!(recording.session(), &described());
    assert_eq!(recording.index().blocks.len(), 3);
    assert_eq!(recording.index().events(), 22);
    assert_eq!(recording.problems(), Vec::<String>::new());
    assert_eq!(events(&recording, 0), first);
    assert_eq!(events(&recording, 1), second);
    assert_eq!(
        recording.block(2).expect("a block"),
        [RecordedEntry::End(TIME + 100, None)]
    );
    assert_eq!(recording.block(3).expect("none"), []);
}

#[test]
fn file_that_is_cut_opens_up_to_the_cut() {
    let bytes = recording(&[all_kinds(), all_kinds()]);
    let whole = file(&bytes);
    let blocks = Recording::open(whole.path())
        .expect("whole")
        .index()
        .blocks
        .clone();
    let ends: Vec<u64> = blocks
        .iter()
        .map(|block| block.at + block.header.compressed)
        .collect();
    for length in 0..bytes.len() {
        let cut = file(&bytes[..length]);
        let whole_blocks = ends.iter().filter(|&&end| end <= length as u64).count();
        match Recording::open(cut.path()) {
            Ok(recording) => {
                assert_eq!(recording.index().blocks.len(), whole_blocks);
                assert_eq!(recording.problems().len(), 1, "{length}");
                for block in 0..whole_blocks {
                    recording.block(block).expect("a whole block");
                }
            }
            Err(OpenError::NotOne(_)) => assert_eq!(length, 0),
            Err(OpenError::Empty(_)) => assert_eq!(whole_blocks, 0),
            Err(other) => panic!("{length}: {other}"),
        }
    }
}

#[test]
fn damage_costs_its_block_alone() {
    let bytes = recording(&[all_kinds(), all_kinds(), all_kinds()]);
    let whole = file(&bytes);
    let blocks = Recording::open(whole.path())
        .expect("whole")
        .index()
        .blocks
        .clone();
    let second = usize::try_from(blocks[1].at).expect("small");
    // The description of the second block: the block is passed over.
    let mut damaged = bytes.clone();
    damaged[second - 20] ^= 1;
    let damaged = file(&damaged);
    let recording = Recording::open(damaged.path()).expect("a recording");
    assert_eq!(recording.index().blocks.len(), 3);
    assert_eq!(
        recording.index().damaged,
        HEADER as u64 + blocks[1].header.compressed
    );
    assert!(recording.problems()[0].contains("are damaged"));
    assert_eq!(events(&recording, 1).len(), 11);
    // Its data: the block is refused, and the others are shown.
    let mut damaged = bytes;
    damaged[second + 40] ^= 1;
    let damaged = file(&damaged);
    let recording = Recording::open(damaged.path()).expect("a recording");
    assert_eq!(recording.index().blocks.len(), 4);
    assert!(recording.block(1).is_err());
    assert_eq!(events(&recording, 2).len(), 11);
}

#[test]
fn block_that_lies_about_its_size_is_refused() {
    let bytes = recording(&[all_kinds()]);
    let mut lying = file(&bytes);
    let frame: [u8; HEADER] = bytes[..HEADER].try_into().expect("a header");
    let header = BlockHeader::decode(&frame).expect("a header");
    for size in [header.bytes - 1, u64::MAX] {
        let header = BlockHeader {
            bytes: size,
            ..header
        };
        lying.rewind().expect("rewound");
        lying.write_all(&header.encode()).expect("written");
        let opened = Recording::open(lying.path());
        assert!(matches!(opened, Err(OpenError::Damaged(_))), "{opened:?}");
    }
    // A compressed size beyond the file is a cut.
    let header = BlockHeader {
        compressed: u64::MAX,
        ..header
    };
    lying.rewind().expect("rewound");
    lying.write_all(&header.encode()).expect("written");
    assert!(matches!(
        Recording::open(lying.path()),
        Err(OpenError::Empty(_))
    ));
}

#[test]
fn other_files_are_refused() {
    let refused = |bytes: &[u8]| {
        let file = file(bytes);
        Recording::open(file.path())
            .expect_err("no recording")
            .to_string()
    };
    assert!(refused(b"").contains("is not a recording"));
    assert!(refused(&[b'{'; 1000]).contains("is not a recording"));
    let mut newer = Vec::new();
    let mut writer = RecordingWriter::new(&mut newer).expect("a writer");
    let line = RecordingLine {
        version: VERSION + 1,
        ..described()
    };
    writer.begin(&line, TIME).expect("written");
    writer.write_block().expect("written");
    assert!(refused(&newer).contains("has version 2 of the format, and this tracer reads"));
}

#[test]
fn damaged_lines_are_refused_and_new_ones_passed_over() {
    let site = r#"{"type":"site","id":1,"probe_id":1,"placement":1,"probe":"p1","action":"log","function":"f","address":1,"site":[1,1],"values":[]}"#;
    let thread = r#"{"type":"thread","id":1,"pid":1,"tid":1,"name":"t"}"#;
    let read = |line: &str| entries(format!("{site}\n{thread}\n{line}\n").as_bytes());
    let event =
        r#"{"type":"event","site":1,"thread":1,"after":0,"hit":1,"message":"m","values":[]}"#;
    assert_eq!(read(event).expect("an event").len(), 1);
    assert_eq!(read(r#"{"type":"new","x":1}"#).expect("passed over"), []);
    for (from, to) in [
        (r#""site":1"#, r#""site":2"#),
        (r#""thread":1"#, r#""thread":2"#),
        (r#""values":[]"#, r#""values":[1]"#),
        (r#""hit":1,"#, ""),
        (r#""after":0"#, r#""after":-1"#),
        (r#""message":"m""#, r#""stack":1,"message":"m""#),
        (
            r#""message":"m""#,
            r#""context":{"trace_id":"0","span_id":"1"},"message":"m""#,
        ),
        (r#"{"type":"#, r#"{"kind":"#),
    ] {
        let line = event.replace(from, to);
        assert_ne!(line, event);
        assert!(read(&line).is_err(), "{line}");
    }
}

#[test]
fn event_with_two_integers_takes_at_most_twelve_bytes() {
    let log = origin(1, "log");
    let mut bytes = Vec::new();
    let mut writer = RecordingWriter::new(&mut bytes).expect("a writer");
    let mut time_ns = TIME;
    let (mut x, mut state) = (640_i64, 1_u64);
    let events = 100_000;
    for hit in 1..=events {
        // As busy events come: 20 µs apart, give or take a few, from values that drift.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        time_ns += 17_000 + (state >> 33) % 6_000;
        x = (x + i64::try_from((state >> 40) % 19).expect("small") - 9).clamp(0, 1920);
        let y = (x * 7 + i64::try_from((state >> 50) % 19).expect("small")) % 1080;
        let mut event = event(&log, hit, time_ns);
        event.message = format!("x {x} -> {y}");
        event.values = vec![
            named("x", Value::Int(x.into(), 64)),
            named("y", Value::Int(y.into(), 64)),
        ];
        writer.event(&event).expect("written");
    }
    writer.write_block().expect("written");
    let each = bytes.len() as f64 / events as f64;
    assert!(each <= 12.0, "{each}");
}

#[test]
fn sources_of_any_size_are_in_blocks_that_are_read() {
    let source = |path: &str, text: String| RecordedSource {
        file: SourceFile {
            path: Arc::new(PathBuf::from(path)),
            module: "app".into(),
            on_disk: true,
            own: true,
        },
        text: Some(text),
        elsewhere: None,
        unreadable: None,
        lines: Vec::new(),
        outline: Vec::new(),
    };
    let mut bytes = Vec::new();
    let mut writer = RecordingWriter::new(&mut bytes).expect("a writer");
    writer.begin(&described(), TIME).expect("written");
    // Two of them are more than one block may have. Escapes make the last one longer than one may be.
    let long = [
        source("/one.c", "x".repeat(SOURCE_BYTES - 1000)),
        source("/two.c", "y".repeat(SOURCE_BYTES - 1000)),
        source("/escapes.c", "\u{1}".repeat(SOURCE_BYTES / 4)),
    ];
    for source in &long {
        writer.source(source, TIME).expect("written");
    }
    writer.write_block().expect("written");
    let file = file(&bytes);
    let recording = Recording::open(file.path()).expect("a recording");
    let mut read = Vec::new();
    for block in 0..recording.index().blocks.len() {
        for entry in recording.block(block).expect("a block") {
            if let RecordedEntry::Source(source) = entry {
                read.push(*source);
            }
        }
    }
    assert_eq!(read.len(), 3);
    assert!(read[..2] == long[..2]);
    assert_eq!(read[2].text, None);
    assert!(read[2].unreadable.is_some());
}

#[test]
fn flags_say_what_a_block_has() {
    let file = file(&recording(&[all_kinds()]));
    let recording = Recording::open(file.path()).expect("a recording");
    assert_eq!(recording.last_with(Flags::SESSION, 9), Some(0));
    assert_eq!(recording.last_with(Flags::END, 1), Some(1));
    assert_eq!(recording.last_with(Flags::END, 0), None);
    assert_eq!(recording.last_with(Flags::PROBES, 1), None);
    assert_eq!(recording.block_at(0), 0);
    assert_eq!(recording.block_at(TIME + 100), 1);
    assert_eq!(recording.block_at(u64::MAX), 1);
}
