//! Numbers of operands: the scalar at a place, through references and wrappers.

use tracer_common::op::{HIT, PID, TID};

use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::types::{TypeId, TypeKind};
use crate::lang::ast::{Expr, Special};
use crate::plan::expr::enum_variants::variant_names;
use crate::plan::expr::members::member_names;
use crate::plan::expr::operand::{Number, NumberKind, Operand, Scalar};
use crate::plan::expr::pointers::{is_address, is_owner};
use crate::plan::expr::resolver::{DEREFS, Resolver};
use crate::plan::expr::wide;
use crate::plan::methods::{optional, texts};
use crate::plan::ops::ir::Ir;
use crate::plan::ops::spots::Spots;
use crate::plan::shape::display_names;

impl Resolver<'_, '_> {
    pub(in crate::plan) fn number_of(
        &self,
        expr: &Expr,
        operand: Operand,
    ) -> Result<Number, Diagnostic> {
        match operand {
            Operand::Number(number) => Ok(number),
            Operand::Place(spots, ty) => self.number_at(expr, &spots, ty),
            Operand::Null => Ok(Number::unsigned(Ir::Const(0), 8)),
            Operand::Unknown(_, error) => Err(error),
            Operand::Special(special) => match special_number(special) {
                Some(number) => Ok(number),
                None => Err(Diagnostic::at(
                    &expr.span,
                    "this is known only when the event is shown",
                )),
            },
            Operand::Text(_) => Err(Diagnostic::at(&expr.span, "a text is not a number")),
        }
    }

    /// The error for a value that must be a number. It suggests how to get one.
    fn not_a_number(&self, expr: &Expr, spots: &Spots, ty: TypeId) -> Diagnostic {
        let name = display_names::without_paths(&self.builder.resolve(ty).name);
        let typed = self.typed(expr);
        let (spots, ty) = &self.behind_references(spots, ty);
        let (ty, resolved) = (*ty, self.builder.resolve(*ty));
        let hint = if texts::text_parts(self.builder, spots, ty).is_some() {
            Some(format!(
                "compare the text (`{typed} == \"…\"`), or its `{typed}.len()`"
            ))
        } else if let Some(inner) = optional::optional_value(self.builder, typed, ty) {
            Some(format!("write its value: `{inner}`"))
        } else if let Some(variant) = variant_names(self.builder, ty).into_iter().next() {
            Some(format!("compare it with a variant: `{typed} == {variant}`"))
        } else {
            let fields = member_names(self.builder, &resolved);
            let field = fields.first();
            field.map(|field| format!("name one of its fields: `{typed}.{field}`"))
        };
        Diagnostic::at(&expr.span, format!("`{name}` is not a number")).maybe_hint(hint)
    }

    /// The number at a place. A reference gives the number of its target.
    pub(in crate::plan) fn number_at(
        &self,
        expr: &Expr,
        spots: &Spots,
        ty: TypeId,
    ) -> Result<Number, Diagnostic> {
        let scalar = match self.scalar_at(spots, ty) {
            Some(Ok(scalar)) => scalar,
            Some(Err(_)) => return Err(self.not_a_number(expr, spots, ty)),
            None => return Err(Diagnostic::at(&expr.span, "references nested too deeply")),
        };
        let Scalar {
            spots,
            size,
            signed,
            kind,
            ..
        } = scalar;
        if size > 8 {
            return Err(wide::too_wide(expr, &format!("numbers of {size} bytes")));
        }
        let ir = spots
            .number()
            .map_err(|why| Diagnostic::at(&expr.span, why.to_string()))?
            .extend(size as u8, signed);
        Ok(Number {
            ir,
            size: size as u8,
            signed,
            kind,
        })
    }

    /// The scalar at a place, of any size, or the name of a type that is not a scalar. `None` if
    /// too many references lead to it.
    pub(in crate::plan) fn scalar_at(
        &self,
        spots: &Spots,
        ty: TypeId,
    ) -> Option<Result<Scalar, String>> {
        let (mut spots, mut ty) = (spots.clone(), ty);
        for _ in 0..DEREFS {
            let resolved = self.builder.resolve(ty);
            let (signed, kind) = match &resolved.kind {
                TypeKind::Int { signed } => (*signed, NumberKind::Int),
                TypeKind::Enum { signed, .. } => (*signed, NumberKind::Int),
                TypeKind::Bool => (false, NumberKind::Bool),
                TypeKind::Char { signed } => (*signed, NumberKind::Char),
                TypeKind::Float => (false, NumberKind::Float),
                TypeKind::Pointer { .. } if is_address(&resolved) => (false, NumberKind::Pointer),
                TypeKind::Pointer { .. } => match self.pointee(&spots, ty) {
                    Ok(Some(next)) => {
                        (spots, ty) = next;
                        continue;
                    }
                    _ => return Some(Err(resolved.name.clone())),
                },
                // The value of an owner is its target, not its address.
                TypeKind::Struct(_) if is_owner(&resolved) => match self.pointee(&spots, ty) {
                    Ok(Some(next)) => {
                        (spots, ty) = next;
                        continue;
                    }
                    _ => return Some(Err(resolved.name.clone())),
                },
                TypeKind::Struct(_) => match self.builder.peel_until(ty, is_owner) {
                    (offset, inner) if inner != ty => {
                        let size = self.builder.size(inner).unwrap_or(0);
                        (spots, ty) = (spots.project(offset, size), inner);
                        continue;
                    }
                    _ => return Some(Err(resolved.name.clone())),
                },
                _ => return Some(Err(resolved.name.clone())),
            };
            return Some(Ok(Scalar {
                spots,
                ty,
                size: resolved.size.unwrap_or(0),
                signed,
                kind,
            }));
        }
        None
    }
}

/// A number that the kernel side keeps in a register. `None` for other special names.
fn special_number(special: Special) -> Option<Number> {
    let (register, size) = match special {
        Special::Pid => (PID, 4),
        Special::Tid => (TID, 4),
        Special::Hit => (HIT, 8),
        _ => return None,
    };
    Some(Number::unsigned(Ir::Register(register), size))
}
