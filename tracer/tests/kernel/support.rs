//! Shared parts of the tests.

pub(crate) mod compiled;
pub(crate) mod expressions;
pub(crate) mod floats;
pub(crate) mod forms;
#[path = "../end_to_end/support/needs.rs"]
#[expect(dead_code, reason = "the end-to-end tests use the rest of it")]
pub(crate) mod needs;
pub(crate) mod random;
pub(crate) mod recognised;
pub(crate) mod rig;
pub(crate) mod scratch;
pub(crate) mod selected;
pub(crate) mod short;
pub(crate) mod site;
pub(crate) mod standard;

// `expressions` uses these.
use random as numbers;
use tracer::lang::ast;
// `recognised` uses these.
use tracer::program::Runner;
