//! CSV: a row for each event, by RFC 4180.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::columns::{Column, Columns, TableCell};
use crate::base::visible::{Visible, is_hostile};
use crate::event::Event;
use crate::sink::stamp::Stamp;
use crate::sink::{Begin, Sink};

/// Writes events as rows.
pub(super) struct CsvSink<W: Write> {
    out: csv::Writer<W>,
    columns: Columns,
    stamp: Stamp,
    text: String,
    for_terminal: bool,
}

impl<W: Write + Send> CsvSink<W> {
    pub(super) fn new(out: W, columns: Columns, for_terminal: bool) -> Self {
        let mut builder = csv::WriterBuilder::new();
        builder.terminator(csv::Terminator::CRLF);
        Self {
            out: builder.from_writer(out),
            columns,
            stamp: Stamp::utc(),
            text: String::new(),
            for_terminal,
        }
    }

    fn cell(&mut self, cell: &TableCell<'_>) -> io::Result<()> {
        self.text.clear();
        let text = &mut self.text;
        // A string takes all that is written to it.
        let _ = match cell {
            TableCell::Empty => Ok(()),
            TableCell::Time(time_ns) => {
                let (second, nanoseconds) = self.stamp.of(*time_ns);
                write!(text, "{second}.{nanoseconds:09}Z")
            }
            TableCell::Int64(number) => write!(text, "{number}"),
            TableCell::Uint64(number) => write!(text, "{number}"),
            TableCell::Double(number) => write!(text, "{number}"),
            TableCell::Single(number) => write!(text, "{number}"),
            TableCell::Boolean(value) => write!(text, "{value}"),
            TableCell::Text(cell) => {
                guard(cell, text);
                Ok(())
            }
            TableCell::Json(json) => {
                text.push_str(json);
                Ok(())
            }
        };
        if self.for_terminal && text.contains(is_hostile) {
            let visible = Visible(text).to_string();
            *text = visible;
        }
        self.out.write_field(&self.text).map_err(failed)
    }
}

/// The writer's error, so that a closed pipe is known as one.
fn failed(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// Appends a text. One that a spreadsheet would take for a formula has a `'` before it, and so has one that begins
/// with `'` itself: so a reader that removes one of them has the text again.
fn guard(cell: &str, text: &mut String) {
    let is_formula =
        cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if is_formula || cell.starts_with('\'') {
        text.push('\'');
    }
    text.push_str(cell);
}

impl<W: Write + Send> Sink for CsvSink<W> {
    fn begin(&mut self, _session: &Begin) -> io::Result<()> {
        for Column {
            name,
            kind,
            is_value,
        } in self.columns.all()
        {
            let name = match is_value {
                true => format!("{name}:{}", kind.name()),
                false => name,
            };
            self.cell(&TableCell::Text(name.into()))?;
        }
        self.out.write_record(None::<&[u8]>).map_err(failed)
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        let mut row = Vec::new();
        self.columns.row(event, &mut row)?;
        for cell in &row {
            self.cell(cell)?;
        }
        self.out.write_record(None::<&[u8]>).map_err(failed)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
