//! Finds the beginnings of a line or a function in the code of one unit.
//!
//! The choice follows gdb: only statement rows, one site for each function instance and block,
//! and after the prologue if the row is in it. It goes further than gdb for a line that was
//! wholly inlined. Such a line has no row, but the copies that it calls have the line of the
//! call, so its sites are the beginnings of these copies, seen from the caller.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::file_lines::{FileLines, LineCode};
use super::line_table::{LineRow, UnitLines};
use super::prologue::after_prologue;
use super::unit_cache::CodeReader;
use crate::arch::decode;
use crate::base::address::LinkAddr;
use crate::debuginfo::budget::{KeptMemory, ReadBudget, ReaderKind};
use crate::debuginfo::functions::unit_code::{CodeScope, ScopeKind, UnitCode};
use crate::debuginfo::model::site::{FunctionId, InlinedInto, ScopeKey, Site, SourceLine};

/// Maximum length of an inlined copy's call path.
const MAX_INLINED: usize = 256;

/// Bytes of a copy's code that are searched for jumps back to its beginning; a longer copy has no
/// site.
const MAX_COPY_BYTES: u64 = 64 << 10;

/// Bytes of all copies' code in one unit that are searched for one query. Copies nest, and copies
/// in a hostile file may overlap.
const MAX_SEARCHED: u64 = 64 << 20;

/// Steps to put the names of a site together.
const SITE_STEPS: u64 = 2000;

/// Steps to find the scope of a row, and to decode a byte of code.
const CHOICE_STEPS: u64 = 200;
const DECODE_STEPS: u64 = 6;

/// Steps to add a row to its line, and bytes that are kept of it.
const LINE_STEPS: u64 = 40;
const LINE_BYTES: u64 = 64;

/// The rows and the code of one unit together.
pub(in crate::debuginfo) struct UnitSites {
    pub(in crate::debuginfo) lines: Arc<UnitLines>,
    pub(in crate::debuginfo) code: Arc<UnitCode>,
    /// Bytes of copies' code that were searched.
    searched: AtomicU64,
}

/// The beginning of a line or a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::debuginfo) struct LineStart {
    pub(in crate::debuginfo) address: LinkAddr,
    /// The function or inlined copy that the location is in; `None` is the innermost.
    scope: Option<u32>,
    /// The row that is meant among the rows at the address; `None` is the last.
    row: Option<LineRow>,
}

impl LineStart {
    fn new(address: LinkAddr, scope: Option<u32>) -> Self {
        Self {
            address,
            scope,
            row: None,
        }
    }
}

impl UnitSites {
    pub(in crate::debuginfo) fn new(lines: Arc<UnitLines>, code: Arc<UnitCode>) -> Self {
        Self {
            lines,
            code,
            searched: AtomicU64::new(0),
        }
    }

    /// Returns the lines of a file that have code in the unit.
    pub(in crate::debuginfo) fn lines_of(
        &self,
        budget: &Arc<ReadBudget>,
        path: &Path,
    ) -> FileLines {
        let mut found: BTreeMap<u64, LineCode> = BTreeMap::new();
        let mut meter = budget.meter(ReaderKind::Lines);
        let mut kept = KeptMemory::none(budget);
        let numbers = self.lines.numbers_of(path);
        for row in self.lines.rows() {
            if !meter.take(2) {
                break;
            }
            if row.statement && row.line != 0 && numbers.contains(&row.file) {
                found.entry(row.line.into()).or_default().rows.push(*row);
                if !meter.take(LINE_STEPS) || !kept.grow(ReaderKind::Lines, LINE_BYTES) {
                    break;
                }
            }
        }
        for (copy, line) in self.code.calls_from(path) {
            found.entry(line).or_default().calls.push(copy);
            if !meter.take(LINE_STEPS) || !kept.grow(ReaderKind::Lines, LINE_BYTES) {
                break;
            }
        }
        FileLines {
            by_number: found,
            kept: Some(kept),
        }
    }

