//! The parts of a format specification.

use super::error::{EvalError, Evaluated};
use crate::limits::FORMAT_WIDTH;

/// `[[fill]align][sign][z][#][0][width][grouping][.precision][type]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FormatSpec {
    pub(super) fill: Option<char>,
    pub(super) align: Option<char>,
    pub(super) sign: Option<char>,
    pub(super) is_alternate: bool,
    pub(super) width: usize,
    pub(super) grouping: Option<char>,
    pub(super) precision: Option<usize>,
    pub(super) kind: Option<char>,
}

pub(super) fn invalid(text: &str) -> EvalError {
    EvalError::Type(format!("`{text}` is no format"))
}

impl FormatSpec {
    pub(super) fn parse(text: &str) -> Evaluated<Self> {
        let mut spec = Self::default();
        let mut chars = text.chars().peekable();
        let is_align = |c: char| matches!(c, '<' | '>' | '^' | '=');
        if let Some(second) = text.chars().nth(1)
            && is_align(second)
        {
            spec.fill = chars.next();
            spec.align = chars.next();
        } else {
            spec.align = chars.next_if(|c| is_align(*c));
        }
        spec.sign = chars.next_if(|c| matches!(c, '+' | '-' | ' '));
        spec.is_alternate = chars.next_if_eq(&'#').is_some();
        if chars.next_if_eq(&'0').is_some() {
            spec.fill = spec.fill.or(Some('0'));
            spec.align = spec.align.or(Some('='));
        }
        let number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            let mut found = None;
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                let digit = digit.to_digit(10).unwrap_or(0) as usize;
                found = Some(found.unwrap_or(0usize).saturating_mul(10) + digit);
            }
            match found {
                Some(number) if number > FORMAT_WIDTH => Err(EvalError::TooLarge("a format")),
                found => Ok(found),
            }
        };
        spec.width = number(&mut chars)?.unwrap_or(0);
        spec.grouping = chars.next_if(|c| matches!(c, ',' | '_'));
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(number(&mut chars)?.ok_or_else(|| invalid(text))?);
        }
        spec.kind = chars.next();
        match chars.next() {
            None => Ok(spec),
            Some(_) => Err(invalid(text)),
        }
    }

    /// Fills up to the width. `before` is the sign and prefix, which `=` keeps at the start.
    pub(super) fn padded(&self, before: &str, body: &str, default: char) -> String {
        let length = before.chars().count() + body.chars().count();
        let missing = self.width.saturating_sub(length);
        let fill = |count: usize| String::from(self.fill.unwrap_or(' ')).repeat(count);
        match self.align.unwrap_or(default) {
            '<' => format!("{before}{body}{}", fill(missing)),
            '^' => {
                let left = missing / 2;
                format!("{}{before}{body}{}", fill(left), fill(missing - left))
            }
            '=' => format!("{before}{}{body}", fill(missing)),
            _ => format!("{}{before}{body}", fill(missing)),
        }
    }

    pub(super) fn sign_of(&self, is_negative: bool) -> &'static str {
        match (is_negative, self.sign) {
            (true, _) => "-",
            (false, Some('+')) => "+",
            (false, Some(' ')) => " ",
            _ => "",
        }
    }

    /// Digits with separators in groups. Zeros that fill the width are grouped as well.
    pub(super) fn grouped(&self, digits: &str, group: usize, before: usize, rest: usize) -> String {
        let Some(separator) = self.grouping else {
            return digits.to_owned();
        };
        let mut all: Vec<char> = digits.chars().collect();
        if self.fill == Some('0') && self.align == Some('=') {
            let room = self.width.saturating_sub(before + rest);
            while all.len() + (all.len().saturating_sub(1)) / group < room {
                all.insert(0, '0');
                let is_full = all.len().is_multiple_of(group);
                if is_full && all.len() + all.len() / group > room {
                    break;
                }
            }
        }
        let mut text = String::new();
        for (at, digit) in all.iter().enumerate() {
            if at > 0 && (all.len() - at).is_multiple_of(group) {
                text.push(separator);
            }
            text.push(*digit);
        }
        text
    }
}
