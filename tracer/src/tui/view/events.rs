//! The list of events.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::action::Pane;
use super::super::compact::compact;
use super::super::events::Body;
use super::super::glyphs::{self, Pen, short_count};
use super::super::layout::PaneRegions;
use super::super::state::UiState;
use super::super::state::changes::changed;
use super::super::theme::Role;
use crate::event::{Event, grouped};

/// Widths of the columns before the message.
struct EventColumns {
    digits: usize,
    thread: usize,
    place: usize,
}

impl EventColumns {
    /// Widths that the rows on the screen need, within bounds.
    fn new(width: usize, state: &UiState, rows: usize) -> Self {
        let (digits, thread, place) = match width {
            0..=59 => {
                return Self {
                    digits: 3,
                    thread: 0,
                    place: 0,
                };
            }
            60..=99 => (3, 13, 14),
            _ => (6, 24, 24),
        };
        // Room for one more id.
        let thread = if state.processes { thread + 7 } else { thread };
        let top = state.events.list.top;
        let events = (top..top + rows).filter_map(|row| Some(state.events.event(row)?.0));
        let widest = events.fold((0, 0), |widest: (usize, usize), event| {
            let ids = event.ids(state.processes);
            let name = glyphs::width(&event.thread, thread) + ids.len() + 2;
            (
                widest.0.max(name),
                widest.1.max(glyphs::width(&place_of(event), place) + 1),
            )
        });
        Self {
            digits,
            thread: widest.0.clamp(8, thread),
            place: widest.1.clamp(6, place),
        }
    }
}

/// File name and line, or the function.
fn place_of(event: &Event) -> String {
    event.origin.place().into_owned()
}

/// The time line of a recording: the time of the selected event, its place, and its number.
pub(super) fn draw_time_line(state: &UiState, buffer: &mut Buffer, area: Rect) {
    let Some(view) = state.recording.as_ref().filter(|_| !area.is_empty()) else {
        return;
    };
    let (dim, accent) = (state.theme.role(Role::Dim), state.theme.role(Role::Accent));
    let extent = view.extent;
    let at = state.recorded_event().unwrap_or(0);
    let short = |time_ns| crate::tui::times::short_time(time_ns, &state.zone, 3);
    let selected = state.events.event(state.events.list.cursor);
    let time = selected.map_or(extent.first_ns, |(event, _)| event.time_ns);
    let numbers = match extent.events {
        0 => " no events ".to_owned(),
        events => format!(" {} of {} ", grouped(at + 1), grouped(events)),
    };
    let reading = if view.loading { "…" } else { " " };
    let (left, right) = (
        format!(" {} ", short(time)),
        format!(" {}{reading}{numbers}", short(extent.last_ns)),
    );
    let room = usize::from(area.width);
    let used = glyphs::width(&left, room) + glyphs::width(&right, room);
    let bar = room.saturating_sub(used);
    let mut pen = Pen::new(buffer, area, 0);
    pen.text(&left, Style::new());
    if bar >= 5 {
        let done = u128::from(at) * (bar as u128 - 1) / u128::from(extent.events.max(2) - 1);
        let done = usize::try_from(done).unwrap_or(0).min(bar - 1);
        pen.text(&"━".repeat(done), accent)
            .text("●", accent)
            .text(&"─".repeat(bar - 1 - done), dim);
    }
    pen.text(&right, dim).fill(' ', Style::new());
}

pub(super) fn draw(state: &UiState, buffer: &mut Buffer, area: Rect) {
    if area.is_empty() {
        return;
    }
    let events = &state.events;
    super::rule(
        state,
        buffer,
        area,
        Some(Pane::Events),
        "Events",
        &parts(state),
    );
    let inner = PaneRegions::inner(area);
    if events.len() == 0 {
        let text = match (state.probes.is_empty(), events.kept()) {
            _ if state.recording.as_ref().is_some_and(|view| view.loading) => "  reading…",
            (true, 0) => "  events of the probes appear here",
            (false, 0) => "  waiting for the first hit…",
            _ => "  no event passes the filter",
        };
        Pen::new(buffer, inner, 0).text(text, state.theme.role(Role::Dim));
        return;
    }
    let columns = EventColumns::new(usize::from(area.width), state, usize::from(inner.height));
    for row in 0..inner.height {
        let at = events.list.top + usize::from(row);
        let Some(item) = events.number(at).and_then(|number| events.item(number)) else {
            break;
        };
        let selected = at == events.list.cursor;
        let base = super::row_style(state.theme, selected, state.focus == Pane::Events);
        match &item.body {
            Body::Event(event) => {
                let before = events.event(at).and_then(|(_, before)| before);
                let pair = EventPair { event, before };
                event_row(state, buffer, inner, row, &columns, pair, base);
            }
            Body::Gap { probe, left_out } => {
                let mut pen = Pen::new(buffer, inner, row);
                let room = pen.room();
                let text = format!(" {}", left_out.line(probe));
                pen.fitted(&text, room, state.theme.role(Role::Warn).patch(base))
                    .fill(' ', base);
            }
            Body::Note(text) => {
                let mut pen = Pen::new(buffer, inner, row);
                let room = pen.room();
                pen.fitted(
                    &format!(" ! {text}"),
                    room,
                    state.theme.role(Role::Warn).patch(base),
                )
                .fill(' ', base);
            }
        }
        if selected {
            Pen::new(buffer, inner, row).text("›", base);
        }
    }
}