    /// Returns the sites of a line, by address.
    ///
    /// `moved_from` is the requested line, if `line` is a later one.
    pub(in crate::debuginfo) fn choose(
        &self,
        reader: CodeReader<'_>,
        line: &LineCode,
        moved_from: Option<u64>,
    ) -> Vec<LineStart> {
        let mut seen: HashSet<Option<u32>> = HashSet::new();
        let mut with_rows: HashSet<Option<u32>> = HashSet::new();
        let mut chosen = Vec::new();
        let mut rows = line.rows.clone();
        rows.sort_by_key(|row| row.address);
        let mut meter = reader.files.budget.meter(ReaderKind::Lines);
        for row in rows {
            if !meter.take(CHOICE_STEPS) {
                break;
            }
            let scope = self.scope_of(reader, &row);
            with_rows.insert(self.instance(scope));
            // One site for each block: a line that spans several rows of a block is hit once.
            if !seen.insert(self.block(scope)) {
                continue;
            }
            let Some(function) = self.function(scope) else {
                chosen.push(LineStart::new(LinkAddr(row.address), None));
                continue;
            };
            let address = self.past_prologue(reader, function, row.address);
            chosen.push(LineStart {
                row: (address.0 == row.address).then_some(row),
                ..LineStart::new(address, self.instance(scope))
            });
        }
        chosen.extend(self.called(reader, &line.calls, &with_rows));
        chosen.retain(|start| reader.files.is_code(start.address));
        if let Some(asked) = moved_from {
            chosen.retain(|start| self.has_line(reader, start, asked));
        }
        // If a line calls a function on the same line, the innermost start is kept.
        chosen.sort_unstable_by_key(|start| (start.address, Reverse(start.scope)));
        chosen.dedup_by_key(|start| start.address);
        chosen
    }

    /// Returns true if the function or inlined copy of `start` includes the line `asked`, which
    /// is before the line of `start`.
    fn has_line(&self, reader: CodeReader<'_>, start: &LineStart, asked: u64) -> bool {
        let Some(function) = start.scope.and_then(|index| self.code.scope(index)) else {
            return false;
        };
        let row = start
            .row
            .or_else(|| self.lines.row_at(start.address.0).copied());
        let Some(row) = row else {
            return false;
        };
        let declared = reader.function_name(&self.code, function.origin).declared;
        let first = match declared {
            Some((file, line)) if self.lines.file(&row) == Some(&file) => Some(line),
            // The declaration is in another file or unknown, so the function's first row counts.
            _ => {
                let rows = function
                    .ranges
                    .iter()
                    .flat_map(|&(begin, end)| self.lines.rows_between(begin, end))
                    .filter(|other| other.file == row.file && other.line != 0);
                rows.map(|row| row.line.into()).min()
            }
        };
        first.is_some_and(|first| first <= asked)
    }

    /// Returns the beginnings of the copies that a line calls, in functions and copies in which
    /// it has no row of its own.
    fn called(
        &self,
        reader: CodeReader<'_>,
        calls: &[u32],
        with_rows: &HashSet<Option<u32>>,
    ) -> Vec<LineStart> {
        let mut first: HashMap<Option<u32>, LineStart> = HashMap::new();
        for &index in calls {
            let Some(copy) = self.code.scope(index) else {
                continue;
            };
            let scope = self.instance(copy.parent);
            if scope.is_none() || with_rows.contains(&scope) {
                continue;
            }
            let Some(begin) = self.start_of(reader, copy) else {
                continue;
            };
            let Some(function) = self.function(copy.parent) else {
                continue;
            };
            if self.may_repeat(reader, copy, begin) {
                // Each iteration of its loop would count as a call.
                continue;
            }
            let start = LineStart::new(self.past_prologue(reader, function, begin.0), scope);
            first
                .entry(self.block(copy.parent))
                .and_modify(|known| {
                    if start.address < known.address {
                        *known = start;
                    }
                })
                .or_insert(start);
        }
        first.into_values().collect()
    }

    /// Returns the innermost scope that a row is in. If a range of a copy begins at the row and
    /// the row's line calls the copy, the row belongs to the caller: GCC writes a row for the
    /// call before the row of the copy's own line.
    fn scope_of(&self, reader: CodeReader<'_>, row: &LineRow) -> Option<u32> {
        let innermost = self.innermost(row);
        let line = u64::from(row.line);
        let mut scope = innermost;
        while let Some(copy) = self
            .instance(scope)
            .and_then(|index| self.code.scope(index))
        {
            let begins = copy.ranges.iter().any(|(begin, _)| *begin == row.address);
            if copy.kind != ScopeKind::Inlined || !begins {
                break;
            }
            let declared = reader.function_name(&self.code, copy.origin).declared;
            let own = declared.is_some_and(|(file, declared)| {
                declared == line && self.lines.file(row) == Some(&file)
            });
            let call = self.code.call_of(copy);
            let calls = call.is_some_and(|call| {
                // For a function on the line that calls it, only the column distinguishes the
                // two.
                (call.line == line && self.lines.file(row) == Some(&call.file))
                    && (!own || call.column == u64::from(row.column))
            });
            if calls {
                return copy.parent;
            }
            if own {
                break;
            }
            scope = copy.parent;
        }
        self.owner(row, innermost)
    }

