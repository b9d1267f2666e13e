//! Ways through the steps of a call.

use super::{TracedCall, TracedStep, named, same_value};
use crate::value::Value;

/// Forward or back in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To later steps.
    Forward,
    /// To earlier steps.
    Back,
}

/// A way from one step to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepMove {
    /// To the next step.
    Step,
    /// To the next step of this frame or of one around it: calls are passed over.
    Over,
    /// To the beginning of the next call that this frame makes; back: of the one before.
    Into,
    /// To the caller's next step after this frame; back: to the step that made the call.
    Out,
    /// To the next pass of this line in this frame.
    Pass,
    /// To the next pass of this line in any frame.
    PassAnywhere,
    /// To the beginning or the end of the call.
    End,
}

/// A value of a variable at a step.
#[derive(Clone, Copy, Debug)]
pub struct HistoricValue<'c> {
    /// Index of the step.
    pub step: usize,
    /// The value. `None` if the variable is not in scope.
    pub value: Option<&'c Value>,
    /// It is another one than at the step before of the same frame that has variables.
    pub is_change: bool,
}

impl TracedCall {
    /// The step that a move leads to. `None` if there is none.
    #[must_use]
    pub fn go(&self, from: usize, way: StepMove, direction: Direction) -> Option<usize> {
        let here = self.step(from)?;
        let depth = self.frame_of(from)?.depth;
        let depth_of = |index: usize| self.frame_of(index).map(|frame| frame.depth);
        let find = |fits: &dyn Fn(usize, &TracedStep) -> bool| self.find(from, direction, fits);
        match way {
            StepMove::Step => find(&|_, _| true),
            StepMove::Over => find(&|index, _| depth_of(index) <= Some(depth)),
            StepMove::Out => find(&|index, _| depth_of(index) < Some(depth)),
            StepMove::Into => find(&|_, step| {
                let frame = self.frames().get(step.frame);
                step.turn == 0 && frame.is_some_and(|frame| frame.parent == Some(here.frame))
            }),
            StepMove::Pass => find(&|_, step| step.frame == here.frame && self.passes(step, here)),
            StepMove::PassAnywhere => find(&|_, step| self.passes(step, here)),
            StepMove::End => match direction {
                Direction::Forward => self.len().checked_sub(1),
                Direction::Back => Some(0),
            },
        }
    }

    /// A step passes the line of another. A return is on the line of the step before it, and no pass of its own.
    fn passes(&self, step: &TracedStep, line: &TracedStep) -> bool {
        step.is_pass() && step.is_on_line_of(line)
    }

    /// The next step that fits, in a direction.
    pub fn find(
        &self,
        from: usize,
        direction: Direction,
        fits: &dyn Fn(usize, &TracedStep) -> bool,
    ) -> Option<usize> {
        let fits = |index: &usize| self.step(*index).is_some_and(|step| fits(*index, step));
        match direction {
            Direction::Forward => (from + 1..self.len()).find(fits),
            Direction::Back => (0..from.min(self.len())).rev().find(fits),
        }
    }

    /// The values of a variable over the steps of a frame. Returns have no variables, so they are left out.
    #[must_use]
    pub fn history(&self, frame: usize, name: &str) -> Vec<HistoricValue<'_>> {
        let steps = self.frames().get(frame).map_or(&[][..], |one| &one.steps);
        let mut before: Option<Option<&Value>> = None;
        let lines = steps.iter().filter_map(|index| {
            let step = self.step(*index)?;
            step.is_pass().then_some((*index, step))
        });
        lines
            .map(|(index, step)| {
                let value = named(step.values(), name).map(|value| &value.value);
                let is_change = match (before.replace(value), value) {
                    (None, now) => now.is_some(),
                    (Some(Some(before)), Some(now)) => !same_value(before, now),
                    (Some(before), now) => before.is_some() != now.is_some(),
                };
                HistoricValue {
                    step: index,
                    value,
                    is_change,
                }
            })
            .collect()
    }

    /// The next step of this frame at which a variable is another one than at the step before, or the last one
    /// before this.
    #[must_use]
    pub fn change_of(&self, from: usize, name: &str, direction: Direction) -> Option<usize> {
        let history = self.history(self.step(from)?.frame, name);
        let mut changes = history.iter().filter(|one| one.is_change);
        let found = match direction {
            Direction::Forward => changes.find(|one| one.step > from),
            Direction::Back => changes.rfind(|one| one.step < from),
        };
        found.map(|one| one.step)
    }
}
