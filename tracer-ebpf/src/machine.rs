//! One hit: limits first, then the plan's ops, then the record.

use core::arch::asm;

use aya_ebpf::bindings::pt_regs;
use aya_ebpf::helpers::generated::{
    bpf_get_current_comm, bpf_get_current_task, bpf_get_smp_processor_id, bpf_jiffies64,
    bpf_ktime_get_ns, bpf_loop, bpf_probe_read_kernel, bpf_ringbuf_output, bpf_ringbuf_query,
};
use tracer_common::control::{
    ADDS_UP, BEGINS, COUNTS, ENDS, FORGETS, FS_BASE_SHIFT, NEEDS_FS_BASE, NEEDS_TASK, ProbeControl,
    ProbeCounters, ProbeState, SiteControl, TURNS,
};
use tracer_common::limits::{MAX_COPIES, MAX_RECORD, MAX_STEPS, SAMPLED, SCRATCH_PER_CPU};
use tracer_common::op::{COMM, EFLAGS, FS_BASE, HIT, PID, TARGET_REGISTERS, TID};
use tracer_common::record::{CHUNK_FAULT, FLAG_FAULT, FLAG_NO_ROOM, FLAG_STEPS, RecordHeader};

use crate::atomic;
use crate::diagnostics;
use crate::fetch;
use crate::guard::{self, Verdict};
use crate::maps::{
    EVENTS, PROBE_CONTROL, PROBE_COUNTERS, PROBE_STATE, SCRATCH, SITES, Scratch, settings,
};
use crate::outcome;
use crate::step::{Run, Step, next_common, step, step_common, step_computing};
use crate::tally;
use crate::task;
use crate::timing;

/// Attempts to take part in the rate limit against other CPUs; after them the hit counts as limited.
const RATE_ATTEMPTS: u32 = 4;
/// The site belongs to a probe that times.
const TIMED: u32 = BEGINS | ENDS | FORGETS | TURNS;
/// Ops that run before the kernel's loop is asked for more.
const FIRST_STEPS: u32 = 8;
pub const NO_WAKEUP: u64 = 1;
const BPF_RB_FORCE_WAKEUP: u64 = 2;
const BPF_RB_AVAIL_DATA: u64 = 0;

/// A site was hit.
///
/// Not `WHOLE`: what plans that fetch or count need, of which the verifier is done in a third of the
/// time. Their ops are common ones; userspace attaches this to no other plan. `COMPUTES`: the whole,
/// and what floats and integers of 128 bits need, which takes the verifier longer still.
#[inline(always)]
pub fn hit<const WHOLE: bool, const COMPUTES: bool>(registers: *const pt_regs, cookie: u32) {
    let Some(site) = SITES.get(cookie) else {
        diagnostics::no_site(cookie);
        return;
    };
    let (Some(counters), Some(control), Some(state)) = (
        PROBE_COUNTERS.get_ptr(site.probe),
        PROBE_CONTROL.get(site.probe),
        PROBE_STATE.get(site.probe),
    ) else {
        return;
    };
    // SAFETY: a map value of this CPU; only atomic additions are made to it.
    let counters = unsafe { &*counters };
    let (number, mut ended);
    if WHOLE && site.flags & TIMED != 0 {
        number = timing::number(site, counters);
        ended = timing::admit(registers, site, control, state);
    } else {
        // Each hit is counted once where it begins, and once where it ends. A counter that all
        // CPUs share is dearer, and only a record needs its number.
        let hits = if site.flags & COUNTS != 0 {
            &counters.hits
        } else {
            &state.sequence
        };
        number = atomic::fetch_add(hits, 1).wrapping_add(1);
        ended = limits(control, state);
    }
    let start = if is_sampled(number) { now() } else { 0 };
    if ended == outcome::RUNNING {
        let site = anew_ref(site);
        ended = if site.flags & COUNTS != 0 {
            if control.interval_ns | control.hit_budget == 0 {
                outcome::SENT
            } else {
                spend_counted(control, state)
            }
        } else {
            plan(registers, site, number)
        };
        if ended == outcome::RUNNING {
            ended = fire::<WHOLE, COMPUTES>(registers, anew_ref(site), counters, number);
        }
    }
    if ended == outcome::LIMITED || ended == outcome::LOST {
        leave_out(state, ended);
    } else {
        count(counters, ended);
    }
    if start != 0 {
        atomic::add(&counters.bpf_ns, now().wrapping_sub(start));
        // The time of a beginning belongs to the hit at its end.
        atomic::add(&counters.timed, u64::from(ended != outcome::NO_HIT));
    }
}

