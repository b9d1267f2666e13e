//! The kernel side: one static machine that runs capture programs.
//!
//! Userspace writes ops, sites and limits into maps (see `tracer-common`); each
//! attached site carries its index as the attach cookie. The program is
//! verified once, when it is loaded, so that no probe can fail in the verifier.
//!
//! # No waiting
//!
//! A hit never waits. A page of the target may never come: it can belong to userfaultfd, to a FUSE
//! file system or to a dead server. A program that waits for it stops the target's thread, and holds
//! up the end of every uprobe link on the machine, because the kernel waits for all sleepable
//! programs. A look at the mapping first would not help: another thread can change the mapping in
//! between. So no program here is sleepable, and the verifier refuses every helper that sleeps.
//! A read of a page that is not in memory fails; userspace is told of it (see `missed`), and has
//! the page brought in for the next hit.
//!
//! # Stack
//!
//! No function here may use 49 bytes of stack or more. Linux 6.13 and newer give a larger one
//! a *private stack*: one for each CPU, made for programs that end before another begins. The kernel
//! can preempt a uprobe program and run another one on the same CPU; two hits on such a stack
//! overwrite each other's pointers, and write where those lead, the target's registers included. So
//! what is rare is a function of its own (`#[inline(never)]`), what helpers write goes to the scratch
//! area, and a test of the loader measures the object.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod atomic;
mod diagnostics;
mod fetch;
mod forks;
mod guard;
mod machine;
mod maps;
mod memory;
mod missed;
mod outcome;
mod registers;
mod step;
mod tally;
mod task;
mod timing;

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::pt_regs;
use aya_ebpf::helpers::generated::bpf_get_attach_cookie;
use aya_ebpf::macros::uprobe;
use aya_ebpf::programs::ProbeContext;

/// Runs the site that the attach cookie names.
#[inline(always)]
fn run<const WHOLE: bool, const COMPUTES: bool>(ctx: &ProbeContext) -> u32 {
    // SAFETY: the context is the one that the kernel gave to this program.
    let cookie = unsafe { bpf_get_attach_cookie(ctx.as_ptr()) };
    machine::hit::<WHOLE, COMPUTES>(ctx.as_ptr().cast::<pt_regs>(), cookie as u32);
    0
}

/// A site was hit.
#[uprobe]
pub fn hit(ctx: ProbeContext) -> u32 {
    run::<true, false>(&ctx)
}

/// A site was hit whose plan fetches or counts, and no more.
#[uprobe]
pub fn plain(ctx: ProbeContext) -> u32 {
    run::<false, false>(&ctx)
}

/// A site was hit whose plan computes with floats, or multiplies, divides or shifts integers of 128 bits.
#[uprobe]
pub fn computing(ctx: ProbeContext) -> u32 {
    run::<true, true>(&ctx)
}

/// The same as `hit` where the site is in all processes that run its file: those that are not of the
/// family are left at once.
#[uprobe]
pub fn hit_of(ctx: ProbeContext) -> u32 {
    if forks::is_member() {
        run::<true, false>(&ctx)
    } else {
        0
    }
}

/// The same as `plain`, likewise.
#[uprobe]
pub fn plain_of(ctx: ProbeContext) -> u32 {
    if forks::is_member() {
        run::<false, false>(&ctx)
    } else {
        0
    }
}

/// The same as `computing`, likewise.
#[uprobe]
pub fn computing_of(ctx: ProbeContext) -> u32 {
    if forks::is_member() {
        run::<true, true>(&ctx)
    } else {
        0
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
