//! Targets that end, execute other programs, or are stopped, while others go on.

use rustix::process::Signal;

use crate::support::build::{c, probe_line};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::tracer::{Tracer, assert_adds_up, counter};

const SOURCE: &str = "e2e_worker.c";

/// Notes that name targets, at most.
const NAMED: usize = 16;

fn probes() -> [String; 2] {
    ["work", "rest"].map(|name| format!("count {SOURCE}:{} as {name}", probe_line(SOURCE, name)))
}

/// A tracer of all that run the program.
fn attach(exe: &str, more: &[&str]) -> Tracer {
    let [work, rest] = probes();
    let mut args = vec!["attach", "-o", "json", "--max-cpu", "off", "--exe", exe];
    args.extend(["-e", &work, "-e", &rest]);
    args.extend(more);
    let tracer = Tracer::start(args);
    tracer.wait_tracing();
    tracer
}

#[test]
fn targets_that_leave_or_stop_are_told_once_and_the_others_go_on() {
    if !needs::kernel() {
        return;
    }
    let path = c("departing", SOURCE, &["-O0"]);
    let mut workers = [(); 4].map(|()| Program::ready(&path, &["1", "stay"]));
    let tracer = attach(path.to_str().expect("UTF-8"), &[]);
    for worker in &mut workers {
        worker.call(2);
    }
    let [ends, executes, stops, stays] = &mut workers;
    ends.close_input();
    assert!(ends.wait().success());
    tracer.wait_note(&format!("process {} has ended", ends.pid()));
    executes.say("exec /bin/sleep 60");
    let sleep = std::fs::canonicalize("/bin/sleep").expect("sleep");
    let note = format!(
        "process {} executed `{}`, and is not a target any more",
        executes.pid(),
        sleep.display()
    );
    tracer.wait_note(&note);
    stops.signal(Signal::STOP);
    tracer.wait_note(&format!("process {} is stopped", stops.pid()));
    stops.signal(Signal::CONT);
    tracer.wait_note(&format!("process {} runs again", stops.pid()));
    stops.call(3);
    stays.call(3);
    executes.signal(Signal::KILL);
    executes.wait();
    let finished = tracer.interrupt();
    finished.assert_code(0);
    for probe in ["work", "rest"] {
        let summary = finished.summary(probe);
        assert_eq!(counter(&summary, "hits"), 4 * 2 + 2 * 3, "{finished}");
        assert_adds_up(&summary);
    }
    let of_targets = finished
        .stderr
        .iter()
        .filter(|line| line.starts_with("note: process"));
    assert_eq!(of_targets.count(), 4, "{finished}");
}

#[test]
fn stop_of_the_one_process_is_told() {
    if !needs::kernel() {
        return;
    }
    let path = c("departing-one", SOURCE, &["-O0"]);
    let mut worker = Program::ready(&path, &["1", "stay"]);
    let tracer = Tracer::json(worker.pid(), &["count work"]);
    tracer.wait_tracing();
    worker.signal(Signal::STOP);
    tracer.wait_note(&format!("process {} is stopped", worker.pid()));
    worker.signal(Signal::CONT);
    tracer.wait_note(&format!("process {} runs again", worker.pid()));
    worker.call(2);
    let finished = tracer.interrupt();
    assert_eq!(counter(&finished.summary("p1"), "hits"), 2, "{finished}");
}

#[test]
fn program_that_a_target_executes_is_one_too_if_it_matches() {
    if !needs::kernel() {
        return;
    }
    let first = c("executing-a", SOURCE, &["-O0"]);
    let second = c("executing-b", SOURCE, &["-O0", "-DBUILD=2"]);
    let mut worker = Program::ready(&first, &["1", "stay"]);
    let exe = second.to_str().expect("UTF-8");
    let tracer = attach(first.to_str().expect("UTF-8"), &["--exe", exe]);
    worker.say(&format!("exec {exe} 3 stay"));
    let probed = format!("note: process {} is probed, and runs `{exe}`", worker.pid());
    tracer
        .stderr
        .wait_line(&probed, 0, |line| line.starts_with(&probed));
    worker.call(2);
    let finished = tracer.interrupt();
    let said = finished.stderr.join("\n");
    assert!(!said.contains("not a target any more"), "{finished}");
    // The file of the second is known, so its constructor is seen.
    let hits = counter(&finished.summary("work"), "hits");
    assert_eq!(hits, 1 + 3 + 2, "{finished}");
}

#[test]
fn many_targets_that_leave_are_not_all_named() {
    if !needs::kernel() {
        return;
    }
    let path = c("departing-many", SOURCE, &["-O0"]);
    let mut workers: Vec<Program> = (0..2 * NAMED)
        .map(|_| Program::ready(&path, &["1", "stay"]))
        .collect();
    let tracer = attach(path.to_str().expect("UTF-8"), &["--now-only"]);
    for worker in &mut workers {
        worker.close_input();
    }
    // The end of the last one is that of the session.
    let finished = tracer.finish();
    let ends = |line: &&String| line.contains(" has ended");
    let told: Vec<&String> = finished.stderr.iter().filter(ends).collect();
    assert_eq!(told.len(), NAMED, "{finished}");
    let last = "has ended; further processes end and stop silently";
    assert!(told[NAMED - 1].ends_with(last), "{finished}");
    finished.assert_says(&["the target exited"]);
}
