//! A variable over the steps of a frame, as a plot and as a table.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::super::glyphs::{self, Pen};
use super::super::super::layout::PaneRegions;
use super::super::super::state::UiState;
use super::super::super::state::series::NumberUnit;
use super::super::super::state::series::scale::{Scale, Tick, short_number};
use super::super::super::state::stepping::SteppedCall;
use super::super::super::state::stepping::rows::{NumberCurve, curves, history};
use super::super::super::theme::Role;
use super::super::results::axes::{Axes, Curve, DrawnPoint, draw_curves, ticks_of_rows};
use super::super::results::colour;
use super::super::results::plot::{CurveStyle, STYLES};
use crate::event::grouped;

/// The selected variable, and its frame.
struct SelectedVariable<'s> {
    name: &'s str,
    frame: usize,
}

fn shown<'s>(stepped: &SteppedCall<'s>) -> Option<SelectedVariable<'s>> {
    Some(SelectedVariable {
        name: stepped.view.variable.as_deref()?,
        frame: stepped.call.step(stepped.index)?.frame,
    })
}

fn instead(state: &UiState, buffer: &mut Buffer, area: Rect, text: &str) {
    let mut pen = Pen::new(buffer, area, 0);
    let room = pen.text("  ", Style::new()).room();
    pen.fitted(text, room, state.theme.role(Role::Dim));
}

pub(super) fn plot(state: &UiState, stepped: &SteppedCall<'_>, buffer: &mut Buffer, area: Rect) {
    if area.is_empty() {
        return;
    }
    super::variables::rule(state, stepped, buffer, area);
    let inner = PaneRegions::inner(area);
    let Some(SelectedVariable { name, frame }) = shown(stepped) else {
        return instead(state, buffer, inner, "no variable is selected");
    };
    let curves = curves(stepped.call, frame, name);
    let numbers = curves.iter().flat_map(|curve| &curve.points);
    let ends = numbers.fold((f64::MAX, f64::MIN), |(min, max), (_, number)| {
        (min.min(*number), max.max(*number))
    });
    if ends.0 > ends.1 {
        let text = format!("`{name}` has no number in this frame; the table shows its values");
        return instead(state, buffer, inner, &text);
    }
    legend(state, stepped, &curves, buffer, inner);
    let rest = PaneRegions::inner(inner);
    let number_of = |index: usize| stepped.call.step(index).map_or(0, |step| step.number());
    let steps = stepped.call.frames().get(frame);
    let (first, last) = steps.map_or((0, 0), |frame| {
        (number_of(frame.first()), number_of(frame.last()))
    });
    let position = |number: u64| {
        number.saturating_sub(first) as f64 / last.saturating_sub(first).max(1) as f64
    };
    let scale = Scale::new(
        ends.0,
        ends.1,
        NumberUnit::Plain,
        ticks_of_rows(rest.height),
    );
    let tick = |number: u64| Tick {
        position: position(number),
        label: grouped(number),
    };
    let here = number_of(stepped.index);
    let mut ticks = vec![tick(first), tick(here), tick(last)];
    ticks.dedup_by_key(|tick| tick.label.clone());
    let lost = steps.map_or(&[][..], |frame| &frame.steps).iter();
    let lost = lost.filter(|index| stepped.call.gap_before(**index).hides_steps());
    let axes = Axes {
        y: &scale,
        x: ticks,
        marks: lost.map(|index| position(number_of(*index))).collect(),
    };
    let canvas = axes.draw(state, buffer, rest);
    let drawn = curves.iter().zip(&STYLES).map(|(curve, style)| {
        let points = curve.points.iter().map(|(step, number)| DrawnPoint {
            x: position(number_of(*step)),
            y: scale.position(*number),
        });
        joined(state, style, points.collect())
    });
    draw_curves(buffer, canvas, &drawn.collect::<Vec<_>>());
}

/// A curve through points.
fn joined(state: &UiState, style: &CurveStyle, points: Vec<DrawnPoint>) -> Curve {
    Curve {
        marker: style.marker,
        colour: colour(state, style.role),
        lines: points.windows(2).map(|pair| [pair[0], pair[1]]).collect(),
        points,
    }
}

/// The names of the curves, with their values at the step.
fn legend(
    state: &UiState,
    stepped: &SteppedCall<'_>,
    curves: &[NumberCurve],
    buffer: &mut Buffer,
    area: Rect,
) {
    let theme = state.theme;
    let mut pen = Pen::new(buffer, area, 0);
    for (curve, style) in curves.iter().zip(&STYLES) {
        let at = curve
            .points
            .partition_point(|(step, _)| *step <= stepped.index);
        let value = at.checked_sub(1).and_then(|at| curve.points.get(at));
        let value = value.map_or_else(String::new, |(_, number)| {
            short_number(*number, NumberUnit::Plain)
        });
        pen.text(" ", Style::new())
            .text(style.sign, theme.role(style.role))
            .text(" ", Style::new());
        let room = pen.room().saturating_sub(1) / 2;
        pen.fitted(&curve.name, room, theme.role(Role::Heading))
            .text(" ", Style::new())
            .text(&value, theme.role(Role::Value))
            .text(" ", Style::new());
    }
}

pub(super) fn table(state: &UiState, stepped: &SteppedCall<'_>, buffer: &mut Buffer, area: Rect) {
    if area.is_empty() {
        return;
    }
    super::variables::rule(state, stepped, buffer, area);
    let inner = PaneRegions::inner(area);
    let Some(SelectedVariable { name, frame }) = shown(stepped) else {
        return instead(state, buffer, inner, "no variable is selected");
    };
    let theme = state.theme;
    let rows = history(stepped.call, frame, name);
    let head = format!("  {:<17} {:>6}  {name}", "steps", "line");
    let mut pen = Pen::new(buffer, inner, 0);
    let room = pen.room();
    pen.fitted(&head, room, theme.role(Role::Heading));
    let list = PaneRegions::inner(inner);
    let current = rows
        .iter()
        .rposition(|row| row.steps.0 <= stepped.index)
        .unwrap_or(0);
    let height = usize::from(list.height).max(1);
    let top = current
        .saturating_sub(height / 2)
        .min(rows.len().saturating_sub(height));
    for at in 0..list.height {
        let index = top + usize::from(at);
        let Some(row) = rows.get(index) else {
            break;
        };
        let base = match index == current {
            true => theme.role(Role::Selected),
            false => Style::new(),
        };
        let style = |role| match index == current {
            true => base,
            false => theme.role(role),
        };
        let (first, last) = (
            stepped.call.step(row.steps.0),
            stepped.call.step(row.steps.1),
        );
        let number = |step: Option<&crate::event::call::TracedStep>| {
            grouped(step.map_or(0, |step| step.number()))
        };
        let steps = match row.steps.0 == row.steps.1 {
            true => number(first),
            false => format!("{} to {}", number(first), number(last)),
        };
        let line = first.map_or(0, |step| step.event.origin.line);
        let mut pen = Pen::new(buffer, list, at);
        pen.text(if index == current { "› " } else { "  " }, base)
            .text(&format!("{steps:<17} "), style(Role::Dim))
            .text(&format!("{line:>6}  "), style(Role::Accent));
        let (text, role) = match &row.text {
            Some(text) => (text.as_str(), Role::Plain),
            None => ("not in scope", Role::Dim),
        };
        let room = glyphs::width(text, pen.room());
        pen.fitted(text, room, style(role)).fill(' ', base);
    }
}
