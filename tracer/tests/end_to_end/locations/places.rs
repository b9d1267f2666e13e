//! From a line to its sites and names: inlined copies, scopes, and optimised code.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use tracer::debuginfo::{Module, SiteError};

use crate::support::build::{c, fixture, probe_line};
use crate::support::program::Program;
use crate::support::text::Text;
use crate::support::tracer::{Tracer, tracer, value};
use crate::support::{needs, observe};

const SOURCE: &str = "e2e_inline.c";

fn path(level: &str) -> std::path::PathBuf {
    c(&format!("inline{level}"), SOURCE, &[level])
}

fn events(program: &Program, probe: &str, count: usize) -> Vec<Value> {
    let text = Text::of_exe(program.pid());
    let tracer = Tracer::json(program.pid(), &[probe]);
    tracer.wait_events(count);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    text.wait_restored();
    finished.events()
}

#[test]
fn inlined_copies_are_all_hit() {
    if !needs::kernel() {
        return;
    }
    let line = probe_line(SOURCE, "inlined");
    for level in ["-O0", "-O2"] {
        let program = Program::ready(&path(level), &[]);
        let probe = format!(r#"log {SOURCE}:{line} "{{inlined}}""#);
        let text = Text::of_exe(program.pid());
        let tracer = Tracer::json(program.pid(), &[&probe]);
        text.wait_probed(2);
        tracer.wait_events(20);
        let events = tracer.interrupt().events();
        let functions: BTreeSet<&str> = events
            .iter()
            .map(|event| event["function"].as_str().expect("a function"))
            .collect();
        assert_eq!(functions, BTreeSet::from(["twice"]), "{level}");
        // Consecutive events come from the two copies in turn: 20, 30, 20, 30, ….
        let values: Vec<i64> = events
            .iter()
            .map(|event| value(event, "inlined").as_i64().unwrap_or(0))
            .collect();
        let known = |value: &i64| [20, 30].contains(value);
        assert!(values.iter().all(known), "{level}: {values:?}");
        assert!(
            values.windows(2).all(|pair| pair[0] != pair[1]),
            "{level}: {values:?}"
        );
    }
}

#[test]
fn inlined_copies_are_listed() {
    let line = probe_line(SOURCE, "inlined");
    let exe = path("-O2");
    let exe = exe.to_str().expect("test paths are UTF-8");
    let at = format!("{SOURCE}:{line}");
    let lines = tracer(&["lines", "--exe", exe, &at, "--json"]);
    lines.assert_code(0);
    let addresses: BTreeSet<String> = hex_words(&lines.text());
    assert_eq!(addresses.len(), 2, "two sites: {lines}");
    let funcs = tracer(&["funcs", "--exe", exe, "twice"]);
    funcs.assert_code(0);
    assert!(funcs.text().contains("inline"), "{funcs}");
}

/// The addresses in a text.
fn hex_words(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let words = words.filter(|word| word.starts_with("0x") && word.len() > 4);
    words.map(str::to_owned).collect()
}

#[test]
fn inner_variable_is_read_in_its_scope() {
    if !needs::kernel() {
        return;
    }
    let program = Program::ready(&path("-O0"), &[]);
    let line = probe_line(SOURCE, "inner");
    let probe = format!(r#"log {SOURCE}:{line} "{{only_here}} {{number}} {{sink}}""#);
    for event in events(&program, &probe, 3) {
        assert_eq!(value(&event, "only_here"), 5, "{event}");
        assert_eq!(value(&event, "number"), 4, "{event}");
        assert!(value(&event, "sink").is_i64(), "{event}");
    }
}

#[test]
fn log_without_template_shows_what_is_in_scope_and_no_more() {
    if !needs::kernel() {
        return;
    }
    let program = Program::ready(&path("-O0"), &[]);
    let line = probe_line(SOURCE, "outer");
    for event in events(&program, &format!("log {SOURCE}:{line}"), 2) {
        assert_eq!(value(&event, "number"), 4);
        assert_eq!(value(&event, "sevenfold"), 28);
        assert!(value(&event, "gone").as_i64() > Some(500), "{event}");
        let message = event["message"].as_str().expect("a message");
        assert!(message.contains("number = 4"), "{message}");
        assert!(!message.contains("only_here"), "{message}");
    }
}

#[test]
fn unreadable_value_says_why_and_leaves_the_others() {
    if !needs::kernel() {
        return;
    }
    let program = Program::ready(&path("-O2"), &[]);
    let line = probe_line(SOURCE, "outer");
    let events = events(&program, &format!("log {SOURCE}:{line}"), 2);
    let gone = value(&events[0], "gone");
    assert_eq!(gone, &json!({"$unavailable": "optimised out"}));
    assert_eq!(value(&events[0], "number"), 4);
    // The variable has no location, but its value can be computed.
    assert_eq!(value(&events[0], "sevenfold"), 28);
}

#[test]
fn function_is_a_location() {
    if !needs::kernel() {
        return;
    }
    let program = Program::ready(&path("-O0"), &[]);
    for event in events(&program, r#"log scopes "{number}""#, 2) {
        assert_eq!(value(&event, "number"), 4, "after the prologue: {event}");
        assert_eq!(event["function"], "scopes");
    }
}

const CALLS: &str = "e2e_calls.c";

/// A line with only inlined copies of its calls left, and a function that starts with such a copy.
/// Names and stack are those of the caller.
#[test]
fn what_was_inlined_away_is_probed_where_it_calls() {
    if !needs::kernel() {
        return;
    }
    let first = probe_line(CALLS, "first");
    for compiler in ["gcc", "clang"] {
        if !needs::tools(&[compiler]) {
            continue;
        }
        let path = fixture(compiler, "calls", CALLS, &["-g", "-O2"]);
        let probes = [
            format!(r#"log {CALLS}:{first} "{{outer}} {{other}}" if outer % 2 == 0 depth 2"#),
            r#"log work "{outer} {other}""#.to_owned(),
            format!(r#"count {CALLS}:{first} by other - outer"#),
        ];
        let observed = observe::observe(Program::ready(&path, &[]), &probes, &[]);
        observed.finished.assert_code(0);
        let events = observed.finished.events();
        for (probe, step) in [("p1", 2), ("p2", 1)] {
            let of_probe = events.iter().filter(|event| event["probe"] == probe);
            let messages: Vec<&Value> = of_probe.clone().map(|event| &event["message"]).collect();
            let expected: Vec<Value> = (0..50)
                .step_by(step)
                .map(|call| json!(format!("{call} {}", 1000 + call)))
                .collect();
            assert_eq!(
                messages,
                expected.iter().collect::<Vec<_>>(),
                "{compiler}: {probe}"
            );
            for event in of_probe {
                assert_eq!(event["function"], "work", "{compiler}: {event}");
                let has_stack = probe == "p1";
                assert!(!has_stack || event["line"] == first, "{compiler}: {event}");
                for (frame, (function, inlined)) in [("work", false), ("main", false)]
                    .into_iter()
                    .enumerate()
                    .filter(|_| has_stack)
                {
                    let frame = &event["stack"][frame];
                    assert_eq!(frame["function"], function, "{compiler}: {event}");
                    assert_eq!(frame["inlined"], inlined, "{compiler}: {event}");
                }
            }
        }
        let counted = observed.finished.summary("p3");
        assert_eq!(counted["hits"], 50, "{compiler}: {counted}");
    }
}

/// Each iteration of a loop passes its first instruction. So a copy that starts with a loop is not
/// a site of the calling line, which runs once.
#[test]
fn a_copy_that_begins_with_a_loop_is_no_place_of_its_call() {
    let line = probe_line(CALLS, "loop");
    for compiler in ["gcc", "clang"] {
        if !needs::tools(&[compiler]) {
            continue;
        }
        let path = fixture(compiler, "calls-loop", CALLS, &["-g", "-O2"]);
        let module = Module::open(&path).expect("the program opens");
        let file = module.find_files(CALLS)[0];
        // A line moves only within its function. GCC has no further line there.
        match module.sites(file, line) {
            Ok(sites) => {
                assert_eq!(sites.moved_from, Some(line), "{compiler}: {sites:?}");
                let within = sites.sites.iter().all(|site| site.function == "loops");
                assert!(within, "{compiler}: {sites:?}");
            }
            Err(error) => assert!(
                matches!(error, SiteError::NoCode { .. }),
                "{compiler}: {error}"
            ),
        }
        let lines = module.lines(file).expect("lines");
        assert!(!lines.contains_key(&line), "{compiler}: {lines:?}");
        assert!(
            lines.contains_key(&probe_line(CALLS, "first")),
            "{compiler}"
        );
    }
}
