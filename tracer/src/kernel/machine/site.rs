//! Requests for sites.

use crate::base::address::RunAddr;
use crate::kernel::trigger::Trigger;
use crate::program::Program;

/// One trigger to attach to.
#[derive(Clone, Debug)]
pub struct SiteRequest {
    /// The event that is a hit.
    pub trigger: Trigger,
    /// The program of a hit.
    pub program: Program,
    /// Address of the site minus that of the probed instruction, in bytes.
    pub shift: i32,
    /// The test that a hit must pass for the program. `None` if the program serves every hit.
    pub only_if: Option<SiteTest>,
    /// Programs for hits in other copies of the file.
    pub copies: Vec<SiteCopy>,
    /// Attached to the target alone, even if the processes that it forks are followed.
    pub alone: bool,
    /// A span begins here, before the hits of other probes of the instruction.
    pub begins_span: bool,
}

/// A test that the kernel side makes at each hit, before the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteTest {
    /// The instruction is at this address of the process, as the program assumes. A hit anywhere else
    /// is a hit of a copy, or lost.
    At(RunAddr),
}

impl SiteTest {
    /// The address that the instruction must have.
    pub(super) const fn address(self) -> RunAddr {
        let Self::At(address) = self;
        address
    }
}

/// A site in another copy of its file in the process.
#[derive(Clone, Debug)]
pub struct SiteCopy {
    /// Its address in the process.
    pub address: RunAddr,
    /// The program of a hit.
    pub program: Program,
}
