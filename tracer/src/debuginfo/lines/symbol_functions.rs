//! Functions that only a symbol names: code without debug information, as in stripped libraries.
//!
//! They begin at their symbol. Names, lines and types inside them are not known. Their returns
//! are known only if every jump out of the symbol's code leads to another symbol, because the
//! cold part of a function may have no symbol of its own.

use std::collections::BTreeMap;

use super::resolve::SiteError;
use super::returns::exits_of;
use crate::base::address::LinkAddr;
use crate::debuginfo::budget::ReaderKind;
use crate::debuginfo::file::symbols::{Symbol, SymbolKind};
use crate::debuginfo::functions::function_code::FunctionCode;
use crate::debuginfo::model::names::{NamePattern, demangle};
use crate::debuginfo::model::site::{Exit, ScopeKey, Site};
use crate::debuginfo::model::types::Language;
use crate::debuginfo::module::Module;

/// Symbols with one name that are read.
const MAX_NAMED: usize = 1 << 12;

/// Steps to parse a symbol's name, and for each byte of it.
const NAME_STEPS: u64 = 200;
const NAME_BYTE_STEPS: u64 = 12;

/// Maximum number of cold parts of one function.
const MAX_COLD: usize = 8;

/// Suffix of the name of a function's cold part: `f.cold`, `f.cold.1`.
const COLD: &[u8] = b".cold";

/// A function that only a symbol names.
#[derive(Clone, Debug)]
struct SymbolFunction {
    /// Demangled name.
    name: String,
    entry: LinkAddr,
    /// Size in bytes; 0 is unknown.
    size: u64,
}

impl Module {
    /// Returns the entries of the functions without debug information whose name ends with
    /// `pattern`.
    ///
    /// # Errors
    /// [`SiteError::NoFunction`].
    pub fn bare_sites(&self, pattern: &str) -> Result<Vec<Site>, SiteError> {
        let sites: Vec<Site> = self
            .bare_called(pattern)
            .into_values()
            .map(|bare| bare.site(bare.entry, None))
            .collect();
        if sites.is_empty() {
            return Err(no_function(pattern));
        }
        Ok(sites)
    }

    /// Returns the places at which the functions without debug information return.
    ///
    /// # Errors
    /// [`SiteError::NoFunction`], and [`SiteError::Returns`] if one of them could be left without
    /// notice.
    pub fn bare_return_sites(&self, pattern: &str) -> Result<Vec<Site>, SiteError> {
        let mut sites = Vec::new();
        let functions = self.bare_called(pattern);
        for bare in functions.values() {
            let exits = self.bare_exits(bare).map_err(|why| SiteError::Returns {
                name: bare.name.clone(),
                why,
            })?;
            sites.extend(
                exits
                    .into_iter()
                    .map(|(address, exit)| bare.site(address, Some(exit))),
            );
        }
        match (sites.is_empty(), functions.is_empty()) {
            (false, _) => Ok(sites),
            (true, true) => Err(no_function(pattern)),
            (true, false) => Err(SiteError::Returns {
                name: pattern.to_owned(),
                why: "it has no instruction that returns".to_owned(),
            }),
        }
    }

    /// Returns the entries of the functions without debug information, for the kernel's return
    /// trampoline.
    ///
    /// # Errors
    /// Fails as [`Module::bare_sites`] does.
    pub fn bare_trampoline_sites(&self, pattern: &str) -> Result<Vec<Site>, SiteError> {
        let mut sites = self.bare_sites(pattern)?;
        for site in &mut sites {
            site.exit = Some(Exit::Trampoline);
        }
        Ok(sites)
    }

    /// Returns the function without debug information that begins at `entry`, as a site.
    #[must_use]
    pub fn bare_site_at(&self, entry: LinkAddr) -> Option<Site> {
        let bare = self.bare(&self.function_at(entry)?, |_| true)?;
        Some(bare.site(entry, None))
    }

    /// Returns the names and entries of the functions without debug information whose names fit.
    pub fn bare_functions(&self, fits: impl Fn(&str) -> bool) -> BTreeMap<LinkAddr, String> {
        self.symbols()
            .filter_map(|symbol| self.bare(&symbol, &fits))
            .map(|bare| (bare.entry, bare.name))
            .collect()
    }

    /// Returns the code of the function without debug information that begins at `entry`.
    pub(in crate::debuginfo) fn bare_code_at(&self, entry: LinkAddr) -> Option<FunctionCode> {
        let bare = self.bare(&self.function_at(entry)?, |_| true)?;
        let range = |(begin, end)| (LinkAddr(begin), LinkAddr(end));
        Some(FunctionCode {
            entry,
            ranges: self.parts(&bare).into_iter().map(range).collect(),
            language: Language::Other,
        })
    }

