//! Accesses to watched values.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The part of an event that is an access to a watched value. The event's function and line are those of the code
/// that made the access.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The kind of the access, as far as the instruction tells.
    pub kind: AccessKind,
    /// Run address of the value.
    pub address: u64,
    /// Run address of the instruction that made the access. For an access of the kernel in a system call, the
    /// instruction that has called it.
    pub code: u64,
    /// The instruction, in assembly language. `None` if its code is in no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instruction: Option<String>,
    /// The kernel made the access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_kernel: Option<KernelAccess>,
    /// The instruction is not certain: the access was made by it or by one that leads to it. Here is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertain: Option<String>,
}

/// The kind of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessKind {
    /// The value was written, perhaps with what it was before.
    Write,
    /// The value was read.
    Read,
    /// The value was read and written.
    Update,
    /// The instruction does not tell.
    Unknown,
}

/// An access that the kernel made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelAccess {
    /// Number of the system call. `None` outside of one, as when a signal is delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_call: Option<u32>,
    /// Name of the system call, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl AccessKind {
    /// Its name, as all outputs have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Read => "read",
            Self::Update => "update",
            Self::Unknown => "unknown",
        }
    }
}

impl KernelAccess {
    /// The system call by its name, or by its number if the name is not known. `None` outside of one.
    #[must_use]
    pub fn call(&self) -> Option<Cow<'_, str>> {
        match (&self.name, self.system_call) {
            (Some(name), _) => Some(name.into()),
            (None, number) => number.map(|number| number.to_string().into()),
        }
    }
}

impl fmt::Display for KernelAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.system_call) {
            (Some(name), _) => write!(f, "the kernel, in the system call `{name}`"),
            (None, Some(number)) => write!(f, "the kernel, in system call {number}"),
            (None, None) => f.write_str("the kernel, outside of a system call"),
        }
    }
}

impl Access {
    /// Bytes that its texts take.
    pub(super) fn weight(&self) -> usize {
        let name = self
            .by_kernel
            .as_ref()
            .and_then(|kernel| kernel.name.as_ref());
        let texts = [self.instruction.as_ref(), self.uncertain.as_ref(), name];
        texts.into_iter().flatten().map(String::capacity).sum()
    }
}
