//! Probes that are silenced, and woken again.

use std::time::Instant;

use tracer_common::control::ProbeControl;

use super::live::{Probe, Session};
use super::prepare::control;
use super::shared::lock;
use super::{Control as _, budget};
use crate::causes::chain;
use crate::event::ProbeId;
use crate::kernel::{KernelError, Machine};
use crate::lang::ast::Action;

/// Sites whose failure is named one by one.
const MAX_NAMED_FAILURES: usize = 3;

impl Session {
    /// Silences every probe at once; wakes them when all are silent already. True when they are
    /// silent now. Probes that are done stay so.
    pub fn silence_all(&self) -> bool {
        let probes: Vec<(ProbeId, bool)> = self
            .probes()
            .iter()
            .filter(|probe| probe.done.is_none())
            .map(|probe| (probe.id, probe.enabled))
            .collect();
        let silence = probes.iter().any(|(_, enabled)| *enabled);
        for (probe, _) in probes {
            self.set_enabled(probe, !silence);
        }
        silence
    }

    /// Silences or wakes a probe. A probe that is done begins anew when it is woken.
    pub(super) fn set_awake(&self, id: ProbeId, awake: bool) {
        if let Some(waiting) = lock(&self.waiting).get_mut(&id) {
            waiting.status.enabled = awake;
            return;
        }
        let mut probes = lock(&self.probes);
        let Some(probe) = probes.get_mut(&id) else {
            return;
        };
        if probe.status.done.is_some() && !awake {
            return;
        }
        if probe.stale && awake {
            probe.status.enabled = true;
            drop(probes);
            self.place_again(&[id]);
            return;
        }
        self.switch(probe, awake);
    }

    /// Silences a probe and takes its sites out of the target, or puts them back.
    pub(super) fn switch(&self, probe: &mut Probe, enabled: bool) {
        let mut machine = lock(&self.machine);
        let limits = match renewed(probe, &machine) {
            Ok(limits) => limits,
            Err(error) => {
                self.warn(format!("{}: {}", probe.status.name, chain(&error)));
                return;
            }
        };
        let control = ProbeControl {
            enabled: u32::from(enabled),
            ..limits
        };
        if enabled {
            match machine.reattach(self.process.pid(), probe.slot, &control, &probe.requests) {
                Ok(failed) if !failed.is_empty() && probe.spec.action == Action::Time => {
                    machine.detach(probe.slot);
                    self.warn(format!(
                        "{}: not enabled, since some of its sites cannot be attached any more: {}",
                        probe.status.name,
                        failed
                            .first()
                            .map_or_else(String::new, |(_, error)| chain(error))
                    ));
                    return;
                }
                Ok(failed) => failed
                    .iter()
                    .take(MAX_NAMED_FAILURES)
                    .for_each(|(site, error)| {
                        let name = &probe.status.name;
                        let number = site + 1;
                        self.warn(format!(
                            "{name}: site {number} is not attached: {}",
                            chain(error)
                        ));
                    }),
                // Nobody waits for it any more.
                Err(KernelError::Ended) => return,
                Err(error) => {
                    self.warn(format!("{}: {}", probe.status.name, chain(&error)));
                    return;
                }
            }
        } else {
            machine.detach(probe.slot);
            probe.is_taken_out();
        }
        probe.control = control;
        probe.status.enabled = enabled;
        if enabled {
            probe.attached_at.get_or_insert_with(Instant::now);
            probe.status.done = None;
            probe.status.notes.retain(|note| !budget::is_note(note));
        }
    }
}

/// The limits of a probe; those of one that is done begin anew.
fn renewed(probe: &Probe, machine: &Machine) -> Result<ProbeControl, KernelError> {
    if probe.status.done.is_none() {
        return Ok(probe.control);
    }
    let mut limits = control(&probe.spec);
    if limits.hit_budget != 0 {
        // The kernel side goes on counting from where it is.
        let used = machine.state(probe.slot)?.budget_used;
        limits.hit_budget = limits.hit_budget.saturating_add(used);
    }
    Ok(limits)
}
