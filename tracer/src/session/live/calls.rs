//! Calls that traces record: those that end without a return, and those that are followed once they were seen.

use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use tracer_common::limits::MAX_TAKEN;
use tracer_common::trace::SeenTarget;

use super::planner::{CoveredCalls, MoreCalls};
use super::{ExecutableId, Live, Placement};
use crate::actions::ActionSites;
use crate::base::address::LinkAddr;
use crate::event::{ProbeId, grouped};
use crate::kernel::{Machine, OpenTracedCall};
use crate::session::locks::lock;
use crate::session::probes::{Probe, ProbeMap, Stage};
use crate::session::sites::traced::{SeenCall, TraceAddr, TracedCode};

/// Inode of the initial pid namespace, `PROC_PID_INIT_INO` in the kernel's sources.
const INITIAL_PID_NAMESPACE: u64 = 0xEFFF_FFFC;
/// Calls that one trace records beyond `hits`, because calls before them lack functions that were not followed yet.
const MAX_EXTRA_CALLS: u64 = 8;

/// The code of a trace in one executable.
pub(super) struct PartTrace {
    executable: ExecutableId,
    code: Arc<TracedCode>,
    /// Calls that were seen and are not looked at yet.
    unplanned: Vec<SeenCall>,
}

impl PartTrace {
    pub(super) const fn of(executable: ExecutableId, code: Arc<TracedCode>) -> Self {
        Self {
            executable,
            code,
            unplanned: Vec::new(),
        }
    }
}

impl Placement {
    /// Calls of an executable that the trace is to follow.
    pub(super) fn more_calls(&self, executable: ExecutableId) -> Option<MoreCalls> {
        let mut traces = self.traces.iter();
        let trace = traces.find(|trace| trace.executable == executable)?;
        (!trace.unplanned.is_empty()).then(|| MoreCalls {
            code: Arc::clone(&trace.code),
            seen: trace.unplanned.clone(),
        })
    }

    /// Returns true if the trace is to follow more calls.
    pub(super) fn has_more_calls(&self) -> bool {
        self.traces.iter().any(|trace| !trace.unplanned.is_empty())
    }

    /// A plan for these calls was made.
    pub(super) fn are_planned(&mut self, covered: &[CoveredCalls]) {
        for covered in covered {
            let mut traces = self.traces.iter_mut();
            if let Some(trace) = traces.find(|trace| trace.executable == covered.executable) {
                let count = covered.count.min(trace.unplanned.len());
                trace.unplanned.drain(..count);
            }
        }
    }

    /// No plan could be made.
    pub(super) fn none_are_planned(&mut self) {
        for trace in &mut self.traces {
            trace.unplanned.clear();
        }
    }

    /// The trace has sites in more code.
    pub(super) fn traces_now(&mut self, now: Option<PartTrace>) {
        let Some(now) = now else {
            return;
        };
        let mut traces = self.traces.iter_mut();
        match traces.find(|trace| trace.executable == now.executable) {
            Some(trace) => trace.code = now.code,
            None => self.traces.push(now),
        }
    }

    /// The trace of the part that has a site with this cookie, and the address in it of a link address of the part's
    /// module.
    fn trace_of(&mut self, cookie: u32, address: LinkAddr) -> Option<(&mut PartTrace, TraceAddr)> {
        let index = self.cookies.iter().position(|&own| own == cookie)?;
        let mut parts = self.parts.iter();
        let part = parts.find(|part| part.cookies.contains(&index))?;
        let mut traces = self.traces.iter_mut();
        let trace = traces.find(|trace| trace.executable == part.executable)?;
        let address = trace.code.modules.of_target(&part.module)?.trace(address);
        Some((trace, address))
    }
}

impl Live {
    /// Ends the recorded calls that are over and cannot tell: those of threads that are gone, and those of processes
    /// that have executed another program. Takes note of functions that calls of computed addresses have called.
    /// Returns true if the trace goes on though its last call was taken.
    pub(super) fn records_calls(
        &self,
        probe: &mut Probe<Placement>,
        machine: &Machine,
        executed: &[u32],
    ) -> bool {
        if probe.spec.action.kind().sites() != ActionSites::Calls || probe.done.is_some() {
            return false;
        }
        let Stage::Attached(placement) = &mut probe.stage else {
            return false;
        };
        let slot = placement.slot;
        let state = machine.trace_state(slot);
        // Read before the addresses: a call that ends meanwhile may have called more, and the next look finds them.
        let goes_on = state.is_ok_and(|state| state.ended < state.taken);
        if probe.spec.options.depth.is_some_and(|depth| depth > 0) {
            self.take_seen(placement, machine);
        }
        if !goes_on {
            return placement.has_more_calls();
        }
        let open = machine.open_traced_calls(slot).unwrap_or_default();
        let why = |call: &OpenTracedCall| {
            if executed.contains(&call.thread) {
                Some("its process has executed another program")
            } else {
                is_gone(call.thread).then_some("its thread is gone")
            }
        };
        let over = open
            .into_iter()
            .filter_map(|call| Some((why(&call)?, call)));
        let ended: Vec<(&str, OpenTracedCall)> = over
            .filter(|(_, call)| machine.end_traced_call(slot, call.thread).is_ok())
            .collect();
        if let [(why, first), others @ ..] = ended.as_slice() {
            let more = match others.len() {
                0 => String::new(),
                more => format!(", and so did {more} others"),
            };
            self.shared.warn(format!(
                "{}: call {} ended without a return after step {}{more}: {why}",
                probe.name, first.call, first.steps
            ));
        }
        // If no call is left, the next look finds that.
        true
    }

