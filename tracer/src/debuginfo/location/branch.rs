//! Branches in locations: one that only the target can decide makes both ways,
//! and a choice between what they come to.

use super::super::dies::Slice;
use super::symbolic::{Operand, choose, constant_of};
use super::{Complete, Evaluator, Result, Run, jump};
use crate::unavailable::Unavailable;

/// Conditions of one way through a location; each doubles the ways.
const MAX_FORKS: u32 = 6;

impl<'a> Evaluator<'_, '_, 'a> {
    /// Goes the way that the top of the stack says. True: both ways were gone to
    /// the end, so that nothing is left to run.
    pub(super) fn branch(
        &self,
        run: &mut Run<'a>,
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

impl Run<'_> {
    /// The same state once more; nothing is complete in it yet.
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

/// Makes of the second what either comes to.
fn merge(taken: Run<'_>, run: &mut Run<'_>, condition: &Operand) -> Result<()> {
    let whole = taken.pieces.is_empty() && run.pieces.is_empty();
    let same = matches!(
        (&taken.complete, &run.complete),
        (None, None) | (Some(Complete::Value), Some(Complete::Value))
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
