//! Expressions over made-up values.

use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::event::{LeftOut, PlacementId, ProbeId, SiteOrigin, SpanContext, Stack};
use crate::value::{Cut, Map, Pointer, Sequence, Struct, Variant};

fn named_value(expr: &str, value: Value) -> NamedValue {
    NamedValue {
        expr: expr.into(),
        ty: "".into(),
        value,
    }
}

fn text(text: &str, cut: Option<Cut>) -> Value {
    Value::Text(Text {
        bytes: text.as_bytes().to_vec(),
        cut,
    })
}

fn variant(name: &str, fields: Vec<(String, Value)>) -> Value {
    Value::Variant(Variant {
        ty: "State".into(),
        name: name.into(),
        line: None,
        fields,
        omitted: None,
    })
}

fn pointer(address: u64, target: Option<Value>, transparent: bool) -> Value {
    Value::Pointer(Pointer {
        address,
        symbol: None,
        target: target.map(Box::new),
        transparent,
    })
}

fn point(x: i128) -> Value {
    Value::Struct(Struct {
        name: "point".into(),
        fields: vec![
            ("x".into(), Value::Int(x, 32)),
            ("far".into(), Value::Unavailable(Unavailable::Depth)),
        ],
        has_more: false,
    })
}

fn sequence(items: &[i128], cut: Option<Cut>) -> Value {
    Value::Sequence(Sequence {
        items: items.iter().map(|item| Value::Int(*item, 32)).collect(),
        cut,
        set: false,
    })
}

/// An event on a line of a file, with values of all kinds.
fn event(file: &str) -> Event {
    let whole = Some(Cut { of: Some(9) });
    let values = vec![
        named_value("n", Value::Int(5, 32)),
        named_value("n#2", Value::Int(6, 32)),
        named_value("u", Value::Uint(3)),
        named_value("f", Value::Float64(2.5)),
        named_value("nan", Value::Float64(f64::NAN)),
        named_value("yes", Value::Bool(true)),
        named_value("c", Value::Char('x')),
        named_value("name", text("main.rs", None)),
        named_value("long", text("abc", whole)),
        named_value("p", point(7)),
        named_value("r", pointer(0x10, Some(point(8)), true)),
        named_value("raw", pointer(0x20, Some(point(9)), false)),
        named_value("null_p", pointer(0, None, false)),
        named_value("v", sequence(&[1, 2, 3], None)),
        named_value("cut_v", sequence(&[1, 2, 3], whole)),
        named_value(
            "state",
            variant("Failed", vec![("code".into(), Value::Int(4, 32))]),
        ),
        named_value(
            "some",
            variant("Some", vec![("0".into(), Value::Int(1, 32))]),
        ),
        named_value("none", variant("None", Vec::new())),
        named_value(
            "map",
            Value::Map(Map {
                entries: Vec::new(),
                cut: None,
            }),
        ),
        named_value("gone", Value::Unavailable(Unavailable::OptimisedOut)),
        named_value("other", Value::Unavailable(Unavailable::OutOfScope)),
        named_value("a.b + 1", Value::Int(11, 32)),
        named_value("this", pointer(0x30, Some(point(12)), false)),
        named_value("$return", Value::Int(-1, 32)),
    ];
    Event {
        origin: Arc::new(SiteOrigin {
            frame_function: None,
            probe: ProbeId(1),
            placement: PlacementId(1),
            probe_name: "p1".into(),
            action: "trace",
            file: Arc::new(PathBuf::from(file)),
            line: 1,
            function: "f".into(),
            address: 0,
            site: (1, 1),
            multiline: false,
        }),
        time_ns: 77,
        pid: 10,
        tid: 11,
        thread: "worker".into(),
        hit: 3,
        message: String::new(),
        values,
        stack: Stack::default(),
        left_out: LeftOut::default(),
        span: None,
        context: SpanContext::Outside,
        access: None,
        step: None,
    }
}

