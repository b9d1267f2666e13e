//! Evaluates DWARF location descriptions to [`Place`]s, as far as that is possible without a
//! process.
//!
//! Values that only the target knows stay in the expression. Evaluation terminates on hostile
//! bytes: steps, stack, depth and length of expressions are bounded.

mod branch;
mod entry_value;
mod operations;
mod pieces;
mod references;
pub(in crate::debuginfo) mod registers;
pub(in crate::debuginfo) mod symbolic;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use gimli::{Operation, Reader as _};

use self::symbolic::SymbolicOperand;
use crate::base::unavailable::Unavailable;
use crate::debuginfo::calls::neighbours::{Neighbours, alone};
use crate::debuginfo::dwarf::die_id::DieId;
use crate::debuginfo::dwarf::dies::{Attr, Die, Dies, ParsedUnit, Slice};
use crate::debuginfo::model::place::{LocationExpr, Piece, PieceSource, Place, Register, Term};
pub(in crate::debuginfo) use pieces::constant;
use registers::visible;

/// Operations of one location, including those of locations that it calls or refers to.
const MAX_STEPS: u32 = 4096;
/// Operands on the stack.
const MAX_STACK: usize = 64;
/// Pieces of one location.
const MAX_PIECES: usize = 256;
/// Locations within locations (`DW_OP_call*`, implicit pointers, frame base).
const MAX_DEPTH: u32 = 8;
/// Stands for the address of the object in a member's location.
pub(in crate::debuginfo) const OBJECT: Term = Term::Register(Register(u8::MAX));

type Result<T> = std::result::Result<T, Unavailable>;

/// Everything except its own bytes that a location may refer to.
pub(in crate::debuginfo) struct LocationContext<'c, 'a> {
    /// Debug entries, for locations that refer to others.
    pub(in crate::debuginfo) dies: &'c Dies<'a>,
    /// Link address of the site.
    pub(in crate::debuginfo) address: u64,
    /// The function that has a frame at the site (inlined copies have none).
    pub(in crate::debuginfo) function: Option<&'c Die<'a>>,
    /// The canonical frame address at the site.
    pub(in crate::debuginfo) cfa:
        &'c dyn Fn(&LocationEvaluator<'_, '_, 'a>) -> Result<LocationExpr>,
    /// The other modules of the process.
    pub(in crate::debuginfo) neighbours: Neighbours<'c>,
}

impl<'c, 'a> LocationContext<'c, 'a> {
    /// Returns the context for locations that do not depend on a site.
    pub(in crate::debuginfo) fn without_frame(dies: &'c Dies<'a>) -> Self {
        Self {
            dies,
            address: 0,
            function: None,
            cfa: &|_| Err(Unavailable::BadDebugInfo("no frame".to_owned())),
            neighbours: &alone,
        }
    }
}

/// Evaluates the locations of one unit at one site.
pub(in crate::debuginfo) struct LocationEvaluator<'e, 'c, 'a> {
    context: &'e LocationContext<'c, 'a>,
    unit: Rc<ParsedUnit<'a>>,
    steps: &'e std::cell::Cell<u32>,
    depth: u32,
}

/// Evaluates the attribute `value` of `die` (`DW_AT_location`, `DW_AT_frame_base`, …).
pub(in crate::debuginfo) fn place_of<'a>(
    context: &LocationContext<'_, 'a>,
    die: &Die<'a>,
    value: Attr<'a>,
) -> Place {
    let steps = std::cell::Cell::new(MAX_STEPS);
    let evaluator = LocationEvaluator {
        context,
        unit: Rc::clone(&die.unit),
        steps: &steps,
        depth: 0,
    };
    evaluator
        .attribute(value)
        .unwrap_or_else(Place::unavailable)
}

/// Returns the expression that a location computes, given an address on its stack.
pub(in crate::debuginfo) fn from_object<'a>(
    context: &LocationContext<'_, 'a>,
    unit: &Rc<ParsedUnit<'a>>,
    bytecode: gimli::Expression<Slice<'a>>,
    object: Term,
) -> Result<LocationExpr> {
    let steps = std::cell::Cell::new(MAX_STEPS);
    let evaluator = LocationEvaluator {
        context,
        unit: Rc::clone(unit),
        steps: &steps,
        depth: 0,
    };
    let mut run = EvaluationState::default();
    run.stack
        .push(SymbolicOperand::generic(LocationExpr(vec![object])));
    evaluator.run(bytecode.0, unit.unit.encoding(), &mut run)?;
    run.stack.pop().map(|top| top.expr).ok_or_else(underflow)
}

