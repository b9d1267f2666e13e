//! Options of the loader.

use tracer_common::selection::{FAMILY, RULES, SelectionSettings};

use super::selection::rules::RuleKinds;

/// Options of the loader.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions {
    /// Size of the ring in bytes, rounded to a power of two and at least a page; 0 for the default,
    /// 16 MiB.
    pub ring_bytes: u32,
    /// Attach by perf events even if the kernel has multi-uprobe links.
    pub perf_events: bool,
    /// Processes whose hits count.
    pub processes: Processes,
    /// Accounts of the hits of each process that there is room for, at most
    /// [`MAX_ACCOUNTS`](tracer_common::limits::MAX_ACCOUNTS). 0 for none: then no hit has to be counted
    /// twice.
    pub accounts: u32,
    /// Probes of any kind may come later, so verifying their programs starts now.
    pub more_probes: bool,
}

/// Processes whose hits count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Processes {
    /// The process that a probe is attached to.
    #[default]
    One,
    /// A target and the processes that it forks.
    Family(Forks),
    /// The processes that match rules of all these kinds, now and later. Sites are attached in all processes
    /// that run the file, and each hit checks its process.
    Selected(RuleKinds),
}

impl Processes {
    /// The kernel reports changes of the processes.
    #[must_use]
    pub const fn are_reported(self) -> bool {
        match self {
            Self::One => false,
            Self::Family(forks) => forks.are_told(),
            Self::Selected(_) => true,
        }
    }

    /// Sites are attached in all processes that run their file, and each hit checks its process.
    #[must_use]
    pub const fn are_checked(self) -> bool {
        matches!(self, Self::Family(Forks::Exact) | Self::Selected(_))
    }

    /// Choice for the programs.
    pub(super) const fn settings(self) -> SelectionSettings {
        match self {
            Self::One | Self::Family(_) => SelectionSettings {
                mode: FAMILY,
                kinds: 0,
            },
            Self::Selected(kinds) => SelectionSettings {
                mode: RULES,
                kinds: kinds.bits(),
            },
        }
    }
}

/// Handling of the processes that the target forks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forks {
    /// They are not followed.
    #[default]
    Left,
    /// The kernel reports them, and they are attached a moment after their start.
    Told,
    /// The kernel reports them, and they are probed from their first instruction on: sites are
    /// attached in all processes that run the file, and each hit checks its process.
    Exact,
}

impl Forks {
    /// The kernel reports forks.
    #[must_use]
    pub const fn are_told(self) -> bool {
        !matches!(self, Self::Left)
    }
}
