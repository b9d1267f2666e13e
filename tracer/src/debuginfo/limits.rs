//! Limits of work and memory for reading the files of one module

/// Steps of work for reading a module, however small its files are.
///
/// A step takes about a nanosecond. Entries, attributes, rows of line tables, names and symbols are
/// counted where they are read. Above the limit the module is refused, including the part that was
/// read before, and is not read again.
pub const WORK: u64 = 400_000_000;

/// Additional steps of work for each byte of the module's files.
///
/// Ordinary files take work in proportion to their size: reading every entry and every line of a
/// program takes 3 to 10 steps per byte.
pub const WORK_PER_BYTE: u64 = 16;

/// Seconds after which spent work is given back.
///
/// A session that runs for days keeps reading, for probes and for stacks. A command that ends sooner
/// has results that do not depend on the clock.
pub const WORK_RETURNS_AFTER: u64 = 10;

/// Work that is then given back each second, as a divisor of the whole.
pub const WORK_RETURNS: u64 = 4;

/// Steps of work that are given back for each probe that a user adds.
pub const WORK_PER_PROBE: u64 = 2_000_000;

/// Bytes of memory for everything kept from a module's files, however small they are.
///
/// Above the limit the module is refused, including the part that was read before.
pub const MEMORY: u64 = 128 << 20;

/// Additional bytes of memory for each byte of the module's files.
///
/// Compressed debug sections grow by a factor of three to four.
pub const MEMORY_PER_BYTE: u64 = 4;

/// Bytes of one line table's list of directories and files. A larger one is refused.
///
/// The largest lists of real programs have a few hundred thousand bytes.
pub const LINE_HEADER_BYTES: usize = 2 << 20;

/// Attributes of one abbreviation. An abbreviation with more is refused.
///
/// Compilers write at most about thirty.
pub const ATTRIBUTES: u64 = 512;

/// Bytes of a name. A longer one is cut.
pub const NAME_BYTES: usize = 4096;

/// Bytes of a USDT probe's provider, and of its name. A probe with a longer one is left out.
///
/// Names of real probes have up to about 40 bytes.
pub const USDT_NAME_BYTES: usize = 256;

/// Arguments of a USDT probe that are read.
///
/// `sys/sdt.h` has macros for at most 12.
pub const USDT_ARGUMENTS: usize = 32;

/// Bytes of a USDT probe's arguments that are read. A probe with more is left out.
///
/// C++ has symbols of a few hundred bytes, and an argument can have one.
pub const USDT_ARGUMENTS_BYTES: usize = 16 << 10;
