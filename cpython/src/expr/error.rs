//! Errors of expressions.

use crate::heap::PyMissing;

/// A mistake in the text of an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// Position in the text, in bytes.
    pub at: usize,
    /// The mistake.
    pub message: String,
}

/// The reason why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// No variable, global or builtin has this name.
    #[error("name `{0}` is not defined")]
    UnknownName(String),
    /// The variable has no value at this point.
    #[error("variable `{0}` is not set here")]
    UnboundName(String),
    /// The object has no such attribute.
    #[error("`{class}` object has no attribute `{name}`")]
    NoAttribute {
        /// The object's class.
        class: String,
        /// The attribute.
        name: String,
    },
    /// The attribute is a property.
    #[error("`{class}.{name}` is a property: code would have to run")]
    Property {
        /// The class that defines it.
        class: String,
        /// The attribute.
        name: String,
    },
    /// A class defines the operation by a method.
    #[error("`{class}` defines `{method}`: code would have to run")]
    NeedsCode {
        /// The object's class.
        class: String,
        /// The method.
        method: String,
    },
    /// The operation is an error in Python as well, or its types are not supported.
    #[error("{0}")]
    Type(String),
    /// There is no such key.
    #[error("no key {0}")]
    NoKey(String),
    /// There is no such element.
    #[error("index {index} is out of range: the length is {length}")]
    OutOfRange {
        /// The index.
        index: String,
        /// The length.
        length: u64,
    },
    /// A division by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// The value is too large or long to be computed with.
    #[error("{0} is too large")]
    TooLarge(&'static str),
    /// A part of the target is not available.
    #[error("{0}")]
    Missing(#[from] PyMissing),
}

/// The result of an evaluation.
pub(crate) type Evaluated<T> = Result<T, EvalError>;
