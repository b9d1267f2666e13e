//! The values of a span: its name, attributes, parent, key and status.

use std::fmt::Write as _;
use std::sync::Arc;

use tracer_common::timing::LeftCall;

use super::batch::EndedCall;
use super::table::{CallFacts, CallId, FrameKey, SpanCall};
use super::traceparent;
use crate::event::{NamedValue, SpanEvent, SpanStatus};
use crate::plan::timing::{SpanBegin, SpanPart};
use crate::value::Value;
use crate::value::debug::{self, DEBUG};

/// Status of a call that was left without its end.
const LEFT: &str = "left by a panic, an exception, a jump, or the end of its thread";
/// Note on its time.
const LEFT_AT_THE_LATEST: &str =
    "the call was over at the latest at this end, when its frame was used again";

/// Characters of an error in the status.
const MAX_ERROR: usize = 1024;

/// A span at its end, without its place.
#[derive(Debug)]
pub(in crate::session::reader) struct EndedSpan {
    pub(in crate::session::reader) call: EndedCall,
    pub(super) name: String,
    pub(super) status: SpanStatus,
    pub(super) attributes: Vec<NamedValue>,
    pub(super) notes: Vec<String>,
}

/// The parts of a hit's record that its values do not have.
#[derive(Clone, Copy)]
pub(in crate::session::reader) struct SpanEnd<'e> {
    pub(in crate::session::reader) begin: &'e SpanBegin,
    pub(in crate::session::reader) slot: u32,
    pub(in crate::session::reader) process: u32,
    pub(in crate::session::reader) end_ns: u64,
    /// The text of `error if`.
    pub(in crate::session::reader) failure: &'e str,
}

impl EndedSpan {
    /// Takes a span from its values. Those of its name are left. `None` if they are not of this plan.
    pub(in crate::session::reader) fn of(
        end: SpanEnd<'_>,
        name: String,
        values: &mut Vec<NamedValue>,
    ) -> Option<Self> {
        let parts = &end.begin.parts;
        if values.len() != parts.len() {
            return None;
        }
        let number = |part| {
            let value = find(parts, values, part);
            match value {
                Some(Value::Uint(number)) => u64::try_from(*number).ok(),
                _ => None,
            }
        };
        let (frame, elapsed) = (number(SpanPart::Frame)?, number(SpanPart::Elapsed)?);
        let failed = find(parts, values, SpanPart::Failed);
        let result = find(parts, values, SpanPart::Result);
        let mut notes = Vec::new();
        let outcome = SpanOutcome {
            frame,
            begun_ns: end.end_ns.saturating_sub(elapsed),
            status: status(failed, result, end.failure, &mut notes),
            notes,
        };
        Some(Self::with(end, outcome, name, values))
    }

    /// Takes a span that was left without its end, from the values of its beginning. Those of its name are
    /// left. `None` if they are not of this plan.
    pub(in crate::session::reader) fn left(
        end: SpanEnd<'_>,
        call: &LeftCall,
        name: String,
        values: &mut Vec<NamedValue>,
    ) -> Option<Self> {
        let is_of_it = call.begun.reserved == end.begin.group;
        if values.len() != end.begin.parts.len() || !is_of_it {
            return None;
        }
        let outcome = SpanOutcome {
            frame: call.frame,
            begun_ns: call.begun.time_ns,
            status: SpanStatus::Error(LEFT.into()),
            notes: vec![LEFT_AT_THE_LATEST.into()],
        };
        Some(Self::with(end, outcome, name, values))
    }

