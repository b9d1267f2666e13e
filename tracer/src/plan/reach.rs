//! How many bytes of a text the searches of one plan may look at.

use tracer_common::limits::MAX_STEPS;
use tracer_common::op::Op;

use super::limits::SEARCHED;

/// Ops that all searches of one hit may execute: the rest of [`MAX_STEPS`] is for the values.
const STEPS: usize = MAX_STEPS as usize * 3 / 4;

/// A search, whose reach depends on how many there are in the plan.
#[derive(Clone, Debug)]
pub(super) struct Search {
    /// The ops whose number is the reach.
    at: Vec<usize>,
    /// Ops that a byte may take.
    ops: usize,
}

impl Search {
    /// With the ops whose number is the reach, and the ops that a byte may take.
    pub(super) const fn new(at: Vec<usize>, ops: usize) -> Self {
        Self { at, ops }
    }

    /// Whether it was written before there were that many ops.
    pub(super) fn is_before(&self, ops: usize) -> bool {
        self.at.iter().all(|at| *at < ops)
    }

    /// Writes the bytes that it may look at, when so many searches may be executed at one hit.
    pub(super) fn set_reach(&self, ops: &mut [Op], searches: usize) {
        let steps = STEPS / searches.max(1) / self.ops.max(1);
        let reach = SEARCHED.min(steps as u64);
        for &at in &self.at {
            if let Some(op) = ops.get_mut(at) {
                *op = op.with_wide(reach);
            }
        }
    }
}
