//! One pass over a unit that makes its [`UnitIndex`].
//!
//! The pass reads only the entries that it keeps, and skips all others.

use std::sync::Arc;

use gimli::{AttributeValue, DwTag, UnitOffset};

use super::dies::{Dies, Entry, FileSections, ParsedUnit, RangeLimits, Slice, entry_ranges};
use super::ranges::RANGE_STEPS;
use super::unit_index::{Container, FunctionRange, IndexedName, MAX_DEPTH, UnitIndex, hash};
use super::unit_parser::{ATTRIBUTE_STEPS, bounded_string};
use crate::debuginfo::budget::{BudgetMeter, KeptMemory, ReaderKind};
use crate::debuginfo::limits::NAME_BYTES;

/// Entries of each kind that the index of one unit may have.
const MAX_ENTRIES: usize = 1 << 22;
/// Operations of a location in pieces that are read.
const MAX_OPERATIONS: usize = 64;
/// Steps to skip an entry, and to read one.
const SKIP_STEPS: u64 = 12;
const ENTRY_STEPS: u64 = 60;
/// Bytes that are kept of an entry, and of a range of a function, including the memory for
/// growing.
const ENTRY_BYTES: u64 = 48;
const FUNCTION_BYTES: u64 = 64;
/// Number that means no parent.
const NONE: u32 = u32::MAX;
/// End of the name that rustc gives to a virtual table.
const VTABLE: &[u8] = b">::{vtable}";

/// Returns the index of a unit. It is made on first use.
pub(in crate::debuginfo) fn index_of<'a>(dies: &Dies<'a>, unit: &ParsedUnit<'a>) -> Arc<UnitIndex> {
    let read = || read_index(dies, unit);
    dies.caches.unit_indexes.get(unit.section, unit.start, read)
}

/// Reads the index of a unit.
pub(super) fn read_index<'a>(dies: &Dies<'a>, unit: &ParsedUnit<'a>) -> UnitIndex {
    let mut pass = IndexPass {
        index: UnitIndex::default(),
        dies,
        unit,
        budget: MAX_ENTRIES as u64,
        open: Vec::new(),
        meter: dies.files.budget.meter(ReaderKind::Entries),
        kept: KeptMemory::none(&dies.files.budget),
    };
    // Entries before an error are kept.
    let _ = pass.run();
    pass.finish()
}

struct IndexPass<'p, 'a> {
    index: UnitIndex,
    dies: &'p Dies<'a>,
    unit: &'p ParsedUnit<'a>,
    /// Code ranges that may still be read.
    budget: u64,
    /// Open containers: depth of their children, and their number.
    open: Vec<(isize, u32)>,
    meter: BudgetMeter<'p>,
    kept: KeptMemory,
}

