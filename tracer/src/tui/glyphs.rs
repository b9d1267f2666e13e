//! Text from outside made fit for a terminal: the one way to the screen.
//!
//! Whatever the target, its debug information or its paths hold, a cell of the
//! screen gets printable characters of known width only: control characters,
//! escape sequences and characters that reorder text become visible forms.
//! Styles and places are for [`super::view`] to choose.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthChar;

use crate::base::visible::reorders_or_hides;

/// Columns between tab stops in source text.
pub(super) const TAB: usize = 4;
/// Most combining marks of one cell. Further ones are dropped.
const MARKS: usize = 3;

/// One character as it is displayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Glyph {
    /// Never a control character, nor one that reorders text.
    pub(super) ch: char,
    /// Columns: 0 (goes on the cell before), 1 or 2.
    pub(super) width: u8,
    /// Byte offset of its character in the text.
    pub(super) at: usize,
}

/// The glyphs of a text, in order. Tabs become `␉`.
pub(super) fn glyphs(text: &str) -> impl Iterator<Item = Glyph> + '_ {
    text.char_indices()
        .flat_map(|(at, ch)| Expanded::new(ch).map(move |(ch, width)| Glyph { ch, width, at }))
}

/// Columns that a text takes, counted up to `limit` and not beyond.
pub(super) fn width(text: &str, limit: usize) -> usize {
    let mut sum = 0;
    for glyph in glyphs(text) {
        sum += usize::from(glyph.width);
        if sum >= limit {
            return limit;
        }
    }
    sum
}

/// Columns that source text takes, tabs at their stops, counted up to `limit`.
pub(super) fn columns(text: &str, limit: usize) -> usize {
    let mut column = 0;
    for glyph in glyphs(text) {
        let tab = glyph.ch == '␉' && text.as_bytes().get(glyph.at) == Some(&b'\t');
        column += if tab {
            TAB - column % TAB
        } else {
            usize::from(glyph.width)
        };
        if column >= limit {
            return limit;
        }
    }
    column
}

/// A text cut into rows of at most `columns`, at its line ends too. There are at most `most` rows.
pub(super) fn wrap(text: &str, columns: usize, most: usize) -> Vec<String> {
    let columns = columns.max(8);
    let mut rows = Vec::new();
    for line in text.split('\n') {
        let (mut start, mut used) = (0, 0);
        for glyph in glyphs(line) {
            used += usize::from(glyph.width);
            if used > columns && glyph.at > start {
                rows.push(line.get(start..glyph.at).unwrap_or("").to_owned());
                start = glyph.at;
                used = usize::from(glyph.width);
            }
            if rows.len() >= most {
                rows.push("…".into());
                return rows;
            }
        }
        rows.push(line.get(start..).unwrap_or("").to_owned());
        if rows.len() >= most {
            rows.truncate(most);
            rows.push("…".into());
            break;
        }
    }
    rows
}

/// The visible form of one character, maybe several long.
struct Expanded {
    chars: [char; 8],
    len: u8,
    next: u8,
    width: Option<u8>,
}

impl Expanded {
    fn new(ch: char) -> Self {
        let mut this = Self {
            chars: [' '; 8],
            len: 1,
            next: 0,
            width: None,
        };
        match u32::from(ch) {
            // The pictures of the control characters stand in the same order.
            code @ 0..=0x1f => this.chars[0] = char::from_u32(0x2400 + code).unwrap_or('?'),
            0x7f => this.chars[0] = '␡',
            // Presentation selectors change no meaning, but terminals disagree about their width.
            0xfe00..=0xfe0f => this.len = 0,
            code if reorders_or_hides(code) || (0x80..0xa0).contains(&code) => this.spell(code),
            _ => {
                this.chars[0] = ch;
                match ch.width() {
                    Some(width) => this.width = u8::try_from(width.min(2)).ok(),
                    None => this.spell(u32::from(ch)),
                }
            }
        }
        this
    }

