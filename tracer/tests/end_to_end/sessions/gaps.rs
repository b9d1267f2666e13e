//! Omitted events: when the omission begins, and where.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::build::{c, probe_line};
use crate::support::observe::{Observed, observe};
use crate::support::program::Program;
use crate::support::text::Text;
use crate::support::tracer::{Finished, Tracer, assert_adds_up, counter};
use crate::support::{needs, wait_for};

const SOURCE: &str = "e2e_loop.c";

/// One thread with this many calls, and a pause in µs after each.
fn program(calls: u32, pause_us: u32) -> Program {
    let path = c("loop", SOURCE, &["-O0"]);
    Program::ready(&path, &["1", &calls.to_string(), &pause_us.to_string()])
}

/// Time that all threads of a process ran, in milliseconds.
fn ran_ms(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let of_thread = |thread: fs::DirEntry| {
        let times = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        times.split(' ').next()?.parse::<u64>().ok()
    };
    let ns: u64 = threads.flatten().filter_map(of_thread).sum();
    ns / 1_000_000
}

fn log(rest: &str) -> String {
    let line = probe_line(SOURCE, "work");
    format!(r#"log {SOURCE}:{line} "{{number}}" {rest}"#)
}

fn records(finished: &Finished) -> Vec<Value> {
    let lines = finished.stdout.iter();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// Sum of all gaps. For a single thread, each hit between two events must be in the gap between
/// them.
#[track_caller]
fn checked(finished: &Finished, has_condition: bool) -> (u64, u64) {
    let (mut limited, mut lost) = (0, 0);
    let mut last = 0;
    let mut gap: Option<Value> = None;
    for record in records(finished) {
        if record["type"] == "gap" {
            assert_eq!(record["probe"], "p1");
            assert!(gap.replace(record).is_none(), "two gaps: {finished}");
        } else if record["type"] == "event" {
            let hit = counter(&record, "hit");
            let gap = gap.take().unwrap_or(Value::Null);
            let left_out = counter(&gap, "limited") + counter(&gap, "lost");
            let between = hit - last - 1;
            assert!(left_out <= between, "{gap} {record}");
            assert!(has_condition || left_out == between, "{gap} {record}");
            limited += counter(&gap, "limited");
            lost += counter(&gap, "lost");
            last = hit;
        }
    }
    assert!(gap.is_none(), "a gap is before an event: {finished}");
    let summary = finished.summary("p1");
    assert_adds_up(&summary);
    // Hits after the last event are in the summary alone.
    assert!(limited <= counter(&summary, "limited"), "{summary}");
    assert!(lost <= counter(&summary, "lost"), "{summary}");
    (limited, lost)
}

#[test]
fn hits_over_the_rate_are_marked_where_they_were_and_told_once() {
    if !needs::kernel() {
        return;
    }
    for (rest, has_condition) in [("rate 50/s", false), ("if number % 3 == 0 rate 50/s", true)] {
        let Observed { finished, .. } = observe(program(1_500, 500), &[log(rest)], &[]);
        let (limited, lost) = checked(&finished, has_condition);
        assert!(limited > 100, "{finished}");
        assert_eq!(lost, 0);
        let told = "note: p1 is over its rate limit of 50/s: events are left out; \
                    `rate N/s` in the probe raises it";
        let told = finished.stderr.iter().filter(|line| *line == told).count();
        assert_eq!(told, 1, "{finished}");
        let records = records(&finished);
        let begins: Vec<&Value> = records
            .iter()
            .filter(|one| one["type"] == "limited")
            .collect();
        assert_eq!(begins.len(), 1, "{finished}");
        assert_eq!(begins[0]["rate"], 50);
        assert_eq!(begins[0]["default"], false);
    }
}

#[test]
fn limit_is_told_while_it_holds_back_and_names_the_default() {
    if !needs::kernel() {
        return;
    }
    let mut program = program(0, 0);
    let tracer = Tracer::attach(program.pid(), "text", &[&log("")], &[]);
    tracer.wait_tracing();
    program.say("go");
    let is = |line: &str| line.contains("p1 is over its rate limit of 1,000/s, the default: ");
    tracer.stderr.wait_line("the limit", 0, is);
    let is = |line: &str| {
        line.starts_with("… ") && line.ends_with(" hits of p1 were over its rate limit")
    };
    tracer.stdout.wait_line("a gap", 0, is);
    program.say("stop");
    tracer.interrupt().assert_code(0);
}

/// `every` leaves out hits on purpose, so there are no gaps.
#[test]
fn events_that_are_to_be_apart_have_no_gaps() {
    if !needs::kernel() {
        return;
    }
    let Observed { finished, .. } = observe(program(500, 500), &[log("every 20ms")], &[]);
    let summary = finished.summary("p1");
    assert!(counter(&summary, "limited") > 100, "{summary}");
    let is_event = |record: &Value| record["type"] == "event" || record["type"] == "summary";
    let others = records(&finished);
    let others: Vec<&Value> = others
        .iter()
        .filter(|record| !is_event(record) && record["type"] != "session")
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn lost_events_are_marked_where_they_were() {
    if !needs::kernel() {
        return;
    }
    let mut program = program(0, 0);
    let text = Text::of_exe(program.pid());
    let small = ["--ring-bytes", "1048576"];
    let probe = log("rate 100000000/s");
    let tracer = Tracer::attach(program.pid(), "json", &[&probe], &small);
    text.wait_probed(1);
    tracer.wait_tracing();
    tracer.signal(Signal::STOP);
    program.say("go");
    // The ring overflows while nobody reads it, and is read again later.
    wait_for("more events than the ring holds", || {
        (ran_ms(program.pid()) > 700).then_some(())
    });
    tracer.signal(Signal::CONT);
    let is = |line: &str| line.contains(r#""type":"gap""#);
    tracer.stdout.wait_line("a gap", 0, is);
    program.say("stop");
    program.stdout.wait_line("`done`", 0, |line| line == "done");
    let finished = tracer.interrupt();
    let (limited, lost) = checked(&finished, false);
    assert_eq!(limited, 0);
    assert!(lost > 0, "{finished}");
}
