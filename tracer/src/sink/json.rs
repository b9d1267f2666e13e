//! One JSON object a line, for programs. docs/output.md has the keys.

mod event;
pub(crate) mod listed;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};

use event::EventLines;
pub(in crate::sink) use event::{AccessLine, Frames};

use super::aggregate::PERCENTILES;
use super::{Begin, BeginTarget, Sink};
use crate::base::unavailable::Unavailable;
use crate::base::visible::is_hostile;
use crate::event::{
    Aggregate, AggregateBody, Bucket, CountRow, Done, DoneReason, Event, ProbeDone, ProbeLimited,
};
use crate::session::{FollowedProcesses, ProbeStatus};
use crate::value::{Text, Value};

/// Writes events and summaries as JSON, one object a line.
pub struct JsonSink<W> {
    out: W,
    events: EventLines,
    /// The line under way, kept for its allocation.
    line: Vec<u8>,
    /// Summaries list the processes.
    per_process: bool,
}

impl<W: Write + Send> JsonSink<W> {
    /// A sink that writes to `out`.
    pub fn new(out: W) -> Self {
        Self {
            out,
            events: EventLines::new(),
            line: Vec::new(),
            per_process: false,
        }
    }

    /// Lists the hits of each process in the summaries.
    #[must_use]
    pub fn with_processes(self, per_process: bool) -> Self {
        Self {
            per_process,
            ..self
        }
    }

    fn write(&mut self, object: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        write_object(&mut self.line, object)?;
        self.out.write_all(&self.line)
    }
}

/// Appends an object and a line feed; characters that a terminal must not get are escaped.
///
/// # Errors
/// The writer's.
pub fn write_object(mut out: impl Write, object: &impl Serialize) -> io::Result<()> {
    write_value(&mut out, object)?;
    out.write_all(b"\n")
}

/// Appends a value; characters that a terminal must not get are escaped.
///
/// # Errors
/// The writer's.
pub(in crate::sink) fn write_value(out: impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(out, Printable);
    Ok(value.serialize(&mut serializer)?)
}

/// The line of an event, as the output has it.
#[must_use]
pub fn event_line(event: &Event) -> String {
    let mut line = Vec::new();
    // Encoding a value to memory does not fail.
    let _ = EventLines::new().event(&mut line, event);
    String::from_utf8_lossy(&line).into_owned()
}

/// A value as JSON. A text that is whole and is UTF-8 is the text itself.
#[must_use]
pub fn value_text(value: &Value) -> String {
    if let Value::Text(Text { bytes, cut: None }) = value
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return text.to_owned();
    }
    let mut line = Vec::new();
    // As above.
    let _ = write_value(&mut line, value);
    String::from_utf8_lossy(&line).into_owned()
}

/// Compact JSON that writes characters hostile to terminals as `\uNNNN`.
struct Printable;

impl Formatter for Printable {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // One pass: all other hostile characters are not ASCII, or are escaped by `serde_json`.
        if fragment.bytes().all(|byte| byte < 0x7f) {
            return CompactFormatter.write_string_fragment(out, fragment);
        }
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|&(_, c)| is_hostile(c)) {
            out.write_all(rest.get(..at).unwrap_or_default().as_bytes())?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = rest.get(at + c.len_utf8()..).unwrap_or_default();
        }
        out.write_all(rest.as_bytes())
    }
}

/// The aggregate of `count`.
#[derive(Serialize)]
struct CountLine<'e> {
    r#type: &'static str,
    time: &'e str,
    probe: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    by: &'e str,
    total: u64,
    rows: &'e [CountRowLine<'e>],
    other: u64,
}

#[derive(Serialize)]
struct CountRowLine<'e> {
    value: &'e Value,
    count: u64,
}

impl<'e> From<&'e CountRow> for CountRowLine<'e> {
    fn from(row: &'e CountRow) -> Self {
        Self {
            value: &row.value,
            count: row.count,
        }
    }
}

