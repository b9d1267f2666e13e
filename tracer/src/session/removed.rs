//! Probes that were removed: what they did is told once the last of their records has been seen.

use super::aggregates::{Adding, aggregates};
use super::live::{Probe, Session};
use super::shared::{Retired, lock};
use super::{Cost, ProbeStatus};
use crate::event::{Aggregate, AggregateBody, Counters};
use crate::kernel::Machine;

/// A probe that is gone.
#[derive(Clone, Debug)]
pub struct Removed {
    /// Its last state; the counters are final.
    pub status: ProbeStatus,
    /// What it had added up.
    pub aggregate: Option<Aggregate>,
}

/// Counters that grow while the kernel closes a removed probe's links, as they were before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Before {
    /// Hits while it was disabled by its user.
    pub(super) silenced: u64,
    /// Beginnings that it did not time, because it was disabled or over.
    pub(super) off: u64,
}

impl Before {
    /// The counters without the hits that came after the removal.
    pub(super) fn counters(self, now: Counters) -> Counters {
        let after = now.silenced.saturating_sub(self.silenced);
        Counters {
            hits: now.hits.saturating_sub(after),
            silenced: now.silenced - after,
            ..now
        }
    }
}

impl Session {
    /// Takes a probe out of the target that is no longer among the probes; gives its last state.
    pub(super) fn take_out(&self, probe: Probe) -> ProbeStatus {
        lock(&self.placing).remove(probe.status.id);
        let mut machine = lock(&self.machine);
        // Its sites are reached a little longer, until the kernel has closed their links. Hits and
        // beginnings in that time are none of the probe's.
        let before = Before {
            silenced: machine.counters(probe.slot).unwrap_or_default().silenced,
            off: machine.times(probe.slot).unwrap_or_default().off,
        };
        machine.detach(probe.slot);
        let status = ProbeStatus {
            counters: before.counters(self.counters(&machine, probe.placement, probe.slot)),
            enabled: false,
            cost: Cost {
                kind: Some(probe.kind),
                trap_ns: self.trap_ns(probe.kind),
                cpus: None,
                attached: probe.attached(),
                allowed: lock(&self.budget).allowed(probe.spec.options.cpu),
            },
            ..probe.status
        };
        // The maps' room is given back once the reader has seen all of its records.
        self.shared.retire(Retired {
            status: status.clone(),
            placement: probe.placement,
            slot: probe.slot,
            cookies: probe.cookies,
            before,
            looks: 0,
        });
        self.forget(&mut machine, true);
        status
    }

    /// The probes that were removed since the last call, of which no more events come. After
    /// [`Session::finish`] these are all that are left.
    pub fn take_removed(&self) -> Vec<Removed> {
        std::mem::take(&mut lock(&self.removed))
    }

    /// Gives back the room of probes that were removed some time ago; of all of them when the
    /// reader will take no more `looks`.
    pub(super) fn forget(&self, machine: &mut Machine, looks: bool) {
        let gone = self.shared.take_forgotten(looks);
        if gone.is_empty() {
            return;
        }
        // When the links are closed no hit is in progress: what is counted now is final.
        machine.wait_closed();
        for retired in gone {
            let removed = self.last_state(machine, &retired);
            lock(&self.removed).push(removed);
            self.unregister(&retired.cookies);
            machine.forget(retired.slot);
        }
    }

    fn last_state(&self, machine: &Machine, retired: &Retired) -> Removed {
        let Retired {
            status,
            placement,
            slot,
            cookies,
            before,
            ..
        } = retired;
        let adding = Adding {
            id: status.id,
            name: status.name.clone(),
            slot: *slot,
            cookies: cookies.clone(),
        };
        let mut aggregate = aggregates(machine, &self.shared.sites(), vec![adding]).pop();
        if let Some(AggregateBody::Times(times)) = aggregate.as_mut().map(|one| &mut one.body) {
            times.off = before.off;
        }
        Removed {
            status: ProbeStatus {
                counters: before.counters(self.counters(machine, *placement, *slot)),
                ..status.clone()
            },
            aggregate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_after_a_removal_are_none_of_the_probe() {
        let before = Before {
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
        // Nothing came in between.
        assert_eq!(before.counters(counted).hits, 13);
    }
}
