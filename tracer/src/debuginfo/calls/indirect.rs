//! Functions with variants (`STT_GNU_IFUNC`). The loader chooses one of the variants.

use super::imports::words_for;
use crate::base::address::LinkAddr;
use crate::debuginfo::file::symbols::SymbolKind;
use crate::debuginfo::module::Module;

/// Maximum number of variants of one function.
const MAX_VARIANTS: usize = 64;

impl Module {
    /// Returns the code that chooses the variant of the function with this name.
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

    /// Returns the words that the loader fills with the address of the chosen variant of the
    /// function `name`. Another module may define the function; if it is the module's own,
    /// `resolver` chooses the variant.
    #[must_use]
    pub fn words_of_indirect(&self, name: &[u8], resolver: Option<LinkAddr>) -> Vec<LinkAddr> {
        words_for(self, name, resolver)
    }

    /// Returns the mangled name of the function that begins at `entry`.
    #[must_use]
    pub fn function_named_at(&self, entry: LinkAddr) -> Option<Vec<u8>> {
        let mut symbols = self.symbols_at(entry);
        let function = symbols.find(|symbol| symbol.kind == SymbolKind::Function)?;
        Some(function.unversioned().to_vec())
    }

    /// Returns the functions whose names mark them as variants of `name`: `__strlen_avx2`,
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
