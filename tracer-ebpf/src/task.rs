//! Which thread it is that hits.

use core::arch::asm;

use aya_ebpf::bindings::bpf_pidns_info;
use aya_ebpf::helpers::generated::{
    bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_current_task_btf,
    bpf_get_ns_current_pid_tgid,
};
use tracer_common::control::{TASK_COMM, TASK_PID, TASK_TGID};
use tracer_common::record::RecordHeader;

use crate::maps::settings;

/// Loads a member of `task_struct` by the number that stands for its offset until the loader
/// has put the running kernel's own there. The verifier knows the type, and checks it; the kernel
/// guards the load, which gives 0 for what is no memory.
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

/// Puts ids and name of the thread into a record's header. A helper may need `word`.
///
/// Of each call to a helper the half is the return, which mitigations make dear: so all is taken
/// from the task itself, in one, where the loader knows its members.
#[inline(always)]
pub fn describe(header: *mut RecordHeader, word: *mut u64) {
    let settings = settings();
    // SAFETY: the caller's header; its name has 16 bytes and is aligned for two words. The loads
    // are of the kernel's own task.
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

/// Process and thread id in the tracer's pid namespace, in the high and the low half.
#[inline(always)]
pub fn ids(word: *mut u64) -> u64 {
    let settings = settings();
    if settings.pid_ns_ino != 0 {
        let (dev, ino) = (settings.pid_ns_dev, settings.pid_ns_ino);
        let ids = word.cast::<bpf_pidns_info>();
        // SAFETY: the word has the size of `bpf_pidns_info`, thread before process.
        unsafe {
            if bpf_get_ns_current_pid_tgid(dev, ino, ids, 8) == 0 {
                return *word;
            }
        }
    }
    // SAFETY: takes nothing, gives two numbers in one.
    unsafe { bpf_get_current_pid_tgid() }
}
