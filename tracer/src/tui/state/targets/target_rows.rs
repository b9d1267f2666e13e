//! The processes that are probed, and those that were, as the list of targets shows them.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::event::{Event, TargetId, TargetOrigin, TargetStatus};
use crate::session::ProbeStatus;

/// Ended targets that are kept. Earlier ones are only counted.
const MAX_ENDED: usize = 300;

/// A process that is probed, or was.
#[derive(Clone, Debug)]
pub(in crate::tui) struct TargetRow {
    /// The process.
    pub(in crate::tui) status: TargetStatus,
    /// Its hits, by the last state of the probes.
    pub(in crate::tui) hits: u64,
    /// CPUs that its hits used while the breakpoints were in the target. `None` if that is not known.
    pub(in crate::tui) share: Option<f64>,
    /// Its events that came.
    pub(in crate::tui) events: u64,
    /// Time of its last event, in ns since the Unix epoch.
    pub(in crate::tui) last_ns: Option<u64>,
    /// A signal has stopped it.
    pub(in crate::tui) stopped: bool,
    /// It has ended, or runs another program now.
    pub(in crate::tui) has_ended: bool,
}

impl TargetRow {
    /// The word for its state.
    pub(in crate::tui) fn state(&self) -> &'static str {
        match (self.has_ended, self.stopped) {
            (true, _) => "ended",
            (false, true) => "stopped",
            (false, false) => "running",
        }
    }

    /// How it became a target.
    pub(in crate::tui) fn origin(&self) -> String {
        match self.status.origin {
            TargetOrigin::Chosen => "chosen".into(),
            TargetOrigin::Matched => "matches".into(),
            TargetOrigin::Forked { parent } => format!("forked by {parent}"),
        }
    }
}

/// The targets of a session.
#[derive(Debug, Default)]
pub(in crate::tui) struct TargetRows {
    live: BTreeMap<TargetId, TargetRow>,
    /// Oldest first.
    ended: VecDeque<TargetRow>,
    /// Ended ones that are not kept.
    forgotten: u64,
}

impl TargetRows {
    /// The targets at the start.
    pub(in crate::tui) fn new(targets: Vec<TargetStatus>) -> Self {
        let mut this = Self::default();
        targets.into_iter().for_each(|target| this.came(target));
        this
    }

    /// A process has become a target.
    pub(in crate::tui) fn came(&mut self, status: TargetStatus) {
        // The list from the start may have it already.
        let row = || TargetRow {
            status: status.clone(),
            hits: 0,
            share: None,
            events: 0,
            last_ns: None,
            stopped: false,
            has_ended: false,
        };
        self.live.entry(status.id).or_insert_with(row);
    }

    /// A target has been stopped, or runs again.
    pub(in crate::tui) fn set_stopped(&mut self, id: TargetId, stopped: bool) {
        if let Some(row) = self.live.get_mut(&id) {
            row.stopped = stopped;
        }
    }

    /// A process is not a target any more.
    pub(in crate::tui) fn left(&mut self, id: TargetId) {
        let Some(row) = self.live.remove(&id) else {
            return;
        };
        self.ended.push_back(TargetRow {
            has_ended: true,
            ..row
        });
        if self.ended.len() > MAX_ENDED {
            self.ended.pop_front();
            self.forgotten += 1;
        }
    }

    /// Counts an event for its process, which may have ended since.
    pub(in crate::tui) fn count(&mut self, event: &Event) {
        let is_it = |row: &&mut TargetRow| row.status.pid == event.pid;
        let live = self.live.values_mut().rev();
        let row = live.chain(self.ended.iter_mut().rev()).find(is_it);
        if let Some(row) = row {
            row.events += 1;
            row.last_ns = Some(event.time_ns);
        }
    }

    /// Takes the hits of each process from the states of all probes.
    pub(in crate::tui) fn set_hits(&mut self, probes: &[ProbeStatus]) {
        let mut sums: HashMap<TargetId, (u64, Option<f64>)> = HashMap::new();
        for probe in probes {
            for process in &probe.processes {
                let Some(target) = process.target else {
                    continue;
                };
                let (hits, share) = sums.entry(target).or_default();
                *hits += process.hits;
                if let Some(more) = probe.share_of(process) {
                    *share = Some(share.unwrap_or_default() + more);
                }
            }
        }
        for row in self.live.values_mut().chain(&mut self.ended) {
            let sum = sums.get(&row.status.id).copied();
            (row.hits, row.share) = sum.unwrap_or_default();
        }
    }

    /// Number of processes that are probed now.
    pub(in crate::tui) fn live(&self) -> usize {
        self.live.len()
    }

    /// There are or were several, so events have to name their process.
    pub(in crate::tui) fn are_several(&self) -> bool {
        self.live.len() + self.ended.len() > 1
    }

    /// Ended ones that are not in the list any more.
    pub(in crate::tui) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// All rows: the live ones in the order in which they came, then the ended ones, newest first.
    pub(in crate::tui) fn rows(&self) -> impl Iterator<Item = &TargetRow> {
        self.live.values().chain(self.ended.iter().rev())
    }

    /// Number of rows.
    pub(in crate::tui) fn len(&self) -> usize {
        self.live.len() + self.ended.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(id: u32) -> TargetStatus {
        TargetStatus {
            id: TargetId(id),
            pid: 100 + id,
            origin: TargetOrigin::Matched,
            program: "app".into(),
        }
    }

    #[test]
    fn live_targets_come_first_and_ended_ones_are_bounded() {
        let mut targets = TargetRows::new(vec![status(0), status(1)]);
        targets.came(status(1));
        assert_eq!(targets.len(), 2, "a target that is known is not another");
        targets.left(TargetId(0));
        let order: Vec<u32> = targets.rows().map(|row| row.status.pid).collect();
        assert_eq!(order, [101, 100]);
        assert!(targets.are_several() && targets.live() == 1);
        for id in 2..1000 {
            targets.came(status(id));
            targets.left(TargetId(id));
        }
        assert_eq!(targets.len(), 1 + MAX_ENDED);
        assert_eq!(targets.forgotten(), 999 - MAX_ENDED as u64);
        assert_eq!(targets.rows().nth(1).expect("a row").status.pid, 1099);
    }
}
