//! The last known values of the variables at a line, and types in few columns.

use std::time::Duration;

use super::super::compact::compact_value;
use super::super::glyphs;
use super::super::state::UiState;
use super::super::times::short_age;
use super::super::tree::types;
use crate::event::{Event, NamedValue};
use crate::value::Value;

/// A value younger than this is shown without its age.
const FRESH: Duration = Duration::from_secs(3);

/// The last known value of a variable.
pub(super) struct VariableValue {
    /// The value, and its age if it is not fresh.
    pub(super) text: String,
    /// It is another one than in the event before.
    pub(super) is_changed: bool,
}

/// The last value of a variable at a line, or of its fields, as far as a probe on that line has sent it.
pub(super) fn known_value(state: &UiState, line: u64, name: &str) -> Option<VariableValue> {
    let mut found: Vec<(&Event, VariableValue)> = Vec::new();
    for probe in state.probes_on(line) {
        let Some(series) = state.results.series.get(&probe.id) else {
            continue;
        };
        let mut recent = series.recent.iter().rev();
        let Some(event) = recent.next() else { continue };
        let Some(text) = value_in(event, name) else {
            continue;
        };
        let before = recent.next().and_then(|event| value_in(event, name));
        let is_changed = before.is_some_and(|before| before != text);
        found.push((event, VariableValue { text, is_changed }));
    }
    let (event, mut value) = found.into_iter().max_by_key(|(event, _)| event.time_ns)?;
    if let Some(age) = age(state, event).filter(|age| *age >= FRESH) {
        value.text.push_str(&format!("  ({} ago)", short_age(age)));
        value.is_changed = false;
    }
    Some(value)
}

/// The value of a variable in an event: whole, or the fields that the event has of it.
fn value_in(event: &Event, name: &str) -> Option<String> {
    let whole = event.values.iter().find(|named| *named.expr == *name);
    // The reason that a variable has no value stands beside it anyway.
    if whole.is_some_and(|named| matches!(named.value, Value::Unavailable(_))) {
        return None;
    }
    if let Some(named) = whole {
        return Some(compact_value(&named.value));
    }
    let part = |named: &NamedValue| {
        let rest = named.expr.strip_prefix(name)?;
        let is_part = rest.starts_with(['.', '[']) || rest.starts_with("->");
        is_part.then(|| format!("{rest}={}", compact_value(&named.value)))
    };
    let parts: Vec<String> = event.values.iter().filter_map(part).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Time from an event to now: the selected event in a recording.
fn age(state: &UiState, event: &Event) -> Option<Duration> {
    if state.recording.is_some() {
        let selected = state.events.event(state.events.list.cursor)?.0;
        let ns = selected.time_ns.saturating_sub(event.time_ns);
        return Some(Duration::from_nanos(ns));
    }
    let series = state.results.series.get(&event.origin.probe)?;
    let ns = state.plot_time_ns(series).saturating_sub(event.time_ns);
    Some(Duration::from_nanos(ns))
}

/// A type in at most `room` columns, as whole as it can be: in full, without paths and default arguments, or without
/// any arguments.
pub(super) fn short_type(ty: &str, room: usize) -> String {
    let fits = |text: &str| glyphs::width(text, room + 1) <= room;
    if fits(ty) {
        return ty.to_owned();
    }
    let short = types::short(ty);
    match short.split_once('<') {
        Some((name, _)) if !fits(&short) => format!("{name}<…>"),
        _ => short,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_lose_paths_and_defaults_before_arguments() {
        let ty = "alloc::vec::Vec<&str, alloc::alloc::Global>";
        assert_eq!(short_type(ty, 60), ty);
        assert_eq!(short_type(ty, 30), "Vec<&str>");
        assert_eq!(short_type(ty, 8), "Vec<…>");
        let ty = "&x11rb::rust_connection::RustConnection<DefaultStream>";
        assert_eq!(short_type(ty, 35), "&RustConnection<DefaultStream>");
        assert_eq!(short_type("unsigned long", 5), "unsigned long");
    }
}
