//! Reads the counters that a target keeps of its own passes, from the file that it shares.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::places::{PLACES, PassKind, Place, SLOTS, SlotRange, times};

/// Numbers of one slot in the file.
const SLOT_NUMBERS: usize = 32;
/// Bytes of the file: the slots, the number of signals, the number of children.
pub(super) const FILE_BYTES: u64 = (SLOTS as u64 * SLOT_NUMBERS as u64 + 2) * 8;

/// The counters at one moment. Each number is exact, but not all are from the same moment while the
/// target passes.
#[derive(Clone, Debug)]
pub(super) struct Counters {
    numbers: Vec<u64>,
}

impl Counters {
    /// Reads the counters.
    ///
    /// # Errors
    /// Fails if the file cannot be read or is too short.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let numbers: Vec<u64> = bytes
            .chunks_exact(8)
            .filter_map(|chunk| Some(u64::from_le_bytes(chunk.try_into().ok()?)))
            .collect();
        anyhow::ensure!(
            bytes.len() as u64 >= FILE_BYTES,
            "the counters of a target have {} bytes of {FILE_BYTES}",
            bytes.len()
        );
        Ok(Self { numbers })
    }

    fn at(&self, slot: usize, number: usize) -> u64 {
        let index = slot * SLOT_NUMBERS + number;
        self.numbers.get(index).copied().unwrap_or(0)
    }

    /// Returns the finished passes of a slot.
    fn sequence(&self, slot: usize) -> u64 {
        self.at(slot, 0)
    }

    /// Returns the number of times that a slot was about to reach a place.
    fn before(&self, slot: usize, place: Place) -> u64 {
        self.at(slot, 1 + place.index())
    }

    /// Returns the number of times that a slot has reached a place.
    fn after(&self, slot: usize, place: Place) -> u64 {
        self.at(slot, 1 + PLACES + place.index())
    }

    /// Returns the number of signals that were handled.
    fn signals(&self) -> u64 {
        self.at(SLOTS, 0)
    }

    /// Returns true if all counted signals have been handled to the end.
    pub(super) fn no_signal_in_progress(&self) -> bool {
        let slot = SLOTS - 1;
        let started = self.before(slot, Place::Signal);
        started == self.signals() && started == self.after(slot, Place::Signal)
    }

    /// Returns the passes between `earlier` and these counters, both read while no thread passed.
    ///
    /// `kind` is the command of the threads. Signals may have come at any time.
    pub(super) fn passes_since(&self, earlier: &Self, kind: PassKind) -> Vec<SlotRange> {
        let mut passes: Vec<SlotRange> = (0..SLOTS)
            .map(|slot| SlotRange {
                slot: slot as u64,
                first: earlier.sequence(slot) + 1,
                last: self.sequence(slot),
                kind,
            })
            .collect();
        passes.push(SlotRange {
            slot: SLOTS as u64 - 1,
            first: earlier.signals() + 1,
            last: self.signals(),
            kind: PassKind::Signal,
        });
        passes.retain(|range| range.last >= range.first);
        passes
    }

    /// Returns the contradictions between the target's counters and its passes. They mean that
    /// the target was harmed, or that this program models the target incorrectly.
    pub(super) fn contradictions(&self, earlier: &Self, passes: &[SlotRange]) -> Vec<String> {
        let mut found = Vec::new();
        for range in passes {
            let slot = usize::try_from(range.slot).unwrap_or(0);
            let places = Place::OF_PASS.into_iter();
            for place in places.chain([Place::Signal, Place::Plugin]) {
                let expected: u64 = (range.first..=range.last)
                    .map(|sequence| times(place, range.kind, sequence))
                    .sum();
                let counted = self.after(slot, place) - earlier.after(slot, place);
                if expected != counted {
                    found.push(format!(
                        "the target passed {place:?} {counted} times in {range:?}, not {expected}"
                    ));
                }
            }
        }
        found
    }
}

/// Counters around a session, which bound its hits while the target passes.
#[derive(Clone, Debug)]
pub(super) struct Around {
    /// Counters before the tracer was started.
    pub(super) start: Counters,
    /// Counters when its probes were attached.
    pub(super) traced: Counters,
    /// Counters before the tracer was asked to end.
    pub(super) asked: Counters,
    /// Counters when it had ended.
    pub(super) end: Counters,
}

impl Around {
    /// Returns the smallest and the largest number of hits that a probe of the whole session can
    /// have.
    pub(super) fn bounds(&self, place: Place) -> Bounds {
        let mut bounds = Bounds { least: 0, most: 0 };
        for slot in 0..SLOTS {
            let begun_with = self.traced.before(slot, place);
            bounds.least += self.asked.after(slot, place).saturating_sub(begun_with);
            let begun = self.end.before(slot, place);
            bounds.most += begun.saturating_sub(self.start.after(slot, place));
        }
        bounds
    }
}

/// Bounds of a number of hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// The smallest number.
    pub(super) least: u64,
    /// The largest number.
    pub(super) most: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(sequence: u64, before: u64, after: u64) -> Counters {
        let mut numbers = vec![0; SLOTS * SLOT_NUMBERS + 2];
        numbers[SLOT_NUMBERS] = sequence;
        numbers[SLOT_NUMBERS + 1] = before;
        numbers[SLOT_NUMBERS + 1 + PLACES] = after;
        Counters { numbers }
    }

    #[test]
    fn passes_are_those_between() {
        let passes = counters(7, 7, 7).passes_since(&counters(4, 4, 4), PassKind::Program);
        let expected = SlotRange {
            slot: 1,
            first: 5,
            last: 7,
            kind: PassKind::Program,
        };
        assert_eq!(passes, [expected]);
    }

    #[test]
    fn a_pass_that_was_not_counted_is_a_contradiction() {
        let (earlier, later) = (counters(4, 4, 4), counters(7, 7, 6));
        let passes = later.passes_since(&earlier, PassKind::Program);
        let found = later.contradictions(&earlier, &passes);
        assert!(found[0].contains("Work 2 times"), "{found:?}");
    }

    #[test]
    fn hits_in_progress_are_between_the_bounds() {
        let around = Around {
            start: counters(0, 3, 2),
            traced: counters(0, 5, 4),
            asked: counters(0, 9, 8),
            end: counters(0, 11, 10),
        };
        let expected = Bounds { least: 3, most: 9 };
        assert_eq!(around.bounds(Place::Work), expected);
    }
}
