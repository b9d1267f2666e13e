//! The lines of a recording, as they are written and read.
//!
//! Names of keys are part of the format: docs/recording.md. Readers pass over keys and types of lines
//! that they do not know.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::actions;
use crate::event::{
    Access, Aggregate, AggregateBody, CountRow, FrameKind, Histogram, LeftOut, NamedValue,
    PlacementId, ProbeDone, ProbeId, ProbeLimited, SiteOrigin, SpanContext, SpanId, SpanIds,
    SpanStatus, Stack, StackFrame, StepEvent, TargetStatus, Times, TraceId,
};
use crate::session::{
    FollowedProcesses, LineInfo, OutlineEntry, ProbeStatus, SourceFile, VariableInfo,
};
use crate::sink::BeginTarget;
use crate::value::exact::{Exact, Restored};

/// The version of the format. It changes if a reader of this version would misread a newer file.
pub const VERSION: u32 = 1;

/// The description of the session, in the first block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingLine {
    /// [`VERSION`].
    pub version: u32,
    /// Version of the tracer that wrote it.
    pub tracer: String,
    /// Name of the target: its executable and process id, or the selectors.
    pub target: String,
    /// Its process id, if the session was for one process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The selectors, as the user wrote them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selectors: Option<String>,
    /// The processes at the beginning.
    pub targets: Vec<RecordedTarget>,
    /// When the session began.
    pub time: jiff::Timestamp,
    /// The clock of all times.
    pub clock: Cow<'static, str>,
    /// Name of the machine.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// Version of the kernel.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kernel: String,
    /// Names whose values are redacted in all of it.
    pub redacted: Vec<String>,
}

/// A process at the beginning of the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedTarget {
    /// Process id, as the tracer saw it.
    pub pid: u32,
    /// The program that it executes.
    pub exe: String,
}

impl From<&BeginTarget> for RecordedTarget {
    fn from(target: &BeginTarget) -> Self {
        Self {
            pid: target.pid,
            exe: target.exe.to_string_lossy().into_owned(),
        }
    }
}

impl From<&RecordedTarget> for BeginTarget {
    fn from(target: &RecordedTarget) -> Self {
        Self {
            pid: target.pid,
            exe: PathBuf::from(&target.exe),
        }
    }
}

/// The first line of each block. Times of its events count from this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockLine {
    /// When that was.
    pub time: jiff::Timestamp,
}

/// A site: the common part of its events. It is defined in each block that uses it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedSite<'l> {
    /// Number in the block.
    pub id: u32,
    /// Number of the probe.
    pub probe_id: ProbeId,
    /// The placement of the probe that the site is of.
    pub placement: PlacementId,
    /// Name of the probe.
    #[serde(borrow)]
    pub probe: Cow<'l, str>,
    /// `log`, `count`, …
    #[serde(borrow)]
    pub action: Cow<'l, str>,
    /// Source file.
    #[serde(default, skip_serializing_if = "str::is_empty", borrow)]
    pub file: Cow<'l, str>,
    /// Line number, from 1.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub line: u64,
    /// Demangled name.
    #[serde(borrow)]
    pub function: Cow<'l, str>,
    /// The function with the frame, if that one is inlined into it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub frame_function: Option<Cow<'l, str>>,
    /// Its address.
    pub address: u64,
    /// Number of the site, from 1, and sites of the probe.
    pub site: (u32, u32),
    /// The message is meant to have many lines.
    #[serde(default, skip_serializing_if = "is_false")]
    pub multiline: bool,
    /// Expression and type of each value, in the order of the values of events.
    pub values: Vec<(Arc<str>, Arc<str>)>,
}

/// A thread. It is defined in each block that uses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedThread<'l> {
    /// Number in the block.
    pub id: u32,
    /// Process id, as the tracer saw it.
    pub pid: u32,
    /// Thread id, likewise.
    pub tid: u32,
    /// Its name.
    #[serde(borrow)]
    pub name: Cow<'l, str>,
}

/// A call stack. It is defined in each block that uses it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedStack<'l> {
    /// Number in the block.
    pub id: u32,
    /// Innermost first.
    #[serde(borrow)]
    pub frames: Vec<RecordedFrame<'l>>,
    /// Why there are no more frames.
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    pub stopped: Option<Cow<'l, str>>,
}

/// A frame of a stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedFrame<'l> {
    /// Demangled name.
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    pub function: Option<Cow<'l, str>>,
    /// Source file.
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    pub file: Option<Cow<'l, str>>,
    /// Line number, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Its kind.
    #[serde(default, skip_serializing_if = "is_plain")]
    pub kind: FrameKind,
    /// Its address.
    pub address: u64,
    /// Values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<RecordedNamed>,
}

