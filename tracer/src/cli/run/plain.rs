//! A program's terminal output as plain text: without its control characters and escape sequences.

use crate::base::visible::is_hostile;

/// Bytes of a character that may be incomplete at the end of a piece.
const CHARACTER: usize = 4;

/// Makes plain text of pieces of output.
#[derive(Debug, Default)]
pub(super) struct PlainText {
    place: OutputPlace,
    /// The beginning of a character whose rest has not come.
    begun: Vec<u8>,
    /// A carriage return came last: a line feed may follow.
    returned: bool,
}

/// The place in the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum OutputPlace {
    #[default]
    Text,
    /// Behind ESC.
    Escape,
    /// In a sequence that ends with a letter.
    Sequence,
    /// In a string, which BEL or ESC \\ ends.
    String,
    /// Behind ESC in a string.
    StringEscape,
}

impl PlainText {
    /// The text of the next piece. Lines that return to their start begin anew below.
    pub(super) fn push(&mut self, piece: &[u8]) -> String {
        let mut bytes = std::mem::take(&mut self.begun);
        bytes.extend_from_slice(piece);
        let mut out = String::with_capacity(bytes.len());
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (valid, bad) = match std::str::from_utf8(rest) {
                Ok(all) => (all, None),
                Err(error) => {
                    let valid = rest.get(..error.valid_up_to()).unwrap_or_default();
                    let valid = std::str::from_utf8(valid).unwrap_or_default();
                    (valid, Some(error.error_len()))
                }
            };
            valid.chars().for_each(|c| self.take(c, &mut out));
            rest = rest.get(valid.len()..).unwrap_or_default();
            match bad {
                None => {}
                Some(None) if rest.len() < CHARACTER => {
                    self.begun = rest.to_vec();
                    rest = &[];
                }
                Some(length) => {
                    self.take(char::REPLACEMENT_CHARACTER, &mut out);
                    rest = rest.get(length.unwrap_or(1)..).unwrap_or_default();
                }
            }
        }
        out
    }

    fn take(&mut self, c: char, out: &mut String) {
        self.place = match (self.place, c) {
            (OutputPlace::String, '\u{7}') | (OutputPlace::StringEscape, '\\') => OutputPlace::Text,
            (OutputPlace::String | OutputPlace::StringEscape, '\u{1b}') => {
                OutputPlace::StringEscape
            }
            (OutputPlace::String | OutputPlace::StringEscape, _) => OutputPlace::String,
            (_, '\u{1b}') => OutputPlace::Escape,
            (OutputPlace::Escape, '[') => OutputPlace::Sequence,
            (OutputPlace::Escape, ']' | 'P' | 'X' | '^' | '_') => OutputPlace::String,
            // Intermediate characters, as of `ESC ( B`.
            (OutputPlace::Escape, ' '..='/') => OutputPlace::Escape,
            (OutputPlace::Escape, _) => OutputPlace::Text,
            (OutputPlace::Sequence, '@'..='~') => OutputPlace::Text,
            (OutputPlace::Sequence, ' '..='?') => OutputPlace::Sequence,
            (OutputPlace::Text | OutputPlace::Sequence, _) => {
                self.write(c, out);
                OutputPlace::Text
            }
        };
    }

    fn write(&mut self, c: char, out: &mut String) {
        let returned = std::mem::replace(&mut self.returned, c == '\r');
        match c {
            '\n' => out.push('\n'),
            '\r' => {}
            _ => {
                if returned {
                    out.push('\n');
                }
                if c == '\t' || !is_hostile(c) {
                    out.push(c);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_kept_and_sequences_are_left_out() {
        let mut plain = PlainText::default();
        let text = "\x1b[1;31mred\x1b[0m\tand é\r\n\x1b]0;title\x07x\x1b]52;c;AA\x1b\\y\x1b(Bz\x1bcq\u{202e}\u{9b}31m";
        assert_eq!(plain.push(text.as_bytes()), "red\tand é\nxyzq31m");
        assert_eq!(plain.push(b"10 %\r20 %\r\n\r\r\n"), "10 %\n20 %\n\n");
    }

    #[test]
    fn characters_and_sequences_that_are_cut_are_whole_again() {
        let text = "日本\x1b[1mé\x1b]0;t\x1b\\\r\nend".as_bytes();
        for at in 0..text.len() {
            let mut plain = PlainText::default();
            let (first, second) = text.split_at(at);
            let whole = plain.push(first) + &plain.push(second);
            assert_eq!(whole, "日本é\nend", "{at}");
        }
        let mut plain = PlainText::default();
        assert_eq!(plain.push(b"\xff\xe6\x97x"), "\u{fffd}\u{fffd}x");
    }

    proptest! {
        #[test]
        fn no_control_character_is_written(pieces in proptest::collection::vec(any::<Vec<u8>>(), 0..8)) {
            let mut plain = PlainText::default();
            for piece in pieces {
                let text = plain.push(&piece);
                prop_assert!(text.chars().all(|c| matches!(c, '\n' | '\t') || !is_hostile(c)), "{text:?}");
            }
        }
    }
}
