//! Turns the user's input into sites: modules of the target, files, lines, functions.

mod biases;
pub(in crate::session) mod catalog;
pub(in crate::session) mod known_processes;
mod linker;
pub(in crate::session) mod locate;
pub(in crate::session) mod located;
pub(in crate::session) mod module_looks;
pub(in crate::session) mod module_numbers;
pub(in crate::session) mod modules;
pub(in crate::session) mod names;
mod own_modules;
pub(in crate::session) mod patched;
pub(in crate::session) mod process_modules;
pub(in crate::session) mod resolve;
pub(in crate::session) mod threads;
pub(in crate::session) mod timed;
pub(in crate::session) mod traced;
pub(in crate::session) mod variants;
pub(in crate::session) mod watched;
