//! Values that parameters had when the function was entered: what its callers
//! say they passed (DWARF 5, 3.4.2).
//!
//! Which caller it was, the return address tells at the hit. A call site counts
//! only where the instruction there calls this very function, and none counts
//! where the function could have been entered anew by jumps since: then what
//! was passed may not be what it has.
//!
//! Calls of a shared library's functions go through a word of the calling module,
//! and count where that word has the function's address at the hit.

use std::iter;
use std::rc::Rc;

use gimli::Operation;

use super::super::calls::{self, Call};
use super::super::cfi::{Cfa, FrameSections, Saved};
use super::super::dies::{Attr, Die, DieId, Dies, Slice, UnitAt};
use super::super::imports;
use super::super::module::Module;
use super::super::neighbours::{Identity, Neighbour, Neighbours, alone};
use super::super::place::{Binary, Expr, Register, Source, Term};
use super::super::unit_index::index_of;
use super::symbolic::{Operand, add, binary, choose, then};
use super::{Complete, Context, Evaluator, Result, Run, missing, unknown};
use crate::address::{Bias, LinkAddr};
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

/// Why there is no value at the function's entry.
#[derive(Clone, Copy)]
enum Why {
    /// Jumps may have come back to the function's entry.
    Reentered,
    /// The location asks for more than what was in a register.
    Complex,
    /// The frame does not say where its caller's registers are.
    NoFrame,
    /// Nothing is known to call the function but through pointers.
    NoCaller,
    /// What calls it has no call sites.
    NoSites,
    /// What calls it may be replaced, and there is nothing to tell it by.
    NoIdentity,
    /// The callers do not say it, or in terms of what is gone.
    Unsaid,
}

