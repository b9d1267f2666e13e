//! Which units may have a function of a given name, told without reading their entries.
//!
//! A unit names a function by the offset of its name in the string section, or by the
//! name itself. So the bytes of a unit are searched for those: a hundred times faster
//! than reading its entries. A unit that passes may still have no such function; one
//! that does not pass has none.

use gimli::{DwForm, Format, Section as _};
use memchr::memmem;

use super::Slice;
use super::budget::Reader;
use super::module::Module;
use super::names::without_generics;
use super::object::text;
use super::units::{Unit, UnitId};

/// Places of the name in the string section; above it, every unit passes.
const MAX_OFFSETS: usize = 256;

/// Codes of one abbreviation table that are looked at.
const MAX_ABBREVIATIONS: u64 = 1 << 16;

/// Bytes of a string that can be a name that somebody types.
const MAX_TYPED_BYTES: usize = 128;

/// See the module.
pub(super) struct NameFilter {
    /// The name, and what may stand behind it.
    inline: Vec<memmem::Finder<'static>>,
    /// Its offsets in the string section, as a unit writes them.
    offsets: Vec<memmem::Finder<'static>>,
    /// There are too many places to tell anything.
    all: bool,
}

/// How a unit's abbreviations say that functions are named.
#[derive(Default)]
struct Naming {
    /// In ways that cannot be searched for.
    elsewhere: bool,
    /// By index into `.debug_str_offsets`.
    indexed: bool,
    /// Abbreviations that were looked at.
    looked_at: u64,
}

impl NameFilter {
    /// For functions whose name, without path and generic arguments, is `name`.
    pub(super) fn new(module: &Module, name: &str) -> Self {
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
        let dwarf = module.dwarf();
        let strings = dwarf.debug_str.reader().slice();
        module.budget.spend(Reader::Names, strings.len() as u64, 1);
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

    /// Whether the unit may have the function.
    pub(super) fn passes(&self, module: &Module, id: UnitId) -> bool {
        if self.all || module.unit_info(id).is_ok_and(|info| info.split.is_some()) {
            return true;
        }
        let Ok(unit) = module.unit_skeleton(id) else {
            return false;
        };
        let naming = Naming::of(&unit);
        if !module
            .budget
            .spend(Reader::Abbreviations, naming.looked_at * 10, 0)
        {
            return false;
        }
        if naming.elsewhere || unit.unit.header.format() == Format::Dwarf64 {
            return true;
        }
        if naming.indexed {
            let table = string_offsets(&unit);
            let searched = table.len() as u64 * self.offsets.len() as u64;
            if !module.budget.spend(Reader::Names, searched / 8, 0) || self.in_bytes(table) {
                return true;
            }
        }
        let bytes = unit_bytes(&unit);
        // Some ten bytes are searched in a step.
        let searched = bytes.len() as u64 * (self.offsets.len() + self.inline.len()) as u64;
        if !module.budget.spend(Reader::Names, searched / 8, 0) {
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
            // Compilers count them without a gap.
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
                    // What it is a copy of may be in another unit.
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

/// The bytes of a unit, its header included.
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

/// What a unit's indexed strings are indexes into.
fn string_offsets<'a>(unit: &Unit<'a>) -> &'a [u8] {
    let table = unit.dwarf.debug_str_offsets.reader().slice();
    let base = unit.unit.str_offsets_base.0;
    // The length counts from behind itself; version and padding are four bytes of it.
    let length = base
        .checked_sub(8)
        .and_then(|at| table.get(at..at + 4)?.try_into().ok())
        .and_then(|bytes| usize::try_from(u32::from_le_bytes(bytes)).ok());
    let end = length.and_then(|length| base.checked_add(length)?.checked_sub(4));
    end.and_then(|end| table.get(base..end)).unwrap_or(table)
}

/// All strings of the module's string section that could be names, without
/// generic arguments.
pub(super) fn strings(module: &Module) -> Vec<String> {
    let dwarf = module.dwarf();
    let section: Slice<'_> = *dwarf.debug_str.reader();
    let bytes = section.len() as u64;
    // Sorting and copying the names takes most of it; each short name takes three words.
    if !module.budget.spend(Reader::Names, bytes * 8, 1)
        || module.budget.keep(Reader::Names, bytes * 4).is_none()
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
