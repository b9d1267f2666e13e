//! Spans: which call each event is in, and what becomes of the records of their ends.

mod batch;
mod calls;
mod ids;
mod parts;
mod table;
#[cfg(test)]
mod tests;
mod traceparent;

use std::sync::Arc;

use batch::{Looked, PossibleCall, SpanPlacer};
use calls::KernelCalls;
use table::FrameKey;

use crate::arch::STACK_POINTER;
use crate::base::address::RunAddr;
use crate::event::{Event, Exemplar, SpanContext, SpanEvent};
use crate::kernel::OpenCalls;
use crate::session::reader::clock::{WallOffset, monotonic_ns};
use crate::session::reader::site_table::SiteTable;
use crate::stack::{CapturedStack, PlacedModule, walk};

pub(super) use batch::{EndedCall, Surroundings};
pub(super) use parts::{EndedSpan, SpanEnd};

/// Frames of a stack that are searched for spans.
const FRAMES: usize = 512;
/// Why the parent of a call that was left is not known, if nothing inside has told it.
const LEFT: &str = "the call was left, and nothing inside of it was seen";
/// Why events of a probe without stacks are in no span.
const EARLIER: &str = "the probe was there before the session had spans";

/// An event that waits for its place among the spans.
pub(super) struct PendingEvent {
    pub(super) event: Arc<Event>,
    pub(super) ktime_ns: u64,
    /// The frames around it. `None` if it has no stack.
    pub(super) surroundings: Option<Surroundings>,
    /// It is of an interval, not of a moment.
    pub(super) is_timed: bool,
    /// Its time is in the probe's distribution.
    pub(super) is_measured: bool,
    /// The span that has ended with it.
    pub(super) ended: Option<Box<EndedSpan>>,
}

/// Finds the frames of a stack that may be spans.
pub(super) fn surroundings(
    sites: &SiteTable,
    captured: &CapturedStack,
    process: u32,
    find: &dyn Fn(RunAddr) -> Option<PlacedModule>,
) -> Surroundings {
    let walk = walk(captured, FRAMES, find);
    let mut possible: Vec<PossibleCall> = Vec::new();
    for pair in walk.frames.windows(2) {
        let [frame, caller] = pair else { continue };
        let (Some(placed), Some(cfa)) = (
            &frame.placed,
            caller.registers.get(usize::from(STACK_POINTER)),
        ) else {
            continue;
        };
        for (entry, begin, code) in sites.spans() {
            if !frame.signal && code.has(placed, frame.lookup) {
                let call = PossibleCall {
                    key: FrameKey {
                        slot: entry.slot,
                        group: begin.group,
                        process,
                        frame: cfa,
                    },
                    keeps: begin.keeps,
                    begins_here: code.begins_at(frame),
                    ends_here: code.ends_at(frame),
                };
                // A call has a site for each place at which it can begin.
                let same = possible.iter_mut().find(|one| one.key == call.key);
                match same {
                    Some(same) => {
                        same.begins_here |= call.begins_here;
                        same.ends_here |= call.ends_here;
                    }
                    None => possible.push(call),
                }
            }
        }
    }
    let is_cut = walk.frames.len() >= FRAMES;
    let cut = || is_cut.then(|| format!("the stack has more than {FRAMES} frames"));
    Surroundings {
        possible,
        stopped: walk.stopped.or_else(cut).map(Arc::from),
    }
}

/// The frames around a call that was left: nobody knows them any more.
pub(super) fn unknown_surroundings() -> Surroundings {
    Surroundings {
        possible: Vec::new(),
        stopped: Some(LEFT.into()),
    }
}

impl PendingEvent {
    /// The event's span as an example of its time, once it has its place.
    pub(super) fn exemplar(&self) -> Option<Exemplar> {
        let span = self.event.span.as_ref().filter(|_| self.is_measured)?;
        Some(Exemplar {
            ids: span.ids,
            elapsed_ns: span.duration_ns,
            time_ns: self.event.time_ns,
        })
    }
}

/// Gives events and spans their places.
pub(super) struct SpanReader {
    open: OpenCalls,
    placer: SpanPlacer,
}

impl SpanReader {
    pub(super) fn new(open: OpenCalls) -> Self {
        Self {
            open,
            placer: SpanPlacer::default(),
        }
    }

    /// Places a batch of events, in the order of their times. `later` takes the records from the ring, and
    /// gives the spans that end in those that wait.
    pub(super) fn place(
        &mut self,
        sites: &SiteTable,
        pending: &mut [PendingEvent],
        offset: WallOffset,
        later: &mut dyn FnMut() -> Vec<EndedCall>,
    ) {
        let Self { open, placer } = self;
        let source = KernelCalls { open, sites };
        let with_keys = sites.spans().any(|(_, begin, _)| begin.has_key());
        let all = pending.iter().filter_map(|one| one.surroundings.as_ref());
        let mut looked = Looked::of(&source, all, with_keys);
        let lacks = |one: &PendingEvent| {
            let around = one.surroundings.as_ref();
            around.is_some_and(|around| looked.lacks(around, one.ktime_ns))
        };
        if with_keys || pending.iter().any(lacks) {
            let ended = pending.iter().filter_map(|one| one.ended.as_ref());
            let ended: Vec<EndedCall> = ended.map(|ended| ended.call.clone()).collect();
            looked.add_ended(ended.into_iter().chain(later()));
        }
        let slots = sites.spans().map(|(entry, ..)| entry.slot);
        placer.look_at_missed(&source, slots, &monotonic_ns);
        for one in pending {
            place_one(placer, &looked, one, offset);
        }
        let keeps = |slot| {
            let mut spans = sites.spans();
            spans.any(|(entry, begin, _)| entry.slot == slot && begin.keeps)
        };
        placer.tidy(&source, &keeps, later);
    }
}

/// Gives one event its place.
fn place_one(
    placer: &mut SpanPlacer,
    looked: &Looked,
    pending: &mut PendingEvent,
    offset: WallOffset,
) {
    let around = pending.surroundings.take();
    if let Some(ended) = pending.ended.take() {
        let around = around.unwrap_or_default();
        let Some(known) = placer.ended(looked, &around, &ended.call) else {
            return;
        };
        let event = Arc::make_mut(&mut pending.event);
        let start_ns = ended.call.call.id.begun_ns;
        let mut notes = ended.notes;
        notes.extend(known.notes);
        let span = SpanEvent {
            ids: known.ids,
            parent: known.parent,
            parent_is_remote: known.is_remote,
            name: ended.name,
            start_ns: offset.wall(start_ns),
            duration_ns: ended.call.end_ns.saturating_sub(start_ns),
            status: ended.status,
            attributes: ended.attributes,
            events: known.events,
            left_out_events: known.left_out_events,
            notes,
        };
        event.message = parts::line(&span);
        event.span = Some(Box::new(span));
        return;
    }
    let (context, call) = match &around {
        Some(around) => placer.context(looked, around, pending.ktime_ns),
        None if pending.is_timed => return,
        None => (SpanContext::Unknown(EARLIER.into()), None),
    };
    Arc::make_mut(&mut pending.event).context = context;
    if let Some(call) = call {
        placer.hold(&call, &pending.event);
    }
}
