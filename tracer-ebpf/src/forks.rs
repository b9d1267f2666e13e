//! The target's family: which processes it forks.
//!
//! Loaded only where forks are followed. A process is in the family from before its first
//! instruction until it executes another program or has exited, so nothing that it forks itself is
//! missed. Userspace is told of it, and attaches it a moment later; or the probes are in all
//! processes that run the file, and each hit asks here whether it is one of the family's.

use aya_ebpf::helpers::generated::{
    bpf_get_current_pid_tgid, bpf_get_current_task, bpf_probe_read_kernel,
};
use aya_ebpf::macros::{map, raw_tracepoint};
use aya_ebpf::maps::{Array, HashMap, RingBuf};
use aya_ebpf::programs::RawTracePointContext;
use tracer_common::forks::{CHILD, EXECUTED, FORKED, FamilyMessage, TARGET, TaskLayout};
use tracer_common::limits::MAX_PROCESSES;

use crate::atomic;
use crate::machine::now;
use crate::maps::settings;

/// Pid namespaces in each other, at most (`MAX_PID_NS_LEVEL`).
const MAX_LEVELS: u32 = 32;
/// Bytes of an `upid`, and to the namespace in it.
const UPID: u64 = 16;
const UPID_NAMESPACE: u64 = 8;

/// The processes of the family, with `TARGET` or `CHILD`.
#[map(name = "FAMILY")]
static FAMILY: HashMap<u32, u32> = HashMap::with_max_entries(MAX_PROCESSES, 0);

/// What became of them. The loader sets the size.
#[map(name = "FAMILY_MESSAGES")]
static MESSAGES: RingBuf = RingBuf::with_byte_size(1 << 12, 0);

/// Processes that were forked and found no room.
#[map(name = "FAMILY_MISSED")]
static MISSED: Array<u64> = Array::with_max_entries(1, 0);

/// What the loader says once.
#[unsafe(no_mangle)]
static TASK_LAYOUT: TaskLayout = TaskLayout {
    mm: 0,
    tgid: 0,
    thread_pid: 0,
    level: 0,
    numbers: 0,
    inum: 0,
    group_leader: 0,
    signal: 0,
    live: 0,
};

/// One number of it: a constant for the verifier.
macro_rules! layout {
    ($field:ident) => {
        // SAFETY: a static of plain numbers; volatile, since the loader changes it.
        unsafe { core::ptr::read_volatile(&raw const TASK_LAYOUT.$field) }
    };
}

/// Whether the process that runs is of the family.
#[inline(never)]
pub fn is_member() -> bool {
    // SAFETY: only whether it is there is looked at.
    unsafe { FAMILY.get(current()) }.is_some()
}

/// `sched_process_fork(parent, child)`, in the context of the process that forks, before the
/// new one runs.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn forked(ctx: RawTracePointContext) -> i32 {
    let parent = current();
    // SAFETY: only the value is looked at, and at once.
    if unsafe { FAMILY.get(parent) }.is_none() {
        return 0;
    }
    let child: u64 = ctx.arg(1);
    // SAFETY: takes nothing, gives a pointer that is only read with.
    let this = unsafe { bpf_get_current_task() };
    // Threads, and children of `vfork` and `posix_spawn`, which run in the memory of the parent
    // until they execute another program.
    if read_word(child, layout!(mm)) != read_word(this, layout!(mm)) && !join(child, parent) {
        miss();
    }
    0
}

/// Takes a new process into the family and tells of it.
#[inline(never)]
fn join(child: u64, parent: u32) -> bool {
    let initial = read_half(child, layout!(tgid));
    let process = if settings().pid_ns_ino == 0 {
        initial
    } else {
        number_in_namespace(read_word(child, layout!(thread_pid)))
    };
    if process == 0 || FAMILY.insert(process, CHILD, 0).is_err() {
        return false;
    }
    let told = tell(FORKED, process, initial, parent);
    if !told {
        let _gone = FAMILY.remove(process);
    }
    told
}

