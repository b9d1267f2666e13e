//! Plans of `time` and `span`: one for where it begins, one for where it ends, one for
//! where what has begun is over without an end.
//!
//! A template and a condition are taken apart: what names variables is known at
//! the beginning, and kept by the kernel side; `$elapsed` and `$return` are known at the end.

mod span;

pub use crate::plan::decode::span_begin::{SpanBegin, SpanPart};

use tracer_common::control::{ALWAYS, BEGINS, ENDS, FORGETS, TURNS};
use tracer_common::op::TARGET_REGISTERS;

use crate::base::diagnostic::Diagnostic;
use crate::base::unavailable::Unavailable;
use crate::debuginfo::place::LocationExpr as PlaceExpr;
use crate::debuginfo::variable::VariableKind;
use crate::lang::ast::{BinaryOp, Expr, ExprKind, ProbeSpec, Special, Template, TemplatePart};
use crate::plan::aggregate::Key;
use crate::plan::capture::Capture;
use crate::plan::decode::layout::{Entry, MessagePart, Source};
use crate::plan::expr::condition;
use crate::plan::expr::returned;
use crate::plan::expr::returned::Returned;
use crate::plan::expr::{Operand, Resolver};
use crate::plan::ops::asm::{Asm, Exits, Label};
use crate::plan::ops::ir::Ir;
use crate::plan::ops::spots::Spots;
use crate::plan::{Compiler, Plan, PlanInput, PlanRecord, ends, lost, scope, stack, value_of};
use crate::program::Op;
use crate::value::debug::DEBUG;
use span::span_of;

/// Machine register with the target's stack pointer.
const STACK_POINTER: u8 = TARGET_REGISTERS + 7;

/// Identifies the frame of a call: its canonical frame address.
#[derive(Clone, Debug)]
pub enum Frame {
    /// So many bytes above the stack pointer.
    Above(u64),
    /// By the call frame information of the site.
    Cfa(PlaceExpr),
}

/// Where something begins or ends that is timed.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The frame.
    pub frame: Frame,
    /// Tells inlined copies in one frame apart.
    pub group: u32,
}

/// Returns true if slow ones, or all, are shown as events.
#[must_use]
pub fn has_events(spec: &ProbeSpec) -> bool {
    span_of(spec).is_some()
        || spec.template.is_some()
        || conditions(spec).iter().any(|part| is_of_end(part))
}

/// Returns true if something that is known at the beginning is shown at the end.
#[must_use]
pub fn keeps(spec: &ProbeSpec) -> bool {
    let shows_begin = |template: &Template| {
        template.parts.iter().any(|part| match part {
            TemplatePart::Text(_) => false,
            TemplatePart::Hole { expr, .. } => !is_of_end(expr) && !is_special(expr),
        })
    };
    let template = spec.template.as_ref();
    match span_of(spec) {
        Some(span) => template.is_some_and(shows_begin) || span::keeps(span),
        None => has_events(spec) && template.is_none_or(shows_begin),
    }
}

/// Returns true if calls that are left without their end are told. A part of a function may begin twice before
/// it ends, and a condition may need the end.
fn tells_left(spec: &ProbeSpec) -> bool {
    let needs_end = || conditions(spec).into_iter().any(is_of_end);
    span_of(spec).is_some() && spec.until.is_none() && !needs_end()
}

/// Returns true if anything at all is asked of the beginning, beside its time.
#[must_use]
pub fn reads_at_begin(spec: &ProbeSpec) -> bool {
    keeps(spec) || conditions(spec).iter().any(|part| !is_of_end(part))
}

/// Tells a call from another pass of the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passes {
    /// Each is a call.
    Calls,
    /// The entry is the head of a loop: all but those that a branch has told of ([`turn`]).
    NoTurns,
    /// The first one behind the entry, where [`forget`] has told of the call.
    First,
}

