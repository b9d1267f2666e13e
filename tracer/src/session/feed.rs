//! The channel from the reader and the owner of a session to its frontends.
//!
//! Each frontend subscribes with its own patience and has its own queue. An event is made once and
//! shared. A frontend that takes nothing loses its oldest events, counted for it alone, and does
//! not hold up the others.

mod queue;

use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::Duration;

pub(super) use queue::{Patience, Queue, QueueRoom};

use super::{Notice, ProbeStatus};
use crate::event::{PlacementId, Used};

/// Most used events kept for reuse: a few more than a frontend takes at a time.
const MOST_USED: usize = 1 << 13;

/// Tells the reader that a queue has space again.
#[derive(Debug, Default)]
pub(super) struct Emptied {
    changes: Mutex<u64>,
    changed: Condvar,
}

impl Emptied {
    fn tell(&self) {
        *self.changes.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }
}

/// The queues of all frontends.
#[derive(Debug, Default)]
pub(super) struct Feed {
    queues: RwLock<Vec<Arc<Queue>>>,
    /// Notices of before the first frontend.
    early: Mutex<Vec<Notice>>,
    emptied: Arc<Emptied>,
    /// Displayed events, kept so that their memory is used again.
    used: Mutex<Vec<Used>>,
}

impl Feed {
    /// Adds a frontend. The first one gets the notices from before it came.
    pub(super) fn subscribe(&self, patience: Patience) -> Arc<Queue> {
        let queue = Arc::new(Queue::new(patience, Arc::clone(&self.emptied)));
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        let early = std::mem::take(&mut *self.early.lock().unwrap_or_else(PoisonError::into_inner));
        queue.extend(early);
        queues.push(Arc::clone(&queue));
        queue
    }

