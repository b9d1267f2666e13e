//! Strings of libstdc++, with more or less complete debug information.

use std::path::PathBuf;

use crate::support::build::{fixture, probe_line};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::tracer::Tracer;

const FILE: &str = "e2e_strings.cpp";

/// Values of strings, and messages about them.
const EXPECTED: [(&str, &str); 8] = [
    ("text", "hello"),
    ("*pointer", "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"),
    ("map", r#"{"a": "b", "longer than a short text": ""}"#),
    ("row", r#"["x", "yy"]"#),
    ("item", r#"Item { id: 7, name: "item" }"#),
    ("wide", "wide"),
    // Strings of all ABIs.
    ("row.len()", "2"),
    ("item.id", "7"),
];

/// Expressions with strings.
const ASKED: [(&str, &str); 8] = [
    ("text.len()", "5"),
    ("pointer->len()", "30"),
    ("row[1].len()", "2"),
    (r#"item.name == "item""#, "true"),
    (r#"text.ends_with("lo")"#, "true"),
    ("pointer->is_empty()", "false"),
    ("text[1]", "e"),
    ("wide.len()", "4"),
];

fn path(flags: &[&str]) -> PathBuf {
    fixture(
        "clang++",
        &format!("strings{}", flags.concat()),
        FILE,
        flags,
    )
}

#[track_caller]
fn assert_shown(flags: &[&str], expected: &[(&str, &str)]) {
    let program = Program::ready(&path(flags), &[]);
    let holes: Vec<String> = expected
        .iter()
        .map(|(asked, _)| format!("{{{asked}}}"))
        .collect();
    let line = probe_line(FILE, "look");
    let probe = format!("log {FILE}:{line} \"{}\" hits 1", holes.join("|"));
    let tracer = Tracer::json(program.pid(), &[&probe]);
    let events = tracer.wait_events(1);
    tracer.interrupt().assert_code(0);
    let message = events[0]["message"].as_str().expect("a text");
    let shown: Vec<&str> = message.split('|').collect();
    let wanted: Vec<&str> = expected.iter().map(|(_, wanted)| *wanted).collect();
    assert_eq!(shown, wanted, "{flags:?}");
}

#[test]
fn strings_of_clang_are_read_however_little_it_describes() {
    if !needs::kernel() {
        return;
    }
    // clang declares only the class, then only the class of its pointer, then describes everything.
    let line = probe_line(FILE, "look");
    for standard in ["-std=c++14", "-std=c++17", "-std=c++20"] {
        let flags = ["-g", "-O0", standard];
        let all: Vec<_> = EXPECTED.into_iter().chain(ASKED).collect();
        assert_shown(&flags, &all);
        let old = [&flags[..], &["-D_GLIBCXX_USE_CXX11_ABI=0"]].concat();
        // The name alone does not identify a string of the old ABI.
        if standard != "-std=c++14" {
            assert_shown(&old, &EXPECTED);
        }
        let condition = r#"if text == "hello" && pointer->contains("yy") && text != "hell""#;
        let count = format!("count {FILE}:{line} by text {condition} hits 3");
        let program = Program::ready(&path(&flags), &[]);
        // The session ends with its last hit.
        let finished = Tracer::json(program.pid(), &[&count]).finish();
        finished.assert_code(0);
        let mut lines = finished.stdout.iter();
        let row = r#""rows":[{"value":"hello","count":3}]"#;
        assert!(lines.any(|line| line.contains(row)), "{finished}");
    }
}