/// Returns the number that an expression computes without a frame.
pub(in crate::debuginfo) fn from_bytecode<'a>(
    dies: &Dies<'a>,
    bytecode: gimli::Expression<Slice<'a>>,
    encoding: gimli::Encoding,
) -> Result<LocationExpr> {
    let mut run = EvaluationState::default();
    let context = LocationContext::without_frame(dies);
    let unit = dies.any_unit().ok_or_else(missing)?;
    let steps = std::cell::Cell::new(MAX_STEPS);
    let evaluator = LocationEvaluator {
        context: &context,
        unit,
        steps: &steps,
        depth: 0,
    };
    evaluator.run(bytecode.0, encoding, &mut run)?;
    run.pop().map(|top| top.expr)
}

/// Returns the number that an attribute has or that its expression computes at the site.
pub(in crate::debuginfo) fn number_of<'a>(
    context: &LocationContext<'_, 'a>,
    die: &Die<'a>,
    value: Attr<'a>,
) -> Option<LocationExpr> {
    if let Some(number) = value
        .sdata_value()
        .or_else(|| value.udata_value().map(|n| n as i64))
    {
        return Some(LocationExpr(vec![Term::Const(number as u64)]));
    }
    if let Some(id) = context.dies.resolve(&die.unit, value) {
        let steps = std::cell::Cell::new(MAX_STEPS);
        let evaluator = LocationEvaluator {
            context,
            unit: Rc::clone(&die.unit),
            steps: &steps,
            depth: 0,
        };
        return evaluator.value_of(id).ok();
    }
    match place_of(context, die, value).pieces.as_slice() {
        // The result of the attribute's expression is the number itself.
        [
            Piece {
                source: PieceSource::Memory(expr) | PieceSource::Value(expr),
                ..
            },
        ] => Some(expr.clone()),
        [
            Piece {
                source: PieceSource::Register(register),
                ..
            },
        ] => Some(LocationExpr(vec![Term::Register(*register)])),
        _ => None,
    }
}

/// State of one evaluation.
#[derive(Default)]
struct EvaluationState<'a> {
    stack: Vec<SymbolicOperand>,
    /// The kind of the piece, from a completing operation.
    complete: Option<Completion<'a>>,
    pieces: Vec<Piece>,
    depth: u32,
    /// Number of conditions on this path that only the target can decide.
    forks: u32,
}

enum Completion<'a> {
    Register(gimli::Register),
    Bytes(Slice<'a>),
    Value,
    Pointer(DieId, i64),
}

impl<'a> EvaluationState<'a> {
    fn push(&mut self, operand: SymbolicOperand) -> Result<()> {
        if self.stack.len() >= MAX_STACK {
            return Err(Unavailable::Unsupported(
                "a location this complex".to_owned(),
            ));
        }
        self.stack.push(operand);
        Ok(())
    }

    fn pop(&mut self) -> Result<SymbolicOperand> {
        self.stack.pop().ok_or_else(underflow)
    }
}

