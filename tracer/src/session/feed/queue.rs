//! The bounded queue of one frontend.
//!
//! The session does not wait for a frontend. When the queue of an impatient one is full, the oldest
//! event is dropped and counted as lost by its probe. For a patient one the reader keeps records
//! until there is space. The queue is full when it holds too many events, or too many bytes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Emptied;
use crate::event::{LeftOut, PlacementId};
use crate::session::{Notice, ProbeStatus};

/// Events that wait when the frontend does not say otherwise.
///
/// A frontend that writes to a pipe empties thousands in a millisecond; this
/// many bridge a pause of about a tenth of a second at the highest rate.
pub(crate) const DEFAULT_CAPACITY: usize = 1 << 17;

/// Most bytes that are taken at a time. One notice is always taken.
const TAKEN_BYTES: usize = 4 << 20;

/// An event that was lost.
const ONE_LOST: LeftOut = LeftOut {
    limited: 0,
    lost: 1,
};

/// The way a frontend takes its notices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Events that may wait for it; 0 for [`DEFAULT_CAPACITY`].
    pub(crate) capacity: usize,
    /// Bytes of events that may wait for it.
    pub(crate) bytes: usize,
    /// True if it wants every event and takes its time: the reader asks for space before it adds
    /// events. Otherwise the oldest events are dropped.
    pub(crate) patient: bool,
    /// It wants [`Notice::Probes`].
    pub(crate) wants_probes: bool,
    /// It gets all notices but events.
    pub(crate) skips_events: bool,
}

/// Notices on their way to one frontend.
#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<QueueState>,
    patience: Patience,
    filled: Notify,
    /// Shared by all queues.
    emptied: Arc<Emptied>,
}

#[derive(Debug, Default)]
struct QueueState {
    notices: VecDeque<Weighed>,
    bytes: usize,
    dropped: BTreeMap<PlacementId, u64>,
    /// Omissions since the last event that was taken, which the next event reports.
    unmarked: BTreeMap<PlacementId, LeftOut>,
    /// The newest state of all probes, until it is taken.
    probes: Option<Vec<ProbeStatus>>,
}

/// A notice, and the bytes that it takes.
#[derive(Debug)]
struct Weighed {
    notice: Notice,
    bytes: usize,
}

/// Space for new events that drops no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueRoom {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

impl QueueRoom {
    /// No space.
    pub(crate) const NONE: Self = Self {
        events: 0,
        bytes: 0,
    };
    /// The larger of two.
    pub(crate) fn larger(self, other: Self) -> Self {
        if self.events.min(self.bytes) >= other.events.min(other.bytes) {
            self
        } else {
            other
        }
    }

    /// Unlimited space, since the oldest events are dropped.
    pub(crate) const ANY: Self = Self {
        events: usize::MAX,
        bytes: usize::MAX,
    };
}

impl Queue {
    /// An empty queue.
    pub(crate) fn new(patience: Patience, emptied: Arc<Emptied>) -> Self {
        let capacity = match patience.capacity {
            0 => DEFAULT_CAPACITY,
            capacity => capacity,
        };
        Self {
            inner: Mutex::default(),
            patience: Patience {
                capacity,
                ..patience
            },
            filled: Notify::new(),
            emptied,
        }
    }

    /// It gets [`Notice::Probes`].
    pub(crate) fn wants_probes(&self) -> bool {
        self.patience.wants_probes
    }

    /// It gets no events.
    pub(crate) fn skips_events(&self) -> bool {
        self.patience.skips_events
    }

    /// Replaces the state of all probes that waits to be taken.
    pub(crate) fn set_probes(&self, probes: Vec<ProbeStatus>) {
        self.lock().probes = Some(probes);
        self.filled.notify_one();
    }

    /// Space for new events that drops no others: none while the queue is more than half full, so
    /// that events come in bulk. Unlimited for an impatient frontend.
    pub(crate) fn room(&self) -> QueueRoom {
        self.room_beside(&self.lock())
    }

    fn room_beside(&self, inner: &QueueState) -> QueueRoom {
        let waiting = inner.notices.len();
        let Patience {
            capacity,
            bytes,
            patient,
            ..
        } = self.patience;
        if !patient {
            QueueRoom::ANY
        } else if waiting > capacity / 2 || inner.bytes > bytes / 2 {
            QueueRoom::NONE
        } else {
            QueueRoom {
                events: capacity - waiting,
                bytes: bytes - inner.bytes,
            }
        }
    }

    /// Drops all waiting events, which their probes count as lost. Returns their number.
    pub(crate) fn drop_events(&self) -> usize {
        let mut inner = self.lock();
        let before = inner.notices.len();
        inner.drop_oldest_events(0, 0);
        before - inner.notices.len()
    }

    /// Counts an event that was dropped before it came here.
    pub(crate) fn count_dropped(&self, placement: PlacementId) {
        let mut inner = self.lock();
        *inner.dropped.entry(placement).or_default() += 1;
        inner.mark(placement, ONE_LOST);
    }

    /// Counts one more lost event before the next event of a placement.
    pub(crate) fn mark_lost(&self, placement: PlacementId) {
        self.lock().mark(placement, ONE_LOST);
    }

    /// Adds notices in order, dropping the oldest events beyond the capacity.
    pub(crate) fn extend(&self, notices: impl IntoIterator<Item = Notice>) {
        let is_taken =
            |notice: &Notice| !(self.skips_events() && matches!(notice, Notice::Event(_)));
        let notices = notices.into_iter().filter(is_taken);
        let weighed = notices.map(|notice| Weighed {
            bytes: notice.weight(),
            notice,
        });
        let mut inner = self.lock();
        for one in weighed {
            inner.bytes += one.bytes;
            inner.notices.push_back(one);
        }
        let Patience {
            capacity, bytes, ..
        } = self.patience;
        if inner.notices.len() > capacity || inner.bytes > bytes {
            inner.drop_oldest_events(capacity, bytes);
        }
        let any = !inner.notices.is_empty();
        drop(inner);
        if any {
            self.filled.notify_one();
        }
    }

