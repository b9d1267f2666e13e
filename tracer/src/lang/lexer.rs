//! Splits probes and expressions into tokens.

use super::ast::Span;
use super::hexadecimal;
use super::mistakes;
use super::words::{is_name_start, name_length};
use crate::base::diagnostic::Diagnostic;

/// One token and its position in the text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
}

/// The kinds of tokens.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenKind {
    /// A name or keyword.
    Word,
    /// `$name`.
    Special,
    Int(u128),
    Float(f64),
    /// `5ms`, in nanoseconds.
    Duration(u64),
    Str(String),
    Char(char),
    /// An operator or bracket.
    Punct(&'static str),
    End,
}

/// Operators and brackets, longest first, so that `<<` is not two `<`.
const PUNCTUATION: [&str; 33] = [
    "->", "::", "..", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "(", ")", "[", "]", "{", "}",
    ".", ",", ":", "#", "+", "-", "*", "/", "%", "&", "|", "^", "!", "~", "<", ">",
];

/// Suffixes of integers in Rust and C. They are ignored, because computations have 64 bits.
const SUFFIXES: [&str; 19] = [
    "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128", "usize", "u",
    "l", "ul", "lu", "ll", "ull", "llu",
];
/// Suffixes of floats in Rust and C.
const FLOAT_SUFFIXES: [&str; 3] = ["f32", "f64", "f"];
/// Suffixes that turn the digits of an integer into a float in Rust.
const TYPED_FLOATS: [&str; 2] = ["f32", "f64"];

/// A position in the text, from which tokens are taken.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'t> {
    text: &'t str,
    at: usize,
    end: usize,
    /// End of the previous token.
    last: usize,
    /// Levels of nesting so far, bounded by [`super::MAX_NESTING`].
    pub(super) depth: u32,
}

impl<'t> Cursor<'t> {
    /// Starts at the part `range` of `text`. Spans are positions in the whole text.
    pub(crate) fn new(text: &'t str, range: Span) -> Self {
        let mut cursor = Self {
            text,
            at: range.start,
            end: range.end,
            last: range.start,
            depth: 0,
        };
        cursor.skip_space();
        cursor
    }

