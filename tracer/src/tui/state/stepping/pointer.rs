//! The mouse in the stepping view.

use super::regions::listing_top;
use super::{StepView, UiState, rows};
use crate::event::call::Direction;

impl UiState {
    /// The wheel.
    pub(in crate::tui) fn scroll_steps(&mut self, x: u16, y: u16, lines: isize) {
        let size = self.size;
        let count = self
            .source
            .as_ref()
            .map_or(0, super::super::source::SourceView::len);
        let Some(stepped) = self.stepped() else {
            return;
        };
        let (index, frames) = (stepped.index, stepped.call.frames().len());
        let last = stepped.call.len().saturating_sub(1);
        let names = rows::names(stepped.call, index).len();
        let Some(view) = self.stepping_mut() else {
            return;
        };
        let regions = view.regions(size);
        let at = (x, y).into();
        if regions.variables.contains(at) && view.view == StepView::Variables {
            view.variables.scroll(lines, names, regions.variable_rows());
            self.select_variable();
        } else if regions.frames.contains(at) {
            scroll_top(&mut view.frames.top, lines, frames);
        } else if regions.source.contains(at) && view.other.is_none() {
            scroll_top(&mut view.source.top, lines, count);
        } else {
            self.go_to_index(index.saturating_add_signed(lines).min(last));
        }
    }

    /// Selects what is under the pointer.
    pub(in crate::tui) fn click_steps(&mut self, x: u16, y: u16) {
        let Some(stepped) = self.stepped() else {
            return;
        };
        let regions = stepped.view.regions(self.size);
        let at = (x, y).into();
        let row = |top: u16| usize::from(y - top).checked_sub(1);
        if regions.bar.contains(at) {
            let last = stepped.call.last_number().max(1);
            let columns = u128::from(regions.bar.width.saturating_sub(1).max(1));
            let number = 1 + u128::from(last - 1) * u128::from(x - regions.bar.x) / columns;
            self.go_to_step(u64::try_from(number).unwrap_or(last));
        } else if regions.frames.contains(at) {
            let Some(row) = row(regions.frames.y) else {
                return;
            };
            let frame = stepped.call.frames().get(stepped.view.frames.top + row);
            if let Some(first) = frame.map(|frame| frame.first()) {
                self.go_to_index(first);
            }
        } else if regions.source.contains(at) {
            let Some(row) = row(regions.source.y) else {
                return;
            };
            match stepped.view.other {
                Some(_) => {
                    let rows = usize::from(regions.source.height).saturating_sub(1);
                    let top = listing_top(stepped.index, rows);
                    let last = stepped.call.len().saturating_sub(1);
                    self.go_to_index((top + row).min(last));
                }
                None => self.go_to_line((stepped.view.source.top + row) as u64 + 1),
            }
        } else if regions.variables.contains(at)
            && stepped.view.view == StepView::Variables
            && let Some(row) = row(regions.variables.y)
        {
            let count = rows::names(stepped.call, stepped.index).len();
            if let Some(view) = self.stepping_mut()
                && view.variables.top + row < count
            {
                view.variables.cursor = view.variables.top + row;
                self.select_variable();
            }
        }
    }

    /// Goes to the next pass of a line of this file, or to the last one before.
    fn go_to_line(&mut self, line: u64) {
        let Some(stepped) = self.stepped() else {
            return;
        };
        let Some(place) = stepped.place() else {
            return;
        };
        let find = |direction| {
            stepped.call.find(stepped.index, direction, &|_, step| {
                let origin = &step.event.origin;
                step.is_pass() && origin.line == line && origin.file == place.file
            })
        };
        match find(Direction::Forward).or_else(|| find(Direction::Back)) {
            Some(index) => self.go_to_index(index),
            None => self.say(format!("this call does not pass line {line}"), false),
        }
    }
}

/// Scrolls a list whose cursor stays.
fn scroll_top(top: &mut usize, lines: isize, count: usize) {
    *top = top
        .saturating_add_signed(lines)
        .min(count.saturating_sub(1));
}
