//! Parses probes: action, location, template, condition, options.

use std::time::Duration;

use super::ast::{Location, LocationKind, ProbeOptions, ProbeSpec, Span, Template};
use super::grammar::{ActionGrammar, LocationForm, expression_after, positive};
use super::lexer::{Cursor, Token, TokenKind};
use super::mistakes::{self, ProbeParts};
use super::quantity::{parse_duration, parse_share};
use super::words::is_probe_name_char;
use super::{MAX_TEXT, process_values, template};
use crate::base::diagnostic::Diagnostic;

/// Parses one probe. Its action is one of `grammars`.
///
/// # Errors
/// The first mistake in the text.
pub(crate) fn parse_probe(
    text: &str,
    grammars: &[&ActionGrammar],
) -> Result<ProbeSpec, Diagnostic> {
    if text.len() > MAX_TEXT {
        let message = format!(
            "the probe has {} bytes; the limit is {MAX_TEXT}",
            text.len()
        );
        return Err(Diagnostic::at(0..0, message));
    }
    let mut cursor = Cursor::new(text, 0..text.len());
    let grammar = action_grammar(&mut cursor, grammars)?;
    let is_interval = grammar.location == LocationForm::Interval;
    let (action, (mut location, until)) = if grammar.location == LocationForm::Value {
        let action = (grammar.operands)(&mut cursor)?;
        let location = location_of_value(&mut cursor)?;
        ((grammar.clauses)(&mut cursor, action)?, location)
    } else {
        let location = location(&mut cursor, is_interval)?;
        ((grammar.operands)(&mut cursor)?, location)
    };
    let template = message(&mut cursor, text)?;
    let action = (grammar.clauses)(&mut cursor, action)?;
    let condition = if cursor.take_word("if") {
        let missing = "the condition is missing";
        Some(expression_after(&mut cursor, missing, "write `if x > 5`")?)
    } else {
        None
    };
    let action = (grammar.clauses)(&mut cursor, action)?;
    let returns = match &location.kind {
        LocationKind::Return(_) => until.is_none(),
        LocationKind::Function(_) => until.is_none() && is_interval,
        _ => false,
    };
    let typed = ProbeParts {
        text,
        action: &action,
        condition: condition.as_ref(),
        has_message: template.is_some(),
        takes_message: grammar.has_message,
        mistake: grammar.mistake,
    };
    let options = options(&mut cursor, returns, &typed)?;
    if options.trampoline
        && let LocationKind::Return(function) = location.kind
    {
        location.kind = LocationKind::Trampoline(function);
    }
    let spec = ProbeSpec {
        text: text.to_owned(),
        action,
        location,
        until,
        template,
        condition,
        options,
    };
    process_values::check(&spec)?;
    Ok(spec)
}

/// Parses `at LOCATION until LOCATION` after a value. Without it, the value is meant wherever it is accessed.
fn location_of_value(cursor: &mut Cursor<'_>) -> Result<(Location, Option<Location>), Diagnostic> {
    let start = cursor.at();
    if !cursor.take_word("at") {
        let anywhere = Location {
            module: None,
            kind: LocationKind::Memory,
            span: start..start,
        };
        if cursor.peek_word() == Some("until") {
            let error = Diagnostic::at(
                start..start + "until".len(),
                "`until` needs `at LOCATION` before it",
            );
            return Err(error.hint("write `watch x.count at FUNCTION until FUNCTION`"));
        }
        return Ok((anywhere, None));
    }
    let (location, _) = location(cursor, false)?;
    let until = match cursor.take_word("until") {
        true => Some(self::location(cursor, false)?.0),
        false => None,
    };
    Ok((location, until))
}

/// Parses a text that is one location.
///
/// # Errors
/// The text is not a location, or has something after it.
pub fn parse_location(text: &str) -> Result<Location, Diagnostic> {
    let mut cursor = Cursor::new(text, 0..text.len());
    let (location, _) = location(&mut cursor, false)?;
    cursor.expect_end("the location")?;
    Ok(location)
}

/// Front of a line that selects the processes of a file of probes.
const TARGET: &str = "target";

/// Splits a file of probes: one per line, where `#` starts a comment.
///
/// Returns each line that has a probe: its number, from 1, and the probe.
pub(crate) fn lines_of_probes(text: &str) -> impl Iterator<Item = (usize, &str)> {
    lines(text).filter(|(_, line)| target_options(line).is_none())
}

