//! The columns of a table: what all events have, and one for each value of each probe.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;

use serde::ser::{SerializeMap as _, Serializer as _};

use super::limits::COLUMNS;
use crate::event::{
    Access, Event, KernelAccess, NamedValue, SpanContext, SpanEvent, SpanStatus, StepEvent,
};
use crate::sink::Begin;
use crate::sink::Sink;
use crate::sink::json::Frames;
use crate::value::{Text, Value};

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnKind {
    Time,
    Int64,
    Uint64,
    Double,
    Boolean,
    Text,
    Json,
}

impl ColumnKind {
    /// Its name in a header.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Time => "timestamp",
            Self::Int64 => "int64",
            Self::Uint64 => "uint64",
            Self::Double => "double",
            Self::Boolean => "boolean",
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: ColumnKind,
    /// It has the values of an expression.
    pub(super) is_value: bool,
}

/// One cell of a row, of its column's type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TableCell<'e> {
    Empty,
    Time(u64),
    Int64(i64),
    Uint64(u64),
    Double(f64),
    /// A double that was a float in the program. It has another shortest decimal form.
    Single(f32),
    Boolean(bool),
    Text(Cow<'e, str>),
    Json(String),
}

/// A value, as far as a table is concerned.
enum Plain<'v> {
    Missing,
    /// Missing, with the reason in its JSON form.
    Unavailable,
    Integer(i128),
    Double(f64),
    Single(f32),
    Boolean(bool),
    Text(Cow<'v, str>),
    /// The part of a text that was read.
    CutText(&'v str),
    /// A text that is not UTF-8.
    Bytes,
    Nested,
}

impl<'v> Plain<'v> {
    fn of(value: &'v Value) -> Self {
        match value {
            Value::Int(number, _) => Self::integer(Some(*number)),
            Value::Uint(number) => Self::integer(i128::try_from(*number).ok()),
            Value::Nanoseconds(number) => Self::Integer((*number).into()),
            Value::Duration(duration) => Self::integer(i128::try_from(duration.as_nanos()).ok()),
            Value::Bool(value) => Self::Boolean(*value),
            Value::Char(c) => Self::Text(c.to_string().into()),
            Value::Float32(number) => Self::Single(*number),
            Value::Float64(number) => Self::Double(*number),
            Value::Text(text) => Self::text(text),
            Value::Unit => Self::Missing,
            Value::Unavailable(_) => Self::Unavailable,
            Value::Pointer(pointer) => match (&pointer.target, pointer.transparent) {
                (Some(target), true) => Self::of(target),
                _ => Self::Nested,
            },
            Value::Struct(_)
            | Value::Tuple(_)
            | Value::Range(_)
            | Value::Variant(_)
            | Value::Sequence(_)
            | Value::Map(_) => Self::Nested,
        }
    }

    /// One of at most 64 bits. Larger ones are in no column of numbers.
    fn integer(number: Option<i128>) -> Self {
        let fits = |number: &i128| (i64::MIN.into()..=u64::MAX.into()).contains(number);
        number.filter(fits).map_or(Self::Nested, Self::Integer)
    }

    fn text(text: &'v Text) -> Self {
        match (std::str::from_utf8(&text.bytes), text.cut) {
            (Ok(text), None) => Self::Text(text.into()),
            (Ok(text), Some(_)) => Self::CutText(text),
            // The cut may have split a character.
            (Err(error), Some(_)) if error.error_len().is_none() => {
                let whole = text.bytes.get(..error.valid_up_to()).unwrap_or_default();
                std::str::from_utf8(whole).map_or(Self::Bytes, Self::CutText)
            }
            (Err(_), _) => Self::Bytes,
        }
    }
}

/// The kinds of the values of a column, up to now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct SeenKinds {
    integers: bool,
    negative: bool,
    /// Beyond 63 bits.
    large: bool,
    doubles: bool,
    booleans: bool,
    texts: bool,
    nested: bool,
}

