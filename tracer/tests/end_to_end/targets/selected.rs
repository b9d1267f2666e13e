//! Targets that selectors match: several processes, now and later.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::build::{c, probe_line, scratch};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::tracer::{Tracer, assert_adds_up, counter, tracer, value};

const SOURCE: &str = "e2e_worker.c";

/// A copy of the worker under a name of this test alone: other tests run workers, too.
fn worker(test: &str, build: u32) -> PathBuf {
    c(test, SOURCE, &["-O0", &format!("-DBUILD={build}")])
}

fn work() -> String {
    let line = probe_line(SOURCE, "work");
    format!(r#"log {SOURCE}:{line} "{{number}} {{build}}" rate 1000000/s"#)
}

fn select(selectors: &[&str], more: &[&str]) -> Tracer {
    let mut args = vec!["attach", "--output", "json", "--max-cpu", "off", "-e"];
    let work = work();
    args.push(&work);
    args.extend(selectors);
    args.extend(more);
    let tracer = Tracer::start(&args);
    tracer.wait_tracing();
    tracer
}

/// Runs a worker to its end.
#[track_caller]
fn run(path: &Path, count: u32) -> u32 {
    let mut child = Command::new(path)
        .arg(count.to_string())
        .spawn()
        .expect("a worker");
    let pid = child.id();
    assert!(child.wait().expect("its end").success());
    pid
}

/// The numbers of each process's calls, in order.
fn by_process(events: &[Value]) -> BTreeMap<u64, Vec<i64>> {
    let mut all: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
    for event in events {
        let number = value(event, "number").as_i64().expect("a number");
        let pid = event["pid"].as_u64().expect("a number");
        all.entry(pid).or_default().push(number);
    }
    all
}

/// The numbers of a worker that ran from its start: the constructor's, then those of `main`.
fn whole_run(build: i64, last: i64) -> Vec<i64> {
    std::iter::once(1000 + build).chain(1..=last).collect()
}

#[test]
fn processes_of_a_file_are_probed_now_and_later() {
    if !needs::kernel() {
        return;
    }
    let path = worker("selected-file", 1);
    let other = worker("selected-other", 1);
    let mut earlier = [(); 3].map(|()| Program::ready(&path, &["1", "stay"]));
    let mut stranger = Program::ready(&other, &["1", "stay"]);
    let exe = path.to_str().expect("UTF-8");
    let tracer = select(&["--exe", exe], &[]);
    let later: Vec<u32> = (0..5).map(|_| run(&path, 4)).collect();
    run(&other, 4);
    for worker in &mut earlier {
        worker.call(2);
    }
    stranger.call(2);
    tracer.wait_events(5 * 5 + 3 * 2);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let mut expected: BTreeMap<u64, Vec<i64>> = later
        .iter()
        .map(|&pid| (pid.into(), whole_run(1, 4)))
        .collect();
    expected.extend(earlier.iter().map(|one| (one.pid().into(), vec![1, 2])));
    let events = finished.events();
    assert_eq!(by_process(&events), expected, "{finished}");
    // Each process has the static at an address of its own.
    assert!(events.iter().all(|event| *value(event, "build") == 1));
    let summary = finished.summary("p1");
    assert_adds_up(&summary);
    assert_eq!(counter(&summary, "hits"), 31, "{summary}");
}

#[test]
fn short_processes_are_counted_from_their_first_instruction() {
    if !needs::kernel() {
        return;
    }
    let path = worker("selected-short", 1);
    let mut stays = Program::ready(&path, &["1", "stay"]);
    let line = probe_line(SOURCE, "work");
    let exe = path.to_str().expect("UTF-8");
    let count = format!("count {SOURCE}:{line}");
    let args = [
        "attach",
        "--output",
        "json",
        "--max-cpu",
        "off",
        "--exe",
        exe,
        "-e",
        &count,
    ];
    let tracer = Tracer::start(args);
    tracer.wait_tracing();
    for _ in 0..300 {
        run(&path, 0);
    }
    stays.call(7);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let summary = finished.summary("p1");
    assert_eq!(counter(&summary, "hits"), 307, "{finished}");
    assert_adds_up(&summary);
}

#[test]
fn names_are_patterns_and_several_match() {
    if !needs::kernel() {
        return;
    }
    let (first, second) = (worker("selname-a", 1), worker("selname-b", 2));
    let mut one = Program::ready(&first, &["1", "stay"]);
    let mut two = Program::ready(&second, &["1", "stay"]);
    let tracer = select(&["--name", "selname-?"], &[]);
    one.call(1);
    two.call(3);
    tracer.wait_events(4);
    let finished = tracer.interrupt();
    let events = finished.events();
    let expected = BTreeMap::from([
        (u64::from(one.pid()), vec![1]),
        (u64::from(two.pid()), vec![1, 2, 3]),
    ]);
    assert_eq!(by_process(&events), expected, "{finished}");
    for event in &events {
        let build = if event["pid"] == two.pid() { 2 } else { 1 };
        assert_eq!(*value(event, "build"), build, "{event}");
    }
    assert_eq!(counter(&finished.summary("p1"), "hits"), 4, "{finished}");
}

#[test]
fn pids_add_up_and_end_the_session_with_their_end() {
    if !needs::kernel() {
        return;
    }
    let path = worker("selected-pids", 1);
    let mut chosen = [(); 2].map(|()| Program::ready(&path, &["1", "stay"]));
    let mut left_out = Program::ready(&path, &["1", "stay"]);
    let pids = chosen.each_ref().map(|one| one.pid().to_string());
    let tracer = select(&["--pid", &pids[0], "--pid", &pids[1]], &[]);
    run(&path, 4);
    left_out.call(5);
    for worker in &mut chosen {
        worker.call(2);
        worker.close_input();
    }
    let finished = tracer.finish();
    finished.assert_code(0);
    let expected = chosen.iter().map(|one| (one.pid().into(), vec![1, 2]));
    assert_eq!(
        by_process(&finished.events()),
        expected.collect(),
        "{finished}"
    );
}

#[test]
fn different_kinds_narrow() {
    if !needs::kernel() {
        return;
    }
    let path = worker("selected-narrow", 1);
    let mut root = Program::ready(&path, &["1", "stay"]);
    let mut nobody = Program::start_with(&path, &["1", "stay"], |command| {
        use std::os::unix::process::CommandExt as _;
        command.uid(65534);
    });
    nobody
        .stdout
        .wait_line("`ready`", 0, |line| line == "ready");
    let tracer = select(&["--name", "selected-narrow", "--user", "65534"], &[]);
    root.call(3);
    nobody.call(2);
    tracer.wait_events(2);
    let finished = tracer.interrupt();
    let expected = BTreeMap::from([(u64::from(nobody.pid()), vec![1, 2])]);
    assert_eq!(by_process(&finished.events()), expected, "{finished}");
}

#[test]
fn file_that_is_replaced_is_probed_in_both_builds() {
    if !needs::kernel() {
        return;
    }
    let folder = scratch("rolling-upgrade");
    let installed = folder.join("selected-upgrade");
    let put = |build| {
        let new = folder.join(format!("selected-upgrade.{build}"));
        std::fs::copy(worker("selected-upgrade", build), &new).expect("a copy");
        std::fs::rename(&new, &installed).expect("a file in the same folder");
    };
    put(1);
    let mut old = Program::ready(&installed, &["1", "stay"]);
    let exe = installed.to_str().expect("UTF-8");
    let tracer = select(&["--exe", exe], &[]);
    put(2);
    tracer.stderr.wait_line("the new file", 0, |line| {
        line.contains("is another file now, and has the probes")
    });
    let mut new = Program::ready(&installed, &["0", "stay"]);
    old.call(2);
    new.call(3);
    tracer.wait_events(2 + 4);
    let finished = tracer.interrupt();
    let events = finished.events();
    let by_process = by_process(&events);
    assert_eq!(by_process[&old.pid().into()], [1, 2], "{finished}");
    assert_eq!(by_process[&new.pid().into()], whole_run(2, 3), "{finished}");
    for event in &events {
        let build = if event["pid"] == new.pid() { 2 } else { 1 };
        assert_eq!(*value(event, "build"), build, "{event}");
    }
}

#[test]
fn new_build_without_a_place_is_told_and_the_old_one_goes_on() {
    if !needs::kernel() {
        return;
    }
    let folder = scratch("placeless-upgrade");
    let installed = folder.join("selected-placeless");
    let put = |build: &[&str]| {
        let new = folder.join("selected-placeless.new");
        std::fs::copy(c("selected-placeless", SOURCE, build), &new).expect("a copy");
        std::fs::rename(&new, &installed).expect("a file in the same folder");
    };
    put(&["-O0"]);
    let mut old = Program::ready(&installed, &["1", "stay"]);
    let exe = installed.to_str().expect("UTF-8");
    let mut args = vec!["attach", "--exe", exe, "-o", "json", "--max-cpu", "off"];
    args.extend(["-e", "count work", "-e", "count rest as rest"]);
    let tracer = Tracer::start(&args);
    tracer.wait_tracing();
    // It has `rest`, but not `work`.
    put(&["-O0", "-Dwork=labour"]);
    let partly = format!("note: `{exe}` is another file now, and has 1 of the 2 probes");
    tracer.stderr.wait_line(&partly, 0, |line| line == partly);
    // It has neither.
    put(&["-O0", "-Dwork=labour", "-Drest=repose"]);
    let no_place = format!("note: `{exe}` is another file now, and no probe has a place in it");
    tracer
        .stderr
        .wait_line(&no_place, 0, |line| line == no_place);
    let mut new = Program::ready(&installed, &["0", "stay"]);
    let runs = format!(
        "note: process {} runs `{exe}`, in which no probe has a place",
        new.pid()
    );
    tracer.stderr.wait_line(&runs, 0, |line| line == runs);
    old.call(2);
    new.call(3);
    let finished = tracer.interrupt();
    finished.assert_says(&["warning: p1: no site in `selected-placeless`: no function `work`"]);
    assert_eq!(counter(&finished.summary("p1"), "hits"), 2, "{finished}");
}

#[test]
fn process_that_is_quicker_than_the_probes_is_told_with_the_time_that_was_not_seen() {
    if !needs::kernel() {
        return;
    }
    let folder = scratch("quick-upgrade");
    let installed = folder.join("selected-quick");
    let put = |build| {
        let new = folder.join(format!("selected-quick.{build}"));
        std::fs::copy(worker("selected-quick", build), &new).expect("a copy");
        std::fs::rename(&new, &installed).expect("a file in the same folder");
    };
    put(1);
    let _old = Program::ready(&installed, &["1", "stay"]);
    let exe = installed.to_str().expect("UTF-8");
    let tracer = select(&["--exe", exe], &[]);
    put(2);
    let mut new = Program::ready(&installed, &["0", "stay"]);
    let is_probed = format!("process {} is probed", new.pid());
    let told = tracer
        .stderr
        .wait_line("the new process", 0, |line| line.contains(&is_probed));
    let told = tracer.stderr.lines().swap_remove(told);
    new.call(3);
    tracer.wait_events(3);
    let finished = tracer.interrupt();
    // From the report on, no hit is missed. Before, it says so.
    let seen = &by_process(&finished.events())[&new.pid().into()];
    assert!(seen.ends_with(&[1, 2, 3]), "{finished}");
    assert!(
        *seen == whole_run(2, 3) || told.contains("were not seen"),
        "{told}\n{finished}"
    );
}

#[test]
fn end_of_any_process_does_not_disturb_the_others() {
    if !needs::kernel() {
        return;
    }
    let path = scratch("ends").join("selected-ends");
    let put = || {
        let new = path.with_extension("new");
        std::fs::copy(worker("selected-ends", 1), &new).expect("a copy");
        std::fs::rename(&new, &path).expect("a file in the same folder");
    };
    put();
    let mut workers: Vec<Program> = (0..3)
        .map(|_| Program::ready(&path, &["0", "stay"]))
        .collect();
    let exe = path.to_str().expect("UTF-8");
    let tracer = select(&["--exe", exe], &[]);
    let mut expected = BTreeMap::new();
    // One of them stands for all in the tracer. Each new one takes over, at other addresses.
    for _ in 0..3 {
        for worker in &mut workers {
            worker.call(2);
            let numbers: &mut Vec<i64> = expected.entry(worker.pid().into()).or_default();
            numbers.extend([1, 2]);
        }
        let mut oldest = workers.remove(0);
        oldest.close_input();
        assert!(oldest.wait().success());
        let new = Program::ready(&path, &["0", "stay"]);
        expected.insert(new.pid().into(), vec![1001]);
        let is_probed = format!("process {} is probed", new.pid());
        tracer
            .stderr
            .wait_line("the new process", 0, |line| line.contains(&is_probed));
        workers.push(new);
    }
    // The session finds the new file when it next looks at its targets: it has looked at them by then.
    put();
    tracer.stderr.wait_line("the new file", 0, |line| {
        line.contains("is another file now")
    });
    for worker in &mut workers {
        worker.call(1);
        let numbers: &mut Vec<i64> = expected.entry(worker.pid().into()).or_default();
        numbers.push(1);
    }
    tracer.wait_events(expected.values().map(Vec::len).sum());
    let finished = tracer.interrupt();
    assert_eq!(by_process(&finished.events()), expected, "{finished}");
    assert!(!finished.stderr.join("\n").contains("again"), "{finished}");
}

#[test]
fn trampoline_is_refused_where_others_run_the_file() {
    if !needs::kernel() {
        return;
    }
    let path = worker("selected-returns", 1);
    let _stays = Program::ready(&path, &["0", "stay"]);
    let exe = path.to_str().expect("UTF-8");
    let probe = "log work%return \"{build}\" trampoline";
    let finished = tracer(&["attach", "--exe", exe, "-e", probe]);
    finished.assert_code(2);
    finished.assert_says(&["trampoline", "every process that runs the file"]);
}

#[test]
fn chains_of_programs_are_followed_to_the_one_that_matches() {
    if !needs::kernel() {
        return;
    }
    let path = worker("selected-chain", 1);
    let mut stays = Program::ready(&path, &["1", "stay"]);
    let exe = path.to_str().expect("UTF-8");
    let tracer = select(&["--exe", exe], &[]);
    let status = Command::new("sh")
        .args(["-c", &format!("exec {exe} 3")])
        .status()
        .expect("a shell");
    assert!(status.success());
    stays.call(1);
    tracer.wait_events(5);
    let finished = tracer.interrupt();
    let mut numbers: Vec<Vec<i64>> = by_process(&finished.events()).into_values().collect();
    numbers.sort();
    assert_eq!(numbers, [vec![1], whole_run(1, 3)], "{finished}");
}

#[test]
fn program_that_nobody_runs_yet_is_waited_for() {
    if !needs::kernel() {
        return;
    }
    let path = worker("selected-awaited", 1);
    let exe = path.to_str().expect("UTF-8");
    let tracer = select(&["--wait", "--exe", exe], &[]);
    // The program has the probes by then.
    let waiting = format!("waiting for a process that runs {exe}");
    tracer.stderr.wait_line(&waiting, 0, |line| line == waiting);
    let pid = run(&path, 3);
    tracer.wait_events(4);
    let finished = tracer.interrupt();
    let expected = BTreeMap::from([(pid.into(), whole_run(1, 3))]);
    assert_eq!(by_process(&finished.events()), expected, "{finished}");
}

#[test]
fn file_that_does_not_exist_yet_is_waited_for_and_then_gets_the_probes() {
    if !needs::kernel() {
        return;
    }
    let built = worker("selected-absent", 1);
    let path = scratch("absent").join("selected-absent");
    // One from an earlier run of this test.
    let _ = std::fs::remove_file(&path);
    let exe = path.to_str().expect("UTF-8");
    let work = work();
    let tracer = Tracer::start(["attach", "-o", "json", "-e", &work, "--wait", "--exe", exe]);
    let absent = format!("waiting for `{exe}`, which does not exist yet");
    tracer.stderr.wait_line(&absent, 0, |line| line == absent);
    // A part of it is not taken for the program.
    let whole = std::fs::read(&built).expect("it is built");
    std::fs::write(&path, &whole[..whole.len() / 2]).expect("a file of ours");
    std::fs::remove_file(&path).expect("it is ours");
    std::fs::copy(&built, &path).expect("a copy");
    let waiting = format!("waiting for a process that runs {exe}");
    tracer.stderr.wait_line(&waiting, 0, |line| line == waiting);
    let pid = run(&path, 3);
    tracer.wait_events(4);
    let finished = tracer.interrupt();
    finished.assert_says(&["exists now, and gets the probes"]);
    let expected = BTreeMap::from([(pid.into(), whole_run(1, 3))]);
    assert_eq!(by_process(&finished.events()), expected, "{finished}");
}

#[test]
fn awaited_file_that_is_rebuilt_before_it_runs_is_probed_without_a_warning() {
    if !needs::kernel() {
        return;
    }
    let installed = scratch("awaited-rebuild").join("selected-rebuild");
    let put = |build| {
        let new = installed.with_extension("new");
        std::fs::copy(worker("selected-rebuild", build), &new).expect("a copy");
        std::fs::rename(&new, &installed).expect("a file in the same folder");
    };
    put(1);
    let exe = installed.to_str().expect("UTF-8");
    let tracer = select(&["--wait", "--exe", exe], &[]);
    let waiting = format!("waiting for a process that runs {exe}");
    tracer.stderr.wait_line(&waiting, 0, |line| line == waiting);
    put(2);
    tracer.stderr.wait_line("the new file", 0, |line| {
        line.contains("is another file now, and has the probes")
    });
    let mut new = Program::ready(&installed, &["1", "stay"]);
    // The session has looked at the mappings by then.
    new.signal(Signal::STOP);
    tracer.wait_note(&format!("process {} is stopped", new.pid()));
    new.signal(Signal::CONT);
    tracer.wait_note(&format!("process {} runs again", new.pid()));
    new.call(2);
    tracer.wait_events(2 + 2);
    let finished = tracer.interrupt();
    assert!(
        !finished.stderr.join("\n").contains("warning"),
        "{finished}"
    );
}

#[test]
fn nothing_that_matches_is_an_error_with_a_hint() {
    if !needs::kernel() {
        return;
    }
    let work = work();
    let tracer = Tracer::start([
        "attach",
        "--output",
        "json",
        "-e",
        &work,
        "--name",
        "no-such-name",
    ]);
    let finished = tracer.finish();
    finished.assert_says(&["no process matches", "--wait"]);
    finished.assert_code(2);
}
