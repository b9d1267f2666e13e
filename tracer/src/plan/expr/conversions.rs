//! The integers of C and C++ as these languages compute with them: integer promotions, the usual
//! arithmetic conversions, the types of literals.
//!
//! `int` has 32 bits and `long` 64. What overflows wraps, as the compilers' code does on x86.

use tracer_common::op::alu;

use super::super::PlanError;
use super::super::ir::{Failure, Ir, Spot};
use super::super::wide::Side;
use super::arithmetic::quotient;
use super::{Number, NumberKind, Operand, Resolver};
use crate::debuginfo::types::{Language, TypeKind};
use crate::lang::ast::{BinaryOp, Expr, UnaryOp};

/// One above the largest `int`.
const INT_END: u64 = 1 << 31;

/// What the type of a number does not tell of how it is promoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) enum Origin {
    Plain,
    /// A bit field of so many bits.
    Bits(u8),
    /// An enum of C++ without numbers that an `int` does not have. It is an `int` then, unless the
    /// source gives it `unsigned int` as its type; debug information says the same of both.
    Enum,
}

impl Resolver<'_, '_> {
    /// Whether the site is in C or C++.
    pub(in crate::plan) const fn is_c(&self) -> bool {
        self.scope.language.is_c()
    }

    /// What a side of an operator is, beside its type.
    pub(in crate::plan) fn origin(&self, side: &Side) -> Origin {
        match side {
            Side::Other(operand) => self.origin_of(operand),
            Side::Wide(_) => Origin::Plain,
        }
    }

    pub(in crate::plan) fn origin_of(&self, operand: &Operand) -> Origin {
        let Operand::Place(spots, ty) = operand else {
            return Origin::Plain;
        };
        if self.scope.language == Language::Cpp
            && let Some(Ok(scalar)) = self.scalar_at(spots, *ty)
            && let TypeKind::Enum {
                size: 4,
                signed: false,
                enumerators,
            } = &self.builder.resolve(scalar.ty).kind
            && enumerators
                .iter()
                .all(|(_, value)| *value < i128::from(INT_END))
        {
            return Origin::Enum;
        }
        match &spots.0[..] {
            [(_, Spot::Bits(_, bits))] => Origin::Bits(*bits),
            _ => Origin::Plain,
        }
    }

    /// The number as C and C++ compute with it: what an `int` can hold becomes one.
    ///
    /// # Errors
    /// Compilers do not agree on it.
    pub(in crate::plan) fn promoted(
        &self,
        expr: &Expr,
        number: Number,
        origin: Origin,
    ) -> Result<Number, PlanError> {
        let (size, signed) = match (origin, number.kind) {
            (_, NumberKind::Pointer | NumberKind::Float) => return Ok(number),
            (Origin::Enum, _) => {
                return Ok(Number {
                    ir: number.ir.extend(4, true),
                    size: 4,
                    signed: true,
                    kind: NumberKind::EitherInt,
                });
            }
            (Origin::Bits(33..64), _) if self.scope.language == Language::C => {
                let message =
                    "compilers do not agree on how a bit field of this size is computed with";
                return Err(PlanError::at(expr, message)
                    .hint(Some("a cast says it: `(unsigned long)x`".into())));
            }
            (Origin::Bits(bits), _) if bits < 32 || bits == 32 && number.signed => (4, true),
            (Origin::Bits(32), _) => (4, false),
            (_, NumberKind::EitherInt) => return Ok(number),
            (_, NumberKind::Bool) => (4, true),
            _ if number.size < 4 => (4, true),
            _ => (number.size, number.signed),
        };
        Ok(Number {
            ir: number.ir,
            size,
            signed,
            kind: NumberKind::Int,
        })
    }
}

impl Number {
    /// The same, which is unavailable where it matters which of `int` and `unsigned int` it is.
    pub(in crate::plan) fn below_both(self) -> Self {
        match self.kind {
            NumberKind::EitherInt => Self {
                ir: self.ir.below(INT_END, Failure::Sign),
                ..self
            },
            _ => self,
        }
    }

    /// As a number whose sign is known.
    pub(in crate::plan) fn settled(self) -> Self {
        match self.kind {
            NumberKind::EitherInt => Self {
                kind: NumberKind::Int,
                ..self.below_both()
            },
            _ => self,
        }
    }

    fn converted(self, size: u8, signed: bool) -> Self {
        let number = if size == 8 { self.below_both() } else { self };
        let ir = match (size, number.signed, signed) {
            (4, true, false) => number.ir.extend(4, false),
            _ => number.ir,
        };
        Self {
            ir,
            size,
            signed,
            kind: NumberKind::Int,
        }
    }
}

/// Two promoted numbers in the type that C and C++ compute with both in.
pub(in crate::plan) fn common(a: Number, b: Number) -> (Number, Number) {
    let size = a.size.max(b.size);
    let is_unsigned = |one: &Number| one.size == size && !one.signed;
    let signed = !is_unsigned(&a) && !is_unsigned(&b);
    let either = [&a, &b]
        .into_iter()
        .any(|one| one.kind == NumberKind::EitherInt);
    let (mut a, mut b) = (a.converted(size, signed), b.converted(size, signed));
    if either && signed && size == 4 {
        (a.kind, b.kind) = (NumberKind::EitherInt, NumberKind::EitherInt);
    }
    (a, b)
}

