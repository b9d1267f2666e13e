//! Hits a second over time.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::Marker;

use super::super::super::glyphs::Pen;
use super::super::super::state::UiState;
use super::super::super::state::series::NumberUnit;
use super::super::super::state::series::scale::{Scale, Tick, short_number};
use super::super::super::theme::Role;
use super::axes::{Axes, Curve, DrawnPoint, draw_curves, ticks_of_rows};
use crate::session::ProbeStatus;

/// The time that is shown, in seconds.
const SECONDS: f64 = 60.0;

pub(super) fn draw(state: &UiState, probe: &ProbeStatus, buffer: &mut Buffer, area: Rect) {
    let theme = state.theme;
    let trail = state.trails.get(&probe.id);
    let ages: Vec<DrawnPoint> = trail
        .into_iter()
        .flat_map(|trail| &trail.samples)
        .map(|sample| DrawnPoint {
            x: 1.0 - state.now.saturating_duration_since(sample.at).as_secs_f64() / SECONDS,
            y: sample.rate,
        })
        .filter(|point| point.x >= 0.0)
        .collect();
    let (Some(trail), Some(last)) = (trail, ages.last()) else {
        return super::instead(state, buffer, area, "the rate is known in a second");
    };
    let max = ages.iter().map(|point| point.y).fold(0.0, f64::max);
    let mut pen = Pen::new(buffer, area, 0);
    pen.text(" ⠒⠒ ", theme.role(Role::Good))
        .text("hits a second ", theme.role(Role::Heading))
        .text(&rate_text(trail.rate), theme.role(Role::Value));
    let room = pen.room().saturating_sub(1);
    let text = format!("  at most {} in the last {SECONDS} s", rate_text(max));
    pen.fitted(&text, room, theme.role(Role::Dim))
        .fill(' ', Style::new());
    let rest = Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(1),
        ..area
    };
    let scale = Scale::from_zero(max, NumberUnit::Plain, ticks_of_rows(rest.height));
    let label = |position: f64| Tick {
        position,
        label: match SECONDS * (1.0 - position) {
            age if age < 1.0 => "now".to_owned(),
            age => format!("-{age:.0} s"),
        },
    };
    let axes = Axes {
        y: &scale,
        x: [0.0, 0.25, 0.5, 0.75, 1.0].map(label).to_vec(),
        marks: Vec::new(),
    };
    let canvas = axes.draw(state, buffer, rest);
    let place = |point: &DrawnPoint| DrawnPoint {
        x: point.x,
        y: scale.position(point.y),
    };
    let curve = Curve {
        marker: Marker::Braille,
        colour: super::colour(state, Role::Good),
        lines: ages
            .windows(2)
            .filter_map(|two| match two {
                [from, to] => Some([place(from), place(to)]),
                _ => None,
            })
            .collect(),
        points: vec![place(last)],
    };
    draw_curves(buffer, canvas, &[curve]);
}

fn rate_text(rate: f64) -> String {
    match rate {
        rate if rate < 10.0 => format!("{rate:.1}"),
        rate => short_number(rate.round(), NumberUnit::Plain),
    }
}
