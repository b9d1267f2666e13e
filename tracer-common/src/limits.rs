//! Limits of the capture machine: unit, reason, and what happens above each.

/// Ops of all plans together. A plan that does not fit is refused.
///
/// 262,144 ops of 16 bytes are 4 MiB of kernel memory: 20,000 sites with thirteen ops each, or 4,000
/// with sixty.
pub const MAX_OPS: u32 = 1 << 18;

/// Further copies of one module in a process that a site has plans for. A hit in one more copy is
/// lost if its plan depends on addresses. `dlmopen` makes at most 15 copies.
pub const MAX_COPIES: u32 = 15;

/// Attached sites. One more is refused.
///
/// 20,000 sites, and room for plans of further copies of modules. An entry has some 200 bytes. A
/// thousand probes with 20,000 sites were attached within 2 s and removed within 5 s, and took
/// 130 MB of memory in userspace.
pub const MAX_SITES: u32 = 1 << 15;

/// Installed probes. One more is refused.
pub const MAX_PROBES: u32 = 1 << 10;

/// Ops that one hit may execute, loops included.
///
/// At about 10 ns an op this bounds a hit to some 80 µs. At the limit the record is sent as far as
/// it is made, with [`crate::record::FLAG_STEPS`] set.
pub const MAX_STEPS: u32 = 1 << 13;

/// Bytes of one record, header included.
///
/// A chunk that does not fit is left out, with [`crate::record::CHUNK_NO_ROOM`]. The limit is a
/// power of two, so the verifier sees offsets that are bounded by a mask.
pub const MAX_RECORD: u32 = 1 << 15;

/// Bytes that one copy op may add. The planner splits longer copies.
pub const MAX_COPY: u32 = 1 << 12;

/// Registers of the capture machine. [`crate::op`] describes their roles.
pub const REGISTERS: usize = 64;

/// Scratch areas for each CPU. A hit claims one while it runs, and hits that preempt each other on
/// one CPU need one each. A hit that finds none free is counted as lost.
pub const SCRATCH_PER_CPU: u32 = 4;

/// Bytes of the ring for failed reads: some hundred between two polls of the reader. A failed read
/// that finds no room is dropped, and a later hit reports it again.
pub const MISSES_BYTES: u32 = 1 << 13;

/// CPUs with scratch areas of their own. Further CPUs share the areas of others.
pub const MAX_CPUS: u32 = 256;

/// Keys of one probe, all its sites together. Hits with further keys are counted as `other`.
pub const MAX_KEYS: u64 = 1 << 12;

/// Numbers as keys, of all probes together: 16 bytes and a counter each.
pub const MAX_NUMBERS: u32 = 1 << 15;

/// Texts and other values as keys, of all probes together: 128 bytes and a counter each.
pub const MAX_VALUES: u32 = 1 << 13;

/// One hit in this many is timed, and checks how full the ring is.
///
/// Reading the clock once more costs a fifth of a small hit, so the time of all hits is estimated
/// from these. A power of two. This many of the longest records are a small part of the ring.
pub const SAMPLED: u64 = 16;

/// Open beginnings of all probes together: calls in progress, and calls that were left by a panic or
/// `longjmp` and whose frame has not been used since. One more is not timed.
///
/// Memory is allocated when they are inserted: some hundred bytes each.
pub const MAX_BEGUN: u32 = 1 << 14;

/// Open beginnings with captured values, of all probes together: some 1,200 bytes each.
pub const MAX_BEGUN_KEPT: u32 = 1 << 13;

/// Announced loop iterations and calls in functions that begin with a loop, until they reach the
/// loop head or the end of the prologue. If an iteration finds no room, calls of its function are
/// counted, but no longer timed.
pub const MAX_TURNS: u32 = 1 << 12;

/// Threads in functions that begin with a loop, for all probes together. Beyond that, the thread
/// that was there least recently is forgotten. Its next call is not timed, like each thread's first
/// one, because it could be a loop iteration.
pub const MAX_KNOWN: u32 = 1 << 14;

