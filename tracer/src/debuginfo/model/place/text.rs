//! Places as readable text: `rbp-24`, `register rdi`, `tls+8`.

use std::fmt::{self, Display, Formatter};

use super::{Binary, LocationExpr, PieceSource, Place, Register, Term};
use crate::arch::register_name;
use crate::base::address::ModuleNumber;

/// Characters of one expression; a longer one ends in `...`.
const MAX_TEXT: usize = 160;

impl Display for Register {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match register_name(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "r{}?", self.0),
        }
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let [piece] = self.pieces.as_slice() {
            return write!(f, "{}", piece.source);
        }
        f.write_str("pieces: ")?;
        for (number, piece) in self.pieces.iter().enumerate() {
            if number > 0 {
                f.write_str(", ")?;
            }
            match &piece.source {
                PieceSource::Register(register) => write!(f, "{register}")?,
                other => write!(f, "{other}")?,
            }
        }
        Ok(())
    }
}

impl Display for PieceSource {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(expr) => match expr.0.as_slice() {
                [Term::Address(address)] => write!(f, "static {address}"),
                _ => write!(f, "{expr}"),
            },
            Self::Register(register) => write!(f, "register {register}"),
            Self::Value(expr) => match expr.0.as_slice() {
                [Term::Const(_)] => f.write_str("constant"),
                _ => write!(f, "value {expr}"),
            },
            Self::Bytes(_) => f.write_str("constant"),
            Self::ImplicitPointer(place, 0) => write!(f, "pointer to ({place})"),
            Self::ImplicitPointer(place, offset) => write!(f, "pointer to ({place}){offset:+}"),
            Self::Unavailable(why) => write!(f, "{why}"),
        }
    }
}

impl Display for LocationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut stack: Vec<String> = Vec::new();
        for term in &self.0 {
            let mut text = match (term, stack.pop()) {
                (Term::Binary(op), Some(right)) => {
                    let left = stack.pop().unwrap_or_default();
                    operation(*op, &left, &right)
                }
                (Term::Choose, Some(number)) => {
                    let no = stack.pop().unwrap_or_default();
                    let yes = stack.pop().unwrap_or_default();
                    format!("({number} ? {yes} : {no})")
                }
                (Term::KnownCaller, Some(_)) => {
                    format!("(passed {})", stack.pop().unwrap_or_default())
                }
                (Term::Tls, Some(offset)) => format!("tls+{offset}"),
                (Term::Deref(8), Some(address)) => format!("*({address})"),
                (Term::Deref(size), Some(address)) => format!("*{size}({address})"),
                (Term::SignExtend(size), Some(value)) => {
                    format!("i{}({value})", u32::from(*size) * 8)
                }
                (Term::ZeroExtend(size), Some(value)) => {
                    format!("u{}({value})", u32::from(*size) * 8)
                }
                (leaf, below) => {
                    stack.extend(below);
                    match leaf {
                        Term::Const(value) => number(*value),
                        Term::Address(address) => address.to_string(),
                        Term::AddressIn(ModuleNumber(module), address) => {
                            format!("m{module}+{address}")
                        }
                        Term::Register(register) => register.to_string(),
                        Term::ThreadPointer => "fs_base".to_owned(),
                        _ => "?".to_owned(),
                    }
                }
            };
            if text.len() > MAX_TEXT {
                // The text is ASCII, so it can be cut at any byte.
                text.truncate(MAX_TEXT);
                text.push_str("...");
            }
            stack.push(text);
        }
        f.write_str(stack.last().map_or("?", String::as_str))
    }
}

/// Returns small numbers in decimal, others in hexadecimal.
fn number(value: u64) -> String {
    match value as i64 {
        small @ -65536..=65536 => small.to_string(),
        _ => format!("{value:#x}"),
    }
}

fn operation(op: Binary, left: &str, right: &str) -> String {
    let sign = match op {
        Binary::Add if right.starts_with('-') => return format!("{left}{right}"),
        Binary::Add => return format!("{left}+{right}"),
        Binary::Sub => "-",
        Binary::Mul => "*",
        Binary::Div => "/",
        Binary::Mod => "%",
        Binary::And => "&",
        Binary::Or => "|",
        Binary::Xor => "^",
        Binary::Shl => "<<",
        Binary::Shr => ">>",
        Binary::Sar => ">>>",
        Binary::Eq => "==",
        Binary::Ne => "!=",
        Binary::Lt => "<",
        Binary::Le => "<=",
        Binary::Gt => ">",
        Binary::Ge => ">=",
    };
    format!("({left} {sign} {right})")
}

#[cfg(test)]
mod tests {
    use super::super::Piece;
    use super::*;
    use crate::base::address::LinkAddr;
    use crate::base::unavailable::Unavailable;

    fn expr(terms: &[Term]) -> LocationExpr {
        LocationExpr(terms.to_vec())
    }

    #[test]
    fn place_in_words_is_what_people_write() {
        let rbp = Term::Register(Register(6));
        let below = [rbp, Term::Const(-24_i64 as u64), Term::Binary(Binary::Add)];
        let memory = |terms: &[Term]| Place::whole(PieceSource::Memory(expr(terms))).to_string();
        assert_eq!(memory(&below), "rbp-24");
        assert_eq!(memory(&[Term::Const(8), Term::Tls]), "tls+8");
        assert_eq!(memory(&[Term::Address(LinkAddr(0x4010))]), "static 0x4010");
        assert_eq!(memory(&[rbp, Term::Deref(8)]), "*(rbp)");
        let register = PieceSource::Register(Register(5));
        assert_eq!(Place::whole(register.clone()).to_string(), "register rdi");
        assert_eq!(
            Place::whole(PieceSource::Bytes(vec![1])).to_string(),
            "constant"
        );
        let gone = PieceSource::Unavailable(Unavailable::OptimisedOut);
        let piece = |source| Piece {
            size: Some(8),
            source,
        };
        let pieces = vec![piece(register), piece(gone)];
        assert_eq!(Place { pieces }.to_string(), "pieces: rdi, optimised out");
    }

    #[test]
    fn expr_that_grows_by_doubling_stays_short() {
        let mut terms = vec![Term::Register(Register(0))];
        for _ in 0..200 {
            terms.extend([Term::Register(Register(1)), Term::Binary(Binary::Mul)]);
        }
        assert!(expr(&terms).to_string().len() < 2 * MAX_TEXT + 32);
    }
}
