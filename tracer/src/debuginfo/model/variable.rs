//! Variables in scope at an address: name, type and place.

use super::place::{LocationExpr, Place};
use super::types::TypeId;

/// One variable in scope at one address.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// Name in the source.
    pub name: String,
    /// Its type.
    pub ty: TypeId,
    /// Its kind.
    pub kind: VariableKind,
    /// Its place at that address.
    pub place: Place,
    /// Line of its declaration; 0 is unknown.
    pub line: u64,
    /// For a variable-length array, the number of elements of each dimension that the program
    /// computes; empty for other types.
    pub counts: Vec<Option<LocationExpr>>,
    /// 1 for the innermost variable with this name, 2 for the one that it shadows (`name#2`), and
    /// so on.
    pub shadow: u32,
}

/// A function at an address, and the variables in scope in it.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionScope {
    /// Full name; in C++ without the parameters.
    pub function: String,
    /// Variables, innermost first.
    pub variables: Vec<Variable>,
}

/// The kind of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VariableKind {
    /// A parameter of the function.
    Parameter,
    /// A local variable of the function or of a block in it.
    Local,
    /// A variable that the closure captures or the coroutine keeps, if the function is one.
    Captured,
    /// A static or global variable.
    Static,
    /// A variable of a block that the optimiser removed. It may be in scope, and has no place.
    /// Only a look-up by name finds it.
    Lost,
}
