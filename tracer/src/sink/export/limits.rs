//! Limits of exports

/// Columns of values in a table. Further values are in the column `other_values`.
pub const COLUMNS: usize = 1 << 11;

/// Rows that are kept until they are written as a group, in Parquet.
pub const GROUP_ROWS: usize = 1 << 17;

/// Bytes of the rows that are kept until they are written as a group, in Parquet.
pub const GROUP_BYTES: usize = 32 << 20;

/// Spans without a span around them that are kept for each track, to find out whether others overlap them. Older
/// ones are kept as one.
pub const LANE_SPANS: usize = 1 << 10;

/// Tracks for overlapping spans of one thread. A further span has a track of its own.
pub const LANES: usize = 1 << 8;

/// Threads, processes and counters that are kept as known. Beyond it, all are described again.
pub const KNOWN_TRACKS: usize = 1 << 14;

/// Distinct stacks, with their probes and threads, in a pprof profile. Further ones are added up as one.
pub const SAMPLES: usize = 1 << 19;

/// Bytes of names and places in a pprof profile. Further stacks are added up as one.
pub const PROFILE_BYTES: usize = 256 << 20;
