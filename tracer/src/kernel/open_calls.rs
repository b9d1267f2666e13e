//! The calls that are open in the kernel: those that have begun, and whose end has not come.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use tracer_common::control::ProbeState;
use tracer_common::limits::{KEPT_BYTES, MAX_BEGUN_KEPT};
use tracer_common::timing::{Begun, BegunKey, TimeCounters, TimeState};

use super::bpf;

/// A beginning with its chunks, as the kernel side stores it.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct KeptCall {
    begun: Begun,
    chunks: [u64; KEPT_BYTES / 8],
}

/// An open call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCall {
    /// Time of its beginning, in ns of `CLOCK_MONOTONIC`.
    pub begun_ns: u64,
    /// The site at which it began.
    pub site: u32,
    /// Flags of the record's part from the beginning.
    pub flags: u32,
    /// Values that the plan keeps from its beginning.
    pub chunks: Vec<u8>,
}

/// Reads open calls. It has maps of its own, so it waits for nobody who changes probes.
#[derive(Debug)]
pub struct OpenCalls {
    pub(super) begun: OwnedFd,
    pub(super) begun_kept: OwnedFd,
    pub(super) time_state: OwnedFd,
    pub(super) state: OwnedFd,
    pub(super) times: OwnedFd,
    /// CPUs that the kernel keeps counters for.
    pub(super) cpus: usize,
}

impl OpenCalls {
    /// The call that is open under a key now. `None` if none is, or if a missed pass of the probe leaves
    /// open which call it is. `keeps` tells that calls of this probe keep values.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn find(&self, key: BegunKey, keeps: bool) -> io::Result<Option<OpenCall>> {
        let found = if keeps {
            let found = bpf::find::<_, KeptCall>(self.begun_kept.as_fd(), &key)?;
            found.map(|kept| (kept.begun, open_call(&kept)))
        } else {
            let found = bpf::find::<_, Begun>(self.begun.as_fd(), &key)?;
            found.map(|begun| {
                let kept = KeptCall {
                    begun: Begun { length: 0, ..begun },
                    chunks: [0; KEPT_BYTES / 8],
                };
                (begun, open_call(&kept))
            })
        };
        let Some((begun, call)) = found else {
            return Ok(None);
        };
        // Read after the entry: a pass that was missed since the entry was made has changed it.
        Ok((self.generation(key.probe)? == begun.generation).then_some(call))
    }

    /// All open calls that keep values.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn all_kept(&self) -> io::Result<Vec<(BegunKey, OpenCall)>> {
        let all: Vec<(BegunKey, KeptCall)> = bpf::entries(self.begun_kept.as_fd(), MAX_BEGUN_KEPT)?;
        let mut open = Vec::new();
        for (key, kept) in &all {
            if self.generation(key.probe)? == kept.begun.generation {
                open.push((*key, open_call(kept)));
            }
        }
        Ok(open)
    }

    /// The number of calls of a probe so far that may have been open without a trace: their records were
    /// lost, they found no room, or they were left without their end.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn missed(&self, probe: u32) -> io::Result<u64> {
        let state = bpf::read_array::<ProbeState>(self.state.as_fd(), probe)?;
        let times = bpf::read_cpus::<TimeCounters>(self.times.as_fd(), probe, self.cpus)?;
        let missed = times
            .iter()
            .map(|times| times.unfinished + times.uncertain + times.lost + times.full);
        Ok(state.lost + missed.sum::<u64>())
    }

    fn generation(&self, probe: u32) -> io::Result<u64> {
        bpf::read_array::<TimeState>(self.time_state.as_fd(), probe).map(|state| state.generation)
    }
}

fn open_call(kept: &KeptCall) -> OpenCall {
    let bytes: &[u8] = bytemuck::cast_slice(&kept.chunks);
    let length = usize::try_from(kept.begun.length).unwrap_or(0);
    OpenCall {
        begun_ns: kept.begun.time_ns,
        site: kept.begun.site,
        flags: kept.begun.flags,
        chunks: bytes.get(..length).unwrap_or(bytes).to_vec(),
    }
}
