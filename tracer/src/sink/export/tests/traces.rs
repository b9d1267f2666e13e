use prost::Message as _;
use serde_json::{Value as Json, json};

use super::made::{TIME, access, event, frames, ids, nested, span, text, unavailable};
use super::*;
use crate::event::SpanContext;
use crate::sink::export::perfetto::messages::{
    AnnotationValue, DebugAnnotation, TracePacket, TrackEvent,
};
use crate::value::Value;

fn events() -> Vec<Event> {
    let mut log = event(
        1_500,
        vec![
            ("x", Value::Int(-5, 32)),
            ("tracer", Value::Float64(0.5)),
            ("name", text(b"a\x1b")),
            ("pair", nested()),
            ("gone", unavailable()),
        ],
    );
    log.stack = frames(&["inner", "outer"]);
    log.context = SpanContext::Inside(ids(1));
    vec![
        log,
        span(1, 1_000, 2_000),
        span(2, 1_800, 2_500),
        span(3, 0, 9_000),
    ]
}

fn chrome() -> Vec<Json> {
    let bytes = export(ExportFormat::Chrome, &events());
    let trace: Json = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(
        trace["otherData"]["start"],
        "2025-11-30T08:00:00.000000000Z"
    );
    trace["traceEvents"].as_array().expect("events").clone()
}

#[test]
fn chrome_has_threads_instants_spans_and_counters() {
    let lines = chrome();
    let of =
        |kind: &str| -> Vec<&Json> { lines.iter().filter(|line| line["ph"] == kind).collect() };
    let names = of("M");
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(names[0]["args"], json!({"name": "app"}));
    assert_eq!(
        (&names[1]["tid"], &names[1]["args"]),
        (&json!(43), &json!({"name": "Monitor"}))
    );
    let instant = of("i")[0];
    assert_eq!(instant["name"], "p1 main.rs:57");
    assert_eq!(
        (&instant["pid"], &instant["tid"], &instant["s"]),
        (&json!(42), &json!(43), &json!("t"))
    );
    assert_eq!(instant["ts"].to_string(), "1.5");
    let args = &instant["args"];
    assert_eq!(args["x"], -5);
    assert_eq!(args["value.tracer"], 0.5);
    assert_eq!(
        args["pair"],
        json!({"$type": "Pair", "a": 1, "b": [true, "x"]})
    );
    assert_eq!(args["gone"], json!({"$unavailable": "optimised out"}));
    assert_eq!(args["tracer"]["message"], "after 1500");
    assert_eq!(args["tracer"]["stack"][1]["function"], "outer");
    assert_eq!(args["tracer"]["span_id"], "0000000000000001");
    let counters = of("C");
    assert_eq!(counters.len(), 2, "{counters:?}");
    assert_eq!(
        (&counters[0]["name"], &counters[0]["args"]),
        (&json!("p1.x"), &json!({"value": -5}))
    );
    let complete = of("X");
    assert_eq!(complete.len(), 2, "{complete:?}");
    assert_eq!(
        (&complete[0]["name"], &complete[0]["dur"]),
        (&json!("checkout 1"), &json!(1.0))
    );
    assert_eq!(complete[0]["args"]["tracer"]["error"], "Full");
    assert_eq!(complete[0]["args"]["order"], true);
    assert_eq!(complete[1]["name"], "checkout 3");
    // It overlaps the first.
    assert_eq!(
        (&of("b")[0]["name"], &of("b")[0]["ts"]),
        (&json!("checkout 2"), &json!(1.8))
    );
    assert_eq!(
        (&of("e")[0]["id"], &of("e")[0]["ts"]),
        (&json!("0000000000000002"), &json!(2.5))
    );
}