    /// A frontend takes no more.
    pub(super) fn unsubscribe(&self, queue: &Arc<Queue>) {
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|other| !Arc::ptr_eq(other, queue));
        drop(queues);
        // The reader no longer waits for space in this queue.
        self.emptied.tell();
    }

    /// Sends notices to every frontend, in order.
    pub(super) fn extend(&self, notices: impl IntoIterator<Item = Notice>) {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        match &queues[..] {
            [] => {
                let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
                // No probe is attached before a frontend subscribes.
                early.extend(
                    notices
                        .into_iter()
                        .filter(|notice| !matches!(notice, Notice::Event(_))),
                );
            }
            [only] => only.extend(notices),
            [others @ .., last] => {
                let notices: Vec<Notice> = notices.into_iter().collect();
                for queue in others {
                    queue.extend(notices.iter().cloned());
                }
                last.extend(notices);
            }
        }
    }

    /// Sends the state of all probes to the frontends that want it. Calls `make` only if there is
    /// one.
    pub(super) fn set_probes(&self, make: impl FnOnce() -> Vec<ProbeStatus>) {
        let wanting: Vec<Arc<Queue>> = self
            .all()
            .into_iter()
            .filter(|queue| queue.wants_probes())
            .collect();
        if wanting.is_empty() {
            return;
        }
        let probes = make();
        for queue in wanting {
            queue.set_probes(probes.clone());
        }
    }

    fn all(&self) -> Vec<Arc<Queue>> {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        queues.clone()
    }

    /// Space for new events that drops no others, in the queue with the most space: a frontend that
    /// takes nothing does not hold up the rest. Unlimited while no frontend is patient.
    pub(super) fn room(&self) -> QueueRoom {
        let all = self.all();
        let takers = all.iter().filter(|queue| !queue.skips_events());
        let rooms = takers.map(|queue| queue.room());
        rooms.reduce(QueueRoom::larger).unwrap_or(QueueRoom::ANY)
    }

    /// Waits until there is space. Returns [`QueueRoom::NONE`] if no frontend takes anything for
    /// that long.
    pub(super) fn wait_room(&self, patience: Duration) -> QueueRoom {
        let changes = &self.emptied.changes;
        let mut seen = changes.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            // A queue that is emptied from here on reports it after this lock is free.
            let room = self.room();
            if room != QueueRoom::NONE {
                return room;
            }
            let waited = self.emptied.changed.wait_timeout(seen, patience);
            let (after, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            if timeout.timed_out() {
                return QueueRoom::NONE;
            }
            seen = after;
        }
    }

    /// Drops every event that waits, counted as lost by its probe.
    pub(super) fn drop_events(&self) {
        for queue in self.all() {
            queue.drop_events();
        }
    }

    /// Counts an event that was dropped before anybody had it.
    pub(super) fn count_dropped(&self, placement: PlacementId) {
        for queue in self.all() {
            queue.count_dropped(placement);
        }
    }

    /// Counts one more lost event before the next event of a placement.
    pub(super) fn mark_lost(&self, placement: PlacementId) {
        for queue in self.all() {
            queue.mark_lost(placement);
        }
    }

    /// Takes back displayed events for reuse. The caller's list is empty afterwards.
    pub(super) fn give_back(&self, events: &mut Vec<Used>) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST_USED.saturating_sub(used.len());
        let mine = events.drain(..).filter_map(Used::reusable);
        used.extend(mine.take(room));
    }

    /// The events that were given back.
    pub(super) fn used(&self) -> Vec<Used> {
        std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::queue::tests::event;
    use super::*;

    fn patience(capacity: usize, patient: bool) -> Patience {
        Patience {
            capacity,
            bytes: 1 << 20,
            patient,
            wants_probes: false,
            skips_events: false,
        }
    }

    fn hits(notices: &[Notice]) -> Vec<u64> {
        let hit = |notice: &Notice| match notice {
            Notice::Event(event) => Some(event.hit),
            _ => None,
        };
        notices.iter().filter_map(hit).collect()
    }

    #[test]
    fn each_frontend_has_every_notice_and_its_own_account_of_lost_ones() {
        let feed = Feed::default();
        feed.extend([Notice::Warning("early".into())]);
        let small = feed.subscribe(patience(2, false));
        let large = feed.subscribe(patience(9, false));
        feed.extend((1..=4).map(|hit| event(1, hit)));
        assert_eq!(hits(&small.take(9)), [4], "the warning stays");
        assert_eq!(hits(&large.take(9)), [1, 2, 3, 4]);
        let probe = PlacementId(1);
        assert_eq!((small.dropped(probe), large.dropped(probe)), (3, 0));
    }

    #[test]
    fn frontend_without_events_gets_the_rest_and_makes_no_room() {
        let feed = Feed::default();
        let taker = feed.subscribe(patience(4, true));
        let other = feed.subscribe(Patience {
            skips_events: true,
            ..patience(4, false)
        });
        feed.extend([event(1, 1), Notice::Note("one".into()), event(1, 2)]);
        assert!(matches!(&other.take(9)[..], [Notice::Note(text)] if text == "one"));
        feed.extend([event(1, 3)]);
        assert!(other.take(9).is_empty());
        assert_eq!(
            feed.room(),
            QueueRoom::NONE,
            "only the one with events counts"
        );
        assert_eq!(hits(&taker.take(9)), [1, 2, 3]);
        feed.unsubscribe(&taker);
        feed.extend([event(1, 4), Notice::Note("two".into())]);
        assert!(matches!(&other.take(9)[..], [Notice::Note(text)] if text == "two"));
    }

    #[test]
    fn gap_before_an_event_is_that_of_its_frontend() {
        let feed = Feed::default();
        let one = feed.subscribe(patience(9, false));
        let other = feed.subscribe(patience(9, false));
        feed.extend([event(1, 1)]);
        one.mark_lost(PlacementId(1));
        let lost = |queue: &Queue| match &queue.take(1)[..] {
            [Notice::Event(event)] => event.left_out.lost,
            other => panic!("{other:?}"),
        };
        assert_eq!((lost(&one), lost(&other)), (1, 0));
    }

    #[test]
    fn frontend_that_takes_nothing_holds_up_no_other() {
        let feed = Feed::default();
        let stuck = feed.subscribe(patience(4, true));
        let quick = feed.subscribe(patience(4, true));
        feed.extend((1..=3).map(|hit| event(1, hit)));
        assert_eq!(feed.room(), QueueRoom::NONE, "both are more than half full");
        assert_eq!(hits(&quick.take(9)), [1, 2, 3]);
        assert_eq!(feed.room().events, 4);
        feed.extend((4..=6).map(|hit| event(1, hit)));
        assert_eq!(hits(&quick.take(9)), [4, 5, 6]);
        assert_eq!(hits(&stuck.take(9)), [3, 4, 5, 6]);
        assert_eq!(stuck.dropped(PlacementId(1)), 2);
        feed.unsubscribe(&quick);
        feed.extend([event(1, 7)]);
        assert!(quick.take(9).is_empty());
    }

    #[test]
    fn room_is_waited_for_until_somebody_takes() {
        let feed = Arc::new(Feed::default());
        let queue = feed.subscribe(patience(2, true));
        feed.extend((1..=2).map(|hit| event(1, hit)));
        assert_eq!(feed.wait_room(Duration::from_millis(1)), QueueRoom::NONE);
        let taker = Arc::clone(&queue);
        let thread = std::thread::spawn(move || taker.take(2).len());
        assert_eq!(feed.wait_room(Duration::from_secs(60)).events, 2);
        assert_eq!(thread.join().expect("no panic"), 2);
    }

    #[test]
    fn events_come_back_when_nobody_has_them_and_they_are_small() {
        let shared = |hit| match event(1, hit) {
            Notice::Event(event) => event,
            other => panic!("{other:?}"),
        };
        let mut large = shared(1);
        Arc::make_mut(&mut large).message = "x".repeat(1 << 10);
        let mut many = shared(2);
        Arc::make_mut(&mut many).stack.stopped = Some("no unwind information".into());
        let held = shared(4);
        let feed = Feed::default();
        let mut used: Vec<Used> = [large, shared(3), many, Arc::clone(&held)]
            .into_iter()
            .map(Used)
            .collect();
        feed.give_back(&mut used);
        assert!(used.is_empty());
        let back: Vec<u64> = feed.used().iter().map(|event| event.0.hit).collect();
        assert_eq!(back, [3], "{} is read by another frontend", held.hit);
        assert!(feed.used().is_empty());
        used.extend((0..=MOST_USED as u64).map(shared).map(Used));
        feed.give_back(&mut used);
        assert_eq!(feed.used().len(), MOST_USED);
    }
}
