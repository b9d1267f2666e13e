//! The traced calls that are kept for stepping, in bounded memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::call::{CallKey, TracedCall};
use crate::event::{Event, ProbeId};

/// Calls that are kept. Beyond that, the one without a step for longest is dropped.
const CALLS: usize = 512;
/// Estimated bytes of all calls that are kept. They share the events with the list of events.
const BYTES: usize = 128 << 20;

/// A call, and when it had its last step.
#[derive(Debug)]
struct StoredCall {
    call: TracedCall,
    touched: u64,
}

/// The calls that are kept.
#[derive(Debug, Default)]
pub(in crate::tui) struct CallStore {
    calls: BTreeMap<CallKey, StoredCall>,
    bytes: usize,
    /// Steps that were taken so far.
    taken: u64,
    /// Calls that are on the screen, and stay.
    held: Vec<CallKey>,
}

impl CallStore {
    /// Takes an event, if it is a step.
    pub(in crate::tui) fn take(&mut self, event: &Arc<Event>) {
        self.extend([Arc::clone(event)]);
    }

    /// Takes steps of any calls.
    pub(in crate::tui) fn extend(&mut self, events: impl IntoIterator<Item = Arc<Event>>) {
        for event in events {
            let Some(key) = CallKey::of(&event) else {
                continue;
            };
            self.taken += 1;
            let kept = self.calls.entry(key).or_insert_with(|| StoredCall {
                call: TracedCall::new(key),
                touched: 0,
            });
            let before = kept.call.bytes();
            kept.call.extend([event]);
            kept.touched = self.taken;
            self.bytes += kept.call.bytes() - before;
        }
        self.drop_oldest();
    }

    fn drop_oldest(&mut self) {
        while self.calls.len() > CALLS || self.bytes > BYTES {
            let dropped = self
                .calls
                .iter()
                .filter(|(key, _)| !self.held.contains(key));
            let oldest = dropped.min_by_key(|(_, kept)| kept.touched);
            let Some(key) = oldest.map(|(key, _)| *key) else {
                return;
            };
            if let Some(gone) = self.calls.remove(&key) {
                self.bytes -= gone.call.bytes();
            }
        }
    }

    /// Keeps these calls, whatever comes.
    pub(super) fn hold(&mut self, held: Vec<CallKey>) {
        self.held = held;
        self.drop_oldest();
    }

    /// A call.
    pub(in crate::tui) fn get(&self, key: CallKey) -> Option<&TracedCall> {
        self.calls.get(&key).map(|kept| &kept.call)
    }

    /// The call that had the last step.
    pub(super) fn newest(&self) -> Option<CallKey> {
        let newest = self.calls.iter().max_by_key(|(_, kept)| kept.touched);
        newest.map(|(key, _)| *key)
    }

    /// The calls of a probe, by their numbers.
    pub(in crate::tui) fn of_probe(&self, probe: ProbeId) -> Vec<CallKey> {
        let keys = self.calls.keys().copied();
        let mut keys: Vec<CallKey> = keys.filter(|key| key.probe == probe).collect();
        keys.sort_by_key(|key| key.call);
        keys
    }

    /// Calls and steps of a probe that are kept.
    pub(in crate::tui) fn counts(&self, probe: ProbeId) -> (usize, usize) {
        let calls = self
            .calls
            .values()
            .filter(|kept| kept.call.key().probe == probe);
        calls.fold((0, 0), |(calls, steps), kept| {
            (calls + 1, steps + kept.call.len())
        })
    }
}
