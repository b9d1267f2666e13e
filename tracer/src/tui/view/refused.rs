//! A probe that was refused: its text, the mistake in it, and the keys that mend or leave it.

use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use ratatui::style::{Modifier, Style};

use super::super::glyphs::{self, Pen};
use super::super::keymap::{KeyCommand, Mode, hint};
use super::super::state::UiState;
use super::super::theme::Role;

/// Rows that it takes.
const ROWS: u16 = 6;

/// Draws it over the foot of the screen. The keys go on to the panes.
pub(super) fn draw(state: &UiState, buffer: &mut Buffer) {
    let Some(refused) = state.shown_refusal() else {
        return;
    };
    let theme = state.theme;
    let Size { width, height } = state.size;
    let rows = ROWS.min(height);
    let area = Rect::new(0, height - rows, width, rows);
    for row in 0..rows {
        Pen::new(buffer, area, row).fill(' ', Style::new());
    }
    let count = match state.queue.refused.len() {
        1 => String::new(),
        count => format!("1 of {count} "),
    };
    Pen::new(buffer, area, 0)
        .text("━ ", theme.role(Role::Bad))
        .text(&format!("Refused {count}"), theme.role(Role::Bad))
        .fill('━', theme.role(Role::Bad));
    let span = refused.error.span.clone().unwrap_or(0..0);
    let wrong = theme.role(Role::Bad).add_modifier(Modifier::UNDERLINED);
    // The mistake is what matters in a long text.
    let mistake_end = refused.text.get(..span.end).unwrap_or(&refused.text);
    let room = usize::from(width).saturating_sub(2);
    let scroll = glyphs::columns(mistake_end, 10_000).saturating_sub(room);
    let text_area = Rect {
        x: area.x + 1.min(width),
        y: area.y + 1,
        width: width.saturating_sub(2),
        height: 1,
    };
    Pen::new(buffer, text_area.intersection(area), 0)
        .scrolled(scroll)
        .painted(&refused.text, |at| match span.contains(&at) {
            true => wrong,
            false => Style::new(),
        });
    let caret_area = Rect {
        y: area.y + 2,
        ..text_area
    };
    let caret_area = caret_area.intersection(area);
    super::overlay::carets(
        &refused.text,
        refused.error.span.as_ref(),
        buffer,
        caret_area,
        scroll,
        wrong,
    );
    let mut put = |row: u16, text: &str, role: Role| {
        let mut pen = Pen::new(buffer, area, row);
        let room = pen.room();
        pen.fitted(text, room, theme.role(role));
    };
    put(3, &format!(" ! {}", refused.error.message), Role::Bad);
    if let Some(hint) = &refused.error.hint {
        put(4, &format!("   hint: {hint}"), Role::Warn);
    }
    let open = state.hint_main(KeyCommand::AnyProbe);
    let recall = hint(Mode::Prompt, KeyCommand::Up);
    let leaves = match open.is_empty() || recall.is_empty() {
        true => "leaves it".to_owned(),
        false => format!("leaves it; {open} and {recall} have it again"),
    };
    let hints = [
        (KeyCommand::Mend, "mends it"),
        (KeyCommand::Back, leaves.as_str()),
    ];
    super::draw_hints(theme, &mut Pen::new(buffer, area, 5), Mode::Main, &hints);
}
