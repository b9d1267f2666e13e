//! Returns, observed at the functions' own instructions: each one, with its value.

use serde_json::{Value, json};

use crate::support::build::{c, fixture, rust_by, rust_compiler};
use crate::support::observe::Observed;
use crate::support::program::Program;
use crate::support::tracer::{Finished, Tracer, assert_adds_up, counter, value};
use crate::support::{needs, observe};

const SOURCE: &str = "e2e_requests.c";
const CALLS: i64 = 100;

/// Runs the fixture under the probes, to its end.
fn observe(optimise: &str, probes: &[&str]) -> Finished {
    let path = c("requests", SOURCE, &[optimise]);
    let program = Program::ready(&path, &[&CALLS.to_string()]);
    observe::observe(program, probes, &[]).finished
}

fn returned(finished: &Finished, probe: &str) -> Vec<Value> {
    let events = finished.events();
    let mine = events.iter().filter(|event| event["probe"] == probe);
    mine.map(|event| value(event, "$return").clone()).collect()
}

#[test]
fn every_return_is_seen_once_with_its_value() {
    if !needs::kernel() {
        return;
    }
    let probes = [
        "log handle%return",
        "count halve%return",
        "log leave%return \"{$return}\"",
        "log handle%return \"big {$return}\" if $return >= 190",
    ];
    for optimise in ["-O0", "-O2"] {
        let finished = observe(optimise, &probes);
        finished.assert_code(0);
        let handled: Vec<Value> = (1..=CALLS).map(|n| json!(3 * n - 100)).collect();
        assert_eq!(returned(&finished, "p1"), handled, "{optimise}");
        let left = (1..=CALLS).filter(|n| n % 5 != 0);
        let left: Vec<Value> = left.map(|n| json!(-n)).collect();
        assert_eq!(
            returned(&finished, "p3"),
            left,
            "{optimise}: not those that jumped away"
        );
        assert_eq!(counter(&finished.summary("p4"), "events"), 4, "{optimise}");
        for probe in ["p1", "p2", "p3", "p4"] {
            assert_adds_up(&finished.summary(probe));
        }
    }
    // In unoptimised code, each number takes as many calls as it has bits.
    let finished = observe("-O0", &probes);
    let calls: u64 = (1..=CALLS).map(|n| u64::from(n.ilog2()) + 1).sum();
    assert_eq!(counter(&finished.summary("p2"), "hits"), calls);
}

#[test]
fn returned_structs_are_exact_or_say_which_register_has_them() {
    if !needs::kernel() {
        return;
    }
    let probes = [
        "log make_pair%return hits 1",
        "log make_mixed%return hits 1",
        "log make_large%return hits 1",
        "log quarter%return hits 1",
    ];
    for optimise in ["-O0", "-O2"] {
        let finished = observe(optimise, &probes);
        finished.assert_code(0);
        let one = |probe| returned(&finished, probe).remove(0);
        assert_eq!(
            one("p1"),
            json!({"$type": "pair", "first": 1, "second": -1}),
            "{optimise}"
        );
        let mixed = one("p2");
        assert_eq!(mixed["number"], 1, "{optimise}: {mixed}");
        let why = mixed["half"]["$unavailable"].as_str().unwrap_or_default();
        assert!(why.contains("xmm0"), "{optimise}: {mixed}");
        assert_eq!(one("p3")["numbers"], json!([1, 2, 3]), "{optimise}");
        let quarter = one("p4");
        let why = quarter["$unavailable"].as_str().unwrap_or_default();
        assert!(why.contains("xmm0"), "{optimise}: {quarter}");
    }
}

#[test]
fn what_is_not_known_at_a_return_is_refused_with_the_reason() {
    if !needs::kernel() {
        return;
    }
    let refused = [
        (
            "log handle%return \"{request}\"",
            "no longer known at a return",
        ),
        ("log nothing%return \"{$return}\"", "returns nothing"),
        ("log handle \"{$return}\"", "%return"),
        ("log no_such_function%return", "no function"),
    ];
    for (probe, words) in refused {
        let path = c("requests", SOURCE, &["-O0"]);
        let program = Program::ready(&path, &["1"]);
        let finished = Tracer::json(program.pid(), &[probe]).finish();
        finished.assert_code(2).assert_says(&[words]);
    }
}

/// Runs a fixture that prints the results of its functions, with a probe at each of their returns.
fn told(
    path: &std::path::Path,
    scope: &str,
    functions: &[&str],
    display: &str,
) -> (Finished, Vec<String>) {
    let probes: Vec<String> = functions
        .iter()
        .map(|name| format!("log {scope}{name}%return \"{{$return{display}}}\" as {name}"))
        .collect();
    let observed = observe::observe(Program::ready(path, &[]), &probes, &[]);
    (observed.finished, observed.printed)
}

/// Each installed Rust compiler, without and with optimisation.
fn rust_compilers() -> Vec<(String, bool)> {
    let works = |compiler: &String| {
        let version = std::process::Command::new(compiler)
            .arg("--version")
            .output();
        version.is_ok_and(|output| output.status.success())
    };
    // The distribution's compiler has another version than the one beside cargo.
    let mut all = vec![rust_compiler(), "/usr/bin/rustc".to_owned()];
    all.extend(std::env::var("TRACER_TEST_RUSTC").ok());
    all.dedup();
    let all = all.into_iter().filter(works);
    all.flat_map(|compiler| [(compiler.clone(), false), (compiler, true)])
        .collect()
}

