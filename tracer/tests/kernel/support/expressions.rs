//! Random expressions over integers: generated, printed, and evaluated directly from the tree.
//!
//! The tests of the planner and of the kernel's machine share this file. Each of them defines
//! `ast`.

use super::ast::{BinaryOp, Expr, ExprKind, UnaryOp};
use super::numbers::Random;

/// Size of the frame with the variables, in bytes.
pub(crate) const FRAME: usize = 32;

/// Name, size, sign and frame offset of the variables.
pub(crate) const VARIABLES: [(&str, u64, bool, usize); 8] = [
    ("a", 1, true, 0),
    ("b", 1, false, 1),
    ("c", 2, true, 2),
    ("d", 2, false, 4),
    ("e", 4, true, 8),
    ("f", 4, false, 12),
    ("g", 8, true, 16),
    ("h", 8, false, 24),
];

/// Size, sign and offset of the variable with this name.
pub(crate) fn variable_named(path: &str) -> (u64, bool, usize) {
    let mut all = VARIABLES.iter();
    let (_, size, signed, at) = all.find(|(name, ..)| *name == path).expect("one of ours");
    (*size, *signed, *at)
}

/// Numbers near boundaries of the types.
pub(crate) fn interesting(random: &mut Random) -> u64 {
    match random.below(7) {
        0 => 0,
        1 => u64::MAX,
        // The least numbers of the signed types.
        6 => random.pick(&[1 << 63, 1 << 31, (1 << 31) << 32, 0x8080]),
        2 => 1 << random.below(64),
        3 => (1u64 << random.below(64)).wrapping_sub(1),
        4 => random.below(20),
        _ => random.next(),
    }
}

/// The values of the variables.
pub(crate) fn frame(random: &mut Random) -> Vec<u8> {
    (0..FRAME / 8)
        .flat_map(|_| interesting(random).to_le_bytes())
        .collect()
}

pub(crate) fn expr(kind: ExprKind) -> Expr {
    Expr { kind, span: 0..0 }
}

/// A random number.
pub(crate) fn number(random: &mut Random, depth: u32) -> Expr {
    use BinaryOp as B;
    const OPERATORS: [BinaryOp; 10] = [
        B::Add,
        B::Sub,
        B::Mul,
        B::Div,
        B::Rem,
        B::BitAnd,
        B::BitOr,
        B::BitXor,
        B::Shl,
        B::Shr,
    ];
    const TYPES: [&str; 8] = ["i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64"];
    if depth == 0 || random.below(5) == 0 {
        return match random.below(3) {
            0 => expr(ExprKind::Int(u128::from(interesting(random)))),
            _ => variable(random),
        };
    }
    let inner = Box::new(number(random, depth - 1));
    match random.below(8) {
        0 => expr(ExprKind::Unary(UnaryOp::Neg, inner)),
        1 => expr(ExprKind::Unary(UnaryOp::BitNot, inner)),
        2 => expr(ExprKind::Cast(inner, random.pick(&TYPES).to_owned())),
        _ => {
            let operator = random.pick(&OPERATORS);
            let right = match operator {
                B::Shl | B::Shr => count(random, depth - 1),
                _ => number(random, depth - 1),
            };
            expr(ExprKind::Binary(operator, inner, Box::new(right)))
        }
    }
}

/// A shift count. Constants that do not fit into a byte are refused, so there are none.
fn count(random: &mut Random, depth: u32) -> Expr {
    let most = Box::new(expr(ExprKind::Int(7)));
    match random.below(4) {
        0 => expr(ExprKind::Int(u128::from(random.below(8)))),
        1 => {
            let inner = Box::new(number(random, depth));
            expr(ExprKind::Binary(BinaryOp::BitAnd, inner, most))
        }
        2 => {
            let bits = Box::new(expr(ExprKind::Int(63)));
            let inner = Box::new(variable(random));
            expr(ExprKind::Binary(BinaryOp::BitAnd, inner, bits))
        }
        _ => variable(random),
    }
}

fn variable(random: &mut Random) -> Expr {
    expr(ExprKind::Name {
        path: random.pick(&VARIABLES).0.to_owned(),
        shadow: 1,
    })
}

