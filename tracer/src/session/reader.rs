//! The thread that drains the ring: records in, notices out.
//!
//! Nobody wakes it for an event: it looks every few milliseconds, sooner for
//! what the last look left behind, later while events flow, and at once when the ring fills past
//! its mark or the target exits. Records are shown in the order of their times: what one look finds is
//! sorted, and the youngest wait for the next look, since a hit that began
//! earlier on another CPU may still be on its way.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracer_common::record::{FLAG_TIMED, Miss, RecordHeader};

use super::backlog::Backlog;
use super::clock::{WallOffset, monotonic_ns};
use super::frames::{self, Wanted};
use super::queue::QueueRoom;
use super::shared::{Shared, SiteEntry, SiteTable};
use super::symbols::ModuleSymbols;
use super::wait::{Waiter, Woken};
use crate::cancel;
use crate::event::{Event, LeftOut, Notice, Origin, PlacementId, Stack, Used};
use crate::kernel::Ring;
use crate::limits::LAST_WRITES;
use crate::plan::{Context, Room, Scratch};

/// Between two looks: the most that a rare event waits. A look that finds a few events costs
/// more than they do, so they are not looked for more often; a flood wakes the reader itself.
const PAUSE: Duration = Duration::from_millis(8);
/// Until the next look when the last one left records behind.
const LEFT_PAUSE: Duration = Duration::from_millis(3);
/// The same while events flow, at a thousand a second and more: a look, the waking of the writer
/// and its write cost as much as dozens of events, and nobody reads them one by one.
const FLOWING_PAUSE: Duration = Duration::from_millis(20);
/// Events of one look that are a flow.
const FLOWING: usize = 16;
/// How long a record waits for older ones from other CPUs, in ns. A hit that the
/// kernel preempts for longer comes late, with its right time.
const SETTLE_NS: u64 = 500_000;
/// Records that are decoded before the ring is looked at again: some ten milliseconds' worth.
const MAX_DECODED: usize = 1 << 13;
/// Missed pages that one look takes, so that a flood does not keep it.
const MAX_MISSES: usize = 1 << 10;
/// Bytes of events that are made before the ring is looked at again.
const MAX_DECODED_BYTES: usize = 8 << 20;
/// How long the last look waits for a frontend that takes nothing.
const LAST_PATIENCE: Duration = Duration::from_secs(5);
/// How long it waits before it looks whether a signal has come.
const LAST_LOOK: Duration = Duration::from_millis(20);
/// Between two readings of the clocks' difference.
const CLOCK_PERIOD: Duration = Duration::from_secs(1);

