//! Control blocks: the settings of sites and probes, which userspace writes, and the counters of
//! each probe, which the program writes.

use crate::fetch::Fetches;

pub use crate::arch::ALWAYS;

/// The plan needs the thread pointer in its machine register.
pub const NEEDS_THREAD_POINTER: u32 = 1;
/// The site has no plan: its hits are counted once the limits let them through.
pub const COUNTS: u32 = 2;
/// The plan needs the thread's ids and name and the hit's number in their machine registers.
pub const NEEDS_TASK: u32 = 4;
/// The plan adds hits up, so the clock is not read before it runs. If it sends a record after all,
/// the clock is read then.
pub const ADDS_UP: u32 = 8;
/// A timing begins at the site ([`ENTER`](crate::op::ENTER)). Reaching it does not count as a hit.
pub const BEGINS: u32 = 16;
/// A timing ends at the site ([`LEAVE`](crate::op::LEAVE)).
pub const ENDS: u32 = 32;
/// Cancels the timings of this frame ([`FORGET`](crate::op::FORGET)). Reaching the site does not
/// count as a hit.
pub const FORGETS: u32 = 64;
/// With [`BEGINS`] or [`FORGETS`]: the entry of a function that is also the head of a loop. Ignore
/// the pass if a branch site has just marked it as a loop iteration.
///
/// Alone: a branch to such an entry, which marks the iteration if it is taken. See
/// [`SiteControl::turn_condition`].
pub const TURNS: u32 = 128;
/// Hits are counted for each process, too ([`crate::account`]). Set by the loader.
pub const COUNTS_PROCESSES: u32 = 256;
/// A site of a trace ([`STEP`](crate::op::STEP)). Reaching it counts as a hit only in a call that is recorded.
pub const STEPS: u32 = 512;
/// With [`STEPS`]: each pass that is not in a recorded call begins one, which counts as a hit.
pub const TAKES: u32 = 1024;
/// With [`STEPS`]: the plan runs also if the thread is in no recorded call.
pub const ANNOUNCES: u32 = 2048;
/// The site of a watched value ([`crate::watch`]). Its words are in the machine registers from
/// [`NEW_WORDS`](crate::op::NEW_WORDS) and [`OLD_WORDS`](crate::op::OLD_WORDS) on.
pub const WATCHES: u32 = 1 << 16;
/// With [`STEPS`]: a call that is recorded may end here.
pub const RETURNS: u32 = 4096;

/// The guard's number is in a general register of the target.
pub const GUARD_REGISTER: u8 = 1;
/// The guard's number is in user memory, at a general register of the target plus an offset.
pub const GUARD_MEMORY: u8 = 2;
/// The guard's number is signed: it is sign-extended before the comparison.
pub const GUARD_SIGNED: u8 = 4;

/// In a guard and in a fetch of memory: the address is relative to the instruction pointer.
pub const GENERAL_INSTRUCTION_POINTER: u8 =
    crate::arch::INSTRUCTION_POINTER - crate::arch::TARGET_REGISTERS;

/// The first comparison of a plan, if it compares a number with a constant.
///
/// A hit that the guard rejects costs neither a scratch area nor an op. Other hits run the whole
/// plan (or only fetch, see [`Fetches`]). So do hits whose memory is not resident.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Guard {
    /// [`GUARD_REGISTER`] or [`GUARD_MEMORY`], with or without [`GUARD_SIGNED`]; 0 for no guard.
    pub kind: u8,
    /// DWARF number of a general register: 0 to 15. In memory also
    /// [`GENERAL_INSTRUCTION_POINTER`].
    pub register: u8,
    /// Size of the number in bytes: 1, 2, 4 or 8.
    pub size: u8,
    /// Condition (see [`crate::op::cond`]): the hit is rejected if number and `value` meet it.
    pub rejects: u8,
    /// Offset of the memory from the register, in bytes.
    pub offset: i32,
    /// The constant.
    pub value: u64,
}

