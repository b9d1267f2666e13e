//! The clock, the ring, and opaque pointers: functions that all parts of the machine share.

use core::arch::asm;

use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_ringbuf_query};
use tracer_common::control::ProbeState;
use tracer_common::limits::SAMPLED;
use tracer_common::record::RecordHeader;

use crate::maps::{EVENTS, settings};

/// Submit a record without waking the ring's reader.
pub const NO_WAKEUP: u64 = 1;
const BPF_RB_FORCE_WAKEUP: u64 = 2;
const BPF_RB_AVAIL_DATA: u64 = 0;

/// Returns the pointer, but hides its origin from the compiler.
///
/// The compiler then loads again through the new pointer, instead of keeping loaded values and
/// derived addresses on the stack, which is too small for them.
#[inline(always)]
pub fn anew<T>(pointer: *mut T) -> *mut T {
    let same: *mut T;
    // SAFETY: copies a register. Without an instruction, two source lines would share one
    // instruction, and the kernel refuses such line information.
    unsafe {
        asm!(
            "{same} = {pointer}",
            same = out(reg) same,
            pointer = in(reg) pointer,
            options(nostack, preserves_flags),
        );
    }
    same
}

/// [`anew`] for a reference to a map value.
#[inline(always)]
pub fn anew_ref<T>(value: &T) -> &T {
    // SAFETY: the pointer comes from a reference with the same lifetime.
    unsafe { &*anew(core::ptr::from_ref(value).cast_mut()) }
}

/// The time, in ns of `CLOCK_MONOTONIC`. Reading it costs more than anything else in a small hit.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper takes no arguments.
    unsafe { bpf_ktime_get_ns() }
}

/// True for one hit in [`SAMPLED`], from the first on. Only these do the work that is too expensive
/// for every hit.
#[inline(always)]
pub fn is_sampled(number: u64) -> bool {
    number & (SAMPLED - 1) == 1
}

/// The ring for records.
#[inline(always)]
pub fn ring() -> *mut core::ffi::c_void {
    core::ptr::from_ref(&EVENTS).cast_mut().cast()
}

/// Flags to submit this hit's record with: wake the ring's reader only if the ring fills.
#[inline(always)]
pub fn wake(number: u64) -> u64 {
    // SAFETY: the helper reads a number of our ring.
    if is_sampled(number)
        && unsafe { bpf_ringbuf_query(ring(), BPF_RB_AVAIL_DATA) } > settings().wake_mark
    {
        BPF_RB_FORCE_WAKEUP
    } else {
        NO_WAKEUP
    }
}

/// Writes into a record how many hits have been left out so far.
#[inline(always)]
pub fn say_left_out(header: &mut RecordHeader, state: &ProbeState) {
    header.limited = state.limited as u32;
    header.lost = state.lost as u32;
}
