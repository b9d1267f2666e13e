//! The units of a module's DWARF: where each begins, and what its root says.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use gimli::{AttributeValue, UnitOffset};
use rayon::prelude::*;

use super::Slice;
use super::error::DebugInfoError;
use super::module::Module;
use super::object::text;
use super::ranges::die_ranges;
use super::types::Language;
use crate::address::LinkAddr;

/// Units read of one file; Chromium has some 40,000.
const MAX_UNITS: usize = 1 << 20;

/// Ranges read of all units' roots; Chromium's have some two million.
const MAX_RANGES: usize = 32 << 20;

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
            dwarf,
            unit,
            base: space.base(),
        }
    }

    /// Names the unit in the module: where its header is, as [`Unit::die_offset`] counts.
    #[must_use]
    pub fn key(&self) -> u64 {
        let header = self.unit.header.debug_info_offset();
        self.base | header.map_or(0, |offset| offset.0 as u64)
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
    pub fn referenced(&self, value: &AttributeValue<Slice<'a>>) -> Option<u64> {
        match *value {
            AttributeValue::UnitRef(offset) => Some(self.die_offset(offset)),
            AttributeValue::DebugInfoRef(offset) => Some(self.base | offset.0 as u64),
            AttributeValue::DebugInfoRefSup(offset) => Some(SUPPLEMENTARY | offset.0 as u64),
            AttributeValue::DebugTypesRef(signature) => self.signature(signature),
            _ => None,
        }
    }

    /// The DIE of a type unit (DWARF 5, in `.debug_info`) by its signature.
    fn signature(&self, signature: gimli::DebugTypeSignature) -> Option<u64> {
        let mut units = self.dwarf.units();
        while let Ok(Some(header)) = units.next() {
            if let gimli::UnitType::Type {
                type_signature,
                type_offset,
            }
            | gimli::UnitType::SplitType {
                type_signature,
                type_offset,
            } = header.type_()
                && type_signature == signature
            {
                let offset = type_offset.to_debug_info_offset(&header)?;
                return Some(self.base | offset.0 as u64);
            }
        }
        None
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
pub(super) fn unit_offsets(dwarf: &gimli::Dwarf<Slice<'_>>) -> Vec<u64> {
    let mut offsets = Vec::new();
    let mut units = dwarf.units();
    while let Ok(Some(header)) = units.next() {
        if offsets.len() == MAX_UNITS {
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
    let offsets = unit_offsets(&dwarf);
    drop(dwarf);
    offsets
        .par_chunks(chunk_of(offsets.len()))
        .flat_map_iter(|offsets| {
            let dwarf = module.dwarf();
            let units = offsets
                .iter()
                .map(|&offset| {
                    read_root(&dwarf, offset).unwrap_or_else(|_| UnitInfo {
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

fn read_root(dwarf: &gimli::Dwarf<Slice<'_>>, offset: u64) -> Result<UnitInfo, DebugInfoError> {
    let unit = read_unit(dwarf, offset)?;
    let reference = gimli::UnitRef::new(dwarf, &unit);
    let mut entries = unit.entries();
    let root = entries.next_dfs()?.ok_or(gimli::Error::MissingUnitDie)?;
    let split_name = root
        .attr_value(gimli::DW_AT_dwo_name)
        .or_else(|| root.attr_value(gimli::DW_AT_GNU_dwo_name))
        .and_then(|value| reference.attr_string(value).ok())
        .map(|name| text(name.slice()).into());
    let line_program = match root.attr_value(gimli::DW_AT_stmt_list) {
        Some(AttributeValue::DebugLineRef(offset)) => Some(offset.0 as u64),
        _ => None,
    };
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

/// Reads the unit whose header is at `offset`.
pub(super) fn read_unit<'a>(
    dwarf: &gimli::Dwarf<Slice<'a>>,
    offset: u64,
) -> Result<gimli::Unit<Slice<'a>>, DebugInfoError> {
    let offset = usize::try_from(offset).map_err(|_| gimli::Error::OffsetOutOfBounds(offset))?;
    let header = dwarf.unit_header(gimli::DebugInfoOffset(offset))?;
    Ok(dwarf.unit(header)?)
}

/// Which unit has the code at an address.
pub(super) struct UnitRanges(Vec<(LinkAddr, LinkAddr, UnitId)>);

impl UnitRanges {
    /// Reads the address ranges of all units, on all processors.
    pub(super) fn read(module: &Module) -> Self {
        let count = u32::try_from(module.units().len()).unwrap_or(u32::MAX);
        let read = AtomicUsize::new(0);
        let ids: Vec<UnitId> = (0..count).map(UnitId).collect();
        let mut all: Vec<_> = ids
            .par_chunks(chunk_of(ids.len()))
            .flat_map_iter(|ids| {
                let mut found = Vec::new();
                for &id in ids {
                    let unit = module.unit_skeleton(id);
                    let ranges = unit.map(|unit| unit_ranges(module, &unit, &read));
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
fn unit_ranges(module: &Module, unit: &Unit<'_>, read: &AtomicUsize) -> Vec<(LinkAddr, LinkAddr)> {
    let mut budget = MAX_RANGES.saturating_sub(read.load(Ordering::Relaxed));
    let before = budget;
    let mut entries = unit.unit.entries();
    let mut ranges = match entries.next_dfs() {
        Ok(Some(root)) => die_ranges(unit, root, &mut budget),
        _ => Vec::new(),
    };
    read.fetch_add(before - budget, Ordering::Relaxed);
    ranges.retain(|(begin, _)| module.is_code(LinkAddr(*begin)));
    ranges
        .into_iter()
        .map(|(begin, end)| (LinkAddr(begin), LinkAddr(end)))
        .collect()
}
