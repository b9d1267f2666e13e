//! The canonical frame address (CFA) at an address, from call frame information.
//!
//! `.eh_frame` (through its header's table where there is one) before
//! `.debug_frame`. Leaves unwinding to others.

use gimli::{BaseAddresses, CfaRule, EhFrame, UnwindContext, UnwindSection};

use super::dies::Slice;
use super::location::symbolic::add;
use super::location::visible;
use super::place::{Expr, Register, Term};
use crate::unavailable::Unavailable;

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
}

/// How the CFA is computed.
pub(super) enum Cfa<'a> {
    /// Register and offset.
    Expr(Expr),
    /// An expression of DWARF.
    Bytecode(gimli::Expression<Slice<'a>>, gimli::Encoding),
}

impl<'a> FrameSections<'a> {
    /// How the CFA is computed at `address`.
    ///
    /// # Errors
    /// There is no rule for the address, or it needs a register that the kernel does not expose.
    pub(super) fn cfa(&self, address: u64) -> Result<Cfa<'a>, Unavailable> {
        let found = self.in_eh_frame(address);
        let found = found.or_else(|| self.in_debug_frame(address));
        found.unwrap_or_else(|| {
            Err(Unavailable::BadDebugInfo(format!(
                "no frame rule at {address:#x}"
            )))
        })
    }

    fn bases(&self) -> BaseAddresses {
        let mut bases = BaseAddresses::default().set_text(self.text);
        if let Some((_, address)) = self.eh_frame {
            bases = bases.set_eh_frame(address);
        }
        if let Some((_, address)) = self.eh_frame_hdr {
            bases = bases.set_eh_frame_hdr(address);
        }
        bases
    }

    fn in_eh_frame(&self, address: u64) -> Option<Result<Cfa<'a>, Unavailable>> {
        let (bytes, _) = self.eh_frame?;
        let mut section = EhFrame::from(bytes);
        section.set_address_size(8);
        let bases = self.bases();
        let by_table = self.eh_frame_hdr.and_then(|(header, _)| {
            let header = gimli::EhFrameHdr::from(header).parse(&bases, 8).ok()?;
            let table = header.table()?;
            table
                .fde_for_address(&section, &bases, address, EhFrame::cie_from_offset)
                .ok()
        });
        let fde = match by_table {
            Some(fde) if fde.contains(address) => fde,
            _ => section
                .fde_for_address(&bases, address, EhFrame::cie_from_offset)
                .ok()?,
        };
        Some(rule(&section, &bases, &fde, address))
    }

    fn in_debug_frame(&self, address: u64) -> Option<Result<Cfa<'a>, Unavailable>> {
        let mut section = gimli::DebugFrame::from(self.debug_frame?);
        section.set_address_size(8);
        let bases = self.bases();
        let fde = section
            .fde_for_address(&bases, address, gimli::DebugFrame::cie_from_offset)
            .ok()?;
        Some(rule(&section, &bases, &fde, address))
    }
}

fn rule<'a, S: UnwindSection<Slice<'a>>>(
    section: &S,
    bases: &BaseAddresses,
    fde: &gimli::FrameDescriptionEntry<Slice<'a>>,
    address: u64,
) -> Result<Cfa<'a>, Unavailable> {
    let bad = |error: gimli::Error| Unavailable::BadDebugInfo(error.to_string());
    let mut context = Box::new(UnwindContext::new());
    let row = fde
        .unwind_info_for_address(section, bases, &mut context, address)
        .map_err(bad)?;
    match row.cfa() {
        CfaRule::RegisterAndOffset { register, offset } => {
            let register: Register = visible(*register)?;
            Ok(Cfa::Expr(add(
                Expr(vec![Term::Register(register)]),
                *offset as u64,
            )?))
        }
        CfaRule::Expression(expression) => Ok(Cfa::Bytecode(
            expression.get(section).map_err(bad)?,
            fde.cie().encoding(),
        )),
    }
}
