//! Limits of files and output: source files, files of probes, the buffer for slow readers, and ended processes

use std::time::Duration;

/// Bytes of a source file. A larger one is not shown. Probes need no source.
///
/// SQLite's amalgamation, one of the largest source files in use, has 9 MB.
pub const SOURCE_BYTES: u64 = 16 << 20;

/// Symbolic links on the way to a source file. As in the kernel, a path with more is not followed.
pub const SOURCE_LINKS: usize = 40;

/// Components of a source file's path, including those of links. A longer path is not followed.
pub const SOURCE_COMPONENTS: usize = 1024;

/// Time for the file system to answer about one source file. A source that takes longer is not shown.
///
/// The target may have mounted a file system that never answers.
pub const SOURCE_WAIT: Duration = Duration::from_secs(2);

/// Bytes of records and events that wait for the output. `--buffer-size` sets another number.
///
/// Above it the oldest are dropped, and counted as lost by their probes. A quarter is for events, half
/// for records, which become larger events, and the rest for events in the making.
pub const BUFFER_BYTES: usize = 256 << 20;

/// Smallest `--buffer-size`, in bytes: a few records of the largest size.
pub const BUFFER_BYTES_LEAST: usize = 4 << 20;

/// Time for writing the waiting output after a signal, once the probes are removed. The rest is
/// counted as lost.
pub const LAST_WRITES: Duration = Duration::from_millis(400);

/// Bytes of a file of probes. A larger one is refused before it is read.
pub const PROBE_FILE_BYTES: u64 = 1 << 20;

/// Bytes of the configuration file. A larger one is ignored, or refused if `--config` names it.
pub const CONFIG_BYTES: u64 = 64 << 10;

/// Probes of all files and of the command line together. If there are more, all are refused.
///
/// The kernel side has room for this many.
pub const PROBES: usize = tracer_common::limits::MAX_PROBES as usize;

/// Processes that have ended and keep their name, cgroup and container. Also their accounts, of all
/// probes together.
///
/// Beyond it, the process that ended first is forgotten for events. Its hits are added up with those of
/// processes of the same name, cgroup and container.
pub const ENDED_PROCESSES: usize = 1 << 14;

/// Sums of hits of processes beyond [`ENDED_PROCESSES`]. Hits of further ones are shown as those of other
/// processes.
pub const ENDED_SUMS: usize = 1 << 12;

/// Time for a pipe of probes (`-f -`, `-f <(command)`) to end. A pipe that takes longer is refused.
pub const PROBE_FILE_WAIT: Duration = Duration::from_secs(10);

/// Bytes that a key of the terminal UI copies. Of a longer text the start is copied, and a message says so.
///
/// Some terminals drop a sequence for the clipboard (OSC 52) of more than 100,000 bytes, which are base64
/// of this many.
pub const CLIPBOARD_BYTES: usize = 74_994;
