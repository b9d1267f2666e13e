//! The place of a variable at one address: a DWARF location description, resolved as far as is
//! possible without a process.

mod text;

use crate::base::address::{LinkAddr, ModuleNumber};
use crate::base::unavailable::Unavailable;

/// A general register, by its DWARF number (x86-64: 0 `rax` … 15 `r15`, 16 the instruction pointer).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Register(pub u8);

/// The place of all bytes of a variable: pieces in the order of its bytes.
///
/// A variable that is wholly in one place has one piece.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The pieces, at least one.
    pub pieces: Vec<Piece>,
}

impl Place {
    /// Returns the place of a variable that is wholly unavailable.
    #[must_use]
    pub fn unavailable(why: Unavailable) -> Self {
        Self::whole(PieceSource::Unavailable(why))
    }

    /// Returns the place of a variable that is wholly at `source`.
    #[must_use]
    pub fn whole(source: PieceSource) -> Self {
        Self {
            pieces: vec![Piece { size: None, source }],
        }
    }
}

/// Some bytes of a variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Size in bytes. `None` is the size of the variable's type, and occurs only for a single
    /// piece. Pieces that are not whole bytes are [`Unavailable::Unsupported`].
    pub size: Option<u64>,
    /// Source of the bytes.
    pub source: PieceSource,
}

/// The source of the bytes of a piece.
#[derive(Clone, Debug, PartialEq)]
pub enum PieceSource {
    /// Memory, at the run address that the expression computes.
    Memory(LocationExpr),
    /// The low bytes of a general register.
    Register(Register),
    /// No place: the value is the low bytes of the expression's result (`DW_OP_stack_value`).
    Value(LocationExpr),
    /// No place: the bytes are in the debug information (`DW_AT_const_value`,
    /// `DW_OP_implicit_value`).
    Bytes(Vec<u8>),
    /// A pointer to an object that has no address (`DW_OP_implicit_pointer`):
    /// the place of the object itself, and the offset into it.
    ImplicitPointer(Box<Place>, i64),
    /// The bytes are not available.
    Unavailable(Unavailable),
}

/// An expression in postfix order that leaves one 64-bit number.
///
/// It has no jumps and no calls, so it always terminates. Jumps and calls of DWARF are evaluated
/// when the place is made, or become a choice.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LocationExpr(pub Vec<Term>);

/// One step of an [`LocationExpr`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// Pushes a number.
    Const(u64),
    /// Pushes the run address of a link address of this module.
    Address(LinkAddr),
    /// Pushes the run address of a link address of another module, in the process of the hit.
    AddressIn(ModuleNumber, LinkAddr),
    /// Pushes a register of the target.
    Register(Register),
    /// Pushes the thread's `fs_base` (x86-64: the thread pointer).
    ThreadPointer,
    /// Replaces an offset in this module's TLS block by its address in the thread that hits. This
    /// needs the process's data about the module.
    Tls,
    /// Replaces an address by the `1..=8` bytes there, zero-extended.
    Deref(u8),
    /// Replaces the top by its low N bytes, sign-extended.
    SignExtend(u8),
    /// Replaces the top by its low N bytes, zero-extended.
    ZeroExtend(u8),
    /// Replaces the two topmost operands by `second OP top`. The result wraps.
    Binary(Binary),
    /// Replaces the three topmost operands (yes, no, number) by `yes` if the number is not 0,
    /// else by `no`. Only the chosen one is computed.
    Choose,
    /// Replaces the two topmost operands (value, number) by the value. If the number is 0, the
    /// value is not known: the function was called from elsewhere.
    KnownCaller,
}

/// Operations with two operands. Comparisons are signed and result in 1 or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Binary {
    Add,
    Sub,
    Mul,
    /// Signed division.
    Div,
    /// Unsigned remainder.
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
