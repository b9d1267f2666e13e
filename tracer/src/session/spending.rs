//! What a session's probes cost, charged to their accounts.

use std::time::Duration;

use super::budget::{Over, Spent};
use super::cost::{trap_cost, trap_ns};
use super::live::Session;
use super::shared::lock;
use super::{Control as _, ProbeStatus};
use crate::causes::chain;
use crate::plan::placement::SiteKind;

impl Session {
    /// What the trap of one hit costs, once that is known.
    pub(super) fn trap_ns(&self, kind: SiteKind) -> Option<u64> {
        let cost = self.trap.get()?.as_ref()?;
        Some(trap_ns(cost, kind))
    }

    /// Charges the probes what they cost since the last time, `passed` ago, and silences those
    /// that cost too much.
    pub(super) fn spend(&self, passed: Duration) {
        if lock(&self.probes).is_empty() {
            return;
        }
        self.trap.get_or_init(|| match trap_cost(&self.machine) {
            Ok(cost) => Some(cost),
            Err(error) => {
                self.warn(format!(
                    "what a trap costs here is not known, so costs are those of the eBPF program alone: {}",
                    chain(&error)
                ));
                None
            }
        });
        let probes = self.probes();
        let limits = lock(&self.probes);
        let spent = |probe: &ProbeStatus| Spent {
            probe: probe.id,
            ns: probe
                .cost
                .total_ns(&probe.counters)
                .unwrap_or(probe.counters.bpf_ns),
            limit: limits
                .get(&probe.id)
                .and_then(|probe| probe.spec.options.cpu),
        };
        let spent: Vec<Spent> = probes.iter().map(spent).collect();
        drop(limits);
        let over = lock(&self.budget).charge(passed, &spent);
        for over in over {
            self.stop_for_cost(&over);
        }
    }

    /// Silences a probe that costs too much, and says so.
    fn stop_for_cost(&self, over: &Over) {
        let mut probes = lock(&self.probes);
        let Some(probe) = probes
            .get_mut(&over.probe)
            .filter(|probe| probe.status.enabled)
        else {
            return;
        };
        self.switch(probe, false);
        let note = over.to_string();
        self.warn(format!("{}: {note}", probe.status.name));
        // The newest first: a row of a table has room for one.
        probe.status.notes.insert(0, note);
    }
}
