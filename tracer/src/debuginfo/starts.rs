//! Where a line or a function begins in the code of one unit.
//!
//! Follows gdb: statement rows only, one site for each function instance and
//! block, after the prologue when the row is in it. Beyond it: a line that was
//! wholly inlined has no row, but the copies that it calls say where it calls
//! them, so its sites are their beginnings, seen from the caller.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use iced_x86::{Decoder, DecoderOptions};

use super::budget::{Budget, Kept, Reader};
use super::code::{Scope, ScopeKind, UnitCode, function_name};
use super::lines::{Row, UnitLines};
use super::module::Module;
use super::prologue::after_prologue;
use super::site::{FunctionId, InlinedInto, Site, SourceLine};
use crate::address::LinkAddr;

/// Steps of an inlined copy's call path.
const MAX_INLINED: usize = 256;

/// Code of a copy that is searched for jumps back to its beginning; a longer one has no site.
const MAX_COPY_BYTES: u64 = 64 << 10;

/// Code of all copies of one unit that is searched so for one question: copies nest, and what a
/// hostile file says may overlap.
const MAX_SEARCHED: u64 = 64 << 20;

/// Steps to put the names of a site together.
const SITE_STEPS: u64 = 2000;

/// Steps to find what a row is in, and to decode a byte of code.
const CHOICE_STEPS: u64 = 200;
const DECODE_STEPS: u64 = 6;

/// Steps to put a row to its line, and bytes that are kept of it.
const LINE_STEPS: u64 = 40;
const LINE_BYTES: u64 = 64;

/// The rows and the code of one unit together.
pub(super) struct Concerned {
    pub(super) lines: Arc<UnitLines>,
    pub(super) code: Arc<UnitCode>,
    /// Bytes of copies' code that were searched.
    searched: AtomicU64,
}

/// What one unit has of a line.
#[derive(Default)]
pub(super) struct LineCode {
    /// Its statement rows.
    rows: Vec<Row>,
    /// Scopes of the copies that were inlined where it calls them.
    calls: Vec<u32>,
}

impl LineCode {
    pub(super) fn has_rows(&self) -> bool {
        !self.rows.is_empty()
    }
}

/// The lines of one file that have code in one unit.
#[derive(Default)]
pub(super) struct Lines {
    by_number: BTreeMap<u64, LineCode>,
    kept: Option<Kept>,
}

impl Lines {
    /// What a line has.
    pub(super) fn get(&self, line: u64) -> Option<&LineCode> {
        self.by_number.get(&line)
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    /// All lines.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &LineCode)> {
        self.by_number.iter().map(|(line, code)| (*line, code))
    }

    /// The first line from `line` on.
    pub(super) fn first_from(&self, line: u64) -> Option<u64> {
        let mut rest = self.by_number.range(line..);
        rest.next().map(|(line, _)| *line)
    }

    /// The last line before `line` that has rows.
    pub(super) fn last_before(&self, line: u64) -> Option<u64> {
        let mut before = self.by_number.range(..line).rev();
        before
            .find(|(_, code)| code.has_rows())
            .map(|(line, _)| *line)
    }

    /// Bytes that are kept of it.
    pub(super) fn bytes(&self) -> u64 {
        self.kept.as_ref().map_or(0, Kept::bytes)
    }
}

/// A beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) address: LinkAddr,
    /// The function, or the inlined copy, that the location is in; `None`: the innermost.
    scope: Option<u32>,
    /// Of the rows at the address the one that is meant; `None`: the last.
    row: Option<Row>,
}

impl Start {
    fn new(address: LinkAddr, scope: Option<u32>) -> Self {
        Self {
            address,
            scope,
            row: None,
        }
    }
}

impl Concerned {
    pub(super) fn new(lines: Arc<UnitLines>, code: Arc<UnitCode>) -> Self {
        Self {
            lines,
            code,
            searched: AtomicU64::new(0),
        }
    }

