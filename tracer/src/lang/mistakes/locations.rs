//! Mistakes in the position of a location.

use super::super::ast::Span;
use super::{first_word, is_path};
use crate::base::diagnostic::Diagnostic;

/// The error for a text that is not a location in any program. `times` says whether the action takes two.
pub(in super::super) fn no_location(text: &str, span: &Span, times: bool) -> Option<Diagnostic> {
    let found = [without_place, address_or_line, of_function];
    if let Some((message, hint)) = found.iter().find_map(|find| find(text)) {
        return Some(Diagnostic::at(span.clone(), message).hint(hint));
    }
    let (file, line) = text.rsplit_once(':').filter(|(file, _)| !file.is_empty())?;
    let (message, hint) = around_colon(file, line, times)?;
    Some(Diagnostic::at(span.clone(), message).hint(hint))
}

/// The error for a file without a line. `behind` is the rest of the probe.
pub(in super::super) fn no_line(file: &str, behind: &str, span: Span) -> Diagnostic {
    let next = first_word(behind).trim_start_matches(['L', ':', '+']);
    let line = if is_number(next) { next } else { "57" };
    let error = Diagnostic::at(span, "the line number is missing");
    error.hint(format!("write `{file}:{line}`"))
}

/// The error for `usdt:PROVIDER:NAME` with a part missing, or with the path of bpftrace.
pub(in super::super) fn no_usdt_probe(
    provider: &str,
    name: &str,
    span: Span,
) -> Option<Diagnostic> {
    if provider.is_empty() {
        let error = Diagnostic::at(span, "the provider of the USDT probe is missing");
        return Some(error.hint("write `usdt:PROVIDER:NAME`; `tracer funcs usdt:` lists them"));
    }
    if name.is_empty() {
        let error = Diagnostic::at(span, "the name of the USDT probe is missing");
        return Some(error.hint(format!(
            "write `usdt:{provider}:NAME`; `tracer funcs usdt:` lists them"
        )));
    }
    // Providers are parts of symbols, and have no slash.
    let file = provider.rsplit_once('/').map(|(_, file)| file)?;
    let error = Diagnostic::at(span, "the location of a USDT probe has no path");
    Some(error.hint(match name.contains(':') {
        true => format!("write `{file}!usdt:{name}`, or without the module: `usdt:{name}`"),
        false => format!("write `{file}!usdt:PROVIDER:{name}`"),
    }))
}

/// The error for a text after `FILE:` that is not a number.
pub(in super::super) fn no_number(file: &str, line: &str, span: Span) -> Diagnostic {
    let error = Diagnostic::at(span, "the line number is missing after `:`");
    let name = line.split('(').next().unwrap_or(line);
    error.hint(match is_path(name) {
        true => format!("write `{file}:57`; for a function, leave out the file: `{name}`"),
        false => format!("write `{file}:57`; lines start at 1"),
    })
}

/// A message and its hint.
type Explained = Option<(&'static str, String)>;

fn without_place(text: &str) -> Explained {
    let hole = text.starts_with('{') && text.ends_with('}') && !text.contains('#');
    if hole || matches!(text, "if" | "by") {
        let hint = "it follows the action: `main.rs:57`, `parse` or `0x401136`";
        return Some(("the location is missing", hint.to_owned()));
    }
    let inside = text.strip_prefix('(')?.strip_suffix(')')?;
    Some(("a location has no parentheses", format!("write `{inside}`")))
}

fn address_or_line(text: &str) -> Explained {
    if let Some(address) = text.strip_prefix("*0x") {
        return Some(("an address has no `*`", format!("write `0x{address}`")));
    }
    let line = text.strip_prefix(':').unwrap_or(text);
    if is_number(line) {
        let message = "the file of this line is missing";
        return Some((message, format!("write `FILE:{line}`")));
    }
    let (file, line) = text.split_once('#')?;
    let line = line.trim_start_matches(['L', 'l']);
    is_number(line).then(|| {
        let message = "the line number goes after `:`";
        (message, format!("write `{file}:{line}`"))
    })
}

fn of_function(text: &str) -> Explained {
    let (function, place) = text.rsplit_once('%')?;
    // `operator%` of C++ has no word after the sign.
    if place.is_empty() || !place.chars().all(char::is_alphabetic) {
        return None;
    }
    Some(match place {
        "return" => return None,
        "entry" | "call" | "begin" | "start" => (
            "the start of a function is its name alone",
            format!("write `{function}`"),
        ),
        _ => (
            "the returns of a function are `FUNCTION%return`",
            format!("write `{function}%return`"),
        ),
    })
}

fn around_colon(file: &str, line: &str, times: bool) -> Explained {
    if file.contains("::") && !file.ends_with(':') && is_number(line) {
        let message = "line numbers belong to files, not functions";
        let hint = format!("write `FILE:{line}`, or the function alone: `{file}`");
        return Some((message, hint));
    }
    if let Some((first, second)) = file.rsplit_once(':')
        && !first.is_empty()
        && is_number(line)
    {
        // `main.rs:57:13`, in the syntax of compilers.
        return Some(match is_number(second) {
            true => (
                "a location has no column",
                format!("write `{first}:{second}`"),
            ),
            false => (
                "a module's name ends with `!`",
                format!("write `{first}!{second}:{line}`"),
            ),
        });
    }
    let digits = line.find(|c: char| !c.is_ascii_digit())?;
    let (number, rest) = line.split_at_checked(digits)?;
    if number.is_empty() {
        return None;
    }
    let last = rest.trim_start_matches(['-', ',', '.', '+']);
    if is_number(last) {
        let range = format!("`time {file}:{number}..{file}:{last}`");
        let hint = match times {
            true => format!("write {range}"),
            false => format!("write a probe for each; {range} measures the time between two"),
        };
        return Some(("a location is one line", hint));
    }
    let ends = |c| matches!(c, ';' | ',' | '.' | ')');
    rest.chars().all(ends).then(|| {
        let message = "only a line number can follow `:`";
        (message, format!("write `{file}:{number}`"))
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}
