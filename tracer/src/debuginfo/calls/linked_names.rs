//! The names by which the dynamic linker connects modules: a word of one module with a function of another.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::imports::{MAX_RELOCATIONS, MAX_SYMBOLS, RELOCATION, SYMBOL, name, number};
use crate::arch::relocation::{GLOB_DAT, JUMP_SLOT};
use crate::base::address::LinkAddr;
use crate::debuginfo::files::Files;
use crate::debuginfo::module::Module;

/// The names of one module, read when they are first needed.
#[derive(Default)]
pub(in crate::debuginfo) struct LinkedNames {
    /// Numbers of the symbols whose addresses the dynamic linker writes, by the word.
    words: OnceLock<HashMap<u64, u32>>,
    /// Numbers of the symbols that the module defines, by name.
    defined: OnceLock<Vec<u32>>,
}

impl Module {
    /// Returns the name of the symbol whose address the dynamic linker writes to a word.
    #[must_use]
    pub fn name_in_word(&self, word: LinkAddr) -> Option<&[u8]> {
        let names = &self.caches.linked_names;
        let words = names.words.get_or_init(|| words(&self.files));
        let name = Symbols::of(&self.files).name(*words.get(&word.0)?)?;
        (!name.is_empty()).then_some(name)
    }

    /// Returns the address of the symbol that the module exports under a name, or `None` if it exports none or
    /// several.
    #[must_use]
    pub fn exported_as(&self, name: &[u8]) -> Option<LinkAddr> {
        let symbols = Symbols::of(&self.files);
        let names = &self.caches.linked_names;
        let defined = names.defined.get_or_init(|| defined(symbols));
        let begin = defined.partition_point(|&number| symbols.name(number) < Some(name));
        let mut addresses = defined
            .get(begin..)?
            .iter()
            .take_while(|&&number| symbols.name(number) == Some(name))
            .filter_map(|&at| number(symbols.symbol(at)?, 8));
        let first = addresses.next()?;
        // One function may have the name in several versions.
        addresses
            .all(|other| other == first)
            .then_some(LinkAddr(first))
    }
}

/// The symbols for the dynamic linker.
#[derive(Clone, Copy)]
struct Symbols<'f> {
    symbols: &'f [u8],
    strings: &'f [u8],
}

impl<'f> Symbols<'f> {
    fn of(files: &'f Files) -> Self {
        Self {
            symbols: files.loaded_section(".dynsym").unwrap_or_default(),
            strings: files.loaded_section(".dynstr").unwrap_or_default(),
        }
    }

    fn symbol(self, number: u32) -> Option<&'f [u8]> {
        let at = usize::try_from(number).ok()?.checked_mul(SYMBOL)?;
        self.symbols.get(at..at.checked_add(SYMBOL)?)
    }

    fn name(self, number: u32) -> Option<&'f [u8]> {
        name(self.symbol(number)?, self.strings)
    }
}

fn words(files: &Files) -> HashMap<u64, u32> {
    let tables = [".rela.plt", ".rela.dyn"].map(|name| files.loaded_section(name));
    let relocations = tables
        .into_iter()
        .flatten()
        .flat_map(|table| table.chunks_exact(RELOCATION));
    let filled = relocations.take(MAX_RELOCATIONS).filter_map(|relocation| {
        let info = number(relocation, 8)?;
        let is_address = matches!(info as u32, GLOB_DAT | JUMP_SLOT);
        is_address.then_some((number(relocation, 0)?, (info >> 32) as u32))
    });
    filled.collect()
}

fn defined(symbols: Symbols<'_>) -> Vec<u32> {
    let numbered = (0..).zip(symbols.symbols.chunks_exact(SYMBOL).take(MAX_SYMBOLS));
    let mut defined: Vec<u32> = numbered
        .filter(|(_, symbol)| symbol.get(6..8).is_some_and(|section| section != [0, 0]))
        .map(|(number, _)| number)
        .collect();
    defined.sort_by_key(|&number| symbols.name(number));
    defined
}
