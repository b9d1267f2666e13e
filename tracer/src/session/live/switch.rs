//! Probes that are silenced, and woken again.

use std::time::Instant;

use tracer_common::control::ProbeControl;

use super::attach::no_beginnings;
use super::{Live, Placement};
use crate::actions::ActionSites;
use crate::base::causes::chain;
use crate::kernel::{KernelError, Machine};
use crate::session::actor::Backend as _;
use crate::session::live::budget;
use crate::session::live::limits::limits;
use crate::session::locks::lock;
use crate::session::probes::{Probe, Stage};

/// Most sites whose failures are named one by one.
const MAX_NAMED_FAILURES: usize = 3;

impl Live {
    /// Silences a probe and detaches its sites, or attaches them again.
    pub(super) fn switch_sites(&self, probe: &mut Probe<Placement>, enabled: bool) {
        let mut machine = lock(&self.machine);
        let limits = match renewed(probe, &mut machine) {
            Ok(limits) => limits,
            Err(error) => {
                self.warn(format!("{}: {}", probe.name, chain(&error)));
                return;
            }
        };
        let control = ProbeControl {
            enabled: u32::from(enabled),
            ..limits
        };
        if enabled && !self.reattach(&mut machine, probe, &control) {
            return;
        }
        let Stage::Attached(placement) = &mut probe.stage else {
            return;
        };
        placement.control = control;
        probe.enabled = enabled;
        if enabled {
            placement.attached_at.get_or_insert_with(Instant::now);
            probe.done = None;
            probe.notes.retain(|note| !budget::is_note(note));
        } else {
            machine.silence(placement.slot);
            placement.is_taken_out();
        }
    }

    /// Attaches a probe's sites again. Returns false, and reports it, if the probe stays silent.
    fn reattach(
        &self,
        machine: &mut Machine,
        probe: &Probe<Placement>,
        control: &ProbeControl,
    ) -> bool {
        let Some(placement) = probe.placement() else {
            return false;
        };
        let name = &probe.name;
        let pid = self.pid().unwrap_or(0);
        let failed = match machine.reattach(pid, placement.slot, control, &placement.requests) {
            Ok(failed) => failed,
            // The session has ended, so nobody waits for the probe any more.
            Err(KernelError::Ended) => return false,
            Err(error) => {
                self.warn(format!("{name}: {}", chain(&error)));
                return false;
            }
        };
        if let Err(error) = machine.put_spans_first(placement.slot, &placement.requests) {
            self.warn(no_beginnings(&error));
        }
        if let Some((_, error)) = failed.first()
            && probe.spec.action.kind().sites() != ActionSites::Alike
        {
            machine.silence(placement.slot);
            let error = chain(error);
            self.warn(format!(
                "{name}: not enabled, because some of its sites can no longer be attached: {error}"
            ));
            return false;
        }
        for (site, error) in failed.iter().take(MAX_NAMED_FAILURES) {
            let number = site + 1;
            let error = chain(error);
            self.warn(format!("{name}: site {number} is not attached: {error}"));
        }
        true
    }
}

/// The limits of a probe. Those of a finished probe start again.
fn renewed(probe: &Probe<Placement>, machine: &mut Machine) -> Result<ProbeControl, KernelError> {
    let Some(placement) = probe.placement() else {
        return Ok(limits(&probe.spec, machine));
    };
    if probe.done.is_none() {
        return Ok(placement.control);
    }
    let mut limits = limits(&probe.spec, machine);
    if limits.per_process != 0 {
        machine.renew_accounts(placement.slot)?;
    } else if limits.hit_budget != 0 {
        // The kernel side goes on counting from where it is.
        let used = machine.state(placement.slot)?.budget_used;
        limits.hit_budget = limits.hit_budget.saturating_add(used);
    }
    Ok(limits)
}
