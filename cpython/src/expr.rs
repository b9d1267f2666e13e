//! Python expressions that users write, evaluated without running code in the target.
//!
//! Names, attributes, indexes and keys, `len(x)`, comparisons, arithmetic, `and`/`or`/`not`, `in`,
//! and conditional expressions; and templates such as `x {p.x:.2f} {name!r} {p.y=}`. All have the
//! meaning that they have in Python. Calls, properties and operators that a class defines would
//! have to run code of the target: they are errors that say so.

mod arithmetic;
mod attribute;
mod compare;
mod error;
mod eval;
mod format;
mod format_float;
mod format_spec;
mod index;
mod operand;
mod overrides;
mod parse;
mod syntax;
mod template;
mod token;

pub use self::error::{EvalError, SyntaxError};
pub use self::eval::{ObjectNames, evaluate, holds};
pub use self::operand::PyOperand;
pub use self::parse::parse_expression;
pub use self::syntax::{ArithmeticOp, CompareOp, Expression, Literal, PyUnaryOp};
pub use self::template::{PyTemplate, PyTemplatePart, parse_template, render};
