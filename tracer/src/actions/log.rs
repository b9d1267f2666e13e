//! `log`: one event per hit.

use super::kind::ActionKind;
use crate::lang::ast::{Action, ProbeSpec};
use crate::lang::grammar::{ActionGrammar, LocationForm, Mistake, no_clauses};

/// The action `log`.
pub(super) struct LogAction;

/// The syntax of `log`.
pub(super) const GRAMMAR: ActionGrammar = ActionGrammar {
    word: "log",
    keywords: &[],
    location: LocationForm::Place,
    has_message: true,
    operands: |_| Ok(Action::Log),
    clauses: no_clauses,
    mistake: counted,
};

impl ActionKind for LogAction {
    fn grammar(&self) -> &'static ActionGrammar {
        &GRAMMAR
    }

    fn is_small(&self, spec: &ProbeSpec) -> bool {
        spec.template.is_some()
    }
}

/// Explains a value to count by, in a probe that sends events.
pub(super) fn counted(_: &Action, rest: &str) -> Option<Mistake> {
    let by = rest.starts_with("group by ") || rest.starts_with("by ");
    let message = "only `count` can count by a value";
    by.then(|| Mistake::new(2, message, "write `count LOCATION by VALUE`"))
}