    /// `‹202e›`
    fn spell(&mut self, code: u32) {
        let digits = if code > 0xffff {
            5
        } else if code > 0xff {
            4
        } else {
            2
        };
        self.chars[0] = '‹';
        for i in 0..digits {
            let digit = (code >> (4 * (digits - 1 - i))) & 0xf;
            self.chars[i as usize + 1] = char::from_digit(digit, 16).unwrap_or('?');
        }
        self.chars[digits as usize + 1] = '›';
        self.len = digits as u8 + 2;
        self.width = None;
    }
}

impl Iterator for Expanded {
    type Item = (char, u8);

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.len {
            return None;
        }
        let ch = self.chars[usize::from(self.next)];
        self.next += 1;
        Some((ch, self.width.unwrap_or(1)))
    }
}

/// Writes on one row of the screen, from left to right, never past its end.
pub(super) struct Pen<'a> {
    buffer: &'a mut Buffer,
    x: u16,
    y: u16,
    right: u16,
    /// Columns still to be swallowed: how far the row is scrolled to the right.
    skip: usize,
    /// Column of the text, for tab stops.
    column: usize,
}

impl<'a> Pen<'a> {
    /// A pen at the start of row `row` of an area. Off the screen it writes no text.
    pub(super) fn new(buffer: &'a mut Buffer, area: Rect, row: u16) -> Self {
        let area = area.intersection(buffer.area);
        let inside = row < area.height;
        let y = if inside { area.y + row } else { area.y };
        let right = if inside { area.right() } else { area.x };
        Self {
            buffer,
            x: area.x,
            y,
            right,
            skip: 0,
            column: 0,
        }
    }

    /// Skips the first `columns` of the text that follows.
    pub(super) fn scrolled(mut self, columns: usize) -> Self {
        self.skip = columns;
        self
    }

    /// Columns left on the row.
    pub(super) fn room(&self) -> usize {
        usize::from(self.right.saturating_sub(self.x))
    }

    /// The column of the screen that is written next.
    pub(super) fn x(&self) -> u16 {
        self.x
    }

    /// Writes text as far as it fits.
    pub(super) fn text(&mut self, text: &str, style: impl Into<Style>) -> &mut Self {
        let style = style.into();
        self.painted(text, |_| style)
    }

    /// Writes text whose style depends on the byte offset. Tabs go to the next stop.
    pub(super) fn painted(&mut self, text: &str, style: impl Fn(usize) -> Style) -> &mut Self {
        for glyph in glyphs(text) {
            if self.x >= self.right {
                break;
            }
            if glyph.ch == '␉' && text.as_bytes().get(glyph.at) == Some(&b'\t') {
                for _ in 0..TAB - self.column % TAB {
                    self.put(' ', 1, style(glyph.at));
                }
            } else {
                self.put(glyph.ch, glyph.width, style(glyph.at));
            }
        }
        self
    }

    /// Writes text in at most `columns`, its end replaced by `…` where it is longer.
    pub(super) fn fitted(
        &mut self,
        text: &str,
        columns: usize,
        style: impl Into<Style>,
    ) -> &mut Self {
        let style = style.into();
        self.fitted_painted(text, columns, |_| style)
    }

    /// Writes like [`Self::fitted`], with a style for each byte offset.
    pub(super) fn fitted_painted(
        &mut self,
        text: &str,
        columns: usize,
        style: impl Fn(usize) -> Style,
    ) -> &mut Self {
        let columns = columns.min(self.room());
        if columns == 0 {
            return self;
        }
        let cut = width(text, columns + 1) > columns;
        let limit = if cut { columns - 1 } else { columns };
        let (mut used, mut last) = (0, 0);
        for glyph in glyphs(text) {
            used += usize::from(glyph.width);
            if used > limit {
                break;
            }
            last = glyph.at;
            self.put(glyph.ch, glyph.width, style(glyph.at));
        }
        if cut {
            self.put('…', 1, style(last));
        }
        self
    }

