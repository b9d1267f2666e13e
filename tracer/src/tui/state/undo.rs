//! Undoing removals, edits, silence and cleared lists.

use std::collections::BTreeMap;

use super::super::action::{AddRequest, UiEffect};
use super::super::events::ClearedEvents;
use super::UiState;
use crate::actions::parse_probe;
use crate::event::{Aggregate, Counters, ProbeId, counted};
use crate::session::ProbeStatus;
use crate::sink::aggregate::AggregateTable;

/// Changes that can be undone, one after the other.
const CHANGES: usize = 50;
/// Removed probes whose results are kept.
const FORMER: usize = 200;
/// Edits and returns of probes that are remembered: more than the changes that can be undone.
const FOLLOWED: usize = 1000;
/// Lives of one probe that are shown.
const LIVES: usize = 5;

/// A change that can be undone.
#[derive(Debug)]
pub(super) enum UndoStep {
    /// Probes were removed at once.
    Removed(Vec<RemovedProbe>),
    /// A probe has taken the place of another one.
    Edited(ProbeId, RemovedProbe),
    /// A probe was silenced or woken. It was awake before if the flag is set.
    Toggled(ProbeId, bool),
    /// All probes were silenced.
    SilencedAll,
    /// The events were cleared.
    Cleared(ClearedEvents),
}

/// A probe that was removed.
#[derive(Clone, Debug)]
pub(super) struct RemovedProbe {
    id: ProbeId,
    text: String,
    name: String,
    is_awake: bool,
}

impl RemovedProbe {
    fn new(probe: &ProbeStatus) -> Self {
        Self {
            id: probe.id,
            text: probe.text.clone(),
            name: probe.name.clone(),
            is_awake: probe.enabled || probe.done.is_some(),
        }
    }

    /// The name that the session gave it.
    fn given_name(&self) -> Option<String> {
        let named = parse_probe(&self.text).is_ok_and(|spec| spec.options.name.is_some());
        (!named).then(|| self.name.clone())
    }
}

/// The results of a probe up to its removal.
#[derive(Debug)]
pub(super) struct FormerLife {
    counters: Counters,
    /// Its totals, row by row.
    rows: Vec<String>,
}

/// UndoSteps, and the results of probes that are gone.
#[derive(Debug, Default)]
pub(in crate::tui) struct UndoSteps {
    done: Vec<UndoStep>,
    former: BTreeMap<ProbeId, FormerLife>,
    /// Probes that stand for a removed one.
    follows: BTreeMap<ProbeId, ProbeId>,
}

impl UndoSteps {
    /// A probe stands for a removed one from now on.
    fn follow(&mut self, newer: ProbeId, older: ProbeId) {
        self.follows.insert(newer, older);
        if self.follows.len() > FOLLOWED {
            self.follows.pop_first();
        }
    }
}

impl UiState {
    /// Remembers a change.
    pub(super) fn changed(&mut self, change: UndoStep) {
        let all = &mut self.changes.done;
        if matches!(change, UndoStep::Cleared(_)) {
            // The events of one list are enough to keep.
            all.retain(|change| !matches!(change, UndoStep::Cleared(_)));
        }
        if all.len() >= CHANGES {
            all.remove(0);
        }
        all.push(change);
    }

    /// Removes probes, which can be undone.
    pub(super) fn remove_all(&mut self, ids: &[ProbeId]) -> Vec<UiEffect> {
        let gone = self.probes.iter().filter(|probe| ids.contains(&probe.id));
        let gone: Vec<RemovedProbe> = gone.map(RemovedProbe::new).collect();
        if !gone.is_empty() {
            self.changed(UndoStep::Removed(gone));
        }
        ids.iter().filter_map(|id| self.remove(*id)).collect()
    }

    /// Has a new text installed in place of a probe, whose name and history go on.
    pub(super) fn replace(&mut self, id: ProbeId, text: String) -> UiEffect {
        let old = self.probes.iter().find(|probe| probe.id == id);
        let old = old.map(RemovedProbe::new);
        let request = AddRequest {
            replaces: old.as_ref().map(|old| old.id),
            follows: old.as_ref().map(|old| old.id),
            name: old.as_ref().and_then(RemovedProbe::given_name),
            ..AddRequest::new(text)
        };
        self.request(request)
    }

    /// A probe is there that was asked for. Returns the effects on the one that it takes the place of.
    pub(super) fn follow(&mut self, request: &AddRequest, id: ProbeId) -> Vec<UiEffect> {
        if let Some(before) = request.follows {
            self.changes.follow(id, before);
        }
        let mut effects = Vec::new();
        if let Some(old) = request.replaces {
            let probe = self.probes.iter().find(|probe| probe.id == old);
            let removed = probe.map(RemovedProbe::new);
            if let Some(removed) = removed.filter(|_| !request.is_undo) {
                self.changed(UndoStep::Edited(id, removed));
            }
            effects.extend(self.remove(old));
        }
        if request.is_silenced {
            effects.extend(self.set_enabled(vec![id], false));
        }
        effects
    }

