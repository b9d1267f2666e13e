//! Values between the steps of an evaluation.

use num_bigint::BigInt;
use num_traits::ToPrimitive as _;

use super::error::{EvalError, Evaluated};
use super::syntax::Literal;
use crate::heap::{Heap, PyBytes, PyInt, PyText};
use crate::limits::COMPARED_TEXT;
use crate::native::{Native, Singleton};
use crate::value::{PyEntries, PyItems, PyValue, ValueLimits, decode};

/// A value of an expression: an object of the target, or one that was computed.
#[derive(Clone, Debug, PartialEq)]
pub enum PyOperand {
    /// The object at this address.
    Object(u64),
    /// A computed value.
    Computed(PyValue),
    /// A tuple that is written in the expression.
    Tuple(Vec<PyOperand>),
}

/// A number.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum PyNumber {
    Int(BigInt),
    Float(f64),
}

impl PyNumber {
    /// The number as a float.
    pub(super) fn to_float(&self) -> Evaluated<f64> {
        match self {
            Self::Float(float) => Ok(*float),
            Self::Int(int) => match int.to_f64() {
                Some(float) if float.is_finite() => Ok(float),
                _ => Err(EvalError::TooLarge("an integer")),
            },
        }
    }
}

impl From<&Literal> for PyOperand {
    fn from(literal: &Literal) -> Self {
        Self::Computed(match literal {
            Literal::None => PyValue::None,
            Literal::Bool(value) => PyValue::Bool(*value),
            Literal::Int(value) => PyValue::Int(value.clone()),
            Literal::Float(value) => PyValue::Float(*value),
            Literal::Str(value) => PyValue::Str(value.clone()),
            Literal::Bytes(value) => PyValue::Bytes(value.clone()),
        })
    }
}

impl PyOperand {
    pub(super) fn bool(value: bool) -> Self {
        Self::Computed(PyValue::Bool(value))
    }

    /// The whole value, decoded within limits.
    #[must_use]
    pub fn value(&self, heap: &Heap<'_>, limits: ValueLimits) -> PyValue {
        match self {
            Self::Object(object) => decode(heap, *object, limits),
            Self::Computed(value) => value.clone(),
            Self::Tuple(items) => PyValue::Tuple(PyItems {
                items: items.iter().map(|item| item.value(heap, limits)).collect(),
                of: items.len() as u64,
            }),
        }
    }

    /// The class of the value, as error messages name it.
    pub(super) fn class(&self, heap: &Heap<'_>) -> String {
        match self {
            Self::Object(object) => {
                let ty = heap.type_of(*object);
                ty.map_or_else(|_| "object".to_owned(), |ty| ty.name.clone())
            }
            Self::Computed(value) => class_of(value).to_owned(),
            Self::Tuple(_) => "tuple".to_owned(),
        }
    }

    /// The value as a number, if it is one.
    pub(super) fn number(&self, heap: &Heap<'_>) -> Evaluated<Option<PyNumber>> {
        let object = match self {
            Self::Computed(value) => {
                return Ok(match value {
                    PyValue::Bool(value) => Some(PyNumber::Int(BigInt::from(*value))),
                    PyValue::Int(value) => Some(PyNumber::Int(value.clone())),
                    PyValue::Float(value) => Some(PyNumber::Float(*value)),
                    _ => None,
                });
            }
            Self::Object(object) => *object,
            Self::Tuple(_) => return Ok(None),
        };
        match heap.type_of(object)?.native {
            Native::Int | Native::Bool => match heap.int(object)? {
                PyInt::Exact(value) => Ok(Some(PyNumber::Int(value))),
                PyInt::Huge { .. } => Err(EvalError::TooLarge("an integer")),
            },
            Native::Float => Ok(Some(PyNumber::Float(heap.float(object)?))),
            _ => Ok(None),
        }
    }

    /// The value as a text, if it is one.
    pub(super) fn text(&self, heap: &Heap<'_>) -> Evaluated<Option<PyText>> {
        let text = match self {
            Self::Computed(PyValue::Str(text)) => text.clone(),
            Self::Computed(_) | Self::Tuple(_) => return Ok(None),
            Self::Object(object) => match heap.type_of(*object)?.native {
                Native::Str => heap.text(*object, COMPARED_TEXT)?,
                _ => return Ok(None),
            },
        };
        if text.is_cut() {
            return Err(EvalError::TooLarge("a text"));
        }
        Ok(Some(text))
    }

    /// The value as bytes, if it is some.
    pub(super) fn bytes(&self, heap: &Heap<'_>) -> Evaluated<Option<PyBytes>> {
        let bytes = match self {
            Self::Computed(PyValue::Bytes(bytes)) => bytes.clone(),
            Self::Computed(_) | Self::Tuple(_) => return Ok(None),
            Self::Object(object) => match heap.type_of(*object)?.native {
                Native::Bytes => heap.bytes(*object, COMPARED_TEXT)?,
                Native::ByteArray => heap.bytearray(*object, COMPARED_TEXT)?,
                _ => return Ok(None),
            },
        };
        if bytes.is_cut() {
            return Err(EvalError::TooLarge("a value"));
        }
        Ok(Some(bytes))
    }

    /// `None`, `True` and the like.
    pub(super) fn singleton(&self, heap: &Heap<'_>) -> Option<Singleton> {
        match self {
            Self::Object(object) => heap.singleton(*object),
            Self::Computed(PyValue::None) => Some(Singleton::None),
            Self::Computed(PyValue::Ellipsis) => Some(Singleton::Ellipsis),
            Self::Computed(PyValue::NotImplemented) => Some(Singleton::NotImplemented),
            Self::Computed(PyValue::Bool(true)) => Some(Singleton::True),
            Self::Computed(PyValue::Bool(false)) => Some(Singleton::False),
            Self::Computed(_) | Self::Tuple(_) => None,
        }
    }
}

/// The class of a computed value.
fn class_of(value: &PyValue) -> &'static str {
    match value {
        PyValue::None => "NoneType",
        PyValue::Bool(_) => "bool",
        PyValue::Int(_) | PyValue::HugeInt { .. } => "int",
        PyValue::Float(_) => "float",
        PyValue::Complex { .. } => "complex",
        PyValue::Str(_) => "str",
        PyValue::Bytes(_) => "bytes",
        PyValue::List(PyItems { .. }) => "list",
        PyValue::Tuple(PyItems { .. }) => "tuple",
        PyValue::Set(PyItems { .. }) => "set",
        PyValue::Dict(PyEntries { .. }) => "dict",
        PyValue::Method { .. } => "method",
        _ => "object",
    }
}
