//! Values whose bytes are known, in Rust and in C, not optimised and optimised, as JSON and as
//! text.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::build::{c, fixture, probe_line, rust};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::text::Text;
use crate::support::tracer::{Tracer, tracer, value};

/// One event with every variable at the line marked `look`.
fn look(path: &Path, source: &str) -> Value {
    let program = Program::ready(path, &[]);
    let text = Text::of_exe(program.pid());
    let line = probe_line(source, "look");
    let tracer = Tracer::json(program.pid(), &[&format!("log {source}:{line}")]);
    let mut events = tracer.wait_events(1);
    tracer.interrupt().assert_code(0);
    text.wait_restored();
    events.swap_remove(0)
}

/// The message of one event in text output.
fn message(path: &Path, source: &str, template: &str) -> String {
    message_at(path, source, "look", template)
}

fn message_at(path: &Path, source: &str, mark: &str, template: &str) -> String {
    let program = Program::ready(path, &[]);
    let line = probe_line(source, mark);
    let probe = format!("log {source}:{line} \"{template}\"");
    let tracer = Tracer::attach(program.pid(), "text", &[&probe], &["--events", "1"]);
    let finished = tracer.finish();
    finished.assert_code(0);
    assert_eq!(finished.stdout.len(), 1, "one line an event: {finished}");
    // TIME THREAD/TID FILE:LINE MESSAGE
    let mut parts = finished.stdout[0].splitn(4, ' ');
    parts.nth(3).unwrap_or_default().to_owned()
}

