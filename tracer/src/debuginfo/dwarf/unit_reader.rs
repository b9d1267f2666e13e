//! Reads the units of a module's DWARF from the main file, the supplementary file, or split
//! files.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use gimli::AttributeValue;
use rayon::prelude::*;

use super::die_id::{DieId, FileNumber, SectionKey};
use super::ranges::die_ranges;
use super::unit_parser::{bounded_string, parse_unit};
use super::units::{SUPPLEMENTARY, Unit, UnitId, UnitInfo, UnitRanges, UnitSpace, language_of};
use crate::base::address::LinkAddr;
use crate::debuginfo::Slice;
use crate::debuginfo::budget::{ReadBudget, ReaderKind};
use crate::debuginfo::error::DebugInfoError;
use crate::debuginfo::file::object::text;
use crate::debuginfo::files::Files;
use crate::debuginfo::limits::NAME_BYTES;
use crate::debuginfo::model::types::Language;

/// Steps to read the header of a unit.
const HEADER_STEPS: u64 = 30;
/// Steps to read the header of a type unit.
const TYPE_UNIT_STEPS: u64 = 60;
/// Bytes that are kept of a type unit's signature.
const SIGNATURE_BYTES: u64 = 48;
/// Bytes that are kept of a range of a unit, including the memory for sorting.
const RANGE_BYTES: u64 = 48;
/// Bytes that are kept of a unit's root, without its names.
const ROOT_BYTES: u64 = 160;

impl Files {
    /// Returns the facts in the root of each unit. They are read on first use.
    #[must_use]
    pub fn units(&self) -> &[UnitInfo] {
        self.units.get_or_init(|| read_units(self))
    }

