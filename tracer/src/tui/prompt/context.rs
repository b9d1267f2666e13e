//! The place of the cursor in a typed line.

use crate::actions;
use crate::lang::OPTIONS;

/// The kind of a word at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::tui) enum CursorPlace {
    /// An action, or another command.
    Start,
    /// A file or a function.
    Location,
    /// A line of this file.
    Line(String),
    /// A variable at a location, or a member of the expression there.
    Name {
        /// As the probe writes it.
        location: String,
        /// The expression before the last dot. Empty for variables.
        owner: String,
    },
    /// A word of the probe language, or a variable.
    Word {
        /// The location of the probe.
        location: String,
        /// The action of the probe.
        action: String,
        /// A value may stand there, too.
        or_name: bool,
    },
    /// The value of a watch: a variable at the cursor.
    Watched,
    /// A member of an expression in the value of a watch.
    WatchedMember {
        /// The expression before the last dot.
        owner: String,
    },
    /// A word after the value of a watch.
    WatchWord {
        /// The value has a place.
        has_place: bool,
    },
    /// `write` or `access`, after `on`.
    Access,
    /// The value before or after an access.
    OldNew,
    /// `process`, after `per`.
    Process,
    /// The format of an export.
    Format,
    /// The name of a theme.
    Theme,
    /// Anything.
    Free,
}

/// The place at the cursor, and the beginning of its word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::tui) struct TypedContext {
    /// The kind of word.
    pub(in crate::tui) place: CursorPlace,
    /// The part of the word that is typed.
    pub(in crate::tui) stem: String,
}

/// The place at the end of `before`, which is the line up to the cursor.
pub(in crate::tui) fn context(before: &str) -> TypedContext {
    let of = |place, stem: &str| TypedContext {
        place,
        stem: stem.to_owned(),
    };
    let before = before.trim_start();
    let Some((action, rest)) = before.split_once(char::is_whitespace) else {
        return of(CursorPlace::Start, before);
    };
    let rest = rest.trim_start();
    if matches!(action, "export" | "export!") {
        let place = match rest.contains(char::is_whitespace) {
            true => CursorPlace::Free,
            false => CursorPlace::Format,
        };
        return of(place, rest);
    }
    if action == "theme" {
        return of(CursorPlace::Theme, rest);
    }
    if !actions::names().any(|name| name == action) {
        return of(CursorPlace::Free, "");
    }
    if action == "watch" {
        return of_watch(rest);
    }
    let Some((location, tail)) = rest.split_once(char::is_whitespace) else {
        return of_location(rest);
    };
    let location = location.split("..").next().unwrap_or(location).to_owned();
    match hole(tail) {
        Within::Text => of(CursorPlace::Free, ""),
        Within::Hole(expression) => of_expression(&location, expression),
        Within::Words(words) => of_words(&location, action, words),
    }
}

/// A file, a function or a line.
fn of_location(typed: &str) -> TypedContext {
    let of = |place, stem: &str| TypedContext {
        place,
        stem: stem.to_owned(),
    };
    let last = typed.rsplit("..").next().unwrap_or(typed);
    if last.starts_with("usdt:") || last.contains("!usdt:") {
        return of(CursorPlace::Location, last);
    }
    match last.rsplit_once(':') {
        Some((file, line)) if !file.ends_with(':') && line.chars().all(|c| c.is_ascii_digit()) => {
            of(CursorPlace::Line(file.to_owned()), line)
        }
        _ => of(CursorPlace::Location, last),
    }
}

/// The place behind `watch`.
fn of_watch(rest: &str) -> TypedContext {
    let of = |place, stem: &str| TypedContext {
        place,
        stem: stem.to_owned(),
    };
    let Some(end) = end_of_value(rest) else {
        let (owner, stem) = split_member(last_path(rest));
        return match owner {
            "" => of(CursorPlace::Watched, rest),
            owner => {
                let owner = owner.to_owned();
                of(CursorPlace::WatchedMember { owner }, stem)
            }
        };
    };
    let tail = rest.get(end..).unwrap_or_default();
    let words = match hole(tail) {
        Within::Text => return of(CursorPlace::Free, ""),
        Within::Hole(expression) => return of(CursorPlace::OldNew, last_path(expression)),
        Within::Words(words) => words,
    };
    let stem_at = words.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let (front, stem) = words.split_at(stem_at);
    match front.split_whitespace().next_back() {
        Some("at" | "until") => of_location(stem),
        Some("on") => of(CursorPlace::Access, stem),
        _ => {
            let has_place = tail.split_whitespace().next() == Some("at");
            let found = of_words("", "watch", words);
            let place = match found.place {
                CursorPlace::Word { .. } => CursorPlace::WatchWord { has_place },
                CursorPlace::Name { .. } => CursorPlace::OldNew,
                place => place,
            };
            of(place, &found.stem)
        }
    }
}