/// Decides and captures what needs no machine; `RUNNING` when the rest is the machine's.
#[inline(always)]
fn plan(registers: *const pt_regs, site: &SiteControl, number: u64) -> u32 {
    match guard::verdict(registers, &site.guard) {
        Verdict::Rejects => outcome::REJECTED,
        Verdict::Passes if site.fetches.words != 0 => fetch::send(registers, site, number),
        _ => outcome::RUNNING,
    }
}

/// The same pointer, of which the compiler knows nothing: it loads behind it when it needs to,
/// and keeps neither that nor addresses in it on the stack until then.
#[inline(always)]
pub fn anew<T>(pointer: *mut T) -> *mut T {
    let same: *mut T;
    // SAFETY: copies a register. (With no instruction at all, two lines of the source would be at
    // one instruction, which the kernel refuses.)
    unsafe {
        asm!(
            "{same} = {pointer}",
            same = out(reg) same,
            pointer = in(reg) pointer,
            options(nostack, preserves_flags),
        );
    }
    same
}

/// The same for a map value.
#[inline(always)]
pub fn anew_ref<T>(value: &T) -> &T {
    // SAFETY: the pointer of a reference that lives as long.
    unsafe { &*anew(core::ptr::from_ref(value).cast_mut()) }
}

/// The time, in ns of `CLOCK_MONOTONIC`. Dearer than all else that each hit does.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: takes nothing, gives a time.
    unsafe { bpf_ktime_get_ns() }
}

/// Whether this hit does what is too dear for each: the first one does.
#[inline(always)]
fn is_sampled(number: u64) -> bool {
    number & (SAMPLED - 1) == 1
}