/// A boolean.
pub(crate) fn truth(random: &mut Random, depth: u32) -> Expr {
    use BinaryOp as B;
    const RELATIONS: [BinaryOp; 6] = [B::Eq, B::Ne, B::Lt, B::Le, B::Gt, B::Ge];
    match random.below(if depth == 0 { 1 } else { 4 }) {
        0 => {
            let left = Box::new(number(random, 3));
            let right = Box::new(number(random, 3));
            expr(ExprKind::Binary(random.pick(&RELATIONS), left, right))
        }
        1 => expr(ExprKind::Unary(
            UnaryOp::Not,
            Box::new(truth(random, depth - 1)),
        )),
        which => {
            let operator = if which == 2 { B::And } else { B::Or };
            let left = Box::new(truth(random, depth - 1));
            let right = Box::new(truth(random, depth - 1));
            expr(ExprKind::Binary(operator, left, right))
        }
    }
}

/// A variable compared with a constant, sometimes with more conditions after it.
pub(crate) fn guarded(random: &mut Random) -> Expr {
    use BinaryOp as B;
    const RELATIONS: [BinaryOp; 6] = [B::Eq, B::Ne, B::Lt, B::Le, B::Gt, B::Ge];
    let (name, size, ..) = random.pick(&VARIABLES);
    let left = expr(ExprKind::Name {
        path: name.to_owned(),
        shadow: 1,
    });
    // Usually a number that the variable can have.
    let bits = if random.below(4) == 0 { 64 } else { size * 8 };
    let constant = interesting(random) >> (64 - bits);
    let right = expr(ExprKind::Int(u128::from(constant)));
    let (left, right) = (Box::new(left), Box::new(right));
    let first = expr(ExprKind::Binary(random.pick(&RELATIONS), left, right));
    let operator = match random.below(3) {
        0 => return first,
        1 => B::And,
        _ => B::Or,
    };
    let rest = Box::new(truth(random, 1));
    expr(ExprKind::Binary(operator, Box::new(first), rest))
}

/// The text of a tree, with all brackets.
pub(crate) fn print(tree: &Expr) -> String {
    match &tree.kind {
        ExprKind::Name { path, .. } => path.clone(),
        ExprKind::Int(value) => value.to_string(),
        ExprKind::Unary(op, inner) => {
            let sign = match op {
                UnaryOp::Neg => "-",
                UnaryOp::Not => "!",
                _ => "~",
            };
            format!("{sign}({})", print(inner))
        }
        ExprKind::Cast(inner, ty) => format!("(({}) as {ty})", print(inner)),
        ExprKind::Binary(op, left, right) => {
            format!("(({}) {} ({}))", print(left), sign(*op), print(right))
        }
        other => panic!("{other:?} is not made here"),
    }
}

fn sign(op: BinaryOp) -> &'static str {
    use BinaryOp as B;
    match op {
        B::Add => "+",
        B::Sub => "-",
        B::Mul => "*",
        B::Div => "/",
        B::Rem => "%",
        B::BitAnd => "&",
        B::BitOr => "|",
        B::BitXor => "^",
        B::Shl => "<<",
        B::Shr => ">>",
        B::Eq => "==",
        B::Ne => "!=",
        B::Lt => "<",
        B::Le => "<=",
        B::Gt => ">",
        B::Ge => ">=",
        B::And => "&&",
        B::Or => "||",
    }
}

/// The tree without positions in the text.
pub(crate) fn bare(tree: &Expr) -> Expr {
    let inner = |tree: &Expr| Box::new(bare(tree));
    expr(match &tree.kind {
        ExprKind::Unary(op, one) => ExprKind::Unary(*op, inner(one)),
        ExprKind::Cast(one, ty) => ExprKind::Cast(inner(one), ty.clone()),
        ExprKind::Binary(op, left, right) => ExprKind::Binary(*op, inner(left), inner(right)),
        other => other.clone(),
    })
}

/// A number of the program: its 64 bits, and the size and sign of its type.
#[derive(Clone, Copy)]
pub(crate) struct Typed {
    bits: u64,
    size: u64,
    signed: bool,
}

impl Typed {
    /// The number as an `i128`.
    pub(crate) fn whole(self) -> i128 {
        if self.signed {
            i128::from(self.bits as i64)
        } else {
            i128::from(self.bits)
        }
    }

    fn of(bits: u64, size: u64, signed: bool) -> Self {
        let unused = 64 - size * 8;
        let high = bits << unused;
        let bits = if signed {
            ((high as i64) >> unused) as u64
        } else {
            high >> unused
        };
        Self { bits, size, signed }
    }
}

/// A fault: a division by zero or without a result in its type, or a shift by too many bits.
#[derive(Debug)]
pub(crate) struct Fault;