/// The parts of the rule: paused or following, filter, count.
fn parts(state: &UiState) -> Vec<(String, Role)> {
    let events = &state.events;
    let mut parts = Vec::new();
    if events.paused {
        let resume = state.hint_main(super::KeyCommand::Pause);
        parts.push((
            format!(
                "‖ PAUSED, {} since; {resume} resumes",
                short_count(events.waiting())
            ),
            Role::Warn,
        ));
    } else if !events.follow && events.len() > 0 && state.recording.is_none() {
        let follow = state.hint_main(super::KeyCommand::Follow);
        let below = events.len().saturating_sub(events.list.cursor + 1) as u64;
        parts.push((
            format!("{} newer; {follow} follows", short_count(below)),
            Role::Plain,
        ));
    }
    if !events.filter.is_empty() {
        // Of a recording, only a part is known to pass.
        let text = match state.recording {
            Some(_) => format!("with `{}`", events.filter.text),
            None => {
                let count = short_count(events.len() as u64);
                format!("with `{}`: {count}", events.filter.text)
            }
        };
        parts.push((text, Role::Warn));
    }
    if events.kept() > 0 && state.recording.is_none() {
        parts.push((
            format!("{} kept", short_count(events.kept() as u64)),
            Role::Dim,
        ));
    }
    parts
}

/// An event, and the one before it of the same probe.
struct EventPair<'e> {
    event: &'e Event,
    before: Option<&'e Event>,
}

fn event_row(
    state: &UiState,
    buffer: &mut Buffer,
    area: Rect,
    row: u16,
    columns: &EventColumns,
    EventPair { event, before }: EventPair<'_>,
    base: Style,
) {
    let theme = state.theme;
    let style = |role| theme.role(role).patch(base);
    let mut pen = Pen::new(buffer, area, row);
    pen.text(" ", base).text(
        &crate::tui::times::short_time(event.time_ns, &state.zone, columns.digits),
        style(Role::Dim),
    );
    pen.text(" ", base);
    if columns.thread > 0 {
        let start = pen.x();
        let ids = event.ids(state.processes);
        let name_room = columns.thread.saturating_sub(ids.len() + 2);
        pen.fitted(&event.thread, name_room, base)
            .text(&format!("/{ids}"), style(Role::Dim));
        pen.blank_to(start + columns.thread as u16, base);
        let start = pen.x();
        let place = place_of(event);
        pen.fitted_tail(&place, columns.place - 1, style(Role::Accent))
            .blank_to(start + columns.place as u16, base);
    }
    if super::stepping::row::draw(state, event, &mut pen, base) {
        return;
    }
    let room = pen.room();
    let long = glyphs::width(&event.message, room + 1) > room && state.is_default_message(event);
    let shown = |event: &'_ Event| {
        if long {
            compact(&event.values)
        } else {
            event.message.clone()
        }
    };
    let message = shown(event);
    let marks = before
        .map(|before| changed(&shown(before), &message))
        .unwrap_or_default();
    let text = skip_columns(&message, state.events.shift);
    let offset = message.len() - text.len();
    pen.fitted_painted(text, room, |at| {
        let marked = marks.iter().any(|range| range.contains(&(at + offset)));
        if marked { style(Role::Changed) } else { base }
    });
    pen.fill(' ', base);
}

/// The text without its first columns.
fn skip_columns(text: &str, columns: usize) -> &str {
    let mut used = 0;
    for glyph in glyphs::glyphs(text) {
        if used >= columns && text.is_char_boundary(glyph.at) {
            return text.get(glyph.at..).unwrap_or("");
        }
        used += usize::from(glyph.width);
    }
    if columns == 0 { text } else { "" }
}
