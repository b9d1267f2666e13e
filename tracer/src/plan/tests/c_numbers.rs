//! Numbers of C and C++: promotions, conversions, and types of results.

use super::fixture::{Fixture, int, member, structure};
use super::{Outcome, RBP, ReferenceMachine, STACK, at_frame, stack};
use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::types::{Language, StructMember, TypeId, TypeKind};

/// Name, bytes, sign, place and number of the variables.
const FRAME: [(&str, u64, bool, usize, i64); 11] = [
    ("i", 4, true, 0, -1),
    ("n", 4, true, 4, 1),
    ("u", 4, false, 8, 1),
    ("v", 4, false, 12, 2),
    ("l", 8, true, 16, -1),
    ("m", 8, false, 24, 1),
    ("b", 1, false, 32, 0xff),
    ("c", 1, true, 33, -1),
    ("s", 2, true, 34, -2),
    ("t", 2, false, 36, 0xffff),
    ("lowest", 4, true, 40, i32::MIN as i64),
];

fn enumeration(fixture: &mut Fixture, name: &str, size: u64, signed: bool, most: i128) -> TypeId {
    let enumerators = vec![("FIRST".into(), 0), ("LAST".into(), most)];
    fixture.c_type(
        name,
        size,
        TypeKind::Enum {
            size,
            signed,
            enumerators,
        },
    )
}

fn fixture(language: Language) -> Fixture {
    let mut fixture = Fixture::default();
    fixture.language = Some(language);
    for (name, size, signed, at, _) in FRAME {
        let ty = fixture.c_int("", size, signed);
        fixture.variable(name, ty, at_frame(at as i64));
    }
    let truth = fixture.c_type("_Bool", 1, TypeKind::Bool);
    fixture.variable("truth", truth, at_frame(44));
    let wide = fixture.c_type("char32_t", 4, TypeKind::Char { signed: false });
    fixture.variable("wide", wide, at_frame(0));
    let letter = fixture.c_type("char", 1, TypeKind::Char { signed: true });
    fixture.variable("letter", letter, at_frame(33));
    // All of them are 2.
    let plain = enumeration(&mut fixture, "plain", 4, false, 9);
    fixture.variable("e", plain, at_frame(12));
    let large = enumeration(&mut fixture, "large", 4, false, 0xffff_ffff);
    fixture.variable("large", large, at_frame(12));
    let negative = enumeration(&mut fixture, "negative", 4, true, 9);
    fixture.variable("negative", negative, at_frame(12));
    let packed = enumeration(&mut fixture, "packed", 1, false, 9);
    fixture.variable("packed", packed, at_frame(12));
    let (uint, ulong) = (
        fixture.c_int("unsigned int", 4, false),
        fixture.c_int("unsigned long", 8, false),
    );
    let bits = |name: &str, ty, bits| StructMember {
        bits: Some(bits),
        ..member(name, ty, 0)
    };
    let fields = structure(vec![
        bits("few", uint, (0, 3)),
        bits("all", uint, (0, 32)),
        bits("word", ulong, (0, 32)),
        bits("many", ulong, (0, 40)),
        bits("most", ulong, (0, 64)),
        bits("of", plain, (0, 4)),
    ]);
    let fields = fixture.c_type("struct bits", 8, TypeKind::Struct(fields));
    fixture.variable("f", fields, at_frame(24));
    let pointer = fixture.cpp_pointer(uint);
    fixture.variable("p", pointer, at_frame(48));
    let huge = fixture.c_int("unsigned __int128", 16, false);
    fixture.variable("huge", huge, at_frame(56));
    fixture
}

/// Message, and the type of the first value.
fn run(language: Language, text: &str) -> Result<(String, String), Diagnostic> {
    let mut fixture = fixture(language);
    fixture.probe(text);
    let plan = fixture.plan()?;
    let mut frame = vec![0; 72];
    for (_, size, _, at, number) in FRAME {
        let size = size as usize;
        frame[at..at + size].copy_from_slice(&number.to_le_bytes()[..size]);
    }
    frame[44] = 1;
    frame[48..56].copy_from_slice(&0x1000_u64.to_le_bytes());
    frame[56] = 5;
    let memory = stack(&frame);
    Ok(
        match ReferenceMachine::new(&memory)
            .with(RBP, STACK)
            .run(&plan.program.ops)
        {
            Outcome::Sent(record) => {
                let decoded = plan.layout.decode(&record).expect("decodes");
                let ty = decoded.values.first().map(|one| one.ty.to_string());
                (decoded.message, ty.unwrap_or_default())
            }
            other => (format!("{other:?}"), String::new()),
        },
    )
}

