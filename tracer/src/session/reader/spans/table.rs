//! The spans that have ids: calls that something inside has named, or that have ended.
//!
//! A span gets its ids when they are first needed: by an event or a span inside of it, or by its end.
//! Its parent is certain when a whole call stack from inside of it has been seen. Until then its place is
//! provisional: another thread has named it by its key, or the stack was cut.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::ids::RandomIds;
use crate::event::{Event, SpanId, SpanIds, TraceId};

/// Events that one span holds, as the limit of OpenTelemetry's SDKs is.
pub(in crate::session::reader) const SPAN_EVENTS: usize = 128;
/// Events that all open spans hold together.
const ALL_EVENTS: usize = 1 << 16;
/// Calls and events in the table, from which on calls are looked for that will have no end.
const TIDY_FROM: usize = 1 << 12;
/// Ended spans with a key that are remembered, as parents of spans that go on.
const MOST_ENDED: usize = 1 << 12;
/// Spans that hang below each other by a key.
const KEY_DEPTH: u32 = 64;

/// Names a frame in which calls of a probe begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::session::reader) struct FrameKey {
    /// Index of its probe in the kernel's maps.
    pub(in crate::session::reader) slot: u32,
    /// Tells inlined copies in one frame apart.
    pub(in crate::session::reader) group: u32,
    /// Process id.
    pub(in crate::session::reader) process: u32,
    /// Address of its frame.
    pub(in crate::session::reader) frame: u64,
}

/// Names one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::session::reader) struct CallId {
    /// Time of its start, in ns of `CLOCK_MONOTONIC`.
    pub(in crate::session::reader) begun_ns: u64,
    /// Its frame.
    pub(in crate::session::reader) key: FrameKey,
}

/// Key and parent of a call, from its own values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::session::reader) struct CallFacts {
    /// The parent that the program names.
    pub(in crate::session::reader) parent: Option<SpanIds>,
    /// The key.
    pub(in crate::session::reader) key: Option<String>,
}

/// A call, with its values.
#[derive(Clone, Debug)]
pub(in crate::session::reader) struct SpanCall {
    pub(in crate::session::reader) id: CallId,
    pub(in crate::session::reader) facts: Arc<CallFacts>,
}

/// A span with ids.
#[derive(Debug)]
pub(in crate::session::reader) struct KnownSpan {
    pub(in crate::session::reader) ids: SpanIds,
    pub(in crate::session::reader) parent: Option<SpanId>,
    /// The parent is the program's own.
    pub(in crate::session::reader) is_remote: bool,
    /// The parent may turn out to be another.
    is_provisional: bool,
    /// It was not open any more at the last tidying, and had no end.
    is_suspect: bool,
    pub(in crate::session::reader) events: Vec<Arc<Event>>,
    pub(in crate::session::reader) left_out_events: u64,
    pub(in crate::session::reader) notes: Vec<String>,
}

/// A span with a key that has ended.
struct RememberedSpan {
    call: SpanCall,
    ids: SpanIds,
    end_ns: u64,
}

/// Finds the calls with a key that were open at a time: at most one, the last that began before.
pub(in crate::session::reader) type FindByKey<'f> = dyn Fn(&SpanCall) -> Option<SpanCall> + 'f;

/// The spans that have ids.
#[derive(Default)]
pub(in crate::session::reader) struct SpanTable {
    known: HashMap<CallId, KnownSpan>,
    ended: VecDeque<RememberedSpan>,
    ids: RandomIds,
    held_events: usize,
    /// Calls and events at which the table is tidied next.
    tidy_at: usize,
}

impl SpanTable {
    /// Gives ids to the calls of a stack, innermost first. `is_whole` says that the stack is known to its
    /// end. Returns the innermost.
    pub(in crate::session::reader) fn establish(
        &mut self,
        chain: &[SpanCall],
        is_whole: bool,
        by_key: &FindByKey<'_>,
    ) -> Option<SpanIds> {
        let mut outer = None;
        for (index, call) in chain.iter().enumerate().rev() {
            let is_certain = is_whole || outer.is_some();
            outer = Some(match self.known.get(&call.id) {
                Some(known) if !known.is_provisional => known.ids,
                Some(_) => self.settle(call, outer, is_certain, by_key),
                None => {
                    // The next one inside may have begun a trace already.
                    let inside = index.checked_sub(1).and_then(|inside| chain.get(inside));
                    let inside = inside.and_then(|inside| self.known.get(&inside.id));
                    let adopted = inside
                        .filter(|inside| inside.is_provisional && inside.parent.is_none())
                        .map(|inside| inside.ids.trace);
                    self.make(call, outer, adopted, is_certain, by_key)
                }
            });
        }
        outer
    }

    /// Places a call without ids.
    fn make(
        &mut self,
        call: &SpanCall,
        outer: Option<SpanIds>,
        adopted: Option<TraceId>,
        is_certain: bool,
        by_key: &FindByKey<'_>,
    ) -> SpanIds {
        let remote = call.facts.parent;
        let by_key = match remote.or(outer) {
            None => self.parent_by_key(call, by_key, KEY_DEPTH),
            Some(_) => None,
        };
        let parent = remote.or(outer).or(by_key);
        let trace = parent.map(|parent| parent.trace).or(adopted);
        let ids = SpanIds {
            trace: trace.unwrap_or_else(|| self.ids.trace()),
            span: self.ids.span(),
        };
        let known = KnownSpan {
            ids,
            parent: parent.map(|parent| parent.span),
            is_remote: remote.is_some(),
            is_provisional: remote.is_none() && !is_certain,
            is_suspect: false,
            events: Vec::new(),
            left_out_events: 0,
            notes: Vec::new(),
        };
        self.known.insert(call.id, known);
        ids
    }

