//! The maps of traces: calls that are recorded line by line.

use std::io;
use std::os::fd::AsFd as _;

use aya::maps::MapData;
use tracer_common::limits::{MAX_CALLERS, MAX_SEEN, MAX_TAKEN};
use tracer_common::trace::{
    CallerFrame, CallerKey, SeenTarget, TakenCall, TakenKey, TraceControl, TraceState,
};

use super::bpf::{self, Insert};
use super::error::KernelError;
use super::load::object::Image;

/// A call of a followed function, in a function that is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracedCaller {
    /// Address that the call returns to, minus that of the called function.
    pub distance: u64,
    /// The order of the site at the first instruction of the called function.
    pub order: u32,
    /// The rule that computes the caller's frame there.
    pub frame: CallerFrame,
}

/// A call that is being recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenTracedCall {
    /// Its thread's id in the initial pid namespace.
    pub thread: u32,
    /// Its number among the calls of its probe, from 1.
    pub call: u64,
    /// Its steps so far.
    pub steps: u64,
}

/// The part of a trace that is not in its sites.
#[derive(Clone, Debug, Default)]
pub struct TraceRequest {
    /// Its limits.
    pub control: TraceControl,
    /// The calls of functions that it follows.
    pub callers: Vec<TracedCaller>,
}

/// The maps of traces.
#[derive(Debug)]
pub(super) struct TraceMaps {
    taken: MapData,
    callers: MapData,
    seen: MapData,
    control: MapData,
    state: MapData,
}

impl TraceMaps {
    /// Takes the maps out of the object.
    pub(super) fn take(object: &mut Image) -> Result<Self, KernelError> {
        Ok(Self {
            taken: object.take("TAKEN")?,
            callers: object.take("CALLERS")?,
            seen: object.take("SEEN")?,
            control: object.take("TRACE_CONTROL")?,
            state: object.take("TRACE_STATE")?,
        })
    }

    /// Sets the state of a trace to that of one without calls.
    pub(super) fn reset(&self, slot: u32) -> Result<(), KernelError> {
        self.forget(slot).map_err(write)?;
        self.set_state(slot, TraceState::default())
    }

    /// Sets the numbers of a trace's calls.
    pub(super) fn set_state(&self, slot: u32, state: TraceState) -> Result<(), KernelError> {
        bpf::update_array(self.state.fd().as_fd(), slot, &[state]).map_err(write)
    }

    /// The called addresses that recorded calls of a trace have computed.
    pub(super) fn seen(&self, slot: u32) -> Result<Vec<SeenTarget>, KernelError> {
        let mut seen = self
            .seen_of(slot)
            .map_err(|source| KernelError::call("read the called addresses of a trace", source))?;
        seen.sort_unstable();
        Ok(seen)
    }

    fn seen_of(&self, slot: u32) -> io::Result<Vec<SeenTarget>> {
        let mut seen: Vec<SeenTarget> = bpf::keys(self.seen.fd().as_fd(), MAX_SEEN)?;
        seen.retain(|key| key.probe == slot);
        Ok(seen)
    }

    /// Writes the limits and the callers of a trace.
    pub(super) fn write(&self, slot: u32, request: &TraceRequest) -> Result<(), KernelError> {
        let control = self.control.fd().as_fd();
        bpf::update_array(control, slot, &[request.control]).map_err(write)?;
        for caller in &request.callers {
            let key = CallerKey {
                distance: caller.distance,
                probe: slot,
                order: caller.order,
            };
            let callers = self.callers.fd().as_fd();
            bpf::insert(callers, &key, &caller.frame, Insert::Any).map_err(write)?;
        }
        Ok(())
    }

    /// The number of calls that a trace has taken, and that of those that have ended.
    pub(super) fn state(&self, slot: u32) -> Result<TraceState, KernelError> {
        bpf::read_array(self.state.fd().as_fd(), slot)
            .map_err(|source| KernelError::call("read the state of a trace", source))
    }

    /// Removes the calls that are being recorded, as if they had ended. The limits and the callers stay.
    pub(super) fn reset_calls(&self, slot: u32) -> Result<(), KernelError> {
        self.drop_calls(slot).map_err(write)?;
        let state = self.state(slot)?;
        let ended = TraceState {
            ended: state.taken,
            ..state
        };
        self.set_state(slot, ended)
    }

    /// Removes the calls that are being recorded. Those that go on are not recorded further.
    fn drop_calls(&self, slot: u32) -> io::Result<()> {
        let mut taken: Vec<TakenKey> = bpf::keys(self.taken.fd().as_fd(), MAX_TAKEN)?;
        taken.retain(|key| key.probe == slot);
        bpf::remove(self.taken.fd().as_fd(), &taken)
    }

    /// The calls that are being recorded, each with its thread's id in the initial pid namespace.
    pub(super) fn open_calls(&self, slot: u32) -> Result<Vec<OpenTracedCall>, KernelError> {
        let failed = |source| KernelError::call("read the recorded calls", source);
        let all: Vec<(TakenKey, TakenCall)> =
            bpf::entries(self.taken.fd().as_fd(), MAX_TAKEN).map_err(failed)?;
        let mut open = Vec::new();
        for (key, call) in all {
            if key.probe == slot {
                open.push(OpenTracedCall {
                    thread: key.thread,
                    call: call.call,
                    steps: call.steps,
                });
            }
        }
        Ok(open)
    }

    /// Ends the call of a thread that is gone.
    pub(super) fn end_call(&self, slot: u32, thread: u32) -> Result<(), KernelError> {
        let key = TakenKey {
            probe: slot,
            thread,
        };
        bpf::remove(self.taken.fd().as_fd(), &[key]).map_err(write)?;
        // No other call of the thread can end meanwhile. Another thread's end may be counted at the same time, so
        // the probe may stay a moment longer.
        let state = self.state(slot)?;
        let ended = TraceState {
            ended: state.ended + 1,
            ..state
        };
        self.set_state(slot, ended)
    }

    /// Removes all entries of a trace.
    pub(super) fn forget(&self, slot: u32) -> io::Result<()> {
        self.drop_calls(slot)?;
        let mut callers: Vec<CallerKey> = bpf::keys(self.callers.fd().as_fd(), MAX_CALLERS)?;
        callers.retain(|key| key.probe == slot);
        bpf::remove(self.callers.fd().as_fd(), &callers)?;
        bpf::remove(self.seen.fd().as_fd(), &self.seen_of(slot)?)
    }
}

fn write(source: io::Error) -> KernelError {
    KernelError::call("write a trace to the kernel", source)
}
