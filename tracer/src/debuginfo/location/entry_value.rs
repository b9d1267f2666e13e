//! Values that parameters had when the function was entered, taken from the call site entries of
//! its callers (DWARF 5, 3.4.2).
//!
//! The return address tells at the hit which caller it was. A call site counts only if its
//! instruction calls this very function. No call site counts if jumps could have re-entered the
//! function since, because its parameters may then differ from the passed values.
//!
//! Calls of a shared library's functions go through a word of the calling module. They count if
//! the word has the function's address at the hit.

use std::iter;
use std::rc::Rc;

use gimli::Operation;

use super::symbolic::{SymbolicOperand, add, binary, choose, then};
use super::{
    Completion, EvaluationState, LocationContext, LocationEvaluator, Result, missing, unknown,
};
use crate::arch::{INSTRUCTION_POINTER, REGISTERS, STACK_POINTER};
use crate::base::address::{LinkAddr, ModulePlace};
use crate::base::unavailable::Unavailable;
use crate::debuginfo::calls::call_sites;
use crate::debuginfo::calls::call_table::Call;
use crate::debuginfo::calls::imports;
use crate::debuginfo::calls::jumps::may_enter_itself;
use crate::debuginfo::calls::neighbours::{Identity, Neighbour, Neighbours, alone};
use crate::debuginfo::dwarf::die_id::DieId;
use crate::debuginfo::dwarf::dies::{Attr, Die, Dies, ParsedUnit, Slice};
use crate::debuginfo::dwarf::unit_index_reader::index_of;
use crate::debuginfo::frames::cfi::{Cfa, FrameSections, Saved};
use crate::debuginfo::model::place::{Binary, LocationExpr, PieceSource, Register, Term};

/// Call sites of one function that are distinguished; values of the others are not known.
const MAX_CALLERS: usize = 8;

/// The requested parameter of a call.
#[derive(Clone, Copy)]
enum WantedParameter {
    /// The parameter that was passed in a register.
    Register(gimli::Register),
    /// The parameter that a debug entry describes.
    Parameter(DieId),
}

/// The reason why there is no value at the function's entry.
#[derive(Clone, Copy)]
enum EntryValueProblem {
    /// Jumps may have come back to the function's entry.
    Reentered,
    /// The location needs more than the value of a register.
    Complex,
    /// The places of the caller's registers are not known.
    NoFrame,
    /// No direct call of the function is known.
    NoCaller,
    /// The callers have no call site entries.
    NoSites,
    /// The calling library may be replaced, and has no build id that would show it.
    NoIdentity,
    /// The callers do not describe the value, or only by values that are gone.
    Unsaid,
}

impl EntryValueProblem {
    fn reason(self) -> Unavailable {
        let why = match self {
            Self::Reentered => "because jumps may have led back to it",
            Self::Complex => "because it is more than a register",
            Self::NoFrame => "because the caller's registers are not known",
            Self::NoCaller => "because no direct call of it is known",
            Self::NoSites => "because the calling module's debug information has no call sites",
            Self::NoIdentity => "because the calling library has no build id",
            Self::Unsaid => "because no caller describes it by a value that it keeps",
        };
        Unavailable::Unsupported(format!("the value at the function's entry, {why}"))
    }
}

impl<'a> LocationEvaluator<'_, '_, 'a> {
    /// Returns the value that an expression had when the function was entered. At the function's
    /// first instruction, this is the current value.
    pub(super) fn entry_value(&self, expression: Slice<'a>) -> Result<SymbolicOperand> {
        if self.is_at_entry()? {
            let place = self
                .deeper(&self.unit)?
                .place(gimli::Expression(expression))?;
            return match place.pieces.into_iter().next().map(|piece| piece.source) {
                Some(PieceSource::Register(register)) => {
                    Ok(SymbolicOperand::generic(LocationExpr(vec![
                        Term::Register(register),
                    ])))
                }
                Some(PieceSource::Memory(expr) | PieceSource::Value(expr)) => {
                    Ok(SymbolicOperand::generic(expr))
                }
                _ => Err(EntryValueProblem::Complex.reason()),
            };
        }
        let mut rest = expression;
        match Operation::parse(&mut rest, self.unit.unit.encoding()).map_err(unknown)? {
            Operation::Register { register } if rest.is_empty() => {
                self.passed(WantedParameter::Register(register))
            }
            _ => Err(EntryValueProblem::Complex.reason()),
        }
    }

    /// Returns the value of a parameter that the compiler removed from the function.
    pub(super) fn parameter(&self, offset: gimli::UnitOffset) -> Result<SymbolicOperand> {
        self.passed(WantedParameter::Parameter(self.unit.id(offset)))
    }