/// One site. Its index in the map is the attach cookie. Written by userspace.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct SiteControl {
    /// Index of the plan's first op.
    pub first_op: u32,
    /// Number of the plan's ops; 0 if the site is not in use.
    pub op_count: u32,
    /// The site's probe.
    pub probe: u32,
    /// Flags: [`NEEDS_THREAD_POINTER`] and the others above.
    pub flags: u32,
    /// Comparison that is made before the plan runs.
    pub guard: Guard,
    /// Chunks that are made without the plan if the guard lets the hit pass.
    pub fetches: Fetches,
    /// The attach cookie, for the record.
    pub cookie: u32,
    /// Index plus 1 of the site for another copy of the module; 0 if there is none.
    pub next_copy: u32,
    /// Run address that the plan assumes; 0 for any. At another address, the plan of the copy there
    /// runs. If there is no such copy, the hit is lost: the module was mapped again, and the plan's
    /// addresses are wrong.
    pub address: u64,
    /// Offset of the thread pointer in `task_struct`, on [`NEEDS_THREAD_POINTER`]; 0 if it is not
    /// known. Set by the loader.
    pub thread_pointer: u32,
    /// Condition of the branch, if the site is a branch ([`TURNS`]). See [`crate::arch::ALWAYS`].
    pub turn_condition: u32,
    /// Address of the site minus that of the probed instruction, in bytes. The plan reads the sum of
    /// it and the instruction pointer in the register of the instruction pointer.
    pub shift: i32,
    /// Zero.
    pub padding: u32,
}

impl SiteControl {
    /// The guard and the fetches read the instruction pointer itself, so the shift becomes a part of
    /// their offsets. Drops those whose offset does not fit.
    #[cfg(feature = "user")]
    #[must_use]
    pub fn with_shift(mut self, shift: i32) -> Self {
        self.shift = shift;
        let is_shifted = |register| register == GENERAL_INSTRUCTION_POINTER;
        if is_shifted(self.guard.register) {
            match self.guard.offset.checked_add(shift) {
                Some(offset) => self.guard.offset = offset,
                None => self.guard = Guard::default(),
            }
        }
        for fetch in &mut self.fetches.chunks {
            if is_shifted(fetch.register) {
                match fetch.offset.checked_add(shift) {
                    Some(offset) => fetch.offset = offset,
                    None => {
                        self.fetches = Fetches::default();
                        break;
                    }
                }
            }
        }
        self
    }
}

/// [`ProbeControl::enabled`]: hits are only counted, as silenced.
pub const SILENT: u32 = 0;
/// [`ProbeControl::enabled`]: hits count.
pub const ENABLED: u32 = 1;
/// [`ProbeControl::enabled`]: hits are counted as silenced, but no more for their processes. Nobody wants
/// them.
pub const REMOVED: u32 = 2;

/// Limits of one probe. They are checked before anything is read. Written by userspace.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct ProbeControl {
    /// [`SILENT`], [`ENABLED`] or [`REMOVED`].
    pub enabled: u32,
    /// Index of the probe plus 1 if rate and hit budget hold for each process by itself
    /// ([`crate::account`]); 0 if they hold for all together.
    pub per_process: u32,
    /// `CLOCK_MONOTONIC` time in ns after which hits are counted as expired, with the resolution
    /// of the kernel's tick (1 to 10 ms); 0 for never.
    pub expires_ns: u64,
    /// Number of hits that may pass to the condition; 0 for any number.
    pub hit_budget: u64,
    /// Nanoseconds between two hits at the allowed rate; 0 for no rate limit.
    pub interval_ns: u64,
    /// Time in ns by which a burst may be ahead of the rate (burst events × interval).
    pub burst_ns: u64,
}

/// State of one probe, for all CPUs together.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct ProbeState {
    /// Hits so far of the sites with plans. The record's hit number comes from it.
    pub sequence: u64,
    /// Theoretical arrival time of the rate limit (GCRA), in ns.
    pub arrival_ns: u64,
    /// Hits that passed the budget check.
    pub budget_used: u64,
    /// Number of map entries for the probe's keys.
    pub keys: u64,
    /// The kernel's tick of the last clock read.
    pub tick: u64,
    /// Time of the last clock read, in ns of `CLOCK_MONOTONIC`. A hit of the same tick can be
    /// earlier only by the delay of another CPU.
    pub tick_ns: u64,
    /// Hits over the rate limit. Each record carries it, so its reader knows the loss before it.
    pub limited: u64,
    /// Records that found no room in the ring, and hits that found no scratch area. Each record
    /// carries it, too.
    pub lost: u64,
}

