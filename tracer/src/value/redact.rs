//! Redacts values by the names that lead to them.
//!
//! A name is split into words (`apiKey`, `api_key` and `API_KEY` are all `api key`). It is redacted
//! if it contains the words of a pattern in a row. A pattern with `*` matches whole names. Decoded
//! values are redacted before a message is made of them.

use std::sync::Arc;

use crate::base::unavailable::Unavailable;
use crate::value::Value;

/// Names that are redacted by default.
const PATTERNS: [&str; 16] = [
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "secrets",
    "token",
    "tokens",
    "api_key",
    "apikey",
    "private_key",
    "access_key",
    "credential",
    "credentials",
    "authorization",
];
/// Levels of nested values. Deeper values are redacted with the value that contains them.
const DEPTH: u32 = 64;

/// The names whose values are redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redactor(Arc<[Pattern]>);

/// A pattern of names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// Words in a row, in lower case.
    Words(Vec<String>),
    /// The whole name, in lower case. `*` stands for any letters.
    Whole(Vec<char>),
}

impl Default for Redactor {
    /// The usual names of secrets.
    fn default() -> Self {
        Self::nothing().with(PATTERNS)
    }
}

impl Redactor {
    /// Redacts nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self(Arc::from([]))
    }

    /// Adds more names.
    #[must_use]
    pub fn with(&self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let more = names.into_iter().map(|name| Pattern::of(name.as_ref()));
        let is_any =
            |pattern: &Pattern| !matches!(pattern, Pattern::Words(words) if words.is_empty());
        let all = self.0.iter().cloned().chain(more.filter(is_any));
        Self(all.collect())
    }

    /// The names, as they can be given again.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let name = |pattern: &Pattern| match pattern {
            Pattern::Words(words) => words.join("_"),
            Pattern::Whole(letters) => letters.iter().collect(),
        };
        self.0.iter().map(name).collect()
    }

    /// Returns true if the value with that name is redacted.
    #[must_use]
    pub fn hides(&self, name: &str) -> bool {
        if self.0.is_empty() {
            return false;
        }
        // This runs for each name of each event, so it does not allocate.
        let is_whole =
            |pattern: &Pattern| matches!(pattern, Pattern::Whole(whole) if fits(name, whole));
        if self.0.iter().any(is_whole) {
            return true;
        }
        let mut words = Words::of(name);
        while let Some(first) = words.next() {
            let begins = |pattern: &Pattern| {
                let Pattern::Words(wanted) = pattern else {
                    return false;
                };
                let Some((head, more)) = wanted.split_first() else {
                    return false;
                };
                let mut words = words.clone();
                is_same(first, head)
                    && (more.iter())
                        .all(|wanted| words.next().is_some_and(|word| is_same(word, wanted)))
            };
            if self.0.iter().any(begins) {
                return true;
            }
        }
        false
    }

    /// Returns true if the fields of a tuple struct are redacted by its name, the only one that they have. Such fields
    /// have numbers; `first` is that of the first.
    #[must_use]
    pub fn hides_tuple(&self, name: &str, first: Option<&str>) -> bool {
        let is_number = |field: &str| field.bytes().all(|byte| byte.is_ascii_digit());
        first.is_some_and(|field| !field.is_empty() && is_number(field)) && self.hides(name)
    }

    /// Returns true if an expression contains a redacted name.
    #[must_use]
    pub fn hides_expr(&self, expr: &str) -> bool {
        expr.split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(|name| self.hides(name))
    }

    /// Replaces the redacted parts of a value.
    pub fn value(&self, value: &mut Value, depth: u32) {
        if self.0.is_empty() {
            return;
        }
        if depth > DEPTH {
            *value = Value::Unavailable(Unavailable::Redacted);
            return;
        }
        let fields = |fields: &mut Vec<(String, Value)>| {
            for (name, value) in fields {
                self.named(name, value, depth);
            }
        };
        match value {
            Value::Struct(body) if self.hides_tuple(&body.name, first_of(&body.fields)) => {
                hide_all(&mut body.fields);
            }
            Value::Struct(body) => fields(&mut body.fields),
            Value::Variant(variant) if self.hides(&variant.name) => {
                hide_all(&mut variant.fields);
            }
            Value::Variant(variant) => fields(&mut variant.fields),
            Value::Range(range) => {
                for (name, value) in ["start", "end"].into_iter().zip(&mut **range) {
                    self.named(name, value, depth);
                }
            }
            Value::Tuple(items) => items
                .iter_mut()
                .for_each(|item| self.value(item, depth + 1)),
            Value::Sequence(items) => {
                for item in &mut items.items {
                    self.value(item, depth + 1);
                }
            }
            Value::Map(map) => {
                for (key, value) in &mut map.entries {
                    if self.hides_entry(key, depth) {
                        *value = Value::Unavailable(Unavailable::Redacted);
                    } else {
                        self.value(value, depth + 1);
                    }
                    self.value(key, depth + 1);
                }
            }
            Value::Pointer(pointer) => {
                if let Some(target) = &mut pointer.target {
                    self.value(target, depth + 1);
                }
            }
            _ => {}
        }
    }

    /// Returns true if the value of a map's entry is redacted: a text or a variant's name in the key is a redacted name,
    /// or the key was not read, so that its name is unknown.
    fn hides_entry(&self, key: &Value, depth: u32) -> bool {
        if depth > DEPTH {
            return true;
        }
        let hides = |part: &Value| self.hides_entry(part, depth + 1);
        let any = |fields: &[(String, Value)]| fields.iter().any(|(_, field)| hides(field));
        match key {
            Value::Text(text) => {
                text.cut.is_some() || self.hides(&String::from_utf8_lossy(&text.bytes))
            }
            Value::Variant(variant) => self.hides(&variant.name) || any(&variant.fields),
            Value::Struct(body) => any(&body.fields),
            Value::Tuple(parts) => parts.iter().any(hides),
            Value::Sequence(sequence) if sequence.cut.is_some() => true,
            Value::Sequence(sequence) => match bytes_of(&sequence.items) {
                Some(bytes) => self.hides(&String::from_utf8_lossy(&bytes)),
                None => sequence.items.iter().any(hides),
            },
            Value::Pointer(pointer) => match &pointer.target {
                Some(target) => hides(target),
                None => pointer.transparent && pointer.address != 0,
            },
            Value::Unavailable(why) => *why != Unavailable::Null,
            _ => false,
        }
    }

    fn named(&self, name: &str, value: &mut Value, depth: u32) {
        if self.hides(name) {
            *value = Value::Unavailable(Unavailable::Redacted);
        } else {
            self.value(value, depth + 1);
        }
    }
}