    fn is_at_entry(&self) -> Result<bool> {
        let function = self.context.function.ok_or_else(missing)?;
        let low = function.attr(gimli::DW_AT_low_pc);
        let dwarf = self.context.dies.dwarf_of(function).ok_or_else(missing)?;
        let low = low.and_then(|low| dwarf.attr_address(&function.unit.unit, low).ok().flatten());
        Ok(low == Some(self.context.address))
    }

    /// Returns the value that the callers pass. Each caller's value counts if the return address
    /// is after its call.
    fn passed(&self, wanted: WantedParameter) -> Result<SymbolicOperand> {
        let (dies, address) = (self.context.dies, self.context.address);
        let function = dies.code().function_code_at(LinkAddr(address));
        let entry = function.ok_or_else(missing)?.entry;
        let look = || may_enter_itself(dies.code(), entry);
        if dies.caches.calls.enters_itself(entry, look) {
            return Err(EntryValueProblem::Reentered.reason());
        }
        let frame = self.frame()?;
        let mut known = KnownCallers {
            back: frame.of(INSTRUCTION_POINTER)?,
            callers: 0,
            value: None,
            why: EntryValueProblem::NoCaller,
        };
        self.by_own_calls(entry, wanted, &frame, &mut known)?;
        // A removed parameter is only known to callers in this module.
        if let WantedParameter::Register(register) = wanted {
            let names = imports::names_of(dies.files, &dies.caches.imports, entry);
            let neighbours = match names.is_empty() {
                true => Vec::new(),
                false => (self.context.neighbours)(),
            };
            for name in names.iter() {
                for module in iter::once(None).chain(neighbours.iter().map(Some)) {
                    self.by_imports(
                        module,
                        ExportedName { name, entry },
                        register,
                        &frame,
                        &mut known,
                    )?;
                }
            }
        }
        let KnownCallers { value, why, .. } = known;
        value
            .map(SymbolicOperand::generic)
            .ok_or_else(|| why.reason())
    }

    /// Adds the values that this module's direct calls pass.
    fn by_own_calls(
        &self,
        entry: LinkAddr,
        wanted: WantedParameter,
        frame: &CalleeFrame,
        known: &mut KnownCallers,
    ) -> Result<()> {
        let dies = self.context.dies;
        let unit = &self.context.function.ok_or_else(missing)?.unit;
        for (unit, call) in callers(dies, unit, entry) {
            known.why = EntryValueProblem::Unsaid;
            let neighbours = self.context.neighbours;
            let passed = self.passed_by(
                dies,
                CallerSite {
                    unit: &unit,
                    call: &call,
                },
                neighbours,
                wanted,
            );
            if let Ok(passed) = passed.and_then(|passed| frame.seen_from_callee(&passed)) {
                known.add(passed, Term::Address(LinkAddr(call.returns_to)))?;
            }
        }
        Ok(())
    }

    /// Adds the values that calls through the dynamic linker's words pass, in this module or
    /// another one.
    ///
    /// The callee is certain if the word has this function's address.
    fn by_imports(
        &self,
        neighbour: Option<&Neighbour>,
        export: ExportedName<'_>,
        register: gimli::Register,
        frame: &CalleeFrame,
        known: &mut KnownCallers,
    ) -> Result<()> {
        let ExportedName { name, entry } = export;
        let own = self.context.dies;
        let dies = match neighbour {
            Some(neighbour) => neighbour.module.dies(),
            None => Dies::new(own.files, own.caches),
        };
        let other = neighbour.map(|neighbour| neighbour.place);
        let Some(imported) = imports::calls_of(dies.files, &dies.caches.imports, name, MAX_CALLERS)
        else {
            return Ok(());
        };
        let identity = match neighbour {
            Some(neighbour) => neighbour.identity(),
            None => Some(Identity::Lasting),
        };
        let Some(identity) = identity else {
            known.instead_of_none(EntryValueProblem::NoIdentity);
            return Ok(());
        };
        for imported in imported.iter() {
            let Some((unit, call)) = call_sites::returning_to(&dies, imported.returns_to) else {
                known.instead_of_none(EntryValueProblem::NoSites);
                continue;
            };
            known.why = EntryValueProblem::Unsaid;
            let wanted = WantedParameter::Register(register);
            // Callers of that module's functions are not searched in turn.
            let passed = self.passed_by(
                &dies,
                CallerSite {
                    unit: &unit,
                    call: &call,
                },
                &alone,
                wanted,
            );
            let passed = passed
                .and_then(|passed| in_process(passed, other))
                .and_then(|passed| frame.seen_from_callee(&passed));
            let Ok(passed) = passed else {
                continue;
            };
            // The value is used only if the caller's module is still loaded and the word still
            // has the address of this function.
            let passed = match identity {
                Identity::Lasting => passed,
                Identity::Word { at, is } => if_held(passed, Term::Const(at.0), Term::Const(is))?,
            };
            let passed = if_held(passed, place(imported.word, other), Term::Address(entry))?;
            known.add(passed, place(LinkAddr(imported.returns_to), other))?;
        }
        Ok(())
    }