/// Where it begins. `returns`: what the function returns, where that will be known at the end.
///
/// # Errors
/// An expression makes no sense at the site.
pub fn begin(
    input: &PlanInput<'_>,
    moment: &Moment,
    passes: Passes,
    returns: Option<Returned>,
) -> Result<Plan, Diagnostic> {
    let scope = scope(input);
    let spec = &input.ordered()?;
    let mut compiler = Compiler::new(input, &scope);
    let mut asm = Asm::new();
    let (reject, fault) = (asm.label(), asm.label());
    let keeps = keeps(spec);
    let (base, offset) = frame(&compiler, &mut asm, moment, fault)?;
    asm.emit(Op::Enter {
        base,
        offset,
        group: moment.group,
        keeps,
        tells_left: tells_left(spec),
        first_pass: passes == Passes::First,
    });
    test(&compiler, &mut asm, spec, false, reject, fault)?;
    if span_of(spec).is_some() {
        compiler.begin_span(spec, moment, returns)?;
    } else if has_events(spec) {
        match &spec.template {
            Some(template) => compiler.begin_template(&spec.text, &template.parts)?,
            None => compiler.begin_default(returns),
        }
    }
    let values = std::mem::take(&mut compiler.values);
    let captured = Capture::new(&mut asm, &mut compiler.builder).values(values, |asm, _| {
        asm.emit(Op::End);
    });
    ends(&mut asm, reject, fault);
    let key = Some(Key::times(input.redactor));
    let flags = if passes == Passes::NoTurns {
        BEGINS | TURNS
    } else {
        BEGINS
    };
    let record = PlanRecord {
        captured,
        stack: None,
        access: None,
    };
    Ok(compiler.finish(asm.finish(flags), record, key))
}

/// Where it ends.
///
/// # Errors
/// An expression makes no sense at the site.
pub fn end(input: &PlanInput<'_>, moment: &Moment) -> Result<Plan, Diagnostic> {
    let mut scope = scope(input);
    let spec = &input.ordered()?;
    scope.elapsed = true;
    let mut compiler = Compiler::new(input, &scope);
    let mut asm = Asm::new();
    let (reject, fault) = (asm.label(), asm.label());
    let keeps = keeps(spec);
    let (base, offset) = frame(&compiler, &mut asm, moment, fault)?;
    asm.emit(Op::Leave {
        base,
        offset,
        group: moment.group,
        keeps,
    });
    test(&compiler, &mut asm, spec, true, reject, fault)?;
    let is_span = span_of(spec).is_some();
    let mut slots = None;
    let mut captured = crate::plan::Captured::default();
    if has_events(spec) {
        if keeps {
            asm.emit(Op::Kept);
        }
        match (span_of(spec), &spec.template) {
            (Some(span), _) => compiler.end_span(spec, span, moment)?,
            (None, Some(template)) => compiler.end_template(&spec.text, &template.parts)?,
            (None, None) => compiler.end_default(),
        }
        let values = std::mem::take(&mut compiler.values);
        let capture = Capture::new(&mut asm, &mut compiler.builder);
        captured = capture.values(values, |asm, builder| {
            // The callers of a span are the spans around it.
            if is_span || spec.options.depth.is_some_and(|depth| depth > 0) {
                slots = stack::capture(asm, builder).ok();
            }
            asm.emit(Op::End);
        });
    } else {
        asm.emit(Op::Count);
    }
    ends(&mut asm, reject, fault);
    let key = Some(Key::times(input.redactor));
    let record = PlanRecord {
        captured,
        stack: slots,
        access: None,
    };
    Ok(compiler.finish(asm.finish(ENDS), record, key))
}

/// Plan for a function's entry: cancels open timings of this frame, up to the moment's group. With
/// `of_call`, also announces the call to the site after the prologue.
///
/// # Errors
/// The frame cannot be computed.
pub fn forget(
    input: &PlanInput<'_>,
    moment: &Moment,
    of_call: Option<Passes>,
) -> Result<Plan, Diagnostic> {
    let scope = scope(input);
    let compiler = Compiler::new(input, &scope);
    let mut asm = Asm::new();
    let (reject, fault) = (asm.label(), asm.label());
    let (base, offset) = frame(&compiler, &mut asm, moment, fault)?;
    asm.emit(Op::Forget {
        base,
        offset,
        group: moment.group,
        keeps: keeps(input.spec),
        tells_left: tells_left(input.spec),
        of_call: of_call.is_some(),
    });
    ends(&mut asm, reject, fault);
    let key = Some(Key::times(input.redactor));
    let flags = if of_call == Some(Passes::NoTurns) {
        FORGETS | TURNS
    } else {
        FORGETS
    };
    Ok(compiler.finish(asm.finish(flags), PlanRecord::default(), key))
}

