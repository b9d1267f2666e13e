//! Hits that find the object of a watch, or end the watch. They are no events.

use tracer_common::record::RecordHeader;

use crate::arch::STACK_POINTER;
use crate::plan::Decoded;
use crate::session::reader::site_table::SiteEntry;
use crate::value::Value;

/// The part of a site in a watch whose object is found at a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum WatchMark {
    /// A hit finds the object.
    Finds,
    /// A hit ends the watch, if it is of that object.
    Ends,
}

/// News for the owner of the session about a watch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WatchNews {
    /// A hit has found the object.
    Found(FoundObject),
    /// A hit came to the place at which a watch ends.
    Ended {
        /// The probe's index of these sites.
        slot: u32,
        pid: u32,
        /// Address of the value there. `None` if the value is not known there: any object is meant.
        address: Option<u64>,
    },
    /// The function whose frame has the object was left.
    Left {
        /// The probe's index.
        slot: u32,
    },
}

/// An object that a hit has found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoundObject {
    /// The probe's index of these sites.
    pub(in crate::session) slot: u32,
    /// The site.
    pub(in crate::session) cookie: u32,
    pub(in crate::session) pid: u32,
    pub(in crate::session) tid: u32,
    /// Address of the value.
    pub(in crate::session) address: u64,
    /// The thread's stack pointer.
    pub(in crate::session) stack_pointer: Option<u64>,
    /// Time of the hit in ns of `CLOCK_MONOTONIC`.
    pub(in crate::session) ktime_ns: u64,
}

/// The news that a record of such a site is. `None` if the value had no address there.
pub(super) fn news(
    mark: WatchMark,
    entry: &SiteEntry,
    header: &RecordHeader,
    record: &[u8],
) -> Option<WatchNews> {
    let decoded = entry.layout.decode(record).ok()?;
    let address = address_of(&decoded);
    match mark {
        WatchMark::Finds => Some(WatchNews::Found(FoundObject {
            slot: entry.slot,
            cookie: header.site,
            pid: header.pid,
            tid: header.tid,
            address: address?,
            stack_pointer: decoded.stack.as_ref().and_then(stack_pointer),
            ktime_ns: header.ktime_ns,
        })),
        WatchMark::Ends => Some(WatchNews::Ended {
            slot: entry.slot,
            pid: header.pid,
            address,
        }),
    }
}

fn address_of(decoded: &Decoded) -> Option<u64> {
    match decoded.values.first()?.value {
        Value::Uint(address) => u64::try_from(address).ok(),
        _ => None,
    }
}

/// The stack pointer among the registers of a hit.
pub(super) fn stack_pointer(stack: &crate::stack::CapturedStack) -> Option<u64> {
    *stack.registers.get(usize::from(STACK_POINTER))?
}