impl<'a> IndexPass<'_, 'a> {
    fn run(&mut self) -> Option<()> {
        let unit = &self.unit.unit;
        let mut raw = unit.entries_raw(None).ok()?;
        let mut entry = Entry::null();
        while !raw.is_empty() {
            let offset = raw.next_offset();
            let depth = raw.next_depth();
            self.close(depth, offset);
            // The abbreviation alone tells if an entry is skipped, so skipped entries are not
            // parsed.
            let mut ahead = raw.clone();
            let Some(abbreviation) = ahead.read_abbreviation().ok()? else {
                raw = ahead;
                continue;
            };
            let mut kind = EntryKind::of(abbreviation.tag());
            let has = |name| {
                abbreviation
                    .attributes()
                    .iter()
                    .any(|one| one.name() == name)
            };
            if abbreviation.tag() == gimli::DW_TAG_member && has(gimli::DW_AT_const_value) {
                kind = EntryKind::Variable;
            }
            let attributes = abbreviation.attributes().len() as u64;
            let steps = match kind {
                EntryKind::Other => SKIP_STEPS + attributes * 2,
                _ => ENTRY_STEPS + attributes * ATTRIBUTE_STEPS,
            };
            if !self.meter.take(steps) {
                return None;
            }
            if kind == EntryKind::Other {
                ahead.skip_attributes(abbreviation.attributes()).ok()?;
                raw = ahead;
                continue;
            }
            raw.read_entry(&mut entry).ok()?;
            self.enter(kind, &entry, depth, offset)?;
        }
        Some(())
    }

    fn close(&mut self, depth: isize, offset: UnitOffset) {
        while let Some((inside, number)) = self.open.last().copied() {
            if depth >= inside {
                break;
            }
            self.open.pop();
            if let Some(container) = self.index.containers.get_mut(number as usize) {
                container.end = offset.0 as u32;
            }
        }
    }

    fn enter(
        &mut self,
        kind: EntryKind,
        entry: &Entry<'a>,
        depth: isize,
        at: UnitOffset,
    ) -> Option<()> {
        let offset = u32::try_from(at.0).ok()?;
        if !self.kept.grow(ReaderKind::Entries, ENTRY_BYTES) {
            return None;
        }
        if kind == EntryKind::Function {
            self.function(entry, offset);
        }
        if kind == EntryKind::Type || (kind == EntryKind::Variable && self.is_static(entry)) {
            self.name(entry, offset, kind == EntryKind::Type);
        }
        let container = matches!(
            kind,
            EntryKind::Function | EntryKind::Type | EntryKind::Namespace
        );
        let count = self.index.containers.len();
        if container && entry.has_children() && self.open.len() < MAX_DEPTH && count < MAX_ENTRIES {
            let parent = self.open.last().map_or(NONE, |(_, number)| *number);
            self.open.push((depth + 1, count as u32));
            self.index.containers.push(Container {
                start: offset,
                end: u32::MAX,
                parent,
            });
        }
        Some(())
    }

    fn dwarf(&self) -> Option<FileSections<'_, 'a>> {
        self.dies.dwarf(self.unit.section.file)
    }

    fn function(&mut self, entry: &Entry<'a>, offset: u32) {
        let mut budget = self.budget;
        let limits = RangeLimits {
            budget: &mut budget,
            takes_dead: false,
        };
        let ranges = self
            .dwarf()
            .and_then(|dwarf| entry_ranges(&dwarf, &self.unit.unit, entry, limits));
        let read = self.budget.saturating_sub(budget);
        self.budget = budget;
        self.meter.take(read.saturating_mul(RANGE_STEPS));
        for (begin, end) in ranges.unwrap_or_default() {
            let fits = self.kept.grow(ReaderKind::Ranges, FUNCTION_BYTES);
            if fits && self.index.functions.len() < MAX_ENTRIES {
                self.index
                    .functions
                    .push(FunctionRange { begin, end, offset });
            }
        }
    }

    /// Returns true if a variable exists without a frame: at an address, in thread-local storage,
    /// or outside of functions.
    fn is_static(&self, entry: &Entry<'a>) -> bool {
        match entry.attr_value(gimli::DW_AT_location) {
            Some(AttributeValue::Exprloc(expression)) => {
                is_static(expression) || self.has_static_piece(expression)
            }
            Some(_) => false,
            // A static without a location was optimised away, but can still be named.
            None => !self
                .open
                .last()
                .is_some_and(|(_, number)| self.is_function(*number)),
        }
    }

    /// Returns true if a location in pieces has a piece at an address, and another piece that the
    /// optimiser made a constant or removed.
    fn has_static_piece(&self, expression: gimli::Expression<Slice<'a>>) -> bool {
        use gimli::Operation::{Address, AddressIndex, Piece};
        let mut operations = expression.operations(self.unit.unit.encoding());
        let mut next = || operations.next().ok().flatten();
        let first = next();
        let constants = [gimli::DW_OP_implicit_value.0, gimli::DW_OP_stack_value.0];
        let pieces = matches!(first, Some(Piece { .. }))
            || expression
                .0
                .slice()
                .iter()
                .any(|byte| constants.contains(byte));
        pieces
            && (0..MAX_OPERATIONS)
                .map_while(|_| next())
                .any(|operation| matches!(operation, Address { .. } | AddressIndex { .. }))
    }

    fn is_function(&self, container: u32) -> bool {
        let container = self.index.containers.get(container as usize);
        container.is_some_and(|container| {
            let entry = self.unit.unit.entry(UnitOffset(container.start as usize));
            entry.is_ok_and(|entry| entry.tag() == gimli::DW_TAG_subprogram)
        })
    }

    fn name(&mut self, entry: &Entry<'a>, offset: u32, is_type: bool) {
        // A static member of a class may have only a declaration, if just its value is needed.
        let declared =
            entry.has_attr(gimli::DW_AT_declaration) && !entry.has_attr(gimli::DW_AT_const_value);
        if self.index.names.len() >= MAX_ENTRIES || declared {
            return;
        }
        let text = match entry.attr_value(gimli::DW_AT_name) {
            Some(name) => self
                .dwarf()
                .and_then(|dwarf| bounded_string(&dwarf, &self.unit.unit, name, NAME_BYTES)),
            None => self.name_of_origin(entry),
        };
        if let Some(text) = text {
            self.meter.take(text.len() as u64);
            if !is_type && text.slice().ends_with(VTABLE) {
                self.index.vtables.push(offset);
            }
            self.index.names.push(IndexedName {
                hash: hash(text.slice()),
                offset,
                is_type,
            });
        }
    }

    /// Returns the name of the entry that `entry` defines or is an instance of. That entry may be
    /// in another unit (with GCC's link-time optimiser).
    fn name_of_origin(&self, entry: &Entry<'a>) -> Option<Slice<'a>> {
        let origin = entry
            .attr_value(gimli::DW_AT_specification)
            .or_else(|| entry.attr_value(gimli::DW_AT_abstract_origin))?;
        if let AttributeValue::UnitRef(offset) = origin {
            let origin = self.unit.unit.entry(offset).ok()?;
            if let Some(name) = origin.attr_value(gimli::DW_AT_name) {
                let dwarf = self.dwarf()?;
                return bounded_string(&dwarf, &self.unit.unit, name, NAME_BYTES);
            }
        }
        let origin = self.dies.die(self.dies.resolve(self.unit, origin)?)?;
        let (owner, name) = self.dies.inherited(&origin, gimli::DW_AT_name)?;
        let dwarf = self.dies.dwarf_of(&owner)?;
        bounded_string(&dwarf, &owner.unit.unit, name, NAME_BYTES)
    }

    fn finish(mut self) -> UnitIndex {
        self.index
            .functions
            .sort_by_key(|function| (function.begin, function.end));
        self.index.kept = Some(self.kept);
        self.index
    }
}

