//! What a location takes from other entries: their locations, their values, the frame base.

use gimli::AttributeValue;

use super::super::dies::{Die, DieId};
use super::super::place::{Expr, Place, Source, Term};
use super::symbolic::{Kind, normalise, then};
use super::{Evaluator, MAX_DEPTH, Result, Run, constant, missing};
use crate::unavailable::Unavailable;

impl<'a> Evaluator<'_, '_, 'a> {
    pub(super) fn call(&self, run: &mut Run<'a>, target: gimli::DieReference) -> Result<()> {
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

    /// The address that `DW_OP_fbreg` counts from.
    pub(super) fn frame_base(&self) -> Result<Expr> {
        let none = || Unavailable::BadDebugInfo("no frame base".to_owned());
        let function = self.context.function.ok_or_else(none)?;
        let value = function.attr(gimli::DW_AT_frame_base).ok_or_else(none)?;
        let place = self.deeper(&function.unit)?.attribute(value)?;
        match place.pieces.into_iter().next().map(|piece| piece.source) {
            Some(Source::Memory(expr) | Source::Value(expr)) => Ok(expr),
            Some(Source::Register(register)) => Ok(Expr(vec![Term::Register(register)])),
            Some(Source::Unavailable(why)) => Err(why),
            _ => Err(none()),
        }
    }

    /// The place of another variable.
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

    /// The number that another variable holds.
    pub(super) fn value_of(&self, id: DieId) -> Result<Expr> {
        let place = self.place_of_die(id)?;
        let die = self.context.dies.die(id).ok_or_else(missing)?;
        let kind = self.kind_of_variable(&die).unwrap_or(Kind::Int {
            signed: false,
            size: 8,
        });
        let Kind::Int { size, .. } = kind else {
            return Err(Unavailable::Unsupported(
                "a count that is not an integer".to_owned(),
            ));
        };
        let expr = match place.pieces.into_iter().next().map(|piece| piece.source) {
            Some(Source::Memory(expr)) => then(expr, Term::Deref(size))?,
            Some(Source::Value(expr)) => expr,
            Some(Source::Register(register)) => Expr(vec![Term::Register(register)]),
            Some(Source::Bytes(bytes)) => {
                let number = bytes
                    .iter()
                    .rev()
                    .take(8)
                    .fold(0, |n, b| n << 8 | u64::from(*b));
                Expr(vec![Term::Const(number)])
            }
            Some(Source::Unavailable(why)) => return Err(why),
            _ => return Err(Unavailable::OptimisedOut),
        };
        normalise(expr, kind)
    }

    /// Integer type of a variable, through typedefs and qualifiers.
    fn kind_of_variable(&self, die: &Die<'a>) -> Option<Kind> {
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
