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
        relocations
            .chunks_exact(RELOCATION)
            .take(MAX_RELOCATIONS)
            .find_map(|relocation| word_of(relocation, symbols))
    }
}

/// What a relocation says of the module's own block, if anything.
fn word_of(relocation: &[u8], symbols: &[u8]) -> Option<TlsWord> {
    let (word, info) = (number(relocation, 0)?, number(relocation, 8)?);
    let kind = info as u32;
    let of = match kind {
        DTPMOD64 | TPOFF64 => own_symbol(symbols, info >> 32)?,
        _ => return None,
    };
    let word = LinkAddr(word);
    Some(if kind == DTPMOD64 {
        TlsWord::Module(word)
    } else {
        let of = of.wrapping_add(number(relocation, 16)?);
        TlsWord::Distance { word, of }
    })
}

/// Where in the block a symbol is that no other module can have in its place:
/// none at all, or a local, hidden or protected one.
fn own_symbol(symbols: &[u8], index: u64) -> Option<u64> {
    if index == 0 {
        return Some(0);
    }
    let at = usize::try_from(index).ok()?.checked_mul(SYMBOL)?;
    let symbol = symbols.get(at..at.checked_add(SYMBOL)?)?;
    let (binding, visibility) = (symbol.get(4)? >> 4, symbol.get(5)? & 3);
    let defined = symbol.get(6..8)? != [0, 0];
    let own = defined && (binding == 0 || visibility != 0);
    own.then(|| number(symbol, 8))?
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
        assert_eq!(of(relocation(0x4000, DTPMOD64, 1, 0), &symbols(1, 0)), None);
        assert_eq!(of(relocation(0x4000, DTPMOD64, 7, 0), &symbols(1, 2)), None);
        assert_eq!(of(relocation(0x4000, 8, 0, 0), &[]), None);
        assert_eq!(of(vec![0; 5], &[]), None);
    }
}
