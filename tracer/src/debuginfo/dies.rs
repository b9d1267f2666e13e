//! Debugging information entries (DIEs) by id, over all files that a module's
//! DWARF is spread over: the file itself, its supplementary file, split files.
//!
//! Finds the unit of an entry, follows references, reads attributes. Knows
//! nothing of types, scopes or places.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use gimli::{AttributeValue, DwAt, Reader as _, Section as _};

pub(super) use super::Slice;
use super::budget::{Budget, Reader};
use super::die_cache::DieCache;
use super::limits::NAME_BYTES;
use super::module::Module;
use super::object::text as copied;
use super::ranges::RANGE_STEPS;
use super::types::{Language, TypeId};
use super::unit_parser::{ATTRIBUTE_STEPS, bounded_string};
use super::units::{UnitId, language_of as language_of_root, read_unit_of};
use crate::address::LinkAddr;

/// Children of one entry that are looked at; more are taken to be hostile.
pub(super) const MAX_CHILDREN: usize = 1 << 16;
/// Items of lists (ranges, locations) that one walk looks at, together.
const MAX_ITEMS: u64 = 1 << 22;
/// References (`DW_AT_abstract_origin`, `DW_AT_specification`, …) followed in a row.
const MAX_REFERENCES: usize = 8;
/// Steps to read the header of a unit.
const HEADER_STEPS: u64 = 60;
/// Bytes that are kept of a type unit's signature.
const SIGNATURE_BYTES: u64 = 48;
/// Steps to read one item of a list.
const ITEM_STEPS: u64 = 40;
/// Steps to find and read one entry.
const ENTRY_STEPS: u64 = 150;
/// Steps to read an entry that is not kept.
const SKIPPED_STEPS: u64 = 80;
/// Steps that are counted before they are taken from the module's budget.
const BATCH: u64 = 1 << 14;
/// Units that one walk keeps parsed.
const MAX_UNITS: usize = 1 << 12;

/// One entry of a unit.
pub(super) type Entry<'a> = gimli::DebuggingInformationEntry<Slice<'a>>;
/// Value of an attribute.
pub(super) type Attr<'a> = AttributeValue<Slice<'a>>;

/// Names one entry of a module.
///
/// Bit 63: no entry, see [`TypeId`]; 62: in the supplementary file; 61: in
/// `.debug_types`; 40 to 60: number of the split file, 0 is none; the low 40
/// bits: offset in the section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct DieId(pub(super) u64);

impl DieId {
    const SUPPLEMENTARY: u64 = 1 << 62;
    const TYPES: u64 = 1 << 61;
    const OFFSET: u64 = (1 << 40) - 1;

    /// The id of the entry at `offset` of a section.
    pub(super) const fn new(section: SectionKey, offset: u64) -> Self {
        let file = match section.file {
            FileNumber::Main => 0,
            FileNumber::Supplementary => Self::SUPPLEMENTARY,
            FileNumber::Split(number) => ((number as u64 & 0xf_ffff) + 1) << 40,
        };
        let types = if section.types { Self::TYPES } else { 0 };
        Self(file | types | (offset & Self::OFFSET))
    }

    /// The section that the entry is in.
    pub(super) const fn section(self) -> SectionKey {
        let number = (self.0 >> 40) & 0x1f_ffff;
        let file = if self.0 & Self::SUPPLEMENTARY != 0 {
            FileNumber::Supplementary
        } else if number == 0 {
            FileNumber::Main
        } else {
            FileNumber::Split((number - 1) as u32)
        };
        SectionKey {
            file,
            types: self.0 & Self::TYPES != 0,
        }
    }

    /// Offset in the section.
    pub(super) const fn offset(self) -> u64 {
        self.0 & Self::OFFSET
    }

    /// The same entry, as a type.
    pub(super) const fn as_type(self) -> TypeId {
        TypeId(self.0)
    }
}

/// One of the files with a module's DWARF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum FileNumber {
    /// The module's own debug file.
    Main,
    /// What `.gnu_debugaltlink` or `.debug_sup` names.
    Supplementary,
    /// A `.dwo`, or one unit's part of a `.dwp`.
    Split(u32),
}