/// Bytes of values that are stored from the beginning of a timing to its end. The rest is cut.
pub const KEPT_BYTES: usize = 1 << 10;

/// Inlined copies of one function in another whose timings are kept apart. Further copies are left
/// out.
pub const MAX_GROUPS: u32 = 16;

/// Traced calls that are recorded at the same time, of all probes together: some 300 bytes each. One more is lost.
///
/// Memory is allocated when they are inserted.
pub const MAX_TAKEN: u32 = 1 << 10;

/// Calls on their way from the first instruction of a traced function to its first line, if that line is also
/// passed later. Beyond that, the call that has been on its way for longest is not taken.
pub const MAX_STARTING: u32 = 1 << 12;

/// Calls in the code of functions that traces follow, of all probes together: some 70 bytes each. A trace with more
/// is refused.
///
/// Memory is allocated when they are inserted.
pub const MAX_CALLERS: u32 = 1 << 15;

/// Called addresses that recorded calls have computed, of all probes together. A further one is not followed.
///
/// Memory is allocated when they are inserted: some 60 bytes each.
pub const MAX_SEEN: u32 = 1 << 12;

/// Watched values, each process by itself. One more is refused.
pub const MAX_WATCHED: u32 = 1 << 12;

/// Breakpoints of watched values: up to four for each.
pub const MAX_WATCHPOINTS: u32 = 1 << 14;

/// Probed processes of one session. A process beyond that has no probes until another one ends, and
/// is counted as missed.
///
/// 1,000 processes, and room for those that come and go. A thousand processes of one file were
/// attached to within half a second, and took 50 MB of memory in userspace.
pub const MAX_PROCESSES: u32 = 1 << 11;

/// Modules of one session whose places plans of other modules can need. A further module is treated as
/// one without a build id: values that need its address are not shown.
pub const MAX_MODULES: u32 = 1 << 10;

/// Places of modules, in all processes together. Without room, a value that needs one is not shown.
///
/// Memory is allocated when they are inserted: some fifty bytes each.
pub const MAX_PLACES: u32 = 1 << 15;

/// Modules that a forked process has at the places of its parent from its first instruction on. The
/// places of further ones are known a few milliseconds later.
pub const MAX_INHERITED: u32 = 1 << 6;

/// Accounts of processes with probes that they have hit, of all probes together: some 120 bytes each.
///
/// A thousand processes that hit 16 probes each. The account of a process is freed when it ends. Hits
/// beyond are shown as those of other processes. Limits that hold for each process let none of them
/// through.
pub const MAX_ACCOUNTS: u32 = 1 << 14;

/// Executable files that processes are selected by. One more is refused.
pub const MAX_EXES: u32 = 1 << 8;

/// Name patterns that processes are selected by. One more is refused. The kernel side compares the
/// name of each executed program on the machine with all of them.
pub const MAX_NAMES: u32 = 16;

/// Bytes of a name pattern, with a zero at its end. A longer one is refused. No file name is longer.
pub const NAME_BYTES: usize = 256;

/// Steps of the comparison of one name with one pattern.
pub const GLOB_STEPS: u32 = 1 << 17;

/// Cgroups that processes are selected by. One more is refused.
pub const MAX_CGROUPS: u32 = 1 << 10;

/// Depth of a cgroup below the root at which rules are found. A process in a deeper cgroup is not
/// selected.
pub const MAX_CGROUP_DEPTH: u32 = 64;

/// Users that processes are selected by. One more is refused.
pub const MAX_USERS: u32 = 1 << 8;

/// Processes outside the selection that are remembered as such. A hit of one more process asks all
/// rules again, which costs that process a microsecond.
pub const MAX_REJECTED: u32 = 1 << 13;

/// Cgroups whose verdict is remembered. A hit in one more cgroup asks for all of its parents again.
pub const MAX_CGROUP_VERDICTS: u32 = 1 << 12;
