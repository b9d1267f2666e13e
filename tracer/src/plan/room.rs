//! Shares the ops and the record of a plan among its values.

use crate::plan::Compiler;
use crate::plan::decode::layout::Source;
use crate::plan::limits::FOLLOWED_OPS;
use crate::plan::shape::cost;

impl Compiler<'_> {
    /// Makes the values fit into one plan, and captures light ones before heavy ones.
    pub(super) fn make_room(&mut self) {
        self.share_ops();
        self.capture_light_first();
    }

    /// If all values together take too many ops, makes the largest ones again with fewer far parts.
    fn share_ops(&mut self) {
        let costs: Vec<usize> = self
            .values
            .iter()
            .map(|(_, shape)| shape.shape.ops)
            .collect();
        if costs.iter().sum::<usize>() <= FOLLOWED_OPS {
            return;
        }
        let share = fair_share(&costs, FOLLOWED_OPS);
        for ((cost, ty), (_, shape)) in costs.iter().zip(&self.types).zip(&mut self.values) {
            if let Some(ty) = ty.filter(|_| *cost > share) {
                *shape = self.builder.shape(ty, share);
            }
        }
    }

    fn capture_light_first(&mut self) {
        let weights: Vec<u64> = self
            .values
            .iter()
            .map(|(_, shape)| shape.shape.weight)
            .collect();
        let Some(order) = cost::light_first(&weights) else {
            return;
        };
        let mut values: Vec<_> = std::mem::take(&mut self.values)
            .into_iter()
            .map(Some)
            .collect();
        let mut places = vec![0; values.len()];
        for (place, index) in order.iter().enumerate() {
            let index = usize::from(*index);
            self.values
                .extend(values.get_mut(index).and_then(Option::take));
            if let Some(known) = places.get_mut(index) {
                *known = place;
            }
        }
        for entry in &mut self.entries {
            if let Source::Captured(index) = &mut entry.source {
                *index = places.get(*index).copied().unwrap_or(*index);
            }
        }
    }
}

/// The limit for each value so that all together need at most `whole`. A value that needs less
/// leaves the rest to the others.
fn fair_share(needs: &[usize], whole: usize) -> usize {
    let mut sorted = needs.to_vec();
    sorted.sort_unstable();
    let (mut left, mut others) = (whole, sorted.len());
    for need in sorted {
        let share = left / others.max(1);
        if need > share {
            return share;
        }
        (left, others) = (left - need, others - 1);
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::fair_share;

    #[test]
    fn small_needs_leave_their_rest_to_large_ones() {
        assert_eq!(fair_share(&[10, 500, 20, 400], 430), 200);
        assert_eq!(fair_share(&[100, 100], 100), 50);
        assert_eq!(fair_share(&[1, 2], 10), usize::MAX);
        assert_eq!(fair_share(&[], 10), usize::MAX);
    }
}
