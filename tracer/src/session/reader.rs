//! The thread that drains the ring: records in, notices out.
//!
//! Events do not wake the thread. It looks every few milliseconds, sooner when the last look left
//! records behind, later while events flow, and at once when the ring fills past its mark or the
//! target exits. Records are shown in the order of their times. Each look sorts its records, and
//! the youngest wait for the next look, since a hit that began earlier on another CPU may still be
//! on its way.

mod accesses;
pub(in crate::session) mod aggregates;
mod backlog;
mod callers;
pub(in crate::session) mod clock;
mod frames;
pub(crate) mod objects;
pub(in crate::session) mod retired;
pub(in crate::session) mod site_table;
pub(in crate::session) mod span_code;
mod spans;
mod steps;
mod symbols;
pub(in crate::session) mod wait;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracer_common::record::{FLAG_LEFT, FLAG_STEP, FLAG_TIMED, Miss, RecordHeader};
use tracer_common::timing::LeftCall;

use super::feed::QueueRoom;
use crate::base::address::RunAddr;
use crate::base::cancel;
use crate::base::limits::LAST_WRITES;
use crate::debuginfo::site::Site;
use crate::event::{Event, LeftOut, PlacementId, SiteOrigin, SpanContext, Stack, Used};
use crate::kernel::{OpenCalls, Ring};
use crate::plan::timing::SpanBegin;
use crate::plan::{Context, DecodeScratch, Decoded, EventBuffers};
use crate::session::Notice;
use crate::session::reader::backlog::Backlog;
use crate::session::reader::clock::{WallOffset, monotonic_ns};
use crate::session::reader::objects::WatchNews;
use crate::session::reader::site_table::{SiteEntry, SiteTable, WatchMark};
use crate::session::reader::symbols::ModuleSymbols;
use crate::session::reader::wait::{Waiter, Woken};
use crate::session::shared::{ReaderNews, SharedState};
use crate::stack::{CapturedStack, PlacedModule};
use accesses::{AccessOrigin, AccessReader};
use frames::WantedStack;
use spans::{EndedCall, EndedSpan, PendingEvent, SpanEnd, SpanReader, Surroundings};
use steps::LoopFilter;

/// Pause between two looks, which is the longest wait of a rare event. A look costs more than the
/// few events that it finds, so looks are not more frequent. A flood wakes the reader itself.
const PAUSE: Duration = Duration::from_millis(8);
/// Such a pause once there was no record for [`IDLE_AFTER`]. A wakeup costs as much CPU as some events.
const IDLE_PAUSE: Duration = Duration::from_millis(24);
const IDLE_AFTER: Duration = Duration::from_secs(2);
/// Pause after a look that left records behind.
const LEFT_PAUSE: Duration = Duration::from_millis(3);
/// Pause while events flow, at a thousand a second and more. A look, the waking of the writer and
/// its write cost as much as dozens of events, and nobody reads them one by one.
const FLOWING_PAUSE: Duration = Duration::from_millis(20);
/// Events of one look that are a flow.
const FLOWING: usize = 16;
/// Time that a record waits for older ones from other CPUs, in ns. A hit that the kernel preempts
/// for longer comes late, with its right time.
const SETTLE_NS: u64 = 500_000;
/// Records that are decoded before the ring is looked at again: some ten milliseconds' worth.
const MAX_DECODED: usize = 1 << 13;
/// Missed pages that one look takes, so that a flood does not keep it.
const MAX_MISSES: usize = 1 << 10;
/// Bytes of events that are made before the ring is looked at again.
const MAX_DECODED_BYTES: usize = 8 << 20;
/// Longest time that the last look waits for a frontend that takes nothing.
const LAST_PATIENCE: Duration = Duration::from_secs(5);
/// Interval at which the last look checks for a signal.
const LAST_LOOK: Duration = Duration::from_millis(20);
/// Between two readings of the clocks' difference.
const CLOCK_PERIOD: Duration = Duration::from_secs(1);

