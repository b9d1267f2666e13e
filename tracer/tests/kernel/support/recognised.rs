//! Finds the guard and the fetches in encoded ops.
//!
//! Tests that write programs op by op take both from here. Tests of the compiler compare its
//! statements with these, so that no plan leaves the fast paths unnoticed.

use tracer_common::control::{
    ADDS_UP, BEGINS, COUNTS, ENDS, FORGETS, GUARD_MEMORY, GUARD_REGISTER, GUARD_SIGNED, Guard,
    NEEDS_TASK, NEEDS_THREAD_POINTER, TURNS,
};
use tracer_common::fetch::{
    FETCH_BEHIND, FETCH_BYTES, FETCH_MEMORY, FETCH_REGISTER, Fetch, Fetches,
};
use tracer_common::op::{
    COPY, COUNT, EMIT, END, EXTEND, EncodedOp, FLOAT, JUMP_IF_CONST, LOAD, REJECT, TALLY,
    TALLY_RECORD, TARGET_REGISTERS, WIDE, cond,
};
use tracer_common::record::RecordHeader;

use super::Runner;

/// Number of general registers that a guard can use.
const GENERAL: u8 = 16;

/// The guard of a plan, and the op at which the plan continues if the guard lets a hit pass.
/// Without a guard, its kind is 0 and the op is the first.
///
/// A plan with a guard begins with a number of the target (a register, or memory at one), compares
/// it with a constant, and ends in [`REJECT`] on one side.
pub(crate) fn guard_of(ops: &[EncodedOp]) -> (Guard, usize) {
    guard(ops).unwrap_or_default()
}

fn guard(ops: &[EncodedOp]) -> Option<(Guard, usize)> {
    let [number, second, ..] = ops else {
        return None;
    };
    if !matches!(number.size, 1 | 2 | 4 | 8) {
        return None;
    }
    let (place, register, signed, offset) = match number.code {
        EXTEND => (GUARD_REGISTER, general(number.src)?, number.a == 1, 0),
        LOAD => (
            GUARD_MEMORY,
            base(number.src)?,
            number.len == 1,
            number.offset,
        ),
        _ => return None,
    };
    // A plan first takes the bytes of the number, and then extends them to its type.
    let narrows = second.code == EXTEND
        && (second.src, second.dst) == (number.dst, number.dst)
        && matches!(second.size, 1 | 2 | 4 | 8)
        // The guard must read all bytes that the plan reads, because a failed read is not a
        // rejection.
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

/// Size of a register in bytes, and of each of several chunks.
const WORD: u32 = 8;

/// The fetches of a plan that has nothing else, from the op after its condition. Any other plan has
/// none.
///
/// Null checks do not count, because the kernel side leaves each null pointer to the machine.
pub(crate) fn fetches_of(ops: &[EncodedOp], flags: u32) -> Fetches {
    if flags != 0 {
        return Fetches::default();
    }
    fetches(ops).unwrap_or_default()
}

fn fetches(ops: &[EncodedOp]) -> Option<Fetches> {
    let mut found = Fetches::default();
    let mut left = ops;
    loop {
        match left {
            [] | [EncodedOp { code: END, .. }, ..] => break,
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

/// The fetch at the start of the ops, and the number of its ops.
fn first(ops: &[EncodedOp]) -> Option<(Fetch, usize)> {
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
                register: base(op.src)?,
                length: length(op)?,
                offset: op.offset,
                ..named(op)?
            };
            Some((fetch, 1))
        }
        // Only a register that is read directly can be null.
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
                register: base(op.src)?,
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

/// A fetch for the chunk of this op. `None` if the op writes to a register of the target.
fn named(op: &EncodedOp) -> Option<Fetch> {
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

/// The register of an address: a general one, or the instruction pointer.
fn base(register: u8) -> Option<u8> {
    register
        .checked_sub(TARGET_REGISTERS)
        .filter(|number| *number <= GENERAL)
}

fn length(op: &EncodedOp) -> Option<u8> {
    u8::try_from(op.len)
        .ok()
        .filter(|&len| len > 0 && u32::from(len) <= FETCH_BYTES)
}

fn is_null_check(op: &EncodedOp) -> bool {
    op.code == JUMP_IF_CONST && op.size == cond::EQ && op.wide() == 0
}

/// The eBPF program that the ops need.
pub(crate) fn runner_of(ops: &[EncodedOp], flags: u32, is_fetched: bool) -> Runner {
    const NOT_PLAIN: u32 = NEEDS_THREAD_POINTER | NEEDS_TASK | BEGINS | ENDS | FORGETS | TURNS;
    let is_common = |op: &EncodedOp| {
        matches!(
            op.code,
            END | COPY | EMIT | EXTEND | JUMP_IF_CONST | LOAD | REJECT | COUNT
        )
    };
    let is_plain =
        flags & NOT_PLAIN == 0 && ops.iter().all(is_common) && (flags & COUNTS != 0 || is_fetched);
    if is_plain {
        Runner::Plain
    } else if ops.iter().any(|op| matches!(op.code, FLOAT | WIDE)) {
        Runner::Computing
    } else {
        Runner::Whole
    }
}

/// The flag of ops that end in a count and do not use the time.
pub(crate) fn adding_up(ops: &[EncodedOp], flags: u32) -> u32 {
    let ends_so = |op: &EncodedOp| matches!(op.code, COUNT | TALLY | TALLY_RECORD);
    let is_timeless = |op: &EncodedOp| op.code <= TALLY_RECORD;
    let adds_up = ops.iter().any(ends_so) && ops.iter().all(is_timeless);
    if flags & (BEGINS | FORGETS) != 0 || adds_up {
        ADDS_UP
    } else {
        0
    }
}
