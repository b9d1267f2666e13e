//! Programs that the tracer starts, with the probes in them from their first instruction.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::build::{c, probe_line};
use crate::support::needs;
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
fn program_that_crashes_or_is_missing_gives_the_code_of_a_shell() {
    if !needs::kernel() {
        return;
    }
    let path = c("launched-crash", "e2e_crash.c", &["-O0"]);
    let line = probe_line("e2e_crash.c", "before");
    let output = run(&format!("log e2e_crash.c:{line}"), &path, &[], "");
    assert_eq!(
        output.status.code(),
        Some(128 + libc::SIGABRT),
        "{output:?}"
    );
    assert_eq!(events(&output).len(), 1, "{output:?}");
    let missing = run(&work(), Path::new("./no-such-program"), &[], "");
    assert_eq!(missing.status.code(), Some(127), "{missing:?}");
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(said.contains("does not exist"), "{said}");
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