    /// Returns the scope that a row belongs to according to its line. A caller may continue at an
    /// address that is still in a copy's range; the row is then the caller's. Functions of one
    /// file do not overlap, so the row belongs to the last function declared before its line.
    fn owner(&self, row: &LineRow, innermost: Option<u32>) -> Option<u32> {
        let mut scope = innermost;
        let mut best = None;
        while let Some(instance) = self.instance(scope)
            && let Some(function) = self.code.scope(instance)
        {
            if let Some(line) = self.declared_before(row, function)
                && best.is_none_or(|(best, _)| line > best)
            {
                best = Some((line, scope));
            }
            if function.kind == ScopeKind::Function {
                break;
            }
            scope = function.parent;
        }
        best.map_or(innermost, |(_, scope)| scope)
    }

    /// Returns the line on which a function is declared, if it is in the file of a row and not
    /// after it.
    fn declared_before(&self, row: &LineRow, function: &CodeScope) -> Option<u64> {
        self.declared_in(row, function.origin)
    }

    fn declared_in(&self, row: &LineRow, die: u64) -> Option<u64> {
        let (file, line) = self.code.declared(die)?;
        let is_before = line <= u64::from(row.line);
        (is_before && self.lines.file(row) == Some(file)).then_some(line)
    }

    /// Returns the innermost scope at the address of a row. If a linker folded several functions
    /// into one, it is the scope in the function that has the row's line.
    fn innermost(&self, row: &LineRow) -> Option<u32> {
        let address = LinkAddr(row.address);
        let functions = self.code.functions_at(address);
        // The line belongs to the last function that is declared before it.
        let best = functions
            .map(|index| {
                let function = self.code.scope(index);
                let line = function.and_then(|function| self.declared_before(row, function));
                (line, index)
            })
            .reduce(|best, next| if next.0 > best.0 { next } else { best });
        self.code.innermost_in(best?.1, address)
    }

    /// Returns the function or inlined copy that is the scope or contains it.
    fn instance(&self, scope: Option<u32>) -> Option<u32> {
        self.code
            .outwards(scope)
            .find(|(_, scope)| !matches!(scope.kind, ScopeKind::Block(_)))
            .map(|(index, _)| index)
    }

    /// Returns the innermost scope that is a function, an inlined copy, or a block with
    /// declarations.
    fn block(&self, scope: Option<u32>) -> Option<u32> {
        self.code
            .outwards(scope)
            .find(|(_, scope)| scope.kind != ScopeKind::Block(false))
            .map(|(index, _)| index)
    }

    /// Returns the function with code of its own that contains a scope.
    fn function(&self, scope: Option<u32>) -> Option<&CodeScope> {
        self.code
            .outwards(scope)
            .find(|(_, scope)| scope.kind == ScopeKind::Function)
            .map(|(_, scope)| scope)
    }

    fn past_prologue(
        &self,
        reader: CodeReader<'_>,
        function: &CodeScope,
        address: u64,
    ) -> LinkAddr {
        let in_entry_range = function
            .ranges
            .iter()
            .find(|(begin, end)| (begin..end).contains(&&function.entry))
            .is_some_and(|(begin, end)| (begin..end).contains(&&address));
        if !in_entry_range {
            return LinkAddr(address);
        }
        LinkAddr(address).max(self.after_prologue(reader, function))
    }

    fn after_prologue(&self, reader: CodeReader<'_>, function: &CodeScope) -> LinkAddr {
        let find = || after_prologue(reader.files, &self.code, &self.lines, function);
        self.code.after_prologue_of(function, find)
    }

    /// Returns the address at which each of these functions or inlined copies begins its own
    /// work.
    pub(in crate::debuginfo) fn starts_of(
        &self,
        reader: CodeReader<'_>,
        functions: &[u32],
    ) -> Vec<LineStart> {
        let start = |index: &u32| {
            let scope = self.code.scope(*index)?;
            Some(LineStart::new(self.start_of(reader, scope)?, Some(*index)))
        };
        functions.iter().filter_map(start).collect()
    }

    fn start_of(&self, reader: CodeReader<'_>, scope: &CodeScope) -> Option<LinkAddr> {
        let start = match scope.kind {
            ScopeKind::Function => self.after_prologue(reader, scope).0,
            _ => scope.entry,
        };
        // If the entry has no row of its own, the next row in the same range is used.
        let (_, end) = *scope
            .ranges
            .iter()
            .find(|(begin, end)| (begin..end).contains(&&start))?;
        let rows = self.lines.rows_from(start);
        let first = rows.partition_point(|row| row.address < start);
        let row = rows.get(first).filter(|row| row.address < end)?;
        let address = LinkAddr(row.address);
        reader.files.is_code(address).then_some(address)
    }

