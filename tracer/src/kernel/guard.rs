//! Finds the guard of a plan: its first comparison, when that alone can reject a hit.

use tracer_common::control::{GUARD_MEMORY, GUARD_REGISTER, GUARD_SIGNED, Guard};
use tracer_common::op::{EXTEND, JUMP_IF_CONST, LOAD, Op, REJECT, TARGET_REGISTERS, cond};

/// General registers of the target that a guard can look at.
const GENERAL: u8 = 16;

/// The guard of a plan, and the op at which the plan goes on when it lets a hit pass; one of
/// kind 0, and the first op, when it has none.
///
/// A plan that begins with a number of the target (a register, or memory at one), compares it
/// with a constant, and ends in [`REJECT`] on one side.
pub(super) fn of(ops: &[Op]) -> (Guard, usize) {
    guard(ops).unwrap_or_default()
}

fn guard(ops: &[Op]) -> Option<(Guard, usize)> {
    let [number, second, ..] = ops else {
        return None;
    };
    let register = number.src.checked_sub(TARGET_REGISTERS)?;
    if register >= GENERAL || !matches!(number.size, 1 | 2 | 4 | 8) {
        return None;
    }
    let (place, signed, offset) = match number.code {
        EXTEND => (GUARD_REGISTER, number.a == 1, 0),
        LOAD => (GUARD_MEMORY, number.len == 1, number.offset),
        _ => return None,
    };
    // A plan first takes the bytes that the number has, and then makes a number of its type.
    let narrows = second.code == EXTEND
        && (second.src, second.dst) == (number.dst, number.dst)
        && matches!(second.size, 1 | 2 | 4 | 8)
        // Of memory the plan reads all that it says: what cannot be read is no rejection.
        && (second.size == number.size || (number.code == EXTEND && second.size < number.size));
    let (size, signed, at) = if narrows {
        (second.size, second.a == 1, 2)
    } else {
        (number.size, signed, 1)
    };
    let test = ops.get(at)?;
    if test.code != JUMP_IF_CONST || test.dst != number.dst {
        return None;
    }
    let rejects_at = |at: usize| ops.get(at).is_some_and(|op| op.code == REJECT);
    let target = usize::try_from(test.a).ok()?;
    let (rejects, passes_to) = if rejects_at(target) {
        (cond::opposite(test.size).map(|_| test.size)?, at + 1)
    } else if rejects_at(at + 1) {
        (cond::opposite(test.size)?, target)
    } else {
        return None;
    };
    let guard = Guard {
        kind: place | if signed { GUARD_SIGNED } else { 0 },
        register,
        size,
        rejects,
        offset,
        value: test.wide(),
    };
    Some((guard, passes_to))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `r0 = (i32)rdi; if r0 < 7 goto 3; MARK; REJECT`, with the ops at 2 and 3 as they are asked for.
    fn plan(number: Op, third: u8, fourth: u8) -> Vec<Op> {
        let test = Op {
            code: JUMP_IF_CONST,
            size: cond::SLT,
            a: 3,
            ..Op::default()
        };
        let end = |code| Op {
            code,
            ..Op::default()
        };
        vec![number, test.with_wide(7), end(third), end(fourth)]
    }

    fn rdi() -> Op {
        Op {
            code: EXTEND,
            src: TARGET_REGISTERS + 5,
            size: 4,
            a: 1,
            ..Op::default()
        }
    }

    #[test]
    fn guard_rejects_where_the_plan_jumps_to_a_rejection_and_where_it_falls_into_one() {
        let wanted = Guard {
            kind: GUARD_REGISTER | GUARD_SIGNED,
            register: 5,
            size: 4,
            rejects: cond::SLT,
            offset: 0,
            value: 7,
        };
        assert_eq!(of(&plan(rdi(), 0, REJECT)), (wanted, 2));
        let falls = Guard {
            rejects: cond::SGE,
            ..wanted
        };
        assert_eq!(of(&plan(rdi(), REJECT, 0)), (falls, 3));
    }

    #[test]
    fn guard_takes_the_type_that_a_second_extension_gives() {
        let bytes = Op { a: 0, ..rdi() };
        let typed = |size: u8, src: u8| Op {
            code: EXTEND,
            src,
            size,
            a: 1,
            ..Op::default()
        };
        let with = |second: Op| {
            let mut ops = plan(bytes, 0, REJECT);
            ops.insert(1, second);
            for op in &mut ops {
                op.a += u32::from(op.code == JUMP_IF_CONST);
            }
            of(&ops).0
        };
        let wanted = Guard {
            kind: GUARD_REGISTER | GUARD_SIGNED,
            register: 5,
            size: 2,
            rejects: cond::SLT,
            offset: 0,
            value: 7,
        };
        assert_eq!(with(typed(2, 0)), wanted);
        assert_eq!(with(typed(4, 0)), Guard { size: 4, ..wanted });
        // More bytes than there are, and another register.
        assert_eq!(with(typed(8, 0)), Guard::default());
        assert_eq!(with(typed(2, 1)), Guard::default());
    }

    #[test]
    fn plan_without_a_first_comparison_that_rejects_has_no_guard() {
        let none = (Guard::default(), 0);
        assert_eq!(of(&plan(rdi(), 0, 0)), none);
        assert_eq!(of(&[]), none);
        for number in [
            Op { src: 3, ..rdi() },
            Op {
                src: TARGET_REGISTERS + GENERAL,
                ..rdi()
            },
            Op { size: 3, ..rdi() },
            Op { dst: 1, ..rdi() },
            Op {
                code: REJECT,
                ..rdi()
            },
        ] {
            assert_eq!(of(&plan(number, 0, REJECT)), none);
        }
    }
}
