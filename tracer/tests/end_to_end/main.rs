//! The tracer end to end: the real binary, the real kernel, a real X server.
//!
//! Every test starts its own programs and checks only what a user sees: output, exit codes, the
//! screen, and the target's memory.

#![expect(clippy::panic, reason = "a test fails by a panic")]

mod support;

mod assistants;
mod captured;
mod exports;
mod interface;
mod locations;
mod sessions;
mod targets;
mod telemetry;
