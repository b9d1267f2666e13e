//! Mistakes after the location: text that is neither a message nor an option.

use super::super::ast::{Action, Expr, Span};
use super::super::lexer::Cursor;
use super::super::quantity::parse_duration;
use super::super::template;
use super::super::words::OPTIONS;
use super::actions::holes;
use super::first_word;
use crate::base::diagnostic::Diagnostic;
use crate::base::suggestions::near_names;

/// Words of other tools, and the options here.
const OPTIONS_ELSEWHERE: [(&str, &str); 20] = [
    ("once", "hits 1"),
    ("limit", "hits N"),
    ("max", "hits N"),
    ("count", "hits N"),
    ("times", "hits N"),
    ("first", "hits N"),
    ("take", "hits N"),
    ("stack", "depth 16"),
    ("bt", "depth 16"),
    ("backtrace", "depth 16"),
    ("ustack", "depth 16"),
    ("stacktrace", "depth 16"),
    ("frames", "depth 16"),
    ("timeout", "for 10m"),
    ("duration", "for 10m"),
    ("ttl", "for 10m"),
    ("interval", "every 1s"),
    ("throttle", "rate 100/s"),
    ("name", "as NAME"),
    ("label", "as NAME"),
];

/// The parts of a probe before its options, which hints repeat.
pub(in super::super) struct ProbeParts<'t> {
    pub(in super::super) text: &'t str,
    pub(in super::super) action: &'t Action,
    pub(in super::super) condition: Option<&'t Expr>,
    pub(in super::super) has_message: bool,
    /// True if the action shows messages.
    pub(in super::super) takes_message: bool,
    /// Explains a text by the action's own syntax.
    pub(in super::super) mistake: fn(&Action, &str) -> Option<Mistake>,
}

/// A message and its hint.
pub(crate) struct Mistake {
    /// Bytes to underline. `None` stands for the first token.
    length: Option<usize>,
    message: String,
    hint: String,
}

impl Mistake {
    /// A mistake in the first `length` bytes of a text.
    pub(crate) fn new(length: usize, message: &str, hint: impl Into<String>) -> Self {
        Self {
            length: Some(length),
            message: message.to_owned(),
            hint: hint.into(),
        }
    }
}

fn wrong(length: usize, message: &str, hint: impl Into<String>) -> Mistake {
    Mistake::new(length, message, hint)
}

