//! The cost of a session's probes, charged to their accounts.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::{Live, Placement, TrapKnowledge};
use crate::base::causes::chain;
use crate::placement::SiteKind;
use crate::session::actor::{Backend as _, Message};
use crate::session::live::budget::{Over, Spent};
use crate::session::live::trap_cost::{trap_cost, trap_ns};
use crate::session::probes::{Probe, ProbeMap};
use crate::session::{ProbeStatus, SessionSpending};

impl Live {
    /// The trap cost of one hit, once it is known.
    pub(super) fn trap_ns(&self, kind: SiteKind) -> Option<u64> {
        match &self.trap {
            TrapKnowledge::Known(cost) => Some(trap_ns(cost, kind)),
            _ => None,
        }
    }

    /// Charges the probes for their cost since the last time, `passed` ago. Returns those that cost
    /// too much.
    pub(super) fn charge(&mut self, probes: &ProbeMap<Placement>, passed: Duration) -> Vec<Over> {
        if probes.is_empty() && self.budget.is_settled() {
            return Vec::new();
        }
        match self.trap {
            TrapKnowledge::Unknown => self.measure_trap(),
            TrapKnowledge::BeingMeasured => {}
            TrapKnowledge::Known(_) | TrapKnowledge::None => {
                let spent: Vec<Spent> = probes.iter().map(|probe| self.spent(probe)).collect();
                return self.budget.charge(passed, &spent);
            }
        }
        Vec::new()
    }

    /// The cost of all probes until now, with those that were taken out.
    pub(super) fn spending_of(&self, probes: &ProbeMap<Placement>) -> SessionSpending {
        let spent: Vec<Spent> = probes.iter().map(|probe| self.spent(probe)).collect();
        self.budget.spending(&spent)
    }

    fn spent(&self, probe: &Probe<Placement>) -> Spent {
        Spent {
            probe: probe.id,
            ns: known_ns(&self.status(probe)),
            limit: probe.spec.options.cpu,
        }
    }

    /// Has the cost of a trap measured by a thread, since that takes up to a tenth of a second.
    fn measure_trap(&mut self) {
        self.trap = TrapKnowledge::BeingMeasured;
        let (machine, messages) = (Arc::clone(&self.machine), self.messages.clone());
        let shared = Arc::clone(&self.shared);
        let measure = move || {
            let cost = trap_cost(&machine)
                .inspect_err(|error| shared.warn(not_known(&chain(error))))
                .ok();
            // The session may be over by now.
            let _ = messages.send(Message::TrapCost(cost));
        };
        let started = thread::Builder::new()
            .name("trap-cost".into())
            .spawn(measure);
        if let Err(error) = started {
            self.trap = TrapKnowledge::None;
            self.warn(not_known(&error.to_string()));
        }
    }
}

/// The cost of a probe at its present place, as far as it is known.
pub(super) fn known_ns(status: &ProbeStatus) -> u64 {
    let total_ns = status.cost.total_ns(&status.counters);
    total_ns.unwrap_or(status.counters.bpf_ns)
}

fn not_known(why: &str) -> String {
    format!("the cost of a trap is unknown, so costs include only the time in eBPF: {why}")
}