/// A section with units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SectionKey {
    /// Whose.
    pub(super) file: FileNumber,
    /// `.debug_types`; else `.debug_info`.
    pub(super) types: bool,
}

/// `.debug_info` of the module's own debug file.
pub(super) const MAIN: SectionKey = SectionKey {
    file: FileNumber::Main,
    types: false,
};

/// The sections of one file.
pub(super) enum Sections<'s, 'a> {
    /// Of the module or its supplementary file.
    Borrowed(&'s gimli::Dwarf<Slice<'a>>),
    /// Of a split file.
    Split(Rc<gimli::Dwarf<Slice<'a>>>),
}

impl<'a> std::ops::Deref for Sections<'_, 'a> {
    type Target = gimli::Dwarf<Slice<'a>>;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Borrowed(dwarf) => dwarf,
            Self::Split(dwarf) => dwarf,
        }
    }
}

/// One unit, parsed.
pub(super) struct UnitAt<'a> {
    /// The section it is in.
    pub(super) section: SectionKey,
    /// Offset of its header in the section.
    pub(super) start: u64,
    /// As gimli reads it.
    pub(super) unit: gimli::Unit<Slice<'a>>,
    /// Of `DW_AT_language`.
    pub(super) language: Language,
}

impl UnitAt<'_> {
    /// Id of the entry at an offset of this unit.
    pub(super) const fn id(&self, offset: gimli::UnitOffset) -> DieId {
        DieId::new(self.section, self.start.wrapping_add(offset.0 as u64))
    }

    /// Offset in this unit of an entry of the same section.
    pub(super) fn offset(&self, id: DieId) -> Option<gimli::UnitOffset> {
        let offset = usize::try_from(id.offset().checked_sub(self.start)?).ok()?;
        Some(gimli::UnitOffset(offset))
    }
}

/// One entry with its unit.
#[derive(Clone)]
pub(super) struct Die<'a> {
    /// The unit.
    pub(super) unit: Rc<UnitAt<'a>>,
    /// The entry.
    pub(super) entry: Entry<'a>,
}

impl<'a> Die<'a> {
    /// Its id.
    pub(super) fn id(&self) -> DieId {
        self.unit.id(self.entry.offset())
    }

    /// Its tag.
    pub(super) fn tag(&self) -> gimli::DwTag {
        self.entry.tag()
    }

    /// Value of one of its own attributes.
    pub(super) fn attr(&self, name: DwAt) -> Option<Attr<'a>> {
        self.entry.attr_value(name)
    }

    /// An attribute that is an unsigned number.
    pub(super) fn unsigned(&self, name: DwAt) -> Option<u64> {
        self.attr(name)?.udata_value()
    }

    /// A flag; absent is false.
    pub(super) fn flag(&self, name: DwAt) -> bool {
        matches!(self.attr(name), Some(AttributeValue::Flag(true)))
    }
}

/// The entries of a module, for as long as one question takes.
///
/// Not shared between threads: it keeps the units that it parsed. What is
/// worth keeping longer is in the [`DieCache`].
pub(super) struct Dies<'a> {
    /// Whose.
    pub(super) module: &'a Module,
    main: gimli::Dwarf<Slice<'a>>,
    split_files: RefCell<HashMap<u32, Option<SplitFile<'a>>>>,
    /// What outlives this walk.
    pub(super) cache: &'a DieCache,
    units: RefCell<HashMap<(SectionKey, u64), Rc<UnitAt<'a>>>>,
    /// Items of lists that may still be looked at.
    budget: Cell<u64>,
    /// Whether code at address 0 counts: that of a function that a linker folded into another one.
    pub(super) takes_dead: Cell<bool>,
    /// Steps and entries that are not yet taken from the module's budget.
    pending: Cell<(u64, u64)>,
    /// Parts that the name being put together may still have.
    pub(super) name_parts: Cell<u32>,
}

/// The sections of a split file and the unit in it that was asked for.
type SplitFile<'a> = (Rc<gimli::Dwarf<Slice<'a>>>, Rc<UnitAt<'a>>);

