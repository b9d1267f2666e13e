//! The hits of each process with each probe: of processes that live, by the kernel's accounts, and of processes
//! that are gone.
//!
//! When a process ends, its accounts are closed, so that their room and its process id are free again. A
//! process that executes another program keeps its accounts, as its limits go on. What it has hit until then
//! is its earlier program's.

pub(super) mod closed;

use std::collections::HashMap;

use tracer_common::account::{AccountKey, ProcessAccount};

use super::{Live, Placement};
use crate::event::{Counters, ProcessHits, TargetId};
use crate::kernel::Machine;
use crate::session::ProbeStatus;
use crate::session::locks::lock;
use crate::session::probes::ProbeMap;
use closed::TargetEnd;

/// Ended processes of one probe that the frontends are shown while the session runs.
const MAX_RECENT: usize = 300;

impl Live {
    /// A process is not a target any more: settles its accounts.
    pub(super) fn settle_accounts(&mut self, pid: u32, target: Option<TargetId>, end: TargetEnd) {
        let mut machine = lock(&self.machine);
        let accounts = match machine.accounts_of(pid) {
            Ok(accounts) => accounts,
            Err(error) => {
                // They stay as those of a live process.
                tracing::debug!(pid, %error, "accounts are not closed");
                return;
            }
        };
        let mut keys = Vec::new();
        for (key, account) in accounts {
            let part = self.closed.open_part(key, &account);
            let hits = ProcessHits {
                pid: Some(pid),
                target,
                labels: self.shared.labels_of(pid, name_of(&account)),
                hits: part.hits,
                events: part.events,
                has_ended: true,
            };
            self.closed.add(key.probe, hits);
            if end == TargetEnd::Executed {
                self.closed.settle(key, &account);
            } else {
                self.closed.close(key);
                keys.push(key);
            }
        }
        if let Err(error) = machine.close_accounts(&keys) {
            tracing::debug!(pid, %error, "accounts are not closed");
        }
    }

    /// The hits of each process with a probe.
    pub(super) fn hits_of_processes(
        &self,
        machine: &Machine,
        slot: u32,
        counters: &Counters,
    ) -> Vec<ProcessHits> {
        if !machine.has_accounts() {
            return self.all_of_one(counters).into_iter().collect();
        }
        let accounts = machine.accounts().unwrap_or_default();
        self.rows(&accounts, slot, usize::MAX)
    }

    /// Adds the hits of processes to the states of probes.
    pub(super) fn add_hits_of_processes(
        &self,
        probes: &ProbeMap<Placement>,
        statuses: &mut [ProbeStatus],
        all: bool,
    ) {
        let machine = lock(&self.machine);
        let has_accounts = machine.has_accounts();
        // An unreadable map of the tracer shows no numbers rather than wrong ones.
        let accounts = machine.accounts().unwrap_or_default();
        drop(machine);
        let recent = if all { usize::MAX } else { MAX_RECENT };
        for status in statuses {
            let placement = probes.get(status.id).and_then(|probe| probe.placement());
            status.processes = match placement {
                None => Vec::new(),
                Some(_) if !has_accounts => self.all_of_one(&status.counters).into_iter().collect(),
                Some(placement) => self.rows(&accounts, placement.slot, recent),
            };
        }
    }

    fn rows(
        &self,
        accounts: &[(AccountKey, ProcessAccount)],
        slot: u32,
        recent: usize,
    ) -> Vec<ProcessHits> {
        let mut rows = self.closed.of(slot, recent);
        let live = self
            .family
            .iter()
            .flat_map(|family| family.targets.ids_by_pid());
        let targets: HashMap<u32, TargetId> = live.collect();
        for (key, account) in accounts.iter().filter(|(key, _)| key.probe == slot) {
            let pid = key.process;
            let part = self.closed.open_part(*key, account);
            rows.push(ProcessHits {
                pid: Some(pid),
                target: targets.get(&pid).copied(),
                labels: self.shared.labels_of(pid, name_of(account)),
                hits: part.hits,
                events: part.events,
                has_ended: false,
            });
        }
        rows.retain(|row| row.hits > 0);
        rows.sort_by_key(|row| (row.pid.is_none(), row.target, row.pid));
        rows
    }

    /// All hits, where only one process can hit.
    fn all_of_one(&self, counters: &Counters) -> Option<ProcessHits> {
        let process = self.executables.first().modules.process()?;
        let pid = process.pid();
        (counters.hits > 0).then(|| ProcessHits {
            pid: Some(pid),
            target: Some(TargetId(0)),
            labels: self.shared.labels_of(pid, b""),
            hits: counters.hits,
            events: counters.events,
            has_ended: !process.is_alive(),
        })
    }
}

/// The name of a process that the kernel side has seen.
fn name_of(account: &ProcessAccount) -> &[u8] {
    let name = account.name.split(|&byte| byte == 0).next();
    name.unwrap_or_default()
}
