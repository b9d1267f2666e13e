//! Values: typed trees, decoded from the target's memory, and their text.
//!
//! The text of a value is that of Python's `repr()`, as far as the value is known: nothing runs in
//! the target, so a class's own `__repr__` is not called.

mod basic;
mod callables;
mod decode;
mod instances;
mod numbers;
mod numpy;
mod print;
mod shape;
mod stdlib;

pub use self::decode::{ValueLimits, decode};
pub(crate) use self::numbers::float_repr;
pub use self::print::ReprStyle;
pub(crate) use self::stdlib::{date_part, deque_items};

use num_bigint::BigInt;

use crate::heap::{PyBytes, PyMissing, PyText};

/// A value of Python.
#[derive(Clone, Debug, PartialEq)]
pub enum PyValue {
    /// `None`.
    None,
    /// `...`.
    Ellipsis,
    /// `NotImplemented`.
    NotImplemented,
    /// `True` and `False`.
    Bool(bool),
    /// An integer of any size.
    Int(BigInt),
    /// An integer that is too large to be shown.
    HugeInt {
        /// Number of its digits, of 30 bits each.
        digits: u64,
    },
    /// A float.
    Float(f64),
    /// A complex number.
    Complex {
        /// Its real part.
        real: f64,
        /// Its imaginary part.
        imaginary: f64,
    },
    /// A text.
    Str(PyText),
    /// Bytes.
    Bytes(PyBytes),
    /// A list.
    List(PyItems),
    /// A tuple.
    Tuple(PyItems),
    /// A set, shown in braces.
    Set(PyItems),
    /// A dict.
    Dict(PyEntries),
    /// A value that is shown as a call: a dataclass, an exception, a `deque`, a date, ….
    Call(PyCall),
    /// A member of an enumeration.
    Member(PyMember),
    /// An object with attributes.
    Instance(PyInstance),
    /// An object that is described: a function, a class, a module, ….
    Described(String),
    /// A bound method.
    Method {
        /// Qualified name of its function.
        function: String,
        /// Its object.
        of: Box<PyValue>,
    },
    /// A container that contains itself, as `[...]`.
    Recursion(String),
    /// A value that the limits leave out.
    Omitted,
    /// A value that is not available, with the reason.
    Unavailable(PyMissing),
}

/// Elements in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PyItems {
    /// The first elements.
    pub items: Vec<PyValue>,
    /// Number of all elements.
    pub of: u64,
}

/// Entries in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PyEntries {
    /// Key and value of the first entries.
    pub entries: Vec<(PyValue, PyValue)>,
    /// Number of all entries.
    pub of: u64,
}

/// A value that is shown as `name(argument, name=argument)`.
#[derive(Clone, Debug, PartialEq)]
pub struct PyCall {
    /// The name.
    pub name: String,
    /// The first arguments.
    pub arguments: Vec<PyArgument>,
    /// Number of all arguments.
    pub of: u64,
}

/// A positional or named argument.
#[derive(Clone, Debug, PartialEq)]
pub struct PyArgument {
    /// Its name.
    pub name: Option<String>,
    /// Its value.
    pub value: PyValue,
}

impl PyCall {
    /// A call with these arguments.
    pub(crate) fn new(name: impl Into<String>, arguments: Vec<PyArgument>) -> Self {
        Self {
            name: name.into(),
            of: arguments.len() as u64,
            arguments,
        }
    }

    /// A call with positional arguments.
    pub(crate) fn of_values(
        name: impl Into<String>,
        values: impl IntoIterator<Item = PyValue>,
    ) -> Self {
        Self::new(name, values.into_iter().map(PyArgument::from).collect())
    }
}

impl From<PyValue> for PyArgument {
    fn from(value: PyValue) -> Self {
        Self { name: None, value }
    }
}

/// A member of an enumeration, or a combination of flags.
#[derive(Clone, Debug, PartialEq)]
pub struct PyMember {
    /// Name of the enumeration.
    pub class: String,
    /// Name of the member. A combination has several, joined by `|`, or none.
    pub name: Option<String>,
    /// Its value.
    pub value: Box<PyValue>,
}

/// An object and its attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct PyInstance {
    /// Its class, with the module.
    pub class: String,
    /// Its address.
    pub address: u64,
    /// The first attributes, those in slots before those in its dict.
    pub fields: Vec<(String, PyValue)>,
    /// Number of all attributes.
    pub of: u64,
    /// Set if the class has a `__repr__` of its own, which would show something else.
    pub has_own_repr: bool,
}

impl PyValue {
    /// An integer.
    pub(crate) fn int(value: impl Into<BigInt>) -> Self {
        Self::Int(value.into())
    }

    /// A text.
    pub(crate) fn text(text: &str) -> Self {
        Self::Str(text.into())
    }

    /// Returns true if the value or a part of it is cut, left out or unavailable.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        match self {
            Self::Omitted | Self::Unavailable(_) | Self::HugeInt { .. } => true,
            Self::Str(text) => text.is_cut(),
            Self::Bytes(bytes) => bytes.is_cut(),
            Self::List(items) | Self::Tuple(items) | Self::Set(items) => items.is_partial(),
            Self::Dict(entries) => {
                entries.of > entries.entries.len() as u64
                    || entries
                        .entries
                        .iter()
                        .any(|(key, value)| key.is_partial() || value.is_partial())
            }
            Self::Call(call) => {
                call.of > call.arguments.len() as u64
                    || call
                        .arguments
                        .iter()
                        .any(|argument| argument.value.is_partial())
            }
            Self::Member(member) => member.value.is_partial(),
            Self::Instance(instance) => {
                instance.of > instance.fields.len() as u64
                    || instance.fields.iter().any(|(_, value)| value.is_partial())
            }
            Self::Method { of, .. } => of.is_partial(),
            _ => false,
        }
    }
}

impl PyItems {
    fn is_partial(&self) -> bool {
        self.of > self.items.len() as u64 || self.items.iter().any(PyValue::is_partial)
    }
}
