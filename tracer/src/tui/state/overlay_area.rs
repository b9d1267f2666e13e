//! The area of the overlay on the panes.

use ratatui::layout::{Rect, Size};

use super::{Overlay, UiState};

/// Columns of an event in full at most: wider rows are hard to read.
const EVENT: u16 = 180;

/// The area of the overlay on the panes.
pub(in crate::tui) fn overlay_area(state: &UiState) -> Rect {
    let Size { width, height } = state.size;
    let screen = Rect::new(0, 0, width, height);
    let middle = |columns: u16, rows: u16| {
        let (columns, rows) = (columns.min(width), rows.min(height));
        Rect::new((width - columns) / 2, (height - rows) / 2, columns, rows)
    };
    match &state.overlay {
        Overlay::None => Rect::default(),
        Overlay::Steps(_) => screen,
        Overlay::Prompt(prompt) => {
            let wanted = if prompt.purpose.is_probe() { 6 } else { 2 };
            let rows = wanted.min(height);
            Rect {
                y: height - rows,
                height: rows,
                ..screen
            }
        }
        Overlay::Files(_) | Overlay::Targets(_) => middle(
            width.saturating_sub(4).min(110).max(width.min(40)),
            height.saturating_sub(4).max(height.min(8)),
        ),
        Overlay::Leave => middle(68, 6),
        Overlay::Event(_) => event_area(state.size),
        Overlay::Probe(..) | Overlay::Help(_) => middle(
            overlay_width(width),
            height.saturating_sub(2).max(height.min(8)),
        ),
    }
}

/// The area of an event in full.
pub(in crate::tui) fn event_area(Size { width, height }: Size) -> Rect {
    let columns = width.saturating_sub(4).min(EVENT).max(width.min(40));
    let rows = height.saturating_sub(2).max(height.min(8));
    Rect::new((width - columns) / 2, (height - rows) / 2, columns, rows)
}

/// Columns of a text that lies over the panes.
pub(in crate::tui) fn overlay_width(width: u16) -> u16 {
    width.saturating_sub(4).min(130).max(width.min(40))
}
