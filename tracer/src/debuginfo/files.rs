//! The files of one module: the ELF file itself, its debug file, its supplementary file, and the
//! files of its split units.
//!
//! Owns the bytes and hands out DWARF that borrows from them. [`super::file::find`] knows where
//! to look for debug files. `dwarf/unit_reader.rs` and `dwarf/split.rs` read units.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::base::address::{Bias, FileOffset, LinkAddr, RunAddr};
use crate::base::pool_cell::PoolCell;
use crate::debuginfo::Slice;
use crate::debuginfo::budget::ReadBudget;
use crate::debuginfo::dwarf::abbreviations::AbbreviationCache;
use crate::debuginfo::dwarf::cache::Cache;
use crate::debuginfo::dwarf::die_id::{DieId, FileNumber, SectionKey};
use crate::debuginfo::dwarf::split_files::SplitFiles;
use crate::debuginfo::dwarf::units::{UnitInfo, UnitRanges};
use crate::debuginfo::error::DebugInfoError;
use crate::debuginfo::file::find::{DebugFileLookup, DebugOptions, FoundFiles, find};
use crate::debuginfo::file::object::{ElfSection, ElfSegment, ObjectFile};
use crate::debuginfo::file::symbols::{RawSymbol, Symbol, SymbolKind};

/// Number for the next [`Files::number`].
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);

/// Bytes of a page of memory.
const PAGE: u64 = 4096;
/// Number of symbols before an address that are searched for one that reaches it.
const LOOK_BACK: usize = 64;

/// The files of one module.
pub struct Files {
    pub(in crate::debuginfo) main: ObjectFile,
    pub(in crate::debuginfo) debug: Option<ObjectFile>,
    pub(in crate::debuginfo) supplementary: Option<ObjectFile>,
    pub(in crate::debuginfo) splits: SplitFiles,
    pub(in crate::debuginfo) options: DebugOptions,
    looked: Vec<DebugFileLookup>,
    /// Address ranges of the code, sorted, without overlap.
    pub(in crate::debuginfo) code_ranges: Vec<(u64, u64)>,
    pub(in crate::debuginfo) units: PoolCell<Vec<UnitInfo>>,
    pub(in crate::debuginfo) unit_ranges: PoolCell<UnitRanges>,
    pub(in crate::debuginfo) supplementary_units: OnceLock<Vec<u64>>,
    /// Offsets of the units of a section.
    pub(in crate::debuginfo) unit_starts: Cache<SectionKey, Arc<[u64]>>,
    pub(in crate::debuginfo) abbreviations: AbbreviationCache,
    /// Type units of a file by signature.
    pub(in crate::debuginfo) signatures: Cache<FileNumber, Arc<HashMap<u64, DieId>>>,
    number: u64,
    /// Counts the work and the memory of all readers of these files.
    pub(in crate::debuginfo) budget: Arc<ReadBudget>,
}

/// The thread-local block that a module adds to each thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsSegment {
    /// Bytes in each thread.
    pub memory_size: u64,
    /// Alignment of the block.
    pub align: u64,
    /// Address of its initial values.
    pub address: LinkAddr,
}

/// A section with call frame information, and its address in memory.
#[derive(Clone, Copy, Debug)]
pub struct UnwindSection<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Address that the linker gave it; 0 for `.debug_frame`, which is not loaded.
    pub address: LinkAddr,
}

impl Files {
    /// Opens the file at `path`, called `display` in messages, and looks for its debug files.
    ///
    /// # Errors
    /// Fails as [`super::Module::open_as`] does.
    pub(in crate::debuginfo) fn open(
        path: &Path,
        display: &Path,
        options: &DebugOptions,
    ) -> Result<Self, DebugInfoError> {
        let main = ObjectFile::open(path, display)?;
        let found = find(&main, options)?;
        Ok(Self::of_files(main, found, options.clone()))
    }