    /// Keeps the results of a probe that is gone.
    pub(super) fn keep_former(
        &mut self,
        id: ProbeId,
        counters: Counters,
        aggregate: Option<&Aggregate>,
    ) {
        let rows = aggregate.filter(|one| one.total > 0).map(|aggregate| {
            let table = AggregateTable(aggregate).to_string();
            let rows = table.lines().skip(1).filter(|row| !row.is_empty());
            rows.map(str::to_owned).collect()
        });
        let life = FormerLife {
            counters,
            rows: rows.unwrap_or_default(),
        };
        self.changes.former.insert(id, life);
        if self.changes.former.len() > FORMER {
            self.changes.former.pop_first();
        }
    }

    /// The results of a probe before it was removed or edited, the newest first: label and text of each row.
    pub(super) fn former_lives(&self, id: ProbeId) -> Vec<(String, String)> {
        let mut lines = Vec::new();
        let mut id = id;
        for _ in 0..LIVES {
            let Some(before) = self.changes.follows.get(&id) else {
                break;
            };
            id = *before;
            let Some(life) = self.changes.former.get(&id) else {
                continue;
            };
            let hits = counted(life.counters.hits, "hit");
            let events = counted(life.counters.events, "event");
            let text = format!("{hits}, {events} until it was removed or edited");
            lines.push(("before".into(), text));
            let rows = life.rows.iter().cloned();
            lines.extend(rows.map(|row| (String::new(), row)));
        }
        lines
    }

    /// Undoes the last change that can be undone.
    pub(super) fn undo(&mut self) -> Vec<UiEffect> {
        while let Some(change) = self.changes.done.pop() {
            if let Some((text, effects)) = self.undone(change) {
                self.say(text, false);
                return effects;
            }
        }
        self.say("nothing to undo", false);
        Vec::new()
    }

    /// Returns true if another text has taken the place of a probe.
    pub(super) fn is_replaced(&self, id: ProbeId) -> bool {
        self.changes.follows.values().any(|old| *old == id)
    }

    /// The present probe of one that was edited, or that has come back.
    fn newest(&self, mut id: ProbeId) -> ProbeId {
        // A newer life has a larger number.
        while let Some((newer, _)) = self.changes.follows.iter().find(|(_, old)| **old == id) {
            id = *newer;
        }
        id
    }

    /// Undoes a change, in words. `None` if it has been undone otherwise.
    fn undone(&mut self, change: UndoStep) -> Option<(String, Vec<UiEffect>)> {
        match change {
            UndoStep::Removed(probes) => {
                let names: Vec<&str> = probes.iter().map(|probe| probe.name.as_str()).collect();
                let verb = if probes.len() == 1 { "comes" } else { "come" };
                let text = format!("{} {verb} back; counts begin anew", names.join(", "));
                let add = |probe: RemovedProbe| {
                    let request = AddRequest {
                        follows: Some(probe.id),
                        name: probe.given_name(),
                        is_silenced: !probe.is_awake,
                        ..AddRequest::new(probe.text)
                    };
                    self.request(request)
                };
                Some((text, probes.into_iter().map(add).collect()))
            }
            UndoStep::Edited(id, before) => {
                let id = self.newest(id);
                self.probes.iter().find(|probe| probe.id == id)?;
                let text = format!("{} gets its old text back", before.name);
                let request = AddRequest {
                    replaces: Some(id),
                    follows: Some(id),
                    name: before.given_name(),
                    is_silenced: !before.is_awake,
                    is_undo: true,
                    ..AddRequest::new(before.text)
                };
                Some((text, vec![self.request(request)]))
            }
            UndoStep::Toggled(id, was_awake) => {
                let id = self.newest(id);
                let probe = self.probes.iter().find(|probe| probe.id == id)?;
                if probe.enabled == was_awake {
                    return None;
                }
                let is = if was_awake { "awake" } else { "silenced" };
                let text = format!("{} is {is} again", probe.name);
                Some((text, self.set_enabled(vec![id], was_awake)))
            }
            UndoStep::SilencedAll if self.silenced => {
                let effects = self.switch_all();
                Some(("the probes are awake again".into(), effects))
            }
            UndoStep::SilencedAll => None,
            UndoStep::Cleared(cleared) => {
                let back = self.events.restore(cleared)?;
                let verb = if back == 1 { "is" } else { "are" };
                Some((format!("{} {verb} back", counted(back, "row")), Vec::new()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oldest_links_between_lives_of_probes_are_forgotten() {
        let mut steps = UndoSteps::default();
        for number in 1..=5000 {
            steps.follow(ProbeId(number + 1), ProbeId(number));
        }
        assert_eq!(steps.follows.len(), FOLLOWED);
        assert_eq!(steps.follows.get(&ProbeId(5001)), Some(&ProbeId(5000)));
    }
}
