//! The canonical frame address (CFA) at an address, from call frame information.
//!
//! `.eh_frame` (through its header's table where there is one) before
//! `.debug_frame`. Leaves unwinding to [`super::unwind`].

use std::sync::OnceLock;

use gimli::{
    BaseAddresses, CfaRule, EhFrame, LittleEndian, RegisterRule, UnwindContext, UnwindSection,
};

use super::budget::{Budget, Reader};
use super::dies::Slice;
use super::location::symbolic::add;
use super::location::visible;
use super::module::{Module, UnwindSection as Bytes};
use super::place::{Expr, Register, Term};
use super::unwind::CALLEE_SAVED;
use crate::unavailable::Unavailable;

/// Steps to read an entry, and to run one byte of its instructions.
const ENTRY_STEPS: u64 = 120;
const INSTRUCTION_STEPS: u64 = 10;
/// Bytes that are kept of an entry.
const ENTRY_BYTES: u64 = 48;
/// Bytes of an entry whose instructions need not be counted.
const SHORT_ENTRY: u64 = 4096;
/// Entries before an address that are looked at.
const LOOK_BACK: usize = 32;

/// Call frame sections of a module.
pub(super) struct FrameSections<'a> {
    /// `.eh_frame` and its link address.
    pub(super) eh_frame: Option<(Slice<'a>, u64)>,
    /// `.eh_frame_hdr` and its link address.
    pub(super) eh_frame_hdr: Option<(Slice<'a>, u64)>,
    /// `.debug_frame`.
    pub(super) debug_frame: Option<Slice<'a>>,
    /// Link address of `.text`.
    pub(super) text: u64,
    module: &'a Module,
}

/// Where a register of the caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Saved {
    /// Still in the register.
    Same,
    /// In memory, this many bytes from the CFA.
    At(i64),
    /// Lost, or not as simple.
    Unknown,
}

/// What `.eh_frame` says of one function.
pub(super) type Entry<'a> = gimli::FrameDescriptionEntry<Slice<'a>>;

/// How the CFA is computed.
pub(super) enum Cfa<'a> {
    /// Register and offset.
    Expr(Expr),
    /// An expression of DWARF.
    Bytecode(gimli::Expression<Slice<'a>>, gimli::Encoding),
}

impl<'a> FrameSections<'a> {
    /// Of a module.
    pub(super) fn of(module: &'a Module) -> Self {
        let section =
            |section: Bytes<'a>| (Slice::new(section.bytes, LittleEndian), section.address.0);
        let text = module
            .sections()
            .iter()
            .find(|section| section.name == ".text");
        Self {
            eh_frame: module.eh_frame().map(section),
            eh_frame_hdr: module.eh_frame_hdr().map(section),
            debug_frame: module.debug_frame().map(|frame| section(frame).0),
            text: text.map_or(0, |text| text.address.0),
            module,
        }
    }

