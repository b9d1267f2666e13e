//! Removed probes, whose counts are reported after the last of their records.

use std::sync::Arc;

use super::calls::last_call;
use super::spending::known_ns;
use super::{Live, Placement};
use crate::event::{Aggregate, Counters};
use crate::kernel::Machine;
use crate::session::ProbeStatus;
use crate::session::locks::lock;
use crate::session::reader::aggregates::{Adding, aggregates};
use crate::session::reader::retired::{CountersBefore, HelperSites, Retired};

/// A probe that is gone.
#[derive(Clone, Debug)]
pub struct Removed {
    /// Its last state, with the final counters.
    pub status: ProbeStatus,
    /// Its aggregate.
    pub aggregate: Option<Aggregate>,
}

impl Live {
    /// Removes the sites of a probe for good, and returns its last state.
    pub(super) fn detach(&mut self, status: ProbeStatus, placement: Placement) -> ProbeStatus {
        for executable in self.executables.iter_mut() {
            Arc::make_mut(&mut executable.placing).remove(status.id);
        }
        let mut machine = lock(&self.machine);
        // Its sites are reached a little longer, until the kernel has closed their links. Hits and
        // beginnings in that time are none of the probe's.
        let read = || CountersBefore::read(&machine, placement.slot);
        let before = placement.at_end.unwrap_or_else(read);
        machine.detach(placement.slot);
        let parts = placement.parts.iter();
        let helpers: Vec<HelperSites> = parts.flat_map(|part| part.watched.helpers()).collect();
        for helper in &helpers {
            machine.detach(helper.slot);
        }
        if let Some(last) = last_call(&machine, &placement) {
            self.last_calls.insert(status.id, last);
        }
        let counters = self.counters(&machine, placement.id, placement.slot);
        drop(machine);
        self.keep_limits(&status, &placement);
        let mut status = ProbeStatus {
            counters: before.counters(counters),
            enabled: false,
            ..status
        };
        self.budget.take_out(status.id, known_ns(&status));
        status.cost.cpus = None;
        // The map elements are freed once the reader has seen all of its records.
        self.shared.retire(Retired {
            status: status.clone(),
            placement: placement.id,
            slot: placement.slot,
            cookies: placement.cookies,
            before,
            helpers,
            looks: 0,
        });
        self.forget(true);
        status
    }

    /// Frees the map elements of probes that were removed some time ago; of all of them when the
    /// reader will take no more `looks`.
    pub(super) fn forget(&mut self, looks: bool) {
        let gone = self.shared.take_forgotten(looks);
        if gone.is_empty() {
            return;
        }
        let mut machine = lock(&self.machine);
        // Once the links are closed no hit is in progress, so the counters are final.
        machine.wait_closed();
        for retired in gone {
            let removed = self.last_state(&machine, &retired);
            self.removed.push(removed);
            self.unregister(&retired.cookies);
            machine.forget(retired.slot);
            for helper in &retired.helpers {
                self.unregister(&helper.cookies);
                machine.forget(helper.slot);
            }
            self.closed.forget(retired.slot);
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
        let processes = |adding: &Adding, counters: &Counters| {
            self.hits_of_processes(machine, adding.slot, counters)
        };
        let sites = self.shared.sites();
        let mut aggregate = aggregates(machine, &sites, vec![adding], &processes).pop();
        drop(sites);
        if let Some(aggregate) = &mut aggregate {
            before.aggregate(aggregate);
        }
        let counters = before.counters(self.counters(machine, *placement, *slot));
        Removed {
            status: ProbeStatus {
                processes: self.hits_of_processes(machine, *slot, &counters),
                counters,
                ..status.clone()
            },
            aggregate,
        }
    }
}
