//! Plans of `trace`: one for each site of a recorded call.

use tracer_common::control::{ANNOUNCES, RETURNS, STEPS, TAKES};
use tracer_common::op::cond;
use tracer_common::trace::{
    ANNOUNCES_CALLS, CALLS_COMPUTED, NEEDS_ANNOUNCEMENT, RETURNS_FROM_CALLS, ROLE_BITS, TAKES_CALLS,
};

use crate::base::diagnostic::Diagnostic;
use crate::base::unavailable::Unavailable;
use crate::debuginfo::place::LocationExpr as PlaceExpr;
use crate::lang::ast::{Action, Expr, ProbeSpec};
use crate::plan::capture::Capture;
use crate::plan::decode::layout::MessagePart;
use crate::plan::expr::condition;
use crate::plan::ops::asm::{Asm, Exits, Label, SINK};
use crate::plan::ops::spots::Spots;
use crate::plan::timing::{Frame, Moment, frame, number_of};
use crate::plan::{
    Compiler, Node, Operand, Plan, PlanInput, PlanRecord, Resolver, ends, scope, stack,
};
use crate::program::Op;
use crate::value::debug::DEBUG;

/// A site of a trace.
#[derive(Clone, Debug)]
pub struct StepSite {
    /// The frame.
    pub frame: Frame,
    /// Its roles: [`TAKES_CALLS`] and others of [`tracer_common::trace`].
    pub roles: u32,
    /// Its place among the sites of the probe, in the order of addresses.
    pub order: u32,
    /// Number of its line, from 1. 0 if no line begins here.
    pub line: u32,
    /// The address that a call instruction computes, at a site for it.
    pub target: Option<PlaceExpr>,
}

/// The plan of a step.
pub struct StepPlan {
    /// The plan.
    pub plan: Plan,
    /// Watched values that make no sense here, by their index, with the reason.
    pub unknown: Vec<(usize, Diagnostic)>,
}

/// Compiles a probe for one of its sites.
///
/// # Errors
/// The condition makes no sense at the site, or the frame cannot be computed.
pub fn step(input: &PlanInput<'_>, site: &StepSite) -> Result<StepPlan, Diagnostic> {
    let scope = scope(input);
    let spec = &input.ordered()?;
    let mut compiler = Compiler::new(input, &scope);
    let mut asm = Asm::new();
    let (reject, fault) = (asm.label(), asm.label());
    let moment = Moment {
        frame: site.frame.clone(),
        group: 0,
    };
    let target = match &site.target {
        Some(target) => Some(called(&compiler, &mut asm, target, fault)?),
        None => None,
    };
    let (base, offset) = frame(&compiler, &mut asm, &moment, fault)?;
    let takes = site.roles & TAKES_CALLS != 0;
    let condition = spec.condition.as_ref().filter(|_| takes);
    let dst = match condition {
        Some(_) => asm.take().map_err(|why| Diagnostic::new(why.to_string()))?,
        None => SINK,
    };
    asm.emit(Op::Step {
        dst,
        base,
        offset,
        roles: site.roles | site.order << ROLE_BITS,
        line: site.line,
        target,
    });
    if let Some(condition) = condition {
        // A later pass of the line, in the recorded call, is a step whatever the condition says.
        let taken = asm.label();
        asm.jump_if_const(dst, cond::EQ, 0, taken);
        asm.give(dst);
        let mut resolver = Resolver::new(&compiler.builder, compiler.scope);
        let truth = condition::truth(&mut resolver, condition)?;
        resolver.refuse_question(condition)?;
        asm.test(&truth, reject, &mut Exits::to(fault))
            .map_err(|why| Diagnostic::at(&condition.span, why.to_string()))?;
        asm.place(taken);
    }
    let unknown = if site.roles & RETURNS_FROM_CALLS != 0 {
        compiler.returned();
        Vec::new()
    } else if site.line != 0 {
        compiler.step_values(spec)
    } else {
        Vec::new()
    };
    compiler.make_room();
    let values = std::mem::take(&mut compiler.values);
    // The stack tells the span around the step.
    let has_stack = input.has_spans && site.roles & (ANNOUNCES_CALLS | CALLS_COMPUTED) == 0;
    let mut slots = None;
    let captured = Capture::new(&mut asm, &mut compiler.builder).values(values, |asm, builder| {
        if has_stack {
            slots = stack::capture(asm, builder).ok();
        }
        asm.emit(Op::End);
    });
    ends(&mut asm, reject, fault);
    let record = PlanRecord {
        captured,
        stack: slots,
        access: None,
    };
    let plan = compiler.finish(asm.finish(flags(site.roles)), record, None);
    Ok(StepPlan { plan, unknown })
}

/// Computes the address that a call instruction calls. Its register is not given back.
fn called(
    compiler: &Compiler<'_>,
    asm: &mut Asm,
    target: &PlaceExpr,
    fault: Label,
) -> Result<u8, Diagnostic> {
    let unknown = |why: Unavailable| Diagnostic::new(format!("the called address: {why}"));
    let ir = number_of(compiler, target).map_err(unknown)?;
    let register = asm.value(&ir, &mut Exits::to(fault));
    register.map_err(unknown)
}

/// The flags of a site with these roles.
const fn flags(roles: u32) -> u32 {
    let takes = roles & (TAKES_CALLS | NEEDS_ANNOUNCEMENT) == TAKES_CALLS;
    let announces = roles & (ANNOUNCES_CALLS | NEEDS_ANNOUNCEMENT) != 0;
    let returns = roles & RETURNS_FROM_CALLS != 0;
    let mut flags = STEPS;
    flags |= if takes { TAKES } else { 0 };
    flags |= if announces { ANNOUNCES } else { 0 };
    flags | if returns { RETURNS } else { 0 }
}

impl Compiler<'_> {
    /// The watched values, or all variables in scope. Returns the watched ones that make no sense here.
    fn step_values(&mut self, spec: &ProbeSpec) -> Vec<(usize, Diagnostic)> {
        let watched: &[Expr] = match &spec.action {
            Action::Trace(trace) => &trace.watched,
            _ => &[],
        };
        if watched.is_empty() {
            self.all_variables();
            return Vec::new();
        }
        let mut unknown = Vec::new();
        for (index, expr) in watched.iter().enumerate() {
            let name = spec.text.get(expr.span.clone()).unwrap_or_default();
            let before = if index == 0 { "" } else { ", " };
            self.parts
                .push(MessagePart::Text(format!("{before}{name} = ")));
            let mut resolver = Resolver::new(&self.builder, self.scope);
            // A variable of a block exists on some lines of the function only.
            let (why, error) = match resolver.operand(expr) {
                Ok(Operand::Unknown(_, error)) => (Unavailable::OutOfScope, error),
                // Such as the `p` of `p.x`.
                Err(error) if error.message.ends_with("in scope here") => {
                    (Unavailable::OutOfScope, error)
                }
                Err(error) => (Unavailable::Unsupported(error.message.clone()), error),
                Ok(operand) => {
                    let redacted = resolver.is_redacted(&operand);
                    self.value(name, operand, DEBUG, redacted);
                    continue;
                }
            };
            unknown.push((index, error));
            let source = self.captured_node(Spots(Vec::new()), Node::Missing(why));
            self.entry(name, "".into(), source, DEBUG, false);
        }
        unknown
    }
}
