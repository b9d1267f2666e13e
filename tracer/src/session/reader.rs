//! The thread that drains the ring: records in, notices out.
//!
//! Nobody wakes it for an event: it looks every few milliseconds, sooner for
//! what the last look left behind, and at once when the ring fills past its mark or the target
//! exits. Records are shown in the order of their times: what one look finds is
//! sorted, and the youngest wait for the next look, since a hit that began
//! earlier on another CPU may still be on its way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracer_common::record::{FLAG_TIMED, RecordHeader};

use super::clock::{WallOffset, monotonic_ns};
use super::frames;
use super::shared::{Shared, SiteEntry, SiteTable};
use super::wait::{Waiter, Woken};
use crate::event::{Event, Notice};
use crate::kernel::Ring;
use crate::plan::Context;

/// Between two looks: the most that a rare event waits. A look that finds a few events costs
/// more than they do, so they are not looked for more often; a flood wakes the reader itself.
const PAUSE: Duration = Duration::from_millis(8);
/// Until the next look when the last one left records behind.
const LEFT_PAUSE: Duration = Duration::from_millis(3);
/// How long a record waits for older ones from other CPUs, in ns. A hit that
/// sleeps in a page fault for longer comes late, with its right time.
const SETTLE_NS: u64 = 500_000;
/// Between two readings of the clocks' difference.
const CLOCK_PERIOD: Duration = Duration::from_secs(1);

/// Drains `ring` until the session stops or the target exits.
pub(super) fn run(shared: &Shared, mut ring: Ring, waiter: &Waiter) {
    let mut reader = Reader::new(shared);
    let mut pause = PAUSE;
    loop {
        let woken = waiter.wait(pause);
        let last = woken != Woken::Look;
        pause = if reader.look(&mut ring, last) {
            LEFT_PAUSE
        } else {
            PAUSE
        };
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
    bytes: Vec<u8>,
    records: Vec<Found>,
    notices: Vec<Notice>,
}

/// One record in the reader's bytes.
#[derive(Clone, Copy)]
struct Found {
    ktime_ns: u64,
    start: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            offset: WallOffset::now(),
            offset_read: Instant::now(),
            bytes: Vec::new(),
            records: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Takes what the ring has and hands on what is old enough; all of it when
    /// it is the `last` look. True when records are left for the next one.
    fn look(&mut self, ring: &mut Ring, last: bool) -> bool {
        let now = monotonic_ns();
        // One drain is bounded; what the last one leaves would be events that nobody gets or counts.
        let emptied = loop {
            let emptied = ring.drain(|record| self.keep(record));
            if emptied || !last {
                break emptied;
            }
        };
        if emptied && self.records.is_empty() {
            self.shared.ring_was_emptied();
            return false;
        }
        if self.offset_read.elapsed() > CLOCK_PERIOD {
            self.offset = WallOffset::now();
            self.offset_read = Instant::now();
        }
        self.records.sort_by_key(|found| found.ktime_ns);
        let settled = if last {
            u64::MAX
        } else {
            now.saturating_sub(SETTLE_NS)
        };
        let ready = self
            .records
            .partition_point(|found| found.ktime_ns <= settled);
        self.hand_on(ready);
        !emptied || !self.records.is_empty()
    }

    fn keep(&mut self, record: &[u8]) {
        let Some(header) = header_of(record) else {
            self.shared.count_undecodable(None);
            return;
        };
        let start = self.bytes.len();
        self.bytes.extend_from_slice(record);
        self.records.push(Found {
            ktime_ns: header.ktime_ns,
            start,
            end: self.bytes.len(),
        });
    }

    /// Decodes the first `ready` records, and moves the others to the front.
    fn hand_on(&mut self, ready: usize) {
        let sites = self.shared.sites();
        for found in self.records.drain(..ready) {
            let Some(record) = self.bytes.get(found.start..found.end) else {
                continue;
            };
            let Some(header) = header_of(record) else {
                continue;
            };
            if self.shared.is_of_loader(header.site) {
                continue;
            }
            match sites
                .get(header.site)
                .filter(|entry| entry.slot == header.probe)
            {
                Some(entry) => {
                    match event(self.shared, &sites, entry, (&header, record), self.offset) {
                        Some(event) => self.notices.push(Notice::Event(Box::new(event))),
                        None => self.shared.count_undecodable(Some(entry.origin.probe)),
                    }
                }
                None => self.shared.count_undecodable(None),
            }
        }
        drop(sites);
        let mut bytes = Vec::new();
        for found in &mut self.records {
            let start = bytes.len();
            bytes.extend_from_slice(self.bytes.get(found.start..found.end).unwrap_or_default());
            (found.start, found.end) = (start, bytes.len());
        }
        self.bytes.truncate(0);
        self.bytes.extend_from_slice(&bytes);
        self.shared.queue.extend(self.notices.drain(..));
    }
}

fn header_of(record: &[u8]) -> Option<RecordHeader> {
    let bytes = record.get(..size_of::<RecordHeader>())?;
    Some(bytemuck::pod_read_unaligned(bytes))
}

fn event(
    shared: &Shared,
    sites: &SiteTable,
    entry: &SiteEntry,
    (header, record): (&RecordHeader, &[u8]),
    offset: WallOffset,
) -> Option<Event> {
    let time_ns = offset.wall(header.ktime_ns);
    let context = Context {
        time_ns: Some(time_ns),
        symbols: Some(&*entry.symbols),
        ..Context::default()
    };
    let (origin, decoded) = if header.flags & FLAG_TIMED == 0 {
        let decoded = entry.layout.decode_with(record, &context);
        (&entry.origin, decoded.ok()?)
    } else {
        // Something that was timed: it is called by where it began.
        let begin = sites.get(header.begun_at)?;
        let begin = (begin.slot == header.probe).then_some(begin)?;
        let decoded = entry.layout.decode_timed(&begin.layout, record, &context);
        (&begin.origin, decoded.ok()?)
    };
    let name = header
        .comm
        .split(|&byte| byte == 0)
        .next()
        .unwrap_or_default();
    let stack = decoded.stack.map(|captured| {
        let modules = shared.modules();
        let snapshot = entry.origin.action == "snapshot";
        let variables = snapshot.then(|| entry.layout.redactor());
        frames::stack(&modules, &captured, entry.depth, variables)
    });
    let stack = stack.unwrap_or_default();
    Some(Event {
        origin: Arc::clone(origin),
        time_ns,
        pid: header.pid,
        tid: header.tid,
        thread: String::from_utf8_lossy(name).into_owned(),
        hit: header.hit,
        message: decoded.message,
        values: decoded.values,
        stack,
    })
}
