//! The canonical frame address (CFA) at a code address, from call frame information.
//!
//! `.eh_frame` (through the table of its header, if it has one) takes precedence over
//! `.debug_frame`. [`super::unwind`] does the unwinding.

use std::sync::OnceLock;

use gimli::{
    BaseAddresses, CfaRule, EhFrame, LittleEndian, RegisterRule, UnwindContext, UnwindSection,
};

use crate::arch::{CALLEE_SAVED, REGISTERS};
use crate::base::unavailable::Unavailable;
use crate::debuginfo::Slice;
use crate::debuginfo::budget::{ReadBudget, ReaderKind};
use crate::debuginfo::files::{Files, UnwindSection as Bytes};
use crate::debuginfo::location::registers::visible;
use crate::debuginfo::location::symbolic::add;
use crate::debuginfo::model::place::{LocationExpr, Register, Term};

/// Steps to read an entry, and to run one byte of its instructions.
const ENTRY_STEPS: u64 = 120;
const INSTRUCTION_STEPS: u64 = 10;
/// Bytes that are kept of an entry.
const ENTRY_BYTES: u64 = 48;
/// Entries up to this many bytes are run without counting their instructions.
const SHORT_ENTRY: u64 = 4096;
/// Entries before an address that are searched.
const LOOK_BACK: usize = 32;

/// Call frame sections of a module's files.
pub(in crate::debuginfo) struct FrameSections<'a> {
    /// `.eh_frame` and its link address.
    pub(in crate::debuginfo) eh_frame: Option<(Slice<'a>, u64)>,
    /// `.eh_frame_hdr` and its link address.
    pub(in crate::debuginfo) eh_frame_hdr: Option<(Slice<'a>, u64)>,
    /// `.debug_frame`.
    pub(in crate::debuginfo) debug_frame: Option<Slice<'a>>,
    /// Link address of `.text`.
    pub(in crate::debuginfo) text: u64,
    files: &'a Files,
    indexes: &'a FrameIndexes,
}

/// The place of a register of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::debuginfo) enum Saved {
    /// The value is still in the register.
    Same,
    /// The value is in memory, this many bytes from the CFA.
    At(i64),
    /// The value is lost, or its place is not as simple.
    Unknown,
}

/// The entry of `.eh_frame` for one function.
pub(in crate::debuginfo) type FrameEntry<'a> = gimli::FrameDescriptionEntry<Slice<'a>>;

/// The rule that computes the CFA.
pub(in crate::debuginfo) enum Cfa<'a> {
    /// Register and offset.
    Expr(LocationExpr),
    /// A DWARF expression.
    Bytecode(gimli::Expression<Slice<'a>>, gimli::Encoding),
}

impl<'a> FrameSections<'a> {
    /// Returns the call frame sections of a module's files.
    pub(in crate::debuginfo) fn of(files: &'a Files, indexes: &'a FrameIndexes) -> Self {
        let section =
            |section: Bytes<'a>| (Slice::new(section.bytes, LittleEndian), section.address.0);
        let text = files
            .sections()
            .iter()
            .find(|section| section.name == ".text");
        Self {
            eh_frame: files.eh_frame().map(section),
            eh_frame_hdr: files.eh_frame_hdr().map(section),
            debug_frame: files.debug_frame().map(|frame| section(frame).0),
            text: text.map_or(0, |text| text.address.0),
            files,
            indexes,
        }
    }

