//! Values that need the address of another module, in several processes that have it at different
//! addresses.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::build::{c, fixture, probe_line};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::tracer::{Finished, Tracer, assert_adds_up, counter, value};

const SOURCE: &str = "e2e_apart.cpp";
const CLASSES: &str = "e2e_classes_lib.cpp";

fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

fn cpp(name: &str, source: &str, flags: &[&str]) -> PathBuf {
    fixture("g++", name, source, &[&["-g"], flags].concat())
}

/// The program, under a name of this test alone, with a library that has `Shape` and one that has
/// `Round`.
fn program(test: &str) -> PathBuf {
    let library = cpp("libe2e_classes.so", CLASSES, &["-shared", "-fPIC"]);
    let round = cpp(
        "libe2e_round.so",
        "e2e_classes_plugin.cpp",
        &["-shared", "-fPIC", text(&library)],
    );
    // The program has the definition of the base, too, whose virtual table is in a library.
    let whole = "-femit-class-debug-always";
    let flags = ["-fPIE", "-pie", whole, text(&library), text(&round)];
    let folder = |path: &Path| {
        let folder = path.parent().expect("a file is in a folder");
        format!("-Wl,-rpath,{}", folder.display())
    };
    let paths = [folder(&library), folder(&round)];
    let flags = [&flags[..], &[&paths[0], &paths[1]]].concat();
    cpp(test, SOURCE, &flags)
}

/// Probes of both sites: of the program, whose object is of a library's class, and of the library, whose
/// object is of the program's class.
fn select(selectors: &[&str]) -> Tracer {
    let look = format!(
        r#"log {SOURCE}:{} "{{shape}}" rate 1000000/s"#,
        probe_line(SOURCE, "look")
    );
    let visit = format!(
        r#"log {CLASSES}:{} "{{shape}}" rate 1000000/s"#,
        probe_line(CLASSES, "visit")
    );
    let mut args = vec!["attach", "--output", "json", "--max-cpu", "off"];
    args.extend(["-e", &look, "-e", &visit]);
    args.extend(selectors);
    let tracer = Tracer::start(&args);
    tracer.wait_tracing();
    tracer
}

/// The values that each process has shown at both probes, of `count` hits each.
fn assert_right(finished: &Finished, expected: &BTreeMap<u64, usize>) {
    let base = json!({"$type": "Shape", "id": 1});
    let round = json!({"$type": "Round", "Shape": base, "radius": 20});
    let square = json!({"$type": "Square", "Shape": base, "edge": 7});
    let mut seen: BTreeMap<u64, [usize; 2]> = BTreeMap::new();
    for event in finished.events() {
        let pid = event["pid"].as_u64().expect("a number");
        let (index, right) = match event["probe"].as_str() {
            Some("p1") => (0, &round),
            _ => (1, &square),
        };
        assert_eq!(&value(&event, "shape")["$target"], right, "{event}");
        seen.entry(pid).or_default()[index] += 1;
    }
    let expected: BTreeMap<u64, [usize; 2]> = expected
        .iter()
        .map(|(&pid, &count)| (pid, [count; 2]))
        .collect();
    assert_eq!(seen, expected, "{finished}");
    for name in ["p1", "p2"] {
        let summary = finished.summary(name);
        assert_adds_up(&summary);
        assert_eq!(counter(&summary, "lost"), 0, "{summary}");
    }
}

/// Runs the program to its end.
#[track_caller]
fn run(path: &Path, args: &[&str]) -> u64 {
    let mut child = Command::new(path).args(args).spawn().expect("the program");
    let pid = child.id();
    assert!(child.wait().expect("its end").success());
    pid.into()
}

/// Has a program that stays work once more.
#[track_caller]
fn work(program: &mut Program) {
    let from = program.stdout.lines().len();
    program.say("work");
    program
        .stdout
        .wait_line("the work", from, |line| line == "done");
}

/// Start of the first mapping of the program's file.
fn start_of(program: &Program) -> String {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", program.pid()));
    let maps = maps.expect("it runs");
    maps.split('-').next().expect("an address").to_owned()
}

#[test]
fn class_of_another_module_is_recognised_in_each_process_from_its_start_on() {
    if !needs::kernel() {
        return;
    }
    let path = program("apart-classes");
    let mut earlier = [(); 3].map(|()| Program::ready(&path, &["1", "stay"]));
    let starts = earlier.each_ref().map(start_of);
    assert!(
        starts[0] != starts[1] && starts[1] != starts[2],
        "addresses are random: {starts:?}"
    );
    let tracer = select(&["--exe", text(&path)]);
    // The constructor's hit is the first.
    let mut expected: BTreeMap<u64, usize> = (0..5).map(|_| (run(&path, &["3"]), 4)).collect();
    for program in &mut earlier {
        work(program);
        work(program);
        expected.insert(program.pid().into(), 2);
    }
    let total: usize = expected.values().sum();
    tracer.wait_events(2 * total);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    assert_right(&finished, &expected);
}