    fn with(
        end: SpanEnd<'_>,
        outcome: SpanOutcome,
        name: String,
        values: &mut Vec<NamedValue>,
    ) -> Self {
        let SpanOutcome {
            frame,
            begun_ns,
            status,
            mut notes,
        } = outcome;
        let parts = &end.begin.parts;
        let (facts, of_facts) = facts(parts, values);
        notes.extend(of_facts);
        let key = FrameKey {
            slot: end.slot,
            group: end.begin.group,
            process: end.process,
            frame,
        };
        let id = CallId { begun_ns, key };
        let (mut attributes, mut shown) = (Vec::new(), Vec::new());
        for (part, value) in parts.iter().zip(values.drain(..)) {
            match part {
                SpanPart::Attribute => attributes.push(value),
                SpanPart::Name => shown.push(value),
                _ => {}
            }
        }
        *values = shown;
        Self {
            call: EndedCall {
                call: SpanCall {
                    id,
                    facts: Arc::new(facts),
                },
                end_ns: end.end_ns,
            },
            name,
            status,
            attributes,
            notes,
        }
    }
}

/// The call of a span, and its outcome.
struct SpanOutcome {
    frame: u64,
    begun_ns: u64,
    status: SpanStatus,
    notes: Vec<String>,
}

fn find<'v>(parts: &[SpanPart], values: &'v [NamedValue], part: SpanPart) -> Option<&'v Value> {
    let mut all = parts.iter().zip(values);
    all.find(|(one, _)| **one == part)
        .map(|(_, named)| &named.value)
}

/// Reads a span's key and parent from its values, with remarks on those that cannot be used.
pub(super) fn facts(parts: &[SpanPart], values: &[NamedValue]) -> (CallFacts, Vec<String>) {
    let mut notes = Vec::new();
    let mut facts = CallFacts::default();
    if let Some(parent) = find(parts, values, SpanPart::Parent) {
        let span = find(parts, values, SpanPart::ParentSpan);
        match traceparent::parent(parent, span) {
            Ok(ids) => facts.parent = Some(ids),
            Err(why) => notes.push(format!("parent not valid: {why}")),
        }
    }
    match find(parts, values, SpanPart::Key) {
        None => {}
        Some(Value::Unavailable(why)) => notes.push(format!("key not known: {why}")),
        Some(value) => {
            let mut text = String::new();
            // Writing to a string does not fail.
            let _ = debug::write(&mut text, value, DEBUG);
            facts.key = Some(text);
        }
    }
    (facts, notes)
}

/// The outcome, by `error if` or by the returned `Result`.
fn status(
    failed: Option<&Value>,
    result: Option<&Value>,
    failure: &str,
    notes: &mut Vec<String>,
) -> SpanStatus {
    match failed {
        Some(Value::Bool(false) | Value::Int(0, _) | Value::Uint(0)) => return SpanStatus::Unset,
        Some(Value::Unavailable(why)) => {
            notes.push(format!("`error if {failure}` not known: {why}"));
            return SpanStatus::Unset;
        }
        Some(_) => return SpanStatus::Error(failure.to_owned()),
        None => {}
    }
    match result {
        Some(Value::Variant(variant)) if matches!(&*variant.name, "Err" | "unexpected") => {
            let mut text = String::new();
            // Writing to a string does not fail.
            let _ = debug::write(&mut text, &Value::Variant(variant.clone()), DEBUG);
            if let Some((end, _)) = text.char_indices().nth(MAX_ERROR) {
                text.truncate(end);
                text.push('…');
            }
            SpanStatus::Error(text)
        }
        Some(Value::Unavailable(why)) => {
            notes.push(format!("the returned result is not known: {why}"));
            SpanStatus::Unset
        }
        _ => SpanStatus::Unset,
    }
}

/// A span as one line: `checkout 7 took 1.25ms, error: Err(Full), order = 7`.
pub(super) fn line(span: &SpanEvent) -> String {
    let took = Value::Nanoseconds(span.duration_ns);
    let mut line = format!("{} took {took}", span.name);
    // Writing to a string does not fail.
    if let SpanStatus::Error(why) = &span.status {
        let _ = write!(line, ", error: {why}");
    }
    for attribute in &span.attributes {
        let _ = write!(line, ", {} = {}", attribute.expr, attribute.value);
    }
    match span.events.len() as u64 + span.left_out_events {
        0 => {}
        1 => line.push_str(", 1 event"),
        count => {
            let _ = write!(line, ", {count} events");
        }
    }
    for note in &span.notes {
        let _ = write!(line, " ({note})");
    }
    line
}
