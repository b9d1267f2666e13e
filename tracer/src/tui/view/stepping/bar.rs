//! The place in the call: a bar over the numbers of its steps, with those that are missing.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::super::glyphs::{self, Pen};
use super::super::super::state::UiState;
use super::super::super::state::stepping::SteppedCall;
use super::super::super::theme::Role;
use crate::event::call::{FrameEnd, TracedCall};
use crate::event::grouped;

/// Steps of a piece of the bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BarPiece {
    /// All are there.
    Whole,
    /// Some are missing, as further turns of a loop are only counted.
    Counted,
    /// Some are lost.
    Missing,
}

pub(super) fn draw(state: &UiState, stepped: &SteppedCall<'_>, buffer: &mut Buffer, area: Rect) {
    if area.is_empty() {
        return;
    }
    let theme = state.theme;
    let call = stepped.call;
    let number = call.step(stepped.index).map_or(0, |step| step.number());
    let last = call.last_number();
    let more = match (call.end(), state.recording.is_some()) {
        (FrameEnd::Open, false) => "…",
        _ => "",
    };
    let missing = last.saturating_sub(call.len() as u64);
    let missing = match missing {
        0 => String::new(),
        missing => format!(", {} not recorded", grouped(missing)),
    };
    let not_kept = match call.not_kept() {
        0 => String::new(),
        steps => format!(", {} not kept here", grouped(steps)),
    };
    let text = format!(
        " step {} of {}{more}{missing}{not_kept} ",
        grouped(number),
        grouped(last)
    );
    let room = usize::from(area.width);
    let bar = room.saturating_sub(glyphs::width(&text, room) + 1);
    let mut pen = Pen::new(buffer, area, 0);
    pen.text(" ", Style::new());
    if bar >= 5 {
        let at = column(number, last, bar);
        for (column, piece) in pieces(call, bar).into_iter().enumerate() {
            let is_done = column < at;
            let (sign, role) = match piece {
                _ if column == at => ("●", Role::Accent),
                BarPiece::Whole if is_done => ("━", Role::Accent),
                BarPiece::Whole => ("─", Role::Dim),
                BarPiece::Counted => ("┄", Role::Dim),
                BarPiece::Missing => ("!", Role::Warn),
            };
            pen.text(sign, theme.role(role));
        }
    }
    let role = match call.not_kept() {
        0 => Role::Plain,
        _ => Role::Warn,
    };
    let room = pen.room();
    pen.fitted(&text, room, theme.role(role))
        .fill(' ', Style::new());
}

/// The column of a step.
fn column(number: u64, last: u64, columns: usize) -> usize {
    let (done, all) = (
        u128::from(number.saturating_sub(1)),
        u128::from(last.max(2) - 1),
    );
    let at = done * (columns as u128 - 1) / all;
    usize::try_from(at).unwrap_or(0).min(columns - 1)
}

/// The pieces of a bar.
pub(super) fn pieces(call: &TracedCall, columns: usize) -> Vec<BarPiece> {
    let mut pieces = vec![BarPiece::Whole; columns];
    let last = call.last_number();
    for (index, step) in call.steps().iter().enumerate() {
        let gap = call.gap_before(index);
        if gap.is_none() {
            continue;
        }
        let missing = gap.missing();
        let to = step.number().saturating_sub(1).max(1);
        let from = to.saturating_sub(missing - 1).max(1);
        for piece in &mut pieces[column(from, last, columns)..=column(to, last, columns)] {
            *piece = match (gap.hides_steps(), *piece) {
                (false, BarPiece::Whole) => BarPiece::Counted,
                (true, _) => BarPiece::Missing,
                (false, piece) => piece,
            };
        }
    }
    pieces
}
