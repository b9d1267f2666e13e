//! Places events and spans among the open calls.
//!
//! A call stack tells the frames around an event. The kernel's map of open calls tells which of them are
//! spans: an entry that began before the event and is still there was open at the event. If it is gone,
//! the record of the call's end is in the ring, because the entry is removed before the record is sent.
//! If there is none, the call is no span that will be shown. Its record may also have been lost, or the
//! call may have been left without its end. The probe's counters tell that, and then no span is named.

use std::collections::HashMap;
use std::sync::Arc;

use super::table::{CallId, FrameKey, KnownSpan, SpanCall, SpanTable, is_around};
use crate::event::{Event, SpanContext, SpanIds};

/// Why the span around an event is not certain.
const MISSED: &str = "a call around it may be a span that was lost, or left without its end";

/// Why the span of an event at the first instruction of its call is not certain. The kernel chooses which
/// probe of one instruction comes first, and the other one may have.
const BEGINS: &str = "the span begins at the same instruction";
/// The same at the last instruction.
const ENDS: &str = "the span ends at the same instruction";

/// A frame on a stack that may be a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session::reader) struct PossibleCall {
    pub(in crate::session::reader) key: FrameKey,
    /// Calls of the probe keep values.
    pub(in crate::session::reader) keeps: bool,
    /// The frame is at the instruction at which the call begins.
    pub(in crate::session::reader) begins_here: bool,
    /// The frame is at an instruction at which the call ends.
    pub(in crate::session::reader) ends_here: bool,
}

/// The frames around an event that may be spans.
#[derive(Clone, Debug, Default)]
pub(in crate::session::reader) struct Surroundings {
    /// Innermost first.
    pub(in crate::session::reader) possible: Vec<PossibleCall>,
    /// Reason why the stack is not known to its end.
    pub(in crate::session::reader) stopped: Option<Arc<str>>,
}

/// A call that has ended.
#[derive(Clone, Debug)]
pub(in crate::session::reader) struct EndedCall {
    pub(in crate::session::reader) call: SpanCall,
    pub(in crate::session::reader) end_ns: u64,
}

/// Knows the calls that are open.
pub(in crate::session::reader) trait CallSource {
    /// The call that is open in a frame now.
    fn open(&self, possible: PossibleCall) -> Option<SpanCall>;
    /// The calls with a key that are open now.
    fn keyed(&self) -> Vec<SpanCall>;
    /// Calls of a probe so far that may have been open without a trace.
    fn missed(&self, slot: u32) -> u64;
}

/// The known calls around a batch of events.
#[derive(Default)]
pub(in crate::session::reader) struct Looked {
    open: HashMap<FrameKey, Option<SpanCall>>,
    keyed: Vec<SpanCall>,
    /// Calls whose end comes after an event of the batch.
    ended: Vec<EndedCall>,
}

impl Looked {
    /// Asks for the calls in these frames, before the records of later ends are taken.
    pub(in crate::session::reader) fn of<'s>(
        source: &dyn CallSource,
        surroundings: impl Iterator<Item = &'s Surroundings>,
        with_keys: bool,
    ) -> Self {
        let mut looked = Self::default();
        for possible in surroundings.flat_map(|one| &one.possible) {
            let key = possible.key;
            looked
                .open
                .entry(key)
                .or_insert_with(|| source.open(*possible));
        }
        if with_keys {
            looked.keyed = source.keyed();
        }
        looked
    }

    /// Returns true if a call that was open at a time has ended since, as far as the map tells.
    pub(in crate::session::reader) fn lacks(
        &self,
        surroundings: &Surroundings,
        time_ns: u64,
    ) -> bool {
        let is_open = |one: &PossibleCall| self.open_at(one.key, time_ns).is_some();
        !surroundings.possible.iter().all(is_open)
    }

    /// Adds the calls whose ends were recorded.
    pub(in crate::session::reader) fn add_ended(&mut self, ended: impl Iterator<Item = EndedCall>) {
        self.ended.extend(ended);
    }

    fn open_at(&self, key: FrameKey, time_ns: u64) -> Option<&SpanCall> {
        let call = self.open.get(&key)?.as_ref()?;
        (call.id.begun_ns <= time_ns).then_some(call)
    }

    /// The call in a frame at a time.
    fn at(&self, key: FrameKey, time_ns: u64) -> Option<&SpanCall> {
        let is_it = |one: &&EndedCall| {
            let id = &one.call.id;
            id.key == key && (id.begun_ns..=one.end_ns).contains(&time_ns)
        };
        let ended = || self.ended.iter().find(is_it).map(|one| &one.call);
        self.open_at(key, time_ns).or_else(ended)
    }

    /// The last call with the same key that began before another one and was open then.
    fn with_key(&self, of: &SpanCall) -> Option<SpanCall> {
        let ended = self.ended.iter().filter(|one| one.end_ns >= of.id.begun_ns);
        let all = self.keyed.iter().chain(ended.map(|one| &one.call));
        all.filter(|call| is_around(call, of))
            .max_by_key(|call| call.id)
            .cloned()
    }
}

/// Calls of a probe that left no trace.
#[derive(Default)]
struct MissedCalls {
    count: u64,
    /// The time until which a call may be among them.
    until_ns: u64,
}