/// A branch to an entry that is the head of a loop, with the condition of its opcode.
#[must_use]
pub fn turn(input: &PlanInput<'_>, condition: Option<u8>) -> Plan {
    let scope = scope(input);
    let compiler = Compiler::new(input, &scope);
    let condition = condition.map_or(ALWAYS, u32::from);
    let program = Asm::new().finish_turn(TURNS, condition);
    compiler.finish(
        program,
        PlanRecord::default(),
        Some(Key::times(input.redactor)),
    )
}

/// Computes what tells the frame from others: a register, and an offset from it.
pub(super) fn frame(
    compiler: &Compiler<'_>,
    asm: &mut Asm,
    moment: &Moment,
    fault: Label,
) -> Result<(u8, i32), Diagnostic> {
    let ir = frame_ir(compiler, moment)?;
    let (base, offset) = asm
        .address(&ir, &mut Exits::to(fault))
        .map_err(|why| no_frame(&why))?;
    // The op that needs it comes next.
    asm.give(base);
    Ok((base, offset))
}

/// Computes the address of the frame.
fn frame_ir(compiler: &Compiler<'_>, moment: &Moment) -> Result<Ir, Diagnostic> {
    match &moment.frame {
        Frame::Above(bytes) => Ok(Ir::Register(STACK_POINTER).plus(*bytes)),
        Frame::Cfa(expr) => number_of(compiler, expr).map_err(|why| no_frame(&why)),
    }
}

/// Computes an address by its expression.
pub(super) fn number_of(compiler: &Compiler<'_>, expr: &PlaceExpr) -> Result<Ir, Unavailable> {
    Spots::of(&value_of(expr), 8, compiler.scope.process).number()
}

fn no_frame(why: &Unavailable) -> Diagnostic {
    Diagnostic::new(format!("its frame cannot be told apart from others: {why}"))
}

/// Writes the parts of the condition that are known at the end, or at the beginning.
fn test(
    compiler: &Compiler<'_>,
    asm: &mut Asm,
    spec: &ProbeSpec,
    at_end: bool,
    reject: Label,
    fault: Label,
) -> Result<(), Diagnostic> {
    for part in conditions(spec) {
        if is_of_end(part) != at_end {
            continue;
        }
        let mut resolver = Resolver::new(&compiler.builder, compiler.scope);
        let truth = condition::truth(&mut resolver, part)?;
        resolver.refuse_question(part)?;
        asm.test(&truth, reject, &mut Exits::to(fault))
            .map_err(|why| Diagnostic::at(&part.span, why.to_string()))?;
    }
    Ok(())
}

