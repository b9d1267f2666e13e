//! Draws the list of targets.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::glyphs::Pen;
use super::super::keymap::{KeyCommand, Mode, foot};
use super::super::list::List;
use super::super::state::UiState;
use super::super::state::targets::target_rows::TargetRow;
use super::super::theme::Role;
use super::super::times::short_time;
use super::{frame, short_count};
use crate::event::counted;
use crate::session::percent;

/// Columns of the process id, of its state, of its numbers, and of a time.
const PID: usize = 8;
const STATE: usize = 9;
const NUMBER: usize = 8;
const TIME: usize = 9;

/// Draws the list of targets over the panes.
pub(super) fn draw(state: &UiState, list: List, buffer: &mut Buffer, area: Rect) {
    let theme = state.theme;
    let title = format!(" Targets: {} ", counted(state.targets.live(), "process"));
    let foot = foot(
        Mode::Targets,
        &[
            (&[KeyCommand::Activate], "only this one"),
            (&[KeyCommand::Toggle], "show or leave out"),
            (&[KeyCommand::Only], "all"),
            (&[KeyCommand::Back], "back"),
        ],
    );
    let inner = frame(theme, buffer, area, &title, &foot);
    if state.targets.len() == 0 {
        let text = format!(
            "waiting for the first process that matches {}",
            state.target.name
        );
        let mut pen = Pen::new(buffer, inner, 0);
        let room = pen.room();
        pen.fitted(&text, room, theme.role(Role::Dim));
        return;
    }
    let mut pen = Pen::new(buffer, inner, 0);
    let head = theme.role(Role::Dim);
    let columns = ["pid", "state", "hits", "events", "cpu", "last", "program"];
    let widths = [PID, STATE, NUMBER, NUMBER, NUMBER, TIME, 40];
    for (name, width) in columns.into_iter().zip(widths) {
        let at = pen.x();
        pen.fitted(if name == "pid" { "  pid" } else { name }, width, head);
        let width = if name == "pid" { width + 2 } else { width };
        pen.blank_to(at.saturating_add(width as u16 + 1), head);
    }
    let rows = usize::from(inner.height).saturating_sub(1);
    let shown = state.targets.rows().enumerate().skip(list.top).take(rows);
    for (line, (row, target)) in shown.enumerate() {
        let selected = row == list.cursor;
        let base = match selected {
            true => theme.role(Role::Selected),
            false if target.has_ended => theme.role(Role::Dim),
            false => Style::new(),
        };
        let mut pen = Pen::new(buffer, inner, line as u16 + 1);
        draw_row(state, target, &mut pen, base);
        pen.fill(' ', base);
    }
    if state.targets.forgotten() > 0 && state.targets.len() < rows {
        let line = state.targets.len() as u16 + 1;
        let text = format!(
            "  {} more have ended",
            short_count(state.targets.forgotten())
        );
        Pen::new(buffer, inner, line).text(&text, head);
    }
}

fn draw_row(state: &UiState, target: &TargetRow, pen: &mut Pen<'_>, base: Style) {
    let pids = state.events.filter.pids();
    let is_shown = pids.is_empty() || pids.contains(&target.status.pid);
    let mut column = |text: &str, width: usize| {
        let at = pen.x();
        pen.fitted(text, width, base);
        pen.blank_to(at.saturating_add(width as u16 + 1), base);
    };
    let mark = if is_shown { "●" } else { "○" };
    column(&format!("{mark} {}", target.status.pid), PID + 2);
    column(target.state(), STATE);
    column(&short_count(target.hits), NUMBER);
    column(&short_count(target.events), NUMBER);
    let share = target.share.map(|share| format!("{}%", percent(share)));
    column(&share.unwrap_or_else(|| "-".into()), NUMBER);
    let last = target.last_ns.map(|ns| short_time(ns, &state.zone, 0));
    column(&last.unwrap_or_else(|| "-".into()), TIME);
    let room = pen.room();
    let text = format!("{}  {}", target.status.program, target.origin());
    pen.fitted(&text, room, base);
}
