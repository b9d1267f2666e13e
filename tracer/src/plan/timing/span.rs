//! Spans: the values that the event of an interval has if its action is `span`.
//!
//! The event has a list of values: the frame and the time, which tell its call from all others, then the
//! parts that the probe asks for. The plan of the beginning has the list. It captures the parts that are
//! known there, and the plan of the end captures the others, in the same order.

use std::sync::Arc;

use tracer_common::op::ELAPSED;

use super::{Moment, frame_ir, is_of_end, is_special};
use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::types::TypeId;
use crate::lang::ast::{
    Action, Expr, ExprKind, Format, ProbeSpec, SpanAction, Special, TemplatePart,
};
use crate::plan::Compiler;
use crate::plan::decode::layout::MessagePart;
use crate::plan::decode::span_begin::{SpanBegin, SpanPart};
use crate::plan::expr::returned::Returned;
use crate::plan::expr::{Number, NumberKind, Operand, Resolver};
use crate::plan::ops::ir::Ir;
use crate::value::debug::DEBUG;

/// Values before the parts: the frame, and the time.
const OWN_VALUES: usize = 2;

/// A part that a probe asks for.
struct AskedPart {
    part: SpanPart,
    expr: Expr,
    format: Format,
    /// The name of an attribute.
    key: Option<String>,
}

/// The clauses of a span. `None` for another action.
pub(super) const fn span_of(spec: &ProbeSpec) -> Option<&SpanAction> {
    match &spec.action {
        Action::Span(span) => Some(span),
        _ => None,
    }
}

/// Returns true if an expression of a span's own clauses is kept from the beginning to the end.
pub(super) fn keeps(span: &SpanAction) -> bool {
    span.exprs()
        .any(|expr| !is_of_end(expr) && !is_special(expr))
}

/// The parts that a span has, in their order. `with_result` asks for the returned `Result`.
fn asked(spec: &ProbeSpec, span: &SpanAction, with_result: bool) -> Vec<AskedPart> {
    let mut asked = Vec::new();
    for part in spec.template.iter().flat_map(|template| &template.parts) {
        if let TemplatePart::Hole { expr, format } = part {
            asked.push(AskedPart {
                part: SpanPart::Name,
                expr: expr.clone(),
                format: *format,
                key: None,
            });
        }
    }
    let mut more = |part, expr: &Expr, key: Option<&str>| {
        asked.push(AskedPart {
            part,
            expr: expr.clone(),
            format: DEBUG,
            key: key.map(str::to_owned),
        });
    };
    for attribute in &span.attributes {
        more(SpanPart::Attribute, &attribute.value, Some(&attribute.key));
    }
    for (part, expr) in [SpanPart::Parent, SpanPart::ParentSpan]
        .into_iter()
        .zip(&span.parent)
    {
        more(part, expr, None);
    }
    if let Some(expr) = &span.key {
        more(SpanPart::Key, expr, None);
    }
    if let Some(expr) = &span.error {
        more(SpanPart::Failed, expr, None);
    }
    if with_result && span.error.is_none() {
        let returned = Expr {
            kind: ExprKind::Special(Special::Return),
            span: 0..0,
        };
        more(SpanPart::Result, &returned, None);
    }
    asked
}

impl Compiler<'_> {
    /// Returns true if the function returns a Rust `Result` or a `std::expected`.
    fn returns_result(&self, returned: Option<Returned>) -> bool {
        let is_result = |ty: TypeId| {
            let name = self.builder.resolve_name(ty);
            let path = name.split('<').next().unwrap_or_default();
            let last = path.rsplit("::").next().unwrap_or_default();
            name.contains('<') && matches!(last, "Result" | "expected")
        };
        returned
            .and_then(|returned| returned.ty)
            .is_some_and(is_result)
    }

    /// The whole list of values, and the captured ones among them that are known at the beginning.
    pub(super) fn begin_span(
        &mut self,
        spec: &ProbeSpec,
        moment: &Moment,
        returned: Option<Returned>,
    ) -> Result<(), Diagnostic> {
        let Some(span) = span_of(spec) else {
            return Ok(());
        };
        for expr in span.parent.iter().chain(&span.key) {
            if is_of_end(expr) {
                let message = "this is known at the end only";
                let error = Diagnostic::at(&expr.span, message);
                return Err(error.hint("parent and key of a span are known at its start"));
            }
        }
        let mut roles = vec![SpanPart::Frame, SpanPart::Elapsed];
        for index in 0..OWN_VALUES {
            self.end_entry(index, DEBUG);
        }
        let mut at_end = OWN_VALUES;
        let mut holes = Vec::new();
        for asked in asked(spec, span, self.returns_result(returned)) {
            roles.push(asked.part);
            holes.push(MessagePart::Hole(self.entries.len(), asked.format));
            if is_of_end(&asked.expr) {
                self.end_entry(at_end, asked.format);
                at_end += 1;
            } else {
                self.part(&spec.text, &asked)?;
            }
        }
        self.parts.clear();
        let mut holes = holes.into_iter();
        for part in spec.template.iter().flat_map(|template| &template.parts) {
            self.parts.extend(match part {
                TemplatePart::Text(text) => Some(MessagePart::Text(text.clone())),
                TemplatePart::Hole { .. } => holes.next(),
            });
        }
        self.span = Some(SpanBegin {
            parts: Arc::from(roles),
            group: moment.group,
            keeps: super::keeps(spec),
        });
        Ok(())
    }

    /// The frame, the time, and the parts that are known at the end.
    pub(super) fn end_span(
        &mut self,
        spec: &ProbeSpec,
        span: &SpanAction,
        moment: &Moment,
    ) -> Result<(), Diagnostic> {
        let number = |ir| {
            Operand::Number(Number {
                ir,
                size: 8,
                signed: false,
                kind: NumberKind::Int,
            })
        };
        let frame = frame_ir(self, moment)?;
        self.value("frame", number(frame), DEBUG, false);
        self.value("elapsed", number(Ir::Register(ELAPSED)), DEBUG, false);
        let with_result = self.returns_result(self.scope.returned);
        for asked in asked(spec, span, with_result) {
            if is_of_end(&asked.expr) {
                self.part(&spec.text, &asked)?;
            }
        }
        Ok(())
    }

    /// Captures one part.
    fn part(&mut self, text: &str, asked: &AskedPart) -> Result<(), Diagnostic> {
        match asked.part {
            SpanPart::Result => {
                let mut resolver = Resolver::new(&self.builder, self.scope);
                let resolved = resolver.operand(&asked.expr)?;
                let redacted = resolver.is_redacted(&resolved);
                self.value("$return", resolved, asked.format, redacted);
            }
            SpanPart::Failed => {
                let mut resolver = Resolver::new(&self.builder, self.scope);
                resolver.operand(&asked.expr)?;
                resolver.refuse_question(&asked.expr)?;
                self.hole(text, &asked.expr, asked.format)?;
            }
            _ => {
                self.hole(text, &asked.expr, asked.format)?;
            }
        }
        if let Some(key) = &asked.key
            && let Some(entry) = self.entries.last_mut()
        {
            entry.hidden |= self.redactor.hides_expr(key);
            entry.expr = key.as_str().into();
        }
        Ok(())
    }
}