impl ProbeParts<'_> {
    /// The error for the text at `span`, which is not an option. `first` says whether no option precedes
    /// it.
    pub(in super::super) fn no_option(
        &self,
        cursor: &Cursor<'_>,
        span: Span,
        first: bool,
    ) -> Diagnostic {
        let (rest, token) = (cursor.rest(), cursor.text(&span));
        if token.starts_with([')', ']', '}']) {
            let message = format!("unmatched `{token}`");
            return Diagnostic::at(span, message);
        }
        let found = self
            .message(rest, span.start)
            .or_else(|| self.condition(rest, token, first))
            .or_else(|| (self.mistake)(self.action, rest))
            .or_else(|| option(rest, token))
            .or_else(|| self.separator(rest))
            .or_else(|| self.values(rest).filter(|_| first));
        let known = format!("options are {}", OPTIONS.join(", "));
        let wrong = found.unwrap_or_else(|| Mistake {
            length: None,
            message: format!("unexpected `{}`", token.escape_debug()),
            hint: if self.is_named(span.start) {
                format!("a name is one word; {known}")
            } else {
                known
            },
        });
        let end = wrong.length.map_or(span.end, |length| span.start + length);
        Diagnostic::at(span.start..end, wrong.message).hint(wrong.hint)
    }

    /// The error for a character that starts no token. `error` is that of the lexer.
    pub(in super::super) fn unreadable(
        &self,
        cursor: &Cursor<'_>,
        span: Span,
        error: Diagnostic,
        first: bool,
    ) -> Diagnostic {
        let rest = cursor.rest();
        let quoted = rest.starts_with(['“', '”', '„']);
        let message = rest.starts_with('\'') && self.takes_message && self.condition.is_none();
        if quoted || message || rest.starts_with(';') {
            return self.no_option(cursor, span, first);
        }
        error
    }

    /// Returns true if `as NAME` precedes a position.
    fn is_named(&self, at: usize) -> bool {
        let before = self.text.get(..at).unwrap_or_default();
        before.split_whitespace().rev().nth(1) == Some("as")
    }

    /// A message in the wrong position or in the wrong quotes.
    fn message(&self, rest: &str, at: usize) -> Option<Mistake> {
        if rest.starts_with('"') {
            return self.misplaced(rest, at);
        }
        if let Some(quoted) = rest.strip_prefix(['“', '”', '„']) {
            let inside = quoted.split(['“', '”', '"']).next().unwrap_or_default();
            let length = rest.len() - quoted.len();
            let hint = format!("write `\"{inside}\"`");
            return Some(wrong(length, "a message needs plain double quotes", hint));
        }
        if let Some(quoted) = rest.strip_prefix('\'') {
            let inside = quoted.split('\'').next().unwrap_or_default();
            let hint = format!("write `\"{inside}\"`");
            let length = (inside.len() + 2).min(rest.len());
            return Some(wrong(length, "a message needs double quotes", hint));
        }
        // `f"…"`, `r"…"`.
        let prefix = rest.chars().next()?;
        let message = rest.get(prefix.len_utf8()..)?;
        if !message.starts_with('"') || !(prefix.is_alphabetic() || "$@".contains(prefix)) {
            return None;
        }
        let length = template::length(message, at).ok()? + 2;
        let hint = format!("write `{}`", message.get(..length)?);
        let told = format!("a message has no prefix `{prefix}`");
        Some(wrong(prefix.len_utf8(), &told, hint))
    }

    /// A message after the condition or the options, or a second one.
    fn misplaced(&self, rest: &str, at: usize) -> Option<Mistake> {
        let length = template::length(rest, at).map_or(rest.len(), |inside| inside + 2);
        let message = rest.get(..length)?;
        if self.has_message {
            let hint = "put everything into one pair of quotes";
            return Some(wrong(length, "a probe has one message", hint));
        }
        let condition = self
            .condition
            .and_then(|one| self.text.get(one.span.clone()));
        let hint = match condition {
            Some(condition) => format!("write `… {message} if {condition}`"),
            None => format!("write `… {message} {}`", self.options_before(at)),
        };
        let told = "the message goes before `if` and the options";
        Some(wrong(length, told, hint))
    }

    /// The options before a position.
    fn options_before(&self, at: usize) -> &str {
        let before = self.text.get(..at).unwrap_or_default();
        let mut words = before.split_inclusive(char::is_whitespace);
        let mut start = 0;
        let found = words.find(|word| {
            let is = OPTIONS.contains(&word.trim());
            start += if is { 0 } else { word.len() };
            is
        });
        found
            .and_then(|_| before.get(start..))
            .map_or("…", str::trim)
    }

    /// A condition without `if`, or after an option.
    fn condition(&self, rest: &str, token: &str, first: bool) -> Option<Mistake> {
        let behind = rest.get(token.len()..)?.trim();
        let (told, hint) = match token {
            "if" if self.condition.is_some() => {
                let hint = format!("join them: `… && {behind}`");
                ("a probe has one condition", hint)
            }
            "if" if first => return None,
            "if" => (
                "the condition must come before the options",
                "move `if` and the condition before the first option".to_owned(),
            ),
            "where" | "when" | "while" | "cond" | "condition" if !behind.is_empty() => (
                "a condition goes after `if`",
                format!("write `if {behind}`"),
            ),
            "unless" if !behind.is_empty() => (
                "a condition goes after `if`",
                format!("write `if !({behind})`"),
            ),
            "/" if behind.contains('/') => {
                let inside = behind.split('/').next().unwrap_or_default();
                let hint = format!("write `if {}`", inside.trim());
                ("a condition goes after `if`", hint)
            }
            _ => return None,
        };
        Some(wrong(token.len(), told, hint))
    }

    /// A comma or semicolon.
    fn separator(&self, rest: &str) -> Option<Mistake> {
        let behind = rest.strip_prefix([',', ';'])?.trim();
        if behind.is_empty() {
            return Some(wrong(
                1,
                "unexpected separator at the end of the probe",
                "remove it",
            ));
        }
        if OPTIONS.contains(&first_word(behind)) {
            let told = "spaces separate options";
            return Some(wrong(1, told, "write a space instead"));
        }
        if self.has_message && self.takes_message {
            return self
                .values(behind)
                .map(|found| wrong(1, &found.message, found.hint));
        }
        if rest.starts_with(';') {
            let told = "only one probe is allowed here";
            return Some(wrong(1, told, "pass each probe with its own `-e`"));
        }
        None
    }

    /// Values after the location or the message.
    fn values(&self, rest: &str) -> Option<Mistake> {
        if !self.takes_message || self.condition.is_some() {
            return None;
        }
        let words = rest.split_whitespace();
        let run: Vec<&str> = words
            .take_while(|word| *word != "if" && !OPTIONS.contains(word))
            .collect();
        let holes = holes(&run.join(" "));
        if holes.is_empty() {
            let braces = rest.starts_with('{').then_some(1)?;
            let told = "a message needs quotes";
            return Some(wrong(braces, told, "write `\"{x} {y.z}\"`"));
        }
        let end = run
            .last()
            .and_then(|last| rest.find(last).map(|at| at + last.len()))?;
        Some(if self.has_message {
            let told = "values go into the message, in braces";
            wrong(end, told, format!("write `\"… {holes}\"`"))
        } else if run.len() == 1 && !rest.contains(['{', '.']) {
            // It may also be a misspelt option.
            let told = format!("unexpected `{}`", rest.get(..end)?);
            let known = OPTIONS.join(", ");
            wrong(
                end,
                &told,
                format!("write a value in a message: `\"{holes}\"`; options are {known}"),
            )
        } else {
            let told = "values go into a message, in quotes";
            wrong(end, told, format!("write `\"{holes}\"`"))
        })
    }
}