    /// Returns the functions by entry, because a function with several names is one function.
    fn bare_called(&self, pattern: &str) -> BTreeMap<LinkAddr, SymbolFunction> {
        let wanted = NamePattern::new(pattern);
        let last = wanted.last().as_bytes();
        let may_be = |symbol: &Symbol<'_>| {
            // Most symbols are ruled out cheaply: mangled names contain the last part of the path
            // unchanged.
            last.is_empty() || symbol.name.windows(last.len()).any(|part| part == last)
        };
        self.symbols()
            .filter(may_be)
            .filter_map(|symbol| self.bare(&symbol, |name| wanted.matches(name)))
            .take(MAX_NAMED)
            .map(|bare| (bare.entry, bare))
            .collect()
    }

    /// Returns the function of a symbol if its name fits and no debug information describes it.
    fn bare(&self, symbol: &Symbol<'_>, fits: impl Fn(&str) -> bool) -> Option<SymbolFunction> {
        let is_function = symbol.kind == SymbolKind::Function && self.is_code(symbol.address);
        if !is_function || is_cold(symbol) {
            return None;
        }
        let name = symbol.unversioned();
        let steps = NAME_STEPS + name.len() as u64 * NAME_BYTE_STEPS;
        if !self.budget.spend(ReaderKind::Names, steps, 1) {
            return None;
        }
        let name = demangle(name);
        // This check comes last, because it may have to read a unit.
        (fits(&name) && !self.is_described(symbol.address)).then_some(SymbolFunction {
            name,
            entry: symbol.address,
            size: symbol.size,
        })
    }

    /// Returns true if the debug information has a function at `address`.
    fn is_described(&self, address: LinkAddr) -> bool {
        self.unit_at(address)
            .and_then(|id| self.code().code(id))
            .is_some_and(|code| code.innermost(address).is_some())
    }

    /// Returns the symbol of a function that begins at `entry`. A cold part is not a function.
    fn function_at(&self, entry: LinkAddr) -> Option<Symbol<'_>> {
        self.symbols_at(entry)
            .find(|symbol| symbol.kind == SymbolKind::Function && !is_cold(symbol))
    }

    /// Returns a function's code: the range of its symbol, and that of its cold part if it has
    /// one (`f.cold`).
    fn parts(&self, bare: &SymbolFunction) -> Vec<(u64, u64)> {
        let mut parts = vec![(bare.entry.0, bare.entry.0.saturating_add(bare.size))];
        // A cold part is found by the function's mangled names, which may be several.
        let names: Vec<&[u8]> = self
            .symbols_at(bare.entry)
            .map(|symbol| symbol.unversioned())
            .collect();
        let is_part = |symbol: &Symbol<'_>| {
            is_cold(symbol)
                && self.is_code(symbol.address)
                && names.iter().any(|name| {
                    let rest = symbol.name.strip_prefix(*name);
                    rest.is_some_and(|rest| rest.starts_with(COLD))
                })
        };
        for symbol in self.symbols().filter(is_part).take(MAX_COLD) {
            let begin = symbol.address.0;
            parts.push((begin, begin.saturating_add(symbol.size)));
        }
        parts
    }

    /// Returns true if the linker made the code at `address` to reach functions of other modules.
    fn is_linkage(&self, address: u64) -> bool {
        [".plt", ".plt.sec", ".plt.got"].iter().any(|name| {
            self.main_section(name).is_some_and(|section| {
                let from_begin = address.checked_sub(section.address.0);
                from_begin.is_some_and(|distance| distance < section.size)
            })
        })
    }

    fn bare_exits(&self, bare: &SymbolFunction) -> Result<Vec<(LinkAddr, Exit)>, String> {
        if bare.size == 0 {
            return Err("its symbol does not say how long it is".to_owned());
        }
        exits_of(self, &self.parts(bare), |target| {
            self.function_at(LinkAddr(target)).is_some() || self.is_linkage(target)
        })
    }
}

impl SymbolFunction {
    fn site(&self, address: LinkAddr, exit: Option<Exit>) -> Site {
        Site {
            address,
            source: None,
            function: self.name.clone(),
            scope: ScopeKey::default(),
            inlined_into: Vec::new(),
            exit,
            usdt: None,
        }
    }
}

fn no_function(pattern: &str) -> SiteError {
    SiteError::NoFunction {
        name: pattern.to_owned(),
        near: Vec::new(),
    }
}

/// Returns true if a symbol names a part of a function that the compiler moved away, in the
/// naming of GCC and LLVM.
fn is_cold(symbol: &Symbol<'_>) -> bool {
    symbol.kind == SymbolKind::Function && is_cold_name(symbol.name)
}

/// Returns true for `f.cold` and `f.cold.1`, but not for `core..cold..f`, which is a path in
/// Rust's old mangling.
fn is_cold_name(name: &[u8]) -> bool {
    let before = name.iter().rposition(|byte| !byte.is_ascii_digit());
    let bare = match before {
        Some(dot) if name.get(dot) == Some(&b'.') => name.get(..dot).unwrap_or(name),
        _ => name,
    };
    let function = bare.strip_suffix(COLD);
    function.is_some_and(|function| !function.is_empty() && !function.ends_with(b"."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_cold_parts_are_told_from_paths() {
        for name in ["f.cold", "_ZN3app1fEv.cold.12", "main.cold.0"] {
            assert!(is_cold_name(name.as_bytes()), "{name}");
        }
        for name in [
            "f",
            "f.colder",
            ".cold",
            "_ZN4core..cold..f17h1E",
            "_ZN1a..cold",
            "f.part.0",
        ] {
            assert!(!is_cold_name(name.as_bytes()), "{name}");
        }
    }
}
