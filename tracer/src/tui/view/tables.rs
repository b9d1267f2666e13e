//! The table of probes, and the variables at the cursor.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::action::Pane;
use super::super::glyphs::{self, Pen, short_count};
use super::super::layout::PaneRegions;
use super::super::state::UiState;
use super::super::state::changes::RateBars;
use super::super::state::source::Variables;
use super::super::theme::Role;
use super::known::{VariableValue, known_value, short_type};
use crate::event::counted;
use crate::session::{ProbeStatus, VariableInfo};

/// Columns of the number that a full bar of the rate stands for.
const RATE_SCALE: usize = 8;

/// Widths of the columns whose widths vary.
struct TableColumns {
    name: usize,
    place: usize,
    bars: usize,
    rest: usize,
}

impl TableColumns {
    /// Width of the numbers: hits, events, lost, limited, rate, cost.
    const NUMBERS: usize = 7 + 7 + 6 + 8 + 8 + 7;

    fn new(width: usize, probes: &[ProbeStatus]) -> Self {
        let most = if width >= 100 { 16 } else { 8 };
        let widest = probes
            .iter()
            .map(|probe| glyphs::width(&probe.name, most))
            .max()
            .unwrap_or(0);
        let name = widest.clamp(5, most) + 4;
        let room = width.saturating_sub(Self::NUMBERS + name);
        let place = (room / 2).clamp(room.min(14), 28);
        let bars = if room >= place + RATE_SCALE + 5 {
            (room - place - 1).min(RATE_SCALE + 12)
        } else {
            0
        };
        Self {
            name,
            place,
            bars,
            rest: room.saturating_sub(place + bars + 2),
        }
    }
}

pub(super) fn probes(state: &UiState, buffer: &mut Buffer, area: Rect) {
    if area.is_empty() {
        return;
    }
    let mut parts = Vec::new();
    let selected = state.probes.get(state.probes_list.cursor);
    let rows = usize::from(area.height).saturating_sub(2);
    if state.probes.len() > rows {
        parts.push((
            format!("{} of {}", state.probes_list.cursor + 1, state.probes.len()),
            Role::Dim,
        ));
    }
    if let Some(request) = state.queue.pending.first() {
        let others = match state.queue.pending.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let text = format!("{} attaching {}{others}", state.spinner(), request.text);
        parts.push((text, Role::Warn));
    }
    let cpus: f64 = state
        .probes
        .iter()
        .filter_map(|probe| probe.cost.cpus)
        .sum();
    if cpus > 0.0 {
        parts.push((format!("{} of a CPU", short_share(cpus)), Role::Dim));
    }
    if let Some(note) = selected.and_then(|probe| probe.notes.first()) {
        parts.push((note.clone(), Role::Warn));
    }
    super::rule(state, buffer, area, Some(Pane::Probes), "Probes", &parts);
    let columns = TableColumns::new(usize::from(area.width), &state.probes);
    let inner = PaneRegions::inner(area);
    if state.probes.is_empty() && state.queue.pending.is_empty() {
        let enter = state.hint_main(super::KeyCommand::Activate);
        let text =
            format!("  none yet: {enter} on a line marked · logs its variables at every hit");
        let mut pen = Pen::new(buffer, inner, 0);
        let room = pen.room();
        pen.fitted(&text, room, state.theme.role(Role::Dim));
        return;
    }
    header(state, buffer, inner, &columns);
    let body = PaneRegions::inner(inner);
    for (row, probe) in state
        .probes
        .iter()
        .skip(state.probes_list.top)
        .take(usize::from(body.height))
        .enumerate()
    {
        let selected = state.probes_list.top + row == state.probes_list.cursor;
        probe_row(state, buffer, body, row as u16, &columns, probe, selected);
    }
    let used = state.probes.len().saturating_sub(state.probes_list.top);
    let rows = used..usize::from(body.height);
    for (index, (row, request)) in rows.zip(&state.queue.pending).enumerate() {
        let (sign, is) = match index {
            0 => (state.spinner(), "attaching…"),
            _ => ("◌", "waits"),
        };
        let text = format!(" {sign} {is:<10}  {}", request.text);
        let mut pen = Pen::new(buffer, body, row as u16);
        let room = pen.room();
        pen.fitted(&text, room, state.theme.role(Role::Warn));
    }
}

