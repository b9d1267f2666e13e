//! Operators and casts: numbers of numbers.

use tracer_common::op::alu;

use super::super::PlanError;
use super::super::condition;
use super::super::ir::{Failure, Ir, Spot, Spots, divide, least};
use super::super::wide::{self, Side};
use super::{Number, NumberKind, Operand, Resolver, conversions, floats};
use crate::debuginfo::types::{Language, TypeId, TypeKind};
use crate::lang::ast::{BinaryOp, Expr, UnaryOp};

/// Bytes between the elements that a pointer points to, and its type.
type Stride = (u64, TypeId);

impl Resolver<'_, '_> {
    pub(super) fn unary(
        &mut self,
        expr: &Expr,
        op: UnaryOp,
        inner: &Expr,
    ) -> Result<Operand, PlanError> {
        match op {
            UnaryOp::Deref => {
                if let Some(object) = inner.addressed() {
                    return self.operand(object);
                }
                let place = self.place(inner)?;
                let (spots, ty) = self.referent(inner, place)?;
                if let Some(first) = self.first_of_array(expr, &spots, ty)? {
                    return Ok(first);
                }
                let (spots, ty) = self.deref(inner, &spots, ty)?;
                Ok(Operand::Place(spots, ty))
            }
            UnaryOp::AddressOf => {
                let place = self.place(inner)?;
                let (spots, _) = self.referent(inner, place)?;
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
                    if let Some(number) = self.float_of(inner, &side)? {
                        return floats::unary(expr, op, number).map(Operand::Number);
                    }
                    let origin = self.origin(&side);
                    let number = side.number(self, inner)?;
                    if number.kind == NumberKind::Pointer {
                        return Err(with_pointer(expr));
                    }
                    if self.is_c() {
                        let number = self.promoted(inner, number, origin)?;
                        return Ok(Operand::Number(conversions::unary(op, number)));
                    }
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
        if self.is_c() {
            return Ok(None);
        }
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
            let error = PlanError::at(expr, "a float is not an integer");
            return Err(error.hint(Some("`x as i64` is its integer part".into())));
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
        let sides = (Side::new(self, left)?, Side::new(self, right)?);
        if let Some(number) = self.float_binary(expr, op, (left, &sides.0), (right, &sides.1))? {
            return Ok(Operand::Number(number));
        }
        let origins = (self.origin(&sides.0), self.origin(&sides.1));
        let strides = (self.stride(left, &sides.0), self.stride(right, &sides.1));
        let (mut a, mut b) = match wide::binary(self, expr, op, sides, (left, right))? {
            Ok(operand) => return Ok(operand),
            Err(numbers) => numbers,
        };
        if self.is_c() {
            a = self.promoted(left, a, origins.0)?;
            b = self.promoted(right, b, origins.1)?;
        }
        if a.kind == NumberKind::Pointer || b.kind == NumberKind::Pointer {
            let (a, b) = (a.settled(), b.settled());
            return self.pointers(expr, op, (a, strides.0), (b, strides.1));
        }
        if self.is_c() {
            let number = match op {
                BinaryOp::Shl | BinaryOp::Shr => {
                    let count = self.shift_count(expr, &a, b)?;
                    conversions::shift(op, a, count)
                }
                _ => conversions::arithmetic(expr, op, a, b)?,
            };
            return Ok(Operand::Number(number));
        }
        let small = a.size < 8 && b.size < 8;
        // What one of them cannot hold as a signed number makes the result unsigned.
        let holds = |number: &Number| number.signed || number.size < 8;
        let mixed = (a.signed || b.signed) && holds(&a) && holds(&b);
        let signed = mixed || (small && op == BinaryOp::Sub);
        let ir = match op {
            BinaryOp::Add => Ir::alu(alu::ADD, a.ir, b.ir),
            BinaryOp::Sub => Ir::alu(alu::SUB, a.ir, b.ir),
            BinaryOp::Mul => Ir::alu(alu::MUL, a.ir, b.ir),
            BinaryOp::Div | BinaryOp::Rem => quotient(expr, op, signed, (a, b))?,
            BinaryOp::BitAnd => Ir::alu(alu::AND, a.ir, b.ir),
            BinaryOp::BitOr => Ir::alu(alu::OR, a.ir, b.ir),
            BinaryOp::BitXor => Ir::alu(alu::XOR, a.ir, b.ir),
            _ => {
                let count = self.shift_count(expr, &a, b)?;
                let operation = match op {
                    BinaryOp::Shl => alu::SHL,
                    _ if a.signed => alu::SAR,
                    _ => alu::SHR,
                };
                Ir::alu(operation, a.ir, count)
            }
        };
        Ok(Operand::Number(Number {
            ir: ir.folded(),
            size: 8,
            signed,
            kind: NumberKind::Int,
        }))
    }

    /// Sums and differences of pointers, which C and C++ count in what they point to.
    #[expect(clippy::unused_self, reason = "a step of an expression as the others")]
    fn pointers(
        &self,
        expr: &Expr,
        op: BinaryOp,
        (a, of_left): (Number, Option<Stride>),
        (b, of_right): (Number, Option<Stride>),
    ) -> Result<Operand, PlanError> {
        let is_int = |number: &Number| number.kind == NumberKind::Int;
        let scaled = |count: Ir, stride| Ir::alu(alu::MUL, count, Ir::Const(stride));
        let (ir, ty) = match (op, of_left, of_right) {
            (BinaryOp::Add, Some((stride, ty)), None) if is_int(&b) => {
                (Ir::alu(alu::ADD, a.ir, scaled(b.ir, stride)), ty)
            }
            (BinaryOp::Add, None, Some((stride, ty))) if is_int(&a) => {
                (Ir::alu(alu::ADD, b.ir, scaled(a.ir, stride)), ty)
            }
            (BinaryOp::Sub, Some((stride, ty)), None) if is_int(&b) => {
                (Ir::alu(alu::SUB, a.ir, scaled(b.ir, stride)), ty)
            }
            (BinaryOp::Sub, Some((stride, _)), Some((same, _))) if stride == same => {
                let apart = Ir::alu(alu::SUB, a.ir, b.ir);
                return Ok(Operand::Number(Number {
                    ir: divide(alu::SDIV, apart, Ir::Const(stride), None).folded(),
                    size: 8,
                    signed: true,
                    kind: NumberKind::Int,
                }));
            }
            _ => return Err(with_pointer(expr)),
        };
        Ok(Operand::Place(
            Spots::whole(8, Spot::Number(ir.folded())),
            ty,
        ))
    }

    /// Bytes between elements, and the type, of a pointer of C or C++.
    fn stride(&self, expr: &Expr, side: &Side) -> Option<Stride> {
        let Side::Other(Operand::Place(spots, ty)) = side else {
            return None;
        };
        let (_, ty) = self.referent(expr, (spots.clone(), *ty)).ok()?;
        let resolved = self.builder.resolve(ty);
        let TypeKind::Pointer {
            target: Some(target),
            ..
        } = resolved.kind
        else {
            return None;
        };
        let size = self.builder.size(target).filter(|size| *size > 0);
        size.filter(|_| resolved.language != Language::Rust)
            .map(|size| (size, ty))
    }

    /// By how many bits a number is shifted: fewer than it has, since more are undefined in C and
    /// C++ and a panic in Rust.
    fn shift_count(&self, expr: &Expr, shifted: &Number, count: Number) -> Result<Ir, PlanError> {
        // Rust shifts no truths.
        let least = if shifted.kind == NumberKind::Bool {
            4
        } else {
            1
        };
        let bits = u64::from(shifted.size.max(least)) * 8;
        self.shift_by(expr, (bits, shifted.signed), count)
    }

    /// The same of a number of so many bits, which has a sign.
    pub(in crate::plan) fn shift_by(
        &self,
        expr: &Expr,
        (bits, signed): (u64, bool),
        count: Number,
    ) -> Result<Ir, PlanError> {
        match count.ir.folded() {
            Ir::Const(known) if known >= bits => {
                let by = if count.signed {
                    (known as i64).to_string()
                } else {
                    known.to_string()
                };
                let message = format!("a shift by {by} of a number of {bits} bits");
                let mut hint = format!("it can be shifted by 0 to {}", bits - 1);
                if (bits..64).contains(&known) {
                    let cast = match (self.is_c(), signed) {
                        (false, true) => "behind `as i64`",
                        (false, false) => "behind `as u64`",
                        (true, true) => "behind `(long)`",
                        (true, false) => "behind `(unsigned long)`",
                    };
                    hint = format!("{hint}; {cast} it has 64 bits");
                }
                Err(PlanError::at(expr, message).hint(Some(hint)))
            }
            count => Ok(count.below(bits, Failure::Shift)),
        }
    }

    /// `x as char` of Rust, and C's `(char)x`.
    fn character(&mut self, inner: &Expr) -> Result<Operand, PlanError> {
        if self.is_c() {
            let ir = self.integer_in(inner, 1, true)?;
            return Ok(Operand::Number(Number {
                ir,
                size: 1,
                signed: true,
                kind: NumberKind::Char,
            }));
        }
        let number = Side::new(self, inner)?.number(self, inner)?;
        Ok(Operand::Number(Number {
            ir: number.ir.extend(4, false),
            size: 4,
            signed: false,
            kind: NumberKind::Char,
        }))
    }

    pub(super) fn cast(
        &mut self,
        expr: &Expr,
        inner: &Expr,
        ty: &str,
    ) -> Result<Operand, PlanError> {
        if ty == "char" {
            return self.character(inner);
        }
        if let Some(size) = floats::size_of(ty) {
            return self.float_in(inner, size).map(Operand::Number);
        }
        let Some((size, signed)) = integer_type(ty) else {
            return self.named_cast(expr, inner, ty);
        };
        Ok(Operand::Number(Number {
            ir: self.integer_in(inner, size, signed)?,
            size,
            signed,
            kind: NumberKind::Int,
        }))
    }
}

/// `left / right` or `left % right`, computed with or without signs, in the type of the left one.
///
/// # Errors
/// It is known that the type does not have the result.
pub(super) fn quotient(
    expr: &Expr,
    op: BinaryOp,
    signed: bool,
    (a, b): (Number, Number),
) -> Result<Ir, PlanError> {
    let operation = match (op, signed) {
        (BinaryOp::Div, true) => alu::SDIV,
        (BinaryOp::Div, false) => alu::DIV,
        (_, true) => alu::SREM,
        (_, false) => alu::REM,
    };
    if !signed {
        // One that has a sign is below the end of those that have.
        let positive = |one: Number| match one.signed {
            true => one.ir.below(1 << 63, Failure::Negative),
            false => one.ir,
        };
        return Ok(divide(operation, positive(a), positive(b), None));
    }
    let least = a.signed.then(|| least(a.size));
    if let (Ir::Const(known), Ir::Const(u64::MAX)) = (&a.ir, &b.ir)
        && Some(*known) == least
    {
        return Err(overflow(expr));
    }
    Ok(divide(operation, a.ir, b.ir, least))
}

/// The least number of a type by -1, known before the hit.
pub(in crate::plan) fn overflow(expr: &Expr) -> PlanError {
    let error = PlanError::at(expr, "this division overflows");
    error.hint(Some(
        "the type has no number that is as far above zero as its least is below".into(),
    ))
}

fn with_pointer(expr: &Expr) -> PlanError {
    let error = PlanError::at(expr, "this cannot be computed with a pointer");
    error.hint(Some(
        "`p as u64` is its address; `&p[1]` is where the next one is".into(),
    ))
}

/// Bytes and sign of the integer type of that name.
pub(super) fn integer_type(ty: &str) -> Option<(u8, bool)> {
    Some(match ty {
        "u8" | "uint8_t" => (1, false),
        "i8" | "int8_t" => (1, true),
        "u16" | "uint16_t" => (2, false),
        "i16" | "int16_t" => (2, true),
        "u32" | "uint32_t" => (4, false),
        "i32" | "int32_t" => (4, true),
        "u64" | "uint64_t" | "usize" | "size_t" | "uintptr_t" => (8, false),
        "i64" | "int64_t" | "isize" | "ssize_t" | "intptr_t" | "ptrdiff_t" => (8, true),
        _ => return c_integer(ty),
    })
}

/// Bytes and sign of an integer by its words in C, in any order.
pub(super) fn c_integer(ty: &str) -> Option<(u8, bool)> {
    let count = |wanted| ty.split_whitespace().filter(|word| *word == wanted).count();
    let known = ["unsigned", "signed", "char", "short", "int", "long"];
    let all = ty.split_whitespace().count();
    if all == 0 || known.into_iter().map(count).sum::<usize>() != all {
        return None;
    }
    let size = match (count("char"), count("short"), count("long"), count("int")) {
        (1, 0, 0, 0) => 1,
        (0, 1, 0, 0 | 1) => 2,
        (0, 0, 0, 0 | 1) => 4,
        (0, 0, 1 | 2, 0 | 1) => 8,
        _ => return None,
    };
    match (count("unsigned"), count("signed")) {
        (0, 0 | 1) => Some((size, true)),
        (1, 0) => Some((size, false)),
        _ => None,
    }
}

fn is_test(op: BinaryOp) -> bool {
    use BinaryOp as B;
    matches!(
        op,
        B::Eq | B::Ne | B::Lt | B::Le | B::Gt | B::Ge | B::And | B::Or
    )
}
