//! Frontends that write lines: [`text`] for people, [`json`] for programs.
//!
//! Both take events one by one and write to any [`std::io::Write`]; neither
//! knows anything below the session. What the target controls (messages, thread
//! names, paths) is escaped here, since here it leaves us.

pub mod aggregate;
pub mod json;
mod stamp;
pub mod summary;
pub mod text;

pub use stamp::{Clock, TimeStyle};

use std::io;
use std::path::PathBuf;

use crate::event::{Aggregate, Event, ProbeDone, ProbeLimited};
use crate::session::{Followed, ProbeStatus};

/// What a session is about.
#[derive(Clone, Debug)]
pub struct Begin {
    /// Process id of the target, in the tracer's pid namespace.
    pub pid: u32,
    /// The program that it executes.
    pub exe: PathBuf,
    /// When the session began, in ns since the Unix epoch.
    pub time_ns: u64,
    /// The probes that it begins with.
    pub probes: Vec<ProbeStatus>,
}

/// Something that events are written to, one line each.
pub trait Sink: Send {
    /// Writes what is traced, before anything else.
    ///
    /// # Errors
    /// The writer's.
    fn begin(&mut self, session: &Begin) -> io::Result<()>;

    /// Writes one event, behind the gap before it.
    ///
    /// # Errors
    /// The writer's.
    fn event(&mut self, event: &Event) -> io::Result<()>;

    /// Writes that a probe is over its rate limit.
    ///
    /// # Errors
    /// The writer's.
    fn limited(&mut self, limited: &ProbeLimited) -> io::Result<()>;

    /// Writes that a probe has had its last event.
    ///
    /// # Errors
    /// The writer's.
    fn done(&mut self, done: &ProbeDone) -> io::Result<()>;

    /// Writes what a probe has added up by a time, in ns since the Unix epoch.
    ///
    /// # Errors
    /// The writer's.
    fn aggregate(&mut self, aggregate: &Aggregate, time_ns: u64) -> io::Result<()>;

    /// Writes what there is to say of a probe at the end.
    ///
    /// # Errors
    /// The writer's.
    fn summary(&mut self, probe: &ProbeStatus) -> io::Result<()>;

    /// Writes what became of the processes that the target has forked, at the end.
    ///
    /// # Errors
    /// The writer's.
    fn followed(&mut self, followed: &Followed) -> io::Result<()>;

    /// Hands on what was written so far.
    ///
    /// # Errors
    /// The writer's.
    fn flush(&mut self) -> io::Result<()>;
}
