//! What is timed: from a beginning to an end in the same frame.
//!
//! At the beginning the kernel side keeps the time, and what the plan captured, under a
//! [`BegunKey`]; at the end it takes that out again. A frame is told by an address on its
//! stack, so what runs at the same time, in other threads or deeper in a recursion, has
//! another key. What begins where something has begun already shows that the earlier one was
//! left in another way: by a panic, an exception, `longjmp`, or its thread's end.

/// Powers of two of which a time's bucket keeps the part: eight buckets to each.
const DETAIL: u32 = 3;

/// Which beginning it is.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct BegunKey {
    /// The probe.
    pub probe: u32,
    /// Tells what begins in one frame apart: the op's `a`.
    pub group: u32,
    /// Process id, as the initial pid namespace counts it.
    pub process: u32,
    /// Zero.
    pub reserved: u32,
    /// Address of the frame. Threads of one process never share one, and what moves from thread to
    /// thread (coroutines) takes its stack along.
    pub frame: u64,
}

/// As the group of a key: a branch to the head of a loop was taken in that frame (told by the stack
/// pointer). The entry has what tells the registers then, which are the same at the head.
pub const TURN: u32 = u32::MAX;
/// As the group of a key: a call has begun in that frame, and its time has not. The entry has
/// [`TimeState::generation`].
pub const CALL: u32 = u32::MAX - 1;

/// As the group of a key, with a thread's id as its frame: the thread has passed the head of a loop since
/// the probe came. The entry has the upper half of [`TimeState::generation`], which changes when
/// the probe comes again.
pub const KNOWN: u32 = u32::MAX - 2;

/// What is known of a beginning; the chunks follow where they are kept.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Begun {
    /// When, in ns of `CLOCK_MONOTONIC`: the last thing that was done there.
    pub time_ns: u64,
    /// The probe's [`TimeState::generation`] then.
    pub generation: u64,
    /// The site.
    pub site: u32,
    /// Bytes of the chunks.
    pub length: u32,
    /// The record's flags.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

/// What a probe that times remembers over all CPUs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct TimeState {
    /// Changes whenever a site was passed that was not looked at (lost, silenced): what began before
    /// is not trusted to be the beginning of any later end.
    pub generation: u64,
    /// 1: a turn of a loop found no room to be told of, so a call cannot be told from it any more.
    pub blind: u64,
}

/// What a probe that times counts, beside its hits, on one CPU.
///
/// Beginnings: `begun + off + rejected + faults + lost + full` were reached. Of those that were
/// begun, `ended` came to their end, `unfinished` did not, and of `uncertain` it is not known; the others are in
/// progress.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct TimeCounters {
    /// Beginnings that are timed.
    pub begun: u64,
    /// Beginnings whose end came.
    pub ended: u64,
    /// Beginnings whose end will not come: another call began in the same frame.
    pub unfinished: u64,
    /// Beginnings behind which hits were lost or silenced, so that the end that came may be another call's.
    pub uncertain: u64,
    /// Ends without a beginning that is known: it was before the probe, or is one of the following.
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
    /// Sum of the times, ns. Of those, as of the following, that ended while the probe was enabled
    /// and alive.
    pub sum_ns: u64,
    /// Longest time, ns.
    pub longest_ns: u64,
    /// All ones minus the shortest time in ns; 0: there is none.
    pub shortest_ns_inverse: u64,
}

const _: () = assert!(size_of::<BegunKey>() == 24);
const _: () = assert!(size_of::<Begun>() == 32);
const _: () = assert!(size_of::<TimeState>() == 16);
const _: () = assert!(size_of::<TimeCounters>() == 104);

/// Number of the bucket that a time in ns is in: exact below 16, then eight to each power of two.
#[inline(always)]
#[must_use]
pub const fn bucket(ns: u64) -> u64 {
    // What is beyond the highest of 16 values that count.
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

/// Lowest and highest time in ns of a bucket; `None`: no time has that number.
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
