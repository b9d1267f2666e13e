//! Records between the ring and their decoding: put into order, and bounded.
//!
//! A record is a third of the event that it becomes, and taking it from the ring costs a
//! hundredth of decoding and writing it. So a flood waits here.

/// Records that wait, as bytes.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    bytes: Vec<u8>,
    records: Vec<Found>,
    /// So many of the records are in order.
    sorted: usize,
}

/// One record in the bytes.
#[derive(Clone, Copy, Debug)]
struct Found {
    ktime_ns: u64,
    start: usize,
    end: usize,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes that are held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a record with the time of its hit.
    pub(super) fn keep(&mut self, ktime_ns: u64, record: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(record);
        self.records.push(Found {
            ktime_ns,
            start,
            end: self.bytes.len(),
        });
    }

    /// Puts the records into the order of their times; gives how many are not younger than `settled`.
    pub(super) fn ready(&mut self, settled: u64) -> usize {
        if self.sorted < self.records.len() {
            self.records.sort_by_key(|found| found.ktime_ns);
            self.sorted = self.records.len();
        }
        self.records
            .partition_point(|found| found.ktime_ns <= settled)
    }

    /// Hands the first `count` records to `take`, and gives their room back.
    pub(super) fn take(&mut self, count: usize, mut take: impl FnMut(&[u8])) {
        let count = count.min(self.records.len());
        for found in self.records.drain(..count) {
            take(self.bytes.get(found.start..found.end).unwrap_or_default());
        }
        self.sorted = self.sorted.saturating_sub(count);
        let unused = self.records.iter().map(|found| found.start).min();
        let unused = unused.unwrap_or(self.bytes.len());
        // Moving what is left is worth it when that is less than what goes.
        if unused * 2 >= self.bytes.len() {
            self.bytes.drain(..unused);
            for found in &mut self.records {
                found.start -= unused;
                found.end -= unused;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(backlog: &mut Backlog, count: usize) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        backlog.take(count, |record| taken.push(record.to_vec()));
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
    fn room_of_what_was_taken_comes_back_while_others_wait() {
        let mut backlog = Backlog::default();
        for round in 0..1000_u64 {
            for index in 0..10 {
                backlog.keep(round * 10 + index, &round.to_le_bytes());
            }
            assert!(backlog.ready(u64::MAX) >= 10);
            let taken = all(&mut backlog, 10);
            assert_eq!(taken.len(), 10);
            assert!(backlog.bytes() <= 4 * 10 * 8, "{}", backlog.bytes());
        }
    }
}
