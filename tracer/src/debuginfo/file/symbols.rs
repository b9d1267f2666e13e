//! Symbols of an ELF file by address and by name: functions, objects and thread-locals.

use std::ops::Range;

use object::elf;
use object::read::elf::{ElfFile64, SectionHeader as _, Sym as _, SymbolTable};
use object::{LittleEndian, SectionIndex};

use crate::base::address::LinkAddr;
use crate::debuginfo::budget::{ReadBudget, ReaderKind};

/// Symbols that are kept of one file; big programs have some hundred thousand.
const MAX_SYMBOLS: usize = 8 << 20;

/// Bytes of a symbol's name that are read.
const MAX_NAME_BYTES: usize = 16 << 10;

/// Steps to read one symbol, to sort it in, and to look at it a few times.
const SYMBOL_STEPS: u64 = 60;

/// Bytes that are kept of one symbol, including the memory for sorting.
const KEPT_BYTES: u64 = 64;

/// The kind of thing that a symbol names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SymbolKind {
    /// Code.
    Function,
    /// Code that chooses a function at load time (`STT_GNU_IFUNC`).
    Indirect,
    /// Data.
    Object,
    /// An offset in the thread-local block.
    Tls,
}

/// One symbol that is defined in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Mangled name, as the linker wrote it.
    pub name: &'a [u8],
    /// Start address; for [`SymbolKind::Tls`] the offset in the thread-local block.
    pub address: LinkAddr,
    /// Size in bytes; 0 is unknown.
    pub size: u64,
    /// The kind of thing that the symbol names.
    pub kind: SymbolKind,
    /// True if other modules can see it.
    pub global: bool,
}

impl<'a> Symbol<'a> {
    /// Returns the name without a version: `malloc` for `malloc@@GLIBC_2.2.5`.
    pub(in crate::debuginfo) fn unversioned(&self) -> &'a [u8] {
        let mut parts = self.name.split(|byte| *byte == b'@');
        parts.next().unwrap_or(self.name)
    }
}

/// A symbol whose name is a range of the file.
#[derive(Clone, Debug)]
pub(in crate::debuginfo) struct RawSymbol {
    pub(in crate::debuginfo) address: u64,
    pub(in crate::debuginfo) size: u64,
    /// Address after the symbol, given by its size within its section, or by the section's end if
    /// the size is unknown.
    pub(in crate::debuginfo) end: u64,
    name: u64,
    name_size: u32,
    pub(in crate::debuginfo) kind: SymbolKind,
    global: bool,
}

impl RawSymbol {
    /// Returns true if `address` is in the symbol, according to its size or its section.
    pub(in crate::debuginfo) const fn holds(&self, address: u64) -> bool {
        self.address <= address && address < self.end
    }

    pub(in crate::debuginfo) fn symbol<'a>(&self, image: &'a [u8]) -> Symbol<'a> {
        let name = usize::try_from(self.name).ok().and_then(|start| {
            let size = usize::try_from(self.name_size).ok()?;
            image.get(start..start.checked_add(size)?)
        });
        Symbol {
            name: name.unwrap_or_default(),
            address: LinkAddr(self.address),
            size: self.size,
            kind: self.kind,
            global: self.global,
        }
    }
}

/// Reads the symbols of `image`, by address: from `.symtab`, or from `.dynsym` if that was
/// stripped.
///
/// Names may share their bytes. The bytes of all names together count against the budget, so that
/// a pass over all names takes work in proportion to the file.
pub(in crate::debuginfo) fn read_symbols(image: &[u8], budget: &ReadBudget) -> Vec<RawSymbol> {
    let Ok(parsed) = ElfFile64::<LittleEndian>::parse(image) else {
        return Vec::new();
    };
    let table = if parsed.elf_symbol_table().is_empty() {
        parsed.elf_dynamic_symbol_table()
    } else {
        parsed.elf_symbol_table()
    };
    let strings = strings_of(&parsed, table, image);
    let mut meter = budget.meter(ReaderKind::Symbols);
    let mut symbols: Vec<RawSymbol> = table
        .enumerate()
        .take(MAX_SYMBOLS)
        .filter_map(|(index, symbol)| {
            let kind = match symbol.st_type() {
                elf::STT_FUNC => SymbolKind::Function,
                elf::STT_GNU_IFUNC => SymbolKind::Indirect,
                elf::STT_OBJECT => SymbolKind::Object,
                elf::STT_TLS => SymbolKind::Tls,
                _ => return None,
            };
            // Undefined and absolute symbols are in no section.
            let section = table.symbol_section(LittleEndian, symbol, index).ok()??;
            let (value, length) = (symbol.st_value(LittleEndian), symbol.st_size(LittleEndian));
            let end = end_of(&parsed, section, value, length);
            let start = strings
                .start
                .checked_add(usize::try_from(symbol.st_name(LittleEndian)).ok()?)?;
            let names = image.get(start..strings.end)?;
            let names = names.get(..MAX_NAME_BYTES).unwrap_or(names);
            let size = memchr::memchr(0, names).unwrap_or(names.len());
            if !meter.take(SYMBOL_STEPS + size as u64)
                || !budget.hold(ReaderKind::Symbols, KEPT_BYTES)
            {
                return None;
            }
            (size > 0).then_some(RawSymbol {
                address: value,
                size: length,
                end: end.unwrap_or(value),
                name: u64::try_from(start).ok()?,
                name_size: u32::try_from(size).ok()?,
                kind,
                global: symbol.st_bind() != elf::STB_LOCAL,
            })
        })
        .collect();
    symbols.sort_by_key(|symbol| (symbol.address, !symbol.global));
    symbols
}

/// Returns the end of a symbol that begins at `value` in a section, or `None` if the section is
/// not loaded or does not contain the value.
fn end_of(
    parsed: &ElfFile64<'_, LittleEndian>,
    section: SectionIndex,
    value: u64,
    size: u64,
) -> Option<u64> {
    let section = parsed.elf_section_table().section(section).ok()?;
    let loaded = section.sh_flags(LittleEndian).contains(elf::SHF_ALLOC);
    let start = section.sh_addr(LittleEndian);
    let section_end = start.checked_add(section.sh_size(LittleEndian))?;
    if !loaded || !(start..section_end).contains(&value) {
        return None;
    }
    Some(match size {
        0 => section_end,
        size => value.saturating_add(size).min(section_end),
    })
}

fn strings_of(
    parsed: &ElfFile64<'_, LittleEndian>,
    table: &SymbolTable<'_, elf::FileHeader64<LittleEndian>>,
    image: &[u8],
) -> Range<usize> {
    let index: SectionIndex = table.string_section();
    let found = parsed
        .elf_section_table()
        .section(index)
        .ok()
        .and_then(|section| section.file_range(LittleEndian))
        .and_then(|(offset, size)| {
            let start = usize::try_from(offset).ok()?;
            let end = start.checked_add(usize::try_from(size).ok()?)?;
            (end <= image.len()).then_some(start..end)
        });
    found.unwrap_or_default()
}
