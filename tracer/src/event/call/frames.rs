//! The frames of a traced call that are open, as its steps tell.

use std::collections::VecDeque;

use crate::event::{StepEvent, StepKind};

/// Frames that are kept. The kernel side records fewer inside of each other; a damaged recording may have more.
const FRAMES: usize = 256;

/// The frames that are open, each with something of its owner.
#[derive(Clone, Debug)]
pub struct OpenFrames<F> {
    /// Outermost first, in ascending depth.
    open: VecDeque<OpenFrame<F>>,
}

/// One frame.
#[derive(Clone, Debug)]
struct OpenFrame<F> {
    depth: u32,
    address: u64,
    owned: F,
}

impl<F> OpenFrames<F> {
    /// No frames.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            open: VecDeque::new(),
        }
    }

    /// Takes away the frames that a step shows to be over: no return of theirs has come. Innermost first.
    pub fn leave(&mut self, step: &StepEvent) -> Vec<F> {
        let is_over = |frame: &OpenFrame<F>| match step.kind {
            StepKind::Left | StepKind::Missed => true,
            StepKind::Enter => frame.depth >= step.depth,
            StepKind::Line | StepKind::Return | StepKind::Cut => {
                let is_other = frame.depth == step.depth && frame.address != step.frame;
                frame.depth > step.depth || is_other
            }
        };
        let mut left = Vec::new();
        while self.open.back().is_some_and(is_over) {
            left.extend(self.open.pop_back().map(|frame| frame.owned));
        }
        left
    }

    /// The frame of a step, if it is open. Frames that are over are away already.
    #[must_use]
    pub fn of(&self, step: &StepEvent) -> Option<&F> {
        let frame = self.open.back()?;
        (frame.depth == step.depth).then_some(&frame.owned)
    }

    /// Opens the frame of a step.
    pub fn push(&mut self, step: &StepEvent, owned: F) {
        if self.open.len() >= FRAMES {
            self.open.pop_front();
        }
        self.open.push_back(OpenFrame {
            depth: step.depth,
            address: step.frame,
            owned,
        });
    }

    /// The innermost frame.
    #[must_use]
    pub fn innermost(&self) -> Option<&F> {
        self.open.back().map(|frame| &frame.owned)
    }

    /// The innermost frame, to change it.
    pub fn innermost_mut(&mut self) -> Option<&mut F> {
        self.open.back_mut().map(|frame| &mut frame.owned)
    }

    /// The innermost frame has returned.
    pub fn close(&mut self) -> Option<F> {
        self.open.pop_back().map(|frame| frame.owned)
    }
}

impl<F> Default for OpenFrames<F> {
    fn default() -> Self {
        Self::new()
    }
}
