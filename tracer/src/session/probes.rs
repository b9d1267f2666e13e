//! The probes of a session: a map with one entry for each probe from its `add` to its removal.
//!
//! An entry keeps its id whatever happens to the probe: waiting for a module, being placed again
//! after `exec`, being silenced, being done.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::{Done, ProbeId};
use crate::lang::ast::ProbeSpec;

/// One probe. `P` is the holder of its sites.
#[derive(Debug)]
pub(super) struct Probe<P> {
    pub(super) id: ProbeId,
    /// Name shown to the user: `p1`, or the name given by `as`.
    pub(super) name: String,
    pub(super) spec: Arc<ProbeSpec>,
    /// Its user wants its hits, and it is not done.
    pub(super) enabled: bool,
    /// Why no more hits come, once that is so.
    pub(super) done: Option<Done>,
    /// Notes for the user, newest state first.
    pub(super) notes: Vec<String>,
    pub(super) stage: Stage<P>,
}

/// The stage of a probe's life.
#[derive(Debug)]
pub(super) enum Stage<P> {
    /// It has no sites in the target.
    Waiting(Waiting),
    /// It has sites, or had them until it was silenced or done.
    Attached(P),
}

/// A probe without sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    /// It had sites before.
    pub(super) anew: bool,
    /// A plan was requested and has not come.
    pub(super) planned: bool,
}

impl<P> Probe<P> {
    /// A probe that its user has just added.
    pub(super) fn new(
        id: ProbeId,
        spec: Arc<ProbeSpec>,
        stage: Stage<P>,
        notes: Vec<String>,
    ) -> Self {
        Self {
            id,
            name: name_of(&spec, id),
            spec,
            enabled: true,
            done: None,
            notes,
            stage,
        }
    }

    /// The holder of its sites. `None` while it waits.
    pub(super) fn placement(&self) -> Option<&P> {
        match &self.stage {
            Stage::Attached(placement) => Some(placement),
            Stage::Waiting(_) => None,
        }
    }

    /// The holder of its sites. `None` while it waits.
    pub(super) fn placement_mut(&mut self) -> Option<&mut P> {
        match &mut self.stage {
            Stage::Attached(placement) => Some(placement),
            Stage::Waiting(_) => None,
        }
    }

    /// It has no sites.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting(_))
    }
}

/// The name that the user gave a probe, else `p1` ….
pub(super) fn name_of(spec: &ProbeSpec, id: ProbeId) -> String {
    let name = spec.options.name.clone();
    name.unwrap_or_else(|| id.to_string())
}

/// All probes of a session, by id.
#[derive(Debug)]
pub(super) struct ProbeMap<P> {
    probes: BTreeMap<ProbeId, Probe<P>>,
    next: u32,
}

impl<P> Default for ProbeMap<P> {
    fn default() -> Self {
        Self {
            probes: BTreeMap::new(),
            next: 1,
        }
    }
}

impl<P> ProbeMap<P> {
    /// An id that no probe has had.
    pub(super) fn next_id(&mut self) -> ProbeId {
        let id = ProbeId(self.next);
        self.next += 1;
        id
    }

    /// Adds an enabled probe.
    pub(super) fn insert(&mut self, probe: Probe<P>) {
        self.probes.insert(probe.id, probe);
    }

    pub(super) fn get(&self, id: ProbeId) -> Option<&Probe<P>> {
        self.probes.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: ProbeId) -> Option<&mut Probe<P>> {
        self.probes.get_mut(&id)
    }

    /// The probe, while it waits.
    pub(super) fn waiting(&mut self, id: ProbeId) -> Option<&mut Probe<P>> {
        self.probes.get_mut(&id).filter(|probe| probe.is_waiting())
    }

    pub(super) fn remove(&mut self, id: ProbeId) -> Option<Probe<P>> {
        self.probes.remove(&id)
    }

    /// Removes a probe's sites and returns their holder. The probe waits from now on.
    pub(super) fn displace(&mut self, id: ProbeId) -> Option<P> {
        let probe = self.probes.get_mut(&id)?;
        probe.placement()?;
        let waiting = Waiting {
            anew: true,
            planned: false,
        };
        probe.done = None;
        match std::mem::replace(&mut probe.stage, Stage::Waiting(waiting)) {
            Stage::Attached(placement) => Some(placement),
            Stage::Waiting(_) => None,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Probe<P>> {
        self.probes.values()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Probe<P>> {
        self.probes.values_mut()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.probes.is_empty()
    }

    /// Probes without sites for which no plan is being made.
    pub(super) fn idle(&self) -> Vec<ProbeId> {
        let is_idle = |probe: &&Probe<P>| {
            matches!(probe.stage, Stage::Waiting(Waiting { planned: false, .. }))
        };
        self.iter().filter(is_idle).map(|probe| probe.id).collect()
    }
}