impl SeenKinds {
    fn see(&mut self, value: &Value) {
        match Plain::of(value) {
            Plain::Missing | Plain::Unavailable => {}
            Plain::Integer(number) => {
                self.integers = true;
                self.negative |= number < 0;
                self.large |= number > i64::MAX.into();
            }
            Plain::Double(_) | Plain::Single(_) => self.doubles = true,
            Plain::Boolean(_) => self.booleans = true,
            Plain::Text(_) | Plain::CutText(_) | Plain::Bytes => self.texts = true,
            Plain::Nested => self.nested = true,
        }
    }

    fn kind(self) -> ColumnKind {
        match (
            self.integers,
            self.doubles,
            self.booleans,
            self.texts,
            self.nested,
        ) {
            (true, false, false, false, false) => match (self.negative, self.large) {
                (true, true) => ColumnKind::Json,
                (false, true) => ColumnKind::Uint64,
                (_, false) => ColumnKind::Int64,
            },
            (false, true, false, false, false) => ColumnKind::Double,
            (false, false, true, false, false) => ColumnKind::Boolean,
            (false, false, false, true, false) | (false, false, false, false, false) => {
                ColumnKind::Text
            }
            _ => ColumnKind::Json,
        }
    }
}

/// A column of values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ValueColumn {
    name: String,
    seen: SeenKinds,
    /// The last row that has a value in it.
    row: u64,
}

/// The columns of a table. They are found by a first reading of all events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Columns {
    values: Vec<ValueColumn>,
    /// Places in `values`, by probe and expression. A message may have an expression twice.
    by_name: HashMap<String, HashMap<String, Vec<usize>>>,
    row: u64,
    gaps: bool,
    stacks: bool,
    contexts: bool,
    unknown_contexts: bool,
    spans: bool,
    steps: bool,
    accesses: bool,
    /// Values beyond the limit.
    others: bool,
    /// Values that their column does not show as a whole.
    remarks: bool,
}

impl Columns {
    /// Notes the columns that an event needs.
    pub(super) fn see(&mut self, event: &Event) {
        self.row += 1;
        self.gaps |= !event.left_out.is_none();
        self.stacks |= !event.stack.frames.is_empty() || event.stack.stopped.is_some();
        self.contexts |= event.context.ids().is_some() || event.span.is_some();
        self.unknown_contexts |= matches!(event.context, SpanContext::Unknown(_));
        self.spans |= event.span.is_some();
        self.steps |= event.step.is_some();
        self.accesses |= event.access.is_some();
        for named in values(event) {
            match self.place(&event.origin.probe_name, &named.expr, true) {
                Some(place) => {
                    if let Some(column) = self.values.get_mut(place) {
                        column.seen.see(&named.value);
                    }
                }
                None => self.others = true,
            }
            self.remarks |= has_remark(&named.value);
        }
    }

    /// The column of a value in this row. `None` if there are too many columns.
    fn place(&mut self, probe: &str, expr: &str, may_add: bool) -> Option<usize> {
        let row = self.row;
        let known = self.by_name.get(probe).and_then(|probe| probe.get(expr));
        let places = known.map_or(&[][..], Vec::as_slice);
        let free = places
            .iter()
            .copied()
            .find(|&place| self.values.get(place).is_some_and(|one| one.row != row));
        let place = match free {
            Some(place) => place,
            None if may_add && self.values.len() < COLUMNS => {
                let place = self.values.len();
                let name = match places.len() {
                    0 => format!("{probe}.{expr}"),
                    more => format!("{probe}.{expr}#{}", more + 1),
                };
                let of_probe = self.by_name.entry(probe.to_owned()).or_default();
                of_probe.entry(expr.to_owned()).or_default().push(place);
                self.values.push(ValueColumn {
                    name,
                    ..ValueColumn::default()
                });
                place
            }
            None => return None,
        };
        if let Some(column) = self.values.get_mut(place) {
            column.row = row;
        }
        Some(place)
    }

