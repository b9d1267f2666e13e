//! Regular expressions as automata that are small enough to be ops of a plan.
//!
//! `regex-automata` makes a minimal DFA of the pattern; here its states become what a plan needs: the
//! ranges of bytes that lead elsewhere. The result looks at each byte of a text once, and stops at the
//! first byte that decides.

use std::collections::HashMap;

use regex_automata::Anchored;
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::{start, syntax};

use super::limits::{REGEX_BYTES, REGEX_OPS, REGEX_STATES};

/// Ops of one byte at a state, without the comparisons: is the text at its end, read, is it the zero
/// at the end, and on.
const BYTE_OPS: usize = 4;

/// Decides about a text, byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Automaton {
    /// Where a text begins; [`Next::State`] is an index of `states`.
    pub(super) start: Next,
    pub(super) states: Vec<State>,
}

/// A state between two bytes of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Whether a text that ends here matches.
    pub(super) ends: bool,
    /// Bytes that do not lead to `other`, in ascending order.
    pub(super) ranges: Vec<ByteRange>,
    /// Where the other bytes lead.
    pub(super) other: Next,
}

/// Neighbouring bytes that lead to the same state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ByteRange {
    pub(super) first: u8,
    pub(super) last: u8,
    pub(super) to: Next,
}

/// The consequence of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Next {
    /// Not decided yet.
    State(usize),
    /// The text matches, whatever follows.
    Match,
    /// The text does not match, whatever follows.
    Fail,
}

impl State {
    /// Ops of a plan for one byte at this state: at most so many are executed.
    pub(super) fn ops(&self) -> usize {
        let ranges = self.ranges.iter().map(|range| range.ops());
        BYTE_OPS + ranges.sum::<usize>() + 1
    }
}

impl ByteRange {
    /// A single byte takes one comparison, a range two.
    fn ops(self) -> usize {
        if self.first == self.last { 1 } else { 2 }
    }
}

/// The automaton of a regular expression: a text matches when the pattern is found anywhere in it.
///
/// # Errors
/// Why the pattern is refused, and a hint.
pub(super) fn automaton(pattern: &str) -> Result<Automaton, (String, Option<String>)> {
    if pattern.len() > REGEX_BYTES {
        let error = format!(
            "a regular expression of {} bytes, {REGEX_BYTES} is the most",
            pattern.len()
        );
        return Err((error, None));
    }
    check_syntax(pattern)?;
    let too_large = || {
        let error = "this regular expression needs too many states to run in the kernel".to_owned();
        let hint = "fewer or smaller repetitions (`{n,m}`), and an anchor (`^`), need fewer";
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

/// The automaton that finds a text anywhere in another.
///
/// # Errors
/// As for [`automaton`].
pub(super) fn of_text(text: &str, ends: bool) -> Result<Automaton, (String, Option<String>)> {
    let end = if ends { r"\z" } else { "" };
    automaton(&format!("{}{end}", regex_syntax::escape(text)))
}

/// Bytes, not characters: a text of the program may be anything. Classes are those of ASCII then,
/// which keeps them small.
fn syntax() -> syntax::Config {
    syntax::Config::new().unicode(false).utf8(false)
}

/// Checks the syntax alone, for an error that says where in the pattern it is.
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
    let hint =
        is_unicode.then(|| "texts are compared as bytes; `(?u:…)` is a part with Unicode".into());
    Err((format!("not a regular expression {at}: {kind}"), hint))
}

/// States of a DFA that can be reached before it decides, and what each byte does there.
struct States {
    /// For each state: whether a text may end there, and where each of the 256 bytes leads.
    known: Vec<(bool, Vec<Next>)>,
}

impl States {
    /// `None`: a text could not be decided by it.
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

    /// The automaton, without the states in which all is decided.
    ///
    /// The DFA says *match* one byte late; a state that matches whatever comes is the match itself.
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

    /// Only those that can still be reached.
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

/// The index of a state, which is added to `order` when it is new.
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

/// The outcome of a state at which every byte, and the end of the text, decides alike.
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
        // The one with the most comparisons needs none.
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
