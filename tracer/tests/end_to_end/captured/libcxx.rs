//! Values of libc++, the other C++ standard library. They must equal those of libstdc++ in the same
//! program, which `cargo xtask fidelity` compares with gdb.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::build::{fixture, line_of, probe_line, workspace};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::tracer::{Tracer, value};

/// Lines of the corpus at which all variables of a function are set.
const LINES: [&str; 4] = [
    "return text.size() + view.size();",
    "return numbers.size() + points.size();",
    "return map.size() + hash.size();",
    "return function(3) + *some;",
];

/// Variables that look the same with either library.
const ALIKE: &[&str] = &[
    "text",
    "view",
    "small",
    "large",
    "empty",
    "with_zero",
    "wide",
    "sixteen",
    "part",
    "numbers",
    "points",
    "strings",
    "nested",
    "none",
    "array",
    "list",
    "forward",
    "heap",
    "long_one",
    "map",
    "of_vectors",
    "set",
    "multi",
    "some",
    "integer",
    "string",
    "point",
    "unique",
    "no_unique",
    "polymorphic",
    "shared",
    "second",
    "no_weak",
    "pair",
    "tuple",
];

/// Variables whose order depends on the library.
const UNORDERED: &[&str] = &["hash", "by_name", "hash_set", "empty_hash"];

fn corpus() -> PathBuf {
    workspace().join("xtask/corpus/types.cpp")
}

/// Values at each of the lines, built with these flags.
fn events(folder: &std::path::Path, flags: &[&str]) -> Vec<Value> {
    let program = folder.join(format!("types{}", flags.len()));
    let mut compiler = std::process::Command::new("clang++");
    compiler.args(["-std=c++20", "-g", "-O0", "-w"]).args(flags);
    let status = compiler.arg(corpus()).arg("-o").arg(&program).status();
    assert!(status.expect("clang runs").success(), "{flags:?}");
    let mut program = Program::start(&program, &[]);
    let probes = LINES.map(|mark| format!("log types.cpp:{}", line_of(&corpus(), mark)));
    let probes: Vec<&str> = probes.iter().map(String::as_str).collect();
    let tracer = Tracer::json(program.pid(), &probes);
    tracer.wait_tracing();
    program.say("go");
    let events = tracer.wait_events(LINES.len());
    tracer.interrupt();
    events
}

fn sorted(value: &Value) -> Vec<String> {
    let items = value.as_array().or_else(|| value["$map"].as_array());
    let mut items: Vec<String> = items.into_iter().flatten().map(Value::to_string).collect();
    items.sort();
    items
}

#[test]
fn values_of_libcxx_are_shown_as_those_of_libstdcxx() {
    if !needs::kernel() || !needs::libcxx() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let gnu = events(folder.path(), &[]);
    let llvm = events(folder.path(), &["-stdlib=libc++"]);
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for (gnu, llvm) in gnu.iter().zip(&llvm) {
        let values = gnu["values"].as_array().expect("values");
        let has = |name: &&&str| values.iter().any(|value| value["expr"] == ***name);
        for name in ALIKE.iter().filter(has) {
            compared += 1;
            if value(gnu, name) != value(llvm, name) {
                wrong.push(format!(
                    "{name}: {} {}",
                    value(llvm, name),
                    value(gnu, name)
                ));
            }
        }
        for name in UNORDERED.iter().filter(has) {
            compared += 1;
            let both = [gnu, llvm].map(|event| sorted(value(event, name)));
            if both[0] != both[1] || value(llvm, name).get("$type").is_some() {
                wrong.push(format!("{name}: {}", value(llvm, name)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Two variables are named `text`, two `empty`, and two `none`.
    assert_eq!(compared, ALIKE.len() + UNORDERED.len() + 3);
    // Neither is shown as raw members.
    assert_eq!(value(&llvm[0], "with_zero"), &json!("a\0b"));
    assert_eq!(value(&llvm[2], "multi"), &json!({"$map": [[1, 2], [1, 3]]}));
    assert_eq!(value(&llvm[3], "tuple"), &json!([1, "t", "tuple"]));
    let address = |name| value(&llvm[3], name)["$address"].is_string();
    assert!(address("many") && address("weak"));
}

#[test]
fn string_of_later_libcxx_is_told_by_its_bit_fields() {
    if !needs::kernel() {
        return;
    }
    let source = "e2e_libcxx.cpp";
    let path = fixture("g++", "libcxx", source, &["-g", "-O0"]);
    let program = Program::ready(&path, &[]);
    let probe = format!("log {source}:{}", probe_line(source, "look"));
    let tracer = Tracer::json(program.pid(), &[&probe]);
    let events = tracer.wait_events(1);
    tracer.interrupt();
    let shown = |name| value(&events[0], name);
    assert_eq!(shown("short_one"), &json!("short"));
    assert_eq!(
        shown("long_one"),
        &json!("a text that is longer than its room")
    );
    assert_eq!(shown("wide"), &json!("wide"));
    let why = &shown("damaged")["$unavailable"];
    assert_eq!(why, &json!("invalid value: a length of 100"));
    // The alternate layout, with the flag in the last byte, is not guessed.
    assert_eq!(shown("other")["$type"], json!("basic_string"));
}
