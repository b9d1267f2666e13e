//! Answers as an assistant sees them: JSON without control characters, in pages of bounded size.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::base::visible::Visible;
use crate::event::{Aggregate, Event};
use crate::mcp::limits::{CUT_MEMBERS, CUT_TEXT, ITEM_BYTES, PAGE_BYTES, PAGE_ITEMS, USUAL_ITEMS};
use crate::session::ProbeStatus;
use crate::sink::Sink as _;
use crate::sink::json::{JsonSink, event_line};

/// The JSON of a value. Control characters in its texts are escapes (`\u{1b}`), also once the JSON is parsed.
pub(super) fn shown(value: &impl Serialize) -> Value {
    // Values of ours have no keys but texts.
    let mut value = serde_json::to_value(value).unwrap_or_default();
    escape(&mut value);
    value
}

/// An event, as `--output json` has it.
pub(super) fn shown_event(event: &Event) -> Map<String, Value> {
    parsed(event_line(event).as_bytes())
}

/// The aggregate of a probe, as `--output json` has it.
pub(super) fn shown_aggregate(aggregate: &Aggregate, time_ns: u64) -> Map<String, Value> {
    let mut line = Vec::new();
    // Writing to memory does not fail.
    let _ = JsonSink::new(&mut line).aggregate(aggregate, time_ns);
    parsed(&line)
}

/// The summary of a probe, as `--output json` has it.
pub(super) fn shown_summary(probe: &ProbeStatus) -> Map<String, Value> {
    let mut line = Vec::new();
    // As above.
    let _ = JsonSink::new(&mut line).summary(probe);
    parsed(&line)
}

