//! Parses one unit into gimli's representation, within the budget.
//!
//! gimli's own function parses the abbreviations and the header of the line table again for each
//! unit, and searches for the ends of names of any length. Many units may share all of these.
//! Here abbreviations come from the module's cache, names are cut, and the line table is read
//! only on demand.

use std::sync::Arc;

use gimli::{
    Abbreviations, AttributeValue, DebugAbbrevOffset, Reader as _, Section as _, UnitHeader,
    UnitType,
};

use crate::debuginfo::Slice;
use crate::debuginfo::budget::{Excess, KeptMemory, ReadBudget, ReaderKind};
use crate::debuginfo::limits::{ATTRIBUTES, LINE_HEADER_BYTES, NAME_BYTES};

/// Bytes that gimli keeps of one abbreviation, and of one attribute of it.
const ABBREVIATION_BYTES: u64 = 128;
const ATTRIBUTE_BYTES: u64 = 16;
/// Steps to parse one abbreviation, twice.
const ABBREVIATION_STEPS: u64 = 60;
/// Steps to read the root of a unit.
const ROOT_STEPS: u64 = 400;
/// Steps for each attribute that is read.
pub(in crate::debuginfo) const ATTRIBUTE_STEPS: u64 = 12;
/// Bytes that gimli keeps for each byte of a line table's header, in honest files.
const HEADER_GROWTH: u64 = 16;

/// A table of abbreviations that counts against the budget.
pub(in crate::debuginfo) struct AbbreviationTable {
    /// The table in gimli's representation.
    pub(in crate::debuginfo) parsed: Arc<Abbreviations>,
    /// Number of its abbreviations and attributes.
    pub(in crate::debuginfo) weight: usize,
    _kept: KeptMemory,
}

/// Parses the table of abbreviations at an offset. Returns `None` if it is damaged or over the
/// budget.
pub(in crate::debuginfo) fn parse_abbreviations<'a>(
    budget: &Arc<ReadBudget>,
    dwarf: &gimli::Dwarf<Slice<'a>>,
    offset: DebugAbbrevOffset,
) -> Option<AbbreviationTable> {
    let mut input = *dwarf.debug_abbrev.reader();
    input.skip(offset.0).ok()?;
    let (declared, attributes) = measure(budget, input)?;
    let bytes = declared * ABBREVIATION_BYTES + attributes * ATTRIBUTE_BYTES;
    let kept = budget.keep(ReaderKind::Abbreviations, bytes)?;
    let parsed = dwarf.debug_abbrev.abbreviations(offset).ok()?;
    Some(AbbreviationTable {
        parsed: Arc::new(parsed),
        weight: usize::try_from(declared + attributes).unwrap_or(usize::MAX),
        _kept: kept,
    })
}

/// Counts the abbreviations and attributes of the table that begins here.
fn measure(budget: &ReadBudget, mut input: Slice<'_>) -> Option<(u64, u64)> {
    let mut meter = budget.meter(ReaderKind::Abbreviations);
    let (mut declared, mut all) = (0, 0);
    // A table may end at the end of its section, without a terminator.
    while !input.is_empty() && input.read_uleb128().ok()? != 0 {
        let _tag = input.read_uleb128().ok()?;
        let _children = input.read_u8().ok()?;
        let mut attributes = 0;
        loop {
            let name = input.read_uleb128().ok()?;
            let form = input.read_uleb128().ok()?;
            if form == u64::from(gimli::DW_FORM_implicit_const.0) {
                input.read_sleb128().ok()?;
            }
            if name == 0 && form == 0 {
                break;
            }
            attributes += 1;
        }
        if attributes > ATTRIBUTES {
            let (found, limit) = (attributes, ATTRIBUTES);
            budget.refuse(ReaderKind::Abbreviations, Excess::Size { found, limit });
            return None;
        }
        declared += 1;
        all += attributes;
        if !meter.take(ABBREVIATION_STEPS + attributes * ATTRIBUTE_STEPS) {
            return None;
        }
    }
    Some((declared, all))
}

/// Reads a unit without its line table; see [`line_program`].
///
/// # Errors
/// Fails if the root of the unit is damaged.
pub(in crate::debuginfo) fn parse_unit<'a>(
    budget: &ReadBudget,
    dwarf: &gimli::Dwarf<Slice<'a>>,
    header: UnitHeader<Slice<'a>>,
    abbreviations: Arc<Abbreviations>,
) -> Result<gimli::Unit<Slice<'a>>, gimli::Error> {
    let root = header.entry(&abbreviations, header.root_offset())?;
    let attributes = root.attrs().len() as u64;
    if !budget.spend(
        ReaderKind::Units,
        ROOT_STEPS + attributes * ATTRIBUTE_STEPS,
        1,
    ) {
        return Err(gimli::Error::MissingUnitDie);
    }
    let encoding = header.encoding();
    let mut unit = gimli::Unit {
        abbreviations,
        name: None,
        comp_dir: None,
        low_pc: 0,
        str_offsets_base: gimli::DebugStrOffsetsBase::default_for_encoding_and_file(
            encoding,
            dwarf.file_type,
        ),
        addr_base: gimli::DebugAddrBase(0),
        loclists_base: gimli::DebugLocListsBase::default_for_encoding_and_file(
            encoding,
            dwarf.file_type,
        ),
        rnglists_base: gimli::DebugRngListsBase::default_for_encoding_and_file(
            encoding,
            dwarf.file_type,
        ),
        line_program: None,
        dwo_id: match header.type_() {
            UnitType::Skeleton(id) | UnitType::SplitCompilation(id) => Some(id),
            _ => None,
        },
        header,
    };
    for attribute in root.attrs() {
        match attribute.value() {
            AttributeValue::DebugStrOffsetsBase(base) => unit.str_offsets_base = base,
            AttributeValue::DebugAddrBase(base) => unit.addr_base = base,
            AttributeValue::DebugLocListsBase(base) => unit.loclists_base = base,
            AttributeValue::DebugRngListsBase(base) => unit.rnglists_base = base,
            AttributeValue::DwoId(id) => unit.dwo_id = unit.dwo_id.or(Some(id)),
            _ => {}
        }
    }
    let string = |name| {
        let value = root.attr_value(name)?;
        bounded_string(dwarf, &unit, value, NAME_BYTES)
    };
    (unit.name, unit.comp_dir) = (string(gimli::DW_AT_name), string(gimli::DW_AT_comp_dir));
    if let Some(value) = root.attr_value(gimli::DW_AT_low_pc)
        && let Some(address) = dwarf.attr_address(&unit, value)?
    {
        unit.low_pc = address;
    }
    Ok(unit)
}

