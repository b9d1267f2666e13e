//! Values, limits and counters of each process, where a session has several.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::build::{c, probe_line};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::tracer::{Finished, Tracer, assert_adds_up, counter, tracer, value};

const SOURCE: &str = "e2e_worker.c";

/// A copy of the worker under a name of this test alone.
fn worker(name: &str) -> PathBuf {
    c(name, SOURCE, &["-O0"])
}

/// Traces selected processes by probes on the worker's function, each with an action before the location
/// and the rest behind it. `time work` has its location.
fn trace(selectors: &[&str], probes: &[(&str, &str)], more: &[&str]) -> Tracer {
    let line = probe_line(SOURCE, "work");
    let probes: Vec<String> = probes
        .iter()
        .map(|(action, rest)| match *action {
            "time work" => format!("{action} {rest}"),
            action => format!("{action} {SOURCE}:{line} {rest}"),
        })
        .collect();
    let mut args = vec!["attach", "--output", "json", "--max-cpu", "off"];
    args.extend(probes.iter().flat_map(|probe| ["-e", probe]));
    args.extend(selectors);
    args.extend(more);
    let tracer = Tracer::start(&args);
    tracer.wait_tracing();
    tracer
}

/// Runs a worker to its end. It hits once more than that.
#[track_caller]
fn run(path: &Path, count: u32) -> u32 {
    let child = Command::new(path).arg(count.to_string()).spawn();
    let mut child = child.expect("a worker");
    let pid = child.id();
    assert!(child.wait().expect("its end").success());
    pid
}

/// Number of events of each process.
fn events_by_process(finished: &Finished, probe: &str) -> BTreeMap<u64, usize> {
    let mut all = BTreeMap::new();
    let events = finished.events().into_iter();
    for event in events.filter(|event| event["probe"] == probe) {
        *all.entry(event["pid"].as_u64().expect("a number"))
            .or_default() += 1;
    }
    all
}

/// Hits and events of each process in a summary, which have to add up to the probe's.
#[track_caller]
fn processes(summary: &Value) -> BTreeMap<u64, (u64, u64)> {
    let list = summary["processes"].as_array().expect("a list");
    let hits: u64 = list.iter().map(|one| counter(one, "hits")).sum();
    let others = counter(summary, "other_processes");
    assert_eq!(hits + others, counter(summary, "hits"), "{summary}");
    let of = |one: &Value| {
        let pid = one["pid"].as_u64().expect("a number");
        (pid, (counter(one, "hits"), counter(one, "events")))
    };
    list.iter().map(of).collect()
}

#[test]
fn limits_per_process_hold_for_each_of_those_that_run_and_that_come() {
    if !needs::kernel() {
        return;
    }
    let path = worker("each-limited");
    let exe = path.to_str().expect("UTF-8");
    let mut earlier = [(); 2].map(|()| Program::ready(&path, &["1", "stay"]));
    let probes = [
        ("log", "\"{number}\" hits 3 per process as three"),
        ("log", "\"{number}\" every 1h per process as first"),
        (
            "log",
            "\"{number}\" if number >= 2 rate 2/s per process as two",
        ),
        ("log", "\"{number}\" hits 3 as together"),
        (
            "time work",
            "\"{$elapsed} {$process}\" hits 2 per process as timed",
        ),
    ];
    let tracer = trace(&["--exe", exe], &probes, &["--per-process"]);
    for worker in &mut earlier {
        worker.call(5);
        worker.call(4);
    }
    let later: Vec<u32> = (0..2).map(|_| run(&path, 7)).collect();
    let pids: Vec<u64> = (earlier.iter().map(Program::pid).chain(later))
        .map(u64::from)
        .collect();
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let each =
        |count: usize| -> BTreeMap<u64, usize> { pids.iter().map(|&pid| (pid, count)).collect() };
    assert_eq!(events_by_process(&finished, "three"), each(3), "{finished}");
    assert_eq!(events_by_process(&finished, "first"), each(1), "{finished}");
    let two = events_by_process(&finished, "two");
    assert!(
        two.len() == 4 && two.values().all(|&count| count >= 2),
        "{finished}"
    );
    assert_eq!(
        events_by_process(&finished, "together")
            .values()
            .sum::<usize>(),
        3
    );
    assert_eq!(events_by_process(&finished, "timed"), each(2), "{finished}");
    for (probe, withheld) in [("three", "over_budget"), ("first", "limited")] {
        let summary = finished.summary(probe);
        assert_adds_up(&summary);
        let events = if probe == "three" { 3 } else { 1 };
        assert_eq!(counter(&summary, "hits"), 2 * 9 + 2 * 8, "{summary}");
        assert_eq!(
            counter(&summary, withheld),
            2 * (9 - events) + 2 * (8 - events)
        );
        let wanted = [9, 9, 8, 8].map(|hits| (hits, events));
        let wanted = pids.iter().copied().zip(wanted).collect();
        assert_eq!(processes(&summary), wanted, "{summary}");
        assert!(summary.get("done").is_none(), "{summary}");
    }
}

