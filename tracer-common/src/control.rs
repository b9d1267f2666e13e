//! What userspace tells the eBPF program about sites and probes, and what the
//! program counts for each probe.

use crate::fetch::Fetches;

/// The plan needs the thread's `fs_base` in its register.
pub const NEEDS_FS_BASE: u32 = 1;
/// The site has no plan: its hits are counted once the limits let them through.
pub const COUNTS: u32 = 2;
/// The plan needs ids and name of the thread, number and time of the hit in their registers.
pub const NEEDS_TASK: u32 = 4;
/// The plan adds hits up, which no time is needed for; one that sends a record all the same
/// takes its time then. Set by the loader.
pub const ADDS_UP: u32 = 8;
/// What is timed begins here ([`ENTER`](crate::op::ENTER)); hits are no hits of the probe.
pub const BEGINS: u32 = 16;
/// What is timed ends here ([`LEAVE`](crate::op::LEAVE)).
pub const ENDS: u32 = 32;
/// What is timed cannot go on beyond here ([`FORGET`](crate::op::FORGET)); hits are no hits.
pub const FORGETS: u32 = 64;
/// With [`BEGINS`] or [`FORGETS`]: the entry of a function that is also the head of a loop. A turn of
/// the loop, of which a branch has told, is nothing there. Alone: a branch to such an entry, which
/// tells of it when it is taken; its condition is in the bits from [`FS_BASE_SHIFT`] on, as the
/// low four bits of a conditional jump's opcode, or [`ALWAYS`].
pub const TURNS: u32 = 128;
/// The condition of a jump without one.
pub const ALWAYS: u32 = 16;
/// Bits of the flags from here on: bytes from the start of `task_struct` to the
/// thread's `fs_base`; 0 is not known. Set by the loader.
pub const FS_BASE_SHIFT: u32 = 8;

/// The guard looks at a general register of the target.
pub const GUARD_REGISTER: u8 = 1;
/// The guard looks at user memory at a general register of the target and an offset.
pub const GUARD_MEMORY: u8 = 2;
/// The guard's number is signed: extended with its sign before it is compared.
pub const GUARD_SIGNED: u8 = 4;

/// The first comparison of a plan, when it is one of a number with a constant: hits that it
/// rejects cost neither a scratch area nor an op. The others run the whole plan (or only fetch, see
/// [`Fetches`]), as they do when the memory is not resident.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Guard {
    /// `GUARD_…`, one of the places with or without the sign; 0: there is no guard.
    pub kind: u8,
    /// DWARF number of a general register: 0 to 15.
    pub register: u8,
    /// Bytes of the number: 1, 2, 4 or 8.
    pub size: u8,
    /// `cond`: the hit is rejected when the number compares so with `value`.
    pub rejects: u8,
    /// From the register to the memory, in bytes.
    pub offset: i32,
    /// The constant.
    pub value: u64,
}

/// One site; its index in the map is the attach cookie. Written by userspace.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct SiteControl {
    /// Index of the plan's first op.
    pub first_op: u32,
    /// Ops of the plan; 0 means that the site is not in use.
    pub op_count: u32,
    /// Probe that the site belongs to.
    pub probe: u32,
    /// `NEEDS_…` bits.
    pub flags: u32,
    /// What is decided before the plan runs.
    pub guard: Guard,
    /// What is captured without it, when the guard lets the hit pass.
    pub fetches: Fetches,
    /// The attach cookie, for the record.
    pub cookie: u32,
    /// The site whose plan is for another copy of the module: its index plus 1. 0: there is none.
    pub next_copy: u32,
    /// Run address that the plan is for; 0: any. A hit elsewhere is one of another copy of the module,
    /// whose plan runs. It is lost where there is none: the module was mapped anew, and what the plan
    /// knows of its addresses is wrong.
    pub address: u64,
}

/// Limits of one probe, decided before anything is read. Written by userspace.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct ProbeControl {
    /// 0: hits are counted as silenced and nothing else is done.
    pub enabled: u32,
    /// Zero.
    pub reserved: u32,
    /// `CLOCK_MONOTONIC` time in ns after which hits are counted as expired, to the kernel's
    /// tick (1 to 10 ms); 0: never.
    pub expires_ns: u64,
    /// Hits that may pass to the condition; 0: any number.
    pub hit_budget: u64,
    /// Nanoseconds between two hits at the allowed rate; 0: no rate limit.
    pub interval_ns: u64,
    /// How far ahead of the rate a burst may run, in ns (burst events × interval).
    pub burst_ns: u64,
}

