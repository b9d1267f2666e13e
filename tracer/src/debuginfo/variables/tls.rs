//! Finds the word of a library's data in which the dynamic linker of glibc stores the place of
//! its thread-local storage. The word is filled before the library's code runs.
//!
//! The words are found through the library's relocations. Their values are read elsewhere.

use crate::arch::relocation::{TLS_MODULE, TLS_OFFSET};
use crate::base::address::LinkAddr;
use crate::debuginfo::module::Module;

/// Relocations that are read; big libraries have some hundred thousand.
const MAX_RELOCATIONS: usize = 1 << 20;
/// Size in bytes of a relocation with addend.
const RELOCATION: usize = 24;
/// Size in bytes of a symbol.
const SYMBOL: usize = 24;
/// Names of the C library whose thread layout is known.
const GLIBC: [&[u8]; 2] = [b"ld-linux-x86-64.so.2", b"libc.so.6"];

/// A word in a library's data that describes its thread-local block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsWord {
    /// The word has the module's index in each thread's vector of blocks.
    Module(LinkAddr),
    /// The word has the index of the module that defines a symbol: this module, unless another
    /// one that defines it was loaded first.
    ModuleOf(LinkAddr),
    /// The word has the distance of byte `of` of the block from the thread pointer.
    Distance {
        /// Address of the word.
        word: LinkAddr,
        /// Offset of the byte in the block.
        of: u64,
    },
}

impl Module {
    /// Returns the word that gives the place of the library's thread-local block, or `None` if
    /// the library has no such word or is not made for glibc.
    #[must_use]
    pub fn tls_word(&self) -> Option<TlsWord> {
        self.tls()?;
        let strings = self.loaded_section(".dynstr")?;
        let mut names = strings.split(|byte| *byte == 0);
        if !names.any(|name| GLIBC.contains(&name)) {
            return None;
        }
        let symbols = self.loaded_section(".dynsym").unwrap_or_default();
        let relocations = self.loaded_section(".rela.dyn")?;
        let words = || {
            let relocations = relocations.chunks_exact(RELOCATION);
            relocations
                .take(MAX_RELOCATIONS)
                .filter_map(|relocation| word_of(relocation, symbols))
        };
        let certain = words().find(|word| !matches!(word, TlsWord::ModuleOf(_)));
        certain.or_else(|| words().next())
    }
}

/// Returns the word that a relocation fills for the module's own block.
fn word_of(relocation: &[u8], symbols: &[u8]) -> Option<TlsWord> {
    let (word, info) = (number(relocation, 0)?, number(relocation, 8)?);
    let word = LinkAddr(word);
    match (info as u32, symbol(symbols, info >> 32)?) {
        (TLS_MODULE, DynamicSymbol::Own(_)) => Some(TlsWord::Module(word)),
        (TLS_MODULE, DynamicSymbol::Defined) => Some(TlsWord::ModuleOf(word)),
        (TLS_OFFSET, DynamicSymbol::Own(of)) => {
            let of = of.wrapping_add(number(relocation, 16)?);
            Some(TlsWord::Distance { word, of })
        }
        _ => None,
    }
}

/// The symbol that a relocation refers to.
enum DynamicSymbol {
    /// This byte of the module's block. No other module can define it instead, because the
    /// relocation has no symbol, or a local, hidden or protected one.
    Own(u64),
    /// The module defines the symbol, but other modules may too.
    Defined,
}

fn symbol(symbols: &[u8], index: u64) -> Option<DynamicSymbol> {
    if index == 0 {
        return Some(DynamicSymbol::Own(0));
    }
    let at = usize::try_from(index).ok()?.checked_mul(SYMBOL)?;
    let symbol = symbols.get(at..at.checked_add(SYMBOL)?)?;
    let (binding, visibility) = (symbol.get(4)? >> 4, symbol.get(5)? & 3);
    let defined = symbol.get(6..8)? != [0, 0];
    if !defined {
        return None;
    }
    Some(if binding == 0 || visibility != 0 {
        DynamicSymbol::Own(number(symbol, 8)?)
    } else {
        DynamicSymbol::Defined
    })
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    bytes.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relocation(word: u64, kind: u32, symbol: u64, addend: u64) -> Vec<u8> {
        let info = symbol << 32 | u64::from(kind);
        [word, info, addend]
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect()
    }

    fn symbols(binding: u8, visibility: u8) -> Vec<u8> {
        let mut symbols = vec![0; SYMBOL];
        symbols.extend([0, 0, 0, 0, binding << 4 | 6, visibility, 1, 0]);
        symbols.extend(0x20_u64.to_le_bytes());
        symbols.extend([0; 8]);
        symbols
    }

    #[test]
    fn word_of_the_module_itself_is_found() {
        let of = |relocation: Vec<u8>, symbols: &[u8]| word_of(&relocation, symbols);
        let word = LinkAddr(0x4000);
        assert_eq!(
            of(relocation(0x4000, TLS_MODULE, 0, 0), &[]),
            Some(TlsWord::Module(word))
        );
        assert_eq!(
            of(relocation(0x4000, TLS_OFFSET, 1, 4), &symbols(1, 2)),
            Some(TlsWord::Distance { word, of: 0x24 })
        );
        // Another module may define this symbol instead.
        assert_eq!(
            of(relocation(0x4000, TLS_MODULE, 1, 0), &symbols(1, 0)),
            Some(TlsWord::ModuleOf(word))
        );
        assert_eq!(
            of(relocation(0x4000, TLS_OFFSET, 1, 0), &symbols(1, 0)),
            None
        );
        let mut elsewhere = symbols(1, 0);
        elsewhere[SYMBOL + 6] = 0;
        assert_eq!(of(relocation(0x4000, TLS_MODULE, 1, 0), &elsewhere), None);
        assert_eq!(
            of(relocation(0x4000, TLS_MODULE, 7, 0), &symbols(1, 2)),
            None
        );
        assert_eq!(of(relocation(0x4000, 8, 0, 0), &[]), None);
        assert_eq!(of(vec![0; 5], &[]), None);
    }
}
