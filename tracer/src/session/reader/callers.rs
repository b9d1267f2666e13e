//! Variables of the callers in a captured stack.
//!
//! The plan that would read them at a hit runs here, over the captured bytes, on
//! the capture machine in plain Rust. Whatever is not in those bytes, or was in a
//! register that no callee kept, is unavailable and says so.

use crate::actions::{self, parse_probe};
use crate::arch::INSTRUCTION_POINTER;
use crate::base::unavailable::Unavailable;
use crate::debuginfo::place::{LocationExpr, PieceSource, Place, Term};
use crate::debuginfo::types::Language;
use crate::debuginfo::unwind::Registers;
use crate::debuginfo::variable::{FunctionScope, Variable};
use crate::event::NamedValue;
use crate::lang::ast::ProbeSpec;
use crate::plan::{self, AddressBase, PlanInput};
use crate::program::reference::{Memory, Outcome, ReferenceMachine};
use crate::stack::{CapturedStack, RawFrame};
use crate::value::Value;
use crate::value::redact::Redactor;

/// Most variables of one frame. A frame with more shows the innermost ones.
const MAX_VARIABLES: usize = 64;

/// The captured bytes as memory.
struct CapturedMemory<'s>(&'s CapturedStack);

impl Memory for CapturedMemory<'_> {
    fn read(&self, address: u64, bytes: &mut [u8]) -> bool {
        match self.0.bytes(address, bytes.len()) {
            Some(found) => {
                bytes.copy_from_slice(found);
                true
            }
            None => false,
        }
    }
}

/// The variables of each function at a frame: inlined copies innermost first, as its names are.
pub(in crate::session) fn values(
    frame: &RawFrame,
    captured: &CapturedStack,
    redactor: &Redactor,
) -> Vec<Vec<NamedValue>> {
    let Some(placed) = &frame.placed else {
        return Vec::new();
    };
    // A probe for all variables in scope. Its location has no meaning here.
    let Ok(spec) = parse_probe("log callers") else {
        return Vec::new();
    };
    let scopes = placed.module.scopes_at(frame.lookup).unwrap_or_default();
    scopes
        .iter()
        .map(|scope| in_scope(scope, frame, captured, &spec, redactor).unwrap_or_default())
        .collect()
}

fn in_scope(
    scope: &FunctionScope,
    frame: &RawFrame,
    captured: &CapturedStack,
    spec: &ProbeSpec,
    redactor: &Redactor,
) -> Option<Vec<NamedValue>> {
    let placed = frame.placed.as_ref()?;
    let variables: Vec<Variable> = scope
        .variables
        .iter()
        .take(MAX_VARIABLES)
        .map(|variable| kept(variable, &frame.registers))
        .collect();
    let plan = actions::compile(&PlanInput {
        source: &*placed.module,
        // There is no expression.
        language: Language::Other,
        base: AddressBase::Site(frame.lookup),
        neighbours: &Vec::new,
        tls: None,
        variables: &variables,
        statics: &|_| None,
        types: &|_| Vec::new(),
        spec,
        limits: plan::Limits::default(),
        shapes: &plan::ShapeCache::default(),
        returned: None,
        redactor,
        has_spans: false,
    })
    .ok()?;
    let memory = CapturedMemory(captured);
    let mut machine = ReferenceMachine::new(&memory);
    for (number, value) in (0..).zip(frame.registers.0) {
        machine = machine.with(number, value.unwrap_or(0));
    }
    machine = machine.with(INSTRUCTION_POINTER, placed.bias.run(frame.lookup).0);
    let Outcome::Sent(record) = machine.run(&plan.program.ops) else {
        return None;
    };
    let mut values = plan.layout.decode(&record).ok()?.values;
    for named in &mut values {
        explain(&mut named.value);
    }
    Some(values)
}

/// The variable, unavailable if its place needs a register that is unknown in this frame.
fn kept(variable: &Variable, registers: &Registers) -> Variable {
    if needs_only(&variable.place, registers) {
        return variable.clone();
    }
    Variable {
        place: Place::unavailable(Unavailable::NotKept),
        ..variable.clone()
    }
}

fn needs_only(place: &Place, registers: &Registers) -> bool {
    let known = |number: u8| registers.get(usize::from(number)).is_some();
    let computable = |expr: &LocationExpr| {
        expr.0.iter().all(|term| match term {
            Term::Register(register) => known(register.0),
            Term::ThreadPointer | Term::Tls | Term::AddressIn(..) => false,
            _ => true,
        })
    };
    place.pieces.iter().all(|piece| match &piece.source {
        PieceSource::Memory(expr) | PieceSource::Value(expr) => computable(expr),
        PieceSource::Register(register) => known(register.0),
        PieceSource::ImplicitPointer(object, _) => needs_only(object, registers),
        PieceSource::Bytes(_) | PieceSource::Unavailable(_) => true,
    })
}

/// Unreadable memory here only means that it was not captured. The program may well have it.
fn explain(value: &mut Value) {
    match value {
        Value::Unavailable(why @ Unavailable::Unreadable(_)) => *why = Unavailable::NotCaptured,
        Value::Unavailable(Unavailable::UnreadableItems(_, length)) => {
            *value = Value::Unavailable(Unavailable::NotCapturedItems(*length));
        }
        Value::Struct(body) => body.fields.iter_mut().for_each(|(_, value)| explain(value)),
        Value::Variant(variant) => variant
            .fields
            .iter_mut()
            .for_each(|(_, value)| explain(value)),
        Value::Tuple(items) => items.iter_mut().for_each(explain),
        Value::Range(range) => range.iter_mut().for_each(explain),
        Value::Sequence(sequence) => sequence.items.iter_mut().for_each(explain),
        Value::Map(map) => map.entries.iter_mut().for_each(|(key, value)| {
            explain(key);
            explain(value);
        }),
        Value::Pointer(pointer) => {
            if let Some(target) = &mut pointer.target {
                explain(target);
            }
        }
        _ => {}
    }
}
