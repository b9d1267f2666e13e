//! Timings: from a beginning to an end in the same frame.
//!
//! At the beginning the kernel side stores the time, and the chunks that the plan captured, under a
//! [`BegunKey`]. The end removes the entry again. A frame is identified by an address on its stack,
//! so other threads and deeper recursions have other keys. If a beginning finds an entry, the
//! earlier call was left without its end: by a panic, an exception, `longjmp`, or the end of its
//! thread.

/// Bits of a time that its bucket keeps after the highest one: eight buckets for each power of two.
const DETAIL: u32 = 3;

/// Key of a beginning.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct BegunKey {
    /// The probe.
    pub probe: u32,
    /// Distinguishes the timings of one frame: the op's `a`.
    pub group: u32,
    /// Process id, as the initial pid namespace counts it.
    pub process: u32,
    /// Zero.
    pub reserved: u32,
    /// Address of the frame. Threads of one process never share a frame, and a coroutine that moves
    /// to another thread takes its stack along.
    pub frame: u64,
}

/// Group of a key: a branch to a loop head was taken at that stack pointer, which is the key's
/// frame. The entry is a hash of the registers, which are the same at the loop head.
pub const TURN: u32 = u32::MAX;
/// Group of a key: a call has begun in that frame, but its timing has not. The entry is
/// [`TimeState::generation`].
pub const CALL: u32 = u32::MAX - 1;

/// Group of a key with a thread id as its frame: the thread has passed the loop head since the probe
/// was attached. The entry is the upper half of [`TimeState::generation`], which changes when the
/// probe is attached again.
pub const KNOWN: u32 = u32::MAX - 2;

/// A stored beginning. Its chunks follow if it has any.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Begun {
    /// Time in ns of `CLOCK_MONOTONIC`, read last of all at the site.
    pub time_ns: u64,
    /// The probe's [`TimeState::generation`] at that time.
    pub generation: u64,
    /// The site.
    pub site: u32,
    /// Length of the chunks in bytes.
    pub length: u32,
    /// The record's flags.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

/// Follows the header of a record with [`FLAG_LEFT`](crate::record::FLAG_LEFT). The chunks of the beginning
/// come behind it, in their full length.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct LeftCall {
    /// Address of the frame.
    pub frame: u64,
    /// The beginning. [`Begun::reserved`] is the group.
    pub begun: Begun,
}

/// State of a probe that times, for all CPUs together.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct TimeState {
    /// Changes whenever a pass of a site was missed (lost, silenced). An end with another generation
    /// than its beginning is not trusted.
    pub generation: u64,
    /// 1: a loop iteration found no room to be announced, so calls and iterations cannot be told
    /// apart any more.
    pub blind: u64,
}

/// Counters of a probe that times, besides those of its hits, on one CPU.
///
/// The probe reached `begun + off + rejected + faults + lost + full` beginnings. Among the `begun`
/// ones, `ended` came to their end, `unfinished` and `left` did not, and `uncertain` may have. The others are
/// in progress.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct TimeCounters {
    /// Beginnings that are timed.
    pub begun: u64,
    /// Beginnings whose end came.
    pub ended: u64,
    /// Beginnings without an end: another call began in the same frame.
    pub unfinished: u64,
    /// Beginnings after which passes were missed, so the end may be another call's.
    pub uncertain: u64,
    /// Ends without a known beginning. It came before the probe was attached, or is in one of the
    /// counters below.
    pub unpaired: u64,
    /// Beginnings while the probe was disabled, or after its time to live.
    pub off: u64,
    /// Beginnings with a false condition.
    pub rejected: u64,
    /// Beginnings whose condition could not be read.
    pub faults: u64,
    /// Beginnings that found no scratch area.
    pub lost: u64,
    /// Beginnings that found no room.
    pub full: u64,
    /// Beginnings without an end, as `unfinished`, that a record has told of.
    pub left: u64,
    /// Sum of the times in ns. This and the two below only have times that ended while the probe was
    /// enabled and alive.
    pub sum_ns: u64,
    /// Longest time in ns.
    pub longest_ns: u64,
    /// All ones minus the shortest time in ns; 0 if there is no time.
    pub shortest_ns_inverse: u64,
}

const _: () = assert!(size_of::<BegunKey>() == 24);
const _: () = assert!(size_of::<Begun>() == 32);
const _: () = assert!(size_of::<LeftCall>() == 40);
const _: () = assert!(size_of::<TimeState>() == 16);
const _: () = assert!(size_of::<TimeCounters>() == 112);

/// Bucket of a time in ns: each time below 16 has one, each larger power of two has eight.
#[inline(always)]
#[must_use]
pub const fn bucket(ns: u64) -> u64 {
    // A bucket keeps the four highest bits of a time. `shift` counts the bits below them.
    let mut shift = 0;
    let mut left = ns >> DETAIL >> 1;
    let mut step = 32;
    while step > 0 {
        if left >> step != 0 {
            left >>= step;
            shift += step;
        }
        step >>= 1;
    }
    if left != 0 {
        shift += 1;
    }
    ((shift as u64) << DETAIL) + (ns >> shift)
}

/// Lowest and highest time in ns of a bucket. `None` if there is no such bucket.
#[must_use]
pub const fn bucket_range(bucket: u64) -> Option<(u64, u64)> {
    if bucket < 2 << DETAIL {
        return Some((bucket, bucket));
    }
    let shift = (bucket >> DETAIL) - 1;
    if shift > 60 {
        return None;
    }
    let low = (bucket - (shift << DETAIL)) << shift;
    Some((low, low + ((1 << shift) - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_meet_without_gaps_and_hold_their_times() {
        let mut next = 0;
        for number in 0..=495 {
            let (low, high) = bucket_range(number).expect("a bucket");
            assert_eq!(low, next, "{number}");
            assert_eq!((bucket(low), bucket(high)), (number, number));
            assert!(low < 16 || (high - low) * 8 < low, "{number} is wide");
            next = high.wrapping_add(1);
        }
        assert_eq!(next, 0, "the last one ends at the highest time");
        assert_eq!(bucket_range(496), None);
    }
}
