//! Values as debug annotations: nested ones as nested annotations, with the keys of the JSON output.

use super::messages::{AnnotationValue, DebugAnnotation};
use crate::event::{Access, Event, NamedValue, SpanContext, SpanStatus};
use crate::sink::export::argument;
use crate::value::{Cut, Map, Pointer, Sequence, Struct, Text, Value, Variant};

/// An annotation without a list.
fn plain(value: AnnotationValue) -> DebugAnnotation {
    DebugAnnotation {
        value: Some(value),
        ..DebugAnnotation::default()
    }
}

fn text(text: impl Into<String>) -> DebugAnnotation {
    plain(AnnotationValue::Text(text.into()))
}

fn unsigned(number: u64) -> DebugAnnotation {
    plain(AnnotationValue::Unsigned(number))
}

fn dictionary(dict_entries: Vec<DebugAnnotation>) -> DebugAnnotation {
    DebugAnnotation {
        dict_entries,
        ..DebugAnnotation::default()
    }
}

fn array<'v>(values: impl IntoIterator<Item = &'v Value>) -> DebugAnnotation {
    DebugAnnotation {
        array_values: values.into_iter().map(annotation).collect(),
        ..DebugAnnotation::default()
    }
}

/// Gives an annotation its name.
fn named(name: impl Into<String>, annotation: DebugAnnotation) -> DebugAnnotation {
    DebugAnnotation {
        name: Some(name.into()),
        ..annotation
    }
}

/// The annotation of a value, without a name.
fn annotation(value: &Value) -> DebugAnnotation {
    match value {
        Value::Int(number, _) => match i64::try_from(*number) {
            Ok(number) => plain(AnnotationValue::Signed(number)),
            Err(_) => text(number.to_string()),
        },
        Value::Uint(number) => match u64::try_from(*number) {
            Ok(number) => unsigned(number),
            Err(_) => text(number.to_string()),
        },
        Value::Nanoseconds(number) => unsigned(*number),
        Value::Duration(duration) => dictionary(vec![
            named("$type", text("Duration")),
            named("secs", unsigned(duration.as_secs())),
            named("nanos", unsigned(duration.subsec_nanos().into())),
        ]),
        Value::Bool(value) => plain(AnnotationValue::Bool(*value)),
        Value::Char(c) => text(c.to_string()),
        Value::Float32(number) => plain(AnnotationValue::Double((*number).into())),
        Value::Float64(number) => plain(AnnotationValue::Double(*number)),
        Value::Text(value) => of_text(value),
        Value::Unit => text("()"),
        Value::Struct(value) => of_struct(value),
        Value::Tuple(items) => array(items),
        Value::Range(range) => {
            let [start, end] = &**range;
            dictionary(vec![
                named("$type", text("Range")),
                named("start", annotation(start)),
                named("end", annotation(end)),
            ])
        }
        Value::Variant(variant) => of_variant(variant),
        Value::Sequence(sequence) => of_sequence(sequence),
        Value::Map(map) => of_map(map),
        Value::Pointer(pointer) => of_pointer(pointer),
        Value::Unavailable(why) => dictionary(vec![named("$unavailable", text(why.to_string()))]),
    }
}

fn cut(shown: usize, cut: Cut) -> DebugAnnotation {
    let shown = named("shown", unsigned(shown as u64));
    let of = cut.of.map(|of| named("of", unsigned(of)));
    named("$cut", dictionary([shown].into_iter().chain(of).collect()))
}

fn of_text(value: &Text) -> DebugAnnotation {
    let shown = String::from_utf8_lossy(&value.bytes);
    match value.cut {
        None => text(shown),
        Some(of) => dictionary(vec![cut(value.bytes.len(), of), named("text", text(shown))]),
    }
}

fn fields(fields: &[(String, Value)]) -> impl Iterator<Item = DebugAnnotation> {
    fields
        .iter()
        .map(|(name, value)| named(name, annotation(value)))
}

fn of_struct(value: &Struct) -> DebugAnnotation {
    let ty = named("$type", text(&value.name));
    dictionary([ty].into_iter().chain(fields(&value.fields)).collect())
}

fn of_variant(variant: &Variant) -> DebugAnnotation {
    let name = named("$variant", text(&variant.name));
    let line = variant.line.map(|line| named("$line", unsigned(line)));
    let fields = fields(&variant.fields);
    dictionary([name].into_iter().chain(line).chain(fields).collect())
}

