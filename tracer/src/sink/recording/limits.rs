//! Limits of recordings

use std::time::Duration;

/// Bytes of lines in one block. A block with as many is written, whatever its age.
///
/// Larger blocks are not smaller on disk, and a reader decompresses a whole one to show any of its events.
pub const BLOCK_BYTES: usize = 1 << 20;

/// Age at which a block is written. It is the most that is lost if `tracer` is killed.
pub const BLOCK_AGE: Duration = Duration::from_secs(1);

/// Bytes of lines in a block that is read. A larger one is refused.
///
/// One line can be longer than [`BLOCK_BYTES`]: the text of a source file, with its escapes.
pub const READ_BLOCK_BYTES: u64 = 32 << 20;

/// Blocks of a recording that is read: twelve days at one block a second. Later blocks are not shown.
pub const BLOCKS: usize = 1 << 20;

/// Events before and after the selected one that the terminal UI has at a time.
pub const WINDOW_EVENTS: usize = 3000;

/// Blocks that are searched at a time, in each direction, for events that pass a filter.
pub const SEARCHED_BLOCKS: usize = 64;

/// Source files whose text is recorded. Later ones are not.
pub const SOURCES: usize = 256;

/// Bytes of one source text, with its escapes. A longer one is not recorded.
pub const SOURCE_BYTES: usize = 24 << 20;

/// Bytes of all recorded source text.
pub const SOURCES_BYTES: usize = 64 << 20;
