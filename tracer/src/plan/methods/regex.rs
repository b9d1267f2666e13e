//! Regular expressions as automata that are small enough for the ops of a plan.
//!
//! `regex-automata` makes a minimal DFA of the pattern. Each state becomes a list of the byte
//! ranges that lead elsewhere. The automaton looks at each byte of a text once, and stops at the
//! first byte that decides.

use std::collections::HashMap;

use regex_automata::Anchored;
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::{start, syntax};

use crate::plan::limits::{REGEX_BYTES, REGEX_OPS, REGEX_STATES};

/// Ops per byte at a state without the comparisons: end check, read, check for the zero byte,
/// advance.
const BYTE_OPS: usize = 4;

/// Decides byte by byte whether a text matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::plan) struct Automaton {
    /// The state at the start of a text. [`Next::State`] is an index of `states`.
    pub(in crate::plan) start: Next,
    pub(in crate::plan) states: Vec<State>,
}

/// A state between two bytes of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::plan) struct State {
    /// True if a text that ends at this state matches.
    pub(in crate::plan) ends: bool,
    /// Bytes that do not lead to `other`, in ascending order.
    pub(in crate::plan) ranges: Vec<ByteRange>,
    /// Where the other bytes lead.
    pub(in crate::plan) other: Next,
}

/// Neighbouring bytes that lead to the same state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) struct ByteRange {
    pub(in crate::plan) first: u8,
    pub(in crate::plan) last: u8,
    pub(in crate::plan) to: Next,
}

/// The consequence of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::plan) enum Next {
    /// Not decided yet.
    State(usize),
    /// The text matches, whatever follows.
    Match,
    /// The text does not match, whatever follows.
    Fail,
}

impl State {
    /// Upper bound of the ops for one byte at this state.
    pub(in crate::plan) fn ops(&self) -> usize {
        let ranges = self.ranges.iter().map(|range| range.ops());
        BYTE_OPS + ranges.sum::<usize>() + 1
    }
}

impl ByteRange {
    /// A single byte takes one comparison, a range takes two.
    fn ops(self) -> usize {
        if self.first == self.last { 1 } else { 2 }
    }
}

/// The automaton of a regular expression. A text matches if the pattern is found anywhere in it.
///
/// # Errors
/// The reason why the pattern is refused, and a hint.
pub(in crate::plan) fn automaton(pattern: &str) -> Result<Automaton, (String, Option<String>)> {
    if pattern.len() > REGEX_BYTES {
        let error = format!(
            "the regular expression has {} bytes; the limit is {REGEX_BYTES}",
            pattern.len()
        );
        return Err((error, None));
    }
    check_syntax(pattern)?;
    let too_large = || {
        let error = "this regular expression needs too many states to run in the kernel".to_owned();
        let hint = "use fewer or smaller repetitions (`{n,m}`), or an anchor (`^`)";
        (error, Some(hint.to_owned()))
    };
    let dfa = dense::Builder::new()
        .configure(
            dense::Config::new()
                .minimize(true)
                .start_kind(StartKind::Unanchored)
                .dfa_size_limit(Some(REGEX_STATES))
                .determinize_size_limit(Some(4 * REGEX_STATES)),
        )
        .thompson(
            thompson::Config::new()
                .utf8(false)
                .nfa_size_limit(Some(REGEX_STATES)),
        )
        .syntax(syntax())
        .build(pattern)
        .map_err(|_| too_large())?;
    let states = States::new(&dfa).ok_or_else(too_large)?;
    let automaton = states.automaton();
    let ops: usize = automaton.states.iter().map(State::ops).sum();
    if ops > REGEX_OPS {
        return Err(too_large());
    }
    Ok(automaton)
}

/// The automaton that finds `text` anywhere in another text.
///
/// # Errors
/// Fails as [`automaton`] does.
pub(in crate::plan) fn of_text(
    text: &str,
    ends: bool,
) -> Result<Automaton, (String, Option<String>)> {
    let end = if ends { r"\z" } else { "" };
    automaton(&format!("{}{end}", regex_syntax::escape(text)))
}

/// Patterns match bytes, not characters, since a text of the program may have any bytes. Classes
/// are ASCII, which keeps them small.
fn syntax() -> syntax::Config {
    syntax::Config::new().unicode(false).utf8(false)
}

