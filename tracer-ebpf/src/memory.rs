//! Reads of the target's memory. None of them waits for a page.

use aya_ebpf::helpers::generated::{bpf_probe_read_user, bpf_probe_read_user_str};

/// Reads `length` bytes at `address` to `to`; false when a page of them is not in memory, or is
/// not mapped.
///
/// # Safety
/// `to` must have room for `length` bytes, in a way that the verifier can see.
#[inline(always)]
pub unsafe fn read_user(to: *mut u8, length: u32, address: u64) -> bool {
    // SAFETY: the caller's; the address is the target's, and may be anything.
    unsafe { bpf_probe_read_user(to.cast(), length, address as *const _) == 0 }
}

/// Reads a zero-terminated string with its zero; `length` bounds it, the zero included.
/// Gives the bytes that were written, or a negative number.
///
/// # Safety
/// As for [`read_user`].
#[inline(always)]
pub unsafe fn read_user_string(to: *mut u8, length: u32, address: u64) -> i64 {
    // SAFETY: the caller's; the address is the target's, and may be anything.
    unsafe { bpf_probe_read_user_str(to.cast(), length, address as *const _) }
}
