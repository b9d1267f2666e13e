//! What stands where an action is expected.

use super::super::SyntaxError;
use super::super::ast::Span;
use super::super::probe::ACTIONS;
use super::{first_word, is_line, is_path};
use crate::suggestions::near_names;

/// Words of other tools that show something where a program is.
const SHOWING: [&str; 10] = [
    "print", "printf", "println", "p", "echo", "display", "dprintf", "puts", "info", "watch",
];
/// Words of other tools that name a place in a program.
const PLACING: [&str; 14] = [
    "break",
    "b",
    "br",
    "tbreak",
    "hbreak",
    "breakpoint",
    "logpoint",
    "trace",
    "tracepoint",
    "tp",
    "probe",
    "stop",
    "on",
    "at",
];
/// Words of debuggers for a program that stands.
const STEPPING: [&str; 12] = [
    "c", "continue", "run", "r", "n", "next", "s", "step", "finish", "fin", "until", "attach",
];
/// Words of debuggers for the call stack.
const STACK: [&str; 5] = ["bt", "backtrace", "where", "stack", "frame"];

/// The error for a probe that begins with `rest`; its first token is at `span`.
pub(in super::super) fn no_action(rest: &str, span: Span) -> SyntaxError {
    let word = first_word(rest);
    let token = rest.get(..span.len()).unwrap_or_default();
    if rest.is_empty() {
        let error = SyntaxError::new(span, "a probe is missing");
        return error.hint("write an action and a location: `log main.rs:57`");
    }
    let whole = span.start..span.start + word.len();
    if is_line(word) {
        let error = SyntaxError::new(
            whole,
            format!("`{word}` is a location; an action comes first"),
        );
        return error.hint(format!("write `log {rest}`"));
    }
    if let Some(location) = of_bpftrace(word) {
        let message = format!("`{}` is not an action", word.escape_debug());
        return SyntaxError::new(whole, message).hint(format!("write `log {location}`"));
    }
    let message = format!("`{}` is not an action", token.escape_debug());
    let behind = rest.get(token.len()..).unwrap_or_default().trim();
    SyntaxError::new(span, message).hint(hint(token, word, behind))
}

fn hint(token: &str, word: &str, behind: &str) -> String {
    let known = format!("a probe begins with one of {}", ACTIONS.join(", "));
    let lower = token.to_ascii_lowercase();
    if token == "#" {
        return "comments are for files of probes (`-f`)".to_owned();
    }
    if ACTIONS.contains(&lower.as_str()) {
        return format!("did you mean `{lower}`?");
    }
    if STEPPING.contains(&token) {
        return "the program never stops at a probe; `log FILE:LINE` shows its variables there"
            .to_owned();
    }
    if STACK.contains(&token) {
        return "`snapshot FILE:LINE` shows the call stack, and `log FILE:LINE depth 16`"
            .to_owned();
    }
    if SHOWING.contains(&token) {
        return showing(token, behind);
    }
    if PLACING.contains(&token) {
        let behind = if behind.is_empty() {
            "FILE:LINE"
        } else {
            behind
        };
        return format!("write `log {behind}`");
    }
    if let Some(near) = near_names(token, ACTIONS).first() {
        return format!("did you mean `{near}`?");
    }
    match is_path(word) && behind.is_empty() || word.contains("::") {
        true => format!("write `log {word}`; {known}"),
        false => known,
    }
}

/// What to write for a word that shows values: `print f.c:7 x` is `log f.c:7 "{x}"`.
fn showing(token: &str, behind: &str) -> String {
    if matches!(token, "info" | "watch") && !is_line(first_word(behind)) {
        let what = match token {
            "info" => "`log FILE:LINE` shows the variables there, and `snapshot` the call stack",
            _ => "a value is shown each time the program passes a line: `log FILE:LINE \"{x}\"`",
        };
        return what.to_owned();
    }
    let location = first_word(behind);
    let values = behind.get(location.len()..).unwrap_or_default();
    if behind.is_empty() {
        return "write `log FILE:LINE \"{x}\"`, or `log FILE:LINE` for all variables".to_owned();
    }
    if !is_line(location) {
        return match is_path(behind) {
            true => format!("name a location, too: `log FILE:LINE \"{{{behind}}}\"`"),
            false => "name a location, too: `log FILE:LINE \"{x}\"`".to_owned(),
        };
    }
    let holes = holes(values);
    match holes.is_empty() {
        true => format!("write `log {behind}`"),
        false => format!("write `log {location} \"{holes}\"`"),
    }
}

/// The values behind a location as a message: ` "%d" x, y` is `{x} {y}`; nothing when it has
/// something else.
pub(super) fn holes(values: &str) -> String {
    let behind_text = match values.trim().strip_prefix('"') {
        Some(inside) => inside.split_once('"').map_or("", |(_, behind)| behind),
        None => values,
    };
    let words = behind_text.split([',', ' ']).filter(|one| !one.is_empty());
    let words: Vec<&str> = words
        .map(|one| one.trim_start_matches('{').trim_end_matches('}'))
        .collect();
    if words.is_empty() || !words.iter().all(|one| is_path(one)) {
        return String::new();
    }
    let holes = words.iter().map(|one| format!("{{{one}}}"));
    holes.collect::<Vec<_>>().join(" ")
}

/// The location of `uprobe:/bin/app:handle`, as tools for eBPF write it.
fn of_bpftrace(word: &str) -> Option<String> {
    let (kind, place) = word.split_once(':')?;
    let returns = match kind {
        "uprobe" | "u" => false,
        "uretprobe" | "ur" => true,
        _ => return None,
    };
    let function = place.rsplit(':').next().filter(|name| !name.is_empty())?;
    Some(if returns {
        format!("{function}%return")
    } else {
        function.to_owned()
    })
}