impl Compiler<'_> {
    /// The whole message; what is known at the end is left for it.
    fn begin_template(&mut self, text: &str, parts: &[TemplatePart]) -> Result<(), Diagnostic> {
        let mut at_end = 0;
        for part in parts {
            match part {
                TemplatePart::Text(text) => self.parts.push(MessagePart::Text(text.clone())),
                TemplatePart::Hole { expr, format } if is_of_end(expr) => {
                    self.end_entry(at_end, *format);
                    at_end += 1;
                }
                TemplatePart::Hole { expr, format } => {
                    self.hole(text, expr, *format)?;
                }
            }
        }
        Ok(())
    }

    /// `$elapsed = …, name = value, …, $return = …`.
    fn begin_default(&mut self, returns: Option<Returned>) {
        self.parts.push(MessagePart::Text("$elapsed = ".into()));
        self.end_entry(0, DEBUG);
        let scope = self.scope;
        let has_parameters = returns.is_some();
        let shown = scope.variables.iter().filter(|variable| {
            let parameter = variable.kind == VariableKind::Parameter;
            !matches!(variable.kind, VariableKind::Static | VariableKind::Lost)
                && !variable.name.is_empty()
                && variable.shadow <= 1
                // At the start of a function its other variables have no values yet.
                && (parameter || !has_parameters)
        });
        for variable in shown {
            self.parts
                .push(MessagePart::Text(format!(", {} = ", variable.name)));
            let operand = Resolver::new(&self.builder, scope).variable(variable);
            self.value(&variable.name, operand, DEBUG, self.hides(&variable.name));
        }
        if returns.is_some_and(|returned| returned.ty.is_some()) {
            self.parts.push(MessagePart::Text(", $return = ".into()));
            self.end_entry(1, DEBUG);
        }
    }

    fn end_entry(&mut self, index: usize, format: crate::lang::ast::Format) {
        self.parts
            .push(MessagePart::Hole(self.entries.len(), format));
        self.entries.push(Entry {
            expr: "".into(),
            ty: "".into(),
            source: Source::End(index),
            // It was, or was not, where it ended.
            hidden: false,
        });
    }

    /// The values of the end that the message asks for, in its order.
    fn end_template(&mut self, text: &str, parts: &[TemplatePart]) -> Result<(), Diagnostic> {
        for part in parts {
            if let TemplatePart::Hole { expr, format } = part
                && is_of_end(expr)
            {
                self.hole(text, expr, *format)?;
            }
        }
        Ok(())
    }

    fn end_default(&mut self) {
        let scope = self.scope;
        let elapsed = Expr {
            kind: ExprKind::Special(Special::Elapsed),
            span: 0..0,
        };
        if let Ok(operand) = Resolver::new(&self.builder, scope).operand(&elapsed) {
            self.value("$elapsed", operand, DEBUG, false);
        }
        if let Some(returned @ Returned { ty: Some(ty), .. }) = scope.returned {
            let operand = Operand::Place(returned::place(&self.builder, ty, returned), ty);
            if let Some(why) = lost(&operand) {
                self.notes
                    .push(format!("`$return` is unavailable at a return: {why}"));
            }
            self.value("$return", operand, DEBUG, returned.redacted);
        }
    }
}

/// The parts that all must hold.
fn conditions(spec: &ProbeSpec) -> Vec<&Expr> {
    let mut parts = Vec::new();
    let mut left: Vec<&Expr> = spec.condition.iter().collect();
    while let Some(expr) = left.pop() {
        match &expr.kind {
            ExprKind::Binary(BinaryOp::And, a, b) => left.extend([&**b, &**a]),
            _ => parts.push(expr),
        }
    }
    parts
}

/// Known to the header of the record that the end sends.
fn is_special(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Special(_))
}

/// Returns true if an expression needs what is known at the end only.
fn is_of_end(expr: &Expr) -> bool {
    let is_of_end = |special| matches!(special, Special::Elapsed | Special::Return | Special::Hit);
    expr.special(&is_of_end).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actions::parse_probe;

    fn parts(text: &str) -> (bool, bool, bool) {
        let spec = parse_probe(text).expect("it parses");
        (has_events(&spec), keeps(&spec), reads_at_begin(&spec))
    }

    #[test]
    fn probe_keeps_what_its_message_shows_of_the_beginning() {
        assert_eq!(parts("time f"), (false, false, false));
        assert_eq!(parts("time f if x > 3"), (false, false, true));
        assert_eq!(parts("time f if $elapsed > 5ms"), (true, true, true));
        assert_eq!(parts("time f if x > 3 && $return == 0"), (true, true, true));
        assert_eq!(parts("time f \"{$elapsed} {$tid}\""), (true, false, false));
        assert_eq!(parts("time f \"{x.y}\""), (true, true, true));
        assert_eq!(parts("span f"), (true, false, false));
        assert_eq!(parts("span f with a=$return, b=$tid"), (true, false, false));
        assert_eq!(parts("span f error if x < 0"), (true, true, true));
        assert_eq!(parts("span f \"{x}\""), (true, true, true));
    }

    #[test]
    fn calls_of_spans_that_are_left_are_told_if_no_end_decides() {
        for (text, told) in [
            ("span f", true),
            ("span f if x > 3", true),
            ("span f if x > 3 && $elapsed > 5ms", false),
            ("span f.c:1..f.c:9", false),
            ("time f if $elapsed > 5ms", false),
        ] {
            let spec = parse_probe(text).expect("it parses");
            assert_eq!(tells_left(&spec), told, "{text}");
        }
    }
}
