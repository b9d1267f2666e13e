//! Records of plans that only fetch, made in the ring itself.
//!
//! Any unusual case is left to the machine: the record is discarded, and the machine runs the whole
//! plan. Nothing here waits, because a reserved record holds up all later records of the ring.

use core::arch::asm;

use aya_ebpf::helpers::generated::{
    bpf_probe_read_user, bpf_ringbuf_discard, bpf_ringbuf_reserve, bpf_ringbuf_submit,
};
use tracer_common::control::SiteControl;
use tracer_common::fetch::{FETCH_BEHIND, FETCH_REGISTER, FETCHES, Fetch};
use tracer_common::record::{CHUNK_OK, RecordHeader};

use crate::arch::{self, TargetRegisters};
use crate::base::{NO_WAKEUP, anew, anew_ref, now, ring, say_left_out, wake};
use crate::maps::{PROBE_CONTROL, PROBE_STATE};
use crate::numbers::extend;
use crate::rates::spend;
use crate::{diagnostics, outcome, task};

const HEADER: u64 = size_of::<RecordHeader>() as u64;
const CHUNK: u64 = 8;
/// Size of a chunk of at most 8 bytes, with its header.
const SHORT: u64 = CHUNK + 8;

/// Makes and sends the record. Returns `RUNNING` if the machine has to run the plan.
///
/// Out of line, to keep its stack apart (see the crate's documentation).
#[inline(never)]
pub fn send(from: *const TargetRegisters, site: &SiteControl, number: u64) -> u32 {
    if site.address != 0 && site.address != arch::instruction_pointer(from) {
        return outcome::RUNNING;
    }
    let size = size(site.fetches.words);
    if size == 0 {
        return outcome::RUNNING;
    }
    // SAFETY: reserves in our ring; the size is a constant on each path to here.
    let record: *mut u8 = unsafe { bpf_ringbuf_reserve(ring(), size, 0) }.cast();
    if record.is_null() {
        diagnostics::ended(site.cookie, outcome::LOST);
        return outcome::LOST;
    }
    let ended = fill(record, size, from, site, number);
    // SAFETY: gives the reserved record back once. It begins with its header.
    unsafe {
        if ended == outcome::SENT {
            // Read again, so that it is not kept on the stack.
            let number = (*anew(record).cast::<RecordHeader>()).hit;
            bpf_ringbuf_submit(record.cast(), wake(number));
        } else {
            bpf_ringbuf_discard(record.cast(), NO_WAKEUP);
        }
    }
    if ended != outcome::RUNNING {
        diagnostics::ended(anew_ref(site).cookie, ended);
    }
    ended
}

#[inline(always)]
fn fill(
    record: *mut u8,
    size: u64,
    from: *const TargetRegisters,
    site: &SiteControl,
    number: u64,
) -> u32 {
    // SAFETY: every size has room for the header and one chunk; the record is aligned for both.
    let (header, word) = unsafe {
        let word = record.add(HEADER as usize).cast::<u64>();
        (&mut *record.cast::<RecordHeader>(), word)
    };
    header.length = size as u32;
    header.site = site.cookie;
    header.hit = number;
    header.flags = 0;
    header.probe = site.probe as u16;
    header.begun_at = 0;
    header.begun_bytes = 0;
    header.ktime_ns = now();
    task::describe(record.cast(), word);
    if !chunks(record, size, from, site) {
        return outcome::RUNNING;
    }
    // SAFETY: as above.
    let header = unsafe { &*anew(record).cast::<RecordHeader>() };
    let probe = u32::from(header.probe);
    let (Some(control), Some(state)) = (PROBE_CONTROL.get(probe), PROBE_STATE.get(probe)) else {
        return outcome::LOST;
    };
    let now = header.ktime_ns;
    // SAFETY: as above.
    say_left_out(unsafe { &mut *anew(record).cast::<RecordHeader>() }, state);
    spend(control, state, now)
}