#[test]
fn rust_returns_are_what_the_program_prints_or_unavailable() {
    if !needs::kernel() {
        return;
    }
    const CERTAIN: [&str; 10] = [
        "integer",
        "truth",
        "letter",
        "pair",
        "slice",
        "good",
        "bytes",
        "four",
        "half_float",
        "narrow",
    ];
    // The value is in the caller's memory.
    const UNOPTIMISED: [&str; 12] = [
        "halves",
        "large",
        "maybe",
        "nothing_there",
        "maybe_text",
        "text",
        "bad",
        "response",
        "no_arguments",
        "caught",
        "rows",
        "passed_on",
    ];
    // Its only parameter is in another register than usual: the value is correct or not shown.
    const UNCERTAIN: [&str; 1] = ["by_value"];
    // A probe of an unavailable value is refused, with the reason.
    const REFUSED: [&str; 6] = ["unit", "float", "array", "three", "twelve", "mixed"];
    // A few probes at a time, because each session has limited time.
    let all = [&CERTAIN[1..], &UNOPTIMISED, &UNCERTAIN].concat();
    let chunks = all.chunks(6).chain([&REFUSED[..]]);
    // One of the probes is never refused, because a session needs at least one.
    let groups: Vec<Vec<&str>> = chunks.map(|some| [&CERTAIN[..1], some].concat()).collect();
    for (compiler, optimised) in rust_compilers() {
        let flags: &[&str] = if optimised { &["-O"] } else { &[] };
        let path = rust_by(&compiler, "returns-rs", "e2e_returns.rs", flags);
        for group in &groups {
            let (finished, printed) = told(&path, "fixture::", group, ":?");
            if group.contains(&REFUSED[0]) {
                finished.assert_code(2).assert_says(&[
                    "returns nothing",
                    "xmm0",
                    "Rust does not specify where it is returned",
                    "log a variable on the function's last line instead",
                ]);
            }
            let events = finished.events();
            for name in group.iter() {
                let returned = printed
                    .iter()
                    .find_map(|line| line.strip_prefix(&format!("{name} ")))
                    .expect("it is printed");
                match events.iter().find(|event| event["probe"] == *name) {
                    // One half of a value that the callers know may be unavailable.
                    Some(event) if optimised && event.to_string().contains("left away") => {}
                    Some(event) => {
                        assert_eq!(event["message"], returned, "{compiler} {name} {optimised}");
                    }
                    None => assert!(
                        [&REFUSED[..], &UNCERTAIN].concat().contains(name)
                            || optimised && UNOPTIMISED.contains(name),
                        "{compiler} {name} {optimised}: {finished}"
                    ),
                }
            }
        }
    }
}

#[test]
fn cpp_returns_are_exact_or_unavailable() {
    if !needs::kernel() {
        return;
    }
    for optimise in ["-O0", "-O2"] {
        let path = fixture("c++", "returns-cpp", "e2e_returns.cpp", &["-g", optimise]);
        let functions = [
            "integer", "truth", "word", "large", "guarded", "text", "small", "real", "nothing",
        ];
        let (finished, _) = told(&path, "", &functions, ":?");
        finished.assert_code(2).assert_says(&[
            "where C++ returns a class of at most 16 bytes",
            "xmm0",
            "returns nothing",
        ]);
        let events = finished.events();
        let of = |name: &str| -> Option<&Value> {
            let event = events.iter().find(|event| event["probe"] == name)?;
            Some(value(event, "$return"))
        };
        assert_eq!(of("integer"), Some(&json!(5)), "{optimise}");
        assert_eq!(of("truth"), Some(&json!(true)), "{optimise}");
        let word = of("word").expect("a pointer");
        assert!(word.to_string().contains("some"), "{word}");
        let large = of("large").expect("a struct in memory");
        assert_eq!(large["numbers"], json!([5, 10, 15]), "{optimise}");
        assert_eq!(of("text"), Some(&json!("text 5")), "{optimise}");
        for name in ["small", "guarded", "real", "nothing"] {
            assert_eq!(of(name), None, "{name} {optimise}: {finished}");
        }
    }
}

#[test]
fn value_that_the_compiler_may_have_left_away_is_exact_or_unavailable() {
    const CALLS: usize = 20;
    if !needs::kernel() {
        return;
    }
    let functions = [
        "constant",
        "argument",
        "ignored",
        "reads",
        "passes_on",
        "global",
    ];
    let probes =
        functions.map(|name| format!(r#"log {name}%return "{{$return}} {{$hit}}" as {name}"#));
    for (compiler, left_away) in [
        ("gcc", &["ignored"][..]),
        ("clang", &["constant", "argument", "ignored"]),
    ] {
        if !needs::tools(&[compiler]) {
            continue;
        }
        let path = fixture(compiler, "unread", "e2e_unread.c", &["-g", "-O2"]);
        let program = Program::ready(&path, &[&CALLS.to_string()]);
        let Observed {
            finished, printed, ..
        } = observe::observe(program, &probes, &[]);
        let printed: Vec<Value> = printed[1..printed.len() - 1]
            .iter()
            .map(|line| json!(line.parse::<i64>().expect("a number")))
            .collect();
        assert_eq!(printed.len(), CALLS);
        for name in functions {
            let values = returned(&finished, name);
            if left_away.contains(&name) {
                let is_missing = |value: &Value| value["$unavailable"].is_string();
                assert!(
                    values.iter().all(is_missing),
                    "{compiler} {name}: {values:?}"
                );
                continue;
            }
            let wanted = match name {
                "constant" => vec![json!(7); CALLS],
                "argument" => vec![json!(4); CALLS],
                "global" => vec![json!(5); CALLS],
                _ => printed.clone(),
            };
            // A function that leaves by a jump returns the value of another.
            let is_jump = |value: &Value| value["$unavailable"].is_string();
            if name == "passes_on" && values.iter().all(is_jump) {
                continue;
            }
            assert_eq!(values, wanted, "{compiler} {name}");
        }
    }
}
