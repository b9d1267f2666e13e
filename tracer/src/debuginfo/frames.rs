//! Call frame information: the caller of a frame, and the places of saved registers.

pub(super) mod cfi;
pub mod unwind;
