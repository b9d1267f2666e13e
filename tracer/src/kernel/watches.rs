//! Watchpoints: perf events of the processor's debug registers, and the maps that name their values.
//!
//! Each thread of a process has four debug registers on x86-64. The kernel reserves them when an event is made, so an
//! event that is made never waits for a register. Threads that a watched thread starts inherit its events, and forked
//! processes do not.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya::maps::MapData;
use aya_obj::generated::{perf_event_attr, perf_type_id};
use tracer_common::watch::{MAX_WATCHED_BYTES, WatchKey, WatchedValue};

use super::bpf::{self, Insert};
use super::error::KernelError;
use super::load::object::Image;
use super::perf;
use super::trigger::{WatchOn, WatchedMemory};

/// `HW_BREAKPOINT_W` and `HW_BREAKPOINT_RW` of the kernel.
const WRITES: u32 = 2;
const READS_AND_WRITES: u32 = 3;
/// Times that the list of threads is read. A thread that starts while the list is read has the events of the thread
/// that has started it, unless that one was not reached yet.
const LOOKS: usize = 64;

/// The maps of watched values.
#[derive(Debug)]
pub(super) struct WatchMaps {
    watchpoints: MapData,
    watched: MapData,
}

impl WatchMaps {
    /// Takes the maps out of the object.
    pub(super) fn take(object: &mut Image) -> Result<Self, KernelError> {
        Ok(Self {
            watchpoints: object.take("WATCHPOINTS")?,
            watched: object.take("WATCHED")?,
        })
    }

    /// Names the value of each breakpoint of a watch, so that its accesses become hits of the site.
    ///
    /// # Errors
    /// Another probe watches one of the addresses, or the kernel refused.
    pub(super) fn name(
        &self,
        watch: &WatchedMemory,
        index: u32,
        cookie: u32,
    ) -> Result<(), KernelError> {
        let value = WatchedValue {
            address: watch.address.0,
            size: watch.size,
            cookie,
            return_slot: watch.owner.map_or(0, |owner| owner.slot.0),
            return_address: watch.owner.map_or(0, |owner| owner.return_address),
            ..WatchedValue::default()
        };
        bpf::update_array(self.watched.fd().as_fd(), index, &[value]).map_err(write)?;
        for (done, key) in keys(watch).into_iter().enumerate() {
            let inserted = bpf::insert(self.watchpoints.fd().as_fd(), &key, &index, Insert::New);
            if let Err(source) = inserted {
                let mine: Vec<WatchKey> = keys(watch).into_iter().take(done).collect();
                let removed = bpf::remove(self.watchpoints.fd().as_fd(), &mine);
                removed.map_err(write)?;
                return Err(match source.raw_os_error() {
                    Some(libc::EEXIST) => KernelError::Watched {
                        address: watch.address,
                    },
                    _ => write(source),
                });
            }
        }
        Ok(())
    }

    /// From now on, accesses to the value are not hits.
    pub(super) fn forget(&self, watch: &WatchedMemory) -> Result<(), KernelError> {
        bpf::remove(self.watchpoints.fd().as_fd(), &keys(watch)).map_err(write)
    }

    /// Sets the value that the next access replaces, unless an access was seen before.
    pub(super) fn set_last(&self, index: u32, words: [u64; 4]) -> Result<(), KernelError> {
        let watched = self.watched.fd().as_fd();
        let read = |source| KernelError::call("read a watched value", source);
        let value: WatchedValue = bpf::read_array(watched, index).map_err(read)?;
        if value.is_known != 0 {
            return Ok(());
        }
        let value = WatchedValue {
            last: words,
            is_known: 1,
            ..value
        };
        bpf::update_array(watched, index, &[value]).map_err(write)
    }
}

fn write(source: io::Error) -> KernelError {
    KernelError::call("write a watched value to the kernel", source)
}

/// The keys of the breakpoints of a watch.
fn keys(watch: &WatchedMemory) -> Vec<WatchKey> {
    let key = |part: WatchPoint| WatchKey {
        address: part.address,
        pid: watch.pid,
        padding: 0,
    };
    parts(watch.address.0, watch.size)
        .into_iter()
        .map(key)
        .collect()
}

/// The bytes of one breakpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WatchPoint {
    address: u64,
    length: u32,
}

/// The breakpoints of a value: each covers 1, 2, 4 or 8 bytes at a multiple of its size.
fn parts(address: u64, size: u32) -> Vec<WatchPoint> {
    let (mut at, mut left) = (address, u64::from(size));
    let mut parts = Vec::new();
    while left > 0 {
        let aligned = 1_u64 << at.trailing_zeros().min(3);
        let fits = 1_u64 << left.ilog2();
        let length = aligned.min(fits);
        parts.push(WatchPoint {
            address: at,
            length: u32::try_from(length).unwrap_or(8),
        });
        at = at.wrapping_add(length);
        left -= length;
    }
    parts
}

