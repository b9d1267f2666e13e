//! Brings pages of the target in, so that later hits find them in memory.
//!
//! A hit does not wait for a page. When it has missed one, a helper process reads one byte of it,
//! and the kernel fetches the page as it does for the target's own reads. The read may wait for ever, so
//! it is done by a process and not by a thread: a process that hangs in the kernel holds no
//! descriptor of ours, and so no probe. There is one helper for each session. It only reads, asks for
//! nothing that could hang as far as can be told ([`places`]), and ends with the tracer.

mod helper;
mod limits;
mod pager;
mod places;
mod recent;

use std::time::Duration;

pub(crate) use helper::run;
pub(crate) use pager::Pager;

/// How long attaching waits for pages at most.
pub(crate) const WARMING: Duration = Duration::from_millis(limits::WARMING_MS);

/// Bytes of the smallest page.
const PAGE: u64 = 4096;

/// Some memory of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryRange {
    /// First run address.
    pub(crate) address: u64,
    /// Bytes.
    pub(crate) length: u64,
}

/// What the helper is asked for.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
struct Request {
    /// First run address.
    address: u64,
    /// Bytes.
    length: u64,
    /// What is answered when it is done; 0: nothing.
    token: u64,
    /// Whose memory.
    process: u32,
    /// Milliseconds that it may take; 0: any time.
    most_ms: u32,
}

/// Bytes of a request.
const REQUEST: usize = size_of::<Request>();
/// Requests that are sent in one piece (`PIPE_BUF`).
const BATCH: usize = 4096 / REQUEST;
const _: () = assert!(REQUEST == 32);
