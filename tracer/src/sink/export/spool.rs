//! Exports of a session that goes on.

use std::fs::File;
use std::io;

use super::columns::Columns;
use super::replay::events;
use super::{ExportFormat, ExportLooks, ExportOut};
use crate::event::Event;
use crate::sink::recording::container::{Index, read_block};
use crate::sink::recording::reader::entries;
use crate::sink::recording::writer::RecordingWriter;
use crate::sink::{Begin, Sink};

/// A file for events that wait for the end of the session.
pub struct Spool {
    /// To read it.
    pub file: File,
    /// To write to it.
    pub writes: ExportOut,
}

impl ExportFormat {
    /// Events of a session must wait for its end.
    #[must_use]
    pub const fn needs_spool(self) -> bool {
        self.is_table()
    }

    /// The end of a session takes long, because much is written only then.
    #[must_use]
    pub const fn writes_at_end(self) -> bool {
        self.is_table() || matches!(self, Self::Pprof)
    }

    /// The sink of a session. Formats that need a spool write at the end, and nothing without one.
    ///
    /// # Errors
    /// The compressor cannot allocate its memory.
    pub fn live(
        self,
        out: ExportOut,
        spool: Option<Spool>,
        looks: ExportLooks,
    ) -> io::Result<Box<dyn Sink>> {
        let Some(spool) = spool else {
            return self.sink(out, Columns::default(), looks);
        };
        Ok(Box::new(SpoolSink {
            writer: RecordingWriter::new(spool.writes)?,
            file: spool.file,
            format: self,
            looks,
            columns: Columns::default(),
            begin: None,
            out: Some(out),
        }))
    }
}

/// Keeps the events of a session in a file, in the blocks of a recording, and writes the table at the end.
struct SpoolSink {
    writer: RecordingWriter<ExportOut>,
    file: File,
    format: ExportFormat,
    looks: ExportLooks,
    /// The columns of the events up to now.
    columns: Columns,
    begin: Option<Begin>,
    /// `None` after the end.
    out: Option<ExportOut>,
}

impl Sink for SpoolSink {
    fn begin(&mut self, session: &Begin) -> io::Result<()> {
        self.begin = Some(session.clone());
        Ok(())
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.columns.see(event);
        self.writer.event(event)
    }

    /// The table is written at the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let (Some(out), Some(begin)) = (self.out.take(), self.begin.take()) else {
            return Ok(());
        };
        self.writer.write_block()?;
        let columns = std::mem::take(&mut self.columns);
        let mut sink = self.format.sink(out, columns, self.looks)?;
        sink.begin(&begin)?;
        for block in Index::read(&self.file)?.blocks {
            let lines = read_block(&self.file, &block).map_err(io::Error::other)?;
            events(entries(&lines).map_err(io::Error::other)?, &mut *sink)?;
        }
        sink.finish()
    }
}
