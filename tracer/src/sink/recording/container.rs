//! The blocks of a recording.
//!
//! A block is a *skippable* zstd frame and a data frame. The skippable frame says what the data frame
//! has, so a reader that knows it finds any time in a large file without decompressing the rest, and
//! others pass over it. Each block stands by itself: a cut or damaged file is readable up to the damage
//! and behind it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use super::limits::{BLOCKS, READ_BLOCK_BYTES};

/// The number that a skippable frame begins with. The format has 16 of them.
const SKIPPABLE: u32 = 0x184d_2a54;
/// Begins the content of our skippable frames.
const MAGIC: [u8; 4] = *b"TRB1";
/// Bytes of the content of a skippable frame.
const CONTENT: usize = 52;
/// Bytes of a skippable frame.
pub const HEADER: usize = 8 + CONTENT;
/// Bytes that are searched at a time for the next block behind a damage.
const SEARCHED: usize = 1 << 16;
/// The largest window that a data frame may ask for, as a power of two.
const WINDOW: u32 = 27;

/// The description of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockHeader {
    /// Its content besides events.
    pub flags: Flags,
    /// Bytes of the data frame.
    pub compressed: u64,
    /// Bytes of its lines.
    pub bytes: u64,
    /// Events among the lines.
    pub events: u64,
    /// Time of the first line in ns since the Unix epoch.
    pub first_ns: u64,
    /// Time of the last line in ns since the Unix epoch.
    pub last_ns: u64,
}

/// The content of a block besides events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u32);

impl Flags {
    /// The description of the session.
    pub const SESSION: Self = Self(1);
    /// The states of all probes.
    pub const PROBES: Self = Self(2);
    /// Aggregates.
    pub const AGGREGATES: Self = Self(4);
    /// Source files.
    pub const SOURCES: Self = Self(8);
    /// Changes of probes or targets, and notes.
    pub const CHANGES: Self = Self(16);
    /// The end of the session: the recording is complete.
    pub const END: Self = Self(32);

    /// True if it has all of these.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Adds these.
    pub const fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BlockHeader {
    /// The skippable frame.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER] {
        let mut frame = [0; HEADER];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            frame[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&SKIPPABLE.to_le_bytes());
        put(&52_u32.to_le_bytes());
        put(&MAGIC);
        put(&self.flags.0.to_le_bytes());
        for number in [
            self.compressed,
            self.bytes,
            self.events,
            self.first_ns,
            self.last_ns,
        ] {
            put(&number.to_le_bytes());
        }
        let sum = crc32fast::hash(&frame[8..HEADER - 4]);
        frame[HEADER - 4..].copy_from_slice(&sum.to_le_bytes());
        frame
    }

    /// Reads a skippable frame. `None` if it is none of ours, or damaged.
    #[must_use]
    pub fn decode(frame: &[u8; HEADER]) -> Option<Self> {
        let (start, content) = frame.split_at(8);
        let (described, sum) = content.split_at(CONTENT - 4);
        let is_ours = start[..4] == SKIPPABLE.to_le_bytes()
            && start[4..] == 52_u32.to_le_bytes()
            && described[..4] == MAGIC
            && sum == crc32fast::hash(described).to_le_bytes();
        if !is_ours {
            return None;
        }
        let number = |index: usize| {
            let at = 8 + index * 8;
            let bytes = described.get(at..at + 8)?.try_into().ok()?;
            Some(u64::from_le_bytes(bytes))
        };
        Some(Self {
            flags: Flags(u32::from_le_bytes(described[4..8].try_into().ok()?)),
            compressed: number(0)?,
            bytes: number(1)?,
            events: number(2)?,
            first_ns: number(3)?,
            last_ns: number(4)?,
        })
    }
}

/// A block and its place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordingBlock {
    /// Its description.
    pub header: BlockHeader,
    /// Offset of its data frame in the file.
    pub at: u64,
    /// Events in the blocks before it.
    pub events_before: u64,
}

/// The blocks of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// In the order of the file.
    pub blocks: Vec<RecordingBlock>,
    /// Bytes that are in no block.
    pub damaged: u64,
    /// Bytes at the end that are a part of a block: the file was cut, or its writer was killed.
    pub cut: u64,
    /// The file has more blocks than are read.
    pub has_more: bool,
}

