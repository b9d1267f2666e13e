//! What is timed: beginnings that are kept, and the ends that take them out again.
//!
//! See `tracer_common::timing`. A plan says by its first op which frame it is in; the maps are
//! looked at there, and changed once the plan has run. Only the thread that runs in a frame
//! passes the sites of that frame, so nobody else touches its entry in between.

#![expect(
    clippy::needless_borrows_for_generic_args,
    reason = "a key by value would be copied to the stack, which is too small for it"
)]

use aya_ebpf::bindings::pt_regs;
use aya_ebpf::helpers::generated::{
    bpf_get_current_pid_tgid, bpf_ktime_get_ns, bpf_probe_read_kernel,
};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray};
use tracer_common::control::{
    BEGINS, ENDS, FORGETS, FS_BASE_SHIFT, ProbeControl, ProbeCounters, ProbeState, SiteControl,
    TURNS,
};
use tracer_common::limits::{
    KEPT_BYTES, MAX_BEGUN, MAX_BEGUN_KEPT, MAX_GROUPS, MAX_KNOWN, MAX_PROBES, MAX_RECORD, MAX_TURNS,
};
use tracer_common::op::{self, ELAPSED, HIT, Op};
use tracer_common::record::{FLAG_NO_ROOM, FLAG_TIMED, RecordHeader};
use tracer_common::timing::{Begun, BegunKey, CALL, KNOWN, TURN, TimeCounters, TimeState, bucket};

use crate::machine::time_of_tick;
use crate::maps::{PROBE_CONTROL, PROBE_STATE, Scratch};
use crate::{atomic, machine, outcome, step, tally};

const BPF_NOEXIST: u64 = 1;
const BPF_EXIST: u64 = 2;
/// Room is taken as entries come. Linux 6.1 and newer can do that in programs on uprobes.
const BPF_F_NO_PREALLOC: u32 = 1;
const EEXIST: i64 = -17;
/// Bytes from the stack pointer to the frame address at a function's entry.
const RETURN_ADDRESS: u64 = 8;
/// Makes all bits of a number depend on each other: 2^64 by the golden ratio.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
/// Attempts to note an extreme against hits that preempt this one on its CPU.
const ATTEMPTS: u32 = 16;
/// Where in the record an entry is put together: its chunks are where the record has them.
const ENTRY_AT: usize = size_of::<RecordHeader>() - size_of::<Begun>();

/// A beginning with its chunks.
#[repr(C)]
pub struct Kept {
    begun: Begun,
    chunks: [u64; KEPT_BYTES / 8],
}

/// Beginnings without chunks.
#[map(name = "BEGUN")]
pub static BEGUN: HashMap<BegunKey, Begun> =
    HashMap::with_max_entries(MAX_BEGUN, BPF_F_NO_PREALLOC);

/// Beginnings with chunks.
#[map(name = "BEGUN_KEPT")]
pub static BEGUN_KEPT: HashMap<BegunKey, Kept> =
    HashMap::with_max_entries(MAX_BEGUN_KEPT, BPF_F_NO_PREALLOC);

/// Turns of loops, and calls, that are on their way to the next site.
#[map(name = "UNDERWAY")]
pub static UNDERWAY: HashMap<BegunKey, u64> =
    HashMap::with_max_entries(MAX_TURNS, BPF_F_NO_PREALLOC);

/// Threads of which it is known that they are not between a branch and the head of a loop that it
/// leads to, but for what is in the map above.
#[map(name = "KNOWN_THREADS")]
pub static KNOWN_THREADS: LruHashMap<BegunKey, u32> = LruHashMap::with_max_entries(MAX_KNOWN, 0);

/// What is remembered of probes that time.
#[map(name = "TIME_STATE")]
pub static TIME_STATE: Array<TimeState> = Array::with_max_entries(MAX_PROBES, 0);

/// Counters of probes that time.
#[map(name = "TIMES")]
pub static TIMES: PerCpuArray<TimeCounters> = PerCpuArray::with_max_entries(MAX_PROBES, 0);

/// A number of the pass, by which some are timed: of hits, roughly that of the hit.
#[inline(always)]
pub fn number(site: &SiteControl, counters: &ProbeCounters) -> u64 {
    let passed = if site.flags & ENDS != 0 {
        counters.events
    } else {
        counters.passed
    };
    passed.wrapping_add(1)
}