/// A value with its expression and its type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedNamed {
    /// The expression.
    pub expr: Arc<str>,
    /// The type, as the source writes it.
    pub r#type: Arc<str>,
    /// The value.
    pub value: ReadValue,
}

/// A value in a line that is both written and read.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct ReadValue(pub Restored);

impl Serialize for ReadValue {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        Exact(&self.0.0).serialize(out)
    }
}

impl From<&NamedValue> for RecordedNamed {
    fn from(named: &NamedValue) -> Self {
        Self {
            expr: Arc::clone(&named.expr),
            r#type: Arc::clone(&named.ty),
            value: ReadValue(Restored(named.value.clone())),
        }
    }
}

impl From<RecordedNamed> for NamedValue {
    fn from(line: RecordedNamed) -> Self {
        Self {
            expr: line.expr,
            ty: line.r#type,
            value: line.value.0.0,
        }
    }
}

impl<'l> From<&'l StackFrame> for RecordedFrame<'l> {
    fn from(frame: &'l StackFrame) -> Self {
        let file = frame.file.as_deref();
        Self {
            function: frame.function.as_deref().map(Cow::Borrowed),
            file: file.map(|file| file.to_string_lossy()),
            line: frame.line,
            kind: frame.kind,
            address: frame.address,
            values: frame.values.iter().map(RecordedNamed::from).collect(),
        }
    }
}

impl From<RecordedFrame<'_>> for StackFrame {
    fn from(line: RecordedFrame<'_>) -> Self {
        let path = |file: Cow<'_, str>| Arc::new(PathBuf::from(file.into_owned()));
        Self {
            function: line.function.map(Cow::into_owned),
            file: line.file.map(path),
            line: line.line,
            kind: line.kind,
            address: line.address,
            values: line.values.into_iter().map(NamedValue::from).collect(),
        }
    }
}

impl From<RecordedStack<'_>> for Stack {
    fn from(line: RecordedStack<'_>) -> Self {
        Self {
            frames: line.frames.into_iter().map(StackFrame::from).collect(),
            stopped: line.stopped.map(Cow::into_owned),
        }
    }
}

impl RecordedSite<'_> {
    /// The common part of the events. `None` if the action is not known.
    #[must_use]
    pub fn origin(&self) -> Option<SiteOrigin> {
        Some(SiteOrigin {
            probe: self.probe_id,
            placement: self.placement,
            probe_name: self.probe.clone().into_owned(),
            action: action(&self.action)?,
            file: Arc::new(PathBuf::from(self.file.clone().into_owned())),
            line: self.line,
            function: self.function.clone().into_owned(),
            frame_function: self.frame_function.clone().map(Cow::into_owned),
            address: self.address,
            site: self.site,
            multiline: self.multiline,
        })
    }
}

/// The action of a name. `None` if this version does not have it.
#[must_use]
pub fn action(name: &str) -> Option<&'static str> {
    actions::names().find(|&known| known == name)
}

/// The keys of an event that most events do not have, as they are written.
#[derive(Serialize)]
pub(super) struct RestOut<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stack: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) left_out: Option<LeftOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) context: Option<ContextLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) span: Option<SpanOut<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) step: Option<&'e StepEvent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) access: Option<&'e Access>,
}

impl RestOut<'_> {
    /// Returns true if the event has none of the keys.
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            stack,
            left_out,
            context,
            span,
            step,
            access,
        } = self;
        stack.is_none()
            && left_out.is_none()
            && context.is_none()
            && span.is_none()
            && step.is_none()
            && access.is_none()
    }
}

/// The values without their names, which the site has.
pub(super) struct ValuesOut<'e>(pub(super) &'e [NamedValue]);

impl Serialize for ValuesOut<'_> {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.0.iter().map(|named| Exact(&named.value)))
    }
}

/// A span, as it is written.
#[derive(Serialize)]
pub(super) struct SpanOut<'e> {
    #[serde(flatten)]
    pub(super) common: RecordedSpan<'e>,
    /// The events inside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) events: Vec<InnerOut<'e>>,
}

/// An event inside of a span, as it is written.
#[derive(Serialize)]
pub(super) struct InnerOut<'e> {
    pub(super) site: u32,
    pub(super) thread: u32,
    /// From the start of the span, ns.
    pub(super) after: i64,
    pub(super) hit: u64,
    pub(super) message: &'e str,
    pub(super) values: ValuesOut<'e>,
    #[serde(flatten)]
    pub(super) rest: RestOut<'e>,
}

