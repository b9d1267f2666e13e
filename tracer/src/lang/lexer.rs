//! Tokens of probes and expressions.

use super::SyntaxError;
use super::ast::Span;
use super::hexadecimal;
use super::mistakes;

/// One token and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Span,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A name or keyword.
    Word,
    /// `$name`.
    Special,
    Int(u128),
    Float(f64),
    /// `5ms`, in ns.
    Duration(u64),
    Str(String),
    Char(char),
    /// An operator or bracket.
    Punct(&'static str),
    End,
}

/// Longest first, so that `<<` is not two `<`.
const PUNCTUATION: [&str; 33] = [
    "->", "::", "..", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "(", ")", "[", "]", "{", "}",
    ".", ",", ":", "#", "+", "-", "*", "/", "%", "&", "|", "^", "!", "~", "<", ">",
];

/// Behind the digits of an integer, in Rust and C; what it is computed with has 64 bits anyway.
const SUFFIXES: [&str; 19] = [
    "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128", "usize", "u",
    "l", "ul", "lu", "ll", "ull", "llu",
];
/// The same of a float.
const FLOAT_SUFFIXES: [&str; 3] = ["f32", "f64", "f"];
/// What makes a float of an integer's digits, in Rust.
const TYPED_FLOATS: [&str; 2] = ["f32", "f64"];

/// A place in the text, and the token there.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'t> {
    text: &'t str,
    at: usize,
    end: usize,
    /// End of the last token that was taken.
    last: usize,
    /// Levels of nesting so far; see [`super::MAX_NESTING`].
    pub(super) depth: u32,
}

impl<'t> Cursor<'t> {
    /// Reads the part `range` of `text`; spans count in the whole text.
    pub(super) fn new(text: &'t str, range: Span) -> Self {
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

    /// What is left.
    pub(super) fn rest(&self) -> &'t str {
        self.text.get(self.at..self.end).unwrap_or_default()
    }

    /// Where the next token begins.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Where the last token ended.
    pub(super) fn last(&self) -> usize {
        self.last
    }

    /// The text of a span.
    pub(super) fn text(&self, span: &Span) -> &'t str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// Moves over `bytes` bytes, and the space behind them.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.end);
        self.last = self.at;
        self.skip_space();
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// The next token, which stays.
    pub(super) fn peek(&self) -> Result<Token, SyntaxError> {
        let rest = self.rest();
        let span = |length: usize| self.at..self.at + length;
        let Some(first) = rest.chars().next() else {
            return Ok(Token {
                kind: Kind::End,
                span: self.last..self.last,
            });
        };
        if is_name_start(first) {
            return Ok(Token {
                kind: Kind::Word,
                span: span(name_length(rest)),
            });
        }
        if first == '$' {
            let length = 1 + rest.get(1..).map_or(0, name_length);
            return Ok(Token {
                kind: Kind::Special,
                span: span(length),
            });
        }
        if first.is_ascii_digit() {
            return number(rest, self.at);
        }
        if first == '"' {
            let (text, length) = string(rest, self.at)?;
            return Ok(Token {
                kind: Kind::Str(text),
                span: span(length),
            });
        }
        if first == '\'' {
            return character(rest, self.at);
        }
        match PUNCTUATION.iter().find(|punct| rest.starts_with(**punct)) {
            Some(punct) => Ok(Token {
                kind: Kind::Punct(punct),
                span: span(punct.len()),
            }),
            None => Err(mistakes::unreadable(first, span(first.len_utf8()))),
        }
    }

    /// The next token where an operand is expected: there, and nowhere else, `.5` is a number.
    pub(super) fn peek_operand(&self) -> Result<Token, SyntaxError> {
        match self.rest().strip_prefix('.') {
            Some(behind) if behind.starts_with(|c: char| c.is_ascii_digit()) => {
                number(self.rest(), self.at)
            }
            _ => self.peek(),
        }
    }

    /// The next token, which is taken.
    pub(super) fn next(&mut self) -> Result<Token, SyntaxError> {
        let token = self.peek()?;
        self.advance(token.span.len());
        Ok(token)
    }

    /// Takes a regular expression between two slashes when it is next: its pattern and its span.
    ///
    /// Nothing in it is an escape of the probe language but `\\/`, a slash. An `i` behind it stands for `(?i)`.
    pub(super) fn regex(&mut self) -> Result<Option<(String, Span)>, SyntaxError> {
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
                        return Err(SyntaxError::new(span, error).hint(
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
            SyntaxError::new(start..start + 1, "this regular expression is never closed")
                .hint("put a `/` behind it; a slash inside is written `\\/`"),
        )
    }

    /// Takes the punctuation when it is next.
    pub(super) fn take(&mut self, punct: &str) -> bool {
        let found =
            matches!(self.peek(), Ok(Token { kind: Kind::Punct(found), .. }) if found == punct);
        if found {
            self.advance(punct.len());
        }
        found
    }

    /// Takes the word when it is next.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let found = self.peek_word() == Some(word);
        if found {
            self.advance(word.len());
        }
        found
    }

