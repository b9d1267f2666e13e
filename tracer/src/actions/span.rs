//! `span`: each call is a span, with a start, an end, attributes and a status.

use super::kind::{ActionKind, ActionReport, ActionSites, HitCounts};
use super::time::TimeAction;
use crate::base::diagnostic::Diagnostic;
use crate::lang::ast::{Action, ProbeSpec, SpanAction, SpanAttribute};
use crate::lang::grammar::{ActionGrammar, LocationForm, Mistake, expression_after};
use crate::lang::lexer::Cursor;

/// Most attributes of a span.
const MAX_ATTRIBUTES: usize = 64;

/// The syntax of `span`.
pub(super) const GRAMMAR: ActionGrammar = ActionGrammar {
    word: "span",
    keywords: &["with", "parent", "key", "error"],
    location: LocationForm::Interval,
    has_message: true,
    operands: |_| Ok(Action::Span(SpanAction::default())),
    clauses,
    mistake,
};

/// Parses the clauses, in any order.
fn clauses(cursor: &mut Cursor<'_>, action: Action) -> Result<Action, Diagnostic> {
    let Action::Span(mut span) = action else {
        return Ok(action);
    };
    loop {
        let word = cursor.peek_word().unwrap_or_default().to_owned();
        let given = match word.as_str() {
            "with" => !span.attributes.is_empty(),
            "parent" => !span.parent.is_empty(),
            "key" => span.key.is_some(),
            "error" => span.error.is_some(),
            _ => return Ok(Action::Span(span)),
        };
        let at = cursor.at()..cursor.at() + word.len();
        if given {
            return Err(Diagnostic::at(at, format!("`{word}` is given twice")));
        }
        cursor.advance(word.len());
        match word.as_str() {
            "with" => span.attributes = attributes(cursor)?,
            "parent" => {
                let missing = "the parent is missing";
                let hint = "write `parent traceparent`, or `parent trace_id, span_id`";
                span.parent.push(expression_after(cursor, missing, hint)?);
                if cursor.take(",") {
                    span.parent.push(expression_after(cursor, missing, hint)?);
                }
            }
            "key" => {
                let missing = "the key is missing";
                span.key = Some(expression_after(cursor, missing, "write `key job.id`")?);
            }
            _ => {
                let hint = "write `error if $return < 0`";
                if !cursor.take_word("if") {
                    let error = Diagnostic::at(at, "`error` needs a condition");
                    return Err(error.hint(hint));
                }
                let missing = "the condition is missing";
                span.error = Some(expression_after(cursor, missing, hint)?);
            }
        }
    }
}

/// Parses `key=expr, …`.
fn attributes(cursor: &mut Cursor<'_>) -> Result<Vec<SpanAttribute>, Diagnostic> {
    let mut attributes: Vec<SpanAttribute> = Vec::new();
    loop {
        let start = cursor.at();
        let rest = cursor.rest();
        let end = rest.find(|c: char| !is_key_char(c)).unwrap_or(rest.len());
        let key = rest.get(..end).unwrap_or_default().to_owned();
        let span = start..start + key.len().max(1).min(rest.len());
        let hint = "write `with order=id, http.route=path`";
        let behind = rest.get(end..).unwrap_or_default().trim_start();
        let is_assigned = behind.starts_with('=') && !behind.starts_with("==");
        if key.is_empty() || !is_assigned {
            let error = Diagnostic::at(span, "an attribute is a name, `=`, and its value");
            return Err(error.hint(hint));
        }
        if attributes.iter().any(|attribute| attribute.key == key) {
            return Err(Diagnostic::at(span, format!("`{key}` is given twice")));
        }
        if attributes.len() >= MAX_ATTRIBUTES {
            let message = format!("a span has at most {MAX_ATTRIBUTES} attributes");
            return Err(Diagnostic::at(span, message));
        }
        cursor.advance(rest.len() - behind.len() + 1);
        let value = expression_after(cursor, "the value of the attribute is missing", hint)?;
        attributes.push(SpanAttribute { key, value });
        if !cursor.take(",") {
            return Ok(attributes);
        }
    }
}

fn is_key_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '/')
}

