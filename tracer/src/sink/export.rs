//! Exports: the events of a session in the formats of other tools, from a recording or as they come.
//!
//! Each format is a [`Sink`], so both ways share it. The tables ([`csv`], [`parquet`]) need all columns before the
//! first row: [`replay`] reads a recording twice, and [`spool`] keeps the events of a session in a file of its own
//! until the end.

mod chrome;
mod columns;
mod csv;
mod lanes;
pub mod limits;
mod parquet;
mod perfetto;
mod pprof;
pub mod replay;
pub mod spool;
mod step_frames;
#[cfg(test)]
pub(crate) mod tests;

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::event::Event;
use crate::sink::json::JsonSink;
use crate::sink::{Begin, Sink};
use crate::value::Value;

use chrome::ChromeSink;
use columns::Columns;
use csv::CsvSink;
use parquet::ParquetSink;
use perfetto::PerfettoSink;
use pprof::PprofSink;

/// The destination of an export.
pub type ExportOut = Box<dyn Write + Send>;

/// A format that is a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// The lines of docs/output.md.
    Json,
    /// A row for each event, as text.
    Csv,
    /// A row for each event, in columns.
    Parquet,
    /// The Trace Event Format, as JSON.
    Chrome,
    /// The protobuf trace of Perfetto.
    Perfetto,
    /// The compressed profile of pprof.
    Pprof,
}

/// All formats, with their names.
pub const FORMATS: [(&str, ExportFormat); 6] = [
    ("json", ExportFormat::Json),
    ("csv", ExportFormat::Csv),
    ("parquet", ExportFormat::Parquet),
    ("chrome", ExportFormat::Chrome),
    ("perfetto", ExportFormat::Perfetto),
    ("pprof", ExportFormat::Pprof),
];

impl ExportFormat {
    /// The format of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut formats = FORMATS.into_iter();
        formats
            .find(|(known, _)| *known == name)
            .map(|(_, format)| format)
    }

    /// Returns true if a terminal cannot show it.
    #[must_use]
    pub const fn is_binary(self) -> bool {
        matches!(self, Self::Parquet | Self::Perfetto | Self::Pprof)
    }

    /// The format needs its columns before the first row.
    const fn is_table(self) -> bool {
        matches!(self, Self::Csv | Self::Parquet)
    }

    /// The sink of the format. `columns` are those of tables.
    fn sink(
        self,
        out: ExportOut,
        columns: Columns,
        looks: ExportLooks,
    ) -> io::Result<Box<dyn Sink>> {
        Ok(match self {
            Self::Json => Box::new(JsonSink::new(out).with_processes(looks.per_process)),
            Self::Csv => Box::new(CsvSink::new(out, columns, looks.for_terminal)),
            Self::Parquet => Box::new(ParquetSink::new(out, columns)?),
            Self::Chrome => Box::new(ChromeSink::new(out)),
            Self::Perfetto => Box::new(PerfettoSink::new(out)),
            Self::Pprof => Box::new(PprofSink::new(out)),
        })
    }
}

/// Writes a complete list of events. `end` writes what comes after them.
///
/// # Errors
/// The output's.
pub fn write_events(
    format: ExportFormat,
    looks: ExportLooks,
    out: ExportOut,
    begin: &Begin,
    events: &[Arc<Event>],
    end: impl FnOnce(&mut dyn Sink) -> io::Result<()>,
) -> io::Result<()> {
    let mut columns = Columns::default();
    if format.is_table() {
        events.iter().for_each(|event| columns.see(event));
    }
    let mut sink = format.sink(out, columns, looks)?;
    sink.begin(begin)?;
    for event in events {
        sink.event(event)?;
    }
    end(&mut *sink)?;
    sink.finish()
}

/// Details of an export.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExportLooks {
    /// Summaries list the processes.
    pub per_process: bool,
    /// It is written to a terminal, which must not get control characters.
    pub for_terminal: bool,
}

/// A number of an event, for counters.
#[derive(Clone, Copy, Debug, PartialEq)]
enum PlottedNumber {
    Integer(i64),
    Double(f64),
}

impl Serialize for PlottedNumber {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(number) => out.serialize_i64(*number),
            Self::Double(number) => out.serialize_f64(*number),
        }
    }
}

/// The number of a value. `None` if it is something else, or not finite.
#[expect(
    clippy::cast_precision_loss,
    reason = "a counter of more than 63 bits is a double"
)]
fn number(value: &Value) -> Option<PlottedNumber> {
    let integer = |number: Option<i64>, wide: f64| {
        Some(number.map_or(PlottedNumber::Double(wide), PlottedNumber::Integer))
    };
    match value {
        Value::Int(number, _) => integer(i64::try_from(*number).ok(), *number as f64),
        Value::Uint(number) => integer(i64::try_from(*number).ok(), *number as f64),
        Value::Nanoseconds(number) => integer(i64::try_from(*number).ok(), *number as f64),
        Value::Duration(duration) => {
            let ns = duration.as_nanos();
            integer(i64::try_from(ns).ok(), ns as f64)
        }
        Value::Float32(number) => number
            .is_finite()
            .then_some(PlottedNumber::Double((*number).into())),
        Value::Float64(number) => number.is_finite().then_some(PlottedNumber::Double(*number)),
        Value::Pointer(pointer) if pointer.transparent => number(pointer.target.as_deref()?),
        _ => None,
    }
}

/// The name of a log or snapshot in a trace: few different ones, so that they can be added up by name.
fn title(event: &Event) -> String {
    let origin = &event.origin;
    format!("{} {}", origin.probe_name, origin.place())
}

/// The name of a value among arguments: `tracer` has the rest of the event.
fn argument(expr: &str) -> Cow<'_, str> {
    match expr {
        "tracer" => "value.tracer".into(),
        other => other.into(),
    }
}
