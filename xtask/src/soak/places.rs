//! The places that a pass of a target reaches, and the values there.
//!
//! `xtask/soak/control.h` and the `pass` files beside it define the same in the targets' own
//! languages.

use serde_json::{Value, json};

/// Slots of counters in the shared file.
pub(super) const SLOTS: usize = 1024;
/// Counters per slot.
pub(super) const PLACES: usize = 8;
/// The slot of the signal handler.
const SIGNAL_SLOT: u64 = 1023;

/// A place in the targets. The number selects its counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Place {
    /// A line in a function that fills a struct.
    Work = 0,
    /// A function without calls that returns a number.
    Leaf = 1,
    /// A line in a function that takes a pointer.
    Look = 2,
    /// A recursive function.
    Deep = 3,
    /// A line that every third pass reaches.
    Maybe = 4,
    /// A line of the signal handler.
    Signal = 5,
    /// A line of a library that is loaded later.
    Plugin = 6,
}

impl Place {
    /// Places that each pass of the program's own code reaches.
    pub(super) const OF_PASS: [Self; 5] =
        [Self::Work, Self::Leaf, Self::Look, Self::Deep, Self::Maybe];

    /// Returns the index of the counters.
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// Returns the variables with known values at the place.
    pub(super) const fn variables(self) -> &'static [Variable] {
        use Variable::{Check, Level, List, Minus, Name, Sequence, Slot};
        match self {
            Self::Work => &[Slot, Sequence, Check, Minus, Name, List],
            Self::Leaf | Self::Plugin => &[Slot, Sequence, Check],
            Self::Look => &[Slot, Sequence, Check, Minus, Name, List],
            Self::Deep => &[Sequence, Level],
            Self::Maybe => &[Slot, Sequence, Check],
            Self::Signal => &[Sequence, Check],
        }
    }
}

/// Commands to a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PassKind {
    /// Reach all places of the program.
    Program,
    /// Reach the place of the library.
    Plugin,
    /// Run the signal handler.
    Signal,
}

/// A language of the targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    /// C.
    C,
    /// C++.
    Cpp,
    /// Rust.
    Rust,
}

/// A variable that the target computes from the slot and the sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    /// The number of the slot, one per thread.
    Slot,
    /// The number of the pass in its slot.
    Sequence,
    /// A sum over both.
    Check,
    /// A number that is zero or below.
    Minus,
    /// A text.
    Name,
    /// A list of numbers; C has none.
    List,
    /// The remaining depth of the recursion.
    Level,
}

impl Variable {
    /// Returns the variable in the syntax of probes.
    pub(super) fn expression(self, place: Place, language: Language) -> Option<String> {
        let name = match self {
            Self::Slot => "slot",
            Self::Sequence => "sequence",
            Self::Check => "check",
            Self::Minus => "minus",
            Self::Name => "name",
            Self::List if language == Language::C => return None,
            Self::List => "list",
            Self::Level => "level",
        };
        Some(match (place, self) {
            (Place::Signal, Self::Sequence) => "count".to_owned(),
            (Place::Look, _) if language == Language::C => format!("pair->{name}"),
            (Place::Look, _) | (Place::Work, Self::Name | Self::List) => format!("pair.{name}"),
            _ => name.to_owned(),
        })
    }

    /// Returns the value at a hit, in JSON.
    pub(super) fn value(self, place: Place, hit: Visit) -> Value {
        let Visit {
            slot,
            sequence,
            level,
        } = hit;
        match self {
            Self::Slot => json!(slot),
            Self::Sequence => whole(sequence),
            Self::Check => whole(check(place, hit)),
            Self::Minus => json!(-i64::try_from(sequence % 1000).unwrap_or(0)),
            Self::Name => json!(format!("n{}", sequence % 10)),
            Self::List => json!((0..sequence % 5).collect::<Vec<u64>>()),
            Self::Level => json!(level),
        }
    }
}

/// Returns an unsigned number in JSON: a text if a double cannot hold it.
pub(super) fn whole(number: u64) -> Value {
    if number <= 1 << 53 {
        json!(number)
    } else {
        json!(number.to_string())
    }
}

/// Returns the sum that the target computes at a place.
pub(super) fn check(place: Place, hit: Visit) -> u64 {
    match place {
        Place::Plugin => hit.slot.wrapping_mul(1_000_003).wrapping_add(hit.sequence),
        Place::Signal => mix(SIGNAL_SLOT, hit.sequence).wrapping_add(10),
        _ => mix(hit.slot, hit.sequence),
    }
}

/// Returns the function `soak_mix` of the targets.
const fn mix(slot: u64, sequence: u64) -> u64 {
    let mixed = ((slot << 40) ^ sequence).wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// One visit of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Visit {
    /// The slot.
    pub(super) slot: u64,
    /// The pass.
    pub(super) sequence: u64,
    /// The remaining depth of the recursion; 0 elsewhere.
    pub(super) level: u64,
}

/// Consecutive passes of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotRange {
    /// The slot.
    pub(super) slot: u64,
    /// The first pass.
    pub(super) first: u64,
    /// The last one.
    pub(super) last: u64,
    /// The command of each pass.
    pub(super) kind: PassKind,
}

impl SlotRange {
    /// Returns all visits of a place in these passes.
    pub(super) fn hits(self, place: Place) -> impl Iterator<Item = Visit> {
        (self.first..=self.last).flat_map(move |sequence| {
            (0..times(place, self.kind, sequence)).map(move |level| Visit {
                slot: self.slot,
                sequence,
                level,
            })
        })
    }
}

/// Returns the number of times that a pass reaches a place.
pub(super) const fn times(place: Place, kind: PassKind, sequence: u64) -> u64 {
    match (kind, place) {
        (PassKind::Program, Place::Work | Place::Leaf | Place::Look)
        | (PassKind::Plugin, Place::Plugin)
        | (PassKind::Signal, Place::Signal) => 1,
        (PassKind::Program, Place::Deep) => sequence % 4 + 1,
        (PassKind::Program, Place::Maybe) if sequence.is_multiple_of(3) => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(kind: PassKind) -> SlotRange {
        SlotRange {
            slot: 2,
            first: 1,
            last: 12,
            kind,
        }
    }

    #[test]
    fn passes_reach_places_as_often_as_the_targets_do() {
        let count = |place| range(PassKind::Program).hits(place).count();
        assert_eq!(count(Place::Work), 12);
        assert_eq!(count(Place::Maybe), 4);
        // 2, 3, 4 and 1 times, three times over.
        assert_eq!(count(Place::Deep), 30);
        assert_eq!(count(Place::Plugin), 0);
        assert_eq!(range(PassKind::Plugin).hits(Place::Plugin).count(), 12);
    }

    #[test]
    fn sums_are_those_of_the_targets() {
        // The C target printed this number.
        assert_eq!(mix(0, 1), 10_451_216_379_200_822_465);
        assert_eq!(mix(1, 6), 5_293_968_370_299_238_888);
    }

    #[test]
    fn large_numbers_are_texts() {
        assert_eq!(whole(1 << 53), json!(9_007_199_254_740_992_u64));
        assert_eq!(whole((1 << 53) + 1), json!("9007199254740993"));
    }
}
