//! The code of one unit: its functions, inlined copies and blocks by address, and their names.
//!
//! One walk over the unit's DIEs reads them, and skips variables and types.
//! [`crate::debuginfo::lines::unit_cache`] keeps the code of recently used units.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use gimli::{AttributeValue, DebuggingInformationEntry, EntriesRaw};

use crate::base::address::LinkAddr;
use crate::debuginfo::Slice;
use crate::debuginfo::budget::{BudgetMeter, KeptMemory, ReadBudget, ReaderKind};
use crate::debuginfo::dwarf::ranges::die_ranges;
use crate::debuginfo::dwarf::unit_parser::ATTRIBUTE_STEPS;
use crate::debuginfo::dwarf::units::Unit;
use crate::debuginfo::error::DebugInfoError;
use crate::debuginfo::file::object::text;
use crate::debuginfo::files::Files;
use crate::debuginfo::lines::source_index::FilePaths;
use crate::debuginfo::model::site::SourceLine;
use crate::debuginfo::model::types::Language;

/// Depth of DIEs; compilers stay below a hundred. Deeper DIEs are not read.
const MAX_DEPTH: usize = 1024;

/// Bytes of a name that are kept. C++ templates write long ones.
const MAX_NAME_BYTES: usize = 4096;

/// Steps to skip an entry, and to read one.
const SKIP_STEPS: u64 = 12;
const ENTRY_STEPS: u64 = 60;

/// Ranges that one look-up may visit without counting them.
const FEW_RANGES: usize = 512;

/// Bytes that are kept of a range, in its scope and in the list of functions.
const RANGE_BYTES: u64 = 64;

/// Bytes that are kept of a scope and of a name, without texts and ranges.
const SCOPE_BYTES: u64 = 2 * size_of::<CodeScope>() as u64;
const NAMED_BYTES: u64 = 2 * (size_of::<NamedFunction>() + size_of::<PathPart>()) as u64;

/// The kind of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::debuginfo) enum ScopeKind {
    /// A function with code of its own.
    Function,
    /// An inlined copy of a function.
    Inlined,
    /// A block; `true` if it declares something.
    Block(bool),
}

/// A part of the code that is a scope in the source.
#[derive(Clone, Debug)]
pub(in crate::debuginfo) struct CodeScope {
    pub(in crate::debuginfo) kind: ScopeKind,
    pub(in crate::debuginfo) parent: Option<u32>,
    first_child: Option<u32>,
    last_child: Option<u32>,
    next_sibling: Option<u32>,
    /// The DIE that has its name: its own DIE, or the DIE of the function that it is a copy of.
    pub(in crate::debuginfo) origin: u64,
    pub(in crate::debuginfo) ranges: Box<[(u64, u64)]>,
    pub(in crate::debuginfo) entry: u64,
    /// True for a function that a linker folded into another one. Its DIE has no address.
    folded: bool,
    /// File number, line and column of the call of an inlined copy.
    call: Option<(u64, u64, u64)>,
}

impl CodeScope {
    pub(in crate::debuginfo) fn contains(&self, address: u64) -> bool {
        let inside = |&(begin, end): &(u64, u64)| begin <= address && address < end;
        self.ranges.iter().any(inside)
    }
}

/// The name attributes of a `DW_TAG_subprogram`.
#[derive(Clone, Debug)]
struct NamedFunction {
    path: u32,
    name: Option<Box<str>>,
    linkage: Option<Box<str>>,
    /// `DW_AT_specification` or `DW_AT_abstract_origin`.
    link: Option<u64>,
    file: u64,
    line: u64,
}

/// One component of a function's path.
#[derive(Clone, Debug)]
struct PathPart {
    parent: u32,
    name: Box<str>,
    /// True inside a Rust `impl` block, whose own name is meaningless.
    in_impl: bool,
}

/// The name of a function in the source, and its declaration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::debuginfo) struct FunctionName {
    pub(in crate::debuginfo) name: Arc<str>,
    pub(in crate::debuginfo) declared: Option<(Arc<PathBuf>, u64)>,
}

