//! Damaged copies of programs.

use std::iter::once;
use std::ops::Range;

use object::{Object as _, ObjectSection as _};

use super::random::Random;

/// Parts of a file where damage is of interest: all of it, when it is no ELF file.
pub(super) fn soft_parts(bytes: &[u8]) -> Vec<Range<usize>> {
    let Ok(file) = object::File::parse(bytes) else {
        return once(0..bytes.len()).collect();
    };
    let of_interest = |name: &str| {
        ["debug", "note", "eh_frame"]
            .iter()
            .any(|part| name.contains(part))
    };
    let sections = file
        .sections()
        .filter(|section| section.name().is_ok_and(of_interest))
        .filter_map(|section| section.file_range())
        .filter_map(|(start, size)| {
            let start = usize::try_from(start).ok()?;
            let end = start.checked_add(usize::try_from(size).ok()?)?;
            (start < end && end <= bytes.len()).then_some(start..end)
        });
    let section_headers = bytes.len().saturating_sub(2048)..bytes.len();
    once(0..64.min(bytes.len()))
        .chain(sections)
        .chain(once(section_headers))
        .collect()
}

/// A damaged copy.
pub(super) fn damaged(seed: &[u8], parts: &[Range<usize>], random: &mut Random) -> Vec<u8> {
    const NUMBERS: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, 0xfe, 0x20, 0x40];
    let mut bytes = seed.to_vec();
    if bytes.is_empty() {
        return bytes;
    }
    for _ in 0..=below(random, 24) {
        let Some(part) = parts.get(below(random, parts.len())) else {
            break;
        };
        let at = (part.start + below(random, part.len())).min(bytes.len() - 1);
        let length = (1 + below(random, 8)).min(bytes.len() - at);
        let from = below(random, bytes.len() - length + 1);
        match below(random, 6) {
            0 | 1 => bytes[at] ^= 1 << below(random, 8),
            2 => bytes[at..at + length].fill(random.pick(&NUMBERS)),
            3 => bytes[at] = random.pick(&NUMBERS),
            4 => bytes.copy_within(from..from + length, at),
            _ => {
                let number = random.next().to_le_bytes();
                bytes[at..at + length].copy_from_slice(&number[..length]);
            }
        }
    }
    if random.one_in(8) {
        bytes.truncate(below(random, bytes.len()));
    }
    bytes
}

/// Below `end`; 0 when that is 0.
fn below(random: &mut Random, end: usize) -> usize {
    let number = random.below(end.max(1) as u64);
    usize::try_from(number).unwrap_or(0)
}
