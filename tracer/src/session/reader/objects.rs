//! Hits that find the object of a watch, or end the watch. They send no events to frontends.

use tracer_common::record::RecordHeader;
use tracer_common::watch::FRAME_WAS_LEFT;

use crate::arch::{RED_ZONE, STACK_POINTER};
use crate::base::address::RunAddr;
use crate::kernel::OwnerFrame;
use crate::plan::Decoded;
use crate::session::reader::site_table::{SiteEntry, WatchMark};
use crate::stack::{CapturedStack, PlacedModule, RawFrame, walk};
use crate::value::Value;

/// Frames that are searched for the owner of an object.
const MAX_FRAMES: usize = 64;
/// Size in bytes of a return address.
const WORD: u64 = 8;

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
    /// The function whose frame has the value, if it is on the thread's stack.
    pub(in crate::session) owner: Option<OwnerFrame>,
    /// Time of the hit in ns of `CLOCK_MONOTONIC`.
    pub(in crate::session) ktime_ns: u64,
}

/// The news that a record of such a site is. `None` if the value had no address there.
pub(super) fn news(
    mark: WatchMark,
    entry: &SiteEntry,
    header: &RecordHeader,
    record: &[u8],
    find: &dyn Fn(RunAddr) -> Option<PlacedModule>,
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
            owner: decoded
                .stack
                .as_ref()
                .and_then(|stack| owner(stack, address?, find)),
            ktime_ns: header.ktime_ns,
        })),
        WatchMark::Ends => Some(WatchNews::Ended {
            slot: entry.slot,
            pid: header.pid,
            address,
        }),
    }
}

/// The innermost function whose frame has an address: its caller's stack pointer is above it.
fn owner(
    stack: &CapturedStack,
    address: u64,
    find: &dyn Fn(RunAddr) -> Option<PlacedModule>,
) -> Option<OwnerFrame> {
    let lowest = stack_pointer(stack)?.saturating_sub(RED_ZONE.unsigned_abs());
    let walk = walk(stack, MAX_FRAMES, find);
    let mut callers = walk.frames.iter().skip(1);
    let above = |frame: &&RawFrame| {
        let stack_pointer = frame.registers.get(usize::from(STACK_POINTER));
        stack_pointer.is_some_and(|stack_pointer| stack_pointer > address)
    };
    let caller = callers.find(above).filter(|_| address >= lowest)?;
    let stack_pointer = caller.registers.get(usize::from(STACK_POINTER))?;
    (!caller.interrupted).then(|| OwnerFrame {
        slot: RunAddr(stack_pointer.wrapping_sub(WORD)),
        return_address: caller.address.0,
    })
}

fn address_of(decoded: &Decoded) -> Option<u64> {
    match decoded.values.first()?.value {
        Value::Uint(address) => u64::try_from(address).ok(),
        _ => None,
    }
}

/// Returns true if the object of an access is gone: its function was left, so its place belongs to something else.
pub(super) fn is_gone(entry: &SiteEntry, header: &RecordHeader, decoded: &Decoded) -> bool {
    let Some(object) = &entry.watch else {
        return false;
    };
    let is_marked = decoded
        .access
        .is_some_and(|access| access & FRAME_WAS_LEFT != 0);
    let own_stack = decoded
        .stack
        .as_ref()
        .filter(|_| object.stack_of == Some(header.tid));
    let is_below = own_stack.and_then(stack_pointer);
    is_marked || is_below.is_some_and(|stack_pointer| stack_pointer > object.watch.address.0)
}

/// The stack pointer among the registers of a hit.
pub(super) fn stack_pointer(stack: &CapturedStack) -> Option<u64> {
    *stack.registers.get(usize::from(STACK_POINTER))?
}
