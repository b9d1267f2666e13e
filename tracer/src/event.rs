//! The data for frontends: hits as events, and the state of probes.

mod access;
pub mod call;
mod done;
pub mod evaluate;
mod left_out;
mod process;
mod span;
mod step;
mod target;
mod weight;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use access::{Access, AccessKind, KernelAccess};
pub use done::{Done, DoneReason, ProbeDone};
pub use left_out::{LeftOut, ProbeLimited, counted, grouped, noun};
pub use process::{ProcessHits, ProcessLabels};
pub use span::{Exemplar, SpanContext, SpanEvent, SpanId, SpanIds, SpanStatus, TraceId};
pub use step::{StepEvent, StepKind};
pub use target::{TargetId, TargetOrigin, TargetStatus};

use crate::base::unavailable::Unavailable;
use crate::value::Value;

/// Longest message, in bytes, and most values of an event that is kept for reuse.
const REUSABLE_MESSAGE: usize = 256;
const REUSABLE_VALUES: usize = 8;

/// Names a probe of a session: `p1`, `p2`, … in the order of installing; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProbeId(pub u32);

impl std::fmt::Display for ProbeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p{}", self.0)
    }
}

/// One placement of a probe. A probe is placed again when its module moves or the target executes
/// another program. Its counters begin at zero each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlacementId(pub u32);

/// The common part of all events of one site, made once and shared.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteOrigin {
    /// The probe.
    pub probe: ProbeId,
    /// The placement of the probe that the site is of.
    pub placement: PlacementId,
    /// Name that the user gave it (`as NAME`), else `p1` ….
    pub probe_name: String,
    /// `log`, `snapshot`, ….
    pub action: &'static str,
    /// Source file as the debug information names it; empty where there is none.
    pub file: Arc<PathBuf>,
    /// Line number, from 1; 0 if the file is not known.
    pub line: u64,
    /// Innermost function, demangled.
    pub function: String,
    /// The function with the frame, if that one is inlined into it.
    pub frame_function: Option<String>,
    /// Link address of the site.
    pub address: u64,
    /// Number of this site, from 1, and sites of the probe.
    pub site: (u32, u32),
    /// The message is meant to have many lines (`{:#?}`).
    pub multiline: bool,
}

impl SiteOrigin {
    /// The function with the frame.
    #[must_use]
    pub fn frame_function(&self) -> &str {
        self.frame_function.as_deref().unwrap_or(&self.function)
    }

    /// `main.rs:57`, or the function where no debug information says the line.
    #[must_use]
    pub fn place(&self) -> Cow<'_, str> {
        place(&self.file, self.line, &self.function)
    }
}

/// `main.rs:57`, or the function if the file is not known.
pub(crate) fn place<'p>(file: &Path, line: u64, function: &'p str) -> Cow<'p, str> {
    match file.file_name() {
        Some(name) => format!("{}:{line}", name.to_string_lossy()).into(),
        None => function.into(),
    }
}

/// One hit that was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The probe and the site of the hit.
    pub origin: Arc<SiteOrigin>,
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
    /// Hits of its probe that were left out since the event before it.
    pub left_out: LeftOut,
    /// The span, if the event is one: it is of a `span` probe.
    pub span: Option<Box<SpanEvent>>,
    /// The innermost span that was open around it. Not for spans, which have their parent.
    pub context: SpanContext,
    /// The step of a traced call, if the event is one: it is of a `trace` probe.
    pub step: Option<Box<StepEvent>>,
    /// The access to a watched value, if the event is one: it is of a `watch` probe.
    pub access: Option<Box<Access>>,
}

impl Event {
    /// Returns true if its allocations are worth reusing: they are small, and nothing else refers
    /// to them.
    pub(crate) fn is_reusable(&self) -> bool {
        let is_small = |named: &NamedValue| {
            matches!(
                named.value,
                Value::Int(..)
                    | Value::Uint(_)
                    | Value::Nanoseconds(_)
                    | Value::Bool(_)
                    | Value::Char(_)
                    | Value::Float32(_)
                    | Value::Float64(_)
                    | Value::Unit
            )
        };
        self.stack.frames.is_empty()
            && self.stack.stopped.is_none()
            && self.span.is_none()
            && self.step.is_none()
            && self.access.is_none()
            && self.message.capacity() <= REUSABLE_MESSAGE
            && self.values.len() <= REUSABLE_VALUES
            && self.values.iter().all(is_small)
    }

    /// The ids after the thread's name: the thread's id, preceded by the process id if events come
    /// from several processes.
    #[must_use]
    pub fn ids(&self, processes: bool) -> String {
        let Self { pid, tid, .. } = self;
        if processes {
            format!("{pid}/{tid}")
        } else {
            tid.to_string()
        }
    }
}

