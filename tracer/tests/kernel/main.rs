//! The eBPF machine in a real kernel, through the library: what it computes, what it
//! counts, and what is left of it.
//!
//! The probed instructions are in this very program. `cargo xtask test` runs it in the running
//! kernel and in the other kernels that are supported.

#![expect(clippy::panic, reason = "a test fails by a panic")]

mod agreement;
mod cost;
mod expressions;
mod family;
mod floats;
mod instructions;
mod leftovers;
mod limits;
mod overload;
mod paging;
mod sites;
mod support;
mod timing;
mod waiting;
