//! The event of a `span` probe as a span, with what happened inside as its events.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::span::{Event as InnerEvent, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, SpanFlags, Status};

use super::logs::{SAMPLED, place_attributes, span_bytes, trace_bytes, value_key};
use super::values::{entry, list};
use super::{attribute, conventions::attribute as names, number_attribute, text_attribute};
use crate::event::{Event, NamedValue, SpanEvent, SpanStatus};

const NOTES: &str = "tracer.notes";
const MESSAGE: &str = "message";

/// The span of an event that is one.
pub(super) fn span(event: &Event, span: &SpanEvent) -> Span {
    let mut attributes = with_keys(&span.attributes);
    let own = [
        number_attribute(names::PROCESS_PID, event.pid.into()),
        number_attribute(names::THREAD_ID, event.tid.into()),
        text_attribute(names::THREAD_NAME, &event.thread),
    ];
    add(&mut attributes, own);
    add(&mut attributes, place_attributes(&event.origin));
    if !span.notes.is_empty() {
        let notes = span.notes.iter();
        let notes = notes.map(|note| Some(Any::StringValue(note.clone())));
        add(&mut attributes, [attribute(NOTES, list(notes))]);
    }
    let mut flags = SpanFlags::ContextHasIsRemoteMask as u32 | SAMPLED;
    if span.parent_is_remote {
        flags |= SpanFlags::ContextIsRemoteMask as u32;
    }
    let (code, message) = match &span.status {
        SpanStatus::Unset => (StatusCode::Unset, String::new()),
        SpanStatus::Error(message) => (StatusCode::Error, message.clone()),
    };
    Span {
        trace_id: trace_bytes(span.ids.trace),
        span_id: span_bytes(span.ids.span),
        parent_span_id: span.parent.map_or_else(Vec::new, span_bytes),
        flags,
        name: span.name.clone(),
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: span.start_ns,
        end_time_unix_nano: event.time_ns,
        attributes,
        events: span.events.iter().map(|event| inner(event)).collect(),
        dropped_events_count: u32::try_from(span.left_out_events).unwrap_or(u32::MAX),
        status: Some(Status {
            message,
            code: code.into(),
        }),
        ..Span::default()
    }
}

/// A log or a snapshot inside: its action is the name, and its values are attributes.
fn inner(event: &Event) -> InnerEvent {
    let mut attributes = with_values(&event.values);
    add(&mut attributes, [text_attribute(MESSAGE, &event.message)]);
    add(&mut attributes, place_attributes(&event.origin));
    InnerEvent {
        time_unix_nano: event.time_ns,
        name: event.origin.action.to_owned(),
        attributes,
        dropped_attributes_count: 0,
    }
}

/// Attributes that the user named by keys.
fn with_keys(values: &[NamedValue]) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(values.len() + 8);
    add(
        &mut attributes,
        values.iter().map(|value| entry(&*value.expr, &value.value)),
    );
    attributes
}

fn with_values(values: &[NamedValue]) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(values.len() + 8);
    let keyed = values.iter().filter_map(|value| {
        let key = value_key(&value.expr)?;
        Some(entry(key, &value.value))
    });
    add(&mut attributes, keyed);
    attributes
}

/// Adds attributes whose keys are not there yet.
fn add(attributes: &mut Vec<KeyValue>, more: impl IntoIterator<Item = KeyValue>) {
    for one in more {
        if !attributes.iter().any(|known| known.key == one.key) {
            attributes.push(one);
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
