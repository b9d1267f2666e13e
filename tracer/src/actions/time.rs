//! `time`: the time from a function's entry to its return, or from one location to another.

use std::collections::BTreeMap;

use tracer_common::timing::{TimeCounters, bucket_range};

use super::kind::{ActionKind, ActionReport, ActionSites, HitCounts};
use crate::base::diagnostic::Diagnostic;
use crate::event::{AggregateBody, Bucket, CountRow, Times};
use crate::lang::ast::{Action, ProbeSpec};
use crate::lang::grammar::{ActionGrammar, LocationForm, Mistake, no_clauses};
use crate::plan::timing::{self, Moment, Passes};
use crate::plan::{Plan, PlanInput, Returned};
use crate::value::Value;

/// The action `time`.
pub(super) struct TimeAction;

/// The syntax of `time`.
pub(super) const GRAMMAR: ActionGrammar = ActionGrammar {
    word: "time",
    keywords: &[],
    location: LocationForm::Interval,
    has_message: true,
    operands: |_| Ok(Action::Time),
    clauses: no_clauses,
    mistake,
};

/// Explains a bound of the time without `if`.
fn mistake(_: &Action, rest: &str) -> Option<Mistake> {
    if rest.starts_with("<<") || rest.starts_with(">>") {
        return None;
    }
    let comparison = ["<=", ">=", "<", ">"]
        .into_iter()
        .find(|comparison| rest.starts_with(comparison))?;
    let message = "a condition goes after `if`";
    let hint = format!("write `if $elapsed {rest}`");
    Some(Mistake::new(comparison.len(), message, hint))
}

impl ActionKind for TimeAction {
    fn grammar(&self) -> &'static ActionGrammar {
        &GRAMMAR
    }

    fn sites(&self) -> ActionSites {
        ActionSites::Interval
    }

    fn sends_events(&self, spec: &ProbeSpec) -> bool {
        timing::has_events(spec)
    }

    // The limits are those of the events, and the distribution goes on.
    fn outlives_its_hits(&self) -> bool {
        true
    }

    fn report(&self, hits: HitCounts<'_>) -> ActionReport {
        ActionReport {
            total: hits.total(),
            body: AggregateBody::Times(times(hits.rows, (hits.times)())),
        }
    }
}

/// The role of a site of an interval.
#[derive(Clone, Debug)]
pub(crate) enum TimedRole {
    /// The time begins, at some of the passes.
    Begin { moment: Moment, passes: Passes },
    /// The time ends.
    End { moment: Moment },
    /// A time that has begun in this frame cannot go on. A call begins here if `of_call` says so.
    Guard {
        moment: Moment,
        of_call: Option<Passes>,
    },
    /// A branch to the entry, with the condition of its opcode.
    Turn { condition: Option<u8> },
}

impl TimedRole {
    /// Compiles a probe for a site with this role. `returns` is the function's result, if it will be known
    /// at the end.
    ///
    /// # Errors
    /// An expression makes no sense at the site, or the frame cannot be computed.
    pub(crate) fn compile(
        &self,
        input: &PlanInput<'_>,
        returns: Option<Returned>,
    ) -> Result<Plan, Diagnostic> {
        match self {
            Self::Begin { moment, passes } => timing::begin(input, moment, *passes, returns),
            Self::End { moment } => timing::end(input, moment),
            Self::Guard { moment, of_call } => timing::forget(input, moment, *of_call),
            Self::Turn { condition } => Ok(timing::turn(input, *condition)),
        }
    }
}

fn times(rows: Vec<CountRow>, counters: TimeCounters) -> Times {
    let mut found: BTreeMap<u64, u64> = BTreeMap::new();
    for CountRow { value, count } in rows {
        if let Value::Int(bucket, _) = value {
            // A bucket's number was read from eight bytes.
            *found.entry(bucket as u64).or_default() += count;
        }
    }
    let bucket = |(bucket, count): (u64, u64)| {
        let (low, high) = bucket_range(bucket)?;
        let (low, high) = (i128::from(low), i128::from(high));
        Some(Bucket { low, high, count })
    };
    let inverse = counters.shortest_ns_inverse;
    Times {
        buckets: found.into_iter().filter_map(bucket).collect(),
        extremes_ns: (inverse > 0).then_some((!inverse, counters.longest_ns)),
        sum_ns: counters.sum_ns,
        // The reader of events knows them.
        exemplars: Vec::new(),
        in_progress: counters
            .begun
            .saturating_sub(counters.ended)
            .saturating_sub(counters.unfinished)
            .saturating_sub(counters.left)
            .saturating_sub(counters.uncertain),
        unfinished: counters.unfinished.saturating_add(counters.left),
        uncertain: counters.uncertain,
        unpaired: counters.unpaired,
        off: counters.off,
        rejected: counters.rejected,
        faults: counters.faults,
        lost: counters.lost,
        full: counters.full,
    }
}
