//! Plans of `watch`: the address of a value, and the program of its accesses.

use std::sync::Arc;

use tracer_common::control::WATCHES;
use tracer_common::op::{
    ACCESS, INSTRUCTION_POINTER, NEW_WORDS, OLD_WORDS, THREAD_POINTER, alu, cond,
};
use tracer_common::watch::{MAX_WATCHED_BYTES, OLD_IS_UNKNOWN};

use crate::base::diagnostic::Diagnostic;
use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::TypeId;
use crate::debuginfo::variable::{Variable, VariableKind};
use crate::lang::ast::{Expr, ProbeSpec};
use crate::plan::capture::Capture;
use crate::plan::decode::layout::MessagePart;
use crate::plan::limits::FOLLOWED_OPS;
use crate::plan::ops::asm::{Asm, SINK};
use crate::plan::ops::ir::{Failure, Ir, Test, holds};
use crate::plan::ops::spots::{Spot, Spots};
use crate::plan::{
    AddressBase, Compiler, Number, NumberKind, Operand, Plan, PlanInput, PlanRecord, Resolver,
    ends, lost, scope, stack,
};
use crate::program::Op;
use crate::value::debug::DEBUG;

/// The name of the value before an access, and after it.
pub(in crate::plan) const NAMES: [&str; 2] = ["old", "new"];

/// A value that is watched.
#[derive(Clone, Debug)]
pub struct WatchedPlace {
    address: Ir,
    /// Its size in bytes.
    pub size: u32,
}

/// A watched value, and the plan of its accesses.
#[derive(Clone, Debug)]
pub struct WatchPlan {
    /// The value.
    pub place: WatchedPlace,
    /// The plan of an access.
    pub plan: Plan,
}

/// The value whose accesses a plan is for.
#[derive(Clone, Copy, Debug)]
pub(in crate::plan) struct WatchedOperand {
    pub(in crate::plan) ty: TypeId,
    pub(in crate::plan) size: u64,
    /// The value is redacted, by a name on the way to it. Its parts are redacted with it.
    pub(in crate::plan) redacted: bool,
}

/// Facts about a process that the address of a value may depend on.
pub struct WatchedProcess<'p> {
    /// Run address of the site.
    pub site: u64,
    /// The thread pointer of the thread that the value is of. `None` if it is not known.
    pub thread_pointer: Option<u64>,
    /// Reads a word of 8 bytes.
    pub read: &'p dyn Fn(u64) -> Option<u64>,
}

