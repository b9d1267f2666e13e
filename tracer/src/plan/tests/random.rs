//! Random expressions: printed, parsed again, compiled and run, against a
//! straight evaluation of the tree.

use super::fixture::{Fixture, int};
use super::{Machine, Outcome, RBP, at_frame, stack};
use crate::lang::ast;
use crate::lang::parse_probe;
use expressions::{Fault, VARIABLES, bare, frame, guarded, holds, print, truth};
use numbers::Random;

// The test of the kernel's machine tries the same.
#[path = "../../../tests/kernel/support/expressions.rs"]
mod expressions;
#[expect(dead_code, reason = "the tests of the kernel's machine need more")]
#[path = "../../../tests/kernel/support/random.rs"]
mod numbers;

/// Expressions that are tried.
const CASES: u64 = 2_000;

#[test]
fn random_conditions_read_back_and_hold_when_they_hold() {
    let mut random = Random::new(0x7ace_5eed);
    let mut outcomes = [0_u64; 3];
    for case in 0..CASES {
        let tree = if case % 4 == 0 {
            guarded(&mut random)
        } else {
            truth(&mut random, 3)
        };
        let text = format!("log 0x0 \"hit\" if {}", print(&tree));
        let parsed = parse_probe(&text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let condition = parsed.condition.expect("there is one");
        assert_eq!(bare(&condition), tree, "{text}");
        let frame = frame(&mut random);
        let mut fixture = Fixture::default();
        for (name, size, signed, at) in VARIABLES {
            fixture.variable(name, int(size, signed), at_frame(at as i64));
        }
        fixture.condition(condition);
        fixture.template(Vec::new());
        let plan = fixture
            .plan()
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        let memory = stack(&frame);
        let outcome = Machine::new(&memory).with(RBP, super::STACK).run(&plan.ops);
        let (wanted, got) = match (holds(&tree, &frame), &outcome) {
            (Ok(true), got) => (0, got),
            (Ok(false), got) => (1, got),
            (Err(Fault), got) => (2, got),
        };
        let got = match got {
            Outcome::Sent(_) => 0,
            Outcome::Rejected => 1,
            Outcome::Faulted => 2,
            other => panic!("{other:?}"),
        };
        assert_eq!(got, wanted, "case {case}: {text} over {frame:x?}");
        outcomes[wanted] += 1;
    }
    assert!(
        outcomes.iter().all(|count| *count > CASES / 20),
        "{outcomes:?}"
    );
}
