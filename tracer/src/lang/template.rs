//! Parses messages with holes, such as `"x {last.x} -> {current.x:#x}"`.

use super::ast::{Align, Format, FormatStyle, Span, Template, TemplatePart};
use super::lexer::{Cursor, escape};
use super::{MAX_TEXT, expr, mistakes};
use crate::base::diagnostic::Diagnostic;

/// Parses a text without quotes as a template.
///
/// # Errors
/// The first mistake in the text.
pub fn parse_template(text: &str) -> Result<Template, Diagnostic> {
    if text.len() > MAX_TEXT {
        let message = format!(
            "the message has {} bytes; the limit is {MAX_TEXT}",
            text.len()
        );
        return Err(Diagnostic::at(0..0, message));
    }
    parse(text, 0..text.len())
}

/// Length in bytes of the template between the quotes at the start of `rest`.
pub(super) fn length(rest: &str, at: usize) -> Result<usize, Diagnostic> {
    // If a brace is never closed, the text ends at the next quote, and the error is about the brace.
    let end = end(rest, true).or_else(|| end(rest, false));
    end.map(|end| end - 1).ok_or_else(|| unclosed(at))
}

fn unclosed(at: usize) -> Diagnostic {
    Diagnostic::at(at..at + 1, "this quote is never closed").hint("add a `\"` after the message")
}

/// Position of the quote that ends the text. With `holes`, a quote inside a hole belongs to a text there.
fn end(rest: &str, holes: bool) -> Option<usize> {
    #[derive(Clone, Copy, PartialEq)]
    enum In {
        Text,
        Hole,
        /// `"…"` or `'…'` in a hole.
        Quoted(char),
    }
    let mut place = In::Text;
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((index, c)) = characters.next() {
        place = match (place, c) {
            (In::Text | In::Quoted(_), '\\') => {
                characters.next();
                place
            }
            (In::Text, '"') => return Some(index),
            (In::Text, '{') if holes => match characters.next_if(|(_, next)| *next == '{') {
                Some(_) => In::Text,
                None => In::Hole,
            },
            (In::Hole, '}') => In::Text,
            (In::Hole, '"' | '\'') => In::Quoted(c),
            (In::Quoted(quote), _) if c == quote => In::Hole,
            _ => place,
        };
    }
    None
}

/// Parses the part `range` of `text`.
pub(super) fn parse(text: &str, range: Span) -> Result<Template, Diagnostic> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut at = range.start;
    while let Some(c) = text.get(at..range.end).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..range.end).unwrap_or_default();
        match c {
            '{' | '}' if rest.get(1..).is_some_and(|behind| behind.starts_with(c)) => {
                plain.push(c);
                at += 2;
            }
            '{' => {
                if !plain.is_empty() {
                    parts.push(TemplatePart::Text(std::mem::take(&mut plain)));
                }
                let (hole, end) = hole(text, at, range.end)?;
                parts.push(hole);
                at = end;
            }
            '}' => {
                return Err(
                    Diagnostic::at(at..at + 1, "unmatched `}`").hint("a brace is written `}}`")
                );
            }
            '\\' if rest.starts_with("\\{") || rest.starts_with("\\}") => {
                let error = Diagnostic::at(at..at + 2, "a brace has no `\\` before it");
                return Err(error.hint("a brace is written `{{` or `}}`"));
            }
            '\\' => {
                let (c, length) = escape(rest, at)?;
                plain.push(c);
                at += length;
            }
            _ => {
                plain.push(c);
                at += c.len_utf8();
            }
        }
    }
    if !plain.is_empty() {
        parts.push(TemplatePart::Text(plain));
    }
    Ok(Template { parts })
}