    /// Returns true if a copy's own code may jump to its beginning, so that this is the head of a
    /// loop. Returns true also if there is too much code to search.
    fn may_repeat(&self, reader: CodeReader<'_>, copy: &CodeScope, begin: LinkAddr) -> bool {
        let lengths = copy
            .ranges
            .iter()
            .map(|(from, to)| to.saturating_sub(*from));
        let bytes = lengths.fold(0_u64, u64::saturating_add);
        let steps = bytes.min(MAX_COPY_BYTES) * DECODE_STEPS;
        if !reader.files.budget.spend(ReaderKind::Code, steps, bytes) {
            return true;
        }
        if bytes > MAX_COPY_BYTES
            || self.searched.fetch_add(bytes, Ordering::Relaxed) > MAX_SEARCHED
        {
            return true;
        }
        copy.ranges.iter().any(|&(from, to)| {
            let length = usize::try_from(to.saturating_sub(from)).unwrap_or(0);
            let Some(bytes) = reader.files.initial_bytes(LinkAddr(from), length) else {
                return true;
            };
            decode(bytes, from).any(|instruction| instruction.target() == Some(begin.0))
        })
    }

    /// Returns the innermost site at `address`, inlined copies included.
    pub(in crate::debuginfo) fn site_at(
        &self,
        reader: CodeReader<'_>,
        address: LinkAddr,
    ) -> Option<Site> {
        self.site(reader, LineStart::new(address, None))
    }

    /// Returns the last row of the function at a start, if a linker folded other functions into
    /// it.
    fn row_of(&self, start: LineStart) -> Option<&LineRow> {
        let address = start.address;
        let (function, scope) = self.code.outwards(start.scope).last()?;
        let folded = self
            .code
            .functions_at(address)
            .any(|other| other != function);
        if !folded {
            return None;
        }
        // Each of the folded functions has a sequence of its own.
        let rows = self.lines.rows();
        let rows = rows.filter(|row| row.address == address.0 && row.statement);
        let of_it = |row: &&LineRow| {
            // The row belongs to the function that is declared last before it.
            let line = self.declared_in(row, scope.origin);
            let live = self
                .code
                .functions_at(address)
                .filter_map(|at| self.code.scope(at));
            let others = live.map(|scope| scope.origin);
            line.is_some_and(|line| {
                let mut others = others.filter_map(|die| self.declared_in(row, die));
                others.all(|other| other <= line)
            })
        };
        rows.filter(of_it).last()
    }

    /// Returns the site at a start.
    pub(in crate::debuginfo) fn site(
        &self,
        reader: CodeReader<'_>,
        start: LineStart,
    ) -> Option<Site> {
        let address = start.address;
        if start.scope.is_some() && !reader.files.budget.spend(ReaderKind::Names, SITE_STEPS, 1) {
            return None;
        }
        let row = start.row.as_ref();
        let row = row.or_else(|| self.row_of(start));
        let row = row.or_else(|| self.lines.row_at(address.0))?;
        let own = self.code.outwards(start.scope).last();
        let innermost = match own {
            Some((function, scope)) if scope.contains(address.0) => {
                self.code.innermost_in(function, address)
            }
            _ => self.code.innermost(address),
        };
        let functions: Vec<(u32, &CodeScope)> = self
            .code
            .outwards(innermost)
            .filter(|(_, scope)| !matches!(scope.kind, ScopeKind::Block(_)))
            .take(MAX_INLINED)
            .collect();
        let is_start = |(index, _): &(u32, &CodeScope)| Some(*index) == start.scope;
        let outside = functions.iter().position(is_start).unwrap_or(0);
        let mut site = Site {
            address,
            source: Some(SourceLine {
                file: self.lines.file(row).cloned().unwrap_or_default(),
                line: row.line.into(),
                column: row.column.into(),
            }),
            function: String::new(),
            scope: ScopeKey {
                code_of: functions.last().map(|(_, scope)| FunctionId(scope.origin)),
                outside,
            },
            inlined_into: Vec::new(),
            exit: None,
            usdt: None,
        };
        let mut call = None;
        for (index, (_, scope)) in functions.into_iter().enumerate() {
            if index >= outside {
                let name = reader.function_name(&self.code, scope.origin);
                if index == outside {
                    site.function = name.name.to_string();
                    // Seen from a caller, the site is on the line of the inlined call.
                    if start.row.is_none() {
                        site.source = call.take().or(site.source);
                    }
                } else {
                    site.inlined_into.push(InlinedInto {
                        function: name.name.to_string(),
                        call,
                    });
                }
            }
            call = self.code.call_of(scope);
        }
        if site.function.is_empty() {
            let symbol = reader.files.symbol_at(address)?;
            site.function = crate::debuginfo::model::names::demangle(symbol.name);
        }
        Some(site)
    }
}
