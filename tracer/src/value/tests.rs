//! Golden texts and JSON of values, compared with Rust's own formatting.

use super::debug::{DEBUG, to_string};
use super::{Cut, Map, OmittedFields, Pointer, Sequence, Struct, Text, Value, Variant};
use crate::base::unavailable::Unavailable;
use crate::lang::ast::{Align, Format, FormatStyle};

#[derive(Debug)]
#[expect(dead_code, reason = "read by its Debug only")]
struct Named {
    x: i32,
    t: (u8, f64),
    e: Option<&'static str>,
}

fn named() -> Value {
    let text = Value::Text(Text {
        bytes: b"a\"\n\xc3\xa9".to_vec(),
        cut: None,
    });
    Value::Struct(Struct {
        name: "Named".into(),
        fields: vec![
            ("x".into(), Value::Int(-5, 32)),
            (
                "t".into(),
                Value::Tuple(vec![Value::Uint(3), Value::Float64(1e21)]),
            ),
            (
                "e".into(),
                Value::Variant(Variant {
                    ty: "Option".into(),
                    name: "Some".into(),
                    line: None,
                    fields: vec![("0".into(), text)],
                    omitted: None,
                }),
            ),
        ],
        has_more: false,
    })
}

#[test]
fn nested_struct_is_written_as_rust_writes_it() {
    let real = Named {
        x: -5,
        t: (3, 1e21),
        e: Some("a\"\né"),
    };
    assert_eq!(named().to_string(), format!("{real:?}"));
    assert_eq!(format!("{:#}", named()), format!("{real:#?}"));
}