    /// Reads the called addresses that recorded calls have computed.
    fn take_seen(&self, placement: &mut Placement, machine: &Machine) {
        // If the kernel does not answer, the next look finds them.
        let all = machine.seen_targets(placement.slot).unwrap_or_default();
        for seen in all {
            if !placement.seen.insert(seen) {
                continue;
            }
            let sites = self.shared.sites();
            let Some(from) = sites.get(seen.site).map(|entry| entry.origin.address) else {
                continue;
            };
            drop(sites);
            let SeenTarget { distance, site, .. } = seen;
            if let Some((trace, from)) = placement.trace_of(site, LinkAddr(from)) {
                let target = TraceAddr(from.0.wrapping_add(distance));
                trace.unplanned.push(SeenCall { from, target });
            }
        }
    }

    /// A trace has sites in functions that it did not follow before. Has one more call recorded, in place of the one
    /// that lacks them.
    pub(super) fn follows_more(&self, name: &str, placement: &mut Placement) {
        if placement.control.hit_budget == 0 || placement.extra_calls >= MAX_EXTRA_CALLS {
            return;
        }
        placement.extra_calls += 1;
        placement.control.hit_budget += 1;
        let changed = lock(&self.machine).set_control(placement.slot, &placement.control);
        if let Err(error) = changed {
            let error = crate::base::causes::chain(&error);
            self.shared
                .warn(format!("{name}: no further call is recorded: {error}"));
        }
    }

    /// Tells of recorded calls that have no last step, at the end of the session.
    pub(super) fn tell_open_calls(&self, probes: &ProbeMap<Placement>, machine: &Machine) {
        for probe in probes.iter() {
            let is_trace = probe.spec.action.kind().sites() == ActionSites::Calls;
            let placement = probe.placement().filter(|_| is_trace);
            let state = placement.and_then(|placement| machine.trace_state(placement.slot).ok());
            let open = state.map_or(0, |state| state.taken.saturating_sub(state.ended));
            if open > 0 {
                self.shared.warn(format!(
                    "{}: calls left or still running: {open}",
                    probe.name
                ));
            }
        }
    }

    /// Number of the last call that a probe has recorded in earlier programs of its target.
    pub(super) fn last_call(&self, probe: ProbeId) -> u64 {
        self.last_calls.get(&probe).copied().unwrap_or_default()
    }
}

/// Number of the last call that a trace has taken.
pub(super) fn last_call(machine: &Machine, placement: &Placement) -> Option<u64> {
    if placement.traces.is_empty() {
        return None;
    }
    let state = machine.trace_state(placement.slot).ok()?;
    Some(state.taken)
}

/// Returns true if a thread has surely ended, by its id in the initial pid namespace.
fn is_gone(thread: u32) -> bool {
    let is_initial = std::fs::metadata("/proc/self/ns/pid")
        .is_ok_and(|meta| meta.ino() == INITIAL_PID_NAMESPACE);
    is_initial && !std::path::Path::new(&format!("/proc/{thread}")).exists()
}

/// The warning that calls of a trace are lost, because too many others are being recorded.
pub(super) fn newly_full(probe: &mut Probe<Placement>, machine: &Machine) -> Option<String> {
    let is_trace = probe.spec.action.kind().sites() == ActionSites::Calls;
    let Stage::Attached(placement) = &mut probe.stage else {
        return None;
    };
    if !is_trace || placement.told_full {
        return None;
    }
    let lost = machine.trace_state(placement.slot).ok()?.full;
    placement.told_full = lost > 0;
    (lost > 0).then(|| {
        format!(
            "{}: calls are lost, because {} others are being recorded at the same time",
            probe.name,
            grouped(MAX_TAKEN.into())
        )
    })
}
