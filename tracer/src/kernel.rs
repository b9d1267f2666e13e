//! The kernel's side of a session: loads the eBPF programs, attaches sites,
//! drains the ring.
//!
//! Knows ops, sites and bytes; knows no types, no DWARF, no text. Everything that it makes
//! in the kernel hangs on file descriptors of this process, so nothing stays behind
//! however it ends.

mod bpf;
mod btf;
mod calibrate;
mod closing;
mod diagnostics;
mod error;
mod family;
mod features;
mod fetch;
mod guard;
mod load;
mod machine;
mod object;
mod perf;
mod programs;
mod ring;
mod room;
mod task;

pub use calibrate::TrapCost;
pub use error::KernelError;
pub use family::{Family, Member};
pub use features::{Feature, Features, MULTI_LINKS, kernel_release};
pub use load::{Forks, LoadOptions};
pub use machine::{Machine, Reserved, SiteCopy, SiteRequest, Tallies};
pub use ring::Ring;