    /// Reads a unit. A split unit is read from its own file if that is found; else its skeleton
    /// is returned, which has no functions.
    ///
    /// # Errors
    /// [`DebugInfoError::BadDwarf`].
    pub fn unit(&self, id: UnitId) -> Result<Unit<'_>, DebugInfoError> {
        match self.split_unit(id)? {
            Some(unit) => Ok(unit),
            None => self.unit_skeleton(id),
        }
    }

    /// Returns the unit with the code at `address`.
    #[must_use]
    pub fn unit_at(&self, address: LinkAddr) -> Option<UnitId> {
        self.unit_ranges
            .get_or_init(|| read_ranges(self))
            .find(address)
    }

    /// Reads a unit from the main file, even if it is only a skeleton.
    pub(in crate::debuginfo) fn unit_skeleton(
        &self,
        id: UnitId,
    ) -> Result<Unit<'_>, DebugInfoError> {
        let info = self.unit_info(id)?;
        let dwarf = self.dwarf();
        let unit = self.read_unit(FileNumber::Main, &dwarf, info.offset)?;
        Ok(Unit::new(dwarf, unit, UnitSpace::Main))
    }

    /// Returns the facts in the root of the unit.
    ///
    /// # Errors
    /// Fails if the module has no such unit.
    pub fn unit_info(&self, id: UnitId) -> Result<&UnitInfo, DebugInfoError> {
        usize::try_from(id.0)
            .ok()
            .and_then(|index| self.units().get(index))
            .ok_or_else(|| DebugInfoError::BadDwarf {
                what: format!("no unit {}", id.0),
            })
    }

    /// Returns the unit that has the DIE at `offset` (in the numbering of [`Unit::die_offset`]
    /// and [`crate::debuginfo::model::types::TypeId`]), and the offset of the DIE in the unit.
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
        let (space, local) = UnitSpace::of(offset).ok_or_else(nowhere)?;
        let unit = match space {
            UnitSpace::Main => {
                let units = self.units();
                let index = units.partition_point(|unit| unit.offset <= local);
                let info = index.checked_sub(1).and_then(|index| units.get(index));
                let dwarf = self.dwarf();
                let offset = info.ok_or_else(nowhere)?.offset;
                let unit = self.read_unit(FileNumber::Main, &dwarf, offset)?;
                Unit::new(dwarf, unit, space)
            }
            UnitSpace::Supplementary => {
                let file = self.supplementary.as_ref().ok_or_else(nowhere)?;
                let dwarf = file.dwarf();
                let units = self
                    .supplementary_units
                    .get_or_init(|| unit_offsets(&self.budget, &dwarf));
                let index = units.partition_point(|unit| *unit <= local);
                let start = index.checked_sub(1).and_then(|index| units.get(index));
                let start = *start.ok_or_else(nowhere)?;
                let unit = self.read_unit(FileNumber::Supplementary, &dwarf, start)?;
                Unit::new(dwarf, unit, space)
            }
            UnitSpace::Split(id) => {
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
                    let other = self.read_unit(file, &unit.dwarf, start)?;
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

    /// Returns the target of a reference attribute, as an offset unique in the module.
    ///
    /// Returns `None` for attributes that are not references, and for type signatures that no
    /// unit of the same file has.
    pub(in crate::debuginfo) fn referenced<'a>(
        &self,
        unit: &Unit<'a>,
        value: &AttributeValue<Slice<'a>>,
    ) -> Option<u64> {
        match *value {
            AttributeValue::UnitRef(offset) => Some(unit.die_offset(offset)),
            AttributeValue::DebugInfoRef(offset) => Some(unit.base | offset.0 as u64),
            AttributeValue::DebugInfoRefSup(offset) => Some(SUPPLEMENTARY | offset.0 as u64),
            AttributeValue::DebugTypesRef(signature) => {
                let file = unit.file()?;
                self.type_unit(file, &unit.dwarf, signature.0)
                    .map(|id| id.0)
            }
            _ => None,
        }
    }

    /// Returns the entry of the type that a signature names, in the type units of a file.
    pub(in crate::debuginfo) fn type_unit(
        &self,
        file: FileNumber,
        dwarf: &gimli::Dwarf<Slice<'_>>,
        signature: u64,
    ) -> Option<DieId> {
        let read = || Arc::new(signatures_of(&self.budget, dwarf, file));
        let known = self.signatures.get_or_read(usize::MAX, file, read);
        known.get(&signature).copied()
    }

    /// Reads the unit whose header is at `offset` of a file's `.debug_info`.
    pub(in crate::debuginfo) fn read_unit<'a>(
        &self,
        file: FileNumber,
        dwarf: &gimli::Dwarf<Slice<'a>>,
        offset: u64,
    ) -> Result<gimli::Unit<Slice<'a>>, DebugInfoError> {
        let offset =
            usize::try_from(offset).map_err(|_| gimli::Error::OffsetOutOfBounds(offset))?;
        let header = dwarf.unit_header(gimli::DebugInfoOffset(offset))?;
        self.read_unit_of(file, dwarf, header)
    }

    /// Reads the unit of a header.
    pub(in crate::debuginfo) fn read_unit_of<'a>(
        &self,
        file: FileNumber,
        dwarf: &gimli::Dwarf<Slice<'a>>,
        header: gimli::UnitHeader<Slice<'a>>,
    ) -> Result<gimli::Unit<Slice<'a>>, DebugInfoError> {
        let abbreviations = self.abbreviations.get(&self.budget, file, dwarf, &header);
        self.require_budget()?;
        let abbreviations = abbreviations.ok_or_else(|| DebugInfoError::BadDwarf {
            what: "bad abbreviations".to_owned(),
        })?;
        Ok(parse_unit(&self.budget, dwarf, header, abbreviations)?)
    }
}

