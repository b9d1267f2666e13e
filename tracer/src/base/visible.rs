//! Characters of foreign text that a terminal must not get, and their visible form.
//!
//! Control characters move the cursor, set colours and answer queries. Zero-width and bidirectional
//! characters disguise a text. Names, paths and memory of the target can contain all of them.

use std::fmt::{self, Write};

/// True if the character is shown as an escape.
#[must_use]
pub fn is_hostile(c: char) -> bool {
    c.is_control() || reorders_or_hides(u32::from(c))
}

/// Zero-width and bidirectional control characters, which disguise a text.
pub(crate) fn reorders_or_hides(code: u32) -> bool {
    matches!(code,
        0xad | 0x61c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e
        | 0x2060..=0x206f | 0x3164 | 0xfeff | 0xffa0 | 0xfff0..=0xfffb | 0xe0000..=0xe0fff)
}

/// The text on one line, with Rust's escapes (`\n`, `\u{1b}`) for hostile characters.
#[derive(Clone, Copy, Debug)]
pub struct Visible<'t>(pub &'t str);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some((at, c)) = rest.char_indices().find(|&(_, c)| is_hostile(c)) {
            f.write_str(rest.get(..at).unwrap_or_default())?;
            for escaped in c.escape_default() {
                f.write_char(escaped)?;
            }
            rest = rest.get(at + c.len_utf8()..).unwrap_or_default();
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_of_controls_is_their_escapes() {
        let text = "a\x1b[31m\n\u{9b}\u{202e}\u{7f}é日";
        assert_eq!(
            Visible(text).to_string(),
            "a\\u{1b}[31m\\n\\u{9b}\\u{202e}\\u{7f}é日"
        );
    }

    #[test]
    fn visible_of_plain_text_is_the_same() {
        assert_eq!(Visible("grüße \\ \"x\"").to_string(), "grüße \\ \"x\"");
        assert_eq!(Visible("").to_string(), "");
    }
}
