//! Operators and casts: numbers of numbers.

use tracer_common::op::alu;

use super::super::PlanError;
use super::super::condition;
use super::super::ir::{Failure, Ir, Spot, Spots, divide};
use super::super::wide::{self, Side};
use super::{Number, NumberKind, Operand, Resolver};
use crate::debuginfo::types::{Language, TypeId, TypeKind};
use crate::lang::ast::{BinaryOp, Expr, ExprKind, UnaryOp};

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
                    let of_c = self.is_of_c(inner, &side);
                    let number = side.number(self, inner)?;
                    Ok(Operand::Number(match op {
                        UnaryOp::Neg => Number {
                            ir: Ir::alu(alu::SUB, Ir::Const(0), number.ir).folded(),
                            size: 8,
                            signed: true,
                            kind: NumberKind::Int,
                        },
                        _ if of_c => self.bit_not(number.promoted()),
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

    /// Whether it is a number of C or C++, which computes with no fewer bits than an `int` has.
    fn is_of_c(&self, expr: &Expr, side: &Side) -> bool {
        match (side, &expr.kind) {
            (Side::Other(Operand::Place(_, ty)), _) => {
                self.builder.resolve(*ty).language != Language::Rust
            }
            (_, ExprKind::Cast(inner, _)) => self.is_c_cast(expr, inner),
            _ => false,
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
        let sides = (Side::new(self, left)?, Side::new(self, right)?);
        let of_c = self.is_of_c(left, &sides.0);
        let strides = (self.stride(left, &sides.0), self.stride(right, &sides.1));
        let (a, b) = match wide::binary(self, expr, op, sides, (left, right))? {
            Ok(operand) => return Ok(operand),
            Err(numbers) => numbers,
        };
        if a.kind == NumberKind::Pointer || b.kind == NumberKind::Pointer {
            return self.pointers(expr, op, (a, strides.0), (b, strides.1));
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
            BinaryOp::Div => divide(if signed { alu::SDIV } else { alu::DIV }, a.ir, b.ir),
            BinaryOp::Rem => divide(if signed { alu::SREM } else { alu::REM }, a.ir, b.ir),
            BinaryOp::BitAnd => Ir::alu(alu::AND, a.ir, b.ir),
            BinaryOp::BitOr => Ir::alu(alu::OR, a.ir, b.ir),
            BinaryOp::BitXor => Ir::alu(alu::XOR, a.ir, b.ir),
            _ => {
                let count = shift_count(expr, &a, of_c, b)?;
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
                    ir: divide(alu::SDIV, apart, Ir::Const(stride)).folded(),
                    size: 8,
                    signed: true,
                    kind: NumberKind::Int,
                }));
            }
            _ => {
                let error = PlanError::at(expr, "this cannot be computed with a pointer");
                return Err(error.hint(Some(
                    "`p as u64` is its address; `&p[1]` is where the next one is".into(),
                )));
            }
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

    /// Whether a cast stands in front of what it casts.
    fn is_c_cast(&self, expr: &Expr, inner: &Expr) -> bool {
        let before = self.scope.text.get(expr.span.start..inner.span.start);
        before.is_some_and(|text| text.contains(char::is_alphabetic))
    }

    /// `x as char` of Rust, and C's `(char)x`, by the language of `x`.
    fn character(&mut self, expr: &Expr, inner: &Expr) -> Result<Operand, PlanError> {
        let is_rust = match self.rust_integer(inner)? {
            Some(_) => true,
            None => inner.is_computed() && !self.is_c_cast(expr, inner),
        };
        let number = Side::new(self, inner)?.number(self, inner)?;
        let (size, signed) = if is_rust { (4, false) } else { (1, true) };
        Ok(Operand::Number(Number {
            ir: number.ir.extend(size, signed),
            size,
            signed,
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
            return self.character(expr, inner);
        }
        let Some((size, signed)) = integer_type(ty) else {
            return self.named_cast(expr, inner, ty);
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

impl Number {
    /// As C and C++ compute with it: what is smaller than an `int` becomes one.
    fn promoted(self) -> Self {
        if self.size >= 4 {
            return self;
        }
        Self {
            size: 4,
            signed: true,
            kind: NumberKind::Int,
            ..self
        }
    }
}

/// By how many bits a number is shifted: fewer than it has, since more are undefined in C and C++
/// and a panic in Rust.
fn shift_count(expr: &Expr, shifted: &Number, of_c: bool, count: Number) -> Result<Ir, PlanError> {
    // Rust shifts no truths.
    let least = if of_c || shifted.kind == NumberKind::Bool {
        4
    } else {
        1
    };
    let bits = u64::from(shifted.size.max(least)) * 8;
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
                let wider = if shifted.signed { "i64" } else { "u64" };
                hint = format!("{hint}; behind `as {wider}` it has 64 bits");
            }
            Err(PlanError::at(expr, message).hint(Some(hint)))
        }
        count => Ok(count.below(bits, Failure::Shift)),
    }
}

/// Bytes and sign of the integer type of that name.
fn integer_type(ty: &str) -> Option<(u8, bool)> {
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
