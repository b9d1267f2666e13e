//! Resolves lines, functions and addresses that the user names to sites.
//!
//! [`super::line_starts`] does this for one unit. A line without code stands for the next
//! statement, as in gdb.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::file_lines::{FileLines, LineCode};
use super::line_starts::UnitSites;
use super::name_filter::{NameFilter, strings};
use crate::base::address::LinkAddr;
use crate::base::suggestions::{MAX_SUGGESTIONS, nearest_names};
use crate::debuginfo::budget::{KeptMemory, ReaderKind};
use crate::debuginfo::dwarf::units::{Unit, UnitId};
use crate::debuginfo::error::DebugInfoError;
use crate::debuginfo::file::symbols::{Symbol, SymbolKind};
use crate::debuginfo::functions::unit_code::{CodeScope, FunctionName, ScopeKind, UnitCode};
use crate::debuginfo::model::names::{NamePattern, demangle};
use crate::debuginfo::model::site::{FileId, Site, Sites, SourceLine};
use crate::debuginfo::model::types::Language;
use crate::debuginfo::module::Module;

/// Steps to read a scope, to put a name together, and to sort it in.
const SCOPE_STEPS: u64 = 20;
const NAME_STEPS: u64 = 150;
const SORT_STEPS: u64 = 200;
/// Bytes of one function in a list, without its name.
const ENTRY_BYTES: u64 = 200;

/// Bytes that are kept of a line and its number of sites.
const LINE_COUNT_BYTES: u64 = 32;
/// Files whose numbers of sites are kept. One more drops all of them.
const MAX_LINE_COUNTS: usize = 1 << 10;

/// Similar names that are checked to be functions.
const MAX_CANDIDATES: usize = 12;

/// Symbols at one function's address that are searched for functions that were folded into it.
const MAX_FOLDED: usize = 16;

/// The reason why a location has no site.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// The debug information has no such file.
    #[error("unknown source file")]
    NoFile,
    /// The line has no code, and no later line can stand for it.
    #[error("no code for line {line} of `{}`", file.display())]
    NoCode {
        /// The file.
        file: Arc<PathBuf>,
        /// The line.
        line: u64,
        /// The nearest lines with code, before and after it.
        nearest: Vec<u64>,
    },
    /// No function has that name.
    #[error("no function `{name}`")]
    NoFunction {
        /// The text that was typed.
        name: String,
        /// Similar names.
        near: Vec<String>,
    },
    /// Not all returns of the function are known.
    #[error("the returns of `{name}` cannot be observed: {why}")]
    Returns {
        /// The function.
        name: String,
        /// The reason.
        why: String,
    },
    /// No USDT probe has the provider and the name.
    #[error("no such USDT probe")]
    NoUsdtProbe,
    /// The note on a USDT probe leads to another instruction.
    #[error("the note on the USDT probe leads to {address}, where no nop begins")]
    NoNop {
        /// Address in the note.
        address: LinkAddr,
    },
    /// The debug information cannot be read.
    #[error(transparent)]
    DebugInfo(#[from] DebugInfoError),
}

impl SiteError {
    /// Returns advice for the user, if there is any.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Returns { why, .. } if !why.contains("inlined") => Some(
                "the option `trampoline` observes them all, but breaks programs that unwind or switch stacks".to_owned(),
            ),
            Self::NoCode { nearest, .. } => match nearest.as_slice() {
                [] => Some("no line of this file has code".to_owned()),
                [line] => Some(format!("the nearest line with code is {line}")),
                [before, after, ..] => Some(format!(
                    "the nearest lines with code are {before} and {after}"
                )),
            },
            Self::NoFunction { near, .. } if !near.is_empty() => {
                let names: Vec<_> = near.iter().map(|name| format!("`{name}`")).collect();
                Some(format!("did you mean {}?", names.join(" or ")))
            }
            Self::DebugInfo(error) => error.hint(),
            _ => None,
        }
    }
}

