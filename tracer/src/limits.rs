//! Limits of files and output: what the tracer reads of sources and probe files, and keeps for slow readers.

use std::time::Duration;

/// Bytes of a source file; a larger one is not shown. Probes need no source.
///
/// The largest source that people write by hand, SQLite's amalgamation, has 9 MB.
pub const SOURCE_BYTES: u64 = 16 << 20;

/// Symbolic links on the way to a source file; a path with more is not followed, as in the kernel.
pub const SOURCE_LINKS: usize = 40;

/// Components of a source file's path, those of links included; a longer path is not followed.
pub const SOURCE_COMPONENTS: usize = 1024;

/// Time for the file system to answer about one source file; a source that takes longer is not shown.
///
/// The target may have mounted a file system that never answers.
pub const SOURCE_WAIT: Duration = Duration::from_secs(2);

/// Bytes of records and events that wait for the output; `--buffer-size` sets another number.
///
/// Above it the oldest are dropped, and counted as lost by their probes. A quarter of it is for
/// events, half for records, which become larger events; the rest is for what is being made.
pub const BUFFER_BYTES: usize = 256 << 20;

/// Bytes that `--buffer-size` takes at the least: some records of the largest size.
pub const BUFFER_BYTES_LEAST: usize = 4 << 20;

/// Time for output that still waits when a signal has come and the probes are out; the rest is
/// counted as lost.
pub const LAST_WRITES: Duration = Duration::from_millis(400);

/// Bytes of a file of probes; a larger one is refused before it is read.
pub const PROBE_FILE_BYTES: u64 = 1 << 20;

/// Probes of all files and of the command line together; more are refused before any is looked at.
///
/// The kernel side has room for as many.
pub const PROBES: usize = tracer_common::limits::MAX_PROBES as usize;

/// Time for a pipe of probes (`-f -`, `-f <(command)`) to end; one that takes longer is refused.
pub const PROBE_FILE_WAIT: Duration = Duration::from_secs(10);
