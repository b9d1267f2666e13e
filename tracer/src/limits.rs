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
