//! The actions of probes: one file for each, with everything that distinguishes it from the others.
//!
//! A new action has a variant of [`Action`], a file here, and a line in [`GRAMMARS`] and in
//! [`Action::kind`].

mod count;
mod hist;
mod kind;
mod log;
mod snapshot;
mod span;
mod time;
mod trace;
mod watch;

pub(crate) use kind::{ActionKind, ActionReport, ActionSites, HitCounts};
pub(crate) use time::TimedRole;

use log::LogAction;
use snapshot::SnapshotAction;
use time::TimeAction;

use crate::base::diagnostic::Diagnostic;
use crate::lang::ast::{Action, ProbeSpec};
use crate::lang::grammar::ActionGrammar;
use crate::lang::{self, OPTIONS};
use crate::plan::{MissingValues, Plan, PlanInput};

/// The grammars of all actions, in the order in which messages name them.
const GRAMMARS: [&ActionGrammar; 8] = [
    &log::GRAMMAR,
    &snapshot::GRAMMAR,
    &count::GRAMMAR,
    &hist::GRAMMAR,
    &time::GRAMMAR,
    &span::GRAMMAR,
    &trace::GRAMMAR,
    &watch::GRAMMAR,
];

impl Action {
    /// The behaviour of the action.
    pub(crate) fn kind(&self) -> &dyn ActionKind {
        match self {
            Self::Log => &LogAction,
            Self::Snapshot => &SnapshotAction,
            Self::Count(count) => count,
            Self::Hist(hist) => hist,
            Self::Time => &TimeAction,
            Self::Span(span) => span,
            Self::Trace(trace) => trace,
            Self::Watch(watch) => watch,
        }
    }

    /// The action's word in the probe language.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.kind().grammar().word
    }
}

/// Returns the words of all actions.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    GRAMMARS.iter().map(|grammar| grammar.word)
}

/// Returns the words that may follow the location of an action.
pub(crate) fn words_of(action: &str) -> impl Iterator<Item = &'static str> {
    let grammar = GRAMMARS.iter().find(|grammar| grammar.word == action);
    let keywords = grammar.map_or(&[][..], |grammar| grammar.keywords);
    std::iter::once("if")
        .chain(keywords.iter().copied())
        .chain(OPTIONS)
}

/// Parses one probe.
///
/// # Errors
/// The first mistake in the text.
pub fn parse_probe(text: &str) -> Result<ProbeSpec, Diagnostic> {
    let spec = lang::parse_probe(text, &GRAMMARS)?;
    span::check(&spec)?;
    trace::check(&spec)?;
    watch::check(&spec)?;
    let options = &spec.options;
    let action = spec.action.kind();
    let has_limit = options.hits.is_some()
        || options.rate.is_some()
        || options.every.is_some()
        || action.default_hits() != 0
        || action.sends_events(&spec);
    if options.per_process && !has_limit {
        let at = text.rfind(" per").map_or(0, |blank| blank + 1);
        let message = "the probe has no limit that could hold per process";
        let error = Diagnostic::at(at..at + "per".len(), message);
        return Err(error.hint("add `hits N`, `rate N/s` or `every DURATION`"));
    }
    Ok(spec)
}

/// Parses a file of probes: one per line, where `#` starts a comment.
///
/// Returns the number of each line that has a probe, from 1, and the probe.
#[must_use]
pub fn parse_probe_file(text: &str) -> Vec<(usize, Result<ProbeSpec, Diagnostic>)> {
    lang::lines_of_probes(text)
        .map(|(number, line)| (number, parse_probe(line)))
        .collect()
}

/// The text of a probe as one line of a file of probes, which gives the same probe. `None` if a line break in it is
/// more than white space, such as one in a message.
#[must_use]
pub fn line_of_probe(text: &str) -> Option<String> {
    let text = text.trim();
    let line: String = text
        .replace("\r\n", "  ")
        .chars()
        .map(|c| if c == '\n' { ' ' } else { c })
        .collect();
    let bare = |spec: ProbeSpec| ProbeSpec {
        text: String::new(),
        ..spec
    };
    let meant = bare(parse_probe(text).ok()?);
    let mut read = parse_probe_file(&line).into_iter();
    let (_, again) = read.next()?;
    (read.next().is_none() && bare(again.ok()?) == meant).then_some(line)
}

/// Compiles a probe for one site.
///
/// # Errors
/// An expression makes no sense at the site, or no value of the template is available there.
pub fn compile(input: &PlanInput<'_>) -> Result<Plan, Diagnostic> {
    input
        .spec
        .action
        .kind()
        .compile(input, MissingValues::Refused)
}

/// Compiles a probe for a further site. Another site of the probe has the template's values, so hits
/// count here even if no value is available.
///
/// # Errors
/// An expression makes no sense at the site.
pub(crate) fn compile_beside(input: &PlanInput<'_>) -> Result<Plan, Diagnostic> {
    input
        .spec
        .action
        .kind()
        .compile(input, MissingValues::Accepted)
}
