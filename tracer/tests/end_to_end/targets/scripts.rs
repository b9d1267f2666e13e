//! Scripts that are targets, or that execute them, and programs that take another user.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::build::{c, probe_line, scratch};
use crate::support::needs;
use crate::support::program::{Program, run, status_field};
use crate::support::tracer::{Tracer, assert_adds_up, assert_tells_unseen, counter, value};

const SOURCE: &str = "e2e_worker.c";

/// The user `nobody`, and another one without a name.
const NOBODY: u32 = 65534;
const SOMEBODY: u32 = 54321;

fn work() -> String {
    let line = probe_line(SOURCE, "work");
    format!(r#"log {SOURCE}:{line} "{{number}}" rate 1000000/s"#)
}

fn attach(selectors: &[&str]) -> Tracer {
    let work = work();
    let mut args = vec!["attach", "-o", "json", "--max-cpu", "off", "-e", &work];
    args.extend(selectors);
    Tracer::start(args)
}

/// A script with this text.
fn script(name: &str, text: &str) -> PathBuf {
    let path = scratch("scripts").join(name);
    fs::write(&path, text).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    path
}

/// The numbers of each process's calls, in order.
fn by_process(events: &[Value]) -> BTreeMap<u32, Vec<i64>> {
    let mut all: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    for event in events {
        let number = value(event, "number").as_i64().expect("a number");
        let pid = event["pid"].as_u64().expect("a number");
        let pid = u32::try_from(pid).expect("a pid");
        all.entry(pid).or_default().push(number);
    }
    all
}

#[test]
fn script_is_found_by_its_name_and_its_interpreter_is_the_program() {
    if !needs::kernel() {
        return;
    }
    // An interpreter with a line that can be probed: it reads the script as its input.
    let interpreter = c("e2e-interpreter", SOURCE, &["-O0"]);
    let text = format!("#!{} 2\n", interpreter.display());
    let long = script("tracer-e2e-script-with-a-long-name", &text);
    let tracer = attach(&["--wait", "--name", "tracer-e2e-script-with-*"]);
    let waiting = "waiting for a process";
    tracer
        .stderr
        .wait_line(waiting, 0, |line| line.contains(waiting));
    let mut first = Program::ready(&long, &["stay"]);
    tracer.wait_tracing();
    // The kernel has cut its name, so it is found by a look.
    let mut second = Program::ready(&long, &["stay"]);
    let probed = format!("note: process {} is probed", second.pid());
    tracer
        .stderr
        .wait_line(&probed, 0, |line| line.starts_with(&probed));
    // The interpreter alone has another name.
    run(&interpreter, ["5"]);
    for program in [&mut first, &mut second] {
        let from = program.stdout.count();
        program.say("call 3");
        program
            .stdout
            .wait_line("the calls", from, |line| line == "called");
    }
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let calls = || vec![1, 2, 3];
    let expected = BTreeMap::from([(first.pid(), calls()), (second.pid(), calls())]);
    for program in [&mut first, &mut second] {
        program.close_input();
        program.wait();
    }
    assert_eq!(by_process(&finished.events()), expected, "{finished}");
    // The look comes after the start, though the interpreter has the probes already.
    assert_tells_unseen(&finished, first.pid());
    assert_tells_unseen(&finished, second.pid());
    finished.assert_says(&[&format!(
        "process {} is the script `tracer-e2e-script-with-a-long-name`",
        first.pid()
    )]);
}

#[test]
fn script_with_a_short_name_is_seen_from_its_interpreters_first_instruction() {
    if !needs::kernel() {
        return;
    }
    let interpreter = c("e2e-interpreter2", SOURCE, &["-O0"]);
    let path = script("tracer-e2e-a", &format!("#!{} 2\n", interpreter.display()));
    let mut first = Program::ready(&path, &["stay"]);
    let tracer = attach(&["--name", "tracer-e2e-a"]);
    tracer.wait_tracing();
    let mut second = Command::new(&path).spawn().expect("it can be executed");
    assert!(second.wait().expect("its end").success());
    let finished = tracer.interrupt();
    let expected = BTreeMap::from([(second.id(), vec![1001, 1, 2])]);
    assert_eq!(by_process(&finished.events()), expected, "{finished}");
    first.close_input();
    first.wait();
}

#[test]
fn script_of_an_interpreter_without_debug_information_says_so() {
    if !needs::kernel() {
        return;
    }
    let path = script("tracer-e2e-shell", "#!/bin/sh\nread line\n");
    let mut waits = Program::start(&path, &[]);
    let finished = attach(&["--name", "tracer-e2e-shell"]).finish();
    finished.assert_code(2).assert_says(&[
        &format!("process {} is the script `tracer-e2e-shell`", waits.pid()),
        "`--exe PROGRAM` selects",
        "has no debug information",
    ]);
    waits.close_input();
    waits.wait();
}

#[test]
fn program_that_a_script_executes_is_seen_from_its_first_instruction() {
    if !needs::kernel() {
        return;
    }
    let path = c("scripted-app", SOURCE, &["-O0"]);
    let exe = path.to_str().expect("UTF-8");
    let executes = script("executes-app", &format!("#!/bin/sh\nexec {exe} 3\n"));
    let runs = script("runs-app", &format!("#!/bin/sh\n{exe} 2\n{exe} 1\n"));
    // One interpreter after the other.
    let chain = script("chain-app", &format!("#!{}\n", executes.display()));
    let tracer = attach(&["--wait", "--exe", exe]);
    tracer.wait_tracing();
    let mut ran = Vec::new();
    for path in [&executes, &chain, &runs] {
        let mut child = Command::new(path).spawn().expect("a script");
        ran.push(child.id());
        assert!(child.wait().expect("its end").success());
    }
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let mut seen = by_process(&finished.events());
    for pid in &ran[..2] {
        assert_eq!(seen.remove(pid), Some(vec![1001, 1, 2, 3]), "{finished}");
    }
    let others: Vec<Vec<i64>> = seen.into_values().collect();
    assert_eq!(others, [vec![1001, 1, 2], vec![1001, 1]], "{finished}");
    let refused = attach(&["--exe", executes.to_str().expect("UTF-8")]).finish();
    refused.assert_code(2).assert_says(&["script", "--name"]);
}

/// A copy of the worker that runs as its owner, whoever starts it. `None` if this file system does not
/// let it.
fn set_user_id(name: &str) -> Option<(tempfile::TempDir, PathBuf)> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    fs::copy(c(name, SOURCE, &["-O0"]), &path).expect("a copy");
    let owner = format!("{NOBODY}:{NOBODY}");
    run("chown", [owner.as_str(), path.to_str().expect("UTF-8")]);
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    mode(folder.path(), 0o755).expect("it is ours");
    mode(&path, 0o4755).expect("it is ours");
    let works = needs::set_user_id(folder.path());
    works.then_some((folder, path))
}

