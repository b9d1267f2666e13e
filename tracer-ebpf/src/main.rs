//! The kernel side: one static machine that runs capture programs.
//!
//! Userspace writes ops, sites and limits into maps (see `tracer-common`). The attach cookie of a
//! site is its index in the map of sites. The programs are verified once, when they are loaded, so
//! no probe can fail in the verifier.
//!
//! # No waiting
//!
//! A hit never waits. A page of the target may never come: it can belong to userfaultfd, to a FUSE
//! file system or to a dead server. A program that waits for it stops the target's thread, and
//! holds up the end of every uprobe link on the machine, because the kernel waits for all sleepable
//! programs. Checking the mapping first does not help, because another thread can change it before
//! the read. So no program here is sleepable, and the verifier refuses every helper that sleeps.
//! A read of a page that is not in memory fails. Userspace learns the address (see `missed`), and
//! has the page brought in for the next hit.
//!
//! # Stack
//!
//! No function here may use 49 bytes of stack or more. Linux 6.13 and newer give a larger function
//! a *private stack*. There is one for each CPU, made for programs that end before another begins.
//! But the kernel can preempt a uprobe program and run another one on the same CPU. Two hits on one
//! private stack overwrite each other's pointers, and then write to wrong addresses, the target's
//! registers included. So rare code is in functions of its own (`#[inline(never)]`), helpers write
//! to the scratch area, and a test of the loader measures the stack of each function.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod accounts;
mod arch;
mod atomic;
mod base;
mod calls;
mod diagnostics;
mod fetch;
mod guard;
mod machine;
mod maps;
mod memory;
mod numbers;
mod outcome;
mod processes;
mod rates;
mod step;
mod tally;
mod task;
mod watch;

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::generated::bpf_get_attach_cookie;
use aya_ebpf::macros::{perf_event, uprobe};
use aya_ebpf::programs::{PerfEventContext, ProbeContext};

use crate::arch::TargetRegisters;

/// Runs the site of the attach cookie.
#[inline(always)]
fn run<const WHOLE: bool, const COMPUTES: bool>(ctx: &ProbeContext) -> u32 {
    // SAFETY: the kernel gave this context to this program.
    let cookie = unsafe { bpf_get_attach_cookie(ctx.as_ptr()) };
    machine::hit::<WHOLE, COMPUTES>(ctx.as_ptr().cast::<TargetRegisters>(), cookie as u32);
    0
}

/// For sites with any plan that does not need [`computing`].
#[uprobe]
pub fn hit(ctx: ProbeContext) -> u32 {
    run::<true, false>(&ctx)
}

/// For sites whose plan only fetches or counts.
#[uprobe]
pub fn plain(ctx: ProbeContext) -> u32 {
    run::<false, false>(&ctx)
}

/// For sites whose plan computes with floats, or multiplies, divides or shifts integers of 128
/// bits.
#[uprobe]
pub fn computing(ctx: ProbeContext) -> u32 {
    run::<true, true>(&ctx)
}

/// [`hit`], for sites in all processes that run their file. Returns at once in a process that is not
/// a member.
#[uprobe]
pub fn hit_of(ctx: ProbeContext) -> u32 {
    if processes::is_member() {
        run::<true, false>(&ctx)
    } else {
        0
    }
}

/// [`plain`], for such sites.
#[uprobe]
pub fn plain_of(ctx: ProbeContext) -> u32 {
    if processes::is_member() {
        run::<false, false>(&ctx)
    } else {
        0
    }
}

/// [`computing`], for such sites.
#[uprobe]
pub fn computing_of(ctx: ProbeContext) -> u32 {
    if processes::is_member() {
        run::<true, true>(&ctx)
    } else {
        0
    }
}

/// For sites of watched values, at each access.
#[perf_event]
pub fn watched(ctx: PerfEventContext) -> u32 {
    watch::hit::<false>(ctx.as_ptr());
    0
}

/// [`watched`], for plans that need [`computing`].
#[perf_event]
pub fn watched_computing(ctx: PerfEventContext) -> u32 {
    watch::hit::<true>(ctx.as_ptr());
    0
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
