//! Targets that are selected by their unit or cgroup, which may be made anew while a session runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::build::{c, probe_line, scratch};
use crate::support::cgroups::Cgroup;
use crate::support::needs;
use crate::support::program::Program;
use crate::support::tracer::{
    TRACER, Tracer, assert_adds_up, assert_tells_unseen, counter, tracer, value,
};

const SOURCE: &str = "e2e_worker.c";

fn worker(test: &str) -> PathBuf {
    c(test, SOURCE, &["-O0"])
}

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

/// A worker in a cgroup, or beside it.
#[track_caller]
fn start(path: &Path, cgroup: Option<&Cgroup>, args: &[&str]) -> Program {
    Program::start_with(path, args, |command| {
        if let Some(cgroup) = cgroup {
            cgroup.enter(command);
        }
    })
}

#[track_caller]
fn ready(path: &Path, cgroup: Option<&Cgroup>) -> Program {
    let program = start(path, cgroup, &["1", "stay"]);
    program
        .stdout
        .wait_line("`ready`", 0, |line| line == "ready");
    program
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

/// The numbers of a worker that ran from its start to its end.
fn whole_run(last: i64) -> Vec<i64> {
    std::iter::once(1001).chain(1..=last).collect()
}

#[test]
fn workers_of_a_unit_are_probed_now_and_later_and_no_others() {
    let Some(root) = needs::kernel().then(needs::cgroups).flatten() else {
        return;
    };
    let path = worker("unit-worker");
    let unit = Cgroup::make(&root, "/system.slice/tracer-e2e-unit.service");
    // Some services have cgroups of their own below.
    let below = Cgroup::make(&root, "/system.slice/tracer-e2e-unit.service/pool/1");
    let like = Cgroup::make(&root, "/system.slice/tracer-e2e-unit2.service");
    let mut inside = [&unit, &below].map(|cgroup| ready(&path, Some(cgroup)));
    let mut outside = [Some(&like), None].map(|cgroup| ready(&path, cgroup));
    let tracer = attach(&["--unit", "tracer-e2e-unit"]);
    tracer.wait_tracing();
    let mut later = [&unit, &below].map(|cgroup| start(&path, Some(cgroup), &["4"]));
    let mut stranger = start(&path, Some(&like), &["4"]);
    for program in later.iter_mut().chain([&mut stranger]) {
        assert!(program.wait().success());
    }
    for program in inside.iter_mut().chain(&mut outside) {
        program.call(3);
    }
    // A process that comes into the cgroup is one of it from then on.
    let [_, comes] = &mut outside;
    unit.take(comes.pid());
    comes.call(2);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let ran = later.iter().map(|one| (one.pid(), whole_run(4)));
    let called = inside.iter().map(|one| (one.pid(), vec![1, 2, 3]));
    let mut expected: BTreeMap<u32, Vec<i64>> = ran.chain(called).collect();
    expected.insert(comes.pid(), vec![1, 2]);
    assert_eq!(by_process(&finished.events()), expected, "{finished}");
    assert_adds_up(&finished.summary("p1"));
    for program in inside.iter_mut().chain(&mut outside) {
        program.close_input();
        program.wait();
    }
}

#[test]
fn unit_that_restarts_in_a_new_cgroup_goes_on() {
    let Some(root) = needs::kernel().then(needs::cgroups).flatten() else {
        return;
    };
    let path = worker("unit-restarts");
    let name = "/system.slice/tracer-e2e-restarts.service";
    let unit = Cgroup::make(&root, name);
    let mut first = ready(&path, Some(&unit));
    // Its probes of a file are added after the restart.
    let file = scratch("unit-restarts-probes").join("probes");
    std::fs::write(&file, work()).expect("a file");
    let unit_name = "tracer-e2e-restarts.service";
    let file_name = file.to_str().expect("UTF-8");
    let args = ["attach", "-o", "json", "--max-cpu", "off"];
    let of_unit = ["--unit", unit_name, "-f", file_name];
    let tracer = Tracer::start(args.iter().chain(&of_unit));
    tracer.wait_tracing();
    let mut expected = BTreeMap::new();
    first.call(2);
    expected.insert(first.pid(), vec![1, 2]);
    first.signal(Signal::TERM);
    first.wait();
    unit.remove();
    for restart in 1..=3 {
        let from = tracer.stderr.count();
        let unit = Cgroup::make(&root, name);
        let new = format!("note: the cgroup `{name}` is new, and its processes are probed");
        tracer
            .stderr
            .wait_line("the new cgroup", from, |line| line == new);
        let mut again = ready(&path, Some(&unit));
        again.call(restart);
        let last = i64::from(restart);
        let calls: Vec<i64> = whole_run(1).into_iter().chain(1..=last).collect();
        expected.insert(again.pid(), calls);
        if restart == 3 {
            let line = probe_line(SOURCE, "rest");
            let more = format!("{}\nlog {SOURCE}:{line} \"{{number}}\" as more\n", work());
            std::fs::write(&file, more).expect("a file");
            tracer
                .stderr
                .wait_line("the new probe", from, |line| line.contains("more is added"));
            again.call(1);
            let calls = expected.get_mut(&again.pid()).expect("it was added");
            calls.extend([1, 1]);
        }
        again.close_input();
        again.wait();
        unit.remove();
    }
    let finished = tracer.interrupt();
    finished.assert_code(0);
    assert_eq!(by_process(&finished.events()), expected, "{finished}");
    assert_eq!(counter(&finished.summary("more"), "hits"), 1, "{finished}");
}

#[test]
fn process_that_is_quicker_than_the_look_at_its_new_cgroup_is_told() {
    let Some(root) = needs::kernel().then(needs::cgroups).flatten() else {
        return;
    };
    let path = worker("unit-quick");
    let name = "/tracer-e2e-quick/inner";
    let outer = Cgroup::make(&root, "/tracer-e2e-quick");
    let unit = Cgroup::make(&root, name);
    let first = ready(&path, Some(&unit));
    let tracer = attach(&["--cgroup", name]);
    tracer.wait_tracing();
    first.signal(Signal::KILL);
    drop(first);
    unit.remove();
    let unit = Cgroup::make(&root, name);
    let mut again = ready(&path, Some(&unit));
    let probed = format!("note: process {} is probed", again.pid());
    let told = tracer
        .stderr
        .wait_line(&probed, 0, |line| line.starts_with(&probed));
    let told = tracer.stderr.lines().swap_remove(told);
    again.call(3);
    let finished = tracer.interrupt();
    let seen = &by_process(&finished.events())[&again.pid()];
    assert!(seen.ends_with(&[1, 2, 3]), "{finished}");
    let whole: Vec<i64> = whole_run(1).into_iter().chain(1..=3).collect();
    assert!(
        *seen == whole || told.contains("were not seen"),
        "{told}\n{finished}"
    );
    again.close_input();
    again.wait();
    drop((unit, outer));
}

#[test]
fn cgroup_selects_what_is_below_it_and_new_ones_there() {
    let Some(root) = needs::kernel().then(needs::cgroups).flatten() else {
        return;
    };
    let path = worker("cgroup-below");
    let top = Cgroup::make(&root, "/tracer-e2e-below");
    let inner = Cgroup::make(&root, "/tracer-e2e-below/a/b");
    let beside = Cgroup::make(&root, "/tracer-e2e-below2");
    let mut inside = ready(&path, Some(&inner));
    let mut outside = ready(&path, Some(&beside));
    // The directory is as good as the path.
    let directory = top.directory();
    for (from, name) in [("..", "tracer-e2e-below"), ("a", ".."), (".", ".")] {
        let mut command = Command::new(TRACER);
        command.current_dir(directory.join(from));
        command.args(["doctor", "--json", "--cgroup", name]);
        let finished = Tracer::spawn(command).finish();
        let pid = &finished.json()["process"]["pid"];
        assert_eq!(*pid, inside.pid(), "{finished}");
    }
    let tracer = attach(&["--cgroup", directory.to_str().expect("UTF-8")]);
    tracer.wait_tracing();
    let late = Cgroup::make(&root, "/tracer-e2e-below/late");
    let mut later = start(&path, Some(&late), &["2"]);
    assert!(later.wait().success());
    inside.call(2);
    outside.call(2);
    let finished = tracer.interrupt();
    let expected = BTreeMap::from([(inside.pid(), vec![1, 2]), (later.pid(), whole_run(2))]);
    assert_eq!(by_process(&finished.events()), expected, "{finished}");
    for program in [&mut inside, &mut outside] {
        program.close_input();
        program.wait();
    }
    drop((late, inner, top));
}

#[test]
fn unit_that_does_not_exist_yet_is_waited_for() {
    let Some(root) = needs::kernel().then(needs::cgroups).flatten() else {
        return;
    };
    let path = worker("unit-awaited");
    let tracer = attach(&["--wait", "--unit", "tracer-e2e-awaited"]);
    let waiting = "waiting for a process";
    tracer
        .stderr
        .wait_line(waiting, 0, |line| line.contains(waiting));
    let unit = Cgroup::make(&root, "/system.slice/tracer-e2e-awaited.service");
    let mut first = ready(&path, Some(&unit));
    tracer.wait_tracing();
    first.call(2);
    // It stays until it was looked at. A process that ends before is only counted.
    let mut later = start(&path, Some(&unit), &["3", "stay"]);
    let later_probed = format!("note: process {} is probed", later.pid());
    tracer
        .stderr
        .wait_line(&later_probed, 0, |line| line.starts_with(&later_probed));
    later.close_input();
    assert!(later.wait().success());
    let finished = tracer.interrupt();
    finished.assert_code(0);
    finished.assert_says(&["1 process matches --unit tracer-e2e-awaited.service"]);
    assert_tells_unseen(&finished, first.pid());
    let whole = |line: &String| line.starts_with(&later_probed) && !line.contains("not seen");
    assert!(finished.stderr.iter().any(whole), "{finished}");
    let expected = BTreeMap::from([(first.pid(), vec![1, 2]), (later.pid(), whole_run(3))]);
    assert_eq!(by_process(&finished.events()), expected, "{finished}");
    first.close_input();
    first.wait();
}

#[test]
fn doctor_and_check_take_a_unit() {
    let Some(root) = needs::kernel().then(needs::cgroups).flatten() else {
        return;
    };
    let path = worker("unit-doctor");
    let unit = Cgroup::make(&root, "/system.slice/tracer-e2e-doctor.service");
    let programs = [(); 2].map(|()| ready(&path, Some(&unit)));
    let [one, two] = programs.each_ref().map(Program::pid);
    let finished = tracer(&["doctor", "--unit", "tracer-e2e-doctor"]);
    finished.assert_code(0);
    for line in [
        format!(
            "2 processes match --unit tracer-e2e-doctor.service: {one} unit-doctor, {two} unit-doctor"
        ),
        format!("process {one} ({})", path.display()),
        format!("  the same program: {two}"),
    ] {
        assert!(finished.stdout.contains(&line), "{line}\n{finished}");
    }
    let work = work();
    let unit_name = "tracer-e2e-doctor.service";
    let finished = tracer(&["attach", "--check", "--unit", unit_name, "-e", &work]);
    finished.assert_code(0);
    let wrong = format!("log {SOURCE}:99999");
    let finished = tracer(&["attach", "--check", "--unit", unit_name, "-e", &wrong]);
    finished.assert_code(2);
    let absent = "tracer-e2e-no-such";
    tracer(&["doctor", "--unit", absent])
        .assert_code(2)
        .assert_says(&["no process matches `--unit tracer-e2e-no-such.service`"]);
    for mut program in programs {
        program.close_input();
        program.wait();
    }
}

#[test]
fn process_that_executes_programs_in_a_row_is_told_once_if_that_is_read_late() {
    let Some(root) = needs::kernel().then(needs::cgroups).flatten() else {
        return;
    };
    let path = worker("unit-late");
    let unit = Cgroup::make(&root, "/system.slice/tracer-e2e-late.service");
    let mut first = ready(&path, Some(&unit));
    let tracer = attach(&["--unit", "tracer-e2e-late"]);
    tracer.wait_tracing();
    tracer.signal(Signal::STOP);
    let program = path.to_str().expect("UTF-8");
    let chain = format!("exec env chroot / {program} 1 stay");
    let mut second = start(Path::new("sh"), Some(&unit), &["-c", &chain]);
    second
        .stdout
        .wait_line("`ready`", 0, |line| line == "ready");
    tracer.signal(Signal::CONT);
    let probed = format!("note: process {} is probed", second.pid());
    let is_told = |line: &str| line.starts_with(&probed);
    tracer.stderr.wait_line(&probed, 0, is_told);
    first.call(1);
    second.call(1);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let notes = finished.stderr.iter().filter(|line| is_told(line));
    assert_eq!(notes.count(), 1, "{finished}");
    finished.assert_says(&["2 processes were probed"]);
    let expected = BTreeMap::from([(first.pid(), vec![1]), (second.pid(), vec![1001, 1, 1])]);
    assert_eq!(by_process(&finished.events()), expected, "{finished}");
    for program in [&mut first, &mut second] {
        program.close_input();
        program.wait();
    }
}

#[test]
fn mistake_in_a_probe_is_told_of_the_program_that_is_meant() {
    let Some(root) = needs::kernel().then(needs::cgroups).flatten() else {
        return;
    };
    let path = worker("unit-mistaken");
    let unit = Cgroup::make(&root, "/system.slice/tracer-e2e-mistaken.service");
    // The first process of many services is a shell.
    let program = path.to_str().expect("UTF-8");
    let script = format!("{program} 1 stay; exit 0");
    let mut shell = start(Path::new("/bin/sh"), Some(&unit), &["-c", &script]);
    shell.stdout.wait_line("`ready`", 0, |line| line == "ready");
    let line = probe_line(SOURCE, "work");
    let unit_name = "tracer-e2e-mistaken";
    for (probe, told) in [
        (format!("log {SOURCE}:{line} \"{{no_such}}\""), "`no_such`"),
        (format!("log {SOURCE}:99999"), "no code for line 99999"),
        ("log no_such_source.c:1".to_owned(), "`no_such_source.c`"),
    ] {
        let args = ["attach", "-o", "json", "--unit", unit_name, "-e", &probe];
        let finished = tracer(&args);
        finished
            .assert_code(2)
            .assert_says(&["2 processes match", told, "unit-mistaken`"]);
        let said = finished.stderr.join("\n");
        assert!(!said.contains("has no debug information"), "{finished}");
    }
    let tracer = attach(&["--unit", unit_name]);
    tracer.wait_tracing();
    shell.call(2);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    assert_eq!(counter(&finished.summary("p1"), "hits"), 2, "{finished}");
    shell.close_input();
    shell.wait();
}
