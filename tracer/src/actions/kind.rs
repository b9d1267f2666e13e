//! The questions that the session asks of an action.

use tracer_common::timing::TimeCounters;

use crate::base::diagnostic::Diagnostic;
use crate::event::{AggregateBody, CountRow};
use crate::lang::ast::ProbeSpec;
use crate::lang::grammar::ActionGrammar;
use crate::plan::{self, MissingValues, Plan, PlanInput, RecordOptions};

/// The behaviour of an action.
///
/// The defaults are those of an action that sends one event per hit.
pub(crate) trait ActionKind {
    /// The action's syntax.
    fn grammar(&self) -> &'static ActionGrammar;

    /// The sites that the action needs.
    fn sites(&self) -> ActionSites {
        ActionSites::Alike
    }

    /// Compiles a probe for one of its sites, if they are alike.
    ///
    /// # Errors
    /// An expression makes no sense at the site, or no value of the template is available there and
    /// `missing` refuses that.
    fn compile(&self, input: &PlanInput<'_>, missing: MissingValues) -> Result<Plan, Diagnostic> {
        let stack = self.stack_depth(input.spec) > 0 || input.has_spans;
        plan::record(input, RecordOptions { stack, missing })
    }

    /// Returns true if a probe sends events, which have a rate limit by default.
    fn sends_events(&self, _: &ProbeSpec) -> bool {
        true
    }

    /// The events of a probe without `hits` after which it is done. 0 stands for no limit.
    fn default_hits(&self) -> u64 {
        0
    }

    /// Returns true if the events are spans, which may be around those of other probes.
    fn makes_spans(&self) -> bool {
        false
    }

    /// The condition under which a span has failed, as typed.
    fn failure<'s>(&self, _: &'s ProbeSpec) -> Option<&'s str> {
        None
    }

    /// Returns true if a probe goes on when it has sent its last event, since it also adds hits up.
    fn outlives_its_hits(&self) -> bool {
        false
    }

    /// The frames of call stack of a probe without `depth`.
    fn default_depth(&self) -> u32 {
        0
    }

    /// The frames of call stack that a probe asks for. 0 stands for no stack.
    fn stack_depth(&self, spec: &ProbeSpec) -> u32 {
        spec.options.depth.unwrap_or_else(|| self.default_depth())
    }

    /// The events of a probe after which it is done. 0 stands for no limit.
    fn hit_limit(&self, spec: &ProbeSpec) -> u64 {
        spec.options.hits.unwrap_or_else(|| self.default_hits())
    }

    /// Returns true if the stack has the variables of the callers.
    fn shows_callers(&self) -> bool {
        false
    }

    /// Returns true if the smallest build of the eBPF program probably suffices. A wrong guess
    /// costs some milliseconds.
    fn is_small(&self, _: &ProbeSpec) -> bool {
        false
    }

    /// Makes the aggregate of the hits that the kernel has added up.
    fn report(&self, hits: HitCounts<'_>) -> ActionReport {
        ActionReport {
            total: hits.total(),
            body: AggregateBody::Count(hits.rows),
        }
    }
}

/// Refuses the message of a probe whose action shows none.
///
/// # Errors
/// The probe has a message.
pub(super) fn no_message(spec: &ProbeSpec) -> Result<(), Diagnostic> {
    match spec.template {
        None => Ok(()),
        Some(_) => Err(
            Diagnostic::new(format!("`{}` shows no message", spec.action.name()))
                .hint("remove the text, or use `log`"),
        ),
    }
}

/// The sites of a probe, as its action needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ActionSites {
    /// Each site of the location is a hit by itself.
    Alike,
    /// Sites where an interval begins and ends. None of them may be missing.
    Interval,
    /// The lines of a function, and the places where its calls begin and end.
    Calls,
    /// A value in memory, wherever it is accessed.
    Memory,
}

/// The hits of a probe that the kernel has added up.
pub(crate) struct HitCounts<'a> {
    /// Hits by key. Equal keys of several sites are rows of their own.
    pub(crate) rows: Vec<CountRow>,
    /// All hits that were counted.
    pub(crate) events: u64,
    /// Hits without space for their key.
    pub(crate) other: u64,
    /// Reads the counters of intervals.
    pub(crate) times: &'a dyn Fn() -> TimeCounters,
}

impl HitCounts<'_> {
    /// The number of hits with a key, and of those without space for theirs.
    pub(crate) fn total(&self) -> u64 {
        self.rows.iter().map(|row| row.count).sum::<u64>() + self.other
    }
}

/// The aggregate of a probe.
pub(crate) struct ActionReport {
    /// Hits that were added up.
    pub(crate) total: u64,
    /// Hits by key.
    pub(crate) body: AggregateBody,
}
