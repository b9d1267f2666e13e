//! `count`: hits, by the value of an expression if there is one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::kind::{ActionKind, ActionReport, HitCounts, no_message};
use crate::base::diagnostic::Diagnostic;
use crate::event::{AggregateBody, CountRow};
use crate::lang::ast::{Action, CountAction, ProbeSpec};
use crate::lang::grammar::{
    ActionGrammar, LocationForm, Mistake, could_be_option, expression_after, is_path, no_clauses,
};
use crate::lang::lexer::Cursor;
use crate::plan::{self, MissingValues, Plan, PlanInput, TallyBy};
use crate::value::debug;

/// The syntax of `count`.
pub(super) const GRAMMAR: ActionGrammar = ActionGrammar {
    word: "count",
    keywords: &["by"],
    location: LocationForm::Place,
    has_message: false,
    operands,
    clauses: no_clauses,
    mistake,
};

fn operands(cursor: &mut Cursor<'_>) -> Result<Action, Diagnostic> {
    let by = if cursor.take_word("by") {
        let missing = "the value to count by is missing";
        Some(expression_after(cursor, missing, "write `by x`")?)
    } else {
        None
    };
    Ok(Action::Count(CountAction { by }))
}

/// Explains a value to count by without `by`, or a second one.
fn mistake(action: &Action, rest: &str) -> Option<Mistake> {
    if matches!(action, Action::Count(CountAction { by: Some(_) })) {
        let message = "hits are counted by one value";
        let hint = "count by a struct that contains both values, or write two probes";
        return rest
            .starts_with(',')
            .then(|| Mistake::new(1, message, hint));
    }
    let by = rest.strip_prefix("group by ").or(rest.strip_prefix("by "));
    let value = by.or_else(|| {
        let value = rest.trim_start_matches('{').trim_end_matches('}');
        let value = value
            .strip_prefix('(')
            .map_or(value, |value| value.strip_suffix(')').unwrap_or(value));
        (is_path(value) && !could_be_option(value)).then_some(value)
    })?;
    let message = "the value to count by goes after `by`";
    Some(Mistake::new(
        rest.len(),
        message,
        format!("write `by {value}`"),
    ))
}

impl ActionKind for CountAction {
    fn grammar(&self) -> &'static ActionGrammar {
        &GRAMMAR
    }

    fn compile(&self, input: &PlanInput<'_>, _: MissingValues) -> Result<Plan, Diagnostic> {
        let by = self.by.as_ref().map_or(TallyBy::Nothing, TallyBy::Value);
        let plan = plan::tally(input, by)?;
        no_message(input.spec)?;
        Ok(plan)
    }

    fn sends_events(&self, _: &ProbeSpec) -> bool {
        false
    }

    fn is_small(&self, _: &ProbeSpec) -> bool {
        self.by.is_none()
    }

    fn report(&self, hits: HitCounts<'_>) -> ActionReport {
        let total = match self.by {
            None => hits.events,
            Some(_) => hits.total(),
        };
        ActionReport {
            total,
            body: AggregateBody::Count(joined(hits.rows)),
        }
    }
}

/// Joins equal values, and sorts them by count, the most frequent first, then by text.
fn joined(rows: Vec<CountRow>) -> Vec<CountRow> {
    let mut joined: BTreeMap<String, CountRow> = BTreeMap::new();
    for row in rows {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = debug::write(&mut text, &row.value, debug::DEBUG);
        joined
            .entry(text)
            .and_modify(|same| same.count += row.count)
            .or_insert(row);
    }
    let mut rows: Vec<CountRow> = joined.into_values().collect();
    rows.sort_by_key(|row| Reverse(row.count));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    #[test]
    fn equal_values_of_several_sites_are_one_row() {
        let row = |value, count| CountRow {
            value: Value::Int(value, 32),
            count,
        };
        let rows = vec![row(3, 2), row(4, 9), row(3, 5)];
        assert_eq!(joined(rows), [row(4, 9), row(3, 7)]);
    }
}