/// Parses the hole at `start`. Returns it and its end.
fn hole(text: &str, start: usize, end: usize) -> Result<(TemplatePart, usize), Diagnostic> {
    let unclosed = || {
        Diagnostic::at(start..start + 1, "this `{` is never closed")
            .hint("close it with `}`; a brace itself is written `{{`")
    };
    if !text.get(start..end).is_some_and(|rest| rest.contains('}')) {
        return Err(unclosed());
    }
    let mut cursor = Cursor::new(text, start + 1..end);
    if cursor.rest().starts_with('}') {
        return Err(
            Diagnostic::at(start..cursor.at() + 1, "these braces are empty")
                .hint("name a variable: `{x}`"),
        );
    }
    if let Some(format) = cursor.rest().strip_prefix(':') {
        let format = format.split('}').next().unwrap_or_default();
        let error = Diagnostic::at(start..cursor.at() + 1, "these braces are empty");
        return Err(error.hint(format!("name a variable: `{{x:{format}}}`")));
    }
    let expr = expr::parse(&mut cursor)?;
    let mut format = Format::default();
    if cursor.rest().starts_with(':') {
        let from = cursor.at() + 1;
        let length = text
            .get(from..end)
            .and_then(|rest| rest.find('}'))
            .ok_or_else(unclosed)?;
        format = parse_format(text.get(from..from + length).unwrap_or_default(), from)?;
        cursor.advance(1 + length);
    }
    if cursor.take("}") {
        // The space after the brace is part of the message, so the end is not the cursor's position.
        return Ok((TemplatePart::Hole { expr, format }, cursor.last()));
    }
    if cursor.rest().is_empty() {
        return Err(unclosed());
    }
    let written = text.get(expr.span.clone()).unwrap_or_default();
    if let Some(error) = mistakes::in_hole(cursor.rest(), cursor.at(), written) {
        return Err(error);
    }
    cursor.expect("}", "to close the brace")?;
    Err(unclosed())
}

/// `[[fill]align]['+']['#']['0'][width]['.' precision][style]`.
fn parse_format(text: &str, at: usize) -> Result<Format, Diagnostic> {
    let wrong = || mistakes::no_format(text, at..at + text.len());
    let mut format = Format::default();
    let mut rest = text.trim_end();
    let mut letters = rest.chars();
    if let (Some(fill), Some('<' | '^' | '>')) = (letters.next(), letters.next()) {
        format.fill = Some(fill);
        rest = rest.get(fill.len_utf8()..).unwrap_or_default();
    }
    for (sign, align) in [
        ('<', Align::Left),
        ('^', Align::Center),
        ('>', Align::Right),
    ] {
        if let Some(behind) = rest.strip_prefix(sign) {
            format.align = Some(align);
            rest = behind;
            break;
        }
    }
    if let Some(behind) = rest.strip_prefix('+') {
        format.plus = true;
        rest = behind;
    }
    if let Some(behind) = rest.strip_prefix('#') {
        format.alternate = true;
        rest = behind;
    }
    if let Some(behind) = rest.strip_prefix('0') {
        format.zero = true;
        rest = behind;
    }
    (format.width, rest) = number(rest).ok_or_else(wrong)?;
    if let Some(behind) = rest.strip_prefix('.') {
        (format.precision, rest) = number(behind).ok_or_else(wrong)?;
        if format.precision.is_none() {
            return Err(wrong());
        }
    }
    format.style = match rest {
        "" => FormatStyle::Display,
        "?" => FormatStyle::Debug,
        "x" => FormatStyle::LowerHex,
        "X" => FormatStyle::UpperHex,
        "o" => FormatStyle::Octal,
        "b" => FormatStyle::Binary,
        "e" => FormatStyle::LowerExp,
        "p" => FormatStyle::Pointer,
        _ => return Err(wrong()),
    };
    Ok(format)
}

/// A number at the start of the text, if there is one, and the rest. `None` if the number is too large.
fn number(text: &str) -> Option<(Option<u16>, &str)> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(digits)?;
    if number.is_empty() {
        return Some((None, rest));
    }
    // A width beyond any terminal is a mistake, and would be expensive.
    let number = number.parse().ok().filter(|width| *width <= 4096)?;
    Some((Some(number), rest))
}