impl<'a> Dies<'a> {
    /// The entries of `module`.
    pub(super) fn new(module: &'a Module) -> Self {
        Self {
            module,
            main: module.dwarf(),
            split_files: RefCell::default(),
            cache: &module.dies,
            units: RefCell::default(),
            budget: Cell::new(MAX_ITEMS),
            takes_dead: Cell::new(false),
            pending: Cell::new((0, 0)),
            name_parts: Cell::new(0),
        }
    }

    /// The DWARF sections of one file.
    pub(super) fn dwarf(&self, file: FileNumber) -> Option<Sections<'_, 'a>> {
        match file {
            FileNumber::Main => Some(Sections::Borrowed(&self.main)),
            FileNumber::Supplementary => self.main.sup().map(Sections::Borrowed),
            FileNumber::Split(number) => Some(Sections::Split(self.split_file(number)?.0)),
        }
    }

    /// The file that the skeleton unit `number` stands for.
    fn split_file(&self, number: u32) -> Option<SplitFile<'a>> {
        if let Some(file) = self.split_files.borrow().get(&number) {
            return file.clone();
        }
        let file = self.open_split(number);
        self.split_files.borrow_mut().insert(number, file.clone());
        file
    }

    fn open_split(&self, number: u32) -> Option<SplitFile<'a>> {
        let found = self.module.unit(UnitId(number)).ok()?;
        let section = SectionKey {
            file: FileNumber::Split(number),
            types: false,
        };
        // The skeleton itself comes when there is no such file.
        let root = DieId(found.die_offset(gimli::UnitOffset(0)));
        if root.section() != section {
            return None;
        }
        let unit = UnitAt {
            section,
            start: root.offset(),
            language: language_of(&found.unit),
            unit: found.unit,
        };
        Some((Rc::new(found.dwarf), Rc::new(unit)))
    }

    /// Takes one from what lists may have; false when there is nothing left.
    pub(super) fn spend(&self) -> bool {
        let left = self.budget.get();
        self.budget.set(left.saturating_sub(1));
        left > 0 && self.module.budget.spend(Reader::Locations, ITEM_STEPS, 1)
    }

    /// Counts the reading of one entry; false when reading must stop.
    fn count(&self, steps: u64) -> bool {
        let (before, entries) = self.pending.get();
        let steps = before.saturating_add(steps);
        if steps < BATCH {
            self.pending.set((steps, entries + 1));
            return true;
        }
        self.pending.set((0, 0));
        let budget = &self.module.budget;
        budget.spend(Reader::Entries, steps, entries + 1)
    }

    /// Counts the reading of an entry; false when reading must stop.
    pub(super) fn count_entry(&self, entry: &Entry<'a>) -> bool {
        self.count(steps_of(entry))
    }

    /// The sections of the file that an entry is in.
    pub(super) fn dwarf_of(&self, die: &Die<'a>) -> Option<Sections<'_, 'a>> {
        self.dwarf(die.unit.section.file)
    }

    /// Offsets of the units of a section, ascending.
    pub(super) fn unit_starts(&self, section: SectionKey) -> Option<Arc<[u64]>> {
        let dwarf = self.dwarf(section.file)?;
        Some(self.cache.unit_starts(section, || {
            if section == MAIN {
                // Known already, without a walk over the whole section.
                let units = self.module.units().iter();
                return units.map(|unit| unit.offset).collect();
            }
            starts_of(&self.module.budget, &dwarf, section.types)
        }))
    }

    /// The unit whose header is at `start`.
    pub(super) fn unit(&self, section: SectionKey, start: u64) -> Option<Rc<UnitAt<'a>>> {
        if let FileNumber::Split(number) = section.file
            && let Some((_, unit)) = self.split_file(number)
            && (unit.section, unit.start) == (section, start)
        {
            return Some(unit);
        }
        if let Some(unit) = self.units.borrow().get(&(section, start)) {
            return Some(Rc::clone(unit));
        }
        let unit = Rc::new(self.parse_unit(section, start)?);
        let mut units = self.units.borrow_mut();
        if units.len() >= MAX_UNITS {
            units.clear();
        }
        units.insert((section, start), Rc::clone(&unit));
        Some(unit)
    }

    fn parse_unit(&self, section: SectionKey, start: u64) -> Option<UnitAt<'a>> {
        let dwarf = self.dwarf(section.file)?;
        let offset = usize::try_from(start).ok()?;
        let header = if section.types {
            type_unit_at(&dwarf, offset)?
        } else {
            dwarf.unit_header(gimli::DebugInfoOffset(offset)).ok()?
        };
        let unit = read_unit_of(self.module, section.file, &dwarf, header).ok()?;
        let language = language_of(&unit);
        Some(UnitAt {
            section,
            start,
            unit,
            language,
        })
    }

    /// The first unit, for what only needs some unit.
    pub(super) fn any_unit(&self) -> Option<Rc<UnitAt<'a>>> {
        let start = *self.unit_starts(MAIN)?.first()?;
        self.unit(MAIN, start)
    }

    /// The unit with the code at `address`: of the split file where there is one.
    pub(super) fn unit_at(&self, address: LinkAddr) -> Option<Rc<UnitAt<'a>>> {
        let number = self.module.unit_at(address)?;
        let info = self.module.unit_info(number).ok()?;
        if info.split.is_some()
            && let Some((_, unit)) = self.split_file(number.0)
        {
            return Some(unit);
        }
        self.unit(MAIN, info.offset)
    }

    /// The unit that an entry is in.
    pub(super) fn unit_of(&self, id: DieId) -> Option<Rc<UnitAt<'a>>> {
        let section = id.section();
        let starts = self.unit_starts(section)?;
        let after = starts.partition_point(|start| *start <= id.offset());
        let start = *starts.get(after.checked_sub(1)?)?;
        self.unit(section, start)
    }

    /// One entry.
    pub(super) fn die(&self, id: DieId) -> Option<Die<'a>> {
        if id.0 >> 63 != 0 {
            return None;
        }
        let unit = self.unit_of(id)?;
        let entry = unit.unit.entry(unit.offset(id)?).ok()?;
        self.count(steps_of(&entry)).then_some(Die { unit, entry })
    }

    /// The children of an entry, in order; at most [`MAX_CHILDREN`].
    pub(super) fn children(&self, die: &Die<'a>) -> Vec<Die<'a>> {
        let mut found = Vec::new();
        if !die.entry.has_children() {
            return found;
        }
        let unit = &die.unit.unit;
        let Ok(mut cursor) = unit.entries_at_offset(die.entry.offset()) else {
            return found;
        };
        let Ok(Some(_)) = cursor.next_dfs() else {
            return found;
        };
        let mut next = match cursor.next_dfs() {
            Ok(Some(first)) if first.depth() == 1 => Some(first.clone()),
            _ => None,
        };
        while let Some(entry) = next {
            if !self.count(steps_of(&entry)) {
                break;
            }
            let skips = entry.has_children() && entry.attr(gimli::DW_AT_sibling).is_none();
            found.push(Die {
                unit: Rc::clone(&die.unit),
                entry,
            });
            if found.len() >= MAX_CHILDREN {
                break;
            }
            next = if skips {
                self.skip(&mut cursor)
            } else {
                cursor.next_sibling().ok().flatten().cloned()
            };
        }
        found
    }

    /// The next child, behind all that is in the one before, which says nothing of its end.
    fn skip(&self, cursor: &mut gimli::EntriesCursor<'_, Slice<'a>>) -> Option<Entry<'a>> {
        loop {
            let entry = cursor.next_dfs().ok()??;
            match entry.depth() {
                1 => return Some(entry.clone()),
                2.. if self.count(SKIPPED_STEPS) => {}
                // The end of the children, or of the work that may be done.
                _ => return None,
            }
        }
    }

    /// What an attribute of `die` refers to.
    pub(super) fn reference(&self, die: &Die<'a>, name: DwAt) -> Option<DieId> {
        self.resolve(&die.unit, die.attr(name)?)
    }

    /// The entry that a reference in `unit` names.
    pub(super) fn resolve(&self, unit: &UnitAt<'a>, value: Attr<'a>) -> Option<DieId> {
        let file = unit.section.file;
        match value {
            AttributeValue::UnitRef(offset) => Some(unit.id(offset)),
            AttributeValue::DebugInfoRef(offset) => Some(DieId::new(
                SectionKey { file, types: false },
                offset.0 as u64,
            )),
            AttributeValue::DebugInfoRefSup(offset) => {
                let file = FileNumber::Supplementary;
                Some(DieId::new(
                    SectionKey { file, types: false },
                    offset.0 as u64,
                ))
            }
            AttributeValue::DebugTypesRef(signature) => self.signature(file, signature.0),
            _ => None,
        }
    }

    /// The type of a type unit.
    fn signature(&self, file: FileNumber, signature: u64) -> Option<DieId> {
        let read = || {
            let dwarf = self.dwarf(file);
            dwarf.map_or_else(HashMap::new, |dwarf| {
                signatures_of(&self.module.budget, &dwarf, file)
            })
        };
        let signatures = self.cache.signatures(file, read);
        signatures.get(&signature).copied()
    }

    /// An attribute of `die`, or of what it is an instance or the definition of,
    /// with the entry that has it.
    pub(super) fn inherited(&self, die: &Die<'a>, name: DwAt) -> Option<(Die<'a>, Attr<'a>)> {
        let mut die = die.clone();
        for _ in 0..MAX_REFERENCES {
            if let Some(value) = die.attr(name) {
                return Some((die, value));
            }
            die = self.origin(&die)?;
        }
        None
    }

    /// What `die` is an instance of (`DW_AT_abstract_origin`), the definition of
    /// (`DW_AT_specification`), or stands in for (`DW_AT_signature`).
    pub(super) fn origin(&self, die: &Die<'a>) -> Option<Die<'a>> {
        let id = self
            .reference(die, gimli::DW_AT_abstract_origin)
            .or_else(|| self.reference(die, gimli::DW_AT_specification))
            .or_else(|| self.reference(die, gimli::DW_AT_signature))?;
        self.die(id)
    }

    /// The end of the chain of [`Dies::origin`]s: where names and parents are.
    pub(super) fn root_origin(&self, die: &Die<'a>) -> Die<'a> {
        let mut die = die.clone();
        for _ in 0..MAX_REFERENCES {
            match self.origin(&die) {
                Some(origin) => die = origin,
                None => break,
            }
        }
        die
    }

    /// The text of a string attribute of `die` itself, cut at [`NAME_BYTES`].
    pub(super) fn text(&self, die: &Die<'a>, value: Attr<'a>) -> Option<String> {
        let dwarf = self.dwarf_of(die)?;
        let text = bounded_string(&dwarf, &die.unit.unit, value, NAME_BYTES)?;
        self.count(text.len() as u64);
        Some(copied(text.slice()))
    }

    /// `DW_AT_name`, own or inherited.
    pub(super) fn name(&self, die: &Die<'a>) -> Option<String> {
        let (owner, value) = self.inherited(die, gimli::DW_AT_name)?;
        self.text(&owner, value)
    }

    /// `DW_AT_type`, own or inherited.
    pub(super) fn type_of(&self, die: &Die<'a>) -> Option<DieId> {
        let (owner, value) = self.inherited(die, gimli::DW_AT_type)?;
        self.resolve(&owner.unit, value)
    }

    /// Code ranges of an entry; `None` when it has no such attributes.
    pub(super) fn ranges(&self, die: &Die<'a>) -> Option<Vec<(u64, u64)>> {
        let dwarf = self.dwarf_of(die)?;
        let mut budget = self.budget.get();
        let dead = self.takes_dead.get();
        let found = entry_ranges(&dwarf, &die.unit.unit, &die.entry, (&mut budget, dead));
        let read = self.budget.replace(budget).saturating_sub(budget);
        let budget = &self.module.budget;
        if !budget.spend(Reader::Ranges, read.saturating_mul(RANGE_STEPS), read) {
            return None;
        }
        found
    }
}

impl Drop for Dies<'_> {
    fn drop(&mut self) {
        let (steps, entries) = self.pending.get();
        self.module.budget.spend(Reader::Entries, steps, entries);
    }
}

