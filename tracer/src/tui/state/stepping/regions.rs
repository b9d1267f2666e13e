//! The areas of the stepping view, the same for drawing and for the mouse.

use ratatui::layout::{Rect, Size};

use super::StepView;

/// From this width on, the source stands beside the values.
const SIDE_BY_SIDE_COLUMNS: u16 = 110;
/// From this width on, the calls stand beside the values.
const CALLS_COLUMNS: u16 = 60;

/// The areas. The first row of source, variables and frames is a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::tui) struct StepRegions {
    /// The call.
    pub(in crate::tui) title: Rect,
    /// The source, or two calls beside each other.
    pub(in crate::tui) source: Rect,
    /// The values.
    pub(in crate::tui) variables: Rect,
    /// The tree of calls.
    pub(in crate::tui) frames: Rect,
    /// The place in the call.
    pub(in crate::tui) bar: Rect,
    /// Keys and messages.
    pub(in crate::tui) foot: Rect,
    /// The line between source and values.
    pub(in crate::tui) divider: Rect,
}

impl StepRegions {
    /// Divides the screen.
    pub(super) fn new(size: Size, view: StepView, is_comparison: bool) -> Self {
        let Size { width, height } = size;
        let mut this = Self::default();
        let mut body = Rect::new(0, 0, width, height);
        if height >= 3 {
            (this.title, body.y, body.height) = (Rect { height: 1, ..body }, 1, height - 1);
        }
        for row in [&mut this.foot, &mut this.bar] {
            if body.height >= 2 {
                body.height -= 1;
                *row = Rect {
                    y: body.bottom(),
                    height: 1,
                    ..body
                };
            }
        }
        let values = if width >= SIDE_BY_SIDE_COLUMNS && !is_comparison {
            let left = width * 3 / 5;
            this.source = Rect {
                width: left,
                ..body
            };
            this.divider = Rect {
                x: left,
                width: 1,
                ..body
            };
            Rect {
                x: left + 1,
                width: width - left - 1,
                ..body
            }
        } else {
            // Two calls need more rows than a piece of source.
            let above = match is_comparison {
                true => body.height * 3 / 5,
                false => body.height / 2,
            };
            this.source = Rect {
                height: above,
                ..body
            };
            Rect {
                y: body.y + above,
                height: body.height - above,
                ..body
            }
        };
        this.divide_values(values, view == StepView::Variables);
        this
    }

    /// Divides the area of the values, with the tree of calls if there is space.
    fn divide_values(&mut self, values: Rect, has_frames: bool) {
        if has_frames && values.x > 0 {
            let below = values.height / 3;
            self.variables = Rect {
                height: values.height - below,
                ..values
            };
            self.frames = Rect {
                y: self.variables.bottom(),
                height: below,
                ..values
            };
        } else if has_frames && values.width >= CALLS_COLUMNS {
            let right = values.width * 2 / 5;
            self.variables = Rect {
                width: values.width - right,
                ..values
            };
            self.frames = Rect {
                x: self.variables.right(),
                width: right,
                ..values
            };
        } else {
            self.variables = values;
        }
    }

    /// Rows of the list of variables.
    pub(super) fn variable_rows(&self) -> usize {
        usize::from(self.variables.height).saturating_sub(1)
    }
}

/// Index of the first step of the listing of two calls: the current step is in its middle.
pub(in crate::tui) const fn listing_top(index: usize, rows: usize) -> usize {
    index.saturating_sub(rows / 2)
}