fn holds(file: &str, text: &str) -> Result<bool, String> {
    let event = event(file);
    let expr = RecordedExpr::parse(text).expect(text);
    expr.holds(&event, &event.values)
        .map_err(|why| why.to_string())
}

fn shown(text: &str) -> Result<String, String> {
    let expr = RecordedExpr::parse(text).expect(text);
    let value = expr.value(&event("/src/a.rs"));
    value
        .map(|value| value.to_string())
        .map_err(|why| why.to_string())
}

#[test]
fn conditions_that_hold() {
    for text in [
        "n == 5",
        "n#2 == 6",
        "n != 4 && n < 6 && n <= 5 && n > 4 && n >= 5",
        "n + 2 * u == 11",
        "n / 2 == 2 && n % 2 == 1 && n - 7 == -2",
        "(n & 4) == 4 && n << 2 == 20 && n >> 1 == 2 && (n ^ 1) == 4 && (n | 8) == 13",
        "u == 3 && f < u && f > 2",
        "f * 2 == 5.0 && -f == -2.5",
        "yes && !false && (yes || gone == 1)",
        "c == 'x' && c == 120",
        "name == \"main.rs\" && name < \"mbin\" && name.starts_with(\"main\")",
        "name.ends_with(\".rs\") && contains(name, \"in.\") && name.len() == 7 && name[0] == 'm'",
        "long.starts_with(\"ab\") && long != \"b\" && long > \"abb\" && long.len() == 9",
        "p.x == 7 && r.x == 8 && raw->x == 9 && (*raw).x == 9 && this->x == 12",
        "x == 12",
        "raw != null && null_p == null && null_p.is_null() && !raw.is_null() && raw.is_some()",
        "v[2] == 3 && v.len() == 3 && !v.is_empty() && cut_v.len() == 9 && map.is_empty()",
        "state == State::Failed && state == Failed && state != State::Ready && state.code == 4",
        "state.Failed.code == 4",
        "some.is_some() && some != None && none == None && none.is_none() && *some == 1",
        "some.Some.0 == 1",
        "a.b + 1 == 11",
        "$return == -1 && $return < 0",
        "$pid == 10 && $tid == 11 && $hit == 3 && $time == 77 && $thread == \"worker\"",
        "n as u8 == 5 && $return as u8 == 255 && f as i32 == 2 && n as f64 == 5.0",
        "v == v && some == some",
        "!(nan == nan) && nan != nan && !(nan < 1)",
        "raw as u64 == 32",
    ] {
        assert_eq!(holds("/src/a.rs", text), Ok(true), "{text}");
    }
}

