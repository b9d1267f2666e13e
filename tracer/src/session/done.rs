//! Probes that reach a limit: over their rate, or with their last event behind them.
//!
//! The breakpoints of those that have had their last event are taken out, and what they have stays.
//!
//! The kernel side holds back what comes after the last hit or the time to live, at the price of a
//! trap each. The links are closed without silencing the probe first, so what is hit until they are
//! closed is still counted as after its last hit, or after its time.

use std::time::Duration;

use tracer_common::control::ProbeState;

use super::Control as _;
use super::clock::{WallOffset, monotonic_ns};
use super::live::{Probe, Session};
use super::prepare::{DEFAULT_RATE, DEFAULT_TTL_NS, hits_allowed};
use super::shared::lock;
use crate::event::{Done, DoneReason, Notice, ProbeDone, ProbeId, ProbeLimited};
use crate::lang::ast::Action;

/// How much later than the clock the kernel side may take the time to be: its longest tick.
const LONGEST_TICK_NS: u64 = 10_000_000;

impl Session {
    /// Tells of probes that are over their rate for the first time; takes out the breakpoints of those
    /// that can send and count nothing more, and tells of them.
    pub(super) fn look_at_limits(&self) {
        let now = monotonic_ns();
        let time_ns = WallOffset::now().wall(now);
        let mut probes = lock(&self.probes);
        let mut machine = lock(&self.machine);
        let mut slots = Vec::new();
        for (id, probe) in &mut *probes {
            // A kernel that does not say keeps the probe.
            let Ok(state) = machine.state(probe.slot) else {
                continue;
            };
            if let Some(limited) = limited(*id, probe, state, time_ns) {
                probe.told_limited = true;
                self.shared.tell_after(now, Notice::Limited(limited));
            }
            let Some(reason) = why_done(probe, state, now) else {
                continue;
            };
            let done = Done { reason, time_ns };
            slots.push(probe.slot);
            probe.status.done = Some(done);
            probe.status.enabled = false;
            probe.is_taken_out();
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

/// A probe is over its rate, and nobody has been told. `every` says how far events are to be
/// apart: who asks for that knows that others are left out.
fn limited(id: ProbeId, probe: &Probe, state: ProbeState, time_ns: u64) -> Option<ProbeLimited> {
    let options = &probe.spec.options;
    let is_new = state.limited > 0 && !probe.told_limited && options.every.is_none();
    is_new.then(|| ProbeLimited {
        probe: id,
        name: probe.status.name.clone(),
        rate: options.rate.unwrap_or(DEFAULT_RATE),
        is_default: options.rate.is_none(),
        time_ns,
    })
}

/// Why nothing can come from a probe any more; `None`: something can, or it has been told already.
fn why_done(probe: &Probe, state: ProbeState, now: u64) -> Option<DoneReason> {
    if probe.status.done.is_some() {
        return None;
    }
    let limits = &probe.control;
    // The limits of a probe that times are those of its events, and its distribution goes on.
    let hits = match probe.spec.action {
        Action::Time => 0,
        _ => limits.hit_budget,
    };
    if hits != 0 && state.budget_used >= hits {
        return Some(DoneReason::Hits(hits_allowed(&probe.spec)));
    }
    let expires = limits.expires_ns.saturating_add(LONGEST_TICK_NS);
    (limits.expires_ns != 0 && now > expires).then(|| match probe.spec.options.ttl {
        Some(ttl) => DoneReason::Time(ttl),
        None => DoneReason::DefaultTime(Duration::from_nanos(DEFAULT_TTL_NS)),
    })
}
