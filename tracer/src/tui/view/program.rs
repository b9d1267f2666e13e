//! The program's pane: what its output draws, and nothing else of it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::super::action::Pane;
use super::super::glyphs::Pen;
use super::super::keymap::{KeyCommand, Mode, foot, hint};
use super::super::layout::PaneRegions;
use super::super::program::pane::{ProgramPane, ProgramPhase};
use super::super::state::UiState;
use super::super::theme::{Role, Theme};
use super::frame;
use crate::base::visible::is_hostile;
use crate::event::counted;

/// Draws the pane. Returns where the terminal's cursor belongs, if keys go to the program.
pub(super) fn draw(state: &UiState, buffer: &mut Buffer, area: Rect) -> Option<(u16, u16)> {
    let program = state.program.as_ref()?;
    if area.is_empty() {
        return None;
    }
    super::rule(
        state,
        buffer,
        area,
        Some(Pane::Program),
        &program.name,
        &parts(state, program),
    );
    let inner = PaneRegions::inner(area);
    if program.is_waiting() || program.phase == ProgramPhase::Failed {
        waiting(state, program, buffer, inner);
        return None;
    }
    let screen = program.emulator.screen();
    for row in 0..inner.height {
        let mut pen = Pen::new(buffer, inner, row);
        for column in 0..inner.width {
            let Some(cell) = screen.cell(row, column) else {
                break;
            };
            if cell.is_wide_continuation() {
                continue;
            }
            let text: String = cell
                .contents()
                .chars()
                .filter(|c| !is_hostile(*c))
                .collect();
            let text = if text.is_empty() { " " } else { &text };
            pen.go(inner.x + column)
                .text(text, cell_style(state.theme, cell));
        }
    }
    let (row, column) = screen.cursor_position();
    let shown = program.typing
        && !screen.hide_cursor()
        && program.emulator.rows_back() == 0
        && row < inner.height;
    // Behind the last column it waits for the next character.
    let column = column.min(inner.width.saturating_sub(1));
    shown.then_some((inner.x + column, inner.y + row))
}

/// The pane before the program runs.
fn waiting(state: &UiState, program: &ProgramPane, buffer: &mut Buffer, area: Rect) {
    let theme = state.theme;
    let key = state.hint_main(KeyCommand::StartProgram);
    let ways =
        format!("  choose lines first, then {key} (or :start) starts it, with the probes in it");
    let rows = match program.phase {
        ProgramPhase::Failed => [
            (
                format!("  {} could not be started", program.name),
                Role::Bad,
            ),
            (String::new(), Role::Plain),
        ],
        ProgramPhase::Wanted => [
            (
                format!("  {} starts when the probe is attached", program.name),
                Role::Plain,
            ),
            (String::new(), Role::Plain),
        ],
        _ => [
            (format!("  {} has not started", program.name), Role::Plain),
            (ways, Role::Plain),
        ],
    };
    let command = (format!("  $ {}", program.command), Role::Dim);
    for (row, (text, role)) in (0..).zip([command].into_iter().chain(rows)) {
        let mut pen = Pen::new(buffer, area, row);
        let room = pen.room();
        pen.fitted(&text, room, theme.role(role));
    }
}

/// The remarks behind the name: how far it is, and the way in or out.
fn parts(state: &UiState, program: &ProgramPane) -> Vec<(String, Role)> {
    let role = match program.phase {
        ProgramPhase::Ended(Some(0)) => Role::Good,
        ProgramPhase::Ended(_) | ProgramPhase::Failed => Role::Bad,
        ProgramPhase::Waiting | ProgramPhase::Wanted => Role::Warn,
        ProgramPhase::Starting | ProgramPhase::Running(_) => Role::Plain,
    };
    let mut parts = vec![(program.state(), role)];
    let back = program.emulator.rows_back();
    if back > 0 {
        let end = state.hint_main(KeyCommand::End);
        let back = counted(back, "row");
        parts.push((format!("{back} back; {end} to the newest"), Role::Warn));
    }
    if program.typing {
        let leave = hint(Mode::Program, KeyCommand::LeaveProgram);
        parts.push((format!("keys go to it; {leave} leads back"), Role::Accent));
    } else if matches!(program.phase, ProgramPhase::Running(_)) {
        let key = state.hint_main(KeyCommand::TypeToProgram);
        parts.push((format!("{key} types into it"), Role::Dim));
    }
    parts
}

/// The style of a character as the program wants it, without colours if there are none.
fn cell_style(theme: Theme, cell: &vt100::Cell) -> Style {
    let mut style = Style::new();
    let on_own_background = cell.bgcolor() == vt100::Color::Default;
    style.fg = theme.program_colour(cell.fgcolor(), on_own_background);
    style.bg = theme.program_colour(cell.bgcolor(), false);
    for (is_on, modifier) in [
        (cell.bold(), Modifier::BOLD),
        (cell.dim(), Modifier::DIM),
        (cell.italic(), Modifier::ITALIC),
        (cell.underline(), Modifier::UNDERLINED),
        (cell.inverse(), Modifier::REVERSED),
    ] {
        if is_on {
            style = style.add_modifier(modifier);
        }
    }
    style
}

/// The question at the end, while the program runs.
pub(super) fn leave(state: &UiState, buffer: &mut Buffer, area: Rect) {
    let Some(program) = &state.program else {
        return;
    };
    let theme = state.theme;
    let title = match program.phase {
        ProgramPhase::Running(pid) => format!(" {} still runs, pid {pid} ", program.name),
        _ => format!(" {} still runs ", program.name),
    };
    let foot = foot(Mode::Leave, &[(&[KeyCommand::Back], "stays")]);
    let inner = frame(theme, buffer, area, &title, &foot);
    let enter = hint(Mode::Leave, KeyCommand::Activate);
    let end = hint(Mode::Leave, KeyCommand::EndProgram);
    let rows = [
        (
            enter.as_str(),
            "quit: the probes are removed, the program goes on.",
        ),
        (
            "",
            "Its output continues below as plain text, without keys.",
        ),
        (
            "",
            "Ctrl-C is for it. tracer ends with it and its exit code.",
        ),
        (end.as_str(), "the same, and ask it to end (SIGTERM)"),
    ];
    for (row, (key, text)) in (0..).zip(rows) {
        let mut pen = Pen::new(buffer, inner, row);
        pen.text(&format!("{key:<6}"), theme.role(Role::Accent));
        let room = pen.room();
        pen.fitted(text, room, theme.role(Role::Plain));
    }
}
