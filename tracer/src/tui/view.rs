//! Draws the state. Drawing changes nothing, and text reaches a cell only through a [`Pen`].

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::action::Pane;
use super::glyphs::{self, Pen, short_count};
use super::keymap::{KeyCommand, Mode};
use super::program::pane::{ProgramPane, ProgramPhase};
use super::prompt::Purpose;
use super::state::{self, Overlay, UiState};
use super::theme::{Role, Theme};
use crate::event::{counted, noun};
use crate::session::TargetName;

mod completion;
mod event;
mod events;
mod known;
mod overlay;
mod program;
mod refused;
mod results;
mod source;
mod stepping;
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
    results::draw(state, buffer, regions.results);
    events::draw(state, buffer, regions.events);
    events::draw_time_line(state, buffer, regions.time_line);
    let typed = program::draw(state, buffer, regions.program);
    for row in 0..regions.divider.height {
        Pen::new(buffer, regions.divider, row).text("│", state.theme.role(Role::Dim));
    }
    status(state, buffer, regions.status);
    refused::draw(state, buffer);
    let typed = typed.filter(|_| state.mode() == Mode::Program);
    let cursor = overlay::draw(state, buffer).or(typed);
    state.theme.finish(buffer);
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
    if let Some(text) = banner(state) {
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
        None => format!("{name}  {}", counted(live, "process")),
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

/// The bar that takes the place of the title: the program has not started, or the target is gone.
fn banner(state: &UiState) -> Option<String> {
    let quit = state.hint_main(KeyCommand::Quit);
    if let Some(program) = &state.program {
        match program.phase {
            ProgramPhase::Waiting => {
                let start = state.hint_main(KeyCommand::StartProgram);
                let name = &program.name;
                return Some(format!(
                    " ▷ {name} has not started: choose a line, {start} (or :start) starts it"
                ));
            }
            ProgramPhase::Ended(_) | ProgramPhase::Failed if state.exited.is_some() => {
                let (name, ended) = (&program.name, program.state());
                return Some(format!(
                    " ■ {name} {ended}; all events stay readable, {quit} leaves"
                ));
            }
            _ => {}
        }
    }
    let ended = state::exit_text(state.exited?);
    Some(format!(
        " ■ {ended}; all events stay readable, {quit} leaves"
    ))
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
    let short = |count: u64, one: &str| format!("{} {}", short_count(count), noun(count, one));
    parts.push((short(state.probes.len() as u64, "probe"), Role::Plain));
    parts.push((short(sum(|counters| counters.hits), "hit"), Role::Plain));
    let lost = sum(|counters| counters.lost);
    if lost > 0 {
        parts.push((format!("! {} lost", short_count(lost)), Role::Bad));
    } else {
        parts.push(("none lost".into(), Role::Dim));
    }
    let undelivered = state.probes.iter().map(|probe| probe.undelivered);
    let undelivered = undelivered.fold(0, u64::saturating_add);
    if undelivered > 0 {
        let text = format!("! {} not delivered", short_count(undelivered));
        parts.push((text, Role::Bad));
    }
    parts
}

/// The row at the foot: a message, or the keys that matter here.
fn status(state: &UiState, buffer: &mut Buffer, area: Rect) {
    let theme = state.theme;
    let covered = matches!(
        state.overlay,
        Overlay::Prompt(_) | Overlay::Files(_) | Overlay::Event(_) | Overlay::Steps(_)
    );
    if covered || state.message.is_none() && !matches!(state.overlay, Overlay::None) {
        // An overlay names its own keys.
        return;
    }
    let mut pen = Pen::new(buffer, area, 0);
    if state.mode() == Mode::Program {
        let leave = super::keymap::hint(Mode::Program, KeyCommand::LeaveProgram);
        pen.text(&format!(" {leave}"), theme.role(Role::Accent))
            .text(" back to the panes", theme.role(Role::Dim))
            .text("   all other keys go to the program", theme.role(Role::Dim));
        return;
    }
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
    draw_hints(theme, &mut pen, Mode::Main, hints(state));
}

/// Keys with their effects, as far as they fit. Commands without a key are left out.
fn draw_hints(theme: Theme, pen: &mut Pen<'_>, mode: Mode, hints: &[(KeyCommand, &str)]) {
    for (command, what) in hints {
        let key = super::keymap::hint(mode, *command);
        let columns = glyphs::width(&key, 40) + glyphs::width(what, 80) + 2;
        if key.is_empty() || pen.room() < columns {
            continue;
        }
        pen.text(" ", Style::new())
            .text(&key, theme.role(Role::Accent))
            .text(" ", Style::new())
            .text(what, theme.role(Role::Dim))
            .text(" ", Style::new());
    }
}

/// The keys of the result pane.
const RESULT_HINTS: &[(KeyCommand, &str)] = &[
    (KeyCommand::NextView, "next view"),
    (KeyCommand::Quit, "quit"),
    (KeyCommand::Help, "keys"),
    (KeyCommand::PreviousView, "back"),
    (KeyCommand::Down, "next number or row"),
    (KeyCommand::Compare, "compare this number"),
    (KeyCommand::Longer, "longer time"),
    (KeyCommand::Shorter, "shorter time"),
    (KeyCommand::Zoom, "zoom"),
    (KeyCommand::ProbesPane, "to the probes"),
];

fn hints(state: &UiState) -> &'static [(KeyCommand, &'static str)] {
    let program = state.program.as_ref();
    let waits = program.is_some_and(ProgramPane::is_waiting);
    let runs = program.is_some_and(ProgramPane::is_running);
    match state.focus {
        Pane::Source | Pane::Probes if state.recording.is_some() => &[
            (KeyCommand::Quit, "quit"),
            (KeyCommand::Help, "keys"),
            (KeyCommand::EventsPane, "to the events"),
            (KeyCommand::Files, "file"),
            (KeyCommand::Search, "search"),
            (KeyCommand::Inspect, "details of the probe"),
            (KeyCommand::NextPane, "pane"),
        ],
        Pane::Source if waits => &[
            (KeyCommand::Activate, "logpoint on/off"),
            (KeyCommand::StartProgram, "start the program"),
            (KeyCommand::Quit, "quit"),
            (KeyCommand::Help, "keys"),
            (KeyCommand::Template, "with message"),
            (KeyCommand::Files, "file"),
            (KeyCommand::AnyProbe, "any probe"),
            (KeyCommand::NextPane, "pane"),
            (KeyCommand::Search, "search"),
        ],
        Pane::Source => &[
            (KeyCommand::Activate, "logpoint on/off"),
            (KeyCommand::Quit, "quit"),
            (KeyCommand::Help, "keys"),
            (KeyCommand::Template, "with message"),
            (KeyCommand::Files, "file"),
            (KeyCommand::AnyProbe, "any probe"),
            (KeyCommand::NextPane, "pane"),
            (KeyCommand::Search, "search"),
            (KeyCommand::Watch, "watch"),
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
            (KeyCommand::NextView, "results"),
            (KeyCommand::Inspect, "details"),
            (KeyCommand::Only, "only its events"),
            (KeyCommand::SilenceAll, "silence all"),
        ],
        Pane::Events if state.recording.is_some() => &[
            (KeyCommand::Activate, "show all"),
            (KeyCommand::Quit, "quit"),
            (KeyCommand::Help, "keys"),
            (KeyCommand::GoTo, "go to a time"),
            (KeyCommand::Later, "further"),
            (KeyCommand::Earlier, "back"),
            (KeyCommand::Search, "filter"),
            (KeyCommand::Only, "only this probe"),
            (KeyCommand::Zoom, "zoom"),
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
        Pane::Results => RESULT_HINTS,
        Pane::Program if !waits && !runs => &[
            (KeyCommand::Quit, "quit"),
            (KeyCommand::Help, "keys"),
            (KeyCommand::PageUp, "scroll back"),
            (KeyCommand::End, "newest"),
            (KeyCommand::Zoom, "zoom"),
            (KeyCommand::SourcePane, "to the source"),
        ],
        Pane::Program if waits => &[
            (KeyCommand::StartProgram, "start the program"),
            (KeyCommand::Quit, "quit"),
            (KeyCommand::Help, "keys"),
            (KeyCommand::SourcePane, "to the source"),
        ],
        Pane::Program => &[
            (KeyCommand::TypeToProgram, "type into it"),
            (KeyCommand::Quit, "quit"),
            (KeyCommand::Help, "keys"),
            (KeyCommand::PageUp, "scroll back"),
            (KeyCommand::End, "newest"),
            (KeyCommand::Zoom, "zoom"),
            (KeyCommand::SourcePane, "to the source"),
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
        pen.text(&format!("{line} "), line_style);
        match role {
            // The end of a path says most.
            Role::Plain => pen.fitted_tail(text, room, theme.role(*role)),
            _ => pen.fitted(text, room, theme.role(*role)),
        };
        pen.text(" ", Style::new());
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