/// A displayed event, given back for reuse.
#[derive(Debug)]
pub struct Used(pub Arc<Event>);

impl Used {
    /// The event, if it has no other owner and its allocations are worth reusing.
    pub(crate) fn reusable(mut self) -> Option<Self> {
        let is_mine = Arc::get_mut(&mut self.0).is_some();
        (is_mine && self.0.is_reusable()).then_some(self)
    }
}

/// A call stack.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stack {
    /// Innermost first, inlined copies among them.
    pub frames: Vec<StackFrame>,
    /// Reason why there are no more frames. `None` if these are all, or as many as requested.
    pub stopped: Option<String>,
}

/// One value of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedValue {
    /// The expression, as typed, or the variable's name.
    pub expr: Arc<str>,
    /// Its type, as the source writes it.
    pub ty: Arc<str>,
    /// The value.
    pub value: Value,
}

impl NamedValue {
    /// Expression and type are these very ones.
    pub(crate) fn is_named(&self, expr: &Arc<str>, ty: &Arc<str>) -> bool {
        Arc::ptr_eq(&self.expr, expr) && Arc::ptr_eq(&self.ty, ty)
    }
}

/// The way in which a frame came to be on the stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FrameKind {
    /// A function that has code of its own.
    #[default]
    Function,
    /// An inlined copy in the frame below.
    Inlined,
    /// A function whose last act was a jump to the function above. It has left the stack, and its
    /// caller's code shows that it was there.
    TailCall,
    /// The kernel's frame between a signal handler and the code that the signal interrupted.
    Signal,
}

impl FrameKind {
    /// The remark beside the function's name. Empty for [`FrameKind::Function`].
    #[must_use]
    pub const fn mark(self) -> &'static str {
        match self {
            Self::Function | Self::Signal => "",
            Self::Inlined => "(inlined)",
            Self::TailCall => "(tail call)",
        }
    }
}

/// The name of a [`FrameKind::Signal`] frame, as debuggers write it.
pub(crate) const SIGNAL_FRAME: &str = "<signal handler called>";

/// One frame of a call stack.
#[derive(Clone, Debug, PartialEq)]
pub struct StackFrame {
    /// Demangled name. `None` if the address has no name.
    pub function: Option<String>,
    /// Source file, where known.
    pub file: Option<Arc<PathBuf>>,
    /// Line, where known.
    pub line: Option<u64>,
    /// The way in which it came to be on the stack.
    pub kind: FrameKind,
    /// Run address.
    pub address: u64,
    /// Variables in scope, of a snapshot's callers.
    pub values: Vec<NamedValue>,
}

/// The aggregate of a probe in the kernel up to now.
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
    /// Hits among them that had no space for their key.
    pub other: u64,
    /// Hits by key.
    pub body: AggregateBody,
}

/// Hits by key.
#[derive(Clone, Debug, PartialEq)]
pub enum AggregateBody {
    /// Hits by value, the most frequent first. An unreadable value is a value of its own.
    Count(Vec<CountRow>),
    /// Hits by range of numbers.
    Histogram(Histogram),
    /// Hits by duration.
    Times(Times),
}

/// The number of hits with a value.
#[derive(Clone, Debug, PartialEq)]
pub struct CountRow {
    /// The value.
    pub value: Value,
    /// Hits.
    pub count: u64,
}

/// The number of hits in each range of numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Width of the buckets. `None` for powers of two.
    pub step: Option<u64>,
    /// Buckets with hits, in the order of their numbers.
    pub buckets: Vec<Bucket>,
    /// Hits with an unreadable number, by reason.
    pub unavailable: Vec<(Unavailable, u64)>,
}

impl Histogram {
    /// The bounds of the number that `percent` of all readable numbers are not larger than. Both
    /// bounds are inclusive. `None` if there are no numbers.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<(i128, i128)> {
        let bucket = ranked(&self.buckets, percent)?;
        Some((bucket.low, bucket.high))
    }
}

/// The bucket with the hit that `percent` of all hits are not above.
fn ranked(buckets: &[Bucket], percent: u64) -> Option<&Bucket> {
    let total: u128 = buckets.iter().map(|one| u128::from(one.count)).sum();
    let rank = (total * u128::from(percent)).div_ceil(100).max(1);
    let mut below = 0;
    buckets.iter().find(|bucket| {
        below += u128::from(bucket.count);
        below >= rank
    })
}

