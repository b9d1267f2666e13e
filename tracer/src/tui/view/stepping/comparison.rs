//! Two calls beside each other, step by step.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::super::compact::compact_value;
use super::super::super::glyphs::Pen;
use super::super::super::layout::PaneRegions;
use super::super::super::state::UiState;
use super::super::super::state::stepping::SteppedCall;
use super::super::super::state::stepping::regions::listing_top;
use super::super::super::theme::Role;
use crate::event::call::{CallComparison, TracedCall};
use crate::event::{StepKind, grouped};

/// The state of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ComparedRow {
    /// Both calls have the same values on the same line.
    Same,
    /// Values differ.
    Values,
    /// The calls part here, or have parted before.
    Parted,
}

pub(super) fn draw(
    state: &UiState,
    stepped: &SteppedCall<'_>,
    other: &TracedCall,
    buffer: &mut Buffer,
    area: Rect,
) {
    let Some(comparison) = stepped.view.comparison() else {
        return;
    };
    if area.is_empty() {
        return;
    }
    let summary = summary(stepped, comparison);
    let name = format!(
        "call {} and call {}",
        grouped(stepped.call.key().call),
        grouped(other.key().call)
    );
    super::rule(state, buffer, area, &name, &[(summary, Role::Heading)]);
    let inner = PaneRegions::inner(area);
    let top = listing_top(stepped.index, usize::from(inner.height));
    let half = inner.width / 2;
    for row in 0..inner.height {
        let index = top + usize::from(row);
        let kind = kind(comparison, index);
        let is_current = index == stepped.index;
        let is_first = comparison.first() == Some(index);
        for (call, x, width) in [
            (stepped.call, inner.x, half),
            (other, inner.x + half, inner.width - half),
        ] {
            let cell = Rect {
                x,
                width,
                y: inner.y + row,
                height: 1,
            };
            let look = RowLook {
                kind,
                is_current,
                is_first,
                is_left: x == inner.x,
            };
            step(state, call, index, buffer, cell, look);
        }
    }
}

/// The first difference in words.
fn summary(stepped: &SteppedCall<'_>, comparison: &CallComparison) -> String {
    let summary = match (comparison.first(), comparison.parting) {
        (None, _) => "no difference".to_owned(),
        (Some(first), Some(parting)) if first == comparison.common => {
            format!("{} after step {}", parting.text(), grouped(first as u64))
        }
        (Some(first), _) => {
            let step = stepped.call.step(first).map_or(0, |step| step.number());
            format!("values differ first at step {}", grouped(step))
        }
    };
    let missing = match comparison.missing {
        Some(index) => {
            let step = stepped.call.step(index).map_or(0, |step| step.number());
            format!("; steps before step {} are missing", grouped(step))
        }
        None => String::new(),
    };
    format!("{summary}{missing}")
}

#[derive(Clone, Copy)]
struct RowLook {
    kind: ComparedRow,
    is_current: bool,
    is_first: bool,
    is_left: bool,
}

fn kind(comparison: &CallComparison, index: usize) -> ComparedRow {
    match comparison.differing.binary_search(&index) {
        _ if index >= comparison.common && comparison.parting.is_some() => ComparedRow::Parted,
        Ok(_) => ComparedRow::Values,
        Err(_) => ComparedRow::Same,
    }
}

/// One step of one call: number, line, and the values that changed.
fn step(
    state: &UiState,
    call: &TracedCall,
    index: usize,
    buffer: &mut Buffer,
    area: Rect,
    look: RowLook,
) {
    let theme = state.theme;
    let base = match look.is_current {
        true => theme.role(Role::Selected),
        false => Style::new(),
    };
    let style = |role| match look.is_current {
        true => base,
        false => theme.role(role),
    };
    let mut pen = Pen::new(buffer, area, 0);
    let (sign, role) = match (look.kind, look.is_first) {
        (ComparedRow::Same, _) => ("  ", Role::Plain),
        (_, true) => ("» ", Role::Warn),
        (ComparedRow::Values, _) => ("≠ ", Role::Changed),
        (ComparedRow::Parted, _) => ("| ", Role::Warn),
    };
    match look.is_left {
        true => pen.text(if look.is_current { "›" } else { " " }, base),
        false => pen.text("│", style(Role::Dim)),
    };
    pen.text(sign, style(role));
    let Some(step) = call.step(index) else {
        pen.fill(' ', base);
        return;
    };
    let number = grouped(step.number());
    pen.text(&format!("{number:>5} "), style(Role::Dim));
    let depth = call.frame_of(index).map_or(0, |frame| frame.depth.min(8));
    pen.text(&"  ".repeat(depth as usize), base);
    let origin = &step.event.origin;
    pen.text(&format!("{:<4}", origin.line), style(Role::Accent));
    let what = match step.kind() {
        StepKind::Enter => format!(" enter {}", origin.function),
        StepKind::Return => " return".to_owned(),
        StepKind::Left => " left".to_owned(),
        StepKind::Missed => " over".to_owned(),
        StepKind::Line | StepKind::Cut => String::new(),
    };
    pen.text(&what, style(Role::Heading));
    let changes = call.changes(index);
    let values = changes.iter().filter_map(|change| change.now);
    let values = values.map(|value| format!("{}={}", value.expr, compact_value(&value.value)));
    let values = values.collect::<Vec<_>>().join(", ");
    let role = match look.kind {
        ComparedRow::Values => Role::Changed,
        _ => Role::Value,
    };
    pen.text(" ", base);
    let room = pen.room();
    pen.fitted(&values, room, style(role)).fill(' ', base);
}
