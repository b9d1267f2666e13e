//! Values: decoded, typed trees, and how they are written.
//!
//! Each node is exact, or says why it is not there.

pub mod debug;
pub mod json;
#[cfg(test)]
mod tests;

use crate::unavailable::Unavailable;

/// A value as it was at the moment of the hit.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An integer of at most 128 bits, signed; how many its type has.
    Int(i128, u32),
    /// An integer of at most 128 bits, unsigned.
    Uint(u128),
    /// A time span in ns; written as `1.5ms`, in JSON as the number.
    Nanoseconds(u64),
    /// A truth value.
    Bool(bool),
    /// A character.
    Char(char),
    /// A 32-bit float: kept apart, since its shortest decimal form differs.
    Float32(f32),
    /// A 64-bit float.
    Float64(f64),
    /// Text: valid UTF-8 as it is, other bytes escaped by the writer.
    Text(Text),
    /// `()`.
    Unit,
    /// Struct, class, union: type name and fields. A tuple struct's fields are named `0`, `1`, ….
    Struct(Struct),
    /// Tuple without a name.
    Tuple(Vec<Value>),
    /// Variant of an enum.
    Variant(Variant),
    /// Array, slice, vector, set, …
    Sequence(Sequence),
    /// Map: keys and values.
    Map(Map),
    /// A pointer or reference, and what it points to when that was read.
    Pointer(Pointer),
    /// Not there, and why.
    Unavailable(Unavailable),
}

/// Text, maybe cut.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// The bytes that were read.
    pub bytes: Vec<u8>,
    /// Set when there is more: bytes in all, if known.
    pub cut: Option<Cut>,
}

/// How much there is beyond what is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Elements or bytes in all; `None` when that is not known.
    pub of: Option<u64>,
}

/// Named fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Struct {
    /// Type name as the source would write it, without its path.
    pub name: String,
    /// In the order of declaration.
    pub fields: Vec<(String, Value)>,
}

/// One variant of an enum.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// The enum's name, without its path.
    pub ty: String,
    /// The variant's name; C flag sets: names joined by ` | `.
    pub name: String,
    /// Its fields; `0`, `1`, … for tuple variants.
    pub fields: Vec<(String, Value)>,
}

/// Elements in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// Those that were read.
    pub items: Vec<Value>,
    /// Set when there are more.
    pub cut: Option<Cut>,
    /// A set is written in braces.
    pub set: bool,
}

/// Entries in the order of the collection.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// Those that were read.
    pub entries: Vec<(Value, Value)>,
    /// Set when there are more.
    pub cut: Option<Cut>,
}

/// An address, and maybe what is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Pointer {
    /// Run address.
    pub address: u64,
    /// Name of what is there: a function, a static.
    pub symbol: Option<String>,
    /// What it points to, where that was read.
    pub target: Option<Box<Value>>,
    /// A reference or smart pointer is written as its target (as `{:?}` does), a raw pointer as its address.
    pub transparent: bool,
}

/// Name of the struct that stands for `core::time::Duration`; it is written as `1.5s`.
pub const DURATION: &str = "core::time::Duration";
/// Name of the struct that stands for `core::ops::Range`; it is written as `a..b`.
pub const RANGE: &str = "core::ops::Range";
/// Name of the field with the source line at which a coroutine waits.
pub const LINE: &str = "$line";
/// Name of the last field of a struct that has more which is not shown.
pub const MORE: &str = "..";
/// Name of the field of a variant that stands for its data, which is left out.
///
/// Its value is `()` where the data has names, and the empty tuple where it has none.
pub const LEFT_OUT: &str = "…";
