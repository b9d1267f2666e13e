//! Values: expressions and variables of every kind, with the program's own numbers beside them.

mod bits;
mod language;
mod libcxx;
mod names;
mod numbers;
mod predicates;
mod returns;
mod strings;
mod values;
