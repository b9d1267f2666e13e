//! Limits of fetching pages of the target: unit, reason, and effect of each

/// Pages of the target that are fetched each second because a hit missed them. Further pages wait for
/// a later miss.
///
/// This is 8 MiB a second. A target that keeps missing pages can fill neither its memory nor a disk's
/// queue this way.
pub(super) const PAGES_PER_SECOND: u32 = 2048;

/// Pages whose last request is remembered. While the table is full, further misses are ignored.
pub(super) const REMEMBERED_PAGES: usize = 4096;

/// Milliseconds until a page is requested again after another miss. The time doubles with each request.
pub(super) const FIRST_WAIT_MS: u64 = 50;

/// Longest time between two requests, in milliseconds. A page that never comes is requested once a
/// minute.
pub(super) const LONGEST_WAIT_MS: u64 = 60_000;

/// Pages of one module's constants that are fetched when its first probe is attached: 16 MiB. The rest
/// is fetched after misses.
pub(super) const WARMED_PAGES: u64 = 4096;

/// Milliseconds that are spent on fetching the pages of one module before its probe is attached.
pub(super) const WARMING_MS: u64 = 5;

/// Ranges of memory that are fetched for one probe. Further constants are fetched after misses.
pub(super) const WARMED_RANGES: usize = 256;

/// Milliseconds that the end of a session waits for the helper process to end. A helper that hangs in
/// the kernel is left behind. It holds nothing of the session.
pub(super) const END_MS: u64 = 100;

/// Bytes of a process's list of mappings that are read. Pages of mappings beyond are not fetched.
pub(super) const MAPS_BYTES: u64 = 64 << 20;
