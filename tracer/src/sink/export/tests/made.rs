//! Made events.

use std::num::{NonZeroU64, NonZeroU128};
use std::path::PathBuf;
use std::sync::Arc;

use crate::base::unavailable::Unavailable;
use crate::event::{
    Access, AccessKind, Event, FrameKind, KernelAccess, LeftOut, NamedValue, PlacementId, ProbeId,
    SiteOrigin, SpanContext, SpanEvent, SpanId, SpanIds, SpanStatus, Stack, StackFrame, TraceId,
};
use crate::sink::{Begin, BeginTarget};
use crate::value::{Cut, Struct, Text, Value};

/// When the session began.
pub(super) const TIME: u64 = 1_764_489_600_000_000_000;

pub(super) fn begin() -> Begin {
    Begin {
        targets: vec![BeginTarget {
            pid: 42,
            exe: "/bin/app".into(),
        }],
        selectors: None,
        time_ns: TIME,
        probes: Vec::new(),
    }
}

pub(super) fn origin(probe: u32, action: &'static str) -> Arc<SiteOrigin> {
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
        site: (1, 1),
        multiline: false,
    })
}

/// An event of the first probe, this much after the start.
pub(super) fn event(after: u64, values: Vec<(&str, Value)>) -> Event {
    let named = |(expr, value): (&str, Value)| NamedValue {
        expr: expr.into(),
        ty: "i64".into(),
        value,
    };
    Event {
        origin: origin(1, "log"),
        time_ns: TIME + after,
        pid: 42,
        tid: 43,
        thread: "Monitor".into(),
        hit: after,
        message: format!("after {after}"),
        values: values.into_iter().map(named).collect(),
        stack: Stack::default(),
        left_out: LeftOut::default(),
        span: None,
        step: None,
        context: SpanContext::Outside,
        access: None,
    }
}

pub(super) fn text(bytes: &[u8]) -> Value {
    Value::Text(Text {
        bytes: bytes.to_vec(),
        cut: None,
    })
}

pub(super) fn cut(bytes: &[u8], of: u64) -> Value {
    Value::Text(Text {
        bytes: bytes.to_vec(),
        cut: Some(Cut { of: Some(of) }),
    })
}

pub(super) fn unavailable() -> Value {
    Value::Unavailable(Unavailable::OptimisedOut)
}

pub(super) fn nested() -> Value {
    Value::Struct(Struct {
        name: "Pair".into(),
        fields: vec![
            ("a".into(), Value::Uint(1)),
            (
                "b".into(),
                Value::Tuple(vec![Value::Bool(true), text(b"x")]),
            ),
        ],
        has_more: false,
    })
}

pub(super) fn frames(names: &[&str]) -> Stack {
    let frame = |(at, name): (usize, &&str)| StackFrame {
        function: Some((*name).into()),
        file: Some(Arc::new(PathBuf::from("/src/lib.rs"))),
        line: Some(at as u64 + 1),
        kind: FrameKind::Function,
        address: 0x7000 + at as u64,
        values: Vec::new(),
    };
    Stack {
        frames: names.iter().enumerate().map(frame).collect(),
        stopped: None,
    }
}

pub(super) fn ids(span: u64) -> SpanIds {
    SpanIds {
        trace: TraceId(NonZeroU128::new(0xabc).expect("not zero")),
        span: SpanId(NonZeroU64::new(span).expect("not zero")),
    }
}

/// A span of the second probe, from and to these times after the start.
pub(super) fn span(id: u64, from: u64, to: u64) -> Event {
    let mut event = event(to, vec![("id", Value::Uint(id.into()))]);
    event.origin = origin(2, "span");
    event.span = Some(Box::new(SpanEvent {
        ids: ids(id),
        parent: Some(ids(99).span),
        parent_is_remote: true,
        name: format!("checkout {id}"),
        start_ns: TIME + from,
        duration_ns: to - from,
        status: SpanStatus::Error("Full".into()),
        attributes: vec![NamedValue {
            expr: "order".into(),
            ty: "bool".into(),
            value: Value::Bool(true),
        }],
        events: Vec::new(),
        left_out_events: 3,
        notes: vec!["parent not valid".into()],
    }));
    event
}

/// A write of the kernel's to a watched value.
pub(super) fn access(after: u64) -> Event {
    let mut event = event(
        after,
        vec![("old", Value::Int(1, 32)), ("new", Value::Int(2, 32))],
    );
    event.origin = origin(3, "watch");
    event.access = Some(Box::new(Access {
        kind: AccessKind::Write,
        address: 0x4010,
        code: 0x7f00_0000_1000,
        instruction: Some("syscall".into()),
        by_kernel: Some(KernelAccess {
            system_call: Some(0),
            name: Some("read".into()),
        }),
        uncertain: None,
    }));
    event
}
