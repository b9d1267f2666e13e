//! Mistakes in the position of an action.

use super::super::ast::Span;
use super::{first_word, is_line, is_path};
use crate::base::diagnostic::Diagnostic;
use crate::base::suggestions::near_names;

/// Words of other tools that show values.
const SHOWING: [&str; 9] = [
    "print", "printf", "println", "p", "echo", "display", "dprintf", "puts", "info",
];
/// Words of other tools that set a breakpoint or probe.
const PLACING: [&str; 13] = [
    "break",
    "b",
    "br",
    "tbreak",
    "hbreak",
    "breakpoint",
    "logpoint",
    "tracepoint",
    "tp",
    "probe",
    "stop",
    "on",
    "at",
];
/// Words of debuggers that control a stopped program.
const STEPPING: [&str; 12] = [
    "c", "continue", "run", "r", "n", "next", "s", "step", "finish", "fin", "until", "attach",
];
/// Words of debuggers for the call stack.
const STACK: [&str; 5] = ["bt", "backtrace", "where", "stack", "frame"];

/// The error for a probe that does not start with one of the `actions`. `span` is its first token.
pub(in super::super) fn no_action(rest: &str, span: Span, actions: &[&str]) -> Diagnostic {
    let word = first_word(rest);
    let token = rest.get(..span.len()).unwrap_or_default();
    if rest.is_empty() {
        let error = Diagnostic::at(span, "a probe is missing");
        return error.hint("write an action and a location: `log main.rs:57`");
    }
    let whole = span.start..span.start + word.len();
    if is_line(word) {
        let error = Diagnostic::at(
            whole,
            format!("expected an action before the location `{word}`"),
        );
        return error.hint(format!("write `log {rest}`"));
    }
    if let Some(location) = of_bpftrace(word) {
        let message = format!("`{}` is not an action", word.escape_debug());
        return Diagnostic::at(whole, message).hint(format!("write `log {location}`"));
    }
    let message = format!("`{}` is not an action", token.escape_debug());
    let behind = rest.get(token.len()..).unwrap_or_default().trim();
    Diagnostic::at(span, message).hint(hint(token, word, behind, actions))
}

/// `log, count or time`.
fn one_of(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => words.join(", "),
    }
}

fn hint(token: &str, word: &str, behind: &str, actions: &[&str]) -> String {
    let known = format!("a probe starts with {}", one_of(actions));
    let lower = token.to_ascii_lowercase();
    if token == "#" {
        return "comments are only allowed in files of probes (`-f`)".to_owned();
    }
    if actions.contains(&lower.as_str()) {
        return format!("did you mean `{lower}`?");
    }
    if STEPPING.contains(&token) {
        return "a probe never stops the program; `log FILE:LINE` shows its variables there"
            .to_owned();
    }
    if STACK.contains(&token) {
        return "`snapshot FILE:LINE` and `log FILE:LINE depth 16` show the call stack".to_owned();
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
    if let Some(near) = near_names(token, actions.iter().copied()).first() {
        return format!("did you mean `{near}`?");
    }
    match is_path(word) && behind.is_empty() || word.contains("::") {
        true => format!("write `log {word}`; {known}"),
        false => known,
    }
}

/// The hint for a word that shows values: for `print f.c:7 x`, it is `log f.c:7 "{x}"`.
fn showing(token: &str, behind: &str) -> String {
    if token == "info" && !is_line(first_word(behind)) {
        let hint = "`log FILE:LINE` shows the variables there, and `snapshot` the call stack";
        return hint.to_owned();
    }
    let location = first_word(behind);
    let values = behind.get(location.len()..).unwrap_or_default();
    if behind.is_empty() {
        return "write `log FILE:LINE \"{x}\"`, or `log FILE:LINE` for all variables".to_owned();
    }
    if !is_line(location) {
        return match is_path(behind) {
            true => format!("add a location: `log FILE:LINE \"{{{behind}}}\"`"),
            false => "add a location: `log FILE:LINE \"{x}\"`".to_owned(),
        };
    }
    let holes = holes(values);
    match holes.is_empty() {
        true => format!("write `log {behind}`"),
        false => format!("write `log {location} \"{holes}\"`"),
    }
}

/// Turns values after a location into a message: ` "%d" x, y` becomes `{x} {y}`. Empty if the text has
/// anything but values.
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

/// The location of `uprobe:/bin/app:handle`, in the syntax of bpftrace.
fn of_bpftrace(word: &str) -> Option<String> {
    let (kind, place) = word.split_once(':')?;
    if matches!(kind, "usdt" | "U") {
        // A path to the file may stand before the provider.
        let (rest, name) = place
            .rsplit_once(':')
            .filter(|(_, name)| !name.is_empty())?;
        let provider = rest
            .rsplit(':')
            .next()
            .filter(|provider| !provider.is_empty())?;
        return Some(format!("usdt:{provider}:{name}"));
    }
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
