//! Records of every kind, as JSON has them.

use std::sync::Arc;

use super::*;
use crate::event::NamedValue;
use crate::event::{Counters, ProbeId, ProcessHits, ProcessLabels, SiteOrigin};
use crate::session::Cost;

/// An event as interface.md has it.
pub(crate) fn event() -> Event {
    Event {
        origin: Arc::new(SiteOrigin {
            frame_function: None,
            probe: ProbeId(1),
            placement: crate::event::PlacementId(1),
            probe_name: "p1".into(),
            action: "log",
            file: Arc::new("/home/dev/app/src/main.rs".into()),
            line: 57,
            function: "target_app::report_mouse_movement".into(),
            address: 0x1_2345,
            site: (1, 1),
            multiline: false,
        }),
        time_ns: 1_763_813_071_250_117_042,
        pid: 4242,
        tid: 4711,
        thread: "Monitor".into(),
        hit: 17,
        message: "x 640 -> 812".into(),
        values: vec![NamedValue {
            expr: "last.x".into(),
            ty: "i16".into(),
            value: Value::Int(640, 32),
        }],
        stack: crate::event::Stack::default(),
        left_out: crate::event::LeftOut::default(),
        span: None,
        step: None,
        access: None,
        context: crate::event::SpanContext::Outside,
    }
}

