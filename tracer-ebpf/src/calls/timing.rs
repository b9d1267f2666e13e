//! Timings: a beginning is stored in a map, and its end takes it out again.
//!
//! See `tracer_common::timing`. The first op of a plan identifies the frame and searches the maps.
//! They are changed after the plan has run. In between nobody else uses the entry of the frame,
//! because only the thread that runs in a frame passes its sites.

#![expect(
    clippy::needless_borrows_for_generic_args,
    reason = "a key by value would be copied to the stack, which is too small for it"
)]

use aya_ebpf::helpers::generated::{
    bpf_get_current_pid_tgid, bpf_ktime_get_ns, bpf_probe_read_kernel,
};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray};
use tracer_common::control::{
    BEGINS, ENABLED, ENDS, FORGETS, ProbeControl, ProbeCounters, ProbeState, SiteControl, TURNS,
};
use tracer_common::limits::{
    KEPT_BYTES, MAX_BEGUN, MAX_BEGUN_KEPT, MAX_GROUPS, MAX_KNOWN, MAX_PROBES, MAX_RECORD, MAX_TURNS,
};
use tracer_common::op::{self, ELAPSED, EncodedOp, HIT};
use tracer_common::record::{FLAG_LEFT, FLAG_NO_ROOM, FLAG_TIMED, RecordHeader};
use tracer_common::timing::{
    Begun, BegunKey, CALL, KNOWN, LeftCall, TURN, TimeCounters, TimeState, bucket,
};

use crate::arch::{self, RETURN_ADDRESS, TargetRegisters, fingerprint};
use crate::maps::{PROBE_CONTROL, PROBE_STATE, ScratchArea};
use crate::numbers::register;
use crate::rates::{limits_at_end, time_of_tick};
use crate::{atomic, outcome, tally};

const BPF_NOEXIST: u64 = 1;
const BPF_EXIST: u64 = 2;
/// Allocate memory when entries are inserted. Programs on uprobes can do that since Linux 6.1.
const BPF_F_NO_PREALLOC: u32 = 1;
const EEXIST: i64 = -17;
/// Attempts to store an extreme, against hits that preempt this one on its CPU.
const ATTEMPTS: u32 = 16;
/// Offset in the record at which a map entry is put together: directly before the chunks.
const ENTRY_AT: usize = size_of::<RecordHeader>() - size_of::<Begun>();
/// Offset in the record's memory at which the beginning of a call that was left is copied: behind the record.
const LEFT_AT: usize = MAX_RECORD as usize;

/// A beginning with its chunks; a value of [`BEGUN_KEPT`].
#[repr(C)]
pub struct KeptBeginning {
    begun: Begun,
    chunks: [u64; KEPT_BYTES / 8],
}

/// Beginnings without chunks.
#[map(name = "BEGUN")]
pub static BEGUN: HashMap<BegunKey, Begun> =
    HashMap::with_max_entries(MAX_BEGUN, BPF_F_NO_PREALLOC);

/// Beginnings with chunks.
#[map(name = "BEGUN_KEPT")]
pub static BEGUN_KEPT: HashMap<BegunKey, KeptBeginning> =
    HashMap::with_max_entries(MAX_BEGUN_KEPT, BPF_F_NO_PREALLOC);

/// Loop iterations on their way from a back-edge to the loop head, and calls on their way from the
/// function's entry to the site after the prologue.
#[map(name = "UNDERWAY")]
pub static UNDERWAY: HashMap<BegunKey, u64> =
    HashMap::with_max_entries(MAX_TURNS, BPF_F_NO_PREALLOC);

/// Threads known not to be between a back-edge and its loop head, except those listed in
/// `UNDERWAY`.
#[map(name = "KNOWN_THREADS")]
pub static KNOWN_THREADS: LruHashMap<BegunKey, u32> = LruHashMap::with_max_entries(MAX_KNOWN, 0);

/// State of probes that time.
#[map(name = "TIME_STATE")]
pub static TIME_STATE: Array<TimeState> = Array::with_max_entries(MAX_PROBES, 0);

