//! Finds the fetches of a plan: chunks that the kernel side makes without the machine.

use tracer_common::control::FS_BASE_SHIFT;
use tracer_common::fetch::{
    FETCH_BEHIND, FETCH_BYTES, FETCH_MEMORY, FETCH_REGISTER, Fetch, Fetches,
};
use tracer_common::op::{COPY, EMIT, END, JUMP_IF_CONST, LOAD, Op, TARGET_REGISTERS, cond};
use tracer_common::record::RecordHeader;

/// General registers of the target that can be fetched.
const GENERAL: u8 = 16;
/// Bytes that each of several chunks may have, and a register has.
const WORD: u32 = 8;

/// The fetches of a plan that is nothing else, from the op on that its condition leads to; none
/// of any other.
///
/// Null checks are no part of it: the kernel side leaves each null pointer to the machine.
pub(super) fn of(ops: &[Op], flags: u32) -> Fetches {
    if flags & ((1 << FS_BASE_SHIFT) - 1) != 0 {
        return Fetches::default();
    }
    fetches(ops).unwrap_or_default()
}

fn fetches(ops: &[Op]) -> Option<Fetches> {
    let mut found = Fetches::default();
    let mut left = ops;
    loop {
        match left {
            [] | [Op { code: END, .. }, ..] => break,
            _ => {}
        }
        let (fetch, ops) = first(left)?;
        *found.chunks.get_mut(usize::try_from(found.count).ok()?)? = fetch;
        found.count += 1;
        left = left.get(ops..)?;
    }
    let chunks = &found.chunks[..usize::try_from(found.count).ok()?];
    let is_short = |fetch: &Fetch| u32::from(fetch.length) <= WORD;
    if chunks.is_empty() || (chunks.len() > 1 && !chunks.iter().all(is_short)) {
        return None;
    }
    let words = |fetch: &Fetch| 1 + u32::from(fetch.length).div_ceil(WORD);
    found.words = size_of::<RecordHeader>() as u32 / WORD + chunks.iter().map(words).sum::<u32>();
    Some(found)
}

/// The fetch that the first ops are, and how many these are.
fn first(ops: &[Op]) -> Option<(Fetch, usize)> {
    let op = ops.first()?;
    match op.code {
        EMIT => {
            let fetch = Fetch {
                kind: FETCH_REGISTER,
                register: general(op.src)?,
                length: Some(op.size).filter(|size| (1..=8).contains(size))?,
                ..named(op)?
            };
            Some((fetch, 1))
        }
        COPY => {
            let fetch = Fetch {
                kind: FETCH_MEMORY,
                register: general(op.src)?,
                length: length(op)?,
                offset: op.offset,
                ..named(op)?
            };
            Some((fetch, 1))
        }
        // Only a register that is read at once can be null.
        JUMP_IF_CONST if is_null_check(op) => {
            let next = ops.get(1)?;
            if next.src != op.dst || !matches!(next.code, COPY | LOAD) {
                return None;
            }
            general(op.dst)?;
            let (fetch, used) = first(&ops[1..])?;
            Some((fetch, used + 1))
        }
        LOAD if op.size == 8 && op.dst < TARGET_REGISTERS => {
            let check = ops
                .get(1)
                .filter(|next| is_null_check(next) && next.dst == op.dst);
            let used = 1 + usize::from(check.is_some());
            let copy = ops.get(used)?;
            if copy.code != COPY || copy.src != op.dst {
                return None;
            }
            let fetch = Fetch {
                kind: FETCH_BEHIND,
                register: general(op.src)?,
                length: length(copy)?,
                offset: op.offset,
                behind: copy.offset,
                ..named(copy)?
            };
            Some((fetch, used + 1))
        }
        _ => None,
    }
}

/// A fetch with the chunk's number, of an op that leaves the target's registers as they are.
fn named(op: &Op) -> Option<Fetch> {
    (op.dst < TARGET_REGISTERS).then(|| Fetch {
        slot: op.a as u16,
        ..Fetch::default()
    })
}