    /// All columns, in their order.
    pub(super) fn all(&self) -> Vec<Column> {
        use ColumnKind::{Boolean, Int64, Json, Text, Time, Uint64};
        let mut all = Vec::new();
        let mut add = |is_there: bool, columns: &[(&str, ColumnKind)]| {
            let of = |&(name, kind): &(&str, ColumnKind)| Column {
                name: name.to_owned(),
                kind,
                is_value: false,
            };
            all.extend(columns.iter().filter(|_| is_there).map(of));
        };
        add(
            true,
            &[
                ("time", Time),
                ("probe", Text),
                ("action", Text),
                ("file", Text),
                ("line", Uint64),
                ("function", Text),
                ("pid", Int64),
                ("tid", Int64),
                ("thread", Text),
                ("hit", Uint64),
                ("message", Text),
            ],
        );
        add(self.gaps, &[("limited", Uint64), ("lost", Uint64)]);
        add(self.stacks, &[("stack", Json), ("stack_stopped", Text)]);
        add(self.contexts, &[("trace_id", Text), ("span_id", Text)]);
        add(self.unknown_contexts, &[("span_unknown", Text)]);
        add(
            self.spans,
            &[
                ("span_name", Text),
                ("span_start", Time),
                ("span_duration_ns", Uint64),
                ("span_parent_id", Text),
                ("span_parent_is_remote", Boolean),
                ("span_error", Text),
                ("span_left_out_events", Uint64),
                ("span_notes", Json),
            ],
        );
        add(
            self.steps,
            &[
                ("call", Uint64),
                ("step", Uint64),
                ("step_kind", Text),
                ("step_depth", Uint64),
                ("step_repeated", Uint64),
            ],
        );
        add(
            self.accesses,
            &[
                ("access_kind", Text),
                ("access_address", Text),
                ("access_code", Text),
                ("access_instruction", Text),
                ("access_by_kernel", Boolean),
                ("access_system_call", Text),
                ("access_uncertain", Text),
            ],
        );
        all.extend(self.values.iter().map(|value| Column {
            name: value.name.clone(),
            kind: value.seen.kind(),
            is_value: true,
        }));
        let mut add = |is_there: bool, name: &str| {
            all.extend(is_there.then(|| Column {
                name: name.to_owned(),
                kind: Json,
                is_value: false,
            }));
        };
        add(self.others, "other_values");
        add(self.remarks, "remarks");
        all
    }