/// Fetches all chunks. Returns false if the machine has to make one of them.
#[inline(always)]
fn chunks(record: *mut u8, size: u64, from: *const TargetRegisters, site: &SiteControl) -> bool {
    // Looked up again for each chunk, so that nothing is kept on the stack.
    let fetches = &anew_ref(site).fetches;
    if fetches.count == 1 {
        return chunk::<{ HEADER }>(record, size, size, from, &fetches.chunks[0]);
    }
    // The size tells the number of chunks. It is a constant for the verifier, which therefore
    // follows each number of chunks once.
    macro_rules! each {
        ($($index:literal)*) => {
            $(
                const { assert!($index < FETCHES) };
                let at = &anew_ref(site).fetches.chunks[$index];
                let end = HEADER + ($index + 1) * SHORT;
                if !chunk::<{ HEADER + $index * SHORT }>(record, end, size, from, at) {
                    return false;
                }
                if size == end {
                    return true;
                }
            )*
        };
    }
    each!(0 1 2 3);
    false
}

/// Fetches the chunk from byte `AT` of the record to `end`. Both are constants for the verifier.
#[inline(always)]
fn chunk<const AT: u64>(
    record: *mut u8,
    end: u64,
    size: u64,
    from: *const TargetRegisters,
    fetch: &Fetch,
) -> bool {
    let room = end.wrapping_sub(AT + CHUNK);
    if size < AT + SHORT || end > size || end < AT + SHORT || u64::from(fetch.length) > room {
        return false;
    }
    // SAFETY: `AT` to `end` is in the record, and at least two words long.
    let (start, data) = unsafe {
        // Zeroes the padding.
        *record.add(end as usize - 8).cast::<u64>() = 0;
        (
            record.add(AT as usize).cast::<u64>(),
            record.add((AT + CHUNK) as usize),
        )
    };
    let fetch = anew_ref(fetch);
    let mut address = arch::general(from, fetch.register);
    // SAFETY: as above; `start` and `data` have room for a word, and `data` for `length` bytes.
    unsafe {
        if fetch.kind == FETCH_REGISTER {
            *start = header(fetch);
            *data.cast::<u64>() = extend(address, fetch.length, false);
            return true;
        }
        if address == 0 {
            return false;
        }
        address = address.wrapping_add(fetch.offset as i64 as u64);
        if fetch.kind == FETCH_BEHIND {
            if bpf_probe_read_user(start.cast(), 8, address as *const _) != 0 || *start == 0 {
                return false;
            }
            address = (*start).wrapping_add(anew_ref(fetch).behind as i64 as u64);
        }
        let fetch = anew_ref(fetch);
        *start = header(fetch);
        let length = u32::from(fetch.length);
        // The length was loaded again, so the verifier wants it compared again.
        u64::from(length) <= room
            && bpf_probe_read_user(data.cast(), length, address as *const _) == 0
    }
}

/// The header of the chunk, as a number.
#[inline(always)]
fn header(fetch: &Fetch) -> u64 {
    u64::from(fetch.slot) | u64::from(CHUNK_OK) << 16 | u64::from(fetch.length) << 32
}

/// Size in bytes of a record of `words` words; 0 if no record has this size.
///
/// The verifier wants a constant for each size. The assembly keeps the compiler from multiplying.
#[inline(always)]
fn size(words: u32) -> u64 {
    macro_rules! constant {
        ($($words:literal)*) => {
            match words {
                $($words => {
                    let size: u64;
                    // SAFETY: sets a register.
                    unsafe {
                        asm!(
                            "{size} = {bytes}",
                            size = out(reg) size,
                            bytes = const 8 * $words,
                            options(pure, nomem, nostack, preserves_flags),
                        );
                    }
                    size
                })*
                _ => 0,
            }
        };
    }
    constant!(10 11 12 13 14 15 16 17)
}

const _: () = assert!(tracer_common::fetch::FETCHED_WORDS == 17);