/// One function of the source, with all its instances.
#[derive(Clone, Debug)]
pub struct FunctionInfo {
    /// Demangled name with its path.
    pub name: String,
    /// Source line of its declaration.
    pub declared: Option<SourceLine>,
    /// Entry of each instance that has code of its own.
    pub addresses: Vec<LinkAddr>,
    /// Entry of each inlined copy.
    pub inlined: Vec<LinkAddr>,
}

impl Module {
    /// Returns the lines of a file that have sites, with the number of sites of each.
    ///
    /// # Errors
    /// [`SiteError::NoFile`], [`SiteError::DebugInfo`].
    pub fn lines(&self, file: FileId) -> Result<Arc<BTreeMap<u64, usize>>, SiteError> {
        self.require_dwarf()?;
        if let Some(known) = self.caches.line_counts.get(&file) {
            self.require_intact()?;
            return Ok(known);
        }
        let info = self.source_file(file).ok_or(SiteError::NoFile)?;
        let parts: Vec<BTreeMap<u64, HashSet<LinkAddr>>> = info
            .units
            .par_iter()
            .filter_map(|&id| {
                let (concerned, lines) = self.lines_in(id, file, &info.path)?;
                let addresses = |line: &LineCode| -> HashSet<LinkAddr> {
                    let starts = concerned.choose(self.code(), line, None);
                    starts.into_iter().map(|start| start.address).collect()
                };
                let lines = lines.iter();
                Some(lines.map(|(line, code)| (line, addresses(code))).collect())
            })
            .collect();
        let mut all: BTreeMap<u64, HashSet<LinkAddr>> = BTreeMap::new();
        for part in parts {
            for (line, addresses) in part {
                all.entry(line).or_default().extend(addresses);
            }
        }
        self.require_intact()?;
        let counts: BTreeMap<u64, usize> = all
            .into_iter()
            .filter(|(_, addresses)| !addresses.is_empty())
            .map(|(line, addresses)| (line, addresses.len()))
            .collect();
        let counts = Arc::new(counts);
        let bytes = counts.len() as u64 * LINE_COUNT_BYTES;
        if !self.budget.hold(ReaderKind::Lines, bytes) {
            return Ok(counts);
        }
        Ok(self
            .caches
            .line_counts
            .get_or_read(MAX_LINE_COUNTS, file, || counts))
    }

    /// Returns the lines of a file in one unit, or `None` if the unit has no rows of the file.
    fn lines_in(
        &self,
        id: UnitId,
        file: FileId,
        path: &Path,
    ) -> Option<(UnitSites, Arc<FileLines>)> {
        let rows = self.code().lines(id)?;
        let gather = || match rows.has_statement_of(path).then(|| self.code().code(id)) {
            Some(Some(code)) => {
                UnitSites::new(Arc::clone(&rows), code).lines_of(&self.budget, path)
            }
            _ => FileLines::default(),
        };
        let lines = self.code().lines_of_file(id, file, gather);
        if lines.is_empty() || !self.budget.is_open() {
            return None;
        }
        Some((UnitSites::new(rows, self.code().code(id)?), lines))
    }

