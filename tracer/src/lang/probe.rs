//! Whole probes: action, location, template, condition, options.

use std::time::Duration;

use super::ast::{Action, Expr, Location, LocationKind, ProbeOptions, ProbeSpec, Span, Template};
use super::lexer::{Cursor, Kind, Token, name_length};
use super::mistakes::{self, Typed};
use super::{MAX_TEXT, SyntaxError, expr, template};

pub(crate) const ACTIONS: [&str; 5] = ["log", "snapshot", "count", "hist", "time"];
/// Words that begin an option.
pub(super) const OPTIONS: [&str; 8] = [
    "hits",
    "rate",
    "every",
    "for",
    "depth",
    "cpu",
    "trampoline",
    "as",
];
/// Words that a probe can begin with or go on with.
pub(crate) fn words() -> impl Iterator<Item = &'static str> {
    ACTIONS.into_iter().chain(["if", "by"]).chain(OPTIONS)
}

/// Units of durations, in ns.
const UNITS: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Parses one probe.
///
/// # Errors
/// The first mistake in it.
pub fn parse_probe(text: &str) -> Result<ProbeSpec, SyntaxError> {
    if text.len() > MAX_TEXT {
        let message = format!(
            "a probe of {} bytes; at most {MAX_TEXT} are read",
            text.len()
        );
        return Err(SyntaxError::new(0..0, message));
    }
    let mut cursor = Cursor::new(text, 0..text.len());
    let name = action_name(&mut cursor)?;
    let mut action = action(name);
    let (mut location, until) = location(&mut cursor, name == "time")?;
    match &mut action {
        Action::Count { by } if cursor.take_word("by") => {
            let missing = "the value to count by is missing";
            *by = Some(expression(&mut cursor, missing, "write `by x`")?);
        }
        Action::Hist { value, step } => {
            *value = histogram_value(&mut cursor)?;
            if cursor.take_word("step") {
                *step = Some(positive(&mut cursor, "step")?);
            }
        }
        _ => {}
    }
    let template = message(&mut cursor, text)?;
    let condition = if cursor.take_word("if") {
        let missing = "the condition is missing";
        Some(expression(&mut cursor, missing, "write `if x > 5`")?)
    } else {
        None
    };
    let returns = match &location.kind {
        LocationKind::Return(_) => until.is_none(),
        LocationKind::Function(_) => until.is_none() && action == Action::Time,
        _ => false,
    };
    let typed = Typed {
        text,
        action: &action,
        condition: condition.as_ref(),
        has_message: template.is_some(),
    };
    let options = options(&mut cursor, returns, &typed)?;
    if options.trampoline
        && let LocationKind::Return(function) = location.kind
    {
        location.kind = LocationKind::Trampoline(function);
    }
    Ok(ProbeSpec {
        text: text.to_owned(),
        action,
        location,
        until,
        template,
        condition,
        options,
    })
}

/// The action of that name, of which nothing else has been read yet.
fn action(name: &str) -> Action {
    match name {
        "log" => Action::Log,
        "snapshot" => Action::Snapshot,
        "count" => Action::Count { by: None },
        "time" => Action::Time,
        // The location comes first, then the value.
        _ => Action::Hist {
            value: placeholder(),
            step: None,
        },
    }
}

/// Parses a file of probes: one on each line, `#` begins a comment.
///
/// Gives the number of each line that has a probe, from 1, and the probe.
#[must_use]
pub fn parse_probe_file(text: &str) -> Vec<(usize, Result<ProbeSpec, SyntaxError>)> {
    (1..)
        .zip(text.lines())
        .map(|(number, line)| (number, without_comment(line).trim()))
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| (number, parse_probe(line)))
        .collect()
}

/// Parses a location that stands alone.
///
/// # Errors
/// It is no location, or something stands behind it.
pub fn parse_location(text: &str) -> Result<Location, SyntaxError> {
    let mut cursor = Cursor::new(text, 0..text.len());
    let (location, _) = location(&mut cursor, false)?;
    cursor.expect_end("the location")?;
    Ok(location)
}

/// The line up to a `#` that begins a word and is not inside quotes.
fn without_comment(line: &str) -> &str {
    let (mut at, mut before) = (0, ' ');
    while let Some(c) = line.get(at..).and_then(|rest| rest.chars().next()) {
        if c == '#' && before.is_whitespace() {
            return line.get(..at).unwrap_or(line);
        }
        let rest = line.get(at..).unwrap_or_default();
        at += match c {
            // What is never closed is told when the probe is read.
            '"' => template::length(rest, at).map_or(rest.len(), |inside| inside + 2),
            _ => c.len_utf8(),
        };
        before = c;
    }
    line
}

