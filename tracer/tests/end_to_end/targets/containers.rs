//! Targets with their own root directory, mounts and process ids.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::build::{c, probe_line};
use crate::support::cgroups::Cgroup;
use crate::support::containers::{Container, NAMESPACES, Runtime, StateFiles, container_id, inner};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::text::Text;
use crate::support::tracer::{TRACER, Tracer, assert_adds_up, assert_tells_unseen, value};

const SOURCE: &str = "e2e_loop.c";
/// A program that calls a function when it is told to.
const WORKER: &str = "e2e_worker.c";

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

#[track_caller]
fn end(mut worker: Program) {
    worker.close_input();
    worker.wait();
}

/// The numbers of each process's calls, in order. `$pid` must match the event.
fn by_process(events: &[Value]) -> BTreeMap<u32, Vec<i64>> {
    let mut all: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    for event in events {
        let number = value(event, "number").as_i64().expect("a number");
        assert_eq!(*value(event, "$pid"), event["pid"], "{event}");
        let pid = event["pid"].as_u64().expect("a number");
        let pid = u32::try_from(pid).expect("a pid");
        all.entry(pid).or_default().push(number);
    }
    all
}

fn worker_probe() -> String {
    let line = probe_line(WORKER, "work");
    format!(r#"log {WORKER}:{line} "{{number}} {{$pid}}""#)
}

fn attach_args<'a>(probe: &'a str, selector: [&'a str; 2]) -> Vec<&'a str> {
    let mut args = vec!["attach", "-o", "json", "--max-cpu", "off", "-e", probe];
    args.extend(selector);
    args
}

#[test]
fn container_is_selected_by_the_digits_of_its_id() {
    let Some(root) = needs::kernel().then(needs::cgroups).flatten() else {
        return;
    };
    if !needs::tools(&["unshare"]) {
        return;
    }
    let program = c("container-worker", WORKER, &["-O0", "-static"]);
    let (id, other_id) = (container_id(1), container_id(2));
    let named = format!("/system.slice/docker-{id}.scope");
    let container = Container::new(&root, &named);
    let other = Container::new(&root, &format!("/docker/{other_id}"));
    container.copy(&program);
    other.copy(&program);
    let mut one = container.ready();
    let mut stranger = other.ready();
    let probe = worker_probe();
    let tracer = Tracer::start(attach_args(&probe, ["--container", &id[..16]]));
    tracer.wait_tracing();
    one.call(3);
    stranger.call(3);
    let mut expected = BTreeMap::from([(inner(&one), vec![1, 2, 3])]);
    end(one);
    // That container again, as after `docker restart`.
    let Container {
        cgroup,
        root: files,
    } = container;
    cgroup.remove();
    let from = tracer.stderr.count();
    let cgroup = Cgroup::make(&root, &named);
    let new = format!("the cgroup `{named}` is new");
    tracer
        .stderr
        .wait_line(&new, from, |line| line.contains(&new));
    let restarted = Container {
        cgroup,
        root: files,
    };
    let mut again = restarted.ready();
    again.call(2);
    let pid = inner(&again);
    expected.insert(pid, vec![1001, 1, 1, 2]);
    let probed = format!("note: process {pid} is probed");
    let told = |line: &str| line.starts_with(&probed) && line.contains("/worker`");
    tracer.stderr.wait_line("the worker", from, told);
    end(again);
    end(stranger);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    assert_eq!(by_process(&finished.events()), expected, "{finished}");
    assert_adds_up(&finished.summary("p1"));
    // It has executed other programs before its own.
    let notes = finished.stderr.iter().filter(|line| told(line));
    assert_eq!(notes.count(), 1, "{finished}");
}

#[test]
fn container_and_pod_are_selected_by_names_of_each_runtime() {
    let Some(root) = needs::kernel().then(needs::cgroups).flatten() else {
        return;
    };
    if !needs::tools(&["unshare"]) {
        return;
    }
    let program = c("container-named", WORKER, &["-O0", "-static"]);
    let probe = worker_probe();
    for (runtime, selectors) in [
        (Runtime::Docker, &["web-1"][..]),
        (Runtime::Podman, &["web-1"]),
        (
            Runtime::Containerd,
            &["web-1", "pod:shop-1", "pod:shop/shop-1"],
        ),
        (Runtime::Crio, &["web-1", "pod:shop-1", "pod:shop/shop-1"]),
    ] {
        let id = container_id(3);
        let state = StateFiles {
            runtime,
            id: &id,
            name: "web-1",
            pod: "shop-1",
        };
        let container = Container::new(&root, &state.cgroup());
        container.copy(&program);
        let mut worker = container.ready();
        // The files are those of this tracer alone, which has mounts of its own.
        let with_files = |selector| {
            let mut command = Command::new("unshare");
            command.args(state.unshare()).arg(TRACER);
            command.args(attach_args(&probe, ["--container", selector]));
            Tracer::spawn(command)
        };
        for selector in selectors {
            let tracer = with_files(selector);
            tracer.wait_tracing();
            worker.call(3);
            let finished = tracer.interrupt();
            finished.assert_code(0);
            // `unshare` waits for the program, in the same cgroup.
            let matched = format!("2 processes match --container {selector}");
            finished.assert_says(&[&matched]);
            let expected = BTreeMap::from([(inner(&worker), vec![1, 2, 3])]);
            assert_eq!(by_process(&finished.events()), expected, "{finished}");
        }
        let finished = with_files("web-2").finish();
        finished.assert_code(2).assert_says(&[
            "no container has the id or name `web-2`",
            "did you mean `web-1`?",
        ]);
        end(worker);
        container.cgroup.remove();
    }
}

#[test]
fn container_that_does_not_exist_yet_is_waited_for() {
    let Some(root) = needs::kernel().then(needs::cgroups).flatten() else {
        return;
    };
    if !needs::tools(&["unshare"]) {
        return;
    }
    let id = container_id(4);
    let probe = worker_probe();
    let mut args = attach_args(&probe, ["--container", &id[..16]]);
    args.push("--wait");
    let tracer = Tracer::start(args);
    let waiting = "waiting for a process";
    tracer
        .stderr
        .wait_line(waiting, 0, |line| line.contains(waiting));
    let container = Container::new(&root, &format!("/machine.slice/libpod-{id}.scope"));
    container.copy(&c("container-awaited", WORKER, &["-O0", "-static"]));
    let mut worker = container.ready();
    // `unshare` is in the cgroup, too, before it starts the program, and has no line of ours.
    let pid = inner(&worker);
    tracer.wait_tracing();
    worker.call(3);
    tracer.wait_events(3);
    end(worker);
    let finished = tracer.interrupt();
    assert_tells_unseen(&finished, pid);
    let seen = by_process(&finished.events());
    assert!(
        seen[&pid].ends_with(&[1, 2, 3]) && seen.len() == 1,
        "{finished}"
    );
}

#[test]
fn file_that_a_container_shares_is_found_by_its_inode() {
    if !needs::kernel() || !needs::tools(&["unshare"]) {
        return;
    }
    let program = c("container-shared", WORKER, &["-O0", "-static"]);
    let exe = program.to_str().expect("UTF-8");
    let root = tempfile::tempdir().expect("a directory");
    fs::write(root.path().join("worker"), "").expect("a file to mount over");
    let root = root.path().to_str().expect("UTF-8");
    let script = r#"mount --bind "$1" "$2/worker" && exec chroot "$2" /worker "$3" "$4""#;
    let start = || {
        let args = [
            &NAMESPACES,
            &["sh", "-c", script, "sh", exe, root, "1", "stay"][..],
        ]
        .concat();
        let program = Program::start(Path::new("unshare"), &args);
        program
            .stdout
            .wait_line("`ready`", 0, |line| line == "ready");
        program
    };
    let mut earlier = start();
    let probe = worker_probe();
    let tracer = Tracer::start(attach_args(&probe, ["--exe", exe]));
    tracer.wait_tracing();
    let mut later = start();
    earlier.call(2);
    later.call(2);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let expected = BTreeMap::from([
        (inner(&earlier), vec![1, 2]),
        (inner(&later), vec![1001, 1, 1, 2]),
    ]);
    assert_eq!(by_process(&finished.events()), expected, "{finished}");
    end(earlier);
    end(later);
}
