//! The structure of a record: a sequence of chunks, and views of the bytes of one value.

use std::borrow::Cow;

use tracer_common::record::{
    CHUNK_ABSENT, CHUNK_CUT, CHUNK_FAULT, CHUNK_NO_ROOM, CHUNK_OK, CHUNK_UNPLACED, CHUNK_UNREAD,
    ChunkHeader, FLAG_NO_ROOM, FLAG_STEP, FLAG_STEPS, RecordHeader,
};
use tracer_common::trace::StepRecord;

use crate::base::unavailable::Unavailable;
use crate::plan::decode::DecodeError;
use crate::plan::ops::ir::Failure;
use crate::plan::shape::Slot;

/// Bytes of a chunk, or the reason why there are none.
pub(in crate::plan) type Data<'r> = Result<&'r [u8], Unavailable>;

/// Bytes from a chunk or from the plan, or the reason why there are none.
type Bytes<'r> = Result<Cow<'r, [u8]>, Unavailable>;

/// The chunks of a record in order.
pub(in crate::plan) struct Chunks<'r> {
    bytes: &'r [u8],
    at: usize,
    flags: u32,
    /// The slot that is number 0 in the current shape.
    first: Slot,
}

impl<'r> Chunks<'r> {
    /// Header and chunks of a record.
    pub(in crate::plan) fn of(record: &'r [u8]) -> Result<(RecordHeader, Self), DecodeError> {
        let size = size_of::<RecordHeader>();
        let short = |need| DecodeError::Short {
            need,
            have: record.len(),
        };
        let header = record.get(..size).ok_or_else(|| short(size))?;
        let header: RecordHeader = bytemuck::pod_read_unaligned(header);
        let length = header.length as usize;
        let bytes = record
            .get(..length.max(size))
            .ok_or_else(|| short(length))?;
        let is_step = u32::from(header.flags) & FLAG_STEP != 0;
        let before = if is_step { size_of::<StepRecord>() } else { 0 };
        let chunks = Self {
            bytes,
            at: size + before,
            flags: header.flags.into(),
            first: 0,
        };
        Ok((header, chunks))
    }

    fn header(&self) -> Result<Option<ChunkHeader>, DecodeError> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let size = size_of::<ChunkHeader>();
        let need = self.at + size;
        let header = self.bytes.get(self.at..need).ok_or(DecodeError::Short {
            need,
            have: self.bytes.len(),
        })?;
        Ok(Some(bytemuck::pod_read_unaligned(header)))
    }

    /// Returns true if the record is complete, rather than cut at a limit of the machine.
    pub(in crate::plan) fn is_whole(&self) -> bool {
        self.flags & (FLAG_STEPS | FLAG_NO_ROOM) == 0
    }

    /// Sets the slot that is number 0 in the shape that is read next.
    pub(in crate::plan) fn number_from(&mut self, first: Slot) {
        self.first = first;
    }

    /// Number of the next chunk. `None` if it belongs to no shape that is read now.
    pub(in crate::plan) fn peek(&self) -> Result<Option<Slot>, DecodeError> {
        let header = self.header()?;
        Ok(header.and_then(|header| header.slot.checked_sub(self.first)))
    }

    /// The bytes of the next chunk, which must have number `slot`, and whether they were cut.
    pub(in crate::plan) fn next(&mut self, slot: Slot) -> Result<(Data<'r>, bool), DecodeError> {
        let Some(header) = self.header()? else {
            let why = if self.flags & FLAG_STEPS != 0 {
                Unavailable::Steps
            } else if self.flags & FLAG_NO_ROOM != 0 {
                Unavailable::NoRoom
            } else {
                return Err(DecodeError::Short {
                    need: self.at + size_of::<ChunkHeader>(),
                    have: self.bytes.len(),
                });
            };
            return Ok((Err(why), false));
        };
        let slot = self.first.saturating_add(slot);
        if header.slot != slot {
            return Err(DecodeError::Slot {
                found: header.slot,
                expected: slot,
            });
        }
        let from = self.at + size_of::<ChunkHeader>();
        let to = from.saturating_add(header.length as usize);
        let data = self.bytes.get(from..to).ok_or(DecodeError::Short {
            need: to,
            have: self.bytes.len(),
        })?;
        self.at = to.next_multiple_of(8);
        let why = match header.status {
            CHUNK_OK => return Ok((Ok(data), false)),
            CHUNK_CUT => return Ok((Ok(data), true)),
            CHUNK_FAULT => Unavailable::Unreadable(None),
            CHUNK_ABSENT => Unavailable::Absent,
            CHUNK_UNREAD => Unavailable::Unread,
            CHUNK_UNPLACED => Unavailable::Unplaced,
            CHUNK_NO_ROOM => Unavailable::NoRoom,
            status => match Failure::MARKS.iter().find(|mark| **mark as u8 == status) {
                Some(failure) => failure.reason(),
                None => return Err(DecodeError::Status { slot, status }),
            },
        };
        Ok((Err(why), false))
    }

    /// The next chunk. It must have `len` bytes or none.
    pub(in crate::plan) fn exact(&mut self, slot: Slot, len: u64) -> Result<Data<'r>, DecodeError> {
        let (data, _) = self.next(slot)?;
        match data {
            Ok(data) if data.len() as u64 != len => Err(DecodeError::Length {
                slot: self.first.saturating_add(slot),
                need: len,
                have: data.len() as u64,
            }),
            data => Ok(data),
        }
    }
}

