//! Services of many processes: workers that a master forks and replaces, and processes that are short.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::build::{c, probe_line};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::tracer::{Finished, Tracer, assert_adds_up, counter};

const PREFORK: &str = "e2e_prefork.c";
const SHORT: &str = "e2e_worker.c";

/// Workers at a time, requests of each, and workers in all.
const WORKERS: u64 = 4;
const REQUESTS: u64 = 7;
const ALL: u64 = 120;

/// Short processes.
const MANY: usize = 10_000;

/// The rows of a count, by their values.
fn rows(finished: &Finished, probe: &str) -> BTreeMap<u64, u64> {
    let lines = finished.stdout.iter();
    let mut parsed = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let is_count = |record: &Value| record["type"] == "count" && record["probe"] == probe;
    let last = parsed.rfind(is_count);
    let last = last.unwrap_or_else(|| panic!("no count: {finished}"));
    let row = |row: &Value| (row["value"].as_u64(), row["count"].as_u64());
    let rows = last["rows"].as_array().expect("rows").iter().map(row);
    rows.map(|(value, count)| (value.expect("a number"), count.expect("a number")))
        .collect()
}

#[test]
fn workers_that_are_replaced_are_counted_each() {
    if !needs::kernel() {
        return;
    }
    let path = c("prefork", PREFORK, &["-O0"]);
    let numbers = [WORKERS, REQUESTS, ALL].map(|number| number.to_string());
    let mut master = Program::ready(&path, &numbers.each_ref().map(String::as_str));
    let line = probe_line(PREFORK, "handle");
    let (each, all) = (
        format!("count {PREFORK}:{line} by $pid as each"),
        format!("count {PREFORK}:{line} as all"),
    );
    let exe = path.to_str().expect("UTF-8");
    let mut args = vec!["attach", "-o", "json", "--max-cpu", "off", "--exe", exe];
    args.extend(["-e", &each, "-e", &all]);
    let tracer = Tracer::start(args);
    tracer.wait_tracing();
    let from = master.stdout.count();
    master.say("go");
    let done = master
        .stdout
        .wait_line("`done`", from, |line| line == "done");
    let lines = master.stdout.lines();
    let ended = lines[from..done].iter();
    let ended = ended.filter_map(|line| line.strip_prefix("worker "));
    let expected: BTreeMap<u64, u64> = ended
        .map(|pid| (pid.parse().expect("a pid"), REQUESTS))
        .collect();
    assert_eq!(expected.len() as u64, ALL, "pids are not used twice");
    let finished = tracer.interrupt();
    finished.assert_code(0);
    assert_eq!(rows(&finished, "each"), expected, "{finished}");
    for probe in ["each", "all"] {
        let summary = finished.summary(probe);
        assert_eq!(counter(&summary, "hits"), ALL * REQUESTS, "{finished}");
        assert_adds_up(&summary);
    }
}

/// Runs a program that makes one call in a constructor.
fn run_short(path: &Path) {
    let status = Command::new(path).arg("0").status().expect("a worker");
    assert!(status.success());
}

#[test]
fn ten_thousand_short_processes_are_all_counted() {
    if !needs::kernel() {
        return;
    }
    let path = c("short-many", SHORT, &["-O0", "-static"]);
    let exe = path.to_str().expect("UTF-8");
    let probe = format!("count {SHORT}:{} as all", probe_line(SHORT, "work"));
    let mut args = vec!["attach", "-o", "json", "--max-cpu", "off", "-e", &probe];
    args.extend(["--wait", "--exe", exe]);
    let tracer = Tracer::start(args);
    tracer.wait_tracing();
    std::thread::scope(|scope| {
        let half = || (0..MANY / 2).for_each(|_| run_short(&path));
        scope.spawn(half);
        scope.spawn(half);
    });
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let summary = finished.summary("all");
    assert_eq!(counter(&summary, "hits"), MANY as u64, "{finished}");
    assert_adds_up(&summary);
    // A process may end at any moment while it is looked at.
    finished.assert_says(&["10000 processes were probed"]);
    let said = finished.stderr.join("\n");
    assert!(
        !said.contains("more could not") && !said.contains("warning"),
        "{finished}"
    );
    assert!(finished.stderr.len() < 60, "{finished}");
}

#[test]
fn program_that_is_waited_for_is_no_new_program_of_the_session() {
    if !needs::kernel() {
        return;
    }
    let path = c("waited-and-stays", SHORT, &["-O0"]);
    let exe = path.to_str().expect("UTF-8");
    let probe = format!("count {SHORT}:{} as all", probe_line(SHORT, "work"));
    let args = ["attach", "-o", "json", "-e", &probe, "--wait", "--exe", exe];
    let tracer = Tracer::start(args);
    tracer.wait_tracing();
    for calls in [3, 4] {
        let mut worker = Program::ready(&path, &[&calls.to_string(), "stay"]);
        // Each look of the session at its targets is behind such a note.
        worker.signal(rustix::process::Signal::STOP);
        let stopped = format!("note: process {} is stopped", worker.pid());
        tracer.stderr.wait_line(&stopped, 0, |line| line == stopped);
        worker.signal(rustix::process::Signal::CONT);
        worker.close_input();
        assert!(worker.wait().success());
    }
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let summary = finished.summary("all");
    assert_eq!(counter(&summary, "hits"), 2 + 3 + 4, "{finished}");
    let said = finished.stderr.join("\n");
    assert!(
        !said.contains("executed") && !said.contains("again"),
        "{finished}"
    );
}
