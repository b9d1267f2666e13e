//! Templates: texts with expressions in braces, as in an f-string.

use super::error::{EvalError, SyntaxError};
use super::eval::{ObjectNames, evaluate};
use super::format::{format, formatted_text};
use super::format_spec::FormatSpec;
use super::parse::parse_expression;
use super::syntax::Expression;
use crate::heap::Heap;
use crate::value::{ReprStyle, ValueLimits};

/// A text with expressions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PyTemplate {
    /// Its parts in order.
    pub parts: Vec<PyTemplatePart>,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum PyTemplatePart {
    /// Text as it is.
    Text(String),
    /// An expression in braces.
    Value {
        /// Set for `{x=}`: the expression as it is written, with its `=`.
        label: Option<String>,
        /// The expression.
        expression: Expression,
        /// Set for `{x!r}`, and for `{x!a}`: `repr()`.
        as_repr: bool,
        /// The format behind the colon. Empty if there is none.
        format: String,
    },
}

/// Parses a template. `{{` and `}}` are braces.
///
/// # Errors
///
/// [`SyntaxError`] with the position of the mistake.
pub fn parse_template(text: &str) -> Result<PyTemplate, SyntaxError> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..)
        && let Some(c) = rest.chars().next()
    {
        if rest.starts_with("{{") || rest.starts_with("}}") {
            literal.push(c);
            at += 2;
        } else if c == '{' {
            if !literal.is_empty() {
                parts.push(PyTemplatePart::Text(std::mem::take(&mut literal)));
            }
            let inner = &rest[1..];
            let field = BracedField::split(inner).map_err(|error| moved(error, at + 1))?;
            let length = field.length;
            parts.push(field.parse().map_err(|error| moved(error, at + 1))?);
            at += 1 + length;
        } else if c == '}' {
            return Err(SyntaxError {
                at,
                message: "a `}` has no `{`: write `}}` for a brace".to_owned(),
            });
        } else {
            literal.push(c);
            at += c.len_utf8();
        }
    }
    if !literal.is_empty() {
        parts.push(PyTemplatePart::Text(literal));
    }
    Ok(PyTemplate { parts })
}

fn moved(error: SyntaxError, by: usize) -> SyntaxError {
    SyntaxError {
        at: error.at + by,
        ..error
    }
}

/// The text in braces, cut into its parts.
struct BracedField<'a> {
    expression: &'a str,
    label: Option<&'a str>,
    conversion: Option<char>,
    format: &'a str,
    /// Length with the closing brace.
    length: usize,
}

impl<'a> BracedField<'a> {
    /// Finds the end of the field, of its expression and of its format.
    fn split(text: &'a str) -> Result<Self, SyntaxError> {
        let mut depth = 0usize;
        let mut quote = None;
        let mut escaped = false;
        let mut format_at = None;
        let mut end = None;
        let mut conversion_at = None;
        let bytes = text.as_bytes();
        for (at, c) in text.char_indices() {
            let next = bytes.get(at + 1).copied();
            match (quote, c) {
                (Some(_), '\\') if !escaped => escaped = true,
                (Some(open), _) => {
                    if c == open && !escaped {
                        quote = None;
                    }
                    escaped = false;
                }
                (None, '}') if depth == 0 || format_at.is_some() => {
                    end = Some(at);
                    break;
                }
                (None, _) if format_at.is_some() => {}
                (None, '"' | '\'') => quote = Some(c),
                (None, '(' | '[' | '{') => depth += 1,
                (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
                (None, ':') if depth == 0 => format_at = Some(at),
                (None, '!') if depth == 0 && next != Some(b'=') => conversion_at = Some(at),
                _ => {}
            }
        }
        let end = end.ok_or_else(|| SyntaxError {
            at: 0,
            message: "a `{` has no `}`".to_owned(),
        })?;
        let body = &text[..format_at.unwrap_or(end)];
        let (body, conversion) = match conversion_at {
            Some(at) => (&body[..at], Some(&body[at + 1..])),
            None => (body, None),
        };
        let conversion = match conversion {
            None => None,
            Some(text) if matches!(text, "r" | "s" | "a") => text.chars().next(),
            Some(_) => {
                return Err(SyntaxError {
                    at: conversion_at.unwrap_or(0),
                    message: "a conversion is `!r`, `!s` or `!a`".to_owned(),
                });
            }
        };
        let trimmed = body.trim_end();
        let label = trimmed
            .strip_suffix('=')
            .filter(|before| !before.ends_with(['=', '!', '<', '>']));
        Ok(Self {
            expression: label.unwrap_or(body),
            label: label.map(|_| body),
            conversion,
            format: format_at.map_or("", |at| &text[at + 1..end]),
            length: end + 1,
        })
    }

    fn parse(self) -> Result<PyTemplatePart, SyntaxError> {
        if self.expression.trim().is_empty() {
            return Err(SyntaxError {
                at: 0,
                message: "braces without an expression".to_owned(),
            });
        }
        if self.format.contains('{') {
            return Err(SyntaxError {
                at: self.expression.len(),
                message: "a format cannot have expressions".to_owned(),
            });
        }
        if let Err(error) = FormatSpec::parse(self.format) {
            return Err(SyntaxError {
                at: self.length - 1 - self.format.len(),
                message: error.to_string(),
            });
        }
        // `{x=}` is shown by repr(), unless a format or conversion says otherwise.
        let is_plain_label = self.label.is_some() && self.format.is_empty();
        Ok(PyTemplatePart::Value {
            label: self.label.map(str::to_owned),
            expression: parse_expression(self.expression)?,
            as_repr: match self.conversion {
                Some(conversion) => conversion != 's',
                None => is_plain_label,
            },
            format: self.format.to_owned(),
        })
    }
}

/// The text of a template. An expression without a value is shown as `<its error>`.
#[must_use]
pub fn render(
    heap: &Heap<'_>,
    names: &dyn ObjectNames,
    template: &PyTemplate,
    style: ReprStyle,
    limits: ValueLimits,
) -> String {
    let mut text = String::new();
    for part in &template.parts {
        match part {
            PyTemplatePart::Text(literal) => text.push_str(literal),
            PyTemplatePart::Value {
                label,
                expression,
                as_repr,
                format: spec,
            } => {
                text.push_str(label.as_deref().unwrap_or_default());
                let value = evaluate(heap, names, expression).and_then(|value| {
                    if *as_repr {
                        let shown = value.value(heap, limits).to_text(style);
                        return formatted_text(&FormatSpec::parse(spec)?, &shown, spec);
                    }
                    format(heap, &value, spec, style, limits)
                });
                text.push_str(&value.unwrap_or_else(|error: EvalError| std::format!("<{error}>")));
            }
        }
    }
    text
}
