//! Line tables, in the three forms that they have had.

use super::instruction_bytes;
use crate::heap::{Heap, PyMissing, Read};
use crate::limits::TABLE_BYTES;

/// Instructions of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineEntry {
    /// Offset of the first instruction in the code, in bytes.
    pub start: usize,
    /// Offset behind the last instruction.
    pub end: usize,
    /// The line. `None` for instructions that belong to no line.
    pub line: Option<u32>,
}

/// The line table of a code object, in the order of its instructions.
///
/// # Errors
///
/// [`PyMissing`] if the code object cannot be read or is damaged.
pub fn line_table(heap: &Heap<'_>, code: u64) -> Read<Vec<LineEntry>> {
    let offsets = heap.offsets();
    let table = heap.pointer(code, offsets.code_line_table)?;
    let table = heap.bytes(table, TABLE_BYTES)?;
    if table.is_cut() {
        return Err(PyMissing::Damaged {
            what: "line table",
            address: code,
        });
    }
    let first = heap.number(code, offsets.code_first_line)?;
    let (_, length) = instruction_bytes(heap, code)?;
    Ok(decode(
        heap.python().version.minor,
        &table.bytes,
        first,
        length,
    ))
}

/// Decodes a line table. `length` is that of the code, in bytes.
pub(crate) fn decode(minor: u8, table: &[u8], first: u32, length: usize) -> Vec<LineEntry> {
    match minor {
        0..=9 => line_numbers(table, first, length),
        10 => line_ranges(table, first),
        _ => locations(table, first),
    }
}

/// The line of an instruction.
#[must_use]
pub fn line_at(table: &[LineEntry], offset: usize) -> Option<u32> {
    let entry = table
        .iter()
        .find(|entry| (entry.start..entry.end).contains(&offset))?;
    entry.line
}

/// A line number as the tables compute it. They may go below zero in between.
fn line(number: i64) -> Option<u32> {
    u32::try_from(number).ok()
}

/// `co_lnotab` up to 3.9: pairs of a distance in the code and one of the line.
fn line_numbers(table: &[u8], first: u32, length: usize) -> Vec<LineEntry> {
    let mut entries = Vec::new();
    let (mut start, mut number) = (0, i64::from(first));
    for pair in table.chunks_exact(2) {
        let &[distance, lines] = pair else {
            continue;
        };
        if distance > 0 {
            let end = start + usize::from(distance);
            entries.push(LineEntry {
                start,
                end,
                line: line(number),
            });
            start = end;
        }
        number += i64::from(lines.cast_signed());
    }
    if start < length {
        entries.push(LineEntry {
            start,
            end: length,
            line: line(number),
        });
    }
    entries
}

/// `co_linetable` of 3.10: pairs of a length and the distance of the line.
fn line_ranges(table: &[u8], first: u32) -> Vec<LineEntry> {
    let mut entries = Vec::new();
    let (mut start, mut number) = (0, i64::from(first));
    for pair in table.chunks_exact(2) {
        let &[length, lines] = pair else {
            continue;
        };
        let lines = lines.cast_signed();
        let has_line = lines != i8::MIN;
        if has_line {
            number += i64::from(lines);
        }
        let end = start + usize::from(length);
        if end > start {
            entries.push(LineEntry {
                start,
                end,
                line: line(number).filter(|_| has_line),
            });
        }
        start = end;
    }
    entries
}

/// `co_linetable` from 3.11 on: entries of a kind, a length and positions.
///
/// CPython: `Objects/locations.md`, later `InternalDocs/code_objects.md`.
fn locations(table: &[u8], first: u32) -> Vec<LineEntry> {
    let mut bytes = table.iter().copied();
    let mut entries = Vec::new();
    let (mut start, mut number) = (0, i64::from(first));
    while let Some(head) = bytes.next() {
        let kind = head >> 3 & 15;
        let end = start + 2 * (usize::from(head & 7) + 1);
        let has_line = kind != 15;
        match kind {
            // A line and columns.
            14 => {
                number = number.saturating_add(signed_number(&mut bytes));
                for _ in 0..3 {
                    number_of(&mut bytes);
                }
            }
            // A line without columns.
            13 => number = number.saturating_add(signed_number(&mut bytes)),
            // The line is at most two further, and two columns follow.
            10..=12 => {
                number = number.saturating_add(i64::from(kind) - 10);
                bytes.nth(1);
            }
            // No location at all.
            15 => {}
            // No new line, and columns in one byte.
            _ => {
                bytes.next();
            }
        }
        entries.push(LineEntry {
            start,
            end,
            line: line(number).filter(|_| has_line),
        });
        start = end;
    }
    entries
}

/// A number of groups of six bits, the lowest first.
fn number_of(bytes: &mut impl Iterator<Item = u8>) -> u64 {
    let mut number = 0u64;
    let mut shift = 0;
    for byte in bytes {
        if shift < 64 {
            number |= u64::from(byte & 63) << shift;
        }
        shift += 6;
        if byte & 64 == 0 {
            break;
        }
    }
    number
}

/// A number whose lowest bit is its sign.
fn signed_number(bytes: &mut impl Iterator<Item = u8>) -> i64 {
    let number = number_of(bytes);
    let magnitude = (number >> 1).cast_signed();
    if number & 1 == 1 {
        -magnitude
    } else {
        magnitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(minor: u8, table: &[u8], length: usize) -> Vec<(usize, usize, Option<u32>)> {
        let entries = decode(minor, table, 10, length);
        let entry = |entry: LineEntry| (entry.start, entry.end, entry.line);
        entries.into_iter().map(entry).collect()
    }

    #[test]
    fn a_table_of_line_numbers_goes_back_and_ends_with_the_code() {
        let table = [0, 1, 4, 2, 2, 0xff];
        assert_eq!(
            lines(8, &table, 10),
            [(0, 4, Some(11)), (4, 6, Some(13)), (6, 10, Some(12))]
        );
    }

    #[test]
    fn a_table_of_ranges_has_gaps_without_line() {
        let table = [4, 1, 2, 0x80, 0, 5, 6, 1];
        assert_eq!(
            lines(10, &table, 12),
            [(0, 4, Some(11)), (4, 6, None), (6, 12, Some(17))]
        );
    }

    #[test]
    fn a_table_of_locations_has_all_kinds() {
        let table = [
            0x80 | 13 << 3 | 1, // two units, line + 70
            (70u8 << 1) & 63 | 64,
            70 >> 5,
            0x80 | 15 << 3, // one unit without location
            0x80 | 11 << 3, // one unit, next line, two columns
            1,
            2,
            0x80 | 2 << 3 | 7, // eight units on the same line
            5,
            0x80 | 14 << 3, // one unit, line - 1, three more numbers
            3,
            0,
            1,
            1,
        ];
        assert_eq!(
            lines(11, &table, 26),
            [
                (0, 4, Some(80)),
                (4, 6, None),
                (6, 8, Some(81)),
                (8, 24, Some(81)),
                (24, 26, Some(80))
            ]
        );
    }

    #[test]
    fn a_table_that_is_cut_or_garbage_ends() {
        for minor in [8, 10, 12] {
            for length in 0..64 {
                let table: Vec<u8> = (0..length).map(|at| ((at * 37) ^ 0x5a) as u8).collect();
                assert!(decode(minor, &table, u32::MAX, 100).len() <= 65);
            }
        }
    }
}
