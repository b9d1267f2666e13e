//! What the operations of a location come to: sources of bytes, in pieces or as a whole.

use gimli::AttributeValue;

use super::super::dies::Attr;
use super::super::place::{Binary, Expr, Piece, Place, Register, Source, Term};
use super::symbolic::{add, binary};
use super::{Complete, Evaluator, MAX_PIECES, Result, Run};
use crate::address::LinkAddr;
use crate::unavailable::Unavailable;

/// The last DWARF register that the kernel hands to eBPF (x86-64: the instruction pointer).
const LAST_REGISTER: u16 = 16;

impl<'a> Evaluator<'_, '_, 'a> {
    pub(super) fn piece(
        &self,
        run: &mut Run<'a>,
        bits: u64,
        bit_offset: Option<u64>,
    ) -> Result<()> {
        let offset = bit_offset.unwrap_or(0);
        if !bits.is_multiple_of(8) || !offset.is_multiple_of(8) {
            let why = "pieces that are not whole bytes".to_owned();
            return Err(Unavailable::Unsupported(why));
        }
        if run.pieces.len() >= MAX_PIECES {
            return Err(Unavailable::Unsupported(
                "a location this complex".to_owned(),
            ));
        }
        let source = match self.source(run) {
            Ok(source) => shifted(source, offset)?,
            Err(why) => Source::Unavailable(why),
        };
        run.stack.clear();
        run.pieces.push(Piece {
            size: Some(bits / 8),
            source,
        });
        Ok(())
    }

    /// What the operations since the last piece add up to.
    pub(super) fn source(&self, run: &mut Run<'a>) -> Result<Source> {
        match run.complete.take() {
            Some(Complete::Register(register)) => Ok(Source::Register(visible(register)?)),
            Some(Complete::Bytes(bytes)) => Ok(Source::Bytes(bytes.slice().to_vec())),
            Some(Complete::Value) => Ok(Source::Value(run.pop()?.expr)),
            Some(Complete::Pointer(id, offset)) => {
                let place = self.place_of_die(id).unwrap_or_else(Place::unavailable);
                Ok(Source::ImplicitPointer(Box::new(place), offset))
            }
            None => match run.stack.pop() {
                Some(top) => Ok(Source::Memory(top.expr)),
                None => Ok(Source::Unavailable(Unavailable::OptimisedOut)),
            },
        }
    }
}

/// The bytes of a source from `bits` on.
fn shifted(source: Source, bits: u64) -> Result<Source> {
    if bits == 0 {
        return Ok(source);
    }
    let shift = || Expr(vec![Term::Const(bits)]);
    Ok(match source {
        Source::Memory(expr) => Source::Memory(add(expr, bits / 8)?),
        Source::Register(register) => {
            let whole = Expr(vec![Term::Register(register)]);
            Source::Value(binary(whole, shift(), Binary::Shr)?)
        }
        Source::Value(expr) => Source::Value(binary(expr, shift(), Binary::Shr)?),
        Source::Bytes(bytes) => {
            let from = usize::try_from(bits / 8)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            Source::Bytes(bytes[from..].to_vec())
        }
        other => other,
    })
}

/// The bytes of a `DW_AT_const_value`, as many as its form has.
pub(in super::super) fn constant(value: Attr<'_>) -> Option<Source> {
    Some(match value {
        AttributeValue::Block(bytes) | AttributeValue::Exprloc(gimli::Expression(bytes)) => {
            Source::Bytes(bytes.slice().to_vec())
        }
        AttributeValue::Data16(number) => Source::Bytes(number.to_le_bytes().to_vec()),
        AttributeValue::Sdata(number) => {
            let sign = if number < 0 { u64::MAX } else { 0 };
            let mut bytes = number.to_le_bytes().to_vec();
            bytes.extend(sign.to_le_bytes());
            Source::Bytes(bytes)
        }
        AttributeValue::Addr(address) => {
            Source::Value(Expr(vec![Term::Address(LinkAddr(address))]))
        }
        other => {
            let mut bytes = other.udata_value()?.to_le_bytes().to_vec();
            bytes.extend([0; 8]);
            Source::Bytes(bytes)
        }
    })
}

/// A register that the kernel hands to eBPF.
pub(in super::super) fn visible(register: gimli::Register) -> Result<Register> {
    if register.0 <= LAST_REGISTER {
        return Ok(Register(register.0 as u8));
    }
    let name = gimli::X86_64::register_name(register);
    let name = name.map_or_else(|| format!("number {}", register.0), str::to_owned);
    Err(Unavailable::Register(name))
}