pub(crate) fn evaluate(tree: &Expr, frame: &[u8]) -> Result<Typed, Fault> {
    Ok(match &tree.kind {
        ExprKind::Name { path, .. } => {
            let (size, signed, at) = variable_named(path);
            let mut bytes = [0; 8];
            bytes[..size as usize].copy_from_slice(&frame[at..at + size as usize]);
            Typed::of(u64::from_le_bytes(bytes), size, signed)
        }
        ExprKind::Int(value) => {
            let bits = u64::try_from(*value).expect("of 64 bits");
            Typed::of(bits, 8, i64::try_from(bits).is_ok())
        }
        ExprKind::Unary(UnaryOp::Neg, inner) => {
            let inner = evaluate(inner, frame)?;
            Typed::of(inner.bits.wrapping_neg(), 8, true)
        }
        ExprKind::Unary(UnaryOp::BitNot, inner) => {
            let inner = evaluate(inner, frame)?;
            Typed::of(!inner.bits, inner.size, inner.signed)
        }
        ExprKind::Cast(inner, ty) => {
            let bits: u64 = ty[1..].parse().expect("bits");
            Typed::of(evaluate(inner, frame)?.bits, bits / 8, ty.starts_with('i'))
        }
        ExprKind::Binary(op, left, right) => {
            let (a, b) = (evaluate(left, frame)?, evaluate(right, frame)?);
            arithmetic(*op, a, b)?
        }
        other => panic!("{other:?} is not made here"),
    })
}

fn arithmetic(op: BinaryOp, a: Typed, b: Typed) -> Result<Typed, Fault> {
    use BinaryOp as B;
    // A result is signed if one side is, and if both fit into signed numbers of 64 bits. The
    // difference of two small numbers is always signed.
    let fits = |one: Typed| one.signed || one.size < 8;
    let small = a.size < 8 && b.size < 8;
    let signed = (a.signed || b.signed) && fits(a) && fits(b) || small && op == B::Sub;
    let in_range = b.bits < a.size * 8;
    let shiftable = if in_range {
        Ok(b.bits as u32)
    } else {
        Err(Fault)
    };
    let (x, y) = (a.whole(), b.whole());
    // A negative number and an unsigned one of 64 bits have no common type.
    let overflows = match signed {
        true => a.signed && x == -1 << (a.size * 8 - 1) && y == -1,
        false => x < 0 || y < 0,
    };
    let divisible = if y == 0 || overflows {
        Err(Fault)
    } else {
        Ok(())
    };
    let bits = match op {
        B::Add => a.bits.wrapping_add(b.bits),
        B::Sub => a.bits.wrapping_sub(b.bits),
        B::Mul => a.bits.wrapping_mul(b.bits),
        B::Div => {
            divisible?;
            if signed {
                (a.bits as i64).wrapping_div(b.bits as i64) as u64
            } else {
                a.bits / b.bits
            }
        }
        B::Rem => {
            divisible?;
            if signed {
                (a.bits as i64).wrapping_rem(b.bits as i64) as u64
            } else {
                a.bits % b.bits
            }
        }
        B::BitAnd => a.bits & b.bits,
        B::BitOr => a.bits | b.bits,
        B::BitXor => a.bits ^ b.bits,
        B::Shl => a.bits << shiftable?,
        _ if a.signed => ((a.bits as i64) >> shiftable?) as u64,
        _ => a.bits >> shiftable?,
    };
    Ok(Typed {
        bits,
        size: 8,
        signed,
    })
}

pub(crate) fn holds(tree: &Expr, frame: &[u8]) -> Result<bool, Fault> {
    use BinaryOp as B;
    Ok(match &tree.kind {
        ExprKind::Unary(UnaryOp::Not, inner) => !holds(inner, frame)?,
        ExprKind::Binary(B::And, left, right) => holds(left, frame)? && holds(right, frame)?,
        ExprKind::Binary(B::Or, left, right) => holds(left, frame)? || holds(right, frame)?,
        ExprKind::Binary(op, left, right) => {
            let a = evaluate(left, frame)?.whole();
            let b = evaluate(right, frame)?.whole();
            match op {
                B::Eq => a == b,
                B::Ne => a != b,
                B::Lt => a < b,
                B::Le => a <= b,
                B::Gt => a > b,
                _ => a >= b,
            }
        }
        other => panic!("{other:?} is not made here"),
    })
}
