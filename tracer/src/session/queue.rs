//! The bounded queue between the reader and a frontend.
//!
//! The reader never waits for a frontend: when the queue of an impatient one is
//! full the oldest event goes, and is counted as lost by its probe. For a
//! patient one it keeps records until there is room. The queue is full when it
//! holds too many events, or too many bytes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::event::{LeftOut, Notice, PlacementId, Used};

/// Events that wait when the frontend does not say otherwise.
///
/// A frontend that writes to a pipe empties thousands in a millisecond; this
/// many bridge a pause of about a tenth of a second at the highest rate.
pub(super) const DEFAULT_CAPACITY: usize = 1 << 17;

/// Bytes that are taken at a time; one notice at the least.
const TAKEN_BYTES: usize = 4 << 20;

/// An event that was lost.
const ONE_LOST: LeftOut = LeftOut {
    limited: 0,
    lost: 1,
};

/// Events whose room is kept: some more than a frontend takes at a time.
const MOST_USED: usize = 1 << 13;

/// Notices on their way to the frontend.
#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    capacity: usize,
    /// Bytes of events that wait.
    bytes: usize,
    /// Whoever adds asks for room first; else the oldest makes room.
    patient: bool,
    filled: Notify,
    emptied: Condvar,
    /// Events that have been shown, whose room is used again.
    used: Mutex<Vec<Used>>,
}

#[derive(Debug, Default)]
struct Inner {
    notices: VecDeque<Weighed>,
    bytes: usize,
    dropped: BTreeMap<PlacementId, u64>,
    /// What was left out since the last event that was taken: the next one says so.
    unmarked: BTreeMap<PlacementId, LeftOut>,
}

/// A notice, and the bytes that it takes.
#[derive(Debug)]
struct Weighed {
    notice: Notice,
    bytes: usize,
}

/// What may be added without dropping events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueueRoom {
    pub(super) events: usize,
    pub(super) bytes: usize,
}

impl QueueRoom {
    /// Nothing.
    pub(super) const NONE: Self = Self {
        events: 0,
        bytes: 0,
    };
    /// Any number: the oldest make room.
    pub(super) const ANY: Self = Self {
        events: usize::MAX,
        bytes: usize::MAX,
    };
}

impl Queue {
    /// An empty queue for `bytes` of events; a capacity of 0 means [`DEFAULT_CAPACITY`].
    pub(super) fn new(capacity: usize, bytes: usize, patient: bool) -> Self {
        let capacity = if capacity == 0 {
            DEFAULT_CAPACITY
        } else {
            capacity
        };
        Self {
            inner: Mutex::default(),
            capacity,
            bytes,
            patient,
            filled: Notify::new(),
            emptied: Condvar::new(),
            used: Mutex::default(),
        }
    }

