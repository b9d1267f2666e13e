//! The map of members: the processes whose hits count, and the messages about them.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, RingBuf};
use tracer_common::forks::FamilyMessage;
use tracer_common::limits::MAX_PROCESSES;
use tracer_common::selection::{FAMILY, Member, NO_CGROUP, NO_USER, SelectionSettings};

use crate::atomic;
use crate::base::now;

/// Insert only a key that is not in the map (`BPF_NOEXIST`).
const NEW_ONLY: u64 = 1;
/// The kernel's answer if the key is in the map.
const EEXIST: i32 = -17;

/// Processes by their id in the tracer's pid namespace. The loader sets the size.
#[map(name = "MEMBERS")]
pub static MEMBERS: HashMap<u32, Member> = HashMap::with_max_entries(MAX_PROCESSES, 0);

/// Messages about members. The loader sets the size.
#[map(name = "MEMBER_MESSAGES")]
static MESSAGES: RingBuf = RingBuf::with_byte_size(1 << 12, 0);

/// Number of processes and of hits that were missed.
#[map(name = "MEMBERS_MISSED")]
static MISSED: Array<u64> = Array::with_max_entries(2, 0);
/// Index of the number of processes.
const PROCESSES: u32 = 0;
/// Index of the number of hits.
const HITS: u32 = 1;

/// The choice of processes, written by the loader.
#[unsafe(no_mangle)]
static SELECTION: SelectionSettings = SelectionSettings {
    mode: FAMILY,
    kinds: 0,
};

/// The choice of processes; constants for the verifier.
#[inline(always)]
pub fn selection() -> SelectionSettings {
    // SAFETY: a static of plain numbers. The read is volatile because the loader changes it.
    unsafe { core::ptr::read_volatile(&raw const SELECTION) }
}

/// True if the process is in the map.
#[inline(always)]
pub fn contains(process: u32) -> bool {
    // SAFETY: the value is not read.
    unsafe { MEMBERS.get(process) }.is_some()
}

/// The flags of a member.
#[inline(always)]
pub fn flags(process: u32) -> Option<u32> {
    // SAFETY: the value is read at once. Only userspace removes the entry of a running process.
    unsafe { MEMBERS.get(process) }.map(|member| member.flags)
}

/// A change of a process, for its message.
#[derive(Clone, Copy)]
pub struct Change {
    /// Its kind.
    pub kind: u32,
    /// The process in the tracer's pid namespace.
    pub process: u32,
    /// The process in the initial pid namespace.
    pub initial: u32,
    /// Its parent in the tracer's pid namespace.
    pub parent: u32,
}

/// How a process joined.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// It is a member, and userspace has the message.
    Now,
    /// Another thread of it was faster.
    Before,
    /// There is no room in the map or in the ring of messages.
    No,
}

/// Adds a process to the map and sends a message about it. A process that is in the map stays as it
/// is, and no message is sent.
#[inline(never)]
pub fn join(flags: u32, change: &Change) -> Joined {
    let member = Member {
        flags,
        user: NO_USER,
        cgroup: NO_CGROUP,
    };
    match MEMBERS.insert(change.process, member, NEW_ONLY) {
        Ok(()) if send(change) => Joined::Now,
        Ok(()) => {
            leave(change.process);
            Joined::No
        }
        Err(EEXIST) => Joined::Before,
        Err(_) => Joined::No,
    }
}

/// Removes a process from the map, if it is there.
#[inline(always)]
pub fn leave(process: u32) {
    let _gone = MEMBERS.remove(process);
}

/// Sends a message. Returns false if the ring has no room.
#[inline(never)]
pub fn send(change: &Change) -> bool {
    let Some(mut message) = MESSAGES.reserve::<FamilyMessage>(0) else {
        return false;
    };
    message.write(FamilyMessage {
        kind: change.kind,
        process: change.process,
        initial: change.initial,
        parent: change.parent,
        ktime_ns: now(),
    });
    message.submit(0);
    true
}

/// Counts a process that has no probes, or whose change userspace does not learn of.
#[inline(always)]
pub fn miss_process() {
    if let Some(missed) = MISSED.get(PROCESSES) {
        atomic::add(missed, 1);
    }
}

/// Counts a hit of a process that matches the rules and found no room.
#[inline(always)]
pub fn miss_hit() {
    if let Some(missed) = MISSED.get(HITS) {
        atomic::add(missed, 1);
    }
}