/// Returns the offsets of the units of one `.debug_info`, in order.
pub(in crate::debuginfo) fn unit_offsets(
    budget: &ReadBudget,
    dwarf: &gimli::Dwarf<Slice<'_>>,
) -> Vec<u64> {
    let mut offsets = Vec::new();
    let mut units = dwarf.units();
    let mut meter = budget.meter(ReaderKind::Units);
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
pub(in crate::debuginfo) fn read_units(files: &Files) -> Vec<UnitInfo> {
    let dwarf = files.dwarf();
    let offsets = unit_offsets(&files.budget, &dwarf);
    drop(dwarf);
    offsets
        .par_chunks(chunk_of(offsets.len()))
        .flat_map_iter(|offsets| {
            let dwarf = files.dwarf();
            let units = offsets
                .iter()
                .map(|&offset| {
                    read_root(files, &dwarf, offset).unwrap_or_else(|_| UnitInfo {
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
            files.release();
            units
        })
        .collect()
}

/// Returns the number of units that one step of a pass over all units reads.
fn chunk_of(units: usize) -> usize {
    units.div_ceil(rayon::current_num_threads() * 16).max(1)
}

fn read_root(
    files: &Files,
    dwarf: &gimli::Dwarf<Slice<'_>>,
    offset: u64,
) -> Result<UnitInfo, DebugInfoError> {
    let unit = files.read_unit(FileNumber::Main, dwarf, offset)?;
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
    if !files.budget.hold(ReaderKind::Units, bytes) {
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

/// Reads the address ranges of all units, on all processors.
fn read_ranges(files: &Files) -> UnitRanges {
    let count = u32::try_from(files.units().len()).unwrap_or(u32::MAX);
    let ids: Vec<UnitId> = (0..count).map(UnitId).collect();
    let mut all: Vec<_> = ids
        .par_chunks(chunk_of(ids.len()))
        .flat_map_iter(|ids| {
            let mut found = Vec::new();
            for &id in ids {
                let unit = files.unit_skeleton(id);
                let ranges = unit.map(|unit| unit_ranges(files, &unit));
                let ranges = ranges.unwrap_or_default().into_iter();
                found.extend(ranges.map(|(begin, end)| (begin, end, id)));
            }
            files.release();
            found
        })
        .collect();
    all.par_sort_unstable();
    UnitRanges(all)
}

/// Returns the types of a file's type units, by signature.
fn signatures_of(
    budget: &ReadBudget,
    dwarf: &gimli::Dwarf<Slice<'_>>,
    file: FileNumber,
) -> HashMap<u64, DieId> {
    let mut found = HashMap::new();
    let mut meter = budget.meter(ReaderKind::Units);
    let mut add = |header: &gimli::UnitHeader<Slice<'_>>, types: bool, start: usize| {
        if let gimli::UnitType::Type {
            type_signature,
            type_offset,
        }
        | gimli::UnitType::SplitType {
            type_signature,
            type_offset,
        } = header.type_()
        {
            let offset = (start as u64).wrapping_add(type_offset.0 as u64);
            let id = DieId::new(SectionKey { file, types }, offset);
            found.entry(type_signature.0).or_insert(id);
            return budget.hold(ReaderKind::Units, SIGNATURE_BYTES);
        }
        true
    };
    let mut units = dwarf.units();
    while let Ok(Some(header)) = units.next()
        && meter.take(TYPE_UNIT_STEPS)
    {
        if let Some(start) = header.debug_info_offset()
            && !add(&header, false, start.0)
        {
            break;
        }
    }
    let mut units = dwarf.type_units();
    while let Ok(Some(header)) = units.next()
        && meter.take(TYPE_UNIT_STEPS)
    {
        if let Some(start) = header.debug_types_offset()
            && !add(&header, true, start.0)
        {
            break;
        }
    }
    found
}

/// Returns the address ranges of one unit, without those that the linker dropped.
fn unit_ranges(files: &Files, unit: &Unit<'_>) -> Vec<(LinkAddr, LinkAddr)> {
    let mut entries = unit.unit.entries();
    let mut ranges = match entries.next_dfs() {
        Ok(Some(root)) => die_ranges(&files.budget, unit, root),
        _ => Vec::new(),
    };
    ranges.retain(|(begin, _)| files.is_code(LinkAddr(*begin)));
    if !files
        .budget
        .hold(ReaderKind::Ranges, ranges.len() as u64 * RANGE_BYTES)
    {
        return Vec::new();
    }
    ranges
        .into_iter()
        .map(|(begin, end)| (LinkAddr(begin), LinkAddr(end)))
        .collect()
}