/// Places events and spans.
#[derive(Default)]
pub(in crate::session::reader) struct SpanPlacer {
    table: SpanTable,
    missed: HashMap<u32, MissedCalls>,
}

impl SpanPlacer {
    /// Takes note of missed calls. To be called after the calls were looked at, and before events are placed.
    pub(in crate::session::reader) fn look_at_missed(
        &mut self,
        source: &dyn CallSource,
        slots: impl Iterator<Item = u32>,
        now: &dyn Fn() -> u64,
    ) {
        for slot in slots {
            let (count, missed) = (source.missed(slot), self.missed.entry(slot).or_default());
            if count != missed.count {
                missed.count = count;
                // Read after the counter, so that all that it counts was before.
                missed.until_ns = now();
            }
        }
    }

    /// The calls around an event at a time. `own` is the ended call itself.
    fn around(
        &self,
        looked: &Looked,
        surroundings: &Surroundings,
        time_ns: u64,
        own: Option<&SpanCall>,
    ) -> Result<Vec<SpanCall>, Arc<str>> {
        let mut chain: Vec<SpanCall> = Vec::new();
        // Several calls in one frame: the one that began last is the innermost.
        let mut frame_from = (0, 0);
        for possible in &surroundings.possible {
            let key = possible.key;
            if own.is_some_and(|own| own.id.key == key) {
                continue;
            }
            if key.frame != frame_from.0 {
                frame_from = (key.frame, chain.len());
            }
            let at = own.map_or(time_ns, |own| own.id.begun_ns);
            match looked.at(key, time_ns) {
                Some(call) if call.id.begun_ns <= at => {
                    let same_frame = chain.iter().skip(frame_from.1);
                    let inside = same_frame.filter(|other| other.id > call.id).count();
                    chain.insert(frame_from.1 + inside, call.clone());
                }
                // It began later, in the same frame as the ended call.
                Some(_) => {}
                None => {
                    let missed = self.missed.get(&key.slot);
                    if missed.is_some_and(|missed| time_ns <= missed.until_ns) {
                        return Err(MISSED.into());
                    }
                }
            }
        }
        Ok(chain)
    }

    /// The innermost span around an event.
    pub(in crate::session::reader) fn context(
        &mut self,
        looked: &Looked,
        surroundings: &Surroundings,
        time_ns: u64,
    ) -> (SpanContext, Option<CallId>) {
        let chain = match self.around(looked, surroundings, time_ns, None) {
            Ok(chain) => chain,
            Err(why) => return (SpanContext::Unknown(why), None),
        };
        let is_open = |key| chain.iter().any(|call| call.id.key == key);
        for possible in &surroundings.possible {
            let why = match possible {
                _ if is_open(possible.key) => continue,
                one if one.begins_here => BEGINS,
                one if one.ends_here => ENDS,
                _ => continue,
            };
            return (SpanContext::Unknown(why.into()), None);
        }
        let is_whole = surroundings.stopped.is_none();
        let found = self
            .table
            .establish(&chain, is_whole, &|call| looked.with_key(call));
        match (found, chain.first(), &surroundings.stopped) {
            (Some(ids), Some(call), _) => (SpanContext::Inside(ids), Some(call.id)),
            (_, _, Some(why)) => (SpanContext::Unknown(Arc::clone(why)), None),
            _ => (SpanContext::Outside, None),
        }
    }

    /// An event has happened inside of a call.
    pub(in crate::session::reader) fn hold(&mut self, call: &CallId, event: &Arc<Event>) {
        self.table.hold(call, event);
    }

    /// The span of a call that has ended, with its place.
    pub(in crate::session::reader) fn ended(
        &mut self,
        looked: &Looked,
        surroundings: &Surroundings,
        ended: &EndedCall,
    ) -> Option<KnownSpan> {
        let own = &ended.call;
        let mut chain = vec![own.clone()];
        let mut unknown = surroundings.stopped.clone();
        match self.around(looked, surroundings, ended.end_ns, Some(own)) {
            Ok(outer) => chain.extend(outer),
            Err(why) => unknown = Some(why),
        }
        let is_whole = unknown.is_none();
        let _ids: Option<SpanIds> = self
            .table
            .establish(&chain, is_whole, &|call| looked.with_key(call));
        let mut known = self.table.end(own, ended.end_ns)?;
        if let (Some(why), None) = (unknown, known.parent) {
            known.notes.push(format!("parent not known: {why}"));
        }
        Some(known)
    }

    /// Drops calls that were left, once there are many. `later` gives the calls whose ends are waiting.
    pub(in crate::session::reader) fn tidy(
        &mut self,
        source: &dyn CallSource,
        keeps: &dyn Fn(u32) -> bool,
        later: &mut dyn FnMut() -> Vec<EndedCall>,
    ) {
        if !self.table.is_full() {
            return;
        }
        let is_open = |id: &CallId| {
            let possible = PossibleCall {
                key: id.key,
                keeps: keeps(id.key.slot),
                begins_here: false,
                ends_here: false,
            };
            source.open(possible).is_some_and(|call| call.id == *id)
        };
        let mut ended = || later().iter().map(|ended| ended.call.id).collect();
        self.table.tidy(&is_open, &mut ended);
    }
}
