//! The processes that a session probes, as frontends see them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Names a target of a session; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TargetId(pub u32);

/// The way in which a process became a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetOrigin {
    /// The user chose it.
    Chosen,
    /// It matches what the user selected.
    Matched,
    /// A target forked it.
    Forked {
        /// The process id of that target, as seen from our own pid namespace.
        parent: u32,
    },
}

/// A process that the session probes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetStatus {
    /// Its id in the session.
    pub id: TargetId,
    /// Its process id, as seen from our own pid namespace.
    pub pid: u32,
    /// The way in which it became one.
    pub origin: TargetOrigin,
    /// File name of the program that it ran when it became one, which is hostile text.
    pub program: Arc<str>,
}