/// Counters of probes that time.
#[map(name = "TIMES")]
pub static TIMES: PerCpuArray<TimeCounters> = PerCpuArray::with_max_entries(MAX_PROBES, 0);

/// Number of this pass, which decides if its run time is sampled. It is roughly the hit's number.
#[inline(always)]
pub fn number(site: &SiteControl, counters: &ProbeCounters) -> u64 {
    let passed = if site.flags & ENDS != 0 {
        counters.events
    } else {
        counters.passed
    };
    passed.wrapping_add(1)
}

/// Returns `RUNNING` if the plan of a timed site is to be run.
#[inline(never)]
pub fn admit(
    registers: *const TargetRegisters,
    site: &SiteControl,
    control: &ProbeControl,
    state: &ProbeState,
) -> u32 {
    // Even if the probe is disabled: an iteration that is not announced would look like a call.
    if site.flags & TURNS != 0 && turns(registers, site) {
        return outcome::NO_HIT;
    }
    let expires = control.expires_ns;
    let is_alive = control.enabled == ENABLED && (expires == 0 || time_of_tick(state) <= expires);
    if is_alive || site.flags & ENDS != 0 {
        return outcome::RUNNING;
    }
    distrust(site.probe);
    if site.flags & BEGINS != 0
        && let Some(times) = times(site.probe)
    {
        atomic::add(&times.off, 1);
    }
    outcome::NO_HIT
}

/// Handles a timed site that was passed without a scratch area. Returns the outcome.
#[inline(never)]
pub fn lost(site: &SiteControl) -> u32 {
    distrust(site.probe);
    if site.flags & ENDS != 0 {
        if let Some(state) = PROBE_STATE.get(site.probe) {
            atomic::add(&state.sequence, 1);
        }
        return outcome::LOST;
    }
    if site.flags & BEGINS != 0
        && let Some(times) = times(site.probe)
    {
        atomic::add(&times.lost, 1);
    }
    outcome::NO_HIT
}

/// Returns true if this site is a back-edge, or a loop head that a back-edge leads to.
///
/// Needs no scratch area, so no iteration is lost.
#[inline(never)]
fn turns(registers: *const TargetRegisters, site: &SiteControl) -> bool {
    let mut key = BegunKey {
        probe: site.probe,
        group: TURN,
        // SAFETY: the helper takes no arguments.
        process: (unsafe { bpf_get_current_pid_tgid() } >> 32) as u32,
        reserved: 0,
        frame: arch::stack_pointer(registers),
    };
    if site.flags & (BEGINS | FORGETS) != 0 {
        return arrives(registers, &mut key);
    }
    if arch::is_taken(registers, site.turn_condition) {
        let told = UNDERWAY.insert(&key, &fingerprint(registers), 0);
        if told.is_err()
            && let Some(state) = TIME_STATE.get(key.probe)
        {
            atomic::store(&state.blind, 1);
        }
    }
    true
}

/// Returns true if the thread has come to the loop head from an announced back-edge, or if this
/// cannot be ruled out.
///
/// The registers are compared, because an announced iteration may never have arrived: a signal can
/// come in between, and its handler may not return.
#[inline(never)]
fn arrives(registers: *const TargetRegisters, key: &mut BegunKey) -> bool {
    // SAFETY: only this thread removes the entry, and it does so after reading it.
    let told = unsafe { UNDERWAY.get(&*key) };
    let is_turn = told.is_some_and(|&told| told == fingerprint(registers));
    if told.is_some() {
        let _gone = UNDERWAY.remove(&*key);
    }
    let is_known = know(key);
    is_turn || !is_known || is_blind(key.probe)
}