    /// Returns the rule that computes the CFA at `address`.
    ///
    /// # Errors
    /// Fails if there is no rule for the address, or if the rule needs a register that the kernel
    /// does not expose.
    pub(in crate::debuginfo) fn cfa(&self, address: u64) -> Result<Cfa<'a>, Unavailable> {
        self.cfa_until(address).map(|(cfa, _)| cfa)
    }

    /// Returns the rule that computes the CFA at `address`, and the address at which the next
    /// rule begins.
    ///
    /// # Errors
    /// Fails as [`Self::cfa`] does.
    pub(in crate::debuginfo) fn cfa_until(
        &self,
        address: u64,
    ) -> Result<(Cfa<'a>, u64), Unavailable> {
        self.row(address, CfaReader).unwrap_or_else(|| {
            Err(Unavailable::BadDebugInfo(format!(
                "no frame rule at {address:#x}"
            )))
        })
    }

    /// Returns the places in which the frame at `address` keeps its caller's registers, by DWARF
    /// number.
    pub(in crate::debuginfo) fn saved(&self, address: u64) -> Option<[Saved; REGISTERS]> {
        self.row(address, SavedReader)?
    }

    /// Returns the first address of the code that the entry of `.eh_frame` for `address` describes.
    pub(in crate::debuginfo) fn begin_of_entry(&self, address: u64) -> Option<u64> {
        let (bytes, _) = self.eh_frame?;
        let mut section = EhFrame::from(bytes);
        section.set_address_size(8);
        let fde = match self.entry_by_table(&section, address).flatten() {
            Some(fde) => fde,
            None => self.eh_frame_entry_by_index(&section, address)?,
        };
        Some(fde.initial_address())
    }

    /// Returns the row that `reader` reads from the entry for `address`, or `None` if there is no
    /// entry.
    pub(in crate::debuginfo) fn row<R: RowReader<'a>>(
        &self,
        address: u64,
        reader: R,
    ) -> Option<R::Row> {
        let found = self.in_eh_frame(address, reader);
        found.or_else(|| self.in_debug_frame(address, reader))
    }

    pub(in crate::debuginfo) fn bases(&self) -> BaseAddresses {
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

    /// Returns the entry of `.eh_frame` for `address`, even if the table of its header lacks it.
    pub(in crate::debuginfo) fn eh_frame_entry_by_index(
        &self,
        section: &EhFrame<Slice<'a>>,
        address: u64,
    ) -> Option<FrameEntry<'a>> {
        let indexes = self.indexes;
        let read = || FrameIndex::read(&self.files.budget, section, &self.bases());
        let index = indexes.eh_frame.get_or_init(read);
        index.find(section, &self.bases(), address)
    }

    /// Returns true if the instructions of an entry may be run. Long entries count against the
    /// budget.
    fn may_run(&self, fde: &FrameEntry<'a>) -> bool {
        let bytes = fde.entry_len().saturating_add(fde.cie().entry_len()) as u64;
        let steps = bytes.saturating_mul(INSTRUCTION_STEPS);
        bytes <= SHORT_ENTRY || self.files.budget.spend(ReaderKind::Frames, steps, 1)
    }

    /// Returns the entry for `address` from the table of `.eh_frame_hdr`. Returns `Some(None)` if
    /// the table has no entry for it, and `None` if there is no table.
    pub(in crate::debuginfo) fn entry_by_table(
        &self,
        section: &EhFrame<Slice<'a>>,
        address: u64,
    ) -> Option<Option<FrameEntry<'a>>> {
        let (bases, (header, _)) = (self.bases(), self.eh_frame_hdr?);
        let (_, start) = self.eh_frame?;
        // gimli multiplies the number of entries without a check for overflow. Linkers write the
        // number in 4 bytes, which is safe.
        if header.get(2) != Some(&gimli::DW_EH_PE_udata4.0) {
            return None;
        }
        let header = gimli::EhFrameHdr::from(header).parse(&bases, 8).ok()?;
        let table = header.table()?;
        let find = || {
            // gimli's own method panics from here on if the table points before the section.
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
        let indexes = self.indexes;
        let read = || FrameIndex::read(&self.files.budget, &section, &bases);
        let index = indexes.debug_frame.get_or_init(read);
        let fde = index.find(&section, &bases, address)?;
        self.may_run(&fde)
            .then(|| reader.read(&section, &bases, &fde, address))
    }
}

/// Indexes of the entries of sections without a table. They are made on first use.
#[derive(Default)]
pub(in crate::debuginfo) struct FrameIndexes {
    eh_frame: OnceLock<FrameIndex>,
    debug_frame: OnceLock<FrameIndex>,
}

/// The entries of one section by address.
struct FrameIndex(Vec<FrameRange>);

/// The code range of an entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct FrameRange {
    begin: u64,
    end: u64,
    /// Offset of the entry in the section.
    offset: usize,
}

impl FrameIndex {
    /// Reads all entries of a section, up to the first that is damaged.
    fn read<'a, S: UnwindSection<Slice<'a>>>(
        budget: &ReadBudget,
        section: &S,
        bases: &BaseAddresses,
    ) -> Self {
        let mut found = Vec::new();
        let mut meter = budget.meter(ReaderKind::Frames);
        let mut entries = section.entries(bases);
        while let Ok(Some(entry)) = entries.next() {
            if !meter.take(ENTRY_STEPS) || !budget.hold(ReaderKind::Frames, ENTRY_BYTES) {
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

    /// Returns the entry for an address. If there are several, it is the first in the section.
    fn find<'a, S: UnwindSection<Slice<'a>>>(
        &self,
        section: &S,
        bases: &BaseAddresses,
        address: u64,
    ) -> Option<FrameEntry<'a>> {
        let after = self.0.partition_point(|range| range.begin <= address);
        // Entries of valid files do not overlap. A bounded look back is enough.
        let near = self.0.get(after.saturating_sub(LOOK_BACK)..after)?;
        let around = near.iter().filter(|range| address < range.end);
        let offset = around.map(|range| range.offset).min()?;
        let fde = section.fde_from_offset(bases, offset.into(), S::cie_from_offset);
        fde.ok().filter(|fde| fde.contains(address))
    }
}

/// Reads one row of the unwind table.
pub(in crate::debuginfo) trait RowReader<'a>: Copy {
    /// The result of reading a row.
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
                Cfa::Expr(add(
                    LocationExpr(vec![Term::Register(register)]),
                    *offset as u64,
                )?)
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
    type Row = Option<[Saved; REGISTERS]>;

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
                None if CALLEE_SAVED.iter().any(|&saved| u16::from(saved) == number) => Saved::Same,
                Some(RegisterRule::SameValue) => Saved::Same,
                Some(RegisterRule::Offset(offset)) => Saved::At(offset),
                _ => Saved::Unknown,
            };
        }
        Some(saved)
    }
}