    /// The rest of the text.
    pub(crate) fn rest(&self) -> &'t str {
        self.text.get(self.at..self.end).unwrap_or_default()
    }

    /// Start of the next token.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// End of the previous token.
    pub(crate) fn last(&self) -> usize {
        self.last
    }

    /// The text of a span.
    pub(crate) fn text(&self, span: &Span) -> &'t str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// Skips `bytes` bytes, and the space after them.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.end);
        self.last = self.at;
        self.skip_space();
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Reads the next token without taking it.
    pub(crate) fn peek(&self) -> Result<Token, Diagnostic> {
        let rest = self.rest();
        let span = |length: usize| self.at..self.at + length;
        let Some(first) = rest.chars().next() else {
            return Ok(Token {
                kind: TokenKind::End,
                span: self.last..self.last,
            });
        };
        if is_name_start(first) {
            return Ok(Token {
                kind: TokenKind::Word,
                span: span(name_length(rest)),
            });
        }
        if first == '$' {
            let length = 1 + rest.get(1..).map_or(0, name_length);
            return Ok(Token {
                kind: TokenKind::Special,
                span: span(length),
            });
        }
        if first.is_ascii_digit() {
            return number(rest, self.at);
        }
        if first == '"' {
            let (text, length) = string(rest, self.at)?;
            return Ok(Token {
                kind: TokenKind::Str(text),
                span: span(length),
            });
        }
        if first == '\'' {
            return character(rest, self.at);
        }
        match PUNCTUATION.iter().find(|punct| rest.starts_with(**punct)) {
            Some(punct) => Ok(Token {
                kind: TokenKind::Punct(punct),
                span: span(punct.len()),
            }),
            None => Err(mistakes::unreadable(first, span(first.len_utf8()))),
        }
    }

    /// Reads the next token in a position for an operand. Only there `.5` is a number.
    pub(crate) fn peek_operand(&self) -> Result<Token, Diagnostic> {
        match self.rest().strip_prefix('.') {
            Some(behind) if behind.starts_with(|c: char| c.is_ascii_digit()) => {
                number(self.rest(), self.at)
            }
            _ => self.peek(),
        }
    }

    /// Takes the next token.
    pub(crate) fn next(&mut self) -> Result<Token, Diagnostic> {
        let token = self.peek()?;
        self.advance(token.span.len());
        Ok(token)
    }

    /// Takes a regular expression between two slashes, if one is next. Returns its pattern and span.
    ///
    /// `\\/` is a slash; there are no other escapes of the probe language in it. The flag `i` becomes `(?i)`.
    pub(crate) fn regex(&mut self) -> Result<Option<(String, Span)>, Diagnostic> {
        let Some(body) = self.rest().strip_prefix('/') else {
            return Ok(None);
        };
        let start = self.at;
        let (mut pattern, mut length, mut is_escaped) = (String::new(), 0, false);
        for c in body.chars() {
            if c == '/' && !is_escaped {
                let behind = body.get(length + 1..).unwrap_or_default();
                let flags = behind.get(..name_length(behind)).unwrap_or_default();
                let end = start + 1 + length + 1;
                match flags {
                    "" => {}
                    "i" => pattern.insert_str(0, "(?i)"),
                    _ => {
                        let error = format!("`{flags}` is not a flag of regular expressions");
                        let span = end..end + flags.len();
                        return Err(Diagnostic::at(span, error).hint(
                            "there is `i`, which ignores case; others are written `(?x)` inside",
                        ));
                    }
                }
                self.advance(end + flags.len() - start);
                return Ok(Some((pattern, start..end + flags.len())));
            }
            if c == '/' {
                pattern.pop();
            }
            is_escaped = c == '\\' && !is_escaped;
            pattern.push(c);
            length += c.len_utf8();
        }
        Err(
            Diagnostic::at(start..start + 1, "this regular expression is never closed")
                .hint("put a `/` behind it; a slash inside is written `\\/`"),
        )
    }

    /// Takes the punctuation if it is next. Returns whether it was.
    pub(crate) fn take(&mut self, punct: &str) -> bool {
        let found = matches!(self.peek(), Ok(Token { kind: TokenKind::Punct(found), .. }) if found == punct);
        if found {
            self.advance(punct.len());
        }
        found
    }

    /// Takes the word if it is next. Returns whether it was.
    pub(crate) fn take_word(&mut self, word: &str) -> bool {
        let found = self.peek_word() == Some(word);
        if found {
            self.advance(word.len());
        }
        found
    }

    /// Reads the next word without taking it.
    pub(crate) fn peek_word(&self) -> Option<&'t str> {
        match self.peek() {
            Ok(Token {
                kind: TokenKind::Word,
                span,
            }) => Some(self.text(&span)),
            _ => None,
        }
    }

    /// Takes the punctuation, or fails. `purpose` ends the message: `expected `]` after the index`.
    pub(crate) fn expect(&mut self, punct: &'static str, purpose: &str) -> Result<(), Diagnostic> {
        if self.take(punct) {
            return Ok(());
        }
        let found = self.peek()?;
        Err(Diagnostic::at(
            found.span.clone(),
            format!("expected `{punct}` {purpose}{}", self.found(&found)),
        ))
    }

    /// The end of a message: `, found …`.
    pub(crate) fn found(&self, token: &Token) -> String {
        match token.kind {
            TokenKind::End => ", but the text ends here".into(),
            _ => format!(", found `{}`", self.text(&token.span).escape_debug()),
        }
    }

    /// Fails if text is left after `parsed`.
    pub(crate) fn expect_end(&self, parsed: &str) -> Result<(), Diagnostic> {
        let token = self.peek()?;
        if token.kind == TokenKind::End {
            return Ok(());
        }
        let text = self.text(&token.span).escape_debug();
        Err(Diagnostic::at(
            token.span.clone(),
            format!("unexpected `{text}` after {parsed}"),
        ))
    }
}

