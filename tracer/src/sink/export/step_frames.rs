//! The frames of traced calls as intervals: from the first step of each to its return.

use std::collections::HashMap;

use super::lanes::Interval;
use super::limits::KNOWN_TRACKS;
use crate::event::{Event, PlacementId, StepEvent, StepKind};

/// A frame that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EndedFrame {
    /// Its function.
    pub(super) function: String,
    /// From its first step to its return, or to the step that shows that it is over.
    pub(super) interval: Interval,
}

/// The open frames of calls.
#[derive(Default)]
pub(super) struct StepFrames {
    /// By process, thread and probe.
    calls: HashMap<(u32, u32, PlacementId), OpenCallFrames>,
}

/// The open frames of one call, the traced function's first.
#[derive(Default)]
struct OpenCallFrames {
    call: u64,
    frames: Vec<(String, u64)>,
}

impl StepFrames {
    /// Takes a step. Returns the frames that have ended with it, the innermost first.
    pub(super) fn advance(&mut self, event: &Event, step: &StepEvent) -> Vec<EndedFrame> {
        let key = (event.pid, event.tid, event.origin.placement);
        if self.calls.len() >= KNOWN_TRACKS && !self.calls.contains_key(&key) {
            self.calls.clear();
        }
        let open = self.calls.entry(key).or_default();
        let now = event.time_ns;
        let mut ended = Vec::new();
        if open.call != step.call {
            open.end(0, now, &mut ended);
            open.call = step.call;
        }
        let depth = step.depth as usize;
        // Deeper frames are over, seen or unseen. A frame that is entered again was left.
        let remaining = match step.kind {
            StepKind::Enter => depth,
            _ => depth + 1,
        };
        open.end(remaining, now, &mut ended);
        while open.frames.len() <= depth {
            // Steps of the frames between may have been lost.
            open.frames.push((event.origin.function.clone(), now));
        }
        match step.kind {
            StepKind::Enter | StepKind::Line => {}
            StepKind::Return => open.end(depth, now, &mut ended),
            StepKind::Left | StepKind::Missed | StepKind::Cut => open.end(0, now, &mut ended),
        }
        if open.frames.is_empty() {
            self.calls.remove(&key);
        }
        ended
    }
}

impl OpenCallFrames {
    /// Ends all frames but the first ones.
    fn end(&mut self, remaining: usize, now: u64, ended: &mut Vec<EndedFrame>) {
        while self.frames.len() > remaining {
            if let Some((function, start)) = self.frames.pop() {
                let interval = Interval { start, end: now };
                ended.push(EndedFrame { function, interval });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::json::tests::event;

    /// The frames that end with each step, as text.
    fn ended(steps: &[(StepKind, u32, &str)]) -> Vec<String> {
        let mut frames = StepFrames::default();
        let mut all = Vec::new();
        for (number, (kind, depth, function)) in (1_u64..).zip(steps) {
            let mut event = event();
            let mut origin = (*event.origin).clone();
            (*function).clone_into(&mut origin.function);
            event.origin = origin.into();
            event.time_ns = number;
            let step = StepEvent {
                call: 1,
                number,
                depth: *depth,
                frame: 0,
                kind: *kind,
                repeated: 0,
            };
            for frame in frames.advance(&event, &step) {
                let Interval { start, end } = frame.interval;
                all.push(format!("{} {start}..{end}", frame.function));
            }
        }
        all
    }

    #[test]
    fn frames_nest_and_end_with_their_returns() {
        use StepKind::{Cut, Enter, Left, Line, Return};
        let nested = [
            (Enter, 0, "f"),
            (Enter, 1, "g"),
            (Return, 1, "g"),
            (Line, 0, "f"),
            (Return, 0, "f"),
        ];
        assert_eq!(ended(&nested), ["g 2..3", "f 1..5"]);
        let left = [
            (Enter, 0, "f"),
            (Enter, 1, "g"),
            (Line, 0, "f"),
            (Left, 0, "f"),
        ];
        assert_eq!(ended(&left), ["g 2..3", "f 1..4"]);
        let again = [
            (Enter, 0, "f"),
            (Enter, 1, "g"),
            (Enter, 1, "h"),
            (Cut, 1, "h"),
        ];
        assert_eq!(ended(&again), ["g 2..3", "h 3..4", "f 1..4"]);
        let lost = [(Line, 1, "g"), (Return, 0, "f")];
        assert_eq!(ended(&lost), ["g 1..2", "g 1..2"]);
    }
}