    /// Takes up to `max` of the oldest notices, and fewer if they are large.
    pub(crate) fn take(&self, max: usize) -> Vec<Notice> {
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
        taken.extend(inner.probes.take().map(Notice::Probes));
        drop(inner);
        self.emptied.tell();
        taken
    }

    /// Notices that wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().notices.len()
    }

    /// Events of one placement of a probe that this queue has dropped up to now.
    pub(crate) fn dropped(&self, placement: PlacementId) -> u64 {
        self.lock().dropped.get(&placement).copied().unwrap_or(0)
    }

    /// Completes when there is a notice to take.
    pub(crate) async fn filled(&self) {
        loop {
            let notified = self.filled.notified();
            if self.lock().has_any() {
                return;
            }
            notified.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        // A panic elsewhere leaves the queue as it was between two calls.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    fn has_any(&self) -> bool {
        !self.notices.is_empty() || self.probes.is_some()
    }

    fn mark(&mut self, placement: PlacementId, left_out: LeftOut) {
        let before = self.unmarked.entry(placement).or_default();
        *before = before.with(left_out);
    }

    /// Marks events with the omissions before them that are not yet marked.
    fn say_left_out(&mut self, taken: &mut [Notice]) {
        for notice in taken {
            if self.unmarked.is_empty() {
                return;
            }
            if let Notice::Event(event) = notice
                && let Some(left_out) = self.unmarked.remove(&event.origin.placement)
            {
                // Another frontend may have lost others.
                let event = Arc::make_mut(event);
                event.left_out = event.left_out.with(left_out);
            }
        }
    }

    /// Drops events until only this number of notices and bytes is left.
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
                // A notice that is sent only once must not be lost.
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
pub(super) mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::event::{Event, ProbeId, SiteOrigin};

    const BYTES: usize = 1 << 20;

    fn queue(capacity: usize, bytes: usize, patient: bool) -> Queue {
        let patience = Patience {
            capacity,
            bytes,
            patient,
            wants_probes: false,
            skips_events: false,
        };
        Queue::new(patience, Arc::default())
    }

    pub(in crate::session::feed) fn event(probe: u32, hit: u64) -> Notice {
        let origin = SiteOrigin {
            frame_function: None,
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
        Notice::Event(Arc::new(Event {
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
            span: None,
            step: None,
            access: None,
            context: crate::event::SpanContext::Outside,
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
        let queue = queue(3, BYTES, false);
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
                Arc::make_mut(&mut event).left_out.limited = limited;
                Notice::Event(event)
            }
            other => other,
        };
        let queue = queue(2, BYTES, false);
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
        let queue = queue(2, BYTES, false);
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
        let queue = queue(4, BYTES, true);
        assert_eq!(queue.room().events, 4);
        queue.extend([event(1, 1), event(1, 2), event(1, 3)]);
        assert_eq!(queue.room(), QueueRoom::NONE);
        queue.take(1);
        assert_eq!(queue.room().events, 2);
        queue.count_dropped(PlacementId(1));
        assert_eq!(queue.dropped(PlacementId(1)), 1);
    }

    #[test]
    fn newest_state_of_probes_waits_alone() {
        let queue = queue(4, BYTES, true);
        queue.set_probes(Vec::new());
        queue.extend([event(1, 1)]);
        queue.set_probes(Vec::new());
        let taken = queue.take(10);
        assert!(matches!(&taken[..], [Notice::Event(_), Notice::Probes(_)]));
        assert!(queue.take(10).is_empty());
    }

    fn large(hit: u64) -> Notice {
        match event(1, hit) {
            Notice::Event(mut event) => {
                Arc::make_mut(&mut event).message = "x".repeat(BYTES / 8);
                Notice::Event(event)
            }
            other => other,
        }
    }

    #[test]
    fn queue_over_its_bytes_drops_oldest_and_counts() {
        let queue = queue(0, BYTES, false);
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
        let queue = queue(0, BYTES, true);
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
        let queue = queue(0, 1 << 30, false);
        queue.extend((1..=100).map(large));
        let first = queue.take(1000).len();
        assert!((32..=33).contains(&first), "{first}");
    }

    #[test]
    fn take_of_fewer_leaves_the_rest_in_order() {
        let queue = queue(0, BYTES, false);
        queue.extend((1..=5).map(|hit| event(1, hit)));
        assert_eq!(hits(&queue.take(2)), [1, 2]);
        assert_eq!(hits(&queue.take(9)), [3, 4, 5]);
        assert_eq!(hits(&queue.take(9)), Vec::<u64>::new());
    }

    #[tokio::test]
    async fn filled_completes_for_a_notice_that_was_there_before() {
        let queue = queue(0, BYTES, false);
        queue.extend([event(1, 1)]);
        queue.filled().await;
        assert_eq!(hits(&queue.take(1)), [1]);
    }

    #[tokio::test]
    async fn filled_after_a_take_waits_for_the_next_notice() {
        let queue = Arc::new(queue(0, BYTES, false));
        queue.extend([event(1, 1)]);
        queue.take(1);
        let other = Arc::clone(&queue);
        let waiter = tokio::spawn(async move { other.filled().await });
        tokio::task::yield_now().await;
        assert!(!waiter.is_finished());
        queue.extend([event(1, 2)]);
        waiter.await.unwrap();
    }
}
