//! Integers of 128 bits in two halves, against the compiler's own.

use super::fixture::{Fixture, int};
use super::{Outcome, RBP, ReferenceMachine, STACK, at_frame, stack};
use crate::actions::parse_probe;

const NUMBERS: [i128; 15] = [
    0,
    1,
    -1,
    2,
    1 << 63,
    -(1 << 63),
    -(1 << 63) - 1,
    (1 << 64) - 1,
    1 << 64,
    (1 << 64) + 1,
    -(1 << 64),
    i128::MAX,
    i128::MIN,
    i128::MIN + 1,
    0x1234_5678_9abc_def0_0fed_cba9_8765_4321,
];

/// `x` and `y` signed, `u` and `v` unsigned, of 128 bits; `s` and `t` of 64.
fn fixture() -> Fixture {
    let mut fixture = Fixture::default();
    for (name, size, signed, at) in [
        ("x", 16, true, 0),
        ("y", 16, true, 16),
        ("u", 16, false, 0),
        ("v", 16, false, 16),
        ("s", 8, true, 16),
        ("t", 8, false, 16),
    ] {
        fixture.variable(name, int(size, signed), at_frame(at));
    }
    fixture
}

fn outcome(text: &str, frame: &[u8]) -> String {
    let mut fixture = fixture();
    let spec = parse_probe(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    if let Some(condition) = spec.condition {
        fixture.condition(condition);
    }
    fixture.template(spec.template.expect("one").parts);
    let plan = fixture.plan();
    let plan = plan.unwrap_or_else(|error| panic!("{text}: {error}"));
    let memory = stack(frame);
    match ReferenceMachine::new(&memory)
        .with(RBP, STACK)
        .run(&plan.program.ops)
    {
        Outcome::Sent(record) => plan.layout.decode(&record).expect("decodes").message,
        other => format!("{other:?}"),
    }
}

fn holds(condition: &str, frame: &[u8]) -> bool {
    match &*outcome(&format!("log 0x0 \"hit\" if {condition}"), frame) {
        "hit" => true,
        "Rejected" => false,
        other => panic!("{condition}: {other}"),
    }
}

fn shown(expression: &str, frame: &[u8]) -> String {
    outcome(&format!("log 0x0 \"{{{expression}}}\""), frame)
}

fn refused(condition: &str) -> (String, Option<String>) {
    let mut fixture = fixture();
    let text = format!("log 0x0 \"hit\" if {condition}");
    let spec = parse_probe(&text).expect("parses");
    fixture.condition(spec.condition.expect("one"));
    fixture.template(Vec::new());
    let error = fixture.plan().expect_err("makes no sense");
    (error.message, error.hint)
}

fn pairs() -> impl Iterator<Item = (i128, i128, Vec<u8>)> {
    let with = |a: i128| {
        NUMBERS.into_iter().map(move |b| {
            let bytes = [a.to_le_bytes(), b.to_le_bytes()].concat();
            (a, b, bytes)
        })
    };
    NUMBERS.into_iter().flat_map(with)
}

type Relation = (&'static str, fn(std::cmp::Ordering) -> bool);

const RELATIONS: [Relation; 6] = [
    ("==", std::cmp::Ordering::is_eq),
    ("!=", std::cmp::Ordering::is_ne),
    ("<", std::cmp::Ordering::is_lt),
    ("<=", std::cmp::Ordering::is_le),
    (">", std::cmp::Ordering::is_gt),
    (">=", std::cmp::Ordering::is_ge),
];

#[test]
fn wide_integers_compare_as_the_numbers_they_are() {
    for (a, b, frame) in pairs() {
        let (u, v) = (a.cast_unsigned(), b.cast_unsigned());
        let (s, t) = (b as i64, b as u64);
        // Numbers beyond the signed ones are above all of them.
        let mixed = |signed: i128, unsigned: u128| match u128::try_from(signed) {
            Ok(signed) => signed.cmp(&unsigned),
            Err(_) => std::cmp::Ordering::Less,
        };
        for (sign, is) in RELATIONS {
            let cases = [
                (format!("x {sign} y"), a.cmp(&b)),
                (format!("u {sign} v"), u.cmp(&v)),
                (format!("x {sign} v"), mixed(a, v)),
                (format!("u {sign} y"), mixed(b, u).reverse()),
                (format!("x {sign} s"), a.cmp(&i128::from(s))),
                (format!("x {sign} t"), a.cmp(&i128::from(t))),
                (format!("u {sign} s"), mixed(i128::from(s), u).reverse()),
                (format!("u {sign} t"), u.cmp(&u128::from(t))),
                (format!("x {sign} {b}"), a.cmp(&b)),
                (format!("u {sign} {v}"), u.cmp(&v)),
                (format!("{b} {sign} x"), b.cmp(&a)),
            ];
            for (condition, order) in cases {
                let wanted = is(order);
                assert_eq!(holds(&condition, &frame), wanted, "{condition}: {a}, {b}");
            }
        }
    }
}

#[test]
fn wide_integers_are_added_and_subtracted_with_their_carries() {
    for (a, b, frame) in pairs() {
        let (u, v) = (a.cast_unsigned(), b.cast_unsigned());
        let s = i128::from(b as i64);
        let cases = [
            ("x + y", a.wrapping_add(b).to_string()),
            ("x - y", a.wrapping_sub(b).to_string()),
            ("u + v", u.wrapping_add(v).to_string()),
            ("u - v", u.wrapping_sub(v).to_string()),
            ("x + s", a.wrapping_add(s).to_string()),
            ("s - x", s.wrapping_sub(a).to_string()),
            ("-x", a.wrapping_neg().to_string()),
            ("~u", (!u).to_string()),
            ("u & v", (u & v).to_string()),
            ("x | s", (a | s).to_string()),
            ("u ^ v", (u ^ v).to_string()),
            (
                "x + y - 1 + x",
                (a.wrapping_mul(2).wrapping_add(b).wrapping_sub(1)).to_string(),
            ),
            ("x as u64", (a as u64).to_string()),
            ("(x - y) as i16", (a.wrapping_sub(b) as i16).to_string()),
        ];
        for (expression, wanted) in cases {
            assert_eq!(shown(expression, &frame), wanted, "{expression}: {a}, {b}");
        }
        let wanted = a.wrapping_add(1) > b;
        assert_eq!(holds("x + 1 > y", &frame), wanted, "{a}, {b}");
    }
}

#[test]
fn wide_integers_that_are_not_computed_with_say_what_is_possible() {
    let (message, hint) = refused("x << 128 > y");
    assert_eq!(message, "a shift by 128 of a number of 128 bits");
    assert_eq!(hint.as_deref(), Some("the shift must be from 0 to 127"));
    let (message, _) = refused("x << y > y");
    assert_eq!(
        message,
        "shifts by numbers of more than 64 bits cannot be computed with here"
    );
    let (message, hint) = refused("s + 340282366920938463463374607431768211455 > 0");
    assert_eq!(
        message,
        "numbers of more than 64 bits cannot be computed with here"
    );
    assert!(hint.is_some_and(|hint| hint.contains("needs a 128-bit integer of the program")));
}

#[test]
fn wide_integers_are_multiplied_divided_and_shifted_as_the_compiler_does() {
    let divided = "<invalid value: division by zero>";
    let overflow = "<invalid value: overflow of a division>";
    for (a, b, frame) in pairs() {
        let (u, v) = (a.cast_unsigned(), b.cast_unsigned());
        let (s, t) = (i128::from(b as i64), u128::from(b as u64));
        let some = |value: Option<String>| value.unwrap_or_else(|| divided.to_owned());
        let signed = |by: i128, result: Option<i128>| match by {
            0 => divided.to_owned(),
            _ => result.map_or_else(|| overflow.to_owned(), |result| result.to_string()),
        };
        let cases = [
            ("x * y", a.wrapping_mul(b).to_string()),
            ("u * v", u.wrapping_mul(v).to_string()),
            ("x * s", a.wrapping_mul(s).to_string()),
            ("x * -3", a.wrapping_mul(-3).to_string()),
            ("x / y", signed(b, a.checked_div(b))),
            ("x % y", signed(b, a.checked_rem(b))),
            ("x / s", signed(s, a.checked_div(s))),
            ("x % 10", (a % 10).to_string()),
            (
                "u / v",
                some(u.checked_div(v).map(|value| value.to_string())),
            ),
            (
                "u % v",
                some(u.checked_rem(v).map(|value| value.to_string())),
            ),
            (
                "u / t",
                some(u.checked_div(t).map(|value| value.to_string())),
            ),
            ("x << 5", (a << 5).to_string()),
            ("x >> 5", (a >> 5).to_string()),
            ("u << 100", (u << 100).to_string()),
            ("u >> 64", (u >> 64).to_string()),
            ("x >> (t & 127)", (a >> (t as u32 & 127)).to_string()),
            ("u << (t & 127)", (u << (t as u32 & 127)).to_string()),
            ("(x * y) as u64", (a.wrapping_mul(b) as u64).to_string()),
            ("x as f64 / 2.0", (a as f64 / 2.0).to_string()),
        ];
        for (expression, wanted) in cases {
            let shown = shown(expression, &frame);
            let is_float = expression.contains("f64");
            let same = shown == wanted || is_float && shown.parse() == wanted.parse::<f64>();
            assert!(same, "{expression}: {a}, {b}: {shown}, and not {wanted}");
        }
        assert_eq!(
            holds("x * 3 > y", &frame),
            a.wrapping_mul(3) > b,
            "{a}, {b}"
        );
        if t > 127 {
            assert!(shown("x << t", &frame).contains("shift by all"), "{t}");
        }
    }
}

#[test]
fn wide_integers_in_deep_expressions_take_no_long_time() {
    let deep = (0..50).fold("x".to_owned(), |inner, _| format!("({inner} + 1)"));
    let frame = [7_i128.to_le_bytes(), 57_i128.to_le_bytes()].concat();
    assert!(holds(&format!("{deep} == y"), &frame));
}
