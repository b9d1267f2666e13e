//! The tree of an expression.

use num_bigint::BigInt;

use crate::heap::{PyBytes, PyText};

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A name.
    Name(String),
    /// A value that is written in the expression.
    Literal(Literal),
    /// `of.name`.
    Attribute {
        /// The object.
        of: Box<Expression>,
        /// The attribute.
        name: String,
    },
    /// `of[index]`.
    Index {
        /// The container.
        of: Box<Expression>,
        /// The index or key.
        index: Box<Expression>,
    },
    /// `len(of)`.
    Length(Box<Expression>),
    /// An operator before its operand.
    Unary {
        /// The operator.
        op: PyUnaryOp,
        /// The operand.
        of: Box<Expression>,
    },
    /// An operator between its operands.
    Binary {
        /// The operator.
        op: ArithmeticOp,
        /// The left operand.
        left: Box<Expression>,
        /// The right operand.
        right: Box<Expression>,
    },
    /// A chain of comparisons: `a < b <= c`.
    Compare {
        /// The first operand.
        first: Box<Expression>,
        /// The operators, each with the operand behind it.
        rest: Vec<(CompareOp, Expression)>,
    },
    /// `a and b`.
    And(Box<Expression>, Box<Expression>),
    /// `a or b`.
    Or(Box<Expression>, Box<Expression>),
    /// `then if condition else otherwise`.
    Conditional {
        /// The condition.
        condition: Box<Expression>,
        /// The value if it holds.
        then: Box<Expression>,
        /// The value if it does not.
        otherwise: Box<Expression>,
    },
    /// `(a, b)`, `[a, b]` and `{a, b}`: elements to search with `in`, or a key.
    Tuple(Vec<Expression>),
}

/// A value that is written in an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `None`.
    None,
    /// `True` and `False`.
    Bool(bool),
    /// An integer.
    Int(BigInt),
    /// A float.
    Float(f64),
    /// A text.
    Str(PyText),
    /// Bytes.
    Bytes(PyBytes),
}

/// An operator before its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PyUnaryOp {
    /// `-`.
    Minus,
    /// `+`.
    Plus,
    /// `~`.
    Invert,
    /// `not`.
    Not,
}

/// An operator of arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArithmeticOp {
    /// `+`.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`.
    Divide,
    /// `//`.
    FloorDivide,
    /// `%`.
    Modulo,
    /// `**`.
    Power,
    /// `&`.
    And,
    /// `|`.
    Or,
    /// `^`.
    Xor,
    /// `<<`.
    ShiftLeft,
    /// `>>`.
    ShiftRight,
}

impl ArithmeticOp {
    /// The operator as it is written.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::FloorDivide => "//",
            Self::Modulo => "%",
            Self::Power => "**",
            Self::And => "&",
            Self::Or => "|",
            Self::Xor => "^",
            Self::ShiftLeft => "<<",
            Self::ShiftRight => ">>",
        }
    }
}

/// An operator of comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    /// `==`.
    Equal,
    /// `!=`.
    NotEqual,
    /// `<`.
    Less,
    /// `<=`.
    LessOrEqual,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterOrEqual,
    /// `is`.
    Is,
    /// `is not`.
    IsNot,
    /// `in`.
    In,
    /// `not in`.
    NotIn,
}