/// The aggregate of `hist`.
#[derive(Serialize)]
struct HistogramLine<'e> {
    r#type: &'static str,
    time: &'e str,
    probe: &'e str,
    expr: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<u64>,
    total: u64,
    buckets: &'e [BucketLine],
    unavailable: &'e [ReasonLine],
    other: u64,
}

/// The aggregate of `time`.
#[derive(Serialize)]
struct TimesLine<'e> {
    r#type: &'static str,
    time: &'e str,
    probe: &'e str,
    total: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_ns: Option<u64>,
    #[serde(flatten)]
    percentiles: BTreeMap<String, RangeLine>,
    buckets: &'e [BucketLine],
    in_progress: u64,
    unfinished: u64,
    uncertain: u64,
    unpaired: u64,
    rejected: u64,
    faults: u64,
    off: u64,
    lost: u64,
    full: u64,
    other: u64,
}

/// Both ends may be it.
#[derive(Serialize)]
struct RangeLine {
    low: u64,
    high: u64,
}

/// Both ends are in the bucket.
#[derive(Serialize)]
struct BucketLine {
    low: Value,
    high: Value,
    count: u64,
}

impl From<&Bucket> for BucketLine {
    fn from(bucket: &Bucket) -> Self {
        Self {
            low: Value::Int(bucket.low, 128),
            high: Value::Int(bucket.high, 128),
            count: bucket.count,
        }
    }
}

#[derive(Serialize)]
struct ReasonLine {
    reason: String,
    count: u64,
}

/// Changes when a key changes its meaning, or goes.
const SCHEMA: u32 = 1;

/// The target and the probes, on the first line.
#[derive(Serialize)]
struct SessionLine<'e> {
    r#type: &'static str,
    schema: u32,
    tracer: &'static str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<TargetLine<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    selectors: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    targets: Option<Vec<TargetLine<'e>>>,
    probes: Vec<ProbeLine<'e>>,
}

#[derive(Serialize)]
struct TargetLine<'e> {
    pid: u32,
    exe: Cow<'e, str>,
}

impl<'e> From<&'e BeginTarget> for TargetLine<'e> {
    fn from(target: &'e BeginTarget) -> Self {
        Self {
            pid: target.pid,
            exe: target.exe.to_string_lossy(),
        }
    }
}

/// A probe, when it was added.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct ProbeLine<'e> {
    probe: &'e str,
    text: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<Cow<'e, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    function: &'e str,
    sites: u32,
    notes: &'e [String],
}

impl<'e> From<&'e ProbeStatus> for ProbeLine<'e> {
    fn from(probe: &'e ProbeStatus) -> Self {
        Self {
            probe: &probe.name,
            text: &probe.text,
            file: (probe.line != 0).then(|| probe.file.to_string_lossy()),
            line: (probe.line != 0).then_some(probe.line),
            function: &probe.function,
            sites: probe.sites,
            notes: &probe.notes,
        }
    }
}

/// Hits that were left out before an event.
#[derive(Serialize)]
struct GapLine<'e> {
    r#type: &'static str,
    time: String,
    probe: &'e str,
    limited: u64,
    lost: u64,
}

/// A probe is over its rate limit.
#[derive(Serialize)]
struct LimitedLine<'e> {
    r#type: &'static str,
    time: String,
    probe: &'e str,
    rate: u64,
    default: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    per_process: bool,
}

/// A probe has had its last event.
#[derive(Serialize)]
struct DoneLine<'e> {
    r#type: &'static str,
    time: String,
    probe: &'e str,
    reason: &'static str,
    /// The allowed number of hits.
    #[serde(skip_serializing_if = "Option::is_none")]
    hits: Option<u64>,
}

/// The end of a probe in its summary.
#[derive(Serialize)]
struct DoneAtLine {
    time: String,
    reason: &'static str,
}

