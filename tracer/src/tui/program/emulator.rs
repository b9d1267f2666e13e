//! The screen that a program's output draws: a terminal emulator of its own.

use std::fmt;
use std::num::NonZeroU16;

use ratatui::layout::Size;
use vt100::{Callbacks, Parser, Screen};

/// Rows that are kept when they leave the screen. The oldest go first.
const SCROLLBACK: usize = 2000;
/// Columns at least. The emulator has no place for a wide character in fewer.
const COLUMNS: u16 = 2;
/// Bytes that are answered to one piece of output. Further questions stay open.
const ANSWERS: usize = 256;

/// A terminal emulator.
pub(in crate::tui) struct Emulator {
    parser: Parser<QuestionAnswers>,
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator")
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

impl Emulator {
    /// An empty screen.
    pub(in crate::tui) fn new(size: Size) -> Self {
        let (rows, columns) = cells(size);
        Self {
            parser: Parser::new_with_callbacks(
                rows,
                columns,
                SCROLLBACK,
                QuestionAnswers::default(),
            ),
        }
    }

    /// Draws what the program has written. Returns the answers to its questions, which are to be
    /// typed into its terminal.
    pub(in crate::tui) fn write(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.parser.process(bytes);
        std::mem::take(&mut self.parser.callbacks_mut().bytes)
    }

    /// Columns and rows.
    pub(in crate::tui) fn size(&self) -> Size {
        let (rows, columns) = self.parser.screen().size();
        Size::new(columns.get(), rows.get())
    }

    /// Takes another size. Returns false if it has that size.
    pub(in crate::tui) fn resize(&mut self, size: Size) -> bool {
        let (rows, columns) = cells(size);
        let is_new = self.parser.screen().size() != (rows, columns);
        if is_new {
            self.parser.set_size(rows, columns);
        }
        is_new
    }

    /// Goes back by this many rows, or forth.
    pub(in crate::tui) fn scroll(&mut self, back: isize) {
        let screen = self.parser.screen_mut();
        let rows = screen.scrollback().saturating_add_signed(back);
        screen.set_scrollback(rows);
    }

    /// Rows between the screen's present view and the newest one.
    pub(in crate::tui) fn rows_back(&self) -> usize {
        self.parser.screen().scrollback()
    }

