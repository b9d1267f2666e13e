//! Finds the units that may have a function with a given name, without reading their entries.
//!
//! A unit names a function by the offset of its name in the string section, or by the name
//! itself. So the bytes of a unit are searched for these, a hundred times faster than its entries
//! can be read. A unit that passes may still lack the function, but a unit that does not pass has
//! none.

use gimli::{DwForm, Format, Section as _};
use memchr::memmem;

use crate::debuginfo::Slice;
use crate::debuginfo::budget::ReaderKind;
use crate::debuginfo::dwarf::units::{Unit, UnitId};
use crate::debuginfo::file::object::text;
use crate::debuginfo::files::Files;
use crate::debuginfo::model::names::without_generics;

/// Occurrences of the name in the string section; above it, every unit passes.
const MAX_OFFSETS: usize = 256;

/// Codes of one abbreviation table that are read.
const MAX_ABBREVIATIONS: u64 = 1 << 16;

/// Maximum length of a string that somebody could type as a name.
const MAX_TYPED_BYTES: usize = 128;

/// Filter of units by the name of a function; see the [module documentation](self).
pub(in crate::debuginfo) struct NameFilter {
    /// The name, with the bytes that may follow it.
    inline: Vec<memmem::Finder<'static>>,
    /// Offsets of the name in the string section, in the encoding of units.
    offsets: Vec<memmem::Finder<'static>>,
    /// True if the name occurs too often, so that every unit passes.
    all: bool,
}

/// The ways in which a unit's abbreviations name functions.
#[derive(Default)]
struct Naming {
    /// True if names are stored in a way that cannot be searched for.
    elsewhere: bool,
    /// True if names are indexes into `.debug_str_offsets`.
    indexed: bool,
    /// Number of abbreviations that were read.
    looked_at: u64,
}

impl NameFilter {
    /// Returns the filter for functions whose name, without path and generic arguments, is
    /// `name`.
    pub(in crate::debuginfo) fn new(files: &Files, name: &str) -> Self {
        let ends = [
            format!("{name}\0"),
            format!("{name}<"),
            format!("{name}::<"),
        ];
        let inline: Vec<_> = ends
            .iter()
            .map(|text| memmem::Finder::new(text.as_bytes()).into_owned())
            .collect();
        let mut filter = Self {
            inline,
            offsets: Vec::new(),
            all: name.is_empty(),
        };
        let dwarf = files.dwarf();
        let strings = dwarf.debug_str.reader().slice();
        files
            .budget
            .spend(ReaderKind::Names, strings.len() as u64, 1);
        for finder in &filter.inline {
            for at in finder.find_iter(strings) {
                let Ok(offset) = u32::try_from(at) else { break };
                if filter.offsets.len() == MAX_OFFSETS {
                    filter.all = true;
                    break;
                }
                let bytes = offset.to_le_bytes();
                filter
                    .offsets
                    .push(memmem::Finder::new(&bytes).into_owned());
            }
        }
        filter
    }

    /// Returns true if the unit may have the function.
    pub(in crate::debuginfo) fn passes(&self, files: &Files, id: UnitId) -> bool {
        if self.all || files.unit_info(id).is_ok_and(|info| info.split.is_some()) {
            return true;
        }
        let Ok(unit) = files.unit_skeleton(id) else {
            return false;
        };
        let naming = Naming::of(&unit);
        if !files
            .budget
            .spend(ReaderKind::Abbreviations, naming.looked_at * 10, 0)
        {
            return false;
        }
        if naming.elsewhere || unit.unit.header.format() == Format::Dwarf64 {
            return true;
        }
        if naming.indexed {
            let table = string_offsets(&unit);
            let searched = table.len() as u64 * self.offsets.len() as u64;
            if !files.budget.spend(ReaderKind::Names, searched / 8, 0) || self.in_bytes(table) {
                return true;
            }
        }
        let bytes = unit_bytes(&unit);
        // About ten bytes are searched per step.
        let searched = bytes.len() as u64 * (self.offsets.len() + self.inline.len()) as u64;
        if !files.budget.spend(ReaderKind::Names, searched / 8, 0) {
            return false;
        }
        self.in_bytes(bytes) || self.inline.iter().any(|name| name.find(bytes).is_some())
    }

