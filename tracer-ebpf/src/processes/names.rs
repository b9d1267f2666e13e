//! Compares the name of the current process with the patterns of the rules.
//!
//! A process has two names: `comm` of its first thread, which the kernel cuts to 15 bytes and which
//! is that of the script for a script, and the name of its executable file. Either may match.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{
    bpf_get_smp_processor_id, bpf_loop, bpf_probe_read_kernel, bpf_probe_read_kernel_str,
};
use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use tracer_common::limits::{GLOB_STEPS, MAX_NAMES, NAME_BYTES, SCRATCH_PER_CPU};
use tracer_common::selection::{GlobCursor, GlobStep, GlobText};

use super::running::{layout, leader, read_word, rule, thread};
use crate::atomic;

/// Size of `comm` in bytes, its zero included.
const COMM: u32 = 16;
/// Last index of a name.
const LAST: u32 = NAME_BYTES as u32 - 1;

/// Patterns, as many as the state of the rules says.
#[map(name = "NAMES")]
static NAMES: Array<GlobText> = Array::with_max_entries(MAX_NAMES, 0);

/// Memory of one comparison. A comparison claims it, because another can preempt it.
#[repr(C)]
struct NameArea {
    /// 1 while a comparison has claimed it.
    busy: u64,
    /// 1 if the name matches.
    matches: u64,
    cursor: GlobCursor,
    /// The name, with a zero at its end.
    text: [u8; NAME_BYTES],
}

/// `SCRATCH_PER_CPU` areas for each CPU. The loader sets the number.
#[map(name = "NAME_AREAS")]
static AREAS: Array<NameArea> = Array::with_max_entries(SCRATCH_PER_CPU, 0);

/// Result of a look at a process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// It does not match.
    No,
    /// It matches.
    Yes,
    /// It could not be looked at.
    Unknown,
}

/// True if a name of the current process matches one of the first `count` patterns.
#[inline(never)]
pub fn current_matches(count: u32) -> Match {
    let Some(area) = claim() else {
        return Match::Unknown;
    };
    let comm = leader().wrapping_add(u64::from(rule!(comm)));
    // SAFETY: the text has more bytes than a `comm`. The kernel checks the address.
    unsafe {
        bpf_probe_read_kernel((&raw mut (*area).text).cast(), COMM, comm as *const _);
        (*area).text[COMM as usize - 1] = 0;
    }
    let mut matches = matches_any(area, count);
    if !matches {
        let name = read_word(dentry(), rule!(name));
        // SAFETY: the text has as many bytes. The kernel checks the address, and ends the text with
        // a zero.
        unsafe {
            let length = NAME_BYTES as u32;
            bpf_probe_read_kernel_str((&raw mut (*area).text).cast(), length, name as *const _);
        }
        matches = matches_any(area, count);
    }
    // SAFETY: a map value, alive for as long as the program runs.
    atomic::store(unsafe { &(*area).busy }, 0);
    if matches { Match::Yes } else { Match::No }
}

/// The directory entry of the executable file.
#[inline(always)]
fn dentry() -> u64 {
    let mm = read_word(thread(), layout!(mm));
    read_word(read_word(mm, rule!(exe_file)), rule!(dentry))
}

/// A comparison, as the kernel's loop passes it on.
struct Comparison {
    area: *mut NameArea,
    pattern: *const GlobText,
}

#[inline(never)]
fn matches_any(area: *mut NameArea, count: u32) -> bool {
    // SAFETY: the area is claimed, and a map value.
    let first = unsafe { (*area).text[0] };
    if first == 0 {
        return false;
    }
    for index in 0..MAX_NAMES {
        if index >= count {
            break;
        }
        let Some(pattern) = NAMES.get_ptr(index) else {
            break;
        };
        if matches(area, pattern) {
            return true;
        }
    }
    false
}

#[inline(always)]
fn matches(area: *mut NameArea, pattern: *const GlobText) -> bool {
    let mut comparison = Comparison { area, pattern };
    // SAFETY: the area is claimed, and a map value. The callback has the signature that the kernel
    // expects, and gets the comparison.
    unsafe {
        (*area).matches = 0;
        (*area).cursor = GlobCursor::START;
        bpf_loop(GLOB_STEPS, step as *mut _, (&raw mut comparison).cast(), 0);
        (*area).matches != 0
    }
}

/// The kernel calls this for each step. 1 ends its loop.
unsafe extern "C" fn step(_index: u32, comparison: *mut c_void) -> i64 {
    // SAFETY: the kernel passes on the argument of `bpf_loop`, whose pointers are map values. The
    // indices are bounded.
    unsafe {
        let comparison = &*comparison.cast::<Comparison>();
        let area = &mut *comparison.area;
        let mut cursor = area.cursor;
        let pattern = (*comparison.pattern).bytes[(cursor.pattern & LAST) as usize];
        let name = area.text[(cursor.name & LAST) as usize];
        let step = cursor.step(pattern, name);
        area.cursor = cursor;
        match step {
            GlobStep::More => 0,
            GlobStep::Matches => {
                area.matches = 1;
                1
            }
            GlobStep::Fails => 1,
        }
    }
}

/// Claims a free area.
#[inline(always)]
fn claim() -> Option<*mut NameArea> {
    // SAFETY: the helper takes no arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let first = cpu.wrapping_mul(SCRATCH_PER_CPU);
    for i in 0..SCRATCH_PER_CPU {
        let area = AREAS.get_ptr_mut(first.wrapping_add(i))?;
        // SAFETY: a map value, alive for as long as the program runs.
        if atomic::compare_exchange(unsafe { &(*area).busy }, 0, 1) == 0 {
            return Some(area);
        }
    }
    None
}
