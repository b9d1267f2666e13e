//! A function as a piece of code: its ranges, blocks, branches and returned value.

pub mod control_flow;
pub(super) mod first_argument;
pub(super) mod folded_functions;
pub mod function_code;
mod instructions;
pub(super) mod landing_pads;
pub mod omitted_values;
pub(super) mod unit_code;
