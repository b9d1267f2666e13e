//! The values of a step, with their changes.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::super::super::glyphs::{self, Pen};
use super::super::super::layout::PaneRegions;
use super::super::super::state::UiState;
use super::super::super::state::changes::changed;
use super::super::super::state::stepping::rows::{RowChange, VariableRow, rows};
use super::super::super::state::stepping::{StepView, SteppedCall};
use super::super::super::theme::Role;
use crate::event::StepKind;
use crate::event::call::CallComparison;

pub(super) fn draw(state: &UiState, stepped: &SteppedCall<'_>, buffer: &mut Buffer, area: Rect) {
    if area.is_empty() {
        return;
    }
    let inner = PaneRegions::inner(area);
    let rows = rows(stepped.call, stepped.index);
    rule(state, stepped, buffer, area);
    if rows.is_empty() {
        let kind = stepped.call.step(stepped.index).map(|step| step.kind());
        let text = match kind {
            Some(kind) if kind.is_of_next_call() => "the call is over; its values are not known",
            Some(StepKind::Return) => "nothing is returned",
            _ => "no values here",
        };
        let mut pen = Pen::new(buffer, inner, 0);
        let room = pen.text("  ", Style::new()).room();
        pen.fitted(text, room, state.theme.role(Role::Dim));
        return;
    }
    let widest = rows.iter().map(|row| glyphs::width(&row.name, 40)).max();
    let names = widest.unwrap_or(0).min(usize::from(inner.width) / 3);
    let list = stepped.view.variables;
    for at in 0..inner.height {
        let index = list.top + usize::from(at);
        let Some(row) = rows.get(index) else {
            break;
        };
        let pen = Pen::new(buffer, inner, at);
        row_at(state, stepped, pen, row, names, index == list.cursor);
    }
}

/// The rule: the views, and the steps that are missing before this one.
pub(super) fn rule(state: &UiState, stepped: &SteppedCall<'_>, buffer: &mut Buffer, area: Rect) {
    let views = StepView::ALL.map(|view| match view == stepped.view.view {
        true => format!("[{}]", view.name()),
        false => view.name().to_owned(),
    });
    let mut parts = Vec::new();
    let gap = stepped.call.gap_before(stepped.index);
    if !gap.is_none() {
        parts.push((format!("⋯ {}", gap.short()), Role::Warn));
    }
    super::rule(state, buffer, area, &views.join(" "), &parts);
}

fn row_at(
    state: &UiState,
    stepped: &SteppedCall<'_>,
    mut pen: Pen<'_>,
    row: &VariableRow,
    names: usize,
    is_selected: bool,
) {
    let theme = state.theme;
    let base = match is_selected {
        true => theme.role(Role::Selected),
        false => Style::new(),
    };
    // On the selected row the colours are those of the row.
    let style = |role| match is_selected {
        true => base,
        false => theme.role(role),
    };
    let (sign, role) = match &row.change {
        RowChange::Same => ("  ", Role::Plain),
        RowChange::New => ("+ ", Role::Changed),
        RowChange::Changed(_) => ("≠ ", Role::Changed),
        RowChange::Gone => ("- ", Role::Dim),
        RowChange::Returned => ("↵ ", Role::Good),
    };
    pen.text(if is_selected { "›" } else { " " }, base)
        .text(sign, style(role));
    let start = pen.x();
    let name_role = match row.change {
        RowChange::Gone => Role::Dim,
        _ => Role::Accent,
    };
    pen.fitted(&row.name, names, style(name_role))
        .blank_to(start + names as u16, base)
        .text("  ", base);
    if let Some(other) = other_value(state, stepped, row) {
        let room = pen.room() / 2;
        pen.fitted(&row.text, room.saturating_sub(3), style(Role::Value))
            .text(" ≠ ", style(Role::Warn));
        let room = pen.room();
        pen.fitted(&other, room, style(Role::Changed))
            .fill(' ', base);
        return;
    }
    value(state, &mut pen, row, base, is_selected);
    pen.fill(' ', base);
}

/// The value of a row, with the one before it.
fn value(state: &UiState, pen: &mut Pen<'_>, row: &VariableRow, base: Style, is_selected: bool) {
    let theme = state.theme;
    let style = |role| match is_selected {
        true => base,
        false => theme.role(role),
    };
    let strong = match is_selected {
        true => base.add_modifier(Modifier::BOLD),
        false => theme.role(Role::Changed),
    };
    match &row.change {
        RowChange::Changed(before) => {
            let room = pen.room() * 2 / 5;
            pen.fitted(before, room, style(Role::Dim))
                .text(" → ", style(Role::Dim));
            let marks = changed(before, &row.text);
            let room = pen.room();
            pen.fitted_painted(&row.text, room, |at| {
                match marks.is_empty() || marks.iter().any(|mark| mark.contains(&at)) {
                    true => strong,
                    false => style(Role::Plain),
                }
            });
        }
        RowChange::Gone => {
            let text = format!("{}  not in scope any more", row.text);
            let room = pen.room();
            pen.fitted(&text, room, style(Role::Dim));
        }
        change => {
            let role = match (row.is_unavailable, change) {
                (true, _) => Role::Warn,
                (_, RowChange::Same) => Role::Plain,
                _ => Role::Changed,
            };
            let room = pen.room();
            pen.fitted(&row.text, room, style(role));
            if pen.room() > 8 && !row.ty.is_empty() {
                let room = pen.room() - 2;
                pen.text("  ", base).fitted(&row.ty, room, style(Role::Dim));
            }
        }
    }
}

/// The value in the call beside this one, if it differs and the calls have gone the same way.
fn other_value(state: &UiState, stepped: &SteppedCall<'_>, row: &VariableRow) -> Option<String> {
    let comparison = stepped.view.comparison()?;
    if stepped.index >= comparison.common || row.change == RowChange::Returned {
        return None;
    }
    let other = state.calls.get(stepped.view.other?)?;
    let differences = CallComparison::differences(stepped.call, other, stepped.index);
    let difference = differences.iter().find(|one| one.name() == row.name)?;
    Some(difference.now.map_or_else(
        || "not in scope".to_owned(),
        |value| super::super::super::compact::compact_value(&value.value),
    ))
}
