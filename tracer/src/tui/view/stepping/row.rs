//! A step in the list of events: indented by its depth, with the values that changed.

use ratatui::style::Style;

use super::super::super::compact::compact_value;
use super::super::super::glyphs::{Pen, short_count};
use super::super::super::state::UiState;
use super::super::super::theme::Role;
use crate::event::call::CallKey;
use crate::event::{Event, NamedValue, StepKind};

/// Levels that are shown by indentation.
const LEVELS: u32 = 12;

/// Draws the rest of a row. Returns false if the event is not a step, or its call is not kept.
pub(in crate::tui::view) fn draw(
    state: &UiState,
    event: &Event,
    pen: &mut Pen<'_>,
    base: Style,
) -> bool {
    let (Some(step), Some(key)) = (&event.step, CallKey::of(event)) else {
        return false;
    };
    let Some(call) = state.calls.get(key) else {
        return false;
    };
    let index = call.index_of(step.number);
    let known = call.step(index);
    if known.is_none_or(|known| known.number() != step.number) {
        return false;
    }
    let style = |role| state.theme.role(role).patch(base);
    pen.text(&format!("#{} ", step.call), style(Role::Dim));
    let gap = call.gap_before(index);
    if !gap.is_none() {
        let missing = gap.missing();
        let role = match gap.hides_steps() {
            true => Role::Warn,
            false => Role::Dim,
        };
        pen.text(&format!("⋯{} ", short_count(missing)), style(role));
    }
    pen.text(
        &"│ ".repeat(step.depth.min(LEVELS) as usize),
        style(Role::Dim),
    );
    let title = match step.kind {
        StepKind::Enter => format!("→ {} ", event.origin.function),
        StepKind::Return => format!("← {} ", event.origin.function),
        StepKind::Left => "✗ left without a return".to_owned(),
        StepKind::Missed => "? over, its end was missed".to_owned(),
        StepKind::Line => String::new(),
        StepKind::Cut => "■ recorded no further ".to_owned(),
    };
    pen.text(&title, style(Role::Heading));
    let changes = call.changes(index);
    let one = |value: &NamedValue| format!("{}={}", value.expr, compact_value(&value.value));
    let values: Vec<String> = changes.iter().filter_map(|one| one.now).map(one).collect();
    let role = match step.kind {
        StepKind::Line => Role::Changed,
        _ => Role::Plain,
    };
    let room = pen.room();
    pen.fitted(&values.join(", "), room, style(role));
    pen.fill(' ', base);
    true
}
