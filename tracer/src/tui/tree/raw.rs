//! JSON laid out over rows. Every token stays as it is in the line.

use super::super::glyphs;
use crate::event::grouped;

/// Rows at most.
const ROWS: usize = 20_000;

/// A row of JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JsonRow {
    pub(super) depth: usize,
    pub(super) text: String,
}

/// The JSON in rows of at most `columns`, two for each level.
pub(super) fn rows(json: &str, columns: usize) -> Vec<JsonRow> {
    let mut layout = JsonLayout {
        json,
        ends: ends(json),
        columns: columns.max(24),
        rows: Vec::new(),
        line: String::new(),
        depth: 0,
        is_closed: false,
    };
    layout.lay_out();
    layout.rows
}

/// The offset of the bracket that closes each one, by the offset of the opening one.
fn ends(json: &str) -> std::collections::HashMap<usize, usize> {
    let (mut open, mut ends) = (Vec::new(), std::collections::HashMap::new());
    for (at, token) in (Tokens { json, at: 0 }) {
        match token {
            "{" | "[" => open.push(at),
            "}" | "]" => {
                if let Some(start) = open.pop() {
                    ends.insert(start, at);
                }
            }
            _ => {}
        }
    }
    ends
}

/// Brackets, commas, colons, and what stands between.
struct Tokens<'j> {
    json: &'j str,
    at: usize,
}

impl<'j> Iterator for Tokens<'j> {
    type Item = (usize, &'j str);

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let bytes = self.json.as_bytes().get(at..)?;
        let length = match bytes.first()? {
            b'"' => {
                let mut escaped = false;
                let end = bytes.iter().skip(1).position(|byte| {
                    let ends = *byte == b'"' && !escaped;
                    escaped = *byte == b'\\' && !escaped;
                    ends
                });
                end.map_or(bytes.len(), |end| end + 2)
            }
            b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
            _ => bytes
                .iter()
                .position(|byte| b"{}[],:\"".contains(byte))
                .unwrap_or(bytes.len()),
        };
        self.at += length;
        Some((at, self.json.get(at..at + length)?))
    }
}

struct JsonLayout<'j> {
    json: &'j str,
    ends: std::collections::HashMap<usize, usize>,
    columns: usize,
    rows: Vec<JsonRow>,
    line: String,
    depth: usize,
    /// The line ends with the bracket of an element that takes several rows.
    is_closed: bool,
}

impl JsonLayout<'_> {
    fn lay_out(&mut self) {
        let json = self.json;
        let mut tokens = Tokens { json, at: 0 };
        // One for each open bracket: it is that of an array.
        let mut arrays: Vec<bool> = Vec::new();
        while let Some((at, token)) = tokens.next() {
            if self.rows.len() >= ROWS {
                let left = json.len().saturating_sub(at) as u64;
                self.rows.push(JsonRow {
                    depth: 0,
                    text: format!("… {} more bytes", grouped(left)),
                });
                return;
            }
            match token {
                "{" | "[" => {
                    let end = self.ends.get(&at).copied().unwrap_or(at);
                    let whole = json.get(at..=end).unwrap_or(token);
                    if arrays.last() == Some(&true) && !self.line.is_empty() && !self.fits(whole) {
                        self.end_line();
                    }
                    if self.fits(whole) {
                        self.line.push_str(whole);
                        tokens.at = end + 1;
                        continue;
                    }
                    self.line.push_str(token);
                    self.end_line();
                    self.depth += 1;
                    arrays.push(token == "[");
                }
                "}" | "]" => {
                    self.end_line();
                    self.depth = self.depth.saturating_sub(1);
                    arrays.pop();
                    self.line.push_str(token);
                    self.is_closed = true;
                }
                "," => {
                    self.line.push(',');
                    if arrays.last() == Some(&true) && !self.is_closed {
                        self.line.push(' ');
                    } else {
                        self.end_line();
                    }
                }
                ":" => self.line.push_str(": "),
                scalar => {
                    if arrays.last() == Some(&true) && !self.fits(scalar) {
                        self.end_line();
                    }
                    self.line.push_str(scalar);
                }
            }
        }
        self.end_line();
    }

    /// Returns true if the text and a comma have room on the line.
    fn fits(&self, text: &str) -> bool {
        let room = self.columns.saturating_sub(2 * self.depth).max(16);
        // As many columns as bytes is the most that text takes.
        let used = glyphs::width(&self.line, room);
        text.len() <= 4 * room && used + 1 + glyphs::width(text, room) <= room
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.is_closed = false;
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        let room = self.columns.saturating_sub(2 * self.depth).max(16);
        for (row, text) in glyphs::wrap(line, room, ROWS).into_iter().enumerate() {
            self.rows.push(JsonRow {
                depth: self.depth + usize::from(row > 0),
                text,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: &str, columns: usize) -> Vec<String> {
        rows(json, columns)
            .iter()
            .map(|row| format!("{}{}", "  ".repeat(row.depth), row.text))
            .collect()
    }

    #[test]
    fn json_that_fits_stays_on_its_line_and_arrays_fill_lines() {
        let json = r#"{"type":"event","values":[{"expr":"a","value":[1,2,3]},{"expr":"b"}],"n":[10,20,30,40,50,60,70,80]}"#;
        assert_eq!(
            shown(json, 30),
            [
                "{",
                r#"  "type": "event","#,
                r#"  "values": ["#,
                "    {",
                r#"      "expr": "a","#,
                r#"      "value": [1,2,3]"#,
                "    },",
                r#"    {"expr":"b"}"#,
                "  ],",
                r#"  "n": ["#,
                "    10, 20, 30, 40, 50, 60,",
                "    70, 80",
                "  ]",
                "}"
            ]
        );
    }

    #[test]
    fn json_that_is_too_long_says_how_much_is_left_out() {
        let json = format!("[{}0]", "{\"a\":[1,2,3,4,5,6,7,8]},".repeat(ROWS));
        let shown = shown(&json, 24);
        assert!(shown.len() <= ROWS + 8, "{}", shown.len());
        let last = shown.last().expect("rows");
        assert!(last.ends_with(" more bytes"), "{last}");
    }

    #[test]
    fn json_of_brackets_in_strings_and_of_no_end_is_laid_out() {
        assert_eq!(shown(r#"["a\"]{","b"]"#, 30), [r#"["a\"]{","b"]"#]);
        for text in ["[", "]", "{\"", "{\"a", "", ",,", "[[[[[[[["] {
            shown(text, 10);
        }
    }
}