/// What a histogram's value is until it has been read.
fn placeholder() -> Expr {
    Expr {
        kind: super::ast::ExprKind::Null,
        span: 0..0,
    }
}

fn histogram_value(cursor: &mut Cursor<'_>) -> Result<Expr, SyntaxError> {
    let token = cursor.peek()?;
    let value = cursor.rest().strip_prefix("by ").map(str::trim);
    if token.kind == Kind::End || value.is_some() {
        let error = SyntaxError::new(token.span, "the value goes right after the location");
        let value = value.unwrap_or("EXPR");
        return Err(error.hint(format!("write `hist LOCATION {value}`")));
    }
    expr::parse(cursor)
}

/// The expression behind a word of the probe.
fn expression(cursor: &mut Cursor<'_>, missing: &str, hint: &str) -> Result<Expr, SyntaxError> {
    let token = cursor.peek()?;
    if token.kind == Kind::End {
        return Err(SyntaxError::new(token.span, missing).hint(hint));
    }
    expr::parse(cursor)
}

fn action_name<'t>(cursor: &mut Cursor<'t>) -> Result<&'t str, SyntaxError> {
    let token = cursor.peek()?;
    let text = cursor.text(&token.span);
    if ACTIONS.contains(&text) {
        cursor.advance(text.len());
        return Ok(text);
    }
    Err(mistakes::no_action(cursor.rest(), token.span))
}

/// One location, or two with `..` between them.
fn location(
    cursor: &mut Cursor<'_>,
    range: bool,
) -> Result<(Location, Option<Location>), SyntaxError> {
    let (start, text, quoted) = location_text(cursor)?;
    let two = text
        .split_once("..")
        .is_some_and(|(first, second)| first.contains(':') && second.contains(':'));
    let named = !quoted || text.starts_with('{');
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
            let error = SyntaxError::new(span, "only `time` takes two locations");
            return Err(error.hint(format!("`time {text}` measures the time between them")));
        }
    }
    let location = one_location(&text, start);
    let file = (!quoted && looks_like_file(&text)).then(|| start..start + text.len());
    match file {
        Some(span) => Err(mistakes::no_line(&text, cursor.rest(), span)),
        None => Ok((location?, None)),
    }
}

