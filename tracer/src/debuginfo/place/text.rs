//! Places in words, for people: `rbp-24`, `register rdi`, `tls+8`.

use std::fmt::{self, Display, Formatter};

use super::{Binary, Expr, Place, Register, Source, Term};

/// Characters of one expression; what is longer ends in `...`.
const MAX_TEXT: usize = 160;

/// DWARF's numbers of the x86-64 registers.
const NAMES: [&str; 17] = [
    "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15", "rip",
];

impl Display for Register {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match NAMES.get(usize::from(self.0)) {
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
                Source::Register(register) => write!(f, "{register}")?,
                other => write!(f, "{other}")?,
            }
        }
        Ok(())
    }
}

impl Display for Source {
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

impl Display for Expr {
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
                        Term::Register(register) => register.to_string(),
                        Term::ThreadPointer => "fs_base".to_owned(),
                        _ => "?".to_owned(),
                    }
                }
            };
            if text.len() > MAX_TEXT {
                // Only ASCII is put together here.
                text.truncate(MAX_TEXT);
                text.push_str("...");
            }
            stack.push(text);
        }
        f.write_str(stack.last().map_or("?", String::as_str))
    }
}

/// Small numbers as people count, others in hexadecimal.
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
    use crate::address::LinkAddr;
    use crate::unavailable::Unavailable;

    fn expr(terms: &[Term]) -> Expr {
        Expr(terms.to_vec())
    }

    #[test]
    fn place_in_words_is_what_people_write() {
        let rbp = Term::Register(Register(6));
        let below = [rbp, Term::Const(-24_i64 as u64), Term::Binary(Binary::Add)];
        let memory = |terms: &[Term]| Place::whole(Source::Memory(expr(terms))).to_string();
        assert_eq!(memory(&below), "rbp-24");
        assert_eq!(memory(&[Term::Const(8), Term::Tls]), "tls+8");
        assert_eq!(memory(&[Term::Address(LinkAddr(0x4010))]), "static 0x4010");
        assert_eq!(memory(&[rbp, Term::Deref(8)]), "*(rbp)");
        let register = Source::Register(Register(5));
        assert_eq!(Place::whole(register.clone()).to_string(), "register rdi");
        assert_eq!(Place::whole(Source::Bytes(vec![1])).to_string(), "constant");
        let gone = Source::Unavailable(Unavailable::OptimisedOut);
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
