//! Accounts of processes: the hits of each, and the limits that hold for each by itself.
//!
//! See `tracer_common::account`. An account is opened at the first hit that needs it. Nothing here frees one:
//! userspace does that when the process has ended, and hits no more.

use aya_ebpf::helpers::generated::{bpf_get_current_comm, bpf_get_current_pid_tgid};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap};
use tracer_common::account::{AccountKey, ProcessAccount};
use tracer_common::control::{ProbeControl, REMOVED};
use tracer_common::limits::MAX_ACCOUNTS;

use crate::base::now;
use crate::maps::{PROBE_CONTROL, PROBE_COUNTERS};
use crate::{atomic, outcome, task};

/// Insert only a key that is not in the map (`BPF_NOEXIST`).
const NEW_ONLY: u64 = 1;

/// Attempts to update the rate limit against other CPUs. After the last one the hit counts as
/// limited.
const RATE_ATTEMPTS: u32 = 4;

/// The accounts. The loader sets the size. Memory is allocated before, so an account is refused only
/// when the map is full.
#[map(name = "ACCOUNTS")]
static ACCOUNTS: HashMap<AccountKey, ProcessAccount> = HashMap::with_max_entries(MAX_ACCOUNTS, 0);

/// An account without hits, because the stack has no room for one.
#[map(name = "NEW_ACCOUNT")]
static NEW: Array<ProcessAccount> = Array::with_max_entries(1, 0);

/// The key of the current process.
#[inline(always)]
fn key(probe: u32) -> AccountKey {
    let mut word = 0_u64;
    AccountKey {
        probe,
        process: (task::ids(&raw mut word) >> 32) as u32,
    }
}

/// The account of a key.
#[inline(always)]
fn find(key: &AccountKey) -> Option<&'static ProcessAccount> {
    // SAFETY: a map value. All changes to its numbers are atomic.
    ACCOUNTS.get_ptr(key).map(|account| unsafe { &*account })
}

/// The account of the current process, which is opened if there is none; null if there is no room.
#[inline(never)]
fn open(probe: u32) -> *const ProcessAccount {
    let key = key(probe);
    if let Some(account) = find(&key) {
        return account;
    }
    let Some(empty) = NEW.get(0) else {
        return core::ptr::null();
    };
    // Another thread may have been faster.
    let _inserted = ACCOUNTS.insert(key, empty, NEW_ONLY);
    let Some(account) = ACCOUNTS.get_ptr_mut(key) else {
        return core::ptr::null();
    };
    // SAFETY: the helper takes no arguments.
    let ids = unsafe { bpf_get_current_pid_tgid() };
    if ids >> 32 == ids & 0xffff_ffff {
        // SAFETY: a map value with 16 bytes for the name. Only the first thread writes it.
        unsafe { bpf_get_current_comm((&raw mut (*account).name).cast(), 16) };
    }
    account
}

/// Counts the end of a hit for its process.
#[inline(never)]
pub fn count(probe: u32, ended: u32) {
    if ended == outcome::SILENCED
        && PROBE_CONTROL
            .get(probe)
            .is_none_or(|control| control.enabled == REMOVED)
    {
        return;
    }
    // SAFETY: null, or a map value. All changes to its numbers are atomic.
    let Some(account) = (unsafe { open(probe).as_ref() }) else {
        return;
    };
    atomic::add(&account.hits, 1);
    if ended == outcome::SENT {
        atomic::add(&account.events, 1);
    }
}

/// Returns `RUNNING` if the limits of the current process let this hit through, or the reason.
///
/// Calls no other function, because the end of a timing is at the kernel's limit of calls in calls.
#[inline(never)]
pub fn limits(control: &ProbeControl) -> u32 {
    let now = now();
    if control.expires_ns != 0 && now > control.expires_ns {
        return outcome::EXPIRED;
    }
    // A process without an account has used nothing.
    let Some(account) = find(&key(control.per_process.wrapping_sub(1))) else {
        return outcome::RUNNING;
    };
    if control.interval_ns != 0 && account.arrival_ns > now.wrapping_add(control.burst_ns) {
        return outcome::LIMITED;
    }
    if control.hit_budget != 0 && account.budget_used >= control.hit_budget {
        return outcome::OVER_BUDGET;
    }
    outcome::RUNNING
}

/// Takes one event from the rate and the hit budget of the current process.
#[inline(never)]
pub fn spend(control: &ProbeControl, now: u64) -> u32 {
    if control.interval_ns | control.hit_budget == 0 {
        return outcome::SENT;
    }
    let probe = control.per_process.wrapping_sub(1);
    // SAFETY: null, or a map value. All changes to its numbers are atomic.
    let Some(account) = (unsafe { open(probe).as_ref() }) else {
        miss(probe);
        return outcome::LIMITED;
    };
    if control.interval_ns != 0
        && !spend_rate(
            now,
            control.interval_ns,
            control.burst_ns,
            &account.arrival_ns,
        )
    {
        return outcome::LIMITED;
    }
    if control.hit_budget != 0 && atomic::fetch_add(&account.budget_used, 1) >= control.hit_budget {
        return outcome::OVER_BUDGET;
    }
    outcome::SENT
}

/// Counts a hit of a process that has no account.
#[inline(always)]
fn miss(probe: u32) {
    if let Some(counters) = PROBE_COUNTERS.get_ptr(probe) {
        // SAFETY: a map value of this CPU. All changes to it are atomic additions.
        atomic::add(unsafe { &(*counters).unaccounted }, 1);
    }
}

/// The generic cell rate algorithm: it needs one number and one compare-and-swap. `arrival_ns` is the
/// number.
#[inline(always)]
pub fn spend_rate(now: u64, interval_ns: u64, burst_ns: u64, arrival_ns: &u64) -> bool {
    let mut seen = *arrival_ns;
    for _ in 0..RATE_ATTEMPTS {
        if seen > now.wrapping_add(burst_ns) {
            return false;
        }
        let base = if seen > now { seen } else { now };
        let next = base.wrapping_add(interval_ns);
        let there = atomic::compare_exchange(arrival_ns, seen, next);
        if there == seen {
            return true;
        }
        seen = there;
    }
    false
}