/// The kernel's side of the reader.
pub(super) struct RingReaderParts {
    pub(super) ring: Ring,
    pub(super) open_calls: OpenCalls,
}

/// Drains the ring until the session stops or the target exits.
///
/// `backlog` is the size in bytes of the records that may wait while the frontend has no space.
/// Above it the oldest are dropped, first those that are events already.
pub(super) fn run(
    shared: &SharedState,
    RingReaderParts {
        mut ring,
        open_calls,
    }: RingReaderParts,
    waiter: &Waiter,
    backlog: usize,
) {
    let mut reader = RingReader::new(shared, backlog, open_calls);
    let mut pause = PAUSE;
    let mut last_record = Instant::now();
    loop {
        let woken = waiter.wait(pause);
        let last = woken != Woken::Look;
        pause = reader.look(&mut ring, waiter, last);
        if std::mem::take(&mut reader.has_kept) {
            last_record = Instant::now();
        } else if pause == PAUSE && last_record.elapsed() > IDLE_AFTER {
            pause = IDLE_PAUSE;
        }
        match woken {
            Woken::Look => {}
            Woken::Stop => return,
            Woken::TargetExited => {
                shared.target_exited();
                return;
            }
        }
    }
}

/// State that stays from look to look.
struct RingReader<'a> {
    shared: &'a SharedState,
    offset: WallOffset,
    offset_read: Instant,
    backlog: Backlog,
    /// A record has come since the last pause.
    has_kept: bool,
    most: usize,
    /// Displayed events, kept for reuse.
    used: Vec<Used>,
    scratch: DecodeScratch,
    spans: SpanReader,
    steps: LoopFilter,
    accesses: AccessReader,
    /// Omitted hits of each placement up to its last event.
    left_out: BTreeMap<PlacementId, LeftOutSoFar>,
}

impl<'a> RingReader<'a> {
    fn new(shared: &'a SharedState, most: usize, open_calls: OpenCalls) -> Self {
        Self {
            shared,
            offset: WallOffset::now(),
            offset_read: Instant::now(),
            backlog: Backlog::default(),
            has_kept: false,
            most,
            used: Vec::new(),
            scratch: DecodeScratch::default(),
            spans: SpanReader::new(open_calls),
            steps: LoopFilter::default(),
            accesses: AccessReader::default(),
            left_out: BTreeMap::new(),
        }
    }

    /// Takes the ring's records, and hands on those that are old enough and have space; all of them
    /// if it is the `last` look. Returns the pause until the next one.
    fn look(&mut self, ring: &mut Ring, waiter: &Waiter, last: bool) -> Duration {
        let now = monotonic_ns();
        // One drain is bounded. Records that the last drain left would be lost without being
        // counted.
        let mut emptied = loop {
            let emptied = ring.drain(|record| self.keep(record));
            if emptied || !last {
                break emptied;
            }
        };
        self.pass_misses(ring);
        if last {
            self.steps.finish(self.shared, &mut self.backlog);
        }
        if emptied && self.backlog.is_empty() {
            self.shared.ring_was_emptied();
            self.shared.set_backlog(0);
            self.shared
                .events_are_told_until(if last { u64::MAX } else { now });
            return PAUSE;
        }
        if self.offset_read.elapsed() > CLOCK_PERIOD {
            self.offset = WallOffset::now();
            self.offset_read = Instant::now();
        }
        if last {
            self.hand_on_all(ring);
            self.shared.events_are_told_until(u64::MAX);
            return PAUSE;
        }
        let mut is_flowing = false;
        let room = self.shared.feed.room();
        if room != QueueRoom::NONE {
            let settled = now.saturating_sub(SETTLE_NS);
            let ready = self.backlog.ready(settled);
            let (mut left, mut bytes) = (ready.min(room.events), room.bytes);
            // Records without space are looked at again as soon as there may be some.
            is_flowing = (FLOWING..=room.events).contains(&ready);
            while left > 0 && bytes > 0 {
                let done = self.hand_on(left, bytes, ring);
                left -= done.events;
                bytes = bytes.saturating_sub(done.bytes);
                if left > 0 {
                    emptied = ring.drain(|record| self.keep(record));
                    // The last look hands on the rest, and knows when to give up.
                    if waiter.is_stopped() {
                        return PAUSE;
                    }
                }
            }
            if left == 0 && ready <= room.events {
                self.shared.events_are_told_until(settled);
            }
        }
        if self.backlog.bytes() > self.most {
            self.drop_oldest();
        }
        self.shared.set_backlog(self.backlog.len());
        if emptied && is_flowing {
            FLOWING_PAUSE
        } else if emptied && self.backlog.is_empty() {
            PAUSE
        } else {
            LEFT_PAUSE
        }
    }

