//! Operands: the results of compiling expressions.

use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::types::TypeId;
use crate::lang::ast::Special;
use crate::plan::ops::ir::{Ir, Test};
use crate::plan::ops::spots::Spots;

/// The result of resolving an expression.
#[derive(Clone, Debug)]
pub(in crate::plan) enum Operand {
    /// A value of the program, at a place.
    Place(Spots, TypeId),
    /// A number that is computed.
    Number(Number),
    /// A fact in the record's header.
    Special(Special),
    /// A text literal.
    Text(String),
    /// `null`, `None`.
    Null,
    /// A name that is not a variable. It may be a variant of an enum.
    Unknown(String, Diagnostic),
}

/// A number of at most 64 bits, sign-extended or zero-extended to 64.
#[derive(Clone, Debug)]
pub(in crate::plan) struct Number {
    pub(in crate::plan) ir: Ir,
    /// Bytes of its type.
    pub(in crate::plan) size: u8,
    pub(in crate::plan) signed: bool,
    pub(in crate::plan) kind: NumberKind,
}

/// A scalar of the program, of any size.
pub(in crate::plan) struct Scalar {
    pub(in crate::plan) spots: Spots,
    pub(in crate::plan) ty: TypeId,
    /// Bytes.
    pub(in crate::plan) size: u64,
    pub(in crate::plan) signed: bool,
    pub(in crate::plan) kind: NumberKind,
}

/// The kind of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) enum NumberKind {
    Int,
    /// Either `int` or `unsigned int` of C++ (DWARF does not say). After arithmetic the value must
    /// fit both.
    EitherInt,
    Bool,
    Char,
    Pointer,
    /// A time span in ns.
    Duration,
    /// Its bytes are an IEEE number.
    Float,
}

impl Number {
    pub(super) fn truth(test: Test) -> Self {
        let ir = match test {
            Test::Known(value) => Ir::Const(u64::from(value)),
            test => Ir::Truth(Box::new(test)),
        };
        Self {
            ir,
            size: 1,
            signed: false,
            kind: NumberKind::Bool,
        }
    }

    pub(super) fn unsigned(ir: Ir, size: u8) -> Self {
        Self {
            ir,
            size,
            signed: false,
            kind: NumberKind::Int,
        }
    }
}