#[test]
fn chosen_processes_have_values_of_their_own() {
    if !needs::kernel() {
        return;
    }
    let path = program("apart-chosen");
    let mut chosen = [(); 2].map(|()| Program::ready(&path, &["1", "stay"]));
    let pids = chosen.each_ref().map(|one| one.pid().to_string());
    let tracer = select(&["--pid", &pids[0], "--pid", &pids[1]]);
    let mut expected = BTreeMap::new();
    for program in &mut chosen {
        work(program);
        expected.insert(program.pid().into(), 1);
    }
    tracer.wait_events(4);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    assert_right(&finished, &expected);
}

#[test]
fn process_that_stands_for_the_others_may_end() {
    if !needs::kernel() {
        return;
    }
    let path = program("apart-standing");
    let mut first = Program::ready(&path, &["1", "stay"]);
    let mut second = Program::ready(&path, &["1", "stay"]);
    let tracer = select(&["--exe", text(&path)]);
    first.close_input();
    assert!(first.wait().success());
    let later = run(&path, &["2"]);
    work(&mut second);
    let expected = BTreeMap::from([(later, 3), (second.pid().into(), 1)]);
    tracer.wait_events(2 * 4);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    assert_right(&finished, &expected);
}

#[test]
fn forked_process_has_the_modules_of_its_parent() {
    if !needs::kernel() {
        return;
    }
    let path = program("apart-forked");
    let mut stays = Program::ready(&path, &["1", "stay"]);
    let tracer = select(&["--exe", text(&path)]);
    let parents: Vec<u64> = (0..3).map(|_| run(&path, &["50", "fork"])).collect();
    work(&mut stays);
    tracer.wait_events(2 * (3 * (1 + 50) + 1));
    let finished = tracer.interrupt();
    finished.assert_code(0);
    // A page that identifies a module may not be in the child's memory yet, and comes soon.
    let why = "the address of a module that it needs is not known in this process yet";
    let unknown = json!({ "$unavailable": why });
    let mut children: BTreeMap<u64, Vec<bool>> = BTreeMap::new();
    for event in finished.events() {
        let pid = event["pid"].as_u64().expect("a number");
        let class = &value(&event, "shape")["$target"]["$type"];
        let is_right = class == "Round" || class == "Square";
        let is_child = !parents.contains(&pid) && pid != u64::from(stays.pid());
        if is_child {
            children.entry(pid).or_default().push(is_right);
        }
        let is_unknown = value(&event, "shape")["$target"] == unknown;
        assert!(is_right || (is_child && is_unknown), "{event}");
    }
    assert_eq!(children.len(), 3, "{finished}");
    for seen in children.values() {
        assert_eq!(seen.len(), 100, "{finished}");
        assert!(
            seen.iter().rev().take(20).all(|is_right| *is_right),
            "{seen:?}"
        );
    }
}

#[test]
fn executed_program_is_not_read_with_the_addresses_of_the_one_before() {
    if !needs::kernel() {
        return;
    }
    let path = program("apart-again");
    let mut stays = Program::ready(&path, &["1", "stay"]);
    let tracer = select(&["--exe", text(&path)]);
    let again: Vec<u64> = (0..5).map(|_| run(&path, &["2", "again"])).collect();
    work(&mut stays);
    tracer.wait_events(2 * (5 * 6 + 1));
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let mut expected: BTreeMap<u64, usize> = again.iter().map(|&pid| (pid, 6)).collect();
    expected.insert(stays.pid().into(), 1);
    assert_right(&finished, &expected);
}