/// Code ranges of an entry, the dead ones (at 0) left out unless they are wanted; `None` when it has
/// no such attributes.
///
/// Takes one from `budget` for each and stops at zero: many entries of a
/// crafted file may share one long list.
pub(super) fn entry_ranges<'a>(
    dwarf: &gimli::Dwarf<Slice<'a>>,
    unit: &gimli::Unit<Slice<'a>>,
    entry: &Entry<'a>,
    (budget, dead): (&mut u64, bool),
) -> Option<Vec<(u64, u64)>> {
    let mut found = Vec::new();
    if let Some(value) = entry.attr_value(gimli::DW_AT_ranges) {
        let mut list = dwarf.attr_ranges(unit, value).ok()??;
        while *budget > 0
            && let Ok(Some(range)) = list.next()
        {
            *budget -= 1;
            if (dead || range.begin != 0) && range.begin < range.end {
                found.push((range.begin, range.end));
            }
        }
        return Some(found);
    }
    let address = |value| dwarf.attr_address(unit, value).ok().flatten();
    let low = address(entry.attr_value(gimli::DW_AT_low_pc)?)?;
    let high = entry.attr_value(gimli::DW_AT_high_pc)?;
    let end = match high.udata_value() {
        Some(size) => low.checked_add(size)?,
        None => address(high)?,
    };
    if (dead || low != 0) && low < end && *budget > 0 {
        *budget -= 1;
        found.push((low, end));
    }
    Some(found)
}