#[derive(Serialize)]
struct SummaryLine<'e> {
    r#type: &'static str,
    probe: &'e str,
    text: &'e str,
    sites: u32,
    hits: u64,
    events: u64,
    lost: u64,
    limited: u64,
    rejected: u64,
    faults: u64,
    silenced: u64,
    expired: u64,
    over_budget: u64,
    read_faults: u64,
    cut: u64,
    /// Events that no collector has.
    #[serde(skip_serializing_if = "is_zero")]
    undelivered: u64,
    bpf_ns: u64,
    /// Trap cost of all hits together, at the probe's most expensive instruction.
    #[serde(skip_serializing_if = "Option::is_none")]
    trap_ns: Option<u64>,
    attached_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<DoneAtLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<Vec<ProcessHitsLine<'e>>>,
    /// Hits of processes that are not in the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    other_processes: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The hits of one process with a probe.
#[derive(Serialize)]
struct ProcessHitsLine<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<&'e str>,
    hits: u64,
    events: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_ns: Option<u64>,
    ended: bool,
}

#[derive(Serialize)]
struct FollowedLine {
    r#type: &'static str,
    exact: bool,
    followed: u64,
    executed: u64,
    too_short: u64,
    missed: u64,
    /// Absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    missed_hits: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unseen_ns: Option<UnseenLine>,
}

/// Times from the starts of processes until they had the probes.
#[derive(Serialize)]
struct UnseenLine {
    min: u64,
    max: u64,
}

impl<W: Write + Send> Sink for JsonSink<W> {
    fn begin(&mut self, session: &Begin) -> io::Result<()> {
        let time = self.events.time(session.time_ns);
        self.write(&SessionLine {
            r#type: "session",
            schema: SCHEMA,
            tracer: env!("CARGO_PKG_VERSION"),
            time,
            target: session.targets.first().map(TargetLine::from),
            selectors: session.selectors.as_deref(),
            targets: session
                .selectors
                .as_ref()
                .map(|_| session.targets.iter().map(TargetLine::from).collect()),
            probes: session.probes.iter().map(ProbeLine::from).collect(),
        })
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        if !event.left_out.is_none() {
            let time = self.events.time(event.time_ns);
            self.write(&GapLine {
                r#type: "gap",
                time,
                probe: &event.origin.probe_name,
                limited: event.left_out.limited,
                lost: event.left_out.lost,
            })?;
        }
        self.line.clear();
        self.events.event(&mut self.line, event)?;
        self.out.write_all(&self.line)
    }

    fn limited(&mut self, limited: &ProbeLimited) -> io::Result<()> {
        let time = self.events.time(limited.time_ns);
        self.write(&LimitedLine {
            r#type: "limited",
            time,
            probe: &limited.name,
            rate: limited.rate,
            default: limited.is_default,
            per_process: limited.per_process,
        })
    }

    fn done(&mut self, told: &ProbeDone) -> io::Result<()> {
        let Done { reason, time_ns } = told.done;
        let time = self.events.time(time_ns);
        self.write(&DoneLine {
            r#type: "done",
            time,
            probe: &told.name,
            reason: reason.name(),
            hits: match reason {
                DoneReason::Hits(hits) => Some(hits),
                DoneReason::Time(_)
                | DoneReason::DefaultTime(_)
                | DoneReason::Until
                | DoneReason::Left => None,
            },
        })
    }