/// The code of one unit.
pub(in crate::debuginfo) struct UnitCode {
    pub(in crate::debuginfo) language: Language,
    /// True if GCC compiled the unit without optimisation.
    pub(in crate::debuginfo) plain_gcc: bool,
    files: Arc<FilePaths>,
    paths: Vec<PathPart>,
    named: HashMap<u64, NamedFunction>,
    pub(in crate::debuginfo) scopes: Vec<CodeScope>,
    /// Ranges of the outermost scopes, sorted.
    functions: Vec<(u64, u64, u32)>,
    /// Addresses after the prologues of functions, by entry.
    prologues: Mutex<HashMap<u64, LinkAddr>>,
    budget: Arc<ReadBudget>,
    kept: KeptMemory,
}

impl UnitCode {
    /// Walks the unit. The walk stops at the first damaged DIE.
    pub(in crate::debuginfo) fn read<'a>(
        files: &Files,
        unit: &Unit<'a>,
        paths: Arc<FilePaths>,
        folded: impl Fn(&Entry<'a>, u64) -> Option<LinkAddr>,
    ) -> Self {
        let mut walk = CodeWalk {
            files,
            unit,
            folded: &folded,
            meter: files.budget.meter(ReaderKind::Entries),
            levels: Vec::new(),
            code: Self {
                language: unit.language(),
                plain_gcc: false,
                files: paths,
                paths: vec![PathPart {
                    parent: 0,
                    name: Box::default(),
                    in_impl: false,
                }],
                named: HashMap::new(),
                scopes: Vec::new(),
                functions: Vec::new(),
                prologues: Mutex::default(),
                budget: Arc::clone(&files.budget),
                kept: KeptMemory::none(&files.budget),
            },
        };
        // Entries before the damaged one are kept.
        let _ = walk.run();
        let mut code = walk.code;
        // The last of several functions with the same address is used, so the one whose DIE has
        // the address comes last.
        let scopes = &code.scopes;
        let is_folded = |index: u32| {
            let scope = usize::try_from(index).ok().and_then(|at| scopes.get(at));
            scope.is_some_and(|scope| scope.folded)
        };
        code.functions
            .sort_unstable_by_key(|&(begin, end, index)| (begin, end, !is_folded(index), index));
        code
    }

    /// Returns the number of bytes that are kept of the unit.
    pub(in crate::debuginfo) const fn bytes(&self) -> u64 {
        self.kept.bytes()
    }

    /// Returns the functions with code at `address`. There are several if a linker folded them
    /// into one.
    pub(in crate::debuginfo) fn functions_at(
        &self,
        address: LinkAddr,
    ) -> impl Iterator<Item = u32> {
        let address = address.0;
        let end = self
            .functions
            .partition_point(|(begin, ..)| *begin <= address);
        let near = self.functions.get(end.saturating_sub(32)..end);
        let near = near.unwrap_or_default().iter().rev();
        near.filter(move |(_, end, _)| address < *end)
            .map(|(.., scope)| *scope)
    }

    /// Returns the innermost scope around `address`.
    pub(in crate::debuginfo) fn innermost(&self, address: LinkAddr) -> Option<u32> {
        let function = self.functions_at(address).next()?;
        self.innermost_in(function, address)
    }

    /// Returns the innermost scope around `address` in a function that has code there.
    pub(in crate::debuginfo) fn innermost_in(
        &self,
        function: u32,
        address: LinkAddr,
    ) -> Option<u32> {
        let mut scope = function;
        let mut looked_at = 0;
        let found = loop {
            let mut child = self.scope(scope)?.first_child;
            while let Some(index) = child {
                let candidate = self.scope(index)?;
                looked_at += candidate.ranges.len();
                if candidate.contains(address.0) {
                    break;
                }
                child = candidate.next_sibling;
            }
            match child {
                Some(index) => scope = index,
                None => break Some(scope),
            }
        };
        if looked_at > FEW_RANGES {
            self.budget.spend(ReaderKind::Ranges, looked_at as u64, 0);
        }
        found
    }