/// How the pass treats an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EntryKind {
    Namespace,
    Function,
    Type,
    Variable,
    Other,
}

impl EntryKind {
    fn of(tag: DwTag) -> Self {
        match tag {
            gimli::DW_TAG_namespace | gimli::DW_TAG_module => Self::Namespace,
            gimli::DW_TAG_subprogram => Self::Function,
            gimli::DW_TAG_structure_type
            | gimli::DW_TAG_class_type
            | gimli::DW_TAG_union_type
            | gimli::DW_TAG_enumeration_type
            | gimli::DW_TAG_interface_type
            | gimli::DW_TAG_typedef
            | gimli::DW_TAG_base_type => Self::Type,
            gimli::DW_TAG_variable => Self::Variable,
            _ => Self::Other,
        }
    }
}

/// Returns true if an expression gives an address without a frame.
fn is_static(expression: gimli::Expression<Slice<'_>>) -> bool {
    let bytes = expression.0.slice();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    let address = [
        gimli::DW_OP_addr.0,
        gimli::DW_OP_addrx.0,
        gimli::DW_OP_GNU_addr_index.0,
    ];
    let tls = [
        gimli::DW_OP_form_tls_address.0,
        gimli::DW_OP_GNU_push_tls_address.0,
    ];
    address.contains(first) || (bytes.len() > 2 && tls.contains(last))
}
