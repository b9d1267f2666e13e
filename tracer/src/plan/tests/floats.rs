//! Floats by the machine's integers, against the processor's floats.

use tracer_common::op::LOAD;

use super::fixture::{Fixture, int};
use super::random::numbers::{self, Random};
use super::{Outcome, RBP, ReferenceMachine, STACK, at_frame, stack};
use crate::actions::parse_probe;
use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::types::{Language, TypeKind};
use values::{NUMBERS, VARIABLES, Values, holds};

// The test of the kernel's machine tries the same.
#[path = "../../../tests/kernel/support/floats.rs"]
mod values;

/// Returns true if a condition over the floats `x` and `y` of so many bytes holds.
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
    match ReferenceMachine::new(&memory)
        .with(RBP, STACK)
        .run(&plan.program.ops)
    {
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
                    // A literal is an `f32` beside one in Rust; in C it is a `double`, whatever is beside it.
                    let wanted = holds(sign, f64::from(c), f64::from(d));
                    assert_eq!(decide(&condition, 4, &narrow), wanted, "{c} {sign} {b}");
                    let wanted = holds(sign, f64::from(c), b);
                    let in_c = outcome(
                        Language::C,
                        &format!("log 0x0 \"hit\" if g {sign} {b:?}"),
                        &{
                            let mut frame = vec![0; 40];
                            frame.splice(16..20, c.to_le_bytes());
                            frame
                        },
                    );
                    assert_eq!(in_c == "hit", wanted, "{c} {sign} {b}: {in_c}");
                }
            }
        }
    }
}

#[test]
fn floats_beside_a_number_are_read_once_and_no_number_is_beside_none() {
    let nans = [
        f64::NAN.to_bits(),
        u64::MAX,
        0x7ff0 << 48 | 1,
        0xfff0 << 48 | 1,
    ];
    for sign in ["==", "!=", "<", "<=", ">", ">="] {
        for known in [
            "0.0",
            "-1.5",
            "1e300",
            "-1e300",
            "1e308 * 10.0",
            "-1e308 * 10.0",
        ] {
            for bits in nans {
                for condition in [format!("x {sign} {known}"), format!("{known} {sign} x")] {
                    let hit = decide(&condition, 8, &bits.to_le_bytes());
                    assert_eq!(hit, sign == "!=", "{condition}, {bits:x}");
                    let single = f32::from_bits((bits >> 32) as u32 | 1);
                    let hit = decide(&condition, 4, &single.to_le_bytes());
                    assert_eq!(hit, sign == "!=", "{condition}, {single}");
                }
            }
        }
        for condition in [format!("x {sign} 0.5"), format!("x {sign} x")] {
            let text = format!("log 0x0 \"hit\" if {condition}");
            let plan = fixture(Language::Rust, &text).plan().expect("compiles");
            let loads = plan.program.ops.iter().filter(|op| op.code == LOAD).count();
            assert_eq!(loads, condition.matches('x').count(), "{condition}");
        }
    }
}

/// A float that no language computes with here. It comes after the others.
const LONG: (&str, u64, usize) = ("e", 16, 0);

fn fixture(language: Language, text: &str) -> Fixture {
    let mut fixture = Fixture::default();
    fixture.language = Some(language);
    for (name, size, at) in VARIABLES.into_iter().chain([LONG]) {
        let signed = name == "n";
        let ty = match (name, language) {
            ("n" | "m", Language::C) => fixture.c_int("", size, signed),
            ("n" | "m", _) => int(size, signed),
            (_, Language::C) => {
                let name = ["float", "double", "long double"][size as usize / 8];
                fixture.c_type(name, size, TypeKind::Float)
            }
            _ => fixture.add(&format!("f{}", size * 8), size, TypeKind::Float),
        };
        fixture.variable(name, ty, at_frame(at as i64));
    }
    let element = match language {
        Language::C => fixture.c_int("int", 4, true),
        _ => int(4, true),
    };
    let kind = TypeKind::Array {
        element,
        dimensions: vec![Some(4)],
    };
    let array = match language {
        Language::C => fixture.c_type("int[4]", 16, kind),
        _ => fixture.add("[i32; 4]", 16, kind),
    };
    fixture.variable("a", array, at_frame(0));
    for (name, signed) in [("i128", true), ("u128", false)] {
        fixture.add(name, 16, TypeKind::Int { signed });
    }
    fixture.c_int("__int128", 16, true);
    fixture.c_int("__int128 unsigned", 16, false);
    let enumerators = vec![("Idle".to_owned(), 0), ("Busy".to_owned(), 1)];
    let state = TypeKind::Enum {
        size: 1,
        signed: false,
        enumerators,
    };
    let others = [
        ("tiny", "_Float16", 2, TypeKind::Float),
        ("flag", "bool", 1, TypeKind::Bool),
        ("letter", "char", 4, TypeKind::Char { signed: false }),
        ("state", "State", 1, state),
    ];
    for (name, ty, size, kind) in others {
        let ty = match language {
            Language::C => fixture.c_type(ty, size, kind),
            _ => fixture.add(ty, size, kind),
        };
        fixture.variable(name, ty, at_frame(0));
    }
    let pointer = fixture.cpp_pointer(element);
    fixture.variable("p", pointer, at_frame(0));
    fixture.probe(text);
    fixture
}