fn written(event: &Event) -> String {
    let mut out = Vec::new();
    JsonSink::new(&mut out).event(event).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn span_has_its_ids_status_attributes_and_events() {
    use crate::event::{SpanContext, SpanEvent, SpanId, SpanIds, SpanStatus, TraceId};
    let ids = SpanIds {
        trace: TraceId(0xab.try_into().expect("not zero")),
        span: SpanId(0xcd.try_into().expect("not zero")),
    };
    let mut inner = event();
    inner.context = SpanContext::Inside(ids);
    let line = written(&inner);
    assert!(
        line.ends_with(
            "\"trace_id\":\"000000000000000000000000000000ab\",\"span_id\":\"00000000000000cd\"}\n"
        ),
        "{line}"
    );
    let mut outer = event();
    outer.values = Vec::new();
    outer.span = Some(Box::new(SpanEvent {
        ids,
        parent: Some(SpanId(0xef.try_into().expect("not zero"))),
        parent_is_remote: true,
        name: "do 7".into(),
        start_ns: outer.time_ns - 42,
        duration_ns: 42,
        status: SpanStatus::Error("Err(3)".into()),
        attributes: event().values,
        events: vec![Arc::new(inner)],
        left_out_events: 2,
        notes: vec!["key not known".into()],
    }));
    let line = written(&outer);
    let expected = concat!(
        r#""values":[],"span":{"name":"do 7","trace_id":"000000000000000000000000000000ab","#,
        r#""span_id":"00000000000000cd","parent_span_id":"00000000000000ef","parent_is_remote":true,"#,
        r#""start":"2025-11-22T12:04:31.250117000Z","duration_ns":42,"#,
        r#""status":{"code":"error","message":"Err(3)"},"attributes":{"last.x":640},"#,
        r#""events":[{"time":"2025-11-22T12:04:31.250117042Z","probe":"p1","hit":17,"#,
        r#""message":"x 640 -> 812"}],"left_out_events":2,"notes":["key not known"]}}"#,
        "\n"
    );
    assert!(line.ends_with(expected), "{line}");
    let mut unknown = event();
    unknown.context = SpanContext::Unknown("lost".into());
    assert!(written(&unknown).ends_with(",\"span_unknown\":\"lost\"}\n"));
}

#[test]
fn event_has_the_keys_of_the_contract() {
    assert_eq!(
        written(&event()),
        concat!(
            r#"{"type":"event","time":"2025-11-22T12:04:31.250117042Z","probe":"p1","action":"log","#,
            r#""file":"/home/dev/app/src/main.rs","line":57,"function":"target_app::report_mouse_movement","#,
            r#""pid":4242,"tid":4711,"thread":"Monitor","hit":17,"message":"x 640 -> 812","#,
            r#""values":[{"expr":"last.x","type":"i16","value":640}]}"#,
            "\n"
        )
    );
}

#[test]
fn gap_is_a_record_before_its_event() {
    let mut event = event();
    event.left_out = crate::event::LeftOut {
        limited: 29,
        lost: 1,
    };
    let written = written(&event);
    assert_eq!(
        written.lines().next(),
        Some(
            r#"{"type":"gap","time":"2025-11-22T12:04:31.250117042Z","probe":"p1","limited":29,"lost":1}"#
        )
    );
    assert_eq!(written.lines().count(), 2);
}

#[test]
fn events_of_several_origins_and_values_keep_their_own_keys() {
    let mut events = vec![event(), event(), event()];
    events[1].origin = Arc::new(SiteOrigin {
        probe_name: "other \"p\"".into(),
        ..(*events[0].origin).clone()
    });
    // It has a known origin, but other values than earlier events of that origin.
    events[2].origin = Arc::clone(&events[0].origin);
    let mut more = events[2].values[0].clone();
    more.expr = "last.y".into();
    events[2].values.insert(0, more);
    let mut out = Vec::new();
    let mut sink = JsonSink::new(&mut out);
    for _ in 0..2 {
        for event in &events {
            sink.event(event).unwrap();
        }
    }
    drop(sink);
    let alone: String = events.iter().map(written).collect();
    assert_eq!(String::from_utf8(out).unwrap(), alone.repeat(2));
}

#[test]
fn hostile_characters_are_escaped_and_read_back_the_same() {
    let mut event = event();
    event.message = "\x1b]0;x\x07 \u{7f}\u{9b}31m \u{202e}rtl \u{e0041} é \"q\" \\".into();
    let line = written(&event);
    assert!(!line.trim_end().chars().any(is_hostile), "{line}");
    let read: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(read["message"], event.message.as_str());
}

fn aggregate(action: &'static str, body: AggregateBody) -> Aggregate {
    Aggregate {
        probe: ProbeId(1),
        probe_name: "p1".into(),
        action,
        expr: "x".into(),
        total: 5,
        other: 0,
        body,
    }
}

fn added_up(aggregate: &Aggregate) -> String {
    let mut out = Vec::new();
    let mut sink = JsonSink::new(&mut out);
    sink.aggregate(aggregate, 1_763_813_071_000_000_001)
        .unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn count_has_a_row_for_each_value() {
    let row = |value, count| CountRow { value, count };
    let rows = vec![
        row(Value::Bool(true), 4),
        row(Value::Unavailable(Unavailable::Null), 1),
    ];
    assert_eq!(
        added_up(&aggregate("count", AggregateBody::Count(rows))),
        concat!(
            r#"{"type":"count","time":"2025-11-22T12:04:31.000000001Z","probe":"p1","by":"x","total":5,"#,
            r#""rows":[{"value":true,"count":4},{"value":{"$unavailable":"null pointer"},"count":1}],"other":0}"#,
            "\n"
        )
    );
}

#[test]
fn histogram_has_both_ends_of_each_bucket() {
    let body = AggregateBody::Histogram(crate::event::Histogram {
        step: Some(10),
        buckets: vec![Bucket {
            low: -10,
            high: -1,
            count: 5,
        }],
        unavailable: vec![(Unavailable::Null, 2)],
    });
    assert_eq!(
        added_up(&aggregate("hist", body)),
        concat!(
            r#"{"type":"hist","time":"2025-11-22T12:04:31.000000001Z","probe":"p1","expr":"x","step":10,"total":5,"#,
            r#""buckets":[{"low":-10,"high":-1,"count":5}],"unavailable":[{"reason":"null pointer","count":2}],"other":0}"#,
            "\n"
        )
    );
}

#[test]
fn first_record_says_what_is_traced() {
    let probe = ProbeStatus {
        placement: None,
        id: ProbeId(1),
        name: "p1".into(),
        text: "log main.rs:57".into(),
        file: Arc::new("/src/main.rs".into()),
        line: 57,
        function: "report".into(),
        sites: 2,
        enabled: true,
        done: None,
        counters: Counters::default(),
        cost: Cost::default(),
        notes: vec!["line 56 has no code of its own".into()],
        processes: Vec::new(),
        undelivered: 0,
    };
    let mut out = Vec::new();
    JsonSink::new(&mut out)
        .begin(&Begin {
            targets: vec![BeginTarget {
                pid: 42,
                exe: "/usr/bin/app".into(),
            }],
            selectors: None,
            time_ns: 1_763_813_071_250_117_042,
            probes: vec![probe],
        })
        .unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        format!(
            concat!(
                r#"{{"type":"session","schema":1,"tracer":"{}","time":"2025-11-22T12:04:31.250117042Z","#,
                r#""target":{{"pid":42,"exe":"/usr/bin/app"}},"probes":[{{"probe":"p1","text":"log main.rs:57","#,
                r#""file":"/src/main.rs","line":57,"function":"report","sites":2,"notes":["line 56 has no code of its own"]}}]}}"#,
                "\n"
            ),
            env!("CARGO_PKG_VERSION")
        )
    );
}

#[test]
fn summary_has_every_counter() {
    let mut out = Vec::new();
    let probe = ProbeStatus {
        placement: None,
        id: ProbeId(1),
        name: "mine".into(),
        text: "log main.rs:57 as mine".into(),
        file: Arc::new("main.rs".into()),
        line: 57,
        function: "report".into(),
        sites: 2,
        enabled: true,
        done: None,
        counters: Counters {
            hits: 36,
            events: 1,
            lost: 2,
            limited: 3,
            rejected: 4,
            faults: 5,
            silenced: 6,
            expired: 7,
            over_budget: 8,
            read_faults: 9,
            cut: 10,
            bpf_ns: 11,
            passed: 0,
        },
        cost: Cost {
            trap_ns: Some(450),
            attached: std::time::Duration::from_millis(1500),
            ..Cost::default()
        },
        notes: Vec::new(),
        processes: Vec::new(),
        undelivered: 0,
    };
    let processes = vec![ProcessHits {
        pid: Some(42),
        target: None,
        labels: Arc::new(ProcessLabels::gone(Some("app"))),
        hits: 30,
        events: 1,
        has_ended: true,
    }];
    let listed = ProbeStatus {
        processes,
        ..probe.clone()
    };
    JsonSink::new(&mut out)
        .with_processes(true)
        .summary(&listed)
        .unwrap();
    let lines = String::from_utf8(std::mem::take(&mut out)).unwrap();
    let end = concat!(
        r#","processes":[{"pid":42,"process":"app","hits":30,"events":1,"cost_ns":13509,"ended":true}],"#,
        r#""other_processes":6}"#,
        "\n"
    );
    assert!(lines.ends_with(end), "{lines}");
    JsonSink::new(&mut out).summary(&probe).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        concat!(
            r#"{"type":"summary","probe":"mine","text":"log main.rs:57 as mine","sites":2,"hits":36,"events":1,"#,
            r#""lost":2,"limited":3,"rejected":4,"faults":5,"silenced":6,"expired":7,"over_budget":8,"#,
            r#""read_faults":9,"cut":10,"bpf_ns":11,"trap_ns":16200,"attached_ns":1500000000}"#,
            "\n"
        )
    );
}
