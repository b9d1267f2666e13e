//! A recording that is written without a session.

use std::fs::File;
use std::num::{NonZeroU64, NonZeroU128};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracer::base::unavailable::Unavailable;
use tracer::event::{
    Event, FrameKind, LeftOut, NamedValue, PlacementId, ProbeId, SiteOrigin, SpanContext,
    SpanEvent, SpanId, SpanIds, SpanStatus, Stack, StackFrame, TraceId,
};
use tracer::sink::recording::lines::{RecordedTarget, RecordingLine, VERSION, timestamp};
use tracer::sink::recording::writer::RecordingWriter;
use tracer::value::{Cut, Struct, Text, Value};

/// When it began.
pub(super) const TIME: u64 = 1_764_489_600_000_000_000;

/// Begins a recording.
pub(super) fn recording(path: &Path) -> RecordingWriter<File> {
    let file = File::create(path).expect("a file");
    let mut writer = RecordingWriter::new(file).expect("a writer");
    let session = RecordingLine {
        version: VERSION,
        tracer: "0.1.0".into(),
        target: "shop (42)".into(),
        pid: Some(42),
        selectors: None,
        targets: vec![RecordedTarget {
            pid: 42,
            exe: "/srv/shop".into(),
        }],
        time: timestamp(TIME),
        clock: "CLOCK_MONOTONIC".into(),
        host: "far-away".into(),
        kernel: "6.12".into(),
        redacted: vec!["password".into()],
    };
    writer.begin(&session, TIME).expect("written");
    writer
}

pub(super) fn origin(probe: u32, action: &'static str) -> Arc<SiteOrigin> {
    Arc::new(SiteOrigin {
        frame_function: None,
        probe: ProbeId(probe),
        placement: PlacementId(probe),
        probe_name: format!("p{probe}"),
        action,
        file: Arc::new(PathBuf::from("/src/shop.rs")),
        line: 57,
        function: "shop::answer".into(),
        address: 0x1234,
        site: (1, 1),
        multiline: false,
    })
}

/// A log at this many ns after the start.
pub(super) fn log(origin: &Arc<SiteOrigin>, hit: u64, after: u64) -> Event {
    let named = |(expr, value): (&str, Value)| NamedValue {
        expr: expr.into(),
        ty: "T".into(),
        value,
    };
    let text = |text: &str, of: Option<u64>| {
        Value::Text(Text {
            bytes: text.as_bytes().to_vec(),
            cut: of.map(|of| Cut { of: Some(of) }),
        })
    };
    let values = vec![
        ("x", Value::Int(i128::from(hit) - 2, 32)),
        ("large", Value::Uint(u128::from(u64::MAX - hit))),
        ("share", Value::Float64(0.25)),
        ("is_new", Value::Bool(hit == 1)),
        ("item", text("=a,\"b\"\r\n", None)),
        ("note", text("par", (hit == 1).then_some(9))),
        (
            "order",
            Value::Struct(Struct {
                name: "Order".into(),
                fields: vec![("id".into(), Value::Uint(7))],
                has_more: false,
            }),
        ),
        (
            "mixed",
            match hit {
                1 => Value::Uint(1),
                _ => text("one", None),
            },
        ),
        (
            "gone",
            match hit {
                1 => Value::Unavailable(Unavailable::OptimisedOut),
                _ => Value::Uint(5),
            },
        ),
    ];
    Event {
        origin: Arc::clone(origin),
        time_ns: TIME + after,
        pid: 42,
        tid: 43,
        thread: "worker".into(),
        hit,
        message: format!("hit {hit}"),
        values: values.into_iter().map(named).collect(),
        stack: stack(&["shop::answer", "shop::main"]),
        left_out: LeftOut::default(),
        span: None,
        step: None,
        context: SpanContext::Outside,
        access: None,
    }
}

pub(super) fn stack(names: &[&str]) -> Stack {
    let frame = |name: &&str| StackFrame {
        function: Some((*name).to_owned()),
        file: Some(Arc::new(PathBuf::from("/src/shop.rs"))),
        line: Some(57),
        kind: FrameKind::Function,
        address: 0x5000 + name.len() as u64,
        values: Vec::new(),
    };
    Stack {
        frames: names.iter().map(frame).collect(),
        stopped: None,
    }
}

/// A span with this number, from and to these times in ns after the start.
pub(super) fn span(origin: &Arc<SiteOrigin>, number: u64, from: u64, to: u64) -> Event {
    let mut event = log(origin, number, to);
    event.values.truncate(1);
    event.span = Some(Box::new(SpanEvent {
        ids: SpanIds {
            trace: TraceId(NonZeroU128::MIN),
            span: SpanId(NonZeroU64::new(number).expect("from 1")),
        },
        parent: None,
        parent_is_remote: false,
        name: format!("checkout {number}"),
        start_ns: TIME + from,
        duration_ns: to - from,
        status: SpanStatus::Unset,
        attributes: Vec::new(),
        events: Vec::new(),
        left_out_events: 0,
        notes: Vec::new(),
    }));
    event
}

/// A recording of two logs and four spans. The last two overlap others: the third the first two, and the fourth is
/// around all.
pub(super) fn small(folder: &Path) -> PathBuf {
    let path = folder.join("session.trec");
    let mut writer = recording(&path);
    let (logs, spans) = (origin(1, "log"), origin(2, "span"));
    let events = [
        log(&logs, 1, 1_100),
        span(&spans, 1, 1_000, 2_000),
        log(&logs, 2, 2_200),
        span(&spans, 2, 2_100, 3_000),
        span(&spans, 3, 1_500, 3_500),
        span(&spans, 4, 500, 4_000),
    ];
    for event in &events {
        writer.event(event).expect("written");
    }
    writer.write_block().expect("written");
    writer.end(None, TIME + 5_000).expect("written");
    writer.write_block().expect("written");
    path
}

/// A recording of as many logs of two integers as are asked for.
pub(super) fn long(folder: &Path, events: u64) -> PathBuf {
    let path = folder.join("long.trec");
    let mut writer = recording(&path);
    let mut event = log(&origin(1, "log"), 1, 0);
    event.values.truncate(2);
    event.stack = Stack::default();
    for hit in 1..=events {
        event.hit = hit;
        event.time_ns = TIME + hit * 1_000;
        event.message = format!("x {} -> {}", hit % 1920, hit % 1080);
        for (named, number) in event.values.iter_mut().zip([hit % 1920, hit % 1080]) {
            named.value = Value::Uint(number.into());
        }
        writer.event(&event).expect("written");
    }
    writer
        .end(None, TIME + (events + 1) * 1_000)
        .expect("written");
    writer.write_block().expect("written");
    path
}