    fn in_bytes(&self, bytes: &[u8]) -> bool {
        self.offsets
            .iter()
            .any(|offset| offset.find(bytes).is_some())
    }
}

impl Naming {
    fn of(unit: &Unit<'_>) -> Self {
        let mut naming = Self::default();
        for code in 1..MAX_ABBREVIATIONS {
            // Compilers number abbreviations without gaps.
            let Some(abbreviation) = unit.unit.abbreviations.get(code) else {
                return naming;
            };
            naming.looked_at = code;
            let tag = abbreviation.tag();
            if tag == gimli::DW_TAG_subprogram || tag == gimli::DW_TAG_inlined_subroutine {
                naming.add(abbreviation);
            }
        }
        naming.elsewhere = true;
        naming
    }

    fn add(&mut self, abbreviation: &gimli::Abbreviation) {
        let mut named = false;
        let mut linkage = false;
        for attribute in abbreviation.attributes() {
            let form = attribute.form();
            match attribute.name() {
                gimli::DW_AT_name => {
                    named = true;
                    self.add_name(form);
                }
                gimli::DW_AT_abstract_origin | gimli::DW_AT_specification => {
                    named = true;
                    // The original of a copy may be in another unit.
                    self.elsewhere |= !matches!(
                        form,
                        gimli::DW_FORM_ref1
                            | gimli::DW_FORM_ref2
                            | gimli::DW_FORM_ref4
                            | gimli::DW_FORM_ref8
                            | gimli::DW_FORM_ref_udata
                    );
                }
                gimli::DW_AT_linkage_name | gimli::DW_AT_MIPS_linkage_name => linkage = true,
                _ => {}
            }
        }
        self.elsewhere |= linkage && !named;
    }

    fn add_name(&mut self, form: DwForm) {
        match form {
            gimli::DW_FORM_strp | gimli::DW_FORM_string => {}
            gimli::DW_FORM_strx
            | gimli::DW_FORM_strx1
            | gimli::DW_FORM_strx2
            | gimli::DW_FORM_strx3
            | gimli::DW_FORM_strx4 => self.indexed = true,
            _ => self.elsewhere = true,
        }
    }
}

/// Returns the bytes of a unit, including its header.
fn unit_bytes<'a>(unit: &Unit<'a>) -> &'a [u8] {
    let header = &unit.unit.header;
    let start = header.debug_info_offset().map(|offset| offset.0);
    let info = unit.dwarf.debug_info.reader().slice();
    let end = start.and_then(|start| start.checked_add(header.length_including_self()));
    start
        .zip(end)
        .and_then(|(start, end)| info.get(start..end))
        .unwrap_or(info)
}

/// Returns the table that a unit's indexed strings refer to.
fn string_offsets<'a>(unit: &Unit<'a>) -> &'a [u8] {
    let table = unit.dwarf.debug_str_offsets.reader().slice();
    let base = unit.unit.str_offsets_base.0;
    // The length excludes its own field, but includes four bytes for version and padding.
    let length = base
        .checked_sub(8)
        .and_then(|at| table.get(at..at + 4)?.try_into().ok())
        .and_then(|bytes| usize::try_from(u32::from_le_bytes(bytes)).ok());
    let end = length.and_then(|length| base.checked_add(length)?.checked_sub(4));
    end.and_then(|end| table.get(base..end)).unwrap_or(table)
}

/// Returns all strings of the module's string section that could be names, without generic
/// arguments.
pub(in crate::debuginfo) fn strings(files: &Files) -> Vec<String> {
    let dwarf = files.dwarf();
    let section: Slice<'_> = *dwarf.debug_str.reader();
    let bytes = section.len() as u64;
    // Most of the work is sorting and copying the names; each short name takes three words.
    if !files.budget.spend(ReaderKind::Names, bytes * 8, 1)
        || files.budget.keep(ReaderKind::Names, bytes * 4).is_none()
    {
        return Vec::new();
    }
    let mut found: Vec<&[u8]> = section
        .slice()
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty() && name.len() <= MAX_TYPED_BYTES)
        .collect();
    found.sort_unstable();
    found.dedup();
    let mut names: Vec<String> = found
        .into_iter()
        .map(|name| without_generics(&text(name)).to_owned())
        .collect();
    names.dedup();
    names
}