    /// How the CFA is computed at `address`.
    ///
    /// # Errors
    /// There is no rule for the address, or it needs a register that the kernel does not expose.
    pub(super) fn cfa(&self, address: u64) -> Result<Cfa<'a>, Unavailable> {
        self.cfa_until(address).map(|(cfa, _)| cfa)
    }

    /// The same, and where another rule begins.
    ///
    /// # Errors
    /// As of [`Self::cfa`].
    pub(super) fn cfa_until(&self, address: u64) -> Result<(Cfa<'a>, u64), Unavailable> {
        self.row(address, CfaReader).unwrap_or_else(|| {
            Err(Unavailable::BadDebugInfo(format!(
                "no frame rule at {address:#x}"
            )))
        })
    }

    /// Where the frame at `address` keeps its caller's registers, by DWARF number.
    pub(super) fn saved(&self, address: u64) -> Option<[Saved; 17]> {
        self.row(address, SavedReader)?
    }

    /// What `reader` makes of the entry for `address`; `None` when there is none.
    pub(super) fn row<R: RowReader<'a>>(&self, address: u64, reader: R) -> Option<R::Row> {
        let found = self.in_eh_frame(address, reader);
        found.or_else(|| self.in_debug_frame(address, reader))
    }

    pub(super) fn bases(&self) -> BaseAddresses {
        let mut bases = BaseAddresses::default().set_text(self.text);
        if let Some((_, address)) = self.eh_frame {
            bases = bases.set_eh_frame(address);
        }
        if let Some((_, address)) = self.eh_frame_hdr {
            bases = bases.set_eh_frame_hdr(address);
        }
        bases
    }

    fn in_eh_frame<R: RowReader<'a>>(&self, address: u64, reader: R) -> Option<R::Row> {
        let (bytes, _) = self.eh_frame?;
        let mut section = EhFrame::from(bytes);
        section.set_address_size(8);
        let bases = self.bases();
        let by_table = self.entry_by_table(&section, address).flatten();
        let fde = match by_table {
            Some(fde) => fde,
            None => self.eh_frame_entry_by_index(&section, address)?,
        };
        self.may_run(&fde)
            .then(|| reader.read(&section, &bases, &fde, address))
    }

    /// The entry of `.eh_frame` for `address`, whether its table has it or not.
    pub(super) fn eh_frame_entry_by_index(
        &self,
        section: &EhFrame<Slice<'a>>,
        address: u64,
    ) -> Option<Entry<'a>> {
        let indexes = &self.module.frame_indexes;
        let read = || FrameIndex::read(&self.module.budget, section, &self.bases());
        let index = indexes.eh_frame.get_or_init(read);
        index.find(section, &self.bases(), address)
    }

    /// Whether the instructions of an entry may be run: long ones count against the budget.
    fn may_run(&self, fde: &Entry<'a>) -> bool {
        let bytes = fde.entry_len().saturating_add(fde.cie().entry_len()) as u64;
        let steps = bytes.saturating_mul(INSTRUCTION_STEPS);
        bytes <= SHORT_ENTRY || self.module.budget.spend(Reader::Frames, steps, 1)
    }

    /// The entry for `address` by the table of `.eh_frame_hdr`: `Some(None)` when the table has
    /// none, `None` without a table.
    pub(super) fn entry_by_table(
        &self,
        section: &EhFrame<Slice<'a>>,
        address: u64,
    ) -> Option<Option<Entry<'a>>> {
        let (bases, (header, _)) = (self.bases(), self.eh_frame_hdr?);
        let (_, start) = self.eh_frame?;
        // gimli multiplies the number of entries unchecked: linkers write it in 4 bytes.
        if header.get(2) != Some(&gimli::DW_EH_PE_udata4.0) {
            return None;
        }
        let header = gimli::EhFrameHdr::from(header).parse(&bases, 8).ok()?;
        let table = header.table()?;
        let find = || {
            // gimli's own way from here on panics when the table points before the section.
            let gimli::Pointer::Direct(found) = table.lookup(address, &bases).ok()? else {
                return None;
            };
            let offset = usize::try_from(found.checked_sub(start)?).ok()?;
            section
                .fde_from_offset(&bases, offset.into(), EhFrame::cie_from_offset)
                .ok()
                .filter(|entry| entry.contains(address))
        };
        Some(find())
    }

    fn in_debug_frame<R: RowReader<'a>>(&self, address: u64, reader: R) -> Option<R::Row> {
        let mut section = gimli::DebugFrame::from(self.debug_frame?);
        section.set_address_size(8);
        let bases = self.bases();
        let indexes = &self.module.frame_indexes;
        let read = || FrameIndex::read(&self.module.budget, &section, &bases);
        let index = indexes.debug_frame.get_or_init(read);
        let fde = index.find(&section, &bases, address)?;
        self.may_run(&fde)
            .then(|| reader.read(&section, &bases, &fde, address))
    }
}

/// The entries of the sections without a table, made when first asked for.
#[derive(Default)]
pub(super) struct FrameIndexes {
    eh_frame: OnceLock<FrameIndex>,
    debug_frame: OnceLock<FrameIndex>,
}

/// The entries of one section by address.
struct FrameIndex(Vec<FrameRange>);

/// The code that an entry is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct FrameRange {
    begin: u64,
    end: u64,
    /// In the section.
    offset: usize,
}