fn header(state: &UiState, buffer: &mut Buffer, area: Rect, columns: &TableColumns) {
    let style = state.theme.role(Role::Dim);
    let mut pen = Pen::new(buffer, area, 0);
    pen.text(
        &format!("   {:<width$}", "name", width = columns.name - 3),
        style,
    )
    .text(
        &format!("{:<width$}", "place", width = columns.place),
        style,
    );
    for (name, width) in [
        ("hits", 7),
        ("events", 7),
        ("lost", 6),
        ("limited", 8),
        ("per s", 8),
    ] {
        pen.text(&format!("{name:>width$}"), style);
    }
    pen.text(&format!("{:>7}", "ns/hit"), style);
    if columns.bars > 0 {
        let name = "rate, 0 to";
        let width = columns.bars;
        pen.text(" ", style).fitted(name, width, style);
        let end =
            area.x + (columns.name + columns.place + TableColumns::NUMBERS + width + 1) as u16;
        pen.blank_to(end, style);
    }
    if columns.rest > 8 {
        pen.text(" probe", style);
    }
}

fn probe_row(
    state: &UiState,
    buffer: &mut Buffer,
    area: Rect,
    row: u16,
    columns: &TableColumns,
    probe: &ProbeStatus,
    selected: bool,
) {
    let theme = state.theme;
    let base = super::row_style(theme, selected, state.focus == Pane::Probes);
    let style = |role| theme.role(role).patch(base);
    let counters = &probe.counters;
    let trail = state.trails.get(&probe.id);
    let (mark, role) = match (probe.done, probe.enabled) {
        (Some(_), _) => ("✓", Role::Good),
        (None, true) if counters.limited + counters.lost > 0 => ("◐", Role::Bad),
        (None, true) => ("●", Role::Bad),
        (None, false) => ("○", Role::Warn),
    };
    let mut pen = Pen::new(buffer, area, row);
    let left = area.x;
    pen.text(if selected { "›" } else { " " }, base)
        .text(mark, style(role))
        .text(" ", base);
    pen.fitted(&probe.name, columns.name - 4, style(Role::Heading))
        .blank_to(left + columns.name as u16, base);
    pen.fitted_tail(&probe.place(), columns.place.saturating_sub(1), base);
    pen.blank_to(left + (columns.name + columns.place) as u16, base);
    let number = |count: u64, width: usize| format!("{:>width$}", short_count(count));
    pen.text(&number(counters.hits, 7), base)
        .text(&number(counters.events, 7), base);
    let lost = if counters.lost > 0 {
        Role::Bad
    } else {
        Role::Dim
    };
    pen.text(&number(counters.lost, 6), style(lost));
    let limited = if counters.limited > 0 {
        Role::Warn
    } else {
        Role::Dim
    };
    pen.text(&number(counters.limited, 8), style(limited));
    let rate = trail.map_or(0.0, |trail| trail.rate);
    pen.text(&format!("{:>8}", short_rate(rate)), base);
    let cost = probe
        .cost
        .total_ns(counters)
        .unwrap_or(counters.bpf_ns)
        .checked_div(counters.hits)
        .map_or("-".into(), short_count);
    pen.text(&format!("{cost:>7}"), base);
    if columns.bars > 0 {
        let shown = columns.bars - RATE_SCALE;
        pen.text(" ", base);
        if let Some(RateBars { bars, full }) = trail.map(|trail| trail.bars(shown))
            && !bars.trim().is_empty()
        {
            let full = format!("{}/s", short_count(full.round() as u64));
            pen.text(&bars, style(Role::Good))
                .text(&format!(" {full:<7}"), style(Role::Dim));
        }
    }
    if columns.rest > 8 {
        let traced = traced_text(state, probe);
        pen.text(" ", base);
        let room = columns.rest.min(pen.room());
        pen.fitted(&traced, room, style(Role::Value));
        let room = room.saturating_sub(glyphs::width(&traced, room));
        pen.fitted(&probe.text, room, style(Role::Dim));
    }
    pen.fill(' ', base);
}