    /// Has the pages brought in that hits have missed.
    fn pass_misses(&self, ring: &mut Ring) {
        let misses: Vec<Miss> = std::iter::from_fn(|| ring.next_miss())
            .take(MAX_MISSES)
            .collect();
        if !misses.is_empty()
            && let Some(pager) = self.shared.pager()
        {
            pager.missed(misses);
        }
    }

    fn keep(&mut self, record: &[u8]) {
        self.has_kept = true;
        let (shared, backlog) = (self.shared, &mut self.backlog);
        keep(shared, &mut self.steps, backlog, record);
    }

    /// Hands on records at the frontend's pace; at once if it takes too long.
    fn hand_on_all(&mut self, ring: &mut Ring) {
        let mut waits = Instant::now();
        while !self.backlog.is_empty() {
            if cancel::writing_since().is_some_and(|since| since > LAST_WRITES) {
                self.give_up(self.backlog.len());
                break;
            }
            let room = match self.shared.feed.wait_room(LAST_LOOK) {
                QueueRoom::NONE if waits.elapsed() < LAST_PATIENCE => continue,
                QueueRoom::NONE => QueueRoom::ANY,
                room => {
                    waits = Instant::now();
                    room
                }
            };
            let ready = self.backlog.ready(u64::MAX);
            self.hand_on(ready.min(room.events), room.bytes, ring);
        }
        self.shared.set_backlog(0);
    }

    /// Drops the oldest: all finished events, and half of the records.
    fn drop_oldest(&mut self) {
        self.shared.feed.drop_events();
        let all = self.backlog.ready(u64::MAX);
        self.give_up(all / 2);
    }

    /// Drops this number of records, which their probes count as lost.
    fn give_up(&mut self, count: usize) {
        let (shared, sites) = (self.shared, self.shared.sites());
        self.backlog.take(count, |record| {
            let entry = header_of(record).and_then(|header| {
                let entry = sites.get(header.site);
                entry.filter(|entry| entry.slot == u32::from(header.probe))
            });
            match entry {
                Some(entry) => shared.feed.count_dropped(entry.origin.placement),
                None => shared.count_undecodable(None),
            }
            ControlFlow::Continue(())
        });
    }

