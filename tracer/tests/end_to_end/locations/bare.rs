//! Code without debug information: functions that only a symbol names.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::build::{c, fixture};
use crate::support::program::Program;
use crate::support::tracer::{counter, tracer};
use crate::support::{needs, observe};

const FILE: &str = "libe2e_bare.so";

fn linked() -> PathBuf {
    let flags = [
        "-O2",
        "-s",
        "-shared",
        "-fPIC",
        "-Wl,-soname,libe2e_bare.so",
    ];
    let library = fixture("cc", FILE, "e2e_bare_lib.c", &flags);
    let folder = library.parent().expect("a file is in a folder");
    let rpath = format!("-Wl,-rpath,{}", folder.display());
    let library = library.to_str().expect("test paths are UTF-8");
    c("bare", "e2e_bare_main.c", &["-O0", library, &rpath])
}

#[test]
fn functions_of_a_stripped_library_are_probed_by_their_symbols() {
    if !needs::kernel() {
        return;
    }
    let probes = [
        "count bare_leaf",
        r#"log bare_tail "in {$pid}" depth 2"#,
        "time bare_slow",
        "time bare_tail",
        "log bare_leaf%return hits 3",
        "time bare_away trampoline",
        "time bare_parted",
    ];
    let observed = observe::observe(Program::ready(&linked(), &[]), &probes, &[]);
    let finished = &observed.finished;
    finished.assert_code(0);
    finished.assert_says(&["`bare_leaf` of libe2e_bare.so has no debug information"]);
    // Called, tail-called, and called by the slow one.
    assert_eq!(counter(&finished.summary("p1"), "hits"), 50);
    let events = finished.events();
    let of = |probe: &str| -> Vec<&Value> {
        events
            .iter()
            .filter(|event| event["probe"] == *probe)
            .collect()
    };
    let tails = of("p2");
    assert_eq!(tails.len(), 20);
    for event in tails {
        assert_eq!(event["function"], "bare_tail", "{event}");
        assert!(
            event.get("file").is_none() && event.get("line").is_none(),
            "{event}"
        );
        assert_eq!(event["message"], format!("in {}", event["pid"]), "{event}");
        assert_eq!(event["stack"][0]["function"], "bare_tail", "{event}");
        assert_eq!(event["stack"][1]["function"], "main", "{event}");
    }
    assert_eq!(of("p5").len(), 3);
    for (probe, calls, at_least) in [
        ("p3", 10, 2_000_000),
        ("p4", 20, 1),
        ("p6", 20, 1),
        ("p7", 5, 2_000_000),
    ] {
        let times = |line: &Value| line["type"] == "time" && line["probe"] == *probe;
        let lines = finished.stdout.iter();
        let mut parsed = lines.map(|line| serde_json::from_str(line).expect("JSON"));
        let aggregate: Value = parsed.find(times).expect("its times");
        assert_eq!(aggregate["total"], calls, "{aggregate}");
        let shortest = aggregate["min_ns"].as_u64().expect("a time");
        assert!(shortest >= at_least, "{aggregate}");
    }
}

#[test]
fn what_is_not_known_of_a_bare_function_is_refused() {
    let path = linked();
    if !needs::kernel() {
        return;
    }
    let program = Program::ready(&path, &[]);
    let refused = |probe: &str, words: &[&str]| {
        let pid = program.pid().to_string();
        let finished = tracer(&["attach", "--check", "--pid", &pid, "-e", probe]);
        assert_ne!(finished.code, Some(0), "{probe}");
        finished.assert_says(words);
    };
    refused(
        r#"log bare_leaf "{number}""#,
        &["no `number` in scope", "has no debug information"],
    );
    refused(
        r#"log bare_leaf%return "{$return}""#,
        &["the type of the returned value is unknown"],
    );
    refused(
        "time bare_away",
        &["leaves its symbol", "the option `trampoline`"],
    );
    refused("count bare_lea", &["no function `bare_lea`"]);
}

#[test]
fn lists_of_a_stripped_program_say_first_that_it_has_no_debug_information() {
    let stripped = fixture("cc", "stripped", "e2e_loop.c", &["-O0", "-s"]);
    let stripped = stripped.to_str().expect("test paths are UTF-8");
    for list in [&["lines"][..], &["funcs", "main"]] {
        let finished = tracer(&[list, &["--exe", stripped]].concat());
        finished.assert_says(&["has no debug information", "build it with `-g`"]);
    }
    let described = fixture("cc", "described", "e2e_loop.c", &["-O0", "-g"]);
    let described = described.to_str().expect("test paths are UTF-8");
    let finished = tracer(&["lines", "--exe", described]);
    assert!(
        !finished.text().contains("has no debug information"),
        "{finished}"
    );
}
