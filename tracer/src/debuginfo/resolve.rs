//! From what the user names to sites: lines, functions, addresses.
//!
//! Follows gdb: statement rows only, one site for each function instance and
//! block, after the prologue when the row is in it, the next statement when the
//! line has none.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;

use super::code::{FunctionName, Scope, ScopeKind, UnitCode, function_name};
use super::error::DebugInfoError;
use super::lines::{UnitLines, statement_lines};
use super::module::Module;
use super::name_filter::{NameFilter, strings};
use super::names::{MAX_SUGGESTIONS, NamePattern, demangle, nearest_names};
use super::prologue::after_prologue;
use super::site::{FileId, InlinedInto, Site, Sites, SourceLine};
use super::symbols::{Symbol, SymbolKind};
use super::units::{Unit, UnitId};
use crate::address::LinkAddr;

/// Near names that are tried whether they are functions.
const MAX_CANDIDATES: usize = 12;

/// Steps of an inlined copy's call path.
const MAX_INLINED: usize = 256;

/// Why a location has no site.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// The debug information has no such file.
    #[error("no such source file")]
    NoFile,
    /// The line has no code, and none follows that could stand for it.
    #[error("no code for line {line} of `{}`", file.display())]
    NoCode {
        /// The file.
        file: Arc<PathBuf>,
        /// The line.
        line: u64,
        /// The nearest lines with code: before it, after it.
        nearest: Vec<u64>,
    },
    /// No function has that name.
    #[error("no function `{name}`")]
    NoFunction {
        /// What was typed.
        name: String,
        /// Names that are like it.
        near: Vec<String>,
    },
    /// Its returns are not all known.
    #[error("the returns of `{name}` cannot be observed: {why}")]
    Returns {
        /// The function.
        name: String,
        /// Why not.
        why: String,
    },
    /// The debug information cannot be read.
    #[error(transparent)]
    DebugInfo(#[from] DebugInfoError),
}

impl SiteError {
    /// Advice, if there is any.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Returns { why, .. } if !why.contains("inlined") => Some(
                "`trampoline` behind the probe sees them all, and breaks programs that unwind or switch stacks".to_owned(),
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
    /// Demangled, with the path that leads to it.
    pub name: String,
    /// Where it is declared.
    pub declared: Option<SourceLine>,
    /// Entry of each instance that has code of its own.
    pub addresses: Vec<LinkAddr>,
    /// Entry of each inlined copy.
    pub inlined: Vec<LinkAddr>,
}

/// The rows and the code of one unit together.
pub(super) struct Concerned {
    pub(super) lines: Arc<UnitLines>,
    pub(super) code: Arc<UnitCode>,
}

/// What one unit has to say about a line.
#[derive(Default)]
struct Candidates {
    exact: Vec<u64>,
    after: Option<u64>,
    before: Option<u64>,
}

impl Module {
    /// The lines of a file that have sites, and how many each has.
    ///
    /// # Errors
    /// [`SiteError::NoFile`], [`SiteError::DebugInfo`].
    pub fn lines(&self, file: FileId) -> Result<BTreeMap<u64, usize>, SiteError> {
        self.require_dwarf()?;
        let info = self.source_file(file).ok_or(SiteError::NoFile)?;
        let parts: Vec<BTreeMap<u64, HashSet<LinkAddr>>> = info
            .units
            .par_iter()
            .filter_map(|&id| {
                let lines = self.unit_lines(id)?;
                let numbers = lines.numbers_of(&info.path);
                let found = statement_lines(&lines, &numbers);
                if found.is_empty() {
                    return None;
                }
                let code = self.unit_code(id)?;
                let concerned = Concerned { lines, code };
                Some(concerned.sites_of_all_lines(self, &numbers))
            })
            .collect();
        let mut all: BTreeMap<u64, HashSet<LinkAddr>> = BTreeMap::new();
        for part in parts {
            for (line, addresses) in part {
                all.entry(line).or_default().extend(addresses);
            }
        }
        self.require_intact()?;
        Ok(all
            .into_iter()
            .map(|(line, addresses)| (line, addresses.len()))
            .collect())
    }

