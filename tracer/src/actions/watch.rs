//! `watch`: the accesses to a value, with the value before and after, and the code that made them.

use super::kind::{ActionKind, ActionSites};
use crate::base::diagnostic::Diagnostic;
use crate::lang::ast::{Action, ProbeSpec, WatchAction, WatchedAccess};
use crate::lang::grammar::{ActionGrammar, LocationForm, Mistake, expression_after};
use crate::lang::lexer::Cursor;

/// The syntax of `watch`.
pub(super) const GRAMMAR: ActionGrammar = ActionGrammar {
    word: "watch",
    keywords: &["at", "until", "on"],
    location: LocationForm::Value,
    has_message: true,
    operands,
    clauses,
    mistake,
};

/// Parses the value.
fn operands(cursor: &mut Cursor<'_>) -> Result<Action, Diagnostic> {
    let module = module(cursor.rest()).map(str::to_owned);
    if let Some(module) = &module {
        cursor.advance(module.len() + 1);
    }
    let missing = "the value to watch is missing";
    let hint =
        "name a static (`watch COUNTER`), or a value of a function (`watch x.count at FUNCTION`)";
    let value = expression_after(cursor, missing, hint)?;
    Ok(Action::Watch(WatchAction {
        module,
        value,
        on: WatchedAccess::default(),
    }))
}

/// The file name before `!`, if the value has one: `libfoo.so!counter`.
fn module(text: &str) -> Option<&str> {
    let end = text.find('!')?;
    let (name, rest) = text.split_at_checked(end)?;
    let is_name = |c: char| c.is_alphanumeric() || "_.+-".contains(c);
    let is_module = !name.is_empty() && name.chars().all(is_name) && !rest.starts_with("!=");
    is_module.then_some(name)
}

/// Parses `on write` or `on access`.
fn clauses(cursor: &mut Cursor<'_>, action: Action) -> Result<Action, Diagnostic> {
    let Action::Watch(mut watch) = action else {
        return Ok(action);
    };
    if cursor.take_word("on") {
        let at = cursor.at();
        let word = cursor.peek_word().unwrap_or_default().to_owned();
        let span = at..at + word.len();
        watch.on = match word.as_str() {
            "write" => WatchedAccess::Write,
            "access" => WatchedAccess::Any,
            "read" => {
                let message = "the processor has no watchpoints for reads alone";
                let hint =
                    "write `on access`: each event says whether the instruction reads or writes";
                return Err(Diagnostic::at(span, message).hint(hint));
            }
            _ => {
                let error = Diagnostic::at(span, "`on` needs the word `write` or `access`");
                return Err(error.hint("write `watch COUNTER on access`"));
            }
        };
        cursor.advance(word.len());
    }
    Ok(Action::Watch(watch))
}

/// Explains the clauses of other actions.
fn mistake(_: &Action, rest: &str) -> Option<Mistake> {
    rest.starts_with("by ").then(|| {
        let message = "accesses are not counted by a value";
        Mistake::new(2, message, "each event names the code that made the access")
    })
}

/// Refuses options that have no meaning for accesses.
///
/// # Errors
/// The probe has one of them.
pub(super) fn check(spec: &ProbeSpec) -> Result<(), Diagnostic> {
    let Action::Watch(_) = &spec.action else {
        return Ok(());
    };
    if let Some(until) = &spec.until
        && until.kind == spec.location.kind
    {
        let error = Diagnostic::at(&until.span, "the watch would end where it begins");
        return Err(error.hint("name the place at which the object is gone"));
    }
    Ok(())
}

impl ActionKind for WatchAction {
    fn grammar(&self) -> &'static ActionGrammar {
        &GRAMMAR
    }

    fn sites(&self) -> ActionSites {
        ActionSites::Memory
    }
}

#[cfg(test)]
mod tests {
    use crate::actions::parse_probe;
    use crate::lang::ast::{Action, LocationKind, ProbeSpec, WatchAction, WatchedAccess};

    fn parsed(text: &str) -> (ProbeSpec, WatchAction) {
        let spec = parse_probe(text).expect(text);
        let Action::Watch(watch) = spec.action.clone() else {
            panic!("{text} is a watch");
        };
        (spec, watch)
    }

    fn value<'t>(text: &'t str, watch: &WatchAction) -> &'t str {
        &text[watch.value.span.clone()]
    }

    #[test]
    fn value_stands_before_its_place() {
        let text = "watch libshop.so!stock.left at Shop::open until Shop::close on access \"{old} {new}\" \
                    if old != new hits 5 depth 3";
        let (spec, watch) = parsed(text);
        assert_eq!(watch.module.as_deref(), Some("libshop.so"));
        assert_eq!(value(text, &watch), "stock.left");
        assert_eq!(watch.on, WatchedAccess::Any);
        assert_eq!(
            spec.location.kind,
            LocationKind::Function("Shop::open".into())
        );
        let until = spec.until.map(|until| until.kind);
        assert_eq!(until, Some(LocationKind::Function("Shop::close".into())));
        assert!(spec.template.is_some() && spec.condition.is_some());
        assert_eq!((spec.options.hits, spec.options.depth), (Some(5), Some(3)));
    }

    #[test]
    fn value_alone_is_watched_for_writes_anywhere() {
        let text = "watch *config.limits[2]";
        let (spec, watch) = parsed(text);
        assert_eq!(
            (watch.module.as_deref(), value(text, &watch)),
            (None, "*config.limits[2]")
        );
        assert_eq!(
            (watch.on, spec.location.kind),
            (WatchedAccess::Write, LocationKind::Memory)
        );
    }

    #[test]
    fn mistakes_are_explained() {
        for (text, message) in [
            ("watch", "the value to watch is missing"),
            (
                "watch x on read",
                "the processor has no watchpoints for reads alone",
            ),
            ("watch x on", "`on` needs the word `write` or `access`"),
            ("watch x until f", "`until` needs `at LOCATION` before it"),
            (
                "watch x at f until f",
                "the watch would end where it begins",
            ),
            ("watch x by y", "accesses are not counted by a value"),
        ] {
            let error = parse_probe(text).expect_err(text);
            assert_eq!(error.message, message, "{text}");
            assert!(error.hint.is_some(), "{text}");
        }
    }
}
