//! Calls that a trace follows through pointers and jumps, and calls that end without a return.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::build::{c, fixture, line_of, rust, source};
use crate::support::program::Program;
use crate::support::steps::{assert_is_whole, kind, marked, step, steps};
use crate::support::tracer::{Finished, TRACER, Tracer, counter, value};
use crate::support::{needs, wait_for};

const SOURCE: &str = "e2e_trace_calls.c";

/// A program of commands under a trace.
struct Traced {
    program: Program,
    tracer: Tracer,
}

impl Traced {
    #[track_caller]
    fn start(path: &Path, probe: &str) -> Self {
        let program = Program::ready(path, &[]);
        let tracer = Tracer::attach(program.pid(), "json", &[probe], &[]);
        tracer.wait_tracing();
        Self { program, tracer }
    }

    /// Has the program do something, and waits for a line that it prints then.
    #[track_caller]
    fn run(&mut self, command: &str, prints: &str) {
        let from = self.program.stdout.count();
        self.program.say(command);
        let stdout = &self.program.stdout;
        stdout.wait_line(prints, from, |line| line == prints);
    }

    /// Waits for a line of the tracer.
    #[track_caller]
    fn wait_for(&self, text: &str) {
        let stderr = &self.tracer.stderr;
        stderr.wait_line(text, 0, |line| line.contains(text));
    }
}

/// The steps of one call.
fn of_call(finished: &Finished, call: u64) -> Vec<Value> {
    let mut all = steps(finished, "p1");
    all.retain(|event| step(event, "call") == call);
    all
}

fn marks(fixture: &str, call: &[Value]) -> Vec<String> {
    call.iter().map(|event| marked(fixture, event)).collect()
}

/// The results of the calls that a call has made.
fn inner_results(call: &[Value]) -> Vec<i64> {
    let returns = call
        .iter()
        .filter(|event| kind(event) == "return" && step(event, "depth") == 1);
    returns
        .map(|event| value(event, "$return").as_i64().expect("a number"))
        .collect()
}

/// The beginnings and the ends of the calls that a call has made, with their functions.
fn inner_ends(call: &[Value]) -> Vec<String> {
    let ends = call
        .iter()
        .filter(|event| step(event, "depth") == 1 && kind(event) != "line");
    let function = |event: &Value| event["function"].as_str().unwrap_or_default().to_owned();
    ends.map(|event| format!("{} {}", kind(event), function(event)))
        .collect()
}

#[test]
fn call_through_a_pointer_is_followed_once_it_was_seen_and_one_more_call_is_recorded() {
    if !needs::kernel() {
        return;
    }
    for level in ["-O0", "-O2"] {
        let path = c("trace-calls", SOURCE, &[level]);
        let mut traced = Traced::start(&path, "trace dispatch depth 1");
        traced.run("dispatch", "done");
        traced.wait_for(
            "p1: `one` is called through a pointer; it is followed from its next call on",
        );
        traced.run("dispatch", "done");
        // The first call does not count, because it lacks what it called.
        let finished = traced.tracer.finish();
        finished.assert_code(0);
        let (first, second) = (of_call(&finished, 1), of_call(&finished, 2));
        assert_is_whole(&first);
        assert_is_whole(&second);
        assert!(first.iter().all(|event| step(event, "depth") == 0));
        let lines = marks(SOURCE, &second);
        let inner: Vec<&String> = lines.iter().filter(|line| line.starts_with(' ')).collect();
        assert_eq!(
            inner[..2],
            ["  one-1", "  one-return"],
            "{level}: {lines:?}"
        );
        assert_eq!(inner_results(&second), [6], "{level}");
        assert!(of_call(&finished, 3).is_empty());
    }
}

#[test]
fn next_pass_of_a_call_through_a_pointer_is_followed_in_the_call_that_is_recorded() {
    if !needs::kernel() {
        return;
    }
    let path = c("trace-serve", SOURCE, &["-O0"]);
    let mut traced = Traced::start(&path, "trace serve depth 1 hits 1");
    traced.program.say("serve");
    traced.run("turn", "turned");
    traced.wait_for("`two` is called through a pointer");
    traced.run("turn", "turned");
    traced.run("turn", "turned");
    traced.run("end", "done");
    let finished = traced.tracer.interrupt();
    let call = of_call(&finished, 1);
    assert_is_whole(&call);
    let lines = marks(SOURCE, &call);
    let count = |mark: &str| lines.iter().filter(|line| *line == mark).count();
    assert_eq!((count("serve-call"), count("  two-1")), (3, 2), "{lines:?}");
    assert_eq!(counter(&finished.summary("p1"), "lost"), 0);
}

