//! Values that parameters had when the function was entered: what its callers
//! say they passed (DWARF 5, 3.4.2).
//!
//! Which caller it was, the return address tells at the hit. A call site counts
//! only where the instruction there calls this very function, and none counts
//! where the function could have been entered anew by jumps since: then what
//! was passed may not be what it has.

use std::rc::Rc;

use gimli::Operation;

use super::super::calls::{self, Call};
use super::super::cfi::{Cfa, FrameSections, Saved};
use super::super::dies::{Attr, Die, DieId, Dies, Slice, UnitAt};
use super::super::place::{Binary, Expr, Register, Source, Term};
use super::super::unit_index::index_of;
use super::symbolic::{Operand, add, binary, choose, then};
use super::{Complete, Context, Evaluator, Result, Run, missing, unknown};
use crate::address::LinkAddr;
use crate::unavailable::Unavailable;

/// Call sites of one function that are told apart; the others' values are not known.
const MAX_CALLERS: usize = 8;
/// DWARF number of `rsp`.
const RSP: u8 = 7;
/// DWARF number of the return address.
const RETURN: u8 = 16;

/// Which parameter of a call is asked for.
#[derive(Clone, Copy)]
enum Wanted {
    /// The one that was passed in a register.
    Register(gimli::Register),
    /// The one that an entry describes.
    Parameter(DieId),
}

impl<'a> Evaluator<'_, '_, 'a> {
    /// The value that an expression had when the function was entered: at its
    /// first instruction that is the value now.
    pub(super) fn entry_value(&self, expression: Slice<'a>) -> Result<Operand> {
        if self.is_at_entry()? {
            let place = self
                .deeper(&self.unit)?
                .place(gimli::Expression(expression))?;
            return match place.pieces.into_iter().next().map(|piece| piece.source) {
                Some(Source::Register(register)) => {
                    Ok(Operand::generic(Expr(vec![Term::Register(register)])))
                }
                Some(Source::Memory(expr) | Source::Value(expr)) => Ok(Operand::generic(expr)),
                _ => Err(entry_value()),
            };
        }
        let mut rest = expression;
        match Operation::parse(&mut rest, self.unit.unit.encoding()).map_err(unknown)? {
            Operation::Register { register } if rest.is_empty() => {
                self.passed(Wanted::Register(register))
            }
            _ => Err(entry_value()),
        }
    }

    /// The value of a parameter that the compiler took out of the function.
    pub(super) fn parameter(&self, offset: gimli::UnitOffset) -> Result<Operand> {
        self.passed(Wanted::Parameter(self.unit.id(offset)))
    }

    fn is_at_entry(&self) -> Result<bool> {
        let function = self.context.function.ok_or_else(entry_value)?;
        let low = function.attr(gimli::DW_AT_low_pc);
        let dwarf = self.context.dies.dwarf_of(function).ok_or_else(missing)?;
        let low = low.and_then(|low| dwarf.attr_address(&function.unit.unit, low).ok().flatten());
        Ok(low == Some(self.context.address))
    }

    /// What the callers pass, each where the return address says that it was this one.
    fn passed(&self, wanted: Wanted) -> Result<Operand> {
        let (dies, address) = (self.context.dies, self.context.address);
        let function = dies.module.function_code_at(LinkAddr(address));
        let entry = function.ok_or_else(entry_value)?.entry;
        let look = || calls::may_enter_itself(dies.module, entry);
        if dies.cache.enters_itself(entry.0, look) {
            return Err(entry_value());
        }
        let frame = self.frame()?;
        let back = frame.of(RETURN)?;
        let unit = &self.context.function.ok_or_else(entry_value)?.unit;
        let mut value: Option<Expr> = None;
        for (unit, call) in callers(dies, unit, entry) {
            let Ok(passed) = self.passed_by(&unit, &call, wanted, &frame) else {
                continue;
            };
            let from = Expr(vec![Term::Address(LinkAddr(call.returns_to))]);
            let here = binary(back.clone(), from, Binary::Eq)?;
            value = Some(match value {
                None => then_if(passed, here)?,
                Some(others) => choose(passed, others, here)?,
            });
        }
        value.map(Operand::generic).ok_or_else(entry_value)
    }

