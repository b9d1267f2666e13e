//! Numbers over time.

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::Marker;

use super::super::super::compact::compact_value;
use super::super::super::glyphs::{self, Pen, short_count};
use super::super::super::state::UiState;
use super::super::super::state::results::window_ns;
use super::super::super::state::series::scale::{Scale, Tick, short_number};
use super::super::super::state::series::steps::STEPS;
use super::super::super::state::series::{Channel, NumberUnit, ProbeSeries, value_of};
use super::super::super::theme::Role;
use super::axes::{Axes, Curve, DrawnPoint, draw_curves, ticks_of_rows};
use crate::session::ProbeStatus;

/// The shortest time that is shown.
const SHORTEST_NS: u64 = 1_000_000_000;

/// How a series is drawn, so that it is known without colours.
pub(in crate::tui::view) struct CurveStyle {
    pub(in crate::tui::view) sign: &'static str,
    pub(in crate::tui::view) marker: Marker,
    pub(in crate::tui::view) role: Role,
}

/// One for the selected number, and one for each that it is compared with.
pub(in crate::tui::view) const STYLES: [CurveStyle; 6] = [
    CurveStyle {
        sign: "⠒⠒",
        marker: Marker::Braille,
        role: Role::Accent,
    },
    CurveStyle {
        sign: "xx",
        marker: Marker::Custom('x'),
        role: Role::Warn,
    },
    CurveStyle {
        sign: "++",
        marker: Marker::Custom('+'),
        role: Role::Good,
    },
    CurveStyle {
        sign: "oo",
        marker: Marker::Custom('o'),
        role: Role::Bad,
    },
    CurveStyle {
        sign: "**",
        marker: Marker::Custom('*'),
        role: Role::Heading,
    },
    CurveStyle {
        sign: "##",
        marker: Marker::Custom('#'),
        role: Role::Dim,
    },
];

/// A number with its probe.
struct Plotted<'a> {
    name: String,
    series: &'a ProbeSeries,
    channel: &'a Channel,
}

/// The time that is shown.
struct Span {
    level: usize,
    from_ns: u64,
    to_ns: u64,
}

impl Span {
    fn position(&self, time_ns: u64) -> f64 {
        let whole = self.to_ns.saturating_sub(self.from_ns).max(1) as f64;
        time_ns.saturating_sub(self.from_ns) as f64 / whole
    }
}

pub(super) fn draw(state: &UiState, probe: &ProbeStatus, buffer: &mut Buffer, area: Rect) {
    let plotted = plotted(state, probe);
    let Some(first) = plotted.first() else {
        return super::instead(state, buffer, area, &super::none_yet(probe));
    };
    let level = state.results.level_of(first.series);
    let now = plotted
        .iter()
        .map(|one| state.plot_time_ns(one.series))
        .max();
    let to_ns = now.unwrap_or(0);
    let span = Span {
        level,
        from_ns: start_ns(state, &plotted, level, to_ns),
        to_ns,
    };
    let heads = match plotted.len() as u16 {
        rows if rows <= area.height / 4 => rows,
        _ => 1,
    };
    legend(
        state,
        &plotted,
        &span,
        buffer,
        Rect {
            height: heads,
            ..area
        },
    );
    let rest = Rect {
        y: area.y + heads,
        height: area.height.saturating_sub(heads),
        ..area
    };
    let scales: Vec<Option<Scale>> = scales(&plotted, &span, ticks_of_rows(rest.height));
    let Some(scale) = scales.first().copied().flatten() else {
        let text = format!(
            "no value in {}; a longer time may have some",
            window_text(&span)
        );
        return super::instead(state, buffer, rest, &text);
    };
    let length = STEPS.get(level).copied().unwrap_or(1);
    let marks = plotted
        .iter()
        .flat_map(|one| one.series.left_out.range(level, span.from_ns, span.to_ns))
        .map(|(at, _)| span.position(at * length))
        .collect();
    let axes = Axes {
        y: &scale,
        x: times(state, &span),
        marks,
    };
    let canvas = axes.draw(state, buffer, rest);
    let curves: Vec<Curve> = plotted
        .iter()
        .zip(&scales)
        .zip(&STYLES)
        .filter_map(|((one, scale), style)| {
            let colour = super::colour(state, style.role);
            Some(curve(one.channel, &span, &(*scale)?, style.marker, colour))
        })
        .collect();
    draw_curves(buffer, canvas, &curves);
}