/// Checks the syntax alone, for an error with a position in the pattern.
fn check_syntax(pattern: &str) -> Result<(), (String, Option<String>)> {
    let parsed = regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .build()
        .parse(pattern);
    let (kind, span) = match parsed {
        Ok(_) => return Ok(()),
        Err(regex_syntax::Error::Parse(error)) => (error.kind().to_string(), *error.span()),
        Err(regex_syntax::Error::Translate(error)) => (error.kind().to_string(), *error.span()),
        Err(other) => return Err((format!("not a regular expression: {other}"), None)),
    };
    let part = pattern
        .get(span.start.offset..span.end.offset)
        .filter(|part| !part.is_empty());
    let at = part.map_or_else(
        || format!("at byte {}", span.start.offset),
        |part| format!("at `{part}`"),
    );
    let is_unicode = kind.contains("Unicode");
    let hint = is_unicode.then(|| "texts are matched as bytes; use `(?u:…)` for Unicode".into());
    Err((format!("not a regular expression {at}: {kind}"), hint))
}

/// The states of a DFA that are reachable before it decides, and their transitions.
struct States {
    /// For each state: whether a text may end there, and the target of each of the 256 bytes.
    known: Vec<(bool, Vec<Next>)>,
}

impl States {
    /// `None` if the DFA might not decide about some text.
    fn new(dfa: &dense::DFA<Vec<u32>>) -> Option<Self> {
        let config = start::Config::new().anchored(Anchored::No);
        let first = dfa.start_state(&config).ok()?;
        let mut indices = HashMap::from([(first, 0)]);
        let mut order = vec![first];
        let mut known = Vec::new();
        while let Some(&state) = order.get(known.len()) {
            let ends = dfa.is_match_state(dfa.next_eoi_state(state));
            let mut next = Vec::with_capacity(256);
            for byte in 0..=u8::MAX {
                let to = dfa.next_state(state, byte);
                next.push(if dfa.is_match_state(to) {
                    Next::Match
                } else if dfa.is_dead_state(to) {
                    Next::Fail
                } else if dfa.is_quit_state(to) {
                    return None;
                } else {
                    Next::State(index(&mut indices, &mut order, to))
                });
            }
            known.push((ends, next));
        }
        Some(Self { known })
    }

    /// The automaton without states whose outcome is certain.
    ///
    /// The DFA reports a match one byte late. A state that matches whatever follows is replaced by
    /// the match itself.
    fn automaton(mut self) -> Automaton {
        loop {
            let decided: Vec<Option<Next>> = self
                .known
                .iter()
                .map(|(ends, next)| decision(*ends, next))
                .collect();
            let mut changed = false;
            for next in self.known.iter_mut().flat_map(|(_, next)| next) {
                if let Next::State(state) = *next
                    && let Some(decision) = decided.get(state).copied().flatten()
                {
                    *next = decision;
                    changed = true;
                }
            }
            if !changed {
                return self.reached(decided.first().copied().flatten());
            }
        }
    }

    /// Keeps only the states that are still reachable.
    fn reached(&self, decided: Option<Next>) -> Automaton {
        if let Some(start) = decided {
            return Automaton {
                start,
                states: Vec::new(),
            };
        }
        let mut indices = HashMap::from([(0, 0)]);
        let mut order = vec![0];
        let mut states = Vec::new();
        while let Some((ends, next)) = order.get(states.len()).and_then(|&at| self.known.get(at)) {
            let next: Vec<Next> = next
                .iter()
                .map(|next| match *next {
                    Next::State(to) => Next::State(index(&mut indices, &mut order, to)),
                    decided => decided,
                })
                .collect();
            states.push(State::new(*ends, &next));
        }
        Automaton {
            start: Next::State(0),
            states,
        }
    }
}

/// The index of a state. A new state is added to `order`.
fn index<S: Copy + Eq + std::hash::Hash>(
    indices: &mut HashMap<S, usize>,
    order: &mut Vec<S>,
    state: S,
) -> usize {
    *indices.entry(state).or_insert_with(|| {
        order.push(state);
        order.len() - 1
    })
}

/// The outcome of a state if every byte and the end of the text lead to the same one.
fn decision(ends: bool, next: &[Next]) -> Option<Next> {
    let outcome = if ends { Next::Match } else { Next::Fail };
    next.iter().all(|next| *next == outcome).then_some(outcome)
}

impl State {
    fn new(ends: bool, next: &[Next]) -> Self {
        let mut runs: Vec<ByteRange> = Vec::new();
        for (byte, &to) in (0..=u8::MAX).zip(next) {
            match runs.last_mut() {
                Some(run) if run.to == to => run.last = byte,
                _ => runs.push(ByteRange {
                    first: byte,
                    last: byte,
                    to,
                }),
            }
        }
        // The target with the most comparisons becomes the default, which needs none.
        let mut costs: HashMap<Next, usize> = HashMap::new();
        for run in &runs {
            *costs.entry(run.to).or_default() += run.ops();
        }
        let dearest = runs
            .iter()
            .max_by_key(|run| costs.get(&run.to))
            .map(|run| run.to);
        let other = dearest.unwrap_or(Next::Fail);
        runs.retain(|run| run.to != other);
        Self {
            ends,
            ranges: runs,
            other,
        }
    }
}

#[cfg(test)]
mod tests;
