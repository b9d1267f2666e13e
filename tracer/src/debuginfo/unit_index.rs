//! One pass over a unit: what encloses what, functions by address, and the
//! names of its types and statics.
//!
//! The pass reads only the entries that it keeps; all others are skipped.

use gimli::{AttributeValue, DwTag, UnitOffset};

use super::budget::{Kept, Meter, Reader};
use super::dies::{Dies, Entry, Sections, Slice, UnitAt, entry_ranges};
use super::limits::NAME_BYTES;
use super::ranges::RANGE_STEPS;
use super::unit_parser::{ATTRIBUTE_STEPS, bounded_string};

/// Entries of each kind that the index of one unit may have.
const MAX_ENTRIES: usize = 1 << 22;
/// Operations of a place in pieces that are looked at.
const MAX_OPERATIONS: usize = 64;
/// Levels of enclosing entries that are told apart.
const MAX_DEPTH: usize = 512;
/// Steps to skip an entry, and to read one.
const SKIP_STEPS: u64 = 12;
const ENTRY_STEPS: u64 = 60;
/// Bytes that are kept of an entry, and of a range of a function, with what growing takes.
const ENTRY_BYTES: u64 = 48;
const FUNCTION_BYTES: u64 = 64;
/// No parent.
const NONE: u32 = u32::MAX;

/// See the module. Offsets count from the unit's header.
#[derive(Default)]
pub(super) struct UnitIndex {
    /// In the order of the unit.
    containers: Vec<Container>,
    /// By first address.
    functions: Vec<Function>,
    /// Named types and statics.
    pub(super) names: Vec<Named>,
    /// Offsets of the virtual tables of Rust's trait objects.
    pub(super) vtables: Vec<u32>,
    kept: Option<Kept>,
}

/// How rustc names a virtual table.
const VTABLE: &[u8] = b">::{vtable}";

/// An entry that names of others are qualified with.
struct Container {
    start: u32,
    end: u32,
    parent: u32,
}

/// A code range of a function.
struct Function {
    begin: u64,
    end: u64,
    offset: u32,
}

/// A named type or static.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    /// [`hash`] of its name, without its path.
    pub(super) hash: u32,
    /// Where it is.
    pub(super) offset: u32,
    /// A type; else a static.
    pub(super) is_type: bool,
}

impl UnitIndex {
    /// Reads a unit.
    pub(super) fn read<'a>(dies: &Dies<'a>, unit: &UnitAt<'a>) -> Self {
        let mut pass = Pass {
            index: Self::default(),
            dies,
            unit,
            budget: MAX_ENTRIES as u64,
            open: Vec::new(),
            meter: dies.module.budget.meter(Reader::Entries),
            kept: Kept::none(&dies.module.budget),
        };
        // What could be read before an error is as good as it gets.
        let _ = pass.run();
        pass.finish()
    }

    /// The entry that encloses the one at `offset` and names it: a namespace, a type, a function.
    pub(super) fn parent(&self, offset: UnitOffset) -> Option<UnitOffset> {
        let offset = u32::try_from(offset.0).ok()?;
        let after = self
            .containers
            .partition_point(|container| container.start < offset);
        let mut number = after.checked_sub(1)?;
        for _ in 0..MAX_DEPTH {
            let container = self.containers.get(number)?;
            if offset < container.end {
                return Some(UnitOffset(container.start as usize));
            }
            number = usize::try_from(container.parent).ok()?;
        }
        None
    }

    /// The innermost function with code at `address`.
    pub(super) fn function(&self, address: u64) -> Option<UnitOffset> {
        let after = self
            .functions
            .partition_point(|function| function.begin <= address);
        let around = self.functions.get(..after)?.iter().rev().take(64);
        around
            .filter(|function| address < function.end)
            .min_by_key(|function| function.end - function.begin)
            .map(|function| UnitOffset(function.offset as usize))
    }
}

struct Pass<'p, 'a> {
    index: UnitIndex,
    dies: &'p Dies<'a>,
    unit: &'p UnitAt<'a>,
    /// Code ranges that may still be read.
    budget: u64,
    /// Containers that are open: depth of the children, number.
    open: Vec<(isize, u32)>,
    meter: Meter<'p>,
    kept: Kept,
}