impl<'a> LocationEvaluator<'_, '_, 'a> {
    /// Returns an evaluator for a location that this one refers to.
    fn deeper(&self, unit: &Rc<ParsedUnit<'a>>) -> Result<LocationEvaluator<'_, '_, 'a>> {
        if self.depth >= MAX_DEPTH {
            return Err(Unavailable::BadDebugInfo(
                "locations that refer to each other".to_owned(),
            ));
        }
        Ok(LocationEvaluator {
            context: self.context,
            unit: Rc::clone(unit),
            steps: self.steps,
            depth: self.depth + 1,
        })
    }

    /// Evaluates an attribute: an expression, or the entry of a location list that covers the
    /// site.
    fn attribute(&self, value: Attr<'a>) -> Result<Place> {
        if let Some(expression) = value.exprloc_value() {
            return self.place(expression);
        }
        match self.listed(value)? {
            Some(expression) => self.place(expression),
            None => Ok(Place::unavailable(Unavailable::OptimisedOut)),
        }
    }

    fn listed(&self, value: Attr<'a>) -> Result<Option<gimli::Expression<Slice<'a>>>> {
        let bad = |error: gimli::Error| Unavailable::BadDebugInfo(error.to_string());
        let file = self.unit.section.file;
        let dwarf = self.context.dies.dwarf(file).ok_or_else(missing)?;
        let Some(mut list) = dwarf.attr_locations(&self.unit.unit, value).map_err(bad)? else {
            return Err(Unavailable::Unsupported(
                "this form of a location".to_owned(),
            ));
        };
        let address = self.context.address;
        while let Some(entry) = list.next().map_err(bad)? {
            if !self.context.dies.spend() {
                let why = "location lists without end".to_owned();
                return Err(Unavailable::BadDebugInfo(why));
            }
            if entry.range.begin <= address && address < entry.range.end {
                return Ok(Some(entry.data));
            }
        }
        Ok(None)
    }

    /// Evaluates a whole location description.
    pub(in crate::debuginfo) fn place(
        &self,
        bytecode: gimli::Expression<Slice<'a>>,
    ) -> Result<Place> {
        let mut run = EvaluationState::default();
        if bytecode.0.is_empty() {
            return Ok(Place::unavailable(Unavailable::OptimisedOut));
        }
        self.run(bytecode.0, self.unit.unit.encoding(), &mut run)?;
        if !run.pieces.is_empty() {
            return Ok(Place { pieces: run.pieces });
        }
        let source = self.source(&mut run)?;
        Ok(Place::whole(source))
    }

    /// Evaluates an expression that leaves an address or a number.
    pub(in crate::debuginfo) fn expr(
        &self,
        bytecode: gimli::Expression<Slice<'a>>,
        encoding: gimli::Encoding,
    ) -> Result<LocationExpr> {
        let mut run = EvaluationState::default();
        self.run(bytecode.0, encoding, &mut run)?;
        run.pop().map(|top| top.expr)
    }

    fn step(&self) -> Result<()> {
        let left = self.steps.get().checked_sub(1);
        let left = left
            .ok_or_else(|| Unavailable::BadDebugInfo("a location that does not end".to_owned()))?;
        self.steps.set(left);
        Ok(())
    }

    /// Runs all operations. Pieces that cannot be evaluated do not spoil the others.
    fn run(
        &self,
        code: Slice<'a>,
        encoding: gimli::Encoding,
        run: &mut EvaluationState<'a>,
    ) -> Result<()> {
        self.run_from(code, code, encoding, run)
    }

    /// Runs the operations in `rest`.
    fn run_from(
        &self,
        code: Slice<'a>,
        mut rest: Slice<'a>,
        encoding: gimli::Encoding,
        run: &mut EvaluationState<'a>,
    ) -> Result<()> {
        while !rest.is_empty() {
            self.step()?;
            let operation = Operation::parse(&mut rest, encoding).map_err(unknown)?;
            let done = match operation {
                Operation::Skip { target } => jump(code, &mut rest, target),
                Operation::Bra { target } => {
                    match self.branch(run, code, &mut rest, target, encoding) {
                        Ok(true) => return Ok(()),
                        Ok(false) => Ok(()),
                        Err(why) => Err(why),
                    }
                }
                Operation::Piece {
                    size_in_bits,
                    bit_offset,
                } => self.piece(run, size_in_bits, bit_offset),
                other => self.operation(run, other),
            };
            if let Err(why) = done {
                self.lost_piece(run, why, &mut rest, encoding)?;
            }
        }
        Ok(())
    }

    /// Continues after a piece that could not be evaluated. Fails if there are no pieces.
    fn lost_piece(
        &self,
        run: &mut EvaluationState<'a>,
        why: Unavailable,
        rest: &mut Slice<'a>,
        encoding: gimli::Encoding,
    ) -> Result<()> {
        while !rest.is_empty() {
            self.step()?;
            let operation = Operation::parse(rest, encoding).map_err(unknown)?;
            if let Operation::Piece { size_in_bits, .. } = operation
                && size_in_bits.is_multiple_of(8)
                && run.pieces.len() < MAX_PIECES
            {
                run.stack.clear();
                run.complete = None;
                run.pieces.push(Piece {
                    size: Some(size_in_bits / 8),
                    source: PieceSource::Unavailable(why),
                });
                return Ok(());
            }
        }
        Err(why)
    }
}

fn jump<'a>(code: Slice<'a>, rest: &mut Slice<'a>, target: i16) -> Result<()> {
    let bad = || Unavailable::BadDebugInfo("a branch out of a location".to_owned());
    let at = (code.len() as i64 - rest.len() as i64).checked_add(i64::from(target));
    let at = at.and_then(|at| usize::try_from(at).ok()).ok_or_else(bad)?;
    let mut moved = code;
    moved.skip(at).map_err(|_| bad())?;
    *rest = moved;
    Ok(())
}

fn underflow() -> Unavailable {
    Unavailable::BadDebugInfo("a location that takes what it did not give".to_owned())
}

fn missing() -> Unavailable {
    Unavailable::BadDebugInfo("a location that refers to nothing".to_owned())
}

fn unknown(error: gimli::Error) -> Unavailable {
    match error {
        gimli::Error::InvalidExpression(op) => Unavailable::Unsupported(op.to_string()),
        other => Unavailable::BadDebugInfo(other.to_string()),
    }
}