/// The linker of musl has a list like that of glibc, which a variable without a fixed layout leads to.
#[test]
fn parameter_that_another_module_passed_is_known_from_the_start_with_musl() {
    if !needs::kernel() || !needs::tools(&["musl-gcc"]) {
        return;
    }
    let source = "e2e_entry_lib.c";
    let musl = |name, source, flags: &[&str]| {
        // Debian's compiler is set up without it, and values of other modules need it.
        let all = [&["-g", "-O2", "-Wl,--build-id"], flags].concat();
        fixture("musl-gcc", name, source, &all)
    };
    let library = musl("libe2e_entry.so", source, &["-shared", "-fPIC"]);
    let folder = library.parent().expect("a file is in a folder");
    let search = format!("-Wl,-rpath,{}", folder.display());
    let flags = ["-fPIE", "-pie", &search, text(&library)];
    let path = musl("apart-musl", "e2e_entry_main.c", &flags);
    let _earlier = Program::ready(&path, &[]);
    let line = probe_line(source, "entered");
    // The program calls it three times a round. The third call is through a pointer, which does not tell.
    let probe = format!(r#"log {source}:{line} "{{constant}} {{kept}}" per process hits 9"#);
    let args = ["attach", "-o", "json", "--max-cpu", "off", "-e", &probe];
    let tracer = Tracer::start(args.iter().chain(&["--exe", text(&path)]));
    tracer.wait_tracing();
    let later = [(); 4].map(|()| Program::ready(&path, &[]));
    wait_each(&tracer, &later, 9);
    let finished = tracer.interrupt();
    for program in &later {
        let events = finished.events();
        let mine = events.iter().filter(|event| event["pid"] == program.pid());
        let passed = mine.map(|event| {
            (
                value(event, "constant").as_i64(),
                value(event, "kept").as_i64(),
            )
        });
        let told: Vec<_> = passed.filter(|(constant, _)| constant.is_some()).collect();
        let expected = (0..3).flat_map(|round| [(-6, round), (-7, -round)]);
        let expected: Vec<_> = expected
            .map(|(constant, kept)| (Some(constant), Some(kept)))
            .collect();
        assert_eq!(told, expected, "{finished}");
    }
}

/// Waits until each process has this many events.
#[track_caller]
fn wait_each(tracer: &Tracer, programs: &[Program], count: usize) {
    let mut wanted = count * programs.len();
    loop {
        let events = tracer.wait_events(wanted);
        let of = |program: &Program| {
            let mine = events.iter().filter(|event| event["pid"] == program.pid());
            mine.count()
        };
        if programs.iter().all(|program| of(program) >= count) {
            return;
        }
        let most = 50 * count * programs.len();
        assert!(events.len() < most, "no events of some process: {events:?}");
        wanted = events.len() + 1;
    }
}

/// Sends a command to the program, and waits until it is done.
#[track_caller]
fn tell(program: &mut Program, what: &str) {
    let from = program.stdout.lines().len();
    program.say(what);
    program.stdout.wait_line(what, from, |line| line == "done");
}

/// Two processes that open and close libraries, and the events of each.
#[test]
fn library_that_is_opened_again_is_found_again_and_another_build_is_not_taken_for_it() {
    if !needs::kernel() {
        return;
    }
    let library = cpp("libe2e_classes.so", CLASSES, &["-shared", "-fPIC"]);
    let plugin = |define: &str| {
        let flags = ["-shared", "-fPIC", define, text(&library)];
        cpp("libe2e_plugin.so", "e2e_classes_plugin.cpp", &flags)
    };
    let (first, second) = (plugin("-DFIRST"), plugin("-DSECOND"));
    let flags = [text(&library), "-ldl"];
    let path = cpp("apart-plugins", "e2e_classes_main.cpp", &flags);
    let start = || Program::ready(&path, &[text(&first), text(&second)]);
    let mut targets = [start(), start()];
    for target in &mut targets {
        tell(target, "open 1");
    }
    let line = probe_line(CLASSES, "visit");
    let probe = format!(r#"log {CLASSES}:{line} "{{shape}}""#);
    let tracer = Tracer::start([
        "attach",
        "--output",
        "json",
        "-e",
        &probe,
        "--exe",
        text(&path),
    ]);
    tracer.wait_tracing();
    let mut later = start();
    tell(&mut later, "own");
    for line in [
        "own", "call", "close", "open 2", "call", "own", "close", "open 1", "call",
    ] {
        for target in &mut targets {
            tell(target, line);
        }
    }
    // A library that comes after the start.
    for line in ["open 1", "call"] {
        tell(&mut later, line);
    }
    tracer.wait_events(2 * 5 + 2);
    let finished = tracer.interrupt();
    let events = finished.events();
    let shown = |pid: u32| -> Vec<Value> {
        let mine = events.iter().filter(|event| event["pid"] == pid);
        mine.map(|event| value(event, "shape")["$target"].clone())
            .collect()
    };
    let base = json!({"$type": "Shape", "id": 1});
    let square = json!({"$type": "Square", "Shape": base, "edge": 7});
    let round = json!({"$type": "Round", "Shape": base, "radius": 20});
    for target in &targets {
        // For the other build, only values that the library itself knows are shown.
        let expected = [&square, &round, &base, &square, &round].map(Value::clone);
        assert_eq!(shown(target.pid()), expected, "{finished}");
    }
    assert_eq!(shown(later.pid()), [square, round], "{finished}");
    let summary = finished.summary("p1");
    assert_adds_up(&summary);
    assert_eq!(counter(&summary, "hits"), 12, "{summary}");
}

#[test]
fn thread_local_of_a_library_is_that_of_the_thread_in_each_process() {
    if !needs::kernel() {
        return;
    }
    const LIBRARY: &str = "e2e_shared_lib.c";
    let library = c(
        "libe2e_shared.so",
        LIBRARY,
        &["-O0", "-shared", "-fPIC", "-Wl,-soname,libe2e_shared.so"],
    );
    let folder = library.parent().expect("a file is in a folder");
    let rpath = format!("-Wl,-rpath,{}", folder.display());
    let flags = ["-O0", "-DLINKED", text(&library), &rpath];
    let path = c("apart-thread-local", "e2e_shared_main.c", &flags);
    let mut programs = vec![Program::ready(&path, &["1"]), Program::ready(&path, &["2"])];
    let line = probe_line(LIBRARY, "library");
    let probe = format!(r#"log {LIBRARY}:{line} "{{input}} {{calls}} {{by_thread}}""#);
    let tracer = Tracer::start([
        "attach",
        "--output",
        "json",
        "-e",
        &probe,
        "--exe",
        text(&path),
    ]);
    tracer.wait_tracing();
    programs.push(Program::ready(&path, &["3"]));
    programs.push(Program::ready(&path, &["4"]));
    wait_each(&tracer, &programs, 20);
    let finished = tracer.interrupt();
    for event in finished.events() {
        let index = programs.iter().position(|one| event["pid"] == one.pid());
        let input = index.expect("one of them") + 1;
        assert_eq!(value(&event, "input"), input, "{event}");
        // One thread calls: both counters increase equally, from 40 and from 7.
        let calls = value(&event, "calls").as_i64().expect("a number");
        assert_eq!(value(&event, "by_thread"), calls - 33, "{event}");
    }
    let summary = finished.summary("p1");
    assert_adds_up(&summary);
    assert_eq!(counter(&summary, "lost"), 0, "{summary}");
}

#[test]
fn parameters_that_another_module_passes_are_those_of_each_process() {
    if !needs::kernel() {
        return;
    }
    const LIBRARY: &str = "e2e_entry_lib.c";
    let library = c("libe2e_entry.so", LIBRARY, &["-O2", "-shared", "-fPIC"]);
    let flags = ["-fPIE", "-pie", "-O2", text(&library)];
    let path = c("apart-entry", "e2e_entry_main.c", &flags);
    let mut programs = vec![Program::ready(&path, &[]), Program::ready(&path, &[])];
    let line = probe_line(LIBRARY, "entered");
    let probe =
        format!(r#"log libe2e_entry.so!{LIBRARY}:{line} "{{constant}} {{kept}}" rate 1000000/s"#);
    let tracer = Tracer::start([
        "attach",
        "--output",
        "json",
        "-e",
        &probe,
        "--exe",
        text(&path),
    ]);
    tracer.wait_tracing();
    programs.push(Program::ready(&path, &[]));
    wait_each(&tracer, &programs, 30);
    let finished = tracer.interrupt();
    let unknown = "not supported: the value at the function's entry, called from there";
    let unknown = json!({ "$unavailable": unknown });
    for program in &programs {
        let (mut seen, mut last) = ([0; 3], None);
        let events = finished.events();
        for event in events.iter().filter(|event| event["pid"] == program.pid()) {
            let (constant, kept) = (value(event, "constant"), value(event, "kept"));
            match constant.as_i64() {
                Some(-6) => {
                    seen[0] += 1;
                    let round = kept.as_i64().expect("a number");
                    assert!(last.is_none_or(|last| last + 1 == round), "{event}");
                    last = Some(round);
                }
                Some(-7) => {
                    seen[1] += 1;
                    let round = kept.as_i64().map(|kept| -kept);
                    assert!(last.is_none() || round == last, "{event}");
                }
                // A call through a pointer does not show which function it calls.
                _ => {
                    seen[2] += 1;
                    assert_eq!((constant, kept), (&unknown, &unknown), "{event}");
                }
            }
        }
        assert!(seen.iter().all(|&count| count >= 8), "{seen:?}");
    }
    let summary = finished.summary("p1");
    assert_adds_up(&summary);
    assert_eq!(counter(&summary, "lost"), 0, "{summary}");
}
