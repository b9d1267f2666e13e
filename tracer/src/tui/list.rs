//! A cursor in a list and the part of the list that is on the screen.

/// Position in a list of a length that the owner knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct List {
    /// The selected row.
    pub(super) cursor: usize,
    /// The first row on the screen.
    pub(super) top: usize,
}

impl List {
    /// Moves the cursor; [`Self::settle`] keeps it inside.
    pub(super) fn step(&mut self, rows: isize) {
        self.cursor = self.cursor.saturating_add_signed(rows);
    }

    /// Scrolls the view. The cursor stays unless it would leave the screen.
    pub(super) fn scroll(&mut self, lines: isize, len: usize, rows: usize) {
        self.top = self
            .top
            .saturating_add_signed(lines)
            .min(len.saturating_sub(rows));
        self.cursor = self
            .cursor
            .clamp(self.top, self.top + rows.saturating_sub(1));
    }

    /// Puts the cursor into the list and the cursor's row onto the screen.
    pub(super) fn settle(&mut self, len: usize, rows: usize) {
        self.cursor = self.cursor.min(len.saturating_sub(1));
        let rows = rows.max(1);
        self.top = self.top.min(len.saturating_sub(rows));
        if self.cursor < self.top {
            self.top = self.cursor;
        } else if self.cursor >= self.top + rows {
            self.top = self.cursor + 1 - rows;
        }
    }

    /// Puts the cursor on a row that may be far away, in the middle of the screen if so.
    pub(super) fn jump(&mut self, row: usize, rows: usize) {
        self.cursor = row;
        if row < self.top + 1 || row + 2 > self.top + rows {
            self.top = row.saturating_sub(rows / 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settle_with_cursor_past_the_end_shows_the_last_page() {
        let mut list = List {
            cursor: 100,
            top: 0,
        };
        list.settle(10, 4);
        assert_eq!(list, List { cursor: 9, top: 6 });
    }

    #[test]
    fn scroll_past_the_cursor_takes_it_along() {
        let mut list = List::default();
        list.scroll(3, 10, 4);
        assert_eq!(list, List { cursor: 3, top: 3 });
        list.scroll(-2, 10, 4);
        assert_eq!(list, List { cursor: 3, top: 1 });
    }

    #[test]
    fn jump_to_a_far_row_puts_it_in_the_middle() {
        let mut list = List::default();
        list.jump(56, 10);
        assert_eq!(
            list,
            List {
                cursor: 56,
                top: 51
            }
        );
        list.jump(57, 10);
        assert_eq!(list.top, 51);
    }
}