#[test]
fn chrome_escapes_control_characters_and_keeps_nanoseconds() {
    let bytes = export(ExportFormat::Chrome, &events());
    let text = String::from_utf8(bytes).expect("UTF-8");
    assert!(!text.contains('\x1b') && text.contains("\\u001b"), "{text}");
    let mut early = event(0, Vec::new());
    early.time_ns = TIME - 1;
    let late = event(86_400_000_000_001, Vec::new());
    let bytes = export(ExportFormat::Chrome, &[early, late]);
    let text = String::from_utf8(bytes).expect("UTF-8");
    assert!(text.contains(r#""ts":-0.001,"#), "{text}");
    assert!(text.contains(r#""ts":86400000000.001,"#), "{text}");
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Trace {
    #[prost(message, repeated, tag = "1")]
    pub(super) packet: Vec<TracePacket>,
}

fn perfetto(events: &[Event]) -> Vec<TracePacket> {
    let bytes = export(ExportFormat::Perfetto, events);
    Trace::decode(&*bytes).expect("a trace").packet
}

fn of_kind(packets: &[TracePacket], kind: i32) -> Vec<(u64, &TrackEvent)> {
    let event = |packet: &'_ TracePacket| -> Option<(u64, i32)> {
        let event = packet.track_event.as_ref()?;
        Some((packet.timestamp?, event.r#type?))
    };
    let mut found = Vec::new();
    for packet in packets {
        if let (Some((time, of)), Some(track_event)) = (event(packet), &packet.track_event)
            && of == kind
        {
            found.push((time, track_event));
        }
    }
    found
}

fn find<'a>(annotations: &'a [DebugAnnotation], name: &str) -> &'a DebugAnnotation {
    let mut all = annotations.iter();
    let found = all.find(|one| one.name.as_deref() == Some(name));
    found.unwrap_or_else(|| panic!("{name} in {annotations:?}"))
}

#[test]
fn perfetto_has_tracks_slices_instants_and_counters() {
    let packets = perfetto(&events());
    let tracks: Vec<_> = packets
        .iter()
        .filter_map(|packet| packet.track_descriptor.as_ref())
        .collect();
    let processes: Vec<_> = tracks
        .iter()
        .filter_map(|track| track.process.as_ref())
        .collect();
    assert_eq!(processes[0].process_name.as_deref(), Some("app"));
    let thread = tracks
        .iter()
        .find(|track| track.thread.is_some())
        .expect("a thread");
    let described = thread.thread.as_ref().expect("a thread");
    assert_eq!((described.pid, described.tid), (Some(42), Some(43)));
    assert_eq!(described.thread_name.as_deref(), Some("Monitor"));
    let beside = tracks
        .iter()
        .find(|track| track.parent_uuid == thread.uuid)
        .expect("a track");
    let (time, instant) = of_kind(&packets, 3)[0];
    assert_eq!((time, instant.track_uuid), (TIME + 1_500, thread.uuid));
    assert_eq!(instant.name.as_deref(), Some("p1 main.rs:57"));
    let stack = &instant.callstack.as_ref().expect("a stack").frames;
    assert_eq!(
        stack[0].function_name.as_deref(),
        Some("outer"),
        "the outermost first"
    );
    let x = find(&instant.debug_annotations, "x");
    assert_eq!(x.value, Some(AnnotationValue::Signed(-5)));
    let pair = &find(&instant.debug_annotations, "pair").dict_entries;
    assert_eq!(
        find(pair, "b").array_values[1].value,
        Some(AnnotationValue::Text("x".into()))
    );
    let about = &find(&instant.debug_annotations, "tracer").dict_entries;
    assert_eq!(
        find(about, "hit").value,
        Some(AnnotationValue::Unsigned(1_500))
    );
    let begins = of_kind(&packets, 1);
    let ends = of_kind(&packets, 2);
    let slices: Vec<_> = begins
        .iter()
        .zip(&ends)
        .map(|((from, begin), (to, end))| {
            assert_eq!(begin.track_uuid, end.track_uuid);
            (
                begin.name.as_deref(),
                from - TIME,
                to - TIME,
                begin.track_uuid,
            )
        })
        .collect();
    assert_eq!(
        slices,
        [
            (Some("checkout 1"), 1_000, 2_000, thread.uuid),
            (Some("checkout 2"), 1_800, 2_500, beside.uuid),
            (Some("checkout 3"), 0, 9_000, thread.uuid),
        ]
    );
    let counters = of_kind(&packets, 4);
    assert_eq!(counters[0].1.counter_value, Some(-5));
    assert_eq!(counters[1].1.double_counter_value, Some(0.5));
    let counter = tracks
        .iter()
        .find(|track| track.uuid == counters[0].1.track_uuid)
        .expect("a track");
    assert_eq!(counter.name.as_deref(), Some("p1.x"));
    assert!(counter.counter.is_some());
}

#[test]
fn perfetto_describes_each_track_once() {
    let packets = perfetto(&events());
    let mut uuids: Vec<u64> = packets
        .iter()
        .filter_map(|packet| packet.track_descriptor.as_ref()?.uuid)
        .collect();
    let count = uuids.len();
    uuids.sort_unstable();
    uuids.dedup();
    assert_eq!(uuids.len(), count);
    let clock = packets[0]
        .clock_snapshot
        .as_ref()
        .expect("the clock is first");
    assert_eq!(clock.primary_trace_clock, Some(1));
}

#[test]
fn accesses_are_a_part_of_what_both_formats_say_of_an_event() {
    let bytes = export(ExportFormat::Chrome, &[access(1)]);
    let trace: Json = serde_json::from_slice(&bytes).expect("JSON");
    let mut lines = trace["traceEvents"].as_array().expect("events").iter();
    let instant = lines.find(|line| line["ph"] == "i").expect("an instant");
    assert_eq!(
        instant["args"]["tracer"]["access"],
        json!({
            "kind": "write",
            "address": "0x4010",
            "code": "0x7f0000001000",
            "instruction": "syscall",
            "by_kernel": {"system_call": 0, "name": "read"},
        })
    );
    let packets = perfetto(&[access(1)]);
    let track_event = packets
        .iter()
        .find_map(|packet| packet.track_event.as_ref()?.r#type.map(|_| packet));
    let track_event = track_event.and_then(|packet| packet.track_event.as_ref());
    let all = &track_event.expect("an instant").debug_annotations;
    let access = find(&find(all, "tracer").dict_entries, "access");
    let value = |name| find(&access.dict_entries, name).value.clone();
    assert_eq!(value("address"), Some(AnnotationValue::Pointer(0x4010)));
    let kernel = "the kernel, in the system call `read`";
    assert_eq!(
        value("by_kernel"),
        Some(AnnotationValue::Text(kernel.into()))
    );
}
