//! Programs that `cargo xtask bench` compares with `tracer`: written by hand for one target, each
//! the smallest one for its task.
//!
//! The probed function is `probed(int left, int right, …)`, with its arguments in `rdi` and `rsi`.
#![no_std]
#![no_main]

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::pt_regs;
use aya_ebpf::helpers::generated::{bpf_get_current_pid_tgid, bpf_ktime_get_ns};
use aya_ebpf::macros::{map, perf_event, uprobe};
use aya_ebpf::maps::{PerCpuArray, RingBuf};
use aya_ebpf::programs::{PerfEventContext, ProbeContext};

/// The reader looks every few milliseconds, like tracer's. Nothing wakes it.
const NO_WAKEUP: u64 = 1;
/// An argument that the target never passes.
const NEVER: i32 = -1;

/// The record of one hit, which `xtask/src/bench/programs.rs` reads.
#[repr(C)]
struct Record {
    /// Time of `CLOCK_MONOTONIC`.
    ktime_ns: u64,
    /// Process id and thread id.
    id: u64,
    left: i32,
    right: i32,
}

/// Size of the ring, as large as tracer's.
#[map(name = "EVENTS")]
static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 26, 0);

/// Counters: hits at 0, events without room at 1.
#[map(name = "COUNTS")]
static COUNTS: PerCpuArray<u64> = PerCpuArray::with_max_entries(2, 0);

/// Does nothing: the lower bound of any observer.
#[uprobe]
pub fn empty(_: ProbeContext) -> u32 {
    0
}

/// Does nothing at a watchpoint.
#[perf_event]
pub fn empty_event(_: PerfEventContext) -> u32 {
    0
}

/// Logs two integers.
#[uprobe]
pub fn log2(ctx: ProbeContext) -> u32 {
    send(registers(&ctx));
    0
}

/// Logs two integers if the first one has a value that never occurs.
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

/// The kernel gives most helpers only to programs under the GPL.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
