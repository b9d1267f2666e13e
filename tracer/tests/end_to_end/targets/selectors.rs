//! Processes that are selected by name, executable or unit instead of by pid.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::support::build::{c, probe_line, scratch};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::tracer::{Tracer, tracer};

const SOURCE: &str = "e2e_loop.c";

fn probe() -> String {
    format!("log {SOURCE}:{} \"{{number}}\"", probe_line(SOURCE, "work"))
}

/// A copy of the fixture under a name that no other test has.
fn program(name: &str) -> PathBuf {
    let path = scratch(name).join(name);
    fs::copy(c("loop", SOURCE, &["-O0"]), &path).expect("a copy");
    path
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().expect("a path of ours")
}

#[test]
fn doctor_looks_at_each_program_of_the_selected_processes() {
    if !needs::kernel() {
        return;
    }
    let (first, second) = (program("chosen-one"), program("chosen-two"));
    let programs = [
        Program::ready(&first, &["1"]),
        Program::ready(&first, &["1"]),
        Program::ready(&second, &["1"]),
    ];
    let [one, two, three] = programs.each_ref().map(Program::pid);
    let finished = tracer(&["doctor", "--name", "chosen-*"]);
    finished.assert_code(0);
    let told = finished.text();
    for line in [
        format!(
            "3 processes match --name 'chosen-*': {one} chosen-one, {two} chosen-one, {three} chosen-two"
        ),
        format!("process {one} ({})", first.display()),
        format!("  the same program: {two}"),
        format!("process {three} ({})", second.display()),
    ] {
        assert!(told.lines().any(|told| told == line), "{line}\n{finished}");
    }
    let finished = tracer(&["doctor", "--json", "--name", "chosen-*"]);
    let processes = &finished.json()["processes"];
    assert_eq!(processes["matched"], json!(3), "{finished}");
    assert_eq!(
        processes["programs"][0]["others"],
        json!([two]),
        "{finished}"
    );
    assert_eq!(processes["programs"][1]["pid"], json!(three), "{finished}");
    let finished = tracer(&["doctor", "--json", "--exe", text(&second)]);
    assert_eq!(
        finished.json()["process"]["pid"],
        json!(three),
        "{finished}"
    );
}

#[test]
fn more_names_than_a_session_can_have_are_refused() {
    if !needs::kernel() {
        return;
    }
    let path = program("one-of-many-names");
    let _runs = Program::ready(&path, &["1"]);
    let probe = probe();
    let mut args = vec!["attach", "-e", &probe];
    args.extend(["--name", "one-of-many-names"]);
    let names: Vec<String> = (0..17)
        .map(|number| format!("one-of-many-*{number}"))
        .collect();
    for name in &names {
        args.extend(["--name", name]);
    }
    let finished = tracer(&args);
    finished.assert_code(2);
    finished.assert_says(&["no more than 16 names can be selected at once", "pattern"]);
}

#[test]
fn nothing_that_matches_is_told_with_a_hint() {
    let (never, probe) = (program("never-started"), probe());
    for (args, words) in [
        (
            &["attach", "--exe", text(&never), "-e", &probe][..],
            &["no process matches `--exe ", "--wait"][..],
        ),
        (
            &["attach", "--name", "kthreadd", "-e", &probe],
            &["matches only pid 2 (`kthreadd`), a kernel thread", "hint:"],
        ),
        (
            &["attach", "--unit", "no-such-unit", "-e", &probe],
            &["no process matches `--unit no-such-unit.service`", "--wait"],
        ),
        (
            &["attach", "--container", "no-such-container", "-e", &probe],
            &[
                "no container has the id or name `no-such-container`",
                "hint:",
            ],
        ),
        (
            &["attach", "--cgroup", "/no/such", "-e", &probe],
            &["there is no cgroup `/no/such`", "--wait"],
        ),
        (
            &["attach", "--user", "no-such-user", "-e", &probe],
            &["no user is named `no-such-user`", "hint:"],
        ),
        (
            &["attach", "--pid", "no-such-name", "-e", &probe],
            &["no process is named `no-such-name`", "--wait"],
        ),
        (
            &["attach", "--name", "", "-e", &probe],
            &["the name is empty"],
        ),
        (
            &["attach", "-o", "text", "-e", &probe],
            &["the process is missing", "--unit"],
        ),
        (
            &["doctor", "--name", "never-started"],
            &["no process matches `--name never-started`"],
        ),
    ] {
        let finished = tracer(args);
        finished.assert_code(2).assert_says(words);
    }
}