/// Has a program run at each access of the threads of a process. Returns the links.
///
/// # Errors
/// A thread has no free debug register, or the kernel refused.
pub(super) fn link(
    program: BorrowedFd<'_>,
    watch: &WatchedMemory,
) -> Result<Vec<OwnedFd>, KernelError> {
    debug_assert!(watch.size as usize <= MAX_WATCHED_BYTES);
    let mut links = Vec::new();
    let mut done = BTreeSet::new();
    for _ in 0..LOOKS {
        let mut is_complete = true;
        for thread in threads(watch)? {
            if done.insert(thread) {
                is_complete = false;
                links.extend(link_thread(program, watch, thread)?);
            }
        }
        if is_complete {
            return Ok(links);
        }
    }
    Err(KernelError::Watch {
        address: watch.address,
        source: io::Error::other("the process starts threads faster than they can be watched"),
    })
}

/// The threads of the process that are to be watched.
fn threads(watch: &WatchedMemory) -> Result<Vec<u32>, KernelError> {
    if let Some(thread) = watch.thread {
        return Ok(vec![thread]);
    }
    let failed = |source| KernelError::Watch {
        address: watch.address,
        source,
    };
    let tasks = match fs::read_dir(format!("/proc/{}/task", watch.pid)) {
        Ok(tasks) => tasks,
        // The process has ended.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut threads = Vec::new();
    for task in tasks {
        let name = task.map_err(failed)?.file_name();
        threads.extend(name.to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(threads)
}

/// Makes the events of one thread. A thread that has ended has none.
fn link_thread(
    program: BorrowedFd<'_>,
    watch: &WatchedMemory,
    thread: u32,
) -> Result<Vec<OwnedFd>, KernelError> {
    let mut links = Vec::new();
    for part in parts(watch.address.0, watch.size) {
        let link = open(thread, part, watch.on)
            .and_then(|event| bpf::link_event(program, event.as_fd(), 0));
        match link {
            Ok(link) => links.push(link),
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(Vec::new()),
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
                return Err(KernelError::NoWatchpoint {
                    address: watch.address,
                    needed: parts(watch.address.0, watch.size).len(),
                });
            }
            Err(source) => {
                return Err(KernelError::Watch {
                    address: watch.address,
                    source,
                });
            }
        }
    }
    Ok(links)
}

/// Makes an event for accesses of a thread, and of the threads that it starts, to some bytes.
fn open(thread: u32, part: WatchPoint, on: WatchOn) -> io::Result<OwnedFd> {
    #[expect(unsafe_code, reason = "a struct of plain numbers")]
    // SAFETY: all zeroes are a value of it.
    let mut event: perf_event_attr = unsafe { mem::zeroed() };
    event.type_ = perf_type_id::PERF_TYPE_BREAKPOINT as u32;
    event.size = u32::try_from(size_of::<perf_event_attr>()).map_err(io::Error::other)?;
    event.bp_type = match on {
        WatchOn::Write => WRITES,
        WatchOn::Any => READS_AND_WRITES,
    };
    event.__bindgen_anon_3.bp_addr = part.address;
    event.__bindgen_anon_4.bp_len = u64::from(part.length);
    event.__bindgen_anon_1.sample_period = 1;
    event.set_inherit(1);
    event.set_inherit_thread(1);
    // The address means something else in another program.
    event.set_remove_on_exec(1);
    let thread = i32::try_from(thread).map_err(io::Error::other)?;
    #[expect(
        unsafe_code,
        reason = "attributes can hold addresses that the kernel reads"
    )]
    // SAFETY: the attributes are whole. The kernel does not read the watched address from them.
    unsafe {
        perf::open(&event, thread, -1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: u64, size: u32) -> Vec<(u64, u32)> {
        let parts = parts(address, size).into_iter();
        parts.map(|part| (part.address, part.length)).collect()
    }

    #[test]
    fn a_value_is_covered_by_aligned_breakpoints() {
        assert_eq!(of(0x1000, 4), [(0x1000, 4)]);
        assert_eq!(of(0x1001, 3), [(0x1001, 1), (0x1002, 2)]);
        assert_eq!(of(0x1004, 8), [(0x1004, 4), (0x1008, 4)]);
        assert_eq!(of(0x1000, 24), [(0x1000, 8), (0x1008, 8), (0x1010, 8)]);
        let all = (0..16).flat_map(|at| (1..=32).map(move |size| (0x1000 + at, size)));
        for (address, size) in all {
            let mut at = address;
            for (begin, length) in of(address, size) {
                assert_eq!((begin, begin % u64::from(length)), (at, 0));
                at += u64::from(length);
            }
            assert_eq!(at, address + u64::from(size));
        }
    }
}
