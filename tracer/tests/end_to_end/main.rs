//! The tracer end to end: the real binary, the real kernel, a real X server.
//!
//! Every test starts its own programs and looks only at what a user sees: what
//! the tracer prints, its exit code, its screen, and the target's memory.

#![expect(clippy::panic, reason = "a test fails by a panic")]

mod support;

mod aggregates;
mod bad_input;
mod bare;
mod bits;
mod budget;
mod churn;
mod commands;
mod containers;
mod copies;
mod corrupt_files;
mod done;
mod following;
mod forks;
mod frames;
mod gaps;
mod instructions;
mod language;
mod libcxx;
mod lifetime;
mod linkers;
mod load;
mod module_copies;
mod moved_lines;
mod names;
mod numbers;
mod pages;
mod paging;
mod places;
mod placing;
mod predicates;
mod privileges;
mod records;
mod reload;
mod returns;
mod shared_library;
mod slow_output;
mod sources;
mod stacks;
mod story;
mod strings;
mod terminal;
mod timing;
mod values;
