//! The ring that records come through.

use std::os::fd::{AsFd, BorrowedFd};

use aya::maps::{MapData, RingBuf};
use tracer_common::record::Miss;

use super::load::diagnostics::Diagnostics;

/// The most records of one drain, so that a flood does not block its caller.
const MAX_DRAIN: usize = 1 << 16;

/// The reader's end of the ring. Waiting is the caller's: see [`Ring::as_fd`].
pub struct Ring {
    records: RingBuf<MapData>,
    misses: RingBuf<MapData>,
    log: Option<Diagnostics>,
}

impl Ring {
    pub(super) fn new(
        records: RingBuf<MapData>,
        misses: RingBuf<MapData>,
        log: Option<Diagnostics>,
    ) -> Self {
        Self {
            records,
            misses,
            log,
        }
    }

    /// The next read that failed because a page was not in memory. Misses without space are not
    /// kept.
    pub fn next_miss(&mut self) -> Option<Miss> {
        let bytes = self.misses.next()?;
        bytemuck::try_pod_read_unaligned(&bytes).ok()
    }

    /// Hands each waiting record to `keep`, oldest first, and frees its space; at most 65,536
    /// records. Returns true if the ring is empty. Messages of the kernel side are written to the
    /// log.
    pub fn drain(&mut self, mut keep: impl FnMut(&[u8])) -> bool {
        if let Some(log) = &mut self.log {
            log.flush();
        }
        for _ in 0..MAX_DRAIN {
            let Some(record) = self.records.next() else {
                return true;
            };
            keep(&record);
        }
        false
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").finish_non_exhaustive()
    }
}

impl AsFd for Ring {
    /// Readable while there are records. An edge comes only when the ring fills past its mark.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.records.as_fd()
    }
}
