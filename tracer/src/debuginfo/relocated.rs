//! Addresses that stand in a module's data once it is loaded: what its file has there,
//! or what a relocation will put there.

use std::collections::HashMap;

use super::module::Module;
use crate::address::LinkAddr;

/// Relocations that are looked at; big programs have some hundred thousand.
const MAX_RELOCATIONS: usize = 4 << 20;
/// Bytes of a relocation with addend.
const RELOCATION: usize = 24;
/// The load address, and the addend, stand there.
const RELATIVE: u64 = 8;
/// Bytes of an address.
const WORD: u64 = 8;

/// Link addresses that the words of some ranges hold, by where they are.
///
/// Of what another module may define in their place nothing is known.
pub(super) fn words(module: &Module, ranges: &mut [(u64, u64)]) -> HashMap<u64, LinkAddr> {
    ranges.sort_unstable();
    let mut words = HashMap::new();
    if !module.position_independent() {
        for (begin, end) in ranges.iter() {
            let whole = (end.saturating_sub(*begin) / WORD).saturating_mul(WORD);
            let length = usize::try_from(whole).unwrap_or(0);
            let bytes = module.initial_bytes(LinkAddr(*begin), length);
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
    let relocations = module.loaded_section(".rela.dyn").unwrap_or_default();
    for relocation in relocations.chunks_exact(RELOCATION).take(MAX_RELOCATIONS) {
        if let (Some(at), Some(RELATIVE), Some(addend)) = (
            number(relocation, 0),
            number(relocation, 8),
            number(relocation, 16),
        ) && inside(at)
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