    /// Writes the end of a text in at most `columns`, its start replaced by `…`.
    pub(super) fn fitted_tail(
        &mut self,
        text: &str,
        columns: usize,
        style: impl Into<Style>,
    ) -> &mut Self {
        let style = style.into();
        let columns = columns.min(self.room());
        let all: Vec<Glyph> = glyphs(text).collect();
        let whole: usize = all.iter().map(|glyph| usize::from(glyph.width)).sum();
        if whole <= columns {
            return self.text(text, style);
        }
        if columns == 0 {
            return self;
        }
        let mut used = 1;
        let mut from = all.len();
        for (i, glyph) in all.iter().enumerate().rev() {
            used += usize::from(glyph.width);
            if used > columns {
                break;
            }
            from = i;
        }
        self.put('…', 1, style);
        for glyph in &all[from..] {
            self.put(glyph.ch, glyph.width, style);
        }
        self
    }

    /// Writes blanks up to a column counted from the start of `area`.
    pub(super) fn blank_to(&mut self, x: u16, style: impl Into<Style>) -> &mut Self {
        let style = style.into();
        while self.x < x.min(self.right) {
            self.put(' ', 1, style);
        }
        self
    }

    /// Fills the row to its end.
    pub(super) fn fill(&mut self, ch: char, style: impl Into<Style>) -> &mut Self {
        let style = style.into();
        while self.x < self.right {
            self.put(ch, 1, style);
        }
        self
    }

    /// Goes to a column of the screen without writing.
    pub(super) fn go(&mut self, x: u16) -> &mut Self {
        self.x = x.max(self.buffer.area.x);
        self
    }

    fn put(&mut self, ch: char, width: u8, style: Style) {
        let columns = usize::from(width);
        self.column += columns;
        if self.skip > 0 && columns > 0 {
            // Half of a wide character is left over: a blank keeps the columns.
            let rest = columns.saturating_sub(self.skip);
            self.skip = self.skip.saturating_sub(columns);
            if rest == 0 {
                return;
            }
            return self.cell(' ', 1, style);
        }
        if columns == 0 {
            if self.skip == 0 {
                self.mark(ch);
            }
            return;
        }
        if self.room() < columns {
            return self.cell(' ', 1, style);
        }
        self.cell(ch, width, style);
    }

    fn cell(&mut self, ch: char, width: u8, style: Style) {
        if self.x >= self.right {
            return;
        }
        if let Some(cell) = self.buffer.cell_mut((self.x, self.y)) {
            cell.reset();
            cell.set_char(ch).set_style(style);
        }
        if width == 2
            && let Some(cell) = self.buffer.cell_mut((self.x + 1, self.y))
        {
            cell.reset();
            cell.set_style(style);
        }
        self.x += u16::from(width);
    }

    /// Puts a combining mark on the character before.
    fn mark(&mut self, ch: char) {
        let Some(mut x) = self.x.checked_sub(1) else {
            return;
        };
        let before = |x: u16, buffer: &Buffer| {
            buffer
                .cell((x, self.y))
                .map(|cell| cell.symbol().to_owned())
        };
        let Some(mut symbol) = before(x, self.buffer) else {
            return;
        };
        if symbol == " " && x > 0 {
            // The second half of a wide character carries nothing.
            let wide = before(x - 1, self.buffer).filter(|symbol| width(symbol, 3) == 2);
            if let Some(wide) = wide {
                x -= 1;
                symbol = wide;
            }
        }
        if symbol.chars().count() <= MARKS
            && let Some(cell) = self.buffer.cell_mut((x, self.y))
        {
            symbol.push(ch);
            cell.set_symbol(&symbol);
        }
    }
}

/// A count in few columns: `999`, `1,234`, `12.3k`, `4.56M`.
pub(super) fn short_count(n: u64) -> String {
    match n {
        0..=999 => n.to_string(),
        1_000..=9_999 => format!("{},{:03}", n / 1000, n % 1000),
        10_000..=999_999 => scaled(n, 1_000, 'k'),
        1_000_000..=999_999_999 => scaled(n, 1_000_000, 'M'),
        1_000_000_000..=999_999_999_999 => scaled(n, 1_000_000_000, 'G'),
        _ => scaled(n, 1_000_000_000_000, 'T'),
    }
}

