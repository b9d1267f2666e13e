//! The search for CPython in a process: its file, its version, its state, and the code that runs
//! Python code.
//!
//! `Interpreter::find` is the way in.

mod find;
mod image;
mod layout;
mod loaded;
mod mappings;
mod refusal;
mod thread_state;

pub use self::refusal::Refusal;
pub use crate::interpreter::{Interpreter, PyVersion, ThreadStatePlace};