fn of_sequence(sequence: &Sequence) -> DebugAnnotation {
    let items = array(&sequence.items);
    match sequence.cut {
        None => items,
        Some(of) => dictionary(vec![cut(sequence.items.len(), of), named("items", items)]),
    }
}

fn of_map(map: &Map) -> DebugAnnotation {
    let pairs = map.entries.iter().map(|(key, value)| array([key, value]));
    let pairs = DebugAnnotation {
        array_values: pairs.collect(),
        ..DebugAnnotation::default()
    };
    let cut = map.cut.map(|of| cut(map.entries.len(), of));
    dictionary(cut.into_iter().chain([named("$map", pairs)]).collect())
}

fn of_pointer(pointer: &Pointer) -> DebugAnnotation {
    if let (true, Some(target)) = (pointer.transparent, &pointer.target) {
        return annotation(target);
    }
    let address = plain(AnnotationValue::Pointer(pointer.address));
    if pointer.symbol.is_none() && pointer.target.is_none() {
        return address;
    }
    let symbol = pointer.symbol.iter();
    let target = pointer.target.iter();
    let parts = [named("$address", address)]
        .into_iter()
        .chain(symbol.map(|symbol| named("$symbol", text(symbol))))
        .chain(target.map(|target| named("$target", annotation(target))));
    dictionary(parts.collect())
}

/// Why a frame does not end with a return.
pub(super) fn unfinished(why: &'static str) -> DebugAnnotation {
    named("unfinished", text(why))
}

/// The values of an event, and the rest as `tracer`.
pub(super) fn annotations(event: &Event) -> Vec<DebugAnnotation> {
    let attributes = event.span.iter().flat_map(|span| &span.attributes);
    let values = event.values.iter().chain(attributes);
    let value = |value: &NamedValue| named(argument(&value.expr), annotation(&value.value));
    let mut all: Vec<DebugAnnotation> = values.map(value).collect();
    all.push(named("tracer", dictionary(about(event))));
    all
}

/// An access to a watched value, with the keys of the JSON output.
fn of_access(access: &Access) -> DebugAnnotation {
    let pointer = |address| plain(AnnotationValue::Pointer(address));
    let optional = [
        ("instruction", access.instruction.clone()),
        (
            "by_kernel",
            access.by_kernel.as_ref().map(ToString::to_string),
        ),
        ("uncertain", access.uncertain.clone()),
    ];
    let optional = optional.into_iter();
    let optional = optional.filter_map(|(name, value)| Some(named(name, text(value?))));
    let always = [
        named("kind", text(access.kind.name())),
        named("address", pointer(access.address)),
        named("code", pointer(access.code)),
    ];
    dictionary(always.into_iter().chain(optional).collect())
}

/// The part of an event that is not a value.
fn about(event: &Event) -> Vec<DebugAnnotation> {
    let origin = &event.origin;
    let mut about = vec![
        named("probe", text(&origin.probe_name)),
        named("place", text(origin.place())),
        named("function", text(&origin.function)),
        named("hit", unsigned(event.hit)),
        named("message", text(&event.message)),
    ];
    let counts = [
        ("limited", event.left_out.limited),
        ("lost", event.left_out.lost),
    ];
    let counts = counts.into_iter().filter(|(_, count)| *count > 0);
    about.extend(counts.map(|(name, count)| named(name, unsigned(count))));
    if let Some(stopped) = &event.stack.stopped {
        about.push(named("stack_stopped", text(stopped)));
    }
    let span = event.span.as_deref();
    if let Some(ids) = span.map(|span| span.ids).or(event.context.ids()) {
        about.push(named("trace_id", text(ids.trace.to_string())));
        about.push(named("span_id", text(ids.span.to_string())));
    }
    if let SpanContext::Unknown(why) = &event.context {
        about.push(named("span_unknown", text(&**why)));
    }
    if let Some(access) = &event.access {
        about.push(named("access", of_access(access)));
    }
    let Some(span) = span else { return about };
    if let Some(parent) = span.parent {
        about.push(named("parent_span_id", text(parent.to_string())));
    }
    if let SpanStatus::Error(error) = &span.status {
        about.push(named("error", text(error)));
    }
    about.extend(span.notes.iter().map(|note| named("note", text(note))));
    about
}