/// Whether the plan of a timed site is to be run.
#[inline(never)]
pub fn admit(
    registers: *const pt_regs,
    site: &SiteControl,
    control: &ProbeControl,
    state: &ProbeState,
) -> u32 {
    // Whether or not the probe is awake: a turn that nobody told of would be taken for a call.
    if site.flags & TURNS != 0 && turns(registers, site) {
        return outcome::NO_HIT;
    }
    let expires = control.expires_ns;
    let is_alive = control.enabled != 0 && (expires == 0 || time_of_tick(state) <= expires);
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

/// A timed site was passed without a scratch area: gives how that is counted.
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

/// True when this site is a branch, or the head of a loop that is come back to.
///
/// Needs no scratch area, so that no turn is lost.
#[inline(never)]
fn turns(registers: *const pt_regs, site: &SiteControl) -> bool {
    // SAFETY: the context of a uprobe program is a whole `pt_regs`.
    let (stack, flags) = unsafe { ((*registers).rsp, (*registers).eflags) };
    let mut key = BegunKey {
        probe: site.probe,
        group: TURN,
        // SAFETY: takes nothing, gives two numbers in one.
        process: (unsafe { bpf_get_current_pid_tgid() } >> 32) as u32,
        reserved: 0,
        frame: stack,
    };
    if site.flags & (BEGINS | FORGETS) != 0 {
        return arrives(registers, &mut key);
    }
    if is_taken(site.flags >> FS_BASE_SHIFT, flags) {
        let told = UNDERWAY.insert(&key, &all_registers(registers), 0);
        if told.is_err()
            && let Some(state) = TIME_STATE.get(key.probe)
        {
            atomic::store(&state.blind, 1);
        }
    }
    true
}

/// Whether the thread comes to the head of a loop by a branch that has told of it.
///
/// A branch that was told of and did not arrive (a signal came in between, and its handler never came
/// back) had other registers.
#[inline(never)]
fn arrives(registers: *const pt_regs, key: &mut BegunKey) -> bool {
    // SAFETY: only this thread takes it out, behind the look at it.
    let told = unsafe { UNDERWAY.get(&*key) };
    let is_turn = told.is_some_and(|&told| told == all_registers(registers));
    if told.is_some() {
        let _gone = UNDERWAY.remove(&*key);
    }
    let is_known = know(key);
    is_turn || !is_known || is_blind(key.probe)
}

/// Whether the thread has been at the head of the loop before: when the probe came, it may have been
/// between a branch, which had no site yet, and the head. Then what it comes from is not known, and
/// what began in the frame earlier, in another thread, does not end there.
#[inline(never)]
fn know(key: &mut BegunKey) -> bool {
    let stack = key.frame;
    // SAFETY: takes nothing, gives two numbers in one.
    key.frame = unsafe { bpf_get_current_pid_tgid() } & 0xffff_ffff;
    key.group = KNOWN;
    let now = TIME_STATE
        .get(key.probe)
        .map_or(0, |state| (state.generation >> 32) as u32);
    // SAFETY: only the value is looked at, and at once.
    if unsafe { KNOWN_THREADS.get(&*key) }.is_some_and(|&then| then == now) {
        return true;
    }
    // Where there is no room, it is as unknown the next time.
    let _there = KNOWN_THREADS.insert(&*key, &now, 0);
    key.frame = stack.wrapping_add(RETURN_ADDRESS);
    for group in 0..MAX_GROUPS {
        key.group = group;
        drop_begun(key);
    }
    false
}

/// What has begun does not end, in whichever map it is.
#[inline(never)]
fn drop_begun(key: &BegunKey) {
    let mut was_there = BEGUN.remove(key).is_ok();
    was_there |= BEGUN_KEPT.remove(key).is_ok();
    if was_there && let Some(times) = times(key.probe) {
        atomic::add(&times.unfinished, 1);
    }
}

/// Whether calls cannot be told from turns: this may be one, and is not timed.
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

/// What tells these general registers from others; the stack pointer is in the key.
#[inline(never)]
fn all_registers(registers: *const pt_regs) -> u64 {
    let mut mixed = 0_u64;
    // SAFETY: as in `turns`.
    unsafe {
        for register in [
            (*registers).rax,
            (*registers).rbx,
            (*registers).rcx,
            (*registers).rdx,
            (*registers).rsi,
            (*registers).rdi,
            (*registers).rbp,
            (*registers).r8,
            (*registers).r9,
            (*registers).r10,
            (*registers).r11,
            (*registers).r12,
            (*registers).r13,
            (*registers).r14,
            (*registers).r15,
        ] {
            mixed = (mixed ^ register).wrapping_mul(MIX);
            mixed ^= mixed >> 29;
        }
    }
    mixed
}

/// Whether a jump with that condition is taken; see [`TURNS`].
#[inline(always)]
fn is_taken(condition: u32, flags: u64) -> bool {
    let (carry, parity, zero) = (flags, flags >> 2, flags >> 6);
    let (sign, overflow) = (flags >> 7, flags >> 11);
    let holds = match condition >> 1 {
        0 => overflow,
        1 => carry,
        2 => zero,
        3 => carry | zero,
        4 => sign,
        5 => parity,
        6 => sign ^ overflow,
        7 => zero | (sign ^ overflow),
        _ => 1,
    };
    (holds as u32 ^ condition) & 1 != 0
}

/// From now on nothing that began earlier is taken for the beginning of anything.
#[inline(always)]
fn distrust(probe: u32) {
    if let Some(state) = TIME_STATE.get(probe) {
        atomic::add(&state.generation, 1);
    }
}

#[inline(always)]
fn times(probe: u32) -> Option<&'static TimeCounters> {
    // SAFETY: a map value of this CPU; only atomic changes are made to it.
    TIMES.get_ptr(probe).map(|times| unsafe { &*times })
}