fn outcome(language: Language, text: &str, frame: &[u8]) -> String {
    let plan = fixture(language, text).plan();
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

fn shown(language: Language, expression: &str, frame: &[u8]) -> String {
    outcome(language, &format!("log 0x0 \"{{{expression}}}\""), frame)
}

fn refused(language: Language, text: &str) -> (String, Option<String>) {
    let Diagnostic { message, hint, .. } = fixture(language, text).plan().expect_err(text);
    (message, hint)
}

#[test]
fn random_floats_are_those_of_the_processor() {
    let mut random = Random::new(0xf10a7);
    for case in 0..3_000 {
        let values = Values::random(&mut random);
        let frame = values.frame();
        let single = random.one_in(2);
        let (language, (text, value), (other, beside)) = if case % 2 == 0 {
            let one = values.of_c(&mut random, 3);
            (Language::C, one, values.of_c(&mut random, 1))
        } else {
            let one = values.of_rust(&mut random, single, 3);
            (Language::Rust, one, values.of_rust(&mut random, single, 1))
        };
        // No language defines the sign of a NaN.
        let got = shown(language, &text, &frame);
        assert_eq!(got, value.shown(), "case {case}: {text} over {frame:x?}");
        let sign = random.pick(&["==", "!=", "<", "<=", ">", ">="]);
        let condition = format!("log 0x0 \"hit\" if {text} {sign} {other}");
        let wanted = if holds(sign, value.double(), beside.double()) {
            "hit"
        } else {
            "Rejected"
        };
        let got = outcome(language, &condition, &frame);
        assert_eq!(got, wanted, "case {case}: {condition} over {frame:x?}");
    }
}

fn numbers(x: f64, g: f32) -> Vec<u8> {
    let values = Values {
        x,
        y: 0.0,
        g,
        h: 0.0,
        n: 3,
        m: 7,
    };
    values.frame()
}

#[test]
fn floats_become_integers_as_the_language_has_it() {
    let c = |expression, x| shown(Language::C, expression, &numbers(x, 0.0));
    let rust = |expression, x| shown(Language::Rust, expression, &numbers(x, 0.0));
    assert_eq!(c("(int)x", -2.9), "-2");
    assert_eq!(c("(unsigned char)x", 255.9), "255");
    assert_eq!(c("(unsigned char)x", -0.9), "0");
    let outside = "<invalid value: a float outside of the integer's range>";
    for (expression, x) in [
        ("(unsigned char)x", 256.0),
        ("(unsigned)x", -1.0),
        ("(int)x", 2147483648.0),
        ("(long)x", 9223372036854775808.0),
        ("(int)x", f64::NAN),
        ("(char)x", f64::INFINITY),
    ] {
        assert_eq!(c(expression, x), outside, "{expression} of {x}");
    }
    assert_eq!(c("(long)x", -9223372036854775808.0), i64::MIN.to_string());
    let condition = "log 0x0 \"hit\" if (int)x >= 0 || x < 0";
    assert_eq!(outcome(Language::C, condition, &numbers(1.0, 0.0)), "hit");
    let fault = outcome(Language::C, condition, &numbers(1e10, 0.0));
    assert_eq!(fault, "Faulted");
    assert_eq!(rust("x as u8", 300.0), "255");
    assert_eq!(rust("x as u8", -1.0), "0");
    assert_eq!(rust("x as i32", 1e10), i32::MAX.to_string());
    assert_eq!(rust("x as i64", f64::NEG_INFINITY), i64::MIN.to_string());
    assert_eq!(rust("x as i16", f64::NAN), "0");
    assert_eq!(rust("(x * 2.0) as i64 + 1", 1.75), "4");
    assert_eq!(c("(long)x % 4", 7.9), "3");
}

#[test]
fn floats_become_integers_of_128_bits_and_back() {
    let range = "<invalid value: a float outside of the integer's range>";
    let power = 2_f64.powi(127);
    for x in [
        0.0,
        -0.9,
        3.7,
        -3.7,
        1e30,
        -1e30,
        power,
        -power,
        -power * 1.5,
        power * 2.0,
        f64::MAX,
        f64::NEG_INFINITY,
        f64::NAN,
    ] {
        let frame = numbers(x, x as f32);
        let rust = |expression| shown(Language::Rust, expression, &frame);
        assert_eq!(rust("x as i128"), (x as i128).to_string(), "{x}");
        assert_eq!(rust("x as u128"), (x as u128).to_string(), "{x}");
        assert_eq!(rust("g as i128"), (x as f32 as i128).to_string(), "{x}");
        let back = (x as i128 as f64).to_string();
        let shown_back = rust("x as i128 as f64");
        assert_eq!(shown_back.parse::<f64>(), back.parse(), "{x}");
        let c = |expression| shown(Language::C, expression, &frame);
        let signed = (x >= -power && x < power).then(|| (x as i128).to_string());
        let unsigned = (x > -1.0 && x < power * 2.0).then(|| (x as u128).to_string());
        let wanted = |number: Option<String>| number.unwrap_or_else(|| range.to_owned());
        assert_eq!(c("(__int128)x"), wanted(signed), "{x}");
        assert_eq!(c("(unsigned __int128)x"), wanted(unsigned), "{x}");
    }
    assert_eq!(
        shown(Language::Rust, "1e20 as u128", &numbers(0.0, 0.0)),
        "100000000000000000000"
    );
    let condition = "log 0x0 \"hit\" if (__int128)x > 5";
    assert_eq!(outcome(Language::C, condition, &numbers(1e30, 0.0)), "hit");
    assert_eq!(
        outcome(Language::C, condition, &numbers(1e39, 0.0)),
        "Faulted"
    );
}

#[test]
fn floats_are_shown_with_the_type_and_format_that_they_have() {
    let frame = numbers(2.0, 0.1);
    assert_eq!(shown(Language::Rust, "x / 3.0:.2", &frame), "0.67");
    assert_eq!(shown(Language::Rust, "x * 2", &frame), "4.0");
    assert_eq!(shown(Language::Rust, "0.5", &frame), "0.5");
    assert_eq!(shown(Language::Rust, "g + 0.2", &frame), "0.3");
    assert_eq!(
        shown(Language::Rust, "0.1f32 * 3.0", &frame),
        (0.1_f32 * 3.0).to_string()
    );
    let rust = |expression| shown(Language::Rust, expression, &frame);
    assert_eq!(rust("(16777216.0 + 1.0 + 1.0) as f32 as f64"), "16777218.0");
    assert_eq!(rust("1.0000000596046448 as f32"), "1.0000001");
    assert_eq!(rust("1.0000000596046448 * 1.0 as f32"), "1.0000001");
    assert_eq!(
        shown(Language::C, "g + 0.2", &frame),
        (f64::from(0.1_f32) + 0.2).to_string()
    );
    for expression in ["g + 0.2f", "g + .2F", "g * 3.f", "g + 2.e-1f"] {
        assert_eq!(
            shown(Language::C, expression, &frame),
            "0.3",
            "{expression}"
        );
    }
    assert_eq!(rust("g * 3f32"), "0.3");
    let types = |language, expression: &str| {
        let plan = fixture(language, &format!("log 0x0 \"{{{expression}}}\""))
            .plan()
            .expect("compiles");
        let memory = stack(&frame);
        let Outcome::Sent(record) = ReferenceMachine::new(&memory)
            .with(RBP, STACK)
            .run(&plan.program.ops)
        else {
            panic!("sent");
        };
        plan.layout.decode(&record).expect("decodes").values[0]
            .ty
            .to_string()
    };
    assert_eq!(types(Language::C, "g + 1"), "float");
    assert_eq!(types(Language::C, "g + 1.0"), "double");
    assert_eq!(types(Language::Rust, "g + 1.0"), "f32");
    assert_eq!(types(Language::Rust, "-x"), "f64");
}

#[test]
fn literals_beside_floats_are_converted_from_the_type_that_they_have() {
    let holds = |language, condition: &str, x: f64, g: f32| {
        let text = format!("log 0x0 \"hit\" if {condition}");
        outcome(language, &text, &numbers(x, g)) == "hit"
    };
    for (condition, x, g, wanted) in [
        ("x == -1u", 4_294_967_295.0, 0.0, true),
        ("x == -1u", -1.0, 0.0, false),
        ("x > -0x80000000", 0.0, 0.0, false),
        ("x == - -1u", 1.0, 0.0, true),
        ("x == -1", -1.0, 0.0, true),
        ("x == -2147483648", -2_147_483_648.0, 0.0, true),
        ("x == -1UL", 18_446_744_073_709_551_615.0, 0.0, true),
        ("x == 'a'", 97.0, 0.0, true),
        ("x == (n == 3)", 1.0, 0.0, true),
        ("g == 0.1", 0.0, 0.1, false),
        ("g == 0.1f", 0.0, 0.1, true),
        ("g == 16777217", 0.0, 16_777_216.0, true),
        ("16777217 == 16777216.0f", 0.0, 0.0, true),
        ("16777217 == 16777216.0", 0.0, 0.0, false),
        ("0.1 == 0.1f", 0.0, 0.0, false),
        ("0x1.99999999999999999ap-4 == 0.1", 0.0, 0.0, true),
        (
            "0x1.00000100000000000001p0f == 0x1.000002p0",
            0.0,
            0.0,
            true,
        ),
        (
            "x == 18446744073709551615",
            18_446_744_073_709_551_616.0,
            0.0,
            true,
        ),
    ] {
        assert_eq!(
            holds(Language::C, condition, x, g),
            wanted,
            "{condition}, {x}, {g}"
        );
    }
    assert!(holds(Language::Rust, "1.0 == 1", 0.0, 0.0));
    assert!(holds(Language::Rust, "g == 0.1", 0.0, 0.1));
    let rust = |expression| shown(Language::Rust, expression, &numbers(0.0, 0.0));
    assert_eq!(rust("-0 as f64"), "0.0");
    assert_eq!(rust("-0.0 as f32"), "-0.0");
    assert_eq!(rust("-3 as f32"), "-3.0");
}

#[test]
fn floats_are_truths_in_c_alone() {
    let hit = |x, condition: &str| {
        outcome(
            Language::C,
            &format!("log 0x0 \"hit\" if {condition}"),
            &numbers(x, 0.0),
        )
    };
    for (x, is) in [
        (0.0, "Rejected"),
        (-0.0, "Rejected"),
        (5e-324, "hit"),
        (f64::NAN, "hit"),
    ] {
        assert_eq!(hit(x, "x"), is, "{x}");
        assert_eq!(hit(x, "x * 1.0"), is, "{x}");
        assert_eq!(hit(x, "!x") == "hit", is != "hit", "{x}");
    }
    let (message, hint) = refused(Language::Rust, "log 0x0 \"hit\" if x * 2.0");
    assert_eq!(message, "a float is neither true nor false");
    assert_eq!(hint.as_deref(), Some("compare it: `x != 0.0`"));
}

#[test]
fn floats_that_a_language_has_no_operator_for_say_what_it_has() {
    use Language::{C, Rust};
    for (language, expression, message, hint) in [
        (
            Rust,
            "x + g",
            "an `f32` and an `f64` cannot be combined",
            Some("`x as f64` has the same value"),
        ),
        (
            Rust,
            "true as f64",
            "a `bool` cannot be cast to a float in Rust",
            Some("cast it to an integer first: `x as u8 as f64`"),
        ),
        (
            Rust,
            "flag as f32",
            "a `bool` cannot be cast to a float in Rust",
            Some("cast it to an integer first: `x as u8 as f32`"),
        ),
        (
            Rust,
            "x + (n < 3)",
            "a `bool` cannot be cast to a float in Rust",
            Some("cast it to an integer first: `x as u8 as f64`"),
        ),
        (
            Rust,
            "letter as f64",
            "a `char` cannot be cast to a float in Rust",
            Some("cast it to an integer first: `x as u32 as f64`"),
        ),
        (
            Rust,
            "state as f64",
            "an enum cannot be cast to a float in Rust",
            Some("cast it to an integer first: `x as i64 as f64`"),
        ),
        (
            Rust,
            "x as bool",
            "no cast to `bool`",
            Some("write a comparison: `x != 0`"),
        ),
        (
            Rust,
            "x as char",
            "a float is not an integer",
            Some("`x as i64` is its integer part"),
        ),
        (C, "(double)p", "a pointer is not a float", None),
        (
            C,
            "tiny == 1.0",
            "a float of 2 bytes cannot be computed with",
            Some("only floats of four and eight bytes can be"),
        ),
        (
            Rust,
            "x + n",
            "an integer and a float cannot be combined",
            Some("write `n as f64`"),
        ),
        (
            Rust,
            "n * 0.5",
            "an integer and a float cannot be combined",
            Some("write `n as f64`"),
        ),
        (
            Rust,
            "g < n",
            "an integer and a float cannot be combined",
            Some("write `n as f32`"),
        ),
        (
            C,
            "x % 2",
            "C and C++ have no `%` for floats",
            Some("write `(long)x % n` for the integer part"),
        ),
        (
            C,
            "x << 1",
            "the bits of a float cannot be combined or shifted",
            Some("cast it to an integer: `x as i64`, `(long)x`"),
        ),
        (
            Rust,
            "n << x",
            "the bits of a float cannot be combined or shifted",
            Some("cast it to an integer: `x as i64`, `(long)x`"),
        ),
        (C, "~x", "the bits of a float cannot be inverted", None),
        (
            C,
            "e + 1",
            "a float of 16 bytes cannot be computed with",
            Some("only floats of four and eight bytes can be"),
        ),
        (
            C,
            "(long double)x",
            "no cast to `long double`",
            Some("only casts to floats of four and eight bytes are supported"),
        ),
    ] {
        let found = refused(language, &format!("log 0x0 \"{{{expression}}}\""));
        assert_eq!(
            found,
            (message.to_owned(), hint.map(str::to_owned)),
            "{expression}"
        );
    }
    for (language, index) in [(C, "x"), (C, "g + 1"), (Rust, "x * 2.0"), (Rust, "1.0")] {
        let (message, hint) = refused(language, &format!("log 0x0 \"{{a[{index}]}}\""));
        assert_eq!(message, "a float is not an integer", "{index}");
        assert!(hint.is_some_and(|hint| hint.contains("integer part")));
    }
    for expression in ["a[p]", "p[p]", "a[p + 1]"] {
        let (message, hint) = refused(C, &format!("log 0x0 \"{{{expression}}}\""));
        assert_eq!(message, "a pointer is not an index", "{expression}");
        assert!(hint.is_some_and(|hint| hint.contains("`p - q`")));
    }
    for expression in ["-p", "~p", "p * 2"] {
        let (message, _) = refused(C, &format!("log 0x0 \"{{{expression}}}\""));
        assert_eq!(
            message, "this cannot be computed with a pointer",
            "{expression}"
        );
    }
    let (message, hint) = refused(Rust, "hist 0x0 x * 2.0");
    assert_eq!(message, "a float cannot be sorted into buckets");
    assert!(hint.is_some_and(|hint| hint.contains("as i64")));
}

#[test]
fn hits_are_counted_by_floats_and_by_their_integer_parts() {
    let tallied = |text: &str| {
        let plan = fixture(Language::Rust, text).plan().expect("compiles");
        let memory = stack(&numbers(2.5, 0.0));
        match ReferenceMachine::new(&memory)
            .with(RBP, STACK)
            .run(&plan.program.ops)
        {
            Outcome::Tallied(_, number) => number,
            other => panic!("{text}: {other:?}"),
        }
    };
    assert_eq!(tallied("count 0x0 by x * 2.0"), 5.0_f64.to_bits());
    assert_eq!(tallied("hist 0x0 (x * 2.0) as i64"), 3);
    assert_eq!(tallied("hist 0x0 (x * 100.0) as u32 step 100"), 2);
}

#[test]
fn steps_that_a_number_cannot_have_are_refused_with_a_way_out() {
    let refused = |text: &str| {
        let result = fixture(Language::Rust, text).plan();
        result.err().unwrap_or_else(|| panic!("{text}: compiles"))
    };
    let small = refused("hist 0x0 x as u64 step 1");
    assert!(small.message.contains("too many buckets"), "{small:?}");
    assert!(small.hint.is_some_and(|hint| hint.contains("step 2")));
    let large = refused("hist 0x0 x as i64 step 10_000_000_000_000_000_000");
    assert!(
        large.message.contains("larger than any signed"),
        "{large:?}"
    );
    assert!(
        fixture(Language::Rust, "hist 0x0 x as u64 step 2")
            .plan()
            .is_ok()
    );
}
