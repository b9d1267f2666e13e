//! The text of a step's source line, beside the step.

use std::path::PathBuf;
use std::sync::Arc;

use crate::base::visible::Visible;

/// Columns of a line with its source text.
const COLUMNS: usize = 120;
/// Column of the source text, unless the values before it are longer.
const AT: usize = 84;
/// Fewest columns of source text beside a step. With fewer, it stands on the next line.
const LEAST: usize = 24;
/// Columns of the mark before it.
const MARK: usize = 2;

/// The texts of source lines.
pub trait LineTexts: Send {
    /// The text of a line, from 1. `None` if it is not known, or not yet.
    fn line(&mut self, file: &Arc<PathBuf>, line: u64) -> Option<String>;
}

/// The place of a source text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LineTextPlace {
    /// On the line, after so many spaces.
    Beside { spaces: usize, text: String },
    /// On a line of its own.
    Below { text: String },
}

/// Puts the text of a source line beside a line with `used` columns. `below` is the column where it begins on a line of
/// its own. `None` if it says nothing.
pub(super) fn placed(source: &str, used: usize, below: usize) -> Option<LineTextPlace> {
    let text = source.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = Visible(&text).to_string();
    // A brace alone says nothing.
    if !text.contains(char::is_alphanumeric) {
        return None;
    }
    let at = AT.max(used + MARK);
    if at + MARK + LEAST <= COLUMNS {
        return Some(LineTextPlace::Beside {
            spaces: at - used,
            text: cut(&text, COLUMNS - at - MARK),
        });
    }
    let room = COLUMNS.saturating_sub(below + MARK).max(LEAST);
    Some(LineTextPlace::Below {
        text: cut(&text, room),
    })
}

/// The text in at most so many columns.
fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(columns.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_beside_the_step_within_the_columns_or_below_it() {
        let beside = |spaces, text: &str| {
            let text = text.to_owned();
            Some(LineTextPlace::Beside { spaces, text })
        };
        assert_eq!(placed("\tint  a = 1;", 60, 40), beside(24, "int a = 1;"));
        let long = "x".repeat(200);
        let cut = |columns: usize| format!("{}…", "x".repeat(columns - 1));
        assert_eq!(placed(&long, 60, 40), beside(24, &cut(120 - 84 - 2)));
        assert_eq!(placed(&long, 92, 40), beside(2, &cut(120 - 94 - 2)));
        let below = cut(120 - 40 - 2);
        assert_eq!(
            placed(&long, 93, 40),
            Some(LineTextPlace::Below { text: below })
        );
        assert_eq!(placed("  }", 60, 40), None);
        assert_eq!(placed("", 60, 40), None);
    }
}
