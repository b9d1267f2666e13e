//! Traces: the steps of calls that are recorded line by line.
//!
//! See `tracer_common::trace`. [`admit`] turns threads away that are in no recorded call, before anything is read.
//! The plan's [`op::STEP`] identifies the frame, and decides whether the pass is a step. The entry of a call is used
//! by its own thread only.

#![expect(
    clippy::needless_borrows_for_generic_args,
    reason = "a key by value would be copied to the stack, which is too small for it"
)]

use aya_ebpf::helpers::generated::bpf_get_current_pid_tgid;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap};
use tracer_common::control::{
    ANNOUNCES, ENABLED, ProbeControl, ProbeState, RETURNS, SiteControl, TAKES,
};
use tracer_common::limits::{MAX_CALLERS, MAX_PROBES, MAX_SEEN, MAX_STARTING, MAX_TAKEN};
use tracer_common::op::{EncodedOp, HIT, INSTRUCTION_POINTER};
use tracer_common::record::{FLAG_STEP, RecordHeader};
use tracer_common::timing::{BegunKey, CALL};
use tracer_common::trace::{
    ANNOUNCES_CALLS, CALLS_COMPUTED, CallerFrame, CallerKey, FOLLOWS_CALLS, HEADS_LOOP, MAX_FRAMES,
    NEEDS_ANNOUNCEMENT, RETURNS_FROM_CALLS, ROLE_BITS, STEP_CUT, STEP_ENTER, STEP_LEFT, STEP_LINE,
    STEP_MISSED, STEP_RETURN, SeenTarget, StepRecord, TAKES_CALLS, TakenCall, TakenKey,
    TraceControl, TraceState,
};

use crate::arch::RETURN_ADDRESS;
use crate::maps::{PROBE_CONTROL, PROBE_STATE, ScratchArea};
use crate::memory::read_user;
use crate::numbers::{register, set};
use crate::rates::{limits_at_end, spend_counted};
use crate::{atomic, outcome};

/// Allocate memory when entries are inserted. Programs on uprobes can do that since Linux 6.1.
const BPF_F_NO_PREALLOC: u32 = 1;
/// No frame of the call.
const NONE: u32 = u32::MAX;
/// Shows the verifier that an index is one of a frame.
const FRAME_MASK: u32 = MAX_FRAMES as u32 - 1;

/// Calls that are being recorded.
#[map(name = "TAKEN")]
pub static TAKEN: HashMap<TakenKey, TakenCall> =
    HashMap::with_max_entries(MAX_TAKEN, BPF_F_NO_PREALLOC);

/// Calls on their way from the first instruction of a function to its first line.
#[map(name = "STARTING")]
pub static STARTING: LruHashMap<BegunKey, u32> = LruHashMap::with_max_entries(MAX_STARTING, 0);

/// Frames of callers by the address that a call returns to.
#[map(name = "CALLERS")]
pub static CALLERS: HashMap<CallerKey, CallerFrame> =
    HashMap::with_max_entries(MAX_CALLERS, BPF_F_NO_PREALLOC);

/// Called addresses that recorded calls have computed. Userspace reads them.
#[map(name = "SEEN")]
pub static SEEN: HashMap<SeenTarget, u32> = HashMap::with_max_entries(MAX_SEEN, BPF_F_NO_PREALLOC);

/// Limits of traces.
#[map(name = "TRACE_CONTROL")]
pub static TRACE_CONTROL: Array<TraceControl> = Array::with_max_entries(MAX_PROBES, 0);

/// State of traces.
#[map(name = "TRACE_STATE")]
pub static TRACE_STATE: Array<TraceState> = Array::with_max_entries(MAX_PROBES, 0);

/// The entry of a new call. It is too long for the stack.
static NEW_CALL: TakenCall = TakenCall {
    frames: [0; MAX_FRAMES],
    lines: [0; MAX_FRAMES],
    orders: [0; MAX_FRAMES],
    call: 0,
    steps: 1,
    top: 0,
    is_new: 0,
    missed_return: 0,
    reserved: 0,
};

/// The key of a call that this thread is in.
#[inline(always)]
fn key_of(probe: u32) -> TakenKey {
    TakenKey {
        probe,
        // SAFETY: the helper takes no arguments.
        thread: unsafe { bpf_get_current_pid_tgid() } as u32,
    }
}