/// A span.
#[derive(Serialize, Deserialize)]
pub struct RecordedSpan<'l> {
    /// 32 hexadecimal digits.
    pub trace_id: TraceId,
    /// 16 hexadecimal digits.
    pub span_id: SpanId,
    /// The span that it hangs below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<SpanId>,
    /// The parent is the program's own.
    #[serde(default, skip_serializing_if = "is_false")]
    pub parent_is_remote: bool,
    /// Its name.
    #[serde(borrow)]
    pub name: Cow<'l, str>,
    /// From its start to its end.
    pub duration_ns: u64,
    /// From the start to the time of the event, ns: the duration, unless the clock was set in between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_before: Option<u64>,
    /// The text of the error. Absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    pub error: Option<Cow<'l, str>>,
    /// The values of `with`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<RecordedNamed>,
    /// Events beyond those that a span can hold.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out_events: u64,
    /// Remarks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl RecordedSpan<'_> {
    /// Its outcome.
    #[must_use]
    pub fn status(&self) -> SpanStatus {
        match &self.error {
            Some(text) => SpanStatus::Error(text.clone().into_owned()),
            None => SpanStatus::Unset,
        }
    }
}

/// The span around an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ContextLine {
    /// This span.
    Inside {
        /// 32 hexadecimal digits.
        trace_id: TraceId,
        /// 16 hexadecimal digits.
        span_id: SpanId,
    },
    /// It is not certain which.
    Unknown {
        /// Why.
        unknown: Arc<str>,
    },
}

impl ContextLine {
    pub(super) fn of(context: &SpanContext) -> Option<Self> {
        match context {
            SpanContext::Outside => None,
            SpanContext::Inside(ids) => Some(Self::Inside {
                trace_id: ids.trace,
                span_id: ids.span,
            }),
            SpanContext::Unknown(why) => Some(Self::Unknown {
                unknown: Arc::clone(why),
            }),
        }
    }

    /// The context.
    #[must_use]
    pub fn context(self) -> SpanContext {
        match self {
            Self::Inside { trace_id, span_id } => SpanContext::Inside(SpanIds {
                trace: trace_id,
                span: span_id,
            }),
            Self::Unknown { unknown } => SpanContext::Unknown(unknown),
        }
    }
}

/// An event, as it is read.
#[derive(Deserialize)]
pub struct EventLine<'l> {
    /// Number of the site in the block.
    pub site: u32,
    /// Number of the thread in the block.
    pub thread: u32,
    /// Time since the event before, or since the start of the span around it, in ns.
    pub after: i64,
    /// Number of the hit. Absent if it is one more than that of the probe's event before it in the block.
    pub hit: Option<u64>,
    /// The message.
    #[serde(borrow)]
    pub message: Cow<'l, str>,
    /// Values.
    pub values: Vec<Restored>,
    /// Number of the stack in the block.
    pub stack: Option<u32>,
    /// Hits that were left out before it.
    #[serde(default)]
    pub left_out: LeftOut,
    /// The span around it.
    pub context: Option<ContextLine>,
    /// The span that it is.
    #[serde(borrow)]
    pub span: Option<SpanIn<'l>>,
    /// The step that it is.
    pub step: Option<StepEvent>,
    /// The access that it is.
    pub access: Option<Access>,
}

/// A span, as it is read.
#[derive(Deserialize)]
pub struct SpanIn<'l> {
    /// All but the events inside.
    #[serde(flatten, borrow)]
    pub common: RecordedSpan<'l>,
    /// The events inside.
    #[serde(default = "Vec::new")]
    pub events: Vec<EventLine<'l>>,
}

/// The states of all probes at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbesLine {
    /// When that was.
    pub time: jiff::Timestamp,
    /// Their states.
    pub probes: Vec<ProbeStatus>,
    /// The last states of removed probes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<ProbeStatus>,
}

/// The aggregate of a probe at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AggregateLine {
    /// When that was.
    pub time: jiff::Timestamp,
    /// Number of the probe.
    pub probe_id: ProbeId,
    /// Name of the probe.
    pub probe: String,
    /// `log`, `count`, …
    pub action: String,
    /// The expression.
    pub expr: Arc<str>,
    /// Hits that were added up.
    pub total: u64,
    /// Hits among them that had no space for their key.
    pub other: u64,
    /// Of `count`: values and their hits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Vec<(ReadValue, u64)>>,
    /// Of `hist`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histogram: Option<Histogram>,
    /// Of `time` and `span`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
}

impl AggregateLine {
    /// The line of an aggregate.
    #[must_use]
    pub fn new(aggregate: &Aggregate, time: jiff::Timestamp) -> Self {
        let mut line = Self {
            time,
            probe_id: aggregate.probe,
            probe: aggregate.probe_name.clone(),
            action: aggregate.action.to_owned(),
            expr: Arc::clone(&aggregate.expr),
            total: aggregate.total,
            other: aggregate.other,
            rows: None,
            histogram: None,
            times: None,
        };
        match &aggregate.body {
            AggregateBody::Count(rows) => {
                let row = |row: &CountRow| (ReadValue(Restored(row.value.clone())), row.count);
                line.rows = Some(rows.iter().map(row).collect());
            }
            AggregateBody::Histogram(histogram) => line.histogram = Some(histogram.clone()),
            AggregateBody::Times(times) => line.times = Some(times.clone()),
        }
        line
    }