/// Returns true if the thread has been at the loop head since the probe was attached.
///
/// Otherwise the thread may have been between a back-edge and the loop head when the probe was
/// attached, so the origin of this pass is not known. The frame may also have entries of earlier
/// frames at the same address. They are dropped.
#[inline(never)]
fn know(key: &mut BegunKey) -> bool {
    let stack = key.frame;
    // SAFETY: the helper takes no arguments.
    key.frame = unsafe { bpf_get_current_pid_tgid() } & 0xffff_ffff;
    key.group = KNOWN;
    let now = TIME_STATE
        .get(key.probe)
        .map_or(0, |state| (state.generation >> 32) as u32);
    // SAFETY: the value is read at once; an entry that is replaced meanwhile is only misread.
    if unsafe { KNOWN_THREADS.get(&*key) }.is_some_and(|&then| then == now) {
        return true;
    }
    // If there is no room, the thread is still unknown at its next pass.
    let _there = KNOWN_THREADS.insert(&*key, &now, 0);
    key.frame = stack.wrapping_add(RETURN_ADDRESS);
    for group in 0..MAX_GROUPS {
        key.group = group;
        drop_begun(key);
    }
    false
}

/// Drops an open beginning from the map that has it.
#[inline(never)]
fn drop_begun(key: &BegunKey) {
    let mut was_there = BEGUN.remove(key).is_ok();
    was_there |= BEGUN_KEPT.remove(key).is_ok();
    if was_there && let Some(times) = times(key.probe) {
        atomic::add(&times.unfinished, 1);
    }
}

/// Returns true if calls cannot be told from iterations any more. This pass is then not timed.
#[inline(never)]
fn is_blind(probe: u32) -> bool {
    let is_blind = TIME_STATE.get(probe).is_some_and(|state| state.blind != 0);
    if is_blind {
        distrust(probe);
        if let Some(times) = times(probe) {
            atomic::add(&times.full, 1);
        }
    }
    is_blind
}

/// Invalidates all open beginnings of a probe: no later end is paired with one.
#[inline(always)]
fn distrust(probe: u32) {
    if let Some(state) = TIME_STATE.get(probe) {
        atomic::add(&state.generation, 1);
    }
}

/// The probe's counters on this CPU.
#[inline(always)]
fn times(probe: u32) -> Option<&'static TimeCounters> {
    // SAFETY: a map value of this CPU. All changes to it are atomic.
    TIMES.get_ptr(probe).map(|times| unsafe { &*times })
}

/// Runs a timing op.
#[inline(never)]
pub fn run(area: &mut ScratchArea, op: &EncodedOp) {
    if op.code == op::KEPT {
        append_kept(area);
        return;
    }
    area.key = BegunKey {
        probe: u32::from(area.header().probe),
        group: op.a,
        // SAFETY: the helper takes no arguments.
        process: (unsafe { bpf_get_current_pid_tgid() } >> 32) as u32,
        reserved: 0,
        frame: register(area, op.src).wrapping_add(op.offset as i64 as u64),
    };
    area.keeps = u32::from(op.size & op::KEEPS);
    area.tells_left = u32::from(op.size & op::TELLS_LEFT);
    area.told = u32::from(op.dst);
    area.timed = u32::from(op.code);
    match op.code {
        op::LEAVE => leave(area),
        op::ENTER if op.dst != 0 => enter(area),
        op::FORGET => area.ended = outcome::NO_HIT,
        _ => {}
    }
}

/// Ends the plan unless a call was announced at the function's entry and this is its first pass.
#[inline(never)]
fn enter(area: &mut ScratchArea) {
    let (group, probe) = (area.key.group, area.key.probe);
    area.key.group = CALL;
    // SAFETY: only this thread removes the entry, and it does so after reading it.
    let told = unsafe { UNDERWAY.get(&area.key) };
    let begins = told.is_some_and(|told| is_trusted(*told, probe));
    let gone = UNDERWAY.remove(&area.key);
    area.key.group = group;
    if !begins || gone.is_err() {
        area.ended = outcome::NO_HIT;
    }
}

/// Announces a call. Its timing begins at the site after the prologue.
#[inline(never)]
fn call(area: &mut ScratchArea, times: &TimeCounters) {
    area.key.group = CALL;
    area.elapsed = TIME_STATE
        .get(area.key.probe)
        .map_or(0, |state| state.generation);
    if UNDERWAY.insert(&area.key, &area.elapsed, 0).is_err() {
        atomic::add(&times.full, 1);
    }
}