#[test]
fn one_process_has_all_of_its_limits_and_is_done_after_them() {
    if !needs::kernel() {
        return;
    }
    let path = worker("each-alone");
    let mut alone = Program::ready(&path, &["1", "stay"]);
    let pid = alone.pid().to_string();
    let probes = [("log", "\"{number} {$process}\" hits 3 per process")];
    let tracer = trace(&["--pid", &pid], &probes, &["--per-process"]);
    alone.call(5);
    let finished = tracer.finish();
    finished.assert_code(0).assert_says(&["p1 is done"]);
    let summary = finished.summary("p1");
    assert_eq!(counter(&summary, "events"), 3, "{finished}");
    let hits = counter(&summary, "hits");
    let wanted = BTreeMap::from([(u64::from(alone.pid()), (hits, 3))]);
    assert_eq!(processes(&summary), wanted);
    assert_eq!(*value(&finished.events()[0], "$process"), "each-alone");
}

#[test]
fn check_says_that_limits_hold_per_process() {
    let path = worker("each-checked");
    let line = probe_line(SOURCE, "work");
    let exe = path.to_str().expect("UTF-8");
    let check = |probe: &str, more: &[&str]| {
        let args = ["attach", "--check", "--exe", exe, "-e", probe];
        let finished = tracer(&[&args[..], more].concat());
        finished.assert_code(0);
        finished
    };
    let probe = format!("log {SOURCE}:{line} \"{{$process}}\" hits 3 per process");
    let text = check(&probe, &[]).text();
    let wanted = "at most 3 events per process, at most 1000 events a second per process";
    assert!(text.contains(wanted), "{text}");
    let json = check(&probe, &["--output", "json"]).json();
    assert_eq!(json["per_process"], true, "{json}");
    assert_eq!(json["sites"][0]["values"][0]["expr"], "$process", "{json}");
}

