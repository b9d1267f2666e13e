//! One frontend's place at a session.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use super::feed::{Patience, Queue};
use super::{
    Control, FollowedProcesses, LineInfo, Notice, OutlineEntry, ProbeStatus, Removed, Session,
    SessionSpending, SourceFile, TargetName, VariableInfo,
};
use crate::base::diagnostic::Diagnostic;
use crate::event::{Aggregate, Event, ProbeId, TargetStatus, Used};
use crate::lang::ast::ProbeSpec;
use crate::session::locks::lock;
use crate::session::sites::catalog::unreadable;
use crate::sources::{SourceError, SourceText};

/// The way a frontend takes a session's notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subscriber {
    /// Events that may wait for it. The oldest is dropped beyond, and counted as lost for this frontend.
    /// 0 is the default.
    pub capacity: usize,
    /// True if it wants every event and takes its time: events without space wait as records first.
    pub patient: bool,
    /// It wants [`Notice::Probes`].
    pub wants_probes: bool,
    /// It gets all notices but events.
    pub skips_events: bool,
}

/// One frontend's place at a session: its own notices, its own account of lost events.
///
/// Dropping it leaves the session and the other frontends as they are.
#[derive(Debug)]
pub struct Subscription {
    session: Arc<Session>,
    queue: Arc<Queue>,
    /// Removed probes that this frontend has taken.
    removed_told: Mutex<usize>,
}

impl Subscription {
    pub(super) fn new(session: Arc<Session>, subscriber: Subscriber) -> Self {
        let queue = session.shared.feed.subscribe(Patience {
            capacity: subscriber.capacity,
            bytes: session.queue_bytes,
            patient: subscriber.patient,
            wants_probes: subscriber.wants_probes,
            skips_events: subscriber.skips_events,
        });
        Self {
            session,
            queue,
            removed_told: Mutex::new(0),
        }
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// A state with the events that this frontend has lost among the lost ones.
    fn seen_by_us(&self, mut status: ProbeStatus) -> ProbeStatus {
        status.undelivered = self.session.shared.undelivered(status.id);
        if let Some(placement) = status.placement {
            let counters = &mut status.counters;
            let lost = self.queue.dropped(placement).min(counters.events);
            counters.events -= lost;
            counters.lost += lost;
        }
        status
    }

    fn all_seen_by_us(&self, probes: Vec<ProbeStatus>) -> Vec<ProbeStatus> {
        let probes = probes.into_iter();
        probes.map(|status| self.seen_by_us(status)).collect()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.session.shared.feed.unsubscribe(&self.queue);
    }
}

impl Control for Subscription {
    fn target(&self) -> TargetName {
        if let Some(selectors) = self.session.selectors() {
            return TargetName {
                name: selectors.to_owned(),
                pid: None,
            };
        }
        let program = self.session.program();
        let name = program.file_name().unwrap_or_default();
        TargetName {
            name: name.to_string_lossy().into_owned(),
            pid: self.session.process().map(|process| process.pid()),
        }
    }

    fn targets(&self) -> Vec<TargetStatus> {
        self.session.targets()
    }

    fn followed(&self) -> Option<FollowedProcesses> {
        self.session.followed()
    }

    fn source_files(&self) -> Vec<SourceFile> {
        self.session.modules().source_files()
    }

    fn source_text(&self, file: &SourceFile) -> Result<SourceText, Diagnostic> {
        let found = self.session.modules().source_text(file)?;
        let text = found.ok_or_else(|| unreadable(file, &SourceError::Absent))?;
        self.session.shared.add_shown(file);
        Ok(text)
    }

    fn source_path(&self, file: &SourceFile) -> Result<PathBuf, Diagnostic> {
        self.session.modules().source_path(file)
    }

    fn shown_sources(&self) -> Vec<SourceFile> {
        self.session.shared.shown()
    }

    fn outline(&self, file: &SourceFile) -> Vec<OutlineEntry> {
        self.session.modules().outline(file)
    }

    fn lines(&self, file: &SourceFile) -> Result<Vec<LineInfo>, Diagnostic> {
        self.session.modules().lines(file)
    }

    fn variables(&self, file: &SourceFile, line: u64) -> Result<Vec<VariableInfo>, Diagnostic> {
        self.session.modules().variables(file, line)
    }

    fn names_at(&self, location: &str, owner: &str) -> Result<Vec<VariableInfo>, Diagnostic> {
        self.session.modules().names_at(location, owner)
    }

    fn function_names(&self, front: &str) -> Vec<String> {
        self.session.modules().function_names(front)
    }

    fn add_spec(&self, spec: &ProbeSpec) -> Result<ProbeStatus, Diagnostic> {
        self.session.install(spec)
    }

    fn skip_number(&self) {
        self.session.skip_number();
    }

    fn remove(&self, probe: ProbeId) -> Option<ProbeStatus> {
        let status = self.session.remove(probe)?;
        Some(self.seen_by_us(status))
    }

    fn set_enabled(&self, probe: ProbeId, enabled: bool) {
        self.session.set_enabled(probe, enabled);
    }

    fn silence_all(&self) -> bool {
        self.session.silence_all()
    }

    fn probes(&self) -> Vec<ProbeStatus> {
        self.all_seen_by_us(self.session.probes())
    }

    fn spending(&self) -> SessionSpending {
        self.session.spending()
    }

    fn aggregates(&self) -> Vec<Aggregate> {
        self.session.aggregates()
    }

    fn take_removed(&self) -> Vec<Removed> {
        let mut told = lock(&self.removed_told);
        let removed = self.session.removed(*told);
        *told += removed.len();
        let removed = removed.into_iter();
        let seen = |gone: Removed| Removed {
            status: self.seen_by_us(gone.status),
            ..gone
        };
        removed.map(seen).collect()
    }

    fn take_notices(&self, max: usize) -> Vec<Notice> {
        let mut notices = self.queue.take(max);
        for notice in &mut notices {
            if let Notice::Probes(probes) = notice {
                *probes = self.all_seen_by_us(std::mem::take(probes));
            }
        }
        notices
    }

    fn notices_ready(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.queue.filled())
    }

    fn give_back(&self, events: &mut Vec<Used>) {
        self.session.shared.feed.give_back(events);
    }

    fn waiting_events(&self) -> usize {
        self.queue.len() + self.session.shared.backlog()
    }

    fn drop_events(&self) {
        self.queue.drop_events();
    }

    fn count_unshown(&self, event: &Event) {
        self.queue.count_dropped(event.origin.placement);
    }

    fn count_undelivered(&self, probe: ProbeId, events: u64) {
        self.session.shared.count_undelivered(probe, events);
    }

    fn dropped_events(&self) -> Vec<(ProbeId, u64)> {
        let removed = self.session.removed(0).into_iter().map(|gone| gone.status);
        let all = self.session.probes().into_iter().chain(removed);
        let dropped = |status: ProbeStatus| {
            let events = self.queue.dropped(status.placement?);
            (events > 0).then_some((status.id, events))
        };
        all.filter_map(dropped).collect()
    }

    fn warn(&self, text: String) {
        self.session.shared.warn(text);
    }

    fn note(&self, text: String) {
        self.session.shared.note(text);
    }

    fn finish(&self) -> Vec<ProbeStatus> {
        self.all_seen_by_us(self.session.finish())
    }
}
