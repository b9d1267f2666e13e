//! Spans: which call each event and each span is in, compared with what the program says itself.

use std::collections::HashMap;

use serde_json::Value;

use crate::support::build::{fixture, probe_line, rust};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::tracer::{Finished, Tracer, assert_adds_up, counter};

const SOURCE: &str = "e2e_spans.rs";
const ROUNDS: usize = 6;
const THREADS: usize = 3;
const ZERO: &str = "";

/// Runs a program under probes that make this number of events.
#[track_caller]
fn run(program: Program, probes: &[impl AsRef<str>], count: usize) -> Finished {
    let probes: Vec<&str> = probes.iter().map(AsRef::as_ref).collect();
    let tracer = Tracer::attach(program.pid(), "json", &probes, &[]);
    observe(program, tracer, count)
}

/// Runs a program under a tracer that prints this number of events.
#[track_caller]
fn observe(mut program: Program, tracer: Tracer, count: usize) -> Finished {
    tracer.wait_tracing();
    program.say("go");
    program.stdout.wait_line("`done`", 0, |line| line == "done");
    tracer.wait_events(count);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    finished
}

/// The span of an event that is one.
fn span(event: &Value) -> Option<&Value> {
    event.get("span")
}

/// The spans by id. No two have the same, and none is zero.
fn by_id(events: &[Value]) -> HashMap<String, Value> {
    let mut spans = HashMap::new();
    for span in events.iter().filter_map(span) {
        for (key, digits) in [("trace_id", 32), ("span_id", 16)] {
            let id = span[key].as_str().expect("an id");
            assert_eq!(id.len(), digits, "{span}");
            assert!(id.chars().any(|digit| digit != '0'), "{span}");
        }
        let id = text(span, "span_id").to_owned();
        assert!(spans.insert(id, span.clone()).is_none(), "{span}");
    }
    spans
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or(ZERO)
}

/// Compares every log and span with the number that the program gives the span around it. Returns how many
/// logs had no certain span, or one without an end.
fn compare(events: &[Value], ends_missing: &str) -> usize {
    let spans = by_id(events);
    let mut uncertain = 0;
    for event in events {
        let log = match span(event) {
            None => event,
            Some(span) => {
                let outer = &span["attributes"]["outer"];
                if let Some(parent) = spans.get(text(span, "parent_span_id")) {
                    assert_eq!(parent["trace_id"], span["trace_id"], "{span}");
                    assert!(text(parent, "start") <= text(span, "start"), "{span}");
                    if let Some(outer) = outer.as_u64() {
                        assert_eq!(text(parent, "name"), outer.to_string(), "{span}");
                    }
                } else {
                    assert!(outer.as_u64().unwrap_or(0) == 0, "no parent: {span}");
                }
                continue;
            }
        };
        let inside = text(log, "message");
        match (spans.get(text(log, "span_id")), inside) {
            (None, "0") => assert!(log.get("span_id").is_none(), "{log}"),
            (Some(span), inside) => {
                assert_eq!(text(span, "name"), inside, "{log}");
                assert_eq!(span["trace_id"], log["trace_id"], "{log}");
                let is_it = |event: &&Value| event["hit"] == log["hit"];
                let events = span["events"].as_array().expect("events");
                assert_eq!(events.iter().filter(is_it).count(), 1, "{span}");
            }
            (None, inside) => {
                assert!(inside.starts_with(ends_missing), "no span: {log}");
                uncertain += 1;
            }
        }
    }
    uncertain
}

fn of<'e>(finished: &Finished, events: &'e [Value], probe: &str) -> Vec<&'e Value> {
    let spans: Vec<&Value> = events
        .iter()
        .filter(|event| event["probe"] == probe)
        .filter_map(span)
        .collect();
    let summary = finished.summary(probe);
    assert_adds_up(&summary);
    assert_eq!(counter(&summary, "events"), spans.len() as u64);
    spans
}

