//! What the targets do: the places that a pass goes by, and the values that are there.
//!
//! `xtask/soak/control.h` and the `pass` files beside it say the same in the targets' own languages.

use serde_json::{Value, json};

/// Slots of counters in the shared file.
pub(super) const SLOTS: usize = 1024;
/// Counters of each slot.
pub(super) const PLACES: usize = 8;
/// The slot that the signal handler counts in.
const SIGNAL_SLOT: u64 = 1023;

/// A place in the targets; the number is that of its counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Place {
    /// A line of a function that fills a struct.
    Work = 0,
    /// A function without calls, which returns a number.
    Leaf = 1,
    /// A line of a function that is given a pointer.
    Look = 2,
    /// A recursive function.
    Deep = 3,
    /// A line that only every third pass reaches.
    Maybe = 4,
    /// A line of a signal handler.
    Signal = 5,
    /// A line of a library that is loaded later.
    Plugin = 6,
}

impl Place {
    /// Those that each pass of the program's own code reaches.
    pub(super) const OF_PASS: [Self; 5] =
        [Self::Work, Self::Leaf, Self::Look, Self::Deep, Self::Maybe];

    /// The index of its counters.
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// Variables whose values are known at it.
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

/// What a thread does in a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PassKind {
    /// All places of the program.
    Program,
    /// The place of the library.
    Plugin,
    /// The signal handler.
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

/// A variable that the target computes from slot and sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    /// Number of the slot: which thread.
    Slot,
    /// Number of the pass in its slot.
    Sequence,
    /// A sum over both.
    Check,
    /// A number that is not above zero.
    Minus,
    /// A text.
    Name,
    /// A list of numbers; C has none.
    List,
    /// How far the recursion has to go.
    Level,
}

impl Variable {
    /// As a probe writes it.
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

    /// The value at a hit, as JSON shows it.
    pub(super) fn value(self, place: Place, hit: Hit) -> Value {
        let Hit {
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

/// An unsigned number as the output has it: a text where a double is too small for it.
pub(super) fn whole(number: u64) -> Value {
    if number <= 1 << 53 {
        json!(number)
    } else {
        json!(number.to_string())
    }
}

/// The sum that the target computes at a place.
pub(super) fn check(place: Place, hit: Hit) -> u64 {
    match place {
        Place::Plugin => hit.slot.wrapping_mul(1_000_003).wrapping_add(hit.sequence),
        Place::Signal => mix(SIGNAL_SLOT, hit.sequence).wrapping_add(10),
        _ => mix(hit.slot, hit.sequence),
    }
}

/// The same as `soak_mix` in the targets.
const fn mix(slot: u64, sequence: u64) -> u64 {
    let mixed = ((slot << 40) ^ sequence).wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// One time that a place is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Hit {
    /// The slot.
    pub(super) slot: u64,
    /// The pass.
    pub(super) sequence: u64,
    /// What is left of the recursion; 0 elsewhere.
    pub(super) level: u64,
}

/// Passes of one slot that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotRange {
    /// The slot.
    pub(super) slot: u64,
    /// The first pass.
    pub(super) first: u64,
    /// The last one.
    pub(super) last: u64,
    /// What each pass does.
    pub(super) kind: PassKind,
}

impl SlotRange {
    /// Every time that these passes reach a place.
    pub(super) fn hits(self, place: Place) -> impl Iterator<Item = Hit> {
        (self.first..=self.last).flat_map(move |sequence| {
            (0..times(place, self.kind, sequence)).map(move |level| Hit {
                slot: self.slot,
                sequence,
                level,
            })
        })
    }
}

/// How often a pass reaches a place.
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
        // Printed by the C target.
        assert_eq!(mix(0, 1), 10_451_216_379_200_822_465);
        assert_eq!(mix(1, 6), 5_293_968_370_299_238_888);
    }

    #[test]
    fn large_numbers_are_texts() {
        assert_eq!(whole(1 << 53), json!(9_007_199_254_740_992_u64));
        assert_eq!(whole((1 << 53) + 1), json!("9007199254740993"));
    }
}
