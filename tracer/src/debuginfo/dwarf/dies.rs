//! Debugging information entries (DIEs) by id, in all files with a module's DWARF: the file
//! itself, its supplementary file, and split files.
//!
//! Finds the unit of an entry, follows references and reads attributes. It knows nothing of
//! types, scopes or places.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use gimli::{AttributeValue, DwAt, Reader as _, Section as _};

use super::die_id::{DieId, FileNumber, MAIN, SectionKey};
use super::ranges::RANGE_STEPS;
use super::unit_parser::{ATTRIBUTE_STEPS, bounded_string};
use super::units::{UnitId, language_of as language_of_root};
use crate::base::address::LinkAddr;
pub(in crate::debuginfo) use crate::debuginfo::Slice;
use crate::debuginfo::budget::{ReadBudget, ReaderKind};
use crate::debuginfo::caches::Caches;
use crate::debuginfo::file::object::text as copied;
use crate::debuginfo::files::Files;
use crate::debuginfo::limits::NAME_BYTES;
use crate::debuginfo::lines::unit_cache::CodeReader;
use crate::debuginfo::model::types::Language;

/// Children of one entry that are read; a file with more is taken to be hostile.
pub(in crate::debuginfo) const MAX_CHILDREN: usize = 1 << 16;
/// Total items of lists (ranges, locations) that one walk reads.
const MAX_ITEMS: u64 = 1 << 22;
/// References (`DW_AT_abstract_origin`, `DW_AT_specification`, …) followed in a row.
const MAX_REFERENCES: usize = 8;
/// Steps to read the header of a unit.
const HEADER_STEPS: u64 = 60;
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
pub(in crate::debuginfo) type Entry<'a> = gimli::DebuggingInformationEntry<Slice<'a>>;
/// Value of an attribute.
pub(in crate::debuginfo) type Attr<'a> = AttributeValue<Slice<'a>>;

/// The sections of one file.
pub(in crate::debuginfo) enum FileSections<'s, 'a> {
    /// Sections of the module or its supplementary file.
    Borrowed(&'s gimli::Dwarf<Slice<'a>>),
    /// Sections of a split file.
    Split(Rc<gimli::Dwarf<Slice<'a>>>),
}

impl<'a> std::ops::Deref for FileSections<'_, 'a> {
    type Target = gimli::Dwarf<Slice<'a>>;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Borrowed(dwarf) => dwarf,
            Self::Split(dwarf) => dwarf,
        }
    }
}

/// One unit, parsed.
pub(in crate::debuginfo) struct ParsedUnit<'a> {
    /// Section that contains the unit.
    pub(in crate::debuginfo) section: SectionKey,
    /// Offset of its header in the section.
    pub(in crate::debuginfo) start: u64,
    /// The unit as gimli reads it.
    pub(in crate::debuginfo) unit: gimli::Unit<Slice<'a>>,
    /// Source language from `DW_AT_language`.
    pub(in crate::debuginfo) language: Language,
}

impl ParsedUnit<'_> {
    /// Returns the id of the entry at an offset of this unit.
    pub(in crate::debuginfo) const fn id(&self, offset: gimli::UnitOffset) -> DieId {
        DieId::new(self.section, self.start.wrapping_add(offset.0 as u64))
    }

    /// Returns the offset in this unit of an entry, if both are in the same section.
    pub(in crate::debuginfo) fn offset(&self, id: DieId) -> Option<gimli::UnitOffset> {
        let offset = usize::try_from(id.offset().checked_sub(self.start)?).ok()?;
        Some(gimli::UnitOffset(offset))
    }
}

/// One entry with its unit.
#[derive(Clone)]
pub(in crate::debuginfo) struct Die<'a> {
    /// The unit.
    pub(in crate::debuginfo) unit: Rc<ParsedUnit<'a>>,
    /// The entry.
    pub(in crate::debuginfo) entry: Entry<'a>,
}

