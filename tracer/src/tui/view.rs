//! Draws the state: nothing here changes anything, and no text reaches a cell but through a [`Pen`].

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::action::Pane;
use super::glyphs::{self, Pen, short_count};
use super::keymap::Command;
use super::prompt::Purpose;
use super::state::{self, Overlay, State};
use super::theme::{Role, Theme};

mod events;
mod overlay;
mod source;
mod tables;

pub(super) use overlay::{found_text, frame, help_len, search_line};

/// Draws everything.
pub(super) fn draw(state: &State, frame: &mut Frame<'_>) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    let regions = state.regions();
    title(state, buffer, regions.title);
    source::draw(state, buffer, regions.source);
    tables::variables(state, buffer, regions.variables);
    tables::probes(state, buffer, regions.probes);
    tables::history(state, buffer, regions.history);
    events::draw(state, buffer, regions.events);
    for row in 0..regions.divider.height {
        Pen::new(buffer, regions.divider, row).text("│", state.theme.role(Role::Dim));
    }
    status(state, buffer, regions.status);
    let cursor = overlay::draw(state, buffer);
    if let Some((x, y)) = cursor
        && area.contains((x, y).into())
    {
        frame.set_cursor_position((x, y));
    }
}

/// Where the thing that lies over the panes is.
pub(super) fn overlay_area(state: &State) -> Rect {
    let (width, height) = state.size;
    let screen = Rect::new(0, 0, width, height);
    let middle = |columns: u16, rows: u16| {
        let (columns, rows) = (columns.min(width), rows.min(height));
        Rect::new((width - columns) / 2, (height - rows) / 2, columns, rows)
    };
    match &state.overlay {
        Overlay::None => Rect::default(),
        Overlay::Prompt(prompt) => {
            let wanted = if prompt.purpose.is_probe() { 6 } else { 2 };
            let rows = wanted.min(height);
            Rect {
                y: height - rows,
                height: rows,
                ..screen
            }
        }
        Overlay::Files(_) => middle(
            width.saturating_sub(4).min(110).max(width.min(40)),
            height.saturating_sub(4).max(height.min(8)),
        ),
        Overlay::Event(_) | Overlay::Probe(..) | Overlay::Help(_) => middle(
            overlay_width(width),
            height.saturating_sub(2).max(height.min(8)),
        ),
    }
}

/// Columns of a text that lies over the panes.
pub(super) fn overlay_width(width: u16) -> u16 {
    width.saturating_sub(4).min(130).max(width.min(40))
}

/// Time of day, with `digits` of its second.
pub(super) fn short_time(time_ns: u64, zone: &TimeZone, digits: usize) -> String {
    let format = if digits >= 6 {
        "%H:%M:%S%.6f"
    } else {
        "%H:%M:%S%.3f"
    };
    timestamp(time_ns).map_or_else(
        || "?".into(),
        |time| time.to_zoned(zone.clone()).strftime(format).to_string(),
    )
}

/// Date and time, with all nine digits of the second.
pub(super) fn full_time(time_ns: u64, zone: &TimeZone) -> String {
    timestamp(time_ns).map_or_else(
        || "?".into(),
        |time| {
            time.to_zoned(zone.clone())
                .strftime("%Y-%m-%d %H:%M:%S%.9f %Z")
                .to_string()
        },
    )
}

fn timestamp(time_ns: u64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(time_ns)).ok()
}

fn title(state: &State, buffer: &mut Buffer, area: Rect) {
    if area.is_empty() {
        return;
    }
    let theme = state.theme;
    if let Some(code) = state.exited {
        let text = format!(
            " ■ {}; all that came stays here to read, {} leaves",
            state::exit_text(code),
            state.hint(Command::Quit)
        );
        Pen::new(buffer, area, 0)
            .text(&text, theme.role(Role::Banner))
            .fill(' ', theme.role(Role::Banner));
        return;
    }
    let (name, pid) = &state.target;
    let totals = totals(state);
    let right: usize = totals
        .iter()
        .map(|(text, _)| glyphs::width(text, 200) + 2)
        .sum();
    let mut pen = Pen::new(buffer, area, 0);
    pen.text(" tracer ", theme.role(Role::Accent))
        .text("▸ ", theme.role(Role::Dim));
    let room = pen.room().saturating_sub(right + 1);
    pen.fitted(
        &format!("{name}  pid {pid}"),
        room,
        theme.role(Role::Heading),
    );
    let start = usize::from(area.width)
        .saturating_sub(right)
        .max(usize::from(pen.x() - area.x) + 1);
    pen.blank_to(area.x.saturating_add(start as u16), Style::new());
    for (text, role) in totals {
        pen.text(&text, theme.role(role)).text("  ", Style::new());
    }
}

