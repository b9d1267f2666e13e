//! The size of a computation.
//!
//! Some operations emit an operand twice. Nested in each other, they double the size with each
//! level.

use crate::plan::limits::{COMPUTED, COMPUTING};
use crate::plan::ops::ir::{Ir, Test};
use crate::plan::ops::spots::{Spot, Spots};

impl Ir {
    /// Returns true if it has more steps than the limit.
    pub(in crate::plan) fn is_too_large(&self) -> bool {
        let mut left = COMPUTED;
        !self.fits(&mut left)
    }

    /// Subtracts its steps from `left`. False if there are not enough.
    fn fits(&self, left: &mut u32) -> bool {
        let Some(rest) = left.checked_sub(1) else {
            return false;
        };
        *left = rest;
        match self {
            Self::Const(_) | Self::Register(_) | Self::Module { .. } => true,
            Self::Load { address: of, .. }
            | Self::Extend { of, .. }
            | Self::NonNull(of)
            | Self::FloatOrder(of)
            | Self::Below(of, ..) => of.fits(left),
            Self::Alu(_, a, b) => a.fits(left) && b.fits(left),
            Self::Divide(_, of, _) | Self::Within(of, _) => of.iter().all(|one| one.fits(left)),
            // Takes the processor some hundred instructions.
            Self::Float(_, a, b) => took(left, COMPUTING) && a.fits(left) && b.fits(left),
            Self::Wide(_, of) => took(left, COMPUTING) && of.iter().all(|one| one.fits(left)),
            Self::Truth(test) => test.fits(left),
            Self::Guard(test, _, then) => test.fits(left) && then.fits(left),
            Self::Choose(test, yes, no) => test.fits(left) && yes.fits(left) && no.fits(left),
        }
    }
}

/// Subtracts steps from `left`.
fn took(left: &mut u32, steps: u32) -> bool {
    let rest = left.checked_sub(steps);
    *left = rest.unwrap_or(0);
    rest.is_some()
}

impl Test {
    fn fits(&self, left: &mut u32) -> bool {
        match self {
            Self::Known(_) => true,
            Self::Compare(_, a, b) => a.fits(left) && b.fits(left),
            Self::Not(of) => of.fits(left),
            Self::And(a, b) | Self::Or(a, b) => a.fits(left) && b.fits(left),
            Self::Text(text) => {
                text.pointer.fits(left) && text.length.as_ref().is_none_or(|of| of.fits(left))
            }
        }
    }
}

impl Spots {
    /// Returns true if computing its place takes more steps than the limit.
    pub(in crate::plan) fn is_too_large(&self) -> bool {
        self.0.iter().any(|(_, spot)| match spot {
            Spot::Memory(of) | Spot::Number(of) | Spot::Bits(of, _) => of.is_too_large(),
            Spot::Bytes(_) | Spot::Implicit(..) | Spot::Missing(_) => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::op::alu;

    use super::*;
    use crate::plan::ops::ir::divide;

    #[test]
    fn nested_divisions_do_not_double() {
        let mut number = Ir::Register(1);
        let mut levels = 0;
        while !number.is_too_large() {
            number = divide(alu::DIV, Ir::Register(2), number, None);
            levels += 1;
        }
        assert_eq!(levels, COMPUTED / 2);
    }
}
