//! Expressions into values.

use num_traits::Zero as _;

use super::arithmetic::{binary, unary};
use super::attribute::attribute;
use super::compare::compare;
use super::error::{EvalError, Evaluated};
use super::index::{index, length};
use super::operand::{PyNumber, PyOperand};
use super::overrides::built_in;
use super::syntax::{Expression, PyUnaryOp};
use crate::heap::{Heap, PyMissing, Read};
use crate::limits::EXPRESSION_READS;
use crate::native::Singleton;
use crate::scope::FrameScope;
use crate::value::PyValue;

/// The names that an expression may use.
pub trait ObjectNames {
    /// The object that a name means. `None` if there is no such name.
    ///
    /// # Errors
    ///
    /// [`PyMissing::Unbound`] for a variable without a value, or another reason why it cannot be
    /// read.
    fn object(&self, name: &str) -> Read<Option<u64>>;
}

impl ObjectNames for FrameScope<'_, '_> {
    fn object(&self, name: &str) -> Read<Option<u64>> {
        self.lookup(name)
    }
}

/// Evaluates an expression.
///
/// # Errors
///
/// [`EvalError`]: a mistake, a missing value, or code that would have to run.
pub fn evaluate(
    heap: &Heap<'_>,
    names: &dyn ObjectNames,
    expression: &Expression,
) -> Result<PyOperand, EvalError> {
    heap.within(EXPRESSION_READS, || step(heap, names, expression))
}

fn step(heap: &Heap<'_>, names: &dyn ObjectNames, expression: &Expression) -> Evaluated<PyOperand> {
    let value = |expression: &Expression| step(heap, names, expression);
    match expression {
        Expression::Name(name) => match names.object(name) {
            Ok(Some(object)) => Ok(PyOperand::Object(object)),
            Ok(None) => Err(EvalError::UnknownName(name.clone())),
            Err(PyMissing::Unbound) => Err(EvalError::UnboundName(name.clone())),
            Err(missing) => Err(missing.into()),
        },
        Expression::Literal(literal) => Ok(literal.into()),
        Expression::Attribute { of, name } => attribute(heap, &value(of)?, name),
        Expression::Index { of, index: at } => index(heap, &value(of)?, &value(at)?),
        Expression::Length(of) => {
            let count = length(heap, &value(of)?)?;
            Ok(PyOperand::Computed(PyValue::Int(count)))
        }
        Expression::Unary {
            op: PyUnaryOp::Not,
            of,
        } => Ok(PyOperand::bool(!truth(heap, &value(of)?)?)),
        Expression::Unary { op, of } => unary(heap, *op, &value(of)?),
        Expression::Binary { op, left, right } => binary(heap, *op, &value(left)?, &value(right)?),
        Expression::Compare { first, rest } => {
            let mut left = value(first)?;
            for (op, right) in rest {
                let right = value(right)?;
                if !compare(heap, *op, &left, &right)? {
                    return Ok(PyOperand::bool(false));
                }
                left = right;
            }
            Ok(PyOperand::bool(true))
        }
        Expression::And(left, right) => {
            let left = value(left)?;
            if truth(heap, &left)? {
                value(right)
            } else {
                Ok(left)
            }
        }
        Expression::Or(left, right) => {
            let left = value(left)?;
            if truth(heap, &left)? {
                Ok(left)
            } else {
                value(right)
            }
        }
        Expression::Conditional {
            condition,
            then,
            otherwise,
        } => {
            if truth(heap, &value(condition)?)? {
                value(then)
            } else {
                value(otherwise)
            }
        }
        Expression::Tuple(items) => {
            let items: Result<Vec<PyOperand>, EvalError> = items.iter().map(value).collect();
            items.map(PyOperand::Tuple)
        }
    }
}

/// Evaluates an expression as a condition.
///
/// # Errors
///
/// As for [`evaluate`].
pub fn holds(
    heap: &Heap<'_>,
    names: &dyn ObjectNames,
    expression: &Expression,
) -> Result<bool, EvalError> {
    truth(heap, &evaluate(heap, names, expression)?)
}

/// `bool(of)`.
fn truth(heap: &Heap<'_>, of: &PyOperand) -> Evaluated<bool> {
    if let Some(singleton) = of.singleton(heap) {
        return Ok(!matches!(singleton, Singleton::None | Singleton::False));
    }
    match of {
        PyOperand::Object(object) => {
            built_in(heap, *object, "__bool__")?;
        }
        PyOperand::Computed(PyValue::Method { .. }) => return Ok(true),
        _ => {}
    }
    match of.number(heap)? {
        Some(PyNumber::Int(value)) => return Ok(!value.is_zero()),
        Some(PyNumber::Float(value)) => return Ok(value != 0.0),
        None => {}
    }
    match length(heap, of) {
        Ok(length) => Ok(!length.is_zero()),
        // Objects without a length are true.
        Err(EvalError::Type(_)) => Ok(true),
        Err(error) => Err(error),
    }
}
