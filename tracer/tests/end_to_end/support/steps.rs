//! Steps of traced calls in the output of a tracer.

use serde_json::Value;

use super::build::source;
use super::tracer::{Finished, counter};

/// The steps of a probe, in their order.
pub(crate) fn steps(finished: &Finished, probe: &str) -> Vec<Value> {
    let events = finished.events().into_iter();
    events.filter(|event| event["probe"] == probe).collect()
}

/// A number of a step.
pub(crate) fn step(event: &Value, key: &str) -> u64 {
    event["step"][key].as_u64().unwrap_or(0)
}

/// The kind of a step.
pub(crate) fn kind(event: &Value) -> &str {
    event["step"]["kind"].as_str().unwrap_or_default()
}

/// A step as its depth and the mark of its line in a fixture: `at: MARK`.
#[track_caller]
pub(crate) fn marked(fixture: &str, event: &Value) -> String {
    let line = counter(event, "line");
    let text = std::fs::read_to_string(source(fixture)).expect("the source");
    let at = usize::try_from(line).expect("small") - 1;
    let line = text.lines().nth(at).expect("a line of the source");
    let mark = line
        .split("at: ")
        .nth(1)
        .and_then(|mark| mark.split(' ').next());
    format!(
        "{}{}",
        "  ".repeat(step(event, "depth") as usize),
        mark.unwrap_or("-")
    )
}

/// The steps of one call have its number, one thread, and all numbers from 1.
#[track_caller]
pub(crate) fn assert_is_whole(call: &[Value]) {
    assert!(!call.is_empty(), "no step");
    for (number, event) in (1..).zip(call) {
        assert_eq!(step(event, "number"), number, "{event}");
        assert_eq!(event["tid"], call[0]["tid"]);
        assert_eq!(event["step"]["call"], call[0]["step"]["call"]);
    }
    assert_eq!(kind(&call[0]), "enter");
    assert_eq!(kind(&call[call.len() - 1]), "return");
    assert_eq!(step(&call[call.len() - 1], "depth"), 0);
}
