//! The kernel side: one static machine that runs capture programs.
//!
//! Userspace writes ops, sites and limits into maps (see `tracer-common`); each
//! attached site carries its index as the attach cookie. The program is
//! verified once, when it is loaded, so that no probe can fail in the verifier.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod atomic;
mod machine;
mod maps;
mod memory;
mod outcome;
mod step;
mod tally;

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::pt_regs;
use aya_ebpf::helpers::generated::bpf_get_attach_cookie;
use aya_ebpf::macros::uprobe;
use aya_ebpf::programs::ProbeContext;

/// A site was hit.
#[uprobe(sleepable)]
pub fn hit(ctx: ProbeContext) -> u32 {
    // SAFETY: the context is the one that the kernel gave to this program.
    let cookie = unsafe { bpf_get_attach_cookie(ctx.as_ptr()) };
    machine::hit(ctx.as_ptr().cast::<pt_regs>(), cookie as u32);
    0
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
