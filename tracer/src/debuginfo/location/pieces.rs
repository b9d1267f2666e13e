//! The result of a location's operations: sources of bytes, in pieces or as a whole.

use gimli::AttributeValue;

use super::registers::visible;
use super::symbolic::{add, binary};
use super::{Completion, EvaluationState, LocationEvaluator, MAX_PIECES, Result};
use crate::base::address::LinkAddr;
use crate::base::unavailable::Unavailable;
use crate::debuginfo::dwarf::dies::Attr;
use crate::debuginfo::model::place::{Binary, LocationExpr, Piece, PieceSource, Place, Term};

impl<'a> LocationEvaluator<'_, '_, 'a> {
    pub(super) fn piece(
        &self,
        run: &mut EvaluationState<'a>,
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
            Err(why) => PieceSource::Unavailable(why),
        };
        run.stack.clear();
        run.pieces.push(Piece {
            size: Some(bits / 8),
            source,
        });
        Ok(())
    }

    /// Returns the source that the operations since the last piece describe.
    pub(super) fn source(&self, run: &mut EvaluationState<'a>) -> Result<PieceSource> {
        match run.complete.take() {
            Some(Completion::Register(register)) => Ok(PieceSource::Register(visible(register)?)),
            Some(Completion::Bytes(bytes)) => Ok(PieceSource::Bytes(bytes.slice().to_vec())),
            Some(Completion::Value) => Ok(PieceSource::Value(run.pop()?.expr)),
            Some(Completion::Pointer(id, offset)) => {
                let place = self.place_of_die(id).unwrap_or_else(Place::unavailable);
                Ok(PieceSource::ImplicitPointer(Box::new(place), offset))
            }
            None => match run.stack.pop() {
                Some(top) => Ok(PieceSource::Memory(top.expr)),
                None => Ok(PieceSource::Unavailable(Unavailable::OptimisedOut)),
            },
        }
    }
}

/// Returns the bytes of a source from `bits` on.
fn shifted(source: PieceSource, bits: u64) -> Result<PieceSource> {
    if bits == 0 {
        return Ok(source);
    }
    let shift = || LocationExpr(vec![Term::Const(bits)]);
    Ok(match source {
        PieceSource::Memory(expr) => PieceSource::Memory(add(expr, bits / 8)?),
        PieceSource::Register(register) => {
            let whole = LocationExpr(vec![Term::Register(register)]);
            PieceSource::Value(binary(whole, shift(), Binary::Shr)?)
        }
        PieceSource::Value(expr) => PieceSource::Value(binary(expr, shift(), Binary::Shr)?),
        PieceSource::Bytes(bytes) => {
            let from = usize::try_from(bits / 8)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            PieceSource::Bytes(bytes[from..].to_vec())
        }
        other => other,
    })
}

/// Returns the bytes of a `DW_AT_const_value`, as many as its form has.
pub(in crate::debuginfo) fn constant(value: Attr<'_>) -> Option<PieceSource> {
    Some(match value {
        AttributeValue::Block(bytes) | AttributeValue::Exprloc(gimli::Expression(bytes)) => {
            PieceSource::Bytes(bytes.slice().to_vec())
        }
        AttributeValue::Data16(number) => PieceSource::Bytes(number.to_le_bytes().to_vec()),
        AttributeValue::Sdata(number) => {
            let sign = if number < 0 { u64::MAX } else { 0 };
            let mut bytes = number.to_le_bytes().to_vec();
            bytes.extend(sign.to_le_bytes());
            PieceSource::Bytes(bytes)
        }
        AttributeValue::Addr(address) => {
            PieceSource::Value(LocationExpr(vec![Term::Address(LinkAddr(address))]))
        }
        other => {
            let mut bytes = other.udata_value()?.to_le_bytes().to_vec();
            bytes.extend([0; 8]);
            PieceSource::Bytes(bytes)
        }
    })
}
