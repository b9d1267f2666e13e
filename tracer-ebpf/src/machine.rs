//! One hit: limits first, then the plan's ops, then the record.

use aya_ebpf::helpers::generated::{
    bpf_get_current_comm, bpf_get_current_task, bpf_get_smp_processor_id, bpf_loop,
    bpf_probe_read_kernel, bpf_ringbuf_output,
};
use tracer_common::control::{
    ADDS_UP, BEGINS, COUNTS, COUNTS_PROCESSES, ENDS, FORGETS, NEEDS_TASK, NEEDS_THREAD_POINTER,
    ProbeCounters, ProbeState, STEPS, SiteControl, TURNS, WATCHES,
};
use tracer_common::limits::{MAX_COPIES, MAX_RECORD, MAX_STEPS, SCRATCH_PER_CPU};
use tracer_common::op::{COMM, HIT, PID, THREAD_POINTER, TID};
use tracer_common::record::{CHUNK_FAULT, FLAG_FAULT, FLAG_NO_ROOM, FLAG_STEPS, RecordHeader};

use crate::accounts;
use crate::arch::{self, TargetRegisters};
use crate::atomic;
use crate::base::{anew, anew_ref, is_sampled, now, ring, say_left_out, wake};
use crate::calls::{timing, trace};
use crate::diagnostics;
use crate::fetch;
use crate::guard::{self, Verdict};
use crate::maps::{PROBE_CONTROL, PROBE_COUNTERS, PROBE_STATE, SCRATCH, SITES, ScratchArea};
use crate::outcome;
use crate::rates::{limits, spend, spend_counted};
use crate::step::{Run, StepOutcome, next_common, step, step_common, step_computing};
use crate::tally;
use crate::task;
use crate::watch::words;

/// Flags of the sites of a probe that times.
const TIMED: u32 = BEGINS | ENDS | FORGETS | TURNS;
/// Ops that run before the kernel's loop is entered.
const FIRST_STEPS: u32 = 8;