impl Why {
    fn reason(self) -> Unavailable {
        let why = match self {
            Self::Reentered => "as jumps may have led back to it",
            Self::Complex => "as it is more than a register",
            Self::NoFrame => "as the caller's registers are not known",
            Self::NoCaller => "as no direct call of it is known",
            Self::NoSites => "as the calling module's debug information has no call sites",
            Self::NoIdentity => "as the calling library has no build id",
            Self::Unsaid => "as no caller describes it by a value that it keeps",
        };
        Unavailable::Unsupported(format!("the value at the function's entry, {why}"))
    }
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
                _ => Err(Why::Complex.reason()),
            };
        }
        let mut rest = expression;
        match Operation::parse(&mut rest, self.unit.unit.encoding()).map_err(unknown)? {
            Operation::Register { register } if rest.is_empty() => {
                self.passed(Wanted::Register(register))
            }
            _ => Err(Why::Complex.reason()),
        }
    }

    /// The value of a parameter that the compiler took out of the function.
    pub(super) fn parameter(&self, offset: gimli::UnitOffset) -> Result<Operand> {
        self.passed(Wanted::Parameter(self.unit.id(offset)))
    }

    fn is_at_entry(&self) -> Result<bool> {
        let function = self.context.function.ok_or_else(missing)?;
        let low = function.attr(gimli::DW_AT_low_pc);
        let dwarf = self.context.dies.dwarf_of(function).ok_or_else(missing)?;
        let low = low.and_then(|low| dwarf.attr_address(&function.unit.unit, low).ok().flatten());
        Ok(low == Some(self.context.address))
    }

    /// What the callers pass, each where the return address says that it was this one.
    fn passed(&self, wanted: Wanted) -> Result<Operand> {
        let (dies, address) = (self.context.dies, self.context.address);
        let function = dies.module.function_code_at(LinkAddr(address));
        let entry = function.ok_or_else(missing)?.entry;
        let look = || calls::may_enter_itself(dies.module, entry);
        if dies.cache.enters_itself(entry.0, look) {
            return Err(Why::Reentered.reason());
        }
        let frame = self.frame()?;
        let mut known = Known {
            back: frame.of(RETURN)?,
            callers: 0,
            value: None,
            why: Why::NoCaller,
        };
        self.by_own_calls(entry, wanted, &frame, &mut known)?;
        // A parameter that is no more is one of this module alone.
        if let Wanted::Register(register) = wanted {
            let names = imports::names_of(dies.module, entry);
            let neighbours = match names.is_empty() {
                true => Vec::new(),
                false => (self.context.neighbours)(),
            };
            for name in names.iter() {
                for module in iter::once(None).chain(neighbours.iter().map(Some)) {
                    self.by_imports(module, (name, entry), register, &frame, &mut known)?;
                }
            }
        }
        let Known { value, why, .. } = known;
        value.map(Operand::generic).ok_or_else(|| why.reason())
    }

    /// Adds what this module's direct calls pass.
    fn by_own_calls(
        &self,
        entry: LinkAddr,
        wanted: Wanted,
        frame: &CalleeFrame,
        known: &mut Known,
    ) -> Result<()> {
        let dies = self.context.dies;
        let unit = &self.context.function.ok_or_else(missing)?.unit;
        for (unit, call) in callers(dies, unit, entry) {
            known.why = Why::Unsaid;
            let neighbours = self.context.neighbours;
            let passed = self.passed_by(dies, (&unit, &call), neighbours, wanted);
            if let Ok(passed) = passed.and_then(|passed| frame.seen_from_callee(&passed)) {
                known.add(passed, Term::Address(LinkAddr(call.returns_to)))?;
            }
        }
        Ok(())
    }

    /// Adds what calls through the dynamic linker's words pass, of this module or of another one.
    ///
    /// What was called is certain where the word has this function's address.
    fn by_imports(
        &self,
        neighbour: Option<&Neighbour>,
        (name, entry): (&[u8], LinkAddr),
        register: gimli::Register,
        frame: &CalleeFrame,
        known: &mut Known,
    ) -> Result<()> {
        let module: &Module = match neighbour {
            Some(neighbour) => &neighbour.module,
            None => self.context.dies.module,
        };
        let bias = neighbour.map(|neighbour| neighbour.bias);
        let Some(imported) = imports::calls_of(module, name, MAX_CALLERS) else {
            return Ok(());
        };
        let identity = match neighbour {
            Some(neighbour) => neighbour.identity(),
            None => Some(Identity::Lasting),
        };
        let Some(identity) = identity else {
            known.instead_of_none(Why::NoIdentity);
            return Ok(());
        };
        let dies = Dies::new(module);
        for imported in imported.iter() {
            let Some((unit, call)) = calls::returning_to(&dies, imported.returns_to) else {
                known.instead_of_none(Why::NoSites);
                continue;
            };
            known.why = Why::Unsaid;
            let wanted = Wanted::Register(register);
            // What calls that module's functions is not asked again.
            let passed = self.passed_by(&dies, (&unit, &call), &alone, wanted);
            let passed = passed
                .and_then(|passed| in_process(passed, bias))
                .and_then(|passed| frame.seen_from_callee(&passed));
            let Ok(passed) = passed else {
                continue;
            };
            let passed = match identity {
                Identity::Lasting => passed,
                Identity::Word { at, is } => if_held(passed, Term::Const(at.0), Term::Const(is))?,
            };
            let passed = if_held(passed, place(imported.word, bias), Term::Address(entry))?;
            known.add(passed, place(LinkAddr(imported.returns_to), bias))?;
        }
        Ok(())
    }

    /// What one call passes, by the registers and the frame of the caller, as far as that stays as
    /// it is during the call.
    fn passed_by<'b>(
        &self,
        dies: &Dies<'b>,
        (unit, call): (&Rc<UnitAt<'b>>, &Call),
        neighbours: Neighbours<'_>,
        wanted: Wanted,
    ) -> Result<Expr> {
        let unsaid = || Why::Unsaid.reason();
        let site = dies.die(unit.id(call.site)).ok_or_else(missing)?;
        let parameters = dies.children(&site).into_iter();
        let mut parameters = parameters.filter(|parameter| is_wanted(dies, parameter, wanted));
        let parameter = parameters.next().ok_or_else(unsaid)?;
        let value = parameter
            .attr(gimli::DW_AT_call_value)
            .or_else(|| parameter.attr(gimli::DW_AT_GNU_call_site_value))
            .and_then(|value: Attr<'b>| value.exprloc_value())
            .ok_or_else(unsaid)?;
        // The call itself is what the caller's tables speak of.
        let address = call.returns_to.checked_sub(1).ok_or_else(missing)?;
        let function = index_of(dies, unit).function(address);
        let function = function.and_then(|offset| dies.die(unit.id(offset)));
        let sections = FrameSections::of(dies.module);
        let cfa = |evaluator: &Evaluator<'_, '_, 'b>| match sections.cfa(address)? {
            Cfa::Expr(expr) => Ok(expr),
            Cfa::Bytecode(bytecode, encoding) => evaluator.expr(bytecode, encoding),
        };
        let context = Context {
            dies,
            address,
            function: function.as_ref(),
            cfa: &cfa,
            neighbours,
        };
        let evaluator = Evaluator {
            context: &context,
            unit: Rc::clone(unit),
            steps: self.steps,
            depth: self.deeper(&self.unit)?.depth,
        };
        evaluator.is_stable(value.0)?;
        let mut run = Run::default();
        evaluator.run(value.0, unit.unit.encoding(), &mut run)?;
        match run.complete {
            None | Some(Complete::Value) => Ok(run.pop()?.expr),
            Some(Complete::Register(register)) => {
                Ok(Expr(vec![Term::Register(super::visible(register)?)]))
            }
            Some(_) => Err(unsaid()),
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
                | Operation::TLS => return Err(Why::Unsaid.reason()),
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
            saved: saved.ok_or_else(|| Why::NoFrame.reason())?,
        })
    }
}

