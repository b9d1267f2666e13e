//! What frontends get: hits as events, and the state of probes.

use std::path::PathBuf;
use std::sync::Arc;

use crate::unavailable::Unavailable;
use crate::value::Value;

/// Names a probe of a session: `p1`, `p2`, … in the order of installing; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProbeId(pub u32);

impl std::fmt::Display for ProbeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p{}", self.0)
    }
}

/// What is the same for all events of one site; made once, shared.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// The probe.
    pub probe: ProbeId,
    /// Name that the user gave it (`as NAME`), else `p1` ….
    pub probe_name: String,
    /// `log`, `snapshot`, ….
    pub action: &'static str,
    /// Source file as the debug information names it.
    pub file: Arc<PathBuf>,
    /// Line, from 1.
    pub line: u64,
    /// Innermost function, demangled.
    pub function: String,
    /// Link address of the site.
    pub address: u64,
    /// Number of this site, from 1, and sites of the probe.
    pub site: (u32, u32),
    /// The message is meant to have many lines (`{:#?}`).
    pub multiline: bool,
}

/// One hit that was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Where it comes from.
    pub origin: Arc<Origin>,
    /// Time of the hit in ns since the Unix epoch.
    ///
    /// Source: `CLOCK_MONOTONIC` at the hit plus the offset between that clock
    /// and `CLOCK_REALTIME` when the session read them last.
    pub time_ns: u64,
    /// Process id, as seen from our own pid namespace.
    pub pid: u32,
    /// Thread id, likewise.
    pub tid: u32,
    /// Thread name at the hit; hostile text.
    pub thread: String,
    /// Number of the hit among its probe's, from 1.
    pub hit: u64,
    /// The template filled in; for `log` without one: `name = value, …`.
    /// May hold any character: writers escape.
    pub message: String,
    /// The values in it.
    pub values: Vec<NamedValue>,
    /// Call stack; empty unless asked for.
    pub stack: Stack,
}

/// A call stack.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stack {
    /// Innermost first, inlined copies among them.
    pub frames: Vec<Frame>,
    /// Why there are no more frames; `None`: these are all, or all that were asked for.
    pub stopped: Option<String>,
}

/// One value of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedValue {
    /// The expression, as typed, or the variable's name.
    pub expr: Arc<str>,
    /// Its type, as the source writes it.
    pub ty: Arc<str>,
    /// What it was.
    pub value: Value,
}

/// One frame of a call stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Demangled; `None` when nothing names the address.
    pub function: Option<String>,
    /// Source file, where known.
    pub file: Option<Arc<PathBuf>>,
    /// Line, where known.
    pub line: Option<u64>,
    /// An inlined copy in the frame below.
    pub inlined: bool,
    /// Run address.
    pub address: u64,
    /// Variables in scope, of a snapshot's callers.
    pub values: Vec<NamedValue>,
}

/// What a probe has added up in the kernel so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// The probe.
    pub probe: ProbeId,
    /// Name that the user gave it, else `p1` ….
    pub probe_name: String,
    /// `count`, `hist`, `time`.
    pub action: &'static str,
    /// The expression that hits are told apart by, as typed; empty when they are only counted.
    pub expr: Arc<str>,
    /// Hits that were added up.
    pub total: u64,
    /// Hits among them whose key found no room.
    pub other: u64,
    /// Hits by key.
    pub body: AggregateBody,
}

/// Hits by key.
#[derive(Clone, Debug, PartialEq)]
pub enum AggregateBody {
    /// By value, the most frequent first. A value that could not be read is one of them.
    Count(Vec<CountRow>),
    /// By range of numbers.
    Histogram(Histogram),
}

/// How often a value was there.
#[derive(Clone, Debug, PartialEq)]
pub struct CountRow {
    /// The value.
    pub value: Value,
    /// Hits.
    pub count: u64,
}

/// How often a number was in a range.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Width of the buckets; `None`: powers of two.
    pub step: Option<u64>,
    /// Those with hits, by number.
    pub buckets: Vec<Bucket>,
    /// Hits whose number could not be read, by reason.
    pub unavailable: Vec<(Unavailable, u64)>,
}

/// A range of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Lowest number in it.
    pub low: i128,
    /// Highest number in it.
    pub high: i128,
    /// Hits.
    pub count: u64,
}

/// Counters of one probe, summed over its sites and all CPUs.
///
/// hits = events + lost + limited + rejected + faults + silenced + expired + over_budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Times that a site was reached.
    pub hits: u64,
    /// Events handed to the frontend, and hits that were added up in the kernel instead.
    pub events: u64,
    /// Events lost: no room in the ring, no scratch area, a full queue to a slow frontend, undecodable.
    pub lost: u64,
    /// Hits over the rate limit.
    pub limited: u64,
    /// Hits whose condition was false.
    pub rejected: u64,
    /// Hits whose condition could not be read.
    pub faults: u64,
    /// Hits while disabled.
    pub silenced: u64,
    /// Hits after the time to live.
    pub expired: u64,
    /// Hits after the hit budget was used.
    pub over_budget: u64,
    /// Reads that failed in events that were sent.
    pub read_faults: u64,
    /// Events whose record was cut at its limit.
    pub cut: u64,
    /// Time in eBPF of all hits, ns: estimated from one hit in sixteen, which are timed.
    pub bpf_ns: u64,
}

/// Everything that a session tells its frontend.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A hit.
    Event(Box<Event>),
    /// Something that the user should know, once: a limit reached, a site that could not be attached.
    Warning(String),
    /// The target is gone: exit code or signal when that is known. The session is over.
    TargetExited(Option<i32>),
}
