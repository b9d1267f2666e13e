//! Accounts of processes that are gone: what each has hit of each probe.

use std::collections::HashMap;

use tracer_common::account::{AccountKey, ProcessAccount};

use crate::base::limits::{ENDED_PROCESSES, ENDED_SUMS};
use crate::event::ProcessHits;

/// The accounts of processes that are gone.
#[derive(Default)]
pub(in crate::session) struct ClosedAccounts {
    /// By the probe's index in the kernel's maps, oldest first.
    of_probes: HashMap<u32, Vec<ProcessHits>>,
    /// Sums of equal processes that found no room, likewise.
    sums: HashMap<u32, Vec<ProcessHits>>,
    /// Parts of open accounts that are a process's earlier program's.
    settled: HashMap<AccountKey, Settled>,
    gone: usize,
    summed: usize,
}

/// A part of an account.
#[derive(Clone, Copy, Default)]
pub(in crate::session) struct Settled {
    pub(in crate::session) hits: u64,
    pub(in crate::session) events: u64,
}

impl ClosedAccounts {
    /// Adds the hits of a process that is gone.
    pub(in crate::session) fn add(&mut self, probe: u32, hits: ProcessHits) {
        if hits.hits == 0 {
            return;
        }
        if self.gone < ENDED_PROCESSES {
            self.gone += 1;
            self.of_probes.entry(probe).or_default().push(hits);
            return;
        }
        let sums = self.sums.entry(probe).or_default();
        if let Some(same) = sums.iter_mut().find(|sum| sum.labels == hits.labels) {
            same.hits += hits.hits;
            same.events += hits.events;
        } else if self.summed < ENDED_SUMS {
            self.summed += 1;
            sums.push(ProcessHits {
                pid: None,
                target: None,
                ..hits
            });
        }
    }

    /// The open part of an account.
    pub(in crate::session) fn open_part(
        &self,
        key: AccountKey,
        account: &ProcessAccount,
    ) -> Settled {
        let settled = self.settled.get(&key).copied().unwrap_or_default();
        Settled {
            hits: account.hits.saturating_sub(settled.hits),
            events: account.events.saturating_sub(settled.events),
        }
    }

    /// The processes that are gone, of one probe, with at most the `recent` last ones.
    pub(in crate::session) fn of(&self, probe: u32, recent: usize) -> Vec<ProcessHits> {
        let gone = self.of_probes.get(&probe).map_or(&[][..], Vec::as_slice);
        let gone = &gone[gone.len().saturating_sub(recent)..];
        let sums = self.sums.get(&probe).into_iter().flatten();
        gone.iter().chain(sums).cloned().collect()
    }

    /// The whole of an account is an earlier program's. The account goes on.
    pub(in crate::session) fn settle(&mut self, key: AccountKey, account: &ProcessAccount) {
        let settled = Settled {
            hits: account.hits,
            events: account.events,
        };
        self.settled.insert(key, settled);
    }

    /// An account is closed.
    pub(in crate::session) fn close(&mut self, key: AccountKey) {
        self.settled.remove(&key);
    }

    /// Forgets a probe, whose index may be used again.
    pub(in crate::session) fn forget(&mut self, probe: u32) {
        self.gone -= self.of_probes.remove(&probe).map_or(0, |gone| gone.len());
        self.summed -= self.sums.remove(&probe).map_or(0, |sums| sums.len());
        self.settled.retain(|key, _| key.probe != probe);
    }
}

/// The end of a process as a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum TargetEnd {
    /// It has ended, or runs a program that is not probed.
    Gone,
    /// It executes another program that is probed.
    Executed,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::ProcessLabels;

    fn hits(pid: u32, name: &str, hits: u64) -> ProcessHits {
        ProcessHits {
            pid: Some(pid),
            target: None,
            labels: Arc::new(ProcessLabels::gone(Some(name))),
            hits,
            events: hits / 2,
            has_ended: true,
        }
    }

    #[test]
    fn hits_of_many_that_are_gone_are_kept_by_name_at_least() {
        let mut closed = ClosedAccounts::default();
        let most = ENDED_PROCESSES as u32;
        for pid in 0..most + 10 {
            closed.add(7, hits(pid, if pid % 2 == 0 { "even" } else { "odd" }, 4));
        }
        closed.add(7, hits(1, "idle", 0));
        let rows = closed.of(7, usize::MAX);
        assert_eq!(rows.len(), ENDED_PROCESSES + 2);
        assert_eq!(
            rows.iter().map(|row| row.hits).sum::<u64>(),
            4 * u64::from(most + 10)
        );
        let sums: Vec<_> = rows.iter().filter(|row| row.pid.is_none()).collect();
        assert_eq!((sums[0].hits, sums[1].hits), (20, 20));
        assert_eq!(closed.of(7, 5).len(), 7);
        closed.forget(7);
        assert_eq!((closed.gone, closed.summed), (0, 0));
        assert!(closed.of(7, usize::MAX).is_empty());
    }

    #[test]
    fn earlier_program_keeps_its_hits_and_the_account_goes_on() {
        let mut closed = ClosedAccounts::default();
        let key = AccountKey {
            probe: 1,
            process: 2,
        };
        let account = |hits| ProcessAccount {
            hits,
            events: hits,
            ..ProcessAccount::default()
        };
        assert_eq!(closed.open_part(key, &account(5)).hits, 5);
        closed.settle(key, &account(5));
        let open = closed.open_part(key, &account(12));
        assert_eq!((open.hits, open.events), (7, 7));
    }
}
