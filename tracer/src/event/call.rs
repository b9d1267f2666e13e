//! A traced call, put together from its steps.
//!
//! Steps may be missing, come twice or in another order. What is not recorded is told as a gap, and never filled in.

mod changes;
mod comparison;
mod frames;
mod moves;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::{Event, NamedValue, ProbeId, StepEvent, StepKind};

pub use changes::{ValueChange, changes, is_absent, named, same_value};
pub use comparison::{CallComparison, Parting};
pub use frames::OpenFrames;
pub use moves::{Direction, StepMove};

/// Steps of one call that are kept. Later ones are only counted.
///
/// The kernel side records fewer unless it is told otherwise.
pub const CALL_STEPS: usize = 100_000;
/// Estimated bytes of the events of one call that are kept. Later ones are only counted.
pub const CALL_BYTES: usize = 64 << 20;

/// Identifies a traced call in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallKey {
    /// The probe.
    pub probe: ProbeId,
    /// Process id.
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// Number of the call among those of its probe, from 1.
    pub call: u64,
}

impl CallKey {
    /// The call of a step. `None` if the event is none.
    #[must_use]
    pub fn of(event: &Event) -> Option<Self> {
        let step = event.step.as_ref()?;
        Some(Self {
            probe: event.origin.probe,
            pid: event.pid,
            tid: event.tid,
            call: step.call,
        })
    }
}

/// Steps that are not there directly before one that is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepGap {
    /// Steps of further turns of a loop, which are only counted.
    pub repeated: u64,
    /// Steps that were lost.
    pub lost: u64,
}

impl StepGap {
    /// The gap between a step and the one before it that is known, by their numbers.
    #[must_use]
    pub fn between(before: u64, step: &StepEvent) -> Self {
        let missing = step.number.saturating_sub(before).saturating_sub(1);
        let repeated = step.repeated.min(missing);
        Self {
            repeated,
            lost: missing - repeated,
        }
    }

    /// Nothing is missing.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.repeated == 0 && self.lost == 0
    }

    /// Steps are missing that may have been of any line.
    #[must_use]
    pub const fn hides_steps(&self) -> bool {
        self.lost > 0
    }

    /// Steps that are missing.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.repeated.saturating_add(self.lost)
    }

    /// The gap in few words: `12 counted, 3 lost`.
    #[must_use]
    pub fn short(&self) -> String {
        let parts = [(self.repeated, "counted"), (self.lost, "lost")];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts
            .map(|(count, what)| format!("{} {what}", super::grouped(*count)))
            .collect();
        parts.join(", ")
    }

    /// The gap in words: `12 steps of further turns only counted, 3 steps lost`.
    #[must_use]
    pub fn text(&self) -> String {
        let parts = [
            (self.repeated, "of further turns only counted"),
            (self.lost, "lost"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts
            .map(|(count, what)| format!("{} {what}", super::counted(*count, "step")))
            .collect();
        parts.join(", ")
    }
}

/// The end of a frame, or of a whole call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameEnd {
    /// It has not ended, as far as is known.
    Open,
    /// It returned.
    Returned,
    /// It is over, and no return of it was seen, though no steps are missing: it was left.
    Left,
    /// It was recorded no further: the probe was switched off, or the call has too many steps.
    Cut,
    /// It has ended, and the steps that would tell how are missing.
    Unknown,
}

/// A function's call within a traced call, or the traced call itself.
#[derive(Clone, Debug)]
pub struct CallFrame {
    /// Index of the frame that called it, as far as is known.
    pub parent: Option<usize>,
    /// Calls between the traced call and this one.
    pub depth: u32,
    /// Indexes of its steps, ascending. Never empty.
    pub steps: Vec<usize>,
    /// Its first line is known.
    pub has_enter: bool,
    /// Its end.
    pub end: FrameEnd,
    /// The last step of each function of the frame: inlined bodies are functions of their own.
    last_of: Vec<usize>,
}

impl CallFrame {
    /// Index of its first step.
    #[must_use]
    pub fn first(&self) -> usize {
        self.steps.first().copied().unwrap_or_default()
    }