    /// The lines of a file.
    pub(super) fn lines_of(&self, budget: &Arc<Budget>, path: &Path) -> Lines {
        let mut found: BTreeMap<u64, LineCode> = BTreeMap::new();
        let mut meter = budget.meter(Reader::Lines);
        let mut kept = Kept::none(budget);
        let numbers = self.lines.numbers_of(path);
        for row in self.lines.rows() {
            if !meter.take(2) {
                break;
            }
            if row.statement && row.line != 0 && numbers.contains(&row.file) {
                found.entry(row.line.into()).or_default().rows.push(*row);
                if !meter.take(LINE_STEPS) || !kept.grow(Reader::Lines, LINE_BYTES) {
                    break;
                }
            }
        }
        for (copy, line) in self.code.calls_from(path) {
            found.entry(line).or_default().calls.push(copy);
            if !meter.take(LINE_STEPS) || !kept.grow(Reader::Lines, LINE_BYTES) {
                break;
            }
        }
        Lines {
            by_number: found,
            kept: Some(kept),
        }
    }

    /// The sites of a line, by address.
    ///
    /// `moved_from` is the line that was asked for, when it is another.
    pub(super) fn choose(
        &self,
        module: &Module,
        line: &LineCode,
        moved_from: Option<u64>,
    ) -> Vec<Start> {
        let mut seen: HashSet<Option<u32>> = HashSet::new();
        let mut with_rows: HashSet<Option<u32>> = HashSet::new();
        let mut chosen = Vec::new();
        let mut rows = line.rows.clone();
        rows.sort_by_key(|row| row.address);
        let mut meter = module.budget.meter(Reader::Lines);
        for row in rows {
            if !meter.take(CHOICE_STEPS) {
                break;
            }
            let scope = self.scope_of(module, &row);
            with_rows.insert(self.instance(scope));
            if !seen.insert(self.block(scope)) {
                continue;
            }
            let Some(function) = self.function(scope) else {
                chosen.push(Start::new(LinkAddr(row.address), None));
                continue;
            };
            let address = self.past_prologue(module, function, row.address);
            chosen.push(Start {
                row: (address.0 == row.address).then_some(row),
                ..Start::new(address, self.instance(scope))
            });
        }
        chosen.extend(self.called(module, &line.calls, &with_rows));
        chosen.retain(|start| module.is_code(start.address));
        if let Some(asked) = moved_from {
            chosen.retain(|start| self.has_line(module, start, asked));
        }
        // Of a line that calls what is on the same line, the innermost is kept.
        chosen.sort_unstable_by_key(|start| (start.address, Reverse(start.scope)));
        chosen.dedup_by_key(|start| start.address);
        chosen
    }

    /// Whether a line is in the function, or the inlined copy, that a beginning on a later line is in.
    fn has_line(&self, module: &Module, start: &Start, asked: u64) -> bool {
        let Some(function) = start.scope.and_then(|index| self.code.scope(index)) else {
            return false;
        };
        let row = start
            .row
            .or_else(|| self.lines.row_at(start.address.0).copied());
        let Some(row) = row else {
            return false;
        };
        let declared = function_name(module, &self.code, function.origin).declared;
        let first = match declared {
            Some((file, line)) if self.lines.file(&row) == Some(&file) => Some(line),
            // It is declared in another file, or nobody says where.
            _ => {
                let rows = self.lines.rows().filter(|other| {
                    other.file == row.file && other.line != 0 && function.contains(other.address)
                });
                rows.map(|row| row.line.into()).min()
            }
        };
        first.is_some_and(|first| first <= asked)
    }

