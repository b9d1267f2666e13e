//! Targets that fork: their children have the probes, and no other process has.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::build::{c, probe_line};
use crate::support::program::{Program, send, status_field};
use crate::support::text::Text;
use crate::support::tracer::{Tracer, assert_adds_up, counter, value};
use crate::support::{needs, wait_for};

const SOURCE: &str = "e2e_fork.c";

fn forking() -> Program {
    Program::ready(&c("fork", SOURCE, &["-O0"]), &[])
}

/// A copy of the program under that file name: `exact` puts breakpoints into every process that
/// runs the file, including those of other tests.
fn forking_alone(name: &str) -> Program {
    Program::ready(&c(name, SOURCE, &["-O0"]), &[])
}

fn work() -> String {
    let line = probe_line(SOURCE, "work");
    format!(r#"log {SOURCE}:{line} "{{number}} {{$pid}}" rate 1000000/s"#)
}

/// The tracer with its probes attached.
fn follow(program: &Program, probes: &[&str], more: &[&str]) -> Tracer {
    let args: Vec<&str> = [&["--follow-fork"], more].concat();
    let tracer = Tracer::attach(program.pid(), "json", probes, &args);
    tracer.wait_tracing();
    tracer
}

/// Sends a command to the program, and waits until it is done. Returns its output.
#[track_caller]
fn tell(program: &mut Program, what: &str) -> Vec<String> {
    let from = program.stdout.count();
    program.say(what);
    let done = program
        .stdout
        .wait_line("`done`", from, |line| line == "done");
    program.stdout.lines()[from..done].to_vec()
}

/// The processes in lines such as `forked 12`.
fn named(lines: &[String], what: &str) -> Vec<u32> {
    let named = lines.iter().filter_map(|line| line.strip_prefix(what));
    named
        .map(|number| number.trim().parse().expect("a pid"))
        .collect()
}

/// Forks, and waits until the new processes have the probes.
#[track_caller]
fn fork(program: &mut Program, tracer: &Tracer, count: usize, calls: u32) -> Vec<u32> {
    let processes = named(&tell(program, &format!("fork {count} {calls}")), "forked ");
    assert_eq!(processes.len(), count);
    processes
        .iter()
        .for_each(|&process| followed(tracer, process));
    processes
}

/// Waits until a process has the probes.
#[track_caller]
fn followed(tracer: &Tracer, process: u32) {
    let begin = format!("note: process {process} is followed, forked by ");
    let says = |line: &str| line.starts_with(&begin);
    tracer.stderr.wait_line("a process to be followed", 0, says);
}

/// Lets all children call, and waits for this many events.
#[track_caller]
fn go(program: &mut Program, count: usize) {
    let from = program.stdout.count();
    tell(program, "go");
    program.stdout.wait("the calls", |lines| {
        (named(&lines[from..], "called ").len() == count).then_some(())
    });
}

/// The numbers of each process's calls, in order. `$pid` must match the event.
fn by_process(events: &[Value]) -> BTreeMap<u32, Vec<i64>> {
    let mut all: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    for event in events.iter().filter(|event| event["action"] == "log") {
        let number = value(event, "number").as_i64().expect("a number");
        let process = event["pid"].as_u64().expect("a number");
        assert_eq!(value(event, "$pid").as_u64(), Some(process), "{event}");
        let process = u32::try_from(process).expect("a pid");
        all.entry(process).or_default().push(number);
    }
    all
}

fn up_to(last: i64) -> Vec<i64> {
    (1..=last).collect()
}

fn children_have_the_probes(more: &[&str]) {
    if !needs::kernel() {
        return;
    }
    let mut program = forking();
    // Earlier processes are not children of followed ones.
    let earlier = named(&tell(&mut program, "fork 1 3"), "forked ");
    let tracer = follow(&program, &[&work()], more);
    let children = fork(&mut program, &tracer, 3, 10);
    go(&mut program, 4);
    tell(&mut program, "call 5");
    tracer.wait_events(35);
    let finished = tracer.interrupt();
    tell(&mut program, "end");
    finished.assert_code(0);
    finished.assert_says(&["followed 3 processes that the target forked"]);
    let mut expected: BTreeMap<u32, Vec<i64>> =
        children.iter().map(|&child| (child, up_to(10))).collect();
    expected.insert(program.pid(), up_to(5));
    assert!(!expected.contains_key(&earlier[0]));
    assert_eq!(by_process(&finished.events()), expected, "{finished}");
    let summary = finished.summary("p1");
    assert_adds_up(&summary);
    assert_eq!(counter(&summary, "hits"), 35, "{summary}");
}

#[test]
fn children_have_the_probes_and_events_say_which() {
    children_have_the_probes(&[]);
}

#[test]
fn children_have_the_probes_by_perf_events() {
    children_have_the_probes(&["--perf-events"]);
}

#[test]
fn children_are_left_alone_without_the_option() {
    if !needs::kernel() {
        return;
    }
    let mut program = forking();
    let tracer = Tracer::json(program.pid(), &[&work()]);
    tracer.wait_tracing();
    tell(&mut program, "fork 2 10");
    go(&mut program, 2);
    tell(&mut program, "call 5");
    tracer.wait_events(5);
    let finished = tracer.interrupt();
    tell(&mut program, "end");
    let expected = BTreeMap::from([(program.pid(), up_to(5))]);
    assert_eq!(by_process(&finished.events()), expected);
}

#[test]
fn children_of_children_are_followed() {
    if !needs::kernel() {
        return;
    }
    let mut program = forking();
    let tracer = follow(&program, &[&work()], &[]);
    let [child] = fork(&mut program, &tracer, 1, 4)[..] else {
        panic!("one was forked");
    };
    tell(&mut program, "grandchild");
    let grandchild = program.stdout.wait("the grandchild", |lines| {
        named(lines, "grandchild ").first().copied()
    });
    followed(&tracer, grandchild);
    go(&mut program, 1);
    // The parent, which waited for the child, accepts commands again.
    go(&mut program, 1);
    tracer.wait_events(8);
    let finished = tracer.interrupt();
    let expected = BTreeMap::from([(child, up_to(4)), (grandchild, up_to(4))]);
    assert_eq!(by_process(&finished.events()), expected, "{finished}");
    finished.assert_says(&[&format!("{grandchild} is followed, forked by {child}")]);
}

#[test]
fn text_output_says_which_process() {
    if !needs::kernel() {
        return;
    }
    let mut program = forking();
    let args = ["--follow-fork"];
    let tracer = Tracer::attach(program.pid(), "text", &[&work()], &args);
    tracer.wait_tracing();
    let [child] = fork(&mut program, &tracer, 1, 1)[..] else {
        panic!("one was forked");
    };
    go(&mut program, 1);
    let ids = format!(" fork/{child}/{child} {SOURCE}:");
    let is_of_child = |line: &str| line.contains(&ids);
    tracer.stdout.wait_line("its event", 0, is_of_child);
    tracer.interrupt().assert_code(0);
}

#[test]
fn child_that_executes_a_program_is_left() {
    if !needs::kernel() {
        return;
    }
    let mut program = forking();
    let text = Text::of_exe(program.pid());
    let tracer = follow(&program, &[&work()], &[]);
    let [executes, stays] = fork(&mut program, &tracer, 2, 5)[..] else {
        panic!("two were forked");
    };
    // It runs this program again, at other addresses.
    let from = program.stdout.count();
    tell(&mut program, "exec");
    program.stdout.wait("its calls", |lines| {
        (named(&lines[from..], "called ") == [executes]).then_some(())
    });
    text.in_process(executes).wait_restored();
    text.in_process(stays).wait_changed(1);
    go(&mut program, 1);
    let finished = tracer.interrupt();
    tell(&mut program, "end");
    finished.assert_says(&["followed 2 processes", "1 of them until they executed"]);
    let mut seen = by_process(&finished.events());
    // The tracer learns of the execution at once and removes the probes. The new program may have
    // made its first calls by then. Only these can be seen.
    if let Some(early) = seen.remove(&executes) {
        assert!(up_to(5).starts_with(&early), "{finished}");
    }
    assert_eq!(seen, BTreeMap::from([(stays, up_to(5))]), "{finished}");
    assert_adds_up(&finished.summary("p1"));
}

#[test]
fn programs_that_are_spawned_are_not_followed() {
    if !needs::kernel() {
        return;
    }
    let mut program = forking();
    let tracer = follow(&program, &[&work()], &[]);
    tell(&mut program, "spawn 50");
    tell(&mut program, "call 5");
    tracer.wait_events(5);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    finished.assert_says(&["followed 0 processes"]);
    let expected = BTreeMap::from([(program.pid(), up_to(5))]);
    assert_eq!(by_process(&finished.events()), expected, "{finished}");
}

/// File descriptors of a process, except those of eBPF programs: one may be loaded in advance.
fn descriptors(pid: u32) -> usize {
    let all = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the process runs");
    let is_program = |link: PathBuf| link.as_os_str() == "anon_inode:bpf-prog";
    all.filter(|entry| {
        let entry = entry.as_ref().expect("an entry");
        !std::fs::read_link(entry.path()).is_ok_and(is_program)
    })
    .count()
}

#[test]
fn storm_of_short_children_leaves_nothing() {
    const CALLS: i64 = 20;
    if !needs::kernel() {
        return;
    }
    let mut program = forking();
    let text = Text::of_exe(program.pid());
    let tracer = follow(&program, &[&work()], &[]);
    let before = descriptors(tracer.pid());
    let said = tell(&mut program, "storm 300 20");
    assert_eq!(named(&said, "failed "), [0], "a child was harmed");
    // Ends are noticed, and links closed, after the children have ended.
    wait_for("the descriptors to be closed", || {
        (descriptors(tracer.pid()) <= before).then_some(())
    });
    tell(&mut program, "call 3");
    wait_for("the target's calls", || {
        let seen = by_process(&tracer.events());
        (seen.get(&program.pid()) == Some(&up_to(3))).then_some(())
    });
    let finished = tracer.interrupt();
    text.wait_restored();
    finished.assert_code(0);
    let mut seen = by_process(&finished.events());
    seen.remove(&program.pid());
    for (process, numbers) in &seen {
        // Some calls around the attach are missing, but none comes twice.
        let in_order = numbers.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(in_order, "process {process}: {numbers:?}");
        assert!((1..=CALLS).contains(&numbers[0]), "{numbers:?}");
        assert!(numbers.len() <= 20 && numbers[numbers.len() - 1] <= CALLS);
    }
    let summary = finished.summary("p1");
    assert_adds_up(&summary);
    assert_eq!(counter(&summary, "lost"), 0, "{summary}");
    let events = finished.events().len() as u64;
    assert_eq!(counter(&summary, "hits"), events, "{summary}");
    // Each child is in one of the counters.
    let followed = finished.followed();
    let all = counter(&followed, "followed") + counter(&followed, "too_short");
    assert_eq!(all, 300, "{finished}");
}

#[test]
fn what_children_did_before_they_had_the_probes_is_told() {
    if !needs::kernel() {
        return;
    }
    let mut program = forking();
    let tracer = follow(&program, &[&work()], &[]);
    fork(&mut program, &tracer, 3, 1);
    let finished = tracer.interrupt();
    tell(&mut program, "end");
    finished.assert_says(&[
        " ms were not seen",
        "; the first ",
        "of each were not seen (`--follow-fork=exact` avoids this",
    ]);
    let line = finished.followed();
    assert_eq!(
        (&line["exact"], &line["followed"]),
        (&false.into(), &3.into())
    );
    let of = |key: &str| line["unseen_ns"][key].as_u64().expect("a number");
    // A delay lasts at least a system call, and less than a second.
    assert!((1_000..=of("max")).contains(&of("min")), "{line}");
    assert!(of("max") < 1_000_000_000, "{line}");
}

fn exact_sees_all(name: &str, more: &[&str]) {
    const CHILDREN: usize = 200;
    if !needs::kernel() {
        return;
    }
    let mut program = forking_alone(name);
    let mut other = forking_alone(name);
    let text = Text::of_exe(program.pid());
    let line = probe_line(SOURCE, "work");
    let count = format!("count {SOURCE}:{line} as calls");
    let halves = format!("count {SOURCE}:{line} if number * 0.5 >= 10.0 as halves");
    let probes = [&work(), &count, "time slow as slow", &halves];
    let args = [&["--follow-fork=exact"], more].concat();
    let tracer = Tracer::attach(program.pid(), "json", &probes, &args);
    tracer.wait_tracing();
    let said = tell(&mut program, &format!("burst {CHILDREN} 20"));
    assert_eq!(named(&said, "failed "), [0], "a child was harmed");
    // An unrelated process of this program, and a program that a child executes.
    tell(&mut other, "burst 3 20");
    tell(&mut other, "call 7");
    tell(&mut program, "fork 1 9");
    let from = program.stdout.count();
    tell(&mut program, "exec");
    program.stdout.wait("its calls", |lines| {
        (named(&lines[from..], "called ").len() == 1).then_some(())
    });
    tell(&mut program, "call 3");
    tracer.wait_events(CHILDREN * 20 + 3);
    let finished = tracer.interrupt();
    text.wait_restored();
    tell(&mut program, "end");
    finished.assert_code(0);
    let mut seen = by_process(&finished.events());
    assert_eq!(seen.remove(&program.pid()), Some(up_to(3)));
    assert_eq!(seen.len(), CHILDREN, "{:?}", seen.keys());
    for (process, numbers) in &seen {
        assert_eq!(*numbers, up_to(20), "process {process}");
    }
    let hits = |probe: &str| {
        let summary = finished.summary(probe);
        assert_adds_up(&summary);
        assert_eq!(counter(&summary, "lost"), 0, "{summary}");
        counter(&summary, "hits")
    };
    let calls = CHILDREN as u64 * 20 + 3;
    assert_eq!((hits("p1"), hits("calls")), (calls, calls));
    assert_eq!(hits("slow"), CHILDREN as u64 + 1);
    assert_eq!(hits("halves"), calls);
    let taken = counter(&finished.summary("halves"), "events");
    assert_eq!(taken, CHILDREN as u64, "the twentieth call of each");
    let line = finished.followed();
    assert_eq!(line["followed"], CHILDREN as u64 + 1, "{line}");
    assert_eq!(line["executed"], 1, "{line}");
    assert_eq!(
        (&line["too_short"], &line["missed"]),
        (&0.into(), &0.into())
    );
    assert_eq!(line.get("unseen_ns"), None, "{line}");
    finished.assert_says(&["followed 201 processes", "each from its first instruction"]);
}

#[test]
fn exact_sees_each_call_of_each_child_and_of_nobody_else() {
    exact_sees_all("fork-exact-multi", &[]);
}

#[test]
fn exact_sees_each_call_by_perf_events() {
    exact_sees_all("fork-exact-perf", &["--perf-events"]);
}

#[test]
fn exact_refuses_trampolines_in_processes_of_others() {
    if !needs::kernel() {
        return;
    }
    let program = forking_alone("fork-exact-refused");
    let probe = "time slow trampoline";
    let tracer = Tracer::attach(program.pid(), "json", &[probe], &["--follow-fork=exact"]);
    let finished = tracer.finish();
    finished.assert_code(2);
    finished.assert_says(&["would replace return addresses in every process"]);
}

#[test]
fn session_goes_on_until_the_last_process_has_exited() {
    if !needs::kernel() {
        return;
    }
    let mut program = forking();
    let tracer = follow(&program, &[&work()], &[]);
    let said = tell(&mut program, "daemon 7");
    let [daemon] = named(&said, "forked ")[..] else {
        panic!("one was forked: {said:?}");
    };
    followed(&tracer, daemon);
    program.close_input();
    program.wait();
    let finished = tracer.finish();
    finished.assert_code(0);
    let expected = BTreeMap::from([(daemon, up_to(7))]);
    assert_eq!(by_process(&finished.events()), expected, "{finished}");
    assert_adds_up(&finished.summary("p1"));
}

#[test]
fn kill_9_leaves_the_children_running_without_probes() {
    if !needs::kernel() {
        return;
    }
    let mut program = forking();
    let text = Text::of_exe(program.pid());
    let tracer = follow(&program, &[&work()], &[]);
    let children = fork(&mut program, &tracer, 4, 5);
    for &child in &children {
        text.in_process(child).wait_changed(1);
    }
    tracer.signal(Signal::KILL);
    tracer.finish();
    text.wait_restored();
    for &child in &children {
        text.in_process(child).wait_restored();
        assert_eq!(status_field(child, "TracerPid").as_deref(), Some("0"));
    }
    go(&mut program, 4);
    tell(&mut program, "end");
}

#[test]
fn probes_of_children_go_and_come_with_the_targets() {
    if !needs::kernel() {
        return;
    }
    let mut program = forking();
    let text = Text::of_exe(program.pid());
    let tracer = follow(&program, &[&work()], &[]);
    let [first] = fork(&mut program, &tracer, 1, 5)[..] else {
        panic!("one was forked");
    };
    send(tracer.pid(), Signal::USR1);
    text.in_process(first).wait_restored();
    // A child that starts while the probe is silenced has it when it is enabled again.
    let [second] = fork(&mut program, &tracer, 1, 5)[..] else {
        panic!("one was forked");
    };
    text.in_process(second).wait_restored();
    go(&mut program, 2);
    send(tracer.pid(), Signal::USR1);
    for child in [first, second] {
        text.in_process(child).wait_changed(1);
    }
    go(&mut program, 2);
    tracer.wait_events(10);
    let finished = tracer.interrupt();
    tell(&mut program, "end");
    let expected = BTreeMap::from([(first, up_to(5)), (second, up_to(5))]);
    assert_eq!(by_process(&finished.events()), expected, "{finished}");
    assert_adds_up(&finished.summary("p1"));
}

#[test]
fn times_of_children_are_their_own() {
    if !needs::kernel() {
        return;
    }
    let mut program = forking();
    let tracer = follow(&program, &[r#"time slow "{number}""#], &[]);
    let children = fork(&mut program, &tracer, 3, 6);
    go(&mut program, 3);
    let events = tracer.wait_events(3);
    let finished = tracer.interrupt();
    tell(&mut program, "end");
    let mut seen: Vec<u64> = events
        .iter()
        .map(|event| event["pid"].as_u64().expect("a pid"))
        .collect();
    seen.sort_unstable();
    let children: Vec<u64> = children.iter().map(|&child| u64::from(child)).collect();
    assert_eq!(seen, children, "{finished}");
    let summary = finished.summary("p1");
    assert_adds_up(&summary);
    assert_eq!(counter(&summary, "hits"), 3, "{summary}");
}

#[test]
fn probe_that_is_done_is_in_no_process_any_more() {
    if !needs::kernel() {
        return;
    }
    let mut program = forking();
    let text = Text::of_exe(program.pid());
    let few = work().replace(" rate", " hits 4 rate");
    // The other probe gets no hits, and keeps the session alive.
    let tracer = follow(&program, &[&few, "count main"], &[]);
    fork(&mut program, &tracer, 2, 3);
    go(&mut program, 2);
    let is = |line: &str| line.contains("p1 is done after 4 hits");
    tracer.stderr.wait_line("the end of a probe", 0, is);
    text.wait_changed(1);
    let late = fork(&mut program, &tracer, 1, 3);
    text.in_process(late[0]).wait_changed(1);
    go(&mut program, 3);
    let finished = tracer.interrupt();
    let summary = finished.summary("p1");
    assert_eq!(counter(&summary, "events"), 4, "{finished}");
    assert_adds_up(&summary);
}
