//! The places of the soak in Rust; see pass.c. Every eighth pass leaves a function by a panic.
#![crate_type = "staticlib"]

use std::hint::black_box;
use std::panic::{catch_unwind, resume_unwind};

const WORK: u64 = 0;
const LEAF: u64 = 1;
const LOOK: u64 = 2;
const DEEP: u64 = 3;
const MAYBE: u64 = 4;

unsafe extern "C" {
    safe fn soak_before(slot: u64, place: u64, times: u64);
    safe fn soak_after(slot: u64, place: u64, times: u64);
    safe fn soak_mix(slot: u64, sequence: u64) -> u64;
}

struct Pair {
    slot: u64,
    sequence: u64,
    check: u64,
    minus: i64,
    name: String,
    list: Vec<u32>,
}

#[inline(never)]
fn leaf(slot: u64, sequence: u64, check: u64) -> u64 {
    black_box(slot);
    check ^ sequence
}

#[inline(never)]
fn look(pair: &Pair) {
    black_box(pair.check); // PROBE look
    black_box((pair.slot, pair.sequence, pair.minus));
}

#[inline(never)]
fn deep(level: u64, sequence: u64) -> u64 {
    if level == 0 {
        return sequence;
    }
    let below = deep(level - 1, sequence);
    black_box(below) + 1
}

#[inline(never)]
fn unwind(sequence: u64) {
    if sequence % 8 == 0 {
        // The panic hook would print.
        resume_unwind(Box::new(sequence));
    }
    black_box(sequence);
}

/// Stores all fields before it returns. Debug information gives their places from the start of
/// their scope, so they must not be stored at the probed place.
#[inline(never)]
fn pair(slot: u64, sequence: u64, check: u64, minus: i64) -> Pair {
    Pair {
        slot,
        sequence,
        check,
        minus,
        name: format!("n{}", sequence % 10),
        list: (0..(sequence % 5) as u32).collect(),
    }
}

#[inline(never)]
fn work(slot: u64, sequence: u64) {
    let check = soak_mix(slot, sequence);
    let minus = -((sequence % 1000) as i64);
    let pair = pair(slot, sequence, check, minus);
    black_box(&pair);
    black_box(check.wrapping_add(minus as u64));
    soak_before(slot, LEAF, 1); // PROBE work
    black_box(leaf(slot, sequence, check));
    soak_after(slot, LEAF, 1);
    soak_before(slot, LOOK, 1);
    look(&pair);
    soak_after(slot, LOOK, 1);
    if sequence % 3 == 0 {
        soak_before(slot, MAYBE, 1);
        black_box(sequence); // PROBE maybe
        soak_after(slot, MAYBE, 1);
    }
    black_box((&pair.name, &pair.list));
    black_box(catch_unwind(|| unwind(sequence)).is_err());
}

#[unsafe(no_mangle)]
extern "C" fn soak_pass(slot: u64, sequence: u64) {
    let level = sequence % 4;
    soak_before(slot, WORK, 1);
    work(slot, sequence);
    soak_after(slot, WORK, 1);
    soak_before(slot, DEEP, level + 1);
    black_box(deep(level, sequence));
    soak_after(slot, DEEP, level + 1);
}
