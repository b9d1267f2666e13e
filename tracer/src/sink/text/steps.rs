//! Steps of traced calls as an indented listing.
//!
//! Each line has what it needs to be read alone, because calls of several threads come mixed: the thread, the call
//! and the place. A step shows the values that are others than at the step before of its frame.

use std::collections::HashMap;

use crate::event::call::{CallKey, OpenFrames, StepGap, changes};
use crate::event::{Event, NamedValue, StepEvent, StepKind};
use crate::value::Value;

/// Calls that are followed at the same time. Beyond that, the one without a step for longest begins anew.
const CALLS: usize = 1 << 10;
/// Functions of one frame, inlined ones among them, whose last values are kept.
const FUNCTIONS: usize = 16;
/// Levels that are shown by indentation.
const LEVELS: usize = 40;

/// A line of the listing, without time and thread.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ListedLine {
    /// The line is a step. Others tell something about the call.
    pub(super) is_step: bool,
    /// Spaces before the text.
    pub(super) indent: usize,
    /// The text, which may hold any character.
    pub(super) text: String,
}

/// The calls whose steps come.
#[derive(Default)]
pub(super) struct StepListing {
    calls: HashMap<CallKey, ListedCall>,
    /// Steps so far.
    steps: u64,
}

/// A call as far as it was listed.
#[derive(Default)]
struct ListedCall {
    /// Number of its last step.
    number: u64,
    frames: OpenFrames<ListedFrame>,
    /// Number of the step of the listing that was its last.
    touched: u64,
}

/// A frame as far as it was listed.
struct ListedFrame {
    function: String,
    level: usize,
    /// Time of its first line. `None` if that was not seen.
    entered_ns: Option<u64>,
    /// The last values of each function: inlined bodies have their own.
    last: Vec<LastValues>,
}

struct LastValues {
    function: String,
    values: Vec<NamedValue>,
}

impl StepListing {
    /// The lines of a step. Steps that come again have none.
    pub(super) fn lines(&mut self, event: &Event, step: &StepEvent) -> Vec<ListedLine> {
        let Some(key) = CallKey::of(event) else {
            return Vec::new();
        };
        self.steps += 1;
        let mut lines = Vec::new();
        let is_new = !self.calls.contains_key(&key);
        if is_new {
            self.make_room();
            lines.push(head(event, step));
        }
        let call = self.calls.entry(key).or_default();
        if step.number <= call.number {
            return lines;
        }
        let level = (step.depth as usize).min(LEVELS);
        let gap = StepGap::between(call.number, step);
        if !gap.is_none() {
            lines.push(ListedLine {
                is_step: false,
                indent: indent(level),
                text: format!("… {}", gap.text()),
            });
        }
        (call.number, call.touched) = (step.number, self.steps);
        for frame in call.frames.leave(step) {
            lines.push(ListedLine {
                is_step: false,
                indent: indent(frame.level),
                text: match step.kind {
                    StepKind::Left => format!("left {} without a return", frame.function),
                    StepKind::Missed => format!("the end of {} was missed", frame.function),
                    _ => format!("no return of {} was seen", frame.function),
                },
            });
        }
        if !step.kind.is_of_next_call() {
            lines.push(ListedLine {
                is_step: true,
                indent: indent(level),
                text: call.step(event, step, level),
            });
        }
        if step.kind == StepKind::Cut {
            lines.push(ListedLine {
                is_step: false,
                indent: indent(0),
                text: "recorded no further: the probe was switched off, or the call has too many steps"
                    .to_owned(),
            });
        }
        if step.kind.is_last(step.depth) {
            self.calls.remove(&key);
        }
        lines
    }

    /// Calls that are followed.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Forgets the call that had its last step longest ago, if there are too many.
    fn make_room(&mut self) {
        if self.calls.len() < CALLS {
            return;
        }
        let oldest = self.calls.iter().min_by_key(|(_, call)| call.touched);
        if let Some(key) = oldest.map(|(key, _)| *key) {
            self.calls.remove(&key);
        }
    }
}

const fn indent(level: usize) -> usize {
    2 * level + 2
}

/// The line before the first step of a call.
fn head(event: &Event, step: &StepEvent) -> ListedLine {
    let function = match step.depth {
        0 => format!(" of {}", event.origin.frame_function()),
        _ => String::new(),
    };
    ListedLine {
        is_step: false,
        indent: 0,
        text: format!("call {}{function}", step.call),
    }
}

impl ListedCall {
    /// The text of a step. Keeps its values for the next one of its frame.
    fn step(&mut self, event: &Event, step: &StepEvent, level: usize) -> String {
        let function = &event.origin.function;
        let is_first = self.frames.of(step).is_none();
        if is_first {
            let frame = ListedFrame {
                function: event.origin.frame_function().to_owned(),
                level,
                entered_ns: (step.kind == StepKind::Enter).then_some(event.time_ns),
                last: Vec::new(),
            };
            self.frames.push(step, frame);
        }
        if step.kind == StepKind::Return {
            return self.returned(event);
        }
        let Some(frame) = self.frames.innermost_mut() else {
            return String::new();
        };
        let of_function = |last: &LastValues| last.function == *function;
        let last = frame.last.iter().position(of_function);
        let before = last.and_then(|at| frame.last.get(at));
        let before = before.map_or(&[][..], |last| &last.values);
        let changed = changes(before, &event.values);
        let values = changed.iter().filter_map(|one| one.now).map(shown);
        let values = values.collect::<Vec<_>>().join(", ");
        let is_inlined = *function != frame.function;
        let title = match (step.kind, is_first) {
            (StepKind::Enter, _) if is_inlined => {
                format!("enter {}, in {function}", frame.function)
            }
            (StepKind::Enter, _) => format!("enter {function}"),
            (_, true) => format!("in {function}"),
            (_, false) if is_inlined => format!("in {function}"),
            _ => String::new(),
        };
        let values_now = event.values.clone();
        match last {
            Some(at) => {
                if let Some(last) = frame.last.get_mut(at) {
                    last.values = values_now;
                }
            }
            None if frame.last.len() < FUNCTIONS => frame.last.push(LastValues {
                function: function.clone(),
                values: values_now,
            }),
            None => {}
        }
        match (title.is_empty(), values.is_empty()) {
            (true, _) => values,
            (false, true) => title,
            (false, false) => format!("{title}: {values}"),
        }
    }

    /// The text of a return, after which its frame is closed.
    fn returned(&mut self, event: &Event) -> String {
        let frame = self.frames.close();
        let function = frame
            .as_ref()
            .map_or(&event.origin.function, |frame| &frame.function);
        let values: Vec<String> = event.values.iter().map(shown).collect();
        let values = match values.is_empty() {
            true => String::new(),
            false => format!(": {}", values.join(", ")),
        };
        let entered_ns = frame.as_ref().and_then(|frame| frame.entered_ns);
        let time = entered_ns.map_or_else(String::new, |entered_ns| {
            let ns = event.time_ns.saturating_sub(entered_ns);
            format!(" after {}", Value::Nanoseconds(ns))
        });
        format!("return {function}{values}{time}")
    }
}

/// `name = value`.
fn shown(value: &NamedValue) -> String {
    format!("{} = {}", value.expr, value.value)
}
