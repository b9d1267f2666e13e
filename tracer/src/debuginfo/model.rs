//! Plain types that the rest of the tracer shares: types, variables, locations, sites, names.
//!
//! Nothing here reads a file.

pub mod names;
pub mod place;
pub mod site;
pub mod types;
pub mod usdt;
pub mod variable;
