//! Accounts: what each process has hit of a probe, and what it has used of the probe's limits.
//!
//! The kernel side opens an account at the first hit of a process. Userspace closes it when the process has
//! ended.

/// Key of an account.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct AccountKey {
    /// Index of the probe.
    pub probe: u32,
    /// The process, as in [`RecordHeader::pid`](crate::record::RecordHeader::pid).
    pub process: u32,
}

/// The account of one process with one probe, for all CPUs together.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct ProcessAccount {
    /// Its hits, without those after the probe's removal.
    pub hits: u64,
    /// Hits among them that became records, or were added up.
    pub events: u64,
    /// Its hits that passed the budget check, if that is for each process.
    pub budget_used: u64,
    /// Theoretical arrival time of its own rate limit, in ns, if that is for each process.
    pub arrival_ns: u64,
    /// Name of the thread that hit first, zero-padded, if it is the first thread of the process;
    /// otherwise zeroes. Hostile bytes.
    pub name: [u8; 16],
}

const _: () = assert!(size_of::<AccountKey>() == 8);
const _: () = assert!(size_of::<ProcessAccount>() == 48);