/// Looks for the beginning, and computes the elapsed time.
#[inline(always)]
fn leave(area: &mut ScratchArea) {
    area.ended = outcome::NO_HIT;
    let found = find(area);
    // SAFETY: null, or an entry that only this thread removes.
    let Some(begun) = (unsafe { found.as_ref() }) else {
        return;
    };
    area.begun = found as u64;
    let probe = u32::from(area.header().probe);
    let (Some(control), Some(state)) = (PROBE_CONTROL.get(probe), PROBE_STATE.get(probe)) else {
        return;
    };
    if !is_trusted(begun.generation, probe) {
        return;
    }
    let now = area.header().ktime_ns;
    let elapsed = now.wrapping_sub(begun.time_ns);
    let number = atomic::fetch_add(&state.sequence, 1).wrapping_add(1);
    area.elapsed = elapsed;
    area.status = begun.flags;
    area.flags |= FLAG_TIMED;
    area.registers[ELAPSED as usize] = elapsed;
    area.registers[HIT as usize] = number;
    let (site, length) = (begun.site, begun.length);
    let header = area.header();
    header.hit = number;
    header.begun_at = site as u16;
    header.begun_bytes = length as u16;
    area.ended = limits_at_end(control, state);
}

/// Returns true if no site of the probe was missed since that generation.
#[inline(always)]
fn is_trusted(generation: u64, probe: u32) -> bool {
    TIME_STATE
        .get(probe)
        .is_some_and(|state| state.generation == generation)
}

/// Appends the chunks of the beginning.
#[inline(always)]
fn append_kept(area: &mut ScratchArea) {
    let length = u32::from(area.header().begun_bytes);
    if length == 0 || area.keeps == 0 {
        return;
    }
    let at = area.length;
    area.flags |= area.status;
    if length > KEPT_BYTES as u32 || at.wrapping_add(length) > MAX_RECORD {
        area.flags |= FLAG_NO_ROOM;
        area.header().begun_bytes = 0;
        return;
    }
    let from = area.begun.wrapping_add(size_of::<Begun>() as u64);
    // SAFETY: the masks keep it in the record and the room after it.
    unsafe {
        let to = area
            .record
            .as_mut_ptr()
            .add((at & (MAX_RECORD - 1)) as usize);
        bpf_probe_read_kernel(
            to.cast(),
            length & (2 * KEPT_BYTES as u32 - 1),
            from as *const _,
        );
    }
    area.length = at.wrapping_add(length);
}

/// Updates the maps after the plan of a timed site has run. Returns true if this is not a hit.
#[inline(never)]
pub fn end(area: &mut ScratchArea, counters: &ProbeCounters) -> bool {
    let (probe, ended) = (u32::from(area.header().probe), area.ended);
    let Some(times) = times(probe) else {
        return true;
    };
    match area.timed as u8 {
        op::ENTER if ended == outcome::SENT => return !begin(area, times),
        op::ENTER if ended == outcome::NO_HIT => {}
        op::ENTER => {
            let is_told = note_left(area, times);
            forget(area, times, is_told);
            let counter = if ended == outcome::REJECTED {
                &times.rejected
            } else {
                &times.faults
            };
            atomic::add(counter, 1);
            return !is_told || !tell_left(area);
        }
        op::FORGET => {
            let is_told = note_left(area, times);
            forget_groups(area, times, is_told);
            if area.told != 0 {
                call(area, times);
            }
            return !is_told || !tell_left(area);
        }
        op::LEAVE if ended != outcome::NO_HIT => {
            take_out(area);
            finish(area, times, counters);
            return false;
        }
        op::LEAVE => {
            let counter = if take_out(area) {
                &times.uncertain
            } else {
                &times.unpaired
            };
            atomic::add(counter, 1);
        }
        // The plan ended before its timing op: the frame could not be read.
        _ => {
            distrust(probe);
            atomic::add(&times.faults, 1);
        }
    }
    true
}