#[test]
fn coroutine_that_waits_is_written_with_its_line() {
    let suspended = |fields: Vec<(String, Value)>| {
        Value::Variant(Variant {
            ty: "{async_fn_env#0}".into(),
            name: "Suspend0".into(),
            line: Some(63),
            fields,
            omitted: None,
        })
    };
    let with = suspended(vec![("seed".into(), Value::Uint(3))]);
    assert_eq!(with.to_string(), "Suspend0 at line 63 { seed: 3 }");
    assert_eq!(suspended(vec![]).to_string(), "Suspend0 at line 63");
    let json = serde_json::to_string(&with).expect("serialises");
    assert_eq!(json, r#"{"$variant":"Suspend0","$line":63,"seed":3}"#);
}

#[test]
fn variant_without_its_data_says_how_that_is_written() {
    let of = |omitted| {
        Value::Variant(Variant {
            ty: "Method".into(),
            name: "Other".into(),
            line: None,
            fields: Vec::new(),
            omitted: Some(omitted),
        })
    };
    let (tuple, named) = (of(OmittedFields::Tuple), of(OmittedFields::Named));
    assert_eq!(tuple.to_string(), "Other(…)");
    assert_eq!(named.to_string(), "Other { … }");
    for value in [tuple, named] {
        let json = serde_json::to_string(&value).expect("serialises");
        assert_eq!(json, r#"{"$variant":"Other"}"#);
    }
}

#[test]
fn numbers_follow_the_format() {
    let format = |style, alternate, zero, width, align| Format {
        style,
        alternate,
        zero,
        width,
        align,
        ..Format::default()
    };
    let value = Value::Uint(0x2a);
    let hex = format(FormatStyle::LowerHex, true, true, Some(8), None);
    assert_eq!(to_string(&value, hex), format!("{:#08x}", 0x2a));
    let binary = format(FormatStyle::Binary, false, false, Some(8), None);
    assert_eq!(to_string(&value, binary), format!("{:8b}", 0x2a));
    let centre = format(
        FormatStyle::Display,
        false,
        false,
        Some(7),
        Some(Align::Center),
    );
    assert_eq!(to_string(&value, centre), format!("{:^7}", 0x2a));
    let filled = Format {
        fill: Some('*'),
        plus: true,
        ..centre
    };
    assert_eq!(to_string(&value, filled), format!("{:*^+7}", 0x2a));
    assert_eq!(
        to_string(&Value::Int(-7, 32), filled),
        format!("{:*^+7}", -7)
    );
    assert_eq!(
        to_string(&Value::Float64(1.5), filled),
        format!("{:*^+7}", 1.5)
    );
    let zeros = format(FormatStyle::Debug, false, true, Some(6), None);
    assert_eq!(to_string(&Value::Int(-7, 32), zeros), format!("{:06?}", -7));
    assert_eq!(to_string(&Value::Int(-7, 32), hex), format!("{:#08x}", -7));
    assert_eq!(
        to_string(&Value::Int(-7, 8), binary),
        format!("{:8b}", -7_i8)
    );
    let wide = Value::Int(i128::MIN, 128);
    assert_eq!(to_string(&wide, hex), format!("{:#08x}", i128::MIN));
    assert_eq!(
        to_string(&Value::Float32(0.1), DEBUG),
        format!("{:?}", 0.1f32)
    );
    let precise = Format {
        precision: Some(2),
        ..DEBUG
    };
    assert_eq!(to_string(&Value::Float64(2.0 / 3.0), precise), "0.67");
    assert_eq!(to_string(&Value::Float64(f64::NAN), DEBUG), "NaN");
}

#[test]
fn control_characters_of_text_are_escaped_in_debug_style() {
    let text = Value::Text(Text {
        bytes: b"\x1b[2J\xff\0".to_vec(),
        cut: None,
    });
    assert_eq!(text.to_string(), r#""\u{1b}[2J\xff\0""#);
}

#[test]
fn cut_text_does_not_end_in_half_a_character() {
    let text = Value::Text(Text {
        bytes: b"caf\xc3".to_vec(),
        cut: Some(Cut { of: Some(5) }),
    });
    assert_eq!(text.to_string(), "\"caf\"… 5 bytes in all");
    let json = serde_json::to_string(&text).expect("writes");
    assert_eq!(json, r#"{"$cut":{"shown":3,"of":5},"text":"caf"}"#);
}

#[test]
fn cut_sequence_says_how_many_there_are() {
    let sequence = Value::Sequence(Sequence {
        items: vec![Value::Uint(1), Value::Uint(2)],
        cut: Some(Cut { of: Some(4096) }),
        set: false,
    });
    assert_eq!(sequence.to_string(), "[1, 2, … 4096 in all]");
    let json = serde_json::to_string(&sequence).expect("writes");
    assert_eq!(json, r#"{"$cut":{"shown":2,"of":4096},"items":[1,2]}"#);
}

#[test]
fn json_loses_nothing() {
    let json = |value: &Value| serde_json::to_string(value).expect("writes");
    assert_eq!(json(&Value::Uint(1 << 53)), "9007199254740992");
    assert_eq!(json(&Value::Uint((1 << 53) + 1)), "\"9007199254740993\"");
    assert_eq!(
        json(&Value::Int(i128::MIN, 32)),
        format!("\"{}\"", i128::MIN)
    );
    assert_eq!(json(&Value::Float64(f64::INFINITY)), "\"inf\"");
    assert_eq!(
        json(&Value::Unavailable(Unavailable::OptimisedOut)),
        r#"{"$unavailable":"optimised out"}"#
    );
    assert_eq!(
        json(&named()),
        r#"{"$type":"Named","x":-5,"t":[3,1e+21],"e":{"$variant":"Some","0":"a\"\né"}}"#
    );
    let bytes = Value::Text(Text {
        bytes: b"a\\\xff".to_vec(),
        cut: None,
    });
    assert_eq!(json(&bytes), r#"{"$bytes":"a\\\\\\xff"}"#);
    let map = Value::Map(Map {
        entries: vec![(Value::Char('k'), Value::Unit)],
        cut: None,
    });
    assert_eq!(json(&map), r#"{"$map":[["k",null]]}"#);
    let pointer = Value::Pointer(Pointer {
        address: 0x1000,
        symbol: Some("main".into()),
        target: None,
        transparent: false,
    });
    assert_eq!(json(&pointer), r#"{"$address":"0x1000","$symbol":"main"}"#);
    assert_eq!(pointer.to_string(), "0x1000 <main>");
}