    /// Gives a provisional span its certain place, if that is known now. Its trace stays.
    fn settle(
        &mut self,
        call: &SpanCall,
        outer: Option<SpanIds>,
        is_certain: bool,
        by_key: &FindByKey<'_>,
    ) -> SpanIds {
        let has_parent = self.known.get(&call.id).and_then(|known| known.parent);
        let found = match (outer, has_parent) {
            (None, None) if is_certain => self.parent_by_key(call, by_key, KEY_DEPTH),
            _ => outer,
        };
        let Some(known) = self.known.get_mut(&call.id) else {
            return self.make(call, outer, None, is_certain, by_key);
        };
        known.is_provisional = !is_certain;
        if let Some(parent) = found {
            if parent.trace == known.ids.trace {
                known.parent = Some(parent.span);
            } else {
                let note = format!(
                    "the span {} of trace {} is around it; that was known only after its own trace had begun",
                    parent.span, parent.trace
                );
                known.notes.push(note);
            }
        }
        known.ids
    }

    /// The span that a call hangs below by its key, with ids.
    fn parent_by_key(
        &mut self,
        call: &SpanCall,
        by_key: &FindByKey<'_>,
        depth: u32,
    ) -> Option<SpanIds> {
        call.facts.key.as_ref()?;
        let depth = depth.checked_sub(1)?;
        let ended = self
            .ended
            .iter()
            .filter(|ended| is_around(&ended.call, call) && ended.end_ns >= call.id.begun_ns);
        let ended = ended.max_by_key(|ended| ended.call.id);
        let ended = ended.map(|ended| (ended.call.id, ended.ids));
        let open = by_key(call).filter(|open| is_around(open, call));
        match (open, ended) {
            (Some(open), ended) if ended.is_none_or(|(id, _)| id < open.id) => {
                if let Some(known) = self.known.get(&open.id) {
                    return Some(known.ids);
                }
                let remote = open.facts.parent;
                let parent = match remote {
                    None => self.parent_by_key(&open, by_key, depth),
                    remote => remote,
                };
                Some(self.make(
                    &open,
                    parent.filter(|_| remote.is_none()),
                    None,
                    false,
                    &|_| None,
                ))
            }
            (_, ended) => ended.map(|(_, ids)| ids),
        }
    }

    /// The event has happened inside of a call that has ids.
    pub(in crate::session::reader) fn hold(&mut self, call: &CallId, event: &Arc<Event>) {
        let Some(known) = self.known.get_mut(call) else {
            return;
        };
        if known.events.len() >= SPAN_EVENTS || self.held_events >= ALL_EVENTS {
            known.left_out_events += 1;
            return;
        }
        self.held_events += 1;
        known.events.push(Arc::clone(event));
    }

    /// A call that has ids has ended.
    pub(in crate::session::reader) fn end(
        &mut self,
        call: &SpanCall,
        end_ns: u64,
    ) -> Option<KnownSpan> {
        let known = self.known.remove(&call.id)?;
        self.held_events = self.held_events.saturating_sub(known.events.len());
        if call.facts.key.is_some() {
            if self.ended.len() >= MOST_ENDED {
                self.ended.pop_front();
            }
            self.ended.push_back(RememberedSpan {
                call: call.clone(),
                ids: known.ids,
                end_ns,
            });
        }
        Some(known)
    }

    /// Returns true if there are so many calls and events that some may be of calls that were left.
    pub(in crate::session::reader) fn is_full(&self) -> bool {
        self.known.len() + self.held_events >= self.tidy_at.max(TIDY_FROM)
    }

    /// Drops calls that will have no end: a panic has left them. They are neither open nor among those whose
    /// end is waiting, twice. `ended` is asked after the open ones, so an end between is not missed.
    pub(in crate::session::reader) fn tidy(
        &mut self,
        is_open: &dyn Fn(&CallId) -> bool,
        ended: &mut dyn FnMut() -> HashSet<CallId>,
    ) {
        let open: HashSet<CallId> = self
            .known
            .keys()
            .filter(|id| is_open(id))
            .copied()
            .collect();
        let ended = ended();
        self.known.retain(|id, known| {
            let was_suspect = known.is_suspect;
            known.is_suspect = !open.contains(id) && !ended.contains(id);
            !(was_suspect && known.is_suspect)
        });
        self.held_events = self.known.values().map(|known| known.events.len()).sum();
        if !self.known.values().any(|known| known.is_suspect) {
            self.tidy_at = 2 * (self.known.len() + self.held_events);
        }
    }
}

/// Returns true if a call that began earlier has the same key in the same process.
pub(in crate::session::reader) fn is_around(outer: &SpanCall, inner: &SpanCall) -> bool {
    outer.id.key.process == inner.id.key.process
        && outer.id.begun_ns < inner.id.begun_ns
        && outer.facts.key.is_some()
        && outer.facts.key == inner.facts.key
}
