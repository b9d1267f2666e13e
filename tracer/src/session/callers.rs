//! Variables of the callers in a captured stack.
//!
//! The plan that would read them at a hit runs here, over the captured bytes, on
//! the capture machine in plain Rust. Whatever is not in those bytes, or was in a
//! register that no callee kept, is unavailable and says so.

use crate::debuginfo::place::{Expr, Place, Source, Term};
use crate::debuginfo::types::Language;
use crate::debuginfo::unwind::Registers;
use crate::debuginfo::variable::{Scope, Variable};
use crate::event::NamedValue;
use crate::lang::ast::ProbeSpec;
use crate::lang::parse_probe;
use crate::plan::{self, PlanInput};
use crate::redact::Redactor;
use crate::reference::{Machine, Memory, Outcome};
use crate::stack::{CapturedStack, RawFrame};
use crate::unavailable::Unavailable;
use crate::value::Value;

/// Variables of one frame; a frame with more shows the innermost of them.
const MAX_VARIABLES: usize = 64;

/// The captured bytes as memory.
struct Captured<'s>(&'s CapturedStack);

impl Memory for Captured<'_> {
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
pub(super) fn values(
    frame: &RawFrame,
    captured: &CapturedStack,
    redactor: &Redactor,
) -> Vec<Vec<NamedValue>> {
    let Some(placed) = &frame.placed else {
        return Vec::new();
    };
    // A probe that asks for all that is in scope; its location means nothing here.
    let Ok(spec) = parse_probe("log callers") else {
        return Vec::new();
    };
    let scopes = placed.module.scopes_at(frame.lookup).unwrap_or_default();
    scopes
        .iter()
        .map(|scope| in_scope(scope, frame, captured, (&spec, redactor)).unwrap_or_default())
        .collect()
}

fn in_scope(
    scope: &Scope,
    frame: &RawFrame,
    captured: &CapturedStack,
    (spec, redactor): (&ProbeSpec, &Redactor),
) -> Option<Vec<NamedValue>> {
    let placed = frame.placed.as_ref()?;
    let variables: Vec<Variable> = scope
        .variables
        .iter()
        .take(MAX_VARIABLES)
        .map(|variable| kept(variable, &frame.registers))
        .collect();
    let plan = plan::compile(&PlanInput {
        source: &*placed.module,
        // There is no expression.
        language: Language::Other,
        bias: placed.bias,
        neighbours: &Vec::new,
        tls: None,
        variables: &variables,
        statics: &|_| None,
        types: &|_| Vec::new(),
        spec,
        limits: plan::Limits::default(),
        returned: None,
        redactor,
    })
    .ok()?;
    let memory = Captured(captured);
    let mut machine = Machine::new(&memory);
    for (number, value) in (0..).zip(frame.registers.0) {
        machine = machine.with(number, value.unwrap_or(0));
    }
    let Outcome::Sent(record) = machine.run(&plan.ops) else {
        return None;
    };
    let mut values = plan.layout.decode(&record).ok()?.values;
    for named in &mut values {
        explain(&mut named.value);
    }
    Some(values)
}

/// The variable; unavailable when its place needs a register that is not known in this frame.
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
    let computable = |expr: &Expr| {
        expr.0.iter().all(|term| match term {
            Term::Register(register) => known(register.0),
            Term::ThreadPointer | Term::Tls => false,
            _ => true,
        })
    };
    place.pieces.iter().all(|piece| match &piece.source {
        Source::Memory(expr) | Source::Value(expr) => computable(expr),
        Source::Register(register) => known(register.0),
        Source::ImplicitPointer(object, _) => needs_only(object, registers),
        Source::Bytes(_) | Source::Unavailable(_) => true,
    })
}

/// Memory that could not be read here was not captured; the program may well have it.
fn explain(value: &mut Value) {
    match value {
        Value::Unavailable(why @ Unavailable::Unreadable(_)) => *why = Unavailable::NotCaptured,
        Value::Struct(body) => body.fields.iter_mut().for_each(|(_, value)| explain(value)),
        Value::Variant(variant) => variant
            .fields
            .iter_mut()
            .for_each(|(_, value)| explain(value)),
        Value::Tuple(items) => items.iter_mut().for_each(explain),
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
