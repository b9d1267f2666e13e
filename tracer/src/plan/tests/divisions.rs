//! Divisions without a result: by zero, and those whose quotient the type does not have.

use tracer_common::op::LOAD;

use super::fixture::{Fixture, int, member, raw, structure};
use super::{Outcome, RBP, ReferenceMachine, STACK, at_frame, stack};
use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::types::{Language, TypeKind};
use crate::plan::Plan;

/// Name, bytes, sign and place; the frame has one after another.
const FRAME: [(&str, u64, bool, i64); 8] = [
    ("byte", 1, true, 0),
    ("half", 4, true, 4),
    ("long", 8, true, 8),
    ("word", 8, false, 16),
    ("wide", 16, true, 24),
    ("large", 16, false, 40),
    ("by", 8, true, 56),
    ("deep", 16, true, 64),
];

fn plan(language: Language, text: &str) -> Result<Plan, Diagnostic> {
    let mut fixture = Fixture::default();
    fixture.language = Some(language);
    for (name, size, signed, at) in FRAME {
        let ty = match language {
            Language::Rust => int(size, signed),
            _ => fixture.c_int("", size, signed),
        };
        fixture.variable(name, ty, at_frame(at));
    }
    let row = TypeKind::Array {
        element: int(8, true),
        dimensions: vec![Some(10)],
    };
    let row = fixture.add("[i64; 10]", 80, row);
    fixture.variable("row", row, at_frame(-8));
    let data = raw(&mut fixture, int(8, true));
    let parts = vec![
        member("data_ptr", data, 0),
        member("length", int(8, false), 8),
    ];
    let slice = fixture.add("&[i64]", 16, TypeKind::Struct(structure(parts)));
    fixture.variable("slice", slice, at_frame(0));
    fixture.probe(text);
    fixture.plan()
}

/// The least number of each signed type, 7 of the others, and `by` (`deep` is the same).
fn outcome(language: Language, text: &str, by: i64) -> String {
    let plan = plan(language, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let mut frame = vec![0; 80];
    frame[0] = 0x80;
    frame[4..8].copy_from_slice(&i32::MIN.to_le_bytes());
    frame[8..16].copy_from_slice(&i64::MIN.to_le_bytes());
    frame[16] = 7;
    frame[24..40].copy_from_slice(&i128::MIN.to_le_bytes());
    frame[40] = 7;
    frame[56..64].copy_from_slice(&by.to_le_bytes());
    frame[64..].copy_from_slice(&i128::from(by).to_le_bytes());
    let memory = stack(&frame);
    match ReferenceMachine::new(&memory)
        .with(RBP, STACK)
        .run(&plan.program.ops)
    {
        Outcome::Sent(record) => plan.layout.decode(&record).expect("decodes").message,
        other => format!("{other:?}"),
    }
}

const OVERFLOW: &str = "<invalid value: overflow of a division>";
const ZERO: &str = "<invalid value: division by zero>";
const NEGATIVE: &str = "<invalid value: division of a number below zero and an unsigned one>";

fn check(language: Language, expression: &str, by: i64, wanted: &str) {
    let text = format!("log 0x0 \"{{{expression}}}\"");
    let context = format!("{language:?}: {expression}, {by}");
    assert_eq!(outcome(language, &text, by), wanted, "{context}");
    let faults = wanted.starts_with('<');
    for (relation, sent) in [("==", true), ("!=", false)] {
        let number = if faults { "1" } else { wanted };
        let text = format!("log 0x0 \"hit\" if {expression} {relation} {number}");
        let ended = match (faults, sent) {
            (true, _) => "Faulted",
            (false, true) => "hit",
            (false, false) => "Rejected",
        };
        assert_eq!(outcome(language, &text, by), ended, "{text}: {context}");
    }
}

#[test]
fn least_number_by_minus_one_has_no_quotient_and_no_remainder() {
    for language in [Language::Rust, Language::C] {
        for sign in ["/", "%"] {
            for (left, by) in [
                ("long", "by"),
                ("long", "-1"),
                ("wide", "deep"),
                ("wide", "by"),
                ("wide", "-1"),
            ] {
                check(language, &format!("{left} {sign} {by}"), -1, OVERFLOW);
            }
            for left in ["half", "long", "wide", "word", "large"] {
                check(language, &format!("{left} {sign} by"), 0, ZERO);
                check(language, &format!("{left} {sign} 0"), 0, ZERO);
            }
            check(language, &format!("wide {sign} deep"), 0, ZERO);
        }
        check(language, "long / by", -2, "4611686018427387904");
        check(language, "long % by", -2, "0");
        check(language, "(long + 1) / by", -1, "9223372036854775807");
        let most = i128::MAX.to_string();
        check(language, "(wide + 1) / deep", -1, &most);
        check(language, "wide / deep", 1, &i128::MIN.to_string());
        check(language, "half % 7", 0, "-2");
    }
    // Of the type that the language computes in: that of the left side, and the common one.
    for sign in ["/", "%"] {
        for left in ["byte", "half"] {
            check(Language::Rust, &format!("{left} {sign} by"), -1, OVERFLOW);
        }
        for by in ["-1", "(int)by"] {
            check(Language::C, &format!("half {sign} {by}"), -1, OVERFLOW);
        }
    }
    check(Language::Rust, "(half as i64) / by", -1, "2147483648");
    check(Language::C, "half / by", -1, "2147483648");
    check(Language::C, "byte / -1", -1, "128");
}

#[test]
fn negative_numbers_and_unsigned_ones_have_no_quotient_in_rust() {
    for expression in ["word / by", "by % word", "large / by", "deep % large"] {
        check(Language::Rust, expression, -5, NEGATIVE);
    }
    check(Language::Rust, "word / -2", 0, NEGATIVE);
    check(Language::Rust, "word / by", 2, "3");
    check(Language::Rust, "deep / large", 20, "2");
    // C and C++ convert it, and say what comes of that.
    check(
        Language::C,
        "by / word",
        -5,
        &((u64::MAX - 4) / 7).to_string(),
    );
    check(Language::C, "large / by", -5, "0");
}

#[test]
fn overflow_that_is_known_is_refused() {
    for (language, expression) in [
        (Language::Rust, "-9223372036854775808 / -1"),
        (Language::Rust, "(-128 as i8) % -1"),
        (Language::C, "(-2147483647 - 1) / -1"),
        (Language::C, "(-9223372036854775807 - 1) % (1 - 2)"),
    ] {
        let text = format!("log 0x0 \"{{{expression}}}\"");
        let error = plan(language, &text).expect_err(&text);
        assert_eq!(error.message, "this division overflows", "{text}");
        assert!(error.hint.is_some() && error.span.is_some(), "{text}");
    }
    check(Language::Rust, "-128 / -1", 0, "128");
}

#[test]
fn what_is_tested_is_read_once() {
    let loads = |plan: &Plan| plan.program.ops.iter().filter(|op| op.code == LOAD).count();
    for (expression, wanted) in [
        ("long / by", 2),
        ("word % by", 2),
        ("row[by]", 1),
        ("slice[by]", 3),
    ] {
        let text = format!("log 0x0 \"{{{expression} + 1}}\"");
        let plan = plan(Language::Rust, &text).expect("compiles");
        // Memory at the index is read as well.
        let element = usize::from(expression.ends_with(']'));
        assert_eq!(loads(&plan), wanted + element, "{expression}");
    }
    check(Language::Rust, "row[by]", 3, "7");
    for by in [10, -1] {
        let wanted = "<invalid value: index out of bounds>";
        check(Language::Rust, "row[by]", by, wanted);
    }
}
