//! `--tee FILE`: two outputs of one session at once.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::build::{c, probe_line};
use crate::support::program::{Program, send};
use crate::support::pty::Terminal;
use crate::support::tracer::{TRACER, Tracer, assert_adds_up, attach_args, counter};
use crate::support::{needs, wait_for};

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

/// The complete records of a file.
fn records(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let parse = |line| serde_json::from_str(line).expect("JSON");
    whole.lines().map(parse).collect()
}

fn of_type<'r>(records: &'r [Value], name: &str) -> Vec<&'r Value> {
    let all = records.iter();
    all.filter(|record| record["type"] == name).collect()
}

#[test]
fn file_has_the_records_of_stdout() {
    if !needs::kernel() {
        return;
    }
    let program = calling();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("events.json");
    let more = ["--tee", file.to_str().expect("UTF-8")];
    let probe = log("hits 50");
    let tracer = Tracer::attach(program.pid(), "json", &[&probe], &more);
    let finished = tracer.finish();
    assert_eq!(finished.events().len(), 50, "{finished}");
    let text = fs::read_to_string(&file).expect("it is written");
    let written: Vec<&str> = text.lines().collect();
    assert_eq!(written, finished.stdout, "{finished}");
}

#[test]
fn terminal_ui_and_file_show_one_session_at_once() {
    if !needs::kernel() {
        return;
    }
    let program = calling();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("events.json");
    let line = probe_line(SOURCE, "work");
    let probe = format!(r#"log {SOURCE}:{line} "twice is {{twice}}" as shown"#);
    let mut args = vec!["attach".to_owned()];
    let pid = program.pid().to_string();
    let name = file.to_str().expect("UTF-8");
    args.extend(["--pid", &pid, "-e", &probe, "--tee", name].map(str::to_owned));
    let mut terminal = Terminal::start(&args, 40, 120);
    terminal.wait_text("twice is ");
    wait_for("events in the file", || {
        (of_type(&records(&file), "event").len() > 20).then_some(())
    });
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
    let records = records(&file);
    assert_eq!(records[0]["type"], "session");
    let events = of_type(&records, "event");
    let hits: Vec<u64> = events
        .iter()
        .filter_map(|one| one["hit"].as_u64())
        .collect();
    assert_eq!(hits, (1..=events.len() as u64).collect::<Vec<_>>());
    let summaries = of_type(&records, "summary");
    assert_eq!(summaries.len(), 1);
    assert_adds_up(summaries[0]);
    assert_eq!(counter(summaries[0], "events"), events.len() as u64);
}

#[test]
fn stdout_that_nobody_reads_does_not_hold_up_the_file() {
    if !needs::kernel() {
        return;
    }
    let program = calling();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("events.json");
    let (_reader, writer) = rustix::pipe::pipe().expect("a pipe");
    rustix::io::ioctl_fionbio(&writer, true).expect("a flag");
    while rustix::io::write(&writer, &[b'\n'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).expect("a flag");
    let more = ["--tee", file.to_str().expect("UTF-8")];
    let mut tracer = Command::new(TRACER);
    tracer.args(attach_args(program.pid(), "json", &[&log("")], &more));
    let mut tracer = tracer
        .stdout(writer)
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    wait_for("events in the file", || {
        (of_type(&records(&file), "event").len() > 500).then_some(())
    });
    send(tracer.id(), Signal::INT);
    wait_for("its end", || tracer.try_wait().expect("it is our child"));
    let records = records(&file);
    let events = of_type(&records, "event").len() as u64;
    let summaries = of_type(&records, "summary");
    assert_eq!(summaries.len(), 1, "the file is written to its end");
    assert_adds_up(summaries[0]);
    assert_eq!(counter(summaries[0], "events"), events);
    assert_eq!(counter(summaries[0], "lost"), 0);
}

#[test]
fn file_that_cannot_be_made_is_a_mistake() {
    let pid = std::process::id();
    let tracer = Tracer::attach(pid, "json", &[&log("")], &["--tee", "/nowhere/events.json"]);
    let finished = tracer.finish();
    finished
        .assert_code(2)
        .assert_says(&["cannot write `/nowhere/events.json`"]);
}
