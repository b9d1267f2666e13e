//! Operators, conditions and redaction in the real kernel, with exact numbers of hits.

use std::collections::BTreeMap;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::build::{c, probe_line};
use crate::support::program::Program;
use crate::support::text::Text;
use crate::support::tracer::{Finished, Tracer, assert_adds_up, counter, value};
use crate::support::{needs, observe};

const SOURCE: &str = "e2e_requests.c";
const CALLS: i64 = 100;

fn at_handle(action: &str, rest: &str) -> String {
    let line = probe_line(SOURCE, "handle");
    format!("{action} {SOURCE}:{line} {rest}")
}

/// Runs the fixture under the probes, to its end.
fn observe(probes: &[String], more: &[&str]) -> Finished {
    let path = c("requests", SOURCE, &["-O0"]);
    let program = Program::ready(&path, &[&CALLS.to_string()]);
    observe::observe(program, probes, more).finished
}

#[test]
fn conditions_let_exactly_their_hits_through() {
    if !needs::kernel() {
        return;
    }
    let hits = |holds: fn(i64) -> bool| (1..=CALLS).filter(|number| holds(*number)).count() as u64;
    let cases: [(&str, u64, u64); 20] = [
        ("number > 40 && number <= 60", 20, 0),
        ("request->bytes < 0 || number == 100", 50, 0),
        ("!(number % 2 == 0)", 50, 0),
        ("request->method == PUT", hits(|n| n % 3 == 1), 0),
        ("request->path == \"/\"", 25, 0),
        ("request->path.starts_with(\"/api\")", 50, 0),
        ("request->path.contains(\"items/\")", 25, 0),
        ("request->path.matches(/^\\/(api|$)/)", 75, 0),
        ("matches(request->path, /ITEMS\\/[0-9]+$/i)", 25, 0),
        ("!request->path.matches(/./)", 0, 0),
        ("request->tag == \"tag1\"", 50, 0),
        (
            "request->tag.contains(\"m\") || request->tag.matches(/[2-9]$/)",
            0,
            0,
        ),
        ("request->user == null", 50, 0),
        ("request->user->name == \"ada\"", 50, 50),
        (
            "request->user != null && request->user->name == \"ada\"",
            50,
            0,
        ),
        ("request->weight >= 12.5", hits(|n| n >= 50), 0),
        ("1 << (number - 10) > 0", 31, 68),
        ("number & 3 == 3", hits(|n| n & 1 == 1), 0),
        ("(number & 3) == 3", 25, 0),
        ("100 / (number - 50) > 1 && $pid == $tid && $hit > 0", 50, 1),
    ];
    let probes: Vec<String> = cases
        .iter()
        .map(|(condition, ..)| at_handle("count", &format!("if {condition}")))
        .collect();
    let finished = observe(&probes, &[]);
    finished.assert_code(0);
    for (index, (condition, events, faults)) in cases.iter().enumerate() {
        let summary = finished.summary(&format!("p{}", index + 1));
        assert_eq!(counter(&summary, "hits"), CALLS as u64, "{condition}");
        assert_eq!(
            counter(&summary, "events"),
            *events,
            "{condition}: {summary}"
        );
        assert_eq!(
            counter(&summary, "faults"),
            *faults,
            "{condition}: {summary}"
        );
        assert_adds_up(&summary);
    }
}

#[test]
fn kernel_side_says_what_it_does_when_it_is_asked() {
    if !needs::kernel() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let log = |name: &str, more: &[&str]| {
        let path = folder.path().join(name);
        let path = path.to_str().expect("plain").to_owned();
        let probe = at_handle("count", "if request->user->name == \"ada\"");
        let finished = observe(&[probe], &[&["--log-file", &path][..], more].concat());
        finished.assert_code(0);
        assert_eq!(counter(&finished.summary("p1"), "faults"), 50);
        std::fs::read_to_string(path).expect("a log")
    };
    let asked = log("asked", &["--log-kernel"]);
    let lines = |words: &str| asked.lines().filter(|line| line.contains(words)).count();
    assert_eq!(
        lines("DEBUG tracer_ebpf: the condition of site"),
        50,
        "{asked}"
    );
    assert_eq!(lines("TRACE tracer_ebpf: a plan of site"), 50, "{asked}");
    let silent = log("silent", &[]);
    assert!(silent.contains("DEBUG tracer::"), "{silent}");
    assert!(!silent.contains(" tracer_ebpf: "), "{silent}");
}