    /// Returns the value that one call passes, in terms of the caller's registers and frame that
    /// do not change during the call.
    fn passed_by<'b>(
        &self,
        dies: &Dies<'b>,
        caller: CallerSite<'_, 'b>,
        neighbours: Neighbours<'_>,
        wanted: WantedParameter,
    ) -> Result<LocationExpr> {
        let CallerSite { unit, call } = caller;
        let unsaid = || EntryValueProblem::Unsaid.reason();
        let site = dies.die(unit.id(call.site)).ok_or_else(missing)?;
        let parameters = dies.children(&site).into_iter();
        let mut parameters = parameters.filter(|parameter| is_wanted(dies, parameter, wanted));
        let parameter = parameters.next().ok_or_else(unsaid)?;
        let value = parameter
            .attr(gimli::DW_AT_call_value)
            .or_else(|| parameter.attr(gimli::DW_AT_GNU_call_site_value))
            .and_then(|value: Attr<'b>| value.exprloc_value())
            .ok_or_else(unsaid)?;
        // The caller's tables describe the call itself, not the instruction after it.
        let address = call.returns_to.checked_sub(1).ok_or_else(missing)?;
        let function = index_of(dies, unit).function(address);
        let function = function.and_then(|offset| dies.die(unit.id(offset)));
        let sections = FrameSections::of(dies.files, &dies.caches.frames);
        let cfa = |evaluator: &LocationEvaluator<'_, '_, 'b>| match sections.cfa(address)? {
            Cfa::Expr(expr) => Ok(expr),
            Cfa::Bytecode(bytecode, encoding) => evaluator.expr(bytecode, encoding),
        };
        let context = LocationContext {
            dies,
            address,
            function: function.as_ref(),
            cfa: &cfa,
            neighbours,
        };
        let evaluator = LocationEvaluator {
            context: &context,
            unit: Rc::clone(unit),
            steps: self.steps,
            depth: self.deeper(&self.unit)?.depth,
        };
        evaluator.is_stable(value.0)?;
        let mut run = EvaluationState::default();
        evaluator.run(value.0, unit.unit.encoding(), &mut run)?;
        match run.complete {
            None | Some(Completion::Value) => Ok(run.pop()?.expr),
            Some(Completion::Register(register)) => Ok(LocationExpr(vec![Term::Register(
                super::visible(register)?,
            )])),
            Some(_) => Err(unsaid()),
        }
    }

    /// Fails if a value depends on memory, which may have been written since the call.
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
                | Operation::TLS => return Err(EntryValueProblem::Unsaid.reason()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns the places of the caller's registers, as seen from the site.
    fn frame(&self) -> Result<CalleeFrame> {
        let sections = FrameSections::of(self.context.dies.files, &self.context.dies.caches.frames);
        let saved = sections.saved(self.context.address);
        Ok(CalleeFrame {
            cfa: (self.context.cfa)(&self.deeper(&self.unit)?)?,
            saved: saved.ok_or_else(|| EntryValueProblem::NoFrame.reason())?,
        })
    }
}

/// A name under which other modules can import a function, and the function's entry.
#[derive(Clone, Copy)]
struct ExportedName<'n> {
    name: &'n [u8],
    entry: LinkAddr,
}

/// A call and the unit that has its entry.
#[derive(Clone, Copy)]
struct CallerSite<'s, 'a> {
    unit: &'s Rc<ParsedUnit<'a>>,
    call: &'s Call,
}

/// Returns true if a call site parameter entry describes the wanted parameter.
fn is_wanted<'b>(dies: &Dies<'b>, parameter: &Die<'b>, wanted: WantedParameter) -> bool {
    match wanted {
        WantedParameter::Register(register) => {
            let location = parameter.attr(gimli::DW_AT_location);
            let location = location.and_then(|location| location.exprloc_value());
            location.is_some_and(|gimli::Expression(mut code)| {
                let first = Operation::parse(&mut code, parameter.unit.unit.encoding());
                code.is_empty()
                    && first.is_ok_and(|first| first == Operation::Register { register })
            })
        }
        WantedParameter::Parameter(id) => {
            [gimli::DW_AT_call_parameter, gimli::DW_AT_abstract_origin]
                .into_iter()
                .any(|name| dies.reference(parameter, name) == Some(id))
        }
    }
}