/// The bytes of one value, in parts.
pub(in crate::plan) struct View<'r> {
    pub(super) parts: Vec<ViewPart<'r>>,
}

/// Offset, length and bytes of a part.
pub(super) type ViewPart<'r> = (u64, u64, Bytes<'r>);

impl<'r> View<'r> {
    /// Contiguous bytes.
    pub(in crate::plan) fn row(bytes: &'r [u8]) -> Self {
        Self {
            parts: vec![(0, bytes.len() as u64, Ok(Cow::Borrowed(bytes)))],
        }
    }

    /// A range of the bytes. It may span several parts.
    pub(in crate::plan) fn bytes(&self, at: u64, len: u64) -> Result<Cow<'_, [u8]>, Unavailable> {
        let end = at.saturating_add(len);
        let mut whole: Vec<u8> = Vec::new();
        let mut next = at;
        for (offset, size, data) in &self.parts {
            let part_end = offset.saturating_add(*size);
            if next >= end || part_end <= next || *offset > next {
                continue;
            }
            let data = data.as_ref().map_err(Clone::clone)?;
            let from = usize::try_from(next - offset).map_err(|_| outside())?;
            let to = usize::try_from(end.min(part_end) - offset).map_err(|_| outside())?;
            let slice = data.get(from..to).ok_or_else(outside)?;
            if from + slice.len() == to && next == at && end <= part_end {
                return Ok(Cow::Borrowed(slice));
            }
            whole.extend_from_slice(slice);
            next = end.min(part_end);
        }
        if next < end {
            return Err(outside());
        }
        Ok(Cow::Owned(whole))
    }

    /// A number of at most 16 bytes, zero-extended.
    pub(in crate::plan) fn number(&self, at: u64, size: u8) -> Result<u128, Unavailable> {
        let bytes = self.bytes(at, u64::from(size.min(16)))?;
        let mut wide = [0; 16];
        for (to, from) in wide.iter_mut().zip(bytes.iter()) {
            *to = *from;
        }
        Ok(u128::from_le_bytes(wide))
    }

    /// A number of eight bytes.
    pub(in crate::plan) fn word(&self, at: u64) -> Result<u64, Unavailable> {
        self.number(at, 8).map(|number| number as u64)
    }
}

pub(super) fn outside() -> Unavailable {
    Unavailable::BadDebugInfo("member outside of its value".into())
}
