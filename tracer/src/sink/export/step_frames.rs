//! The frames of traced calls as intervals: from the first step of each to its return.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::lanes::Interval;
use super::limits::KNOWN_TRACKS;
use crate::event::{Event, LeftOut, PlacementId, SpanContext, Stack, StepEvent, StepKind};

/// A frame that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EndedFrame {
    /// Its function.
    pub(super) function: String,
    /// From its first step to its return, or to the step that shows that it is over.
    pub(super) interval: Interval,
    /// Why the interval does not end with a return.
    pub(super) unfinished: Option<&'static str>,
}

/// Frames whose call has no further step.
pub(super) struct LastFrames {
    /// Its last step, without values.
    pub(super) event: Event,
    /// Number of the call.
    pub(super) call: u64,
    /// Innermost first.
    pub(super) frames: Vec<EndedFrame>,
}

/// The open frames of calls.
#[derive(Default)]
pub(super) struct StepFrames {
    /// By process, thread and probe.
    calls: BTreeMap<(u32, u32, PlacementId), OpenCallFrames>,
}

/// The open frames of one call, the traced function's first.
#[derive(Default)]
struct OpenCallFrames {
    call: u64,
    frames: Vec<(String, u64)>,
    /// The last step.
    last: Option<Event>,
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
            ended.extend(open.stop());
            open.call = step.call;
        }
        let depth = step.depth as usize;
        // Deeper frames are over, seen or unseen. A frame that is entered again was left.
        let remaining = match step.kind {
            StepKind::Enter => depth,
            _ => depth + 1,
        };
        open.end(remaining, now, Some("no return was seen"), &mut ended);
        while open.frames.len() <= depth {
            // Steps of the frames between may have been lost. They began before the inner one.
            let inner = (depth - open.frames.len()) as u64;
            let start = now.saturating_sub(inner);
            let function = event.origin.frame_function().to_owned();
            open.frames.push((function, start));
        }
        let unfinished = match step.kind {
            StepKind::Left => Some("left without a return"),
            StepKind::Missed => Some("its end was missed"),
            StepKind::Cut => Some("recorded no further"),
            StepKind::Enter | StepKind::Line | StepKind::Return => None,
        };
        match step.kind {
            StepKind::Return => open.end(depth, now, None, &mut ended),
            _ if unfinished.is_some() => open.end(0, now, unfinished, &mut ended),
            _ => {}
        }
        if open.frames.is_empty() {
            self.calls.remove(&key);
        } else {
            open.last = Some(place_of(event));
        }
        ended
    }

    /// The frames that are still open, call by call in the order of their last steps.
    pub(super) fn finish(&mut self) -> Vec<LastFrames> {
        let mut all = Vec::new();
        for (_, mut open) in std::mem::take(&mut self.calls) {
            let (call, frames) = (open.call, open.stop());
            all.extend(open.last.map(|event| LastFrames {
                event,
                call,
                frames,
            }));
        }
        all.sort_by_key(|last| last.event.time_ns);
        all
    }
}

/// The place and the time of an event.
fn place_of(event: &Event) -> Event {
    Event {
        origin: Arc::clone(&event.origin),
        time_ns: event.time_ns,
        pid: event.pid,
        tid: event.tid,
        thread: event.thread.clone(),
        hit: event.hit,
        message: String::new(),
        values: Vec::new(),
        stack: Stack::default(),
        left_out: LeftOut::default(),
        span: None,
        context: SpanContext::default(),
        step: None,
        access: None,
    }
}

impl OpenCallFrames {
    /// Ends all frames but the first ones.
    fn end(
        &mut self,
        remaining: usize,
        now: u64,
        unfinished: Option<&'static str>,
        ended: &mut Vec<EndedFrame>,
    ) {
        while self.frames.len() > remaining {
            if let Some((function, start)) = self.frames.pop() {
                ended.push(EndedFrame {
                    function,
                    interval: Interval { start, end: now },
                    unfinished,
                });
            }
        }
    }

    /// Ends all frames with the last step.
    fn stop(&mut self) -> Vec<EndedFrame> {
        let mut ended = Vec::new();
        if let Some(last) = self.last.as_ref().map(|last| last.time_ns) {
            self.end(0, last, Some("its end is not recorded"), &mut ended);
        }
        self.frames.clear();
        ended
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
            all.extend(frames.advance(&event, &step).iter().map(shown));
        }
        let last = frames.finish();
        all.extend(last.iter().flat_map(|last| &last.frames).map(shown));
        all
    }

    fn shown(frame: &EndedFrame) -> String {
        let Interval { start, end } = frame.interval;
        let why = frame.unfinished.map(|why| format!(", {why}"));
        format!(
            "{} {start}..{end}{}",
            frame.function,
            why.unwrap_or_default()
        )
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
        assert_eq!(
            ended(&left),
            [
                "g 2..3, no return was seen",
                "f 1..4, left without a return"
            ]
        );
        let again = [
            (Enter, 0, "f"),
            (Enter, 1, "g"),
            (Enter, 1, "h"),
            (Cut, 1, "h"),
        ];
        assert_eq!(
            ended(&again),
            [
                "g 2..3, no return was seen",
                "h 3..4, recorded no further",
                "f 1..4, recorded no further",
            ]
        );
        let lost = [(Line, 1, "g"), (Return, 0, "f")];
        assert_eq!(ended(&lost), ["g 1..2, no return was seen", "g 0..2"]);
        let open = [(Enter, 0, "f"), (Enter, 1, "g"), (Line, 1, "g")];
        let end = "its end is not recorded";
        assert_eq!(
            ended(&open),
            [format!("g 2..3, {end}"), format!("f 1..3, {end}")]
        );
    }
}