/// The text of a location: up to a space that is not inside quotes or brackets.
fn location_text(cursor: &mut Cursor<'_>) -> Result<(usize, String, bool), SyntaxError> {
    let start = cursor.at();
    let rest = cursor.rest();
    if let Some(inside) = rest.strip_prefix('"') {
        // `"a file.c":12`: the line stands inside or behind the quotes.
        let Some((file, behind)) = inside.split_once('"') else {
            return Err(SyntaxError::new(
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
            SyntaxError::new(cursor.last()..cursor.last(), "the location is missing").hint(
                "name a line (`main.rs:57`), a function (`parse`) or an address (`0x401136`)",
            ),
        );
    }
    cursor.advance(end);
    Ok((start, text.to_owned(), false))
}

fn one_location(text: &str, start: usize) -> Result<Location, SyntaxError> {
    let span = start..start + text.len();
    let (module, rest) = match text.split_once('!') {
        Some((module, rest)) if !module.is_empty() => (Some(module.to_owned()), rest),
        _ => (None, text),
    };
    let kind = location_kind(rest, &span)?;
    Ok(Location { module, kind, span })
}

fn location_kind(text: &str, span: &Span) -> Result<LocationKind, SyntaxError> {
    let wrong = |message: &str| SyntaxError::new(span.clone(), message);
    if text.is_empty() {
        return Err(wrong("the location is missing"));
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

fn looks_like_file(text: &str) -> bool {
    const ENDINGS: [&str; 9] = [
        ".rs", ".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".go", ".zig",
    ];
    ENDINGS.iter().any(|ending| text.ends_with(ending))
}

/// The message, when one stands here.
fn message(cursor: &mut Cursor<'_>, text: &str) -> Result<Option<Template>, SyntaxError> {
    if !cursor.rest().starts_with('"') {
        return Ok(None);
    }
    let start = cursor.at();
    let inside = template::length(cursor.rest(), start)?;
    let template = template::parse(text, start + 1..start + 1 + inside)?;
    cursor.advance(inside + 2);
    Ok(Some(template))
}

/// The next token where an option is expected.
fn option_token(cursor: &Cursor<'_>, typed: &Typed<'_>, first: bool) -> Result<Token, SyntaxError> {
    cursor.peek().map_err(|error| {
        // Maybe a message in other quotes.
        let span = cursor.at()..error.span.end.min(cursor.at() + 1).max(cursor.at());
        typed.unreadable(cursor, span, error, first)
    })
}

/// Parses the options. `returns`: the probe observes returns of functions.
fn options(
    cursor: &mut Cursor<'_>,
    returns: bool,
    typed: &Typed<'_>,
) -> Result<ProbeOptions, SyntaxError> {
    let mut options = ProbeOptions::default();
    loop {
        let first = options == ProbeOptions::default();
        let token = option_token(cursor, typed, first)?;
        if token.kind == Kind::End {
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
            "trampoline" => options.trampoline,
            "as" => options.name.is_some(),
            _ => return Err(typed.no_option(cursor, token.span, first)),
        };
        if given {
            return Err(SyntaxError::new(
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
                let frames = frames.map_err(|_| SyntaxError::new(span, "too many frames"))?;
                options.depth = Some(frames);
            }
            "cpu" => options.cpu = Some(share(cursor)?),
            "trampoline" => {
                if !returns {
                    return Err(SyntaxError::new(
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

fn positive(cursor: &mut Cursor<'_>, option: &str) -> Result<u64, SyntaxError> {
    let token = cursor.next()?;
    match token.kind {
        Kind::Int(value) if value > 0 && value <= u128::from(u64::MAX) => {
            Ok(u64::try_from(value).unwrap_or(u64::MAX))
        }
        _ => {
            let found = cursor.found(&token);
            let message = format!("expected a number from 1 after `{option}`{found}");
            let error = SyntaxError::new(token.span, message);
            Err(match option {
                "rate" => error.hint("write `rate 100/s`"),
                _ => error.hint(format!("write `{option} 10`")),
            })
        }
    }
}

/// `100/s`.
fn rate(cursor: &mut Cursor<'_>) -> Result<u64, SyntaxError> {
    let value = positive(cursor, "rate")?;
    let at = cursor.last();
    if cursor.take("/") && cursor.take_word("s") {
        return Ok(value);
    }
    let error = SyntaxError::new(at..cursor.last().max(at), "a rate is a number per second");
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
fn duration(cursor: &mut Cursor<'_>) -> Result<Duration, SyntaxError> {
    let start = cursor.at();
    let rest = cursor.rest();
    let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let text = rest.get(..length).unwrap_or_default();
    cursor.advance(length);
    parse_duration(text)
        .ok_or_else(|| mistakes::no_duration(text, cursor.rest(), start..start + length))
}

/// `25%`, `0.5%`, of one CPU.
fn share(cursor: &mut Cursor<'_>) -> Result<f64, SyntaxError> {
    let start = cursor.at();
    let rest = cursor.rest();
    let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let text = rest.get(..length).unwrap_or_default();
    cursor.advance(length);
    parse_share(text).ok_or_else(|| {
        SyntaxError::new(
            start..start + length,
            format!("`{}` is not a share of a CPU", text.escape_debug()),
        )
        .hint("write a percentage of one CPU: `cpu 5%`, `cpu 0.5%`")
    })
}

/// Reads `25%` as a quarter; of nothing to 100 CPUs.
#[must_use]
pub(crate) fn parse_share(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%')?;
    if !number.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let percent: f64 = number.parse().ok()?;
    (percent > 0.0 && percent <= 10_000.0).then_some(percent / 100.0)
}

/// Reads `500ms`, `1.5s`, `10m`; at most a year, and not nothing.
#[must_use]
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, nanoseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let duration = match number.parse::<u64>() {
        Ok(whole) => Duration::from_nanos(whole.checked_mul(*nanoseconds)?),
        Err(_) => {
            let unit = Duration::from_nanos(*nanoseconds).as_secs_f64();
            Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()?
        }
    };
    (duration > Duration::ZERO && duration <= YEAR).then_some(duration)
}

/// The duration that a text begins with, in ns, and its bytes; `None`: it begins with another number.
pub(super) fn leading_duration(text: &str) -> Option<(u64, usize)> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let length = digits + name_length(text.get(digits..)?);
    let duration = parse_duration(text.get(..length)?)?;
    Some((u64::try_from(duration.as_nanos()).ok()?, length))
}

/// What names of probes are made of.
pub(super) fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

fn name(cursor: &mut Cursor<'_>) -> Result<String, SyntaxError> {
    let start = cursor.at();
    let rest = cursor.rest();
    let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let text = rest.get(..length).unwrap_or_default().to_owned();
    if text.is_empty() || text.len() > 64 || !text.chars().all(is_of_name) {
        let message = "a name is up to 64 letters, digits, `_`, `-` and `.`";
        let error = SyntaxError::new(start..start + length, message);
        return Err(error.hint("write `as slow-requests`"));
    }
    cursor.advance(length);
    Ok(text)
}
