//! Variables in scope at an address: name, type, and where they are.

use super::place::{Expr, Place};
use super::types::TypeId;

/// One variable in scope at one address.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// As the source writes it.
    pub name: String,
    /// Its type.
    pub ty: TypeId,
    /// What it is.
    pub kind: VariableKind,
    /// Where it is, at that address.
    pub place: Place,
    /// Line of its declaration; 0 is unknown.
    pub line: u64,
    /// Of a variable-length array: elements of each dimension where the program
    /// computes that; empty for all else.
    pub counts: Vec<Option<Expr>>,
    /// 1 for the innermost variable of this name, 2 for the one that it
    /// shadows (`name#2`), and so on.
    pub shadow: u32,
}

/// A function at an address, and what is in scope in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope {
    /// Its full name; in C++ without its parameters.
    pub function: String,
    /// Innermost first.
    pub variables: Vec<Variable>,
}

/// What a variable is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VariableKind {
    /// Parameter of the function.
    Parameter,
    /// Local of the function or of a block in it.
    Local,
    /// Captured by the closure or kept in the coroutine that is the function.
    Captured,
    /// Static or global.
    Static,
    /// Of a block that the optimiser removed: it may be in force, and has no place. Found by its name alone.
    Lost,
}