/// Explains clauses of other tools, and attributes without their word.
fn mistake(_: &Action, rest: &str) -> Option<Mistake> {
    let word = rest.split(|c: char| !is_key_char(c)).next()?;
    let behind = rest.get(word.len()..)?.trim_start();
    if !word.is_empty() && behind.starts_with('=') && !behind.starts_with("==") {
        let message = "attributes go after `with`";
        return Some(Mistake::new(
            word.len(),
            message,
            format!("write `with {rest}`"),
        ));
    }
    rest.starts_with("by ")
        .then(|| Mistake::new(2, "spans are not counted", "write `with NAME=VALUE`"))
}

impl ActionKind for SpanAction {
    fn grammar(&self) -> &'static ActionGrammar {
        &GRAMMAR
    }

    fn sites(&self) -> ActionSites {
        ActionSites::Interval
    }

    fn makes_spans(&self) -> bool {
        true
    }

    fn failure<'s>(&self, spec: &'s ProbeSpec) -> Option<&'s str> {
        spec.text.get(self.error.as_ref()?.span.clone())
    }

    fn report(&self, hits: HitCounts<'_>) -> ActionReport {
        TimeAction.report(hits)
    }
}

/// Checks what only this action refuses.
///
/// # Errors
/// The probe asks for the return trampoline, which hides the callers of a span.
pub(super) fn check(spec: &ProbeSpec) -> Result<(), Diagnostic> {
    if !matches!(spec.action, Action::Span(_)) || !spec.options.trampoline {
        return Ok(());
    }
    let at = spec.text.rfind("trampoline").unwrap_or_default();
    let message = "a span cannot be observed by `trampoline`, which hides its callers";
    Err(Diagnostic::at(at..at + "trampoline".len(), message)
        .hint("leave it out: returns are observed at the function's return instructions"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actions::parse_probe;

    fn parsed(text: &str) -> (SpanAction, ProbeSpec) {
        let spec = parse_probe(text).expect(text);
        let Action::Span(span) = spec.action.clone() else {
            panic!("{text} is a span");
        };
        (span, spec)
    }

    #[test]
    fn clauses_come_in_any_order_before_condition_and_options() {
        let (span, spec) = parsed(
            "span f \"do {x}\" key id error if $return < 0 parent t, s with a=x, http.route = y.z if x > 3 hits 4",
        );
        let text = |expr: &crate::lang::ast::Expr| spec.text[expr.span.clone()].to_owned();
        let keys: Vec<(&str, String)> = span
            .attributes
            .iter()
            .map(|one| (&*one.key, text(&one.value)))
            .collect();
        assert_eq!(keys, [("a", "x".into()), ("http.route", "y.z".into())]);
        assert_eq!(span.parent.iter().map(text).collect::<Vec<_>>(), ["t", "s"]);
        assert_eq!(span.key.as_ref().map(text), Some("id".into()));
        assert_eq!(span.error.as_ref().map(text), Some("$return < 0".into()));
        assert_eq!(spec.condition.as_ref().map(text), Some("x > 3".into()));
        assert_eq!(spec.options.hits, Some(4));
        assert!(parsed("span a.c:3..a.c:5 with a=x == 3").1.until.is_some());
    }

    #[test]
    fn mistakes_are_told_where_they_are() {
        for (text, at, message) in [
            ("span f with", "", "an attribute is a name"),
            ("span f with a", "a", "an attribute is a name"),
            ("span f with a==3", "a", "an attribute is a name"),
            ("span f with a=x, a=y", "a", "given twice"),
            ("span f key x key y", "key", "given twice"),
            ("span f error $return", "error", "needs a condition"),
            ("span f parent", "", "the parent is missing"),
            ("span f parent a, ", "", "the parent is missing"),
            ("span f a=x", "a", "attributes go after `with`"),
            ("span f by x", "by", "spans are not counted"),
            ("span f trampoline", "trampoline", "hides its callers"),
            (
                "span f with a=$container.len()",
                "$container",
                "only be shown",
            ),
        ] {
            let error = parse_probe(text).expect_err(text);
            let span = error.span.clone().expect("a position");
            assert_eq!(&text[span], at, "{text}");
            assert!(error.to_string().contains(message), "{text}: {error}");
        }
    }
}
