//! Spans: calls with a start and an end, and what happened inside.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Event, NamedValue};

/// Identifies a trace: the spans of one piece of work. Random, and never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(pub NonZeroU128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Identifies a span. Random, and never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(pub NonZeroU64);

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for TraceId {
    /// The digits, as text.
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TraceId {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(input)?;
        let id = u128::from_str_radix(&digits, 16).ok();
        id.and_then(NonZeroU128::new)
            .map(Self)
            .ok_or_else(|| de::Error::custom("not the id of a trace"))
    }
}

impl Serialize for SpanId {
    /// The digits, as text.
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SpanId {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(input)?;
        let id = u64::from_str_radix(&digits, 16).ok();
        id.and_then(NonZeroU64::new)
            .map(Self)
            .ok_or_else(|| de::Error::custom("not the id of a span"))
    }
}

/// A span with its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SpanIds {
    /// The trace that it is part of.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
}

/// One call of a distribution, with its span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exemplar {
    /// The span.
    pub ids: SpanIds,
    /// Time from start to end in ns, as it was added to the distribution.
    pub elapsed_ns: u64,
    /// Its end, in ns since the Unix epoch.
    pub time_ns: u64,
}

/// The innermost span that was open around an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SpanContext {
    /// No span was open, or the session has none.
    #[default]
    Outside,
    /// This span was open.
    Inside(SpanIds),
    /// It is not certain which span was open, for this reason. No span is named then.
    Unknown(Arc<str>),
}

impl SpanContext {
    /// The span, if it is certain.
    #[must_use]
    pub const fn ids(&self) -> Option<SpanIds> {
        match self {
            Self::Inside(ids) => Some(*ids),
            Self::Outside | Self::Unknown(_) => None,
        }
    }
}

/// The outcome of a span.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SpanStatus {
    /// Nothing says that it failed.
    #[default]
    Unset,
    /// It failed, in words: the `Err` that it returned, or the condition of `error if`. May hold any
    /// character: writers escape.
    Error(String),
}

/// The part of an event that is a span. The event's time is the span's end.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanEvent {
    /// The span, and its trace.
    pub ids: SpanIds,
    /// The span that it hangs below, of the same trace: one of this session, or the program's own by
    /// `parent`. `None` for the root of a trace, and if the parent is not certain.
    pub parent: Option<SpanId>,
    /// The parent is the program's own, by `parent`.
    pub parent_is_remote: bool,
    /// The name: the probe's, filled in, or the function. May hold any character: writers escape.
    pub name: String,
    /// When it started, in ns since the Unix epoch, as [`Event::time_ns`] is.
    pub start_ns: u64,
    /// Time from its start to its end in ns.
    pub duration_ns: u64,
    /// Its outcome.
    pub status: SpanStatus,
    /// The values of `with`, each named by its key.
    pub attributes: Vec<NamedValue>,
    /// The events of logs and snapshots that this span was the innermost of, in the order of their times.
    pub events: Vec<Arc<Event>>,
    /// Events beyond those that a span can hold.
    pub left_out_events: u64,
    /// Remarks for the reader of the span: `parent not valid: …`. They may hold any character: writers
    /// escape.
    pub notes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_all_their_digits() {
        let trace = TraceId(NonZeroU128::new(0xab).expect("not zero"));
        let span = SpanId(NonZeroU64::new(0xcd).expect("not zero"));
        assert_eq!(trace.to_string(), "000000000000000000000000000000ab");
        assert_eq!(span.to_string(), "00000000000000cd");
    }
}