/// Whether the limits let this hit through; nothing of the target is read for it.
#[inline(always)]
fn limits(control: &ProbeControl, state: &ProbeState) -> u32 {
    if control.enabled == 0 {
        return outcome::SILENCED;
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
/// The clock is read once a tick for all hits. That is never later than the present, so who is
/// let through at that time is now, too; who is not asks again.
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

/// The time that was read first in this tick.
#[inline(always)]
pub fn time_of_tick(state: &ProbeState) -> u64 {
    // SAFETY: takes nothing, gives a number; the kernel makes it a load.
    let tick = unsafe { bpf_jiffies64() };
    if state.tick == tick {
        state.tick_ns
    } else {
        read_clock(state, tick)
    }
}

/// The same for where something ends that is timed.
#[inline(never)]
pub fn limits_at_end(control: &ProbeControl, state: &ProbeState) -> u32 {
    limits(control, state)
}

/// The time, for all hits of this tick.
#[inline(never)]
fn read_clock(state: &ProbeState, tick: u64) -> u64 {
    let now = now();
    // In this order: who sees the tick sees its time, or one that is newer.
    atomic::store(&state.tick_ns, now);
    atomic::store(&state.tick, tick);
    now
}

/// Whether the rate has no room now.
#[inline(never)]
fn is_over_now(control: &ProbeControl, state: &ProbeState) -> bool {
    is_over(control, state, now())
}

/// Whether the rate has no room at that time.
#[inline(always)]
fn is_over(control: &ProbeControl, state: &ProbeState, now: u64) -> bool {
    state.arrival_ns > now.wrapping_add(control.burst_ns)
}

/// Runs the plan in a scratch area of its own.
///
/// A function of its own, for the stack's sake: see the crate's documentation.
#[inline(never)]
fn fire<const WHOLE: bool, const COMPUTES: bool>(
    registers: *const pt_regs,
    site: &SiteControl,
    counters: &ProbeCounters,
    number: u64,
) -> u32 {
    // SAFETY: the context of a uprobe program is a whole `pt_regs`.
    let at = unsafe { (*registers).rip };
    let copy = if site.address == 0 || at == site.address {
        Some(site)
    } else {
        copy_at(site, at)
    };
    let (site, scratch) = match copy {
        Some(site) => (site, claim()),
        None => (site, core::ptr::null_mut()),
    };
    // SAFETY: this hit has claimed the area; nobody else touches it until `release`.
    let Some(area) = (unsafe { scratch.as_mut() }) else {
        diagnostics::no_scratch(site.cookie);
        return if WHOLE && site.flags & TIMED != 0 {
            timing::lost(site)
        } else {
            outcome::LOST
        };
    };
    let header = area.header();
    header.ktime_ns = if site.flags & ADDS_UP == 0 { now() } else { 0 };
    header.hit = number;
    header.site = site.cookie;
    header.probe = site.probe as u16;
    header.begun_at = 0;
    header.begun_bytes = 0;
    let ended = capture::<WHOLE, COMPUTES>(registers, site, area, counters);
    diagnostics::ended(area.header().site, ended);
    release(scratch);
    ended
}

/// The site with the plan for the copy of the module that has the instruction at `at`.
#[inline(never)]
fn copy_at(site: &SiteControl, at: u64) -> Option<&SiteControl> {
    let mut next = site.next_copy;
    for _ in 0..MAX_COPIES {
        let copy = SITES.get(next.wrapping_sub(1))?;
        if copy.address == at {
            return Some(copy);
        }
        next = copy.next_copy;
    }
    None
}

/// Runs the plan, and sends its record or adds up what is not sent.
#[inline(always)]
fn capture<const WHOLE: bool, const COMPUTES: bool>(
    registers: *const pt_regs,
    site: &SiteControl,
    area: &mut Scratch,
    counters: &ProbeCounters,
) -> u32 {
    copy_registers(registers, &mut area.registers);
    if WHOLE && site.flags & NEEDS_FS_BASE != 0 {
        read_fs_base(site.flags >> FS_BASE_SHIFT, area);
    }
    if WHOLE && site.flags & NEEDS_TASK != 0 {
        describe_task(area);
    }
    area.first = site.first_op;
    area.next = site.first_op;
    area.end = site.first_op.wrapping_add(site.op_count);
    area.length = size_of::<RecordHeader>() as u32;
    area.chunk = 0;
    area.flags = 0;
    area.timed = 0;
    area.fault = u32::from(CHUNK_FAULT);
    area.ended = outcome::RUNNING;
    if COMPUTES {
        run_computing(area);
    } else if WHOLE {
        run(area);
    } else {
        run_common(area);
    }
    if WHOLE && site.flags & TIMED != 0 && timing::end(area, counters) {
        return outcome::NO_HIT;
    }
    if area.ended != outcome::SENT && area.ended < outcome::COUNTED {
        return area.ended;
    }
    let probe = u32::from(area.header().probe);
    let (Some(control), Some(state)) = (PROBE_CONTROL.get(probe), PROBE_STATE.get(probe)) else {
        return outcome::LOST;
    };
    let is_timeless = area.header().ktime_ns == 0;
    if is_timeless && (area.ended < outcome::COUNTED || control.interval_ns != 0) {
        area.header().ktime_ns = now();
    }
    let ended = spend(control, state, area.header().ktime_ns);
    if ended != outcome::SENT {
        return ended;
    }
    if area.ended >= outcome::COUNTED {
        if WHOLE {
            tally::add(area, counters);
        }
        return outcome::SENT;
    }
    say_left_out(area.header(), state);
    let ended = send(area);
    if ended == outcome::SENT {
        count_flags(counters, area.flags);
    }
    ended
}

/// Runs the ops, the first ones without the kernel's loop: a step of that is a call, which
/// mitigations of processors make as dear as an op.
#[inline(never)]
fn run(area: &mut Scratch) {
    let mut area = core::ptr::from_mut(area);
    for done in 0..FIRST_STEPS {
        area = anew(area);
        // SAFETY: the area, which is the caller's and ours alone.
        match next_common::<true>(unsafe { &mut *area }) {
            Step::Done => {}
            Step::Last => return,
            Step::Other => {
                run_on(area, MAX_STEPS - done);
                return;
            }
        }
    }
    run_on(area, MAX_STEPS - FIRST_STEPS);
}

/// Runs the ops that are left, at most so many.
#[inline(never)]
fn run_on(scratch: *mut Scratch, steps: u32) {
    let mut run = Run { scratch };
    // SAFETY: the callback has the shape that the kernel asks for, and gets `run`.
    unsafe {
        bpf_loop(steps, step as *mut _, (&raw mut run).cast(), 0);
    }
    // SAFETY: as `scratch`.
    cut_off(unsafe { &mut *run.scratch });
}

/// Runs a plan of common ops.
#[inline(never)]
fn run_common(scratch: *mut Scratch) {
    let mut run = Run { scratch };
    // SAFETY: as in `run_on`.
    unsafe {
        bpf_loop(MAX_STEPS, step_common as *mut _, (&raw mut run).cast(), 0);
    }
    // SAFETY: as `scratch`.
    cut_off(unsafe { &mut *run.scratch });
}

/// Runs a plan with ops that compute what eBPF has no instructions for.
#[inline(never)]
fn run_computing(scratch: *mut Scratch) {
    let mut run = Run { scratch };
    // SAFETY: as in `run_on`.
    unsafe {
        bpf_loop(
            MAX_STEPS,
            step_computing as *mut _,
            (&raw mut run).cast(),
            0,
        );
    }
    // SAFETY: as `scratch`.
    cut_off(unsafe { &mut *run.scratch });
}

/// A plan that has not ended by itself ends here.
#[inline(always)]
fn cut_off(area: &mut Scratch) {
    if area.ended == outcome::RUNNING {
        area.flags |= FLAG_STEPS;
        area.ended = outcome::SENT;
    }
}

/// Takes one event from the hit budget and from the rate, now that the condition has held.
#[inline(always)]
pub fn spend(control: &ProbeControl, state: &ProbeState, now: u64) -> u32 {
    if control.interval_ns != 0 && !spend_rate(now, control, state) {
        return outcome::LIMITED;
    }
    if control.hit_budget != 0 && atomic::fetch_add(&state.budget_used, 1) >= control.hit_budget {
        return outcome::OVER_BUDGET;
    }
    outcome::SENT
}

/// The same for a hit that is only counted.
#[inline(never)]
fn spend_counted(control: &ProbeControl, state: &ProbeState) -> u32 {
    spend(control, state, now())
}

/// The generic cell rate algorithm: one number, one compare-and-swap.
#[inline(always)]
fn spend_rate(now: u64, control: &ProbeControl, state: &ProbeState) -> bool {
    let mut seen = state.arrival_ns;
    for _ in 0..RATE_ATTEMPTS {
        if seen > now.wrapping_add(control.burst_ns) {
            return false;
        }
        let base = if seen > now { seen } else { now };
        let next = base.wrapping_add(control.interval_ns);
        let there = atomic::compare_exchange(&state.arrival_ns, seen, next);
        if there == seen {
            return true;
        }
        seen = there;
    }
    false
}

/// Fills in the header and hands the record to the ring.
#[inline(always)]
fn send(area: &mut Scratch) -> u32 {
    let length = area.length;
    let flags = area.flags;
    let out = area.header();
    out.length = length;
    out.flags = flags as u16;
    task::describe(area.record.as_mut_ptr().cast(), &raw mut area.word);
    let wake = wake(area.header().hit);
    // SAFETY: the record has more than the masked length.
    unsafe {
        let bytes = u64::from(length) & u64::from(2 * MAX_RECORD - 1);
        if bytes > u64::from(MAX_RECORD) {
            return outcome::LOST;
        }
        if bpf_ringbuf_output(ring(), area.record.as_mut_ptr().cast(), bytes, wake) != 0 {
            return outcome::LOST;
        }
    }
    outcome::SENT
}

/// The ring that records leave through.
#[inline(always)]
pub fn ring() -> *mut core::ffi::c_void {
    core::ptr::from_ref(&EVENTS).cast_mut().cast()
}

/// Whether the ring's reader is woken for this hit's record: only when the ring fills.
#[inline(always)]
pub fn wake(number: u64) -> u64 {
    // SAFETY: the ring, of which a number is asked.
    if is_sampled(number)
        && unsafe { bpf_ringbuf_query(ring(), BPF_RB_AVAIL_DATA) } > settings().wake_mark
    {
        BPF_RB_FORCE_WAKEUP
    } else {
        NO_WAKEUP
    }
}

/// Fills the registers that say who hit, and for which time.
#[inline(never)]
fn describe_task(area: &mut Scratch) {
    let ids = task::ids(&raw mut area.word);
    area.registers[PID as usize] = ids >> 32;
    area.registers[TID as usize] = ids & 0xffff_ffff;
    area.registers[HIT as usize] = area.header().hit;
    let comm = (&raw mut area.registers[COMM as usize]).cast();
    // SAFETY: two registers have the 16 bytes of the name.
    unsafe { bpf_get_current_comm(comm, 16) };
}

/// Copies what the target has in its general registers.
#[inline(always)]
fn copy_registers(from: *const pt_regs, to: &mut [u64; 64]) {
    // SAFETY: the context of a uprobe program is a whole `pt_regs`.
    let from = unsafe { &*from };
    const R: usize = TARGET_REGISTERS as usize;
    to[R] = from.rax;
    to[R + 1] = from.rdx;
    to[R + 2] = from.rcx;
    to[R + 3] = from.rbx;
    to[R + 4] = from.rsi;
    to[R + 5] = from.rdi;
    to[R + 6] = from.rbp;
    to[R + 7] = from.rsp;
    to[R + 8] = from.r8;
    to[R + 9] = from.r9;
    to[R + 10] = from.r10;
    to[R + 11] = from.r11;
    to[R + 12] = from.r12;
    to[R + 13] = from.r13;
    to[R + 14] = from.r14;
    to[R + 15] = from.r15;
    to[R + 16] = from.rip;
    to[EFLAGS as usize] = from.eflags;
}

/// Reads the base of the thread's thread-local storage; 0 when it cannot be read.
#[inline(always)]
fn read_fs_base(offset: u32, area: &mut Scratch) {
    let to = &mut area.registers[FS_BASE as usize];
    *to = 0;
    // SAFETY: `to` has 8 bytes. The offset is the running kernel's own, from its BTF; a wrong
    // one makes the read fail or gives a number, and nothing else.
    unsafe {
        let task = bpf_get_current_task();
        if offset != 0 {
            let from = task.wrapping_add(u64::from(offset));
            bpf_probe_read_kernel(core::ptr::from_mut(to).cast(), 8, from as *const _);
        }
    }
}

/// Claims a free scratch area; null when there is none.
///
/// Hits of several threads preempt each other on one CPU, and do not end in the order in which they
/// began, so an area belongs to a hit until it gives it back. No hit waits while it has one.
#[inline(always)]
fn claim() -> *mut Scratch {
    // SAFETY: takes nothing, gives a number.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let first = cpu.wrapping_mul(SCRATCH_PER_CPU);
    for i in 0..SCRATCH_PER_CPU {
        let Some(scratch) = SCRATCH.get_ptr_mut(first.wrapping_add(i)) else {
            break;
        };
        // SAFETY: a map value, alive for as long as the program runs.
        if atomic::compare_exchange(unsafe { &(*scratch).busy }, 0, 1) == 0 {
            return scratch;
        }
    }
    core::ptr::null_mut()
}

/// Counts what a record that was sent lacks.
#[inline(always)]
fn count_flags(counters: &ProbeCounters, flags: u32) {
    if flags & (FLAG_STEPS | FLAG_NO_ROOM) != 0 {
        atomic::add(&counters.cut, 1);
    }
    if flags & FLAG_FAULT != 0 {
        atomic::add(&counters.read_faults, 1);
    }
}

#[inline(always)]
fn release(scratch: *mut Scratch) {
    // SAFETY: a map value, alive for as long as the program runs.
    atomic::store(unsafe { &(*scratch).busy }, 0);
}

/// Counts a hit that is left out although its probe wants it: where all CPUs count, as records tell
/// how many there were.
#[inline(always)]
fn leave_out(state: &ProbeState, ended: u32) {
    let counter = if ended == outcome::LIMITED {
        &state.limited
    } else {
        &state.lost
    };
    atomic::add(counter, 1);
}

/// Says in a record how many hits were left out up to now.
#[inline(always)]
pub fn say_left_out(header: &mut RecordHeader, state: &ProbeState) {
    header.limited = state.limited as u32;
    header.lost = state.lost as u32;
}

#[inline(always)]
fn count(counters: &ProbeCounters, ended: u32) {
    let counter = match ended {
        outcome::SENT => &counters.events,
        outcome::REJECTED => &counters.rejected,
        outcome::FAULTED => &counters.faults,
        outcome::SILENCED => &counters.silenced,
        outcome::EXPIRED => &counters.expired,
        outcome::OVER_BUDGET => &counters.over_budget,
        outcome::NO_HIT => &counters.passed,
        _ => &counters.lost,
    };
    // Atomic although the counter is this CPU's: another task's hit may preempt this one.
    atomic::add(counter, 1);
}
