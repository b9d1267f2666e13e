//! Accesses to watched values.
//!
//! The kernel runs the program in the handler of the processor's debug exception, with interrupts off. So no other
//! hit uses the words of this CPU between [`hit`] and [`words::put`].

pub mod words;

use core::arch::asm;
use core::ffi::c_void;

use aya_ebpf::bindings::bpf_perf_event_data;
use aya_ebpf::helpers::generated::{
    bpf_get_current_task_btf, bpf_probe_read_user, bpf_task_pt_regs,
};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap};
use tracer_common::limits::{MAX_WATCHED, MAX_WATCHPOINTS};
use tracer_common::watch::{
    BY_KERNEL, BY_PROGRAM, FRAME_WAS_LEFT, OLD_IS_UNKNOWN, WORDS, WatchKey, WatchedValue,
};

use crate::arch::{self, TargetRegisters};
use crate::atomic;
use crate::machine;
use crate::task;
use crate::watch::words::{WORDS_OF_HIT, WordsOfHit};

/// Indices of the values, by breakpoint.
#[map(name = "WATCHPOINTS")]
static WATCHPOINTS: HashMap<WatchKey, u32> = HashMap::with_max_entries(MAX_WATCHPOINTS, 0);

/// Watched values.
#[map(name = "WATCHED")]
static WATCHED: Array<WatchedValue> = Array::with_max_entries(MAX_WATCHED, 0);

/// Runs the site of the breakpoint that has fired.
#[inline(always)]
pub fn hit<const COMPUTES: bool>(ctx: *mut c_void) {
    let event = ctx.cast::<bpf_perf_event_data>();
    // SAFETY: the kernel gave this context to this program.
    let (address, is_user) = unsafe { ((*event).addr, arch::is_user(&raw const (*event).regs)) };
    let Some(words) = WORDS_OF_HIT.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: only this hit uses the words of this CPU, see above.
    let words = unsafe { &mut *words };
    words.key.address = address;
    words.key.pid = (task::ids(&raw mut words.word) >> 32) as u32;
    // SAFETY: the entry is a number, which is read at once.
    let Some(index) = (unsafe { WATCHPOINTS.get(words.key) }) else {
        return;
    };
    let Some(watched) = WATCHED.get_ptr(*index) else {
        return;
    };
    // SAFETY: a map value. Its words are only changed by atomic exchanges.
    let watched = unsafe { &*watched };
    read(watched, words);
    // SAFETY: the kernel knows the type of both pointers, and the task that runs has registers.
    let registers = unsafe {
        let task = bpf_get_current_task_btf();
        bpf_task_pt_regs(task) as *const TargetRegisters
    };
    words.access = if is_user {
        BY_PROGRAM
    } else {
        match arch::system_call(registers) {
            call if call < 0 => BY_KERNEL,
            call => call as u64,
        }
    };
    if atomic::exchange(&watched.is_known, 1) == 0 {
        words.access |= OLD_IS_UNKNOWN;
    }
    if watched.return_slot != 0 && word_at(watched.return_slot, words) != watched.return_address {
        words.access |= FRAME_WAS_LEFT;
    }
    machine::hit::<true, COMPUTES>(registers, watched.cookie);
}

/// The number, with a bound that the verifier of Linux 6.1 sees: it does not follow a comparison of another register.
#[inline(always)]
fn bounded(length: u32) -> u32 {
    let mut number = u64::from(length);
    // SAFETY: changes a register. The compiler knows that the number is small, and would leave a mask out.
    unsafe { asm!("{number} &= 15", number = inout(reg) number, options(nostack)) };
    number as u32
}

/// A word of the target's memory. 0 if it cannot be read.
#[inline(never)]
fn word_at(address: u64, words: &mut WordsOfHit) -> u64 {
    // SAFETY: a word has 8 bytes. The helper writes zeroes if it cannot read.
    unsafe { bpf_probe_read_user((&raw mut words.word).cast(), 8, address as *const _) };
    words.word
}

/// Reads the value as it is now, and keeps it for the next hit.
#[inline(never)]
fn read(watched: &WatchedValue, words: &mut WordsOfHit) {
    for index in 0..WORDS {
        let begin = 8 * index as u32;
        if begin >= watched.size {
            break;
        }
        let rest = watched.size - begin;
        let length = bounded(if rest < 8 { rest } else { 8 });
        let from = watched.address.wrapping_add(u64::from(begin));
        let into = &mut words.new[index];
        *into = 0;
        // SAFETY: a word has 8 bytes. The helper writes zeroes if it cannot read.
        unsafe { bpf_probe_read_user(core::ptr::from_mut(into).cast(), length, from as *const _) };
        words.old[index] = atomic::exchange(&watched.last[index], *into);
    }
}
