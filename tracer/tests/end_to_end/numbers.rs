//! Expressions in C and C++ against the same ones in the program, which the compiler has read.

use serde_json::Value;

use crate::support::build::{fixture, probe_line, source};
use crate::support::program::Program;
use crate::support::tracer::{counter, value};
use crate::support::{needs, observe};

const SOURCE: &str = "e2e_numbers.c";
/// Expressions of one event.
const AT_ONCE: usize = 10;

/// The variables of the program, and what they are computed from.
fn results() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(source(SOURCE)).expect("the source is there");
    let found = text.lines().filter_map(|line| {
        let (number, rest) = line.trim().strip_prefix("RESULT(")?.split_once(", ")?;
        Some((format!("r{number}"), rest.strip_suffix(");")?.to_owned()))
    });
    let found: Vec<_> = found.collect();
    assert!(found.len() > 50, "{found:?}");
    found
}

/// Truths are numbers in C.
fn number(value: &Value) -> Value {
    match value {
        Value::Bool(truth) => u8::from(*truth).into(),
        other => other.clone(),
    }
}

/// One name for each type, of those that compilers give it.
fn type_of(value: &Value, expression: &str) -> String {
    let values = value["values"].as_array().expect("values");
    let found = values.iter().find(|one| one["expr"] == expression);
    let name = found.expect("a value")["type"].as_str().expect("a name");
    match name {
        "long int" | "ptrdiff_t" => "long",
        "long unsigned int" | "unsigned long int" => "unsigned long",
        other => other,
    }
    .to_owned()
}

fn compare(compiler: &str, is_cpp: bool) {
    let path = fixture(compiler, "numbers", SOURCE, &["-g", "-O0", "-w"]);
    let line = probe_line(SOURCE, "computed");
    let at = |action: &str, rest: &str| format!("{action} {SOURCE}:{line} {rest}");
    let results = results();
    let logs = results.chunks(AT_ONCE).map(|some| {
        let holes = some
            .iter()
            .map(|(name, text)| format!("{{{text}}} {{{name}}}"));
        at(
            "log",
            &format!("\"{}\"", holes.collect::<Vec<_>>().join(" ")),
        )
    });
    let counts = results
        .iter()
        .map(|(_, text)| at("count", &format!("if {text}")));
    let probes: Vec<String> = logs.chain(counts).collect();
    let observed = observe::observe(Program::ready(&path, &[]), &probes, &[]);
    observed.finished.assert_code(0);
    let events = observed.finished.events();
    let first_count = results.len().div_ceil(AT_ONCE) + 1;
    for (index, (name, text)) in results.iter().enumerate() {
        let probe = format!("p{}", index / AT_ONCE + 1);
        let event = events.iter().find(|event| event["probe"] == *probe);
        let event = event.expect("an event of each");
        let (ours, own) = (value(event, text), value(event, name));
        let which = format!("{compiler}: `{text}`");
        assert_eq!(number(ours), number(own), "{which}");
        let (ours, theirs) = (type_of(event, text), type_of(event, name));
        // A comparison is shown as the truth that it is.
        let is_truth = ours == "bool" && theirs == if is_cpp { "bool" } else { "int" };
        assert!(
            is_truth || ours == theirs,
            "{which}: {ours}, and not {theirs}"
        );
        let summary = observed
            .finished
            .summary(&format!("p{}", index + first_count));
        let holds = number(own) != 0;
        assert_eq!(counter(&summary, "events"), u64::from(holds), "{which}");
        assert_eq!(counter(&summary, "faults"), 0, "{which}");
    }
}

#[test]
fn expressions_in_c_are_what_the_compiler_makes_of_them() {
    if !needs::kernel() {
        return;
    }
    compare("cc", false);
    if needs::tools(&["clang"]) {
        compare("clang", false);
    }
}

#[test]
fn expressions_in_cpp_are_what_the_compiler_makes_of_them() {
    if !needs::kernel() {
        return;
    }
    compare("c++", true);
}
