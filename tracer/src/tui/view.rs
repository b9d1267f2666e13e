//! Draws the state. Drawing changes nothing, and text reaches a cell only through a [`Pen`].

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::action::Pane;
use super::glyphs::{self, Pen, short_count};
use super::keymap::KeyCommand;
use super::prompt::Purpose;
use super::state::{self, Overlay, UiState};
use super::theme::{Role, Theme};
use crate::session::TargetName;

mod events;
mod overlay;
mod source;
mod tables;
mod targets;

pub(super) use overlay::{found_text, frame, search_line};

/// Draws everything.
pub(super) fn draw(state: &UiState, frame: &mut Frame<'_>) {
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

fn title(state: &UiState, buffer: &mut Buffer, area: Rect) {
    if area.is_empty() {
        return;
    }
    let theme = state.theme;
    if let Some(code) = state.exited {
        let text = format!(
            " ■ {}; all events stay readable, {} leaves",
            state::exit_text(code),
            state.hint(KeyCommand::Quit)
        );
        Pen::new(buffer, area, 0)
            .text(&text, theme.role(Role::Banner))
            .fill(' ', theme.role(Role::Banner));
        return;
    }
    let TargetName { name, pid } = &state.target;
    let totals = totals(state);
    let right: usize = totals
        .iter()
        .map(|(text, _)| glyphs::width(text, 200) + 2)
        .sum();
    let mut pen = Pen::new(buffer, area, 0);
    pen.text(" tracer ", theme.role(Role::Accent))
        .text("▸ ", theme.role(Role::Dim));
    let room = pen.room().saturating_sub(right + 1);
    let live = state.targets.live();
    let title = match pid {
        Some(pid) if live <= 1 => format!("{name}  pid {pid}"),
        Some(pid) => format!("{name}  pid {pid} and {} more", live - 1),
        None if live == 1 => format!("{name}  1 process"),
        None => format!("{name}  {live} processes"),
    };
    pen.fitted(&title, room, theme.role(Role::Heading));
    let start = usize::from(area.width)
        .saturating_sub(right)
        .max(usize::from(pen.x() - area.x) + 1);
    pen.blank_to(area.x.saturating_add(start as u16), Style::new());
    for (text, role) in totals {
        pen.text(&text, theme.role(role)).text("  ", Style::new());
    }
}

/// The totals at the right of the title.
fn totals(state: &UiState) -> Vec<(String, Role)> {
    let mut parts = Vec::new();
    if state.silenced {
        parts.push((
            format!(
                "○ SILENCED, {} wakes",
                state.hint_main(KeyCommand::SilenceAll)
            ),
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
fn status(state: &UiState, buffer: &mut Buffer, area: Rect) {
    let theme = state.theme;
    if !matches!(state.overlay, Overlay::None) {
        // An overlay names its own keys.
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

fn hints(state: &UiState) -> &'static [(KeyCommand, &'static str)] {
    match state.focus {
        Pane::Source => &[
            (KeyCommand::Activate, "logpoint on/off"),
            (KeyCommand::Quit, "quit"),
            (KeyCommand::Help, "keys"),
            (KeyCommand::Template, "with message"),
            (KeyCommand::Files, "file"),
            (KeyCommand::AnyProbe, "any probe"),
            (KeyCommand::NextPane, "pane"),
            (KeyCommand::Search, "search"),
            (KeyCommand::NextCode, "next line with code"),
            (KeyCommand::Pause, "pause"),
            (KeyCommand::SilenceAll, "silence all"),
        ],
        Pane::Probes => &[
            (KeyCommand::Activate, "go to line"),
            (KeyCommand::Quit, "quit"),
            (KeyCommand::Help, "keys"),
            (KeyCommand::Toggle, "silence/wake"),
            (KeyCommand::Remove, "remove"),
            (KeyCommand::Edit, "edit"),
            (KeyCommand::Inspect, "details"),
            (KeyCommand::Only, "only its events"),
            (KeyCommand::SilenceAll, "silence all"),
        ],
        Pane::Events => &[
            (KeyCommand::Activate, "show all"),
            (KeyCommand::Quit, "quit"),
            (KeyCommand::Help, "keys"),
            (KeyCommand::Pause, "pause"),
            (KeyCommand::Search, "filter"),
            (KeyCommand::Follow, "follow"),
            (KeyCommand::Clear, "clear"),
            (KeyCommand::Only, "only this probe"),
            (KeyCommand::Zoom, "zoom"),
        ],
    }
}

/// The rule at the top of a pane: number, name, and remarks.
fn rule(
    state: &UiState,
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

impl UiState {
    /// A key of the panes, whatever lies over them.
    pub(super) fn hint_main(&self, command: KeyCommand) -> String {
        super::keymap::hint(super::keymap::Mode::Main, command)
    }

    /// The present or the last search in the source.
    fn searched(&self) -> &str {
        match &self.overlay {
            Overlay::Prompt(prompt) if prompt.purpose == Purpose::Search => prompt.input.value(),
            _ => &self.search,
        }
    }
}
