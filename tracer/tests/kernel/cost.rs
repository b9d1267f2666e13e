//! Measures the cost of a hit of small plans by the kernel's statistics. Run by hand to compare a change.
//!
//! `cargo test -p tracer --test kernel cost -- --ignored --nocapture`

use tracer::base::address::{Bias, ModuleNumber};
use tracer::kernel::{Machine, SiteRequest, Trigger};
use tracer_common::control::{COUNTS, NEEDS_TASK, ProbeControl};
use tracer_common::op::{self, EncodedOp};
use tracer_common::places::ModuleMark;

use crate::support::rig::{RDI, RSI, Rig, UNLIMITED, Way, copy, emit, program};
use crate::support::site::SITES;

const RING: u32 = 1 << 24;
const HITS: u64 = 50_000;
const REPEATS: usize = 5;

/// A condition on `rdi` as an `int`, then `ops`.
fn when(relation: u8, value: i64, ops: &[EncodedOp]) -> Vec<EncodedOp> {
    let end = 2 + ops.len() as u32 + 1;
    let mut all = vec![
        EncodedOp {
            code: op::EXTEND,
            dst: 0,
            src: RDI,
            size: 4,
            a: 1,
            ..EncodedOp::default()
        },
        EncodedOp {
            code: op::JUMP_IF_CONST,
            dst: 0,
            size: relation,
            a: end,
            ..EncodedOp::default()
        }
        .with_wide(value.cast_unsigned()),
    ];
    all.extend_from_slice(ops);
    all.push(EncodedOp::default());
    all.push(EncodedOp {
        code: op::REJECT,
        ..EncodedOp::default()
    });
    all
}

/// A condition on 4 bytes of memory at `rsi`, then `ops`.
fn when_memory(relation: u8, value: i64, ops: &[EncodedOp]) -> Vec<EncodedOp> {
    let mut all = when(relation, value, ops);
    all[0] = EncodedOp {
        code: op::LOAD,
        dst: 0,
        src: RSI,
        size: 4,
        len: 1,
        a: all.len() as u32,
        ..EncodedOp::default()
    };
    all.push(EncodedOp {
        code: op::FAULT,
        ..EncodedOp::default()
    });
    all
}

#[test]
#[ignore = "measures; run by hand"]
fn cost_of_a_hit_is_printed() {
    for accounts in [false, true] {
        let rig = match accounts {
            false => Rig::load(Way::Best, RING),
            true => Rig::load_with_accounts(Way::Best, RING),
        };
        let Some(rig) = rig else { return };
        println!(
            "{}",
            if accounts {
                "with an account for each process"
            } else {
                "alone"
            }
        );
        print_costs(rig);
    }
}

fn print_costs(mut rig: Rig) {
    let two = [emit(1, RDI), emit(2, RDI)];
    let memory = [copy(1, RSI, 8), copy(2, RSI, 8)];
    let mut cases: Vec<(&str, Vec<EncodedOp>, u32, u32)> = vec![
        ("silenced", two.to_vec(), 0, 0),
        ("count", Vec::new(), COUNTS, 1),
        (
            "count if",
            when(
                op::cond::EQ,
                -1,
                &[EncodedOp {
                    code: op::COUNT,
                    ..EncodedOp::default()
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
    let [static_at_constant, static_at_site] = statics();
    cases.push(("static constant", static_at_constant, 0, 1));
    cases.push(("static at site", static_at_site, 0, 1));
    let mark = &raw const MARK as u64;
    let bias = Bias(mark & !0xfff);
    let places = rig.machine.places();
    let number = ModuleNumber(0);
    let is_mark = ModuleMark {
        at: mark & 0xfff,
        is: MARK,
    };
    places.need(number, is_mark).expect("room");
    let put = places.put(std::process::id(), &[(number, Some(bias))]);
    put.expect("room");
    let [by_constant, by_check, by_place] = elsewhere(mark);
    cases.push(("other constant", by_constant, 0, 1));
    cases.push(("other checked", by_check, 0, 1));
    cases.push(("other place", by_place, 0, 1));
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

/// A static by its run address, and relative to the site.
fn statics() -> [Vec<EncodedOp>; 2] {
    static STATIC: u64 = 7;
    let [site, ..] = SITES;
    let address = (&raw const STATIC) as u64;
    let distance = address.wrapping_sub(site.address()).cast_signed();
    let constant = EncodedOp {
        code: op::CONST,
        ..EncodedOp::default()
    };
    let relative = EncodedOp {
        offset: i32::try_from(distance).expect("within the program"),
        ..copy(1, op::INSTRUCTION_POINTER, 8)
    };
    [
        vec![constant.with_wide(address), copy(1, 0, 8)],
        vec![relative],
    ]
}

/// Eight bytes of another module, which identify it.
static MARK: u64 = 0x5678_1234_9abc_def0;

/// A word of another module: by its run address, with a check of the module as in a plan for one
/// process, and by the module's place in the process.
fn elsewhere(mark: u64) -> [Vec<EncodedOp>; 3] {
    let constant = |value| {
        let op = EncodedOp {
            code: op::CONST,
            ..EncodedOp::default()
        };
        op.with_wide(value)
    };
    let load = EncodedOp {
        code: op::LOAD,
        dst: 1,
        size: 8,
        a: 9,
        ..EncodedOp::default()
    };
    let check = EncodedOp {
        code: op::JUMP_IF_CONST,
        dst: 1,
        size: op::cond::NE,
        a: 9,
        ..EncodedOp::default()
    };
    let place = EncodedOp {
        code: op::MODULE,
        a: 9,
        ..EncodedOp::default()
    };
    let read = copy(1, 0, 8);
    [
        vec![constant(mark), read],
        vec![constant(mark), load, check.with_wide(MARK), read],
        vec![
            place,
            EncodedOp {
                offset: (mark & 0xfff) as i32,
                ..read
            },
        ],
    ]
}

/// Time of a hit.
fn cost(rig: &mut Rig, ops: &[EncodedOp], flags: u32, enabled: u32) -> f64 {
    let [site, ..] = SITES;
    let requests = [SiteRequest {
        trigger: Trigger::at("/proc/self/exe", site.offset()),
        program: program(ops.to_vec(), flags),
        shift: 0,
        only_if: None,
        copies: Vec::new(),
        alone: false,
        begins_span: false,
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