/// Compiles the accesses to a value. The place of the value is that at the site. An access can be made by any code, so
/// its plan knows the statics alone, from `base` on.
///
/// # Errors
/// The value has no place in memory, or is too large, or an expression makes no sense.
pub fn watch(
    input: &PlanInput<'_>,
    value: &Expr,
    base: AddressBase,
    has_stack: bool,
) -> Result<WatchPlan, Diagnostic> {
    let spec = &input.ordered()?;
    let value = &value.ordered(input.syntax())?;
    let name = spec.text.get(value.span.clone()).unwrap_or_default();
    let at_site = scope(input);
    let compiler = Compiler::new(input, &at_site);
    let (address, ty, redacted) = place(&compiler, value, name)?;
    let size = compiler.builder.size(ty).unwrap_or(0);
    let bytes = u32::try_from(size).unwrap_or(u32::MAX);
    if size == 0 || size > MAX_WATCHED_BYTES as u64 {
        let message = match size {
            0 => format!("`{name}` has no bytes"),
            _ => format!(
                "`{name}` has {size} bytes, and the processor can watch {MAX_WATCHED_BYTES}"
            ),
        };
        let error = Diagnostic::at(&value.span, message);
        return Err(error.hint("watch one of its fields or elements"));
    }
    let is_static = |variable: &&Variable| variable.kind == VariableKind::Static;
    let statics: Vec<Variable> = input.variables.iter().filter(is_static).cloned().collect();
    let input = &PlanInput {
        base,
        variables: &statics,
        returned: None,
        ..input.clone()
    };
    let mut anywhere = scope(input);
    anywhere.watched = Some(WatchedOperand { ty, size, redacted });
    let mut compiler = Compiler::new(input, &anywhere);
    let mut asm = Asm::new();
    let condition = compiler.condition(&mut asm, spec)?;
    compiler.access_values(spec, name)?;
    compiler.make_room();
    let values = std::mem::take(&mut compiler.values);
    let (mut slots, mut access) = (None, None);
    let captured = Capture::new(&mut asm, &mut compiler.builder).values(values, |asm, builder| {
        slots = match has_stack {
            true => stack::capture(asm, builder).ok(),
            false => stack::capture_registers(asm, builder).ok(),
        };
        access = builder.slot().ok();
        if let Some(slot) = access {
            asm.emit(Op::Emit {
                slot,
                dst: SINK,
                src: ACCESS,
                size: 8,
            });
        }
        asm.emit(Op::End);
    });
    if let Some((reject, fault)) = condition {
        ends(&mut asm, reject, fault);
    }
    let record = PlanRecord {
        captured,
        stack: slots,
        access,
    };
    Ok(WatchPlan {
        place: WatchedPlace {
            address,
            size: bytes,
        },
        plan: compiler.finish(asm.finish(WATCHES), record, None),
    })
}

/// Compiles the place at which the object of a value is found. Its records have the address of the value.
///
/// # Errors
/// The value has no place in memory there, or an expression makes no sense.
pub fn find(input: &PlanInput<'_>, value: &Expr) -> Result<Plan, Diagnostic> {
    let value = &value.ordered(input.syntax())?;
    let name = input.spec.text.get(value.span.clone()).unwrap_or_default();
    let scope = scope(input);
    let mut compiler = Compiler::new(input, &scope);
    let mut asm = Asm::new();
    let (address, ..) = place(&compiler, value, name)?;
    compiler.address(name, address);
    compiler.make_room();
    let values = std::mem::take(&mut compiler.values);
    let mut slots = None;
    let captured = Capture::new(&mut asm, &mut compiler.builder).values(values, |asm, builder| {
        // The frames tell which function has the object, if it is on the stack.
        slots = stack::capture(asm, builder).ok();
        asm.emit(Op::End);
    });
    let record = PlanRecord {
        captured,
        stack: slots,
        access: None,
    };
    Ok(compiler.finish(asm.finish(0), record, None))
}

/// The plan of a place at which a watch ends. Its records have no values.
#[must_use]
pub fn pass(input: &PlanInput<'_>) -> Plan {
    let scope = scope(input);
    let compiler = Compiler::new(input, &scope);
    let mut asm = Asm::new();
    asm.emit(Op::End);
    compiler.finish(asm.finish(0), PlanRecord::default(), None)
}

/// The address and the type of a value, and whether it is redacted.
fn place(
    compiler: &Compiler<'_>,
    value: &Expr,
    name: &str,
) -> Result<(Ir, TypeId, bool), Diagnostic> {
    let mut resolver = Resolver::new(&compiler.builder, compiler.scope);
    let operand = resolver.operand(value)?;
    let redacted = resolver.is_redacted(&operand);
    if let Some(why) = lost(&operand) {
        let message = format!("`{name}` cannot be watched: {why}");
        return Err(Diagnostic::at(&value.span, message));
    }
    match operand {
        Operand::Place(spots, ty) => match spots.address() {
            Some(address) => Ok((address.clone(), ty, redacted)),
            None if spots
                .0
                .iter()
                .any(|(_, spot)| matches!(spot, Spot::Bits(..))) =>
            {
                let error = Diagnostic::at(
                    &value.span,
                    format!("`{name}` is a bit field, which shares its bytes"),
                );
                Err(error.hint("watch the struct that has it"))
            }
            None => {
                let error = Diagnostic::at(&value.span, format!("`{name}` is not in memory here"));
                Err(error.hint("it is in a register, which cannot be watched"))
            }
        },
        Operand::Unknown(_, error) => Err(error),
        _ => {
            let error = Diagnostic::at(&value.span, "this has no address");
            Err(error.hint("watch a variable, a field or an element"))
        }
    }
}

