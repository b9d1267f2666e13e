//! Where a variable is at one address: DWARF location descriptions, resolved
//! as far as is possible without a process.

mod text;

use crate::address::LinkAddr;
use crate::unavailable::Unavailable;

/// A general register, by its DWARF number (x86-64: 0 `rax` … 15 `r15`, 16 the instruction pointer).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Register(pub u8);

/// Where all bytes of a variable are: pieces in the order of its bytes.
///
/// A variable that is wholly in one place is one piece.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// At least one.
    pub pieces: Vec<Piece>,
}

impl Place {
    /// The place of a variable that is wholly unavailable.
    #[must_use]
    pub fn unavailable(why: Unavailable) -> Self {
        Self::whole(Source::Unavailable(why))
    }

    /// The place of a variable that is wholly at `source`.
    #[must_use]
    pub fn whole(source: Source) -> Self {
        Self {
            pieces: vec![Piece { size: None, source }],
        }
    }
}

/// Some bytes of a variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Bytes; `None`: all that the variable's type has (only for a single piece).
    /// Pieces of bits that are not whole bytes are [`Unavailable::Unsupported`].
    pub size: Option<u64>,
    /// Where they are.
    pub source: Source,
}

/// Where the bytes of a piece are.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// In memory, at the run address that the expression gives.
    Memory(Expr),
    /// In the low bytes of a general register.
    Register(Register),
    /// Nowhere: the value is the low bytes of what the expression gives (`DW_OP_stack_value`).
    Value(Expr),
    /// Nowhere: the bytes are in the debug information (`DW_AT_const_value`, `DW_OP_implicit_value`).
    Bytes(Vec<u8>),
    /// A pointer to an object that has no address (`DW_OP_implicit_pointer`):
    /// the place of the object itself, and the offset into it.
    ImplicitPointer(Box<Place>, i64),
    /// Not known.
    Unavailable(Unavailable),
}

/// An expression in postfix order; leaves one 64-bit number.
///
/// Small and total: no jumps, no calls. What DWARF can say with those is
/// evaluated while the place is made, or becomes a choice.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Expr(pub Vec<Term>);

/// One step of an [`Expr`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// Push a number.
    Const(u64),
    /// Push the run address of a link address of this module.
    Address(LinkAddr),
    /// Push a register of the target.
    Register(Register),
    /// Push the thread's `fs_base` (x86-64: the thread pointer).
    ThreadPointer,
    /// Replace offset N (in this module's TLS block) by its address in the
    /// thread that hits; needs what the process says about the module.
    Tls,
    /// Replace an address by the `1..=8` bytes there, zero-extended.
    Deref(u8),
    /// Replace the top by its low N bytes, sign-extended.
    SignExtend(u8),
    /// Replace the top by its low N bytes, zero-extended.
    ZeroExtend(u8),
    /// Replace the two topmost (second OP top) by the result; wraps.
    Binary(Binary),
    /// Replace the three topmost (yes, no, number) by `yes` where the number is
    /// not 0, else by `no`. Only the one that is taken is computed.
    Choose,
    /// Replace the two topmost (value, number) by the value, which is not known
    /// where the number is 0: the function was called from elsewhere.
    KnownCaller,
}

/// Two-operand operations; comparisons give 1 or 0 and are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Binary {
    Add,
    Sub,
    Mul,
    /// Signed.
    Div,
    /// Unsigned.
    Mod,
    And,
    Or,
    Xor,
    Shl,
    Shr,
    Sar,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}
