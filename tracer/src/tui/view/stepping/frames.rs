//! The tree of calls: the frames, in the order in which they began.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::super::glyphs::Pen;
use super::super::super::layout::PaneRegions;
use super::super::super::state::UiState;
use super::super::super::state::stepping::SteppedCall;
use super::super::super::theme::Role;
use crate::event::call::{CallFrame, FrameEnd};
use crate::event::{counted, grouped};
use crate::value::Value;

/// Levels that are shown by indentation.
const LEVELS: u32 = 12;

pub(super) fn draw(state: &UiState, stepped: &SteppedCall<'_>, buffer: &mut Buffer, area: Rect) {
    if area.is_empty() {
        return;
    }
    let inner = PaneRegions::inner(area);
    let frames = stepped.call.frames();
    let count = format!(
        "{} of {}",
        stepped.view.frames.cursor + 1,
        grouped(frames.len() as u64)
    );
    super::rule(state, buffer, area, "Calls", &[(count, Role::Dim)]);
    for at in 0..inner.height {
        let index = stepped.view.frames.top + usize::from(at);
        let Some(frame) = frames.get(index) else {
            break;
        };
        let mut pen = Pen::new(buffer, inner, at);
        row(state, stepped, &mut pen, frame, index);
    }
}

fn row(
    state: &UiState,
    stepped: &SteppedCall<'_>,
    pen: &mut Pen<'_>,
    frame: &CallFrame,
    index: usize,
) {
    let theme = state.theme;
    let is_current = index == stepped.view.frames.cursor;
    let is_around = is_around(stepped, index);
    let base = match is_current {
        true => theme.role(Role::SelectedElsewhere),
        false => Style::new(),
    };
    let style = |role| match is_current {
        true => base,
        false => theme.role(role),
    };
    let sign = match (is_current, is_around) {
        (true, _) => "▶",
        (false, true) => "│",
        (false, false) => " ",
    };
    pen.text(sign, style(Role::Accent));
    let level = frame.depth.min(LEVELS);
    pen.text(&"  ".repeat(level as usize), base);
    let (end, role) = match (frame.end, stepped.call.duration_ns(frame)) {
        (_, Some(ns)) => (format!(" {}", Value::Nanoseconds(ns)), Role::Dim),
        (FrameEnd::Returned, None) => (String::new(), Role::Dim),
        (FrameEnd::Open, None) if state.recording.is_some() => (String::new(), Role::Dim),
        (FrameEnd::Open, None) => (" …".to_owned(), Role::Dim),
        (FrameEnd::Cut, None) => (" ■".to_owned(), Role::Dim),
        (FrameEnd::Left, None) => (" ✗ no return".to_owned(), Role::Warn),
        (FrameEnd::Unknown, None) => (" ? end not recorded".to_owned(), Role::Warn),
    };
    let steps = format!(" {}", counted(frame.steps.len(), "step"));
    let role_of_name = match is_around || is_current {
        true => Role::Heading,
        false => Role::Plain,
    };
    let room = pen.room().saturating_sub(end.len().min(12));
    // The end of a path says most.
    pen.fitted_tail(stepped.call.name_of(frame), room, style(role_of_name));
    let room = pen.room();
    pen.fitted(&end, room, style(role));
    let room = pen.room();
    pen.fitted(&steps, room, style(Role::Dim)).fill(' ', base);
}

/// A frame is the current one, or one that has called it.
fn is_around(stepped: &SteppedCall<'_>, index: usize) -> bool {
    let frames = stepped.call.frames();
    let mut frame = Some(stepped.view.frames.cursor);
    while let Some(at) = frame {
        if at == index {
            return true;
        }
        // A parent began before its calls.
        frame = frames
            .get(at)
            .and_then(|one| one.parent)
            .filter(|parent| *parent < at);
    }
    false
}
