//! Failed reads: finds out the reason, and tells userspace, which has the page brought in.
//!
//! None of this runs for a read that succeeds.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{
    bpf_find_vma, bpf_get_current_task_btf, bpf_probe_read_kernel, bpf_ringbuf_output,
};
use aya_ebpf::macros::map;
use aya_ebpf::maps::RingBuf;
use tracer_common::limits::MISSES_BYTES;
use tracer_common::record::{CHUNK_ABSENT, CHUNK_FAULT, CHUNK_UNREAD, FLAG_FAULT, Miss};

use crate::arch::PAGE;
use crate::base::NO_WAKEUP;
use crate::maps::{ScratchArea, settings};
use crate::task;

/// Flag of a readable mapping (`VM_READ`).
const READABLE: u64 = 1;
/// Placeholder for flags that are not known. No mapping has all flags.
const UNKNOWN: u64 = u64::MAX;
/// The kernel's answer if there is no mapping.
const ENOENT: i64 = -2;

/// Failed reads, for userspace. A miss that finds no room is dropped.
#[map(name = "MISSES")]
static MISSES: RingBuf = RingBuf::with_byte_size(MISSES_BYTES, 0);

/// Notes why `length` bytes at `address` could not be read, and returns the reason.
///
/// The reason is [`CHUNK_ABSENT`] if the first and the last byte are in mappings that the target
/// may read, so only a page is not in memory. It is [`CHUNK_UNREAD`] if the mappings are changing
/// at this moment, and [`CHUNK_FAULT`] otherwise.
#[inline(never)]
pub fn missed(area: &mut ScratchArea, address: u64, length: u32) -> u32 {
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

/// Gets the flags of the mapping at an address. Never waits: while the mappings change, the
/// kernel's answer is an error.
#[inline(always)]
fn find(address: u64, flags: &mut u64) -> i64 {
    // SAFETY: the callback has the signature that the kernel expects, and gets the flags.
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

/// The kernel calls this with the mapping that it found.
unsafe extern "C" fn mapping(_task: *mut c_void, mapping: u64, flags: *mut u64) -> i64 {
    let offset = settings().vma_flags;
    if offset != 0 {
        // SAFETY: `flags` has 8 bytes. The offset comes from the running kernel's BTF, and the
        // kernel checks the address.
        unsafe {
            bpf_probe_read_kernel(flags.cast(), 8, mapping.wrapping_add(offset) as *const _);
        }
    }
    0
}

/// Sends the address to userspace.
#[inline(always)]
fn tell(area: &mut ScratchArea, address: u64, length: u32) {
    let process = (task::ids(&raw mut area.word) >> 32) as u32;
    area.miss = Miss {
        address,
        length,
        process,
    };
    // SAFETY: our ring, and a whole `Miss`. If the ring has no room, the miss is dropped.
    unsafe {
        bpf_ringbuf_output(
            core::ptr::from_ref(&MISSES).cast_mut().cast(),
            (&raw mut area.miss).cast(),
            size_of::<Miss>() as u64,
            NO_WAKEUP,
        );
    }
}