fn general(register: u8) -> Option<u8> {
    register
        .checked_sub(TARGET_REGISTERS)
        .filter(|number| *number < GENERAL)
}

fn length(op: &Op) -> Option<u8> {
    u8::try_from(op.len)
        .ok()
        .filter(|&len| len > 0 && u32::from(len) <= FETCH_BYTES)
}

fn is_null_check(op: &Op) -> bool {
    op.code == JUMP_IF_CONST && op.size == cond::EQ && op.wide() == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const RDI: u8 = TARGET_REGISTERS + 5;
    const RBP: u8 = TARGET_REGISTERS + 6;

    fn op(code: u8, dst: u8, src: u8, slot: u32) -> Op {
        Op {
            code,
            dst,
            src,
            a: slot,
            ..Op::default()
        }
    }

    fn emit(slot: u32) -> Op {
        Op {
            size: 4,
            ..op(EMIT, 31, RDI, slot)
        }
    }

    fn copy(src: u8, slot: u32, offset: i32, len: u32) -> Op {
        Op {
            offset,
            len,
            ..op(COPY, 31, src, slot)
        }
    }

    fn load(dst: u8, offset: i32) -> Op {
        Op {
            size: 8,
            offset,
            ..op(LOAD, dst, RBP, 9)
        }
    }

    fn null_check(register: u8) -> Op {
        Op {
            size: cond::EQ,
            ..op(JUMP_IF_CONST, register, 0, 7)
        }
    }

    #[test]
    fn plan_of_registers_memory_and_memory_behind_a_pointer_is_fetched() {
        let ops = [
            emit(0),
            load(0, -8),
            null_check(0),
            copy(0, 1, 16, 8),
            null_check(RDI),
            copy(RDI, 3, 4, 7),
            op(END, 0, 0, 0),
            // What follows is only jumped to.
            op(200, 0, 0, 0),
        ];
        let found = of(&ops, 0);
        let wanted = [
            Fetch {
                kind: FETCH_REGISTER,
                register: 5,
                length: 4,
                ..Fetch::default()
            },
            Fetch {
                kind: FETCH_BEHIND,
                register: 6,
                length: 8,
                slot: 1,
                offset: -8,
                behind: 16,
                ..Fetch::default()
            },
            Fetch {
                kind: FETCH_MEMORY,
                register: 5,
                length: 7,
                slot: 3,
                offset: 4,
                ..Fetch::default()
            },
        ];
        assert_eq!(found.chunks[..3], wanted);
        // A header, and three chunks of two words.
        assert_eq!((found.count, found.words), (3, 8 + 3 * 2));
    }

    #[test]
    fn plan_that_is_more_or_other_than_fetches_has_none() {
        let longest = [copy(RDI, 3, 0, FETCH_BYTES)];
        assert_eq!(
            of(&longest, 0).words,
            tracer_common::fetch::FETCHED_WORDS,
            "the longest that there is"
        );
        let none = Fetches::default();
        assert_eq!(of(&longest, tracer_common::control::NEEDS_TASK), none);
        let other: [&[Op]; 10] = [
            &[],
            &[op(END, 0, 0, 0)],
            // One chunk more, a byte more, and a long chunk beside another.
            &[emit(0), emit(1), emit(2), emit(3), emit(4)],
            &[copy(RDI, 0, 0, FETCH_BYTES + 1)],
            &[copy(RDI, 0, 0, 9), emit(1)],
            &[emit(0), copy(RDI, 1, 0, 9)],
            // Registers that are no target's, or that the plan changes.
            &[copy(0, 0, 0, 8)],
            &[Op {
                dst: RDI,
                ..emit(0)
            }],
            // Another pointer than the one that was checked, and a number that is no pointer.
            &[null_check(RBP), copy(RDI, 0, 0, 8)],
            &[
                Op {
                    size: 4,
                    ..load(0, 0)
                },
                copy(0, 0, 0, 8),
            ],
        ];
        for ops in other {
            assert_eq!(of(ops, 0), none, "{ops:?}");
        }
    }
}