/// Returns each line `target …` of a file of probes: its number, from 1, and what follows the word.
pub(crate) fn lines_of_targets(text: &str) -> impl Iterator<Item = (usize, &str)> {
    lines(text).filter_map(|(number, line)| Some((number, target_options(line)?)))
}

/// The lines that are more than a comment, with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(text.lines())
        .map(|(number, line)| (number, without_comment(line).trim()))
        .filter(|(_, line)| !line.is_empty())
}

fn target_options(line: &str) -> Option<&str> {
    let rest = line.strip_prefix(TARGET)?;
    let is_word = rest.is_empty() || rest.starts_with(char::is_whitespace);
    is_word.then(|| rest.trim_start())
}

/// Cuts a line at a `#` that starts a word outside of quotes.
fn without_comment(line: &str) -> &str {
    let (mut at, mut before) = (0, ' ');
    while let Some(c) = line.get(at..).and_then(|rest| rest.chars().next()) {
        if c == '#' && before.is_whitespace() {
            return line.get(..at).unwrap_or(line);
        }
        let rest = line.get(at..).unwrap_or_default();
        at += match c {
            // The parser reports a quote that is never closed.
            '"' => template::length(rest, at).map_or(rest.len(), |inside| inside + 2),
            _ => c.len_utf8(),
        };
        before = c;
    }
    line
}

/// Takes the word of an action, and returns the action's grammar.
fn action_grammar<'g>(
    cursor: &mut Cursor<'_>,
    grammars: &[&'g ActionGrammar],
) -> Result<&'g ActionGrammar, Diagnostic> {
    let token = cursor.peek()?;
    let text = cursor.text(&token.span);
    if let Some(grammar) = grammars.iter().find(|grammar| grammar.word == text) {
        cursor.advance(text.len());
        return Ok(grammar);
    }
    let words: Vec<&str> = grammars.iter().map(|grammar| grammar.word).collect();
    Err(mistakes::no_action(cursor.rest(), token.span, &words))
}

/// Parses one location, or two with `..` between them.
fn location(
    cursor: &mut Cursor<'_>,
    range: bool,
) -> Result<(Location, Option<Location>), Diagnostic> {
    let (start, text, quoted) = location_text(cursor)?;
    let two = text
        .split_once("..")
        .is_some_and(|(first, second)| first.contains(':') && second.contains(':'));
    let named = !quoted || text.starts_with('{');
    let named = named && usdt_part(&text).is_none();
    if let Some(error) = mistakes::no_location(&text, &(start..start + text.len()), range)
        && named
        && !two
    {
        return Err(error);
    }
    if range
        && !quoted
        && let Some((first, second)) = text.split_once("..")
    {
        let at = start + first.len() + 2;
        let first = one_location(first, start)?;
        return Ok((first, Some(one_location(second, at)?)));
    }
    if !quoted && let Some((first, second)) = text.split_once("..") {
        let places = [first, second]
            .into_iter()
            .filter(|text| text.contains(':'));
        if places.count() == 2 {
            let span = start..start + text.len();
            let error = Diagnostic::at(span, "only `time` and `span` take two locations");
            return Err(error.hint(format!("`time {text}` measures the time between them")));
        }
    }
    let location = one_location(&text, start);
    let is_file = !quoted && looks_like_file(&text) && usdt_part(&text).is_none();
    let file = is_file.then(|| start..start + text.len());
    match file {
        Some(span) => Err(mistakes::no_line(&text, cursor.rest(), span)),
        None => Ok((location?, None)),
    }
}

