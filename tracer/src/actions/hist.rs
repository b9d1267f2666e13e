//! `hist`: the values of a number, in buckets.

use std::collections::BTreeMap;

use super::kind::{ActionKind, ActionReport, HitCounts, no_message};
use crate::base::diagnostic::Diagnostic;
use crate::base::unavailable::Unavailable;
use crate::event::{AggregateBody, Bucket, CountRow, Histogram};
use crate::lang::ast::{Action, HistAction, ProbeSpec};
use crate::lang::grammar::{ActionGrammar, LocationForm, no_clauses, operand, positive};
use crate::lang::lexer::Cursor;
use crate::plan::{self, Buckets, MissingValues, Plan, PlanInput, TallyBy};
use crate::value::Value;

/// The syntax of `hist`.
pub(super) const GRAMMAR: ActionGrammar = ActionGrammar {
    word: "hist",
    keywords: &["step"],
    location: LocationForm::Place,
    has_message: false,
    operands,
    clauses: no_clauses,
    mistake: |_, _| None,
};

fn operands(cursor: &mut Cursor<'_>) -> Result<Action, Diagnostic> {
    let value = operand(cursor, GRAMMAR.word)?;
    let step = if cursor.take_word("step") {
        Some(positive(cursor, "step")?)
    } else {
        None
    };
    Ok(Action::Hist(HistAction { value, step }))
}

impl ActionKind for HistAction {
    fn grammar(&self) -> &'static ActionGrammar {
        &GRAMMAR
    }

    fn compile(&self, input: &PlanInput<'_>, _: MissingValues) -> Result<Plan, Diagnostic> {
        let plan = plan::tally(input, TallyBy::Bucket(&self.value, self.buckets()))?;
        no_message(input.spec)?;
        Ok(plan)
    }

    fn sends_events(&self, _: &ProbeSpec) -> bool {
        false
    }

    fn report(&self, hits: HitCounts<'_>) -> ActionReport {
        ActionReport {
            total: hits.total(),
            body: AggregateBody::Histogram(histogram(hits.rows, self.buckets())),
        }
    }
}

impl HistAction {
    fn buckets(&self) -> Buckets {
        self.step.map_or(Buckets::Powers, Buckets::Steps)
    }
}

fn histogram(rows: Vec<CountRow>, buckets: Buckets) -> Histogram {
    let mut found: BTreeMap<i64, u64> = BTreeMap::new();
    let mut unavailable: Vec<(Unavailable, u64)> = Vec::new();
    for CountRow { value, count } in rows {
        match value {
            Value::Int(bucket, _) => {
                // A bucket's number was read from eight bytes.
                *found.entry(bucket as i64).or_default() += count;
            }
            Value::Unavailable(why) => match unavailable.iter_mut().find(|(one, _)| *one == why) {
                Some((_, sum)) => *sum += count,
                None => unavailable.push((why, count)),
            },
            _ => {}
        }
    }
    let bucket = |(bucket, count): (i64, u64)| {
        let (low, high) = buckets.range(bucket);
        Bucket { low, high, count }
    };
    Histogram {
        step: match buckets {
            Buckets::Steps(step) => Some(step),
            Buckets::Powers => None,
        },
        buckets: found.into_iter().map(bucket).collect(),
        unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histogram_keeps_unreadable_numbers_apart() {
        let row = |value, count| CountRow { value, count };
        let rows = vec![
            row(Value::Int(2, 32), 4),
            row(Value::Unavailable(Unavailable::Null), 1),
            row(Value::Int(-1, 32), 2),
            row(Value::Unavailable(Unavailable::Null), 1),
        ];
        let histogram = histogram(rows, Buckets::Powers);
        let ranges: Vec<(i128, i128, u64)> = histogram
            .buckets
            .iter()
            .map(|bucket| (bucket.low, bucket.high, bucket.count))
            .collect();
        assert_eq!(ranges, [(-1, -1, 2), (2, 3, 4)]);
        assert_eq!(histogram.unavailable, [(Unavailable::Null, 2)]);
    }
}
