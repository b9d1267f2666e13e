//! Values: decoded, typed trees, and their text forms.
//!
//! Each node is exact, or has the reason why it is missing.

pub mod debug;
pub mod exact;
pub mod json;
pub mod redact;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::base::unavailable::Unavailable;

/// A value at the moment of the hit.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A signed integer, and the number of bits of its type.
    Int(i128, u32),
    /// An unsigned integer.
    Uint(u128),
    /// A time span in ns. Shown as `1.5ms`, in JSON as the number.
    Nanoseconds(u64),
    /// A duration of Rust's standard library. Shown as `1.5s`, in JSON as its two fields.
    Duration(Duration),
    /// A boolean.
    Bool(bool),
    /// A character.
    Char(char),
    /// A 32-bit float. It has another shortest decimal form than a 64-bit one.
    Float32(f32),
    /// A 64-bit float.
    Float64(f64),
    /// Text. Bytes that are not UTF-8 are escaped when it is shown.
    Text(Text),
    /// `()`.
    Unit,
    /// Struct, class or union: type name and fields. Fields of a tuple struct are named `0`, `1`,
    /// ….
    Struct(Struct),
    /// A tuple.
    Tuple(Vec<Value>),
    /// Start and end of a range, shown as `a..b`.
    Range(Box<[Value; 2]>),
    /// Variant of an enum.
    Variant(Variant),
    /// Array, slice, vector, set, …
    Sequence(Sequence),
    /// Map: keys and values.
    Map(Map),
    /// A pointer or reference, with its target if that was read.
    Pointer(Pointer),
    /// Unavailable, with the reason.
    Unavailable(Unavailable),
}

/// Text, which may be cut.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// The bytes that were read.
    pub bytes: Vec<u8>,
    /// Set if the text is longer. It has the length if that is known.
    pub cut: Option<Cut>,
}

/// The size of a value that was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Total number of elements or bytes. `None` if unknown.
    pub of: Option<u64>,
}

/// A struct's name and fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Struct {
    /// Type name as the source would write it, without its path.
    pub name: String,
    /// In the order of declaration.
    pub fields: Vec<(String, Value)>,
    /// The struct has more fields, which are not shown. `..` stands for them.
    pub has_more: bool,
}

/// One variant of an enum.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// The enum's name, without its path.
    pub ty: String,
    /// The variant's name. Names of C flags are joined by ` | `.
    pub name: String,
    /// The source line at which a coroutine waits in this state.
    pub line: Option<u64>,
    /// Its fields; `0`, `1`, … for tuple variants.
    pub fields: Vec<(String, Value)>,
    /// The fields are left out. They would be shown in this form.
    pub omitted: Option<OmittedFields>,
}

impl Variant {
    /// The variant's name, with the line of a waiting coroutine.
    #[must_use]
    pub fn title(&self) -> String {
        match self.line {
            Some(line) => format!("{} at line {line}", self.name),
            None => self.name.clone(),
        }
    }
}

/// The form of a variant's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OmittedFields {
    /// `Other(…)`.
    Tuple,
    /// `Failed { … }`.
    Named,
}

/// Elements in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// The elements that were read.
    pub items: Vec<Value>,
    /// Set if there are more.
    pub cut: Option<Cut>,
    /// The sequence is a set, shown in braces.
    pub set: bool,
}

/// Entries in the order of the collection.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// The entries that were read.
    pub entries: Vec<(Value, Value)>,
    /// Set if there are more.
    pub cut: Option<Cut>,
}

/// An address, with its target if that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Pointer {
    /// Run address.
    pub address: u64,
    /// Name of the function or static at the address.
    pub symbol: Option<String>,
    /// The target, if it was read.
    pub target: Option<Box<Value>>,
    /// A reference or smart pointer is shown as its target (as in `{:?}`), a raw pointer as its
    /// address.
    pub transparent: bool,
}
