//! Tracks for spans. Spans of a thread are nested as its calls are, unless they are of coroutines: those overlap.

use std::collections::HashMap;

use super::limits::{KNOWN_TRACKS, LANE_SPANS, LANES};

/// A span, in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// The track of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// The thread's own.
    Thread,
    /// One for spans that overlap those of the tracks before it, from 1.
    Beside(usize),
    /// Its own.
    Alone,
}

/// The tracks of each thread.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    threads: HashMap<(u32, u32), Vec<LaneSpans>>,
}

/// The spans of a track that are in no other one of it, by time.
#[derive(Debug, Default)]
struct LaneSpans {
    outermost: Vec<Interval>,
}

impl Lanes {
    /// The track of a span. Spans come in the order of their ends.
    pub(super) fn of(&mut self, pid: u32, tid: u32, span: Interval) -> Lane {
        if self.threads.len() >= KNOWN_TRACKS && !self.threads.contains_key(&(pid, tid)) {
            self.threads.clear();
        }
        let lanes = self.threads.entry((pid, tid)).or_default();
        for (number, lane) in lanes.iter_mut().enumerate() {
            if lane.take(span) {
                return match number {
                    0 => Lane::Thread,
                    number => Lane::Beside(number),
                };
            }
        }
        if lanes.len() == LANES {
            return Lane::Alone;
        }
        let mut lane = LaneSpans::default();
        lane.take(span);
        lanes.push(lane);
        match lanes.len() {
            1 => Lane::Thread,
            number => Lane::Beside(number - 1),
        }
    }
}

impl LaneSpans {
    /// Adds a span, if each of the others is within it or apart from it.
    fn take(&mut self, span: Interval) -> bool {
        let first = self
            .outermost
            .partition_point(|other| other.end <= span.start);
        let later = self.outermost.get(first..).unwrap_or_default();
        // Two spans that begin at once would be nested the wrong way round: the inner one was written first.
        let is_within = |other: &Interval| other.start > span.start && other.end <= span.end;
        let within = later.iter().take_while(|other| is_within(other)).count();
        let is_apart = later
            .get(within)
            .is_none_or(|other| other.start >= span.end && other.end > span.end);
        if !is_apart {
            return false;
        }
        self.outermost.splice(first..first + within, [span]);
        if self.outermost.len() > LANE_SPANS {
            let older: Vec<Interval> = self.outermost.drain(..LANE_SPANS / 2).collect();
            if let (Some(first), Some(last)) = (older.first(), older.last()) {
                let joined = Interval {
                    start: first.start,
                    end: last.end,
                };
                self.outermost.insert(0, joined);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lanes(spans: &[(u64, u64)]) -> Vec<Lane> {
        let mut lanes = Lanes::default();
        let of = |&(start, end): &(u64, u64)| lanes.of(1, 2, Interval { start, end });
        spans.iter().map(of).collect()
    }

    #[test]
    fn nested_spans_share_a_track_and_overlapping_ones_do_not() {
        use Lane::{Beside, Thread};
        assert_eq!(lanes(&[(2, 3), (4, 5), (1, 6), (6, 7)]), [Thread; 4]);
        assert_eq!(
            lanes(&[(1, 4), (2, 5), (3, 6)]),
            [Thread, Beside(1), Beside(2)]
        );
        assert_eq!(
            lanes(&[(1, 2), (1, 3)]),
            [Thread, Beside(1)],
            "begin at once"
        );
        assert_eq!(
            lanes(&[(1, 1), (1, 1), (0, 1)]),
            [Thread; 3],
            "of no length"
        );
        assert_eq!(
            lanes(&[(1, 4), (2, 5), (0, 9)]),
            [Thread, Beside(1), Thread]
        );
    }

    #[test]
    fn number_of_tracks_and_of_kept_spans_is_bounded() {
        let overlapping: Vec<(u64, u64)> =
            (0..LANES as u64 + 2).map(|at| (at, 1000 + at)).collect();
        let of = lanes(&overlapping);
        assert_eq!(of[LANES - 1], Lane::Beside(LANES - 1));
        assert_eq!(of[LANES..], [Lane::Alone; 2]);
        let mut spans = LaneSpans::default();
        for at in 0..10 * LANE_SPANS as u64 {
            let (start, end) = (2 * at + 1, 2 * at + 2);
            assert!(spans.take(Interval { start, end }));
        }
        assert!(spans.outermost.len() <= LANE_SPANS);
        assert!(!spans.take(Interval {
            start: 5,
            end: 1 << 20
        }));
        assert!(spans.take(Interval {
            start: 0,
            end: 1 << 20
        }));
        assert_eq!(spans.outermost.len(), 1);
    }

    proptest! {
        #[test]
        fn spans_of_a_track_are_nested_or_apart(mut spans in proptest::collection::vec((0..60_u64, 0..20_u64), 0..60)) {
            spans.sort_by_key(|(start, length)| start + length);
            let spans: Vec<(u64, u64)> = spans.iter().map(|(start, length)| (*start, start + length)).collect();
            let of = lanes(&spans);
            for (at, (lane, one)) in of.iter().zip(&spans).enumerate() {
                for (_, other) in of.iter().zip(&spans).skip(at + 1).filter(|(other, _)| *other == lane) {
                    let apart = one.1 <= other.0 || other.1 <= one.0;
                    let nested = one.0 > other.0 && one.1 <= other.1;
                    prop_assert!(apart || nested, "{:?} and {:?}", one, other);
                }
            }
        }
    }
}