    /// The aggregate. `None` if the action is not known, or nothing is there.
    #[must_use]
    pub fn aggregate(self) -> Option<Aggregate> {
        let body = match (self.rows, self.histogram, self.times) {
            (Some(rows), None, None) => {
                let row = |(ReadValue(Restored(value)), count)| CountRow { value, count };
                AggregateBody::Count(rows.into_iter().map(row).collect())
            }
            (None, Some(histogram), None) => AggregateBody::Histogram(histogram),
            (None, None, Some(times)) => AggregateBody::Times(times),
            _ => return None,
        };
        Some(Aggregate {
            probe: self.probe_id,
            probe_name: self.probe,
            action: action(&self.action)?,
            expr: self.expr,
            total: self.total,
            other: self.other,
            body,
        })
    }
}

/// A text with its time: a note or a warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextLine {
    /// When that was.
    pub time: jiff::Timestamp,
    /// The text.
    pub text: String,
}

/// A probe that is over its limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedLimited {
    /// The limit.
    #[serde(flatten)]
    pub limited: ProbeLimited,
}

/// A probe that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedDone {
    /// The end.
    #[serde(flatten)]
    pub done: ProbeDone,
}

/// A target that came or left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedTargetLine {
    /// When that was.
    pub time: jiff::Timestamp,
    /// The process.
    pub target: TargetStatus,
}

/// The exit of the last target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitLine {
    /// When that was.
    pub time: jiff::Timestamp,
    /// Its exit code, if that is known.
    pub code: Option<i32>,
}

/// A source file that was shown, or that a probe is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedSource {
    /// Source file.
    pub file: SourceFile,
    /// Its text. Absent if it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The path of the text, if it is not the path in the debug information.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<String>,
    /// The reason why the text is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// The lines that have code.
    pub lines: Vec<LineInfo>,
    /// The functions, if the text is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outline: Vec<OutlineEntry>,
}

/// The variables in scope at the line of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedVariables {
    /// Path in the debug information.
    pub path: String,
    /// Line number, from 1.
    pub line: u64,
    /// In scope.
    pub variables: Vec<RecordedVariable>,
}

/// As [`VariableInfo`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedVariable {
    /// Its name.
    pub name: String,
    /// The type, as the source writes it.
    pub r#type: String,
    /// Its kind.
    pub kind: String,
    /// Its storage in words.
    pub place: String,
    /// Why it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
}

/// The kinds of variables.
const KINDS: [&str; 4] = ["parameter", "local", "captured", "static"];

impl From<VariableInfo> for RecordedVariable {
    fn from(variable: VariableInfo) -> Self {
        Self {
            name: variable.name,
            r#type: variable.ty,
            kind: variable.kind.to_owned(),
            place: variable.place,
            unavailable: variable.unavailable,
        }
    }
}

impl From<RecordedVariable> for VariableInfo {
    fn from(line: RecordedVariable) -> Self {
        let mut kinds = KINDS.into_iter();
        Self {
            name: line.name,
            ty: line.r#type,
            kind: kinds.find(|kind| *kind == line.kind).unwrap_or("variable"),
            place: line.place,
            unavailable: line.unavailable,
        }
    }
}

/// The end of the session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndLine {
    /// When that was.
    pub time: jiff::Timestamp,
    /// Counts of the processes that were followed or selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub followed: Option<FollowedProcesses>,
}

/// The type of a line, which is its first key.
#[must_use]
pub fn kind(line: &[u8]) -> Option<&str> {
    let rest = line.strip_prefix(br#"{"type":""#)?;
    let end = memchr::memchr(b'"', rest)?;
    std::str::from_utf8(rest.get(..end)?).ok()
}

/// A time in ns since the Unix epoch.
#[must_use]
pub fn timestamp(time_ns: u64) -> jiff::Timestamp {
    jiff::Timestamp::from_nanosecond(time_ns.into()).unwrap_or(jiff::Timestamp::MAX)
}

/// Nanoseconds since the Unix epoch. 0 for a time before it.
#[must_use]
pub fn nanoseconds(time: jiff::Timestamp) -> u64 {
    u64::try_from(time.as_nanosecond()).unwrap_or(0)
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it by reference"
)]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it by reference"
)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it by reference"
)]
fn is_plain(kind: &FrameKind) -> bool {
    *kind == FrameKind::Function
}