/// The types of a file's type units, by signature.
pub(super) fn signatures_of(
    budget: &Budget,
    dwarf: &gimli::Dwarf<Slice<'_>>,
    file: FileNumber,
) -> HashMap<u64, DieId> {
    let mut found = HashMap::new();
    let mut meter = budget.meter(Reader::Units);
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
            return budget.hold(Reader::Units, SIGNATURE_BYTES);
        }
        true
    };
    let mut units = dwarf.units();
    while let Ok(Some(header)) = units.next()
        && meter.take(HEADER_STEPS)
    {
        if let Some(start) = header.debug_info_offset()
            && !add(&header, false, start.0)
        {
            break;
        }
    }
    let mut units = dwarf.type_units();
    while let Ok(Some(header)) = units.next()
        && meter.take(HEADER_STEPS)
    {
        if let Some(start) = header.debug_types_offset()
            && !add(&header, true, start.0)
        {
            break;
        }
    }
    found
}

/// Steps to read and to keep an entry.
fn steps_of(entry: &Entry<'_>) -> u64 {
    ENTRY_STEPS + entry.attrs().len() as u64 * ATTRIBUTE_STEPS
}

/// Offsets of all unit headers that can be read.
fn starts_of(budget: &Budget, dwarf: &gimli::Dwarf<Slice<'_>>, types: bool) -> Vec<u64> {
    let mut found = Vec::new();
    let mut meter = budget.meter(Reader::Units);
    if types {
        let mut units = dwarf.type_units();
        while let Ok(Some(header)) = units.next()
            && meter.take(HEADER_STEPS)
        {
            found.extend(header.debug_types_offset().map(|offset| offset.0 as u64));
        }
    } else {
        let mut units = dwarf.units();
        while let Ok(Some(header)) = units.next()
            && meter.take(HEADER_STEPS)
        {
            found.extend(header.debug_info_offset().map(|offset| offset.0 as u64));
        }
    }
    found
}

/// The header of the type unit at an offset of `.debug_types`.
fn type_unit_at<'a>(
    dwarf: &gimli::Dwarf<Slice<'a>>,
    offset: usize,
) -> Option<gimli::UnitHeader<Slice<'a>>> {
    // gimli reads them from the first on only: so it is given the section from this one on.
    let mut section = *dwarf.debug_types.reader();
    section.skip(offset).ok()?;
    gimli::DebugTypes::from(section).units().next().ok()?
}

/// Source language of a unit.
fn language_of(unit: &gimli::Unit<Slice<'_>>) -> Language {
    let mut cursor = unit.entries();
    let Ok(Some(root)) = cursor.next_dfs() else {
        return Language::Other;
    };
    language_of_root(root.attr_value(gimli::DW_AT_language))
}
