//! A quantity by steps of time, at several lengths of the step.

use std::array;
use std::collections::VecDeque;

/// Lengths of the steps, ns.
pub(in crate::tui) const STEPS: [u64; 6] = [
    40_000_000,
    200_000_000,
    1_000_000_000,
    5_000_000_000,
    30_000_000_000,
    300_000_000_000,
];
/// Steps kept of each length.
pub(in crate::tui) const SLOTS: usize = 320;
/// Steps that a plot shows. The others are kept for events that come late.
pub(in crate::tui) const SHOWN: u64 = 300;

/// A quantity that can be summed up.
pub(in crate::tui) trait Merge: Clone {
    /// Adds a later one.
    fn merge(&mut self, later: &Self);
}

impl Merge for u64 {
    fn merge(&mut self, later: &Self) {
        *self = self.saturating_add(*later);
    }
}

/// The numbers of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::tui) struct Slot {
    /// The smallest.
    pub(in crate::tui) min: f64,
    /// The largest.
    pub(in crate::tui) max: f64,
    /// The last.
    pub(in crate::tui) last: f64,
    /// Its first number is not joined with the one before.
    pub(in crate::tui) is_broken: bool,
}

impl Slot {
    /// A step with one number.
    pub(in crate::tui) const fn of(number: f64, is_broken: bool) -> Self {
        Self {
            min: number,
            max: number,
            last: number,
            is_broken,
        }
    }
}

impl Merge for Slot {
    fn merge(&mut self, later: &Self) {
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        self.last = later.last;
    }
}

/// One step: its time divided by the length, and its quantity.
type Step<T> = (u64, T);

/// A quantity by time, at each of [`STEPS`].
#[derive(Clone, Debug)]
pub(in crate::tui) struct Steps<T> {
    levels: [VecDeque<Step<T>>; STEPS.len()],
}

impl<T> Default for Steps<T> {
    fn default() -> Self {
        Self {
            levels: array::from_fn(|_| VecDeque::new()),
        }
    }
}

impl<T: Merge> Steps<T> {
    /// Adds a quantity at a time in ns.
    pub(in crate::tui) fn put(&mut self, time_ns: u64, quantity: &T) {
        for (steps, length) in self.levels.iter_mut().zip(STEPS) {
            put(steps, time_ns / length, quantity);
        }
    }

    /// The steps of one length from one time to another, both in ns and inclusive.
    pub(in crate::tui) fn range(
        &self,
        level: usize,
        from_ns: u64,
        to_ns: u64,
    ) -> impl Iterator<Item = &Step<T>> {
        let length = STEPS.get(level).copied().unwrap_or(u64::MAX);
        let (from, to) = (from_ns / length, to_ns / length);
        let steps = self.levels.get(level);
        let first = steps.map_or(0, |steps| steps.partition_point(|(at, _)| *at < from));
        steps
            .into_iter()
            .flat_map(move |steps| steps.range(first..))
            .take_while(move |(at, _)| *at <= to)
    }

    /// Number of steps kept, of all lengths.
    #[cfg(test)]
    pub(in crate::tui) fn kept(&self) -> usize {
        self.levels.iter().map(VecDeque::len).sum()
    }
}

fn put<T: Merge>(steps: &mut VecDeque<Step<T>>, at: u64, quantity: &T) {
    match steps.back_mut() {
        Some((newest, there)) if *newest == at => there.merge(quantity),
        Some((newest, _)) if *newest > at => put_late(steps, at, quantity),
        _ => {
            // Old steps go by time too, so that a rare event does not keep them.
            while steps.len() >= SLOTS
                || steps
                    .front()
                    .is_some_and(|(oldest, _)| at - oldest >= SLOTS as u64)
            {
                steps.pop_front();
            }
            steps.push_back((at, quantity.clone()));
        }
    }
}

/// Adds a quantity to an earlier step: events of different CPUs may come in another order.
fn put_late<T: Merge>(steps: &mut VecDeque<Step<T>>, at: u64, quantity: &T) {
    let index = steps.partition_point(|(other, _)| *other < at);
    let is_full = index == 0 || steps.len() >= SLOTS;
    match steps.get_mut(index) {
        Some((there, sum)) if *there == at => sum.merge(quantity),
        // A step before all others is out of the window, or will be soon.
        _ if is_full => {}
        _ => steps.insert(index, (at, quantity.clone())),
    }
}
