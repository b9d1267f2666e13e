//! The completions of the typed word, in a list above the line.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::glyphs::{self, Pen};
use super::super::prompt::Prompt;
use super::super::state::UiState;
use super::super::theme::Role;

/// Rows of the list at most.
const ROWS: usize = 8;
/// Columns of a completion.
const WORD: usize = 40;

/// Draws the list over the rows above `line`.
pub(super) fn draw(state: &UiState, prompt: &Prompt, buffer: &mut Buffer, line: Rect) {
    let theme = state.theme;
    let all = &prompt.completion.all;
    let room = usize::from(line.y.saturating_sub(1)).min(ROWS);
    if all.is_empty() || room < 2 {
        return;
    }
    let chosen = prompt.completion.chosen.unwrap_or(0);
    let rows = all.len().min(room);
    let top = chosen.saturating_sub(rows - 1);
    let shown = || all.iter().enumerate().skip(top).take(rows);
    let width = |text: &str, most| glyphs::width(text, most);
    let words = shown().map(|(_, one)| width(&one.text, WORD)).max();
    let words = words.unwrap_or_default();
    let abouts = shown().map(|(_, one)| width(&one.about, 80)).max();
    let columns = (words + abouts.unwrap_or_default() + 6).min(usize::from(line.width));
    let area = Rect {
        x: line.x,
        y: line.y - rows as u16,
        width: columns as u16,
        height: rows as u16,
    };
    for (row, (index, one)) in shown().enumerate() {
        let is_chosen = prompt.completion.chosen == Some(index);
        let base = match is_chosen {
            true => theme.role(Role::Selected),
            false => Style::new(),
        };
        let mut pen = Pen::new(buffer, area, row as u16);
        pen.text("│", theme.role(Role::Accent))
            .text(if is_chosen { "›" } else { " " }, base)
            .fitted(&one.text, words, theme.role(Role::Heading).patch(base))
            .blank_to(area.x + words as u16 + 4, base);
        let left = pen.room().saturating_sub(1);
        let is_last = row + 1 == rows && index + 1 < all.len();
        let about = match is_last {
            true => format!("… {} more", all.len() - index),
            false => one.about.clone(),
        };
        pen.fitted(&about, left, theme.role(Role::Dim).patch(base))
            .fill(' ', base);
    }
}
