//! Probes that have had their last event: their breakpoints are taken out, and what they have stays.
//!
//! The kernel side holds back what comes after the last hit or the time to live, at the price of a
//! trap each. The links are closed without silencing the probe first, so what is hit until they are
//! closed is still counted as after its last hit, or after its time.

use std::time::Duration;

use super::Control as _;
use super::clock::{WallOffset, monotonic_ns};
use super::live::{Probe, Session};
use super::prepare::{DEFAULT_TTL_NS, hits_allowed};
use super::shared::lock;
use crate::event::{Done, DoneReason, Notice, ProbeDone};
use crate::kernel::Machine;
use crate::lang::ast::Action;

/// How much later than the clock the kernel side may take the time to be: its longest tick.
const LONGEST_TICK_NS: u64 = 10_000_000;

impl Session {
    /// Takes out the breakpoints of probes that can send and count nothing more, and tells of it.
    pub(super) fn end_spent(&self) {
        let now = monotonic_ns();
        let time_ns = WallOffset::now().wall(now);
        let mut probes = lock(&self.probes);
        let mut machine = lock(&self.machine);
        let mut slots = Vec::new();
        for (id, probe) in &mut *probes {
            let Some(reason) = why_done(probe, &machine, now) else {
                continue;
            };
            let done = Done { reason, time_ns };
            slots.push(probe.slot);
            probe.status.done = Some(done);
            probe.status.enabled = false;
            let told = ProbeDone {
                probe: *id,
                name: probe.status.name.clone(),
                done,
            };
            // Behind its last event.
            self.shared.tell_after(now, Notice::Done(told));
        }
        machine.close(&slots);
    }

    /// Whether nothing can come from any probe any more: there are probes, and all are done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let probes = self.probes();
        !probes.is_empty() && probes.iter().all(|probe| probe.done.is_some())
    }
}

/// Why nothing can come from a probe any more; `None`: something can, or it has been told already.
fn why_done(probe: &Probe, machine: &Machine, now: u64) -> Option<DoneReason> {
    if probe.status.done.is_some() {
        return None;
    }
    let limits = &probe.control;
    // The limits of a probe that times are those of its events, and its distribution goes on.
    let hits = match probe.spec.action {
        Action::Time => 0,
        _ => limits.hit_budget,
    };
    // A kernel that does not say keeps the probe.
    if hits != 0
        && machine
            .budget_used(probe.slot)
            .is_ok_and(|used| used >= hits)
    {
        return Some(DoneReason::Hits(hits_allowed(&probe.spec)));
    }
    let expires = limits.expires_ns.saturating_add(LONGEST_TICK_NS);
    (limits.expires_ns != 0 && now > expires).then(|| match probe.spec.options.ttl {
        Some(ttl) => DoneReason::Time(ttl),
        None => DoneReason::DefaultTime(Duration::from_nanos(DEFAULT_TTL_NS)),
    })
}