/// Collects every difference, so that one run shows all of them.
#[track_caller]
fn assert_values(event: &Value, expected: &[(&str, Value)]) {
    let mut wrong = Vec::new();
    for (name, expected) in expected {
        let found = value(event, name);
        if found != expected {
            wrong.push(format!("{name}: {found}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn rust_path(optimised: bool) -> std::path::PathBuf {
    let flags: &[&str] = if optimised { &["-O"] } else { &[] };
    let name = if optimised {
        "values-rs-O"
    } else {
        "values-rs"
    };
    rust(name, "e2e_values.rs", flags)
}

fn rust_numbers() -> Vec<(&'static str, Value)> {
    vec![
        ("argument", json!(41)),
        ("i8", json!(-128)),
        ("u8", json!(255)),
        ("i16", json!(-32768)),
        ("u16", json!(65535)),
        ("i32", json!(i32::MIN)),
        ("u32", json!(u32::MAX)),
        // Beyond 2^53, a number is a string.
        ("i64", json!(i64::MIN.to_string())),
        ("u64", json!(u64::MAX.to_string())),
        ("i128", json!(i128::MIN.to_string())),
        ("u128", json!(u128::MAX.to_string())),
        ("size", json!(40_960)),
        ("yes", json!(true)),
        ("letter", json!("ß")),
        ("single", json!(1.5)),
        ("pi", json!(std::f64::consts::PI)),
    ]
}

fn rust_aggregates() -> Vec<(&'static str, Value)> {
    let point = json!({"$type": "Point", "x": 640, "y": -402});
    vec![
        ("point", point.clone()),
        ("wrapper", json!({"$type": "Wrapper", "0": 7, "1": "\n"})),
        ("unit", json!({"$type": "Unit"})),
        ("tuple", json!([1, -2, true])),
        ("array", json!([5, 6, 7])),
        ("nested", json!([[1, 2], [3, 4]])),
        ("state", json!({"$variant": "Failed"})),
        ("idle", json!({"$variant": "Idle"})),
        ("running", json!({"$variant": "Running"})),
        ("empty", json!({"$variant": "Empty"})),
        ("circle", json!({"$variant": "Circle", "radius": 2.5})),
        (
            "rectangle",
            json!({"$variant": "Rectangle", "0": 3, "1": 4}),
        ),
        ("some", json!({"$variant": "Some", "0": 27})),
        ("none", json!({"$variant": "None"})),
        ("no_text", json!({"$variant": "None"})),
        ("good", json!({"$variant": "Ok", "0": 9})),
        ("no_box", json!({"$variant": "None"})),
        ("reference", point),
        ("boxed", json!(99)),
    ]
}

fn rust_texts() -> Vec<(&'static str, Value)> {
    vec![
        ("text", json!("a \"quoted\" text")),
        ("empty_text", json!("")),
        ("string", json!("grüße")),
        ("string_reference", json!("grüße")),
        ("numbers", json!([1, 2, 3])),
        ("no_numbers", json!([])),
        ("slice", json!([2, 3])),
        ("words", json!(["one", "two"])),
        ("escape", json!("\u{1b}[31mred\u{7}")),
        ("named", json!({"$variant": "Named", "0": "square"})),
        ("some_text", json!({"$variant": "Some", "0": "inside"})),
        ("bad", json!({"$variant": "Err", "0": "why"})),
        ("some_box", json!({"$variant": "Some", "0": 12})),
        (
            "request",
            json!({
                "$type": "Request",
                "name": "index",
                "tags": ["a", "b"],
                "shape": {"$variant": "Circle", "radius": 0.5},
                "point": {"$type": "Point", "x": 640, "y": -402},
            }),
        ),
    ]
}

#[test]
fn rust_values_are_exact() {
    if needs::kernel() {
        let event = look(&rust_path(false), "e2e_values.rs");
        let expected = [rust_numbers(), rust_aggregates(), rust_texts()].concat();
        assert_values(&event, &expected);
    }
}

#[test]
fn rust_values_are_exact_when_optimised() {
    if !needs::kernel() {
        return;
    }
    let event = look(&rust_path(true), "e2e_values.rs");
    let all = [rust_numbers(), rust_aggregates(), rust_texts()].concat();
    // The optimiser may drop a value. It is unavailable then, but never wrong.
    let gone = |name: &str| value(&event, name)["$unavailable"].is_string();
    let there: Vec<_> = all
        .iter()
        .filter(|(name, _)| !gone(name))
        .cloned()
        .collect();
    assert_values(&event, &there);
    let missing: Vec<&str> = all
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| gone(name))
        .collect();
    assert!(
        missing.len() < 5,
        "they are all in memory, yet: {missing:?} in {event}"
    );
}

#[test]
fn rust_types_are_written_as_in_the_source() {
    if !needs::kernel() {
        return;
    }
    let event = look(&rust_path(false), "e2e_values.rs");
    let values = event["values"].as_array().expect("values");
    let types = [
        ("i128", "i128"),
        ("letter", "char"),
        ("text", "&str"),
        ("numbers", "Vec<i32>"),
        ("some", "Option<u32>"),
        ("tuple", "(u8, i32, bool)"),
        ("array", "[u16; 3]"),
        ("reference", "&Point"),
        ("slice", "&[i32]"),
    ];
    for (name, ty) in types {
        let found = values.iter().find(|value| value["expr"] == name);
        let found = found.expect("it is in scope")["type"]
            .as_str()
            .expect("a type");
        // Paths may be complete or omitted.
        let short: String = found
            .split("::")
            .last()
            .map_or(String::new(), str::to_owned);
        assert!(
            found == ty || ty.ends_with(&short),
            "{name}: {found}, not {ty}"
        );
    }
}

#[test]
fn rust_text_is_as_debug_writes_it() {
    if !needs::kernel() {
        return;
    }
    let path = rust_path(false);
    let source = "e2e_values.rs";
    let said = message(
        &path,
        source,
        "{point} {tuple} {array} {state} {rectangle} {circle}",
    );
    assert_eq!(
        said,
        "Point { x: 640, y: -402 } (1, -2, true) [5, 6, 7] Failed Rectangle(3, 4) Circle { radius: 2.5 }"
    );
    let said = message(
        &path,
        source,
        "{some} {none} {some_text} {good} {boxed} {reference}",
    );
    assert_eq!(
        said,
        "Some(27) None Some(\"inside\") Ok(9) 99 Point { x: 640, y: -402 }"
    );
    let said = message(
        &path,
        source,
        "{string} {text} {letter} {words} {pi} {single} {u64} {i128}",
    );
    assert_eq!(
        said,
        "grüße a \\\"quoted\\\" text ß [\"one\", \"two\"] 3.141592653589793 1.5 \
         18446744073709551615 -170141183460469231731687303715884105728"
            .replace("\\\"", "\"")
    );
    let said = message(
        &path,
        source,
        "{point.x} {request.point.y} {tuple.1} {{braces}} {argument:#x} {argument:04}",
    );
    assert_eq!(said, "640 -402 -2 {braces} 0x29 0041");
}

#[test]
fn control_characters_of_the_target_are_escaped_in_text() {
    if !needs::kernel() {
        return;
    }
    let rust = message(&rust_path(false), "e2e_values.rs", "{escape} {wrapper}");
    let c = message(&c_path("-O0"), "e2e_values.c", "{escape}");
    for said in [rust, c] {
        assert!(said.contains("[31mred"), "{said:?}");
        assert!(!said.chars().any(char::is_control), "{said:?}");
    }
}

/// Each of these, as text.
fn assert_shown(path: &std::path::Path, source: &str, expected: &[(&str, &str)]) {
    let holes: Vec<String> = expected
        .iter()
        .map(|(hole, _)| format!("{{{hole}}}"))
        .collect();
    let said = message(path, source, &holes.join("|"));
    let said: Vec<&str> = said.split('|').collect();
    assert_eq!(said.len(), expected.len(), "{said:?}");
    for ((hole, expected), said) in expected.iter().zip(said) {
        assert_eq!(said, *expected, "{hole}");
    }
}

#[test]
fn c_expressions_mean_what_they_mean_in_c() {
    if !needs::kernel() {
        return;
    }
    let expected = [
        // Pointers count in elements.
        ("fourth - third", "1"),
        ("third - fourth", "-1"),
        ("*(third + 1)", "40"),
        ("*(third - 2)", "10"),
        ("(1 + third)[0]", "40"),
        ("(pointer + 0)->id", "1"),
        ("(wild + 2) as u64", "16"),
        ("wild as u64 + 2", "10"),
        // `&` and `*` cancel. An array is a pointer to its first element.
        ("*&argument == argument", "true"),
        ("(&first)->id", "1"),
        ("(&first.inner)->small", "-7"),
        ("*array", "10"),
        // `~` promotes small numbers to `int`.
        ("~u8", "-256"),
        ("~u32", "0"),
        ("~i8", "127"),
        ("~(unsigned char)i32", "-1"),
        // Bit fields, alone.
        ("first.flags", "5"),
        ("first.level", "-3"),
        ("first.flags + first.level", "2"),
        ("pointer->level < 0 && pointer->flags == 5", "true"),
        ("first.flags & 0x4u", "4"),
        // Casts by the words of C.
        ("(unsigned long long)i8", "18446744073709551488"),
        ("(short int)u32", "-1"),
        ("(char)65", "A"),
        // The bits of a negative number are those of its type.
        ("i8:x", "80"),
        ("i16:#x", "0x8000"),
        ("i32:o", "20000000000"),
        ("first.inner.small:b", "1111111111111001"),
        // Texts in holes.
        (r#"greeting.starts_with("hel")"#, "true"),
        (r#"text == "}""#, "false"),
    ];
    assert_shown(&c_path("-O0"), "e2e_values.c", &expected);
}

#[test]
fn c_expressions_that_would_be_guessed_are_refused() {
    for (hole, why) in [
        ("third * 2", "cannot be computed with a pointer"),
        ("nowhere + 1", "cannot be computed with a pointer"),
        ("&array[1] + 1", "cannot be computed with a pointer"),
        ("*nowhere", "has no known target type"),
        ("array[0 - 1]", "index -1 of an array of 4"),
        ("u8 + 010", "octal in C"),
    ] {
        let path = c_path("-O0");
        let line = probe_line("e2e_values.c", "look");
        let probe = format!("log e2e_values.c:{line} \"{{{hole}}}\"");
        let path = path.to_str().expect("UTF-8");
        let finished = tracer(&["attach", "--check", "--exe", path, "-e", &probe]);
        finished.assert_code(2).assert_says(&[why]);
    }
}

#[test]
fn cpp_references_are_what_they_refer_to() {
    if !needs::kernel() {
        return;
    }
    let expected = [
        ("number", "41"),
        ("number + 1", "42"),
        ("number == 41", "true"),
        ("moved > number", "true"),
        ("~number", "-42"),
        ("object.bits * 2", "10"),
        ("object.high - object.low", "5"),
        ("pointer->bits", "5"),
        ("(*pointer).low", "4"),
        ("pointer + 1 == null", "false"),
        ("&object == pointer", "true"),
        ("row[1]", "2"),
        ("row[number - 39]", "3"),
        ("row[3]", "<invalid value: index out of bounds>"),
        ("none[0]", "<invalid value: index out of bounds>"),
        ("row.len()", "3"),
        ("none.len() + three.len()", "3"),
        ("three[2]", "-9"),
        ("text[4]", "o"),
        ("text.len() + view.len()", "10"),
        ("view[0] == 'h'", "true"),
    ];
    let path = fixture(
        "c++",
        "values-cpp",
        "e2e_values.cpp",
        &["-g", "-O0", "-std=c++17"],
    );
    assert_shown(&path, "e2e_values.cpp", &expected);
    let program = Program::ready(&path, &[]);
    let line = probe_line("e2e_values.cpp", "look");
    let condition = "if number == 41 && row.len() == 3 && row[2] > 2 hits 1";
    let probe = format!("log e2e_values.cpp:{line} \"{{number}}\" {condition}");
    let tracer = Tracer::json(program.pid(), &[&probe]);
    assert_eq!(value(&tracer.wait_events(1)[0], "number"), 41);
    tracer.interrupt().assert_code(0);
}

#[test]
fn variables_are_gone_where_the_function_returns() {
    let path = c_path("-O0");
    let path = path.to_str().expect("UTF-8");
    let vars = tracer(&["vars", "--json", "--exe", path, "look%return"]);
    vars.assert_code(0);
    let variables = vars.json()["variables"].clone();
    let variables = variables.as_array().expect("a list");
    assert!(
        variables.iter().any(|one| one["name"] == "argument"),
        "{vars}"
    );
    for one in variables {
        assert_eq!(one["unavailable"], "no longer known at a return", "{one}");
    }
}

#[test]
fn members_are_in_scope_in_methods_of_cpp() {
    if !needs::kernel() {
        return;
    }
    let path = fixture(
        "c++",
        "values-cpp",
        "e2e_values.cpp",
        &["-g", "-O0", "-std=c++17"],
    );
    // A parameter hides the member of the same name.
    let template = "{port} {low} {this->low} {port + low == 81} {*own} {shared->low}";
    let said = message_at(&path, "e2e_values.cpp", "serve", template);
    assert_eq!(said, "80 1 4 true 6 4");
}

#[test]
fn sites_that_are_left_out_and_functions_that_never_return_are_told() {
    let path = fixture(
        "c++",
        "values-cpp",
        "e2e_values.cpp",
        &["-g", "-O0", "-std=c++17"],
    );
    let path = path.to_str().expect("UTF-8");
    let check = |probe: &str| tracer(&["attach", "--check", "--exe", path, "-e", probe]);
    let generic = check("log twice \"{once & 1}\"");
    generic.assert_code(0);
    let said = generic.text();
    assert!(
        said.contains("left out 1 of 2 sites: twice<double>"),
        "{generic}"
    );
    assert!(said.contains("the bits of a float"), "{generic}");
    let endless = check("time main");
    endless
        .assert_code(2)
        .assert_says(&["`main`", "no instruction that returns"]);
}

#[test]
fn fields_of_variants_are_those_of_the_active_one() {
    if !needs::kernel() {
        return;
    }
    let inactive = "<invalid value: another variant is active>";
    let expected = [
        ("rectangle.Rectangle.1 + 1", "5"),
        ("rectangle.1", "4"),
        ("circle.Circle.radius", "2.5"),
        ("circle.Rectangle.1", inactive),
        ("named.Named.0", "square"),
        ("circle.Named.0", inactive),
        ("empty.radius", inactive),
    ];
    assert_shown(&rust_path(false), "e2e_values.rs", &expected);
    let line = probe_line("e2e_values.rs", "look");
    let probe = |hole: &str| format!("log e2e_values.rs:{line} \"{{{hole}}}\"");
    let path = rust_path(false);
    let path = path.to_str().expect("UTF-8");
    for (hole, words) in [
        ("named.0", ["in more than one variant", "`Named.0`"]),
        ("named.Empty", ["no field `Empty`", "Shape"]),
    ] {
        let finished = tracer(&["attach", "--check", "--exe", path, "-e", &probe(hole)]);
        finished.assert_code(2).assert_says(&words);
    }
}

#[test]
fn casts_are_to_types_that_the_program_names() {
    if !needs::kernel() {
        return;
    }
    let of_c = [
        ("(enum colour)(argument - 36)", "GREEN"),
        ("(enum colour)(argument - 35) == BLUE", "true"),
        ("((struct outer *)(pointer as u64))->id", "1"),
        ("((struct outer *)(void *)pointer)->next->id", "2"),
        ("((packet *)&number)->bytes[0]", "4"),
        ("*(uint16_t *)&number", "772"),
        ("*(unsigned short *)&number", "772"),
        ("*(unsigned long *)&u64", "18446744073709551615"),
        ("*((int *)array + 2)", "30"),
    ];
    assert_shown(&c_path("-O0"), "e2e_values.c", &of_c);
    let of_rust = [
        ("1 as State", "Running"),
        ("(argument - 39) as State == State::Failed", "true"),
        ("(reference as *const Point).y", "-402"),
        ("((&point as u64) as *const Point).x", "640"),
        ("*(&u32 as *const i32)", "-1"),
    ];
    assert_shown(&rust_path(false), "e2e_values.rs", &of_rust);
    let path = c_path("-O0");
    let line = probe_line("e2e_values.c", "look");
    let probe = format!("log e2e_values.c:{line} \"{{(struct nowhere *)pointer}}\"");
    let path = path.to_str().expect("UTF-8");
    let finished = tracer(&["attach", "--check", "--exe", path, "-e", &probe]);
    let words = ["no cast to `struct nowhere *`", "has no type `nowhere`"];
    finished.assert_code(2).assert_says(&words);
}

fn c_path(level: &str) -> std::path::PathBuf {
    c(&format!("values{level}"), "e2e_values.c", &[level])
}

fn c_values() -> Vec<(&'static str, Value)> {
    vec![
        ("i8", json!(-128)),
        ("u8", json!(255)),
        ("i16", json!(-32768)),
        ("u16", json!(65535)),
        ("i32", json!(i32::MIN)),
        ("u32", json!(u32::MAX)),
        ("i64", json!(i64::MIN.to_string())),
        ("u64", json!(u64::MAX.to_string())),
        ("yes", json!(true)),
        ("single", json!(1.5)),
        ("pi", json!(std::f64::consts::PI)),
        ("colour", json!({"$variant": "BLUE"})),
        ("array", json!([10, 20, 30, 40])),
        ("packet", json!({"$type": "packet", "bytes": [1, 2, 3, 4]})),
    ]
}

fn assert_c_values(event: &Value) {
    assert_values(event, &c_values());
    let first = value(event, "first");
    let expected = [
        ("$type", json!("outer")),
        ("id", json!(1)),
        (
            "inner",
            json!({"$type": "inner", "small": -7, "letter": first["inner"]["letter"]}),
        ),
        ("ratio", json!(0.1)),
        ("flags", json!(5)),
        ("level", json!(-3)),
        ("colour", json!({"$variant": "GREEN"})),
        ("grid", json!([[1, 2, 3], [4, 5, 6]])),
    ];
    for (field, expected) in expected {
        assert_eq!(first[field], expected, "{field} of {first}");
    }
    let contains = |name: &str, what: &str| {
        let text = value(event, name).to_string();
        assert!(text.contains(what), "{name}: no {what} in {text}");
    };
    contains("letter", "x");
    contains("greeting", "hello");
    contains("first", "\"first\"");
    // One level of a pointer's target.
    contains("pointer", "\"id\":1");
    contains("number", "16909060");
    contains("nowhere", "0x8");
    contains("wild", "0x8");
    let null = value(event, "null").to_string();
    assert!(!null.contains("\"id\""), "{null}");
}

#[test]
fn c_values_are_exact() {
    if needs::kernel() {
        let event = look(&c_path("-O0"), "e2e_values.c");
        assert_c_values(&event);
        assert_eq!(value(&event, "argument"), 41);
        assert!(value(&event, "text").to_string().contains("an argument"));
    }
}

#[test]
fn c_values_are_exact_when_optimised() {
    if needs::kernel() {
        // The arguments are gone there, as in gdb.
        assert_c_values(&look(&c_path("-O2"), "e2e_values.c"));
    }
}

#[test]
fn c_text_shows_fields_through_pointers() {
    if !needs::kernel() {
        return;
    }
    let path = c_path("-O0");
    let template = "{first.id} {pointer->ratio} {pointer->next->id} {first.grid[1][2]} {array[3]} {*pointer->next.label}";
    // The last expression dereferences a null pointer: unavailable, with the reason.
    let said = message(&path, "e2e_values.c", template);
    assert!(said.starts_with("1 0.1 2 6 40 "), "{said}");
    assert!(said.contains("null"), "{said}");
    let said = message(&path, "e2e_values.c", "{null->id} {wild} {*wild} {u8}");
    assert!(said.contains("null pointer"), "{said}");
    assert!(said.contains("not readable"), "{said}");
    assert!(said.ends_with(" 255"), "the others are there: {said}");
}

fn expected_path(level: &str) -> std::path::PathBuf {
    let flags = ["-g", "-std=c++23", level];
    fixture(
        "g++",
        &format!("expected{level}"),
        "e2e_expected.cpp",
        &flags,
    )
}

#[test]
fn expected_values_of_cpp_show_the_value_or_the_error() {
    if !needs::kernel() {
        return;
    }
    let path = expected_path("-O0");
    let shown = [
        ("number", "expected(640)"),
        ("no_number", "unexpected(\"why\")"),
        ("action", "expected"),
        ("no_action", "unexpected(Gone)"),
        (
            "text",
            "expected(\"a text that is longer than its object\")",
        ),
        ("no_text", "unexpected(Point { x: 3, y: -4 })"),
        ("nested", "expected(optional(7))"),
        ("deep", "unexpected(unexpected(\"why\"))"),
        ("number.is_ok() && no_number.is_err()", "true"),
    ];
    assert_shown(&path, "e2e_expected.cpp", &shown);
    let of_json = [
        ("number", json!({"$variant": "expected", "0": 640})),
        ("no_number", json!({"$variant": "unexpected", "0": "why"})),
        ("action", json!({"$variant": "expected"})),
    ];
    let events = [
        look(&path, "e2e_expected.cpp"),
        look(&expected_path("-O2"), "e2e_expected.cpp"),
    ];
    for event in &events {
        assert_values(event, &of_json);
        // Its flag is neither true nor false.
        let damaged = value(event, "damaged");
        assert!(damaged["$unavailable"].is_string(), "{damaged}");
    }
}