/// Calls with even numbers have been left, and say so. Returns their number. What happened inside is in
/// their time.
fn assert_left(spans: &[&Value]) -> usize {
    let mut left = 0;
    for span in spans {
        let number: u64 = text(span, "name").parse().expect("a number");
        let message = text(&span["status"], "message");
        let events = span["events"].as_array().expect("events");
        if number.is_multiple_of(2) {
            left += 1;
            let why = "left by a panic, an exception, a jump, or the end of its thread";
            assert_eq!(message, why, "{span}");
            assert!(
                span["notes"].to_string().contains("at the latest"),
                "{span}"
            );
            assert_eq!(events.len(), 1, "{span}");
            assert!(span["parent_span_id"].is_string(), "{span}");
        } else {
            assert_eq!(message, "", "{span}");
            assert!(span.get("notes").is_none(), "{span}");
        }
    }
    left
}

#[test]
fn spans_and_logs_are_in_the_calls_that_the_program_says() {
    if !needs::kernel() {
        return;
    }
    let probes = [
        "span fixture::request \"{me}\" with outer=outer",
        "span fixture::descend \"{me}\" with outer=outer, level=level",
        "span fixture::order \"{me}\" with outer=outer error if me % 3 == 0",
        "span fixture::risky \"{me}\" with outer=outer",
        "span fixture::submit \"{me}\" key me",
        "span fixture::work \"{me}\" with outer=key key key",
        "span fixture::serve \"{me}\" parent traceparent",
        "log fixture::note \"{inside}\" rate 100000/s",
    ];
    for optimise in ["0", "2"] {
        let path = rust("spans", SOURCE, &["-C", &format!("opt-level={optimise}")]);
        // A call that a panic leaves is told when its frame is used again, at the next round.
        let left = THREADS * (ROUNDS / 2 - 1);
        let finished = run(Program::ready(&path, &[]), &probes, 397 + left);
        let events = finished.events();
        let uncertain = compare(&events, "30");
        let calls = THREADS * ROUNDS;
        assert_eq!(
            uncertain, THREADS,
            "logs in the last call of each thread that panics"
        );
        assert_eq!(of(&finished, &events, "p1").len(), calls);
        assert_eq!(of(&finished, &events, "p2").len(), calls * 4);
        let orders = of(&finished, &events, "p3");
        for order in &orders {
            let number: u64 = text(order, "name").parse().expect("a number");
            let failed = match number % 3 {
                0 => serde_json::json!({"code": "error", "message": "me % 3 == 0"}),
                _ => serde_json::json!({"code": "unset"}),
            };
            assert_eq!(order["status"], failed, "{order}");
            assert_eq!(order["attributes"]["outer"], number - 20_000);
        }
        assert_eq!(orders.len(), calls);
        let risky = of(&finished, &events, "p4");
        assert_eq!(risky.len(), calls / 2 + left);
        assert_eq!(assert_left(&risky), left);
        assert_eq!(of(&finished, &events, "p5").len(), ROUNDS);
        let jobs = of(&finished, &events, "p6");
        assert_eq!(jobs.len(), ROUNDS);
        for job in jobs {
            assert!(job.get("parent_span_id").is_some(), "by its key: {job}");
        }
        let served = of(&finished, &events, "p7");
        for (index, served) in (1..).zip(served.iter().take(ROUNDS)) {
            if optimise == "0" {
                let trace = format!("{:032x}", 0xabc0 + index);
                let parent = format!("{:016x}", 0xdef0 + index);
                assert_eq!(text(served, "trace_id"), trace, "{served}");
                assert_eq!(text(served, "parent_span_id"), parent, "{served}");
                assert_eq!(served["parent_is_remote"], true);
            }
        }
        let last = served.last().expect("a span");
        let note = last["notes"][0].as_str().expect("a note");
        assert!(note.starts_with("parent not valid: "), "{last}");
    }
}

