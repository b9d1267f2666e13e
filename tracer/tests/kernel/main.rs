//! The eBPF machine in a real kernel, used through the library: its results, its counters, and its
//! cleanup.
//!
//! The probed instructions are in this program. `cargo xtask test` runs it in the running kernel
//! and in the other supported kernels.

#![expect(clippy::panic, reason = "a test fails by a panic")]

mod accounts;
mod addresses;
mod agreement;
mod calls;
mod cost;
mod expressions;
mod family;
mod floats;
mod instructions;
mod leftovers;
mod limits;
mod overload;
mod paging;
mod places;
mod selection;
mod sites;
mod support;
mod waiting;
mod watch;