#[test]
fn unknown_operands_make_the_result_unknown() {
    for (text, why) in [
        ("missing == 1", "`missing` is not recorded here"),
        ("!missing", "`missing` is not recorded here"),
        ("gone == 1", "`gone` is unavailable: optimised out"),
        ("gone != 1", "`gone` is unavailable: optimised out"),
        ("other == 1", "`other` is unavailable: not in scope here"),
        ("n == 5 && gone", "`gone` is unavailable: optimised out"),
        ("gone || n == 4", "`gone` is unavailable: optimised out"),
        (
            "p.far == 1",
            "`p.far` is unavailable: deeper than the depth limit",
        ),
        ("p.z == 1", "`p` has no `z`"),
        ("null_p->x == 1", "`null_p.x` is unavailable: null pointer"),
        ("cut_v[5] == 1", "`cut_v[5]` is not recorded here"),
        ("v[3] == 1", "`v[3]` is out of bounds: 3 elements"),
        ("cut_v[9] == 1", "`cut_v[9]` is out of bounds: 9 elements"),
        ("cut_v == v", "a part of the values is not recorded"),
        ("long == \"abcd\"", "a text is cut before the texts differ"),
        ("long.contains(\"x\")", "the text of `long` is cut"),
        ("long.ends_with(\"c\")", "the text of `long` is cut"),
        ("long.starts_with(\"abcd\")", "the text of `long` is cut"),
        (
            "state.Ready.x == 1",
            "`state` is `Failed`, so there is no `state.Ready`",
        ),
        ("n == \"a\"", "5 and \"a\" cannot be compared"),
        (
            "p == 1",
            "point { x: 7, far: <deeper than the depth limit> } and 1 cannot be compared",
        ),
        ("n / 0 == 1", "division by zero"),
        (
            "u - 4 == -1",
            "the result wraps around in the program's type",
        ),
        (
            "raw + 1 == 0",
            "pointers are not computed with: the size of their elements is not recorded",
        ),
        ("name", "`name` is \"main.rs\", not true or false"),
        (
            "name.matches(/x/)",
            "recorded values are not matched: use `contains`, `starts_with`, `ends_with`",
        ),
        ("$cgroup == \"x\"", "`$cgroup` is not recorded here"),
        ("n == null", "`n` is never null"),
        ("n as State == 1", "recorded values are not cast to `State`"),
        ("&n == 1", "addresses of variables are not recorded"),
        (
            "~u == 1",
            "the bits of an unsigned number cannot be inverted: its width is not recorded",
        ),
    ] {
        assert_eq!(holds("/src/a.rs", text), Err(why.to_owned()), "{text}");
    }
}

#[test]
fn one_side_can_decide_alone() {
    assert_eq!(holds("/src/a.rs", "gone && n == 4"), Ok(false));
    assert_eq!(holds("/src/a.rs", "n == 4 && gone"), Ok(false));
    assert_eq!(holds("/src/a.rs", "gone == 1 || n == 5"), Ok(true));
}

#[test]
fn precedence_and_not_are_those_of_the_language() {
    // `(n & 4) == 4` in Rust, `n & (4 == 4)` in C.
    assert_eq!(holds("/src/a.rs", "n & 4 == 4"), Ok(true));
    assert_eq!(holds("/src/a.c", "n & 4 == 4"), Ok(true));
    assert_eq!(holds("/src/a.c", "u & 2 == 3"), Ok(false));
    assert_eq!(holds("/src/a.rs", "u & 3 == 3"), Ok(true));
    // `!5` is -6 in Rust and false in C.
    assert_eq!(holds("/src/a.rs", "!n == -6"), Ok(true));
    assert_eq!(holds("/src/a.c", "!n"), Ok(false));
    assert_eq!(holds("/src/a.c", "raw && n"), Ok(true));
}

#[test]
fn values_are_shown_as_recorded() {
    assert_eq!(shown("p.x").as_deref(), Ok("7"));
    assert_eq!(shown("r"), Ok(point(8).to_string()));
    assert_eq!(shown("n + 0.5").as_deref(), Ok("5.5"));
    assert_eq!(shown("v").as_deref(), Ok("[1, 2, 3]"));
    assert_eq!(
        shown("null"),
        Err("`null` and `None` can only be compared with".to_owned())
    );
}

#[test]
fn mistakes_in_the_text_are_diagnostics() {
    assert!(RecordedExpr::parse("n ==").is_err());
    assert!(RecordedExpr::parse("f(n)").is_err());
    assert!(RecordedExpr::parse("a < b < c").is_err());
}

#[test]
fn large_numbers_and_casts_do_not_panic() {
    for text in [
        "n + 170141183460469231731687303715884105727 == 1",
        "n * 18446744073709551615 == 1",
        "1 << 127 == 1",
        "n << 200 == 1",
        "n >> -1 == 1",
        "1e300 as i64 == 1",
        "nan as u8 == 1",
        "-340282366920938463463374607431768211455 == 1",
        "v[-1] == 1",
    ] {
        assert!(holds("/src/a.rs", text).is_err(), "{text}");
    }
}
