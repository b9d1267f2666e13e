//! The used elements of a map.

/// Hands out ranges of a map's elements, first fit.
#[derive(Debug)]
pub(super) struct RangeAllocator {
    /// Free ranges, by start, never touching each other.
    free: Vec<(u32, u32)>,
}

impl RangeAllocator {
    /// `count` elements, all free.
    pub(super) fn new(count: u32) -> Self {
        Self {
            free: vec![(0, count)],
        }
    }

    /// Elements that are free.
    pub(super) fn left(&self) -> usize {
        self.free
            .iter()
            .map(|&(start, end)| (end - start) as usize)
            .sum()
    }

    /// Takes `count` consecutive elements, and returns the first.
    pub(super) fn take(&mut self, count: u32) -> Option<u32> {
        let fits = |&(start, end): &(u32, u32)| end - start >= count;
        let index = self.free.iter().position(fits)?;
        let range = self.free.get_mut(index)?;
        let first = range.0;
        range.0 += count;
        if range.0 == range.1 {
            self.free.remove(index);
        }
        Some(first)
    }

    /// Gives back `count` elements from `first` on.
    pub(super) fn give(&mut self, first: u32, count: u32) {
        if count == 0 {
            return;
        }
        let index = self.free.partition_point(|&(start, _)| start < first);
        self.free.insert(index, (first, first + count));
        // Joins it with the ranges that it touches.
        self.free = self
            .free
            .iter()
            .fold(Vec::new(), |mut joined: Vec<(u32, u32)>, &range| {
                match joined.last_mut() {
                    Some(last) if last.1 == range.0 => last.1 = range.1,
                    _ => joined.push(range),
                }
                joined
            });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_given_back_in_any_order_is_whole_again() {
        let mut room = RangeAllocator::new(10);
        let taken = [room.take(3), room.take(4), room.take(3)];
        assert_eq!(taken, [Some(0), Some(3), Some(7)]);
        assert_eq!((room.take(1), room.left()), (None, 0));
        room.give(3, 4);
        assert_eq!(room.take(5), None);
        room.give(7, 3);
        room.give(0, 3);
        assert_eq!(room.left(), 10);
        assert_eq!(room.take(10), Some(0));
    }

    #[test]
    fn room_takes_the_first_range_that_fits() {
        let mut room = RangeAllocator::new(10);
        room.take(10);
        room.give(1, 2);
        room.give(5, 4);
        assert_eq!(room.take(3), Some(5));
        assert_eq!(room.take(1), Some(1));
    }
}
