//! `trace`: calls of a function, recorded line by line.

use super::kind::{ActionKind, ActionSites};
use crate::base::diagnostic::Diagnostic;
use crate::lang::ast::{Action, Expr, LineRange, LocationKind, ProbeSpec, Special, TraceAction};
use crate::lang::grammar::{ActionGrammar, LocationForm, Mistake, expression_after};
use crate::lang::lexer::Cursor;

/// Most values of `with`.
const MAX_WATCHED: usize = 64;
/// Largest `depth`. The kernel side has room for so many frames below that of the traced function.
const MAX_DEPTH: u32 = tracer_common::trace::MAX_FRAMES as u32 - 1;

/// The syntax of `trace`.
pub(super) const GRAMMAR: ActionGrammar = ActionGrammar {
    word: "trace",
    keywords: &["with", "lines", "into"],
    location: LocationForm::Place,
    has_message: false,
    operands: |_| Ok(Action::Trace(TraceAction::default())),
    clauses,
    mistake,
};

/// Parses the clauses, in any order.
fn clauses(cursor: &mut Cursor<'_>, action: Action) -> Result<Action, Diagnostic> {
    let Action::Trace(mut trace) = action else {
        return Ok(action);
    };
    loop {
        let word = cursor.peek_word().unwrap_or_default().to_owned();
        let given = match word.as_str() {
            "with" => !trace.watched.is_empty(),
            "lines" => trace.lines.is_some(),
            "into" => trace.into_all,
            _ => return Ok(Action::Trace(trace)),
        };
        let at = cursor.at()..cursor.at() + word.len();
        if given {
            return Err(Diagnostic::at(at, format!("`{word}` is given twice")));
        }
        cursor.advance(word.len());
        match word.as_str() {
            "with" => trace.watched = watched(cursor)?,
            "into" if cursor.take_word("all") => trace.into_all = true,
            "into" => {
                let error = Diagnostic::at(at, "`into` needs the word `all`");
                return Err(error.hint("`trace f into all depth 2` follows into libraries, too"));
            }
            _ => trace.lines = Some(lines(cursor)?),
        }
    }
}

/// Parses `expr, …`.
fn watched(cursor: &mut Cursor<'_>) -> Result<Vec<Expr>, Diagnostic> {
    let mut watched = Vec::new();
    loop {
        let missing = "the value to watch is missing";
        let expr = expression_after(cursor, missing, "write `with count, list.len`")?;
        if watched.len() >= MAX_WATCHED {
            let message = format!("a trace shows at most {MAX_WATCHED} values");
            return Err(Diagnostic::at(&expr.span, message));
        }
        watched.push(expr);
        if !cursor.take(",") {
            return Ok(watched);
        }
    }
}

/// Parses `FILE:A..B` or `A..B`.
fn lines(cursor: &mut Cursor<'_>) -> Result<LineRange, Diagnostic> {
    let start = cursor.at();
    let rest = cursor.rest();
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let text = rest.get(..end).unwrap_or_default().to_owned();
    let span = start..start + text.len();
    let wrong = |message: &str| {
        let error = Diagnostic::at(span.clone(), message);
        error.hint("write `lines main.rs:20..45` or `lines 20..45`")
    };
    if text.is_empty() {
        return Err(wrong("the lines are missing"));
    }
    let (file, range) = match text.rsplit_once(':') {
        Some((file, range)) if !file.is_empty() => (Some(file.to_owned()), range),
        Some(_) => return Err(wrong("the file is missing")),
        None => (None, &*text),
    };
    let number = |text: &str| text.parse().ok().filter(|&line: &u64| line > 0);
    let bounds = range
        .split_once("..")
        .map(|(first, last)| (number(first), number(last)));
    let Some((Some(first), Some(last))) = bounds else {
        return Err(wrong("lines are two numbers with `..` between them"));
    };
    if last < first {
        return Err(wrong("the last line is before the first"));
    }
    cursor.advance(text.len());
    Ok(LineRange {
        file,
        first,
        last,
        span,
    })
}

/// Explains clauses of other actions.
fn mistake(_: &Action, rest: &str) -> Option<Mistake> {
    if rest.starts_with("by ") {
        let message = "a trace is not counted";
        return Some(Mistake::new(
            2,
            message,
            "write `with VALUE` to watch a value",
        ));
    }
    let is_late = ["with ", "lines ", "into "]
        .iter()
        .any(|word| rest.starts_with(word));
    is_late.then(|| {
        let length = rest.find(' ').unwrap_or(rest.len());
        Mistake::new(
            length,
            "this clause goes before the options",
            "write `trace FUNCTION with VALUE hits 3`",
        )
    })
}

