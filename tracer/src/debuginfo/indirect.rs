//! Functions that stand for variants, of which the loader chooses one (`STT_GNU_IFUNC`).

use super::imports::words_for;
use super::module::Module;
use super::symbols::SymbolKind;
use crate::address::LinkAddr;

/// Variants of one function that are looked for.
const MAX_VARIANTS: usize = 64;

impl Module {
    /// The code that chooses the variant of the function of that name.
    #[must_use]
    pub fn indirect_function(&self, name: &str) -> Option<LinkAddr> {
        let mut symbols = self.symbols();
        let is_it = |kind, unversioned: &[u8]| {
            kind == SymbolKind::Indirect && unversioned == name.as_bytes()
        };
        symbols
            .find(|symbol| is_it(symbol.kind, symbol.unversioned()))
            .map(|symbol| symbol.address)
    }

    /// The words that the loader fills with the address of the variant of the function of that name:
    /// of one that other modules define, or of the module's own, which `resolver` chooses.
    #[must_use]
    pub fn words_of_indirect(&self, name: &[u8], resolver: Option<LinkAddr>) -> Vec<LinkAddr> {
        words_for(self, name, resolver)
    }

    /// The mangled name of the function that begins at `entry`.
    #[must_use]
    pub fn function_named_at(&self, entry: LinkAddr) -> Option<Vec<u8>> {
        let mut symbols = self.symbols_at(entry);
        let function = symbols.find(|symbol| symbol.kind == SymbolKind::Function)?;
        Some(function.unversioned().to_vec())
    }

    /// Functions whose names say that they are variants of the one of that name: `__strlen_avx2`,
    /// `sum.default`.
    #[must_use]
    pub fn variants_by_name(&self, name: &str) -> Vec<(LinkAddr, String)> {
        let is_variant = |symbol: &str| {
            let of_library = symbol
                .strip_prefix("__")
                .and_then(|rest| rest.strip_prefix(name));
            let of_compiler = symbol.strip_prefix(name);
            of_library.is_some_and(|rest| rest.starts_with('_') && !rest.starts_with("_chk"))
                || of_compiler.is_some_and(|rest| {
                    rest.starts_with('.')
                        && !rest.starts_with(".resolver")
                        && !rest.contains(".cold")
                })
        };
        let functions = self
            .symbols()
            .filter(|symbol| symbol.kind == SymbolKind::Function);
        let named = functions.filter_map(|symbol| {
            let text = std::str::from_utf8(symbol.unversioned()).ok()?;
            is_variant(text).then(|| (symbol.address, text.to_owned()))
        });
        let mut variants: Vec<(LinkAddr, String)> = named.take(MAX_VARIANTS).collect();
        variants.dedup_by_key(|(entry, _)| *entry);
        variants
    }
}