/// Stores a beginning. Returns true if the area then has the record of a call that was left.
#[inline(always)]
fn begin(area: &mut ScratchArea, times: &TimeCounters) -> bool {
    let (site, probe) = (area.header().site, u32::from(area.header().probe));
    let generation = TIME_STATE.get(probe).map_or(0, |state| state.generation);
    let mut length = area.length.wrapping_sub(size_of::<RecordHeader>() as u32);
    if length > KEPT_BYTES as u32 {
        length = KEPT_BYTES as u32;
        area.flags |= FLAG_NO_ROOM;
    }
    let flags = area.flags;
    let begun = entry(area);
    begun.generation = generation;
    begun.site = site;
    begun.length = length;
    begun.flags = flags;
    begun.reserved = 0;
    let mut is_told = false;
    let mut answer = insert(area, BPF_NOEXIST);
    if answer == EEXIST {
        is_told = note_left(area, times);
        if !is_told {
            not_ended(area, times);
        }
        answer = insert(area, BPF_EXIST);
    }
    let counter = if answer == 0 {
        &times.begun
    } else {
        &times.full
    };
    atomic::add(counter, 1);
    is_told && tell_left(area)
}

/// Copies the open beginning of this frame, whose call was left, behind the record. Returns false if none is
/// to be told.
#[inline(never)]
fn note_left(area: &mut ScratchArea, times: &TimeCounters) -> bool {
    if area.tells_left == 0 {
        return false;
    }
    // SAFETY: null, or an entry that only this thread removes.
    let Some(begun) = (unsafe { find(area).as_ref() }) else {
        return false;
    };
    if !is_trusted(begun.generation, area.key.probe) {
        return false;
    }
    let length = if area.keeps != 0 { begun.length } else { 0 };
    if length > KEPT_BYTES as u32 {
        return false;
    }
    area.left = length;
    let bytes = length & (2 * KEPT_BYTES as u32 - 1);
    // SAFETY: the room behind the record is longer.
    unsafe {
        let to = area.record.as_mut_ptr().add(LEFT_AT);
        bpf_probe_read_kernel(
            to.cast(),
            bytes.wrapping_add(size_of::<Begun>() as u32),
            core::ptr::from_ref(begun).cast(),
        );
    }
    let group = area.key.group;
    left(area).reserved = group;
    atomic::add(&times.left, 1);
    true
}

/// The beginning that was copied.
#[inline(always)]
fn left(area: &mut ScratchArea) -> &mut Begun {
    // SAFETY: it is behind the record, and aligned.
    unsafe { &mut *area.record.as_mut_ptr().add(LEFT_AT).cast() }
}

/// Makes the record of the call that was left: a hit and an event of the probe, as its end would be.
/// Returns false if it is none.
#[inline(never)]
fn tell_left(area: &mut ScratchArea) -> bool {
    let probe = area.key.probe;
    let (Some(control), Some(state)) = (PROBE_CONTROL.get(probe), PROBE_STATE.get(probe)) else {
        return false;
    };
    let (site, flags, length) = (left(area).site, left(area).flags, area.left);
    let frame = area.key.frame;
    let number = atomic::fetch_add(&state.sequence, 1).wrapping_add(1);
    area.flags = flags | FLAG_LEFT;
    let header = area.header();
    header.hit = number;
    header.probe = probe as u16;
    header.begun_at = site as u16;
    header.begun_bytes = length as u16;
    let bytes = length & (2 * KEPT_BYTES as u32 - 1);
    // SAFETY: the record has room for the frame, a whole entry and more.
    unsafe {
        let to = area.record.as_mut_ptr().add(size_of::<RecordHeader>());
        *to.cast::<u64>() = frame;
        bpf_probe_read_kernel(
            to.add(size_of::<u64>()).cast(),
            bytes.wrapping_add(size_of::<Begun>() as u32),
            area.record.as_ptr().add(LEFT_AT).cast(),
        );
    }
    area.length = length.wrapping_add((size_of::<RecordHeader>() + size_of::<LeftCall>()) as u32);
    area.ended = limits_at_end(control, state);
    if area.ended == outcome::RUNNING {
        area.ended = outcome::SENT;
    }
    true
}

/// The entry that is put together in the record.
#[inline(always)]
fn entry(area: &mut ScratchArea) -> &mut Begun {
    // SAFETY: it is in the record's header, and aligned.
    unsafe { &mut *area.record.as_mut_ptr().add(ENTRY_AT).cast() }
}