/// What the kernel side remembers of one probe, over all CPUs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct ProbeState {
    /// Hits so far of the sites with plans: the source of the record's hit number.
    pub sequence: u64,
    /// Theoretical arrival time of the rate limit (GCRA), in ns.
    pub arrival_ns: u64,
    /// Hits that passed the budget check.
    pub budget_used: u64,
    /// Entries that were made for the probe's keys.
    pub keys: u64,
    /// The kernel's tick in which a hit has read the clock last.
    pub tick: u64,
    /// What it read, in ns of `CLOCK_MONOTONIC`: no hit of the same tick is earlier by more than
    /// another CPU's delay.
    pub tick_ns: u64,
    /// Hits over the rate limit. Each record has it, so that what was left out before it is known.
    pub limited: u64,
    /// Records that the ring had no room for, or hits that found no scratch area. In each record, too.
    pub lost: u64,
}

/// Counters of one probe on one CPU.
///
/// `hits = events + lost + limited + rejected + faults + silenced + expired +
/// over_budget` holds at any time that no hit is in progress. A probe that times
/// counts as a hit each end whose beginning is known; for what else it reaches see
/// [`TimeCounters`](crate::timing::TimeCounters).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct ProbeCounters {
    /// Times that the probed instruction was reached. The kernel side counts here only the hits
    /// of sites that [`COUNTS`]; those of the others are in [`ProbeState::sequence`].
    pub hits: u64,
    /// Records sent, and hits that were added up instead.
    pub events: u64,
    /// Records that the ring had no room for, or hits that found no scratch area. The kernel side
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
    /// Hits after the probe's hit budget was used.
    pub over_budget: u64,
    /// Reads that faulted in records that were sent.
    pub read_faults: u64,
    /// Records sent that were cut at a limit (room or steps).
    pub cut: u64,
    /// Hits among the events whose key found no room for an entry.
    pub other: u64,
    /// Time from probe entry to its end, in ns of `CLOCK_MONOTONIC`, summed over the timed hits.
    ///
    /// Source: two reads of `bpf_ktime_get_ns`; the trap itself is not in it.
    pub bpf_ns: u64,
    /// Hits whose time is in `bpf_ns`: the first of each [`SAMPLED`](crate::limits::SAMPLED).
    pub timed: u64,
    /// Times that a site was reached and that were no hits: see [`crate::timing::TimeCounters`].
    pub passed: u64,
}

const _: () = assert!(size_of::<Guard>() == 16);
const _: () = assert!(size_of::<SiteControl>() == 120);
const _: () = assert!(size_of::<ProbeControl>() == 40);
const _: () = assert!(size_of::<ProbeState>() == 64);
const _: () = assert!(size_of::<ProbeCounters>() == 120);

/// What the loader tells the programs before they are loaded.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Settings {
    /// Device of the tracer's pid namespace; used when the inode is not 0.
    pub pid_ns_dev: u64,
    /// Inode of the tracer's pid namespace; 0: ids of the initial namespace are used.
    pub pid_ns_ino: u64,
    /// Bytes that may wait in the ring before its reader is woken.
    pub wake_mark: u64,
    /// 1: the programs have the offsets of [`TASK_TGID`] and the others, and ids are those of the
    /// initial pid namespace; 0: helpers are asked for ids and name.
    pub task_members: u64,
    /// Bytes from the start of `vm_area_struct` to its flags; 0: not known.
    pub vma_flags: u64,
}

/// Stands in the programs for the offset of `task_struct.tgid`, until the loader puts the
/// running kernel's there: no load of ours is that far from where it begins.
pub const TASK_TGID: i16 = 0x7f10;
/// The same for `task_struct.pid`.
pub const TASK_PID: i16 = 0x7f20;
/// The same for `task_struct.comm`; its second half is 8 further.
pub const TASK_COMM: i16 = 0x7f30;

const _: () = assert!(size_of::<Settings>() == 40);