/// The end of the value of a watch, if something stands behind it: white space outside of brackets.
fn end_of_value(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            c if c.is_whitespace() && depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

enum Within<'t> {
    /// Between quotes.
    Text,
    /// In a `{` of a message: the text after it.
    Hole(&'t str),
    /// Outside of quotes: the text after the last message.
    Words(&'t str),
}

/// The position of the end of a text.
fn hole(text: &str) -> Within<'_> {
    let mut quoted = false;
    let mut hole = None;
    let mut words = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => {
                characters.next();
            }
            '"' if hole.is_none() => {
                quoted = !quoted;
                words = at + 1;
            }
            '{' if quoted && hole.is_none() => {
                let is_brace = characters.next_if(|(_, next)| *next == '{').is_some();
                hole = (!is_brace).then_some(at + 1);
            }
            '}' => hole = None,
            _ => {}
        }
    }
    match (hole, quoted) {
        (Some(at), _) => Within::Hole(text.get(at..).unwrap_or_default()),
        (None, true) => Within::Text,
        (None, false) => Within::Words(text.get(words..).unwrap_or_default()),
    }
}

/// A variable or a member at the end of an expression.
fn of_expression(location: &str, expression: &str) -> TypedContext {
    let path = last_path(expression);
    let (owner, stem) = split_member(path);
    TypedContext {
        place: CursorPlace::Name {
            location: location.to_owned(),
            owner: owner.to_owned(),
        },
        stem: stem.to_owned(),
    }
}

fn of_words(location: &str, action: &str, words: &str) -> TypedContext {
    let path = last_path(words);
    let (owner, stem) = split_member(path);
    let front = words.get(..words.len() - path.len()).unwrap_or_default();
    let front = front.trim_end();
    let last = front.rsplit(char::is_whitespace).next().unwrap_or_default();
    // Words after which a value stands.
    let wants_value = matches!(last, "if" | "by" | "key" | "parent" | "=")
        || front.ends_with([
            '=', '<', '>', '&', '|', '+', '-', '*', '/', '%', '!', '(', ',',
        ]);
    if !owner.is_empty() || wants_value {
        return of_expression(location, words);
    }
    if last == "per" {
        return TypedContext {
            place: CursorPlace::Process,
            stem: stem.to_owned(),
        };
    }
    if OPTIONS.contains(&last) && last != "trampoline" {
        // A number or a name of one's own.
        return TypedContext {
            place: CursorPlace::Free,
            stem: String::new(),
        };
    }
    TypedContext {
        place: CursorPlace::Word {
            location: location.to_owned(),
            action: action.to_owned(),
            or_name: action == "hist" && front.is_empty(),
        },
        stem: stem.to_owned(),
    }
}

/// The name, with its members, indexes and calls, at the end of an expression.
fn last_path(expression: &str) -> &str {
    let bytes = expression.as_bytes();
    let mut depth = 0_usize;
    let mut start = expression.len();
    for (at, c) in expression.char_indices().rev() {
        match c {
            ')' | ']' => depth += 1,
            '(' | '[' if depth == 0 => break,
            '(' | '[' => depth -= 1,
            _ if depth > 0 => {}
            '.' | '_' | '#' | '$' | ':' => {}
            '>' if at > 0 && bytes.get(at - 1) == Some(&b'-') => {}
            '-' if bytes.get(at + 1) == Some(&b'>') => {}
            c if c.is_alphanumeric() => {}
            _ => break,
        }
        start = at;
    }
    expression.get(start..).unwrap_or_default()
}

/// The expression before the last dot or arrow, and the beginning of a member's name.
fn split_member(path: &str) -> (&str, &str) {
    let mut depth = 0_usize;
    for (at, c) in path.char_indices().rev() {
        let end = at + c.len_utf8();
        match c {
            ')' | ']' => depth += 1,
            '(' | '[' => depth = depth.saturating_sub(1),
            '.' if depth == 0 => {
                return (
                    path.get(..at).unwrap_or_default(),
                    path.get(end..).unwrap_or_default(),
                );
            }
            '>' if depth == 0 && path.get(..at).is_some_and(|front| front.ends_with('-')) => {
                return (
                    path.get(..at - 1).unwrap_or_default(),
                    path.get(end..).unwrap_or_default(),
                );
            }
            _ => {}
        }
    }
    ("", path)
}