/// The calls of a trace and their steps, as far as they are kept: `2 calls, 31 steps  `.
fn traced_text(state: &UiState, probe: &ProbeStatus) -> String {
    match state.calls.counts(probe.id) {
        (0, _) => String::new(),
        (calls, steps) => format!("{}, {}  ", counted(calls, "call"), counted(steps, "step")),
    }
}

/// `12%`, `0.3%`, `<0.1%`.
fn short_share(cpus: f64) -> String {
    match cpus * 100.0 {
        percent if percent < 0.05 => "<0.1%".into(),
        percent if percent < 9.95 => format!("{percent:.1}%"),
        percent => format!("{percent:.0}%"),
    }
}

fn short_rate(rate: f64) -> String {
    match rate {
        rate if rate <= 0.0 => "0".into(),
        rate if rate < 99.95 => format!("{rate:.1}"),
        rate => short_count(rate.round() as u64),
    }
}

pub(super) fn variables(state: &UiState, buffer: &mut Buffer, area: Rect) {
    if area.is_empty() {
        return;
    }
    if area.height == 1 {
        return strip(state, buffer, area);
    }
    let (line, known) = state.source.as_ref().map_or((None, None), |source| {
        (Some(source.line()), Some(&source.variables))
    });
    let name = line.map_or("Variables".into(), |line| {
        format!("Variables at line {line}")
    });
    super::rule(state, buffer, area, None, &name, &[]);
    let inner = PaneRegions::inner(area);
    match known {
        Some(Variables::Known(variables)) if !variables.is_empty() => {
            table(state, buffer, inner, line.unwrap_or(0), variables)
        }
        known => {
            let mut pen = Pen::new(buffer, inner, 0);
            let room = pen.room();
            let (text, role) = instead(known);
            pen.fitted(&format!("  {text}"), room, state.theme.role(role));
        }
    }
}

/// The text in place of a missing list of variables.
fn instead(known: Option<&Variables>) -> (String, Role) {
    match known {
        None => (String::new(), Role::Dim),
        Some(Variables::None) => ("no code on this line".into(), Role::Dim),
        Some(Variables::Waiting) => ("…".into(), Role::Dim),
        Some(Variables::Known(_)) => ("no variable is in scope here".into(), Role::Dim),
        Some(Variables::Failed(error)) => (error.message.clone(), Role::Bad),
    }
}