#[test]
fn virtual_functions_and_trait_objects_are_followed() {
    if !needs::kernel() {
        return;
    }
    const CPP: &str = "e2e_trace_calls.cpp";
    const RUST: &str = "e2e_trace_calls.rs";
    let cpp =
        |level| -> PathBuf { fixture("c++", "trace-virtual", CPP, &["-g", "-std=c++17", level]) };
    let of_cpp = [("square-1", 18), ("strip-1", 14), ("tile-1", 10)];
    let of_rust = &of_cpp[..2];
    // It describes thunks as functions without lines.
    let by_clang = fixture(
        "clang++",
        "trace-virtual",
        CPP,
        &["-g", "-std=c++17", "-O2"],
    );
    let programs = [
        (by_clang, CPP, &of_cpp[..]),
        (cpp("-O0"), CPP, &of_cpp[..]),
        (cpp("-O2"), CPP, &of_cpp[..]),
        (rust("trace-dyn", RUST, &[]), RUST, of_rust),
        (rust("trace-dyn", RUST, &["-O"]), RUST, of_rust),
    ];
    for (path, fixture, called) in programs {
        let mut traced = Traced::start(&path, "trace measure depth 1");
        traced.run("go", "done");
        let count = called.len();
        traced.wait_for(&format!(
            "p1: {count} functions are called through pointers, such as `"
        ));
        traced.run("go", "done");
        let finished = traced.tracer.finish();
        finished.assert_code(0);
        let second = of_call(&finished, 2);
        assert_is_whole(&second);
        let results: Vec<i64> = called.iter().map(|&(_, result)| result).collect();
        assert_eq!(inner_results(&second), results, "{}", path.display());
        let lines = marks(fixture, &second);
        for (mark, _) in called {
            let mark = format!("  {mark}");
            assert!(lines.contains(&mark), "{mark} in {lines:?}");
        }
    }
}

#[test]
fn jump_in_place_of_a_call_is_followed_at_the_same_depth() {
    if !needs::kernel() {
        return;
    }
    let path = c("trace-tail", SOURCE, &["-O2"]);
    let mut traced = Traced::start(&path, "trace outer depth 1");
    traced.run("outer", "done");
    let finished = traced.tracer.finish();
    finished.assert_code(0);
    let call = of_call(&finished, 1);
    assert_is_whole(&call);
    let inner = inner_ends(&call);
    assert_eq!(
        inner,
        ["enter middle", "return middle", "enter last", "return last"],
        "{:?}",
        marks(SOURCE, &call)
    );
    let results: Vec<&Value> = call
        .iter()
        .filter(|event| kind(event) == "return" && step(event, "depth") == 1)
        .map(|event| value(event, "$return"))
        .collect();
    assert!(results[0]["$unavailable"].is_string(), "{}", results[0]);
    assert!(results[1].is_number(), "{}", results[1]);
}

#[test]
fn frame_of_a_function_that_begins_with_an_inlined_body_has_its_own_name() {
    if !needs::kernel() {
        return;
    }
    let path = fixture("clang", "trace-inlined", SOURCE, &["-g", "-O2"]);
    let mut traced = Traced::start(&path, "trace around depth 1");
    traced.run("around", "done");
    let finished = traced.tracer.finish();
    finished.assert_code(0);
    let call = of_call(&finished, 1);
    assert_is_whole(&call);
    let inner: Vec<&Value> = call
        .iter()
        .filter(|event| step(event, "depth") == 1)
        .collect();
    let first = inner.first().expect("a step of the call inside");
    assert_eq!(kind(first), "enter");
    assert_eq!(first["function"], "scaled", "{first}");
    assert_eq!(first["step"]["frame_function"], "inside", "{first}");
    let mut program = Program::ready(&path, &[]);
    let probe = "trace around depth 1";
    let tracer = Tracer::attach(program.pid(), "text", &[probe], &[]);
    tracer.wait_tracing();
    program.say("around");
    let finished = tracer.finish();
    for text in [
        "enter inside, in scaled: q = 6",
        "return inside: $return = 19",
    ] {
        let mut lines = finished.stdout.iter();
        assert!(lines.any(|line| line.contains(text)), "{text}: {finished}");
    }
}