/// The words of a value, from a machine register on. Those before the access may not be known.
pub(in crate::plan) fn words(value: WatchedOperand, first: u8) -> Spots {
    let mut spots = Vec::new();
    let mut left = value.size;
    for register in first.. {
        if left == 0 {
            break;
        }
        let word = Ir::Register(register);
        let word = if first == OLD_WORDS {
            let unknown = Ir::raw(alu::AND, Ir::Register(ACCESS), Ir::Const(OLD_IS_UNKNOWN));
            let is_known = Test::Compare(cond::EQ, unknown, Ir::Const(0));
            Ir::Guard(Box::new(is_known), Failure::First, Box::new(word))
        } else {
            word
        };
        let bytes = left.min(8);
        spots.push((bytes, Spot::Number(word)));
        left -= bytes;
    }
    Spots(spots)
}

/// The value that a name means in the plan of an access: `old` or `new`.
pub(in crate::plan) fn named(value: WatchedOperand, name: &str) -> Option<Operand> {
    let first = match name {
        "old" => OLD_WORDS,
        "new" => NEW_WORDS,
        _ => return None,
    };
    Some(Operand::Place(words(value, first), value.ty))
}

impl Compiler<'_> {
    /// The values of an access: those of the template, or `VALUE: old → new`.
    fn access_values(&mut self, spec: &ProbeSpec, name: &str) -> Result<(), Diagnostic> {
        if let Some(template) = &spec.template {
            return match self.template(&spec.text, &template.parts)? {
                Some(error) => Err(error),
                None => Ok(()),
            };
        }
        let Some(value) = self.scope.watched else {
            return Ok(());
        };
        self.parts.push(MessagePart::Text(format!("{name}: ")));
        for (index, (name, first)) in NAMES.into_iter().zip([OLD_WORDS, NEW_WORDS]).enumerate() {
            if index > 0 {
                self.parts.push(MessagePart::Text(" → ".into()));
            }
            // The target of a pointer that was replaced may be gone, or something else by now.
            let shape = match first {
                OLD_WORDS => self.builder.shape_without_targets(value.ty),
                _ => self.builder.shape(value.ty, FOLLOWED_OPS),
            };
            let ty = Arc::clone(&shape.shape.ty);
            let source = self.captured(words(value, first), shape, Some(value.ty));
            self.entry(name, ty, source, DEBUG, value.redacted);
        }
        Ok(())
    }

    /// A value that is an address.
    fn address(&mut self, name: &str, address: Ir) {
        let number = Number {
            ir: address,
            size: 8,
            signed: false,
            kind: NumberKind::Int,
        };
        // Nobody is shown where the value is.
        self.value(name, Operand::Number(number), DEBUG, false);
    }
}

impl WatchedPlace {
    /// Returns true if each thread has a value of its own.
    #[must_use]
    pub fn is_of_thread(&self) -> bool {
        mentions(&self.address, THREAD_POINTER)
    }

    /// Returns true if pointers lead to the value. It is the one that they lead to now.
    #[must_use]
    pub fn is_behind_pointers(&self) -> bool {
        has_load(&self.address)
    }

    /// The address in a process.
    ///
    /// # Errors
    /// A pointer on the way is null or cannot be read, or the address depends on something else.
    pub fn address(&self, facts: &WatchedProcess<'_>) -> Result<u64, Unavailable> {
        evaluate(&self.address, facts)
    }
}

fn unsupported() -> Unavailable {
    Unavailable::Unsupported("a place that is computed so".into())
}