/// Returns the offset of a unit's line table.
pub(in crate::debuginfo) fn line_offset(
    unit: &gimli::Unit<Slice<'_>>,
) -> Option<gimli::DebugLineOffset> {
    let root = unit.entry(unit.header.root_offset()).ok()?;
    match root.attr_value(gimli::DW_AT_stmt_list)? {
        AttributeValue::DebugLineRef(offset) => Some(offset),
        _ => None,
    }
}

/// Returns the line table at an offset, with its header parsed.
pub(in crate::debuginfo) fn line_program<'a>(
    budget: &ReadBudget,
    dwarf: &gimli::Dwarf<Slice<'a>>,
    offset: gimli::DebugLineOffset,
    directory: Option<Slice<'a>>,
) -> Option<gimli::IncompleteLineProgram<Slice<'a>>> {
    let mut input = *dwarf.debug_line.reader();
    input.skip(offset.0).ok()?;
    let bytes = header_bytes(input)?;
    if bytes > LINE_HEADER_BYTES {
        let (found, limit) = (bytes as u64, LINE_HEADER_BYTES as u64);
        budget.refuse(ReaderKind::SourceFiles, Excess::Size { found, limit });
        return None;
    }
    if !budget.spend(ReaderKind::SourceFiles, bytes as u64 * HEADER_GROWTH / 2, 0) {
        return None;
    }
    dwarf.debug_line.program(offset, 8, directory, None).ok()
}

/// Returns the bytes of the header of the line table that begins here.
fn header_bytes(mut input: Slice<'_>) -> Option<usize> {
    let (length, format) = input.read_initial_length().ok()?;
    let mut rest = input.split(length).ok()?;
    let whole = rest.len();
    let version = rest.read_u16().ok()?;
    if version >= 5 {
        rest.skip(2).ok()?;
    }
    let header = rest.read_length(format).ok()?;
    // gimli refuses a header that is longer than its table.
    Some(header.min(whole))
}

/// Returns the text of a string attribute, cut at `most` bytes.
///
/// It replaces `gimli::Dwarf::attr_string`, which searches for the end of a string of any length.
pub(in crate::debuginfo) fn bounded_string<'a>(
    dwarf: &gimli::Dwarf<Slice<'a>>,
    unit: &gimli::Unit<Slice<'a>>,
    value: AttributeValue<Slice<'a>>,
    most: usize,
) -> Option<Slice<'a>> {
    let indexed = |index| {
        let format = unit.header.format();
        let base = unit.str_offsets_base;
        let offset = dwarf.debug_str_offsets.get_str_offset(format, base, index);
        text_at(dwarf.debug_str.reader(), offset.ok()?.0, most)
    };
    match value {
        AttributeValue::DebugStrOffsetsIndex(index) => indexed(index),
        value => bounded_line_string(dwarf, value, most),
    }
}

/// Returns a string of a line table, cut at `most` bytes.
pub(in crate::debuginfo) fn bounded_line_string<'a>(
    dwarf: &gimli::Dwarf<Slice<'a>>,
    value: AttributeValue<Slice<'a>>,
    most: usize,
) -> Option<Slice<'a>> {
    match value {
        AttributeValue::String(text) => Some(cut(text, most)),
        AttributeValue::DebugStrRef(offset) => text_at(dwarf.debug_str.reader(), offset.0, most),
        AttributeValue::DebugStrRefSup(offset) => {
            text_at(dwarf.sup()?.debug_str.reader(), offset.0, most)
        }
        AttributeValue::DebugLineStrRef(offset) => {
            text_at(dwarf.debug_line_str.reader(), offset.0, most)
        }
        _ => None,
    }
}

fn text_at<'a>(section: &Slice<'a>, offset: usize, most: usize) -> Option<Slice<'a>> {
    let bytes = section.slice().get(offset..)?;
    let bytes = bytes.get(..most).unwrap_or(bytes);
    let end = memchr::memchr(0, bytes);
    // A string that its section ends without a terminator is invalid.
    let end = end.or((bytes.len() == most).then_some(most))?;
    Some(Slice::new(bytes.get(..end)?, gimli::LittleEndian))
}

fn cut(text: Slice<'_>, most: usize) -> Slice<'_> {
    match text.slice().get(..most) {
        Some(bytes) => Slice::new(bytes, gimli::LittleEndian),
        None => text,
    }
}