/// Takes the text of a location: everything up to a space outside of quotes and brackets.
///
/// Returns its start, the text, and whether it was in quotes.
fn location_text(cursor: &mut Cursor<'_>) -> Result<(usize, String, bool), Diagnostic> {
    let start = cursor.at();
    let rest = cursor.rest();
    if let Some(inside) = rest.strip_prefix('"') {
        // `"a file.c":12`: the line number is inside or after the quotes.
        let Some((file, behind)) = inside.split_once('"') else {
            return Err(Diagnostic::at(
                start..start + 1,
                "this quote is never closed",
            ));
        };
        let tail = behind.find(char::is_whitespace).unwrap_or(behind.len());
        let text = format!("{file}{}", behind.get(..tail).unwrap_or_default());
        cursor.advance(file.len() + 2 + tail);
        return Ok((start + 1, text, true));
    }
    let mut open = 0_u32;
    let mut end = rest.len();
    for (at, c) in rest.char_indices() {
        match c {
            '<' | '(' | '{' => open += 1,
            '>' | ')' | '}' => open = open.saturating_sub(1),
            _ if c.is_whitespace() && open == 0 => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    let text = rest.get(..end).unwrap_or_default();
    if text.is_empty() {
        return Err(
            Diagnostic::at(cursor.last()..cursor.last(), "the location is missing").hint(
                "name a line (`main.rs:57`), a function (`parse`) or an address (`0x401136`)",
            ),
        );
    }
    cursor.advance(end);
    Ok((start, text.to_owned(), false))
}

fn one_location(text: &str, start: usize) -> Result<Location, Diagnostic> {
    let span = start..start + text.len();
    let (module, rest) = match text.split_once('!') {
        Some((module, rest)) if !module.is_empty() && usdt(text).is_none() => {
            (Some(module.to_owned()), rest)
        }
        _ => (None, text),
    };
    let kind = location_kind(rest, &span)?;
    Ok(Location { module, kind, span })
}

fn location_kind(text: &str, span: &Span) -> Result<LocationKind, Diagnostic> {
    let wrong = |message: &str| Diagnostic::at(span.clone(), message);
    if text.is_empty() {
        return Err(wrong("the location is missing"));
    }
    if let Some(probe) = usdt(text) {
        let (provider, name) = probe.split_once(':').unwrap_or((probe, ""));
        if let Some(error) = mistakes::no_usdt_probe(provider, name, span.clone()) {
            return Err(error);
        }
        return Ok(LocationKind::Usdt {
            provider: provider.to_owned(),
            name: name.to_owned(),
        });
    }
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(digits, 16)
            .map(LocationKind::Address)
            .map_err(|_| wrong("an address is `0x` and up to 16 hexadecimal digits"));
    }
    if let Some(function) = text.strip_suffix("%return") {
        return Ok(LocationKind::Return(function.to_owned()));
    }
    match text.rsplit_once(':') {
        Some((file, _)) if file.is_empty() || file.ends_with(':') => {}
        Some((file, line)) => {
            return match line.parse() {
                Ok(line) if line > 0 => Ok(LocationKind::Line {
                    file: file.to_owned(),
                    line,
                }),
                _ => Err(mistakes::no_number(file, line, span.clone())),
            };
        }
        None if looks_like_file(text) => {
            return Err(wrong("the line number is missing").hint(format!("write `{text}:57`")));
        }
        None => {}
    }
    Ok(LocationKind::Function(text.to_owned()))
}

/// Like [`usdt`], for a location that may name a module.
fn usdt_part(text: &str) -> Option<&str> {
    usdt(text).or_else(|| usdt(text.split_once('!')?.1))
}

/// Returns the part after `usdt:` of the location of a USDT probe. `usdt::f` is a function, and
/// `usdt:12` a line.
fn usdt(text: &str) -> Option<&str> {
    let probe = text.strip_prefix("usdt:")?;
    let is_line = !probe.is_empty() && probe.bytes().all(|byte| byte.is_ascii_digit());
    (!probe.starts_with(':') && !is_line).then_some(probe)
}

fn looks_like_file(text: &str) -> bool {
    const ENDINGS: [&str; 9] = [
        ".rs", ".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".go", ".zig",
    ];
    ENDINGS.iter().any(|ending| text.ends_with(ending))
}

/// Parses the message, if there is one.
fn message(cursor: &mut Cursor<'_>, text: &str) -> Result<Option<Template>, Diagnostic> {
    if !cursor.rest().starts_with('"') {
        return Ok(None);
    }
    let start = cursor.at();
    let inside = template::length(cursor.rest(), start)?;
    let template = template::parse(text, start + 1..start + 1 + inside)?;
    cursor.advance(inside + 2);
    Ok(Some(template))
}

/// Reads the next token in a position for an option.
fn option_token(
    cursor: &Cursor<'_>,
    typed: &ProbeParts<'_>,
    first: bool,
) -> Result<Token, Diagnostic> {
    cursor.peek().map_err(|error| {
        // It may be a message in other quotes.
        let end = error.span.as_ref().map_or(0, |span| span.end);
        let span = cursor.at()..end.min(cursor.at() + 1).max(cursor.at());
        typed.unreadable(cursor, span, error, first)
    })
}

/// Parses the options. `returns` says whether the probe observes returns of functions.
fn options(
    cursor: &mut Cursor<'_>,
    returns: bool,
    typed: &ProbeParts<'_>,
) -> Result<ProbeOptions, Diagnostic> {
    let mut options = ProbeOptions::default();
    loop {
        let first = options == ProbeOptions::default();
        let token = option_token(cursor, typed, first)?;
        if token.kind == TokenKind::End {
            return Ok(options);
        }
        let word = cursor.text(&token.span).to_owned();
        let given = match word.as_str() {
            "hits" => options.hits.is_some(),
            "rate" => options.rate.is_some(),
            "every" => options.every.is_some(),
            "for" => options.ttl.is_some(),
            "depth" => options.depth.is_some(),
            "cpu" => options.cpu.is_some(),
            "per" => options.per_process,
            "trampoline" => options.trampoline,
            "as" => options.name.is_some(),
            _ => return Err(typed.no_option(cursor, token.span, first)),
        };
        if given {
            return Err(Diagnostic::at(
                token.span,
                format!("`{word}` is given twice"),
            ));
        }
        cursor.advance(word.len());
        if let Some(error) = mistakes::no_space(cursor, &word) {
            return Err(error);
        }
        match word.as_str() {
            "hits" => options.hits = Some(positive(cursor, "hits")?),
            "rate" => options.rate = Some(rate(cursor)?),
            "every" => options.every = Some(duration(cursor)?),
            "for" => options.ttl = Some(duration(cursor)?),
            "depth" => {
                let span = cursor.peek()?.span;
                let frames = u32::try_from(positive(cursor, "depth")?);
                let frames = frames.map_err(|_| Diagnostic::at(span, "too many frames"))?;
                options.depth = Some(frames);
            }
            "cpu" => options.cpu = Some(share(cursor)?),
            "per" => {
                per_process(cursor)?;
                options.per_process = true;
            }
            "trampoline" => {
                if !returns {
                    return Err(Diagnostic::at(
                        token.span,
                        "`trampoline` is for returns of functions",
                    )
                    .hint("use it with `FUNCTION%return` or `time FUNCTION`"));
                }
                options.trampoline = true;
            }
            _ => options.name = Some(name(cursor)?),
        }
    }
}

/// `process` after `per`.
fn per_process(cursor: &mut Cursor<'_>) -> Result<(), Diagnostic> {
    if cursor.take_word("process") {
        return Ok(());
    }
    let token = cursor.peek()?;
    let span = match token.kind {
        TokenKind::End => cursor.last().saturating_sub("per".len())..cursor.last(),
        _ => token.span,
    };
    let message = "limits hold for all processes together, or `per process`";
    Err(Diagnostic::at(span, message).hint("write `hits 5 per process`"))
}

/// `100/s`.
fn rate(cursor: &mut Cursor<'_>) -> Result<u64, Diagnostic> {
    let value = positive(cursor, "rate")?;
    let at = cursor.last();
    if cursor.take("/") && cursor.take_word("s") {
        return Ok(value);
    }
    let error = Diagnostic::at(at..cursor.last().max(at), "a rate is a number per second");
    Err(
        error.hint(match cursor.rest().trim_start_matches('/').chars().next() {
            Some('m' | 'h') => {
                format!("write `rate {value}/s`; `every 10s` lets one through in each 10 seconds")
            }
            _ => format!("write `rate {value}/s`"),
        }),
    )
}

/// `500ms`, `1.5s`, `10m`.
fn duration(cursor: &mut Cursor<'_>) -> Result<Duration, Diagnostic> {
    let start = cursor.at();
    let rest = cursor.rest();
    let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let text = rest.get(..length).unwrap_or_default();
    cursor.advance(length);
    parse_duration(text)
        .ok_or_else(|| mistakes::no_duration(text, cursor.rest(), start..start + length))
}

/// `25%`, `0.5%`, of one CPU.
fn share(cursor: &mut Cursor<'_>) -> Result<f64, Diagnostic> {
    let start = cursor.at();
    let rest = cursor.rest();
    let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let text = rest.get(..length).unwrap_or_default();
    cursor.advance(length);
    parse_share(text).ok_or_else(|| {
        Diagnostic::at(
            start..start + length,
            format!("`{}` is not a share of a CPU", text.escape_debug()),
        )
        .hint("write a percentage of one CPU: `cpu 5%`, `cpu 0.5%`")
    })
}

fn name(cursor: &mut Cursor<'_>) -> Result<String, Diagnostic> {
    let start = cursor.at();
    let rest = cursor.rest();
    let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let text = rest.get(..length).unwrap_or_default().to_owned();
    if text.is_empty() || text.len() > 64 || !text.chars().all(is_probe_name_char) {
        let message = "a name is up to 64 letters, digits, `_`, `-` and `.`";
        let error = Diagnostic::at(start..start + length, message);
        return Err(error.hint("write `as slow-requests`"));
    }
    cursor.advance(length);
    Ok(text)
}