    /// Index of its last step.
    #[must_use]
    pub fn last(&self) -> usize {
        self.steps.last().copied().unwrap_or_default()
    }
}

/// A step, and its place in the call.
#[derive(Clone, Debug)]
pub struct TracedStep {
    /// The event.
    pub event: Arc<Event>,
    /// Index of its frame.
    pub frame: usize,
    /// Index of the last step before it of the same frame and function.
    pub before: Option<usize>,
    /// Index among the steps of its frame.
    pub turn: usize,
}

/// A traced call: its steps in order, and their frames.
#[derive(Clone, Debug)]
pub struct TracedCall {
    key: CallKey,
    steps: Vec<TracedStep>,
    frames: Vec<CallFrame>,
    open: OpenFrames<usize>,
    /// Steps that have their place in a frame.
    linked: usize,
    bytes: usize,
    not_kept: u64,
    most_steps: usize,
    most_bytes: usize,
}

impl TracedCall {
    /// A call without steps.
    #[must_use]
    pub const fn new(key: CallKey) -> Self {
        Self::bounded(key, CALL_STEPS, CALL_BYTES)
    }

    /// A call that keeps so many steps and bytes.
    const fn bounded(key: CallKey, most_steps: usize, most_bytes: usize) -> Self {
        Self {
            key,
            steps: Vec::new(),
            frames: Vec::new(),
            open: OpenFrames::new(),
            linked: 0,
            bytes: 0,
            not_kept: 0,
            most_steps,
            most_bytes,
        }
    }

    /// Takes steps. Those of other calls, and those that are there already, are passed over. Returns the number
    /// of steps that were taken.
    pub fn extend(&mut self, events: impl IntoIterator<Item = Arc<Event>>) -> usize {
        let mut stale = self.steps.len();
        let mut taken = 0;
        for event in events {
            let number = match &event.step {
                Some(step) if CallKey::of(&event) == Some(self.key) => step.number,
                _ => continue,
            };
            let at = self.index_of(number);
            if self.steps.get(at).is_some_and(|one| one.number() == number) {
                continue;
            }
            if !self.has_room(&event) {
                self.not_kept += 1;
                continue;
            }
            self.bytes += event.weight();
            let step = TracedStep {
                event,
                frame: 0,
                before: None,
                turn: 0,
            };
            self.steps.insert(at, step);
            stale = stale.min(at);
            taken += 1;
        }
        if stale < self.linked {
            self.unlink();
        }
        (self.linked..self.steps.len()).for_each(|index| self.link(index));
        self.linked = self.steps.len();
        taken
    }

    /// The end of the call is kept whatever came before: it is small, and tells that nothing more will come.
    fn has_room(&self, event: &Event) -> bool {
        let is_end = event.step.as_ref();
        let is_end = is_end.is_some_and(|step| step.kind.is_last(step.depth));
        is_end && self.steps.len() <= self.most_steps
            || self.steps.len() < self.most_steps && self.bytes < self.most_bytes
    }

    /// A step that came late: the frames are made again.
    fn unlink(&mut self) {
        self.frames.clear();
        self.open = OpenFrames::new();
        self.linked = 0;
    }

    /// Gives the step its frame. Those before it have theirs.
    fn link(&mut self, index: usize) {
        let Some(event) = self.steps.get(index).map(|step| Arc::clone(&step.event)) else {
            return;
        };
        let Some(step) = &event.step else {
            return;
        };
        self.leave(index, step);
        let frame = self.frame_for(step);
        let of_function = |last: &usize| {
            let last = self.steps.get(*last);
            last.is_some_and(|last| last.event.origin.function == event.origin.function)
        };
        let Some(owner) = self.frames.get_mut(frame) else {
            return;
        };
        let known = owner.last_of.iter().position(of_function);
        let before = known.and_then(|at| owner.last_of.get(at).copied());
        match known.and_then(|at| owner.last_of.get_mut(at)) {
            Some(last) => *last = index,
            None => owner.last_of.push(index),
        }
        let turn = owner.steps.len();
        owner.steps.push(index);
        if step.kind == StepKind::Return {
            owner.end = FrameEnd::Returned;
            self.open.close();
        }
        if step.kind == StepKind::Cut {
            while let Some(open) = self.open.close() {
                self.end_frame(open, FrameEnd::Cut);
            }
        }
        if let Some(one) = self.steps.get_mut(index) {
            (one.frame, one.before, one.turn) = (frame, before, turn);
        }
    }