    /// Returns the sites of one line.
    ///
    /// # Errors
    /// [`SiteError::NoFile`], [`SiteError::NoCode`], [`SiteError::DebugInfo`].
    pub fn sites(&self, file: FileId, line: u64) -> Result<Sites, SiteError> {
        self.require_dwarf()?;
        let info = self.source_file(file).ok_or(SiteError::NoFile)?;
        let units: Vec<(UnitSites, Arc<FileLines>)> = info
            .units
            .par_iter()
            .filter_map(|&id| self.lines_in(id, file, &info.path))
            .collect();
        let sites_of = |wanted: u64| -> Vec<Site> {
            let moved_from = (wanted != line).then_some(line);
            let found = units.par_iter().flat_map_iter(|(concerned, lines)| {
                let starts = lines
                    .get(wanted)
                    .map(|code| concerned.choose(self.code(), code, moved_from));
                let starts = starts.unwrap_or_default().into_iter();
                starts.filter_map(|start| concerned.site(self.code(), start))
            });
            let mut sites: Vec<Site> = found.collect();
            sites.sort_by_key(|site| site.address);
            sites.dedup_by_key(|site| site.address);
            sites
        };
        let has_rows = |wanted: u64| {
            let mut lines = units.iter().filter_map(|(_, lines)| lines.get(wanted));
            lines.any(LineCode::has_rows)
        };
        let first_from = |line| {
            let firsts = units.iter().filter_map(|(_, lines)| lines.first_from(line));
            firsts.min()
        };
        let mut after = None;
        let mut next = first_from(line);
        while let Some(candidate) = next {
            next = first_from(candidate.saturating_add(1)).filter(|next| *next > candidate);
            // A line that only calls inlined functions may have no site.
            let sites = sites_of(candidate);
            if !sites.is_empty() {
                self.require_intact()?;
                return Ok(Sites {
                    sites,
                    moved_from: (candidate != line).then_some(line),
                });
            }
            if candidate != line && has_rows(candidate) {
                after = Some(candidate);
                break;
            }
        }
        self.require_intact()?;
        let before = units
            .iter()
            .filter_map(|(_, lines)| lines.last_before(line));
        let before = before.max();
        Err(SiteError::NoCode {
            file: info.path.clone(),
            line,
            nearest: before.into_iter().chain(after).collect(),
        })
    }

    /// Returns the site at an address: function, line, and the calls that were inlined.
    ///
    /// Returns `None` if the debug information has no unit or no row there. The line is 0 for
    /// code that the compiler made.
    #[must_use]
    pub fn site_at(&self, address: LinkAddr) -> Option<Site> {
        let id = self.unit_at(address)?;
        let site = self.concerned(id)?.site_at(self.code(), address);
        site.filter(|_| self.budget.is_open())
    }

    /// Returns the line of an address in the line table, or `None` if there is none or the
    /// compiler made the code.
    #[must_use]
    pub fn line_at(&self, address: LinkAddr) -> Option<u64> {
        self.code().line_at(address)
    }

    /// Returns true if a statement begins at the address, according to the line table.
    #[must_use]
    pub fn is_row(&self, address: LinkAddr) -> bool {
        let lines = self.unit_at(address).and_then(|id| self.code().lines(id));
        lines.is_some_and(|lines| {
            lines
                .row_at(address.0)
                .is_some_and(|row| row.address == address.0)
        })
    }

    /// Returns the sites of the functions whose path ends with `pattern`: after the prologue of
    /// each, and at the start of each inlined copy.
    ///
    /// # Errors
    /// [`SiteError::NoFunction`], [`SiteError::DebugInfo`].
    pub fn function_sites(&self, pattern: &str) -> Result<Sites, SiteError> {
        self.require_dwarf()?;
        let mut sites: Vec<Site> = self
            .functions_called(pattern)
            .iter()
            .flat_map(|(concerned, found)| {
                let starts = concerned.starts_of(self.code(), found).into_iter();
                starts.filter_map(|start| concerned.site(self.code(), start))
            })
            .collect();
        self.require_intact()?;
        sites.sort_by_key(|site| site.address);
        sites.dedup_by_key(|site| site.address);
        if sites.is_empty() {
            return Err(self.no_function(pattern, &NamePattern::new(pattern)));
        }
        Ok(Sites {
            sites,
            moved_from: None,
        })
    }

    /// Returns the address behind the prologue of the function that begins at `entry`, or `None` if it has no line
    /// there.
    #[must_use]
    pub fn start_of_function_at(&self, entry: LinkAddr) -> Option<LinkAddr> {
        let (concerned, found) = self.functions_at(&BTreeSet::from([entry])).pop()?;
        let starts = concerned.starts_of(self.code(), &found);
        starts.first().map(|start| start.address)
    }

