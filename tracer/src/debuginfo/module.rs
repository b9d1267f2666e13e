//! One ELF file with all that belongs to it: its debug file, its supplementary
//! file, its split units.
//!
//! Owns the bytes; hands out DWARF that borrows from them. Leaves where to look
//! for debug files to [`super::find`].

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::Slice;
use super::budget::Budget;
use super::cfi::FrameIndexes;
use super::code_cache::CodeCache;
use super::die_cache::DieCache;
use super::dies::FileNumber;
use super::error::DebugInfoError;
use super::find::{DebugOptions, Found, Looked, find};
use super::folded::FoldedFunctions;
use super::imports::stub_at;
use super::index::SourceIndex;
use super::names::demangle;
use super::object::{ObjectFile, Section, Segment};
use super::split::SplitFiles;
use super::symbols::{RawSymbol, Symbol, SymbolKind};
use super::tail_calls::TailCallCache;
use super::units::{
    Space, Unit, UnitId, UnitInfo, UnitRanges, read_unit, read_units, unit_offsets,
};
use crate::address::{Bias, FileOffset, LinkAddr, RunAddr};

/// The next module's [`Module::number`].
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);

/// Bytes of a page of memory.
const PAGE: u64 = 4096;
/// Symbols before an address that may reach it.
const LOOK_BACK: usize = 64;

/// One ELF file and its debug information.
pub struct Module {
    pub(super) main: ObjectFile,
    pub(super) debug: Option<ObjectFile>,
    pub(super) supplementary: Option<ObjectFile>,
    pub(super) splits: SplitFiles,
    pub(super) options: DebugOptions,
    looked: Vec<Looked>,
    /// Where code is, sorted and without overlap.
    pub(super) code_ranges: Vec<(u64, u64)>,
    units: OnceLock<Vec<UnitInfo>>,
    unit_ranges: OnceLock<UnitRanges>,
    source_index: OnceLock<SourceIndex>,
    code: CodeCache,
    supplementary_units: OnceLock<Vec<u64>>,
    pub(super) dies: DieCache,
    tail_calls: TailCallCache,
    folded: OnceLock<FoldedFunctions>,
    number: u64,
    pub(super) frame_indexes: FrameIndexes,
    /// For all that is read of its files.
    pub(super) budget: Arc<Budget>,
}

/// The thread-local block that a module adds to each thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsSegment {
    /// Bytes in each thread.
    pub memory_size: u64,
    /// Alignment of the block.
    pub align: u64,
    /// Where its first values are.
    pub address: LinkAddr,
}

/// A section that says how to unwind, with where it would be in memory.
#[derive(Clone, Copy, Debug)]
pub struct UnwindSection<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Where the linker put it; 0 for `.debug_frame`, which is not loaded.
    pub address: LinkAddr,
}

impl Module {
    /// Opens a file and looks for its debug information in the system's places.
    ///
    /// # Errors
    /// When it is no ELF file that can be read; never for want of debug information.
    pub fn open(path: &Path) -> Result<Self, DebugInfoError> {
        Self::open_as(path, path, &DebugOptions::default())
    }

    /// Opens the file at `path` (`/proc/PID/exe`, say), called `display` in messages.
    ///
    /// `display` also says which directory it is in, in the target's eyes where
    /// the options name the target's root.
    ///
    /// # Errors
    /// As [`Module::open`]; and when the debug file that the options name cannot be
    /// read, or is another build's.
    pub fn open_as(
        path: &Path,
        display: &Path,
        options: &DebugOptions,
    ) -> Result<Self, DebugInfoError> {
        let main = ObjectFile::open(path, display)?;
        let found = find(&main, options)?;
        Ok(Self::of_files(main, found, options.clone()))
    }