/// The beginning of the time that is shown: that of the events, if they began later and no time was chosen.
fn start_ns(state: &UiState, plotted: &[Plotted<'_>], level: usize, to_ns: u64) -> u64 {
    let start = to_ns.saturating_sub(window_ns(level));
    if state.results.has_chosen_time() {
        return start;
    }
    let oldest = plotted.iter().filter_map(|one| one.series.oldest_ns).min();
    let latest = to_ns.saturating_sub(SHORTEST_NS);
    start.max(oldest.unwrap_or(start).min(latest))
}

/// The selected number, then those that it is compared with.
fn plotted<'a>(state: &'a UiState, probe: &ProbeStatus) -> Vec<Plotted<'a>> {
    let mut all = Vec::new();
    let series = state.results.series.get(&probe.id);
    let selected = series.and_then(|series| {
        let at = state.results.channel_of(series);
        Some((series, series.channels.get(at)?))
    });
    if let Some((series, channel)) = selected {
        all.push(Plotted {
            name: channel.name.clone(),
            series,
            channel,
        });
    }
    for one in &state.results.compared {
        let is_selected = |(_, channel): (_, &Channel)| channel.name == one.name;
        if one.probe == probe.id && selected.is_some_and(is_selected) {
            continue;
        }
        let Some(series) = state.results.series.get(&one.probe) else {
            continue;
        };
        let owner = state.probes.iter().find(|probe| probe.id == one.probe);
        if let (Some(channel), Some(owner)) = (series.channel(&one.name), owner) {
            let name = match one.probe == probe.id {
                true => one.name.clone(),
                false => format!("{} {}", owner.name, one.name),
            };
            all.push(Plotted {
                name,
                series,
                channel,
            });
        }
    }
    all.truncate(STYLES.len());
    all
}