    /// Returns the address after a function's prologue. `find` computes it the first time.
    pub(in crate::debuginfo) fn after_prologue_of(
        &self,
        function: &CodeScope,
        find: impl FnOnce() -> LinkAddr,
    ) -> LinkAddr {
        let known = || {
            self.prologues
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(start) = known().get(&function.entry) {
            return *start;
        }
        let start = find();
        known().insert(function.entry, start);
        start
    }

    /// Returns the file and line in which the function of `die` is declared, if this unit has
    /// them.
    pub(in crate::debuginfo) fn declared(&self, die: u64) -> Option<(&Arc<PathBuf>, u64)> {
        let mut next = Some(die);
        for _ in 0..8 {
            let named = self.named.get(&next?)?;
            if named.line != 0 {
                let file = self.files.get(named.file)?;
                return Some((file, named.line));
            }
            next = named.link;
        }
        None
    }

    pub(in crate::debuginfo) fn scope(&self, index: u32) -> Option<&CodeScope> {
        self.scopes.get(usize::try_from(index).ok()?)
    }

    /// Returns `scope` and the scopes around it, innermost first.
    pub(in crate::debuginfo) fn outwards(
        &self,
        scope: Option<u32>,
    ) -> impl Iterator<Item = (u32, &CodeScope)> {
        let get = |index: u32| Some((index, self.scope(index)?));
        std::iter::successors(scope.and_then(get), move |(_, scope)| {
            scope.parent.and_then(get)
        })
    }

    /// Returns the source line of the call that inlined `scope`.
    pub(in crate::debuginfo) fn call_of(&self, scope: &CodeScope) -> Option<SourceLine> {
        let (file, line, column) = scope.call?;
        let file = self.files.get(file)?.clone();
        Some(SourceLine { file, line, column })
    }

    /// Returns the inlined copies whose calls are in a file, each with the line of the call.
    pub(in crate::debuginfo) fn calls_from(&self, path: &Path) -> impl Iterator<Item = (u32, u64)> {
        let numbers = self.files.numbers_of(path).into_iter();
        let numbers: Vec<u64> = numbers.map(u64::from).collect();
        let line = move |scope: &CodeScope| {
            let (file, line, _) = scope.call?;
            (scope.kind == ScopeKind::Inlined && line != 0 && numbers.contains(&file))
                .then_some(line)
        };
        (0_u32..)
            .zip(&self.scopes)
            .filter_map(move |(index, scope)| Some((index, line(scope)?)))
    }

    /// Returns true if the DIE's own name differs from `last`, as far as this unit knows it.
    pub(in crate::debuginfo) fn surely_not_named(&self, die: u64, last: &str) -> bool {
        match self.named.get(&die) {
            Some(NamedFunction {
                name: Some(name), ..
            }) => crate::debuginfo::model::names::without_generics(name) != last,
            _ => false,
        }
    }
}

/// Returns the name of the function of `die`. `code_of` returns the code of the unit that has
/// another DIE.
pub(in crate::debuginfo) fn function_name(
    code: &UnitCode,
    die: u64,
    code_of: impl Fn(u64) -> Option<Arc<UnitCode>>,
) -> FunctionName {
    let mut declared = None;
    let mut linkage = None;
    let mut kept: Arc<UnitCode>;
    let mut code = code;
    let mut die = die;
    for _ in 0..8 {
        if !code.named.contains_key(&die) {
            let Some(other) = code_of(die) else {
                break;
            };
            kept = other;
            code = &kept;
        }
        let Some(named) = code.named.get(&die) else {
            break;
        };
        if declared.is_none() && named.line != 0 {
            let file = code.files.get(named.file);
            declared = file.map(|file| (file.clone(), named.line));
        }
        if linkage.is_none() {
            linkage.clone_from(&named.linkage);
        }
        if let Some(name) = &named.name {
            return FunctionName {
                name: full_name(code, named.path, name, linkage.as_deref()).into(),
                declared,
            };
        }
        match named.link {
            Some(link) => die = link,
            None => break,
        }
    }
    let name = linkage.map_or_else(
        || "(unnamed)".to_owned(),
        |name| crate::debuginfo::model::names::demangle(name.as_bytes()),
    );
    FunctionName {
        name: name.into(),
        declared,
    }
}

fn full_name(code: &UnitCode, path: u32, name: &str, linkage: Option<&str>) -> String {
    let part = |index: u32| usize::try_from(index).ok().and_then(|i| code.paths.get(i));
    if code.language == Language::Rust
        && part(path).is_some_and(|part| part.in_impl)
        && let Some(linkage) = linkage
    {
        return crate::debuginfo::model::names::demangle(linkage.as_bytes());
    }
    let mut parts = vec![name];
    let mut bytes = name.len();
    let mut next = path;
    while next != 0
        && let Some(part) = part(next)
    {
        bytes += part.name.len() + 2;
        if bytes > MAX_NAME_BYTES {
            break;
        }
        parts.push(&part.name);
        next = part.parent;
    }
    parts.reverse();
    parts.join("::")
}

/// Returns the address of a folded function with a DIE and a size; see [`CodeWalk`].
type FoldedEntry<'w, 'a> = dyn Fn(&Entry<'a>, u64) -> Option<LinkAddr> + 'w;

/// The walk over one unit.
struct CodeWalk<'w, 'a> {
    files: &'w Files,
    /// Returns the address of a function that a linker folded into another one, by its DIE and
    /// size.
    folded: &'w FoldedEntry<'w, 'a>,
    unit: &'w Unit<'a>,
    meter: BudgetMeter<'w>,
    levels: Vec<WalkLevel>,
    code: UnitCode,
}

/// The scope and the path of the children of a DIE.
#[derive(Clone, Copy, Default)]
struct WalkLevel {
    scope: Option<u32>,
    path: u32,
}

type Entry<'a> = DebuggingInformationEntry<Slice<'a>>;

impl<'a> CodeWalk<'_, 'a> {
    fn run(&mut self) -> Result<(), DebugInfoError> {
        let unit = self.unit;
        let mut entries = unit.unit.entries_raw(None)?;
        let mut entry = Entry::null();
        let mut level = WalkLevel::default();
        while !entries.is_empty() {
            let offset = entries.next_offset();
            let Some(abbreviation) = entries.read_abbreviation()? else {
                match self.levels.pop() {
                    Some(outer) => level = outer,
                    None => break,
                }
                continue;
            };
            let outer = level;
            let attributes = abbreviation.attributes().len() as u64;
            let matters = self.matters(abbreviation.tag(), level);
            let steps = if matters {
                ENTRY_STEPS + attributes * ATTRIBUTE_STEPS
            } else {
                SKIP_STEPS + attributes * 2
            };
            if !self.meter.take(steps) {
                break;
            }
            if matters {
                entry.tag = abbreviation.tag();
                entry.offset = offset;
                entries.read_attributes(abbreviation.attributes(), &mut entry.attrs)?;
                level = self.enter(&entry, level);
            } else {
                skip(&mut entries, abbreviation)?;
            }
            if abbreviation.has_children() {
                if self.levels.len() == MAX_DEPTH {
                    break;
                }
                self.levels.push(outer);
            } else {
                level = outer;
            }
        }
        Ok(())
    }

    /// Returns true if the attributes of a DIE with this tag are needed.
    fn matters(&mut self, tag: gimli::DwTag, level: WalkLevel) -> bool {
        match tag {
            gimli::DW_TAG_compile_unit
            | gimli::DW_TAG_namespace
            | gimli::DW_TAG_module
            | gimli::DW_TAG_structure_type
            | gimli::DW_TAG_class_type
            | gimli::DW_TAG_union_type
            | gimli::DW_TAG_enumeration_type
            | gimli::DW_TAG_interface_type
            | gimli::DW_TAG_subprogram
            | gimli::DW_TAG_inlined_subroutine
            | gimli::DW_TAG_lexical_block => true,
            gimli::DW_TAG_variable | gimli::DW_TAG_formal_parameter | gimli::DW_TAG_constant => {
                let scopes = &mut self.code.scopes;
                let scope = level.scope.and_then(|index| usize::try_from(index).ok());
                if let Some(scope) = scope.and_then(|index| scopes.get_mut(index))
                    && let ScopeKind::Block(declares) = &mut scope.kind
                {
                    *declares = true;
                }
                false
            }
            _ => false,
        }
    }

    /// Adds a DIE, and returns the level of its children.
    fn enter(&mut self, entry: &Entry<'a>, level: WalkLevel) -> WalkLevel {
        match entry.tag {
            gimli::DW_TAG_compile_unit => {
                self.code.plain_gcc = self
                    .string(entry, gimli::DW_AT_producer)
                    .is_some_and(|producer| is_plain_gcc(&producer));
                level
            }
            gimli::DW_TAG_subprogram => self.enter_function(entry, level),
            gimli::DW_TAG_inlined_subroutine => WalkLevel {
                scope: self.add_scope(entry, ScopeKind::Inlined, level.scope),
                ..level
            },
            gimli::DW_TAG_lexical_block => WalkLevel {
                scope: self.add_scope(entry, ScopeKind::Block(false), level.scope),
                ..level
            },
            tag => {
                let anonymous = || match tag {
                    gimli::DW_TAG_namespace => "(anonymous namespace)".to_owned(),
                    _ => "(anonymous)".to_owned(),
                };
                let name = self
                    .string(entry, gimli::DW_AT_name)
                    .unwrap_or_else(anonymous);
                WalkLevel {
                    path: self.add_path(level.path, name),
                    ..level
                }
            }
        }
    }

    fn enter_function(&mut self, entry: &Entry<'a>, level: WalkLevel) -> WalkLevel {
        let name = self.string(entry, gimli::DW_AT_name);
        let in_impl = usize::try_from(level.path)
            .ok()
            .and_then(|path| self.code.paths.get(path))
            .is_some_and(|part| part.in_impl);
        let mut linkage = None;
        if name.is_none() || in_impl {
            linkage = self
                .string(entry, gimli::DW_AT_linkage_name)
                .or_else(|| self.string(entry, gimli::DW_AT_MIPS_linkage_name));
        }
        let path = match &name {
            Some(name) => self.add_path(level.path, name.clone()),
            None => level.path,
        };
        self.code.named.insert(
            self.unit.die_offset(entry.offset),
            NamedFunction {
                path: level.path,
                name: name.map(String::into_boxed_str),
                linkage: linkage.map(String::into_boxed_str),
                link: self.link(entry),
                file: number(entry, gimli::DW_AT_decl_file),
                line: number(entry, gimli::DW_AT_decl_line),
            },
        );
        // The code of a nested function is not part of the outer function's code.
        let scope = self.add_scope(entry, ScopeKind::Function, None);
        let scope = scope.or_else(|| self.add_folded(entry));
        WalkLevel { scope, path }
    }

    /// Adds a function whose DIE has lost its address, if a linker folded it into another one.
    fn add_folded(&mut self, entry: &Entry<'a>) -> Option<u32> {
        let Some(AttributeValue::Udata(size @ 1..)) = entry.attr_value(gimli::DW_AT_high_pc) else {
            return None;
        };
        let begin = (self.folded)(entry, size)?;
        let ranges = vec![(begin.0, begin.0.checked_add(size)?)];
        let index = self.add_ranges(entry, ScopeKind::Function, None, ranges)?;
        let scope = usize::try_from(index).ok();
        if let Some(scope) = scope.and_then(|index| self.code.scopes.get_mut(index)) {
            scope.folded = true;
        }
        Some(index)
    }

    fn link(&self, entry: &Entry<'a>) -> Option<u64> {
        [gimli::DW_AT_specification, gimli::DW_AT_abstract_origin]
            .into_iter()
            .filter_map(|name| entry.attr_value(name))
            .find_map(|value| self.files.referenced(self.unit, &value))
    }

    /// Adds a scope that has code. A scope without code is skipped, with the scopes inside it.
    fn add_scope(
        &mut self,
        entry: &Entry<'a>,
        kind: ScopeKind,
        parent: Option<u32>,
    ) -> Option<u32> {
        let mut ranges = die_ranges(&self.files.budget, self.unit, entry);
        ranges.retain(|(begin, _)| self.files.is_code(LinkAddr(*begin)));
        self.add_ranges(entry, kind, parent, ranges)
    }

    fn add_ranges(
        &mut self,
        entry: &Entry<'a>,
        kind: ScopeKind,
        parent: Option<u32>,
        ranges: Vec<(u64, u64)>,
    ) -> Option<u32> {
        let first = ranges.first()?.0;
        if kind != ScopeKind::Function && parent.is_none() {
            return None;
        }
        let index = u32::try_from(self.code.scopes.len()).ok()?;
        let bytes = SCOPE_BYTES + ranges.len() as u64 * RANGE_BYTES;
        if !self.code.kept.grow(ReaderKind::Ranges, bytes) {
            return None;
        }
        let die = self.unit.die_offset(entry.offset);
        let entry_point = match entry.attr_value(gimli::DW_AT_entry_pc) {
            Some(AttributeValue::Udata(distance)) => first.checked_add(distance),
            Some(value) => self.unit.reference().attr_address(value).ok().flatten(),
            None => None,
        };
        let inside = |address: &u64| {
            ranges
                .iter()
                .any(|(begin, end)| (begin..end).contains(&address))
        };
        let call = (kind == ScopeKind::Inlined).then(|| {
            (
                number(entry, gimli::DW_AT_call_file),
                number(entry, gimli::DW_AT_call_line),
                number(entry, gimli::DW_AT_call_column),
            )
        });
        if kind == ScopeKind::Function {
            let functions = ranges.iter().map(|&(begin, end)| (begin, end, index));
            self.code.functions.extend(functions);
        }
        self.code.scopes.push(CodeScope {
            kind,
            parent,
            first_child: None,
            last_child: None,
            next_sibling: None,
            origin: match kind {
                ScopeKind::Inlined => self.link(entry).unwrap_or(die),
                _ => die,
            },
            entry: entry_point.filter(inside).unwrap_or(first),
            ranges: ranges.into_boxed_slice(),
            folded: false,
            call,
        });
        self.adopt(parent, index);
        Some(index)
    }

    /// Makes `child` the last child of `parent`.
    fn adopt(&mut self, parent: Option<u32>, child: u32) {
        let scopes = &mut self.code.scopes;
        let position = |index: Option<u32>| usize::try_from(index?).ok();
        let Some(parent) = position(parent).and_then(|index| scopes.get_mut(index)) else {
            return;
        };
        let before = parent.last_child.replace(child);
        parent.first_child.get_or_insert(child);
        if let Some(before) = position(before).and_then(|index| scopes.get_mut(index)) {
            before.next_sibling = Some(child);
        }
    }

    fn add_path(&mut self, parent: u32, name: String) -> u32 {
        let Ok(index) = u32::try_from(self.code.paths.len()) else {
            return parent;
        };
        let of = usize::try_from(parent).ok();
        let of = of.and_then(|parent| self.code.paths.get(parent));
        let in_impl = name.starts_with("{impl#") || of.is_some_and(|part| part.in_impl);
        self.code.paths.push(PathPart {
            parent,
            name: name.into_boxed_str(),
            in_impl,
        });
        index
    }

    fn string(&mut self, entry: &Entry<'a>, name: gimli::DwAt) -> Option<String> {
        let bytes = self.unit.string(entry.attr_value(name)?)?;
        let length = bytes.len() as u64;
        let fits =
            self.meter.take(length) && self.code.kept.grow(ReaderKind::Names, NAMED_BYTES + length);
        fits.then(|| text(bytes))
    }
}

fn skip(
    entries: &mut EntriesRaw<'_, Slice<'_>>,
    abbreviation: &gimli::Abbreviation,
) -> Result<(), DebugInfoError> {
    Ok(entries.skip_attributes(abbreviation.attributes())?)
}

fn number(entry: &Entry<'_>, name: gimli::DwAt) -> u64 {
    match entry.attr_value(name) {
        Some(AttributeValue::FileIndex(number)) => number,
        Some(value) => value.udata_value().unwrap_or(0),
        None => 0,
    }
}

/// Returns true if a producer is GCC without optimisation. GCC records its options in the
/// producer. Code from the assembler has no prologue.
fn is_plain_gcc(producer: &str) -> bool {
    let optimises = |option: &str| option.starts_with("-O") && option != "-O0";
    let is_gcc = producer.starts_with("GNU ") && !producer.starts_with("GNU AS");
    is_gcc && !producer.split_whitespace().any(optimises)
}
