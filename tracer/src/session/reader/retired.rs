//! Removed probes whose last records may still be on their way.

use crate::event::{Aggregate, AggregateBody, Counters, PlacementId};
use crate::kernel::Machine;
use crate::session::ProbeStatus;

/// A removed probe whose last records may still be on their way.
#[derive(Debug)]
pub(in crate::session) struct Retired {
    /// Its status at its removal.
    pub(in crate::session) status: ProbeStatus,
    /// The placement that is gone.
    pub(in crate::session) placement: PlacementId,
    /// Its index in the kernel's maps.
    pub(in crate::session) slot: u32,
    /// The cookies of its sites.
    pub(in crate::session) cookies: Vec<u32>,
    /// Counters that the removal itself makes grow, as they were before it.
    pub(in crate::session) before: CountersBefore,
    /// Indices and cookies of its other sites, which send no events.
    pub(in crate::session) helpers: Vec<HelperSites>,
    /// Number of looks since then that found the ring empty.
    pub(in crate::session) looks: u32,
}

/// Sites of a probe whose hits send no events, with an index of their own in the kernel's maps.
#[derive(Clone, Debug)]
pub(in crate::session) struct HelperSites {
    /// Their index.
    pub(in crate::session) slot: u32,
    /// Their cookies.
    pub(in crate::session) cookies: Vec<u32>,
}

/// Counters that grow while the kernel closes a probe's links for good, as they were before.
///
/// Hits and beginnings in that time are none of the probe's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) struct CountersBefore {
    /// Hits while it was disabled by its user.
    pub(in crate::session) silenced: u64,
    /// Beginnings that it did not time, because it was disabled or over.
    pub(in crate::session) off: u64,
}

impl CountersBefore {
    /// Reads the counters of a probe that is about to be removed.
    pub(in crate::session) fn read(machine: &Machine, slot: u32) -> Self {
        Self {
            silenced: machine.counters(slot).unwrap_or_default().silenced,
            off: machine.times(slot).unwrap_or_default().off,
        }
    }

    /// Leaves the beginnings that came after the removal out of an aggregate.
    pub(in crate::session) fn aggregate(self, aggregate: &mut Aggregate) {
        if let AggregateBody::Times(times) = &mut aggregate.body {
            times.off = self.off;
        }
    }

    /// The counters without the hits that came after the removal.
    pub(in crate::session) fn counters(self, now: Counters) -> Counters {
        let after = now.silenced.saturating_sub(self.silenced);
        Counters {
            hits: now.hits.saturating_sub(after),
            silenced: now.silenced - after,
            ..now
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_after_a_removal_are_none_of_the_probe() {
        let before = CountersBefore {
            silenced: 3,
            off: 0,
        };
        let now = Counters {
            hits: 20,
            events: 10,
            silenced: 10,
            ..Counters::default()
        };
        let counted = before.counters(now);
        assert_eq!(
            (counted.hits, counted.events, counted.silenced),
            (13, 10, 3)
        );
        // No hit came in between.
        assert_eq!(before.counters(counted).hits, 13);
    }
}