impl<'a> Die<'a> {
    /// Returns the entry's id.
    pub(in crate::debuginfo) fn id(&self) -> DieId {
        self.unit.id(self.entry.offset())
    }

    /// Returns the entry's tag.
    pub(in crate::debuginfo) fn tag(&self) -> gimli::DwTag {
        self.entry.tag()
    }

    /// Returns the value of one of the entry's own attributes.
    pub(in crate::debuginfo) fn attr(&self, name: DwAt) -> Option<Attr<'a>> {
        self.entry.attr_value(name)
    }

    /// Returns an attribute that is an unsigned number.
    pub(in crate::debuginfo) fn unsigned(&self, name: DwAt) -> Option<u64> {
        self.attr(name)?.udata_value()
    }

    /// Returns a flag attribute. An absent flag is false.
    pub(in crate::debuginfo) fn flag(&self, name: DwAt) -> bool {
        matches!(self.attr(name), Some(AttributeValue::Flag(true)))
    }
}

/// Reads the entries of a module, for the duration of one query.
///
/// It is not shared between threads, because it keeps the units that it parsed. Data that is
/// worth keeping longer is in the [`Caches`].
pub(in crate::debuginfo) struct Dies<'a> {
    /// The files that contain the entries.
    pub(in crate::debuginfo) files: &'a Files,
    /// The caches of the passes over the files.
    pub(in crate::debuginfo) caches: &'a Caches,
    main: gimli::Dwarf<Slice<'a>>,
    split_files: RefCell<HashMap<u32, Option<SplitFile<'a>>>>,
    units: RefCell<HashMap<(SectionKey, u64), Rc<ParsedUnit<'a>>>>,
    /// Items of lists that may still be read.
    budget: Cell<u64>,
    /// True if code at address 0 counts, which a function has that a linker folded into another
    /// one.
    pub(in crate::debuginfo) takes_dead: Cell<bool>,
    /// Steps and entries that are not yet taken from the module's budget.
    pending: Cell<(u64, u64)>,
    /// Parts that may still be added to the name under construction.
    pub(in crate::debuginfo) name_parts: Cell<u32>,
}

/// The sections of a split file, and the requested unit in it.
type SplitFile<'a> = (Rc<gimli::Dwarf<Slice<'a>>>, Rc<ParsedUnit<'a>>);

impl<'a> Dies<'a> {
    /// Returns a reader of the entries of a module's files.
    pub(in crate::debuginfo) fn new(files: &'a Files, caches: &'a Caches) -> Self {
        Self {
            files,
            caches,
            main: files.dwarf(),
            split_files: RefCell::default(),
            units: RefCell::default(),
            budget: Cell::new(MAX_ITEMS),
            takes_dead: Cell::new(false),
            pending: Cell::new((0, 0)),
            name_parts: Cell::new(0),
        }
    }