    /// The cells of an event, in the order of [`Self::all`].
    pub(super) fn row<'e>(
        &mut self,
        event: &'e Event,
        row: &mut Vec<TableCell<'e>>,
    ) -> io::Result<()> {
        self.row += 1;
        row.clear();
        self.common(event, row)?;
        if self.spans {
            span_cells(event.span.as_deref(), row)?;
        }
        if self.steps {
            step_cells(event.step.as_deref(), row);
        }
        if self.accesses {
            access_cells(event.access.as_deref(), row);
        }
        let first = row.len();
        row.resize(first + self.values.len(), TableCell::Empty);
        let mut others = Vec::new();
        let mut remarks = Vec::new();
        for named in values(event) {
            let place = self.place(&event.origin.probe_name, &named.expr, false);
            let Some(column) = place.and_then(|place| self.values.get(place)) else {
                others.push((
                    Cow::Owned(format!("{}.{}", event.origin.probe_name, named.expr)),
                    Remark::Whole(&named.value),
                ));
                continue;
            };
            let cell = cell(&named.value, column.seen.kind())?;
            if has_remark(&named.value) {
                let name = Cow::Owned(column.name.clone());
                remarks.push((name, Remark::of(&named.value)));
            }
            if let Some(place) = place.and_then(|place| row.get_mut(first + place)) {
                *place = cell;
            }
        }
        if self.others {
            row.push(object(&others)?);
        }
        if self.remarks {
            row.push(object(&remarks)?);
        }
        Ok(())
    }

    /// The cells that all events have.
    fn common<'e>(&self, event: &'e Event, row: &mut Vec<TableCell<'e>>) -> io::Result<()> {
        let text = |text: &'e str| TableCell::Text(text.into());
        let origin = &event.origin;
        let has_file = origin.file.file_name().is_some();
        row.extend([
            TableCell::Time(event.time_ns),
            text(&origin.probe_name),
            text(origin.action),
            match has_file {
                true => TableCell::Text(origin.file.to_string_lossy()),
                false => TableCell::Empty,
            },
            match has_file {
                true => TableCell::Uint64(origin.line),
                false => TableCell::Empty,
            },
            text(&origin.function),
            TableCell::Int64(event.pid.into()),
            TableCell::Int64(event.tid.into()),
            text(&event.thread),
            TableCell::Uint64(event.hit),
            text(&event.message),
        ]);
        if self.gaps {
            row.push(TableCell::Uint64(event.left_out.limited));
            row.push(TableCell::Uint64(event.left_out.lost));
        }
        if self.stacks {
            let frames = &event.stack.frames;
            row.push(match frames.is_empty() {
                true => TableCell::Empty,
                false => TableCell::Json(serde_json::to_string(&Frames(frames))?),
            });
            row.push(
                event
                    .stack
                    .stopped
                    .as_deref()
                    .map_or(TableCell::Empty, text),
            );
        }
        if self.contexts {
            let of_span = event.span.as_ref().map(|span| span.ids);
            let ids = of_span.or(event.context.ids());
            let shown = |text: String| TableCell::Text(text.into());
            row.push(ids.map_or(TableCell::Empty, |ids| shown(ids.trace.to_string())));
            row.push(ids.map_or(TableCell::Empty, |ids| shown(ids.span.to_string())));
        }
        if self.unknown_contexts {
            row.push(match &event.context {
                SpanContext::Unknown(why) => text(why),
                _ => TableCell::Empty,
            });
        }
        Ok(())
    }
}

/// Finds the columns of events.
impl Sink for Columns {
    fn begin(&mut self, _session: &Begin) -> io::Result<()> {
        Ok(())
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.see(event);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The values of an event, and the attributes of a span.
fn values(event: &Event) -> impl Iterator<Item = &NamedValue> {
    let attributes = event.span.iter().flat_map(|span| &span.attributes);
    event.values.iter().chain(attributes)
}

fn span_cells<'e>(span: Option<&'e SpanEvent>, row: &mut Vec<TableCell<'e>>) -> io::Result<()> {
    let Some(span) = span else {
        row.extend(std::iter::repeat_n(TableCell::Empty, 8));
        return Ok(());
    };
    row.extend([
        TableCell::Text(span.name.as_str().into()),
        TableCell::Time(span.start_ns),
        TableCell::Uint64(span.duration_ns),
        match span.parent {
            Some(parent) => TableCell::Text(parent.to_string().into()),
            None => TableCell::Empty,
        },
        TableCell::Boolean(span.parent_is_remote),
        match &span.status {
            SpanStatus::Unset => TableCell::Empty,
            SpanStatus::Error(text) => TableCell::Text(text.as_str().into()),
        },
        TableCell::Uint64(span.left_out_events),
        match span.notes.as_slice() {
            [] => TableCell::Empty,
            notes => TableCell::Json(serde_json::to_string(notes)?),
        },
    ]);
    Ok(())
}

fn step_cells(step: Option<&StepEvent>, row: &mut Vec<TableCell<'_>>) {
    let Some(step) = step else {
        row.extend(std::iter::repeat_n(TableCell::Empty, 5));
        return;
    };
    row.extend([
        TableCell::Uint64(step.call),
        TableCell::Uint64(step.number),
        TableCell::Text(step.kind.name().into()),
        TableCell::Uint64(step.depth.into()),
        TableCell::Uint64(step.repeated),
    ]);
}

fn access_cells<'e>(access: Option<&'e Access>, row: &mut Vec<TableCell<'e>>) {
    let Some(access) = access else {
        row.extend(std::iter::repeat_n(TableCell::Empty, 7));
        return;
    };
    let text = |text: &'e Option<String>| text.as_deref().map(Cow::Borrowed);
    let kernel = access.by_kernel.as_ref();
    row.push(TableCell::Text(access.kind.name().into()));
    row.push(TableCell::Text(format!("{:#x}", access.address).into()));
    row.push(TableCell::Text(format!("{:#x}", access.code).into()));
    row.push(text(&access.instruction).map_or(TableCell::Empty, TableCell::Text));
    row.push(TableCell::Boolean(kernel.is_some()));
    let call = kernel.and_then(KernelAccess::call);
    row.push(call.map_or(TableCell::Empty, TableCell::Text));
    row.push(text(&access.uncertain).map_or(TableCell::Empty, TableCell::Text));
}

