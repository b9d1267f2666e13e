//! Records around the events: the session, times, and the end of probes.

use std::fs;

use serde_json::Value;

use crate::support::build::{c, probe_line};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::tracer::{Tracer, assert_adds_up, counter};

const SOURCE: &str = "e2e_loop.c";

/// One thread that calls once a millisecond.
fn calling() -> Program {
    let mut program = Program::ready(&c("loop", SOURCE, &["-O0"]), &["1", "0", "1000"]);
    program.say("go");
    program
}

fn log(rest: &str) -> String {
    let line = probe_line(SOURCE, "work");
    format!(r#"log {SOURCE}:{line} "{{number}}" {rest}"#)
}

fn parsed(lines: &[String]) -> Vec<Value> {
    let parse = |line: &String| serde_json::from_str(line).expect("JSON");
    lines.iter().map(parse).collect()
}

#[test]
fn first_record_says_what_is_traced() {
    if !needs::kernel() {
        return;
    }
    let program = calling();
    let exe = fs::read_link(format!("/proc/{}/exe", program.pid())).expect("it runs");
    let tracer = Tracer::attach(
        program.pid(),
        "json",
        &[&log("as mine")],
        &["--events", "3"],
    );
    let finished = tracer.finish();
    let first = parsed(&finished.stdout).swap_remove(0);
    assert_eq!(first["type"], "session", "{finished}");
    assert_eq!(first["schema"], 1);
    assert_eq!(first["target"]["pid"], program.pid());
    assert_eq!(first["target"]["exe"], exe.to_str().expect("UTF-8"));
    assert_eq!(first["probes"][0]["probe"], "mine");
    assert_eq!(first["probes"][0]["line"], probe_line(SOURCE, "work"));
    assert_eq!(first["probes"][0]["sites"], 1);
}

#[test]
fn hits_behind_the_last_event_that_was_asked_for_are_no_loss() {
    if !needs::kernel() {
        return;
    }
    let mut program = Program::ready(&c("loop", SOURCE, &["-O0"]), &["1", "0", "0"]);
    let probe = log("rate 100000000/s");
    let tracer = Tracer::attach(program.pid(), "json", &[&probe], &["--events", "3"]);
    tracer.wait_tracing();
    program.say("go");
    let finished = tracer.finish();
    assert_eq!(finished.events().len(), 3, "{finished}");
    finished.assert_code(0).assert_says(&[
        "all 3 requested events are shown; ",
        " more came while the probes were being removed, and are counted as events",
        "% of one cpu",
    ]);
    let summary = finished.summary("p1");
    assert!(counter(&summary, "attached_ns") > 0, "{summary}");
}

/// `head` takes two lines, and the summary is still complete.
#[test]
fn summary_file_is_whole_when_stdout_is_closed() {
    if !needs::kernel() {
        return;
    }
    let program = calling();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("summary.json");
    let name = file.to_str().expect("UTF-8");
    let mut tracer = std::process::Command::new("sh");
    tracer.args([
        "-c",
        r#""$0" attach --pid "$1" --output json -e "$2" --summary "$3" | head -n 2"#,
        crate::support::tracer::TRACER,
        &program.pid().to_string(),
        &log(""),
        name,
    ]);
    let finished = Tracer::spawn(tracer).finish();
    assert_eq!(finished.stdout.len(), 2, "{finished}");
    let text = fs::read_to_string(&file).expect("it is written");
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let records = parsed(&lines);
    assert_eq!(records.len(), 2, "{text}");
    assert_eq!(records[0]["type"], "session");
    assert_eq!(records[1]["type"], "summary");
    assert_adds_up(&records[1]);
    assert!(counter(&records[1], "hits") > 0, "{text}");
}

#[test]
fn summary_file_that_cannot_be_made_is_a_mistake() {
    let pid = std::process::id();
    let more = ["--summary", "/nowhere/summary.json"];
    Tracer::attach(pid, "json", &["log main.rs:1"], &more)
        .finish()
        .assert_code(2)
        .assert_says(&["cannot write `/nowhere/summary.json`"]);
}

#[test]
fn times_of_text_are_written_as_asked_for() {
    if !needs::kernel() {
        return;
    }
    let program = calling();
    let first = |style: &str| {
        let more = ["--events", "2", "--time", style];
        let finished = Tracer::attach(program.pid(), "text", &[&log("")], &more).finish();
        let words = finished.stdout.iter();
        let word = |line: &String| line.split(' ').next().map(str::to_owned);
        words.filter_map(word).collect::<Vec<String>>()
    };
    assert_eq!(first("local")[0].len(), "12:04:31.250117".len());
    let utc = first("utc");
    assert!(utc[0].ends_with('Z'), "{utc:?}");
    let date = first("date");
    for time in [&utc[0], &date[0]] {
        time.parse::<jiff::Timestamp>()
            .expect("a time with its zone");
    }
    let seconds = |time: &String| time.parse::<f64>().expect("seconds");
    let relative = first("relative");
    let since = seconds(&relative[0]);
    assert!((0.0..20.0).contains(&since), "{relative:?}");
    assert!(
        seconds(&relative[0]) < seconds(&relative[1]),
        "{relative:?}"
    );
    let delta = first("delta");
    assert!(
        delta[1].starts_with('+') && seconds(&delta[1]) < 5.0,
        "{delta:?}"
    );
}
