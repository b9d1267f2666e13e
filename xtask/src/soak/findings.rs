//! Findings of a round: differences from the expected results, and counts of the checks.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A kind of difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// The counters do not account for all hits.
    Account,
    /// A value differs from the target's.
    Value,
    /// A target was harmed.
    Harm,
    /// Something was left behind.
    Residue,
    /// Something did not end within its time.
    Hang,
    /// A tracer crashed, or printed something that it must not.
    Tracer,
    /// A hostile file cost too much.
    Hostile,
    /// The soak itself failed.
    Soak,
}

impl Class {
    /// Every kind.
    pub(super) const ALL: [Self; 8] = [
        Self::Account,
        Self::Value,
        Self::Harm,
        Self::Residue,
        Self::Hang,
        Self::Tracer,
        Self::Hostile,
        Self::Soak,
    ];
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Account => "account difference",
            Self::Value => "wrong value",
            Self::Harm => "harmed target",
            Self::Residue => "residue",
            Self::Hang => "hang",
            Self::Tracer => "tracer's crash",
            Self::Hostile => "hostile file over its limits",
            Self::Soak => "failure of the soak",
        })
    }
}

/// One difference.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// Its kind.
    pub(super) class: Class,
    /// The observation.
    pub(super) text: String,
}

/// Something did not end in time, which ends the round.
#[derive(Clone, Debug)]
pub(super) struct Hang(String);

impl Hang {
    /// Creates the error; `what` is the awaited event.
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Hang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Hang {}

/// Differences and counts of one round, or of all.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    /// The differences.
    pub(super) all: Vec<Finding>,
    /// Numbers of actions and checks, by name.
    pub(super) numbers: BTreeMap<&'static str, u64>,
    /// Notes that explain the differences.
    pub(super) notes: Vec<String>,
    /// The slowest hostile input so far.
    pub(super) slowest: Option<(Duration, String)>,
}

/// Differences of one round that are kept. Further ones add nothing.
const MOST: usize = 200;
/// Notes of one round that are kept.
const MOST_NOTES: usize = 10;

impl Findings {
    /// Notes a difference.
    pub(super) fn add(&mut self, class: Class, text: impl Into<String>) {
        self.count("differences", 1);
        if self.all.len() < MOST {
            let text = text.into();
            self.all.push(Finding { class, text });
        }
    }

    /// Notes a difference if `holds` is false.
    pub(super) fn check(&mut self, class: Class, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.add(class, text());
        }
    }

    /// Keeps a note that explains differences.
    pub(super) fn say(&mut self, text: String) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(text);
        }
    }

    /// Counts an action or check.
    pub(super) fn count(&mut self, what: &'static str, number: u64) {
        *self.numbers.entry(what).or_default() += number;
    }

    /// Records the time of a hostile input.
    pub(super) fn took(&mut self, time: Duration, input: &str) {
        if self.slowest.as_ref().is_none_or(|(most, _)| time > *most) {
            self.slowest = Some((time, input.to_owned()));
        }
    }

    /// Adds the numbers of a round.
    pub(super) fn add_numbers(&mut self, round: &Self) {
        for (what, number) in &round.numbers {
            self.count(what, *number);
        }
        if let Some((time, input)) = &round.slowest {
            self.took(*time, input);
        }
    }
}