/// Returns `RUNNING` if the plan of a trace's site is to be run.
#[inline(never)]
pub fn admit(site: &SiteControl, control: &ProbeControl, state: &ProbeState) -> u32 {
    let key = key_of(site.probe);
    // SAFETY: only this thread removes the entry, and nothing of it is read here.
    let is_taken = unsafe { TAKEN.get(&key) }.is_some();
    if !is_taken && site.flags & TAKES != 0 {
        let ended = limits_at_end(control, state);
        if ended != outcome::RUNNING {
            atomic::add(&state.sequence, 1);
        }
        return ended;
    }
    // A recorded call tells that its probe was switched off.
    let is_announced = site.flags & ANNOUNCES != 0 && control.enabled == ENABLED;
    if is_taken || is_announced {
        outcome::RUNNING
    } else {
        outcome::NO_HIT
    }
}

/// Handles a site that was passed without a scratch area. Returns the outcome.
#[inline(never)]
pub fn lost(site: &SiteControl) -> u32 {
    if let Some(state) = PROBE_STATE.get(site.probe) {
        atomic::add(&state.sequence, 1);
    }
    if site.flags & RETURNS != 0
        && let Some(call) = TAKEN.get_ptr_mut(&key_of(site.probe))
    {
        // SAFETY: a map value that only this thread uses and removes.
        unsafe { (*call).missed_return = 1 };
    }
    outcome::LOST
}

/// Runs the op of a step.
#[inline(never)]
pub fn run(area: &mut ScratchArea, op: &EncodedOp) {
    area.frame = register(area, op.src).wrapping_add(op.offset as i64 as u64);
    area.roles = op.a;
    area.line = op.len;
    area.takes = 0;
    area.target = register(area, op.size);
    area.length = (size_of::<RecordHeader>() + size_of::<StepRecord>()) as u32;
    area.flags |= FLAG_STEP;
    area.ended = outcome::NO_HIT;
    let key = key_of(u32::from(area.header().probe));
    match TAKEN.get_ptr_mut(&key) {
        // SAFETY: a map value that only this thread uses and removes.
        Some(call) => go_on(area, unsafe { &mut *call }),
        None => start(area),
    }
    set(area, op.dst, u64::from(area.takes));
}

/// A site, in a thread whose call is recorded.
#[inline(always)]
fn go_on(area: &mut ScratchArea, call: &mut TakenCall) {
    let mut found = index_of(call, area.frame);
    if area.roles & (ANNOUNCES_CALLS | FOLLOWS_CALLS) != 0 {
        found = enter(area, call, found);
    }
    if found != NONE {
        see(area);
    }
    let is_step = area.line != 0 || area.roles & RETURNS_FROM_CALLS != 0;
    if found != NONE && is_step {
        step(area, call, found);
    }
}

/// A site that may begin a call.
#[inline(never)]
fn start(area: &mut ScratchArea) {
    let roles = area.roles;
    if roles & ANNOUNCES_CALLS != 0 {
        announce(area);
        return;
    }
    if roles & TAKES_CALLS == 0 {
        return;
    }
    if roles & NEEDS_ANNOUNCEMENT != 0 {
        set_key(area);
        if STARTING.remove(&area.key).is_err() {
            return;
        }
    }
    let Some(state) = PROBE_STATE.get(u32::from(area.header().probe)) else {
        return;
    };
    number(area, state);
    see(area);
    area.takes = 1;
    area.ended = outcome::RUNNING;
}

/// Gives the hit its number: it counts from now on.
#[inline(always)]
fn number(area: &mut ScratchArea, state: &ProbeState) {
    let number = atomic::fetch_add(&state.sequence, 1).wrapping_add(1);
    area.registers[HIT as usize] = number;
    area.header().hit = number;
}

/// Sets the key of an announced call.
#[inline(always)]
fn set_key(area: &mut ScratchArea) {
    area.key = BegunKey {
        probe: u32::from(area.header().probe),
        group: CALL,
        // SAFETY: the helper takes no arguments.
        process: (unsafe { bpf_get_current_pid_tgid() } >> 32) as u32,
        reserved: 0,
        frame: area.frame,
    };
}

/// Announces a call to the function's first line.
#[inline(never)]
fn announce(area: &mut ScratchArea) {
    set_key(area);
    // The oldest entry makes room if there is none.
    let _there = STARTING.insert(&area.key, &1, 0);
}

