//! Call stacks: each frame as in the source and as in gdb.

use serde_json::Value;

use crate::support::build::{c, probe_line};
use crate::support::needs;
use crate::support::program::{Program, run};
use crate::support::tracer::{Finished, Tracer};

const SOURCE: &str = "e2e_stack.c";

/// Function, true for an inlined copy, and its line in our source.
type Expected = (&'static str, bool, Option<u64>);

fn at(mark: &str) -> Option<u64> {
    Some(probe_line(SOURCE, mark))
}

fn path(level: &str) -> std::path::PathBuf {
    c(
        &format!("stack{level}"),
        SOURCE,
        &[level, "-fomit-frame-pointer"],
    )
}

/// The stacks of hits at the leaf whose argument is `number`.
fn traced(level: &str, number: i64, more: &str) -> Finished {
    let program = Program::ready(&path(level), &[]);
    let line = probe_line(SOURCE, "leaf");
    let probe = format!(r#"log {SOURCE}:{line} "{{number}}" if number == {number} {more}"#);
    let tracer = Tracer::attach(program.pid(), "json", &[&probe], &["--events", "3"]);
    let finished = tracer.finish();
    finished.assert_code(0);
    finished
}

fn frames(event: &Value) -> &[Value] {
    event["stack"].as_array().expect("a stack")
}

#[track_caller]
fn assert_frames(event: &Value, expected: &[Expected]) {
    let frames = frames(event);
    for (index, (function, inlined, line)) in expected.iter().enumerate() {
        let frame = &frames[index];
        assert_eq!(frame["function"], *function, "#{index} of {event}");
        assert_eq!(frame["inlined"], *inlined, "#{index} of {event}");
        if let Some(line) = line {
            assert_eq!(frame["line"], *line, "#{index} of {event}");
            let file = frame["file"].as_str().expect("a file");
            assert!(file.ends_with(SOURCE), "{file}");
        }
    }
}

fn recursion() -> Vec<Expected> {
    vec![
        ("leaf", false, at("leaf")),
        ("middle", true, at("middle")),
        ("recurse", false, at("inlined")),
        ("recurse", false, at("recurse")),
        ("recurse", false, at("recurse")),
        ("recurse", false, at("recurse")),
        ("main", false, at("main")),
    ]
}

#[test]
fn stack_of_recursion_and_inlined_copy_is_exact() {
    if !needs::kernel() {
        return;
    }
    for level in ["-O0", "-O1"] {
        for event in traced(level, 7, "depth 40").events() {
            assert_frames(&event, &recursion());
            let last = frames(&event).last().expect("frames");
            assert_eq!(last["function"], "_start", "{level}: {event}");
            assert_eq!(event.get("stack_stopped"), None, "{level}: {event}");
        }
    }
}

#[test]
fn stack_at_the_return_of_a_function_with_a_frame_pointer_is_exact() {
    if !needs::kernel() {
        return;
    }
    for level in ["-O0", "-O1"] {
        let flags = [level, "-fno-omit-frame-pointer"];
        let path = c(&format!("stack-framed{level}"), SOURCE, &flags);
        let program = Program::ready(&path, &[]);
        let probe = r#"log leaf%return "" depth 100"#;
        let tracer = Tracer::attach(program.pid(), "json", &[probe], &["--events", "20"]);
        let finished = tracer.finish();
        finished.assert_code(0);
        // The frames of `deep` are more than a hit captures.
        let events = finished.events();
        let whole = events.iter();
        let whole = whole.filter(|event| frames(event)[1]["function"] != "deep");
        let whole: Vec<&Value> = whole.collect();
        assert!(whole.len() > 5, "{level}: {}", whole.len());
        for event in whole {
            let last = frames(event).last().expect("frames");
            assert_eq!(last["function"], "_start", "{level}: {event}");
            assert_eq!(event.get("stack_stopped"), None, "{level}: {event}");
        }
    }
}

#[test]
fn stack_through_library_without_debug_information_goes_on() {
    if !needs::kernel() {
        return;
    }
    for level in ["-O0", "-O2"] {
        for event in traced(level, -1, "depth 40").events() {
            let frames = frames(&event);
            let named = |function: &str| frames.iter().position(|one| one["function"] == function);
            assert_eq!(named("compare"), Some(1), "{event}");
            assert_eq!(frames[1]["line"].as_u64(), at("compare"), "{event}");
            let main = named("main").expect("main");
            assert!(main > 2, "qsort lies between: {event}");
            assert_eq!(frames[main]["line"].as_u64(), at("qsort"), "{event}");
        }
    }
}

#[test]
fn stack_of_some_frames_has_no_more_and_no_reason() {
    if !needs::kernel() {
        return;
    }
    for event in traced("-O0", 7, "depth 2").events() {
        // The inlined copy belongs to the second frame.
        assert_frames(&event, &recursion()[..3]);
        assert_eq!(frames(&event).len(), 3, "{event}");
        assert_eq!(event.get("stack_stopped"), None, "{event}");
    }
}

#[test]
fn stack_deeper_than_what_is_captured_says_so() {
    if !needs::kernel() {
        return;
    }
    for event in traced("-O1", 99, "depth 100").events() {
        let frames = frames(&event);
        assert!(frames.len() > 8 && frames.len() < 40, "{event}");
        assert!(frames[1..].iter().all(|frame| frame["function"] == "deep"));
        let why = event["stack_stopped"].as_str().expect("a reason");
        assert!(why.contains("not captured"), "{why}");
    }
}

#[test]
fn snapshot_is_one_hit_with_everything() {
    if !needs::kernel() {
        return;
    }
    let program = Program::ready(&path("-O0"), &[]);
    let line = probe_line(SOURCE, "middle");
    let probe = format!("snapshot {SOURCE}:{line}");
    let tracer = Tracer::json(program.pid(), &[&probe]);
    let event = tracer.wait_events(1).swap_remove(0);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    assert_eq!(finished.events().len(), 1, "{finished}");
    assert_eq!(event["action"], "snapshot");
    assert_eq!(event["values"][0]["value"], 7, "{event}");
    assert_frames(&event, &recursion()[1..]);
    // The callers' variables: the depth of each recursion, and those of main.
    let value = |index: usize, name: &str| -> Value {
        let values = frames(&event)[index]["values"].as_array();
        let mut values = values.expect("callers have values").iter();
        let found = values.find(|value| value["expr"] == name);
        found.expect("it is in scope")["value"].clone()
    };
    for (index, depth) in (1..5).zip(0..) {
        assert_eq!(value(index, "depth"), depth, "{event}");
    }
    assert_eq!(value(5, "two"), serde_json::json!([2, 1]), "{event}");
    assert!(
        frames(&event)[0].get("values").is_none(),
        "its own are the event's"
    );
}

/// gdb's frames at the same stop: function and line, up to main.
fn by_gdb(path: &std::path::Path) -> Vec<(String, u64)> {
    let line = probe_line(SOURCE, "leaf");
    let breakpoint = format!("break {SOURCE}:{line} if number == 7");
    let commands = ["set pagination off", &breakpoint, "run", "backtrace"];
    let mut args: Vec<&std::ffi::OsStr> = vec!["-nx".as_ref(), "-batch".as_ref()];
    for command in &commands {
        args.extend(["-ex".as_ref(), std::ffi::OsStr::new(*command)]);
    }
    args.push(path.as_os_str());
    let said = run("gdb", args);
    let frame = |line: &str| {
        let rest = line.strip_prefix('#')?;
        let (function, place) = rest.split_once(" (")?;
        let function = function.split_whitespace().last()?.to_owned();
        let line = place.rsplit_once(':')?.1.trim().parse().ok()?;
        Some((function, line))
    };
    said.lines().filter_map(frame).collect()
}

#[test]
fn stack_equals_that_of_gdb() {
    if !needs::kernel() || !needs::tools(&["gdb"]) {
        return;
    }
    for level in ["-O0", "-O1", "-O2"] {
        let expected = by_gdb(&path(level));
        assert!(expected.len() >= 4, "{level}: {expected:?}");
        for event in traced(level, 7, "depth 40").events() {
            let ours: Vec<(String, u64)> = frames(&event)
                .iter()
                .take(expected.len())
                .map(|frame| {
                    let function = frame["function"].as_str().unwrap_or_default();
                    (function.to_owned(), frame["line"].as_u64().unwrap_or(0))
                })
                .collect();
            assert_eq!(ours, expected, "{level}");
        }
    }
}