    /// The next word, which stays.
    pub(super) fn peek_word(&self) -> Option<&'t str> {
        match self.peek() {
            Ok(Token {
                kind: Kind::Word,
                span,
            }) => Some(self.text(&span)),
            _ => None,
        }
    }

    /// Takes the punctuation.
    pub(super) fn expect(&mut self, punct: &'static str, what: &str) -> Result<(), SyntaxError> {
        if self.take(punct) {
            return Ok(());
        }
        let found = self.peek()?;
        Err(SyntaxError::new(
            found.span.clone(),
            format!("expected `{punct}` {what}{}", self.found(&found)),
        ))
    }

    /// `, found …`, for messages.
    pub(super) fn found(&self, token: &Token) -> String {
        match token.kind {
            Kind::End => ", but the text ends here".into(),
            _ => format!(", found `{}`", self.text(&token.span).escape_debug()),
        }
    }

    /// Nothing may be left.
    pub(super) fn expect_end(&self, what: &str) -> Result<(), SyntaxError> {
        let token = self.peek()?;
        if token.kind == Kind::End {
            return Ok(());
        }
        let text = self.text(&token.span).escape_debug();
        Err(SyntaxError::new(
            token.span.clone(),
            format!("unexpected `{text}` after {what}"),
        ))
    }
}

pub(super) fn is_name_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

/// Bytes of the name at the start of `text`.
pub(super) fn name_length(text: &str) -> usize {
    text.find(|c: char| c != '_' && !c.is_alphanumeric())
        .unwrap_or(text.len())
}

fn number(rest: &str, at: usize) -> Result<Token, SyntaxError> {
    let radix = match rest.get(..2) {
        Some("0x" | "0X") => 16,
        Some("0o") => 8,
        Some("0b") => 2,
        _ => 10,
    };
    if radix == 10
        && let Some((duration, length)) = super::probe::leading_duration(rest)
    {
        return Ok(Token {
            kind: Kind::Duration(duration),
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
        return float(value, (&format!("0x{text}"), behind), span);
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
        return float(text.parse().ok(), (&text, behind), span);
    }
    let text = body.get(..length).unwrap_or_default().replace('_', "");
    let behind = body.get(length..).unwrap_or_default();
    let span = at..at + skip + length + suffix(behind, &SUFFIXES);
    if radix == 10 && text.len() > 1 && text.starts_with('0') {
        let digits = text.trim_start_matches('0');
        return Err(SyntaxError::new(
            span,
            "a number with a 0 in front is octal in C, and not in Rust",
        )
        .hint(format!("write `0o{digits}`, or `{digits}`")));
    }
    match u128::from_str_radix(&text, radix) {
        Ok(value) => Ok(Token {
            kind: Kind::Int(value),
            span,
        }),
        Err(_) if text.is_empty() => Err(SyntaxError::new(span, "this number has no digits")),
        Err(_) => Err(SyntaxError::new(span, "this number has more than 128 bits")),
    }
}

/// A float with this text, and what is behind it.
fn float(
    value: Option<f64>,
    (text, behind): (&str, &str),
    span: Span,
) -> Result<Token, SyntaxError> {
    if suffix(behind, &["l"]) > 0 {
        let error = SyntaxError::new(span.start..span.end + 1, "a `long double` of C");
        return Err(error.hint(format!(
            "`{text}` is a `double`, which can be computed with"
        )));
    }
    match value {
        Some(value) => Ok(Token {
            kind: Kind::Float(value),
            span,
        }),
        None => Err(SyntaxError::new(span, format!("`{text}` is not a number"))),
    }
}

/// The `f32` that is nearest to a float's digits.
pub(crate) fn single(digits: &str) -> Option<f32> {
    let digits = digits.replace('_', "");
    match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(digits) => hexadecimal::value(digits).map(|(_, value)| value),
        None => digits.parse().ok(),
    }
}

/// Bytes of one of the suffixes that begins `text` and ends there.
fn suffix(text: &str, of: &[&str]) -> usize {
    let length = name_length(text);
    let word = text.get(..length).unwrap_or_default();
    let known = of.iter().any(|one| one.eq_ignore_ascii_case(word));
    if known { length } else { 0 }
}

/// Bytes of `.5` and of `e-3`; `None` when neither is there. `1..2` and `1.len()` are no floats,
/// `1.` is one, and `1.f` and `1.e3` of C.
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

/// Whether a point that this is behind ends the digits of a float.
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

/// A string with its quotes: what it says, and the bytes it takes.
pub(super) fn string(rest: &str, at: usize) -> Result<(String, usize), SyntaxError> {
    let mut text = String::new();
    let mut inside = 1;
    loop {
        let left = rest.get(inside..).unwrap_or_default();
        match left.chars().next() {
            None => {
                return Err(SyntaxError::new(at..at + 1, "this quote is never closed")
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

/// `\n` and its like at the start of `text`: the character, and the bytes it takes.
pub(super) fn escape(text: &str, at: usize) -> Result<(char, usize), SyntaxError> {
    let unknown = |length: usize| {
        SyntaxError::new(at..at + length, "unknown escape")
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

fn character(rest: &str, at: usize) -> Result<Token, SyntaxError> {
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
            kind: Kind::Char(c),
            span: at..at + length + 2,
        });
    }
    Err(no_character(rest, at))
}

/// The error for a quote that no single character follows.
fn no_character(rest: &str, at: usize) -> SyntaxError {
    let inside = rest.get(1..).unwrap_or_default();
    match inside.split_once('\'') {
        Some((text, _)) if text.chars().nth(1).is_some() => {
            let span = at..at + text.len() + 2;
            let error = SyntaxError::new(span, "single quotes hold one character");
            error.hint(format!("write text in double quotes: `\"{text}\"`"))
        }
        _ => SyntaxError::new(at..at + 1, "single quotes hold one character")
            .hint("write text in double quotes"),
    }
}