fn number(rest: &str, at: usize) -> Result<Token, Diagnostic> {
    let radix = match rest.get(..2) {
        Some("0x" | "0X") => 16,
        Some("0o") => 8,
        Some("0b") => 2,
        _ => 10,
    };
    if radix == 10
        && let Some((duration, length)) = super::quantity::leading_duration(rest)
    {
        return Ok(Token {
            kind: TokenKind::Duration(duration),
            span: at..at + length,
        });
    }
    let skip = if radix == 10 { 0 } else { 2 };
    let body = rest.get(skip..).unwrap_or_default();
    let digits = |text: &str| {
        text.find(|c: char| c != '_' && !c.is_digit(radix))
            .unwrap_or(text.len())
    };
    if radix == 16
        && let Some(length) = hexadecimal::length(body)
    {
        let (text, behind) = body.split_at_checked(length).unwrap_or_default();
        let span = at..at + skip + length + suffix(behind, &FLOAT_SUFFIXES);
        let value = hexadecimal::value(text).map(|(value, _)| value);
        return float(value, &format!("0x{text}"), behind, span);
    }
    let mut length = digits(body);
    let behind = body.get(length..).unwrap_or_default();
    let is_typed = suffix(behind, &TYPED_FLOATS) > 0;
    if radix == 10
        && let Some((fraction, exponent)) = float_tail(behind).or(is_typed.then_some((0, 0)))
    {
        length += fraction + exponent;
        let text: String = body.get(..length).unwrap_or_default().replace('_', "");
        let behind = body.get(length..).unwrap_or_default();
        let span = at..at + length + suffix(behind, &FLOAT_SUFFIXES);
        return float(text.parse().ok(), &text, behind, span);
    }
    let text = body.get(..length).unwrap_or_default().replace('_', "");
    let behind = body.get(length..).unwrap_or_default();
    let span = at..at + skip + length + suffix(behind, &SUFFIXES);
    if radix == 10 && text.len() > 1 && text.starts_with('0') {
        let digits = text.trim_start_matches('0');
        return Err(Diagnostic::at(
            span,
            "a number with a 0 in front is octal in C, and not in Rust",
        )
        .hint(format!("write `0o{digits}`, or `{digits}`")));
    }
    match u128::from_str_radix(&text, radix) {
        Ok(value) => Ok(Token {
            kind: TokenKind::Int(value),
            span,
        }),
        Err(_) if text.is_empty() => Err(Diagnostic::at(span, "this number has no digits")),
        Err(_) => Err(Diagnostic::at(span, "this number has more than 128 bits")),
    }
}

/// The token of a float with the digits `text`, and the rest of the probe `behind` it.
fn float(value: Option<f64>, text: &str, behind: &str, span: Span) -> Result<Token, Diagnostic> {
    if suffix(behind, &["l"]) > 0 {
        let error = Diagnostic::at(span.start..span.end + 1, "a `long double` of C");
        return Err(error.hint(format!(
            "`{text}` is a `double`, which can be computed with"
        )));
    }
    match value {
        Some(value) => Ok(Token {
            kind: TokenKind::Float(value),
            span,
        }),
        None => Err(Diagnostic::at(span, format!("`{text}` is not a number"))),
    }
}

/// The nearest `f32` of a float's digits.
pub(crate) fn single(digits: &str) -> Option<f32> {
    let digits = digits.replace('_', "");
    match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(digits) => hexadecimal::value(digits).map(|(_, value)| value),
        None => digits.parse().ok(),
    }
}

/// Length in bytes of the word at the start of `text`, if it is one of the suffixes.
fn suffix(text: &str, of: &[&str]) -> usize {
    let length = name_length(text);
    let word = text.get(..length).unwrap_or_default();
    let known = of.iter().any(|one| one.eq_ignore_ascii_case(word));
    if known { length } else { 0 }
}

/// Lengths in bytes of a fraction such as `.5` and an exponent such as `e-3`. `None` if there is neither.
///
/// `1.`, and `1.f` and `1.e3` of C, are floats. `1..2` and `1.len()` are not.
fn float_tail(rest: &str) -> Option<(usize, usize)> {
    let digits = |text: &str| {
        text.find(|c: char| !c.is_ascii_digit() && c != '_')
            .unwrap_or(text.len())
    };
    let fraction = match rest.strip_prefix('.') {
        Some(after) if after.starts_with(|c: char| c.is_ascii_digit()) => 1 + digits(after),
        Some(after) if ends_a_float(after) => 1,
        _ => 0,
    };
    let after = rest.get(fraction..)?;
    let exponent = after.strip_prefix(['e', 'E']).and_then(|power| {
        let sign = usize::from(power.starts_with(['+', '-']));
        let count = digits(power.get(sign..)?);
        (count > 0).then_some(1 + sign + count)
    });
    let exponent = exponent.unwrap_or(0);
    (fraction + exponent > 0).then_some((fraction, exponent))
}

