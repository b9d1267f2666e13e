//! Limits of the work and the memory that reading the files of one module takes

/// Steps of work that reading a module may take, however small its files are.
///
/// A step is about a nanosecond of one processor. Work is counted where it is done: entries,
/// attributes, rows of line tables, names, symbols. Above the limit the module is refused,
/// with what was read until then, and not read again.
pub const WORK: u64 = 400_000_000;

/// Further steps of work for each byte of the module's files.
///
/// Honest files take work in proportion to their size: reading every entry and every line of
/// a program takes 3 to 10 steps a byte.
pub const WORK_PER_BYTE: u64 = 16;

/// Seconds after which work comes back.
///
/// A session that runs for days asks again and again, for probes and for stacks. The answers
/// of a command that ends sooner do not depend on the clock.
pub const WORK_RETURNS_AFTER: u64 = 10;

/// Part of the work that comes back each second from then on, as a divisor of the whole.
pub const WORK_RETURNS: u64 = 4;

/// Steps of work that come back for each probe that a user adds.
pub const WORK_PER_PROBE: u64 = 2_000_000;

/// Bytes that all that is kept of a module's files may take, however small they are.
///
/// Above the limit the module is refused, with what was read until then.
pub const MEMORY: u64 = 128 << 20;

/// Further bytes for each byte of the module's files.
///
/// Packed debug sections grow three to four times.
pub const MEMORY_PER_BYTE: u64 = 4;

/// Bytes of one line table's list of directories and files.
///
/// The largest of real programs have some hundred thousand bytes; a larger one is refused.
pub const LINE_HEADER_BYTES: usize = 2 << 20;

/// Attributes of one kind of entry (of one abbreviation). Compilers write at most some
/// thirty; a larger one is refused.
pub const ATTRIBUTES: u64 = 512;

/// Bytes of a name; a longer one is cut.
pub const NAME_BYTES: usize = 4096;
