//! Limits of the capture machine: unit, reason, and what happens above each.

/// Ops that all plans together may have; a plan that does not fit is refused.
///
/// 65,536 ops of 16 bytes are 1 MiB of kernel memory: over a thousand sites
/// with sixty ops each.
pub const MAX_OPS: u32 = 1 << 16;

/// Copies of one module in a process that a site has plans for, beside the first; a hit in a further
/// one is lost where its plan knows addresses. `dlmopen` makes 15 at most.
pub const MAX_COPIES: u32 = 15;

/// Sites that may be attached at once; one more is refused.
pub const MAX_SITES: u32 = 1 << 14;

/// Probes that may be installed at once; one more is refused.
pub const MAX_PROBES: u32 = 1 << 10;

/// Ops that one hit may execute, loops included.
///
/// At about 10 ns an op this bounds a hit to some 80 µs. Above it the record
/// is sent as far as it got, with [`crate::record::FLAG_STEPS`] set.
pub const MAX_STEPS: u32 = 1 << 13;

/// Bytes of one record, header included.
///
/// Above it a chunk is left out with [`crate::record::CHUNK_NO_ROOM`]. A power
/// of two, so that the verifier sees an offset bounded by a mask.
pub const MAX_RECORD: u32 = 1 << 15;

/// Bytes that one copy op may add; the planner splits longer copies.
pub const MAX_COPY: u32 = 1 << 12;

/// Registers of the capture machine: see [`crate::op`] for their roles.
pub const REGISTERS: usize = 64;

/// Scratch areas for each CPU. A hit claims one for as long as it runs; hits
/// that preempt each other on one CPU need one each.
/// When all are taken the hit is counted as lost.
pub const SCRATCH_PER_CPU: u32 = 4;

/// Bytes of the ring through which userspace is told of reads that failed: some hundred between two
/// looks of the reader. A miss that finds no room is told of by a later hit.
pub const MISSES_BYTES: u32 = 1 << 13;

/// CPUs beyond this share the scratch areas of the others.
pub const MAX_CPUS: u32 = 256;

/// Keys that one probe may count by, all sites together. Hits of further keys
/// are counted as `other`.
pub const MAX_KEYS: u64 = 1 << 12;

/// Numbers that all probes together may count by: 16 bytes and a counter each.
pub const MAX_NUMBERS: u32 = 1 << 15;

/// Texts and other values that all probes together may count by: 128 bytes and a counter each.
pub const MAX_VALUES: u32 = 1 << 13;

/// Hits of a probe of which one is timed, and looks how full the ring is.
///
/// Reading the clock once more costs a fifth of a small hit, so the time of all
/// hits is estimated from one in this many. A power of two. So many of the
/// longest records are a small part of the ring.
pub const SAMPLED: u64 = 16;

/// Beginnings without an end yet that all probes together may have: calls in progress, and those
/// that were left by a panic or `longjmp` and whose frame was not used since. One more is not timed.
///
/// Memory is taken as they come: some hundred bytes each.
pub const MAX_BEGUN: u32 = 1 << 14;

/// The same, of probes whose events show what was known at the beginning: some 1,200 bytes each.
pub const MAX_BEGUN_KEPT: u32 = 1 << 13;

/// Turns and calls at once of functions that begin with a loop, between a branch and the loop's head
/// or a function's entry and the end of its prologue. Where a turn finds no room, calls of that function are
/// counted and not timed any more.
pub const MAX_TURNS: u32 = 1 << 12;

/// Threads in functions that begin with a loop, by probe. Those that have not been there for longest are
/// forgotten beyond: of their next call, as of any thread's first, it is not known whether it is a turn.
pub const MAX_KNOWN: u32 = 1 << 14;

/// Bytes of the values that are kept from where a time begins to where it ends; the rest is cut.
pub const KEPT_BYTES: usize = 1 << 10;

/// Inlined copies of one function in another whose times are told apart; further ones are left out.
pub const MAX_GROUPS: u32 = 16;

/// Processes that are followed at once, the target among them. What is forked beyond has no probes,
/// and is counted as missed.
pub const MAX_PROCESSES: u32 = 1 << 10;
