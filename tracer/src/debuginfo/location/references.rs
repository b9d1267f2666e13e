//! References of a location to other entries: their locations, their values, the frame base.

use gimli::AttributeValue;

use super::symbolic::{OperandType, normalise, then};
use super::{EvaluationState, LocationEvaluator, MAX_DEPTH, Result, constant, missing};
use crate::base::unavailable::Unavailable;
use crate::debuginfo::dwarf::die_id::DieId;
use crate::debuginfo::dwarf::dies::Die;
use crate::debuginfo::model::place::{LocationExpr, PieceSource, Place, Term};

impl<'a> LocationEvaluator<'_, '_, 'a> {
    pub(super) fn call(
        &self,
        run: &mut EvaluationState<'a>,
        target: gimli::DieReference,
    ) -> Result<()> {
        let value = match target {
            gimli::DieReference::UnitRef(offset) => AttributeValue::UnitRef(offset),
            gimli::DieReference::DebugInfoRef(offset) => AttributeValue::DebugInfoRef(offset),
        };
        let die = self.context.dies.resolve(&self.unit, value);
        let die = die
            .and_then(|id| self.context.dies.die(id))
            .ok_or_else(missing)?;
        let Some(location) = die.attr(gimli::DW_AT_location) else {
            return Ok(());
        };
        let evaluator = self.deeper(&die.unit)?;
        let code = match location.exprloc_value() {
            Some(code) => Some(code),
            None => evaluator.listed(location)?,
        };
        let Some(code) = code else {
            return Ok(());
        };
        run.depth += 1;
        if run.depth > MAX_DEPTH {
            return Err(Unavailable::BadDebugInfo(
                "locations that refer to each other".to_owned(),
            ));
        }
        let done = evaluator.run(code.0, die.unit.unit.encoding(), run);
        run.depth -= 1;
        done
    }

    /// Returns the address that `DW_OP_fbreg` counts from.
    pub(super) fn frame_base(&self) -> Result<LocationExpr> {
        let none = || Unavailable::BadDebugInfo("no frame base".to_owned());
        let function = self.context.function.ok_or_else(none)?;
        let value = function.attr(gimli::DW_AT_frame_base).ok_or_else(none)?;
        let place = self.deeper(&function.unit)?.attribute(value)?;
        match place.pieces.into_iter().next().map(|piece| piece.source) {
            Some(PieceSource::Memory(expr) | PieceSource::Value(expr)) => Ok(expr),
            Some(PieceSource::Register(register)) => {
                Ok(LocationExpr(vec![Term::Register(register)]))
            }
            Some(PieceSource::Unavailable(why)) => Err(why),
            _ => Err(none()),
        }
    }

    /// Returns the place of another variable.
    pub(super) fn place_of_die(&self, id: DieId) -> Result<Place> {
        let die = self.context.dies.die(id).ok_or_else(missing)?;
        let evaluator = self.deeper(&die.unit)?;
        if let Some((owner, value)) = self.context.dies.inherited(&die, gimli::DW_AT_location) {
            return self.deeper(&owner.unit)?.attribute(value);
        }
        match die.attr(gimli::DW_AT_const_value) {
            Some(value) => Ok(Place::whole(constant(value).ok_or_else(missing)?)),
            None => Ok(evaluator.gone()),
        }
    }

    fn gone(&self) -> Place {
        Place::unavailable(Unavailable::OptimisedOut)
    }

    /// Returns the number that another variable holds.
    pub(super) fn value_of(&self, id: DieId) -> Result<LocationExpr> {
        let place = self.place_of_die(id)?;
        let die = self.context.dies.die(id).ok_or_else(missing)?;
        let kind = self.kind_of_variable(&die).unwrap_or(OperandType::Int {
            signed: false,
            size: 8,
        });
        let OperandType::Int { size, .. } = kind else {
            return Err(Unavailable::Unsupported(
                "a count that is not an integer".to_owned(),
            ));
        };
        let expr = match place.pieces.into_iter().next().map(|piece| piece.source) {
            Some(PieceSource::Memory(expr)) => then(expr, Term::Deref(size))?,
            Some(PieceSource::Value(expr)) => expr,
            Some(PieceSource::Register(register)) => LocationExpr(vec![Term::Register(register)]),
            Some(PieceSource::Bytes(bytes)) => {
                let number = bytes
                    .iter()
                    .rev()
                    .take(8)
                    .fold(0, |n, b| n << 8 | u64::from(*b));
                LocationExpr(vec![Term::Const(number)])
            }
            Some(PieceSource::Unavailable(why)) => return Err(why),
            _ => return Err(Unavailable::OptimisedOut),
        };
        normalise(expr, kind)
    }

    /// Returns the integer type of a variable, through typedefs and qualifiers.
    fn kind_of_variable(&self, die: &Die<'a>) -> Option<OperandType> {
        let mut ty = self.context.dies.die(self.context.dies.type_of(die)?)?;
        for _ in 0..MAX_DEPTH {
            if ty.tag() == gimli::DW_TAG_base_type {
                let evaluator = self.deeper(&ty.unit).ok()?;
                return evaluator.kind(ty.entry.offset()).ok();
            }
            ty = self.context.dies.die(self.context.dies.type_of(&ty)?)?;
        }
        None
    }
}