/// Returns true if a point ends the digits of a float, from the text behind the point.
fn ends_a_float(behind: &str) -> bool {
    let word = behind.get(..name_length(behind)).unwrap_or_default();
    match word.strip_prefix(['e', 'E']) {
        Some("") => behind
            .get(1..)
            .and_then(|power| power.strip_prefix(['+', '-']))
            .is_some_and(|power| power.starts_with(|c: char| c.is_ascii_digit())),
        Some(power) => power.starts_with(|c: char| c.is_ascii_digit()),
        None if word.is_empty() => !behind.starts_with('.'),
        None => ["f", "l"].iter().any(|one| one.eq_ignore_ascii_case(word)),
    }
}

/// Reads a string with its quotes. Returns its text and its length in bytes.
pub(super) fn string(rest: &str, at: usize) -> Result<(String, usize), Diagnostic> {
    let mut text = String::new();
    let mut inside = 1;
    loop {
        let left = rest.get(inside..).unwrap_or_default();
        match left.chars().next() {
            None => {
                return Err(Diagnostic::at(at..at + 1, "this quote is never closed")
                    .hint("add a `\"` after the text"));
            }
            Some('"') => return Ok((text, inside + 1)),
            Some('\\') => {
                let (c, length) = escape(left, at + inside)?;
                text.push(c);
                inside += length;
            }
            Some(c) => {
                text.push(c);
                inside += c.len_utf8();
            }
        }
    }
}

/// Reads an escape such as `\n` at the start of `text`. Returns the character and its length in bytes.
pub(super) fn escape(text: &str, at: usize) -> Result<(char, usize), Diagnostic> {
    let unknown = |length: usize| {
        Diagnostic::at(at..at + length, "unknown escape")
            .hint("there are \\n, \\r, \\t, \\0, \\\\, \\\", \\', \\x7F and \\u{1F600}")
    };
    let Some(letter) = text.chars().nth(1) else {
        return Err(unknown(1));
    };
    let simple = |c| Ok((c, 2));
    match letter {
        'n' => simple('\n'),
        'r' => simple('\r'),
        't' => simple('\t'),
        '0' => simple('\0'),
        '\\' | '"' | '\'' => simple(letter),
        'x' => {
            let code = text
                .get(2..4)
                .and_then(|digits| u8::from_str_radix(digits, 16).ok());
            code.filter(u8::is_ascii)
                .map(|code| (char::from(code), 4))
                .ok_or_else(|| unknown(2))
        }
        'u' => {
            let digits = text
                .get(2..)
                .and_then(|rest| rest.strip_prefix('{'))
                .and_then(|rest| rest.split_once('}'));
            let (digits, _) = digits.ok_or_else(|| unknown(2))?;
            let code = u32::from_str_radix(digits, 16)
                .ok()
                .and_then(char::from_u32);
            code.map(|c| (c, digits.len() + 4))
                .ok_or_else(|| unknown(2))
        }
        other => Err(unknown(1 + other.len_utf8())),
    }
}

fn character(rest: &str, at: usize) -> Result<Token, Diagnostic> {
    let inside = rest.get(1..).unwrap_or_default();
    let (c, length) = match inside.chars().next() {
        Some('\\') => escape(inside, at + 1)?,
        Some(c) if c != '\'' => (c, c.len_utf8()),
        _ => return Err(no_character(rest, at)),
    };
    if inside
        .get(length..)
        .is_some_and(|behind| behind.starts_with('\''))
    {
        return Ok(Token {
            kind: TokenKind::Char(c),
            span: at..at + length + 2,
        });
    }
    Err(no_character(rest, at))
}

/// The error for single quotes that do not hold one character.
fn no_character(rest: &str, at: usize) -> Diagnostic {
    let inside = rest.get(1..).unwrap_or_default();
    match inside.split_once('\'') {
        Some((text, _)) if text.chars().nth(1).is_some() => {
            let span = at..at + text.len() + 2;
            let error = Diagnostic::at(span, "single quotes hold one character");
            error.hint(format!("write text in double quotes: `\"{text}\"`"))
        }
        _ => Diagnostic::at(at..at + 1, "single quotes hold one character")
            .hint("write text in double quotes"),
    }
}