#[test]
fn check_takes_a_file_or_the_processes_of_one_program() {
    let (first, second) = (program("checked-one"), program("checked-two"));
    let probe = probe();
    let check = |args: &[&str]| {
        let more = ["attach", "--check", "-e", &probe];
        tracer(&more.iter().chain(args).copied().collect::<Vec<_>>())
    };
    // No process runs it.
    check(&["--exe", text(&first)]).assert_code(0);
    let _programs = [
        Program::ready(&first, &["1"]),
        Program::ready(&first, &["1"]),
        Program::ready(&second, &["1"]),
    ];
    check(&["--name", "checked-one"]).assert_code(0);
    let finished = check(&["--name", "checked-*"]);
    finished
        .assert_code(2)
        .assert_says(&["run 2 programs", "--check --exe PATH"]);
}

#[test]
fn file_of_probes_selects_its_process() {
    if !needs::kernel() {
        return;
    }
    let path = program("of-a-file");
    let mut program = Program::ready(&path, &["1", "0", "1000"]);
    program.say("go");
    let file = path.with_file_name("probes");
    let target = format!(
        "target --exe '{}' --now-only\n{}\n",
        path.display(),
        probe()
    );
    fs::write(&file, target).expect("a file");
    let attach = ["attach", "-o", "json", "--events", "3", "-f", text(&file)];
    let finished = tracer(&attach);
    finished.assert_code(0);
    assert_eq!(finished.events().len(), 3, "{finished}");
    let matched = format!(
        "1 process matches --exe {}: {} of-a-file",
        path.display(),
        program.pid()
    );
    finished.assert_says(&[&matched]);
    fs::write(&file, "\ntarget --unti x\n").expect("a file");
    let place = format!("{}:2: the line `target` has no `--unti`", file.display());
    tracer(&attach)
        .assert_code(2)
        .assert_says(&[&place, "did you mean `--unit`?"]);
}

#[test]
fn changed_target_of_a_file_is_told_to_come_later() {
    if !needs::kernel() {
        return;
    }
    let path = program("of-a-changed-file");
    let mut program = Program::ready(&path, &["1", "0", "1000"]);
    program.say("go");
    let file = path.with_file_name("changed-probes");
    let exe = path.display();
    let (target, probe) = (format!("target --exe '{exe}'"), probe());
    fs::write(&file, format!("{target}\n{probe}\n")).expect("a file");
    let tracer = Tracer::start(["attach", "-o", "json", "-f", text(&file)]);
    tracer.wait_tracing();
    let told = |line: &str| line.contains("the lines `target` have changed");
    // A probe that changes alone is no news on targets.
    fs::write(&file, format!("{target}\n{probe} as named\n")).expect("a file");
    let named = |line: &str| line.contains("named is added");
    tracer.stderr.wait_line("the new probe", 0, named);
    assert!(!tracer.stderr.lines().iter().any(|line| told(line)));
    fs::write(&file, format!("{target} --user 1\n{probe} as named\n")).expect("a file");
    tracer.stderr.wait_line("the note", 0, told);
    fs::write(&file, format!("{target} --user 1\n{probe} as other\n")).expect("a file");
    let other = |line: &str| line.contains("other is added");
    tracer.stderr.wait_line("the last probe", 0, other);
    let finished = tracer.interrupt();
    let notes = finished.stderr.iter().filter(|line| told(line));
    assert_eq!(notes.count(), 1, "{finished}");
}

#[test]
fn program_that_starts_later_is_waited_for() {
    if !needs::kernel() {
        return;
    }
    let path = program("started-later");
    let absent = path.with_file_name("not-there-yet");
    // An earlier run has left it.
    let _there = fs::remove_file(&absent);
    let probe = probe();
    let args = [
        "attach",
        "-o",
        "json",
        "--wait",
        "--exe",
        text(&absent),
        "--events",
        "2",
    ];
    let tracer = Tracer::start(args.iter().chain(&["-e", &probe]));
    let waiting = format!(
        "waiting for `{}`, which does not exist yet",
        absent.display()
    );
    tracer
        .stderr
        .wait_line(&waiting, 0, |line| line.contains(&waiting));
    fs::rename(&path, &absent).expect("renamed");
    let mut program = Program::ready(&absent, &["1", "0", "1000"]);
    program.say("go");
    let finished = tracer.finish();
    finished.assert_code(0);
    assert_eq!(finished.events().len(), 2, "{finished}");
}