fn first_of(fields: &[(String, Value)]) -> Option<&str> {
    fields.first().map(|(name, _)| name.as_str())
}

fn hide_all(fields: &mut [(String, Value)]) {
    for (_, value) in fields {
        *value = Value::Unavailable(Unavailable::Redacted);
    }
}

/// The text that a sequence of bytes is. `None` for other elements.
fn bytes_of(items: &[Value]) -> Option<Vec<u8>> {
    let byte = |item: &Value| match item {
        Value::Uint(byte) => u8::try_from(*byte).ok(),
        Value::Int(byte, _) => u8::try_from(*byte).ok(),
        Value::Char(byte) => u8::try_from(*byte).ok(),
        _ => None,
    };
    items.iter().map(byte).collect()
}

impl Pattern {
    fn of(text: &str) -> Self {
        if text.contains('*') {
            return Self::Whole(text.chars().flat_map(char::to_lowercase).collect());
        }
        Self::Words(words(text))
    }
}

/// Returns true if a pattern matches the whole name. Letters are compared one by one. On a
/// mismatch, the last `*` takes one more letter.
fn fits(name: &str, pattern: &[char]) -> bool {
    let mut letters = name.chars().flat_map(char::to_lowercase);
    let mut at = 0;
    let mut again = None;
    loop {
        if pattern.get(at) == Some(&'*') {
            at += 1;
            again = Some((at, letters.clone()));
            continue;
        }
        match (letters.next(), pattern.get(at)) {
            (None, None) => return true,
            (Some(letter), Some(wanted)) if letter == *wanted => at += 1,
            (None, _) => return false,
            _ => {
                let Some((behind, from)) = &mut again else {
                    return false;
                };
                from.next();
                (at, letters) = (*behind, from.clone());
            }
        }
    }
}

