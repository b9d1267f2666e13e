//! Writes nothing: the session is recorded elsewhere.

use std::io;

use super::{Begin, Sink};
use crate::event::Event;

/// Takes everything, and writes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSink;

impl Sink for NoSink {
    fn begin(&mut self, _session: &Begin) -> io::Result<()> {
        Ok(())
    }

    fn event(&mut self, _event: &Event) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
