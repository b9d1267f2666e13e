//! The units of a module's DWARF: where each begins, and what its root says.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use gimli::{AttributeValue, UnitOffset};
use rayon::prelude::*;

use super::Slice;
use super::budget::{Budget, Reader};
use super::dies::{FileNumber, signatures_of};
use super::error::DebugInfoError;
use super::limits::NAME_BYTES;
use super::module::Module;
use super::object::text;
use super::ranges::die_ranges;
use super::types::Language;
use super::unit_parser::{bounded_string, line_offset, line_program, parse_unit};
use crate::address::LinkAddr;

/// Steps to read the header of a unit.
const HEADER_STEPS: u64 = 30;

/// Bytes that are kept of a range of a unit, with what sorting takes.
const RANGE_BYTES: u64 = 48;

/// Bytes that are kept of a unit's root, without its names.
const ROOT_BYTES: u64 = 160;

/// Bit of a DIE's offset that says: in the supplementary file.
pub(super) const SUPPLEMENTARY: u64 = 1 << 62;

/// Where, in a DIE's offset, the number of its split unit is: 0 is none, else
/// the [`UnitId`] of its skeleton plus one.
const SPLIT_SHIFT: u32 = 40;

/// Names one unit of a module's main `.debug_info`, by its place in [`Module::units`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnitId(pub u32);

/// What the root of a unit says.
#[derive(Clone, Debug)]
pub struct UnitInfo {
    /// Offset of its header in `.debug_info`.
    pub offset: u64,
    /// `DW_AT_name`: its main source file.
    pub name: String,
    /// `DW_AT_comp_dir`: where relative names begin.
    pub directory: PathBuf,
    /// Language of its source.
    pub language: Language,
    /// Where its line program is in `.debug_line`.
    pub line_program: Option<u64>,
    /// `DW_AT_dwo_name` of a skeleton: the file with the rest.
    pub split: Option<(PathBuf, gimli::DwoId)>,
    /// Whether the root could be read.
    pub readable: bool,
}

/// A unit, read and ready, with the DWARF that its references are into.
pub struct Unit<'a> {
    /// The sections of the file that the unit is in.
    pub dwarf: gimli::Dwarf<Slice<'a>>,
    /// The unit.
    pub unit: gimli::Unit<Slice<'a>>,
    /// Where its line table is in `.debug_line`.
    pub(super) line_offset: Option<gimli::DebugLineOffset>,
    base: u64,
}

/// Which file a unit is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    Main,
    Supplementary,
    Split(UnitId),
}

impl Space {
    /// What is added to offsets in `.debug_info` to name them across files.
    pub(super) fn base(self) -> u64 {
        match self {
            Self::Main => 0,
            Self::Supplementary => SUPPLEMENTARY,
            Self::Split(UnitId(id)) => (u64::from(id) + 1) << SPLIT_SHIFT,
        }
    }

    /// Splits an offset across files into the file and the offset there.
    pub(super) fn of(offset: u64) -> Option<(Self, u64)> {
        let local = offset & ((1 << SPLIT_SHIFT) - 1);
        if offset & SUPPLEMENTARY != 0 {
            return Some((Self::Supplementary, offset & !SUPPLEMENTARY));
        }
        match offset >> SPLIT_SHIFT {
            0 => Some((Self::Main, local)),
            number => {
                let id = u32::try_from(number - 1).ok()?;
                Some((Self::Split(UnitId(id)), local))
            }
        }
    }
}

impl<'a> Unit<'a> {
    pub(super) fn new(
        dwarf: gimli::Dwarf<Slice<'a>>,
        unit: gimli::Unit<Slice<'a>>,
        space: Space,
    ) -> Self {
        Self {
            line_offset: line_offset(&unit),
            dwarf,
            unit,
            base: space.base(),
        }
    }