/// Runs one of the ops that time.
#[inline(never)]
pub fn run(area: &mut Scratch, op: &Op) {
    if op.code == op::KEPT {
        append_kept(area);
        return;
    }
    area.key = BegunKey {
        probe: u32::from(area.header().probe),
        group: op.a,
        // SAFETY: takes nothing, gives two numbers in one.
        process: (unsafe { bpf_get_current_pid_tgid() } >> 32) as u32,
        reserved: 0,
        frame: step::register(area, op.src).wrapping_add(op.offset as i64 as u64),
    };
    area.keeps = u32::from(op.size);
    area.told = u32::from(op.dst);
    area.timed = u32::from(op.code);
    match op.code {
        op::LEAVE => leave(area),
        op::ENTER if op.dst != 0 => enter(area),
        op::FORGET => area.ended = outcome::NO_HIT,
        _ => {}
    }
}

/// Whether it begins here: not where the entry has told of no call, or this is not its first pass.
#[inline(never)]
fn enter(area: &mut Scratch) {
    let (group, probe) = (area.key.group, area.key.probe);
    area.key.group = CALL;
    // SAFETY: only this thread takes it out, behind the look at it.
    let told = unsafe { UNDERWAY.get(&area.key) };
    let begins = told.is_some_and(|told| is_trusted(*told, probe));
    let gone = UNDERWAY.remove(&area.key);
    area.key.group = group;
    if !begins || gone.is_err() {
        area.ended = outcome::NO_HIT;
    }
}

/// A call has begun; its time will.
#[inline(never)]
fn call(area: &mut Scratch, times: &TimeCounters) {
    area.key.group = CALL;
    area.elapsed = TIME_STATE
        .get(area.key.probe)
        .map_or(0, |state| state.generation);
    if UNDERWAY.insert(&area.key, &area.elapsed, 0).is_err() {
        atomic::add(&times.full, 1);
    }
}

/// Looks for the beginning.
#[inline(always)]
fn leave(area: &mut Scratch) {
    area.ended = outcome::NO_HIT;
    let found = find(area);
    // SAFETY: null, or an entry that only this thread takes out.
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
    area.ended = machine::limits_at_end(control, state);
}

#[inline(always)]
fn is_trusted(generation: u64, probe: u32) -> bool {
    TIME_STATE
        .get(probe)
        .is_some_and(|state| state.generation == generation)
}