    /// Returns the functions whose path ends with `pattern`, or all functions without a pattern,
    /// by name.
    ///
    /// # Errors
    /// [`SiteError::DebugInfo`].
    pub fn functions(&self, pattern: Option<&str>) -> Result<Vec<FunctionInfo>, SiteError> {
        self.require_dwarf()?;
        let wanted = pattern.map(NamePattern::new);
        let filter = wanted
            .as_ref()
            .map(|wanted| NameFilter::new(&self.files, wanted.last()));
        let passes = |id: &UnitId| filter.as_ref().is_none_or(|f| f.passes(&self.files, *id));
        let parts: Vec<_> = self
            .unit_ids()
            .into_par_iter()
            .filter(passes)
            .map(|id| self.functions_in(id, wanted.as_ref()))
            .collect();
        let mut all: BTreeMap<FunctionName, FunctionInfo> = BTreeMap::new();
        let mut meter = self.budget.meter(ReaderKind::Names);
        let mut kept = KeptMemory::none(&self.budget);
        for (name, address, inlined) in parts.into_iter().flatten() {
            // Sorting compares long names with the same beginning many times.
            let length = name.name.len() as u64;
            if !meter.take(SORT_STEPS + length)
                || !kept.grow(ReaderKind::Names, length + ENTRY_BYTES)
            {
                break;
            }
            let function = all.entry(name).or_insert_with_key(|name| FunctionInfo {
                name: name.name.to_string(),
                declared: name.declared.clone().map(|(file, line)| SourceLine {
                    file,
                    line,
                    column: 0,
                }),
                addresses: Vec::new(),
                inlined: Vec::new(),
            });
            if inlined {
                function.inlined.push(address);
            } else {
                function.addresses.push(address);
            }
        }
        self.require_intact()?;
        let mut all: Vec<_> = all.into_values().collect();
        for function in &mut all {
            for addresses in [&mut function.addresses, &mut function.inlined] {
                addresses.sort_unstable();
                addresses.dedup();
            }
        }
        Ok(all)
    }

    pub(in crate::debuginfo) fn unit_ids(&self) -> Vec<UnitId> {
        (0_u32..)
            .zip(self.units())
            .map(|(id, _)| UnitId(id))
            .collect()
    }

    fn no_function(&self, typed: &str, wanted: &NamePattern) -> SiteError {
        // Most strings of the module are not names of functions.
        let mut names = strings(&self.files);
        if self.units().iter().any(|unit| unit.split.is_some()) {
            let symbols = self.symbols().filter(|symbol| {
                matches!(symbol.kind, SymbolKind::Function | SymbolKind::Indirect)
            });
            let names_of_symbols = symbols.map(|symbol| demangle(symbol.name));
            names.extend(names_of_symbols.map(|name| NamePattern::new(&name).last().to_owned()));
        }
        // `parse(text)` and `parser.parse` are calls of `parse`.
        let called = wanted.last().split('(').next().unwrap_or_default();
        let called = called.rsplit('.').next().unwrap_or_default();
        let near = nearest_names(called, names.iter().map(String::as_str), MAX_CANDIDATES);
        SiteError::NoFunction {
            name: typed.to_owned(),
            near: near
                .into_iter()
                .filter(|name| self.has_function(name))
                .take(MAX_SUGGESTIONS)
                .collect(),
        }
    }

    fn has_function(&self, name: &str) -> bool {
        let wanted = NamePattern::new(name);
        let filter = NameFilter::new(&self.files, wanted.last());
        self.unit_ids().into_par_iter().any(|id| {
            filter.passes(&self.files, id)
                && self
                    .unit(id)
                    .is_ok_and(|unit| !self.matching(&unit, Some(&wanted)).1.is_empty())
        })
    }

    fn concerned(&self, id: UnitId) -> Option<UnitSites> {
        Some(UnitSites::new(
            self.code().lines(id)?,
            self.code().code(id)?,
        ))
    }

