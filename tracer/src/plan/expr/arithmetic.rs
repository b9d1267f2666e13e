//! Unary and binary operators, and casts to integers, floats and characters.

use tracer_common::op::alu;

use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::types::{Language, TypeId, TypeKind};
use crate::lang::ast::{BinaryOp, Expr, UnaryOp};
use crate::plan::expr::condition;
use crate::plan::expr::conversions;
use crate::plan::expr::floats;
use crate::plan::expr::operand::{Number, NumberKind, Operand};
use crate::plan::expr::resolver::Resolver;
use crate::plan::expr::wide;
use crate::plan::expr::wide::Side;
use crate::plan::expr::{division, integer_types};
use crate::plan::ops::ir::{Failure, Ir, divide};
use crate::plan::ops::spots::{Spot, Spots};

/// Bytes between the elements of a pointer's target, and the pointer's type.
type Stride = (u64, TypeId);

impl Resolver<'_, '_> {
    pub(super) fn unary(
        &mut self,
        expr: &Expr,
        op: UnaryOp,
        inner: &Expr,
    ) -> Result<Operand, Diagnostic> {
        match op {
            UnaryOp::Deref => {
                if let Some(object) = inner.addressed() {
                    return self.operand(object);
                }
                let (spots, ty) = self.place(inner)?;
                let (spots, ty) = self.referent(inner, spots, ty)?;
                if let Some(first) = self.first_of_array(expr, &spots, ty)? {
                    return Ok(first);
                }
                let (spots, ty) = self.deref(inner, &spots, ty)?;
                Ok(Operand::Place(spots, ty))
            }
            UnaryOp::AddressOf => {
                let (spots, ty) = self.place(inner)?;
                let (spots, _) = self.referent(inner, spots, ty)?;
                match spots.address() {
                    Some(address) => Ok(Operand::Number(Number {
                        ir: address.clone(),
                        size: 8,
                        signed: false,
                        kind: NumberKind::Pointer,
                    })),
                    None => Err(Diagnostic::at(&inner.span, "this has no address here")),
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

    /// The bitwise complement.
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

    /// The value of an expression if it is an integer of a Rust program. Rust's `!` inverts the
    /// bits of an integer.
    pub(in crate::plan) fn rust_integer(
        &mut self,
        expr: &Expr,
    ) -> Result<Option<Number>, Diagnostic> {
        if self.is_c() {
            return Ok(None);
        }
        // A computed expression has no place. Compiling it here would compile it a second time,
        // which doubles the work with each `!`.
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

    /// A number that arithmetic accepts. Floats have their own operators.
    pub(in crate::plan) fn computable_of(
        &self,
        expr: &Expr,
        operand: Operand,
    ) -> Result<Number, Diagnostic> {
        let number = self.number_of(expr, operand)?;
        if number.kind == NumberKind::Float {
            let error = Diagnostic::at(&expr.span, "a float is not an integer");
            return Err(error.hint("`x as i64` is its integer part"));
        }
        Ok(number)
    }

    pub(super) fn binary(
        &mut self,
        expr: &Expr,
        op: BinaryOp,
        left: &Expr,
        right: &Expr,
    ) -> Result<Operand, Diagnostic> {
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
        let (mut a, mut b) = match wide::binary(self, expr, op, sides.0, sides.1, left, right)? {
            Ok(operand) => return Ok(operand),
            Err(numbers) => numbers,
        };
        if self.is_c() {
            a = self.promoted(left, a, origins.0)?;
            b = self.promoted(right, b, origins.1)?;
        }
        if a.kind == NumberKind::Pointer || b.kind == NumberKind::Pointer {
            let (a, b) = (a.settled(), b.settled());
            return self.pointers(expr, op, a, strides.0, b, strides.1);
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
        // A signed 64-bit number holds every number but those of unsigned 64-bit types. Only they
        // make the result unsigned.
        let holds = |number: &Number| number.signed || number.size < 8;
        let mixed = (a.signed || b.signed) && holds(&a) && holds(&b);
        let signed = mixed || (small && op == BinaryOp::Sub);
        let ir = match op {
            BinaryOp::Add => Ir::alu(alu::ADD, a.ir, b.ir),
            BinaryOp::Sub => Ir::alu(alu::SUB, a.ir, b.ir),
            BinaryOp::Mul => Ir::alu(alu::MUL, a.ir, b.ir),
            BinaryOp::Div | BinaryOp::Rem => division::quotient(expr, op, signed, a, b)?,
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

    /// Sums and differences of pointers. C and C++ count them in elements.
    fn pointers(
        &self,
        expr: &Expr,
        op: BinaryOp,
        a: Number,
        of_left: Option<Stride>,
        b: Number,
        of_right: Option<Stride>,
    ) -> Result<Operand, Diagnostic> {
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
        self.unconfined(expr, "sums of pointers")?;
        Ok(Operand::Place(
            Spots::whole(8, Spot::Number(ir.folded())),
            ty,
        ))
    }

    /// The stride and the type of a pointer of C or C++. `None` for other operands.
    fn stride(&self, expr: &Expr, side: &Side) -> Option<Stride> {
        let Side::Other(Operand::Place(spots, ty)) = side else {
            return None;
        };
        let (_, ty) = self.referent(expr, spots.clone(), *ty).ok()?;
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

    /// The number of bits of a shift. It must be below the width of the shifted number: a larger
    /// shift is undefined in C and C++, and panics in Rust.
    fn shift_count(&self, expr: &Expr, shifted: &Number, count: Number) -> Result<Ir, Diagnostic> {
        // Rust does not shift booleans.
        let least = if shifted.kind == NumberKind::Bool {
            4
        } else {
            1
        };
        let bits = u64::from(shifted.size.max(least)) * 8;
        self.shift_by(expr, bits, shifted.signed, count)
    }

    /// The number of bits of a shift of a number of `bits` bits. `signed` is the sign of that
    /// number.
    pub(in crate::plan) fn shift_by(
        &self,
        expr: &Expr,
        bits: u64,
        signed: bool,
        count: Number,
    ) -> Result<Ir, Diagnostic> {
        match count.ir.folded() {
            Ir::Const(known) if known >= bits => {
                let by = if count.signed {
                    (known as i64).to_string()
                } else {
                    known.to_string()
                };
                let message = format!("a shift by {by} of a number of {bits} bits");
                let mut hint = format!("the shift must be from 0 to {}", bits - 1);
                if (bits..64).contains(&known) {
                    let cast = match (self.is_c(), signed) {
                        (false, true) => "`as i64`",
                        (false, false) => "`as u64`",
                        (true, true) => "`(long)`",
                        (true, false) => "`(unsigned long)`",
                    };
                    hint = format!("{hint}; {cast} makes it 64 bits wide");
                }
                Err(Diagnostic::at(&expr.span, message).hint(hint))
            }
            count => Ok(count.below(bits, Failure::Shift)),
        }
    }

    /// The cast to a character: `x as char` of Rust, `(char)x` of C.
    fn character(&mut self, inner: &Expr) -> Result<Operand, Diagnostic> {
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
    ) -> Result<Operand, Diagnostic> {
        if ty == "char" {
            return self.character(inner);
        }
        if let Some(size) = floats::size_of(ty) {
            return self.float_in(inner, size).map(Operand::Number);
        }
        let Some((size, signed)) = integer_types::integer_type(ty) else {
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

fn with_pointer(expr: &Expr) -> Diagnostic {
    let error = Diagnostic::at(&expr.span, "this cannot be computed with a pointer");
    error.hint("`p as u64` is its address; `&p[1]` is the address of the next element")
}

fn is_test(op: BinaryOp) -> bool {
    use BinaryOp as B;
    matches!(
        op,
        B::Eq | B::Ne | B::Lt | B::Le | B::Gt | B::Ge | B::And | B::Or
    )
}