/// The axis of each: numbers of one unit share it.
fn scales(plotted: &[Plotted<'_>], span: &Span, ticks: usize) -> Vec<Option<Scale>> {
    let extremes = |unit: NumberUnit| {
        let of_unit = plotted.iter().filter(|one| one.channel.unit == unit);
        let slots = of_unit.flat_map(|one| {
            one.channel
                .steps
                .range(span.level, span.from_ns, span.to_ns)
        });
        let ends = slots.fold((f64::MAX, f64::MIN), |(min, max), (_, slot)| {
            (min.min(slot.min), max.max(slot.max))
        });
        (ends.0 <= ends.1).then(|| Scale::new(ends.0, ends.1, unit, ticks))
    };
    let (plain, times) = (extremes(NumberUnit::Plain), extremes(NumberUnit::Time));
    plotted
        .iter()
        .map(|one| match one.channel.unit {
            NumberUnit::Plain => plain,
            NumberUnit::Time => times,
        })
        .collect()
}

fn curve(
    channel: &Channel,
    span: &Span,
    scale: &Scale,
    marker: Marker,
    colour: ratatui::style::Color,
) -> Curve {
    let length = STEPS.get(span.level).copied().unwrap_or(1);
    let mut curve = Curve {
        marker,
        colour,
        lines: Vec::new(),
        points: Vec::new(),
    };
    let mut before: Option<DrawnPoint> = None;
    for (at, slot) in channel.steps.range(span.level, span.from_ns, span.to_ns) {
        let x = span.position(at.saturating_mul(length));
        let point = |number: f64| DrawnPoint {
            x,
            y: scale.position(number),
        };
        let (low, high) = (point(slot.min), point(slot.max));
        curve.points.push(low);
        if slot.min < slot.max {
            curve.lines.push([low, high]);
        }
        if let Some(before) = before.filter(|_| !slot.is_broken) {
            // The first number of the step is not kept; it is somewhere between its extremes.
            let y = before.y.clamp(low.y, high.y);
            curve.lines.push([before, DrawnPoint { x, y }]);
        }
        before = Some(point(slot.last));
    }
    curve
}

/// Time of day at both ends and in between.
fn times(state: &UiState, span: &Span) -> Vec<Tick> {
    let tick = |share: f64| {
        let whole = span.to_ns.saturating_sub(span.from_ns) as f64;
        let ns = span.from_ns.saturating_add((whole * share) as u64);
        let time = Timestamp::from_nanosecond(i128::from(ns)).ok()?;
        let label = time.to_zoned(state.zone.clone()).strftime("%H:%M:%S");
        Some(Tick {
            position: share,
            label: label.to_string(),
        })
    };
    [0.0, 0.25, 0.5, 0.75, 1.0]
        .into_iter()
        .filter_map(tick)
        .collect()
}

/// The length of the time that a plot shows: `the last 60 s`, `the last 25 min`, `the last 2.0 h`.
fn window_text(span: &Span) -> String {
    let ns = span.to_ns.saturating_sub(span.from_ns);
    match ns.div_ceil(1_000_000_000) {
        seconds if seconds < 300 => format!("the last {seconds} s"),
        seconds if seconds < 7_200 => format!("the last {} min", seconds / 60),
        seconds => format!("the last {:.1} h", seconds as f64 / 3600.0),
    }
}

/// A row for each number: its sign, its name, its last value, and remarks.
fn legend(state: &UiState, plotted: &[Plotted<'_>], span: &Span, buffer: &mut Buffer, area: Rect) {
    let theme = state.theme;
    let is_one_row = area.height == 1;
    let share = usize::from(area.width) / plotted.len().max(1);
    let (first_unit, first_is_last) = (
        plotted.first().map(|one| one.channel.unit),
        plotted.len() == 1,
    );
    let mut x = area.x;
    for (index, (one, style)) in plotted.iter().zip(&STYLES).enumerate() {
        let row = if is_one_row { 0 } else { index as u16 };
        if row >= area.height {
            break;
        }
        let width = match is_one_row && !first_is_last {
            true => share,
            false => usize::from(area.width),
        };
        let cell = Rect {
            x: if is_one_row { x } else { area.x },
            width: width as u16,
            ..area
        };
        x += width as u16;
        let mut pen = Pen::new(buffer, cell, row);
        pen.text(" ", Style::new())
            .text(style.sign, theme.role(style.role))
            .text(" ", Style::new());
        let room = pen.room().saturating_sub(1);
        let name = glyphs::width(&one.name, room.max(8) * 2 / 3);
        pen.fitted(&one.name, name, theme.role(Role::Heading))
            .text(" ", Style::new());
        let room = pen.room().saturating_sub(1);
        pen.fitted(&latest(one), room, theme.role(Role::Value));
        let mut notes = notes(one, span);
        if index == 0 {
            notes.insert(0, window_text(span));
            notes.extend(others(state, one));
        } else if Some(one.channel.unit) != first_unit {
            notes.insert(0, "on a scale of its own".to_owned());
        }
        let room = pen.room().saturating_sub(3);
        if room > 12 {
            let text = notes.join(", ");
            pen.text("  ", Style::new())
                .fitted(&text, room, theme.role(Role::Dim));
        }
    }
}

/// The last value, exactly.
fn latest(one: &Plotted<'_>) -> String {
    let event = one.series.recent.back();
    let value = event.and_then(|event| value_of(event, &one.channel.name));
    let number = |level| {
        let steps = one.channel.steps.range(level, 0, u64::MAX);
        steps.last().map(|(_, slot)| slot.last)
    };
    match (value, number(STEPS.len() - 1)) {
        (Some(value), _) => compact_value(value),
        (None, Some(number)) => short_number(number, one.channel.unit),
        (None, None) => String::new(),
    }
}

/// How to get at the other numbers of the probe.
fn others(state: &UiState, one: &Plotted<'_>) -> Option<String> {
    let count = one.series.channels.len();
    let at = state.results.channel_of(one.series) + 1;
    (count > 1).then(|| format!("number {at} of {count}: ↑ ↓"))
}

fn notes(one: &Plotted<'_>, span: &Span) -> Vec<String> {
    let mut notes = Vec::new();
    let left_out: u64 = one
        .series
        .left_out
        .range(span.level, span.from_ns, span.to_ns)
        .map(|(_, hits)| *hits)
        .fold(0, u64::saturating_add);
    if left_out > 0 {
        let hits = if left_out == 1 { "hit" } else { "hits" };
        notes.push(format!("! {} {hits} left out", short_count(left_out)));
    }
    let channel = one.channel;
    if channel.absent > 0 {
        notes.push(format!("{} without a value", short_count(channel.absent)));
    }
    if channel.not_finite > 0 {
        notes.push(format!(
            "{} NaN or infinite",
            short_count(channel.not_finite)
        ));
    }
    if channel.is_rounded {
        notes.push("drawn rounded: beyond 2^53".to_owned());
    }
    if one.series.has_more {
        notes.push("more numbers than are kept".to_owned());
    }
    notes
}
