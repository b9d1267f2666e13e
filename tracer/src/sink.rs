//! Frontends that write lines: [`text`] for people, [`json`] for programs. [`otel`] has those for collectors,
//! and [`export`] the formats of other tools.
//!
//! They take events one by one and write to any [`std::io::Write`]. Neither uses anything below the
//! session. Text under the target's control (messages, thread names, paths) is escaped here, where
//! it leaves the tracer.

pub mod aggregate;
pub mod export;
pub mod json;
pub mod nothing;
pub mod otel;
pub mod recording;
mod stamp;
pub mod summary;
pub mod text;

pub use stamp::{Clock, TimeStyle};

use std::io;
use std::path::PathBuf;

use crate::event::{Aggregate, Event, ProbeDone, ProbeLimited, TargetStatus};
use crate::session::{FollowedProcesses, ProbeStatus};

/// The target, the start time and the probes of a session.
#[derive(Clone, Debug)]
pub struct Begin {
    /// The processes that are probed at the beginning. None yet if they are waited for.
    pub targets: Vec<BeginTarget>,
    /// The selectors, as the user wrote them. `None` if one process was chosen by its id.
    pub selectors: Option<String>,
    /// When the session began, in ns since the Unix epoch.
    pub time_ns: u64,
    /// The probes that it begins with.
    pub probes: Vec<ProbeStatus>,
}

/// A process at the beginning of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeginTarget {
    /// Process id in the tracer's pid namespace.
    pub pid: u32,
    /// The program that it executes.
    pub exe: PathBuf,
}

/// Something that events are written to, one line each.
pub trait Sink: Send {
    /// Writes the target, the start time and the probes before anything else.
    ///
    /// # Errors
    /// The writer's.
    fn begin(&mut self, session: &Begin) -> io::Result<()>;

    /// Writes one event, after the gap before it.
    ///
    /// # Errors
    /// The writer's.
    fn event(&mut self, event: &Event) -> io::Result<()>;

    /// Writes that a process has become a target. Formats without a place for it write nothing, as for all of the
    /// following.
    ///
    /// # Errors
    /// The writer's.
    fn came(&mut self, _target: &TargetStatus) -> io::Result<()> {
        Ok(())
    }

    /// Writes that a probe is over its rate limit.
    ///
    /// # Errors
    /// The writer's.
    fn limited(&mut self, _limited: &ProbeLimited) -> io::Result<()> {
        Ok(())
    }

    /// Writes that a probe has had its last event.
    ///
    /// # Errors
    /// The writer's.
    fn done(&mut self, _done: &ProbeDone) -> io::Result<()> {
        Ok(())
    }

    /// Writes the aggregate of a probe at a time, in ns since the Unix epoch.
    ///
    /// # Errors
    /// The writer's.
    fn aggregate(&mut self, _aggregate: &Aggregate, _time_ns: u64) -> io::Result<()> {
        Ok(())
    }

    /// Writes the summary of a probe at the end.
    ///
    /// # Errors
    /// The writer's.
    fn summary(&mut self, _probe: &ProbeStatus) -> io::Result<()> {
        Ok(())
    }

    /// Writes the counts of the processes that the target has forked, at the end.
    ///
    /// # Errors
    /// The writer's.
    fn followed(&mut self, _followed: &FollowedProcesses) -> io::Result<()> {
        Ok(())
    }

    /// Writes the end of the output, and flushes it. Nothing comes after it.
    ///
    /// # Errors
    /// The writer's.
    fn finish(&mut self) -> io::Result<()> {
        self.flush()
    }

    /// Flushes the written output.
    ///
    /// # Errors
    /// The writer's.
    fn flush(&mut self) -> io::Result<()>;
}