fn shown(language: Language, expression: &str) -> (String, String) {
    let text = format!("log 0x0 \"{{{expression}}}\"");
    run(language, &text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn check(language: Language, cases: &[(&str, &str, &str)]) {
    for (expression, number, ty) in cases {
        let wanted = ((*number).to_owned(), (*ty).to_owned());
        assert_eq!(shown(language, expression), wanted, "{expression}");
    }
}

#[test]
fn numbers_are_computed_in_the_type_of_both() {
    let cases = [
        ("u - v", "4294967295", "unsigned int"),
        ("n - v", "4294967295", "unsigned int"),
        ("n - 2", "-1", "int"),
        ("i + m", "0", "unsigned long"),
        ("l + u", "0", "long"),
        ("l - m", "18446744073709551614", "unsigned long"),
        ("b + 1", "256", "int"),
        ("b - t", "-65280", "int"),
        ("c * s", "2", "int"),
        ("letter + letter", "-2", "int"),
        ("wide + 1", "0", "unsigned int"),
        ("truth + truth", "2", "int"),
        ("(u < v) + 1", "2", "int"),
        ("lowest - 1", "2147483647", "int"),
        ("lowest * 2", "0", "int"),
        ("i / v", "2147483647", "unsigned int"),
        ("i / n", "-1", "int"),
        ("i % v", "1", "unsigned int"),
        ("s % 2", "0", "int"),
        ("-u", "4294967295", "unsigned int"),
        ("-b", "-255", "int"),
        ("-lowest", "-2147483648", "int"),
        ("-2147483648", "-2147483648", "long"),
        ("~b", "-256", "int"),
        ("~u", "4294967294", "unsigned int"),
        ("~m", "18446744073709551614", "unsigned long"),
        ("b << 24", "-16777216", "int"),
        ("u << 31 << 1", "0", "unsigned int"),
        ("i >> 31", "-1", "int"),
        ("(unsigned)i >> 31", "1", "unsigned int"),
        ("n << m", "2", "int"),
        ("1 - 2u", "4294967295", "unsigned int"),
        ("1 - 2UL", "18446744073709551615", "unsigned long"),
        ("0x7fffffff + 1", "-2147483648", "int"),
        ("0xffffffff + 1", "0", "unsigned int"),
        ("4294967295 + 1", "4294967296", "long"),
        ("'a' - 'b'", "-1", "int"),
        ("i & u", "1", "unsigned int"),
        ("i ^ u", "4294967294", "unsigned int"),
        ("(unsigned char)(b + 1)", "0", "unsigned char"),
        ("(unsigned char)i + 1", "256", "int"),
        ("-n as u8", "255", "unsigned char"),
        ("(char)b", "\\xff", "char"),
        ("p + truth == p + 1", "true", "bool"),
        ("huge - 6 > 0", "true", "bool"),
    ];
    check(Language::C, &cases);
    check(Language::Cpp, &cases);
}

#[test]
fn comparisons_convert_first() {
    for (condition, holds) in [
        ("-1 < 1u", false),
        ("i < u", false),
        ("i < n", true),
        ("i < l + 1", true),
        ("l < u", true),
        ("l < m", false),
        ("i == 0xffffffff", true),
        ("i == 4294967295", false),
        ("c == b", false),
        ("(char)b == c", true),
        ("u - v > 0", true),
        ("n - 2 < 0", true),
        ("u & v == 2", true),
        ("(u & v) == 2", false),
        ("i < n == 1", true),
        ("truth == n > i", true),
        ("i < huge", false),
        ("e > -1", false),
        ("f.few > -1", true),
        ("f.all > -1", false),
        ("f.many == 1", true),
        ("2 <= f.many", false),
        ("u == truth", true),
    ] {
        let (message, _) =
            run(Language::C, &format!("log 0x0 \"hit\" if {condition}")).expect(condition);
        let wanted = if holds { "hit" } else { "Rejected" };
        assert_eq!(message, wanted, "{condition}");
    }
}

#[test]
fn bit_fields_and_enums_are_promoted_as_each_language_does() {
    let both = [
        ("f.few - 2", "-1", "int"),
        ("f.all - 2", "4294967295", "unsigned int"),
        ("f.word - 2", "4294967295", "unsigned int"),
        ("f.most - 2", "18446744073709551615", "unsigned long"),
        ("negative - 3", "-1", "int"),
        ("large - 3", "4294967295", "unsigned int"),
        ("packed - 3", "-1", "int"),
        ("(unsigned)e - 3", "4294967295", "unsigned int"),
        ("(int)e - 3", "-1", "int"),
        ("(long)e - 3", "-1", "long"),
        (
            "(unsigned long)f.many - 2",
            "18446744073709551615",
            "unsigned long",
        ),
    ];
    check(Language::C, &both);
    check(Language::Cpp, &both);
    check(
        Language::C,
        &[
            ("e - 3", "4294967295", "unsigned int"),
            ("f.of - 3", "-2", "int"),
        ],
    );
    let unknown =
        "<not supported: an enum that may be an `int` or an `unsigned int`, which differ here>";
    check(
        Language::Cpp,
        &[
            ("f.many - 2", "18446744073709551615", "unsigned long"),
            // It is not known whether the source gives the enum a type.
            ("e + 3", "5", "int"),
            ("e * 2 - 1", "3", "int"),
            ("e - 3", unknown, "int"),
            ("e / 2", "1", "int"),
            ("e / i", unknown, "int"),
            ("e - u", "1", "unsigned int"),
            ("e - v - 1", "4294967295", "unsigned int"),
            ("e - l", "3", "long"),
            ("e & ~1", "2", "int"),
            ("e == -1", "false", "bool"),
            ("e < 3", "true", "bool"),
        ],
    );
    let (message, _) = run(Language::Cpp, "log 0x0 \"hit\" if e < i").expect("compiles");
    assert_eq!(message, "Faulted");
    let error = run(Language::C, "log 0x0 \"{f.many + 1}\"").expect_err("compilers differ");
    assert_eq!(
        error.hint.as_deref(),
        Some("write a cast: `(unsigned long)x`")
    );
}

#[test]
fn shifts_are_of_the_promoted_number() {
    for (expression, message, hint) in [
        (
            "c << (64 >> 1)",
            "a shift by 32 of a number of 32 bits",
            "the shift must be from 0 to 31; `(long)` makes it 64 bits wide",
        ),
        (
            "1u << 40",
            "a shift by 40 of a number of 32 bits",
            "the shift must be from 0 to 31; `(unsigned long)` makes it 64 bits wide",
        ),
        ("1 << i", "", ""),
    ] {
        let text = format!("log 0x0 \"{{{expression}}}\"");
        match run(Language::C, &text) {
            Err(error) => {
                assert_eq!(error.message, message);
                assert_eq!(error.hint.as_deref(), Some(hint));
            }
            Ok((shown, _)) => assert!(shown.starts_with("<invalid value: shift"), "{shown}"),
        }
    }
    check(Language::C, &[("1L << 40", "1099511627776", "long")]);
}

#[test]
fn site_in_rust_computes_with_the_numbers_themselves() {
    let mut fixture = Fixture::default();
    fixture.variable("u", int(4, false), at_frame(0));
    fixture.probe("log 0x0 \"{u - 2} {u << 3} {0xffffffff + 1}\" if u - 2 < 0 && -1 < 1u");
    let plan = fixture.plan().expect("compiles");
    let memory = stack(&1_u32.to_le_bytes());
    let Outcome::Sent(record) = ReferenceMachine::new(&memory)
        .with(RBP, STACK)
        .run(&plan.program.ops)
    else {
        panic!("it holds")
    };
    let decoded = plan.layout.decode(&record).expect("decodes");
    assert_eq!(decoded.message, "-1 8 4294967296");
}
