//! Two numbers of each event against each other.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::Marker;

use super::super::super::glyphs::Pen;
use super::super::super::state::UiState;
use super::super::super::state::results::Pair;
use super::super::super::state::series::ProbeSeries;
use super::super::super::state::series::scale::{Scale, short_number};
use super::super::super::theme::Role;
use super::axes::{Axes, Curve, DrawnPoint, draw_curves, ticks_of_rows};
use crate::event::counted;
use crate::session::ProbeStatus;

/// Columns for each label of the axis below.
const LABEL_COLUMNS: u16 = 14;

/// One event's pair.
struct PairSpot {
    x: f64,
    y: f64,
    is_after_gap: bool,
}

pub(super) fn draw(state: &UiState, probe: &ProbeStatus, buffer: &mut Buffer, area: Rect) {
    let series = state.results.series.get(&probe.id);
    let found = series.and_then(|series| Some((series, state.results.pair_of(series)?)));
    let Some((series, pair)) = found else {
        return super::instead(state, buffer, area, &super::none_yet(probe));
    };
    let spots = spots(series, pair);
    heading(state, series, pair, &spots, buffer, area);
    let rest = Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(1),
        ..area
    };
    let scale = |of: fn(&PairSpot) -> f64, unit, ticks| {
        let ends = spots
            .iter()
            .map(of)
            .fold((f64::MAX, f64::MIN), |(min, max), number| {
                (min.min(number), max.max(number))
            });
        (ends.0 <= ends.1).then(|| Scale::new(ends.0, ends.1, unit, ticks))
    };
    let unit = |index: usize| series.channels.get(index).map(|channel| channel.unit);
    let (Some(x_unit), Some(y_unit)) = (unit(pair.x), unit(pair.y)) else {
        return;
    };
    let x_ticks = usize::from(rest.width / LABEL_COLUMNS).clamp(1, 8);
    let (Some(x), Some(y)) = (
        scale(|spot| spot.x, x_unit, x_ticks),
        scale(|spot| spot.y, y_unit, ticks_of_rows(rest.height)),
    ) else {
        return super::instead(state, buffer, rest, "no event has both numbers yet");
    };
    let (mut below, base) = x.ticks();
    if let (Some(first), Some(base)) = (below.first_mut(), base) {
        first.label = base;
    }
    let axes = Axes {
        y: &y,
        x: below,
        marks: Vec::new(),
    };
    let canvas = axes.draw(state, buffer, rest);
    let place = |spot: &PairSpot| DrawnPoint {
        x: x.position(spot.x),
        y: y.position(spot.y),
    };
    draw_curves(buffer, canvas, &curves(state, &spots, pair, place));
}

/// The events that have both numbers, oldest first.
fn spots(series: &ProbeSeries, pair: Pair) -> Vec<PairSpot> {
    let mut is_after_gap = false;
    let mut spots = Vec::new();
    for row in &series.rows {
        is_after_gap |= row.is_after_gap;
        let number = |index: usize| {
            row.numbers
                .get(index)
                .copied()
                .filter(|one| one.is_finite())
        };
        match (number(pair.x), number(pair.y)) {
            (Some(x), Some(y)) => {
                spots.push(PairSpot { x, y, is_after_gap });
                is_after_gap = false;
            }
            _ => is_after_gap = true,
        }
    }
    spots
}

/// All points, as a path or not, and the last one.
fn curves(
    state: &UiState,
    spots: &[PairSpot],
    pair: Pair,
    place: impl Fn(&PairSpot) -> DrawnPoint,
) -> [Curve; 2] {
    let curve = |marker, role| Curve {
        marker,
        colour: super::colour(state, role),
        lines: Vec::new(),
        points: Vec::new(),
    };
    let mut last = curve(Marker::Custom('●'), Role::Changed);
    last.points.extend(spots.last().map(&place));
    let mut all = curve(Marker::Braille, Role::Accent);
    all.points = spots.iter().map(&place).collect();
    if pair.is_path {
        all.lines = spots
            .windows(2)
            .filter_map(|two| match two {
                [from, to] if !to.is_after_gap => Some([place(from), place(to)]),
                _ => None,
            })
            .collect();
    }
    [all, last]
}

fn heading(
    state: &UiState,
    series: &ProbeSeries,
    pair: Pair,
    spots: &[PairSpot],
    buffer: &mut Buffer,
    area: Rect,
) {
    let theme = state.theme;
    let (dim, name, value) = (
        theme.role(Role::Dim),
        theme.role(Role::Heading),
        theme.role(Role::Value),
    );
    let channel = |index: usize| series.channels.get(index);
    let (Some(x), Some(y)) = (channel(pair.x), channel(pair.y)) else {
        return;
    };
    let mut pen = Pen::new(buffer, area, 0);
    let share = usize::from(area.width) / 3;
    let last = spots.last();
    for (sign, channel, number) in [
        (" → ", x, last.map(|spot| spot.x)),
        ("  ↑ ", y, last.map(|spot| spot.y)),
    ] {
        pen.text(sign, dim).fitted(&channel.name, share, name);
        if let Some(number) = number {
            let text = format!(" {}", short_number(number, channel.unit));
            pen.text(&text, value);
        }
    }
    let joined = if pair.is_path { "joined, " } else { "" };
    let text = format!(
        "● the last of {}, {joined}upwards is more",
        counted(spots.len(), "event")
    );
    let room = pen.room().saturating_sub(3);
    if room > 16 {
        pen.text("  ", Style::new()).fitted(&text, room, dim);
    }
}
