//! Keeps the map of members: forks, executed programs and exits.
//!
//! These programs are loaded only if forks are followed or processes are selected by rules. A
//! process joins before its first instruction, or before the first instruction of a program that
//! matches the rules. It leaves when it executes a program that does not match, or when it exits.
//! Userspace reads a message about each change.
//!
//! In a family, the members are the target and the processes that it forks. A child that executes
//! another program leaves. With rules, a member's children are members, and `selection` decides
//! about each executed program. If the probes are in all processes that run the file, each hit calls
//! [`selection::is_member`] first.

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use tracer_common::forks::{EXECUTED, EXITED, FORKED};
use tracer_common::selection::{BY_PID, CHOSEN, FOLLOWED, RULES, UNMATCHED};

use super::members::{self, Change, Joined, selection};
use super::places;
use super::running::{current, initial, layout, number_of, read_half, read_word, thread};
use super::selection;

/// `sched_process_fork(parent, child)`. It runs in the context of the parent, before the child
/// runs.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn forked(ctx: RawTracePointContext) -> i32 {
    let child: u64 = ctx.arg(1);
    let parent = current();
    let Some(flags) = members::flags(parent) else {
        return 0;
    };
    // Skip threads, and children of `vfork` and `posix_spawn`: these run in the parent's memory
    // until they execute another program. Rules find them at their first hit.
    if read_word(child, layout!(mm)) == read_word(thread(), layout!(mm)) {
        return 0;
    }
    if let Some(flags) = inherited(flags)
        && !join_child(child, parent, flags)
    {
        members::miss_process();
    }
    0
}

/// The flags of a member's child. `None` if it does not join.
#[inline(always)]
fn inherited(flags: u32) -> Option<u32> {
    let choice = selection();
    if choice.mode != RULES {
        return Some(0);
    }
    if flags & UNMATCHED != 0 {
        return None;
    }
    if choice.kinds & BY_PID == 0 {
        return Some(flags & !CHOSEN);
    }
    (flags & FOLLOWED != 0).then_some(FOLLOWED)
}

/// Adds a new process to the members and sends a message about it.
#[inline(never)]
fn join_child(child: u64, parent: u32, flags: u32) -> bool {
    let process = number_of(child);
    if process == 0 {
        return false;
    }
    // An entry of that number belongs to a process that is gone.
    members::leave(process);
    let change = Change {
        kind: FORKED,
        process,
        initial: read_half(child, layout!(tgid)),
        parent,
    };
    places::inherit(parent, process);
    members::join(flags, &change) == Joined::Now
}

/// `sched_process_exec(task, old_pid, binprm)`. It runs in the context of the executing process.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn executed(_ctx: RawTracePointContext) -> i32 {
    let process = current();
    if selection().mode == RULES {
        selection::executed(process);
        return 0;
    }
    let Some(flags) = members::flags(process) else {
        return 0;
    };
    if flags & CHOSEN == 0 {
        members::leave(process);
    }
    let change = Change {
        kind: EXECUTED,
        process,
        initial: initial(),
        parent: 0,
    };
    if !members::send(&change) {
        members::miss_process();
    }
    0
}

/// `sched_process_exit(task)`. It runs in the context of the exiting thread. The last thread takes
/// its process out of the map, before the process id can be used again.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn exited(_ctx: RawTracePointContext) -> i32 {
    let process = current();
    let is_member = members::contains(process);
    let has_rules = selection().mode == RULES;
    let is_known = is_member || (has_rules && selection::is_rejected(process));
    if !is_known {
        return 0;
    }
    let signal = read_word(thread(), layout!(signal));
    if read_half(signal, layout!(live)) != 0 {
        return 0;
    }
    members::leave(process);
    if has_rules {
        places::forget(process);
        selection::forget(process);
        let change = Change {
            kind: EXITED,
            process,
            initial: initial(),
            parent: 0,
        };
        // Userspace notices the end of a process without it, only later.
        let _sent = is_member && members::send(&change);
    }
    0
}
