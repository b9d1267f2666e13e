//! What the kernel says that a hit of small plans costs: run by hand, to see what a change did.
//!
//! `cargo test -p tracer --test kernel cost -- --ignored --nocapture`

use std::path::PathBuf;

use tracer::kernel::{Machine, SiteRequest};
use tracer_common::control::{COUNTS, NEEDS_TASK, ProbeControl};
use tracer_common::op::{self, Op};

use crate::support::rig::{RDI, RSI, Rig, UNLIMITED, Way, copy, emit};
use crate::support::site::SITES;

const RING: u32 = 1 << 24;
const HITS: u64 = 50_000;
const REPEATS: usize = 5;

/// A condition on `rdi` as an `int`, then `ops`.
fn when(relation: u8, value: i64, ops: &[Op]) -> Vec<Op> {
    let end = 2 + ops.len() as u32 + 1;
    let mut all = vec![
        Op {
            code: op::EXTEND,
            dst: 0,
            src: RDI,
            size: 4,
            a: 1,
            ..Op::default()
        },
        Op {
            code: op::JUMP_IF_CONST,
            dst: 0,
            size: relation,
            a: end,
            ..Op::default()
        }
        .with_wide(value.cast_unsigned()),
    ];
    all.extend_from_slice(ops);
    all.push(Op::default());
    all.push(Op {
        code: op::REJECT,
        ..Op::default()
    });
    all
}

/// The same on 4 bytes of memory at `rsi`.
fn when_memory(relation: u8, value: i64, ops: &[Op]) -> Vec<Op> {
    let mut all = when(relation, value, ops);
    all[0] = Op {
        code: op::LOAD,
        dst: 0,
        src: RSI,
        size: 4,
        len: 1,
        a: all.len() as u32,
        ..Op::default()
    };
    all.push(Op {
        code: op::FAULT,
        ..Op::default()
    });
    all
}

#[test]
#[ignore = "measures; run by hand"]
fn cost_of_a_hit_is_printed() {
    let Some(mut rig) = Rig::load(Way::Best, RING) else {
        return;
    };
    let two = [emit(1, RDI), emit(2, RDI)];
    let memory = [copy(1, RSI, 8), copy(2, RSI, 8)];
    let cases: Vec<(&str, Vec<Op>, u32, u32)> = vec![
        ("silenced", two.to_vec(), 0, 0),
        ("count", Vec::new(), COUNTS, 1),
        (
            "count if",
            when(
                op::cond::EQ,
                -1,
                &[Op {
                    code: op::COUNT,
                    ..Op::default()
                }],
            ),
            0,
            1,
        ),
        ("rejected", when(op::cond::NE, -1, &two), 0, 1),
        ("rejected memory", when_memory(op::cond::NE, -1, &two), 0, 1),
        ("empty record", Vec::new(), 0, 1),
        ("log2", two.to_vec(), 0, 1),
        ("log2 if", when(op::cond::EQ, -1, &two), 0, 1),
        ("log2 memory", memory.to_vec(), 0, 1),
        (
            "log8 memory",
            (0..8).map(|slot| copy(slot, RSI, 8)).collect(),
            0,
            1,
        ),
        ("log2 task", two.to_vec(), NEEDS_TASK, 1),
    ];
    let statistics = Machine::enable_run_time_stats().expect("statistics");
    let mut times = vec![Vec::new(); cases.len()];
    for _ in 0..REPEATS {
        for ((_, ops, flags, enabled), times) in cases.iter().zip(&mut times) {
            times.push(cost(&mut rig, ops, *flags, *enabled));
        }
    }
    drop(statistics);
    for ((name, ..), times) in cases.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        println!(
            "{name:16} {:6.0} ns (least {:.0})",
            times[REPEATS / 2],
            times[0]
        );
    }
}

/// Time of a hit.
fn cost(rig: &mut Rig, ops: &[Op], flags: u32, enabled: u32) -> f64 {
    let [site, ..] = SITES;
    let requests = [SiteRequest {
        path: PathBuf::from("/proc/self/exe"),
        offset: site.offset(),
        ops: ops.to_vec(),
        flags,
        address: None,
        copies: Vec::new(),
        returns: false,
        alone: false,
    }];
    let control = ProbeControl {
        enabled,
        expires_ns: u64::MAX,
        ..UNLIMITED
    };
    let reserved = rig.machine.reserve(&control, &requests).expect("room");
    let slot = reserved.slot;
    let failed = rig.machine.attach(std::process::id(), reserved, &requests);
    assert!(failed.expect("attached").is_empty());
    let word = 12_345_678_u64;
    let arguments = [7, (&raw const word) as u64, 0, 0, 0, 0];
    for _ in 0..1000 {
        site.pass(arguments);
    }
    let before = rig.machine.run_time().expect("read");
    for _ in 0..HITS {
        site.pass(arguments);
    }
    let after = rig.machine.run_time().expect("read");
    let _ = rig.records();
    rig.remove(slot);
    (after.1 - before.1) as f64 / (after.0 - before.0) as f64
}