    /// Decodes at most the first `count` records, into events of about this number of bytes.
    fn hand_on(&mut self, count: usize, bytes: usize, ring: &mut Ring) -> HandedOn {
        let count = count.min(MAX_DECODED);
        let most = bytes.min(MAX_DECODED_BYTES);
        let mut weight = 0_usize;
        let (shared, offset, sites) = (self.shared, self.offset, self.shared.sites());
        let mut symbols: Option<(u32, ModuleSymbols)> = None;
        if self.used.len() < count {
            self.used.extend(shared.feed.used());
        }
        let used = &mut self.used;
        let mut tools = DecodeTools {
            scratch: &mut self.scratch,
            accesses: &mut self.accesses,
        };
        let left_out = &mut self.left_out;
        let mut pending = Vec::new();
        let taken = self.backlog.take(count, |record| {
            let Some(header) = header_of(record) else {
                return ControlFlow::Continue(());
            };
            if shared.is_of_loader(header.site) {
                return ControlFlow::Continue(());
            }
            let entry = sites.get(header.site);
            match entry.filter(|entry| entry.slot == u32::from(header.probe)) {
                Some(entry) => {
                    // Hits of one process often follow each other.
                    let known = symbols.take().filter(|(pid, _)| *pid == header.pid);
                    let (_, symbols) = symbols.insert(known.unwrap_or_else(|| {
                        let modules = shared.modules_of(header.pid);
                        (header.pid, ModuleSymbols::new(modules))
                    }));
                    let hit = Hit {
                        header: &header,
                        record,
                        time_ns: offset.wall(header.ktime_ns),
                        symbols,
                        labels: shared,
                    };
                    if let Some(mark) = entry.mark {
                        hit.tell_mark(mark, entry);
                        return ControlFlow::Continue(());
                    }
                    match event(&sites, entry, &hit, used.pop(), &mut tools) {
                        Some(mut made) => {
                            let so_far = left_out.entry(entry.origin.placement).or_default();
                            let mut left_out = so_far.advance(&header);
                            if entry.style.samples {
                                left_out.limited = 0;
                            }
                            Arc::make_mut(&mut made.event).left_out = left_out;
                            weight += size_of::<Notice>() + made.event.weight();
                            pending.push(made);
                        }
                        None => shared.count_undecodable(Some(entry.origin.placement)),
                    }
                }
                None => shared.count_undecodable(None),
            }
            match weight < most {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
        if sites.spans().next().is_some() || pending.iter().any(|one| one.ended.is_some()) {
            let (backlog, has_kept) = (&mut self.backlog, &mut self.has_kept);
            let steps = &mut self.steps;
            let mut later = || {
                ring.drain(|record| {
                    *has_kept = true;
                    keep(shared, steps, backlog, record);
                });
                let records = backlog.records();
                records
                    .filter_map(|record| ended_call(&sites, record))
                    .collect()
            };
            self.spans.place(&sites, &mut pending, offset, &mut later);
            for one in &pending {
                if let Some(exemplar) = one.exemplar() {
                    shared.set_exemplar(one.event.origin.placement, exemplar);
                }
            }
        }
        drop(sites);
        let made = pending.into_iter().map(|one| Notice::Event(one.event));
        self.shared.feed.extend(made);
        HandedOn {
            events: taken,
            bytes: weight,
        }
    }
}

/// The number of a placement's hits left out before an event, according to its records.
#[derive(Clone, Copy, Default)]
struct LeftOutSoFar {
    limited: u32,
    lost: u32,
}

impl LeftOutSoFar {
    /// The hits left out since the last record, up to this one. Events of several CPUs come a
    /// little out of order: an earlier count adds nothing.
    fn advance(&mut self, header: &RecordHeader) -> LeftOut {
        let more = |so_far: &mut u32, now: u32| {
            let more = now.wrapping_sub(*so_far);
            if more > u32::MAX / 2 {
                return 0;
            }
            *so_far = now;
            u64::from(more)
        };
        LeftOut {
            limited: more(&mut self.limited, header.limited),
            lost: more(&mut self.lost, header.lost),
        }
    }
}

/// The amount that was handed on.
struct HandedOn {
    events: usize,
    bytes: usize,
}

fn header_of(record: &[u8]) -> Option<RecordHeader> {
    let bytes = record.get(..size_of::<RecordHeader>())?;
    Some(bytemuck::pod_read_unaligned(bytes))
}

/// A record, and the wall clock's time of its hit.
struct Hit<'a> {
    header: &'a RecordHeader,
    record: &'a [u8],
    time_ns: u64,
    symbols: &'a ModuleSymbols,
    /// Knows the processes.
    labels: &'a SharedState,
}

impl Hit<'_> {
    /// Puts the time, the thread and the number of the hit into its event.
    fn put_thread(&self, event: &mut Event, name: &[u8]) {
        event.time_ns = self.time_ns;
        event.pid = self.header.pid;
        event.tid = self.header.tid;
        event.thread.clear();
        event.thread.push_str(&String::from_utf8_lossy(name));
        event.hit = self.header.hit;
        event.span = None;
        event.context = SpanContext::Outside;
    }

    /// Tells the owner of a hit that finds the object of a watch, or ends the watch.
    fn tell_mark(&self, mark: WatchMark, entry: &SiteEntry) {
        let find = |address| self.symbols.placed(address, self.header.ktime_ns);
        match objects::news(mark, entry, self.header, self.record, &find) {
            Some(news) => self.labels.tell_owner(ReaderNews::Watch(news)),
            None => self.labels.warn(format!(
                "{}: the value to watch could not be found at a hit",
                entry.origin.probe_name
            )),
        }
    }
}

/// The event of a record, in the memory of a used event if there is one.
fn event(
    sites: &SiteTable,
    entry: &SiteEntry,
    hit: &Hit<'_>,
    used: Option<Used>,
    tools: &mut DecodeTools<'_>,
) -> Option<PendingEvent> {
    let Hit {
        header,
        record,
        symbols,
        labels,
        ..
    } = *hit;
    let name = thread_name(header);
    let process = || {
        let is_first_thread = header.pid == header.tid;
        labels.labels_of(header.pid, if is_first_thread { name } else { b"" })
    };
    let context = Context {
        time_ns: Some(hit.time_ns),
        symbols: Some(symbols),
        process: Some(&process),
        ..Context::default()
    };
    let mut made = used.map_or_else(|| Arc::new(empty(&entry.origin)), |used| used.0);
    // It has no other owner, so nothing is copied.
    let event = Arc::make_mut(&mut made);
    let mut begin = None;
    let mut left = None;
    let (origin, mut decoded) = if u32::from(header.flags) & FLAG_LEFT != 0 {
        let call = LeftRecord::of(sites, header, record)?;
        let decoded = call.decode(header, &context)?;
        let origin = &call.begun_at.origin;
        left = Some(call);
        (origin, decoded)
    } else if u32::from(header.flags) & FLAG_TIMED == 0 {
        let room = EventBuffers {
            message: std::mem::take(&mut event.message),
            values: std::mem::take(&mut event.values),
        };
        let layout = &entry.layout;
        let decoded = match steps::is_of_next_call(header, record) {
            true => Decoded::default(),
            false => layout
                .decode_into(record, &context, room, tools.scratch)
                .ok()?,
        };
        (&entry.origin, decoded)
    } else {
        // A timed event has the origin of its beginning.
        let begun = sites.get(header.begun_at.into())?;
        let begun = (begun.slot == u32::from(header.probe)).then_some(begun)?;
        let decoded = entry.layout.decode_timed(&begun.layout, record, &context);
        begin = Some(begun);
        (&begun.origin, decoded.ok()?)
    };
    let step = steps::of(header, record)?;
    let find = |address| symbols.placed(address, header.ktime_ns);
    let surroundings = surroundings(sites, &decoded, left.is_some(), header, &find);
    let ended = match (begin, &left) {
        (_, Some(left)) => Some(Box::new(left.span(header, &mut decoded)?)),
        (Some(begin), _) => ended_span(begin, header, &mut decoded)?.map(Box::new),
        _ => None,
    };
    let accessed = tools.accessed(entry, hit, &decoded, &find)?;
    let site = accessed
        .as_ref()
        .and_then(|accessed| accessed.site.as_ref());
    let site = site.or(entry.site.as_ref());
    let stack = decoded.stack.as_ref().filter(|_| entry.style.depth > 0);
    let stack = stack.map(|captured| stack_of(entry, captured, site, &find));
    let origin = accessed
        .as_ref()
        .map_or(origin, |accessed| &accessed.origin);
    if !Arc::ptr_eq(&event.origin, origin) {
        event.origin = Arc::clone(origin);
    }
    hit.put_thread(event, name);
    event.message = decoded.message;
    event.values = decoded.values;
    event.stack = stack.unwrap_or_default();
    event.step = step.map(Box::new);
    event.access = accessed
        .as_ref()
        .map(|accessed| Box::new(accessed.access.clone()));
    if let Some(accessed) = accessed.filter(|_| entry.spec.template.is_none()) {
        event.message.push_str(" by ");
        event.message.push_str(&accessed.author());
    }
    Some(PendingEvent {
        event: made,
        ktime_ns: header.ktime_ns,
        surroundings,
        is_timed: begin.is_some() || left.is_some(),
        is_measured: begin.is_some(),
        ended,
    })
}

/// The thread's name, without the zeroes behind it.
fn thread_name(header: &RecordHeader) -> &[u8] {
    let mut parts = header.comm.split(|&byte| byte == 0);
    parts.next().unwrap_or_default()
}

/// The parts of the reader that make events.
struct DecodeTools<'r> {
    scratch: &'r mut DecodeScratch,
    accesses: &'r mut AccessReader,
}