    /// Its line table, the header read; `None` when it has none that can be read.
    pub(super) fn line_program(
        &self,
        budget: &Budget,
    ) -> Option<gimli::IncompleteLineProgram<Slice<'a>>> {
        line_program(budget, &self.dwarf, self.line_offset?, self.unit.comp_dir)
    }

    /// The text of a string attribute, cut at [`NAME_BYTES`].
    pub(super) fn string(&self, value: AttributeValue<Slice<'a>>) -> Option<&'a [u8]> {
        let text = bounded_string(&self.dwarf, &self.unit, value, NAME_BYTES)?;
        Some(text.slice())
    }

    /// Names the unit in the module: where its header is, as [`Unit::die_offset`] counts.
    #[must_use]
    pub fn key(&self) -> u64 {
        let header = self.unit.header.debug_info_offset();
        self.base | header.map_or(0, |offset| offset.0 as u64)
    }

    /// The file that the unit is in.
    fn file(&self) -> Option<FileNumber> {
        Some(match Space::of(self.base)?.0 {
            Space::Main => FileNumber::Main,
            Space::Supplementary => FileNumber::Supplementary,
            Space::Split(UnitId(number)) => FileNumber::Split(number),
        })
    }

    /// Names the file that the unit is in.
    pub(super) const fn file_key(&self) -> u64 {
        self.base
    }

    /// The unit together with its sections, as gimli's methods want them.
    #[must_use]
    pub fn reference(&self) -> gimli::UnitRef<'_, Slice<'a>> {
        gimli::UnitRef::new(&self.dwarf, &self.unit)
    }

    /// The offset of a DIE of this unit, unique in the module; see [`super::types::TypeId`].
    #[must_use]
    pub fn die_offset(&self, offset: UnitOffset) -> u64 {
        let in_info = offset
            .to_debug_info_offset(&self.unit.header)
            .map_or(0, |offset| offset.0);
        // usize is 64 bits wide on all that we run on
        self.base | in_info as u64
    }

    /// What a reference attribute points to, as an offset unique in the module.
    ///
    /// `None` for attributes that are no reference, and for type signatures
    /// that no unit of the same file has.
    #[must_use]
    pub fn referenced(&self, module: &Module, value: &AttributeValue<Slice<'a>>) -> Option<u64> {
        match *value {
            AttributeValue::UnitRef(offset) => Some(self.die_offset(offset)),
            AttributeValue::DebugInfoRef(offset) => Some(self.base | offset.0 as u64),
            AttributeValue::DebugInfoRefSup(offset) => Some(SUPPLEMENTARY | offset.0 as u64),
            AttributeValue::DebugTypesRef(signature) => {
                let file = self.file()?;
                let known = module
                    .dies
                    .signatures(file, || signatures_of(&module.budget, &self.dwarf, file));
                known.get(&signature.0).map(|id| id.0)
            }
            _ => None,
        }
    }

    /// The source language that the root names.
    #[must_use]
    pub fn language(&self) -> Language {
        let mut entries = self.unit.entries();
        match entries.next_dfs() {
            Ok(Some(root)) => language_of(root.attr_value(gimli::DW_AT_language)),
            _ => Language::Other,
        }
    }
}

/// The language that a root's `DW_AT_language` names.
pub(super) fn language_of(value: Option<AttributeValue<Slice<'_>>>) -> Language {
    let Some(AttributeValue::Language(language)) = value else {
        return Language::Other;
    };
    match language {
        gimli::DW_LANG_Rust | gimli::DwLang(0x9000) => Language::Rust,
        gimli::DW_LANG_C
        | gimli::DW_LANG_C89
        | gimli::DW_LANG_C99
        | gimli::DW_LANG_C11
        | gimli::DwLang(0x2c | 0x3e) => Language::C,
        gimli::DW_LANG_C_plus_plus
        | gimli::DW_LANG_C_plus_plus_03
        | gimli::DW_LANG_C_plus_plus_11
        | gimli::DW_LANG_C_plus_plus_14
        | gimli::DwLang(0x2b | 0x3a) => Language::Cpp,
        _ => Language::Other,
    }
}

/// Where the units of one `.debug_info` begin, in order.
pub(super) fn unit_offsets(budget: &Budget, dwarf: &gimli::Dwarf<Slice<'_>>) -> Vec<u64> {
    let mut offsets = Vec::new();
    let mut units = dwarf.units();
    let mut meter = budget.meter(Reader::Units);
    while let Ok(Some(header)) = units.next() {
        if !meter.take(HEADER_STEPS) {
            break;
        }
        if let Some(offset) = header.debug_info_offset() {
            offsets.push(offset.0 as u64);
        }
    }
    offsets
}

/// Reads all roots, on all processors.
pub(super) fn read_units(module: &Module) -> Vec<UnitInfo> {
    let dwarf = module.dwarf();
    let offsets = unit_offsets(&module.budget, &dwarf);
    drop(dwarf);
    offsets
        .par_chunks(chunk_of(offsets.len()))
        .flat_map_iter(|offsets| {
            let dwarf = module.dwarf();
            let units = offsets
                .iter()
                .map(|&offset| {
                    read_root(module, &dwarf, offset).unwrap_or_else(|_| UnitInfo {
                        offset,
                        name: String::new(),
                        directory: PathBuf::new(),
                        language: Language::Other,
                        line_program: None,
                        split: None,
                        readable: false,
                    })
                })
                .collect::<Vec<_>>();
            module.release();
            units
        })
        .collect()
}

/// Units that one step of a pass over all of them reads.
fn chunk_of(units: usize) -> usize {
    units.div_ceil(rayon::current_num_threads() * 16).max(1)
}

