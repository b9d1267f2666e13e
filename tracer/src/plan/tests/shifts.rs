//! Shifts by more bits than there are: refused where it is known, a fault at the hit where not.

use super::fixture::{Fixture, int};
use super::{Outcome, RBP, ReferenceMachine, STACK, at_frame, stack};
use crate::base::diagnostic::Diagnostic;
use crate::plan::Plan;

/// Variables of Rust; the frame has one after another.
const FRAME: [(&str, u64, bool, i64); 4] = [
    ("byte", 1, false, 0),
    ("small", 4, true, 4),
    ("word", 8, false, 8),
    ("count", 8, true, 16),
];

fn plan(text: &str) -> Result<Plan, Diagnostic> {
    let mut fixture = Fixture::default();
    for (name, size, signed, at) in FRAME {
        fixture.variable(name, int(size, signed), at_frame(at));
    }
    fixture.probe(text);
    fixture.plan()
}

/// How a hit ends with that `count`: its message, or that it has none.
fn outcome(text: &str, count: i64) -> String {
    let plan = plan(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let mut frame = vec![0; 24];
    frame[0] = 0x81;
    frame[4..8].copy_from_slice(&(-3_i32).to_le_bytes());
    frame[8..16].copy_from_slice(&(u64::MAX - 1).to_le_bytes());
    frame[16..].copy_from_slice(&count.to_le_bytes());
    let memory = stack(&frame);
    match ReferenceMachine::new(&memory)
        .with(RBP, STACK)
        .run(&plan.program.ops)
    {
        Outcome::Sent(record) => plan.layout.decode(&record).expect("decodes").message,
        other => format!("{other:?}"),
    }
}

fn shown(expression: &str, count: i64) -> String {
    outcome(&format!("log 0x0 \"{{{expression}}}\""), count)
}

fn steps(expression: &str) -> usize {
    let text = format!("log 0x0 \"{{{expression}}}\"");
    plan(&text).expect("compiles").program.ops.len()
}

const TOO_FAR: &str = "<invalid value: shift by all bits of the number or more>";

#[test]
fn shift_by_a_number_of_the_program_is_unavailable_from_the_width_on() {
    // The shifted value, its number of bits, and the result of a shift by `count`.
    type Shifted = (&'static str, i64, fn(u32) -> i128);
    const CASES: [Shifted; 7] = [
        ("1 << count", 64, |by| i128::from(1_u64 << by)),
        ("byte << count", 8, |by| 0x81 << by),
        ("byte >> count", 8, |by| 0x81 >> by),
        ("small >> count", 32, |by| -3 >> by),
        ("word >> count", 64, |by| i128::from((u64::MAX - 1) >> by)),
        ("(byte as u16) << count", 16, |by| 0x81 << by),
        ("(byte == 0x81) << count", 32, |by| 1 << by),
    ];
    for (expression, bits, wanted) in CASES {
        for by in [0, 1, bits - 2, bits - 1] {
            let mut wanted = wanted(by as u32);
            // A shift to the left wraps at 64 bits; the literal is signed.
            if expression == "1 << count" {
                wanted = i128::from(wanted as i64);
            }
            assert_eq!(
                shown(expression, by),
                wanted.to_string(),
                "{expression}, {by}"
            );
        }
        for by in [bits, bits + 1, 65, 256, -1, i64::MIN, i64::MAX] {
            if by < 0 || by >= bits {
                assert_eq!(shown(expression, by), TOO_FAR, "{expression}, {by}");
            }
        }
    }
}

#[test]
fn condition_with_a_shift_that_is_too_far_is_a_fault() {
    for condition in [
        "1 << count != 0",
        "(word >> count) == 0",
        "!(1 << count == 7)",
    ] {
        let text = format!("log 0x0 \"hit\" if {condition}");
        assert_eq!(outcome(&text, 64), "Faulted", "{condition}");
        assert_eq!(outcome(&text, -1), "Faulted", "{condition}");
    }
    let text = "log 0x0 \"hit\" if count < 64 && 1 << count > 0";
    assert_eq!(outcome(text, 64), "Rejected");
    assert_eq!(outcome(text, 5), "hit");
}

#[test]
fn shift_by_a_constant_that_is_too_large_is_refused() {
    for (expression, message, hint) in [
        (
            "1 << 64",
            "a shift by 64 of a number of 64 bits",
            "the shift must be from 0 to 63",
        ),
        (
            "word >> -1",
            "a shift by -1 of a number of 64 bits",
            "the shift must be from 0 to 63",
        ),
        (
            "byte << 4 * 2",
            "a shift by 8 of a number of 8 bits",
            "the shift must be from 0 to 7; `as u64` makes it 64 bits wide",
        ),
        (
            "small >> ~0xff",
            "a shift by -256 of a number of 32 bits",
            "the shift must be from 0 to 31",
        ),
        (
            "word << 18446744073709551615",
            "a shift by 18446744073709551615 of a number of 64 bits",
            "the shift must be from 0 to 63",
        ),
    ] {
        for text in [
            format!("log 0x0 \"{{{expression}}}\""),
            format!("log 0x0 \"hit\" if count == 3 && {expression} == 1"),
        ] {
            let error = plan(&text).expect_err(&text);
            assert_eq!(error.message, message, "{text}");
            assert_eq!(error.hint.as_deref(), Some(hint), "{text}");
            assert_eq!(error.span.map(|span| &text[span]), Some(expression));
        }
    }
    for (expression, wanted) in [
        ("byte << 7", "16512"),
        ("(byte as u64) << 8", "33024"),
        ("1 << 63 - 1", "4611686018427387904"),
    ] {
        assert_eq!(shown(expression, 0), wanted, "{expression}");
    }
}

#[test]
fn shift_that_cannot_be_too_far_takes_no_step_more() {
    // One on the way; the others mark a value that is not there.
    assert_eq!(steps("word >> count"), steps("word * count") + 3);
    assert_eq!(steps("word >> 3"), steps("word * 3"));
    for count in ["(count & 63)", "(count as u64 % 64)", "(count == 3)"] {
        let wanted = steps(&format!("word * {count}"));
        assert_eq!(steps(&format!("word >> {count}")), wanted, "{count}");
    }
}