#[test]
fn jump_to_a_computed_address_is_followed_once_it_was_seen() {
    if !needs::kernel() {
        return;
    }
    let path = c("trace-hop", SOURCE, &["-O2"]);
    let mut traced = Traced::start(&path, "trace hops depth 1");
    traced.run("hops", "done");
    traced.wait_for("`two` is called through a pointer; it is followed from its next call on");
    traced.run("hops", "done");
    let finished = traced.tracer.finish();
    finished.assert_code(0);
    let second = of_call(&finished, 2);
    assert_is_whole(&second);
    let inner = inner_ends(&second);
    assert_eq!(inner, ["enter hop", "enter two", "return two"]);
    assert_eq!(inner_results(&second), [8]);
}

const LINKED: &str = "e2e_trace_linked.c";
const LIBRARY: &str = "e2e_trace_library.c";

/// A program that is linked with a library of its own.
fn linked(level: &str, flags: [&str; 2]) -> PathBuf {
    let library = c(
        "libtrace_own.so",
        LIBRARY,
        &[level, "-shared", "-fPIC", flags[0], flags[1]],
    );
    let folder = library.parent().expect("a file is in a folder");
    let rpath = format!("-Wl,-rpath,{}", folder.display());
    let library = library.to_str().expect("test paths are UTF-8");
    let flags = [level, flags[0], flags[1], library, &rpath];
    c("trace-linked", LINKED, &flags)
}

/// The marks of a call's steps in both files.
fn marks_of_both(call: &[Value]) -> Vec<String> {
    let mark = |event: &Value| {
        let file = event["file"].as_str().unwrap_or_default();
        let fixture = if file.ends_with(LIBRARY) {
            LIBRARY
        } else {
            LINKED
        };
        marked(fixture, event)
    };
    call.iter().map(mark).collect()
}

#[test]
fn functions_of_the_programs_own_library_are_followed() {
    if !needs::kernel() {
        return;
    }
    for (level, flags) in [
        ("-O0", ["-Wl,-z,lazy", "-fplt"]),
        ("-O0", ["-Wl,-z,now", "-fplt"]),
        ("-O2", ["-Wl,-z,now", "-fno-plt"]),
    ] {
        let path = linked(level, flags);
        let mut traced = Traced::start(&path, "trace total depth 2");
        // With lazy binding, the first call of a function that is chosen only leads to the dynamic linker.
        wait_for("the chosen function", || {
            traced.run("total", "done");
            let said = traced.tracer.stderr.lines();
            said.iter()
                .any(|line| line.contains("`picked`"))
                .then_some(())
        });
        traced.run("total", "done");
        let finished = traced.tracer.finish();
        finished.assert_code(0);
        let lines = marks_of_both(&of_call(&finished, 1));
        // The library's functions are followed from the first call on.
        for mark in ["  add-scale", "    scale-1"] {
            assert!(lines.iter().any(|line| line == mark), "{mark}: {lines:?}");
        }
        let all = steps(&finished, "p1");
        let last = all.iter().map(|event| step(event, "call")).max();
        let last = of_call(&finished, last.expect("a call"));
        assert_is_whole(&last);
        let lines = marks_of_both(&last);
        let entered: Vec<String> = last
            .iter()
            .filter(|event| kind(event) == "enter")
            .map(|event| event["function"].as_str().unwrap_or("").to_owned())
            .collect();
        assert_eq!(
            entered,
            ["total", "library_add", "library_scale", "finish", "picked"],
            "{level} {flags:?}: {lines:?}"
        );
        let results: Vec<i64> = last
            .iter()
            .filter(|event| kind(event) == "return")
            .map(|event| value(event, "$return").as_i64().expect("a number"))
            .collect();
        assert_eq!(results, [6, 17, 17, 17, 17], "{level} {flags:?}: {lines:?}");
        assert_eq!(counter(&finished.summary("p1"), "lost"), 0);
    }
}