/// What stands at the right of the title.
fn totals(state: &State) -> Vec<(String, Role)> {
    let mut parts = Vec::new();
    if state.silenced {
        parts.push((
            format!("○ SILENCED, {} wakes", state.hint_main(Command::SilenceAll)),
            Role::Warn,
        ));
    }
    let sum = |count: fn(&crate::event::Counters) -> u64| {
        state
            .probes
            .iter()
            .map(|probe| count(&probe.counters))
            .fold(0u64, u64::saturating_add)
    };
    parts.push((plural(state.probes.len() as u64, "probe"), Role::Plain));
    parts.push((plural(sum(|counters| counters.hits), "hit"), Role::Plain));
    let lost = sum(|counters| counters.lost);
    if lost > 0 {
        parts.push((format!("! {} lost", short_count(lost)), Role::Bad));
    } else {
        parts.push(("none lost".into(), Role::Dim));
    }
    parts
}

/// `1 probe`, `2 probes`.
fn plural(count: u64, thing: &str) -> String {
    format!(
        "{} {thing}{}",
        short_count(count),
        if count == 1 { "" } else { "s" }
    )
}

/// The row at the foot: a message, or the keys that matter here.
fn status(state: &State, buffer: &mut Buffer, area: Rect) {
    let theme = state.theme;
    if !matches!(state.overlay, Overlay::None) {
        // What lies over the panes names its own keys.
        return;
    }
    let mut pen = Pen::new(buffer, area, 0);
    if let Some(message) = &state.message {
        let (sign, role) = if message.bad {
            (" ! ", Role::Bad)
        } else {
            (" ✓ ", Role::Good)
        };
        let room = pen.room();
        pen.text(sign, theme.role(role)).fitted(
            &message.text,
            room.saturating_sub(3),
            theme.role(role),
        );
        return;
    }
    for (command, what) in hints(state) {
        let key = state.hint_main(*command);
        if pen.room() < key.chars().count() + what.chars().count() + 2 {
            continue;
        }
        pen.text(" ", Style::new())
            .text(&key, theme.role(Role::Accent))
            .text(" ", Style::new());
        pen.text(what, theme.role(Role::Dim))
            .text(" ", Style::new());
    }
}

fn hints(state: &State) -> &'static [(Command, &'static str)] {
    match state.focus {
        Pane::Source => &[
            (Command::Activate, "logpoint on/off"),
            (Command::Quit, "quit"),
            (Command::Help, "keys"),
            (Command::Template, "with message"),
            (Command::Files, "file"),
            (Command::AnyProbe, "any probe"),
            (Command::NextPane, "pane"),
            (Command::Search, "search"),
            (Command::NextCode, "next line with code"),
            (Command::Pause, "pause"),
            (Command::SilenceAll, "silence all"),
        ],
        Pane::Probes => &[
            (Command::Activate, "go to line"),
            (Command::Quit, "quit"),
            (Command::Help, "keys"),
            (Command::Toggle, "silence/wake"),
            (Command::Remove, "remove"),
            (Command::Edit, "edit"),
            (Command::Inspect, "all about it"),
            (Command::Only, "only its events"),
            (Command::SilenceAll, "silence all"),
        ],
        Pane::Events => &[
            (Command::Activate, "show all"),
            (Command::Quit, "quit"),
            (Command::Help, "keys"),
            (Command::Pause, "pause"),
            (Command::Search, "filter"),
            (Command::Follow, "follow"),
            (Command::Clear, "clear"),
            (Command::Only, "only this probe"),
            (Command::Zoom, "zoom"),
        ],
    }
}

/// The rule at the top of a pane: number, name, and what there is to say of it.
fn rule(
    state: &State,
    buffer: &mut Buffer,
    area: Rect,
    pane: Option<Pane>,
    name: &str,
    parts: &[(String, Role)],
) {
    let theme = state.theme;
    let focused = pane == Some(state.focus);
    let (line, line_style, name_style) = if focused {
        ('━', theme.role(Role::Accent), theme.role(Role::Accent))
    } else {
        ('─', theme.role(Role::Dim), theme.role(Role::Heading))
    };
    let mut pen = Pen::new(buffer, area, 0);
    pen.text(&line.to_string(), line_style)
        .text(" ", Style::new());
    if let Some(pane) = pane {
        let number = Pane::ALL
            .iter()
            .position(|other| *other == pane)
            .unwrap_or(0)
            + 1;
        pen.text(&format!("{number} "), theme.role(Role::Dim));
    }
    pen.text(name, name_style).text(" ", Style::new());
    for (text, role) in parts {
        if pen.room() < 8 {
            break;
        }
        let room = pen.room() - 4;
        pen.text(&format!("{line} "), line_style)
            .fitted_tail(text, room, theme.role(*role))
            .text(" ", Style::new());
    }
    pen.fill(line, line_style);
}

/// Style of a list's row: the selected one stands out more where the focus is.
fn row_style(theme: Theme, selected: bool, focused: bool) -> Style {
    match (selected, focused) {
        (true, true) => theme.role(Role::Selected),
        (true, false) => theme.role(Role::SelectedElsewhere),
        _ => Style::new(),
    }
}

impl State {
    /// A key of the panes, whatever lies over them.
    pub(super) fn hint_main(&self, command: Command) -> String {
        super::keymap::hint(super::keymap::Mode::Main, command)
    }

    /// What is being typed in the source's search, or was.
    fn searched(&self) -> &str {
        match &self.overlay {
            Overlay::Prompt(prompt) if prompt.purpose == Purpose::Search => prompt.input.value(),
            _ => &self.search,
        }
    }
}
