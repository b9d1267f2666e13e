//! Random expressions: printed, parsed again, compiled and run, against a
//! straight evaluation of the tree.

use super::fixture::{Fixture, int};
use super::{Outcome, RBP, ReferenceMachine, at_frame, stack};
use crate::actions::parse_probe;
use crate::debuginfo::types::Language;
use crate::lang::ast::{self, BinaryOp, ExprKind};
use expressions::{Fault, VARIABLES, bare, expr, frame, guarded, holds, print, truth};
use numbers::Random;
use standard::{evaluate_c, number_of_c};

// The test of the kernel's machine tries the same.
#[path = "../../../tests/kernel/support/expressions.rs"]
mod expressions;
#[path = "../../../tests/kernel/support/random.rs"]
pub(super) mod numbers;
#[path = "../../../tests/kernel/support/standard.rs"]
mod standard;

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
        let outcome = ReferenceMachine::new(&memory)
            .with(RBP, super::STACK)
            .run(&plan.program.ops);
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

/// How a probe of C ends over the variables in a frame.
fn outcome_in_c(text: &str, frame: &[u8]) -> (Outcome, Option<(String, String)>) {
    let mut fixture = Fixture::default();
    fixture.language = Some(Language::C);
    for (name, size, signed, at) in VARIABLES {
        let ty = fixture.c_int("", size, signed);
        fixture.variable(name, ty, at_frame(at as i64));
    }
    fixture.probe(text);
    let plan = fixture.plan();
    let plan = plan.unwrap_or_else(|error| panic!("{text}: {error}"));
    let memory = stack(frame);
    let outcome = ReferenceMachine::new(&memory)
        .with(RBP, super::STACK)
        .run(&plan.program.ops);
    let shown = match &outcome {
        Outcome::Sent(record) => {
            let decoded = plan.layout.decode(record).expect("decodes");
            let ty = decoded.values.first().map(|one| one.ty.to_string());
            Some((decoded.message, ty.unwrap_or_default()))
        }
        _ => None,
    };
    (outcome, shown)
}

#[test]
fn random_numbers_of_c_are_those_of_the_standard() {
    let mut random = Random::new(0xc0de_5eed);
    let mut known = 0;
    for case in 0..CASES {
        let tree = number_of_c(&mut random, 4);
        let frame = frame(&mut random);
        let text = format!("log 0x0 \"{{{}}}\"", print(&tree));
        let (_, shown) = outcome_in_c(&text, &frame);
        let (message, ty) = shown.expect("no condition");
        match evaluate_c(&tree, &frame) {
            Ok(wanted) => {
                // A variable alone and a truth are shown as such.
                let is_truth = ["true", "false"].contains(&&*message);
                let number = if is_truth {
                    i128::from(message == "true").to_string()
                } else {
                    message.clone()
                };
                assert_eq!(
                    number,
                    wanted.number.to_string(),
                    "case {case}: {text} over {frame:x?}"
                );
                let named = match (wanted.bits, wanted.signed) {
                    (8, true) => "signed char",
                    (8, false) => "unsigned char",
                    (16, true) => "short",
                    (16, false) => "unsigned short",
                    (32, true) => "int",
                    (32, false) => "unsigned int",
                    (_, true) => "long",
                    (_, false) => "unsigned long",
                };
                assert!(
                    ty == named || ty.is_empty() || is_truth,
                    "case {case}: {text}: {ty}"
                );
                known += 1;
            }
            Err(Fault) => assert!(message.starts_with('<'), "case {case}: {text}: {message}"),
        }
    }
    assert!(known > CASES / 2, "{known}");
}

#[test]
fn random_conditions_of_c_hold_when_those_of_the_standard_do() {
    let mut random = Random::new(0xc0de_7ace);
    let mut outcomes = [0_u64; 3];
    for case in 0..CASES {
        let tree = match case % 4 {
            0 => guarded(&mut random),
            1 => truth(&mut random, 3),
            _ => {
                let (left, right) = (number_of_c(&mut random, 2), number_of_c(&mut random, 2));
                let relation = random.pick(&[BinaryOp::Lt, BinaryOp::Ge, BinaryOp::Eq]);
                expr(ExprKind::Binary(relation, Box::new(left), Box::new(right)))
            }
        };
        let frame = frame(&mut random);
        let text = format!("log 0x0 \"hit\" if {}", print(&tree));
        let (outcome, _) = outcome_in_c(&text, &frame);
        let got = match outcome {
            Outcome::Sent(_) => 0,
            Outcome::Rejected => 1,
            Outcome::Faulted => 2,
            other => panic!("{other:?}"),
        };
        let wanted = match evaluate_c(&tree, &frame) {
            Ok(value) if value.number != 0 => 0,
            Ok(_) => 1,
            Err(Fault) => 2,
        };
        assert_eq!(got, wanted, "case {case}: {text} over {frame:x?}");
        outcomes[wanted] += 1;
    }
    assert!(
        outcomes.iter().all(|count| *count > CASES / 20),
        "{outcomes:?}"
    );
}
