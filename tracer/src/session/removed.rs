//! Probes that were removed: what they did is told once the last of their records has been seen.

use super::ProbeStatus;
use super::aggregates::{Adding, aggregates};
use super::live::Session;
use super::shared::{Retired, lock};
use crate::event::{Aggregate, AggregateBody};
use crate::kernel::Machine;

/// A probe that is gone.
#[derive(Clone, Debug)]
pub struct Removed {
    /// Its last state; the counters are final.
    pub status: ProbeStatus,
    /// What it had added up.
    pub aggregate: Option<Aggregate>,
}

impl Session {
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
            off,
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
            times.off = *off;
        }
        Removed {
            status: ProbeStatus {
                counters: self.counters(machine, *placement, *slot),
                ..status.clone()
            },
            aggregate,
        }
    }
}
