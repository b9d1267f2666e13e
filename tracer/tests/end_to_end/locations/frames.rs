//! Frames without a call: signal frames, tail calls, and libraries that were loaded after the
//! attach. Also the symbols of pointers.

use std::path::Path;

use serde_json::Value;

use crate::support::build::{c, probe_line};
use crate::support::needs;
use crate::support::program::{Program, run};
use crate::support::tracer::{Tracer, value};

const SOURCE: &str = "e2e_frames.c";
const SYMBOLS: &str = "e2e_symbols.c";

fn path(flags: &[&str]) -> std::path::PathBuf {
    let mut all = vec!["-O2"];
    all.extend(flags);
    c("frames", SOURCE, &all)
}

fn line(mark: &str) -> u64 {
    probe_line(SOURCE, mark)
}

/// A probe at the leaf, with all frames.
fn at_leaf(condition: &str) -> String {
    format!(
        r#"log {SOURCE}:{} "{{number}}" {condition} depth 40 rate 20/s"#,
        line("leaf")
    )
}

/// Function and line of each frame.
fn frames(event: &Value) -> Vec<(String, u64)> {
    let frame = |frame: &Value| {
        let function = frame["function"].as_str().unwrap_or_default();
        (function.to_owned(), frame["line"].as_u64().unwrap_or(0))
    };
    let stack = event["stack"].as_array().expect("a stack");
    stack.iter().map(frame).collect()
}

/// The functions of frames that have the mark.
fn marked(event: &Value, mark: &str) -> Vec<String> {
    let stack = event["stack"].as_array().expect("a stack").iter();
    let marked = stack.filter(|frame| frame[mark] == true);
    let function = |frame: &Value| frame["function"].as_str().unwrap_or_default().to_owned();
    marked.map(function).collect()
}

fn named(function: &str, mark: &str) -> (String, u64) {
    (function.to_owned(), line(mark))
}

/// The first stop of gdb at the leaf: function and line of each frame up to main.
fn by_gdb(path: &Path, args: &str, number: i64) -> Vec<(String, u64)> {
    let breakpoint = format!("break {SOURCE}:{} if number == {number}", line("leaf"));
    let commands = [
        "set pagination off",
        "handle SIGALRM nostop noprint pass",
        &breakpoint,
        &format!("run {args}"),
        "backtrace",
    ];
    let mut all: Vec<&std::ffi::OsStr> = vec!["-nx".as_ref(), "-batch".as_ref()];
    for command in &commands {
        all.extend(["-ex".as_ref(), std::ffi::OsStr::new(*command)]);
    }
    all.push(path.as_os_str());
    let said = run("gdb", all);
    let frame = |text: &str| {
        let rest = text.strip_prefix('#')?;
        if rest.contains("<signal handler called>") {
            return Some(("<signal handler called>".to_owned(), 0));
        }
        let (function, place) = rest.split_once(" (")?;
        let function = function.split_whitespace().last()?.to_owned();
        let line = place.rsplit_once(':')?.1.trim().parse().ok()?;
        Some((function, line))
    };
    said.lines().filter_map(frame).collect()
}

/// An event at the leaf in a program with these arguments.
fn event_of(path: &Path, args: &[&str], condition: &str) -> Value {
    let program = Program::ready(path, args);
    let tracer = Tracer::attach(
        program.pid(),
        "json",
        &[&at_leaf(condition)],
        &["--events", "1"],
    );
    let finished = tracer.finish();
    finished.assert_code(0);
    finished.events().swap_remove(0)
}

#[test]
fn tail_calls_are_shown_as_gdb_shows_them() {
    if !needs::kernel() || !needs::tools(&["gdb"]) {
        return;
    }
    let path = path(&[]);
    let event = event_of(&path, &[], "if number == 31");
    let expected = [
        named("leaf", "leaf"),
        named("third", "third"),
        named("second", "second"),
        named("first", "first"),
        named("main", "calls_first"),
    ];
    assert_eq!(by_gdb(&path, "", 31), expected);
    assert_eq!(frames(&event)[..5], expected, "{event}");
    assert_eq!(marked(&event, "tail_call"), ["third", "second", "first"]);
    assert_eq!(event.get("stack_stopped"), None, "{event}");
}

