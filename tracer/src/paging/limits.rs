//! Limits of bringing pages in: unit, reason, and what happens above each.

/// Pages of the target that are brought in each second because a hit missed them; those of further
/// misses wait for a later miss.
///
/// 8 MiB a second: a target that keeps missing pages can neither fill its memory nor a disk's queue
/// by it.
pub(super) const PAGES_PER_SECOND: u32 = 2048;

/// Pages whose last request is remembered; while there is no room, further misses are left out.
pub(super) const REMEMBERED_PAGES: usize = 4096;

/// Milliseconds until a page is asked for again when it was missed again, doubled each time.
pub(super) const FIRST_WAIT_MS: u64 = 50;

/// The most that this wait grows to, in milliseconds: a page that never comes is asked for once a minute.
pub(super) const LONGEST_WAIT_MS: u64 = 60_000;

/// Pages of one module's constants that are brought in when the first probe in it is attached; the
/// rest comes as it is missed. 16 MiB.
pub(super) const WARMED_PAGES: u64 = 4096;

/// Milliseconds that are spent on the pages of one module before its probe is attached, and that attaching
/// waits for it.
pub(super) const WARMING_MS: u64 = 5;

/// Ranges of memory that are brought in for one probe; those of further constants come as they are missed.
pub(super) const WARMED_RANGES: usize = 256;

/// Milliseconds that the end of a session waits for the end of the helper process; one that hangs in
/// the kernel is left behind, and holds nothing of the session's.
pub(super) const END_MS: u64 = 100;

/// Bytes of a process's list of mappings that are read; pages of mappings beyond are not brought in.
pub(super) const MAPS_BYTES: u64 = 64 << 20;