#[test]
fn hits_are_counted_by_the_names_of_processes_that_are_gone() {
    if !needs::kernel() {
        return;
    }
    let (first, second) = (worker("each-one"), worker("each-two"));
    let mut stays = Program::ready(&first, &["1", "stay"]);
    // A program that no target runs yet has its probes only a moment after its start.
    let _idle = Program::ready(&second, &["1", "stay"]);
    let probes = [
        ("count", "by $process"),
        ("count", "by $process if number != 2"),
        ("count", "by $container"),
        ("count", "by $cgroup"),
    ];
    let tracer = trace(
        &["--name", "each-one", "--name", "each-two"],
        &probes,
        &["--per-process"],
    );
    let mut gone = Vec::new();
    for _ in 0..5 {
        gone.push(run(&first, 3));
        gone.push(run(&second, 2));
    }
    stays.call(4);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let all = finished.json();
    let counts: Vec<&Value> = all
        .as_array()
        .expect("records")
        .iter()
        .filter(|one| one["type"] == "count")
        .collect();
    let row = |value: &str, count: u64| json!({"value": value, "count": count});
    assert_eq!(
        counts[0]["rows"],
        json!([row("each-one", 24), row("each-two", 15)]),
        "{finished}"
    );
    assert_eq!(
        counts[1]["rows"],
        json!([row("each-one", 18), row("each-two", 10)]),
        "{finished}"
    );
    assert_eq!(counts[0]["by"], "$process");
    for count in &counts[2..] {
        assert_eq!(count["total"], 39, "{count}");
    }
    let listed = processes(&finished.summary("p1"));
    assert_eq!(listed.len(), 11, "{finished}");
    for pid in gone {
        assert!(listed.contains_key(&pid.into()), "{pid} {finished}");
    }
    finished.assert_says(&["each-one: 4 hits, 4 events", "each-two: 3 hits, 3 events"]);
}

/// A cgroup (version 2) that is named as that of a container. It is removed with its processes gone.
struct ContainerCgroup {
    directory: PathBuf,
    path: String,
}

/// The id of the container.
const ID: &str = "00e7a9c4b5d6f8019283746556473829100112233445566778899aabbccddee0";

impl ContainerCgroup {
    fn new() -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").expect("it is there");
        let mut fields = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>());
        let mount = fields
            .find(|fields| fields.get(2) == Some(&"cgroup2"))
            .expect("cgroup2 is mounted");
        let name = format!("docker-{ID}.scope");
        let directory = Path::new(mount[1]).join(&name);
        fs::create_dir_all(&directory).expect("root makes cgroups");
        let path = format!("/{name}");
        Self { directory, path }
    }

    fn add(&self, pid: u32) {
        let file = self.directory.join("cgroup.procs");
        fs::write(file, pid.to_string()).expect("root moves processes");
    }
}

impl Drop for ContainerCgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.directory);
    }
}

#[test]
fn events_show_the_name_the_cgroup_and_the_container_of_their_process() {
    if !needs::kernel() {
        return;
    }
    let path = worker("each-contained");
    let cgroup = ContainerCgroup::new();
    let mut outside = Program::ready(&path, &["1", "stay"]);
    let mut inside = Program::ready(&path, &["1", "stay"]);
    cgroup.add(inside.pid());
    let probes = [
        (
            "log",
            "\"{number} {$process} {$cgroup} {$container}\" rate 100000/s",
        ),
        ("count", "by $container"),
    ];
    let exe = path.to_str().expect("UTF-8");
    let tracer = trace(&["--exe", exe], &probes, &[]);
    outside.call(2);
    inside.call(3);
    tracer.wait_events(5);
    let pid = inside.pid();
    inside.close_input();
    inside.wait();
    let finished = tracer.interrupt();
    for event in finished.events() {
        assert_eq!(*value(&event, "$process"), "each-contained", "{event}");
        let message = event["message"].as_str().expect("a text");
        if event["pid"] == pid {
            assert_eq!(*value(&event, "$cgroup"), *cgroup.path, "{event}");
            assert_eq!(*value(&event, "$container"), ID[..12], "{event}");
            assert!(
                message.ends_with(&format!("{} {}", cgroup.path, &ID[..12])),
                "{message}"
            );
        } else {
            let none = json!({"$unavailable": "no container"});
            assert_eq!(*value(&event, "$container"), none, "{event}");
            assert!(message.ends_with(" <no container>"), "{message}");
        }
    }
    let all = finished.json();
    let all = all.as_array().expect("records");
    let count = all.iter().find(|one| one["type"] == "count").expect("one");
    let none = json!({"value": {"$unavailable": "no container"}, "count": 2});
    assert_eq!(
        count["rows"],
        json!([{"value": ID[..12], "count": 3}, none]),
        "{finished}"
    );
}
