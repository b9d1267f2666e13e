//! Axes with their labels, and the canvas between them.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::widgets::Widget;
use ratatui::widgets::canvas::{Canvas, Line, Points};

use super::super::super::glyphs::{self, Pen};
use super::super::super::state::UiState;
use super::super::super::state::series::scale::{Scale, Tick};
use super::super::super::theme::Role;

/// A point of a drawing: from 0 to 1 in both directions, from the lower left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::tui::view) struct DrawnPoint {
    pub(in crate::tui::view) x: f64,
    pub(in crate::tui::view) y: f64,
}

/// The points of one series.
#[derive(Clone, Debug)]
pub(in crate::tui::view) struct Curve {
    pub(in crate::tui::view) marker: Marker,
    pub(in crate::tui::view) colour: Color,
    /// Lines between points.
    pub(in crate::tui::view) lines: Vec<[DrawnPoint; 2]>,
    /// Points that are not joined.
    pub(in crate::tui::view) points: Vec<DrawnPoint>,
}

/// The axes of a drawing.
pub(in crate::tui::view) struct Axes<'a> {
    pub(in crate::tui::view) y: &'a Scale,
    /// Labels below, in the order of their positions.
    pub(in crate::tui::view) x: Vec<Tick>,
    /// Marked columns below: hits were left out there. From 0 to 1.
    pub(in crate::tui::view) marks: Vec<f64>,
}

/// Rows between two labels of the axis at the left, at the least.
const TICK_ROWS: u16 = 2;

/// The number of steps that an axis of this height has labels for.
pub(in crate::tui::view) fn ticks_of_rows(rows: u16) -> usize {
    usize::from(rows / TICK_ROWS).clamp(1, 6)
}

impl Axes<'_> {
    /// Draws the axes in an area. Returns the area between them.
    pub(in crate::tui::view) fn draw(
        &self,
        state: &UiState,
        buffer: &mut Buffer,
        area: Rect,
    ) -> Rect {
        let (ticks, base) = self.y.ticks();
        let dim = state.theme.role(Role::Dim);
        let widest = ticks.iter().map(|tick| tick.label.chars().count()).max();
        let base_width = base.as_ref().map_or(0, |base| base.len());
        let left = (widest.unwrap_or(0).max(base_width.min(19)) + 1) as u16;
        if area.width < left + 4 || area.height < 2 {
            return Rect::default();
        }
        let canvas = Rect {
            x: area.x + left + 1,
            width: area.width - left - 1,
            height: area.height - 1,
            ..area
        };
        let last = canvas.height - 1;
        let row_of = |tick: &Tick| last - (tick.position * f64::from(last)).round() as u16;
        for row in 0..canvas.height {
            let tick = ticks.iter().find(|tick| row_of(tick) == row);
            // The number itself stands where the distances are from.
            let label = match (tick, &base) {
                (Some(tick), Some(base)) if ticks.first() == Some(tick) => Some(base),
                (tick, _) => tick.map(|tick| &tick.label),
            };
            let mut pen = Pen::new(buffer, area, row);
            let width = label.map_or(0, |label| glyphs::width(label, usize::from(left)));
            pen.blank_to(area.x + left - width as u16, Style::new());
            pen.text(label.map_or("", |label| label), dim)
                .text(if tick.is_some() { "┤" } else { "│" }, dim);
        }
        self.draw_below(state, buffer, area, canvas);
        canvas
    }

    fn draw_below(&self, state: &UiState, buffer: &mut Buffer, area: Rect, canvas: Rect) {
        let (dim, warn) = (state.theme.role(Role::Dim), state.theme.role(Role::Warn));
        let row = area.height - 1;
        let width = canvas.width;
        let column = |position: f64| canvas.x + (position * f64::from(width - 1)).round() as u16;
        Pen::new(buffer, area, row)
            .blank_to(canvas.x - 1, Style::new())
            .text("└", dim)
            .fill('─', dim);
        let marks: Vec<u16> = self.marks.iter().map(|at| column(*at)).collect();
        for at in &marks {
            Pen::new(buffer, area, row).go(*at).text("!", warn);
        }
        let mut free = canvas.x;
        for tick in &self.x {
            let label = format!(" {} ", tick.label);
            let length = glyphs::width(&label, usize::from(width)) as u16;
            let start = column(tick.position).saturating_sub(length / 2);
            let start = start.clamp(
                canvas.x,
                canvas.right().saturating_sub(length).max(canvas.x),
            );
            let is_marked = marks.iter().any(|at| (start..start + length).contains(at));
            if is_marked || start < free || start + length > canvas.right() {
                continue;
            }
            Pen::new(buffer, area, row).go(start).text(&label, dim);
            free = start + length;
        }
    }
}

/// Draws curves, the last one uppermost.
pub(in crate::tui::view) fn draw_curves(buffer: &mut Buffer, area: Rect, curves: &[Curve]) {
    let Some(background) = buffer.cell((area.x, area.y)).map(|cell| cell.bg) else {
        return;
    };
    if area.is_empty() {
        return;
    }
    Canvas::default()
        .background_color(background)
        .x_bounds([0.0, 1.0])
        .y_bounds([0.0, 1.0])
        .paint(|context| {
            for curve in curves {
                context.marker(curve.marker);
                for [from, to] in &curve.lines {
                    context.draw(&Line::new(from.x, from.y, to.x, to.y, curve.colour));
                }
                let points: Vec<_> = curve
                    .points
                    .iter()
                    .map(|point| (point.x, point.y))
                    .collect();
                context.draw(&Points::new(&points, curve.colour));
            }
        })
        .render(area, buffer);
}
