use std::num::{NonZeroU64, NonZeroU128};
use std::sync::Arc;

use super::*;
use crate::event::{SpanId, SpanIds, TraceId};
use crate::sink::json::tests::event;
use crate::value::Value;

pub(in crate::sink::otel) fn span_event() -> Event {
    let id = |id| SpanId(NonZeroU64::new(id).expect("not zero"));
    let mut made = event();
    let value = |key: &str, value| NamedValue {
        expr: key.into(),
        ty: "u32".into(),
        value,
    };
    let mut inside = event();
    inside.values = vec![
        value("x", Value::Int(3, 32)),
        value("$tid", Value::Int(1, 32)),
    ];
    made.time_ns = 1_500;
    made.span = Some(Box::new(SpanEvent {
        ids: SpanIds {
            trace: TraceId(NonZeroU128::new(0xab).expect("not zero")),
            span: id(0xcd),
        },
        parent: Some(id(0xef)),
        parent_is_remote: true,
        name: "checkout 7".into(),
        start_ns: 1_000,
        duration_ns: 500,
        status: SpanStatus::Error("Err(Full)".into()),
        attributes: vec![
            value("order", Value::Int(7, 32)),
            value("thread.id", Value::Int(5, 32)),
        ],
        events: vec![Arc::new(inside)],
        left_out_events: 4,
        notes: vec!["key not known: optimised out".into()],
    }));
    made
}

fn of<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Any> {
    let mut found = attributes.iter().filter(|attribute| attribute.key == key);
    let value = found.next()?.value.as_ref()?.value.as_ref();
    assert!(found.next().is_none(), "{key} is there once");
    value
}

#[test]
fn span_has_ids_times_status_attributes_and_what_happened_inside() {
    let event = span_event();
    let made = span(&event, event.span.as_deref().expect("a span"));
    assert_eq!(made.trace_id.len(), 16);
    assert_eq!(made.trace_id.last(), Some(&0xab));
    assert_eq!(made.span_id, [0, 0, 0, 0, 0, 0, 0, 0xcd]);
    assert_eq!(made.parent_span_id, [0, 0, 0, 0, 0, 0, 0, 0xef]);
    assert_eq!(made.flags, 0x301, "the parent is known to be remote");
    assert_eq!((&*made.name, made.kind), ("checkout 7", 1));
    assert_eq!(
        (made.start_time_unix_nano, made.end_time_unix_nano),
        (1_000, 1_500)
    );
    let status = made.status.expect("a status");
    assert_eq!((status.code, &*status.message), (2, "Err(Full)"));
    assert_eq!(made.dropped_events_count, 4);
    assert_eq!(of(&made.attributes, "order"), Some(&Any::IntValue(7)));
    // The user's own attribute is before ours.
    assert_eq!(of(&made.attributes, "thread.id"), Some(&Any::IntValue(5)));
    assert!(of(&made.attributes, "code.function.name").is_some());
    let notes = list([Some(Any::StringValue(
        "key not known: optimised out".into(),
    ))]);
    assert_eq!(of(&made.attributes, "tracer.notes"), Some(&notes));
    let [inside] = made.events.as_slice() else {
        panic!("{:?}", made.events);
    };
    assert_eq!(inside.name, "log");
    assert_eq!(of(&inside.attributes, "x"), Some(&Any::IntValue(3)));
    assert!(of(&inside.attributes, "message").is_some());
    assert!(of(&inside.attributes, "$tid").is_none());
}

#[test]
fn span_without_a_parent_and_a_failure_says_so() {
    let mut event = span_event();
    let plain = event.span.as_mut().expect("a span");
    (plain.parent, plain.parent_is_remote) = (None, false);
    plain.status = SpanStatus::Unset;
    let made = span(&event, event.span.as_deref().expect("a span"));
    assert!(made.parent_span_id.is_empty());
    assert_eq!(
        (made.flags, made.status.expect("a status").code),
        (0x101, 0)
    );
}