impl ActionKind for TraceAction {
    fn grammar(&self) -> &'static ActionGrammar {
        &GRAMMAR
    }

    fn sites(&self) -> ActionSites {
        ActionSites::Calls
    }

    // A recorded call is long to read, and one is enough.
    fn default_hits(&self) -> u64 {
        1
    }

    // The depth of a trace is that of the calls that it follows.
    fn stack_depth(&self, _: &ProbeSpec) -> u32 {
        0
    }
}

/// Checks the parts that only this action refuses.
///
/// # Errors
/// The location is not a function, a message is given, the condition needs the end of a call, or `depth` is too large.
pub(super) fn check(spec: &ProbeSpec) -> Result<(), Diagnostic> {
    let Action::Trace(_) = spec.action else {
        return Ok(());
    };
    let location = &spec.location;
    if !matches!(location.kind, LocationKind::Function(_)) {
        let error = Diagnostic::at(&location.span, "`trace` needs a function");
        return Err(error.hint("`trace handle_request` records a call of it line by line"));
    }
    if spec.template.is_some() {
        let at = spec.text.find('"').unwrap_or_default();
        let error = Diagnostic::at(at..at + 1, "`trace` shows no message");
        return Err(error.hint("`with a, b.c` selects the values that each step shows"));
    }
    if let Some(expr) = spec.condition.as_ref().and_then(of_end) {
        let error = Diagnostic::at(&expr.span, "this is not known when a call begins");
        let function = spec.text.get(location.span.clone()).unwrap_or_default();
        return Err(error.hint(format!(
            "the condition of a trace chooses calls by their arguments; `snapshot {function}%return if …` has results"
        )));
    }
    if spec.options.depth.is_some_and(|depth| depth > MAX_DEPTH) {
        let at = spec.text.rfind("depth").unwrap_or_default();
        let message = format!("a trace follows at most {MAX_DEPTH} calls inside of each other");
        return Err(Diagnostic::at(at..at + "depth".len(), message));
    }
    Ok(())
}

/// The part of an expression that is known at the end of a call only.
fn of_end(expr: &Expr) -> Option<&Expr> {
    expr.special(&|special| matches!(special, Special::Return | Special::Elapsed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actions::parse_probe;

    fn parsed(text: &str) -> (TraceAction, ProbeSpec) {
        let spec = parse_probe(text).expect(text);
        let Action::Trace(trace) = spec.action.clone() else {
            panic!("{text} is a trace");
        };
        (trace, spec)
    }

    #[test]
    fn clauses_come_before_and_after_the_condition() {
        for text in [
            "trace f with a, b.c lines x.rs:3..9 if x > 3 hits 4 depth 2",
            "trace f if x > 3 lines x.rs:3..9 with a, b.c depth 2 hits 4",
            "trace f lines x.rs:3..9 if x > 3 with a, b.c depth 2 hits 4",
        ] {
            let (trace, spec) = parsed(text);
            let watched: Vec<&str> = trace
                .watched
                .iter()
                .map(|expr| &spec.text[expr.span.clone()])
                .collect();
            assert_eq!(watched, ["a", "b.c"], "{text}");
            let lines = trace.lines.expect("lines");
            let file = lines.file.as_deref();
            assert_eq!((file, lines.first, lines.last), (Some("x.rs"), 3, 9));
            let condition = spec.condition.as_ref().expect("a condition");
            assert_eq!(&spec.text[condition.span.clone()], "x > 3");
            assert_eq!((spec.options.hits, spec.options.depth), (Some(4), Some(2)));
        }
        assert!(parsed("trace f into all depth 2").0.into_all);
        assert_eq!(
            parsed("trace f lines 3..9").0.lines.expect("lines").file,
            None
        );
    }

    #[test]
    fn mistakes_are_told_where_they_are() {
        for (text, at, message) in [
            ("trace main.rs:5", "main.rs:5", "needs a function"),
            ("trace f%return", "f%return", "needs a function"),
            ("trace f \"{x}\"", "\"", "shows no message"),
            ("trace f with", "", "the value to watch is missing"),
            ("trace f with a, ", "", "the value to watch is missing"),
            ("trace f with a with b", "with", "given twice"),
            ("trace f lines", "", "the lines are missing"),
            ("trace f lines 9..3", "9..3", "before the first"),
            ("trace f lines x.rs", "x.rs", "two numbers"),
            ("trace f lines x.rs:0..3", "x.rs:0..3", "two numbers"),
            (
                "trace f if x > 3 && $return == 0",
                "$return",
                "not known when a call begins",
            ),
            ("trace f depth 99", "depth", "at most"),
            ("trace f into", "into", "needs the word"),
            ("trace f hits 3 with x", "with", "before the options"),
            ("trace f by x", "by", "not counted"),
        ] {
            let error = parse_probe(text).expect_err(text);
            let span = error.span.clone().expect("a position");
            assert_eq!(&text[span], at, "{text}: {error}");
            assert!(error.to_string().contains(message), "{text}: {error}");
        }
    }
}