impl DecodeTools<'_> {
    /// The code that made the access of a hit, if it is one. The outer `None` is for a record without its registers.
    fn accessed(
        &mut self,
        entry: &SiteEntry,
        hit: &Hit<'_>,
        decoded: &Decoded,
        find: &dyn Fn(RunAddr) -> Option<PlacedModule>,
    ) -> Option<Option<Arc<AccessOrigin>>> {
        let (Some(access), Some(stack)) = (decoded.access, &decoded.stack) else {
            return Some(None);
        };
        if objects::is_gone(entry, hit.header, decoded) {
            let slot = entry.slot;
            let left = ReaderNews::Watch(WatchNews::Left { slot });
            hit.labels.tell_owner(left);
        }
        let registers = &stack.registers;
        self.accesses
            .origin(entry, access, registers, find)
            .map(Some)
    }
}

/// The call stack of a hit.
fn stack_of(
    entry: &SiteEntry,
    captured: &CapturedStack,
    site: Option<&Site>,
    find: &dyn Fn(RunAddr) -> Option<PlacedModule>,
) -> Stack {
    let wanted = WantedStack {
        site,
        depth: entry.style.depth,
        variables: entry.style.callers.then(|| entry.layout.redactor()),
    };
    frames::stack(captured, wanted, find)
}