    /// The screen, at its present view.
    pub(in crate::tui) fn screen(&self) -> &Screen {
        self.parser.screen()
    }
}

fn cells(size: Size) -> (NonZeroU16, NonZeroU16) {
    let rows = NonZeroU16::new(size.height).unwrap_or(NonZeroU16::MIN);
    let columns = NonZeroU16::new(size.width.max(COLUMNS)).unwrap_or(NonZeroU16::MIN);
    (rows, columns)
}

/// QuestionAnswers to what programs ask a terminal: whether it works, where its cursor is, what it is.
#[derive(Debug, Default)]
struct QuestionAnswers {
    bytes: Vec<u8>,
}

impl Callbacks for QuestionAnswers {
    fn unhandled_csi(
        &mut self,
        screen: &mut Screen,
        first: Option<u8>,
        _second: Option<u8>,
        params: &[&[u16]],
        last: char,
    ) {
        let param = params
            .first()
            .and_then(|one| one.first())
            .copied()
            .unwrap_or(0);
        let answer = match (first, param, last) {
            (None, 5, 'n') => "\x1b[0n".to_owned(),
            (None, 6, 'n') => {
                let (row, column) = screen.cursor_position();
                let (_, columns) = screen.size();
                // A cursor behind the last column waits for the next character there.
                let column = column.min(columns.get().saturating_sub(1));
                format!("\x1b[{};{}R", u32::from(row) + 1, u32::from(column) + 1)
            }
            // A VT100 with the advanced video option, as `screen` and `tmux` say.
            (None, 0, 'c') => "\x1b[?1;2c".to_owned(),
            (Some(b'>'), 0, 'c') => "\x1b[>0;0;0c".to_owned(),
            _ => return,
        };
        if self.bytes.len() + answer.len() <= ANSWERS {
            self.bytes.extend(answer.into_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn emulator(columns: u16, rows: u16) -> Emulator {
        Emulator::new(Size::new(columns, rows))
    }

    fn row(emulator: &Emulator, row: usize) -> String {
        let (_, columns) = emulator.screen().size();
        let mut rows = emulator.screen().rows(0, columns.get());
        rows.nth(row).unwrap_or_default()
    }

    #[test]
    fn carriage_return_colour_and_cursor_movement_are_drawn() {
        let mut emulator = emulator(20, 4);
        emulator.write(b"10 %\r100 %\r\n\x1b[31mred\x1b[0m\x1b[4;3Hdown");
        assert_eq!(row(&emulator, 0), "100 %");
        assert_eq!(row(&emulator, 3), "  down");
        let cell = emulator.screen().cell(1, 0).unwrap();
        assert_eq!(cell.contents(), "r");
        assert_eq!(cell.fgcolor(), vt100::Color::Idx(1));
    }

    #[test]
    fn rows_that_left_the_screen_are_kept_up_to_a_bound() {
        let mut emulator = emulator(10, 3);
        for line in 0..SCROLLBACK + 100 {
            emulator.write(format!("line {line}\r\n").as_bytes());
        }
        emulator.scroll(2);
        assert_eq!(emulator.rows_back(), 2);
        assert_eq!(row(&emulator, 0), format!("line {}", SCROLLBACK + 96));
        emulator.scroll(isize::MAX / 2);
        assert_eq!(emulator.rows_back(), SCROLLBACK);
        emulator.scroll(isize::MIN / 2);
        assert_eq!(emulator.rows_back(), 0);
    }

    #[test]
    fn questions_are_answered_and_a_flood_of_them_is_bounded() {
        let mut emulator = emulator(10, 3);
        assert_eq!(emulator.write(b"\x1b[2;4H\x1b[6n"), b"\x1b[2;4R");
        assert_eq!(emulator.write(b"\x1b[5n\x1b[c"), b"\x1b[0n\x1b[?1;2c");
        assert!(emulator.write(b"plain").is_empty());
        let flood = "\x1b[6n".repeat(10_000);
        assert!(emulator.write(flood.as_bytes()).len() <= ANSWERS);
    }

    /// Pieces of output that move, draw and erase.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            (
                "[?> !]?",
                proptest::collection::vec(0u32..70_000, 0..4),
                "[@-~]"
            )
                .prop_map(|(first, params, last)| {
                    let params: Vec<String> = params.iter().map(u32::to_string).collect();
                    format!("\x1b[{first}{}{last}", params.join(";")).into_bytes()
                }),
            "\x1b[78cDEHMgZ=>]".prop_map(String::into_bytes),
            "(日|é|e\u{301}\u{301}|👩\u{200d}👩|\u{fe0f}|x|\t|\n|\r|\u{8}){1,60}"
                .prop_map(String::into_bytes),
            Just(b"\x1b[?1049h".to_vec()),
            Just(b"\x1b[?1049l".to_vec()),
        ]
    }

    proptest! {
        #[test]
        fn output_and_sizes_of_any_kind_do_not_panic(
            steps in proptest::collection::vec((piece(), 1u16..40, 1u16..12, 0isize..30, 0u8..4), 1..60),
        ) {
            let mut emulator = emulator(10, 4);
            for (bytes, width, height, back, resize) in steps {
                emulator.write(&bytes);
                if resize == 0 {
                    emulator.resize(Size::new(width, height));
                }
                emulator.scroll(back - 15);
                let size = emulator.size();
                for row in 0..size.height {
                    for column in 0..size.width {
                        let _ = emulator.screen().cell(row, column).map(vt100::Cell::contents);
                    }
                }
            }
        }
    }
}