#[test]
fn counts_by_enum_text_and_thread_have_a_row_for_each() {
    if !needs::kernel() {
        return;
    }
    let probes = [
        at_handle("count", "by request->method"),
        at_handle("count", "by request->path"),
        at_handle("count", "by $thread"),
        at_handle("count", "by request->user->name"),
        at_handle("count", "by request->weight < 10.0"),
    ];
    let finished = observe(&probes, &[]);
    finished.assert_code(0);
    let rows = |probe: &str| -> BTreeMap<String, u64> {
        let lines = finished.stdout.iter();
        let line: Value = lines
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
            .find(|line| line["type"] == "count" && line["probe"] == probe)
            .expect("a count");
        let rows = line["rows"].as_array().expect("rows");
        rows.iter()
            .map(|row| (row["value"].to_string(), counter(row, "count")))
            .collect()
    };
    let by_method = rows("p1");
    assert_eq!(
        by_method.values().copied().collect::<Vec<_>>(),
        [33, 33, 34]
    );
    assert!(
        by_method
            .keys()
            .all(|key| !key.chars().any(|c| c.is_ascii_digit())),
        "{by_method:?}"
    );
    let paths = [
        "\"/\"",
        "\"/api/items\"",
        "\"/api/items/7\"",
        "\"/index.html\"",
    ];
    assert_eq!(rows("p2"), paths.map(|path| (path.to_owned(), 25)).into());
    assert_eq!(rows("p3").values().sum::<u64>(), CALLS as u64);
    assert_eq!(rows("p3").len(), 1);
    let names = rows("p4");
    assert_eq!(names.get("\"ada\""), Some(&50), "{names:?}");
    assert_eq!(names.len(), 2, "those without a user are a row: {names:?}");
    assert_eq!(
        rows("p5"),
        [("false".into(), 61), ("true".into(), 39)].into()
    );
}

#[test]
fn secrets_leave_by_no_output_unless_asked_for() {
    if !needs::kernel() {
        return;
    }
    let probes = [at_handle(
        "log",
        "\"{*request->user} {request->user->password}\" if number == 2",
    )];
    let hidden = observe(&probes, &[]);
    hidden.assert_code(0);
    assert!(!hidden.text().contains("hunter2"), "{hidden}");
    let event = &hidden.events()[0];
    assert_eq!(
        value(event, "request->user->password"),
        &json!({"$unavailable": "redacted"})
    );
    assert!(hidden.text().contains("ada"), "{hidden}");
    let shown = observe(&probes, &["--no-redact"]);
    assert!(shown.text().contains("hunter2"), "{shown}");
    let own = observe(&probes, &["--redact", "name"]);
    assert!(!own.text().contains("ada"), "{own}");
    let refused = observe(
        &[
            probes[0].clone(),
            at_handle("count", "by request->user->password"),
        ],
        &[],
    );
    refused.assert_code(2).assert_says(&["redacted"]);
}

#[test]
fn signal_silences_all_probes_and_wakes_them() {
    if !needs::kernel() {
        return;
    }
    let path = c("requests", SOURCE, &["-O0"]);
    let mut program = Program::ready(&path, &[&CALLS.to_string()]);
    let text = Text::of_exe(program.pid());
    let tracer = Tracer::json(program.pid(), &[&at_handle("log", "\"{number}\"")]);
    tracer.wait_tracing();
    text.wait_probed(1);
    tracer.signal(Signal::USR1);
    tracer
        .stderr
        .wait_line("silenced", 0, |line| line.contains("silenced"));
    // Nothing is left in the target that could disturb it.
    text.wait_restored();
    tracer.signal(Signal::USR1);
    tracer
        .stderr
        .wait_line("awake", 0, |line| line.contains("awake"));
    text.wait_probed(1);
    program.say("go");
    program.stdout.wait_line("`done`", 0, |line| line == "done");
    let finished = tracer.interrupt();
    let summary = finished.summary("p1");
    assert_eq!(counter(&summary, "events"), CALLS as u64, "{summary}");
    assert_adds_up(&summary);
}
