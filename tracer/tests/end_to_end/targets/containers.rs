//! Targets with their own root directory, mounts and process ids.

use std::fs;
use std::path::Path;

use crate::support::build::{c, probe_line};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::text::Text;
use crate::support::tracer::{Tracer, assert_adds_up, value};

const SOURCE: &str = "e2e_loop.c";

/// A root directory that contains only the fixture.
fn root() -> tempfile::TempDir {
    let path = c("loop-static", SOURCE, &["-O0", "-static"]);
    let root = tempfile::tempdir().expect("a directory");
    fs::copy(path, root.path().join("loop")).expect("the fixture is built");
    root
}

/// Starts the fixture by `command` and its arguments.
fn start(command: &str, args: &[&str]) -> Program {
    let args = [args, &["/loop", "1", "0", "1000"]].concat();
    let mut program = Program::start(Path::new(command), &args);
    let ready = |line: &str| line == "ready";
    program.stdout.wait_line("`ready`", 0, ready);
    program.say("go");
    program
}

/// Checks that the program `pid` is traced like any other, by the ids that this process sees,
/// without a remark on its file.
fn assert_traced(pid: u32) {
    let text = Text::of(pid, "/loop");
    let line = probe_line(SOURCE, "work");
    let probe = format!(r#"log {SOURCE}:{line} "{{number}} {{twice}} {{$pid}}" if $pid == {pid}"#);
    let tracer = Tracer::json(pid, &[&probe]);
    let events = tracer.wait_events(3);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    for event in events {
        let number = value(&event, "number").as_i64().expect("a number");
        assert_eq!(value(&event, "twice"), 2 * number, "{event}");
        assert_eq!(value(&event, "$pid"), pid, "{event}");
        assert_eq!(event["pid"], pid, "{event}");
    }
    assert_adds_up(&finished.summary("p1"));
    let said = finished.stderr.join("\n");
    assert!(!said.contains("replaced"), "{finished}");
    text.wait_restored();
}

#[test]
fn target_with_a_root_of_its_own_is_traced() {
    if !needs::kernel() {
        return;
    }
    let root = root();
    let program = start("chroot", &[root.path().to_str().expect("UTF-8")]);
    assert_traced(program.pid());
}

#[test]
fn target_in_a_container_is_traced() {
    if !needs::kernel() {
        return;
    }
    let root = root();
    let namespaces = ["--mount", "--pid", "--fork", "--kill-child", "chroot"];
    let args = [&namespaces[..], &[root.path().to_str().expect("UTF-8")]].concat();
    let outside = start("unshare", &args);
    let children = format!("/proc/{0}/task/{0}/children", outside.pid());
    let inside = fs::read_to_string(children).expect("it has a child");
    assert_traced(inside.trim().parse().expect("one child"));
}