/// `sched_process_exec(task, old_pid, binprm)`, in the context of the process that executes.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn executed(_ctx: RawTracePointContext) -> i32 {
    let process = current();
    // SAFETY: only the value is looked at, and at once.
    let Some(&kind) = (unsafe { FAMILY.get(process) }) else {
        return 0;
    };
    if kind != TARGET {
        let _gone = FAMILY.remove(process);
    }
    // SAFETY: takes nothing, gives two numbers in one.
    let initial = (unsafe { bpf_get_current_pid_tgid() } >> 32) as u32;
    if !tell(EXECUTED, process, initial, 0) {
        miss();
    }
    0
}

/// `sched_process_exit(task)`, in the context of the thread that exits: its id is nobody else's
/// before it has left the family with the last of its threads.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn exited(_ctx: RawTracePointContext) -> i32 {
    let process = current();
    // SAFETY: only whether it is there is looked at.
    if unsafe { FAMILY.get(process) }.is_none() {
        return 0;
    }
    // SAFETY: takes nothing, gives a pointer that is only read with.
    let signal = read_word(unsafe { bpf_get_current_task() }, layout!(signal));
    if read_half(signal, layout!(live)) == 0 {
        let _gone = FAMILY.remove(process);
    }
    0
}

/// Id of the process that runs, in the tracer's pid namespace; 0: it is not in there.
#[inline(always)]
fn current() -> u32 {
    if settings().pid_ns_ino == 0 {
        // SAFETY: takes nothing, gives two numbers in one.
        return (unsafe { bpf_get_current_pid_tgid() } >> 32) as u32;
    }
    // The kernel's helper knows only of processes whose own namespace it is, not of those in
    // namespaces below.
    // SAFETY: takes nothing, gives a pointer that is only read with.
    let leader = read_word(unsafe { bpf_get_current_task() }, layout!(group_leader));
    number_in_namespace(read_word(leader, layout!(thread_pid)))
}

/// The number that a `struct pid` has in the tracer's namespace; 0: none.
#[inline(never)]
fn number_in_namespace(pid: u64) -> u32 {
    let wanted = settings().pid_ns_ino as u32;
    let level = read_half(pid, layout!(level));
    for at in 0..MAX_LEVELS {
        if at > level {
            break;
        }
        let number = pid
            .wrapping_add(u64::from(layout!(numbers)))
            .wrapping_add(u64::from(at) * UPID);
        let namespace = read_word(number.wrapping_add(UPID_NAMESPACE), 0);
        if read_half(namespace, layout!(inum)) == wanted {
            return read_half(number, 0);
        }
    }
    0
}

/// 8 bytes of the kernel's; 0 when they cannot be read.
#[inline(never)]
fn read_word(base: u64, offset: u32) -> u64 {
    let mut word = 0_u64;
    let from = base.wrapping_add(u64::from(offset));
    // SAFETY: `word` has 8 bytes; the kernel checks where it reads.
    unsafe { bpf_probe_read_kernel((&raw mut word).cast(), 8, from as *const _) };
    word
}

/// 4 bytes of the kernel's; 0 when they cannot be read.
#[inline(never)]
fn read_half(base: u64, offset: u32) -> u32 {
    let mut half = 0_u32;
    let from = base.wrapping_add(u64::from(offset));
    // SAFETY: `half` has 4 bytes; the kernel checks where it reads.
    unsafe { bpf_probe_read_kernel((&raw mut half).cast(), 4, from as *const _) };
    half
}

#[inline(always)]
fn tell(kind: u32, process: u32, initial: u32, parent: u32) -> bool {
    let Some(mut message) = MESSAGES.reserve::<FamilyMessage>(0) else {
        return false;
    };
    message.write(FamilyMessage {
        kind,
        process,
        initial,
        parent,
        ktime_ns: now(),
    });
    message.submit(0);
    true
}

#[inline(always)]
fn miss() {
    if let Some(missed) = MISSED.get(0) {
        atomic::add(missed, 1);
    }
}
