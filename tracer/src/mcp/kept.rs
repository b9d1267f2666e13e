//! The events of a session, kept for an assistant that reads them page by page.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::event::Event;
use crate::mcp::limits::{KEPT_BYTES, KEPT_NOTES};

/// An event, and its number among all that came, from 1.
#[derive(Clone, Debug)]
pub(super) struct KeptEvent {
    pub(super) cursor: u64,
    pub(super) event: Arc<Event>,
}

/// The latest events, in bounded memory, and the latest notes.
#[derive(Debug, Default)]
pub(super) struct KeptEvents {
    inner: Mutex<KeptParts>,
    /// Something has come.
    pub(super) came: Notify,
    /// A probe was added.
    added: Notify,
}

#[derive(Debug, Default)]
struct KeptParts {
    events: VecDeque<KeptEvent>,
    bytes: usize,
    /// Number of the last event.
    last: u64,
    notes: VecDeque<String>,
    over: bool,
}

/// Events behind a cursor.
#[derive(Debug, Default)]
pub(super) struct KeptPage {
    pub(super) events: Vec<KeptEvent>,
    /// Events between the cursor and the first one that is kept.
    pub(super) forgotten: u64,
    /// Number of the last event that came.
    pub(super) last: u64,
}

impl KeptEvents {
    fn lock(&self) -> MutexGuard<'_, KeptParts> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an event.
    pub(super) fn add(&self, event: Arc<Event>) {
        let mut kept = self.lock();
        kept.last += 1;
        let cursor = kept.last;
        kept.bytes += event.weight();
        kept.events.push_back(KeptEvent { cursor, event });
        while kept.bytes > KEPT_BYTES {
            let Some(oldest) = kept.events.pop_front() else {
                break;
            };
            kept.bytes = kept.bytes.saturating_sub(oldest.event.weight());
        }
        drop(kept);
        self.came.notify_waiters();
    }

    /// Keeps a note or a warning until it is read.
    pub(super) fn note(&self, text: String) {
        let mut kept = self.lock();
        if kept.notes.len() == KEPT_NOTES {
            kept.notes.pop_front();
        }
        kept.notes.push_back(text);
    }

    /// Has [`Self::woken`] return.
    pub(super) fn wake(&self) {
        self.added.notify_one();
    }

    /// Completes when [`Self::wake`] was called.
    pub(super) async fn woken(&self) {
        self.added.notified().await;
    }

    /// No more events come.
    pub(super) fn end(&self) {
        self.lock().over = true;
        self.came.notify_waiters();
    }

    /// Returns true if no more events come.
    pub(super) fn is_over(&self) -> bool {
        self.lock().over
    }

    /// The notes that were not read.
    pub(super) fn take_notes(&self) -> Vec<String> {
        self.lock().notes.drain(..).collect()
    }

    /// Up to `most` events behind a cursor that `wanted` chooses.
    pub(super) fn after(
        &self,
        cursor: u64,
        most: usize,
        wanted: impl Fn(&Event) -> bool,
    ) -> KeptPage {
        let kept = self.lock();
        let first = kept
            .events
            .front()
            .map_or(kept.last + 1, |first| first.cursor);
        let behind = kept.events.partition_point(|one| one.cursor <= cursor);
        let events = kept.events.range(behind..);
        KeptPage {
            events: events
                .filter(|one| wanted(&one.event))
                .take(most)
                .cloned()
                .collect(),
            forgotten: first.saturating_sub(cursor.min(kept.last) + 1),
            last: kept.last,
        }
    }

    /// The last event that `wanted` chooses.
    pub(super) fn last(&self, wanted: impl Fn(&Event) -> bool) -> Option<KeptEvent> {
        let kept = self.lock();
        kept.events
            .iter()
            .rev()
            .find(|one| wanted(&one.event))
            .cloned()
    }

    /// All events of a probe that are kept.
    pub(super) fn of_probe(&self, name: &str) -> Vec<Arc<Event>> {
        let kept = self.lock();
        let events = kept.events.iter();
        let mine = events.filter(|one| one.event.origin.probe_name == name);
        mine.map(|one| Arc::clone(&one.event)).collect()
    }
}
