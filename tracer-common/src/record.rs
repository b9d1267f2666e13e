//! The bytes that one hit sends: a header, then chunks.
//!
//! Each chunk is a [`ChunkHeader`] and its data, zero-padded to a multiple of 8 bytes. The plan
//! makes the chunks in the order in which the decoder reads them.

use crate::limits::{MAX_PROBES, MAX_RECORD, MAX_SITES};

/// The hit executed [`MAX_STEPS`](crate::limits::MAX_STEPS) ops and was cut off.
pub const FLAG_STEPS: u32 = 1;
/// At least one chunk did not fit ([`CHUNK_NO_ROOM`]).
pub const FLAG_NO_ROOM: u32 = 2;
/// At least one read faulted.
pub const FLAG_FAULT: u32 = 4;

/// The hit ended a timing: see [`RecordHeader::begun_at`].
pub const FLAG_TIMED: u32 = 8;
/// A call was left without its end: its frame is used again at this hit, which is no end and no event of its
/// own. The record has a [`LeftCall`](crate::timing::LeftCall), and the chunks of the beginning.
pub const FLAG_LEFT: u32 = 16;
/// The hit is a step of a traced call. A [`StepRecord`](crate::trace::StepRecord) stands before the chunks.
pub const FLAG_STEP: u32 = 32;

/// The chunk has all bytes that the plan asked for.
pub const CHUNK_OK: u8 = 0;
/// The memory is not mapped, or not readable. There is no data.
pub const CHUNK_FAULT: u8 = 1;
/// The data is shorter than the plan asked for.
pub const CHUNK_CUT: u8 = 2;
/// The record was full. There is no data.
pub const CHUNK_NO_ROOM: u8 = 3;
/// The memory is mapped and readable, but its page was not in memory. There is no data.
pub const CHUNK_ABSENT: u8 = 4;
/// The memory could not be read. Either its page was not in memory, or it is not mapped: the target
/// was changing its mappings, so the reason is not known. There is no data.
pub const CHUNK_UNREAD: u8 = 5;
/// The place of a module in the process is not known: see [`crate::places`]. There is no data.
pub const CHUNK_UNPLACED: u8 = 6;
/// First status for marks of the plan's own.
pub const CHUNK_PLAN: u8 = 16;

/// Header of every record: 64 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct RecordHeader {
    /// Length of the record in bytes, header included.
    pub length: u32,
    /// The site's attach cookie.
    pub site: u32,
    /// Time of the hit, in nanoseconds of `CLOCK_MONOTONIC`.
    ///
    /// Source: `bpf_ktime_get_ns` at probe entry. Stands still during suspend.
    pub ktime_ns: u64,
    /// Number of this hit among those of its probe, from 1, over all threads.
    pub hit: u64,
    /// Process (thread group) id, as the initial pid namespace counts it.
    pub pid: u32,
    /// Thread id, as the initial pid namespace counts it.
    pub tid: u32,
    /// Thread name, zero-padded; hostile bytes.
    pub comm: [u8; 16],
    /// `FLAG_…` bits. All of them fit into 16 bits.
    pub flags: u16,
    /// The probe, so that a record is counted even if its site is gone.
    pub probe: u16,
    /// For the end of a timing: the site at which it began. Otherwise 0.
    pub begun_at: u16,
    /// Length in bytes of the chunks from that beginning. They come first.
    pub begun_bytes: u16,
    /// Low half of [`ProbeState::limited`](crate::control::ProbeState::limited) when the record was made.
    pub limited: u32,
    /// Low half of [`ProbeState::lost`](crate::control::ProbeState::lost) when the record was made.
    pub lost: u32,
}

/// A failed read, sent through a ring of its own: 16 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Miss {
    /// Run address of the first byte.
    pub address: u64,
    /// Length of the read in bytes.
    pub length: u32,
    /// Process (thread group) id, as in [`RecordHeader::pid`].
    pub process: u32,
}

/// Header of every chunk: 8 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct ChunkHeader {
    /// The plan's number for this chunk.
    pub slot: u16,
    /// `CHUNK_…`.
    pub status: u8,
    /// Zero.
    pub reserved: u8,
    /// Length of the data in bytes, without padding.
    pub length: u32,
}

const _: () = assert!(size_of::<RecordHeader>() == 64 && align_of::<RecordHeader>() == 8);
const _: () = assert!(MAX_PROBES <= 1 << 16 && MAX_SITES <= 1 << 16 && MAX_RECORD <= 1 << 16);
const _: () = assert!(size_of::<Miss>() == 16 && align_of::<Miss>() == 8);
const _: () = assert!(size_of::<ChunkHeader>() == 8 && align_of::<ChunkHeader>() == 4);
