//! Two calls of one function beside each other.

use super::{FrameEnd, TracedCall, TracedStep, ValueChange, changes};
use crate::event::StepKind;

/// Two calls as far as they took the same way. Steps of the same index belong together up to there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallComparison {
    /// Steps from the beginning that are of the same lines in both.
    pub common: usize,
    /// The reason why there are no more. `None` if both calls are over.
    pub parting: Option<Parting>,
    /// The steps among them at which values differ.
    pub differing: Vec<usize>,
    /// The first of them before which steps are missing, in which the calls may differ, too.
    pub missing: Option<usize>,
}

/// The reason why two calls are not followed any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// They go on with other lines.
    Path,
    /// A loop that is only counted has turned more often in one of them.
    Turns,
    /// Other steps of one of them are missing there than of the other one, so the rest may not belong together.
    Missing,
    /// No more is known of at least one of them: it still runs, or the rest was not recorded.
    NotKnown,
}

impl Parting {
    /// The reason in words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Path => "the calls go on with other lines",
            Self::Turns => "a loop turns more often in one call",
            Self::Missing => "other steps are missing in one call",
            Self::NotKnown => "no more is known of one call",
        }
    }
}

impl CallComparison {
    /// Compares two calls.
    #[must_use]
    pub fn new(one: &TracedCall, two: &TracedCall) -> Self {
        let mut this = Self {
            common: 0,
            parting: None,
            differing: Vec::new(),
            missing: None,
        };
        loop {
            let index = this.common;
            this.parting = parting(one, two, index);
            let is_over = one.step(index).is_none() && two.step(index).is_none();
            if this.parting.is_some() || is_over {
                return this;
            }
            let hides_steps = one.gap_before(index).hides_steps();
            if this.missing.is_none() && hides_steps {
                this.missing = Some(index);
            }
            if !Self::differences(one, two, index).is_empty() {
                this.differing.push(index);
            }
            this.common += 1;
        }
    }

    /// Index of the first step at which the calls differ, in values or in their way.
    #[must_use]
    pub fn first(&self) -> Option<usize> {
        let parts = self.parting.is_some().then_some(self.common);
        self.differing.first().copied().or(parts)
    }

    /// Index of the next step after one at which the calls differ, or of the one before.
    #[must_use]
    pub fn next(&self, from: usize, back: bool) -> Option<usize> {
        let parts = self.parting.is_some().then_some(self.common);
        let mut all = self.differing.iter().copied().chain(parts);
        match back {
            false => all.find(|index| *index > from),
            true => all.take_while(|index| *index < from).last(),
        }
    }

    /// The values that differ at a step: `before` is of the first call, `now` of the second.
    #[must_use]
    pub fn differences<'c>(
        one: &'c TracedCall,
        two: &'c TracedCall,
        index: usize,
    ) -> Vec<ValueChange<'c>> {
        changes(one.values(index), two.values(index))
    }
}

/// The reason why two calls part before the steps of an index.
fn parting(one: &TracedCall, two: &TracedCall, index: usize) -> Option<Parting> {
    let (left, right) = match (one.step(index), two.step(index)) {
        (Some(left), Some(right)) => (left, right),
        (None, None) => {
            let is_whole = |call: &TracedCall| {
                let is_over = matches!(call.end(), FrameEnd::Returned | FrameEnd::Left);
                is_over && call.not_kept() == 0
            };
            return (!is_whole(one) || !is_whole(two)).then_some(Parting::NotKnown);
        }
        _ => return Some(Parting::NotKnown),
    };
    let gaps = (one.gap_before(index), two.gap_before(index));
    // If as many are missing in both, the steps have the same number, and belong together.
    if gaps.0.lost != gaps.1.lost {
        return Some(Parting::Missing);
    }
    let depth = |call: &TracedCall| call.frame_of(index).map(|frame| frame.depth);
    // The last step that is recorded is a line as others.
    let kind = |step: &TracedStep| match step.kind() {
        StepKind::Cut => StepKind::Line,
        kind => kind,
    };
    let is_same = kind(left) == kind(right)
        && depth(one) == depth(two)
        && (left.kind().is_of_next_call()
            || left.is_on_line_of(right)
                && left.event.origin.function == right.event.origin.function);
    if gaps.0.repeated != gaps.1.repeated {
        return Some(Parting::Turns);
    }
    (!is_same).then_some(Parting::Path)
}