#[test]
fn program_that_takes_its_owners_user_is_selected_by_that() {
    if !needs::kernel() {
        return;
    }
    let Some((_folder, path)) = set_user_id("takes-user") else {
        return;
    };
    let as_user = |user: u32| {
        let program = Program::start_with(&path, &["1", "stay"], |command| {
            use std::os::unix::process::CommandExt as _;
            command.uid(user);
        });
        program
            .stdout
            .wait_line("`ready`", 0, |line| line == "ready");
        program
    };
    let mut first = as_user(SOMEBODY);
    let uids = status_field(first.pid(), "Uid").expect("it runs");
    let effective = uids.split_whitespace().nth(1);
    assert_eq!(effective, Some("65534"), "{uids}");
    let nobody = NOBODY.to_string();
    let name = ["--name", "takes-user", "--user"];
    let tracer = attach(&[&name[..], &[&nobody]].concat());
    tracer.wait_tracing();
    let mut second = as_user(SOMEBODY);
    for program in [&mut first, &mut second] {
        let from = program.stdout.count();
        program.say("call 2");
        program
            .stdout
            .wait_line("the calls", from, |line| line == "called");
    }
    let finished = tracer.interrupt();
    let expected = BTreeMap::from([
        (first.pid(), vec![1, 2]),
        (second.pid(), vec![1001, 1, 1, 2]),
    ]);
    assert_eq!(by_process(&finished.events()), expected, "{finished}");
    let summary = finished.summary("p1");
    assert_adds_up(&summary);
    assert_eq!(counter(&summary, "hits"), 6, "{finished}");
    // The one who has started it is not its user.
    let somebody = SOMEBODY.to_string();
    attach(&[&name[..], &[&somebody]].concat())
        .finish()
        .assert_code(2)
        .assert_says(&["processes match the rest, but not `--user`"]);
    for program in [&mut first, &mut second] {
        program.close_input();
        program.wait();
    }
}
