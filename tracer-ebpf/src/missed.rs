//! Reads that failed: why, and word of it to userspace, which has the page brought in.
//!
//! Nothing here runs for a read that succeeds.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{
    bpf_find_vma, bpf_get_current_task_btf, bpf_probe_read_kernel, bpf_ringbuf_output,
};
use aya_ebpf::macros::map;
use aya_ebpf::maps::RingBuf;
use tracer_common::limits::MISSES_BYTES;
use tracer_common::record::{CHUNK_ABSENT, CHUNK_FAULT, CHUNK_UNREAD, FLAG_FAULT, Miss};

use crate::machine::NO_WAKEUP;
use crate::maps::{Scratch, settings};
use crate::task;

/// The mapping may be read (`VM_READ`).
const READABLE: u64 = 1;
/// A placeholder for a mapping's flags until they are known; no mapping has all of them.
const UNKNOWN: u64 = u64::MAX;
/// The kernel's answer when there is no mapping.
const ENOENT: i64 = -2;
const PAGE: u64 = 4096;

/// Reads that failed, for userspace. A miss that finds no room is left out.
#[map(name = "MISSES")]
static MISSES: RingBuf = RingBuf::with_byte_size(MISSES_BYTES, 0);

/// `length` bytes at `address` could not be read: notes why, and gives that status.
///
/// [`CHUNK_ABSENT`] where all of them lie in mappings that the target may read, so that only the
/// page is not there; [`CHUNK_FAULT`] where they do not; [`CHUNK_UNREAD`] where the mappings are
/// changing just now.
#[inline(never)]
pub fn missed(area: &mut Scratch, address: u64, length: u32) -> u32 {
    let mut flags = UNKNOWN;
    let mut found = find(address, &mut flags);
    let last = address.wrapping_add(u64::from(length)).wrapping_sub(1);
    if found == 0 && flags & READABLE != 0 && (last ^ address) & !(PAGE - 1) != 0 {
        flags = UNKNOWN;
        found = find(last, &mut flags);
    }
    let status = if found != ENOENT && flags == UNKNOWN {
        CHUNK_UNREAD
    } else if found != ENOENT && flags & READABLE != 0 {
        CHUNK_ABSENT
    } else {
        CHUNK_FAULT
    };
    area.flags |= FLAG_FAULT;
    area.fault = u32::from(status);
    // Userspace cannot bring in memory that is not mapped or not readable.
    if status != CHUNK_FAULT {
        tell(area, address, length);
    }
    area.fault
}

/// Asks for the flags of the mapping at an address. Waits for nothing: while the mappings
/// change, the answer is an error.
#[inline(always)]
fn find(address: u64, flags: &mut u64) -> i64 {
    // SAFETY: the callback has the shape that the kernel asks for, and gets the flags.
    unsafe {
        bpf_find_vma(
            bpf_get_current_task_btf(),
            address,
            mapping as *mut c_void,
            core::ptr::from_mut(flags).cast(),
            0,
        )
    }
}

/// The kernel has found the mapping.
unsafe extern "C" fn mapping(_task: *mut c_void, mapping: u64, flags: *mut u64) -> i64 {
    let offset = settings().vma_flags;
    if offset != 0 {
        // SAFETY: the kernel hands on the address of 8 bytes. The offset is the running kernel's
        // own, from its BTF.
        unsafe {
            bpf_probe_read_kernel(flags.cast(), 8, mapping.wrapping_add(offset) as *const _);
        }
    }
    0
}

/// Tells userspace.
#[inline(always)]
fn tell(area: &mut Scratch, address: u64, length: u32) {
    let process = (task::ids(&raw mut area.word) >> 32) as u32;
    area.miss = Miss {
        address,
        length,
        process,
    };
    // SAFETY: the ring, and a whole miss. One that has no room is left out.
    unsafe {
        bpf_ringbuf_output(
            core::ptr::from_ref(&MISSES).cast_mut().cast(),
            (&raw mut area.miss).cast(),
            size_of::<Miss>() as u64,
            NO_WAKEUP,
        );
    }
}