/// Times from a beginning to an end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// In ns, those with hits, by time: eight to each power of two.
    pub buckets: Vec<Bucket>,
    /// The shortest and the longest time in ns, exact. `None` if there is none yet.
    pub extremes_ns: Option<(u64, u64)>,
    /// Sum of all, ns.
    pub sum_ns: u64,
    /// For spans, the last one of each power of two, shortest first.
    pub exemplars: Vec<Exemplar>,
    /// Beginnings without an end so far.
    pub in_progress: u64,
    /// Beginnings that will have no end: left by a panic, an exception, `longjmp`, the thread's
    /// end.
    pub unfinished: u64,
    /// Beginnings after which hits were lost or silenced, so that the end may be that of another
    /// call.
    pub uncertain: u64,
    /// Ends of an unknown beginning: it was before the probe, or is one of the following.
    pub unpaired: u64,
    /// Beginnings while the probe was disabled, or after its time to live.
    pub off: u64,
    /// Beginnings with a false condition.
    pub rejected: u64,
    /// Beginnings with an unreadable condition.
    pub faults: u64,
    /// Beginnings that could not be examined.
    pub lost: u64,
    /// Beginnings that found no space.
    pub full: u64,
}

impl Times {
    /// The bounds, in ns, of the hit that `percent` of all hits are not slower than. Both bounds
    /// are inclusive. `None` if there are no hits.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<(u64, u64)> {
        let (shortest, longest) = self.extremes_ns?;
        let bucket = ranked(&self.buckets, percent)?;
        let within = |ns: i128| u64::try_from(ns).unwrap_or(u64::MAX);
        Some((
            within(bucket.low).max(shortest),
            within(bucket.high).min(longest),
        ))
    }

    /// Counts of beginnings and ends without a time, with their reasons in words.
    #[must_use]
    pub const fn others(&self) -> [(u64, &'static str); 9] {
        [
            (self.in_progress, "without an end so far"),
            (
                self.unfinished,
                "unfinished: left by a panic, an exception, longjmp, or the thread's end",
            ),
            (
                self.uncertain,
                "ended, but hits were silenced or lost meanwhile",
            ),
            (self.rejected, "with a false condition where they began"),
            (self.faults, "with an unreadable condition where they began"),
            (self.off, "began while silenced, or after the probe's time"),
            (self.lost, "lost where they began"),
            (self.full, "not timed: too many in progress"),
            (self.unpaired, "ended without a beginning that was timed"),
        ]
    }

    /// The buckets joined to powers of two.
    #[must_use]
    pub fn powers(&self) -> Vec<Bucket> {
        let mut powers: Vec<Bucket> = Vec::new();
        for bucket in &self.buckets {
            let bits = u128::BITS - bucket.low.unsigned_abs().leading_zeros();
            let (low, high) = match bits {
                0 => (0, 0),
                bits => (1 << (bits - 1), (1 << bits) - 1),
            };
            match powers.last_mut() {
                Some(last) if last.low == low => last.count += bucket.count,
                _ => powers.push(Bucket {
                    low,
                    high,
                    count: bucket.count,
                }),
            }
        }
        powers
    }
}

/// A range of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Times that a site was reached.
    pub hits: u64,
    /// Events handed to the frontend, and hits that were added up in the kernel instead.
    pub events: u64,
    /// Lost events: no space in the ring, no scratch area, a slow frontend's full queue,
    /// undecodable records.
    pub lost: u64,
    /// Hits over the rate limit.
    pub limited: u64,
    /// Hits with a false condition.
    pub rejected: u64,
    /// Hits with an unreadable condition.
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
    /// Passes of a site that are not hits: the beginnings of timed spans.
    pub passed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(counts: &[(i128, i128, u64)], extremes_ns: (u64, u64)) -> Times {
        let bucket = |&(low, high, count): &(i128, i128, u64)| Bucket { low, high, count };
        Times {
            buckets: counts.iter().map(bucket).collect(),
            extremes_ns: Some(extremes_ns),
            ..Times::default()
        }
    }

    #[test]
    fn percentile_is_the_bucket_of_its_rank_within_the_extremes() {
        let times = times(&[(8, 8, 50), (16, 17, 49), (32, 35, 1)], (8, 33));
        assert_eq!(times.percentile(50), Some((8, 8)));
        assert_eq!(times.percentile(51), Some((16, 17)));
        assert_eq!(times.percentile(99), Some((16, 17)));
        assert_eq!(times.percentile(100), Some((32, 33)));
        assert_eq!(times.percentile(0), Some((8, 8)));
        assert_eq!(Times::default().percentile(50), None);
    }

    #[test]
    fn buckets_join_to_powers_of_two() {
        let times = times(&[(0, 0, 1), (9, 9, 2), (14, 14, 3), (16, 17, 4)], (0, 17));
        let joined: Vec<(i128, i128, u64)> = times
            .powers()
            .iter()
            .map(|one| (one.low, one.high, one.count))
            .collect();
        assert_eq!(joined, [(0, 0, 1), (8, 15, 5), (16, 31, 4)]);
    }
}
