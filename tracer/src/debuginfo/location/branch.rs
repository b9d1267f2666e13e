//! Branches in locations. If only the target can decide a branch, both paths are run, and the
//! result chooses between their values.

use super::symbolic::{SymbolicOperand, choose, constant_of};
use super::{Completion, EvaluationState, LocationEvaluator, Result, jump};
use crate::base::unavailable::Unavailable;
use crate::debuginfo::dwarf::dies::Slice;

/// Conditions on one path through a location; each doubles the number of paths.
const MAX_FORKS: u32 = 6;

impl<'a> LocationEvaluator<'_, '_, 'a> {
    /// Follows the branch according to the top of the stack. Returns true if both paths were run
    /// to the end, so that nothing is left to run.
    pub(super) fn branch(
        &self,
        run: &mut EvaluationState<'a>,
        code: Slice<'a>,
        rest: &mut Slice<'a>,
        target: i16,
        encoding: gimli::Encoding,
    ) -> Result<bool> {
        let condition = run.pop()?;
        match constant_of(&condition.expr) {
            Some(0) => return Ok(false),
            Some(_) => return jump(code, rest, target).map(|()| false),
            None => {}
        }
        // Only operands on the stack can be merged after the two paths, so pieces must not exist
        // yet.
        if !run.pieces.is_empty() || run.complete.is_some() || run.forks >= MAX_FORKS {
            return Err(conditional());
        }
        run.forks += 1;
        let (mut taken, mut there) = (run.fork(), *rest);
        jump(code, &mut there, target)?;
        self.run_from(code, there, encoding, &mut taken)?;
        self.run_from(code, *rest, encoding, run)?;
        merge(taken, run, &condition)?;
        Ok(true)
    }
}

impl EvaluationState<'_> {
    /// Returns a copy of a state that has no complete piece yet.
    fn fork(&self) -> Self {
        Self {
            stack: self.stack.clone(),
            complete: None,
            pieces: Vec::new(),
            depth: self.depth,
            forks: self.forks,
        }
    }
}

/// Merges the results of the two paths into `run`: each operand that differs becomes a choice.
fn merge(
    taken: EvaluationState<'_>,
    run: &mut EvaluationState<'_>,
    condition: &SymbolicOperand,
) -> Result<()> {
    let whole = taken.pieces.is_empty() && run.pieces.is_empty();
    let same = matches!(
        (&taken.complete, &run.complete),
        (None, None) | (Some(Completion::Value), Some(Completion::Value))
    );
    if !whole || !same || taken.stack.len() != run.stack.len() {
        return Err(conditional());
    }
    for (taken, other) in taken.stack.into_iter().zip(&mut run.stack) {
        if taken == *other {
            continue;
        }
        if taken.kind != other.kind {
            return Err(conditional());
        }
        let no = std::mem::take(&mut other.expr);
        other.expr = choose(taken.expr, no, condition.expr.clone())?;
    }
    Ok(())
}

fn conditional() -> Unavailable {
    Unavailable::Unsupported("a location with a condition".to_owned())
}
