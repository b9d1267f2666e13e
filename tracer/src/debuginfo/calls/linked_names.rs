//! The names by which the dynamic linker connects modules: a word of one module with a function of another.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::arch::relocation::{GLOB_DAT, JUMP_SLOT};
use crate::base::address::LinkAddr;
use crate::debuginfo::files::Files;

/// Symbols of a module that are read.
pub(super) const MAX_SYMBOLS: usize = 1 << 20;
/// Relocations that are read; big libraries have some hundred thousand.
const MAX_RELOCATIONS: usize = 1 << 20;
/// Size in bytes of a relocation with addend, and of a symbol.
const RELOCATION: usize = 24;
pub(super) const SYMBOL: usize = 24;

/// Type of a symbol whose code chooses a function.
const STT_GNU_IFUNC: u8 = 10;

/// The names of one module, read when they are first needed.
#[derive(Default)]
pub(in crate::debuginfo) struct LinkedNames {
    /// Numbers of the symbols whose addresses the dynamic linker writes, by the word.
    words: OnceLock<HashMap<u64, u32>>,
    /// Numbers of the symbols that the module defines, by name.
    defined: OnceLock<Vec<u32>>,
}

/// Returns the name of the symbol whose address the dynamic linker writes to a word.
pub(in crate::debuginfo) fn name_in_word<'f>(
    files: &'f Files,
    names: &LinkedNames,
    word: LinkAddr,
) -> Option<&'f [u8]> {
    let words = names.words.get_or_init(|| words(files));
    let name = DynamicSymbols::of(files).name(*words.get(&word.0)?)?;
    (!name.is_empty()).then_some(name)
}

/// The function that a module exports under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportedFunction {
    /// It begins here.
    At(LinkAddr),
    /// The dynamic linker chooses one of several: by their versions, or by code of the module.
    Chosen,
}

/// Returns the function that the module exports under a name, or `None` if it exports none.
pub(in crate::debuginfo) fn exported_as(
    files: &Files,
    names: &LinkedNames,
    name: &[u8],
) -> Option<ExportedFunction> {
    let symbols = DynamicSymbols::of(files);
    let defined = names.defined.get_or_init(|| defined(symbols));
    let begin = defined.partition_point(|&number| symbols.name(number) < Some(name));
    let of_name = defined.get(begin..)?.iter();
    let mut found = of_name
        .take_while(|&&number| symbols.name(number) == Some(name))
        .filter_map(|&number| symbols.symbol(number));
    let first = found.next()?;
    let (address, is_chosen) = (number(first, 8)?, is_choice(first));
    // One function may have the name in several versions.
    let is_one = found.all(|other| number(other, 8) == Some(address));
    Some(match is_one && !is_chosen {
        true => ExportedFunction::At(LinkAddr(address)),
        false => ExportedFunction::Chosen,
    })
}

/// Returns true for a symbol whose code chooses a function.
fn is_choice(symbol: &[u8]) -> bool {
    symbol
        .get(4)
        .is_some_and(|info| info & 0xf == STT_GNU_IFUNC)
}

/// The symbols for the dynamic linker.
#[derive(Clone, Copy)]
struct DynamicSymbols<'f> {
    symbols: &'f [u8],
    strings: &'f [u8],
}

impl<'f> DynamicSymbols<'f> {
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
    let filled = relocations(files).filter_map(|relocation| {
        let info = number(relocation, 8)?;
        let is_address = matches!(info as u32, GLOB_DAT | JUMP_SLOT);
        is_address.then_some((number(relocation, 0)?, (info >> 32) as u32))
    });
    filled.collect()
}

fn defined(symbols: DynamicSymbols<'_>) -> Vec<u32> {
    let numbered = (0..).zip(symbols.symbols.chunks_exact(SYMBOL).take(MAX_SYMBOLS));
    let mut defined: Vec<u32> = numbered
        .filter(|(_, symbol)| symbol.get(6..8).is_some_and(|section| section != [0, 0]))
        .map(|(number, _)| number)
        .collect();
    defined.sort_by_key(|&number| symbols.name(number));
    defined
}

/// Returns the relocations that the dynamic linker carries out.
pub(super) fn relocations(files: &Files) -> impl Iterator<Item = &[u8]> {
    let tables = [".rela.plt", ".rela.dyn"].map(|name| files.loaded_section(name));
    let all = tables.into_iter().flatten();
    all.flat_map(|table| table.chunks_exact(RELOCATION))
        .take(MAX_RELOCATIONS)
}

/// Returns the name of a symbol, up to its terminating zero.
pub(super) fn name<'a>(symbol: &[u8], strings: &'a [u8]) -> Option<&'a [u8]> {
    let at = u32::from_le_bytes(*symbol.first_chunk()?);
    let name = strings.get(usize::try_from(at).ok()?..)?;
    let name = name.get(..memchr::memchr(0, name)?)?;
    (!name.is_empty()).then_some(name)
}

pub(super) fn number(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    bytes.try_into().ok().map(u64::from_le_bytes)
}
