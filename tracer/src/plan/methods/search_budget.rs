//! The number of bytes that the searches of one plan may look at.

use tracer_common::limits::MAX_STEPS;

use crate::plan::limits::SEARCHED;
use crate::program::Op;

/// Most ops that all searches of one hit may execute together. The rest of [`MAX_STEPS`] is for the
/// values.
const STEPS: usize = MAX_STEPS as usize * 3 / 4;

/// A search. Its reach depends on the number of searches in the plan.
#[derive(Clone, Debug)]
pub(in crate::plan) struct Search {
    /// Indexes of the ops that hold the reach.
    at: Vec<usize>,
    /// Most ops per byte.
    ops: usize,
}

impl Search {
    /// `at` has the indexes of the ops that hold the reach; `ops` is the most ops per byte.
    pub(in crate::plan) const fn new(at: Vec<usize>, ops: usize) -> Self {
        Self { at, ops }
    }

    /// Returns true if the search was emitted before op `ops`.
    pub(in crate::plan) fn is_before(&self, ops: usize) -> bool {
        self.at.iter().all(|at| *at < ops)
    }

    /// Sets the number of bytes that the search may look at, if one hit may run `searches`
    /// searches.
    pub(in crate::plan) fn set_reach(&self, ops: &mut [Op], searches: usize) {
        let steps = STEPS / searches.max(1) / self.ops.max(1);
        let reach = SEARCHED.min(steps as u64);
        for &at in &self.at {
            if let Some(op) = ops.get_mut(at) {
                op.set_constant(reach);
            }
        }
    }
}
