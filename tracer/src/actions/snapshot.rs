//! `snapshot`: every variable in scope, and the call stack with the callers' variables.

use super::kind::ActionKind;
use super::log;
use crate::lang::ast::Action;
use crate::lang::grammar::{ActionGrammar, LocationForm, no_clauses};

/// Frames without `depth`.
const DEPTH: u32 = 64;

/// The action `snapshot`.
pub(super) struct SnapshotAction;

/// The syntax of `snapshot`.
pub(super) const GRAMMAR: ActionGrammar = ActionGrammar {
    word: "snapshot",
    keywords: &[],
    location: LocationForm::Place,
    has_message: true,
    operands: |_| Ok(Action::Snapshot),
    clauses: no_clauses,
    mistake: log::counted,
};

impl ActionKind for SnapshotAction {
    fn grammar(&self) -> &'static ActionGrammar {
        &GRAMMAR
    }

    // A snapshot is long to read, and one is enough.
    fn default_hits(&self) -> u64 {
        1
    }

    fn default_depth(&self) -> u32 {
        DEPTH
    }

    fn shows_callers(&self) -> bool {
        true
    }
}
