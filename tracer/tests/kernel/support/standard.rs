//! Random expressions evaluated by the rules of the C standard, for an `int` of 32 bits and a
//! `long` of 64.
//!
//! Shared like [`super::expressions`].

use super::ast::{BinaryOp, Expr, ExprKind, UnaryOp};
use super::expressions::{Fault, expr, number, truth, variable_named};
use super::numbers::Random;

/// An integer of C: its value, and the width and sign of its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OfC {
    pub(crate) number: i128,
    pub(crate) bits: u32,
    pub(crate) signed: bool,
}

impl OfC {
    /// The value of this type that is congruent modulo a power of two.
    fn new(number: i128, bits: u32, signed: bool) -> Self {
        let modulus = 1_i128 << bits;
        let mut number = number.rem_euclid(modulus);
        if signed && number >= modulus / 2 {
            number -= modulus;
        }
        Self {
            number,
            bits,
            signed,
        }
    }

    /// The value converted to another type.
    fn converted(self, bits: u32, signed: bool) -> Self {
        Self::new(self.number, bits, signed)
    }

    /// 6.3.1.1: an `int` represents all values of each narrower type.
    fn promoted(self) -> Self {
        if self.bits < 32 {
            self.converted(32, true)
        } else {
            self
        }
    }
}

/// 6.3.1.8 for promoted types. The rank grows with the width.
fn usual(a: OfC, b: OfC) -> (u32, bool) {
    if a.signed == b.signed {
        return (a.bits.max(b.bits), a.signed);
    }
    let (signed, unsigned) = if a.signed { (a, b) } else { (b, a) };
    if unsigned.bits >= signed.bits {
        (unsigned.bits, false)
    } else {
        // The type represents all values of the other.
        (signed.bits, true)
    }
}

/// The result in C, by 6.5.5 to 6.5.14. Implementation-defined results are those of compilers for
/// x86.
pub(crate) fn evaluate_c(tree: &Expr, frame: &[u8]) -> Result<OfC, Fault> {
    use BinaryOp as B;
    let truth = |value: bool| OfC::new(i128::from(value), 32, true);
    Ok(match &tree.kind {
        ExprKind::Name { path, .. } => {
            let (size, signed, at) = variable_named(path);
            let bytes = frame[at..at + size as usize].iter().rev();
            let number = bytes.fold(0, |sum, byte| sum << 8 | i128::from(*byte));
            OfC::new(number, size as u32 * 8, signed)
        }
        // 6.4.4.1 for decimal constants. Compilers give `unsigned long` to a constant that fits
        // into no signed type.
        ExprKind::Int(value) => {
            let number = i128::try_from(*value).expect("of 64 bits");
            let types = [(32, true), (64, true), (64, false)];
            let fits = types.map(|(bits, signed)| OfC::new(number, bits, signed));
            let found = fits.into_iter().find(|one| one.number == number);
            found.expect("of 64 bits")
        }
        ExprKind::Unary(UnaryOp::Not, inner) => truth(evaluate_c(inner, frame)?.number == 0),
        ExprKind::Unary(op, inner) => {
            let inner = evaluate_c(inner, frame)?.promoted();
            let number = match op {
                UnaryOp::Neg => -inner.number,
                _ => -1 - inner.number,
            };
            OfC::new(number, inner.bits, inner.signed)
        }
        ExprKind::Cast(inner, ty) => {
            let bits: u32 = ty[1..].parse().expect("bits");
            evaluate_c(inner, frame)?.converted(bits, ty.starts_with('i'))
        }
        ExprKind::Binary(B::And, a, b) => {
            truth(evaluate_c(a, frame)?.number != 0 && evaluate_c(b, frame)?.number != 0)
        }
        ExprKind::Binary(B::Or, a, b) => {
            truth(evaluate_c(a, frame)?.number != 0 || evaluate_c(b, frame)?.number != 0)
        }
        ExprKind::Binary(op, a, b) => {
            let a = evaluate_c(a, frame)?.promoted();
            let b = evaluate_c(b, frame)?.promoted();
            let both = usual(a, b);
            let (x, y) = (
                a.converted(both.0, both.1).number,
                b.converted(both.0, both.1).number,
            );
            let in_both = |number| OfC::new(number, both.0, both.1);
            let in_left = |number| OfC::new(number, a.bits, a.signed);
            let by = u32::try_from(b.number).ok().filter(|by| *by < a.bits);
            match op {
                B::Add => in_both(x + y),
                B::Sub => in_both(x - y),
                // If the product has more than 128 bits, its low bits are still right.
                B::Mul => in_both(x.wrapping_mul(y)),
                // 6.5.5: if the quotient is not representable, neither operator has a result.
                B::Div | B::Rem => {
                    let quotient = x.checked_div(y).ok_or(Fault)?;
                    if in_both(quotient).number != quotient {
                        return Err(Fault);
                    }
                    in_both(if *op == B::Div { quotient } else { x % y })
                }
                B::BitAnd => in_both(x & y),
                B::BitOr => in_both(x | y),
                B::BitXor => in_both(x ^ y),
                B::Shl => in_left(a.number << by.ok_or(Fault)?),
                B::Shr => in_left(a.number >> by.ok_or(Fault)?),
                B::Eq => truth(x == y),
                B::Ne => truth(x != y),
                B::Lt => truth(x < y),
                B::Le => truth(x <= y),
                B::Gt => truth(x > y),
                _ => truth(x >= y),
            }
        }
        other => panic!("{other:?} is not made here"),
    })
}

/// A number of C. Booleans are numbers, too.
pub(crate) fn number_of_c(random: &mut Random, depth: u32) -> Expr {
    if depth > 0 && random.below(8) == 0 {
        return truth(random, 0);
    }
    if depth == 0 || random.below(6) == 0 {
        return number(random, depth);
    }
    let tree = number(random, 1);
    let inner = Box::new(number_of_c(random, depth - 1));
    match tree.kind {
        ExprKind::Binary(op @ (BinaryOp::Shl | BinaryOp::Shr), _, right) => {
            expr(ExprKind::Binary(op, inner, right))
        }
        ExprKind::Binary(op, left, _) => expr(ExprKind::Binary(op, left, inner)),
        ExprKind::Unary(op, _) => expr(ExprKind::Unary(op, inner)),
        ExprKind::Cast(_, ty) => expr(ExprKind::Cast(inner, ty)),
        _ => *inner,
    }
}
