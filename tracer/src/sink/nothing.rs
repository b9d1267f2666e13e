//! Writes nothing: the session is recorded elsewhere.

use std::io;

use super::{Begin, Sink};
use crate::event::{Aggregate, Event, ProbeDone, ProbeLimited};
use crate::session::{FollowedProcesses, ProbeStatus};

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

    fn limited(&mut self, _limited: &ProbeLimited) -> io::Result<()> {
        Ok(())
    }

    fn done(&mut self, _done: &ProbeDone) -> io::Result<()> {
        Ok(())
    }

    fn aggregate(&mut self, _aggregate: &Aggregate, _time_ns: u64) -> io::Result<()> {
        Ok(())
    }

    fn summary(&mut self, _probe: &ProbeStatus) -> io::Result<()> {
        Ok(())
    }

    fn followed(&mut self, _followed: &FollowedProcesses) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
