//! More hits than the machine can send, from several threads on all CPUs. Every hit is in exactly
//! one counter.

use std::thread;

use tracer_common::control::ProbeControl;
use tracer_common::op::{self, EncodedOp};

use crate::support::rig::{RDI, RSI, Rig, UNLIMITED, copy, odd, rounds, ways};
use crate::support::site::SITES;

const THREADS: u64 = 6;

/// Rejects even `rdi`. Otherwise sends 512 bytes at `rsi`.
fn odd_with_bytes() -> Vec<EncodedOp> {
    let mut ops = odd();
    ops.push(copy(2, RSI, 512));
    ops
}

/// A condition that cannot be read.
fn faulting() -> Vec<EncodedOp> {
    vec![
        EncodedOp {
            code: op::LOAD,
            dst: 0,
            src: RDI,
            size: 8,
            a: 1,
            ..EncodedOp::default()
        },
        EncodedOp {
            code: op::FAULT,
            ..EncodedOp::default()
        },
    ]
}

#[test]
fn every_hit_of_a_flood_is_in_one_counter() {
    for &way in ways() {
        // The ring is so small that most records are lost, because nobody reads it.
        let Some(mut rig) = Rig::load(way, 1 << 16) else {
            return;
        };
        let controls = [
            UNLIMITED,
            ProbeControl {
                interval_ns: 1_000_000,
                burst_ns: 5_000_000,
                ..UNLIMITED
            },
            ProbeControl {
                hit_budget: 500,
                ..UNLIMITED
            },
            UNLIMITED,
        ];
        let total = rounds(3_000);
        let slots: Vec<u32> = SITES
            .iter()
            .zip(controls)
            .enumerate()
            .map(|(index, (site, control))| {
                let ops = if index == 3 {
                    faulting()
                } else {
                    odd_with_bytes()
                };
                rig.probe(&control, &[(site.offset(), ops)]).0
            })
            .collect();
        thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || {
                    let bytes = [thread as u8; 512];
                    for round in 0..total {
                        for site in SITES {
                            site.pass([round, bytes.as_ptr() as u64, 0, 0, 0, 0]);
                        }
                    }
                });
            }
        });
        let counters: Vec<_> = slots.iter().map(|&slot| rig.counters(slot)).collect();
        for counters in &counters {
            assert_eq!(counters.hits, THREADS * total, "{way:?}");
        }
        let sent: u64 = counters.iter().map(|counters| counters.events).sum();
        let mut numbers: Vec<(u32, u64)> = Vec::new();
        for record in rig.records() {
            numbers.push((u32::from(record.header.probe), record.header.hit));
            let fill = record.bytes[80 + 8..][..512].to_vec();
            assert!(fill.iter().all(|&byte| byte == fill[0]), "torn: {fill:?}");
        }
        assert_eq!(numbers.len() as u64, sent, "{way:?}");
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(
            numbers.len() as u64,
            sent,
            "{way:?}: a hit number came twice"
        );
        let [free, rate, budget, fault] = &counters[..] else {
            panic!("four probes");
        };
        let half = THREADS * total / 2;
        assert_eq!(
            free.events + free.lost,
            THREADS * total - free.rejected,
            "{way:?}"
        );
        assert!(free.lost > 0 && free.rejected <= half, "{free:?}");
        assert!(rate.limited > 0, "{rate:?}");
        assert!(
            budget.events + budget.lost <= budget.rejected + 500 + THREADS,
            "{budget:?}"
        );
        assert!(budget.over_budget > 0, "{budget:?}");
        // The condition was not evaluated if no scratch area was free.
        assert_eq!(
            fault.faults + fault.lost + fault.events,
            THREADS * total,
            "{fault:?}"
        );
        assert!(fault.faults > 0, "{fault:?}");
    }
}