    fn of_files(main: ObjectFile, found: FoundFiles, options: DebugOptions) -> Self {
        let mut main = main;
        let mut found = found;
        let budget = Arc::new(ReadBudget::new(0));
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
            units: PoolCell::new(),
            unit_ranges: PoolCell::new(),
            supplementary_units: OnceLock::new(),
            unit_starts: Cache::default(),
            abbreviations: AbbreviationCache::default(),
            signatures: Cache::default(),
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            budget,
        }
    }

    /// Returns a number that no other opened module has.
    pub(in crate::debuginfo) const fn number(&self) -> u64 {
        self.number
    }

    /// Returns the name in messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.main.path()
    }

    /// Returns the build id.
    #[must_use]
    pub fn build_id(&self) -> Option<&[u8]> {
        self.main.build_id()
    }

    /// Returns true if no debug information was found, neither in the file nor in a separate one.
    #[must_use]
    pub fn is_stripped(&self) -> bool {
        !self.dwarf_file().has_dwarf()
    }

    /// Returns the places where debug information was looked for, in that order, with the
    /// outcome.
    ///
    /// Files of split units are looked for when they are needed; see
    /// [`Files::looked_for_split_units`].
    #[must_use]
    pub fn looked(&self) -> &[DebugFileLookup] {
        &self.looked
    }

    /// Fails if the module has no DWARF that can be read.
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

    /// Fails once reading the module took too much work or memory. The data that was read until
    /// then is incomplete, and nothing more will be read.
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

    /// Raises the budget for the work of another probe.
    pub fn expect_probe(&self) {
        self.budget.add_probe();
    }

    /// Gives the work back that was done, for another question of a server.
    pub fn expect_question(&self) {
        self.budget.add_question();
    }

    /// Returns the steps of work and the bytes of memory that reading the module took so far.
    #[must_use]
    pub fn spent(&self) -> (u64, u64) {
        (self.budget.work(), self.budget.memory())
    }

    /// Fails once a file of the module was cut short while it was read, because data that was
    /// read since then cannot be trusted. Also fails if the budget is used up.
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

    /// Returns true if the kernel chooses the load address.
    #[must_use]
    pub const fn position_independent(&self) -> bool {
        self.main.position_independent()
    }

    /// Returns the program headers.
    #[must_use]
    pub fn segments(&self) -> &[ElfSegment] {
        self.main.segments()
    }

    /// Returns the sections.
    #[must_use]
    pub fn sections(&self) -> &[ElfSection] {
        self.main.sections()
    }

    /// Returns the thread-local block, if it has one.
    #[must_use]
    pub fn tls(&self) -> Option<TlsSegment> {
        let tls = |segment: &&ElfSegment| segment.kind == object::elf::PT_TLS.0;
        self.segments().iter().find(tls).map(|segment| TlsSegment {
            memory_size: segment.memory_size,
            align: segment.align,
            address: segment.address,
        })
    }

    /// Returns the file offset of the code at `address`.
    ///
    /// Returns `None` if no executable segment has it.
    #[must_use]
    pub fn file_offset(&self, address: LinkAddr) -> Option<FileOffset> {
        self.code_segments().find_map(|segment| {
            let distance = address.0.checked_sub(segment.address.0)?;
            (distance < segment.file_size).then(|| segment.offset.add(distance))
        })
    }

    /// Returns the link address of the code at `offset` of the file.
    ///
    /// Returns `None` if no executable segment has it.
    #[must_use]
    pub fn link_addr(&self, offset: FileOffset) -> Option<LinkAddr> {
        self.code_segments().find_map(|segment| {
            let distance = offset.0.checked_sub(segment.offset.0)?;
            (distance < segment.file_size).then(|| segment.address.add(distance))
        })
    }

    /// Returns true if `address` is code: it is in an executable segment and, if the file still
    /// has section names, in an executable section.
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

    /// Returns true if no loaded section has `address`. A linker that drops an object leaves such
    /// addresses in its debug information.
    pub(in crate::debuginfo) fn is_dropped(&self, address: LinkAddr) -> bool {
        let mut loaded = self
            .sections()
            .iter()
            .filter(|section| section.address.0 != 0)
            .peekable();
        // An object without bytes may be at a section's end.
        loaded.peek().is_some()
            && !loaded.any(|section| {
                let distance = address.0.checked_sub(section.address.0);
                distance.is_some_and(|distance| distance <= section.size)
            })
    }

    /// Returns the number that the process adds to link addresses. It is computed from one of the
    /// executable mappings of this file: `length` bytes from `offset` on, mapped at `start`.
    ///
    /// Returns `None` if that part of the file has no code. Only executable mappings can be used:
    /// segments can share a page of the file, which is then mapped once for each of them.
    #[must_use]
    pub fn bias(&self, start: RunAddr, offset: FileOffset, length: u64) -> Option<Bias> {
        let end = offset.0.checked_add(length)?;
        let shared = |segment: &ElfSegment| {
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

    /// Returns true if the loaded program has memory of its own at `address` that comes from
    /// `offset` of the file. Without an offset, returns true if the memory has no bytes in the
    /// file (`.bss`).
    ///
    /// Mappings consist of whole pages, so an address may be outside of its segment's own bytes.
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

    fn code_segments(&self) -> impl Iterator<Item = &ElfSegment> {
        self.segments()
            .iter()
            .filter(|segment| segment.executable())
    }

    /// Returns the bytes that the program has at `address` before it runs.
    ///
    /// Returns `None` outside of the segments. The result is shorter if the segment's bytes in
    /// the file end before `length`.
    #[must_use]
    pub fn initial_bytes(&self, address: LinkAddr, length: usize) -> Option<&[u8]> {
        let loaded = |segment: &&ElfSegment| segment.kind == object::elf::PT_LOAD.0;
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

    /// Returns the `.eh_frame` section.
    #[must_use]
    pub fn eh_frame(&self) -> Option<UnwindSection<'_>> {
        self.unwind_section(".eh_frame")
    }

    /// Returns the `.eh_frame_hdr` section: the search table for `.eh_frame`.
    #[must_use]
    pub fn eh_frame_hdr(&self) -> Option<UnwindSection<'_>> {
        self.unwind_section(".eh_frame_hdr")
    }

    /// Returns the decompressed `.debug_frame` section of the file itself or of its debug file.
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

    /// Returns the bytes of a section of the file itself.
    pub(in crate::debuginfo) fn loaded_section(&self, name: &str) -> Option<&[u8]> {
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

    /// Returns the DWARF of the module, from its debug file if it has one.
    ///
    /// This is cheap: a handful of slices. They are empty without debug information.
    #[must_use]
    pub fn dwarf(&self) -> gimli::Dwarf<Slice<'_>> {
        let mut dwarf = self.dwarf_file().dwarf();
        if let Some(supplementary) = &self.supplementary {
            dwarf.set_sup(supplementary.dwarf());
        }
        dwarf
    }

    /// Gives back the memory that a pass over all of the DWARF has touched.
    pub(in crate::debuginfo) fn release(&self) {
        let files = [Some(&self.main), self.debug.as_ref()];
        for file in files.into_iter().flatten() {
            file.release();
        }
    }

    /// Returns all symbols of functions, objects and thread-locals, by address.
    pub fn symbols(&self) -> impl Iterator<Item = Symbol<'_>> {
        let file = self.symbol_file();
        file.symbols()
            .iter()
            .map(|symbol| symbol.symbol(file.bytes()))
    }

    /// Returns a section of the file itself.
    pub(in crate::debuginfo) fn main_section(&self, name: &str) -> Option<&ElfSection> {
        self.main.section(name)
    }

    /// Returns the symbols that begin at `address`.
    pub(in crate::debuginfo) fn symbols_at(
        &self,
        address: LinkAddr,
    ) -> impl Iterator<Item = Symbol<'_>> {
        let file = self.symbol_file();
        let symbols = file.symbols();
        let first = symbols.partition_point(|symbol| symbol.address < address.0);
        let rest = symbols.get(first..).unwrap_or_default().iter();
        rest.take_while(move |symbol| symbol.address == address.0)
            .map(|symbol| symbol.symbol(file.bytes()))
    }

    /// Returns the symbol that `address` belongs to: the nearest symbol whose size reaches it, or
    /// else a symbol of unknown size if no other symbol begins between it and `address`. A symbol
    /// ends with its section.
    #[must_use]
    pub fn symbol_at(&self, address: LinkAddr) -> Option<Symbol<'_>> {
        let file = self.symbol_file();
        let symbols = file.symbols();
        let end = symbols.partition_point(|symbol| symbol.address <= address.0);
        // Symbols may nest or be aliases. A bounded look back is enough.
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

    /// Returns the symbols with exactly this (mangled) name.
    #[must_use]
    pub fn symbols_named(&self, name: &str) -> Vec<Symbol<'_>> {
        self.symbols()
            .filter(|symbol| symbol.name == name.as_bytes())
            .collect()
    }

    /// Returns the file that has the DWARF.
    pub(in crate::debuginfo) fn dwarf_file(&self) -> &ObjectFile {
        self.debug
            .as_ref()
            .filter(|debug| debug.has_dwarf())
            .unwrap_or(&self.main)
    }

    fn symbol_file(&self) -> &ObjectFile {
        // A stripped file has only its dynamic symbols; its debug file has all.
        match &self.debug {
            Some(debug) if self.main.section(".symtab").is_none() => debug,
            _ => &self.main,
        }
    }
}

/// Returns the ranges of the executable sections, or of the segments if the sections were
/// stripped.
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