#[cfg(test)]
mod tests {
    use super::CursorPlace::WatchWord;
    use super::*;

    #[test]
    fn place_at_the_cursor_follows_the_grammar() {
        let name = |owner: &str| CursorPlace::Name {
            location: "a.rs:1".into(),
            owner: owner.into(),
        };
        let word = |or_name| CursorPlace::Word {
            location: "a.rs:1".into(),
            action: if or_name { "hist" } else { "log" }.into(),
            or_name,
        };
        let member = |owner: &str| CursorPlace::WatchedMember {
            owner: owner.into(),
        };
        for (before, place, stem) in [
            ("", CursorPlace::Start, ""),
            ("lo", CursorPlace::Start, "lo"),
            ("log ro", CursorPlace::Location, "ro"),
            ("time a..b", CursorPlace::Location, "b"),
            ("log a.rs:", CursorPlace::Line("a.rs".into()), ""),
            (
                "log src/a.rs:12",
                CursorPlace::Line("src/a.rs".into()),
                "12",
            ),
            ("log my::func", CursorPlace::Location, "my::func"),
            ("log usdt:", CursorPlace::Location, "usdt:"),
            ("log usdt:p:12", CursorPlace::Location, "usdt:p:12"),
            (
                "time usdt:p:a..a.so!usdt:p:",
                CursorPlace::Location,
                "a.so!usdt:p:",
            ),
            ("log a.rs:1 ", word(false), ""),
            ("log a.rs:1 ra", word(false), "ra"),
            ("hist a.rs:1 si", word(true), "si"),
            ("log a.rs:1 \"x ", CursorPlace::Free, ""),
            ("log a.rs:1 \"x {", name(""), ""),
            ("log a.rs:1 \"x {req", name(""), "req"),
            ("log a.rs:1 \"x {{req", CursorPlace::Free, ""),
            ("log a.rs:1 \"x {request.pa", name("request"), "pa"),
            ("log a.rs:1 \"x {p->q.", name("p->q"), ""),
            ("log a.rs:1 \"{a[b.c].", name("a[b.c]"), ""),
            ("log a.rs:1 \"{a + b.c", name("b"), "c"),
            ("log a.rs:1 \"{a} {b", name(""), "b"),
            ("log a.rs:1 \"{a}\" ", word(false), ""),
            ("log a.rs:1 \"{a}\" if ", name(""), ""),
            ("log a.rs:1 \"{a}\" if a.b == c.d", name("c"), "d"),
            ("log a.rs:1 if (a", name(""), "a"),
            ("log a.rs:1 if a ra", word(false), "ra"),
            ("count a.rs:1 by request.", name("request"), ""),
            ("log a.rs:1 hits ", CursorPlace::Free, ""),
            ("log a.rs:1 hits 3 per pro", CursorPlace::Process, "pro"),
            ("watch cou", CursorPlace::Watched, "cou"),
            ("watch (*a[b + 1]).n", member("(*a[b + 1])"), "n"),
            ("watch x ", WatchWord { has_place: false }, ""),
            ("watch x on", WatchWord { has_place: false }, "on"),
            ("watch x on wr", CursorPlace::Access, "wr"),
            ("watch x at ma", CursorPlace::Location, "ma"),
            ("watch x at a.rs:", CursorPlace::Line("a.rs".into()), ""),
            ("watch x at f unt", WatchWord { has_place: true }, "unt"),
            ("watch x at f until g", CursorPlace::Location, "g"),
            ("watch x if ol", CursorPlace::OldNew, "ol"),
            ("watch x if old != n", CursorPlace::OldNew, "n"),
            ("watch x \"from {o", CursorPlace::OldNew, "o"),
            ("watch x \"from", CursorPlace::Free, ""),
            ("watch x hits ", CursorPlace::Free, ""),
            ("export cs", CursorPlace::Format, "cs"),
            ("export csv x", CursorPlace::Free, "csv x"),
            ("w fi", CursorPlace::Free, ""),
        ] {
            let found = context(before);
            assert_eq!(
                (found.place, found.stem.as_str()),
                (place, stem),
                "{before}"
            );
        }
    }
}