/// Inserts the entry into its map, with the present time.
#[inline(never)]
fn insert(area: &mut ScratchArea, flags: u64) -> i64 {
    // SAFETY: the helper takes no arguments.
    entry(area).time_ns = unsafe { bpf_ktime_get_ns() };
    // SAFETY: the offset is in the record.
    let from = unsafe { area.record.as_ptr().add(ENTRY_AT) };
    // SAFETY: the record has room for a whole entry. The bytes after its chunks are never read.
    let inserted = unsafe {
        if area.keeps != 0 {
            BEGUN_KEPT.insert(&area.key, &*from.cast::<KeptBeginning>(), flags)
        } else {
            BEGUN.insert(&area.key, &*from.cast::<Begun>(), flags)
        }
    };
    match inserted {
        Ok(()) => 0,
        Err(error) => i64::from(error),
    }
}

/// The entry of the frame; null if there is none.
#[inline(never)]
fn find(area: &ScratchArea) -> *const Begun {
    let found = if area.keeps != 0 {
        BEGUN_KEPT
            .get_ptr(&area.key)
            .map(<*const KeptBeginning>::cast)
    } else {
        BEGUN.get_ptr(&area.key)
    };
    found.unwrap_or(core::ptr::null())
}

/// Removes the entry of the frame. Returns true if there was one.
#[inline(never)]
fn take_out(area: &ScratchArea) -> bool {
    if area.keeps != 0 {
        BEGUN_KEPT.remove(&area.key).is_ok()
    } else {
        BEGUN.remove(&area.key).is_ok()
    }
}

/// Drops the beginning of this frame. `is_told` says that a record tells of it.
#[inline(always)]
fn forget(area: &ScratchArea, times: &TimeCounters, is_told: bool) {
    if take_out(area) && !is_told {
        atomic::add(&times.unfinished, 1);
    }
}

/// Counts an open beginning of the frame as unfinished, or as uncertain.
#[inline(never)]
fn not_ended(area: &ScratchArea, times: &TimeCounters) {
    // SAFETY: null, or an entry that only this thread removes.
    let Some(begun) = (unsafe { find(area).as_ref() }) else {
        return;
    };
    let counter = if is_trusted(begun.generation, area.key.probe) {
        &times.unfinished
    } else {
        &times.uncertain
    };
    atomic::add(counter, 1);
}

/// Drops the beginnings of this frame in all groups up to the given one. `is_told` says that a record tells
/// of that one.
#[inline(always)]
fn forget_groups(area: &mut ScratchArea, times: &TimeCounters, is_told: bool) {
    let last = area.key.group;
    if is_told {
        take_out(area);
    }
    for group in 0..MAX_GROUPS {
        if group > last {
            break;
        }
        area.key.group = group;
        // One more branch here is too much for the verifier of Linux 6.1.
        if take_out(area) {
            atomic::add(&times.unfinished, 1);
        }
    }
}

/// Adds the elapsed time to the probe's sums.
#[inline(always)]
fn finish(area: &mut ScratchArea, times: &TimeCounters, counters: &ProbeCounters) {
    atomic::add(&times.ended, 1);
    if area.ended == outcome::SILENCED || area.ended == outcome::EXPIRED {
        return;
    }
    let elapsed = area.elapsed;
    atomic::add(&times.sum_ns, elapsed);
    raise(&times.longest_ns, elapsed);
    raise(&times.shortest_ns_inverse, !elapsed);
    let (site, probe) = (area.header().site, u32::from(area.header().probe));
    if let Some(state) = PROBE_STATE.get(probe) {
        tally::add_number(site, bucket(elapsed), state, counters);
    }
}

/// Writes `value` if it is larger than the present value.
#[inline(always)]
fn raise(to: &u64, value: u64) {
    let mut seen = *to;
    for _ in 0..ATTEMPTS {
        if seen >= value {
            return;
        }
        let there = atomic::compare_exchange(to, seen, value);
        if there == seen {
            return;
        }
        seen = there;
    }
}