/// The frames around a hit that may be spans. `None` if the session has no spans, or the record no stack.
fn surroundings(
    sites: &SiteTable,
    decoded: &Decoded,
    is_left: bool,
    header: &RecordHeader,
    find: &dyn Fn(RunAddr) -> Option<PlacedModule>,
) -> Option<Surroundings> {
    if is_left {
        return Some(spans::unknown_surroundings());
    }
    let captured = decoded.stack.as_ref()?;
    let has_spans = sites.spans().next().is_some();
    has_spans.then(|| spans::surroundings(sites, captured, header.pid, find))
}

/// The span that has ended with a record, if its call is one. The outer `None` is for a record of another plan.
fn ended_span(
    begin: &SiteEntry,
    header: &RecordHeader,
    decoded: &mut Decoded,
) -> Option<Option<EndedSpan>> {
    let Some(span) = begin.layout.span() else {
        return Some(None);
    };
    let end = span_end(begin, span, header);
    let name = span_name(begin, decoded);
    EndedSpan::of(end, name, &mut decoded.values).map(Some)
}

fn span_end<'e>(begin: &'e SiteEntry, span: &'e SpanBegin, header: &RecordHeader) -> SpanEnd<'e> {
    let failure = begin.spec.action.kind().failure(&begin.spec);
    SpanEnd {
        begin: span,
        slot: begin.slot,
        process: header.pid,
        end_ns: header.ktime_ns,
        failure: failure.unwrap_or_default(),
    }
}

fn span_name(begin: &SiteEntry, decoded: &Decoded) -> String {
    match decoded.message.is_empty() {
        true => begin.origin.function.clone(),
        false => decoded.message.clone(),
    }
}