impl<'a> Pass<'_, 'a> {
    fn run(&mut self) -> Option<()> {
        let unit = &self.unit.unit;
        let mut raw = unit.entries_raw(None).ok()?;
        let mut entry = Entry::null();
        while !raw.is_empty() {
            let offset = raw.next_offset();
            let depth = raw.next_depth();
            self.close(depth, offset);
            // The look-ahead tells by the abbreviation alone what is skipped.
            let mut ahead = raw.clone();
            let Some(abbreviation) = ahead.read_abbreviation().ok()? else {
                raw = ahead;
                continue;
            };
            let mut kind = Kind::of(abbreviation.tag());
            let has = |name| {
                abbreviation
                    .attributes()
                    .iter()
                    .any(|one| one.name() == name)
            };
            if abbreviation.tag() == gimli::DW_TAG_member && has(gimli::DW_AT_const_value) {
                kind = Kind::Variable;
            }
            let attributes = abbreviation.attributes().len() as u64;
            let steps = match kind {
                Kind::Other => SKIP_STEPS + attributes * 2,
                _ => ENTRY_STEPS + attributes * ATTRIBUTE_STEPS,
            };
            if !self.meter.take(steps) {
                return None;
            }
            if kind == Kind::Other {
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

    fn enter(&mut self, kind: Kind, entry: &Entry<'a>, depth: isize, at: UnitOffset) -> Option<()> {
        let offset = u32::try_from(at.0).ok()?;
        if !self.kept.grow(Reader::Entries, ENTRY_BYTES) {
            return None;
        }
        if kind == Kind::Function {
            self.function(entry, offset);
        }
        if kind == Kind::Type || (kind == Kind::Variable && self.is_static(entry)) {
            self.name(entry, offset, kind == Kind::Type);
        }
        let container = matches!(kind, Kind::Function | Kind::Type | Kind::Namespace);
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

    fn dwarf(&self) -> Option<Sections<'_, 'a>> {
        self.dies.dwarf(self.unit.section.file)
    }

    fn function(&mut self, entry: &Entry<'a>, offset: u32) {
        let mut budget = self.budget;
        let ranges = self
            .dwarf()
            .and_then(|dwarf| entry_ranges(&dwarf, &self.unit.unit, entry, (&mut budget, false)));
        let read = self.budget.saturating_sub(budget);
        self.budget = budget;
        self.meter.take(read.saturating_mul(RANGE_STEPS));
        for (begin, end) in ranges.unwrap_or_default() {
            let fits = self.kept.grow(Reader::Ranges, FUNCTION_BYTES);
            if fits && self.index.functions.len() < MAX_ENTRIES {
                self.index.functions.push(Function { begin, end, offset });
            }
        }
    }

    /// Whether a variable is there without a frame: at an address, in thread-local storage, or
    /// outside of functions.
    fn is_static(&self, entry: &Entry<'a>) -> bool {
        match entry.attr_value(gimli::DW_AT_location) {
            Some(AttributeValue::Exprloc(expression)) => {
                is_static(expression) || self.has_static_piece(expression)
            }
            Some(_) => false,
            // One that the optimiser has left nothing of is named all the same.
            None => !self
                .open
                .last()
                .is_some_and(|(_, number)| self.is_function(*number)),
        }
    }

    /// Whether some piece of a place that begins with one is at an address: of
    /// the others the optimiser has made constants, or nothing.
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
        // A static member of a class is declared there alone where nothing but its value is needed.
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
            self.index.names.push(Named {
                hash: hash(text.slice()),
                offset,
                is_type,
            });
        }
    }

    /// The name of what an entry defines or is an instance of, which may stand in
    /// another unit (as gcc's link-time optimiser has it).
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

/// What the pass does with an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Namespace,
    Function,
    Type,
    Variable,
    Other,
}

impl Kind {
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

/// Whether an expression gives an address without a frame.
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

/// Hash of a name (FNV-1a): only to find candidates by.
pub(super) fn hash(name: &[u8]) -> u32 {
    name.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// The index of a unit, made when first asked for.
pub(super) fn index_of<'a>(dies: &Dies<'a>, unit: &UnitAt<'a>) -> std::sync::Arc<UnitIndex> {
    dies.cache
        .unit_index((unit.section, unit.start), || UnitIndex::read(dies, unit))
}
