//! Steps: the lines of a traced call, in the order in which its thread passed them.

use serde::{Deserialize, Serialize};

/// The part of an event that is a step of a traced call.
///
/// Steps of one call have the same probe, process, thread and call number, and come in the order of their
/// numbers. Those of calls on other threads can stand between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepEvent {
    /// Number of the call among the traced calls of its probe, from 1.
    pub call: u64,
    /// Number of the step in its call, from 1. A number that is not the one after the step before tells of steps
    /// that were left out: [`Self::repeated`] of them were only counted, and the rest is lost.
    pub number: u64,
    /// Calls between the traced call and the one that the step is of: 0 for the traced call itself.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub depth: u32,
    /// Canonical frame address: the steps of one call at one depth that belong together have the same.
    pub frame: u64,
    /// The kind of the step.
    pub kind: StepKind,
    /// Steps directly before this one that are only counted: turns of a loop between its first and its last ones.
    #[serde(default, skip_serializing_if = "is_none")]
    pub repeated: u64,
}

/// The kind of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepKind {
    /// The first line of a call: of the traced one, or of one that it makes. It has the arguments.
    Enter,
    /// A line. Its values are those before it runs.
    Line,
    /// A call returns: the traced one at depth 0. It has `$return`.
    Return,
    /// The traced call was left without a return: by an exception, a panic, `longjmp`, or the end of its thread.
    /// The values are of another call, and not shown.
    Left,
    /// The traced call is over, and its return may be one that was missed. The values are of another call, and not
    /// shown.
    Missed,
    /// A line, and the last one of the call that is recorded: the probe was switched off here, by the user or
    /// because its call cost too much, or the call has too many steps.
    Cut,
}

impl StepKind {
    /// Returns true if it tells that the call was over before, so that its values are of another call.
    #[must_use]
    pub const fn is_of_next_call(self) -> bool {
        matches!(self, Self::Left | Self::Missed)
    }

    /// Returns true if no step of its call comes after it, at this depth.
    #[must_use]
    pub const fn is_last(self, depth: u32) -> bool {
        match self {
            Self::Left | Self::Missed | Self::Cut => true,
            Self::Return => depth == 0,
            Self::Enter | Self::Line => false,
        }
    }

    /// Its name in outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enter => "enter",
            Self::Line => "line",
            Self::Return => "return",
            Self::Left => "left",
            Self::Missed => "missed",
            Self::Cut => "cut",
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it by reference"
)]
const fn is_zero(depth: &u32) -> bool {
    *depth == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it by reference"
)]
const fn is_none(count: &u64) -> bool {
    *count == 0
}