    fn matching(
        &self,
        unit: &Unit<'_>,
        wanted: Option<&NamePattern>,
    ) -> (Arc<UnitCode>, Vec<(u32, FunctionName)>) {
        let code = self.code().kept_or_read(unit);
        let mut known: HashMap<u64, Option<FunctionName>> = HashMap::new();
        let mut found = Vec::new();
        let mut meter = self.budget.meter(ReaderKind::Names);
        for (index, scope) in (0_u32..).zip(&code.scopes) {
            if !meter.take(SCOPE_STEPS) {
                break;
            }
            if matches!(scope.kind, ScopeKind::Block(_)) {
                continue;
            }
            let name = known.entry(scope.origin).or_insert_with(|| {
                meter.take(NAME_STEPS);
                let last = wanted.map(NamePattern::last);
                if last.is_some_and(|last| code.surely_not_named(scope.origin, last)) {
                    return None;
                }
                let name = self.code().function_name(&code, scope.origin);
                meter.take(NAME_STEPS + name.name.len() as u64 * 4);
                let fits = wanted.is_none_or(|wanted| wanted.matches(&name.name));
                fits.then_some(name)
            });
            if let Some(name) = name {
                found.push((index, name.clone()));
            }
        }
        (code, found)
    }

    fn functions_in(
        &self,
        id: UnitId,
        wanted: Option<&NamePattern>,
    ) -> Vec<(FunctionName, LinkAddr, bool)> {
        let Ok(unit) = self.unit(id) else {
            return Vec::new();
        };
        let (code, found) = self.matching(&unit, wanted);
        found
            .into_iter()
            .filter_map(|(index, name)| {
                let scope = code.scope(index)?;
                let inlined = scope.kind == ScopeKind::Inlined;
                Some((name, LinkAddr(scope.entry), inlined))
            })
            .collect()
    }

    /// Returns the functions of a unit with this name, by the number of their scope.
    pub(in crate::debuginfo) fn functions_named(
        &self,
        id: UnitId,
        wanted: &NamePattern,
    ) -> Option<(UnitSites, Vec<u32>)> {
        let unit = self.unit(id).ok()?;
        let (code, found) = self.matching(&unit, Some(wanted));
        if found.is_empty() {
            return None;
        }
        // The next probe is often on a function of the same unit.
        self.code().keep(&unit, &code);
        let concerned = UnitSites::new(self.code().lines(id)?, code);
        Some((
            concerned,
            found.into_iter().map(|(index, _)| index).collect(),
        ))
    }

    /// Returns the functions whose path ends with `pattern`, by unit and number of their scope.
    /// If there are none, symbols with the name are followed to their functions: `malloc` of the
    /// C library is `__libc_malloc` in its debug information.
    pub(in crate::debuginfo) fn functions_called(
        &self,
        pattern: &str,
    ) -> Vec<(UnitSites, Vec<u32>)> {
        let wanted = NamePattern::new(pattern);
        let filter = NameFilter::new(&self.files, wanted.last());
        let found: Vec<_> = self
            .unit_ids()
            .into_par_iter()
            .filter(|id| filter.passes(&self.files, *id))
            .filter_map(|id| self.functions_named(id, &wanted))
            .collect();
        if found.is_empty() {
            self.functions_at(&self.entries_of_symbol(pattern))
        } else {
            found
        }
    }