impl FrameIndex {
    /// Reads all entries of a section, up to the first that is damaged.
    fn read<'a, S: UnwindSection<Slice<'a>>>(
        budget: &Budget,
        section: &S,
        bases: &BaseAddresses,
    ) -> Self {
        let mut found = Vec::new();
        let mut meter = budget.meter(Reader::Frames);
        let mut entries = section.entries(bases);
        while let Ok(Some(entry)) = entries.next() {
            if !meter.take(ENTRY_STEPS) || !budget.hold(Reader::Frames, ENTRY_BYTES) {
                break;
            }
            let gimli::CieOrFde::Fde(partial) = entry else {
                continue;
            };
            let Ok(fde) = partial.parse(S::cie_from_offset) else {
                continue;
            };
            found.push(FrameRange {
                begin: fde.initial_address(),
                end: fde.initial_address().saturating_add(fde.len()),
                offset: fde.offset(),
            });
        }
        found.sort_unstable();
        Self(found)
    }

    /// The entry for an address; of several, the first of the section.
    fn find<'a, S: UnwindSection<Slice<'a>>>(
        &self,
        section: &S,
        bases: &BaseAddresses,
        address: u64,
    ) -> Option<Entry<'a>> {
        let after = self.0.partition_point(|range| range.begin <= address);
        // Entries of sound files do not overlap; a bounded look back will do.
        let near = self.0.get(after.saturating_sub(LOOK_BACK)..after)?;
        let around = near.iter().filter(|range| address < range.end);
        let offset = around.map(|range| range.offset).min()?;
        let fde = section.fde_from_offset(bases, offset.into(), S::cie_from_offset);
        fde.ok().filter(|fde| fde.contains(address))
    }
}

/// Reads one row of the unwind table.
pub(super) trait RowReader<'a>: Copy {
    /// What is made of it.
    type Row;

    /// Reads the row for `address` of the entry that has it.
    fn read<S: UnwindSection<Slice<'a>>>(
        self,
        section: &S,
        bases: &BaseAddresses,
        fde: &gimli::FrameDescriptionEntry<Slice<'a>>,
        address: u64,
    ) -> Self::Row;
}

/// Reads the rule of the CFA only.
#[derive(Clone, Copy)]
struct CfaReader;

impl<'a> RowReader<'a> for CfaReader {
    type Row = Result<(Cfa<'a>, u64), Unavailable>;

    fn read<S: UnwindSection<Slice<'a>>>(
        self,
        section: &S,
        bases: &BaseAddresses,
        fde: &gimli::FrameDescriptionEntry<Slice<'a>>,
        address: u64,
    ) -> Self::Row {
        let bad = |error: gimli::Error| Unavailable::BadDebugInfo(error.to_string());
        let mut context = Box::new(UnwindContext::new());
        let row = fde
            .unwind_info_for_address(section, bases, &mut context, address)
            .map_err(bad)?;
        let cfa = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => {
                let register: Register = visible(*register)?;
                Cfa::Expr(add(Expr(vec![Term::Register(register)]), *offset as u64)?)
            }
            CfaRule::Expression(expression) => {
                Cfa::Bytecode(expression.get(section).map_err(bad)?, fde.cie().encoding())
            }
        };
        Ok((cfa, row.end_address()))
    }
}

/// Reads the rules of the caller's registers.
#[derive(Clone, Copy)]
struct SavedReader;

impl<'a> RowReader<'a> for SavedReader {
    type Row = Option<[Saved; 17]>;

    fn read<S: UnwindSection<Slice<'a>>>(
        self,
        section: &S,
        bases: &BaseAddresses,
        fde: &gimli::FrameDescriptionEntry<Slice<'a>>,
        address: u64,
    ) -> Self::Row {
        let mut context = Box::new(UnwindContext::new());
        let row = fde
            .unwind_info_for_address(section, bases, &mut context, address)
            .ok()?;
        if fde.is_signal_trampoline() {
            return None;
        }
        let mut saved = [Saved::Unknown; 17];
        for (number, saved) in (0..).zip(&mut saved) {
            *saved = match row.register(gimli::Register(number)) {
                None if CALLEE_SAVED.contains(&usize::from(number)) => Saved::Same,
                Some(RegisterRule::SameValue) => Saved::Same,
                Some(RegisterRule::Offset(offset)) => Saved::At(offset),
                _ => Saved::Unknown,
            };
        }
        Some(saved)
    }
}
