//! Exports of made events, read back by the readers that our own dependencies have. The end-to-end tests have
//! those of other tools.

mod calls;
mod made;
mod profile;
mod replays;
mod tables;
mod traces;

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::columns::Columns;
use super::{ExportFormat, ExportLooks};
use crate::event::Event;

/// A destination that the test keeps.
#[derive(Clone, Default)]
struct SharedBytes(Arc<Mutex<Vec<u8>>>);

impl SharedBytes {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for SharedBytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The export of events.
fn export(format: ExportFormat, events: &[Event]) -> Vec<u8> {
    export_to(format, events, false)
}

fn export_to(format: ExportFormat, events: &[Event], for_terminal: bool) -> Vec<u8> {
    let mut columns = Columns::default();
    events.iter().for_each(|event| columns.see(event));
    let looks = ExportLooks {
        for_terminal,
        ..ExportLooks::default()
    };
    let bytes = SharedBytes::default();
    let sink = format.sink(Box::new(bytes.clone()), columns, looks);
    let mut sink = sink.expect("a sink");
    sink.begin(&made::begin()).expect("written");
    for event in events {
        sink.event(event).expect("written");
    }
    sink.finish().expect("written");
    bytes.take()
}