/// Runs one hit of the site with this cookie.
///
/// `WHOLE = false` supports only plans that fetch or count; the verifier accepts it three times
/// faster, and userspace attaches it to no other plan. `COMPUTES` adds floats and integers of 128
/// bits, which takes the verifier longer still.
#[inline(always)]
pub fn hit<const WHOLE: bool, const COMPUTES: bool>(
    registers: *const TargetRegisters,
    cookie: u32,
) {
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
    // SAFETY: a map value of this CPU. All changes to it are atomic additions.
    let counters = unsafe { &*counters };
    let (number, mut ended);
    if WHOLE && site.flags & STEPS != 0 {
        number = counters.passed.wrapping_add(1);
        ended = trace::admit(site, control, state);
    } else if WHOLE && site.flags & TIMED != 0 {
        number = timing::number(site, counters);
        ended = timing::admit(registers, site, control, state);
    } else {
        // Each hit is counted once at its beginning and once at its end. The shared counter of all
        // CPUs costs more, and only records need its number.
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
    let site = anew_ref(site);
    if site.flags & COUNTS_PROCESSES != 0 && ended != outcome::NO_HIT {
        accounts::count(site.probe, ended);
    }
    if start != 0 {
        atomic::add(&counters.bpf_ns, now().wrapping_sub(start));
        // The run time at a beginning is part of the cost of the hit at its end.
        atomic::add(&counters.timed, u64::from(ended != outcome::NO_HIT));
    }
}

/// Runs the guard and the fetches of a plan. Returns `RUNNING` if the machine has to run the plan.
#[inline(always)]
fn plan(registers: *const TargetRegisters, site: &SiteControl, number: u64) -> u32 {
    match guard::verdict(registers, &site.guard) {
        Verdict::Rejects => outcome::REJECTED,
        Verdict::Passes if site.fetches.words != 0 => fetch::send(registers, site, number),
        _ => outcome::RUNNING,
    }
}

/// Runs the plan in a scratch area of its own.
///
/// Out of line, to keep its stack apart (see the crate's documentation).
#[inline(never)]
fn fire<const WHOLE: bool, const COMPUTES: bool>(
    registers: *const TargetRegisters,
    site: &SiteControl,
    counters: &ProbeCounters,
    number: u64,
) -> u32 {
    let at = arch::instruction_pointer(registers);
    let copy = if site.address == 0 || at == site.address {
        Some(site)
    } else {
        copy_at(site, at)
    };
    let (site, scratch) = match copy {
        Some(site) => (site, claim()),
        None => (site, core::ptr::null_mut()),
    };
    // SAFETY: this hit has claimed the area, so no other hit uses it until `release`.
    let Some(area) = (unsafe { scratch.as_mut() }) else {
        diagnostics::no_scratch(site.cookie);
        return if WHOLE && site.flags & TIMED != 0 {
            timing::lost(site)
        } else if WHOLE && site.flags & STEPS != 0 {
            trace::lost(site)
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

/// The site of the module's copy whose instruction is at `at`.
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

/// Runs the plan, and sends its record or adds the hit up.
#[inline(always)]
fn capture<const WHOLE: bool, const COMPUTES: bool>(
    registers: *const TargetRegisters,
    site: &SiteControl,
    area: &mut ScratchArea,
    counters: &ProbeCounters,
) -> u32 {
    arch::copy_registers(registers, site.shift, &mut area.registers);
    if WHOLE && site.flags & NEEDS_THREAD_POINTER != 0 {
        read_thread_pointer(site.thread_pointer, area);
    }
    if WHOLE && site.flags & NEEDS_TASK != 0 {
        describe_task(area);
    }
    if WHOLE && site.flags & WATCHES != 0 {
        words::put(area);
    }
    area.first = site.first_op;
    area.next = site.first_op;
    area.end = site.first_op.wrapping_add(site.op_count);
    area.length = size_of::<RecordHeader>() as u32;
    area.chunk = 0;
    area.flags = 0;
    area.timed = 0;
    area.takes = 0;
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
    if WHOLE && site.flags & STEPS != 0 {
        area.ended = trace::end(area);
        let state = PROBE_STATE.get(u32::from(area.header().probe));
        return match state {
            Some(state) if area.ended == outcome::SENT => submit(area, state, counters),
            _ => area.ended,
        };
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
    submit(area, state, counters)
}

/// Sends a record, with the hits that were left out before it.
#[inline(never)]
fn submit(area: &mut ScratchArea, state: &ProbeState, counters: &ProbeCounters) -> u32 {
    say_left_out(area.header(), state);
    let ended = send(area);
    if ended == outcome::SENT {
        count_flags(counters, area.flags);
    }
    ended
}

/// Runs the ops. The first ones run without the kernel's loop, because each step of the loop is a
/// call, and mitigations in the processor make a call as expensive as an op.
#[inline(never)]
fn run(area: &mut ScratchArea) {
    let mut area = core::ptr::from_mut(area);
    for done in 0..FIRST_STEPS {
        area = anew(area);
        // SAFETY: the caller has claimed the area, and passes it on to this function only.
        match next_common::<true>(unsafe { &mut *area }) {
            StepOutcome::Done => {}
            StepOutcome::Last => return,
            StepOutcome::Other => {
                run_on(area, MAX_STEPS - done);
                return;
            }
        }
    }
    run_on(area, MAX_STEPS - FIRST_STEPS);
}

/// Runs the remaining ops, at most `steps`.
#[inline(never)]
fn run_on(scratch: *mut ScratchArea, steps: u32) {
    let mut run = Run { scratch };
    // SAFETY: the callback has the signature that the kernel expects, and gets `run`.
    unsafe {
        bpf_loop(steps, step as *mut _, (&raw mut run).cast(), 0);
    }
    // SAFETY: as `scratch`.
    cut_off(unsafe { &mut *run.scratch });
}

/// Runs a plan of common ops.
#[inline(never)]
fn run_common(scratch: *mut ScratchArea) {
    let mut run = Run { scratch };
    // SAFETY: as in `run_on`.
    unsafe {
        bpf_loop(MAX_STEPS, step_common as *mut _, (&raw mut run).cast(), 0);
    }
    // SAFETY: as `scratch`.
    cut_off(unsafe { &mut *run.scratch });
}

/// Runs a plan that computes with floats or with integers of 128 bits.
#[inline(never)]
fn run_computing(scratch: *mut ScratchArea) {
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

/// Ends a plan that has used up its steps.
#[inline(always)]
fn cut_off(area: &mut ScratchArea) {
    if area.ended == outcome::RUNNING {
        area.flags |= FLAG_STEPS;
        area.ended = outcome::SENT;
    }
}

/// Fills in the header and submits the record.
#[inline(always)]
fn send(area: &mut ScratchArea) -> u32 {
    let length = area.length;
    let flags = area.flags;
    let out = area.header();
    out.length = length;
    out.flags = flags as u16;
    task::describe(area.record.as_mut_ptr().cast(), &raw mut area.word);
    let wake = wake(area.header().hit);
    // SAFETY: the record is longer than the masked length.
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

/// Fills the machine registers with the thread's ids and name and the number of the hit.
#[inline(never)]
fn describe_task(area: &mut ScratchArea) {
    let ids = task::ids(&raw mut area.word);
    area.registers[PID as usize] = ids >> 32;
    area.registers[TID as usize] = ids & 0xffff_ffff;
    area.registers[HIT as usize] = area.header().hit;
    let comm = (&raw mut area.registers[COMM as usize]).cast();
    // SAFETY: two registers have the 16 bytes of the name.
    unsafe { bpf_get_current_comm(comm, 16) };
}

/// Reads the thread pointer, the base of thread-local storage; 0 if it cannot be read.
#[inline(always)]
fn read_thread_pointer(offset: u32, area: &mut ScratchArea) {
    let to = &mut area.registers[THREAD_POINTER as usize];
    *to = 0;
    // SAFETY: `to` has 8 bytes. The offset comes from the running kernel's BTF, and the kernel
    // checks the address.
    unsafe {
        let task = bpf_get_current_task();
        if offset != 0 {
            let from = task.wrapping_add(u64::from(offset));
            bpf_probe_read_kernel(core::ptr::from_mut(to).cast(), 8, from as *const _);
        }
    }
}

/// Claims a free scratch area. Returns null if there is none.
///
/// Hits of several threads can preempt each other on one CPU, and end in any order. So an area
/// belongs to one hit until its release. No hit waits while it has an area.
#[inline(always)]
fn claim() -> *mut ScratchArea {
    // SAFETY: the helper takes no arguments.
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

/// Counts the losses of a sent record.
#[inline(always)]
fn count_flags(counters: &ProbeCounters, flags: u32) {
    if flags & (FLAG_STEPS | FLAG_NO_ROOM) != 0 {
        atomic::add(&counters.cut, 1);
    }
    if flags & FLAG_FAULT != 0 {
        atomic::add(&counters.read_faults, 1);
    }
}

/// Gives a scratch area back.
#[inline(always)]
fn release(scratch: *mut ScratchArea) {
    // SAFETY: a map value, alive for as long as the program runs.
    atomic::store(unsafe { &(*scratch).busy }, 0);
}

/// Counts a limited or lost hit. The counters are shared by all CPUs, because records carry them.
#[inline(always)]
fn leave_out(state: &ProbeState, ended: u32) {
    let counter = if ended == outcome::LIMITED {
        &state.limited
    } else {
        &state.lost
    };
    atomic::add(counter, 1);
}

/// Counts the outcome of a hit.
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
    // Atomic, because a hit of another task can preempt this one on the same CPU.
    atomic::add(counter, 1);
}
