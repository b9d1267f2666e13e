//! Expressions in probes, compared with the compiled ones in the program.

use serde_json::Value;

use crate::support::build::{fixture, probe_line, rust, source};
use crate::support::program::Program;
use crate::support::tracer::{counter, value};
use crate::support::{needs, observe};

const INTEGERS: &str = "e2e_numbers.c";
const FLOATS: &str = "e2e_floats.c";
const OF_RUST: &str = "e2e_floats.rs";
/// Expressions of one event.
const AT_ONCE: usize = 10;

/// Variables of the program, and their sources.
fn results(file: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(source(file)).expect("the source is there");
    let found = text.lines().filter_map(|line| {
        let line = line.trim().strip_prefix("RESULT")?;
        let (number, rest) = line.trim_start_matches(['!', '(', 'r']).split_once(", ")?;
        Some((format!("r{number}"), rest.strip_suffix(");")?.to_owned()))
    });
    let found: Vec<_> = found.collect();
    assert!(found.len() > 50, "{found:?}");
    found
}

/// Booleans are numbers in C.
fn number(value: &Value) -> Value {
    match value {
        Value::Bool(truth) => u8::from(*truth).into(),
        other => other.clone(),
    }
}

/// One name for each type, among those that compilers use.
fn type_of(value: &Value, expression: &str) -> String {
    let values = value["values"].as_array().expect("values");
    let found = values.iter().find(|one| one["expr"] == expression);
    let name = found.expect("a value")["type"].as_str().expect("a name");
    match name {
        "long int" | "ptrdiff_t" => "long",
        "short int" => "short",
        "__int128 unsigned" => "unsigned __int128",
        "long unsigned int" | "unsigned long int" => "unsigned long",
        other => other,
    }
    .to_owned()
}

fn compare(compiler: &str, file: &str, is_cpp: bool) {
    let is_rust = file == OF_RUST;
    let path = if is_rust {
        rust("numbers", file, &["-C", "opt-level=0"])
    } else {
        fixture(compiler, "numbers", file, &["-g", "-O0", "-w"])
    };
    let line = probe_line(file, "computed");
    let at = |action: &str, rest: &str| format!("{action} {file}:{line} {rest}");
    let results = results(file);
    let logs = results.chunks(AT_ONCE).map(|some| {
        let holes = some
            .iter()
            .map(|(name, text)| format!("{{{text}}} {{{name}}}"));
        at(
            "log",
            &format!("\"{}\"", holes.collect::<Vec<_>>().join(" ")),
        )
    });
    // In Rust, only booleans are true or false.
    let is_truth = |text: &str| !is_rust || text.contains(['<', '>', '=']) && !text.contains("<<");
    let is_truth = |text: &str| is_truth(text) && !(is_rust && text.contains(">>"));
    let counted = results.iter().filter(|(_, text)| is_truth(text));
    let counts = counted
        .clone()
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
        // A comparison is shown as a boolean.
        let is_truth = ours == "bool" && theirs == if is_cpp { "bool" } else { "int" };
        assert!(
            is_truth || ours == theirs,
            "{which}: {ours}, and not {theirs}"
        );
    }
    for (index, (name, text)) in counted.enumerate() {
        let of = results.iter().position(|(other, _)| other == name);
        let probe = format!("p{}", of.expect("one of them") / AT_ONCE + 1);
        let event = events.iter().find(|event| event["probe"] == *probe);
        let own = value(event.expect("an event of each"), name);
        let summary = observed
            .finished
            .summary(&format!("p{}", index + first_count));
        let which = format!("{compiler}: `{text}`");
        let is_zero = number(own).as_f64() == Some(0.0) || *own == "0";
        assert_eq!(counter(&summary, "events"), u64::from(!is_zero), "{which}");
        assert_eq!(counter(&summary, "faults"), 0, "{which}");
    }
}

#[test]
fn expressions_in_c_are_what_the_compiler_makes_of_them() {
    if !needs::kernel() {
        return;
    }
    compare("cc", INTEGERS, false);
    if needs::tools(&["clang"]) {
        compare("clang", INTEGERS, false);
    }
}

#[test]
fn expressions_in_cpp_are_what_the_compiler_makes_of_them() {
    if !needs::kernel() {
        return;
    }
    compare("c++", INTEGERS, true);
}

#[test]
fn floats_and_wide_integers_in_c_are_what_the_compiler_makes_of_them() {
    if !needs::kernel() {
        return;
    }
    compare("cc", FLOATS, false);
    if needs::tools(&["clang"]) {
        compare("clang", FLOATS, false);
    }
    compare("c++", FLOATS, true);
}

#[test]
fn floats_and_wide_integers_in_rust_are_what_the_compiler_makes_of_them() {
    if !needs::kernel() {
        return;
    }
    compare("rustc", OF_RUST, false);
}
