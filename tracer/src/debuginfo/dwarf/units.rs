//! The units of a module's DWARF: their offsets, and the facts in their roots.

use std::path::PathBuf;

use gimli::{AttributeValue, UnitOffset};

use super::die_id::FileNumber;
use super::unit_parser::{bounded_string, line_offset, line_program};
use crate::base::address::LinkAddr;
use crate::debuginfo::Slice;
use crate::debuginfo::budget::ReadBudget;
use crate::debuginfo::limits::NAME_BYTES;
use crate::debuginfo::model::types::Language;

/// Bit of a DIE's offset that marks the supplementary file.
pub(in crate::debuginfo) const SUPPLEMENTARY: u64 = 1 << 62;

/// Position, in a DIE's offset, of the number of its split unit. The number is 0 for none, else
/// the [`UnitId`] of the skeleton plus one.
const SPLIT_SHIFT: u32 = 40;

/// Identifies one unit of a module's main `.debug_info`: its index in
/// [`Files::units`](crate::debuginfo::files::Files::units).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnitId(pub u32);

/// The facts in the root of a unit.
#[derive(Clone, Debug)]
pub struct UnitInfo {
    /// Offset of its header in `.debug_info`.
    pub offset: u64,
    /// `DW_AT_name`: its main source file.
    pub name: String,
    /// `DW_AT_comp_dir`: the directory of relative names.
    pub directory: PathBuf,
    /// Language of its source.
    pub language: Language,
    /// Offset of its line program in `.debug_line`.
    pub line_program: Option<u64>,
    /// `DW_AT_dwo_name` of a skeleton: the file with the rest.
    pub split: Option<(PathBuf, gimli::DwoId)>,
    /// True if the root could be read.
    pub readable: bool,
}

/// A parsed unit, with the DWARF that its references point into.
pub struct Unit<'a> {
    /// Sections of the file that contains the unit.
    pub dwarf: gimli::Dwarf<Slice<'a>>,
    /// The unit.
    pub unit: gimli::Unit<Slice<'a>>,
    /// Offset of its line table in `.debug_line`.
    pub(in crate::debuginfo) line_offset: Option<gimli::DebugLineOffset>,
    pub(super) base: u64,
}

/// The file that contains a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::debuginfo) enum UnitSpace {
    Main,
    Supplementary,
    Split(UnitId),
}

impl UnitSpace {
    /// Returns the number that is added to offsets in `.debug_info` to make them unique across
    /// files.
    pub(in crate::debuginfo) fn base(self) -> u64 {
        match self {
            Self::Main => 0,
            Self::Supplementary => SUPPLEMENTARY,
            Self::Split(UnitId(id)) => (u64::from(id) + 1) << SPLIT_SHIFT,
        }
    }

    /// Splits an offset that is unique across files into the file and the offset there.
    pub(in crate::debuginfo) fn of(offset: u64) -> Option<(Self, u64)> {
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
    pub(in crate::debuginfo) fn new(
        dwarf: gimli::Dwarf<Slice<'a>>,
        unit: gimli::Unit<Slice<'a>>,
        space: UnitSpace,
    ) -> Self {
        Self {
            line_offset: line_offset(&unit),
            dwarf,
            unit,
            base: space.base(),
        }
    }

    /// Returns the line table with its header parsed, or `None` if the unit has none that can be
    /// read.
    pub(in crate::debuginfo) fn line_program(
        &self,
        budget: &ReadBudget,
    ) -> Option<gimli::IncompleteLineProgram<Slice<'a>>> {
        line_program(budget, &self.dwarf, self.line_offset?, self.unit.comp_dir)
    }

    /// Returns the text of a string attribute, cut at [`NAME_BYTES`].
    pub(in crate::debuginfo) fn string(
        &self,
        value: AttributeValue<Slice<'a>>,
    ) -> Option<&'a [u8]> {
        let text = bounded_string(&self.dwarf, &self.unit, value, NAME_BYTES)?;
        Some(text.slice())
    }

    /// Returns a number that identifies the unit in the module: the offset of its header, in the
    /// numbering of [`Unit::die_offset`].
    #[must_use]
    pub fn key(&self) -> u64 {
        let header = self.unit.header.debug_info_offset();
        self.base | header.map_or(0, |offset| offset.0 as u64)
    }

    /// Returns the file that contains the unit.
    pub(super) fn file(&self) -> Option<FileNumber> {
        Some(match UnitSpace::of(self.base)?.0 {
            UnitSpace::Main => FileNumber::Main,
            UnitSpace::Supplementary => FileNumber::Supplementary,
            UnitSpace::Split(UnitId(number)) => FileNumber::Split(number),
        })
    }

    /// Returns a number that identifies the file that contains the unit.
    pub(in crate::debuginfo) const fn file_key(&self) -> u64 {
        self.base
    }

    /// Returns the unit together with its sections, in the form that gimli's methods need.
    #[must_use]
    pub fn reference(&self) -> gimli::UnitRef<'_, Slice<'a>> {
        gimli::UnitRef::new(&self.dwarf, &self.unit)
    }

    /// Returns the offset of a DIE of this unit, unique in the module; see
    /// [`crate::debuginfo::model::types::TypeId`].
    #[must_use]
    pub fn die_offset(&self, offset: UnitOffset) -> u64 {
        let in_info = offset
            .to_debug_info_offset(&self.unit.header)
            .map_or(0, |offset| offset.0);
        // `usize` is 64 bits wide on all supported platforms.
        self.base | in_info as u64
    }

    /// Returns the source language that the root names.
    #[must_use]
    pub fn language(&self) -> Language {
        let mut entries = self.unit.entries();
        match entries.next_dfs() {
            Ok(Some(root)) => language_of(root.attr_value(gimli::DW_AT_language)),
            _ => Language::Other,
        }
    }
}

/// Returns the language that a root's `DW_AT_language` names.
pub(in crate::debuginfo) fn language_of(value: Option<AttributeValue<Slice<'_>>>) -> Language {
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

/// Maps addresses of code to units.
pub(in crate::debuginfo) struct UnitRanges(
    pub(in crate::debuginfo) Vec<(LinkAddr, LinkAddr, UnitId)>,
);

impl UnitRanges {
    /// Returns the unit with the innermost range around `address`.
    pub(in crate::debuginfo) fn find(&self, address: LinkAddr) -> Option<UnitId> {
        let end = self.0.partition_point(|(begin, ..)| *begin <= address);
        // Ranges of valid files do not overlap. A bounded look back is enough.
        self.0
            .get(end.saturating_sub(32)..end)?
            .iter()
            .rev()
            .find(|(_, end, _)| address < *end)
            .map(|(.., id)| *id)
    }
}
