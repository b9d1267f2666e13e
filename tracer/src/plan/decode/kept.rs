//! Splits the record of a timing's end: some of its chunks were kept from the beginning.

use tracer_common::record::{ChunkHeader, FLAG_NO_ROOM, RecordHeader};

use crate::plan::decode::DecodeError;

/// Splits the record of an end into what was kept at the beginning, and the rest.
///
/// The kept bytes may be cut anywhere. Only their whole chunks are returned.
pub(super) fn split(record: &[u8]) -> Result<(Vec<u8>, Vec<u8>), DecodeError> {
    let size = size_of::<RecordHeader>();
    let short = |need| DecodeError::Short {
        need,
        have: record.len(),
    };
    let header = record.get(..size).ok_or_else(|| short(size))?;
    let header: RecordHeader = bytemuck::pod_read_unaligned(header);
    let middle = size.saturating_add(header.begun_bytes as usize);
    let kept = record.get(size..middle).ok_or_else(|| short(middle))?;
    let rest = record.get(middle..header.length as usize);
    let rest = rest.ok_or_else(|| short(header.length as usize))?;
    let whole = whole_chunks(kept);
    let cut = if whole.len() < kept.len() {
        FLAG_NO_ROOM as u16
    } else {
        0
    };
    let with = |chunks: &[u8], flags| {
        let header = RecordHeader {
            length: u32::try_from(size + chunks.len()).unwrap_or(u32::MAX),
            flags,
            ..header
        };
        let mut bytes = bytemuck::bytes_of(&header).to_vec();
        bytes.extend_from_slice(chunks);
        bytes
    };
    Ok((with(whole, header.flags | cut), with(rest, header.flags)))
}

/// The record of a beginning whose chunks are kept.
pub(super) fn record(header: RecordHeader, chunks: &[u8]) -> Vec<u8> {
    let whole = whole_chunks(chunks);
    let is_cut = whole.len() < chunks.len();
    let header = RecordHeader {
        length: u32::try_from(size_of::<RecordHeader>() + whole.len()).unwrap_or(u32::MAX),
        flags: header.flags | if is_cut { FLAG_NO_ROOM as u16 } else { 0 },
        ..header
    };
    let mut bytes = bytemuck::bytes_of(&header).to_vec();
    bytes.extend_from_slice(whole);
    bytes
}

/// The chunks that are complete.
fn whole_chunks(bytes: &[u8]) -> &[u8] {
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + size_of::<ChunkHeader>()) {
        let header: ChunkHeader = bytemuck::pod_read_unaligned(header);
        let length = (header.length as usize).next_multiple_of(8);
        let next = (at + size_of::<ChunkHeader>()).saturating_add(length);
        if next > bytes.len() {
            break;
        }
        at = next;
    }
    bytes.get(..at).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(slot: u16, data: &[u8]) -> Vec<u8> {
        let header = ChunkHeader {
            slot,
            length: u32::try_from(data.len()).expect("small"),
            ..ChunkHeader::default()
        };
        let mut bytes = bytemuck::bytes_of(&header).to_vec();
        bytes.extend_from_slice(data);
        bytes
    }

    #[test]
    fn split_of_a_record_gives_the_whole_chunks_of_the_beginning() {
        let (first, second) = (chunk(0, &[1; 8]), chunk(1, &[2; 16]));
        let end = chunk(0, &[3; 8]);
        let kept = [&first[..], &second[..16]].concat();
        let length = size_of::<RecordHeader>() + kept.len() + end.len();
        let header = RecordHeader {
            length: u32::try_from(length).expect("small"),
            begun_bytes: u16::try_from(kept.len()).expect("small"),
            ..RecordHeader::default()
        };
        let record = [bytemuck::bytes_of(&header), &kept, &end].concat();
        let (begin, rest) = split(&record).expect("a record");
        assert_eq!(begin[size_of::<RecordHeader>()..], first);
        assert_eq!(rest[size_of::<RecordHeader>()..], end);
        let flags = |record: &[u8]| {
            let header: RecordHeader = bytemuck::pod_read_unaligned(&record[..64]);
            u32::from(header.flags)
        };
        assert_eq!((flags(&begin), flags(&rest)), (FLAG_NO_ROOM, 0));
        // Lengths come from the target, too. A wrong one must not cause a panic.
        for end in 0..record.len() {
            assert!(split(&record[..end]).is_err(), "{end}");
        }
    }
}