/// Whether an entry says what was asked for.
fn is_wanted<'b>(dies: &Dies<'b>, parameter: &Die<'b>, wanted: Wanted) -> bool {
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
            .any(|name| dies.reference(parameter, name) == Some(id)),
    }
}

/// What is known of the callers so far.
struct Known {
    /// The return address.
    back: Expr,
    callers: usize,
    value: Option<Expr>,
    /// Why there is no value, when there is none.
    why: Why,
}

impl Known {
    /// One more caller: what it passes, and where it is returned to.
    fn add(&mut self, passed: Expr, returns_to: Term) -> Result<()> {
        if self.callers >= MAX_CALLERS {
            return Ok(());
        }
        self.callers += 1;
        let here = binary(self.back.clone(), Expr(vec![returns_to]), Binary::Eq)?;
        self.value = Some(match self.value.take() {
            None => then_if(passed, here)?,
            Some(others) => choose(passed, others, here)?,
        });
        Ok(())
    }

    /// There are callers, which do not count.
    fn instead_of_none(&mut self, why: Why) {
        if matches!(self.why, Why::NoCaller) {
            self.why = why;
        }
    }
}

/// An address of this module, or of another one, which is where the process has it.
fn place(address: LinkAddr, bias: Option<Bias>) -> Term {
    match bias {
        None => Term::Address(address),
        Some(bias) => Term::Const(bias.run(address).0),
    }
}

/// An expression of another module without what only holds there.
fn in_process(expr: Expr, bias: Option<Bias>) -> Result<Expr> {
    let terms = expr.0.into_iter().map(|term| match term {
        Term::Address(address) => Ok(place(address, bias)),
        // Each module has a block of its own.
        Term::Tls if bias.is_some() => Err(Why::Unsaid.reason()),
        other => Ok(other),
    });
    terms.collect::<Result<_>>().map(Expr)
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
            _ => Err(Why::NoFrame.reason()),
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

/// A value that is known only when the word at an address has that content.
fn if_held(value: Expr, at: Term, content: Term) -> Result<Expr> {
    let held = then(Expr(vec![at]), Term::Deref(8))?;
    then_if(value, binary(held, Expr(vec![content]), Binary::Eq)?)
}