/// A value in a column of this type.
fn cell(value: &Value, kind: ColumnKind) -> io::Result<TableCell<'_>> {
    let plain = Plain::of(value);
    Ok(match (kind, plain) {
        (_, Plain::Missing | Plain::Unavailable) => TableCell::Empty,
        (ColumnKind::Int64, Plain::Integer(number)) => {
            i64::try_from(number).map_or(TableCell::Empty, TableCell::Int64)
        }
        (ColumnKind::Uint64, Plain::Integer(number)) => {
            u64::try_from(number).map_or(TableCell::Empty, TableCell::Uint64)
        }
        (ColumnKind::Double, Plain::Double(number)) => TableCell::Double(number),
        (ColumnKind::Double, Plain::Single(number)) => TableCell::Single(number),
        (ColumnKind::Boolean, Plain::Boolean(value)) => TableCell::Boolean(value),
        (ColumnKind::Text, Plain::Text(text)) => TableCell::Text(text),
        (ColumnKind::Text, Plain::CutText(text)) => TableCell::Text(text.into()),
        (ColumnKind::Json, _) => TableCell::Json(serde_json::to_string(value)?),
        _ => TableCell::Empty,
    })
}

/// True for a value that is unavailable, and for a text that is not shown whole.
fn has_remark(value: &Value) -> bool {
    matches!(
        Plain::of(value),
        Plain::Unavailable | Plain::CutText(_) | Plain::Bytes
    )
}

/// The JSON form of a value beside its column.
enum Remark<'v> {
    Whole(&'v Value),
    /// The column has the text.
    Cut(&'v Text),
}

impl<'v> Remark<'v> {
    fn of(value: &'v Value) -> Self {
        match value {
            Value::Text(text) if matches!(Plain::of(value), Plain::CutText(_)) => Self::Cut(text),
            Value::Pointer(pointer) if pointer.transparent => match &pointer.target {
                Some(target) => Self::of(target),
                None => Self::Whole(value),
            },
            _ => Self::Whole(value),
        }
    }
}

impl serde::Serialize for Remark<'_> {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct CutText {
            #[serde(rename = "$cut")]
            cut: CutBytes,
        }
        #[derive(serde::Serialize)]
        struct CutBytes {
            shown: usize,
            #[serde(skip_serializing_if = "Option::is_none")]
            of: Option<u64>,
        }
        match self {
            Self::Whole(value) => value.serialize(out),
            Self::Cut(text) => {
                let shown = text.bytes.len();
                let of = text.cut.and_then(|cut| cut.of);
                let cut = CutBytes { shown, of };
                CutText { cut }.serialize(out)
            }
        }
    }
}

/// An object of values by their columns. Empty without one.
fn object<'e>(entries: &[(Cow<'_, str>, Remark<'_>)]) -> io::Result<TableCell<'e>> {
    if entries.is_empty() {
        return Ok(TableCell::Empty);
    }
    let mut text = Vec::new();
    let mut out = serde_json::Serializer::new(&mut text);
    let mut map = out.serialize_map(Some(entries.len()))?;
    for (name, value) in entries {
        map.serialize_entry(name, value)?;
    }
    map.end()?;
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    Ok(TableCell::Json(text))
}
