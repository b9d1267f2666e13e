//! Offsets of members of the kernel's structs.

use std::sync::OnceLock;

use tracer_common::control::NEEDS_THREAD_POINTER;

use crate::arch::THREAD_POINTER_FIELD;
use crate::kernel::btf::{KernelBtf, member_offset, member_offsets, nested_offset};

/// Bytes from the start of `task_struct` to a thread's `fs_base`. 0 if the site's flags do not ask
/// for it, or if the kernel's BTF does not have it.
pub(in crate::kernel) fn thread_pointer(flags: u32) -> u32 {
    static OFFSET: OnceLock<u32> = OnceLock::new();
    if flags & NEEDS_THREAD_POINTER == 0 {
        return 0;
    }
    // Read for the first thread-local, since the kernel's BTF has some megabytes.
    *OFFSET.get_or_init(|| {
        let btf = KernelBtf::open().ok();
        let member = |name, member| member_offset(btf.as_ref()?, name, member);
        let thread = member("task_struct", "thread");
        thread
            .zip(member("thread_struct", THREAD_POINTER_FIELD))
            .and_then(|(thread, base)| thread.checked_add(base))
            .unwrap_or(0)
    })
}

/// Offsets of the kernel structs' members that the programs read.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::kernel) struct KernelLayout {
    /// Members of `task_struct`: `tgid`, `pid` and `comm`. `None` if the kernel's BTF does not have
    /// them.
    pub(in crate::kernel) task: Option<[u32; 3]>,
    /// The flags of `vm_area_struct`; 0 if the kernel's BTF does not have them.
    pub(in crate::kernel) vma_flags: u32,
}

impl KernelLayout {
    pub(in crate::kernel) fn read() -> Self {
        let Ok(btf) = KernelBtf::open() else {
            return Self::default();
        };
        Self {
            task: member_offsets(&btf, "task_struct", ["tgid", "pid", "comm"]),
            vma_flags: nested_offset(&btf, "vm_area_struct", "vm_flags").unwrap_or(0),
        }
    }
}