    /// Takes events that have been shown back, for their room; the caller's list is empty then.
    pub(super) fn give_back(&self, events: &mut Vec<Used>) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST_USED.saturating_sub(used.len());
        used.extend(
            events
                .drain(..)
                .filter(|event| event.0.is_reusable())
                .take(room),
        );
    }

    /// The events that were given back.
    pub(super) fn used(&self) -> Vec<Used> {
        std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What may be added without dropping others: nothing while the queue is more than half
    /// full, so that events come in bulk. Any number for an impatient frontend.
    pub(super) fn room(&self) -> QueueRoom {
        self.room_beside(&self.lock())
    }

    /// The same, once there is room; nothing when nothing was taken for so long.
    pub(super) fn wait_room(&self, patience: Duration) -> QueueRoom {
        let mut inner = self.lock();
        loop {
            let room = self.room_beside(&inner);
            if room != QueueRoom::NONE {
                return room;
            }
            let waited = self.emptied.wait_timeout(inner, patience);
            let (after, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            if timeout.timed_out() {
                return QueueRoom::NONE;
            }
            inner = after;
        }
    }

    fn room_beside(&self, inner: &Inner) -> QueueRoom {
        let waiting = inner.notices.len();
        if !self.patient {
            QueueRoom::ANY
        } else if waiting > self.capacity / 2 || inner.bytes > self.bytes / 2 {
            QueueRoom::NONE
        } else {
            QueueRoom {
                events: self.capacity - waiting,
                bytes: self.bytes - inner.bytes,
            }
        }
    }

    /// Drops every event that waits, counted as lost by its probe; gives how many.
    pub(super) fn drop_events(&self) -> usize {
        let mut inner = self.lock();
        let before = inner.notices.len();
        inner.drop_oldest_events(0, 0);
        before - inner.notices.len()
    }

    /// Counts an event that was dropped before it came here.
    pub(super) fn count_dropped(&self, placement: PlacementId) {
        let mut inner = self.lock();
        *inner.dropped.entry(placement).or_default() += 1;
        inner.mark(placement, ONE_LOST);
    }

    /// Has the next event of a placement say that one more was lost before it.
    pub(super) fn mark_lost(&self, placement: PlacementId) {
        self.lock().mark(placement, ONE_LOST);
    }

    /// Adds notices in order, dropping the oldest events beyond the capacity.
    pub(super) fn extend(&self, notices: impl IntoIterator<Item = Notice>) {
        let weighed = notices.into_iter().map(|notice| Weighed {
            bytes: notice.weight(),
            notice,
        });
        let mut inner = self.lock();
        for one in weighed {
            inner.bytes += one.bytes;
            inner.notices.push_back(one);
        }
        if inner.notices.len() > self.capacity || inner.bytes > self.bytes {
            inner.drop_oldest_events(self.capacity, self.bytes);
        }
        let any = !inner.notices.is_empty();
        drop(inner);
        if any {
            self.filled.notify_one();
        }
    }

    /// Takes up to `max` of the oldest notices; fewer when they are large.
    pub(super) fn take(&self, max: usize) -> Vec<Notice> {
        let mut inner = self.lock();
        let (mut count, mut bytes) = (0, 0);
        for one in inner.notices.iter().take(max) {
            if bytes > TAKEN_BYTES {
                break;
            }
            count += 1;
            bytes += one.bytes;
        }
        inner.bytes -= bytes;
        let mut taken: Vec<Notice> = inner.notices.drain(..count).map(|one| one.notice).collect();
        inner.say_left_out(&mut taken);
        drop(inner);
        self.emptied.notify_one();
        taken
    }

    /// Notices that wait.
    pub(super) fn len(&self) -> usize {
        self.lock().notices.len()
    }

    /// Events of one placement of a probe that were dropped here so far.
    pub(super) fn dropped(&self, placement: PlacementId) -> u64 {
        self.lock().dropped.get(&placement).copied().unwrap_or(0)
    }

    /// Completes when there is a notice to take.
    pub(super) async fn filled(&self) {
        loop {
            let notified = self.filled.notified();
            if !self.lock().notices.is_empty() {
                return;
            }
            notified.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves the queue as it was between two calls.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn mark(&mut self, placement: PlacementId, left_out: LeftOut) {
        let before = self.unmarked.entry(placement).or_default();
        *before = before.with(left_out);
    }

    /// Has events say what was left out before them and is not marked.
    fn say_left_out(&mut self, taken: &mut [Notice]) {
        for notice in taken {
            if self.unmarked.is_empty() {
                return;
            }
            if let Notice::Event(event) = notice
                && let Some(left_out) = self.unmarked.remove(&event.origin.placement)
            {
                event.left_out = event.left_out.with(left_out);
            }
        }
    }

    /// Drops events until so many notices and bytes are left.
    fn drop_oldest_events(&mut self, most: usize, most_bytes: usize) {
        let mut kept = VecDeque::new();
        while self.notices.len() + kept.len() > most || self.bytes > most_bytes {
            match self.notices.pop_front() {
                Some(Weighed {
                    notice: Notice::Event(event),
                    bytes,
                }) => {
                    let placement = event.origin.placement;
                    *self.dropped.entry(placement).or_default() += 1;
                    self.mark(placement, event.left_out.with(ONE_LOST));
                    self.bytes -= bytes;
                }
                // What is said once must not be lost.
                Some(other) => kept.push_back(other),
                None => break,
            }
        }
        while let Some(notice) = kept.pop_back() {
            self.notices.push_front(notice);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::event::{Event, Origin, ProbeId};

    const BYTES: usize = 1 << 20;

    fn event(probe: u32, hit: u64) -> Notice {
        let origin = Origin {
            probe: ProbeId(probe),
            placement: PlacementId(probe),
            probe_name: format!("p{probe}"),
            action: "log",
            file: Arc::new(PathBuf::from("a.c")),
            line: 1,
            function: "f".into(),
            address: 0,
            site: (1, 1),
            multiline: false,
        };
        Notice::Event(Box::new(Event {
            origin: Arc::new(origin),
            time_ns: 0,
            pid: 1,
            tid: 1,
            thread: "t".into(),
            hit,
            message: String::new(),
            values: Vec::new(),
            stack: crate::event::Stack::default(),
            left_out: LeftOut::default(),
        }))
    }

    fn hits(notices: &[Notice]) -> Vec<u64> {
        let hit = |notice: &Notice| match notice {
            Notice::Event(event) => Some(event.hit),
            _ => None,
        };
        notices.iter().filter_map(hit).collect()
    }

    #[test]
    fn queue_over_capacity_drops_oldest_and_counts_by_probe() {
        let queue = Queue::new(3, BYTES, false);
        queue.extend([event(1, 1), event(2, 2), event(1, 3)]);
        queue.extend([event(1, 4), event(1, 5)]);
        assert_eq!(hits(&queue.take(10)), [3, 4, 5]);
        assert_eq!(
            (queue.dropped(PlacementId(1)), queue.dropped(PlacementId(2))),
            (1, 1)
        );
    }

    #[test]
    fn event_behind_dropped_ones_says_how_many_were_left_out() {
        let left_out = |notices: &[Notice]| -> Vec<(u64, u64)> {
            let of = |notice: &Notice| match notice {
                Notice::Event(event) => Some((event.left_out.limited, event.left_out.lost)),
                _ => None,
            };
            notices.iter().filter_map(of).collect()
        };
        let limited = |hit, limited| match event(1, hit) {
            Notice::Event(mut event) => {
                event.left_out.limited = limited;
                Notice::Event(event)
            }
            other => other,
        };
        let queue = Queue::new(2, BYTES, false);
        // The first two are dropped, with the gap before them.
        queue.extend([limited(1, 7), limited(2, 0), event(2, 1), limited(3, 5)]);
        assert_eq!(left_out(&queue.take(9)), [(0, 0), (12, 2)]);
        queue.mark_lost(PlacementId(1));
        queue.count_dropped(PlacementId(2));
        queue.extend([event(1, 9), event(1, 10)]);
        assert_eq!(left_out(&queue.take(9)), [(0, 1), (0, 0)]);
        queue.extend([event(2, 9)]);
        assert_eq!(left_out(&queue.take(9)), [(0, 1)]);
    }

    #[test]
    fn queue_over_capacity_keeps_warnings() {
        let queue = Queue::new(2, BYTES, false);
        queue.extend([
            event(1, 1),
            Notice::Warning("w".into()),
            event(1, 2),
            event(1, 3),
        ]);
        let left = queue.take(10);
        assert!(matches!(&left[0], Notice::Warning(text) if text == "w"));
        assert_eq!(hits(&left), [3]);
        assert_eq!(queue.dropped(PlacementId(1)), 2);
    }

    #[test]
    fn patient_queue_has_room_when_half_of_it_is_taken() {
        let queue = Queue::new(4, BYTES, true);
        assert_eq!(queue.room().events, 4);
        queue.extend([event(1, 1), event(1, 2), event(1, 3)]);
        assert_eq!(queue.room(), QueueRoom::NONE);
        assert_eq!(
            queue.wait_room(Duration::from_millis(1)),
            QueueRoom::NONE,
            "nothing taken"
        );
        queue.take(1);
        assert_eq!(queue.wait_room(Duration::from_secs(60)).events, 2);
        queue.count_dropped(PlacementId(1));
        assert_eq!(queue.dropped(PlacementId(1)), 1);
    }

    fn large(hit: u64) -> Notice {
        match event(1, hit) {
            Notice::Event(mut event) => {
                event.message = "x".repeat(BYTES / 8);
                Notice::Event(event)
            }
            other => other,
        }
    }

    #[test]
    fn queue_over_its_bytes_drops_oldest_and_counts() {
        let queue = Queue::new(0, BYTES, false);
        queue.extend((1..=20).map(large));
        let left = hits(&queue.take(100));
        assert!((6..=8).contains(&left.len()), "{left:?}");
        assert_eq!(left.last(), Some(&20));
        assert_eq!(queue.dropped(PlacementId(1)), 20 - left.len() as u64);
        queue.extend([event(1, 21)]);
        assert_eq!(
            hits(&queue.take(100)),
            [21],
            "what was taken has given its room back"
        );
    }

    #[test]
    fn patient_queue_has_no_room_when_half_of_its_bytes_are_taken() {
        let queue = Queue::new(0, BYTES, true);
        queue.extend((1..=3).map(large));
        let room = queue.room();
        assert!(
            room.bytes < BYTES * 5 / 8 && room.bytes > BYTES / 2,
            "{room:?}"
        );
        queue.extend((4..=5).map(large));
        assert_eq!(queue.room(), QueueRoom::NONE);
        assert_eq!(queue.drop_events(), 5);
        assert_eq!(queue.room().bytes, BYTES);
        assert_eq!(queue.dropped(PlacementId(1)), 5);
    }

    #[test]
    fn large_events_are_taken_a_few_at_a_time() {
        let queue = Queue::new(0, 1 << 30, false);
        queue.extend((1..=100).map(large));
        let first = queue.take(1000).len();
        assert!((32..=33).contains(&first), "{first}");
    }

    #[test]
    fn take_of_fewer_leaves_the_rest_in_order() {
        let queue = Queue::new(0, BYTES, false);
        queue.extend((1..=5).map(|hit| event(1, hit)));
        assert_eq!(hits(&queue.take(2)), [1, 2]);
        assert_eq!(hits(&queue.take(9)), [3, 4, 5]);
        assert_eq!(hits(&queue.take(9)), Vec::<u64>::new());
    }

    #[tokio::test]
    async fn filled_completes_for_a_notice_that_was_there_before() {
        let queue = Queue::new(0, BYTES, false);
        queue.extend([event(1, 1)]);
        queue.filled().await;
        assert_eq!(hits(&queue.take(1)), [1]);
    }

    #[tokio::test]
    async fn filled_after_a_take_waits_for_the_next_notice() {
        let queue = Arc::new(Queue::new(0, BYTES, false));
        queue.extend([event(1, 1)]);
        queue.take(1);
        let other = Arc::clone(&queue);
        let waiter = tokio::spawn(async move { other.filled().await });
        tokio::task::yield_now().await;
        assert!(!waiter.is_finished());
        queue.extend([event(1, 2)]);
        waiter.await.unwrap();
    }

    #[test]
    fn used_events_come_back_as_far_as_they_are_small_and_have_room() {
        let queue = Queue::new(4, BYTES, true);
        let boxed = |hit| match event(1, hit) {
            Notice::Event(event) => Used(event),
            other => panic!("{other:?}"),
        };
        let mut large = boxed(1);
        large.0.message = "x".repeat(1 << 10);
        let mut many = boxed(2);
        many.0.stack.stopped = Some("no unwind information".into());
        let mut used = vec![large, boxed(3), many];
        queue.give_back(&mut used);
        assert!(used.is_empty());
        let back: Vec<u64> = queue.used().iter().map(|event| event.0.hit).collect();
        assert_eq!(back, [3]);
        assert!(queue.used().is_empty());
        used.extend((0..=MOST_USED as u64).map(boxed));
        queue.give_back(&mut used);
        assert_eq!(queue.used().len(), MOST_USED);
    }
}
