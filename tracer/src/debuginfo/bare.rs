//! Functions that only a symbol names: code without debug information, as of stripped libraries.
//!
//! They begin at their symbol, and nothing is known of their names, lines and types. Where they
//! return is known only when every jump out of the symbol's code leads to another symbol: the cold
//! part of a function may have none of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::budget::Reader;
use super::flow::FunctionCode;
use super::module::Module;
use super::names::{NamePattern, demangle};
use super::resolve::SiteError;
use super::returns::exits_of;
use super::site::{Exit, Site, SourceLine};
use super::symbols::{Symbol, SymbolKind};
use super::types::Language;
use crate::address::LinkAddr;

/// Symbols of one name that are looked at.
const MAX_NAMED: usize = 1 << 12;

/// Steps to take a symbol's name apart, and for each byte of it.
const NAME_STEPS: u64 = 200;
const NAME_BYTE_STEPS: u64 = 12;

/// Cold parts of one function.
const MAX_COLD: usize = 8;

/// What is behind a function's name in that of its cold part: `f.cold`, `f.cold.1`.
const COLD: &[u8] = b".cold";

/// A function that only a symbol names.
#[derive(Clone, Debug)]
struct Bare {
    /// Demangled.
    name: String,
    entry: LinkAddr,
    /// Bytes; 0 is unknown.
    size: u64,
}

impl Module {
    /// Where the functions without debug information begin whose name ends with `pattern`.
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

    /// Where they return.
    ///
    /// # Errors
    /// [`SiteError::NoFunction`]; [`SiteError::Returns`], where one of them could leave unseen.
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

    /// Their entries, to wait for each return from by the kernel's trampoline.
    ///
    /// # Errors
    /// As [`Module::bare_sites`].
    pub fn bare_trampoline_sites(&self, pattern: &str) -> Result<Vec<Site>, SiteError> {
        let mut sites = self.bare_sites(pattern)?;
        for site in &mut sites {
            site.exit = Some(Exit::Trampoline);
        }
        Ok(sites)
    }

    /// The function without debug information that begins at `entry`, as a site.
    #[must_use]
    pub fn bare_site_at(&self, entry: LinkAddr) -> Option<Site> {
        let bare = self.bare(&self.function_at(entry)?, |_| true)?;
        Some(bare.site(entry, None))
    }

    /// Names and entries of the functions without debug information whose names fit.
    pub fn bare_functions(&self, fits: impl Fn(&str) -> bool) -> BTreeMap<LinkAddr, String> {
        self.symbols()
            .filter_map(|symbol| self.bare(&symbol, &fits))
            .map(|bare| (bare.entry, bare.name))
            .collect()
    }

    /// The code of the function without debug information that begins at `entry`.
    pub(super) fn bare_code_at(&self, entry: LinkAddr) -> Option<FunctionCode> {
        let bare = self.bare(&self.function_at(entry)?, |_| true)?;
        let range = |(begin, end)| (LinkAddr(begin), LinkAddr(end));
        Some(FunctionCode {
            entry,
            ranges: self.parts(&bare).into_iter().map(range).collect(),
            language: Language::Other,
        })
    }

    /// By entry: one that has several names is one function.
    fn bare_called(&self, pattern: &str) -> BTreeMap<LinkAddr, Bare> {
        let wanted = NamePattern::new(pattern);
        let last = wanted.last().as_bytes();
        let may_be = |symbol: &Symbol<'_>| {
            // Most of a program's symbols are others; names are mangled with the last part whole.
            last.is_empty() || symbol.name.windows(last.len()).any(|part| part == last)
        };
        self.symbols()
            .filter(may_be)
            .filter_map(|symbol| self.bare(&symbol, |name| wanted.matches(name)))
            .take(MAX_NAMED)
            .map(|bare| (bare.entry, bare))
            .collect()
    }

    /// The function of a symbol, where it is one whose name fits, and has no debug information.
    fn bare(&self, symbol: &Symbol<'_>, fits: impl Fn(&str) -> bool) -> Option<Bare> {
        let is_function = symbol.kind == SymbolKind::Function && self.is_code(symbol.address);
        if !is_function || is_cold(symbol) {
            return None;
        }
        let name = symbol.unversioned();
        let steps = NAME_STEPS + name.len() as u64 * NAME_BYTE_STEPS;
        if !self.budget.spend(Reader::Names, steps, 1) {
            return None;
        }
        let name = demangle(name);
        // Last, since it may have to read a unit.
        (fits(&name) && !self.is_described(symbol.address)).then_some(Bare {
            name,
            entry: symbol.address,
            size: symbol.size,
        })
    }

    /// Whether the debug information has a function there.
    fn is_described(&self, address: LinkAddr) -> bool {
        self.unit_at(address)
            .and_then(|id| self.unit_code(id))
            .is_some_and(|code| code.innermost(address).is_some())
    }

    /// The symbol of a function that begins there. (A cold part is not one.)
    fn function_at(&self, entry: LinkAddr) -> Option<Symbol<'_>> {
        self.symbols_at(entry)
            .find(|symbol| symbol.kind == SymbolKind::Function && !is_cold(symbol))
    }

    /// A function's code: its symbol's, and that of its cold part where that has one (`f.cold`).
    fn parts(&self, bare: &Bare) -> Vec<(u64, u64)> {
        let mut parts = vec![(bare.entry.0, bare.entry.0.saturating_add(bare.size))];
        // By the mangled names, of which it may have several.
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

    /// Whether the linker made the code there, to reach functions of other modules.
    fn is_linkage(&self, address: u64) -> bool {
        [".plt", ".plt.sec", ".plt.got"].iter().any(|name| {
            self.main_section(name).is_some_and(|section| {
                let from_begin = address.checked_sub(section.address.0);
                from_begin.is_some_and(|distance| distance < section.size)
            })
        })
    }

    fn bare_exits(&self, bare: &Bare) -> Result<Vec<(LinkAddr, Exit)>, String> {
        if bare.size == 0 {
            return Err("its symbol does not say how long it is".to_owned());
        }
        exits_of(self, &self.parts(bare), |target| {
            self.function_at(LinkAddr(target)).is_some() || self.is_linkage(target)
        })
    }
}

impl Bare {
    fn site(&self, address: LinkAddr, exit: Option<Exit>) -> Site {
        Site {
            address,
            source: SourceLine {
                file: Arc::new(PathBuf::new()),
                line: 0,
                column: 0,
            },
            function: self.name.clone(),
            code_of: None,
            outside: 0,
            inlined_into: Vec::new(),
            exit,
            bare: true,
        }
    }
}

fn no_function(pattern: &str) -> SiteError {
    SiteError::NoFunction {
        name: pattern.to_owned(),
        near: Vec::new(),
    }
}

/// Whether a symbol names a part of a function that the compiler moved away, as GCC and LLVM call it.
fn is_cold(symbol: &Symbol<'_>) -> bool {
    symbol.kind == SymbolKind::Function && is_cold_name(symbol.name)
}

/// `f.cold`, `f.cold.1`; not `core..cold..f`, as old mangling of Rust writes paths.
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