/// Tells userspace what a call instruction is about to call, if the site is one.
#[inline(never)]
fn see(area: &mut ScratchArea) {
    if area.roles & CALLS_COMPUTED == 0 {
        return;
    }
    let here = area.registers[INSTRUCTION_POINTER as usize];
    let seen = SeenTarget {
        distance: area.target.wrapping_sub(here),
        probe: u32::from(area.header().probe),
        site: area.header().site,
    };
    // SAFETY: nothing of the entry is read.
    if unsafe { SEEN.get(&seen) }.is_none() {
        // Without room, the call is not followed.
        let _there = SEEN.insert(&seen, &1, 0);
    }
}

/// The index of a frame in a call, or [`NONE`].
#[inline(never)]
fn index_of(call: &TakenCall, frame: u64) -> u32 {
    let mut found = NONE;
    for index in 0..MAX_FRAMES as u32 {
        if index <= call.top && call.frames[index as usize] == frame {
            found = index;
        }
    }
    found
}

/// The first instruction of a function, in a thread whose call is recorded. Returns the index of the frame if a
/// step may follow, or [`NONE`].
#[inline(never)]
fn enter(area: &mut ScratchArea, call: &mut TakenCall, found: u32) -> u32 {
    if found == 0 {
        if area.roles & ANNOUNCES_CALLS != 0 {
            announce(area);
            leave(area, call);
            return NONE;
        }
        return 0;
    }
    if found != NONE {
        if area.roles & HEADS_LOOP == 0 {
            // The call that had this frame was left.
            begin(call, found, area.frame);
        }
        return found;
    }
    if area.roles & FOLLOWS_CALLS == 0 {
        return NONE;
    }
    let caller = caller(area, call);
    let probe = u32::from(area.header().probe);
    let Some(control) = TRACE_CONTROL.get(probe) else {
        return NONE;
    };
    // The last frame has no room for one inside of it.
    if caller >= FRAME_MASK {
        return NONE;
    }
    let index = caller + 1;
    if index >= control.frames {
        return NONE;
    }
    begin(call, index, area.frame);
    index
}

/// The index of the frame that has made the call, or [`NONE`].
///
/// The return address tells the call instruction, and its rule computes the caller's frame. So a coroutine on
/// another stack and a call through code that is not followed are not mistaken for a call of the recorded frame.
#[inline(always)]
fn caller(area: &mut ScratchArea, call: &TakenCall) -> u32 {
    let at = area.frame.wrapping_sub(RETURN_ADDRESS);
    // SAFETY: the word has 8 bytes.
    if !unsafe { read_user((&raw mut area.word).cast(), 8, at) } {
        return NONE;
    }
    let here = area.registers[INSTRUCTION_POINTER as usize];
    let key = CallerKey {
        distance: area.word.wrapping_sub(here),
        probe: u32::from(area.header().probe),
        order: area.roles >> ROLE_BITS,
    };
    // SAFETY: userspace does not change entries of attached probes.
    let Some(rule) = (unsafe { CALLERS.get(&key) }) else {
        return NONE;
    };
    let base = register(area, rule.register as u8);
    index_of(call, base.wrapping_add(rule.offset as i64 as u64))
}

/// Makes this frame the innermost one of a call.
#[inline(always)]
fn begin(call: &mut TakenCall, index: u32, frame: u64) {
    let at = (index & FRAME_MASK) as usize;
    call.frames[at] = frame;
    call.lines[at] = 0;
    call.orders[at] = 0;
    call.top = index;
    call.is_new = 1;
}

/// A line or a return in a frame that is recorded.
#[inline(never)]
fn step(area: &mut ScratchArea, call: &mut TakenCall, index: u32) {
    let probe = u32::from(area.header().probe);
    let (Some(control), Some(state)) = (TRACE_CONTROL.get(probe), PROBE_STATE.get(probe)) else {
        return;
    };
    let roles = area.roles;
    if roles & RETURNS_FROM_CALLS != 0 {
        call.steps = call.steps.wrapping_add(1);
        write(area, call, index, STEP_RETURN);
        number(area, state);
        area.ended = outcome::RUNNING;
        if index == 0 {
            forget(probe);
        } else {
            call.top = index - 1;
            call.is_new = 0;
        }
        return;
    }
    if index == 0 && roles & (TAKES_CALLS | NEEDS_ANNOUNCEMENT) == TAKES_CALLS {
        leave(area, call);
        return;
    }
    if index != call.top {
        // Deeper calls were left, or returned unseen.
        call.top = index;
        call.is_new = 0;
    }
    let at = (index & FRAME_MASK) as usize;
    let order = roles >> ROLE_BITS;
    // The rows of one line that follow each other are one step.
    let goes_on = call.lines[at] == area.line && order > call.orders[at];
    call.orders[at] = order;
    if goes_on {
        return;
    }
    call.lines[at] = area.line;
    call.steps = call.steps.wrapping_add(1);
    let kind = if call.steps >= control.steps || is_off(probe) {
        STEP_CUT
    } else if call.is_new != 0 {
        STEP_ENTER
    } else {
        STEP_LINE
    };
    call.is_new = 0;
    write(area, call, index, kind);
    number(area, state);
    area.ended = outcome::RUNNING;
    if kind == STEP_CUT {
        forget(probe);
    }
}