fn scaled(n: u64, unit: u64, letter: char) -> String {
    let (whole, rest) = (n / unit, n % unit);
    match whole {
        0..=9 => format!("{whole}.{:02}{letter}", rest / (unit / 100)),
        10..=99 => format!("{whole}.{}{letter}", rest / (unit / 10)),
        _ => format!("{whole}{letter}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(text: &str, columns: u16) -> String {
        let area = Rect::new(0, 0, columns, 1);
        let mut buffer = Buffer::empty(area);
        Pen::new(&mut buffer, area, 0).fitted(text, usize::from(columns), Style::new());
        let mut out = String::new();
        let mut skip = 0;
        for cell in buffer.content() {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            out.push_str(cell.symbol());
            skip = width(cell.symbol(), 4).saturating_sub(1);
        }
        out.trim_end().to_owned()
    }

    #[test]
    fn glyphs_of_escape_sequences_are_visible_forms() {
        assert_eq!(row("a\x1b[31mred\x07\n\u{9b}2J", 40), "a␛[31mred␇␊‹9b›2J");
    }

    #[test]
    fn glyphs_of_bidirectional_controls_are_spelled_out() {
        assert_eq!(row("x\u{202e}y\u{200b}", 40), "x‹202e›y‹200b›");
    }

    #[test]
    fn pen_with_wide_characters_cuts_at_whole_ones() {
        assert_eq!(row("日本語", 6), "日本語");
        assert_eq!(row("日本語", 5), "日本…");
        assert_eq!(row("日本語", 4), "日…");
        assert_eq!(row("日本語", 1), "…");
    }

    #[test]
    fn pen_with_combining_marks_keeps_a_bounded_number() {
        assert_eq!(row("e\u{301}x", 5), "e\u{301}x");
        let zalgo: String = std::iter::once('e')
            .chain(std::iter::repeat_n('\u{301}', 1000))
            .collect();
        assert_eq!(row(&zalgo, 5).chars().count(), 1 + MARKS);
    }

    #[test]
    fn fitted_tail_keeps_the_end() {
        let area = Rect::new(0, 0, 10, 1);
        let mut buffer = Buffer::empty(area);
        Pen::new(&mut buffer, area, 0).fitted_tail("/usr/src/main.rs", 9, Style::new());
        assert_eq!(buffer, Buffer::with_lines(["…/main.rs "]));
    }

    #[test]
    fn painted_tabs_go_to_stops_also_when_scrolled() {
        let area = Rect::new(0, 0, 8, 1);
        let mut buffer = Buffer::empty(area);
        Pen::new(&mut buffer, area, 0)
            .scrolled(2)
            .painted("\ta\tb", |_| Style::new());
        assert_eq!(buffer, Buffer::with_lines(["  a   b "]));
    }

    #[test]
    fn wrap_cuts_at_columns_and_line_ends_and_is_bounded() {
        assert_eq!(wrap("0123456789\nab", 8, 9), ["01234567", "89", "ab"]);
        assert_eq!(wrap("日本語日本語", 8, 9), ["日本語日", "本語"]);
        assert_eq!(wrap(&"x".repeat(100_000), 10, 200).len(), 201);
        assert_eq!(wrap(&"\n".repeat(100_000), 10, 200).len(), 201);
    }

    #[test]
    fn short_count_of_any_size_fits_six_columns() {
        for (n, text) in [
            (0, "0"),
            (999, "999"),
            (1234, "1,234"),
            (12_345, "12.3k"),
            (1_234_567, "1.23M"),
            (u64::MAX, "18446744T"),
        ] {
            assert_eq!(short_count(n), text);
        }
    }

    proptest! {
        #[test]
        fn pen_with_any_text_writes_no_control_and_no_more_than_its_row(text in "\\PC*|.*", columns in 0u16..20, skip in 0usize..9) {
            let area = Rect::new(0, 0, 20, 2);
            let mut buffer = Buffer::empty(area);
            Pen::new(&mut buffer, Rect::new(0, 0, columns, 1), 0).scrolled(skip).text(&text, Style::new());
            for (i, cell) in buffer.content().iter().enumerate() {
                prop_assert!(!cell.symbol().chars().any(|c| c.is_control() || reorders_or_hides(u32::from(c))));
                if i >= usize::from(columns) {
                    prop_assert_eq!(cell.symbol(), " ");
                }
            }
        }
    }
}