    fn of_files(main: ObjectFile, found: Found, options: DebugOptions) -> Self {
        let mut main = main;
        let mut found = found;
        let budget = Arc::new(Budget::new(0));
        let beside = [&mut found.debug, &mut found.supplementary];
        for file in std::iter::once(&mut main).chain(beside.into_iter().flatten()) {
            budget.add_file(file.bytes().len() as u64);
            file.budget = Arc::clone(&budget);
        }
        Self {
            code_ranges: code_ranges(&main),
            main,
            debug: found.debug,
            supplementary: found.supplementary,
            splits: SplitFiles::default(),
            options,
            looked: found.looked,
            units: OnceLock::new(),
            unit_ranges: OnceLock::new(),
            source_index: OnceLock::new(),
            code: CodeCache::default(),
            supplementary_units: OnceLock::new(),
            dies: DieCache::default(),
            tail_calls: TailCallCache::default(),
            folded: OnceLock::new(),
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            frame_indexes: FrameIndexes::default(),
            budget,
        }
    }

    /// Tells it from every other module that was opened.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    pub(super) const fn tail_calls_cache(&self) -> &TailCallCache {
        &self.tail_calls
    }

    /// Its name in messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.main.path()
    }

    /// Its build id.
    #[must_use]
    pub fn build_id(&self) -> Option<&[u8]> {
        self.main.build_id()
    }

    /// Whether no debug information was found, in it or beside it.
    #[must_use]
    pub fn is_stripped(&self) -> bool {
        !self.dwarf_file().has_dwarf()
    }

    /// Where its debug information was looked for, and what was found, in that order.
    ///
    /// The files of split units are looked for when they are needed; see
    /// [`Module::looked_for_split_units`].
    #[must_use]
    pub fn looked(&self) -> &[Looked] {
        &self.looked
    }

    /// Its DWARF, or why there is none.
    ///
    /// # Errors
    /// [`DebugInfoError::NoDebugInfo`], [`DebugInfoError::Compressed`].
    pub fn require_dwarf(&self) -> Result<(), DebugInfoError> {
        let file = self.dwarf_file();
        if !file.has_dwarf() {
            return Err(DebugInfoError::NoDebugInfo {
                path: self.path().to_owned(),
            });
        }
        file.dwarf_sections()?;
        self.require_budget()
    }

    /// Fails once reading the module took too much work or memory: what was read until then
    /// is not all that there is, and nothing more will be read.
    ///
    /// # Errors
    /// [`DebugInfoError::OverBudget`].
    pub fn require_budget(&self) -> Result<(), DebugInfoError> {
        match self.budget.refusal() {
            None => Ok(()),
            Some(refusal) => Err(DebugInfoError::OverBudget {
                path: self.path().to_owned(),
                refusal,
            }),
        }
    }

    /// Allows for the work of another probe.
    pub fn expect_probe(&self) {
        self.budget.add_probe();
    }

    /// Steps of work and bytes of memory that reading the module took so far.
    #[must_use]
    pub fn spent(&self) -> (u64, u64) {
        (self.budget.work(), self.budget.memory())
    }

    /// Fails once a file of the module was cut short while it was read: what
    /// was read of it since then is not to be trusted. Fails also when the budget is used up.
    ///
    /// # Errors
    /// [`DebugInfoError::Changed`], [`DebugInfoError::OverBudget`].
    pub fn require_intact(&self) -> Result<(), DebugInfoError> {
        self.require_budget()?;
        let files = [
            Some(&self.main),
            self.debug.as_ref(),
            self.supplementary.as_ref(),
        ];
        match files.into_iter().flatten().find(|file| !file.intact()) {
            Some(file) => Err(file.changed()),
            None => match self.splits.changed() {
                Some(file) => Err(file.changed()),
                None => Ok(()),
            },
        }
    }

    /// Whether the kernel chooses where it is loaded.
    #[must_use]
    pub const fn position_independent(&self) -> bool {
        self.main.position_independent()
    }

    /// Its program headers.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        self.main.segments()
    }

    /// Its sections.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        self.main.sections()
    }

    /// Its thread-local block, if it has one.
    #[must_use]
    pub fn tls(&self) -> Option<TlsSegment> {
        let tls = |segment: &&Segment| segment.kind == object::elf::PT_TLS.0;
        self.segments().iter().find(tls).map(|segment| TlsSegment {
            memory_size: segment.memory_size,
            align: segment.align,
            address: segment.address,
        })
    }

    /// Where the code at `address` is in the file.
    ///
    /// `None` when no executable segment has it.
    #[must_use]
    pub fn file_offset(&self, address: LinkAddr) -> Option<FileOffset> {
        self.code_segments().find_map(|segment| {
            let distance = address.0.checked_sub(segment.address.0)?;
            (distance < segment.file_size).then(|| segment.offset.add(distance))
        })
    }

    /// The link address of the code at `offset` of the file.
    ///
    /// `None` when no executable segment has it.
    #[must_use]
    pub fn link_addr(&self, offset: FileOffset) -> Option<LinkAddr> {
        self.code_segments().find_map(|segment| {
            let distance = offset.0.checked_sub(segment.offset.0)?;
            (distance < segment.file_size).then(|| segment.address.add(distance))
        })
    }

    /// Whether `address` is code: in an executable segment, and in an
    /// executable section where the file still names its sections.
    #[must_use]
    pub fn is_code(&self, address: LinkAddr) -> bool {
        let after = self
            .code_ranges
            .partition_point(|(begin, _)| *begin <= address.0);
        let range = after
            .checked_sub(1)
            .and_then(|index| self.code_ranges.get(index));
        range.is_some_and(|(_, end)| address.0 < *end)
    }

    /// Whether nothing of the program can be at `address`, since no loaded section has it: a
    /// linker that drops an object leaves such an address in its debug information.
    pub(super) fn is_dropped(&self, address: LinkAddr) -> bool {
        let mut loaded = self
            .sections()
            .iter()
            .filter(|section| section.address.0 != 0)
            .peekable();
        // An object without bytes may stand at a section's end.
        loaded.peek().is_some()
            && !loaded.any(|section| {
                let distance = address.0.checked_sub(section.address.0);
                distance.is_some_and(|distance| distance <= section.size)
            })
    }

    /// What the process adds to link addresses, told by one of its executable
    /// mappings of this file: `length` bytes from `offset` on, at `start`.
    ///
    /// `None` when that part of the file has no code. Segments can share a page
    /// of the file, which is then mapped once for each: so only executable
    /// mappings are of use.
    #[must_use]
    pub fn bias(&self, start: RunAddr, offset: FileOffset, length: u64) -> Option<Bias> {
        let end = offset.0.checked_add(length)?;
        let shared = |segment: &Segment| {
            let first = segment.offset.0.max(offset.0);
            let last = segment.offset.0.saturating_add(segment.file_size).min(end);
            last.saturating_sub(first)
        };
        self.code_segments()
            .filter(|segment| shared(segment) > 0)
            .max_by_key(|segment| shared(segment))
            .map(|segment| {
                let run = start
                    .0
                    .wrapping_add(segment.offset.0.wrapping_sub(offset.0));
                Bias(run.wrapping_sub(segment.address.0))
            })
    }

    /// Whether the program has bytes of its own at `address`, once it is loaded: those at `offset` of
    /// the file, or, without an offset, such as the file has no bytes for.
    ///
    /// A mapping has whole pages, so an address may be beside its segment's own bytes.
    #[must_use]
    pub fn has_at(&self, address: LinkAddr, offset: Option<FileOffset>) -> bool {
        let mut loaded = self
            .segments()
            .iter()
            .filter(|segment| segment.kind == object::elf::PT_LOAD.0);
        loaded.any(|segment| {
            let first = segment.address.0 & !(PAGE - 1);
            let last = segment.address.0.saturating_add(segment.memory_size);
            let last = last.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
            let distance = address.0.wrapping_sub(segment.address.0);
            let there = segment.offset.0.wrapping_add(distance);
            (first..last).contains(&address.0)
                && match offset {
                    Some(offset) => there == offset.0,
                    None => distance >= segment.file_size,
                }
        })
    }

    fn code_segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments()
            .iter()
            .filter(|segment| segment.executable())
    }

    /// Bytes that the program has at `address` before it runs.
    ///
    /// `None` outside of its segments; shorter where a segment's bytes in the file end.
    #[must_use]
    pub fn initial_bytes(&self, address: LinkAddr, length: usize) -> Option<&[u8]> {
        let loaded = |segment: &&Segment| segment.kind == object::elf::PT_LOAD.0;
        self.segments().iter().filter(loaded).find_map(|segment| {
            let distance = address.0.checked_sub(segment.address.0)?;
            let rest = segment
                .file_size
                .checked_sub(distance)
                .filter(|rest| *rest > 0)?;
            let length = length.min(usize::try_from(rest).ok()?);
            let start = usize::try_from(segment.offset.0.checked_add(distance)?).ok()?;
            self.main.bytes().get(start..start.checked_add(length)?)
        })
    }

    /// `.eh_frame`.
    #[must_use]
    pub fn eh_frame(&self) -> Option<UnwindSection<'_>> {
        self.unwind_section(".eh_frame")
    }

    /// `.eh_frame_hdr`: the table that leads into `.eh_frame`.
    #[must_use]
    pub fn eh_frame_hdr(&self) -> Option<UnwindSection<'_>> {
        self.unwind_section(".eh_frame_hdr")
    }

    /// `.debug_frame`, of the file itself or of its debug file, unpacked.
    #[must_use]
    pub fn debug_frame(&self) -> Option<UnwindSection<'_>> {
        [self.debug.as_ref(), Some(&self.main)]
            .into_iter()
            .flatten()
            .filter_map(|file| file.debug_frame())
            .find(|bytes| !bytes.is_empty())
            .map(|bytes| UnwindSection {
                bytes,
                address: LinkAddr(0),
            })
    }

    /// The bytes that a section of the file itself has.
    pub(super) fn loaded_section(&self, name: &str) -> Option<&[u8]> {
        Some(self.main.section_bytes(self.main.section(name)?))
    }

    fn unwind_section(&self, name: &str) -> Option<UnwindSection<'_>> {
        let section = self.main.section(name)?;
        let bytes = self.main.section_bytes(section);
        (!bytes.is_empty()).then_some(UnwindSection {
            bytes,
            address: section.address,
        })
    }

    /// The DWARF of the module: of its debug file where it has one.
    ///
    /// Cheap: a handful of slices. Empty without debug information.
    #[must_use]
    pub fn dwarf(&self) -> gimli::Dwarf<Slice<'_>> {
        let mut dwarf = self.dwarf_file().dwarf();
        if let Some(supplementary) = &self.supplementary {
            dwarf.set_sup(supplementary.dwarf());
        }
        dwarf
    }

    /// What the root of each unit says; read on first use.
    #[must_use]
    pub fn units(&self) -> &[UnitInfo] {
        self.units.get_or_init(|| read_units(self))
    }

    /// Reads a unit. A unit that was split comes from its own file, where
    /// that can be found; else its skeleton comes, without any function.
    ///
    /// # Errors
    /// [`DebugInfoError::BadDwarf`].
    pub fn unit(&self, id: UnitId) -> Result<Unit<'_>, DebugInfoError> {
        match self.split_unit(id)? {
            Some(unit) => Ok(unit),
            None => self.unit_skeleton(id),
        }
    }

    /// Which unit has the code at `address`.
    #[must_use]
    pub fn unit_at(&self, address: LinkAddr) -> Option<UnitId> {
        self.unit_ranges
            .get_or_init(|| UnitRanges::read(self))
            .find(address)
    }

    pub(super) fn source_index(&self) -> &SourceIndex {
        self.source_index.get_or_init(|| SourceIndex::read(self))
    }

    /// The functions that share their address with others, by the symbols.
    pub(super) fn folded_functions(&self) -> &FoldedFunctions {
        self.folded.get_or_init(|| FoldedFunctions::read(self))
    }

    /// Gives back the memory that a pass over all of the DWARF has touched.
    pub(super) fn release(&self) {
        let files = [Some(&self.main), self.debug.as_ref()];
        for file in files.into_iter().flatten() {
            file.release();
        }
    }

    pub(super) const fn code_cache(&self) -> &CodeCache {
        &self.code
    }

    /// Reads a unit from the main file, even when it is but a skeleton.
    pub(super) fn unit_skeleton(&self, id: UnitId) -> Result<Unit<'_>, DebugInfoError> {
        let info = self.unit_info(id)?;
        let dwarf = self.dwarf();
        let unit = read_unit(self, FileNumber::Main, &dwarf, info.offset)?;
        Ok(Unit::new(dwarf, unit, Space::Main))
    }

    /// What the root of the unit says.
    ///
    /// # Errors
    /// When the module has no such unit.
    pub fn unit_info(&self, id: UnitId) -> Result<&UnitInfo, DebugInfoError> {
        usize::try_from(id.0)
            .ok()
            .and_then(|index| self.units().get(index))
            .ok_or_else(|| DebugInfoError::BadDwarf {
                what: format!("no unit {}", id.0),
            })
    }

    /// The unit that has the DIE at `offset` (as [`Unit::die_offset`] and
    /// [`super::types::TypeId`] count), and where in the unit that is.
    ///
    /// # Errors
    /// [`DebugInfoError::BadDwarf`].
    pub fn unit_of_die(
        &self,
        offset: u64,
    ) -> Result<(Unit<'_>, gimli::UnitOffset), DebugInfoError> {
        let nowhere = || DebugInfoError::BadDwarf {
            what: format!("no unit has the entry at {offset:#x}"),
        };
        let (space, local) = Space::of(offset).ok_or_else(nowhere)?;
        let unit = match space {
            Space::Main => {
                let units = self.units();
                let index = units.partition_point(|unit| unit.offset <= local);
                let info = index.checked_sub(1).and_then(|index| units.get(index));
                let dwarf = self.dwarf();
                let offset = info.ok_or_else(nowhere)?.offset;
                let unit = read_unit(self, FileNumber::Main, &dwarf, offset)?;
                Unit::new(dwarf, unit, space)
            }
            Space::Supplementary => {
                let file = self.supplementary.as_ref().ok_or_else(nowhere)?;
                let dwarf = file.dwarf();
                let units = self
                    .supplementary_units
                    .get_or_init(|| unit_offsets(&self.budget, &dwarf));
                let index = units.partition_point(|unit| *unit <= local);
                let start = index.checked_sub(1).and_then(|index| units.get(index));
                let start = *start.ok_or_else(nowhere)?;
                let unit = read_unit(self, FileNumber::Supplementary, &dwarf, start)?;
                Unit::new(dwarf, unit, space)
            }
            Space::Split(id) => {
                let unit = self.split_unit(id)?.ok_or_else(nowhere)?;
                let start = usize::try_from(local).map_err(|_| nowhere())?;
                let inside = gimli::DebugInfoOffset(start).to_unit_offset(&unit.unit.header);
                if inside.is_some() {
                    unit
                } else {
                    let units = unit_offsets(&self.budget, &unit.dwarf);
                    let index = units.partition_point(|unit| *unit <= local);
                    let start = index.checked_sub(1).and_then(|index| units.get(index));
                    let start = *start.ok_or_else(nowhere)?;
                    let file = FileNumber::Split(id.0);
                    let other = read_unit(self, file, &unit.dwarf, start)?;
                    Unit::new(unit.dwarf, other, space)
                }
            }
        };
        let local = usize::try_from(local).map_err(|_| nowhere())?;
        let in_unit = gimli::DebugInfoOffset(local)
            .to_unit_offset(&unit.unit.header)
            .ok_or_else(nowhere)?;
        Ok((unit, in_unit))
    }

    /// All symbols of functions, objects and thread-locals, by address.
    pub fn symbols(&self) -> impl Iterator<Item = Symbol<'_>> {
        let file = self.symbol_file();
        file.symbols()
            .iter()
            .map(|symbol| symbol.symbol(file.bytes()))
    }

    /// A section of the file itself.
    pub(super) fn main_section(&self, name: &str) -> Option<&Section> {
        self.main.section(name)
    }

    /// The symbols that begin at `address`.
    pub(super) fn symbols_at(&self, address: LinkAddr) -> impl Iterator<Item = Symbol<'_>> {
        let file = self.symbol_file();
        let symbols = file.symbols();
        let first = symbols.partition_point(|symbol| symbol.address < address.0);
        let rest = symbols.get(first..).unwrap_or_default().iter();
        rest.take_while(move |symbol| symbol.address == address.0)
            .map(|symbol| symbol.symbol(file.bytes()))
    }

    /// The symbol that `address` belongs to: the nearest one whose size reaches it, else one of
    /// unknown size when no other symbol begins between it and `address`. A symbol ends with its
    /// section.
    #[must_use]
    pub fn symbol_at(&self, address: LinkAddr) -> Option<Symbol<'_>> {
        let file = self.symbol_file();
        let symbols = file.symbols();
        let end = symbols.partition_point(|symbol| symbol.address <= address.0);
        // Symbols may nest or be aliases; a bounded look back is enough.
        let before = symbols.get(end.saturating_sub(LOOK_BACK)..end)?;
        let mut before = before
            .iter()
            .rev()
            .filter(|symbol| symbol.kind != SymbolKind::Tls);
        let nearest = before.clone().next()?.address;
        let holds = |symbol: &&RawSymbol| symbol.holds(address.0);
        let sized = before.clone().filter(|symbol| symbol.size > 0).find(holds);
        let unsized_one = || {
            before
                .by_ref()
                .take_while(|symbol| symbol.address == nearest)
                .find(|symbol| symbol.size == 0 && holds(symbol))
        };
        let found = sized.or_else(unsized_one)?;
        Some(found.symbol(file.bytes()))
    }

    /// The demangled name of the code or data at `address`, without a version, and the distance of
    /// `address` from its start. A stub of the procedure linkage table is `NAME@plt`.
    #[must_use]
    pub fn name_at(&self, address: LinkAddr) -> Option<(String, u64)> {
        if let Some(symbol) = self.symbol_at(address) {
            let distance = address.0.checked_sub(symbol.address.0)?;
            return Some((demangle(symbol.unversioned()), distance));
        }
        let (start, name) = stub_at(self, address)?;
        Some((format!("{}@plt", demangle(&name)), address.0 - start.0))
    }

    /// The symbols of exactly that (mangled) name.
    #[must_use]
    pub fn symbols_named(&self, name: &str) -> Vec<Symbol<'_>> {
        self.symbols()
            .filter(|symbol| symbol.name == name.as_bytes())
            .collect()
    }

    /// The file that has the DWARF.
    pub(super) fn dwarf_file(&self) -> &ObjectFile {
        self.debug
            .as_ref()
            .filter(|debug| debug.has_dwarf())
            .unwrap_or(&self.main)
    }

    fn symbol_file(&self) -> &ObjectFile {
        // A stripped file has its dynamic symbols left; its debug file has all.
        match &self.debug {
            Some(debug) if self.main.section(".symtab").is_none() => debug,
            _ => &self.main,
        }
    }
}

/// The executable sections, or segments where sections were stripped away.
fn code_ranges(file: &ObjectFile) -> Vec<(u64, u64)> {
    let segments: Vec<(u64, u64)> = file
        .segments()
        .iter()
        .filter(|segment| segment.executable())
        .map(|segment| {
            let begin = segment.address.0;
            (begin, begin.saturating_add(segment.file_size))
        })
        .collect();
    let mut found: Vec<(u64, u64)> = file
        .sections()
        .iter()
        .filter(|section| section.executable)
        .flat_map(|section| {
            let begin = section.address.0;
            let end = begin.saturating_add(section.size);
            let inside = move |&(first, last): &(u64, u64)| (begin.max(first), end.min(last));
            segments.iter().map(inside)
        })
        .filter(|(begin, end)| begin < end)
        .collect();
    if found.is_empty() {
        found = segments;
    }
    found.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::new();
    for (begin, end) in found {
        match merged.last_mut() {
            Some((_, last)) if begin <= *last => *last = end.max(*last),
            _ => merged.push((begin, end)),
        }
    }
    merged
}

#[cfg(test)]
mod tests;