fn read_root(
    module: &Module,
    dwarf: &gimli::Dwarf<Slice<'_>>,
    offset: u64,
) -> Result<UnitInfo, DebugInfoError> {
    let unit = read_unit(module, FileNumber::Main, dwarf, offset)?;
    let root = unit.entry(unit.header.root_offset())?;
    let split_name = root
        .attr_value(gimli::DW_AT_dwo_name)
        .or_else(|| root.attr_value(gimli::DW_AT_GNU_dwo_name))
        .and_then(|value| bounded_string(dwarf, &unit, value, NAME_BYTES))
        .map(|name| PathBuf::from(text(name.slice())));
    let line_program = match root.attr_value(gimli::DW_AT_stmt_list) {
        Some(AttributeValue::DebugLineRef(offset)) => Some(offset.0 as u64),
        _ => None,
    };
    let texts = [unit.name, unit.comp_dir].map(|text| text.map_or(0, |text| text.len()));
    let bytes = ROOT_BYTES + texts.iter().sum::<usize>() as u64;
    if !module.budget.hold(Reader::Units, bytes) {
        return Err(gimli::Error::MissingUnitDie.into());
    }
    Ok(UnitInfo {
        offset,
        name: unit.name.map(|name| text(name.slice())).unwrap_or_default(),
        directory: unit
            .comp_dir
            .map(|name| OsString::from_vec(name.slice().to_vec()).into())
            .unwrap_or_default(),
        language: language_of(root.attr_value(gimli::DW_AT_language)),
        line_program,
        split: split_name.zip(unit.dwo_id),
        readable: true,
    })
}

/// Reads the unit whose header is at `offset` of a file's `.debug_info`.
pub(super) fn read_unit<'a>(
    module: &Module,
    file: FileNumber,
    dwarf: &gimli::Dwarf<Slice<'a>>,
    offset: u64,
) -> Result<gimli::Unit<Slice<'a>>, DebugInfoError> {
    let offset = usize::try_from(offset).map_err(|_| gimli::Error::OffsetOutOfBounds(offset))?;
    let header = dwarf.unit_header(gimli::DebugInfoOffset(offset))?;
    read_unit_of(module, file, dwarf, header)
}

/// Reads the unit of a header.
pub(super) fn read_unit_of<'a>(
    module: &Module,
    file: FileNumber,
    dwarf: &gimli::Dwarf<Slice<'a>>,
    header: gimli::UnitHeader<Slice<'a>>,
) -> Result<gimli::Unit<Slice<'a>>, DebugInfoError> {
    let abbreviations = module
        .dies
        .abbreviations(&module.budget, file, dwarf, &header);
    module.require_budget()?;
    let abbreviations = abbreviations.ok_or_else(|| DebugInfoError::BadDwarf {
        what: "bad abbreviations".to_owned(),
    })?;
    Ok(parse_unit(&module.budget, dwarf, header, abbreviations)?)
}

/// Which unit has the code at an address.
pub(super) struct UnitRanges(Vec<(LinkAddr, LinkAddr, UnitId)>);

impl UnitRanges {
    /// Reads the address ranges of all units, on all processors.
    pub(super) fn read(module: &Module) -> Self {
        let count = u32::try_from(module.units().len()).unwrap_or(u32::MAX);
        let ids: Vec<UnitId> = (0..count).map(UnitId).collect();
        let mut all: Vec<_> = ids
            .par_chunks(chunk_of(ids.len()))
            .flat_map_iter(|ids| {
                let mut found = Vec::new();
                for &id in ids {
                    let unit = module.unit_skeleton(id);
                    let ranges = unit.map(|unit| unit_ranges(module, &unit));
                    let ranges = ranges.unwrap_or_default().into_iter();
                    found.extend(ranges.map(|(begin, end)| (begin, end, id)));
                }
                module.release();
                found
            })
            .collect();
        all.par_sort_unstable();
        Self(all)
    }

    /// The unit with the innermost range around `address`.
    pub(super) fn find(&self, address: LinkAddr) -> Option<UnitId> {
        let end = self.0.partition_point(|(begin, ..)| *begin <= address);
        // Ranges of sound files do not overlap; a bounded look back will do.
        self.0
            .get(end.saturating_sub(32)..end)?
            .iter()
            .rev()
            .find(|(_, end, _)| address < *end)
            .map(|(.., id)| *id)
    }
}

/// The address ranges of one unit, without those that the linker dropped.
fn unit_ranges(module: &Module, unit: &Unit<'_>) -> Vec<(LinkAddr, LinkAddr)> {
    let mut entries = unit.unit.entries();
    let mut ranges = match entries.next_dfs() {
        Ok(Some(root)) => die_ranges(&module.budget, unit, root),
        _ => Vec::new(),
    };
    ranges.retain(|(begin, _)| module.is_code(LinkAddr(*begin)));
    if !module
        .budget
        .hold(Reader::Ranges, ranges.len() as u64 * RANGE_BYTES)
    {
        return Vec::new();
    }
    ranges
        .into_iter()
        .map(|(begin, end)| (LinkAddr(begin), LinkAddr(end)))
        .collect()
}
