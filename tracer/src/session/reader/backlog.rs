//! Records between the ring and their decoding: put into order, and bounded.
//!
//! A record is a third of the event that it becomes, and taking it from the ring costs a
//! hundredth of decoding and writing it. So a flood waits here.

use std::ops::ControlFlow;

/// Records that wait, as bytes.
#[derive(Debug, Default)]
pub(in crate::session) struct Backlog {
    bytes: Vec<u8>,
    records: Vec<RecordSpan>,
    /// Number of records that are in order.
    sorted: usize,
}

/// One record in the bytes.
#[derive(Clone, Copy, Debug)]
struct RecordSpan {
    ktime_ns: u64,
    start: usize,
    end: usize,
}

impl Backlog {
    pub(in crate::session) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes that are held.
    pub(in crate::session) fn bytes(&self) -> usize {
        self.bytes.len() + self.records.len() * size_of::<RecordSpan>()
    }

    /// Records that are held.
    pub(in crate::session) fn len(&self) -> usize {
        self.records.len()
    }

    /// All records that are held.
    pub(in crate::session) fn records(&self) -> impl Iterator<Item = &[u8]> {
        let records = self.records.iter();
        records.filter_map(|found| self.bytes.get(found.start..found.end))
    }

    /// Adds a record with the time of its hit.
    pub(in crate::session) fn keep(&mut self, ktime_ns: u64, record: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(record);
        self.records.push(RecordSpan {
            ktime_ns,
            start,
            end: self.bytes.len(),
        });
    }

    /// Sorts the records by time. Returns the number of those that are not younger than `settled`.
    pub(in crate::session) fn ready(&mut self, settled: u64) -> usize {
        if self.sorted < self.records.len() {
            self.records.sort_by_key(|found| found.ktime_ns);
            self.sorted = self.records.len();
        }
        self.records
            .partition_point(|found| found.ktime_ns <= settled)
    }

    /// Hands at most the first `count` records to `take`, until it breaks, and frees their memory.
    /// Returns the number of records taken.
    pub(in crate::session) fn take(
        &mut self,
        count: usize,
        mut take: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> usize {
        let mut taken = 0;
        for found in self.records.iter().take(count) {
            taken += 1;
            let record = self.bytes.get(found.start..found.end);
            if take(record.unwrap_or_default()).is_break() {
                break;
            }
        }
        self.records.drain(..taken);
        let count = taken;
        self.sorted = self.sorted.saturating_sub(count);
        let unused = self.records.iter().map(|found| found.start).min();
        let unused = unused.unwrap_or(self.bytes.len());
        // Moving the rest is worthwhile if it is shorter than the unused part.
        if unused * 2 >= self.bytes.len() {
            self.bytes.drain(..unused);
            for found in &mut self.records {
                found.start -= unused;
                found.end -= unused;
            }
            // A past flood has left much unused memory.
            if self.bytes.len() < self.bytes.capacity() / 4 {
                self.bytes.shrink_to(self.bytes.capacity() / 2);
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(backlog: &mut Backlog, count: usize) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        let count = backlog.take(count, |record| {
            taken.push(record.to_vec());
            ControlFlow::Continue(())
        });
        assert_eq!(count, taken.len());
        taken
    }

    #[test]
    fn records_come_in_the_order_of_their_times_up_to_the_settled_one() {
        let mut backlog = Backlog::default();
        for (time, record) in [(3, &b"ccc"[..]), (1, b"a"), (9, b"late"), (2, b"bb")] {
            backlog.keep(time, record);
        }
        assert_eq!(backlog.ready(3), 3);
        assert_eq!(all(&mut backlog, 2), [&b"a"[..], b"bb"]);
        backlog.keep(0, b"older");
        assert_eq!(backlog.ready(u64::MAX), 3);
        assert_eq!(all(&mut backlog, 9), [&b"older"[..], b"ccc", b"late"]);
        assert!(backlog.is_empty());
        assert_eq!(backlog.bytes(), 0);
    }

    #[test]
    fn taking_ends_behind_the_record_that_breaks() {
        let mut backlog = Backlog::default();
        for time in 0..4 {
            backlog.keep(time, &[0; 8]);
        }
        assert_eq!(backlog.ready(9), 4);
        let mut left = 2;
        let taken = backlog.take(4, |_| {
            left -= 1;
            match left {
                0 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
        assert_eq!((taken, backlog.len()), (2, 2));
    }

    #[test]
    fn room_of_what_was_taken_comes_back_while_others_wait() {
        let mut backlog = Backlog::default();
        for round in 0..1000_u64 {
            for index in 0..10 {
                backlog.keep(round * 10 + index, &round.to_le_bytes());
            }
            assert!(backlog.ready(u64::MAX) >= 10);
            let taken = all(&mut backlog, 10);
            assert_eq!(taken.len(), 10);
            let records = 4 * 10 * (8 + size_of::<RecordSpan>());
            assert!(backlog.bytes() <= records, "{}", backlog.bytes());
        }
    }
}