#[test]
fn returned_err_is_the_status_of_a_span_and_two_ids_are_its_parent() {
    if !needs::kernel() {
        return;
    }
    let path = rust("spans", SOURCE, &["-C", "opt-level=0"]);
    let probes = [
        "span fixture::order \"{me}\" with result=$return",
        "span fixture::answer parent trace, span",
    ];
    let finished = run(Program::ready(&path, &[]), &probes, 19);
    let events = finished.events();
    let orders = of(&finished, &events, "p1");
    assert_eq!(orders.len(), THREADS * ROUNDS);
    for order in orders {
        let number: u64 = text(order, "name").parse().expect("a number");
        let is_error = number.is_multiple_of(3);
        let message = is_error.then(|| format!("Err({number})"));
        assert_eq!(order["status"]["message"].as_str(), message.as_deref());
        let variant = if is_error { "Err" } else { "Ok" };
        assert_eq!(order["attributes"]["result"]["$variant"], variant);
    }
    let [answer] = of(&finished, &events, "p2")[..] else {
        panic!("one answer: {finished}");
    };
    assert_eq!(text(answer, "trace_id"), "01".repeat(16));
    assert_eq!(text(answer, "parent_span_id"), "0000000000001234");
    assert_eq!(text(answer, "name"), "fixture::answer");
}

#[test]
fn calls_that_are_no_spans_are_passed_over() {
    if !needs::kernel() {
        return;
    }
    // A condition hides calls. What is inside hangs below the next span around it.
    let path = rust("spans", SOURCE, &["-C", "opt-level=0"]);
    let probes = [
        "span fixture::request \"{me}\" with outer=outer",
        "span fixture::descend \"{me}\" if level == 1",
        "log fixture::note \"{inside}\" rate 100000/s",
    ];
    let finished = run(Program::ready(&path, &[]), &probes, 297);
    let events = finished.events();
    let spans = by_id(&events);
    let mut inner = 0;
    for span in of(&finished, &events, "p2") {
        let parent = spans.get(text(span, "parent_span_id")).expect("a parent");
        let number: u64 = text(span, "name").parse().expect("a number");
        assert_eq!(text(parent, "name"), (number - 12_000).to_string());
        inner += 1;
    }
    assert_eq!(inner, THREADS * ROUNDS);
}

#[test]
fn snapshots_are_events_of_a_part_of_a_function() {
    if !needs::kernel() {
        return;
    }
    let path = rust("spans", SOURCE, &["-C", "opt-level=0"]);
    let (begin, end) = (probe_line(SOURCE, "begin"), probe_line(SOURCE, "end"));
    let probes = [
        format!(
            "span e2e_spans.rs:{begin}..e2e_spans.rs:{end} \"part {{me}}\" error if $elapsed > 0"
        ),
        "span fixture::request \"{me}\"".to_owned(),
        "snapshot fixture::order hits 1000 depth 1".to_owned(),
        "log fixture::shield \"{outer}\"".to_owned(),
    ];
    let finished = run(Program::ready(&path, &[]), &probes, 72);
    let events = finished.events();
    let spans = by_id(&events);
    let parts = of(&finished, &events, "p1");
    assert_eq!(parts.len(), THREADS * ROUNDS, "{finished}");
    for part in parts {
        assert_eq!(part["status"]["message"], "$elapsed > 0");
        let parent = spans.get(text(part, "parent_span_id")).expect("a parent");
        assert_eq!(text(part, "name"), format!("part {}", text(parent, "name")));
        let [inside] = &part["events"].as_array().expect("events")[..] else {
            panic!("one snapshot: {part}");
        };
        assert_eq!(inside["probe"], "p3");
        // `shield` is behind the part, in the request itself.
        let [inside] = &parent["events"].as_array().expect("events")[..] else {
            panic!("one log: {parent}");
        };
        assert_eq!(inside["message"], parent["name"]);
    }
}

