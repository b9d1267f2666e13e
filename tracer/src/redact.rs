//! Values that no output gets, by the names that lead to them.
//!
//! A name is taken apart into words (`apiKey`, `api_key`, `API_KEY` are all `api
//! key`); it is redacted when it has the words of a pattern in a row. What
//! is decoded goes through here before a message is made of it.

use std::sync::Arc;

use crate::event::NamedValue;
use crate::unavailable::Unavailable;
use crate::value::Value;

/// What is redacted unless the user says otherwise.
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
/// Values within each other; what lies deeper is redacted with what it is in.
const DEPTH: u32 = 64;

/// Names whose values no output gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redactor(Arc<[Vec<String>]>);

impl Default for Redactor {
    /// The usual names of secrets.
    fn default() -> Self {
        Self::nothing().with(PATTERNS)
    }
}

impl Redactor {
    /// Lets everything through.
    #[must_use]
    pub fn nothing() -> Self {
        Self(Arc::from([]))
    }

    /// The same with more names.
    #[must_use]
    pub fn with(&self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let more = names.into_iter().map(|name| words(name.as_ref()));
        let all = self.0.iter().cloned().chain(more);
        Self(all.filter(|words| !words.is_empty()).collect())
    }

    /// Whether the value of that name is redacted.
    #[must_use]
    pub fn hides(&self, name: &str) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let words = words(name);
        self.0
            .iter()
            .any(|pattern| words.windows(pattern.len()).any(|row| row == pattern))
    }

    /// Whether an expression names anything that is redacted.
    #[must_use]
    pub fn hides_expr(&self, expr: &str) -> bool {
        expr.split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(|name| self.hides(name))
    }

    /// Replaces what is redacted in the values of an event.
    pub fn redact(&self, values: &mut [NamedValue]) {
        if self.0.is_empty() {
            return;
        }
        for named in values {
            if self.hides_expr(&named.expr) {
                named.value = Value::Unavailable(Unavailable::Redacted);
            } else {
                self.value(&mut named.value, 0);
            }
        }
    }

    /// Replaces what is redacted within a value.
    pub fn value(&self, value: &mut Value, depth: u32) {
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
            Value::Struct(body) => fields(&mut body.fields),
            Value::Variant(variant) => fields(&mut variant.fields),
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
                    let name = match &*key {
                        Value::Text(text) => String::from_utf8_lossy(&text.bytes).into_owned(),
                        _ => String::new(),
                    };
                    self.named(&name, value, depth);
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

    fn named(&self, name: &str, value: &mut Value, depth: u32) {
        if self.hides(name) {
            *value = Value::Unavailable(Unavailable::Redacted);
        } else {
            self.value(value, depth + 1);
        }
    }
}

/// The words of a name, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    let letters: Vec<char> = name.chars().collect();
    for (index, &c) in letters.iter().enumerate() {
        let follows = letters
            .get(index + 1)
            .is_some_and(|next| next.is_lowercase());
        let begins = c.is_uppercase()
            && (before.is_lowercase() || before.is_numeric() || before.is_uppercase() && follows);
        if !c.is_alphanumeric() || begins {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Map, Struct, Text};

    fn text(text: &str) -> Value {
        Value::Text(Text {
            bytes: text.as_bytes().to_vec(),
            cut: None,
        })
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
        });
        let map = Value::Map(Map {
            entries: vec![
                (text("Authorization"), text("Bearer")),
                (text("Host"), text("h")),
            ],
            cut: None,
        });
        let mut values = vec![
            NamedValue {
                expr: "request".into(),
                ty: "Request".into(),
                value: Value::Tuple(vec![inner, map]),
            },
            NamedValue {
                expr: "config.secret.len()".into(),
                ty: "usize".into(),
                value: Value::Uint(9),
            },
        ];
        Redactor::default().redact(&mut values);
        let shown = format!("{values:?}");
        assert_eq!(shown.matches("Redacted").count(), 3, "{shown}");
        assert!(!shown.contains("Bearer"), "{shown}");
    }
}