impl Index {
    /// Finds the blocks of a file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(file: &File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let mut index = Self::default();
        let (mut at, mut events_before) = (0, 0_u64);
        while at < length {
            if index.blocks.len() == BLOCKS {
                index.has_more = true;
                break;
            }
            let Some(frame) = frame_at(file, at, length)? else {
                index.cut = length - at;
                break;
            };
            let Some(header) = BlockHeader::decode(&frame) else {
                let next = next_block(file, at + 1, length)?;
                index.damaged += next.unwrap_or(length) - at;
                at = next.unwrap_or(length);
                continue;
            };
            let data = at + HEADER as u64;
            let Some(end) = data
                .checked_add(header.compressed)
                .filter(|&end| end <= length)
            else {
                // A damaged length is possible, but the checksum makes a cut far more likely.
                index.cut = length - at;
                break;
            };
            index.blocks.push(RecordingBlock {
                header,
                at: data,
                events_before,
            });
            events_before = events_before.saturating_add(header.events);
            at = end;
        }
        Ok(index)
    }

    /// Events of all blocks.
    #[must_use]
    pub fn events(&self) -> u64 {
        let last = self.blocks.last();
        last.map_or(0, |last| {
            last.events_before.saturating_add(last.header.events)
        })
    }

    /// True if the session ended as sessions do.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let mut blocks = self.blocks.iter();
        blocks.any(|block| block.header.flags.has(Flags::END))
    }
}

/// The bytes at a place where a skippable frame would be. `None` if the file ends before.
fn frame_at(file: &File, at: u64, length: u64) -> io::Result<Option<[u8; HEADER]>> {
    if length - at < HEADER as u64 {
        return Ok(None);
    }
    let mut frame = [0; HEADER];
    file.read_exact_at(&mut frame, at)?;
    Ok(Some(frame))
}

/// The place of the next block, behind a damage.
fn next_block(file: &File, from: u64, length: u64) -> io::Result<Option<u64>> {
    let mut mark = [0; 12];
    mark[..4].copy_from_slice(&SKIPPABLE.to_le_bytes());
    mark[4..8].copy_from_slice(&52_u32.to_le_bytes());
    mark[8..].copy_from_slice(&MAGIC);
    let mut buffer = vec![0; SEARCHED + mark.len()];
    let mut at = from;
    while at < length {
        let wanted = usize::try_from(length - at)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let piece = &mut buffer[..wanted];
        file.read_exact_at(piece, at)?;
        for found in memchr::memmem::find_iter(piece, &mark) {
            let place = at + found as u64;
            let Some(frame) = frame_at(file, place, length)? else {
                return Ok(None);
            };
            if BlockHeader::decode(&frame).is_some() {
                return Ok(Some(place));
            }
        }
        at += SEARCHED as u64;
    }
    Ok(None)
}

/// Why a block cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The file cannot be read, or the block is no valid zstd frame.
    #[error("cannot read a block")]
    Read(#[from] io::Error),
    /// It has more bytes than it says, or than are read.
    #[error("a block is larger than {READ_BLOCK_BYTES} bytes")]
    TooLarge,
}

/// Reads the lines of a block.
///
/// # Errors
/// The block is damaged or too large.
pub fn read_block(file: &File, block: &RecordingBlock) -> Result<Vec<u8>, BlockError> {
    if block.header.bytes > READ_BLOCK_BYTES {
        return Err(BlockError::TooLarge);
    }
    let from = FileSlice {
        file,
        at: block.at,
        left: block.header.compressed,
    };
    let mut decoder = zstd::stream::read::Decoder::new(from)?.single_frame();
    decoder.window_log_max(WINDOW)?;
    let mut lines = Vec::new();
    // One byte more than it says shows that it lies.
    decoder
        .take(block.header.bytes + 1)
        .read_to_end(&mut lines)?;
    if lines.len() as u64 > block.header.bytes {
        return Err(BlockError::TooLarge);
    }
    Ok(lines)
}

/// A part of a file.
struct FileSlice<'f> {
    file: &'f File,
    at: u64,
    left: u64,
}

impl Read for FileSlice<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = self.file.read_at(&mut buffer[..wanted], self.at)?;
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}