#[test]
fn calls_left_by_exceptions_and_longjmp_take_nothing_with_them() {
    if !needs::kernel() {
        return;
    }
    let probes = [
        "span outer_call \"{me}\" with outer=outer",
        "span thrower \"{me}\" with outer=outer",
        "span jumper \"{me}\" with outer=outer",
        "span coroutine \"{me}\" with outer=outer",
        "log note \"{inside}\" rate 100000/s",
    ];
    for optimise in ["-O0", "-O2"] {
        let flags = ["-g", "-pthread", optimise];
        let path = fixture("c++", "leaving", "e2e_spans.cpp", &flags);
        // Half of the calls of `thrower` and `jumper` have no end. All but the last are told by the next call.
        let finished = run(Program::ready(&path, &[]), &probes, 222 + 2 * 9);
        let events = finished.events();
        let uncertain = compare(&events, "2");
        assert_eq!(uncertain, 2, "{finished}");
        assert_eq!(of(&finished, &events, "p1").len(), 20);
        for probe in ["p2", "p3"] {
            let calls = of(&finished, &events, probe);
            assert_eq!(calls.len(), 10 + 9);
            assert_eq!(assert_left(&calls), 9);
            let times = finished.stdout.iter().rev();
            let mut times = times.map(|line| serde_json::from_str(line).expect("JSON"));
            let is_it = |record: &Value| record["type"] == "time" && record["probe"] == probe;
            let times = times.find(is_it).expect("its times");
            // The last one is in progress as far as anybody can tell.
            assert_eq!(
                (
                    counter(&times, "unfinished"),
                    counter(&times, "in_progress")
                ),
                (9, 1)
            );
        }
        assert_eq!(of(&finished, &events, "p4").len(), 8);
    }
}

/// A log and a span at one instruction: the span begins first, and ends last.
#[test]
fn logs_at_the_first_and_the_last_instruction_of_a_span_are_inside() {
    if !needs::kernel() {
        return;
    }
    for (optimise, more, is_span_first) in [
        ("0", "", true),
        ("0", "", false),
        ("2", "", true),
        ("2", "", false),
        ("0", "--perf-events", true),
        ("0", "--follow-fork", true),
        ("0", "--exe", true),
    ] {
        logs_at_its_ends_are_inside(optimise, more, is_span_first);
    }
}

fn logs_at_its_ends_are_inside(optimise: &str, more: &str, is_span_first: bool) {
    const CALLS: usize = THREADS * ROUNDS * 4;
    let mut probes = [
        "log fixture::descend \"{me}\" rate 100000/s as first",
        "log fixture::descend%return \"{$return}\" rate 100000/s as last",
        "span fixture::descend \"{me}\" with result=$return",
    ];
    if is_span_first {
        probes.reverse();
    }
    let path = rust("spans", SOURCE, &["-C", &format!("opt-level={optimise}")]);
    let program = Program::ready(&path, &[]);
    let tracer = match more {
        "--exe" => {
            let exe = path.to_str().expect("test paths are UTF-8");
            let probes = probes.iter().flat_map(|probe| ["-e", probe]);
            let args = ["attach", "--exe", exe, "--output", "json"];
            Tracer::start(args.into_iter().chain(probes))
        }
        "" => Tracer::json(program.pid(), &probes),
        more => Tracer::attach(program.pid(), "json", &probes, &[more]),
    };
    let finished = observe(program, tracer, 3 * CALLS);
    let events = finished.events();
    let spans = by_id(&events);
    assert_eq!(spans.len(), CALLS, "{more} {finished}");
    let mut logs = 0;
    for event in events.iter().filter(|event| span(event).is_none()) {
        logs += 1;
        match (spans.get(text(event, "span_id")), text(event, "probe")) {
            (Some(around), "first") => assert_eq!(around["name"], event["message"], "{event}"),
            (Some(around), _) => {
                let result = around["attributes"]["result"].to_string();
                assert_eq!(result, text(event, "message"), "{event}");
            }
            // The span was attached last, so its end is first.
            (None, name) => {
                assert_eq!((name, is_span_first), ("last", false), "{more} {event}");
                let why = "the span ends at the same instruction";
                assert_eq!(text(event, "span_unknown"), why, "{event}");
            }
        }
    }
    assert_eq!(logs, 2 * CALLS, "{more} {finished}");
}
