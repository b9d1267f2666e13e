//! Traced calls as slices that are nested as their frames are.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;
use serde_json::Value as Json;

use super::made::{TIME, event};
use super::traces::Trace;
use super::{ExportFormat, export};
use crate::event::{Event, StepEvent, StepKind};
use crate::sink::export::perfetto::messages::AnnotationValue;

/// A slice as a viewer shows it: name, start and end, and the slices inside.
#[derive(Debug, PartialEq)]
struct Slice {
    name: String,
    from: u64,
    to: u64,
    mark: Option<String>,
    inside: Vec<Slice>,
}

/// A step of a call, so many ns after the start.
fn step(time: u64, kind: StepKind, depth: u32, function: &str) -> Event {
    let mut event = event(time, Vec::new());
    let mut origin = (*event.origin).clone();
    origin.action = "trace";
    function.clone_into(&mut origin.function);
    event.origin = Arc::new(origin);
    event.step = Some(Box::new(StepEvent {
        call: 1,
        number: time,
        depth,
        frame: 1_000 - u64::from(depth),
        kind,
        repeated: 0,
    }));
    event
}

/// Two calls inside of one, the second with a call of its own, at the end of a recording.
fn steps() -> Vec<Event> {
    use StepKind::{Enter, Line, Return};
    vec![
        step(1, Enter, 0, "outer"),
        step(2, Enter, 1, "first"),
        step(5, Return, 1, "first"),
        step(7, Enter, 1, "second"),
        step(8, Enter, 2, "inner"),
        step(9, Return, 2, "inner"),
        step(12, Line, 1, "second"),
    ]
}

/// What a viewer makes of begins and ends: it sorts them by time, in the order of the file where the times are the
/// same, and an end closes the slice that was opened last.
fn slices(bytes: &[u8]) -> Vec<Slice> {
    let mut packets = Trace::decode(bytes).expect("a trace").packet;
    packets.sort_by_key(|packet| packet.timestamp);
    let mut open: BTreeMap<Option<u64>, Vec<Slice>> = BTreeMap::new();
    let mut whole = Vec::new();
    for packet in packets {
        let (Some(time), Some(event)) = (packet.timestamp, packet.track_event) else {
            continue;
        };
        let stack = open.entry(event.track_uuid).or_default();
        match event.r#type {
            Some(1) => stack.push(Slice {
                name: event.name.expect("a name"),
                from: time - TIME,
                to: 0,
                mark: event
                    .debug_annotations
                    .first()
                    .and_then(|mark| match &mark.value {
                        Some(AnnotationValue::Text(text)) => Some(text.clone()),
                        _ => None,
                    }),
                inside: Vec::new(),
            }),
            Some(2) => {
                let mut slice = stack.pop().expect("a begin for each end");
                slice.to = time - TIME;
                match stack.last_mut() {
                    Some(around) => around.inside.push(slice),
                    None => whole.push(slice),
                }
            }
            _ => {}
        }
    }
    assert!(open.values().all(Vec::is_empty), "an end for each begin");
    whole
}

fn slice(name: &str, from: u64, to: u64, mark: Option<&str>, inside: Vec<Slice>) -> Slice {
    Slice {
        name: name.into(),
        from,
        to,
        mark: mark.map(str::to_owned),
        inside,
    }
}

#[test]
fn perfetto_nests_frames_and_marks_those_without_an_end() {
    let open = Some("its end is not recorded");
    let inner = slice("inner", 8, 9, None, vec![]);
    let inside = vec![
        slice("first", 2, 5, None, vec![]),
        slice("second", 7, 12, open, vec![inner]),
    ];
    let found = slices(&export(ExportFormat::Perfetto, &steps()));
    assert_eq!(found, [slice("outer", 1, 12, open, inside)]);
}

#[test]
fn perfetto_nests_frames_whose_steps_are_lost() {
    use StepKind::{Line, Return};
    let events = [step(5, Line, 2, "inner"), step(9, Return, 0, "outer")];
    let found = slices(&export(ExportFormat::Perfetto, &events));
    let lost = Some("no return was seen");
    let inner = slice("inner", 5, 9, lost, vec![]);
    let between = slice("inner", 4, 9, lost, vec![inner]);
    assert_eq!(found, [slice("inner", 3, 9, None, vec![between])]);
}

#[test]
fn chrome_marks_frames_without_an_end() {
    let bytes = export(ExportFormat::Chrome, &steps());
    let trace: Json = serde_json::from_slice(&bytes).expect("JSON");
    let lines = trace["traceEvents"].as_array().expect("events");
    let frames: Vec<String> = lines
        .iter()
        .filter(|line| line["ph"] == "X")
        .map(|line| {
            format!(
                "{} {} {}",
                line["name"], line["dur"], line["args"]["unfinished"]
            )
        })
        .collect();
    assert_eq!(
        frames,
        [
            r#""first" 0.003 null"#,
            r#""inner" 0.001 null"#,
            r#""second" 0.005 "its end is not recorded""#,
            r#""outer" 0.011 "its end is not recorded""#,
        ]
    );
}