/// The callers that were found so far.
struct KnownCallers {
    /// The return address at the hit.
    back: LocationExpr,
    callers: usize,
    value: Option<LocationExpr>,
    /// Reason why there is no value, if there is none.
    why: EntryValueProblem,
}

impl KnownCallers {
    /// Adds a caller: the value that it passes, and its return address.
    fn add(&mut self, passed: LocationExpr, returns_to: Term) -> Result<()> {
        if self.callers >= MAX_CALLERS {
            return Ok(());
        }
        self.callers += 1;
        // The value counts only if this caller's return address is the one at the hit.
        let here = binary(
            self.back.clone(),
            LocationExpr(vec![returns_to]),
            Binary::Eq,
        )?;
        self.value = Some(match self.value.take() {
            None => then_if(passed, here)?,
            Some(others) => choose(passed, others, here)?,
        });
        Ok(())
    }

    /// Records the reason why callers that exist do not count.
    fn instead_of_none(&mut self, why: EntryValueProblem) {
        if matches!(self.why, EntryValueProblem::NoCaller) {
            self.why = why;
        }
    }
}

/// Returns an address of this module, or of another module at its place in the process.
fn place(address: LinkAddr, other: Option<ModulePlace>) -> Term {
    match other {
        None => Term::Address(address),
        Some(ModulePlace::At(bias)) => Term::Const(bias.run(address).0),
        Some(ModulePlace::Numbered(module)) => Term::AddressIn(module, address),
    }
}

/// Translates an expression of another module to this process. Fails if it has a term that only
/// that module can evaluate.
fn in_process(expr: LocationExpr, other: Option<ModulePlace>) -> Result<LocationExpr> {
    let terms = expr.0.into_iter().map(|term| match term {
        Term::Address(address) => Ok(place(address, other)),
        // Each module has a thread-local block of its own.
        Term::Tls if other.is_some() => Err(EntryValueProblem::Unsaid.reason()),
        other => Ok(other),
    });
    terms.collect::<Result<_>>().map(LocationExpr)
}

/// Returns the calls of the function at `entry`, those of its own unit first.
fn callers<'a>(
    dies: &Dies<'a>,
    unit: &Rc<ParsedUnit<'a>>,
    entry: LinkAddr,
) -> Vec<(Rc<ParsedUnit<'a>>, Call)> {
    let own = call_sites::calls_of(dies, unit);
    let own = own.to(entry).take(MAX_CALLERS);
    let mut found: Vec<_> = own.map(|call| (Rc::clone(unit), *call)).collect();
    let left = MAX_CALLERS.saturating_sub(found.len());
    if left > 0 {
        found.extend(
            call_sites::from_other_units(dies, entry, MAX_CALLERS)
                .into_iter()
                .take(left),
        );
    }
    found
}

/// The places in a frame of its caller's registers.
struct CalleeFrame {
    cfa: LocationExpr,
    saved: [Saved; REGISTERS],
}

impl CalleeFrame {
    /// Returns the expression of a register of the caller.
    fn of(&self, register: u8) -> Result<LocationExpr> {
        if register == STACK_POINTER {
            return Ok(self.cfa.clone());
        }
        match self.saved.get(usize::from(register)) {
            Some(Saved::Same) => Ok(LocationExpr(vec![Term::Register(Register(register))])),
            Some(Saved::At(offset)) => then(add(self.cfa.clone(), *offset as u64)?, Term::Deref(8)),
            _ => Err(EntryValueProblem::NoFrame.reason()),
        }
    }

    /// Rewrites an expression over the caller's registers to one over the registers at the site.
    fn seen_from_callee(&self, expr: &LocationExpr) -> Result<LocationExpr> {
        let mut terms = Vec::new();
        for term in &expr.0 {
            match term {
                Term::Register(register) => terms.extend(self.of(register.0)?.0),
                other => terms.push(*other),
            }
        }
        super::symbolic::bounded(LocationExpr(terms))
    }
}

/// Returns an expression whose value is known only if `condition` is not 0.
fn then_if(value: LocationExpr, condition: LocationExpr) -> Result<LocationExpr> {
    let mut terms = value.0;
    terms.extend(condition.0);
    terms.push(Term::KnownCaller);
    super::symbolic::bounded(LocationExpr(terms))
}

/// Returns an expression whose value is known only if the word at an address has this content.
fn if_held(value: LocationExpr, at: Term, content: Term) -> Result<LocationExpr> {
    let held = then(LocationExpr(vec![at]), Term::Deref(8))?;
    then_if(
        value,
        binary(held, LocationExpr(vec![content]), Binary::Eq)?,
    )
}
