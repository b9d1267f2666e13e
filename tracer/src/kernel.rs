//! The kernel's side of a session: loads the eBPF programs, attaches sites,
//! drains the ring.
//!
//! Knows ops, sites and bytes; knows no types, no DWARF, no text. Everything that it makes
//! in the kernel hangs on file descriptors of this process, so nothing stays behind
//! however it ends.

mod bpf;
mod btf;
mod calibrate;
mod error;
mod features;
mod load;
mod machine;
mod maps;
mod open_calls;
mod options;
mod perf;
mod places;
mod ring;
mod selection;
mod traces;
mod trigger;
mod watches;

pub use calibrate::TrapCost;
pub use error::KernelError;
pub use features::release::{MULTI_LINKS, kernel_release};
pub use features::{Feature, Features};
pub use machine::{Machine, Reserved, SiteCopy, SiteRequest, SiteTest};
pub use maps::Tallies;
pub use open_calls::{OpenCall, OpenCalls};
pub use options::{Forks, LoadOptions, Processes};
pub use places::PlaceMaps;
pub use ring::Ring;
pub use selection::{
    FamilyMember, MemberOrigin, MissedMembers, NameRule, ProcessSelection, RuleKinds, SelectionRule,
};
pub use traces::{OpenTracedCall, TraceRequest, TracedCaller};
pub use trigger::{OwnerFrame, Trigger, Uprobe, WatchOn, WatchedMemory};
