//! Values that only userspace knows, by the id of the process: `$process`, `$cgroup`, `$container`.
//!
//! The kernel side decides conditions and computes values, so these can only be shown and counted by.

use super::ast::{Action, Expr, ExprKind, ProbeSpec, Special, TemplatePart};
use crate::base::diagnostic::Diagnostic;

/// Refuses such values where the kernel side would need them.
///
/// # Errors
/// The condition has one, or another expression computes with one.
pub(super) fn check(spec: &ProbeSpec) -> Result<(), Diagnostic> {
    if let Some((expr, special)) = spec.condition.as_ref().and_then(find) {
        let message = format!("`{}` is not known in conditions", special.name());
        return Err(Diagnostic::at(&expr.span, message).hint(selectors(special)));
    }
    let holes = spec.template.iter().flat_map(|template| &template.parts);
    let holes = holes.filter_map(|part| match part {
        TemplatePart::Hole { expr, .. } => Some(expr),
        TemplatePart::Text(_) => None,
    });
    let by = match &spec.action {
        Action::Count(count) => count.by.as_ref(),
        _ => None,
    };
    let clauses = match &spec.action {
        Action::Span(span) => span.exprs().collect(),
        Action::Trace(trace) => trace.watched.iter().collect(),
        _ => Vec::new(),
    };
    for whole in holes.chain(by).chain(clauses) {
        if !is_such(whole)
            && let Some((expr, special)) = find(whole)
        {
            return Err(not_computed(expr, special));
        }
    }
    if let Action::Hist(hist) = &spec.action
        && let Some((expr, special)) = find(&hist.value)
    {
        let error = Diagnostic::at(&expr.span, format!("`{}` is not a number", special.name()));
        return Err(error.hint(format!("`count … by {}` counts its values", special.name())));
    }
    Ok(())
}

fn is_such(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Special(special) if special.is_of_process())
}

/// The first such value in an expression.
fn find(expr: &Expr) -> Option<(&Expr, Special)> {
    match expr.kind {
        ExprKind::Special(special) if special.is_of_process() => Some((expr, special)),
        _ => expr.parts().into_iter().find_map(find),
    }
}

fn not_computed(expr: &Expr, special: Special) -> Diagnostic {
    let name = special.name();
    let message = format!("`{name}` can only be shown and counted by");
    Diagnostic::at(&expr.span, message).hint(format!("write `{{{name}}}` or `by {name}`"))
}

/// The options that do what a condition cannot.
fn selectors(special: Special) -> &'static str {
    match special {
        Special::Cgroup => {
            "select the processes instead: `attach --cgroup PATH` or `--unit NAME`; `$pid` can be compared"
        }
        Special::Container => {
            "select the processes instead: `attach --container NAME`; `$pid` can be compared"
        }
        _ => {
            "select the processes instead: `attach --name NAME` or `--exe PATH`; `$pid` and `$thread` can be compared"
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::actions::parse_probe;

    fn refused(text: &str) -> (String, String) {
        let error = parse_probe(text).expect_err(text);
        let span = error.span.clone().expect("a position");
        (text[span].to_owned(), error.to_string())
    }

    #[test]
    fn values_of_the_process_are_refused_where_the_kernel_would_need_them() {
        for (text, wanted, message) in [
            (
                "log a.c:1 if $process == \"x\"",
                "$process",
                "not known in conditions",
            ),
            (
                "log a.c:1 if x > 1 && $cgroup.contains(\"x\")",
                "$cgroup",
                "in conditions",
            ),
            (
                "count a.c:1 if matches($container, /x/)",
                "$container",
                "in conditions",
            ),
            (
                "time f if !($process == \"x\") && $elapsed > 5ms",
                "$process",
                "in conditions",
            ),
            (
                "log a.c:1 \"{$process == \"x\"}\"",
                "$process",
                "only be shown and counted by",
            ),
            (
                "count a.c:1 by $cgroup.len()",
                "$cgroup",
                "only be shown and counted by",
            ),
            ("hist a.c:1 $container", "$container", "not a number"),
        ] {
            let (at, said) = refused(text);
            assert_eq!(at, wanted, "{text}");
            assert!(said.contains(message), "{text}: {said}");
        }
    }

    #[test]
    fn values_of_the_process_are_shown_and_counted_by() {
        for text in [
            "log a.c:1 \"{$process} {$cgroup} {$container:>12} {x}\" if $pid == 4",
            "count a.c:1 by $process if x > 1",
            "count a.c:1 by ($container)",
            "time f \"{$process}\" if $elapsed > 5ms",
        ] {
            parse_probe(text).expect(text);
        }
    }
}