fn table(state: &UiState, buffer: &mut Buffer, area: Rect, line: u64, variables: &[VariableInfo]) {
    let theme = state.theme;
    let rows = usize::from(area.height);
    let name_width = variables
        .iter()
        .map(|variable| glyphs::width(&variable.name, 24))
        .max()
        .unwrap_or(0);
    let most = usize::from(area.width) / 3;
    let types: Vec<String> = variables
        .iter()
        .map(|variable| short_type(&variable.ty, most))
        .collect();
    let type_width = types.iter().map(|ty| glyphs::width(ty, most)).max();
    let type_width = type_width.unwrap_or(0);
    let shown = if variables.len() > rows {
        rows.saturating_sub(1)
    } else {
        rows
    };
    let values: Vec<Option<VariableValue>> = variables
        .iter()
        .take(shown)
        .map(|variable| known_value(state, line, &variable.name))
        .collect();
    // Short values stand in a column, and what is behind them in another.
    let widths = values.iter().flatten();
    let widths = widths.map(|value| glyphs::width(&value.text, usize::from(area.width)));
    let value_width = widths.max().unwrap_or(0).min(usize::from(area.width) / 4);
    let all = variables.iter().zip(&types).zip(&values);
    for (row, ((variable, ty), value)) in all.enumerate() {
        let mut pen = Pen::new(buffer, area, row as u16);
        let at = |columns: usize| area.x.saturating_add(columns as u16);
        let (sign, role) = if variable.unavailable.is_none() {
            ("✓", Role::Good)
        } else {
            ("✗", Role::Warn)
        };
        pen.text(" ", Style::new())
            .text(sign, theme.role(role))
            .text(" ", Style::new());
        pen.fitted(&variable.name, name_width, theme.role(Role::Heading))
            .blank_to(at(name_width + 5), Style::new());
        pen.fitted(ty, type_width, Style::new())
            .blank_to(at(name_width + type_width + 7), Style::new());
        let (text, role) = match &variable.unavailable {
            None => (format!("{}  {}", variable.kind, variable.place), Role::Dim),
            Some(why) => (why.clone(), Role::Warn),
        };
        if let Some(value) = value {
            let role = match value.is_changed {
                true => Role::Changed,
                false => Role::Value,
            };
            // A value has half of the room at least; its place can do without.
            let room = pen.room();
            let beside = glyphs::width(&text, room) + 2;
            let room = room.saturating_sub(beside).max(room / 2);
            pen.fitted(&value.text, room, theme.role(role));
        }
        if value_width > 0 && pen.x() < area.right() {
            let end = at(name_width + type_width + 9 + value_width);
            pen.text("  ", Style::new()).blank_to(end, Style::new());
        }
        let room = pen.room();
        pen.fitted(&text, room, theme.role(role));
    }
    if shown < variables.len() {
        let text = format!(
            "   … and {} more: {}",
            variables.len() - shown,
            names(&variables[shown..])
        );
        let mut pen = Pen::new(buffer, area, shown as u16);
        let room = pen.room();
        pen.fitted(&text, room, theme.role(Role::Dim));
    }
}

fn names(variables: &[VariableInfo]) -> String {
    variables
        .iter()
        .take(40)
        .map(|variable| variable.name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

/// The variables in one row: those that can be read, then those that cannot.
fn strip(state: &UiState, buffer: &mut Buffer, area: Rect) {
    let theme = state.theme;
    let mut pen = Pen::new(buffer, area, 0);
    let Some(source) = &state.source else { return };
    pen.text(
        &format!(" at {} ", source.line()),
        theme.role(Role::Heading),
    );
    let variables = match &source.variables {
        Variables::Known(variables) if !variables.is_empty() => variables,
        other => {
            let (text, role) = instead(Some(other));
            let room = pen.room();
            pen.fitted(&text, room, theme.role(role));
            return;
        }
    };
    let (readable, not): (Vec<_>, Vec<_>) = variables
        .iter()
        .partition(|variable| variable.unavailable.is_none());
    for variable in readable.iter().chain(&not) {
        let room = pen.room();
        if room < 6 {
            pen.fill(' ', Style::new());
            break;
        }
        match &variable.unavailable {
            None => {
                pen.fitted(
                    &variable.name,
                    room.saturating_sub(1),
                    theme.role(Role::Accent),
                );
                let ty_room = pen.room().saturating_sub(2).min(24);
                pen.text(": ", theme.role(Role::Dim)).fitted(
                    &short_type(&variable.ty, ty_room),
                    ty_room,
                    Style::new(),
                );
                if let Some(value) = known_value(state, source.line(), &variable.name)
                    && pen.room() > 8
                {
                    let room = pen.room().saturating_sub(3).min(32);
                    pen.text(" = ", theme.role(Role::Dim)).fitted(
                        &value.text,
                        room,
                        theme.role(Role::Value),
                    );
                }
            }
            Some(why) => {
                pen.text("✗ ", theme.role(Role::Warn)).fitted(
                    &variable.name,
                    room.saturating_sub(3),
                    theme.role(Role::Dim),
                );
                let why_room = pen.room().saturating_sub(3);
                pen.text(" ", Style::new())
                    .fitted(why, why_room, theme.role(Role::Warn));
            }
        }
        pen.text("  ", Style::new());
    }
}