/// Returns true if the probe is switched off.
#[inline(always)]
fn is_off(probe: u32) -> bool {
    PROBE_CONTROL
        .get(probe)
        .is_some_and(|control| control.enabled != ENABLED)
}

/// Another call begins in the frame of the recorded one, which is over without a return that was seen. Sends that.
#[inline(never)]
fn leave(area: &mut ScratchArea, call: &mut TakenCall) {
    let probe = u32::from(area.header().probe);
    let Some(state) = PROBE_STATE.get(probe) else {
        return;
    };
    call.steps = call.steps.wrapping_add(1);
    let kind = if call.missed_return != 0 {
        STEP_MISSED
    } else {
        STEP_LEFT
    };
    write(area, call, 0, kind);
    number(area, state);
    forget(probe);
    area.ended = outcome::SENT;
}

/// Removes the entry of this thread's call.
#[inline(always)]
fn forget(probe: u32) {
    let gone = TAKEN.remove(&key_of(probe));
    if gone.is_ok()
        && let Some(state) = TRACE_STATE.get(probe)
    {
        atomic::add(&state.ended, 1);
    }
}

/// Writes the part of the record that describes the step.
#[inline(always)]
fn write(area: &mut ScratchArea, call: &TakenCall, depth: u32, kind: u32) {
    let step = StepRecord {
        call: call.call,
        number: call.steps,
        frame: area.frame,
        depth,
        kind,
        repeated: 0,
    };
    // SAFETY: the record has room for it behind the header, and is aligned.
    unsafe {
        let to = area.record.as_mut_ptr().add(size_of::<RecordHeader>());
        *to.cast::<StepRecord>() = step;
    }
}

/// Ends the plan of a step. Returns the outcome: `SENT` if there is a record.
#[inline(never)]
pub fn end(area: &mut ScratchArea) -> u32 {
    if area.takes == 0 {
        // The frame of a step could not be computed, or there is a record.
        return if area.ended == outcome::SENT {
            outcome::SENT
        } else {
            outcome::NO_HIT
        };
    }
    if area.ended != outcome::SENT {
        return area.ended;
    }
    let probe = u32::from(area.header().probe);
    let (Some(control), Some(state)) = (PROBE_CONTROL.get(probe), PROBE_STATE.get(probe)) else {
        return outcome::LOST;
    };
    if area.roles & NEEDS_ANNOUNCEMENT != 0 {
        // Other calls had their limits checked before the plan ran.
        let ended = limits_at_end(control, state);
        if ended != outcome::RUNNING {
            return ended;
        }
    }
    let ended = spend_counted(control, state);
    if ended != outcome::SENT {
        return ended;
    }
    take(area, probe)
}

/// Takes the call. Returns the outcome.
#[inline(never)]
fn take(area: &mut ScratchArea, probe: u32) -> u32 {
    let Some(state) = TRACE_STATE.get(probe) else {
        return outcome::LOST;
    };
    let key = key_of(probe);
    if TAKEN.insert(&key, &NEW_CALL, 0).is_err() {
        atomic::add(&state.full, 1);
        return outcome::LOST;
    }
    let Some(call) = TAKEN.get_ptr_mut(&key) else {
        return outcome::LOST;
    };
    // SAFETY: a map value that only this thread uses and removes.
    let call = unsafe { &mut *call };
    call.call = atomic::fetch_add(&state.taken, 1).wrapping_add(1);
    call.frames[0] = area.frame;
    call.lines[0] = area.line;
    call.orders[0] = area.roles >> ROLE_BITS;
    write(area, call, 0, STEP_ENTER);
    outcome::SENT
}