/// An option of another tool, or a misspelt one.
fn option(rest: &str, token: &str) -> Option<Mistake> {
    if rest.starts_with('-') {
        let plain = rest.trim_start_matches('-');
        let word = plain.split(|c: char| !c.is_alphanumeric()).next()?;
        let value = plain.get(word.len()..)?.trim_start_matches(['=', ' ']);
        let option = match OPTIONS.contains(&word) {
            true => format!("{word} {}", first_word(value)),
            false => named_elsewhere(word).unwrap_or("hits N").to_owned(),
        };
        let length = rest.len() - plain.len() + word.len();
        let told = "options of a probe have no dashes";
        return Some(wrong(length, told, format!("write `{}`", option.trim())));
    }
    if let Some(written) = named_elsewhere(token) {
        let told = format!("unexpected `{token}`");
        return Some(wrong(token.len(), &told, format!("write `{written}`")));
    }
    // A path is a value, not an option.
    if token.len() < first_word(rest).len() {
        return None;
    }
    let near = near_names(token, OPTIONS.into_iter().chain(["if"]));
    let near = near.first()?;
    let told = format!("unexpected `{}`", token.escape_debug());
    Some(wrong(token.len(), &told, format!("did you mean `{near}`?")))
}

/// Returns true if a word is an option of another tool, or like one of the words that may follow
/// here.
pub(crate) fn could_be_option(word: &str) -> bool {
    named_elsewhere(word).is_some()
        || !near_names(word, OPTIONS.into_iter().chain(["if"])).is_empty()
}

fn named_elsewhere(word: &str) -> Option<&'static str> {
    let found = OPTIONS_ELSEWHERE.iter().find(|(known, _)| *known == word);
    found.map(|(_, written)| *written)
}

/// The error for `hits=3` and `hits: 3`. The cursor is after the option's word.
pub(in super::super) fn no_space(cursor: &Cursor<'_>, option: &str) -> Option<Diagnostic> {
    let rest = cursor.rest();
    let value = rest
        .strip_prefix(['=', ':'])?
        .trim_start_matches('=')
        .trim();
    let error = Diagnostic::at(
        cursor.at()..cursor.at() + 1,
        "a space separates an option and its value",
    );
    Some(error.hint(format!("write `{option} {}`", first_word(value))))
}

/// The error for a text that is not a duration. `behind` is the rest of the probe.
pub(in super::super) fn no_duration(text: &str, behind: &str, span: Span) -> Diagnostic {
    let error = Diagnostic::at(span, format!("`{}` is not a duration", text.escape_debug()));
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text
        .split_at_checked(digits.unwrap_or(text.len()))
        .unwrap_or((text, ""));
    let unit = match unit {
        "" => first_word(behind),
        unit => unit,
    };
    let unit = match unit {
        "sec" | "secs" | "second" | "seconds" | "S" => "s",
        "min" | "mins" | "minute" | "minutes" => "m",
        "hour" | "hours" | "hr" => "h",
        "msec" | "millis" | "milliseconds" | "MS" => "ms",
        "usec" | "micros" | "µs" | "μs" => "us",
        "nsec" | "nanos" => "ns",
        other => other,
    };
    let written = format!("{number}{unit}");
    error.hint(match parse_duration(&written) {
        Some(_) => format!("write `{written}`"),
        None => "write a number and ns, us, ms, s, m or h: `500ms`, `1.5s`, `10m`".to_owned(),
    })
}