    /// Ends the frames that a step shows to be over without a return.
    fn leave(&mut self, index: usize, step: &StepEvent) {
        let is_certain = !self.gap_before(index).hides_steps();
        let end = match step.kind {
            StepKind::Left => FrameEnd::Left,
            StepKind::Missed => FrameEnd::Unknown,
            _ if is_certain => FrameEnd::Left,
            _ => FrameEnd::Unknown,
        };
        for left in self.open.leave(step) {
            self.end_frame(left, end);
        }
    }

    fn end_frame(&mut self, frame: usize, end: FrameEnd) {
        if let Some(frame) = self.frames.get_mut(frame) {
            frame.end = end;
        }
    }

    /// The frame of a step, which may be a new one.
    fn frame_for(&mut self, step: &StepEvent) -> usize {
        let is_over = step.kind.is_of_next_call();
        // It tells of the traced call itself.
        let root = (is_over && !self.frames.is_empty()).then_some(0);
        if let Some(frame) = root.or_else(|| self.open.of(step).copied()) {
            return frame;
        }
        self.frames.push(CallFrame {
            parent: self.open.innermost().copied(),
            depth: step.depth,
            steps: Vec::new(),
            has_enter: step.kind == StepKind::Enter,
            end: match step.kind {
                StepKind::Left => FrameEnd::Left,
                StepKind::Missed => FrameEnd::Unknown,
                _ => FrameEnd::Open,
            },
            last_of: Vec::new(),
        });
        let new = self.frames.len() - 1;
        if !is_over {
            self.open.push(step, new);
        }
        new
    }

    /// The call.
    #[must_use]
    pub const fn key(&self) -> CallKey {
        self.key
    }