    /// The sites of one line.
    ///
    /// # Errors
    /// [`SiteError::NoFile`], [`SiteError::NoCode`], [`SiteError::DebugInfo`].
    pub fn sites(&self, file: FileId, line: u64) -> Result<Sites, SiteError> {
        self.require_dwarf()?;
        let info = self.source_file(file).ok_or(SiteError::NoFile)?;
        let candidates = |line: u64| -> Vec<(UnitId, Candidates)> {
            let of_unit = |&id: &UnitId| {
                let lines = self.unit_lines(id)?;
                let numbers = lines.numbers_of(&info.path);
                Some((id, Candidates::of(&lines, &numbers, line)))
            };
            info.units.par_iter().filter_map(of_unit).collect()
        };
        let mut found = candidates(line);
        let exact = found.iter().any(|(_, found)| !found.exact.is_empty());
        let before = found.iter().filter_map(|(_, found)| found.before).max();
        let after = found.iter().filter_map(|(_, found)| found.after).min();
        let mut moved_from = None;
        if !exact && let Some(after) = after {
            moved_from = Some(line);
            found = candidates(after);
        }
        found.retain(|(_, found)| !found.exact.is_empty());
        let mut sites: Vec<Site> = found
            .into_par_iter()
            .flat_map_iter(|(id, found)| {
                let concerned = self.concerned(id);
                let addresses = concerned
                    .as_ref()
                    .map(|concerned| concerned.choose(self, &found.exact, moved_from));
                let site = |address| {
                    let concerned = concerned.as_ref()?;
                    concerned.site(self, address)
                };
                let sites: Vec<Site> = addresses
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(site)
                    .collect();
                sites
            })
            .collect();
        self.require_intact()?;
        sites.sort_by_key(|site| site.address);
        sites.dedup_by_key(|site| site.address);
        if sites.is_empty() {
            return Err(SiteError::NoCode {
                file: info.path.clone(),
                line,
                nearest: before.into_iter().chain(after).collect(),
            });
        }
        Ok(Sites { sites, moved_from })
    }

    /// What is at an address: function, line, and the calls that were inlined.
    ///
    /// `None` where the debug information has no unit, or no row. The line is
    /// 0 where the compiler made code of its own.
    #[must_use]
    pub fn site_at(&self, address: LinkAddr) -> Option<Site> {
        let id = self.unit_at(address)?;
        self.concerned(id)?.site(self, address)
    }

    /// The line that the line table has for the address; `None` where it has
    /// none, or the code is the compiler's own.
    #[must_use]
    pub fn line_at(&self, address: LinkAddr) -> Option<u64> {
        let lines = self.unit_lines(self.unit_at(address)?)?;
        let line = lines.row_at(address.0)?.line;
        (line != 0).then_some(u64::from(line))
    }

    /// Whether a statement begins at the address, by the line table.
    #[must_use]
    pub fn is_row(&self, address: LinkAddr) -> bool {
        let lines = self.unit_at(address).and_then(|id| self.unit_lines(id));
        lines.is_some_and(|lines| {
            lines
                .row_at(address.0)
                .is_some_and(|row| row.address == address.0)
        })
    }

