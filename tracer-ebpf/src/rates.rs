//! The limits of a probe: whether it is enabled, its time to live, its rate, and its hit budget.

use aya_ebpf::helpers::generated::bpf_jiffies64;
use tracer_common::control::{ENABLED, ProbeControl, ProbeState};

use crate::base::{anew_ref, now};
use crate::{accounts, atomic, outcome};

/// Returns `RUNNING` if the limits let this hit through, or the reason. Reads nothing of the
/// target.
#[inline(always)]
pub fn limits(control: &ProbeControl, state: &ProbeState) -> u32 {
    if control.enabled != ENABLED {
        return outcome::SILENCED;
    }
    if control.per_process != 0 {
        return accounts::limits(control);
    }
    if control.expires_ns | control.interval_ns != 0 {
        let ended = limits_of_time(control, state);
        if ended != outcome::RUNNING {
            return ended;
        }
    }
    let control = anew_ref(control);
    if control.hit_budget != 0 && state.budget_used >= control.hit_budget {
        return outcome::OVER_BUDGET;
    }
    outcome::RUNNING
}

/// The limits that depend on the time.
///
/// The clock is read once a tick for all hits. This time is never later than the present, and the
/// rate limit lets more through as time passes. So a hit within the limit at that time is within it
/// now. A hit over the limit is checked again with the present time.
#[inline(always)]
fn limits_of_time(control: &ProbeControl, state: &ProbeState) -> u32 {
    let control = anew_ref(control);
    let then = time_of_tick(state);
    let control = anew_ref(control);
    if control.expires_ns != 0 && then > control.expires_ns {
        return outcome::EXPIRED;
    }
    if control.interval_ns != 0 && is_over(control, state, then) && is_over_now(control, state) {
        return outcome::LIMITED;
    }
    outcome::RUNNING
}

/// The time of the first clock read in this tick.
#[inline(always)]
pub fn time_of_tick(state: &ProbeState) -> u64 {
    // SAFETY: the helper takes no arguments. The kernel inlines it as a load.
    let tick = unsafe { bpf_jiffies64() };
    if state.tick == tick {
        state.tick_ns
    } else {
        read_clock(state, tick)
    }
}

/// [`limits`], out of line, for the end of a timing.
#[inline(never)]
pub fn limits_at_end(control: &ProbeControl, state: &ProbeState) -> u32 {
    limits(control, state)
}

/// Reads the clock for all hits of this tick.
#[inline(never)]
fn read_clock(state: &ProbeState, tick: u64) -> u64 {
    let now = now();
    // The time first: a hit that sees the tick then sees its time or a newer one.
    atomic::store(&state.tick_ns, now);
    atomic::store(&state.tick, tick);
    now
}

/// True if the hit is over the rate limit at the present time.
#[inline(never)]
fn is_over_now(control: &ProbeControl, state: &ProbeState) -> bool {
    is_over(control, state, now())
}

/// True if the hit is over the rate limit at the time `now`.
#[inline(always)]
fn is_over(control: &ProbeControl, state: &ProbeState, now: u64) -> bool {
    state.arrival_ns > now.wrapping_add(control.burst_ns)
}

/// Takes one event from the rate and the hit budget. The condition has held.
#[inline(always)]
pub fn spend(control: &ProbeControl, state: &ProbeState, now: u64) -> u32 {
    if control.per_process != 0 {
        return accounts::spend(control, now);
    }
    if control.interval_ns != 0
        && !accounts::spend_rate(
            now,
            control.interval_ns,
            control.burst_ns,
            &state.arrival_ns,
        )
    {
        return outcome::LIMITED;
    }
    if control.hit_budget != 0 && atomic::fetch_add(&state.budget_used, 1) >= control.hit_budget {
        return outcome::OVER_BUDGET;
    }
    outcome::SENT
}

/// [`spend`], out of line, for a hit that is only counted.
#[inline(never)]
pub fn spend_counted(control: &ProbeControl, state: &ProbeState) -> u32 {
    spend(control, state, now())
}
