//! Methods that are true or false, compared with the program's own answers.

use std::path::Path;

use crate::support::build::{fixture, probe_line, rust, source};
use crate::support::program::Program;
use crate::support::tracer::value;
use crate::support::{needs, observe};

const RUST: &str = "e2e_predicates.rs";
const CPP: &str = "e2e_predicates.cpp";
/// Expressions of one event.
const AT_ONCE: usize = 12;

/// The program's expression in the syntax of probes.
fn questions(file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(source(file)).expect("the source is there");
    let found = text.lines().filter_map(|line| {
        let (asked, written) = line.split_once("// TRUTH")?;
        let asked = match written.trim() {
            "" => asked.trim().trim_end_matches(','),
            written => written,
        };
        Some(asked.to_owned())
    });
    let found: Vec<_> = found.collect();
    assert!(found.len() > 20, "{found:?}");
    found
}

/// Every answer of a probe, in an event and as a condition, must equal the program's.
#[track_caller]
fn compare(path: &Path, file: &str) {
    let line = probe_line(file, "asked");
    let questions = questions(file);
    let logs = questions.chunks(AT_ONCE).map(|some| {
        let holes: String = some.iter().map(|one| format!("{{{one}}} ")).collect();
        format!("log {file}:{line} \"{holes}\"")
    });
    let counts = questions
        .iter()
        .map(|one| format!("count {file}:{line} if {one}"));
    let probes: Vec<String> = logs.chain(counts).collect();
    let observed = observe::observe(Program::ready(path, &[]), &probes, &[]);
    observed.finished.assert_code(0);
    let answers: Vec<&String> = observed
        .printed
        .iter()
        .filter(|line| line.len() == questions.len())
        .collect();
    assert_eq!(answers.len(), 6, "{:?}", observed.printed);
    let logged = questions.len().div_ceil(AT_ONCE);
    for (index, question) in questions.iter().enumerate() {
        let own: Vec<bool> = answers
            .iter()
            .map(|answer| answer.as_bytes().get(index) == Some(&b'1'))
            .collect();
        let probe = format!("p{}", index / AT_ONCE + 1);
        let events = observed.finished.events();
        let of_probe = events
            .iter()
            .filter(|event| event["probe"] == probe.as_str());
        let found: Vec<_> = of_probe
            .map(|event| value(event, question).clone())
            .collect();
        assert_eq!(found, own, "{question} in {}", path.display());
        let summary = observed
            .finished
            .summary(&format!("p{}", logged + index + 1));
        let wanted = own.iter().filter(|truth| **truth).count();
        assert_eq!(summary["events"], wanted, "if {question}: {summary}");
        assert_eq!(summary["faults"], 0, "if {question}: {summary}");
    }
}

#[test]
fn methods_of_rust_values_answer_as_the_program_does() {
    if !needs::kernel() {
        return;
    }
    for level in ["opt-level=0", "opt-level=3"] {
        let flags = ["-C", level];
        compare(&rust("predicates", RUST, &flags), RUST);
    }
}

#[test]
fn methods_of_cpp_values_answer_as_the_program_does() {
    if !needs::kernel() {
        return;
    }
    for (compiler, flags) in [
        ("g++", &["-O0"][..]),
        ("g++", &["-O2"]),
        ("clang++", &["-O0", "-fstandalone-debug"]),
    ] {
        let flags = [&["-g", "-std=c++17"], flags].concat();
        compare(&fixture(compiler, "predicates", CPP, &flags), CPP);
    }
}