/// The record of a call that was left without its end.
struct LeftRecord<'r> {
    begun_at: &'r SiteEntry,
    span: &'r SpanBegin,
    call: LeftCall,
    chunks: &'r [u8],
}

impl<'r> LeftRecord<'r> {
    /// `None` if the record is of another plan.
    fn of(sites: &'r SiteTable, header: &RecordHeader, record: &'r [u8]) -> Option<Self> {
        let begun_at = sites.get(header.begun_at.into())?;
        let span = begun_at.layout.span()?;
        let after = record.get(size_of::<RecordHeader>()..)?;
        let (call, chunks) = after.split_at_checked(size_of::<LeftCall>())?;
        let is_of_it = begun_at.slot == u32::from(header.probe);
        is_of_it.then_some(Self {
            begun_at,
            span,
            call: bytemuck::pod_read_unaligned(call),
            chunks: chunks.get(..header.begun_bytes.into())?,
        })
    }

    fn decode(&self, header: &RecordHeader, context: &Context<'_>) -> Option<Decoded> {
        let layout = &self.begun_at.layout;
        layout.decode_left(*header, self.chunks, context).ok()
    }

    fn span(&self, header: &RecordHeader, decoded: &mut Decoded) -> Option<EndedSpan> {
        let end = span_end(self.begun_at, self.span, header);
        let name = span_name(self.begun_at, decoded);
        EndedSpan::left(end, &self.call, name, &mut decoded.values)
    }
}

/// The call whose end a record tells, if it is a span.
fn ended_call(sites: &SiteTable, record: &[u8]) -> Option<EndedCall> {
    let header = header_of(record)?;
    if u32::from(header.flags) & FLAG_LEFT != 0 {
        let left = LeftRecord::of(sites, &header, record)?;
        let mut decoded = left.decode(&header, &Context::default())?;
        return Some(left.span(&header, &mut decoded)?.call);
    }
    let begin = sites.get(header.begun_at.into())?;
    let end = sites.get(header.site)?;
    let is_end = u32::from(header.flags) & FLAG_TIMED != 0;
    if !is_end || begin.slot != u32::from(header.probe) || end.slot != begin.slot {
        return None;
    }
    begin.layout.span()?;
    let context = Context::default();
    let decoded = end.layout.decode_timed(&begin.layout, record, &context);
    let span = ended_span(begin, &header, &mut decoded.ok()?)??;
    Some(span.call)
}

/// Keeps a record until it is handed on.
fn keep(shared: &SharedState, steps: &mut LoopFilter, backlog: &mut Backlog, record: &[u8]) {
    match header_of(record) {
        Some(header) if u32::from(header.flags) & FLAG_STEP != 0 => {
            steps.pass(shared, &header, record, backlog);
        }
        Some(header) => backlog.keep(header.ktime_ns, record),
        None => shared.count_undecodable(None),
    }
}

/// An event with only its origin.
fn empty(origin: &Arc<SiteOrigin>) -> Event {
    Event {
        origin: Arc::clone(origin),
        time_ns: 0,
        pid: 0,
        tid: 0,
        thread: String::new(),
        hit: 0,
        message: String::new(),
        values: Vec::new(),
        stack: Stack::default(),
        left_out: LeftOut::default(),
        span: None,
        step: None,
        context: SpanContext::Outside,
        access: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn left_out_advances_and_never_goes_back() {
        let header = |limited, lost| RecordHeader {
            limited,
            lost,
            ..RecordHeader::default()
        };
        let mut so_far = LeftOutSoFar {
            limited: u32::MAX - 1,
            lost: 4,
        };
        let mut between = |limited, lost| {
            let left_out = so_far.advance(&header(limited, lost));
            (left_out.limited, left_out.lost)
        };
        assert_eq!(between(3, 4), (5, 0), "over the end of the number");
        assert_eq!(between(1, 9), (0, 5), "of another CPU, earlier");
        assert_eq!(between(4, 9), (1, 0));
    }
}
