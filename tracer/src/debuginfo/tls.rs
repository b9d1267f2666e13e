//! Where a library keeps what the dynamic linker of glibc has told it of its
//! thread-local storage: a word of its own data, filled before its code runs.
//!
//! The words are found by the library's relocations. Leaves to others what they hold.

use super::module::Module;
use crate::address::LinkAddr;

/// Relocations that are looked at; big libraries have some hundred thousand.
const MAX_RELOCATIONS: usize = 1 << 20;
/// Bytes of a relocation with addend.
const RELOCATION: usize = 24;
/// Bytes of a symbol.
const SYMBOL: usize = 24;
/// The number of the module that has a symbol, among those with thread-local storage.
const DTPMOD64: u32 = 16;
/// Distance of a symbol from the thread pointer.
const TPOFF64: u32 = 18;
/// The C library whose threads we know the layout of.
const GLIBC: [&[u8]; 2] = [b"ld-linux-x86-64.so.2", b"libc.so.6"];

/// A word of a library about its thread-local block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsWord {
    /// Has the module's number in each thread's vector of blocks.
    Module(LinkAddr),
    /// Has the number of the module that has a symbol: this one, unless another one that
    /// has it too came first.
    ModuleOf(LinkAddr),
    /// Has the distance of byte `of` of the block from the thread pointer.
    Distance {
        /// Where the word is.
        word: LinkAddr,
        /// Which byte.
        of: u64,
    },
}

impl Module {
    /// The word that tells where the library's thread-local block is; `None`
    /// where it has none of its own, or is not made for glibc.
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

/// What a relocation says of the module's own block, if anything.
fn word_of(relocation: &[u8], symbols: &[u8]) -> Option<TlsWord> {
    let (word, info) = (number(relocation, 0)?, number(relocation, 8)?);
    let word = LinkAddr(word);
    match (info as u32, symbol(symbols, info >> 32)?) {
        (DTPMOD64, Symbol::Own(_)) => Some(TlsWord::Module(word)),
        (DTPMOD64, Symbol::Defined) => Some(TlsWord::ModuleOf(word)),
        (TPOFF64, Symbol::Own(of)) => {
            let of = of.wrapping_add(number(relocation, 16)?);
            Some(TlsWord::Distance { word, of })
        }
        _ => None,
    }
}

/// What a relocation is about.
enum Symbol {
    /// This byte of the module's block: no other module can have the symbol in its place.
    /// That is so without a symbol, and of a local, hidden or protected one.
    Own(u64),
    /// The module defines it, as others may.
    Defined,
}

fn symbol(symbols: &[u8], index: u64) -> Option<Symbol> {
    if index == 0 {
        return Some(Symbol::Own(0));
    }
    let at = usize::try_from(index).ok()?.checked_mul(SYMBOL)?;
    let symbol = symbols.get(at..at.checked_add(SYMBOL)?)?;
    let (binding, visibility) = (symbol.get(4)? >> 4, symbol.get(5)? & 3);
    let defined = symbol.get(6..8)? != [0, 0];
    if !defined {
        return None;
    }
    Some(if binding == 0 || visibility != 0 {
        Symbol::Own(number(symbol, 8)?)
    } else {
        Symbol::Defined
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
            of(relocation(0x4000, DTPMOD64, 0, 0), &[]),
            Some(TlsWord::Module(word))
        );
        assert_eq!(
            of(relocation(0x4000, TPOFF64, 1, 4), &symbols(1, 2)),
            Some(TlsWord::Distance { word, of: 0x24 })
        );
        // Another module may have this one in its place.
        assert_eq!(
            of(relocation(0x4000, DTPMOD64, 1, 0), &symbols(1, 0)),
            Some(TlsWord::ModuleOf(word))
        );
        assert_eq!(of(relocation(0x4000, TPOFF64, 1, 0), &symbols(1, 0)), None);
        let mut elsewhere = symbols(1, 0);
        elsewhere[SYMBOL + 6] = 0;
        assert_eq!(of(relocation(0x4000, DTPMOD64, 1, 0), &elsewhere), None);
        assert_eq!(of(relocation(0x4000, DTPMOD64, 7, 0), &symbols(1, 2)), None);
        assert_eq!(of(relocation(0x4000, 8, 0, 0), &[]), None);
        assert_eq!(of(vec![0; 5], &[]), None);
    }
}
