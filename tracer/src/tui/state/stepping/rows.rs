//! The rows of the stepping view: values with their changes, and the passes of lines.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::super::compact::{compact_value, summary};
use crate::event::NamedValue;
use crate::event::call::{TracedCall, is_absent};
use crate::value::Value;

/// The difference of a row from the step before of the same frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::tui) enum RowChange {
    /// None.
    Same,
    /// It is in scope from here on.
    New,
    /// It had this value before.
    Changed(String),
    /// It is not in scope any more.
    Gone,
    /// A call that returned this.
    Returned,
}

/// A row of the values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::tui) struct VariableRow {
    /// Name of the variable, or of the function that returned.
    pub(in crate::tui) name: String,
    /// Its type.
    pub(in crate::tui) ty: String,
    /// Its value on one line.
    pub(in crate::tui) text: String,
    /// The value could not be read.
    pub(in crate::tui) is_unavailable: bool,
    /// The difference.
    pub(in crate::tui) change: RowChange,
}

fn text_of(value: &NamedValue) -> String {
    match &value.value {
        Value::Unavailable(why) => format!("<{why}>"),
        shown => summary(shown, &value.ty).text,
    }
}

/// The last part of a function's path. Generic arguments may have paths of their own, so such a name stays whole.
fn last_part(name: &str) -> &str {
    match name.contains('<') {
        true => name,
        false => name.rsplit("::").next().unwrap_or(name),
    }
}

fn row(value: &NamedValue, change: RowChange) -> VariableRow {
    VariableRow {
        name: value.expr.to_string(),
        ty: value.ty.to_string(),
        text: text_of(value),
        is_unavailable: matches!(value.value, Value::Unavailable(_)),
        change,
    }
}

/// The rows of a step: returned calls first, then the variables in scope, then those that are gone.
pub(in crate::tui) fn rows(call: &TracedCall, index: usize) -> Vec<VariableRow> {
    let mut rows = Vec::new();
    for (frame, at) in call.returned_before(index) {
        let value = call.values(at).first();
        rows.push(VariableRow {
            name: format!("{}()", last_part(call.name_of(frame))),
            ty: value.map_or_else(String::new, |value| value.ty.to_string()),
            text: value.map_or_else(|| "returned".to_owned(), text_of),
            is_unavailable: value.is_some_and(|one| matches!(one.value, Value::Unavailable(_))),
            change: RowChange::Returned,
        });
    }
    let changes = call.changes(index);
    let is_first = call.step(index).is_some_and(|step| step.before.is_none());
    let present = call.values(index).iter().filter(|value| !is_absent(value));
    for value in present {
        let change = changes
            .iter()
            .find(|one| one.now.is_some_and(|now| std::ptr::eq(now, value)));
        rows.push(row(
            value,
            match change.map(|change| change.before) {
                None => RowChange::Same,
                // All are new at the first step of a frame, so that says nothing.
                Some(None) if is_first => RowChange::Same,
                Some(None) => RowChange::New,
                Some(Some(before)) => RowChange::Changed(text_of(before)),
            },
        ));
    }
    let gone = changes.iter().filter(|change| change.now.is_none());
    rows.extend(gone.filter_map(|change| Some(row(change.before?, RowChange::Gone))));
    rows
}

/// The names of the rows, which select one of them.
pub(super) fn names(call: &TracedCall, index: usize) -> Vec<String> {
    let rows = rows(call, index).into_iter();
    rows.map(|row| row.name).collect()
}

/// How often a line is passed in the frame of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::tui) struct PassCount {
    /// Up to the step, which is the last of them if it is on the line.
    pub(in crate::tui) so_far: u64,
    /// After it.
    pub(in crate::tui) later: u64,
}

/// The passes of the lines of the step's file, in its frame.
pub(in crate::tui) fn passes(call: &TracedCall, index: usize) -> BTreeMap<u64, PassCount> {
    let mut passes: BTreeMap<u64, PassCount> = BTreeMap::new();
    let (Some(here), Some(frame)) = (call.step(index), call.frame_of(index)) else {
        return passes;
    };
    for at in &frame.steps {
        let Some(step) = call.step(*at) else {
            continue;
        };
        let (file, here) = (&step.event.origin.file, &here.event.origin.file);
        // Most steps share the path, and comparing paths takes long.
        let is_here = Arc::ptr_eq(file, here) || file == here;
        if !step.is_pass() || !is_here {
            continue;
        }
        let line = passes.entry(step.event.origin.line).or_default();
        match *at <= index {
            true => line.so_far += 1,
            false => line.later += 1,
        }
    }
    passes
}

/// A row of the table of a variable: steps of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::tui) struct HistoryRow {
    /// Indexes of the first and the last step.
    pub(in crate::tui) steps: (usize, usize),
    /// The value. `None` if the variable is not in scope.
    pub(in crate::tui) text: Option<String>,
}

/// The values of a variable over the steps of a frame. Steps in a row with the same value are one row.
pub(in crate::tui) fn history(call: &TracedCall, frame: usize, name: &str) -> Vec<HistoryRow> {
    let mut rows: Vec<HistoryRow> = Vec::new();
    for one in call.history(frame, name) {
        match rows.last_mut().filter(|_| !one.is_change) {
            Some(last) => last.steps.1 = one.step,
            None => rows.push(HistoryRow {
                steps: (one.step, one.step),
                text: one.value.map(compact_value),
            }),
        }
    }
    rows
}

/// A number of a variable over steps.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::tui) struct NumberCurve {
    /// The variable, with the fields that lead to the number.
    pub(in crate::tui) name: String,
    /// Index of the step, and the number.
    pub(in crate::tui) points: Vec<(usize, f64)>,
}

/// Numbers of one variable that are drawn.
const CURVES: usize = 6;
/// Levels of fields in which numbers are looked for.
const DEPTH: usize = 3;

/// The numbers of a variable over the steps of a frame.
pub(in crate::tui) fn curves(call: &TracedCall, frame: usize, name: &str) -> Vec<NumberCurve> {
    let mut curves: Vec<NumberCurve> = Vec::new();
    for one in call.history(frame, name) {
        let Some(value) = one.value else {
            continue;
        };
        let mut numbers = Vec::new();
        numbers_of(name.to_owned(), value, DEPTH, &mut numbers);
        for (name, number) in numbers {
            let curve = match curves.iter().position(|curve| curve.name == name) {
                Some(at) => curves.get_mut(at),
                None if curves.len() < CURVES => {
                    curves.push(NumberCurve {
                        name,
                        points: Vec::new(),
                    });
                    curves.last_mut()
                }
                None => None,
            };
            if let Some(curve) = curve {
                curve.points.push((one.step, number));
            }
        }
    }
    curves
}

fn numbers_of(name: String, value: &Value, depth: usize, numbers: &mut Vec<(String, f64)>) {
    let number = match value {
        Value::Int(value, _) => *value as f64,
        Value::Uint(value) => *value as f64,
        Value::Nanoseconds(ns) => *ns as f64,
        Value::Float32(value) => f64::from(*value),
        Value::Float64(value) => *value,
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Pointer(pointer) if pointer.transparent && depth > 0 => {
            if let Some(target) = &pointer.target {
                numbers_of(name, target, depth - 1, numbers);
            }
            return;
        }
        Value::Struct(inner) if depth > 0 => {
            for (field, value) in &inner.fields {
                numbers_of(format!("{name}.{field}"), value, depth - 1, numbers);
            }
            return;
        }
        _ => return,
    };
    if number.is_finite() && numbers.len() < CURVES {
        numbers.push((name, number));
    }
}
