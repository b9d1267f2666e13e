//! Methods that expressions may call on the program's values: lengths, predicates, tests of texts.

pub(super) mod lengths;
pub(super) mod optional;
pub(super) mod predicates;
pub(super) mod regex;
mod search;
pub(super) mod search_budget;
pub(super) mod texts;