    fn aggregate(&mut self, aggregate: &Aggregate, time_ns: u64) -> io::Result<()> {
        let time = self.events.time(time_ns);
        match &aggregate.body {
            AggregateBody::Count(rows) => {
                let rows: Vec<CountRowLine<'_>> = rows.iter().map(CountRowLine::from).collect();
                self.write(&CountLine {
                    r#type: "count",
                    time: &time,
                    probe: &aggregate.probe_name,
                    by: &aggregate.expr,
                    total: aggregate.total,
                    rows: &rows,
                    other: aggregate.other,
                })
            }
            AggregateBody::Times(times) => {
                let percentiles = PERCENTILES.iter().filter_map(|&percent| {
                    let (low, high) = times.percentile(percent)?;
                    Some((format!("p{percent}_ns"), RangeLine { low, high }))
                });
                let buckets: Vec<BucketLine> = times.buckets.iter().map(BucketLine::from).collect();
                self.write(&TimesLine {
                    r#type: "time",
                    time: &time,
                    probe: &aggregate.probe_name,
                    total: aggregate.total,
                    min_ns: times.extremes_ns.map(|(shortest, _)| shortest),
                    mean_ns: times.sum_ns.checked_div(aggregate.total),
                    max_ns: times.extremes_ns.map(|(_, longest)| longest),
                    percentiles: percentiles.collect(),
                    buckets: &buckets,
                    in_progress: times.in_progress,
                    unfinished: times.unfinished,
                    uncertain: times.uncertain,
                    unpaired: times.unpaired,
                    rejected: times.rejected,
                    faults: times.faults,
                    off: times.off,
                    lost: times.lost,
                    full: times.full,
                    other: aggregate.other,
                })
            }
            AggregateBody::Histogram(histogram) => {
                let reason = |(why, count): &(Unavailable, u64)| ReasonLine {
                    reason: why.to_string(),
                    count: *count,
                };
                let buckets: Vec<BucketLine> =
                    histogram.buckets.iter().map(BucketLine::from).collect();
                let reasons: Vec<ReasonLine> = histogram.unavailable.iter().map(reason).collect();
                self.write(&HistogramLine {
                    r#type: "hist",
                    time: &time,
                    probe: &aggregate.probe_name,
                    expr: &aggregate.expr,
                    step: histogram.step,
                    total: aggregate.total,
                    buckets: &buckets,
                    unavailable: &reasons,
                    other: aggregate.other,
                })
            }
        }
    }

    fn summary(&mut self, probe: &ProbeStatus) -> io::Result<()> {
        let counters = probe.counters;
        let done = probe.done.map(|done| DoneAtLine {
            time: self.events.time(done.time_ns),
            reason: done.reason.name(),
        });
        let processes = self.per_process.then(|| {
            let lines = probe.processes.iter().map(|one| ProcessHitsLine {
                pid: one.pid,
                process: one.labels.name.as_deref().ok(),
                hits: one.hits,
                events: one.events,
                cost_ns: probe.cost_of(one),
                ended: one.has_ended,
            });
            lines.collect()
        });
        self.write(&SummaryLine {
            r#type: "summary",
            probe: &probe.name,
            text: &probe.text,
            sites: probe.sites,
            hits: counters.hits,
            events: counters.events,
            lost: counters.lost,
            limited: counters.limited,
            rejected: counters.rejected,
            faults: counters.faults,
            silenced: counters.silenced,
            expired: counters.expired,
            over_budget: counters.over_budget,
            read_faults: counters.read_faults,
            cut: counters.cut,
            undelivered: probe.undelivered,
            bpf_ns: counters.bpf_ns,
            trap_ns: probe.cost.traps_ns(&counters),
            attached_ns: u64::try_from(probe.cost.attached.as_nanos()).unwrap_or(u64::MAX),
            done,
            processes,
            other_processes: self.per_process.then(|| probe.hits_of_others()),
        })
    }

    fn followed(&mut self, followed: &FollowedProcesses) -> io::Result<()> {
        self.write(&FollowedLine {
            r#type: "followed",
            exact: followed.exact,
            followed: followed.followed,
            executed: followed.executed,
            too_short: followed.too_short,
            missed: followed.missed,
            missed_hits: Some(followed.missed_hits).filter(|&hits| hits > 0),
            unseen_ns: followed.unseen.map(|unseen| UnseenLine {
                min: unseen.shortest_ns,
                max: unseen.longest_ns,
            }),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
pub(crate) mod tests;