    /// What one call passes, as far as that can still be computed in the callee.
    fn passed_by(
        &self,
        unit: &Rc<UnitAt<'a>>,
        call: &Call,
        wanted: Wanted,
        frame: &CalleeFrame,
    ) -> Result<Expr> {
        let dies = self.context.dies;
        let site = dies.die(unit.id(call.site)).ok_or_else(missing)?;
        let parameters = dies.children(&site).into_iter();
        let mut parameters = parameters.filter(|parameter| self.is_wanted(parameter, wanted));
        let parameter = parameters.next().ok_or_else(entry_value)?;
        let value = parameter
            .attr(gimli::DW_AT_call_value)
            .or_else(|| parameter.attr(gimli::DW_AT_GNU_call_site_value))
            .and_then(|value: Attr<'a>| value.exprloc_value())
            .ok_or_else(entry_value)?;
        self.is_stable(value.0)?;
        // The call itself is what the caller's tables speak of.
        let address = call.returns_to.checked_sub(1).ok_or_else(missing)?;
        let function = index_of(dies, unit).function(address);
        let function = function.and_then(|offset| dies.die(unit.id(offset)));
        let sections = FrameSections::of(dies.module);
        let cfa = |evaluator: &Evaluator<'_, '_, 'a>| match sections.cfa(address)? {
            Cfa::Expr(expr) => Ok(expr),
            Cfa::Bytecode(bytecode, encoding) => evaluator.expr(bytecode, encoding),
        };
        let context = Context {
            dies,
            address,
            function: function.as_ref(),
            cfa: &cfa,
        };
        let depth = self.deeper(unit)?.depth;
        let evaluator = Evaluator {
            context: &context,
            unit: Rc::clone(unit),
            steps: self.steps,
            depth,
        };
        let mut run = Run::default();
        evaluator.run(value.0, unit.unit.encoding(), &mut run)?;
        let expr = match run.complete {
            None | Some(Complete::Value) => run.pop()?.expr,
            Some(Complete::Register(register)) => {
                Expr(vec![Term::Register(super::visible(register)?)])
            }
            Some(_) => return Err(entry_value()),
        };
        frame.seen_from_callee(&expr)
    }

    fn is_wanted(&self, parameter: &Die<'a>, wanted: Wanted) -> bool {
        match wanted {
            Wanted::Register(register) => {
                let location = parameter.attr(gimli::DW_AT_location);
                let location = location.and_then(|location| location.exprloc_value());
                location.is_some_and(|gimli::Expression(mut code)| {
                    let first = Operation::parse(&mut code, parameter.unit.unit.encoding());
                    code.is_empty()
                        && first.is_ok_and(|first| first == Operation::Register { register })
                })
            }
            Wanted::Parameter(id) => [gimli::DW_AT_call_parameter, gimli::DW_AT_abstract_origin]
                .into_iter()
                .any(|name| self.context.dies.reference(parameter, name) == Some(id)),
        }
    }

    /// Whether a value depends only on what stays as it is during the call:
    /// memory may have been written since.
    fn is_stable(&self, code: Slice<'a>) -> Result<()> {
        let mut rest = code;
        while !rest.is_empty() {
            self.step()?;
            let operation = Operation::parse(&mut rest, self.unit.unit.encoding());
            match operation.map_err(unknown)? {
                Operation::Deref { .. }
                | Operation::Call { .. }
                | Operation::VariableValue { .. }
                | Operation::ImplicitPointer { .. }
                | Operation::TLS => return Err(entry_value()),
                _ => {}
            }
        }
        Ok(())
    }

    /// How the caller's registers are found from here.
    fn frame(&self) -> Result<CalleeFrame> {
        let sections = FrameSections::of(self.context.dies.module);
        let saved = sections.saved(self.context.address);
        Ok(CalleeFrame {
            cfa: (self.context.cfa)(&self.deeper(&self.unit)?)?,
            saved: saved.ok_or_else(entry_value)?,
        })
    }
}

/// Calls of the function at `entry`, those of its own unit first.
fn callers<'a>(
    dies: &Dies<'a>,
    unit: &Rc<UnitAt<'a>>,
    entry: LinkAddr,
) -> Vec<(Rc<UnitAt<'a>>, Call)> {
    let own = calls::calls_of(dies, unit);
    let own = own.to(entry).take(MAX_CALLERS);
    let mut found: Vec<_> = own.map(|call| (Rc::clone(unit), *call)).collect();
    let left = MAX_CALLERS.saturating_sub(found.len());
    if left > 0 {
        found.extend(
            calls::from_other_units(dies, entry, MAX_CALLERS)
                .into_iter()
                .take(left),
        );
    }
    found
}

/// A frame, by what it keeps of its caller's registers.
struct CalleeFrame {
    cfa: Expr,
    saved: [Saved; 17],
}

impl CalleeFrame {
    /// A register of the caller.
    fn of(&self, register: u8) -> Result<Expr> {
        if register == RSP {
            return Ok(self.cfa.clone());
        }
        match self.saved.get(usize::from(register)) {
            Some(Saved::Same) => Ok(Expr(vec![Term::Register(Register(register))])),
            Some(Saved::At(offset)) => then(add(self.cfa.clone(), *offset as u64)?, Term::Deref(8)),
            _ => Err(entry_value()),
        }
    }

    /// An expression over the caller's registers, over those of here.
    fn seen_from_callee(&self, expr: &Expr) -> Result<Expr> {
        let mut terms = Vec::new();
        for term in &expr.0 {
            match term {
                Term::Register(register) => terms.extend(self.of(register.0)?.0),
                other => terms.push(*other),
            }
        }
        super::symbolic::bounded(Expr(terms))
    }
}

/// A value that is known only when the number is not 0.
fn then_if(value: Expr, condition: Expr) -> Result<Expr> {
    let mut terms = value.0;
    terms.extend(condition.0);
    terms.push(Term::KnownCaller);
    super::symbolic::bounded(Expr(terms))
}

/// The reason where no caller says what it passed.
pub(super) fn entry_value() -> Unavailable {
    Unavailable::Unsupported("the value at the function's entry".to_owned())
}