/// `left OP right` of promoted numbers, which are no pointers; shifts are [`shift`]'s.
///
/// # Errors
/// As for [`quotient`].
pub(super) fn arithmetic(
    expr: &Expr,
    op: BinaryOp,
    a: Number,
    b: Number,
) -> Result<Number, PlanError> {
    let (mut a, mut b) = common(a, b);
    if matches!(op, BinaryOp::Div | BinaryOp::Rem) {
        (a, b) = (a.below_both(), b.below_both());
    }
    let (size, signed, kind) = (a.size, a.signed, a.kind);
    // Of two that are extended alike, some are extended, too.
    let (ir, extended) = match op {
        BinaryOp::Sub => (Ir::alu(alu::SUB, a.ir, b.ir), false),
        BinaryOp::Mul => (Ir::alu(alu::MUL, a.ir, b.ir), false),
        BinaryOp::Div | BinaryOp::Rem => (quotient(expr, op, signed, (a, b))?, true),
        BinaryOp::BitAnd => (Ir::alu(alu::AND, a.ir, b.ir), true),
        BinaryOp::BitOr => (Ir::alu(alu::OR, a.ir, b.ir), true),
        BinaryOp::BitXor => (Ir::alu(alu::XOR, a.ir, b.ir), true),
        _ => (Ir::alu(alu::ADD, a.ir, b.ir), false),
    };
    let ir = ir.folded();
    let ir = if extended {
        ir
    } else {
        ir.extend(size, signed)
    };
    let number = Number {
        ir,
        size,
        signed,
        kind,
    };
    Ok(number.below_both())
}

/// A promoted number shifted by fewer bits than it has.
pub(super) fn shift(op: BinaryOp, number: Number, count: Ir) -> Number {
    let number = number.below_both();
    let (size, signed) = (number.size, number.signed);
    let ir = match op {
        BinaryOp::Shl => {
            let shifted = Ir::alu(alu::SHL, number.ir, count).folded();
            shifted.extend(size, signed)
        }
        _ if signed => Ir::alu(alu::SAR, number.ir, count).folded(),
        _ => Ir::alu(alu::SHR, number.ir, count).folded(),
    };
    Number { ir, ..number }.below_both()
}

/// `-` or `~` of a promoted number.
pub(super) fn unary(op: UnaryOp, number: Number) -> Number {
    let ir = match op {
        UnaryOp::Neg => Ir::alu(alu::SUB, Ir::Const(0), number.ir),
        _ => Ir::alu(alu::XOR, number.ir, Ir::Const(u64::MAX)),
    };
    let ir = ir.folded().extend(number.size, number.signed);
    Number { ir, ..number }.below_both()
}

/// Bytes and sign of the type that a literal has in C and C++, by how it is written.
pub(super) fn literal_type(text: &str, value: u64) -> (u8, bool) {
    const INT: (u8, bool) = (4, true);
    const UNSIGNED: (u8, bool) = (4, false);
    const LONG: (u8, bool) = (8, true);
    const UNSIGNED_LONG: (u8, bool) = (8, false);
    // Brackets around it are part of its place.
    let text = text.trim_matches(|c: char| c == '(' || c == ')' || c.is_whitespace());
    let text = text.to_ascii_lowercase();
    let (decimal, digits) = match text.get(..2) {
        Some("0x") => (
            false,
            text[2..].trim_start_matches(|c: char| c == '_' || c.is_ascii_hexdigit()),
        ),
        Some("0o" | "0b") => (
            false,
            text[2..].trim_start_matches(|c: char| c == '_' || c.is_ascii_digit()),
        ),
        _ => (
            true,
            text.trim_start_matches(|c: char| c == '_' || c.is_ascii_digit()),
        ),
    };
    let types: &[_] = match digits {
        "" if decimal => &[INT, LONG],
        "" => &[INT, UNSIGNED, LONG],
        "u" => &[UNSIGNED],
        "l" | "ll" => &[LONG],
        "ul" | "lu" | "ull" | "llu" => &[],
        // A suffix of Rust's says the type; a duration is a signed number of ns.
        suffix => return super::arithmetic::integer_type(suffix).unwrap_or(LONG),
    };
    let fits = |(size, signed): &&(u8, bool)| {
        let bits = u32::from(*size) * 8 - u32::from(*signed);
        value.checked_shr(bits).unwrap_or(0) == 0
    };
    types.iter().find(fits).copied().unwrap_or(UNSIGNED_LONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_has_the_first_type_that_holds_it() {
        for (text, value, wanted) in [
            ("1", 1, (4, true)),
            ("(1)", 1, (4, true)),
            ("2147483647", 0x7fff_ffff, (4, true)),
            ("2147483648", 1 << 31, (8, true)),
            ("0x7fff_ffff", 0x7fff_ffff, (4, true)),
            ("0x80000000", 1 << 31, (4, false)),
            ("( 0xFFFFFFFF )", 0xffff_ffff, (4, false)),
            ("0x100000000", 1 << 32, (8, true)),
            ("0x8000000000000000", 1 << 63, (8, false)),
            ("0b101", 5, (4, true)),
            ("9223372036854775808", 1 << 63, (8, false)),
            ("1u", 1, (4, false)),
            ("4294967296U", 1 << 32, (8, false)),
            ("1L", 1, (8, true)),
            ("1ll", 1, (8, true)),
            ("0xffL", 255, (8, true)),
            ("1UL", 1, (8, false)),
            ("1llu", 1, (8, false)),
            ("3u8", 3, (1, false)),
            ("3i64", 3, (8, true)),
            ("5ms", 5_000_000, (8, true)),
            ("1.5s", 1_500_000_000, (8, true)),
            ("", 7, (4, true)),
        ] {
            assert_eq!(literal_type(text, value), wanted, "{text}");
        }
    }
}
