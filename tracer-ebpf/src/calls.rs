//! Calls: those that are timed, and those that are recorded line by line.

pub mod timing;
pub mod trace;