#[test]
fn tail_calls_by_one_of_two_ways_are_those_that_both_have() {
    if !needs::kernel() {
        return;
    }
    let path = path(&[]);
    for number in [101, 191] {
        let event = event_of(&path, &[], &format!("if number == {number}"));
        let expected = [
            named("leaf", "leaf"),
            named("third", "third"),
            named("main", "calls_either"),
        ];
        assert_eq!(frames(&event)[..3], expected, "{event}");
    }
}

#[test]
fn signal_frame_is_named_and_what_it_interrupted_is_below() {
    if !needs::kernel() || !needs::tools(&["gdb"]) {
        return;
    }
    for flags in [&["-fno-omit-frame-pointer"][..], &["-fomit-frame-pointer"]] {
        let path = path(flags);
        let event = event_of(&path, &["signal"], "");
        let (ours, expected) = (frames(&event), by_gdb(&path, "signal", 14));
        assert_eq!(expected.len(), 6, "{expected:?}");
        assert_eq!(ours[..expected.len()], expected, "{event}");
        assert_eq!(marked(&event, "signal"), ["<signal handler called>"]);
        assert_eq!(event.get("stack_stopped"), None, "{event}");
    }
}

#[test]
fn code_that_a_signal_on_another_stack_interrupted_is_named_and_its_stack_too() {
    if !needs::kernel() {
        return;
    }
    let event = event_of(&path(&[]), &["alternate"], "");
    let expected = [
        named("leaf", "leaf"),
        named("on_alarm", "handler"),
        ("<signal handler called>".to_owned(), 0),
        named("busy", "busy"),
    ];
    let ours = frames(&event);
    // The callers of `busy` are on the stack that was left.
    assert_eq!(ours, expected, "{event}");
    let why = event["stack_stopped"].as_str().expect("a reason");
    assert!(why.contains("another stack"), "{why}");
}

#[test]
fn stack_leads_through_a_library_that_was_loaded_since() {
    if !needs::kernel() {
        return;
    }
    let library = c(
        "libe2e_frames.so",
        "e2e_frames_lib.c",
        &["-O1", "-shared", "-fPIC"],
    );
    let path = path(&["-ldl"]);
    let library = library.to_str().expect("test paths are UTF-8");
    let mut program = Program::ready(&path, &["library", library]);
    let tracer = Tracer::json(program.pid(), &[&at_leaf("")]);
    tracer.wait_tracing();
    program.say("open");
    tracer.wait_events(20);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    for event in finished.events() {
        let ours = frames(&event);
        assert_eq!(ours[0], named("leaf", "leaf"), "{event}");
        assert_eq!(ours[1], named("from_library", "from_library"), "{event}");
        assert_eq!(ours[2].0, "twice", "{event}");
        let main = named("main", "calls_library");
        // The function that opens the library may be an inlined copy.
        assert!(ours.iter().any(|frame| frame.1 == main.1), "{event}");
        assert_eq!(event.get("stack_stopped"), None, "{event}");
    }
}

#[test]
fn pointer_has_a_symbol_within_its_section_and_size_alone() {
    if !needs::kernel() {
        return;
    }
    // Without PIE, the address of a library's function is that of its stub.
    let path = c(
        "symbols",
        SYMBOLS,
        &["-O0", "-no-pie", "-fno-pie", "-fcf-protection=none"],
    );
    let program = Program::ready(&path, &[]);
    let probe = format!(
        r#"log {SYMBOLS}:{} "{{pointers->whole}} {{pointers->inside}} {{pointers->literal}} {{pointers->far_zeroed}} {{pointers->between}} {{pointers->heap}} {{pointers->function}} {{pointers->in_function}}""#,
        probe_line(SYMBOLS, "look")
    );
    let tracer = Tracer::attach(program.pid(), "json", &[&probe], &["--events", "1"]);
    let finished = tracer.finish();
    finished.assert_code(0);
    let event = finished.events().swap_remove(0);
    let symbol = |name: &str| {
        let value = value(&event, &format!("pointers->{name}"));
        value["$symbol"].as_str().map(str::to_owned)
    };
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(symbol("whole"), named("table"), "{event}");
    assert_eq!(symbol("inside"), named("table+0x8"), "{event}");
    assert_eq!(symbol("literal"), None, "{event}");
    assert_eq!(symbol("far_zeroed"), named("zeroed+0x9c40"), "{event}");
    assert_eq!(symbol("between"), None, "{event}");
    assert_eq!(symbol("heap"), None, "{event}");
    assert_eq!(symbol("function"), named("strlen@plt"), "{event}");
    assert_eq!(symbol("in_function"), named("look+0x1"), "{event}");
}