    /// Where the copies begin that a line calls, in functions and copies where it has no row.
    fn called(
        &self,
        module: &Module,
        calls: &[u32],
        with_rows: &HashSet<Option<u32>>,
    ) -> Vec<Start> {
        let mut first: HashMap<Option<u32>, Start> = HashMap::new();
        for &index in calls {
            let Some(copy) = self.code.scope(index) else {
                continue;
            };
            let scope = self.instance(copy.parent);
            if scope.is_none() || with_rows.contains(&scope) {
                continue;
            }
            let Some(begin) = self.start_of(module, copy) else {
                continue;
            };
            let Some(function) = self.function(copy.parent) else {
                continue;
            };
            if self.may_repeat(module, copy, begin) {
                // Each turn of its loop would count as a call.
                continue;
            }
            let start = Start::new(self.past_prologue(module, function, begin.0), scope);
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

    /// The innermost scope that a row is in. Where a part of a copy begins that the row's line
    /// calls, the row is the caller's: GCC has one for the call before that of the copy's own line.
    fn scope_of(&self, module: &Module, row: &Row) -> Option<u32> {
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
            let declared = function_name(module, &self.code, copy.origin).declared;
            let own = declared.is_some_and(|(file, declared)| {
                declared == line && self.lines.file(row) == Some(&file)
            });
            let call = self.code.call_of(copy);
            let calls = call.is_some_and(|call| {
                // Of a function on the line that calls it only the column tells.
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

    /// The scope that a row is in by its line: where a caller goes on at an address at which a copy is not
    /// over yet, the row is the caller's. Functions of one file do not overlap, so it is of the
    /// last that is declared before the line.
    fn owner(&self, row: &Row, innermost: Option<u32>) -> Option<u32> {
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

    /// The line on which a function is declared, in the file of a row and not behind it.
    fn declared_before(&self, row: &Row, function: &Scope) -> Option<u64> {
        self.declared_in(row, function.origin)
    }

    fn declared_in(&self, row: &Row, die: u64) -> Option<u64> {
        let (file, line) = self.code.declared(die)?;
        let is_before = line <= u64::from(row.line);
        (is_before && self.lines.file(row) == Some(file)).then_some(line)
    }

    /// The innermost scope at the address of a row; of functions that a linker folded into one, in the
    /// one that has the line.
    fn innermost(&self, row: &Row) -> Option<u32> {
        let address = LinkAddr(row.address);
        let functions = self.code.functions_at(address);
        // Of several that are declared before the line, it is in the last.
        let best = functions
            .map(|index| {
                let function = self.code.scope(index);
                let line = function.and_then(|function| self.declared_before(row, function));
                (line, index)
            })
            .reduce(|best, next| if next.0 > best.0 { next } else { best });
        self.code.innermost_in(best?.1, address)
    }

    /// The function, or the inlined copy, that is or has the scope.
    fn instance(&self, scope: Option<u32>) -> Option<u32> {
        self.code
            .outwards(scope)
            .find(|(_, scope)| !matches!(scope.kind, ScopeKind::Block(_)))
            .map(|(index, _)| index)
    }

    /// The innermost scope that declares something.
    fn block(&self, scope: Option<u32>) -> Option<u32> {
        self.code
            .outwards(scope)
            .find(|(_, scope)| scope.kind != ScopeKind::Block(false))
            .map(|(index, _)| index)
    }

    /// The function with code of its own around a scope.
    fn function(&self, scope: Option<u32>) -> Option<&Scope> {
        self.code
            .outwards(scope)
            .find(|(_, scope)| scope.kind == ScopeKind::Function)
            .map(|(_, scope)| scope)
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
        LinkAddr(address).max(self.after_prologue(module, function))
    }

    fn after_prologue(&self, module: &Module, function: &Scope) -> LinkAddr {
        let find = || after_prologue(module, &self.code, &self.lines, function);
        self.code.after_prologue_of(function, find)
    }

    /// Where each of these functions, or inlined copies, begins to do its own work.
    pub(super) fn starts_of(&self, module: &Module, functions: &[u32]) -> Vec<Start> {
        let start = |index: &u32| {
            let scope = self.code.scope(*index)?;
            Some(Start::new(self.start_of(module, scope)?, Some(*index)))
        };
        functions.iter().filter_map(start).collect()
    }

    fn start_of(&self, module: &Module, scope: &Scope) -> Option<LinkAddr> {
        let start = match scope.kind {
            ScopeKind::Function => self.after_prologue(module, scope).0,
            _ => scope.entry,
        };
        // An entry without a row of its own: the next row in the same code.
        let (_, end) = *scope
            .ranges
            .iter()
            .find(|(begin, end)| (begin..end).contains(&&start))?;
        let rows = self.lines.rows_from(start);
        let first = rows.partition_point(|row| row.address < start);
        let row = rows.get(first).filter(|row| row.address < end)?;
        let address = LinkAddr(row.address);
        module.is_code(address).then_some(address)
    }

    /// Whether a copy's own code may jump to where it begins: that is the head of a loop, or there
    /// is too much code to tell.
    fn may_repeat(&self, module: &Module, copy: &Scope, begin: LinkAddr) -> bool {
        let lengths = copy
            .ranges
            .iter()
            .map(|(from, to)| to.saturating_sub(*from));
        let bytes = lengths.fold(0_u64, u64::saturating_add);
        let steps = bytes.min(MAX_COPY_BYTES) * DECODE_STEPS;
        if !module.budget.spend(Reader::Code, steps, bytes) {
            return true;
        }
        if bytes > MAX_COPY_BYTES
            || self.searched.fetch_add(bytes, Ordering::Relaxed) > MAX_SEARCHED
        {
            return true;
        }
        copy.ranges.iter().any(|&(from, to)| {
            let length = usize::try_from(to.saturating_sub(from)).unwrap_or(0);
            let Some(bytes) = module.initial_bytes(LinkAddr(from), length) else {
                return true;
            };
            let mut decoder = Decoder::with_ip(64, bytes, from, DecoderOptions::NONE);
            decoder
                .iter()
                .any(|instruction| instruction.near_branch_target() == begin.0)
        })
    }

    /// What is at `address`, whatever was inlined there.
    pub(super) fn site_at(&self, module: &Module, address: LinkAddr) -> Option<Site> {
        self.site(module, Start::new(address, None))
    }

    /// Of the rows at a beginning the last of its function, where others were folded into that.
    fn row_of(&self, start: Start) -> Option<&Row> {
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
        let of_it = |row: &&Row| {
            // It is of the function that is declared last before it.
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

    /// What a beginning is.
    pub(super) fn site(&self, module: &Module, start: Start) -> Option<Site> {
        let address = start.address;
        if start.scope.is_some() && !module.budget.spend(Reader::Names, SITE_STEPS, 1) {
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
        let functions: Vec<(u32, &Scope)> = self
            .code
            .outwards(innermost)
            .filter(|(_, scope)| !matches!(scope.kind, ScopeKind::Block(_)))
            .take(MAX_INLINED)
            .collect();
        let is_start = |(index, _): &(u32, &Scope)| Some(*index) == start.scope;
        let outside = functions.iter().position(is_start).unwrap_or(0);
        let mut site = Site {
            address,
            source: SourceLine {
                file: self.lines.file(row).cloned().unwrap_or_default(),
                line: row.line.into(),
                column: row.column.into(),
            },
            function: String::new(),
            code_of: functions.last().map(|(_, scope)| FunctionId(scope.origin)),
            outside,
            inlined_into: Vec::new(),
            bare: false,
            exit: None,
        };
        let mut call = None;
        for (index, (_, scope)) in functions.into_iter().enumerate() {
            if index >= outside {
                let name = function_name(module, &self.code, scope.origin);
                if index == outside {
                    site.function = name.name.to_string();
                    if start.row.is_none() {
                        site.source = call.take().unwrap_or(site.source);
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
            let symbol = module.symbol_at(address)?;
            site.function = super::names::demangle(symbol.name);
        }
        Some(site)
    }
}