    /// Returns the code and the line tables of the same files.
    pub(in crate::debuginfo) fn code(&self) -> CodeReader<'a> {
        CodeReader::new(self.files, &self.caches.units)
    }

    /// Returns the DWARF sections of one file.
    pub(in crate::debuginfo) fn dwarf(&self, file: FileNumber) -> Option<FileSections<'_, 'a>> {
        match file {
            FileNumber::Main => Some(FileSections::Borrowed(&self.main)),
            FileNumber::Supplementary => self.main.sup().map(FileSections::Borrowed),
            FileNumber::Split(number) => Some(FileSections::Split(self.split_file(number)?.0)),
        }
    }

    /// Returns the file that the skeleton unit `number` stands for.
    fn split_file(&self, number: u32) -> Option<SplitFile<'a>> {
        if let Some(file) = self.split_files.borrow().get(&number) {
            return file.clone();
        }
        let file = self.open_split(number);
        self.split_files.borrow_mut().insert(number, file.clone());
        file
    }

    fn open_split(&self, number: u32) -> Option<SplitFile<'a>> {
        let found = self.files.unit(UnitId(number)).ok()?;
        let section = SectionKey {
            file: FileNumber::Split(number),
            types: false,
        };
        // `unit` returns the skeleton itself if there is no such file.
        let root = DieId(found.die_offset(gimli::UnitOffset(0)));
        if root.section() != section {
            return None;
        }
        let unit = ParsedUnit {
            section,
            start: root.offset(),
            language: language_of(&found.unit),
            unit: found.unit,
        };
        Some((Rc::new(found.dwarf), Rc::new(unit)))
    }

    /// Takes one item from the budget for lists. Returns false if it is used up.
    pub(in crate::debuginfo) fn spend(&self) -> bool {
        let left = self.budget.get();
        self.budget.set(left.saturating_sub(1));
        left > 0
            && self
                .files
                .budget
                .spend(ReaderKind::Locations, ITEM_STEPS, 1)
    }

    /// Counts the reading of one entry. Returns false if reading must stop.
    fn count(&self, steps: u64) -> bool {
        let (before, entries) = self.pending.get();
        let steps = before.saturating_add(steps);
        if steps < BATCH {
            self.pending.set((steps, entries + 1));
            return true;
        }
        self.pending.set((0, 0));
        let budget = &self.files.budget;
        budget.spend(ReaderKind::Entries, steps, entries + 1)
    }

    /// Counts the reading of an entry. Returns false if reading must stop.
    pub(in crate::debuginfo) fn count_entry(&self, entry: &Entry<'a>) -> bool {
        self.count(steps_of(entry))
    }

    /// Returns the sections of the file that an entry is in.
    pub(in crate::debuginfo) fn dwarf_of(&self, die: &Die<'a>) -> Option<FileSections<'_, 'a>> {
        self.dwarf(die.unit.section.file)
    }

    /// Returns the offsets of the units of a section, ascending.
    pub(in crate::debuginfo) fn unit_starts(&self, section: SectionKey) -> Option<Arc<[u64]>> {
        let dwarf = self.dwarf(section.file)?;
        Some(self.files.unit_starts.get_or_read(usize::MAX, section, || {
            if section == MAIN {
                // These are already known, so the section need not be walked.
                let units = self.files.units().iter();
                return units.map(|unit| unit.offset).collect();
            }
            starts_of(&self.files.budget, &dwarf, section.types).into()
        }))
    }

    /// Returns the unit whose header is at `start`.
    pub(in crate::debuginfo) fn unit(
        &self,
        section: SectionKey,
        start: u64,
    ) -> Option<Rc<ParsedUnit<'a>>> {
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

    fn parse_unit(&self, section: SectionKey, start: u64) -> Option<ParsedUnit<'a>> {
        let dwarf = self.dwarf(section.file)?;
        let offset = usize::try_from(start).ok()?;
        let header = if section.types {
            type_unit_at(&dwarf, offset)?
        } else {
            dwarf.unit_header(gimli::DebugInfoOffset(offset)).ok()?
        };
        let unit = self.files.read_unit_of(section.file, &dwarf, header).ok()?;
        let language = language_of(&unit);
        Some(ParsedUnit {
            section,
            start,
            unit,
            language,
        })
    }

    /// Returns the first unit, for callers that need any unit.
    pub(in crate::debuginfo) fn any_unit(&self) -> Option<Rc<ParsedUnit<'a>>> {
        let start = *self.unit_starts(MAIN)?.first()?;
        self.unit(MAIN, start)
    }

    /// Returns the unit with the code at `address`, from the split file if there is one.
    pub(in crate::debuginfo) fn unit_at(&self, address: LinkAddr) -> Option<Rc<ParsedUnit<'a>>> {
        let number = self.files.unit_at(address)?;
        let info = self.files.unit_info(number).ok()?;
        if info.split.is_some()
            && let Some((_, unit)) = self.split_file(number.0)
        {
            return Some(unit);
        }
        self.unit(MAIN, info.offset)
    }

    /// Returns the unit that an entry is in.
    pub(in crate::debuginfo) fn unit_of(&self, id: DieId) -> Option<Rc<ParsedUnit<'a>>> {
        let section = id.section();
        let starts = self.unit_starts(section)?;
        let after = starts.partition_point(|start| *start <= id.offset());
        let start = *starts.get(after.checked_sub(1)?)?;
        self.unit(section, start)
    }

    /// Returns the entry with an id.
    pub(in crate::debuginfo) fn die(&self, id: DieId) -> Option<Die<'a>> {
        if id.0 >> 63 != 0 {
            return None;
        }
        let unit = self.unit_of(id)?;
        let entry = unit.unit.entry(unit.offset(id)?).ok()?;
        self.count(steps_of(&entry)).then_some(Die { unit, entry })
    }

    /// Returns the children of an entry in order, at most [`MAX_CHILDREN`].
    pub(in crate::debuginfo) fn children(&self, die: &Die<'a>) -> Vec<Die<'a>> {
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

    /// Returns the next child by walking over all entries inside the previous one. It is for
    /// children without `DW_AT_sibling`.
    fn skip(&self, cursor: &mut gimli::EntriesCursor<'_, Slice<'a>>) -> Option<Entry<'a>> {
        loop {
            let entry = cursor.next_dfs().ok()??;
            match entry.depth() {
                1 => return Some(entry.clone()),
                2.. if self.count(SKIPPED_STEPS) => {}
                // The children end here, or the budget is used up.
                _ => return None,
            }
        }
    }

    /// Returns the entry that an attribute of `die` refers to.
    pub(in crate::debuginfo) fn reference(&self, die: &Die<'a>, name: DwAt) -> Option<DieId> {
        self.resolve(&die.unit, die.attr(name)?)
    }

    /// Returns the entry that a reference in `unit` names.
    pub(in crate::debuginfo) fn resolve(
        &self,
        unit: &ParsedUnit<'a>,
        value: Attr<'a>,
    ) -> Option<DieId> {
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

    /// Returns the entry of the type in a type unit.
    fn signature(&self, file: FileNumber, signature: u64) -> Option<DieId> {
        let dwarf = self.dwarf(file)?;
        self.files.type_unit(file, &dwarf, signature)
    }

    /// Returns an attribute of `die`, or of the entry that it is an instance or the definition
    /// of, and the entry that has the attribute.
    pub(in crate::debuginfo) fn inherited(
        &self,
        die: &Die<'a>,
        name: DwAt,
    ) -> Option<(Die<'a>, Attr<'a>)> {
        let mut die = die.clone();
        for _ in 0..MAX_REFERENCES {
            if let Some(value) = die.attr(name) {
                return Some((die, value));
            }
            die = self.origin(&die)?;
        }
        None
    }

    /// Returns the entry that `die` is an instance of (`DW_AT_abstract_origin`), defines
    /// (`DW_AT_specification`), or stands in for (`DW_AT_signature`).
    pub(in crate::debuginfo) fn origin(&self, die: &Die<'a>) -> Option<Die<'a>> {
        let id = self
            .reference(die, gimli::DW_AT_abstract_origin)
            .or_else(|| self.reference(die, gimli::DW_AT_specification))
            .or_else(|| self.reference(die, gimli::DW_AT_signature))?;
        self.die(id)
    }

    /// Returns the end of the chain of [`Dies::origin`]s. This entry has the name and the parent.
    pub(in crate::debuginfo) fn root_origin(&self, die: &Die<'a>) -> Die<'a> {
        let mut die = die.clone();
        for _ in 0..MAX_REFERENCES {
            match self.origin(&die) {
                Some(origin) => die = origin,
                None => break,
            }
        }
        die
    }

    /// Returns the text of a string attribute of `die` itself, cut at [`NAME_BYTES`].
    pub(in crate::debuginfo) fn text(&self, die: &Die<'a>, value: Attr<'a>) -> Option<String> {
        let dwarf = self.dwarf_of(die)?;
        let text = bounded_string(&dwarf, &die.unit.unit, value, NAME_BYTES)?;
        self.count(text.len() as u64);
        Some(copied(text.slice()))
    }

    /// Returns `DW_AT_name`, own or inherited.
    pub(in crate::debuginfo) fn name(&self, die: &Die<'a>) -> Option<String> {
        let (owner, value) = self.inherited(die, gimli::DW_AT_name)?;
        self.text(&owner, value)
    }

    /// Returns `DW_AT_type`, own or inherited.
    pub(in crate::debuginfo) fn type_of(&self, die: &Die<'a>) -> Option<DieId> {
        let (owner, value) = self.inherited(die, gimli::DW_AT_type)?;
        self.resolve(&owner.unit, value)
    }

    /// Returns the code ranges of an entry, or `None` if it has no such attributes.
    pub(in crate::debuginfo) fn ranges(&self, die: &Die<'a>) -> Option<Vec<(u64, u64)>> {
        let dwarf = self.dwarf_of(die)?;
        let mut budget = self.budget.get();
        let limits = RangeLimits {
            budget: &mut budget,
            takes_dead: self.takes_dead.get(),
        };
        let found = entry_ranges(&dwarf, &die.unit.unit, &die.entry, limits);
        let read = self.budget.replace(budget).saturating_sub(budget);
        let budget = &self.files.budget;
        if !budget.spend(ReaderKind::Ranges, read.saturating_mul(RANGE_STEPS), read) {
            return None;
        }
        found
    }
}

impl Drop for Dies<'_> {
    fn drop(&mut self) {
        let (steps, entries) = self.pending.get();
        self.files.budget.spend(ReaderKind::Entries, steps, entries);
    }
}

/// Limits for reading code ranges.
pub(in crate::debuginfo) struct RangeLimits<'b> {
    /// Ranges that may still be read.
    pub(in crate::debuginfo) budget: &'b mut u64,
    /// True if ranges at address 0 count.
    pub(in crate::debuginfo) takes_dead: bool,
}

/// Returns the code ranges of an entry, or `None` if it has no such attributes. Dead ranges (at
/// 0) are left out unless they are wanted.
///
/// Each range takes one from `budget`, and reading stops at zero, because many entries of a
/// crafted file may share one long list.
pub(in crate::debuginfo) fn entry_ranges<'a>(
    dwarf: &gimli::Dwarf<Slice<'a>>,
    unit: &gimli::Unit<Slice<'a>>,
    entry: &Entry<'a>,
    limits: RangeLimits<'_>,
) -> Option<Vec<(u64, u64)>> {
    let RangeLimits { budget, takes_dead } = limits;
    let mut found = Vec::new();
    if let Some(value) = entry.attr_value(gimli::DW_AT_ranges) {
        let mut list = dwarf.attr_ranges(unit, value).ok()??;
        while *budget > 0
            && let Ok(Some(range)) = list.next()
        {
            *budget -= 1;
            if (takes_dead || range.begin != 0) && range.begin < range.end {
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
    if (takes_dead || low != 0) && low < end && *budget > 0 {
        *budget -= 1;
        found.push((low, end));
    }
    Some(found)
}

/// Returns the number of steps to read and keep an entry.
fn steps_of(entry: &Entry<'_>) -> u64 {
    ENTRY_STEPS + entry.attrs().len() as u64 * ATTRIBUTE_STEPS
}

/// Returns the offsets of all unit headers that can be read.
fn starts_of(budget: &ReadBudget, dwarf: &gimli::Dwarf<Slice<'_>>, types: bool) -> Vec<u64> {
    let mut found = Vec::new();
    let mut meter = budget.meter(ReaderKind::Units);
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

/// Returns the header of the type unit at an offset of `.debug_types`.
fn type_unit_at<'a>(
    dwarf: &gimli::Dwarf<Slice<'a>>,
    offset: usize,
) -> Option<gimli::UnitHeader<Slice<'a>>> {
    // gimli reads type units only from the start of a section, so it is given the section from
    // this offset on.
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