/// Appends the chunks of the beginning.
#[inline(always)]
fn append_kept(area: &mut Scratch) {
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
    // SAFETY: the masks keep it in the record and the room behind it.
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

/// The plan of a timed site has run: true when this is no hit of the probe.
#[inline(never)]
pub fn end(area: &mut Scratch, counters: &ProbeCounters) -> bool {
    let (probe, ended) = (u32::from(area.header().probe), area.ended);
    let Some(times) = times(probe) else {
        return true;
    };
    match area.timed as u8 {
        op::ENTER if ended == outcome::SENT => begin(area, times),
        op::ENTER if ended == outcome::NO_HIT => {}
        op::ENTER => {
            forget(area, times);
            let counter = if ended == outcome::REJECTED {
                &times.rejected
            } else {
                &times.faults
            };
            atomic::add(counter, 1);
        }
        op::FORGET => {
            forget_groups(area, times);
            if area.told != 0 {
                call(area, times);
            }
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
        // Which frame it is could not be read.
        _ => {
            distrust(probe);
            atomic::add(&times.faults, 1);
        }
    }
    true
}

/// Keeps a beginning.
#[inline(always)]
fn begin(area: &mut Scratch, times: &TimeCounters) {
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
    let mut answer = insert(area, BPF_NOEXIST);
    if answer == EEXIST {
        not_ended(area, times);
        answer = insert(area, BPF_EXIST);
    }
    let counter = if answer == 0 {
        &times.begun
    } else {
        &times.full
    };
    atomic::add(counter, 1);
}

#[inline(always)]
fn entry(area: &mut Scratch) -> &mut Begun {
    // SAFETY: the record has a header, of which this is the end, aligned for it.
    unsafe { &mut *area.record.as_mut_ptr().add(ENTRY_AT).cast() }
}

/// Puts the entry into its map, with the time of now.
#[inline(never)]
fn insert(area: &mut Scratch, flags: u64) -> i64 {
    // SAFETY: takes nothing, gives a time.
    entry(area).time_ns = unsafe { bpf_ktime_get_ns() };
    let from = unsafe { area.record.as_ptr().add(ENTRY_AT) };
    // SAFETY: the record has room for a whole entry; what is behind its chunks is never looked at.
    let inserted = unsafe {
        if area.keeps != 0 {
            BEGUN_KEPT.insert(&area.key, &*from.cast::<Kept>(), flags)
        } else {
            BEGUN.insert(&area.key, &*from.cast::<Begun>(), flags)
        }
    };
    match inserted {
        Ok(()) => 0,
        Err(error) => i64::from(error),
    }
}

/// The entry of the frame; null when there is none.
#[inline(never)]
fn find(area: &Scratch) -> *const Begun {
    let found = if area.keeps != 0 {
        BEGUN_KEPT.get_ptr(&area.key).map(<*const Kept>::cast)
    } else {
        BEGUN.get_ptr(&area.key)
    };
    found.unwrap_or(core::ptr::null())
}

/// Takes the entry of the frame out; true when there was one.
#[inline(never)]
fn take_out(area: &Scratch) -> bool {
    if area.keeps != 0 {
        BEGUN_KEPT.remove(&area.key).is_ok()
    } else {
        BEGUN.remove(&area.key).is_ok()
    }
}

/// What has begun in the frame does not end.
#[inline(always)]
fn forget(area: &Scratch, times: &TimeCounters) {
    // Called for each group: a further branch here is too much for the verifier of Linux 6.1.
    if take_out(area) {
        atomic::add(&times.unfinished, 1);
    }
}

/// Counts the beginning in the frame, if there is one, as one whose end was not seen.
#[inline(never)]
fn not_ended(area: &Scratch, times: &TimeCounters) {
    // SAFETY: null, or an entry that only this thread takes out.
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

/// The same in all groups up to the one that was named.
#[inline(always)]
fn forget_groups(area: &mut Scratch, times: &TimeCounters) {
    let last = area.key.group;
    for group in 0..MAX_GROUPS {
        if group > last {
            break;
        }
        area.key.group = group;
        forget(area, times);
    }
}

/// Adds a time up.
#[inline(always)]
fn finish(area: &mut Scratch, times: &TimeCounters, counters: &ProbeCounters) {
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

/// Writes `value` where less is there.
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
