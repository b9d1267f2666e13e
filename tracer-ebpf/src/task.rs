//! The ids and the name of the thread that hits.

use core::arch::asm;

use aya_ebpf::bindings::bpf_pidns_info;
use aya_ebpf::helpers::generated::{
    bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_current_task_btf,
    bpf_get_ns_current_pid_tgid,
};
use tracer_common::control::{TASK_COMM, TASK_PID, TASK_TGID};
use tracer_common::record::RecordHeader;

use crate::maps::settings;

/// Loads a member of `task_struct`.
///
/// The offset is a placeholder until the loader replaces it by that of the running kernel. The
/// verifier knows the type of the pointer and checks the load. At run time the kernel guards it: a
/// load of an unmapped address returns 0.
macro_rules! member {
    ($task:ident, $width:literal, $offset:expr) => {{
        let value: u64;
        asm!(
            concat!("{value} = *(", $width, " *)({task} + {offset})"),
            value = out(reg) value,
            task = in(reg) $task,
            offset = const $offset,
            options(readonly, nostack, preserves_flags),
        );
        value
    }};
}

/// Writes the thread's ids and name into a record's header. A helper may use `word`.
///
/// The return from a helper is half of its cost, because of mitigations in the processor. So if the
/// loader knows the offsets, all members are loaded from the task itself after one call.
#[inline(always)]
pub fn describe(header: *mut RecordHeader, word: *mut u64) {
    let settings = settings();
    // SAFETY: the header is the caller's. Its name has 16 bytes and is aligned for two words. The
    // loads are from the kernel's `task_struct`.
    unsafe {
        if settings.task_members != 0 {
            let task = bpf_get_current_task_btf();
            (*header).pid = member!(task, "u32", TASK_TGID) as u32;
            (*header).tid = member!(task, "u32", TASK_PID) as u32;
            let name = (&raw mut (*header).comm).cast::<u64>();
            *name = member!(task, "u64", TASK_COMM);
            *name.add(1) = member!(task, "u64", TASK_COMM + 8);
        } else {
            let ids = ids(word);
            (*header).pid = (ids >> 32) as u32;
            (*header).tid = ids as u32;
            bpf_get_current_comm((&raw mut (*header).comm).cast(), 16);
        }
    }
}

/// Process id (high half) and thread id (low half) in the tracer's pid namespace.
#[inline(always)]
pub fn ids(word: *mut u64) -> u64 {
    let settings = settings();
    if settings.pid_ns_ino != 0 {
        let (dev, ino) = (settings.pid_ns_dev, settings.pid_ns_ino);
        let ids = word.cast::<bpf_pidns_info>();
        // SAFETY: the word has the size of `bpf_pidns_info`, which has the thread before the process.
        unsafe {
            if bpf_get_ns_current_pid_tgid(dev, ino, ids, 8) == 0 {
                return *word;
            }
        }
    }
    // SAFETY: the helper takes no arguments.
    unsafe { bpf_get_current_pid_tgid() }
}
