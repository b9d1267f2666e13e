//! The current process, by the kernel's own data about it.

use aya_ebpf::helpers::generated::{
    bpf_get_current_pid_tgid, bpf_get_current_task, bpf_probe_read_kernel,
};
use tracer_common::forks::{RuleLayout, TaskLayout};

use crate::maps::settings;

/// The most nested pid namespaces (`MAX_PID_NS_LEVEL`).
const MAX_LEVELS: u32 = 32;
/// Size of an `upid` in bytes.
const UPID: u64 = 16;
/// Offset of the namespace in an `upid`.
const UPID_NAMESPACE: u64 = 8;

/// Offsets in the kernel's structs, written by the loader.
#[unsafe(no_mangle)]
pub static TASK_LAYOUT: TaskLayout = TaskLayout {
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

/// Offsets that rules are checked by, written by the loader.
#[unsafe(no_mangle)]
pub static RULE_LAYOUT: RuleLayout = RuleLayout {
    comm: 0,
    real_parent: 0,
    real_cred: 0,
    euid: 0,
    exe_file: 0,
    start_code: 0,
    vm_file: 0,
    f_inode: 0,
    dentry: 0,
    name: 0,
    i_ino: 0,
    i_sb: 0,
    s_dev: 0,
    s_magic: 0,
};

/// One offset; a constant for the verifier.
macro_rules! layout {
    ($field:ident) => {
        // SAFETY: a static of plain numbers; volatile, since the loader changes it.
        unsafe {
            core::ptr::read_volatile(&raw const $crate::processes::running::TASK_LAYOUT.$field)
        }
    };
}
pub(crate) use layout;

/// One offset for rules; a constant for the verifier.
macro_rules! rule {
    ($field:ident) => {
        // SAFETY: a static of plain numbers; volatile, since the loader changes it.
        unsafe {
            core::ptr::read_volatile(&raw const $crate::processes::running::RULE_LAYOUT.$field)
        }
    };
}
pub(crate) use rule;

/// Id of the current process in the tracer's pid namespace; 0 if it has none there.
#[inline(always)]
pub fn current() -> u32 {
    if settings().pid_ns_ino == 0 {
        return initial();
    }
    // `bpf_get_ns_current_pid_tgid` fails for processes in nested namespaces, so it is no use here.
    number_in_namespace(read_word(leader(), layout!(thread_pid)))
}

/// Id of the current process in the initial pid namespace.
#[inline(always)]
pub fn initial() -> u32 {
    // SAFETY: the helper takes no arguments.
    (unsafe { bpf_get_current_pid_tgid() } >> 32) as u32
}

/// The `task_struct` of the current thread, for reads alone.
#[inline(always)]
pub fn thread() -> u64 {
    // SAFETY: the helper takes no arguments.
    unsafe { bpf_get_current_task() }
}

/// The `task_struct` of the first thread of the current process. It stays until the last thread
/// has ended.
#[inline(always)]
pub fn leader() -> u64 {
    read_word(thread(), layout!(group_leader))
}

/// The process of a `task_struct` in the tracer's pid namespace; 0 if it has none there.
#[inline(always)]
pub fn number_of(task: u64) -> u32 {
    if settings().pid_ns_ino == 0 {
        return read_half(task, layout!(tgid));
    }
    let leader = read_word(task, layout!(group_leader));
    number_in_namespace(read_word(leader, layout!(thread_pid)))
}

/// The id of a `struct pid` in the tracer's namespace; 0 if it has none there.
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

/// Reads 8 bytes of kernel memory; 0 if they cannot be read.
#[inline(never)]
pub fn read_word(base: u64, offset: u32) -> u64 {
    let mut word = 0_u64;
    let from = base.wrapping_add(u64::from(offset));
    // SAFETY: `word` has 8 bytes; the kernel checks the address.
    unsafe { bpf_probe_read_kernel((&raw mut word).cast(), 8, from as *const _) };
    word
}

/// Reads 4 bytes of kernel memory; 0 if they cannot be read.
#[inline(never)]
pub fn read_half(base: u64, offset: u32) -> u32 {
    let mut half = 0_u32;
    let from = base.wrapping_add(u64::from(offset));
    // SAFETY: `half` has 4 bytes; the kernel checks the address.
    unsafe { bpf_probe_read_kernel((&raw mut half).cast(), 4, from as *const _) };
    half
}