/// The words of a name, in lower case.
fn words(name: &str) -> Vec<String> {
    Words::of(name)
        .map(|word| word.chars().flat_map(char::to_lowercase).collect())
        .collect()
}

/// Returns true if a word equals one in lower case.
fn is_same(word: &str, lower: &str) -> bool {
    if word.is_ascii() {
        return word.eq_ignore_ascii_case(lower);
    }
    word.chars().flat_map(char::to_lowercase).eq(lower.chars())
}

/// The words of a name in its own spelling.
#[derive(Clone)]
struct Words<'a> {
    rest: &'a str,
    /// The character before the rest.
    before: char,
}

impl<'a> Words<'a> {
    const fn of(name: &'a str) -> Self {
        Self {
            rest: name,
            before: ' ',
        }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let skipped = self.rest.find(char::is_alphanumeric)?;
        if let Some(before) = self.rest.get(..skipped)?.chars().next_back() {
            self.before = before;
        }
        let word = self.rest.get(skipped..)?;
        let mut letters = word.char_indices().peekable();
        let mut end = word.len();
        while let Some((at, c)) = letters.next() {
            let follows = letters.peek().is_some_and(|(_, next)| next.is_lowercase());
            let begins = c.is_uppercase()
                && (self.before.is_lowercase()
                    || self.before.is_numeric()
                    || self.before.is_uppercase() && follows);
            if at > 0 && (begins || !c.is_alphanumeric()) {
                end = at;
                break;
            }
            self.before = c;
        }
        self.rest = word.get(end..)?;
        word.get(..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Cut, Map, Pointer, Sequence, Struct, Text, Variant};

    fn text(text: &str) -> Value {
        Value::Text(Text {
            bytes: text.as_bytes().to_vec(),
            cut: None,
        })
    }

    #[test]
    fn patterns_with_stars_are_for_whole_names() {
        let mine = Redactor::nothing().with(["card*", "*_PIN", "a*b*c", "**"].iter().take(3));
        for name in [
            "card",
            "cardNumber",
            "user_pin",
            "_pin",
            "abc",
            "a1b2b3c",
            "aBC",
        ] {
            assert!(mine.hides(name), "{name}");
        }
        for name in ["discard", "pin", "pins", "ab", "xabc", "a1b2b3", ""] {
            assert!(!mine.hides(name), "{name}");
        }
        assert!(Redactor::nothing().with(["*"]).hides("anything"));
    }

    #[test]
    fn names_of_secrets_are_found_in_every_spelling() {
        let usual = Redactor::default();
        for name in [
            "password",
            "user_password",
            "dbPassword",
            "PASSWORD_HASH",
            "authToken",
        ] {
            assert!(usual.hides(name), "{name}");
        }
        for name in ["API_KEY", "apiKey", "APIKey", "x-api-key"] {
            assert!(usual.hides(name), "{name}");
        }
        for name in ["tokenizer", "passwordless", "key", "secretary", ""] {
            assert!(!usual.hides(name), "{name}");
        }
    }

    #[test]
    fn own_names_are_added_and_nothing_lets_all_through() {
        let own = Redactor::default().with(["session id"]);
        assert!(own.hides("sessionId") && own.hides("password"));
        assert!(!Redactor::nothing().hides("password"));
    }

    #[test]
    fn secrets_are_replaced_wherever_they_are() {
        let inner = Value::Struct(Struct {
            name: "Login".into(),
            fields: vec![("user".into(), text("ada")), ("password".into(), text("x"))],
            has_more: false,
        });
        let map = Value::Map(Map {
            entries: vec![
                (text("Authorization"), text("Bearer")),
                (text("Host"), text("h")),
            ],
            cut: None,
        });
        let mut value = Value::Tuple(vec![inner, map]);
        let usual = Redactor::default();
        usual.value(&mut value, 0);
        let shown = format!("{value:?}");
        assert_eq!(shown.matches("Redacted").count(), 2, "{shown}");
        assert!(!shown.contains("Bearer"), "{shown}");
        assert!(usual.hides_expr("config.secret.len()") && !usual.hides_expr("request"));
    }

    fn variant(name: &str, fields: Vec<(String, Value)>) -> Value {
        Value::Variant(Variant {
            ty: "Key".into(),
            name: name.into(),
            line: None,
            fields,
            omitted: None,
        })
    }

    fn wrapper(name: &str, field: &str, value: Value) -> Value {
        Value::Struct(Struct {
            name: name.into(),
            fields: vec![(field.into(), value)],
            has_more: false,
        })
    }

    fn pointer(target: Option<Value>, transparent: bool) -> Value {
        Value::Pointer(Pointer {
            address: 4096,
            symbol: None,
            target: target.map(Box::new),
            transparent,
        })
    }

    fn bytes(text: &str, cut: Option<Cut>) -> Value {
        Value::Sequence(Sequence {
            items: text.bytes().map(|byte| Value::Uint(byte.into())).collect(),
            cut,
            set: false,
        })
    }

    /// Returns true if the value of an entry with that key is redacted.
    fn hides_entry_of(key: Value) -> bool {
        let mut map = Value::Map(Map {
            entries: vec![(key, text("zork"))],
            cut: None,
        });
        Redactor::default().value(&mut map, 0);
        !format!("{map:?}").contains(&format!("{:?}", text("zork")))
    }

    #[test]
    fn keys_of_each_kind_are_names() {
        for key in [
            text("password"),
            pointer(Some(text("password")), false),
            pointer(Some(text("password")), true),
            wrapper("Name", "0", text("password")),
            wrapper("Name", "inner", variant("Authorization", Vec::new())),
            variant("Password", Vec::new()),
            variant("Some", vec![("0".into(), text("password"))]),
            Value::Tuple(vec![text("password"), Value::Uint(1)]),
            bytes("password", None),
        ] {
            assert!(hides_entry_of(key.clone()), "{key:?}");
        }
        for key in [
            text("host"),
            pointer(Some(text("host")), true),
            pointer(None, false),
            wrapper("Name", "0", text("host")),
            variant("Host", Vec::new()),
            bytes("host", None),
            Value::Uint(7),
            Value::Unavailable(Unavailable::Null),
        ] {
            assert!(!hides_entry_of(key.clone()), "{key:?}");
        }
    }

    #[test]
    fn entry_of_a_key_that_was_not_read_whole_is_redacted() {
        let cut = Some(Cut { of: None });
        let long = Value::Text(Text {
            bytes: b"pass".to_vec(),
            cut,
        });
        for key in [
            long,
            bytes("pass", cut),
            pointer(None, true),
            Value::Unavailable(Unavailable::Unreadable(None)),
        ] {
            assert!(hides_entry_of(key.clone()), "{key:?}");
        }
    }

    #[test]
    fn variants_and_tuple_structs_name_their_fields() {
        let shown = |mut value: Value| {
            Redactor::default().value(&mut value, 0);
            value.to_string()
        };
        let field = || vec![("0".to_owned(), text("x"))];
        assert_eq!(shown(variant("Password", field())), "Password(<redacted>)");
        assert_eq!(shown(variant("Token", Vec::new())), "Token");
        assert_eq!(
            shown(wrapper("Password", "0", text("x"))),
            "Password(<redacted>)"
        );
        // Other fields have names of their own.
        assert_eq!(
            shown(wrapper("Token", "kind", text("x"))),
            "Token { kind: \"x\" }"
        );
        let key = wrapper("Login", "password", text("x"));
        let map = Value::Map(Map {
            entries: vec![(key, Value::Uint(1))],
            cut: None,
        });
        assert_eq!(shown(map), "{Login { password: <redacted> }: 1}");
    }

    #[test]
    fn words_of_a_name_are_those_of_each_spelling() {
        for (name, wanted) in [
            ("", &[][..]),
            ("__", &[]),
            ("_a", &["a"]),
            ("api_key", &["api", "key"]),
            ("APIKey", &["api", "key"]),
            ("x-api-key", &["x", "api", "key"]),
            ("dbPassword2Hash", &["db", "password2", "hash"]),
            ("HTTPServer", &["http", "server"]),
            ("straßeÜber", &["straße", "über"]),
            ("a.b::C", &["a", "b", "c"]),
        ] {
            assert_eq!(words(name), wanted, "{name}");
        }
        assert!(Redactor::nothing().with(["über"]).hides("straßeÜber"));
    }
}
