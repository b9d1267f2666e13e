//! Fetches pages of the target, so that later hits find them in memory.
//!
//! A hit does not wait for a page. After a miss, a helper process reads one byte of the page, and
//! the kernel fetches it as for the target's own reads. The read may wait forever, so a process
//! does it and not a thread: a process that hangs in the kernel holds no descriptor of ours, and so
//! no probe. There is one helper per session. It only reads, asks only for pages that should not
//! hang ([`places`]), and ends with the tracer.

mod helper;
mod limits;
mod pager;
mod places;
mod recent;

use std::time::Duration;

pub(crate) use helper::run;
pub(crate) use pager::Pager;

/// Longest time that attaching waits for pages.
pub(crate) const WARMING: Duration = Duration::from_millis(limits::WARMING_MS);

/// Size of the smallest page in bytes.
const PAGE: u64 = 4096;

/// A range of memory of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryRange {
    /// First run address.
    pub(crate) address: u64,
    /// Length in bytes.
    pub(crate) length: u64,
}

/// A request to the helper.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
struct Request {
    /// First run address.
    address: u64,
    /// Length in bytes.
    length: u64,
    /// Answer to send when the request is done; 0 for no answer.
    token: u64,
    /// The process.
    process: u32,
    /// Time limit in milliseconds; 0 for none.
    most_ms: u32,
}

/// Size of a request in bytes.
const REQUEST: usize = size_of::<Request>();
/// Requests that one write sends as a whole (`PIPE_BUF`).
const BATCH: usize = 4096 / REQUEST;
const _: () = assert!(REQUEST == 32);
