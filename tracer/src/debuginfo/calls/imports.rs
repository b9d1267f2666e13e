//! Calls of functions that the dynamic linker finds. They go through a word of the caller's
//! files, which the dynamic linker fills with the function's address.
//!
//! The instruction names the word, or a stub that only jumps to the word's target. Only the
//! process knows which function that is, so the caller of this code compares the word at run
//! time.

use std::collections::HashMap;
use std::sync::Arc;

use super::code_search::{MAX_CODE, release_code};
use super::linked_names::{
    LinkedNames, MAX_SYMBOLS, SYMBOL, name, name_in_word, number, relocations,
};
use crate::arch::relocation::{GLOB_DAT, IRELATIVE, JUMP_SLOT};
use crate::arch::{
    self, BEFORE_STUB_JUMP, STUB_BYTES, STUB_CODE, TransferTarget, WORD_TRANSFER_BYTES,
};
use crate::base::address::LinkAddr;
use crate::debuginfo::budget::ReaderKind;
use crate::debuginfo::dwarf::cache::Cache;
use crate::debuginfo::files::Files;

/// Names under which other modules may import one function.
const MAX_NAMES: usize = 8;
/// Words with the address of one function, and stubs for these words.
const MAX_WORDS: usize = 8;
/// Names, and functions, whose answers are kept. One more drops all of them.
const MAX_KEPT: usize = 1 << 12;
/// Sections that contain stubs.
const STUB_SECTIONS: [&str; 3] = [".plt.sec", ".plt", ".plt.got"];
/// Imports and exports that were looked for so far.
#[derive(Default)]
pub(in crate::debuginfo) struct ImportCache {
    /// By entry: names under which other modules can import a function.
    exported: Cache<u64, Arc<[Vec<u8>]>>,
    /// By name: calls of the function that is imported under it, or `None` if none is.
    imports: Cache<Vec<u8>, Option<Arc<[Imported]>>>,
}

/// A call through a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::debuginfo) struct Imported {
    /// Link address of the instruction after the call.
    pub(in crate::debuginfo) returns_to: u64,
    /// The word that holds the function's address.
    pub(in crate::debuginfo) word: LinkAddr,
}

/// Returns the names under which other modules can import the function at `entry`.
pub(in crate::debuginfo) fn names_of(
    files: &Files,
    cache: &ImportCache,
    entry: LinkAddr,
) -> Arc<[Vec<u8>]> {
    let read = || {
        let names = exported(files, entry);
        names.take(MAX_NAMES).map(<[u8]>::to_vec).collect()
    };
    cache.exported.get_or_read(MAX_KEPT, entry.0, read)
}

fn exported(files: &Files, entry: LinkAddr) -> impl Iterator<Item = &[u8]> {
    let strings = files.loaded_section(".dynstr").unwrap_or_default();
    let symbols = files.loaded_section(".dynsym").unwrap_or_default();
    let symbols = symbols.chunks_exact(SYMBOL).take(MAX_SYMBOLS);
    let defined = symbols.filter(move |symbol| {
        number(symbol, 8) == Some(entry.0) && symbol.get(6..8).is_some_and(|at| at != [0, 0])
    });
    defined.filter_map(move |symbol| name(symbol, strings))
}

/// Returns at most `most` calls of the function that the module imports under a name, or `None`
/// if the module imports no such function. Only the code is searched, so the result can include
/// bytes that merely look like a call.
pub(in crate::debuginfo) fn calls_of(
    files: &Files,
    cache: &ImportCache,
    name: &[u8],
    most: usize,
) -> Option<Arc<[Imported]>> {
    cache.imports.get_or_read(MAX_KEPT, name.to_vec(), || {
        let words = words_of(files, name);
        (!words.is_empty()).then(|| calls_through(files, &words, most).into())
    })
}

/// Returns the words that the loader fills with the address of a named function. If `chooser` is
/// the code of the module that chooses the function's variant, the words with the variant are
/// included.
pub(in crate::debuginfo) fn words_for(
    files: &Files,
    wanted: &[u8],
    chooser: Option<LinkAddr>,
) -> Vec<LinkAddr> {
    let mut words = words_of(files, wanted);
    let Some(chooser) = chooser else {
        return words;
    };
    let chosen = relocations(files).filter_map(|relocation| {
        let is_choice = number(relocation, 8)? as u32 == IRELATIVE;
        let by = number(relocation, 16)?;
        (is_choice && by == chooser.0).then_some(LinkAddr(number(relocation, 0)?))
    });
    words.extend(chosen.take(MAX_WORDS));
    words
}

/// Returns the names of all symbols that a module exports or imports.
pub(in crate::debuginfo) fn names(files: &Files) -> impl Iterator<Item = &[u8]> {
    let strings = files.loaded_section(".dynstr").unwrap_or_default();
    let symbols = files.loaded_section(".dynsym").unwrap_or_default();
    let symbols = symbols.chunks_exact(SYMBOL).take(MAX_SYMBOLS);
    symbols.filter_map(move |symbol| name(symbol, strings))
}

