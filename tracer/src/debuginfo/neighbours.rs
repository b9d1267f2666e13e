//! Other modules of the process that has a module: what they call in it, and what they define
//! that it uses.
//!
//! Says where they are and no more: what a process has mapped others find out.

use std::sync::Arc;

use super::module::Module;
use crate::address::Bias;

/// A module as a process has it.
#[derive(Clone)]
pub struct Neighbour {
    /// Its file and debug information.
    pub module: Arc<Module>,
    /// Run address minus link address.
    pub bias: Bias,
}

/// Asks for the other modules of the process: opening them costs, so only when they matter.
pub type Neighbours<'n> = &'n (dyn Fn() -> Vec<Neighbour> + 'n);

/// Of a file that no process has, or where others do not matter.
pub(super) fn alone() -> Vec<Neighbour> {
    Vec::new()
}
