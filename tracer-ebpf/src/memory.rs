//! Reads of the target's memory. None of them waits for a page.

pub mod missed;

use aya_ebpf::helpers::generated::{bpf_probe_read_user, bpf_probe_read_user_str};

/// Reads `length` bytes at `address` to `to`. Returns false if a page is not in memory or not
/// mapped.
///
/// # Safety
/// `to` must have room for `length` bytes, and the verifier must be able to see that.
#[inline(always)]
pub unsafe fn read_user(to: *mut u8, length: u32, address: u64) -> bool {
    // SAFETY: the caller vouches for `to`. The kernel checks the address, which may be any number.
    unsafe { bpf_probe_read_user(to.cast(), length, address as *const _) == 0 }
}

/// Reads a zero-terminated string with its zero, at most `length` bytes.
///
/// Returns the number of bytes that were written, or a negative number.
///
/// # Safety
/// As for [`read_user`].
#[inline(always)]
pub unsafe fn read_user_string(to: *mut u8, length: u32, address: u64) -> i64 {
    // SAFETY: the caller vouches for `to`. The kernel checks the address, which may be any number.
    unsafe { bpf_probe_read_user_str(to.cast(), length, address as *const _) }
}