#[test]
fn library_that_is_loaded_after_the_trace_began_is_followed_once_it_was_seen() {
    if !needs::kernel() {
        return;
    }
    let path = linked("-O0", ["-Wl,-z,now", "-fplt"]);
    let path = path.to_str().expect("test paths are UTF-8");
    let args = ["run", "-o", "json", "-e", "trace total depth 1", "--", path];
    let mut started = Program::start_with(Path::new(TRACER), &args, |command| {
        command.env_remove("SUDO_UID");
    });
    for (said, printed) in [("total", "such as `library_add`"), ("total", "p1 is done")] {
        started.say(said);
        let stderr = &started.stderr;
        stderr.wait_line(printed, 0, |line| line.contains(printed));
    }
    started.close_input();
    assert_eq!(started.wait().code(), Some(0));
    let lines = started.stderr.lines();
    let events = lines
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok());
    let second: Vec<Value> = events
        .filter(|event: &Value| step(event, "call") == 2)
        .collect();
    assert_is_whole(&second);
    let lines = marks_of_both(&second);
    assert!(lines.iter().any(|line| line == "  add-scale"), "{lines:?}");
}

#[test]
fn text_has_the_source_beside_each_step() {
    if !needs::kernel() {
        return;
    }
    let path = c("trace-text", SOURCE, &["-O0"]);
    let mut program = Program::ready(&path, &[]);
    let probe = "trace outer depth 2";
    let tracer = Tracer::attach(program.pid(), "text", &[probe], &[]);
    tracer.wait_tracing();
    program.say("outer");
    let finished = tracer.finish();
    finished.assert_code(0);
    for text in [
        "enter outer: n = 4",
        "enter middle: n = 4",
        "enter last: n = 12",
    ] {
        assert!(
            finished.stdout.iter().any(|line| line.contains(text)),
            "{finished}"
        );
    }
    for text in ["int got = middle(n);", "return last(n * 3);", "sink += n;"] {
        let is_beside = |line: &&String| {
            let beside = line
                .split_once("│ ")
                .is_some_and(|(_, source)| source.starts_with(text));
            beside && line.chars().count() <= 120
        };
        assert!(
            finished.stdout.iter().any(|line| is_beside(&line)),
            "{text}: {finished}"
        );
    }
    let returns = finished
        .stdout
        .iter()
        .filter(|line| line.contains("return middle: $return"));
    assert!(returns.clone().count() == 1 && returns.clone().all(|line| !line.contains('│')));
}

#[test]
fn call_that_nothing_follows_in_its_place_is_told_at_the_end() {
    if !needs::kernel() {
        return;
    }
    let path = c("trace-left", SOURCE, &["-O0"]);
    let mut traced = Traced::start(&path, "trace escape");
    traced.run("escape", "done");
    let finished = traced.tracer.interrupt();
    assert_eq!(of_call(&finished, 1).len(), 2);
    finished.assert_says(&["p1: calls left or still running: 1"]);
}

#[test]
fn call_whose_process_executes_a_program_is_over_and_the_next_one_has_the_next_number() {
    if !needs::kernel() {
        return;
    }
    let path = c("trace-exec", SOURCE, &["-O0"]);
    let mut traced = Traced::start(&path, "trace renew hits 2");
    traced.run("renew", "ready");
    traced.wait_for(
        "p1: call 1 ended without a return after step 2: its process has executed another program",
    );
    traced.wait_for("p1: attached again");
    traced.run("renew", "ready");
    traced.wait_for("p1: call 2 ended without a return after step 2");
    let finished = traced.tracer.interrupt();
    for call in [1, 2] {
        let lines = marks(SOURCE, &of_call(&finished, call));
        assert_eq!(lines, ["renew-1", "renew-exec"], "call {call}");
    }
}

#[test]
fn function_whose_first_line_cannot_be_probed_is_refused_with_a_line_that_can() {
    if !needs::kernel() {
        return;
    }
    let path = c("trace-stop", SOURCE, &["-O0"]);
    let program = Program::ready(&path, &[]);
    let finished = Tracer::attach(program.pid(), "json", &["trace stop"], &[]).finish();
    finished.assert_code(2);
    let line = line_of(&source(SOURCE), "stop-add");
    finished.assert_says(&[
        "`int3`, cannot be probed",
        "a trace begins with the first line of its function",
        &format!("`snapshot {SOURCE}:{line}` has the variables there"),
    ]);
}