    /// The sites at which the functions begin whose path ends with `pattern`:
    /// after the prologue, and at the start of each inlined copy.
    ///
    /// # Errors
    /// [`SiteError::NoFunction`], [`SiteError::DebugInfo`].
    pub fn function_sites(&self, pattern: &str) -> Result<Sites, SiteError> {
        self.require_dwarf()?;
        let mut sites: Vec<Site> = self
            .functions_called(pattern)
            .iter()
            .flat_map(|(concerned, found)| self.starts_of(concerned, found))
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

    /// The functions whose path ends with `pattern`, by name; all without one.
    ///
    /// # Errors
    /// [`SiteError::DebugInfo`].
    pub fn functions(&self, pattern: Option<&str>) -> Result<Vec<FunctionInfo>, SiteError> {
        self.require_dwarf()?;
        let wanted = pattern.map(NamePattern::new);
        let filter = wanted
            .as_ref()
            .map(|wanted| NameFilter::new(self, wanted.last()));
        let passes = |id: &UnitId| filter.as_ref().is_none_or(|f| f.passes(self, *id));
        let parts: Vec<_> = self
            .unit_ids()
            .into_par_iter()
            .filter(passes)
            .map(|id| self.functions_in(id, wanted.as_ref()))
            .collect();
        let mut all: BTreeMap<FunctionName, FunctionInfo> = BTreeMap::new();
        for (name, address, inlined) in parts.into_iter().flatten() {
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

    pub(super) fn unit_ids(&self) -> Vec<UnitId> {
        (0_u32..)
            .zip(self.units())
            .map(|(id, _)| UnitId(id))
            .collect()
    }

    fn no_function(&self, typed: &str, wanted: &NamePattern) -> SiteError {
        // Most strings of the module are names of other things than functions.
        let mut names = strings(self);
        if self.units().iter().any(|unit| unit.split.is_some()) {
            let symbols = self.symbols().filter(|symbol| {
                matches!(symbol.kind, SymbolKind::Function | SymbolKind::Indirect)
            });
            let names_of_symbols = symbols.map(|symbol| demangle(symbol.name));
            names.extend(names_of_symbols.map(|name| NamePattern::new(&name).last().to_owned()));
        }
        let near = nearest_names(
            wanted.last(),
            names.iter().map(String::as_str),
            MAX_CANDIDATES,
        );
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
        let filter = NameFilter::new(self, wanted.last());
        self.unit_ids().into_par_iter().any(|id| {
            filter.passes(self, id)
                && self
                    .unit(id)
                    .is_ok_and(|unit| !self.matching(&unit, Some(&wanted)).1.is_empty())
        })
    }

    fn unit_lines(&self, id: UnitId) -> Option<Arc<UnitLines>> {
        // The rows of a split unit are with its skeleton.
        let unit = self.unit_skeleton(id).ok()?;
        Some(self.code_cache().lines(self, &unit))
    }

    fn unit_code(&self, id: UnitId) -> Option<Arc<UnitCode>> {
        let unit = self.unit(id).ok()?;
        Some(self.code_cache().code(self, &unit))
    }

    fn concerned(&self, id: UnitId) -> Option<Concerned> {
        Some(Concerned {
            lines: self.unit_lines(id)?,
            code: self.unit_code(id)?,
        })
    }

    fn matching(
        &self,
        unit: &Unit<'_>,
        wanted: Option<&NamePattern>,
    ) -> (UnitCode, Vec<(u32, FunctionName)>) {
        let code = UnitCode::read(self, unit);
        let mut known: HashMap<u64, Option<FunctionName>> = HashMap::new();
        let mut found = Vec::new();
        for (index, scope) in (0_u32..).zip(&code.scopes) {
            if matches!(scope.kind, ScopeKind::Block(_)) {
                continue;
            }
            let name = known.entry(scope.origin).or_insert_with(|| {
                let last = wanted.map(NamePattern::last);
                if last.is_some_and(|last| code.surely_not_named(scope.origin, last)) {
                    return None;
                }
                let name = function_name(self, &code, scope.origin);
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

    /// The functions of a unit that have a name, by number of their scope.
    pub(super) fn functions_named(
        &self,
        id: UnitId,
        wanted: &NamePattern,
    ) -> Option<(Concerned, Vec<u32>)> {
        let unit = self.unit(id).ok()?;
        let (code, found) = self.matching(&unit, Some(wanted));
        if found.is_empty() {
            return None;
        }
        let concerned = Concerned {
            lines: self.unit_lines(id)?,
            code: Arc::new(code),
        };
        Some((
            concerned,
            found.into_iter().map(|(index, _)| index).collect(),
        ))
    }

    /// The functions whose path ends with `pattern`, by unit and number of their scope. Where none
    /// has that name, those that a symbol of the name leads to: `malloc` of the C library is
    /// `__libc_malloc` in its debug information.
    pub(super) fn functions_called(&self, pattern: &str) -> Vec<(Concerned, Vec<u32>)> {
        let wanted = NamePattern::new(pattern);
        let filter = NameFilter::new(self, wanted.last());
        let found: Vec<_> = self
            .unit_ids()
            .into_par_iter()
            .filter(|id| filter.passes(self, *id))
            .filter_map(|id| self.functions_named(id, &wanted))
            .collect();
        if found.is_empty() {
            self.functions_at(&self.entries_of_symbol(pattern))
        } else {
            found
        }
    }

    /// Where the functions begin that a symbol of that name leads to, whatever its version.
    pub(crate) fn entries_of_symbol(&self, name: &str) -> BTreeSet<LinkAddr> {
        let is_named = |symbol: &Symbol<'_>| {
            let bare = symbol.name.split(|byte| *byte == b'@').next();
            symbol.kind == SymbolKind::Function && bare == Some(name.as_bytes())
        };
        let named = self.symbols().filter(is_named);
        named.map(|symbol| symbol.address).collect()
    }

    /// The functions that begin there.
    fn functions_at(&self, entries: &BTreeSet<LinkAddr>) -> Vec<(Concerned, Vec<u32>)> {
        let units: BTreeSet<UnitId> = entries
            .iter()
            .filter_map(|entry| self.unit_at(*entry))
            .collect();
        let functions = |id| {
            let concerned = self.concerned(id)?;
            let begins = |(_, scope): &(u32, &Scope)| {
                scope.kind == ScopeKind::Function && entries.contains(&LinkAddr(scope.entry))
            };
            let scopes = (0_u32..).zip(&concerned.code.scopes);
            let found: Vec<u32> = scopes.filter(begins).map(|(index, _)| index).collect();
            (!found.is_empty()).then_some((concerned, found))
        };
        units.into_iter().filter_map(functions).collect()
    }

    fn starts_of(&self, concerned: &Concerned, functions: &[u32]) -> Vec<Site> {
        functions
            .iter()
            .filter_map(|index| {
                let scope = concerned.code.scope(*index)?;
                let address = concerned.start_of(self, scope)?;
                concerned.site(self, address)
            })
            .collect()
    }
}

impl Candidates {
    fn of(lines: &UnitLines, numbers: &[u32], line: u64) -> Self {
        let mut found = Self::default();
        for row in lines.rows() {
            if !row.statement || row.line == 0 || !numbers.contains(&row.file) {
                continue;
            }
            let row_line = u64::from(row.line);
            match row_line.cmp(&line) {
                std::cmp::Ordering::Equal => found.exact.push(row.address),
                std::cmp::Ordering::Less => found.before = found.before.max(Some(row_line)),
                std::cmp::Ordering::Greater => {
                    found.after = Some(found.after.map_or(row_line, |after| after.min(row_line)));
                }
            }
        }
        found
    }
}

impl Concerned {
    /// Of the rows of one line, those that are its sites, by address.
    ///
    /// `moved_from` is the line that was asked for, when it is another.
    fn choose(&self, module: &Module, rows: &[u64], moved_from: Option<u64>) -> Vec<LinkAddr> {
        let mut seen: HashSet<Option<u32>> = HashSet::new();
        let mut chosen = Vec::new();
        let mut rows = rows.to_vec();
        rows.sort_unstable();
        for address in rows {
            let innermost = self.code.innermost(LinkAddr(address));
            let block = self
                .code
                .outwards(innermost)
                .find(|(_, scope)| scope.kind != ScopeKind::Block(false))
                .map(|(index, _)| index);
            if !seen.insert(block) {
                continue;
            }
            let function = self
                .code
                .outwards(innermost)
                .find(|(_, scope)| scope.kind == ScopeKind::Function);
            let Some((_, function)) = function else {
                chosen.push(LinkAddr(address));
                continue;
            };
            if let Some(asked) = moved_from
                && address == function.entry
            {
                let name = function_name(module, &self.code, function.origin);
                if name.declared.is_some_and(|(_, line)| asked < line) {
                    // A line before a function is no part of it.
                    continue;
                }
            }
            chosen.push(self.past_prologue(module, function, address));
        }
        chosen.retain(|address| module.is_code(*address));
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    fn past_prologue(&self, module: &Module, function: &Scope, address: u64) -> LinkAddr {
        let in_entry_range = function
            .ranges
            .iter()
            .find(|(begin, end)| (begin..end).contains(&&function.entry))
            .is_some_and(|(begin, end)| (begin..end).contains(&&address));
        if !in_entry_range {
            return LinkAddr(address);
        }
        let start = after_prologue(module, &self.code, &self.lines, function);
        LinkAddr(address).max(start)
    }

    /// The sites of every line of the files with these numbers.
    fn sites_of_all_lines(
        &self,
        module: &Module,
        numbers: &[u32],
    ) -> BTreeMap<u64, HashSet<LinkAddr>> {
        let mut rows: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for row in self.lines.rows() {
            if row.statement && row.line != 0 && numbers.contains(&row.file) {
                rows.entry(row.line.into()).or_default().push(row.address);
            }
        }
        rows.into_iter()
            .map(|(line, rows)| (line, self.choose(module, &rows, None).into_iter().collect()))
            .collect()
    }

    /// Where a function, or an inlined copy of one, begins to do its own work.
    fn start_of(&self, module: &Module, scope: &Scope) -> Option<LinkAddr> {
        let start = match scope.kind {
            ScopeKind::Function => after_prologue(module, &self.code, &self.lines, scope).0,
            _ => scope.entry,
        };
        // An entry without a row of its own: the next row in the same code.
        let (_, end) = *scope
            .ranges
            .iter()
            .find(|(begin, end)| (begin..end).contains(&&start))?;
        let row = self
            .lines
            .rows_from(start)
            .iter()
            .find(|row| row.address >= start && row.address < end)?;
        let address = LinkAddr(row.address);
        module.is_code(address).then_some(address)
    }

    /// What is at `address`.
    pub(super) fn site(&self, module: &Module, address: LinkAddr) -> Option<Site> {
        let row = self.lines.row_at(address.0)?;
        let innermost = self.code.innermost(address);
        let mut site = Site {
            address,
            source: SourceLine {
                file: self.lines.file(row).cloned().unwrap_or_default(),
                line: row.line.into(),
                column: row.column.into(),
            },
            function: String::new(),
            inlined_into: Vec::new(),
            exit: None,
        };
        let functions = self
            .code
            .outwards(innermost)
            .filter(|(_, scope)| !matches!(scope.kind, ScopeKind::Block(_)))
            .take(MAX_INLINED);
        let mut call = None;
        for (index, (_, scope)) in functions.enumerate() {
            let name = function_name(module, &self.code, scope.origin);
            if index == 0 {
                site.function = name.name.to_string();
            } else {
                site.inlined_into.push(InlinedInto {
                    function: name.name.to_string(),
                    call,
                });
            }
            call = self.code.call_of(scope);
        }
        if site.function.is_empty() {
            let symbol = module.symbol_at(address)?;
            site.function = super::names::demangle(symbol.name);
        }
        Some(site)
    }
}