/// Returns the words that the dynamic linker fills with the address of the function of that name.
fn words_of(files: &Files, wanted: &[u8]) -> Vec<LinkAddr> {
    let strings = files.loaded_section(".dynstr").unwrap_or_default();
    let symbols = files.loaded_section(".dynsym").unwrap_or_default();
    let numbered = symbols.chunks_exact(SYMBOL).take(MAX_SYMBOLS);
    // A function with versions has several symbols.
    let indexes: Vec<u64> = (0_u64..)
        .zip(numbered)
        .filter(|(_, symbol)| name(symbol, strings) == Some(wanted))
        .map(|(index, _)| index)
        .take(MAX_NAMES)
        .collect();
    if indexes.is_empty() {
        return Vec::new();
    }
    let fills = |relocation: &[u8]| {
        let info = number(relocation, 8)?;
        let kind = info as u32;
        let filled = matches!(kind, GLOB_DAT | JUMP_SLOT) && indexes.contains(&(info >> 32));
        filled.then_some(LinkAddr(number(relocation, 0)?))
    };
    let words = relocations(files).filter_map(fills);
    words.take(MAX_WORDS).collect()
}

/// Returns the calls that go through one of the words.
fn calls_through(files: &Files, words: &[LinkAddr], most: usize) -> Vec<Imported> {
    let ranges = &files.code_ranges;
    let total: u64 = ranges.iter().map(|(begin, end)| end - begin).sum();
    if total > MAX_CODE {
        return Vec::new();
    }
    if !files.budget.spend(ReaderKind::Code, total, total) {
        return Vec::new();
    }
    let stubs = stubs_of(files, words);
    let mut found = Vec::new();
    'code: for &(begin, end) in ranges {
        for call in arch::all_calls(code_of(files, begin, end), begin) {
            let word = match call.to {
                TransferTarget::Address(stub) => stubs.get(&stub),
                TransferTarget::Word(word) => words.iter().find(|known| **known == word),
            };
            if let Some(&word) = word {
                found.push(Imported {
                    returns_to: call.behind,
                    word,
                });
                if found.len() >= most {
                    break 'code;
                }
            }
        }
    }
    release_code(files, total);
    found
}

/// Returns the stubs that jump through one of the words, each with its word.
fn stubs_of(files: &Files, words: &[LinkAddr]) -> HashMap<u64, LinkAddr> {
    let mut stubs = HashMap::new();
    for &(begin, end) in &files.code_ranges {
        for found in arch::word_jumps(code_of(files, begin, end), begin) {
            let TransferTarget::Word(word) = found.to else {
                continue;
            };
            if !words.contains(&word) {
                continue;
            }
            let jump = found.behind.saturating_sub(WORD_TRANSFER_BYTES);
            let starts = jump.saturating_sub(BEFORE_STUB_JUMP).max(begin)..=jump;
            let leads = |start: &u64| word_of_stub(files, LinkAddr(*start)) == Some(word);
            stubs.extend(starts.filter(leads).map(|start| (start, word)));
            if stubs.len() >= MAX_WORDS * BEFORE_STUB_JUMP as usize {
                return stubs;
            }
        }
    }
    stubs
}

/// Returns the word that the code at an address jumps through. The code must have no effect that
/// its caller or the function could see.
pub(in crate::debuginfo) fn word_of_stub(files: &Files, start: LinkAddr) -> Option<LinkAddr> {
    arch::stub_word(files.initial_bytes(start, STUB_CODE)?, start.0)
}

/// Returns the stub of the procedure linkage table that contains `address`: its start, and the
/// name of the function that it leads to.
pub(in crate::debuginfo) fn stub_at<'f>(
    files: &'f Files,
    names: &LinkedNames,
    address: LinkAddr,
) -> Option<(LinkAddr, &'f [u8])> {
    let (name, section) = STUB_SECTIONS.iter().find_map(|name| {
        let section = files.main_section(name)?;
        let distance = address.0.checked_sub(section.address.0)?;
        (distance < section.size).then_some((*name, section))
    })?;
    // Stubs of `.plt.got` have half the size if they begin with their jump.
    let jumps_at_once = arch::is_word_jump(files.initial_bytes(section.address, 2)?);
    let size = match name {
        ".plt.got" if jumps_at_once => STUB_BYTES / 2,
        _ => STUB_BYTES,
    };
    let start = section
        .address
        .add((address.0 - section.address.0) / size * size);
    let word = word_of_stub(files, start)?;
    Some((start, name_in_word(files, names, word)?))
}

/// Returns the word that the call before an address goes through, if the call uses no stub.
pub(in crate::debuginfo) fn word_before(files: &Files, returns_to: u64) -> Option<LinkAddr> {
    let call = LinkAddr(returns_to.checked_sub(WORD_TRANSFER_BYTES)?);
    if !files.is_code(call) {
        return None;
    }
    let bytes = files.initial_bytes(call, WORD_TRANSFER_BYTES as usize)?;
    arch::call_word(bytes, returns_to)
}

fn code_of(files: &Files, begin: u64, end: u64) -> &[u8] {
    let length = usize::try_from(end - begin).unwrap_or(0);
    let code = files.initial_bytes(LinkAddr(begin), length);
    code.unwrap_or_default()
}
