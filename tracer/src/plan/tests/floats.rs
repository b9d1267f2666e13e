//! Comparisons of floats by the machine's integers, against the processor's floats.

use super::fixture::Fixture;
use super::{Machine, Outcome, RBP, STACK, at_frame, stack};
use crate::debuginfo::types::TypeKind;
use crate::lang::parse_probe;

const NUMBERS: [f64; 13] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    1.5,
    0.1,
    -0.1,
    f64::MIN_POSITIVE,
    5e-324,
    1e300,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

fn holds(sign: &str, a: f64, b: f64) -> bool {
    match sign {
        "==" => a == b,
        "!=" => a != b,
        "<" => a < b,
        "<=" => a <= b,
        ">" => a > b,
        _ => a >= b,
    }
}

/// Whether a condition over the floats `x` and `y` of so many bytes holds.
fn decide(condition: &str, size: u64, frame: &[u8]) -> bool {
    let mut fixture = Fixture::default();
    let name = if size == 4 { "f32" } else { "f64" };
    let float = fixture.add(name, size, TypeKind::Float);
    fixture.variable("x", float, at_frame(0));
    fixture.variable("y", float, at_frame(size as i64));
    let text = format!("log 0x0 \"hit\" if {condition}");
    fixture.condition(parse_probe(&text).expect("parses").condition.expect("one"));
    fixture.template(Vec::new());
    let plan = fixture.plan().expect("compiles");
    let memory = stack(frame);
    match Machine::new(&memory).with(RBP, STACK).run(&plan.ops) {
        Outcome::Sent(_) => true,
        Outcome::Rejected => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn floats_compare_as_the_processor_compares_them() {
    for sign in ["==", "!=", "<", "<=", ">", ">="] {
        for a in NUMBERS {
            for b in NUMBERS {
                let wide: Vec<u8> = [a, b].iter().flat_map(|x| x.to_le_bytes()).collect();
                let condition = format!("x {sign} y");
                assert_eq!(
                    decide(&condition, 8, &wide),
                    holds(sign, a, b),
                    "{a} {sign} {b}"
                );
                let (c, d) = (a as f32, b as f32);
                let narrow: Vec<u8> = [c, d].iter().flat_map(|x| x.to_le_bytes()).collect();
                let wanted = holds(sign, f64::from(c), f64::from(d));
                assert_eq!(decide(&condition, 4, &narrow), wanted, "{c} {sign} {d}");
                if b.is_finite() && (b == 0.0 || b.abs() > 0.01 && b.abs() < 100.0) {
                    let condition = format!("x {sign} {b:?}");
                    assert_eq!(
                        decide(&condition, 8, &wide),
                        holds(sign, a, b),
                        "{a} {sign} {b}"
                    );
                    // The text's number is no float of 4 bytes: the comparison is exact all the same.
                    let wanted = holds(sign, f64::from(c), b);
                    assert_eq!(decide(&condition, 4, &narrow), wanted, "{c} {sign} {b}");
                }
            }
        }
    }
}
