//! Addresses in a module's data once it is loaded: from the file, or from a relocation.

use std::collections::HashMap;

use crate::arch::relocation::RELATIVE;
use crate::base::address::LinkAddr;
use crate::debuginfo::files::Files;

/// Relocations that are read; big programs have some hundred thousand.
const MAX_RELOCATIONS: usize = 4 << 20;
/// Size in bytes of a relocation with addend.
const RELOCATION: usize = 24;
/// Size in bytes of an address.
const WORD: u64 = 8;

/// Returns the link addresses that the words in `ranges` hold, by the address of the word.
///
/// Symbols that another module may define instead are not resolved.
pub(in crate::debuginfo) fn words(
    files: &Files,
    ranges: &mut [(u64, u64)],
) -> HashMap<u64, LinkAddr> {
    ranges.sort_unstable();
    let mut words = HashMap::new();
    // The linker has already written the addresses of a program that is not relocated.
    if !files.position_independent() {
        for (begin, end) in ranges.iter() {
            let whole = (end.saturating_sub(*begin) / WORD).saturating_mul(WORD);
            let length = usize::try_from(whole).unwrap_or(0);
            let bytes = files.initial_bytes(LinkAddr(*begin), length);
            let bytes = bytes.unwrap_or_default().chunks_exact(WORD as usize);
            let read = (*begin..).step_by(WORD as usize).zip(bytes);
            words.extend(read.map(|(at, word)| (at, LinkAddr(number(word, 0).unwrap_or(0)))));
        }
        return words;
    }
    let inside = |at: u64| {
        let after = ranges.partition_point(|(begin, _)| *begin <= at);
        let range = after.checked_sub(1).and_then(|index| ranges.get(index));
        range.is_some_and(|(_, end)| at < *end)
    };
    let relocations = files.loaded_section(".rela.dyn").unwrap_or_default();
    for relocation in relocations.chunks_exact(RELOCATION).take(MAX_RELOCATIONS) {
        if let (Some(at), Some(kind), Some(addend)) = (
            number(relocation, 0),
            number(relocation, 8),
            number(relocation, 16),
        ) && kind == u64::from(RELATIVE)
            && inside(at)
        {
            words.insert(at, LinkAddr(addend));
        }
    }
    words
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    bytes.try_into().ok().map(u64::from_le_bytes)
}
