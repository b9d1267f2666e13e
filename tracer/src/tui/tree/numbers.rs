//! Arrays of numbers in rows that fill the width.

use std::ops::Range;

use super::bytes::{self, DumpRow};
use super::leaf_text;
use crate::value::Value;

/// Most numbers of a row.
const MOST: usize = 64;

/// Returns true if all elements are numbers or the like. Some may be missing.
pub(super) fn are_numbers(items: &[Value]) -> bool {
    let is_number = |item: &Value| {
        matches!(
            item,
            Value::Int(..)
                | Value::Uint(_)
                | Value::Bool(_)
                | Value::Char(_)
                | Value::Float32(_)
                | Value::Float64(_)
                | Value::Nanoseconds(_)
        )
    };
    let mut missing = 0;
    items.iter().all(|item| {
        missing += usize::from(matches!(item, Value::Unavailable(_)));
        is_number(item) || matches!(item, Value::Unavailable(_))
    }) && missing < items.len()
}

/// A row, with the places of the elements that have changed.
pub(super) struct NumberRow {
    pub(super) row: DumpRow,
    pub(super) changed: Vec<Range<usize>>,
}

/// Rows of numbers in columns, beside the index. `before` has the elements of the event before.
pub(super) fn rows(
    items: &[Value],
    before: Option<&[Value]>,
    columns: usize,
    hex: bool,
) -> Vec<NumberRow> {
    let texts: Vec<String> = items.iter().map(|item| short(item, hex)).collect();
    let width = texts.iter().map(|text| text.chars().count()).max();
    let width = width.unwrap_or(1).max(1);
    let as_text = bytes::like_text(items);
    // A character each, and two bars.
    let (each, fixed) = match as_text {
        Some(_) => (width + 2, 2),
        None => (width + 1, 0),
    };
    let fits = columns.saturating_sub(fixed) / each;
    let count = match fits {
        0 => 1,
        fits if fits >= 20 => fits - fits % 10,
        fits if fits >= 8 => fits - fits % 4,
        fits => fits,
    };
    let count = count.min(MOST);
    texts
        .chunks(count)
        .enumerate()
        .map(|(row, chunk)| {
            let index = row * count;
            let (mut text, mut changed) = (String::new(), Vec::new());
            for (column, item) in chunk.iter().enumerate() {
                let at = index + column;
                text.push_str(&" ".repeat(width - item.chars().count()));
                let start = text.len();
                text.push_str(item);
                if before.is_some_and(|before| before.get(at) != items.get(at)) {
                    changed.push(start..text.len());
                }
                text.push(' ');
            }
            match as_text
                .as_ref()
                .and_then(|all| all.get(index..index + chunk.len()))
            {
                Some(part) => {
                    text.push_str(&" ".repeat((count - chunk.len()) * (width + 1)));
                    text.push('│');
                    text.extend(part.iter().map(|byte| bytes::printable(*byte)));
                    text.push('│');
                }
                None => text.truncate(text.trim_end().len()),
            }
            NumberRow {
                row: DumpRow { index, text },
                changed,
            }
        })
        .collect()
}

fn short(item: &Value, hex: bool) -> String {
    match item {
        Value::Unavailable(_) => "✗".into(),
        item => leaf_text(item, hex).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::unavailable::Unavailable;

    fn texts(rows: &[NumberRow]) -> Vec<(usize, &str)> {
        rows.iter()
            .map(|row| (row.row.index, row.row.text.as_str()))
            .collect()
    }

    #[test]
    fn numbers_stand_in_columns_of_one_width() {
        let items: Vec<Value> = (0..12).map(|n| Value::Int(n * 50 - 100, 32)).collect();
        let found = rows(&items, None, 30, false);
        assert_eq!(
            texts(&found),
            [
                (0, "-100  -50    0   50  100  150"),
                (6, " 200  250  300  350  400  450"),
            ]
        );
    }

    #[test]
    fn numbers_that_changed_are_marked_and_missing_ones_stay_in_place() {
        let old: Vec<Value> = (0..4).map(Value::Uint).collect();
        let mut new = old.clone();
        new[2] = Value::Uint(9);
        new[3] = Value::Unavailable(Unavailable::NoRoom);
        let found = rows(&new, Some(&old), 40, false);
        assert_eq!(texts(&found), [(0, "0 1 9 ✗")]);
        assert_eq!(found[0].changed, [4..5, 6..9]);
        assert!(are_numbers(&new) && !are_numbers(&new[3..]));
    }

    #[test]
    fn numbers_that_may_be_text_have_it_beside_them() {
        let items: Vec<Value> = b"GET /a"
            .iter()
            .map(|byte| Value::Uint((*byte).into()))
            .collect();
        let found = rows(&items, None, 18, false);
        assert_eq!(
            texts(&found),
            [(0, "71 69 84 32 │GET │"), (4, "47 97       │/a│")]
        );
    }
}
