//! What `cargo xtask bench` measures `tracer` against: programs written by hand for
//! one target, each the least that does its task.
//!
//! The probed function is `probed(int left, int right, …)`: its arguments are in `rdi`
//! and `rsi`.
#![no_std]
#![no_main]

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::pt_regs;
use aya_ebpf::helpers::generated::{bpf_get_current_pid_tgid, bpf_ktime_get_ns};
use aya_ebpf::macros::{map, uprobe};
use aya_ebpf::maps::{PerCpuArray, RingBuf};
use aya_ebpf::programs::ProbeContext;

/// The reader looks every few milliseconds, as tracer's does: nobody is woken.
const NO_WAKEUP: u64 = 1;
/// An argument that the target never passes.
const NEVER: i32 = -1;

/// What one hit sends; `xtask/src/bench/programs.rs` reads it back.
#[repr(C)]
struct Record {
    /// Of `CLOCK_MONOTONIC`.
    ktime_ns: u64,
    /// Process and thread.
    id: u64,
    left: i32,
    right: i32,
}

/// As large as tracer's.
#[map(name = "EVENTS")]
static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 26, 0);

/// Hits at 0, events that found no room at 1.
#[map(name = "COUNTS")]
static COUNTS: PerCpuArray<u64> = PerCpuArray::with_max_entries(2, 0);

/// The limit of what is possible: a program that does nothing.
#[uprobe]
pub fn empty(_: ProbeContext) -> u32 {
    0
}

/// Logs two integers.
#[uprobe]
pub fn log2(ctx: ProbeContext) -> u32 {
    send(registers(&ctx));
    0
}

/// Logs two integers if the first is one that never comes.
#[uprobe]
pub fn rejected(ctx: ProbeContext) -> u32 {
    let registers = registers(&ctx);
    if registers.rdi as i32 == NEVER {
        send(registers);
    }
    0
}

/// Counts hits.
#[uprobe]
pub fn hits(_: ProbeContext) -> u32 {
    count(0);
    0
}

#[inline(always)]
fn send(registers: &pt_regs) {
    let Some(mut room) = EVENTS.reserve::<Record>(0) else {
        count(1);
        return;
    };
    // SAFETY: both take nothing and give numbers.
    let (ktime_ns, id) = unsafe { (bpf_ktime_get_ns(), bpf_get_current_pid_tgid()) };
    room.write(Record {
        ktime_ns,
        id,
        left: registers.rdi as i32,
        right: registers.rsi as i32,
    });
    room.submit(NO_WAKEUP);
}

#[inline(always)]
fn registers(ctx: &ProbeContext) -> &pt_regs {
    // SAFETY: the context of a uprobe program is a whole `pt_regs`.
    unsafe { &*ctx.as_ptr().cast::<pt_regs>() }
}

#[inline(always)]
fn count(index: u32) {
    if let Some(count) = COUNTS.get_ptr_mut(index) {
        // SAFETY: a map value of this CPU.
        unsafe { *count += 1 };
    }
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel gives most helpers to programs under the GPL only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