/// Drains `ring` until the session stops or the target exits.
///
/// `backlog` are the bytes of records that wait while the frontend has no room. Above it the oldest
/// are given up, first those that are events already.
pub(super) fn run(shared: &Shared, mut ring: Ring, waiter: &Waiter, backlog: usize) {
    let mut reader = Reader::new(shared, backlog);
    let mut pause = PAUSE;
    loop {
        let woken = waiter.wait(pause);
        let last = woken != Woken::Look;
        pause = reader.look(&mut ring, last);
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

/// What is kept from look to look.
struct Reader<'a> {
    shared: &'a Shared,
    offset: WallOffset,
    offset_read: Instant,
    backlog: Backlog,
    most: usize,
    notices: Vec<Notice>,
    /// Events that have been shown, for their room.
    used: Vec<Used>,
    scratch: Scratch,
    /// What the last event of each placement says of hits that were left out.
    left_out: BTreeMap<PlacementId, LeftOutSoFar>,
}

impl<'a> Reader<'a> {
    fn new(shared: &'a Shared, most: usize) -> Self {
        Self {
            shared,
            offset: WallOffset::now(),
            offset_read: Instant::now(),
            backlog: Backlog::default(),
            most,
            notices: Vec::new(),
            used: Vec::new(),
            scratch: Scratch::default(),
            left_out: BTreeMap::new(),
        }
    }

    /// Takes what the ring has and hands on what is old enough and has room; all of it when
    /// it is the `last` look. Gives how long to wait for the next one.
    fn look(&mut self, ring: &mut Ring, last: bool) -> Duration {
        let now = monotonic_ns();
        // One drain is bounded; what the last one leaves would be events that nobody gets or counts.
        let mut emptied = loop {
            let emptied = ring.drain(|record| self.keep(record));
            if emptied || !last {
                break emptied;
            }
        };
        self.pass_misses(ring);
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
            self.hand_on_all();
            self.shared.events_are_told_until(u64::MAX);
            return PAUSE;
        }
        let mut is_flowing = false;
        let room = self.shared.queue.room();
        if room != QueueRoom::NONE {
            let settled = now.saturating_sub(SETTLE_NS);
            let ready = self.backlog.ready(settled);
            let (mut left, mut bytes) = (ready.min(room.events), room.bytes);
            // What has no room is looked at again as soon as it may have some.
            is_flowing = (FLOWING..=room.events).contains(&ready);
            while left > 0 && bytes > 0 {
                let done = self.hand_on(left, bytes);
                left -= done.events;
                bytes = bytes.saturating_sub(done.bytes);
                if left > 0 {
                    emptied = ring.drain(|record| self.keep(record));
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
        match header_of(record) {
            Some(header) => self.backlog.keep(header.ktime_ns, record),
            None => self.shared.count_undecodable(None),
        }
    }

    /// Hands on as the frontend takes; at once what it does not take for too long.
    fn hand_on_all(&mut self) {
        let mut waits = Instant::now();
        while !self.backlog.is_empty() {
            if cancel::writing_since().is_some_and(|since| since > LAST_WRITES) {
                self.give_up(self.backlog.len());
                break;
            }
            let room = match self.shared.queue.wait_room(LAST_LOOK) {
                QueueRoom::NONE if waits.elapsed() < LAST_PATIENCE => continue,
                QueueRoom::NONE => QueueRoom::ANY,
                room => {
                    waits = Instant::now();
                    room
                }
            };
            let ready = self.backlog.ready(u64::MAX);
            self.hand_on(ready.min(room.events), room.bytes);
        }
        self.shared.set_backlog(0);
    }

    /// Gives up the oldest: events that were made already, and half of the records.
    fn drop_oldest(&mut self) {
        self.shared.queue.drop_events();
        let all = self.backlog.ready(u64::MAX);
        self.give_up(all / 2);
    }

    /// Gives up so many records, counted as lost by their probes.
    fn give_up(&mut self, count: usize) {
        let (shared, sites) = (self.shared, self.shared.sites());
        self.backlog.take(count, |record| {
            let entry = header_of(record).and_then(|header| {
                let entry = sites.get(header.site);
                entry.filter(|entry| entry.slot == u32::from(header.probe))
            });
            match entry {
                Some(entry) => shared.queue.count_dropped(entry.origin.placement),
                None => shared.count_undecodable(None),
            }
            ControlFlow::Continue(())
        });
    }

    /// Decodes at most the first `count` records, into events of about so many bytes.
    fn hand_on(&mut self, count: usize, bytes: usize) -> HandedOn {
        let count = count.min(MAX_DECODED);
        let most = bytes.min(MAX_DECODED_BYTES);
        let mut weight = 0_usize;
        let (shared, offset, sites) = (self.shared, self.offset, self.shared.sites());
        let symbols = ModuleSymbols::new(shared.modules());
        if self.used.len() < count {
            self.used.extend(shared.queue.used());
        }
        let (notices, used, scratch) = (&mut self.notices, &mut self.used, &mut self.scratch);
        let left_out = &mut self.left_out;
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
                    let hit = Hit {
                        header: &header,
                        record,
                        time_ns: offset.wall(header.ktime_ns),
                        symbols: &symbols,
                    };
                    match event(shared, &sites, entry, &hit, (used.pop(), scratch)) {
                        Some(mut event) => {
                            let so_far = left_out.entry(entry.origin.placement).or_default();
                            event.left_out = so_far.advance(&header);
                            if entry.style.samples {
                                event.left_out.limited = 0;
                            }
                            let notice = Notice::Event(event);
                            weight += notice.weight();
                            notices.push(notice);
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
        drop(sites);
        self.shared.queue.extend(self.notices.drain(..));
        HandedOn {
            events: taken,
            bytes: weight,
        }
    }
}

/// How many hits of a placement were left out up to an event, as far as records tell.
#[derive(Clone, Copy, Default)]
struct LeftOutSoFar {
    limited: u32,
    lost: u32,
}

impl LeftOutSoFar {
    /// What was left out since, up to another record. Events of several CPUs come a little out of
    /// order: an earlier count adds nothing.
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

/// What was handed on.
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
}

/// The event of a record, in the room of a used one where there is one.
fn event(
    shared: &Shared,
    sites: &SiteTable,
    entry: &SiteEntry,
    hit: &Hit<'_>,
    (used, scratch): (Option<Used>, &mut Scratch),
) -> Option<Box<Event>> {
    let Hit {
        header,
        record,
        symbols,
        ..
    } = *hit;
    let context = Context {
        time_ns: Some(hit.time_ns),
        symbols: Some(symbols),
        ..Context::default()
    };
    let mut event = used.map_or_else(|| Box::new(empty(&entry.origin)), |used| used.0);
    let (origin, decoded) = if u32::from(header.flags) & FLAG_TIMED == 0 {
        let room = Room {
            message: std::mem::take(&mut event.message),
            values: std::mem::take(&mut event.values),
        };
        let layout = &entry.layout;
        let decoded = layout.decode_into(record, &context, room, scratch);
        (&entry.origin, decoded.ok()?)
    } else {
        // Something that was timed: it is called by where it began.
        let begin = sites.get(header.begun_at.into())?;
        let begin = (begin.slot == u32::from(header.probe)).then_some(begin)?;
        let decoded = entry.layout.decode_timed(&begin.layout, record, &context);
        (&begin.origin, decoded.ok()?)
    };
    let name = header
        .comm
        .split(|&byte| byte == 0)
        .next()
        .unwrap_or_default();
    let stack = decoded.stack.map(|captured| {
        let snapshot = entry.origin.action == "snapshot";
        let wanted = Wanted {
            site: entry.site.as_ref(),
            depth: entry.style.depth,
            variables: snapshot.then(|| entry.layout.redactor()),
        };
        let find = |address| shared.placed(address, header.ktime_ns);
        frames::stack(&captured, wanted, &find)
    });
    if !Arc::ptr_eq(&event.origin, origin) {
        event.origin = Arc::clone(origin);
    }
    event.time_ns = hit.time_ns;
    event.pid = header.pid;
    event.tid = header.tid;
    event.thread.clear();
    event.thread.push_str(&String::from_utf8_lossy(name));
    event.hit = header.hit;
    event.message = decoded.message;
    event.values = decoded.values;
    event.stack = stack.unwrap_or_default();
    Some(event)
}

/// An event of which nothing but its origin is known.
fn empty(origin: &Arc<Origin>) -> Event {
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
