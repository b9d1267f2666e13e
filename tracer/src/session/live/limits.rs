//! Probes that reach a limit: those over their rate, and those past their last event.
//!
//! The breakpoints of a probe are removed after its last event, and its data stays.
//!
//! The kernel side holds back hits that come after the last one or after the time to live, at the
//! price of a trap each. The links are closed without silencing the probe first, so a hit before
//! they are closed is still counted as late.

use std::time::Duration;

use tracer_common::control::{ProbeControl, ProbeState};
use tracer_common::limits::MAX_ACCOUNTS;

use super::calls::newly_full;
use super::{Live, Placement};
use crate::event::{Done, DoneReason, ProbeDone, ProbeId, ProbeLimited, grouped};
use crate::kernel::Machine;
use crate::lang::ast::ProbeSpec;
use crate::session::locks::lock;
use crate::session::prepare::rate_limits::{DEFAULT_RATE, DEFAULT_TTL_NS, control};
use crate::session::probes::{Probe, ProbeMap, Stage};
use crate::session::reader::clock::{WallOffset, monotonic_ns};
use crate::session::{Notice, ProbeStatus};

/// Longest lag of the kernel side's time behind the clock: its longest tick.
const LONGEST_TICK_NS: u64 = 10_000_000;

/// The limits of a probe that was taken out before its end, for when it is placed again.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeptLimits {
    /// The hits that it may have in all.
    hit_budget: u64,
    /// Hits that it has had.
    used: u64,
    expires_ns: u64,
}

impl KeptLimits {
    /// Number of the hits that it has had.
    pub(super) fn used(self) -> u64 {
        self.used
    }
}

impl Live {
    /// Keeps the limits of a probe that is taken out. A finished probe has all of its hits and its time again when it
    /// is woken.
    pub(super) fn keep_limits(&mut self, status: &ProbeStatus, placement: &Placement) {
        let control = &placement.control;
        let state = lock(&self.machine).state(placement.slot);
        match state {
            Ok(state) if status.done.is_none() => {
                let kept = KeptLimits {
                    hit_budget: control.hit_budget,
                    // Each hit beyond is counted, too.
                    used: state.budget_used.min(control.hit_budget),
                    expires_ns: control.expires_ns,
                };
                self.kept_limits.insert(status.id, kept);
            }
            _ => drop(self.kept_limits.remove(&status.id)),
        }
    }

    /// The limits of a probe, as the kernel side wants them.
    pub(super) fn limits_of(
        &self,
        probe: ProbeId,
        spec: &ProbeSpec,
        machine: &Machine,
    ) -> ProbeControl {
        let control = limits(spec, machine);
        match self.kept_limits.get(&probe) {
            None => control,
            Some(kept) => ProbeControl {
                hit_budget: kept.hit_budget,
                expires_ns: kept.expires_ns,
                ..control
            },
        }
    }

    /// Tells of probes that are over their rate for the first time; takes out the breakpoints of those
    /// that can send and count nothing more, and tells of them.
    pub(super) fn take_out_done(&mut self, probes: &mut ProbeMap<Placement>) {
        let now = monotonic_ns();
        let time_ns = WallOffset::now().wall(now);
        let executed = std::mem::take(&mut self.executed);
        let mut machine = lock(&self.machine);
        let mut slots = Vec::new();
        for probe in probes.iter_mut() {
            let Some(slot) = probe.placement().map(|placement| placement.slot) else {
                continue;
            };
            // If the kernel does not answer, the probe stays.
            let Ok(state) = machine.state(slot) else {
                continue;
            };
            if let Some(limited) = newly_limited(probe, state, time_ns) {
                self.shared.tell_after(now, Notice::Limited(limited));
            }
            let texts = [
                newly_unaccounted(probe, &machine),
                newly_full(probe, &machine),
            ];
            for text in texts.into_iter().flatten() {
                self.shared.warn(text);
            }
            let records_calls = self.records_calls(probe, &machine, &executed);
            let Some(reason) = why_done(probe, state, now) else {
                continue;
            };
            if matches!(reason, DoneReason::Hits(_)) && records_calls {
                continue;
            }
            let done = Done { reason, time_ns };
            slots.push(slot);
            probe.done = Some(done);
            probe.enabled = false;
            if let Some(placement) = probe.placement_mut() {
                placement.is_taken_out();
            }
            let told = ProbeDone {
                probe: probe.id,
                name: probe.name.clone(),
                done,
            };
            // After its last event.
            self.shared.tell_after(now, Notice::Done(told));
        }
        machine.close(&slots);
    }
}

/// The limits of a probe, as the kernel side wants them. The limits of one process are those of all.
pub(super) fn limits(spec: &ProbeSpec, machine: &Machine) -> ProbeControl {
    let control = control(spec);
    match machine.has_accounts() {
        true => control,
        false => ProbeControl {
            per_process: 0,
            ..control
        },
    }
}

/// The notice on a probe that is over its rate for the first time. `every` is the wanted distance
/// of events: a user who set it expects omissions.
fn newly_limited(
    probe: &mut Probe<Placement>,
    state: ProbeState,
    time_ns: u64,
) -> Option<ProbeLimited> {
    let Stage::Attached(placement) = &mut probe.stage else {
        return None;
    };
    let options = &probe.spec.options;
    if state.limited == 0 || placement.told_limited || options.every.is_some() {
        return None;
    }
    placement.told_limited = true;
    Some(ProbeLimited {
        probe: probe.id,
        name: probe.name.clone(),
        rate: options.rate.unwrap_or(DEFAULT_RATE),
        is_default: options.rate.is_none(),
        per_process: placement.control.per_process != 0,
        time_ns,
    })
}

/// The warning that processes of a probe have no account, so that none of their hits is within the limits.
fn newly_unaccounted(probe: &mut Probe<Placement>, machine: &Machine) -> Option<String> {
    let Stage::Attached(placement) = &mut probe.stage else {
        return None;
    };
    if placement.control.per_process == 0 || placement.told_unaccounted {
        return None;
    }
    let missed = machine.counters(placement.slot).ok()?.unaccounted;
    placement.told_unaccounted = missed > 0;
    (missed > 0).then(|| {
        format!(
            "{}: there is no room for the limits of more processes ({} of all probes): hits of others count as over \
             the rate limit",
            probe.name,
            grouped(MAX_ACCOUNTS.into())
        )
    })
}

/// Why a probe can have no more events. `None` if it can, or if that has been reported already.
fn why_done(probe: &Probe<Placement>, state: ProbeState, now: u64) -> Option<DoneReason> {
    if probe.done.is_some() {
        return None;
    }
    let limits = &probe.placement()?.control;
    let action = probe.spec.action.kind();
    let hits = match action.outlives_its_hits() {
        true => 0,
        false => limits.hit_budget,
    };
    if hits != 0 && state.budget_used >= hits {
        return Some(DoneReason::Hits(action.hit_limit(&probe.spec)));
    }
    let expires = limits.expires_ns.saturating_add(LONGEST_TICK_NS);
    (limits.expires_ns != 0 && now > expires).then(|| match probe.spec.options.ttl {
        Some(ttl) => DoneReason::Time(ttl),
        None => DoneReason::DefaultTime(Duration::from_nanos(DEFAULT_TTL_NS)),
    })
}