/// Counters of one probe on one CPU.
///
/// Whenever no hit is in progress, `hits = events + lost + limited + rejected + faults + silenced +
/// expired + over_budget`. A probe that times counts each end with a known beginning as a hit. Its
/// other passes are in [`TimeCounters`](crate::timing::TimeCounters).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct ProbeCounters {
    /// Number of times that the probed instruction was reached. The kernel side counts here only
    /// hits of sites with [`COUNTS`]. Other hits are in [`ProbeState::sequence`].
    pub hits: u64,
    /// Records sent, and hits that were added up instead.
    pub events: u64,
    /// Records that found no room in the ring, and hits that found no scratch area. The kernel side
    /// counts them in [`ProbeState::lost`].
    pub lost: u64,
    /// Hits over the rate limit. The kernel side counts them in [`ProbeState::limited`].
    pub limited: u64,
    /// Hits whose condition was false.
    pub rejected: u64,
    /// Hits whose condition could not be read.
    pub faults: u64,
    /// Hits while the probe was disabled.
    pub silenced: u64,
    /// Hits after the probe's time to live.
    pub expired: u64,
    /// Hits after the probe's hit budget was used up.
    pub over_budget: u64,
    /// Records sent with a read that faulted.
    pub read_faults: u64,
    /// Records sent that were cut at a limit (room or steps).
    pub cut: u64,
    /// Events whose key found no room for an entry.
    pub other: u64,
    /// Time from probe entry to its end, in ns of `CLOCK_MONOTONIC`, summed over the timed hits.
    ///
    /// Source: two reads of `bpf_ktime_get_ns`. The trap itself is not included.
    pub bpf_ns: u64,
    /// Number of hits in `bpf_ns`: the first of each [`SAMPLED`](crate::limits::SAMPLED).
    pub timed: u64,
    /// Passes of a site that are not hits: see [`crate::timing::TimeCounters`].
    pub passed: u64,
    /// Hits that count as limited because their process had no room for an account
    /// ([`ProbeControl::per_process`]).
    pub unaccounted: u64,
}

const _: () = assert!(size_of::<Guard>() == 16);
const _: () = assert!(size_of::<SiteControl>() == 136);
const _: () = assert!(size_of::<ProbeControl>() == 40);
const _: () = assert!(size_of::<ProbeState>() == 64);
const _: () = assert!(size_of::<ProbeCounters>() == 128);

/// Settings that the loader writes before it loads the programs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Settings {
    /// Device of the tracer's pid namespace. Not used if the inode is 0.
    pub pid_ns_dev: u64,
    /// Inode of the tracer's pid namespace; 0 to use ids of the initial namespace.
    pub pid_ns_ino: u64,
    /// Bytes that may wait in the ring before its reader is woken.
    pub wake_mark: u64,
    /// 1: the loader has replaced the placeholders [`TASK_TGID`], [`TASK_PID`] and [`TASK_COMM`], and
    /// ids are those of the initial pid namespace. 0: ids and name come from helpers.
    pub task_members: u64,
    /// Offset of the flags in `vm_area_struct`; 0 if it is not known.
    pub vma_flags: u64,
}

/// Placeholder for the offset of `task_struct.tgid`, which the loader replaces by the running
/// kernel's. No other load has such a large offset.
pub const TASK_TGID: i16 = 0x7f10;
/// Placeholder for the offset of `task_struct.pid`.
pub const TASK_PID: i16 = 0x7f20;
/// Placeholder for the offset of `task_struct.comm`. That of its second half is 8 larger.
pub const TASK_COMM: i16 = 0x7f30;

const _: () = assert!(size_of::<Settings>() == 40);

#[cfg(all(test, feature = "user"))]
mod tests {
    use super::*;
    use crate::fetch::{FETCH_MEMORY, FETCH_REGISTER, Fetch};

    fn site(offset: i32) -> SiteControl {
        let relative = |offset| Fetch {
            kind: FETCH_MEMORY,
            register: GENERAL_INSTRUCTION_POINTER,
            offset,
            ..Fetch::default()
        };
        let general = Fetch {
            kind: FETCH_REGISTER,
            register: 5,
            offset: 8,
            ..Fetch::default()
        };
        SiteControl {
            guard: Guard {
                kind: GUARD_MEMORY,
                register: GENERAL_INSTRUCTION_POINTER,
                offset,
                ..Guard::default()
            },
            fetches: Fetches {
                chunks: [general, relative(offset), relative(4), Fetch::default()],
                words: 14,
                count: 3,
            },
            ..SiteControl::default()
        }
    }

    #[test]
    fn offsets_from_the_instruction_pointer_become_those_from_the_place() {
        let moved = site(0x100).with_shift(-16);
        assert_eq!((moved.shift, moved.guard.offset), (-16, 0xf0));
        let offsets = moved.fetches.chunks.map(|fetch| fetch.offset);
        assert_eq!((offsets, moved.fetches.words), ([8, 0xf0, -12, 0], 14));
    }

    #[test]
    fn offsets_that_do_not_fit_are_left_to_the_ops() {
        let moved = site(i32::MAX).with_shift(1);
        assert_eq!(moved.guard, Guard::default());
        assert_eq!(moved.fetches, Fetches::default());
    }
}
