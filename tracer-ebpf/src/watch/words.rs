//! The words of a watched value at a hit.

use aya_ebpf::macros::map;
use aya_ebpf::maps::PerCpuArray;
use tracer_common::op::{ACCESS, NEW_WORDS, OLD_WORDS};
use tracer_common::watch::{WORDS, WatchKey};

use crate::maps::ScratchArea;

/// The words of the hit that this CPU runs.
#[repr(C)]
pub struct WordsOfHit {
    /// The value after the access.
    pub new: [u64; WORDS],
    /// The value before it.
    pub old: [u64; WORDS],
    /// Its kind, see [`tracer_common::watch::BY_PROGRAM`].
    pub access: u64,
    /// Output of helpers.
    pub word: u64,
    /// The breakpoint.
    pub key: WatchKey,
}

/// One for each CPU.
#[map(name = "WORDS_OF_HIT")]
pub static WORDS_OF_HIT: PerCpuArray<WordsOfHit> = PerCpuArray::with_max_entries(1, 0);

/// Copies the words of the hit to the machine registers.
#[inline(never)]
pub fn put(area: &mut ScratchArea) {
    let Some(words) = WORDS_OF_HIT.get_ptr(0) else {
        return;
    };
    // SAFETY: only this hit uses the words of this CPU, see above.
    let words = unsafe { &*words };
    for index in 0..WORDS {
        area.registers[NEW_WORDS as usize + index] = words.new[index];
        area.registers[OLD_WORDS as usize + index] = words.old[index];
    }
    area.registers[ACCESS as usize] = words.access;
}
