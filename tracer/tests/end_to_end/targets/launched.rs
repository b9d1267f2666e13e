//! Programs that the tracer starts, with the probes in them from their first instruction.

mod screen;
mod signals;
mod terminal;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::build::{c, probe_line};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::tracer::{TRACER, value};

const SOURCE: &str = "e2e_worker.c";

fn work() -> String {
    let line = probe_line(SOURCE, "work");
    format!(r#"log {SOURCE}:{line} "{{number}} {{build}}""#)
}

/// Runs a command under the tracer, with this text as its stdin.
#[track_caller]
fn run(probe: &str, program: &Path, args: &[&str], input: &str) -> Output {
    let mut child = Command::new(TRACER)
        .args([
            "run",
            "--output",
            "json",
            "--max-cpu",
            "off",
            "-e",
            probe,
            "--",
        ])
        .arg(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env_remove("SUDO_UID")
        .spawn()
        .expect("the tracer is built");
    let mut stdin = child.stdin.take().expect("piped");
    // A program that is not started reads nothing.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("its end")
}

/// The events on stderr, between the notes.
fn events(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stderr);
    let values = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    values
        .filter(|value: &Value| value["type"] == "event")
        .collect()
}

#[test]
fn program_is_probed_before_its_main_and_keeps_its_streams_and_exit_code() {
    if !needs::kernel() {
        return;
    }
    let path = c("launched", SOURCE, &["-O0", "-DBUILD=3"]);
    let output = run(&work(), &path, &["2", "stay"], "call 1\n");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ready\ncalled\n");
    let events = events(&output);
    let numbers: Vec<i64> = events
        .iter()
        .map(|event| value(event, "number").as_i64().expect("a number"))
        .collect();
    assert_eq!(numbers, [1003, 1, 2, 1], "{output:?}");
    assert!(events.iter().all(|event| *value(event, "build") == 3));
}

#[test]
fn short_program_is_not_told_to_be_unseen() {
    if !needs::kernel() {
        return;
    }
    let path = c("launched-short", SOURCE, &["-O0"]);
    for _ in 0..25 {
        let output = run("count work", &path, &["0"], "");
        let said = String::from_utf8_lossy(&output.stderr);
        for wrong in ["not seen", "no process was probed", "before it was known"] {
            assert!(!said.contains(wrong), "{said}");
        }
    }
}

#[test]
fn program_that_crashes_gives_the_code_of_a_shell_and_the_hit_before_it() {
    if !needs::kernel() {
        return;
    }
    let path = c("launched-crash", "e2e_crash.c", &["-O0"]);
    for (args, mark, signal) in [
        (&[][..], "before", libc::SIGABRT),
        (&["main"], "crash", libc::SIGSEGV),
        (&["constructor"], "crash", libc::SIGSEGV),
    ] {
        let line = probe_line("e2e_crash.c", mark);
        let output = run(&format!("log e2e_crash.c:{line}"), &path, args, "");
        assert_eq!(output.status.code(), Some(128 + signal), "{output:?}");
        assert_eq!(events(&output).len(), 1, "{output:?}");
    }
}

#[test]
fn program_that_cannot_be_executed_gives_the_code_of_a_shell_and_the_reason() {
    if !needs::kernel() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let text = folder.path().join("text");
    std::fs::write(&text, "no program\n").expect("a file");
    let lost = folder.path().join("lost");
    std::fs::write(&lost, "#!/no/such/interpreter\n").expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&lost, mode).expect("it is ours");
    for (program, code, words) in [
        (Path::new("./no-such-program"), 127, &["does not exist"][..]),
        (
            Path::new("no-such-program"),
            127,
            &["is in `PATH`", "hint:"],
        ),
        (&lost, 127, &["`/no/such/interpreter`, which runs", "hint:"]),
        (&text, 126, &["cannot execute", "chmod +x"]),
        (folder.path(), 126, &["cannot execute", "directory"]),
    ] {
        let output = run(&work(), program, &[], "");
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        for word in words {
            assert!(said.contains(word), "{word}\n{said}");
        }
    }
}

#[test]
fn program_that_the_started_one_executes_is_followed() {
    if !needs::kernel() {
        return;
    }
    let first = c("launched-first", SOURCE, &["-O0"]);
    let second = c("launched-second", SOURCE, &["-O0", "-DBUILD=2"]);
    let second = second.to_str().expect("UTF-8");
    let first = first.to_str().expect("UTF-8");
    let work = work();
    let args = ["run", "-o", "json", "-e", &work, "--", first, "1", "stay"];
    let mut tracer = Program::start_with(Path::new(TRACER), &args, |command| {
        command.env_remove("SUDO_UID");
    });
    let is_ready = |line: &str| line == "ready";
    let first_line = tracer.stdout.wait_line("`ready`", 0, is_ready);
    tracer.say(&format!("exec {second} 1 stay"));
    tracer.stdout.wait_line("`ready`", first_line + 1, is_ready);
    let probed = |line: &str| line.contains("is probed, and runs") && line.contains(second);
    let told = tracer.stderr.wait_line("the second program", 0, probed);
    let told = tracer.stderr.lines().swap_remove(told);
    tracer.say("call 2");
    tracer.close_input();
    assert_eq!(tracer.wait().code(), Some(0));
    let lines = tracer.stderr.lines();
    let parsed = lines
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let (mut of_first, mut of_second) = (Vec::new(), Vec::new());
    for event in parsed.filter(|record| record["type"] == "event") {
        let number = value(&event, "number").as_i64().expect("a number");
        match *value(&event, "build") == 1 {
            true => of_first.push(number),
            false => of_second.push(number),
        }
    }
    assert_eq!(of_first, [1001, 1], "{lines:?}");
    // The second file is read when the program runs already.
    let whole = [1002, 1, 1, 2];
    assert!(
        whole.ends_with(&of_second) && of_second.len() >= 2,
        "{lines:?}"
    );
    let is_told = told.contains("were not seen");
    assert!(of_second.len() == whole.len() || is_told, "{told}");
    // The first one has had the probes from its start, which is no news.
    let of_first = |line: &&String| line.contains("is probed") && line.contains(first);
    assert_eq!(lines.iter().filter(of_first).count(), 0, "{lines:?}");
}

#[test]
fn shell_and_script_before_the_program_that_is_meant_get_advice() {
    if !needs::kernel() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("starts-it");
    std::fs::write(&script, "#!/bin/sh\nexec ./worker\n").expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).expect("it is ours");
    let shell = Path::new("/bin/sh");
    for (program, args, words) in [
        (
            shell,
            &["-c", "exec ./worker"][..],
            "if it only starts the program that you mean",
        ),
        (&script, &[], "runs this script, and the probes are for"),
    ] {
        let output = run("log work", program, args, "");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        for words in [words, "`tracer attach --wait --exe PROGRAM`"] {
            assert!(said.contains(words), "{words}\n{said}");
        }
        assert!(!said.contains("--pid PID"), "{said}");
    }
}

#[test]
fn program_is_not_started_without_a_probe_in_it() {
    if !needs::kernel() {
        return;
    }
    let path = c("launched-refused", SOURCE, &["-O0"]);
    let output = run(&format!("log {SOURCE}:9999"), &path, &["1", "stay"], "");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}
