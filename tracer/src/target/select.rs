//! Selectors: the processes that a user means, now and later.
//!
//! A [`Selector`] holds what the user wrote. [`Selector::resolve`] looks it up on this machine and
//! gives a [`Selection`], which knows files, cgroups and users, and matches processes. All of it comes
//! from files: `/proc`, the mounted cgroup hierarchies, and the state files of container runtimes.
//! Nobody is asked over a socket. Names, paths and state files of others are untrusted.

mod cgroup;
mod cgroup_tree;
mod container;
mod executable;
mod facts;
mod inode;
pub(crate) mod limits;
mod name;
mod proc_files;
mod reports;
mod selection;
mod selector;
mod unit;

pub use cgroup::{CgroupDirectory, CgroupHierarchy, CgroupMembership};
pub use cgroup_tree::CgroupWatch;
pub use container::{
    ContainerRecord, ContainerRuntime, KnownContainers, PodName, container_id, pod_uid,
};
pub use facts::{ExecutableFacts, ProcessFacts, is_stopped};
pub use inode::InodeId;
pub use name::NameGlob;
pub use reports::{MatchReport, WaitReport};
pub use selection::Selection;
pub use selector::{Selector, SelectorKind};
pub use unit::service_unit;

#[cfg(test)]
mod tests;