    /// Steps that are kept.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.steps.len()
    }

    /// No step is there.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Estimated bytes of the events.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Steps that came when the memory of the call was used up.
    #[must_use]
    pub const fn not_kept(&self) -> u64 {
        self.not_kept
    }

    /// A step by its index.
    #[must_use]
    pub fn step(&self, index: usize) -> Option<&TracedStep> {
        self.steps.get(index)
    }

    /// All steps, in order.
    #[must_use]
    pub fn steps(&self) -> &[TracedStep] {
        &self.steps
    }

    /// The frames, in the order of their first steps. The traced call is the first one.
    #[must_use]
    pub fn frames(&self) -> &[CallFrame] {
        &self.frames
    }

    /// The frame of a step.
    #[must_use]
    pub fn frame_of(&self, index: usize) -> Option<&CallFrame> {
        self.frames.get(self.step(index)?.frame)
    }

    /// Index of the step of a number, or of the next one.
    #[must_use]
    pub fn index_of(&self, number: u64) -> usize {
        let is_before = |step: &TracedStep| step.number() < number;
        match self.steps.last() {
            Some(last) if is_before(last) => self.steps.len(),
            _ => self.steps.partition_point(is_before),
        }
    }

    /// Number of the last step that is known.
    #[must_use]
    pub fn last_number(&self) -> u64 {
        self.steps.last().map_or(0, TracedStep::number)
    }

    /// The steps that are missing directly before a step.
    #[must_use]
    pub fn gap_before(&self, index: usize) -> StepGap {
        let before = index.checked_sub(1).and_then(|before| self.step(before));
        let before = before.map_or(0, TracedStep::number);
        let step = self.step(index).and_then(|one| one.event.step.as_deref());
        step.map_or_else(StepGap::default, |step| StepGap::between(before, step))
    }

    /// The end of the call.
    #[must_use]
    pub fn end(&self) -> FrameEnd {
        let last = self
            .steps
            .last()
            .and_then(|step| step.event.step.as_deref());
        match last.map(|step| (step.kind, step.depth)) {
            Some((StepKind::Left, _)) => FrameEnd::Left,
            Some((StepKind::Missed, _)) => FrameEnd::Unknown,
            Some((StepKind::Cut, _)) => FrameEnd::Cut,
            Some((StepKind::Return, 0)) => FrameEnd::Returned,
            _ => FrameEnd::Open,
        }
    }

    /// The values of a step. Those of a call that was left are not its own.
    #[must_use]
    pub fn values(&self, index: usize) -> &[NamedValue] {
        self.step(index).map_or(&[], TracedStep::values)
    }

    /// The values of a step that differ from those of the step before of the same frame.
    ///
    /// All that are in scope at the first one. At a return, only `$return`.
    #[must_use]
    pub fn changes(&self, index: usize) -> Vec<ValueChange<'_>> {
        let Some(step) = self.step(index) else {
            return Vec::new();
        };
        match step.kind() {
            StepKind::Return => return changes(&[], step.values()),
            StepKind::Left | StepKind::Missed => return Vec::new(),
            StepKind::Enter | StepKind::Line | StepKind::Cut => {}
        }
        let before = step.before.map_or(&[][..], |before| self.values(before));
        changes(before, step.values())
    }

    /// Frames that this step's frame has called since its step before and that have returned, with the index of
    /// the step of the return.
    #[must_use]
    pub fn returned_before(&self, index: usize) -> Vec<(&CallFrame, usize)> {
        let Some(step) = self.step(index) else {
            return Vec::new();
        };
        let turn = step.turn.checked_sub(1);
        let before = turn.and_then(|turn| self.frames.get(step.frame)?.steps.get(turn));
        let Some(before) = before else {
            return Vec::new();
        };
        let between = self.steps.get(before + 1..index).unwrap_or(&[]).iter();
        let returns = between.zip(before + 1..).filter_map(|(one, at)| {
            let frame = self.frames.get(one.frame)?;
            let is_own = frame.parent == Some(step.frame) && one.kind() == StepKind::Return;
            is_own.then_some((frame, at))
        });
        returns.collect()
    }

    /// Name of a frame: its function, into which that of its first step may be inlined.
    #[must_use]
    pub fn name_of(&self, frame: &CallFrame) -> &str {
        let first = self.step(frame.first());
        first.map_or("", |step| step.event.origin.frame_function())
    }

    /// Time from the first step of a frame to its return, in ns. `None` if one of them is not known.
    #[must_use]
    pub fn duration_ns(&self, frame: &CallFrame) -> Option<u64> {
        let (first, last) = (self.step(frame.first())?, self.step(frame.last())?);
        let is_whole = frame.has_enter && frame.end == FrameEnd::Returned;
        is_whole.then(|| last.event.time_ns.saturating_sub(first.event.time_ns))
    }
}

impl TracedStep {
    /// Number of the step in its call, from 1.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.event.step.as_ref().map_or(0, |step| step.number)
    }

    /// Kind of the step.
    #[must_use]
    pub fn kind(&self) -> StepKind {
        let step = self.event.step.as_ref();
        step.map_or(StepKind::Line, |step| step.kind)
    }

    /// Its values. None if the call was left: they are of another call then.
    #[must_use]
    pub fn values(&self) -> &[NamedValue] {
        match self.kind().is_of_next_call() {
            true => &[],
            false => &self.event.values,
        }
    }

    /// It passes a line, and has the variables there.
    #[must_use]
    pub fn is_pass(&self) -> bool {
        matches!(
            self.kind(),
            StepKind::Line | StepKind::Enter | StepKind::Cut
        )
    }

    /// Two steps are of the same line.
    #[must_use]
    pub fn is_on_line_of(&self, other: &Self) -> bool {
        let (one, two) = (&self.event.origin, &other.event.origin);
        Arc::ptr_eq(one, two) || one.line == two.line && one.file == two.file
    }
}