/// Computes a number outside of a hit.
fn evaluate(ir: &Ir, facts: &WatchedProcess<'_>) -> Result<u64, Unavailable> {
    let number = |ir: &Ir| evaluate(ir, facts);
    Ok(match ir {
        Ir::Const(value) => *value,
        Ir::Register(INSTRUCTION_POINTER) => facts.site,
        Ir::Register(THREAD_POINTER) => facts.thread_pointer.ok_or_else(unsupported)?,
        Ir::Load {
            address,
            size,
            signed,
        } => {
            let word = (facts.read)(number(address)?).ok_or(Unavailable::Unreadable(None))?;
            extended(word, *size, *signed)
        }
        Ir::Extend { of, size, signed } => extended(number(of)?, *size, *signed),
        Ir::Alu(operation, left, right) => {
            let (left, right) = (Ir::Const(number(left)?), Ir::Const(number(right)?));
            match Ir::raw(*operation, left, right).folded() {
                Ir::Const(value) => value,
                _ => return Err(unsupported()),
            }
        }
        Ir::Guard(test, failure, then) => match is_true(test, facts)? {
            true => number(then)?,
            false => return Err(failure.reason()),
        },
        Ir::NonNull(of) => match number(of)? {
            0 => return Err(Unavailable::Null),
            value => value,
        },
        Ir::Below(of, limit, failure) => match number(of)? {
            value if value < *limit => value,
            _ => return Err(failure.reason()),
        },
        Ir::Within(both, failure) => {
            let [value, limit] = &**both;
            let (value, limit) = (number(value)?, number(limit)?);
            if value >= limit {
                return Err(failure.reason());
            }
            value
        }
        Ir::Choose(test, yes, no) => match is_true(test, facts)? {
            true => number(yes)?,
            false => number(no)?,
        },
        Ir::Truth(test) => u64::from(is_true(test, facts)?),
        Ir::Register(_)
        | Ir::Module { .. }
        | Ir::Divide(..)
        | Ir::Float(..)
        | Ir::FloatOrder(_)
        | Ir::Wide(..) => return Err(unsupported()),
    })
}

fn extended(value: u64, size: u8, signed: bool) -> u64 {
    match Ir::Const(value).extend(size, signed) {
        Ir::Const(value) => value,
        _ => value,
    }
}

fn is_true(test: &Test, facts: &WatchedProcess<'_>) -> Result<bool, Unavailable> {
    Ok(match test {
        Test::Known(value) => *value,
        Test::Compare(condition, left, right) => {
            holds(*condition, evaluate(left, facts)?, evaluate(right, facts)?)
        }
        Test::Not(inner) => !is_true(inner, facts)?,
        Test::And(left, right) => is_true(left, facts)? && is_true(right, facts)?,
        Test::Or(left, right) => is_true(left, facts)? || is_true(right, facts)?,
        Test::Text(_) => return Err(unsupported()),
    })
}

fn mentions(ir: &Ir, register: u8) -> bool {
    any(
        ir,
        &|ir| matches!(ir, Ir::Register(number) if *number == register),
    )
}

fn has_load(ir: &Ir) -> bool {
    any(ir, &|ir| matches!(ir, Ir::Load { .. }))
}

/// Returns true if a number or one of its parts is of a kind. Tests do not count.
fn any(ir: &Ir, is: &dyn Fn(&Ir) -> bool) -> bool {
    is(ir)
        || match ir {
            Ir::Load { address: of, .. }
            | Ir::Extend { of, .. }
            | Ir::NonNull(of)
            | Ir::Below(of, ..)
            | Ir::Guard(_, _, of) => any(of, is),
            Ir::Alu(_, left, right) | Ir::Choose(_, left, right) => any(left, is) || any(right, is),
            Ir::Within(both, _) => both.iter().any(|one| any(one, is)),
            _ => false,
        }
}
