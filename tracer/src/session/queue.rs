//! The bounded queue between the reader and a frontend.
//!
//! The reader never waits for a frontend: when the queue of an impatient one is
//! full the oldest event goes, and is counted as lost by its probe. For a
//! patient one it keeps records until there is room.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::event::{Notice, PlacementId, Used};

/// Events that wait when the frontend does not say otherwise.
///
/// A frontend that writes to a pipe empties thousands in a millisecond; this
/// many bridge a pause of about a tenth of a second at the highest rate.
pub(super) const DEFAULT_CAPACITY: usize = 1 << 17;

/// Events whose room is kept: some more than a frontend takes at a time.
const MOST_USED: usize = 1 << 13;

/// Notices on their way to the frontend.
#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    capacity: usize,
    /// Whoever adds asks for room first; else the oldest makes room.
    patient: bool,
    filled: Notify,
    emptied: Condvar,
    /// Events that have been shown, whose room is used again.
    used: Mutex<Vec<Used>>,
}

#[derive(Debug, Default)]
struct Inner {
    notices: VecDeque<Notice>,
    dropped: BTreeMap<PlacementId, u64>,
}

impl Queue {
    /// An empty queue; a capacity of 0 means [`DEFAULT_CAPACITY`].
    pub(super) fn new(capacity: usize, patient: bool) -> Self {
        let capacity = if capacity == 0 {
            DEFAULT_CAPACITY
        } else {
            capacity
        };
        Self {
            inner: Mutex::default(),
            capacity,
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

    /// Events that may be added without dropping others: 0 while the queue is more than half
    /// full, so that they come in bulk. Any number for an impatient frontend.
    pub(super) fn room(&self) -> usize {
        self.room_beside(&self.lock())
    }

    /// The same, once there is room; 0 when nothing was taken for so long.
    pub(super) fn wait_room(&self, patience: Duration) -> usize {
        let mut inner = self.lock();
        loop {
            let room = self.room_beside(&inner);
            if room > 0 {
                return room;
            }
            let waited = self.emptied.wait_timeout(inner, patience);
            let (after, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            if timeout.timed_out() {
                return 0;
            }
            inner = after;
        }
    }

    fn room_beside(&self, inner: &Inner) -> usize {
        let waiting = inner.notices.len();
        if !self.patient {
            usize::MAX
        } else if waiting > self.capacity / 2 {
            0
        } else {
            self.capacity - waiting
        }
    }

    /// Counts an event that was dropped before it came here.
    pub(super) fn count_dropped(&self, placement: PlacementId) {
        *self.lock().dropped.entry(placement).or_default() += 1;
    }

    /// Adds notices in order, dropping the oldest events beyond the capacity.
    pub(super) fn extend(&self, notices: impl IntoIterator<Item = Notice>) {
        let mut inner = self.lock();
        inner.notices.extend(notices);
        let excess = inner.notices.len().saturating_sub(self.capacity);
        if excess > 0 {
            inner.drop_oldest_events(excess);
        }
        let any = !inner.notices.is_empty();
        drop(inner);
        if any {
            self.filled.notify_one();
        }
    }

    /// Takes up to `max` of the oldest notices.
    pub(super) fn take(&self, max: usize) -> Vec<Notice> {
        let mut inner = self.lock();
        let count = inner.notices.len().min(max);
        let taken = inner.notices.drain(..count).collect();
        drop(inner);
        self.emptied.notify_one();
        taken
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
    fn drop_oldest_events(&mut self, excess: usize) {
        let mut left = excess;
        let mut kept = VecDeque::new();
        while left > 0 {
            match self.notices.pop_front() {
                Some(Notice::Event(event)) => {
                    *self.dropped.entry(event.origin.placement).or_default() += 1;
                    left -= 1;
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
        let queue = Queue::new(3, false);
        queue.extend([event(1, 1), event(2, 2), event(1, 3)]);
        queue.extend([event(1, 4), event(1, 5)]);
        assert_eq!(hits(&queue.take(10)), [3, 4, 5]);
        assert_eq!(
            (queue.dropped(PlacementId(1)), queue.dropped(PlacementId(2))),
            (1, 1)
        );
    }

    #[test]
    fn queue_over_capacity_keeps_warnings() {
        let queue = Queue::new(2, false);
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
        let queue = Queue::new(4, true);
        assert_eq!(queue.room(), 4);
        queue.extend([event(1, 1), event(1, 2), event(1, 3)]);
        assert_eq!(queue.room(), 0);
        assert_eq!(
            queue.wait_room(Duration::from_millis(1)),
            0,
            "nothing taken"
        );
        queue.take(1);
        assert_eq!(queue.wait_room(Duration::from_secs(60)), 2);
        queue.count_dropped(PlacementId(1));
        assert_eq!(queue.dropped(PlacementId(1)), 1);
    }

    #[test]
    fn take_of_fewer_leaves_the_rest_in_order() {
        let queue = Queue::new(0, false);
        queue.extend((1..=5).map(|hit| event(1, hit)));
        assert_eq!(hits(&queue.take(2)), [1, 2]);
        assert_eq!(hits(&queue.take(9)), [3, 4, 5]);
        assert_eq!(hits(&queue.take(9)), Vec::<u64>::new());
    }

    #[tokio::test]
    async fn filled_completes_for_a_notice_that_was_there_before() {
        let queue = Queue::new(0, false);
        queue.extend([event(1, 1)]);
        queue.filled().await;
        assert_eq!(hits(&queue.take(1)), [1]);
    }

    #[tokio::test]
    async fn filled_after_a_take_waits_for_the_next_notice() {
        let queue = Arc::new(Queue::new(0, false));
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
        let queue = Queue::new(4, true);
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
