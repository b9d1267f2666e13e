//! Probes at cheaper instructions than the first of their line: the same hits, the same values, in
//! the order of the lines.

use serde_json::Value;

use crate::support::build::{c, probe_line};
use crate::support::program::Program;
use crate::support::tracer::{Finished, assert_adds_up, counter, tracer, value};
use crate::support::{needs, observe};

const SOURCE: &str = "e2e_loop.c";

/// One thread makes `calls` calls under the probes, to the end of the program.
fn observe(level: &str, calls: u32, probes: &[String], site: &str) -> Finished {
    let path = c(&format!("loop{level}"), SOURCE, &[level]);
    let program = Program::ready(&path, &["1", &calls.to_string(), "0"]);
    let finished = observe::observe(program, probes, &["--site", site]).finished;
    finished.assert_code(0);
    finished
}

/// Messages of a probe's events.
fn shown(finished: &Finished, probe: &str) -> Vec<String> {
    let events = finished.events();
    let mine = events.iter().filter(|event| event["probe"] == probe);
    mine.map(|event| event["message"].to_string()).collect()
}

#[test]
fn moved_probes_see_the_same_hits_and_values() {
    if !needs::kernel() {
        return;
    }
    let line = probe_line(SOURCE, "work");
    for level in ["-O0", "-O2"] {
        let probes = [
            format!(r#"log {SOURCE}:{line} "{{number}} {{twice}}" rate 1000000/s"#),
            format!("count {SOURCE}:{line}"),
        ];
        let [first, cheapest] =
            ["first", "cheapest"].map(|site| observe(level, 500, &probes, site));
        for finished in [&first, &cheapest] {
            for name in ["p1", "p2"] {
                let summary = finished.summary(name);
                assert_adds_up(&summary);
                assert_eq!(counter(&summary, "hits"), 500, "{level} {name}\n{finished}");
            }
        }
        let values = shown(&first, "p1");
        assert_eq!(values.len(), 500, "{level}");
        assert_eq!(values, shown(&cheapest, "p1"), "{level}");
    }
}

#[test]
fn probes_of_neighbouring_lines_keep_their_order() {
    if !needs::kernel() {
        return;
    }
    let line: u64 = probe_line(SOURCE, "work")
        .to_string()
        .parse()
        .expect("a number");
    // At -O2, `number` is gone after the second line.
    for (level, lines) in [
        ("-O0", &[line - 1, line, line + 1, line + 2][..]),
        ("-O2", &[line, line + 1]),
    ] {
        // The last line comes first, so the order cannot be that of the probes.
        let probes: Vec<String> = lines
            .iter()
            .rev()
            .map(|line| format!(r#"log {SOURCE}:{line} "{{number}}" rate 1000000/s"#))
            .collect();
        let finished = observe(level, 200, &probes, "cheapest");
        let seen: Vec<(i64, u64)> = finished
            .events()
            .iter()
            .map(|event| {
                let number = value(event, "number").as_i64().unwrap_or(-1);
                (number, event["line"].as_u64().expect("a line"))
            })
            .collect();
        let first_call: Vec<u64> = seen
            .iter()
            .filter(|(number, _)| *number == 1)
            .map(|(_, line)| *line)
            .collect();
        assert!(first_call.len() >= 2, "{level}: {finished}");
        for (call, lines) in seen.chunks_exact(first_call.len()).enumerate() {
            let order: Vec<u64> = lines.iter().map(|(_, line)| *line).collect();
            assert_eq!(order, first_call, "{level}: call {call}");
        }
        if level == "-O0" {
            assert!(first_call.is_sorted(), "{level}: {first_call:?}");
        }
    }
}

#[test]
fn sites_of_a_line_say_what_a_hit_is() {
    let path = c("loop-O0", SOURCE, &["-O0"]);
    let line = probe_line(SOURCE, "work");
    let exe = path.to_string_lossy();
    let place = format!("{SOURCE}:{line}");
    let finished = tracer(&["lines", "--exe", &exe, &place, "--json"]);
    finished.assert_code(0);
    let site: Value = serde_json::from_str(&finished.stdout[0]).expect("JSON");
    let kinds = ["one trap", "two traps", "5-byte nop"];
    assert!(
        kinds.contains(&site["cost"].as_str().expect("a cost")),
        "{site}"
    );
}
