//! Returns, observed at the functions' own instructions: each one, with its value.

use serde_json::{Value, json};

use crate::support::build::c;
use crate::support::needs;
use crate::support::program::Program;
use crate::support::text::Text;
use crate::support::tracer::{Finished, Tracer, assert_adds_up, counter, value};

const SOURCE: &str = "e2e_requests.c";
const CALLS: i64 = 100;

/// Runs the fixture under the probes, to its end.
fn observe(optimise: &str, probes: &[&str]) -> Finished {
    let path = c("requests", SOURCE, &[optimise]);
    let mut program = Program::ready(&path, &[&CALLS.to_string()]);
    let text = Text::of_exe(program.pid());
    let tracer = Tracer::json(program.pid(), probes);
    tracer
        .stderr
        .wait_line("the probes", 0, |line| line.starts_with("tracing "));
    program.say("go");
    program.stdout.wait_line("`done`", 0, |line| line == "done");
    let finished = tracer.interrupt();
    text.wait_restored();
    finished
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
    // Unoptimised, each number takes as many calls as it has bits.
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
            "not known any more at a return",
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