    /// Returns the entries of the functions that symbols with this name lead to, in any version.
    pub(crate) fn entries_of_symbol(&self, name: &str) -> BTreeSet<LinkAddr> {
        let is_named = |symbol: &Symbol<'_>| {
            symbol.kind == SymbolKind::Function && symbol.unversioned() == name.as_bytes()
        };
        let named = self.symbols().filter(is_named);
        named.map(|symbol| symbol.address).collect()
    }

    /// Returns the other functions that share the code of a site, because a linker folded them
    /// into one. Their hits cannot be distinguished.
    #[must_use]
    pub fn folded_with(&self, site: &Site) -> Vec<String> {
        let outermost = site.inlined_into.last();
        let own = outermost.map_or(&site.function, |outer| &outer.function);
        let Some(code) = self.function_code_at(site.address) else {
            return Vec::new();
        };
        let names = self.function_names_at(code.entry);
        if names.len() < 2 {
            return Vec::new();
        }
        let mut found = BTreeSet::new();
        for name in &names {
            let wanted = NamePattern::new(name);
            let filter = NameFilter::new(&self.files, wanted.last());
            for id in self.unit_ids() {
                if !filter.passes(&self.files, id) {
                    continue;
                }
                let Some((concerned, functions)) = self.functions_named(id, &wanted) else {
                    continue;
                };
                let scopes = functions.iter().filter_map(|at| concerned.code.scope(*at));
                found.extend(self.names_of_folded(&concerned, code.entry, scopes));
            }
        }
        if let Some(concerned) = self.unit_at(site.address).and_then(|id| self.concerned(id)) {
            let live = concerned.code.functions_at(code.entry);
            let scopes = live.filter_map(|index| concerned.code.scope(index));
            found.extend(self.names_of_folded(&concerned, code.entry, scopes));
        }
        found.remove(own);
        found.into_iter().collect()
    }

    /// Returns the names of the functions that begin at an address. An assembler writes an entry
    /// for each label of one function; those are not folded functions.
    fn names_of_folded<'c>(
        &self,
        concerned: &UnitSites,
        entry: LinkAddr,
        scopes: impl Iterator<Item = &'c CodeScope>,
    ) -> Vec<String> {
        let code = &concerned.code;
        let is_label = |scope: &&CodeScope| {
            code.language == Language::Other && code.declared(scope.origin).is_none()
        };
        let folded = scopes.filter(|scope| {
            scope.kind == ScopeKind::Function && scope.entry == entry.0 && !is_label(scope)
        });
        let name = |scope: &CodeScope| {
            self.code()
                .function_name(code, scope.origin)
                .name
                .to_string()
        };
        folded.map(name).collect()
    }

    /// Returns the function names of the symbols at an address, without parameters.
    pub(in crate::debuginfo) fn function_names_at(&self, address: LinkAddr) -> BTreeSet<String> {
        let symbols = self
            .symbols()
            .filter(|symbol| symbol.kind == SymbolKind::Function && symbol.address == address);
        let names = symbols.take(MAX_FOLDED).map(|symbol| demangle(symbol.name));
        names
            .map(|name| without_parameters(&name).to_owned())
            .collect()
    }

    /// Returns the functions that begin at these addresses, by unit.
    fn functions_at(&self, entries: &BTreeSet<LinkAddr>) -> Vec<(UnitSites, Vec<u32>)> {
        let units: BTreeSet<UnitId> = entries
            .iter()
            .filter_map(|entry| self.unit_at(*entry))
            .collect();
        let functions = |id| {
            let concerned = self.concerned(id)?;
            let begins = |(_, scope): &(u32, &CodeScope)| {
                scope.kind == ScopeKind::Function && entries.contains(&LinkAddr(scope.entry))
            };
            let scopes = (0_u32..).zip(&concerned.code.scopes);
            let found: Vec<u32> = scopes.filter(begins).map(|(index, _)| index).collect();
            (!found.is_empty()).then_some((concerned, found))
        };
        units.into_iter().filter_map(functions).collect()
    }
}

/// Returns `ns::f` for `ns::f(int, char)`.
fn without_parameters(name: &str) -> &str {
    let opens = name.match_indices('(').map(|(at, _)| at);
    let mut parameters = opens.filter(|at| {
        let before = name.get(..*at).unwrap_or_default();
        !before.is_empty() && !before.ends_with("::") && !before.ends_with("operator")
    });
    parameters
        .next()
        .and_then(|at| name.get(..at))
        .unwrap_or(name)
}