/// An object of a sink.
fn parsed(line: &[u8]) -> Map<String, Value> {
    let mut value = serde_json::from_slice(line).unwrap_or_default();
    escape(&mut value);
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// Escapes the texts of a value.
fn escape(value: &mut Value) {
    match value {
        Value::String(text) => {
            if text.chars().any(crate::base::visible::is_hostile) {
                *text = Visible(text).to_string();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(escape),
        Value::Object(object) => {
            let keys_are_plain = object
                .keys()
                .all(|key| !key.chars().any(crate::base::visible::is_hostile));
            if !keys_are_plain {
                let entries = std::mem::take(object).into_iter();
                *object = entries
                    .map(|(key, value)| (Visible(&key).to_string(), value))
                    .collect();
            }
            object.values_mut().for_each(escape);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Cuts the texts and lists of an item that is too large. The item says so.
fn cut_to_size(value: &mut Value) -> usize {
    let bytes = size_of_json(value);
    if bytes <= ITEM_BYTES {
        return bytes;
    }
    cut(value, 0);
    if let Value::Object(object) = value {
        object.insert("cut".into(), Value::Bool(true));
    }
    let bytes = size_of_json(value);
    if bytes <= ITEM_BYTES {
        return bytes;
    }
    if let Value::Object(object) = value {
        object.values_mut().for_each(empty);
    } else {
        empty(value);
    }
    size_of_json(value)
}

/// Leaves nothing in a list or object.
fn empty(value: &mut Value) {
    match value {
        Value::Array(items) => items.clear(),
        Value::Object(object) => object.clear(),
        _ => {}
    }
}

/// Levels of an item that is cut.
const CUT_LEVELS: u32 = 6;

fn cut(value: &mut Value, level: u32) {
    match value {
        Value::String(text) => cut_text(text, CUT_TEXT),
        Value::Array(_) | Value::Object(_) if level == CUT_LEVELS => *value = Value::from("…"),
        Value::Array(items) => {
            items.truncate(CUT_MEMBERS);
            items.iter_mut().for_each(|item| cut(item, level + 1));
        }
        Value::Object(object) => {
            // The keys of an event and of a step are fewer.
            let most = CUT_MEMBERS * 2;
            if object.len() > most {
                *object = std::mem::take(object).into_iter().take(most).collect();
            }
            object.values_mut().for_each(|one| cut(one, level + 1));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Cuts a text to a number of bytes, and marks it with `…`.
pub(super) fn cut_text(text: &mut String, most: usize) {
    if text.len() > most {
        let end = (0..=most).rev().find(|&end| text.is_char_boundary(end));
        text.truncate(end.unwrap_or_default());
        text.push('…');
    }
}

fn size_of_json(value: &Value) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // Counting does not fail.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

/// A page of items, which takes them while there is room.
#[derive(Debug)]
pub(super) struct AnswerPage {
    pub(super) items: Vec<Value>,
    most: usize,
    bytes: usize,
}

impl AnswerPage {
    /// A page of at most so many items. `None` stands for the usual number.
    pub(super) fn new(limit: Option<u64>) -> Self {
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        Self {
            items: Vec::new(),
            most: limit.unwrap_or(USUAL_ITEMS).clamp(1, PAGE_ITEMS),
            bytes: 0,
        }
    }

    /// The most items that it takes.
    pub(super) const fn most(&self) -> usize {
        self.most
    }

    /// Takes an item. Returns false if there is no room for it. The first one has room.
    pub(super) fn push(&mut self, mut item: Value) -> bool {
        if self.items.len() >= self.most {
            return false;
        }
        let bytes = cut_to_size(&mut item);
        if !self.items.is_empty() && self.bytes + bytes > PAGE_BYTES {
            return false;
        }
        self.bytes += bytes;
        self.items.push(item);
        true
    }

    /// Takes items from an offset on. Returns the offset of the next page, if there are more items.
    pub(super) fn fill<T>(
        &mut self,
        all: &[T],
        offset: Option<u64>,
        show: impl Fn(&T) -> Value,
    ) -> Option<u64> {
        let start = usize::try_from(offset.unwrap_or(0)).unwrap_or(usize::MAX);
        let rest = all.get(start..).unwrap_or_default();
        let taken = rest.iter().take_while(|item| self.push(show(item))).count();
        (taken < rest.len()).then(|| (start + taken) as u64)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_escaped_once_they_are_parsed_too() {
        let value = json!({ "a\u{1b}": ["\u{202e}x", { "b": "line\nline" }], "plain": "é" });
        assert_eq!(
            shown(&value),
            json!({ "a\\u{1b}": ["\\u{202e}x", { "b": "line\\nline" }], "plain": "é" })
        );
    }

    #[test]
    fn page_is_bounded_in_items_and_bytes() {
        let mut page = AnswerPage::new(Some(3));
        let all: Vec<u32> = (0..10).collect();
        assert_eq!(page.fill(&all, Some(8), |n| json!(n)), None);
        assert_eq!(page.items, [json!(8), json!(9)]);
        let mut page = AnswerPage::new(Some(3));
        assert_eq!(page.fill(&all, None, |n| json!(n)), Some(3));
        let mut page = AnswerPage::new(Some(1 << 40));
        let texts = vec!["x".repeat(ITEM_BYTES - 2); 5];
        assert_eq!(page.fill(&texts, None, |text| json!(text)), Some(2));
        assert!(page.fill(&all, Some(u64::MAX), |n| json!(n)).is_none());
    }

    #[test]
    fn large_item_is_cut_and_says_so() {
        let mut page = AnswerPage::new(None);
        page.push(json!({ "message": "é".repeat(ITEM_BYTES), "values": vec!["x"; 100] }));
        let item = &page.items[0];
        assert_eq!(item["cut"], json!(true));
        assert!(
            item["message"]
                .as_str()
                .is_some_and(|text| text.len() <= CUT_TEXT + 3)
        );
        assert_eq!(item["values"].as_array().map(Vec::len), Some(CUT_MEMBERS));
        let wide = vec![vec![vec!["y".repeat(200); 16]; 16]; 16];
        page.push(json!({ "wide": wide, "line": 7 }));
        assert_eq!(page.items[1], json!({ "wide": [], "line": 7, "cut": true }));
    }
}
