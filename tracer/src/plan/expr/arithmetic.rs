//! Operators and casts: numbers of numbers.

use tracer_common::op::alu;

use super::super::PlanError;
use super::super::condition;
use super::super::ir::{Ir, divide};
use super::super::wide::{self, Side};
use super::{Number, NumberKind, Operand, Resolver};
use crate::debuginfo::types::{Language, TypeKind};
use crate::lang::ast::{BinaryOp, Expr, UnaryOp};

impl Resolver<'_, '_> {
    pub(super) fn unary(
        &mut self,
        expr: &Expr,
        op: UnaryOp,
        inner: &Expr,
    ) -> Result<Operand, PlanError> {
        match op {
            UnaryOp::Deref => {
                let (spots, ty) = self.place(inner)?;
                let (spots, ty) = self.deref(inner, &spots, ty)?;
                Ok(Operand::Place(spots, ty))
            }
            UnaryOp::AddressOf => {
                let (spots, _) = self.place(inner)?;
                match spots.address() {
                    Some(address) => Ok(Operand::Number(Number {
                        ir: address.clone(),
                        size: 8,
                        signed: false,
                        kind: NumberKind::Pointer,
                    })),
                    None => Err(PlanError::at(inner, "this has no address here")),
                }
            }
            UnaryOp::Neg | UnaryOp::BitNot => match Side::new(self, inner)? {
                Side::Wide(wide) => wide::unary(op, wide)
                    .ok_or_else(|| wide::too_wide(expr, "numbers of more than 64 bits")),
                side => {
                    let number = side.number(self, inner)?;
                    Ok(Operand::Number(match op {
                        UnaryOp::Neg => Number {
                            ir: Ir::alu(alu::SUB, Ir::Const(0), number.ir).folded(),
                            size: 8,
                            signed: true,
                            kind: NumberKind::Int,
                        },
                        _ => self.bit_not(number),
                    }))
                }
            },
            UnaryOp::Not => {
                if let Some(number) = self.rust_integer(inner)? {
                    return Ok(Operand::Number(self.bit_not(number)));
                }
                let test = condition::truth(self, expr)?;
                Ok(Operand::Number(Number::truth(test)))
            }
        }
    }

    /// All bits the other way round.
    #[expect(clippy::unused_self, reason = "a step of an expression as the others")]
    pub(in crate::plan) fn bit_not(&self, number: Number) -> Number {
        let (size, signed) = (number.size, number.signed);
        let ir = Ir::alu(alu::XOR, number.ir, Ir::Const(u64::MAX));
        Number {
            ir: ir.extend(size, signed),
            size,
            signed,
            kind: NumberKind::Int,
        }
    }

    /// An integer of a Rust program, of which `!` turns the bits.
    pub(in crate::plan) fn rust_integer(
        &mut self,
        expr: &Expr,
    ) -> Result<Option<Number>, PlanError> {
        // What has no place is not looked into twice: that would double with each `!`.
        if expr.is_computed() {
            return Ok(None);
        }
        let Operand::Place(spots, ty) = self.operand(expr)? else {
            return Ok(None);
        };
        let resolved = self.builder.resolve(ty);
        let integer = matches!(resolved.kind, TypeKind::Int { .. });
        if !integer || resolved.language != Language::Rust {
            return Ok(None);
        }
        self.number_at(expr, &spots, ty).map(Some)
    }

    /// A number that arithmetic makes sense for.
    pub(in crate::plan) fn computable_of(
        &self,
        expr: &Expr,
        operand: Operand,
    ) -> Result<Number, PlanError> {
        let number = self.number_of(expr, operand)?;
        if number.kind == NumberKind::Float {
            let error = PlanError::at(expr, "floats cannot be computed with in the kernel");
            return Err(error.hint(Some("they can be compared: `x > 1.5`".into())));
        }
        Ok(number)
    }

    pub(super) fn binary(
        &mut self,
        expr: &Expr,
        op: BinaryOp,
        left: &Expr,
        right: &Expr,
    ) -> Result<Operand, PlanError> {
        if is_test(op) {
            let test = condition::truth(self, expr)?;
            return Ok(Operand::Number(Number::truth(test)));
        }
        let (a, b) = match wide::binary(self, expr, op, left, right)? {
            Ok(operand) => return Ok(operand),
            Err(numbers) => numbers,
        };
        let small = a.size < 8 && b.size < 8;
        // What one of them cannot hold as a signed number makes the result unsigned.
        let holds = |number: &Number| number.signed || number.size < 8;
        let mixed = (a.signed || b.signed) && holds(&a) && holds(&b);
        let signed = mixed || (small && op == BinaryOp::Sub);
        let ir = match op {
            BinaryOp::Add => Ir::alu(alu::ADD, a.ir, b.ir),
            BinaryOp::Sub => Ir::alu(alu::SUB, a.ir, b.ir),
            BinaryOp::Mul => Ir::alu(alu::MUL, a.ir, b.ir),
            BinaryOp::Div => divide(if signed { alu::SDIV } else { alu::DIV }, a.ir, b.ir),
            BinaryOp::Rem => divide(if signed { alu::SREM } else { alu::REM }, a.ir, b.ir),
            BinaryOp::BitAnd => Ir::alu(alu::AND, a.ir, b.ir),
            BinaryOp::BitOr => Ir::alu(alu::OR, a.ir, b.ir),
            BinaryOp::BitXor => Ir::alu(alu::XOR, a.ir, b.ir),
            BinaryOp::Shl => Ir::alu(alu::SHL, a.ir, b.ir),
            _ => Ir::alu(if a.signed { alu::SAR } else { alu::SHR }, a.ir, b.ir),
        };
        Ok(Operand::Number(Number {
            ir: ir.folded(),
            size: 8,
            signed,
            kind: NumberKind::Int,
        }))
    }

    pub(super) fn cast(
        &mut self,
        expr: &Expr,
        inner: &Expr,
        ty: &str,
    ) -> Result<Operand, PlanError> {
        let (size, signed) = match ty {
            "u8" | "uint8_t" | "unsigned char" => (1, false),
            "i8" | "int8_t" | "signed char" | "char" => (1, true),
            "u16" | "uint16_t" | "unsigned short" => (2, false),
            "i16" | "int16_t" | "short" => (2, true),
            "u32" | "uint32_t" | "unsigned int" | "unsigned" => (4, false),
            "i32" | "int32_t" | "int" => (4, true),
            "u64" | "uint64_t" | "unsigned long" | "usize" | "size_t" => (8, false),
            "i64" | "int64_t" | "long" | "isize" | "ssize_t" => (8, true),
            _ => {
                let error = PlanError::at(expr, format!("no cast to `{ty}`"));
                return Err(error.hint(Some("casts are to integers: `i32`, `u64`, …".into())));
            }
        };
        let ir = match Side::new(self, inner)? {
            Side::Wide(wide) => wide.narrowed(size, signed),
            side => side.number(self, inner)?.ir.extend(size, signed),
        };
        Ok(Operand::Number(Number {
            ir,
            size,
            signed,
            kind: NumberKind::Int,
        }))
    }
}

fn is_test(op: BinaryOp) -> bool {
    use BinaryOp as B;
    matches!(
        op,
        B::Eq | B::Ne | B::Lt | B::Le | B::Gt | B::Ge | B::And | B::Or
    )
}
