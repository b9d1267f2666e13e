//! Code that is mapped several times, or not where its file was mapped any more, and functions with
//! variants that the loader chooses from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::build::{c, probe_line};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::tracer::{Finished, Tracer, assert_adds_up, counter, tracer, value};

const LIBRARY: &str = "e2e_copies_lib.c";
const MOVED: &str = "e2e_remapped.c";

fn twice(count: &str) -> Program {
    let library = c("libe2e_copies.so", LIBRARY, &["-O2", "-shared", "-fPIC"]);
    let library = library.to_str().expect("test paths are UTF-8");
    let path = c("copies", "e2e_copies_main.c", &["-O0", "-ldl"]);
    Program::ready(&path, &[library, count])
}

fn at_work(values: &str) -> String {
    format!("log {LIBRARY}:{} \"{values}\"", probe_line(LIBRARY, "work"))
}

/// For each copy, by the number that it adds: the values of its static at its hits, in order.
fn by_copy(events: &[Value]) -> BTreeMap<i64, Vec<i64>> {
    let number = |event, expr| value(event, expr).as_i64().expect("a number");
    let mut copies: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for event in events {
        let states = copies.entry(number(event, "number")).or_default();
        states.push(number(event, "copy_state"));
    }
    copies
}

fn assert_no_loss(finished: &Finished, probe: &str) {
    let summary = finished.summary(probe);
    assert_adds_up(&summary);
    assert_eq!(counter(&summary, "lost"), 0, "{summary}");
    assert!(counter(&summary, "hits") > 0, "{summary}");
}

#[test]
fn each_copy_of_a_library_has_its_own_statics() {
    if !needs::kernel() {
        return;
    }
    let program = twice("2");
    let log = at_work("{number} {copy_state} {copy_calls} {&copy_state}");
    // The module is named, because otherwise each earlier module would be searched.
    let count = "count libe2e_copies.so!copy_work by number";
    let time = "time libe2e_copies.so!copy_work";
    let tracer = Tracer::json(program.pid(), &[&log, count, time]);
    tracer.wait_events(60);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let events = finished.events();
    let copies = by_copy(&events);
    assert_eq!(copies.keys().copied().collect::<Vec<_>>(), [1, 1000]);
    for (adds, states) in &copies {
        assert!(states.len() >= 25, "{copies:?}");
        // At the hit, the number is not yet added.
        assert!(
            states.windows(2).all(|two| two[1] - two[0] == *adds),
            "{states:?}"
        );
        assert!(
            states.iter().all(|state| (state - 5) % adds == 0),
            "{states:?}"
        );
    }
    // Two calls of one round count equally in both copies.
    for event in &events {
        let number = |expr| value(event, expr).as_i64().expect("a number");
        let calls = (number("copy_state") - 5) / number("number");
        assert_eq!(number("copy_calls"), calls, "{event}");
        assert_eq!(
            value(event, "&copy_state")["$symbol"],
            "copy_state",
            "{event}"
        );
    }
    for probe in ["p1", "p2", "p3"] {
        assert_no_loss(&finished, probe);
    }
}

#[test]
fn hits_of_a_copy_that_comes_later_are_seen() {
    if !needs::kernel() {
        return;
    }
    let mut program = twice("1");
    // One probe that uses no address, and one that reads a static.
    let (free, bound) = (
        at_work("{number}") + " as free",
        at_work("{number} {copy_state}") + " as bound",
    );
    let tracer = Tracer::json(program.pid(), &[&free, &bound]);
    tracer.wait_events(10);
    program.say("load");
    tracer.stdout.wait("events of the second copy", |lines| {
        let of_second = |probe: &str| {
            let probe = format!(r#""probe":"{probe}""#);
            let mine = lines
                .iter()
                .filter(|line| line.contains(&probe) && line.contains(r#""value":1000}"#));
            mine.count()
        };
        (of_second("free") > 3 && of_second("bound") > 3).then_some(())
    });
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let summaries = finished.summaries();
    for summary in &summaries {
        assert_adds_up(summary);
    }
    let free: Vec<&Value> = summaries
        .iter()
        .filter(|one| one["probe"] == "free")
        .collect();
    assert_eq!(counter(free[0], "lost"), 0, "{finished}");
    let bound: Vec<Value> = finished
        .events()
        .into_iter()
        .filter(|one| one["probe"] == "bound")
        .collect();
    for (adds, states) in by_copy(&bound) {
        assert!(
            states.iter().all(|state| (state - 5) % adds == 0),
            "{states:?}"
        );
    }
}

fn moved() -> PathBuf {
    c("moved", MOVED, &["-O0"])
}

fn at_moved(action: &str, mark: &str) -> String {
    format!("{action} {MOVED}:{}", probe_line(MOVED, mark))
}

#[test]
fn text_that_was_moved_to_other_memory_is_told_at_once() {
    if !needs::kernel() {
        return;
    }
    let program = Program::ready(&moved(), &["now"]);
    let probe = at_moved("log", "moved");
    let words = [
        "is in no executable mapping any more",
        "moved or unmapped it",
    ];
    let finished = Tracer::json(program.pid(), &[&probe]).finish();
    finished.assert_code(2).assert_says(&words);
    let pid = program.pid().to_string();
    let checked = tracer(&["attach", "--check", "--pid", &pid, "-e", &probe]);
    checked.assert_code(2).assert_says(&words);
    let doctor = tracer(&["doctor", "--pid", &pid]).text();
    assert!(
        doctor.contains("MOVED") && doctor.contains("4096 of its"),
        "{doctor}"
    );
    let doctor = tracer(&["doctor", "--json", "--pid", &pid]).json();
    let modules = doctor["process"]["modules"].as_array().expect("modules");
    let unmapped = |name: &str| {
        let mut named = modules.iter();
        let module = named.find(|one| one["path"].as_str().is_some_and(|path| path.contains(name)));
        module.expect("it is mapped")["unmapped_code"].as_u64()
    };
    assert_eq!(unmapped("/moved"), Some(4096), "{doctor}");
    assert_eq!(unmapped("/libc"), None, "{doctor}");
    // Code that was not moved works as before.
    let stays = Tracer::attach(
        program.pid(),
        "json",
        &[&at_moved("log", "stays")],
        &["--events", "3"],
    );
    stays.finish().assert_code(0);
}

#[test]
fn text_that_is_moved_while_it_is_probed_is_told() {
    if !needs::kernel() {
        return;
    }
    let mut program = Program::ready(&moved(), &[]);
    let probes = [
        at_moved("log", "moved") + " as first",
        at_moved("count", "stays") + " as second",
    ];
    let tracer = Tracer::json(program.pid(), &[&probes[0], &probes[1]]);
    tracer.wait_events(1);
    program.say("move");
    program
        .stdout
        .wait_line("the move", 0, |line| line == "moved");
    let told = |line: &str| line.contains("`moved` is in no executable mapping");
    tracer.stderr.wait_line("the warning", 0, told);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let warnings: Vec<&String> = finished.stderr.iter().filter(|line| told(line)).collect();
    assert_eq!(warnings.len(), 1, "{finished}");
    assert!(warnings[0].contains("first"), "{finished}");
    for probe in ["first", "second"] {
        assert_no_loss(&finished, probe);
    }
}

#[test]
fn name_of_several_variants_is_the_one_that_the_loader_chose() {
    if !needs::kernel() {
        return;
    }
    let path = c("variants", "e2e_variants.c", &["-O1", "-fno-builtin"]);
    let mut program = Program::ready(&path, &[]);
    let probes = [
        r#"log work "{number}""#,
        "count sum",
        "count libc.so.6!memcmp",
        r#"log work%return "{$return}""#,
    ];
    let tracer = Tracer::json(program.pid(), &probes);
    tracer.wait_tracing();
    program.say("go");
    program
        .stdout
        .wait_line("the calls", 0, |line| line == "done");
    let finished = tracer.interrupt();
    finished.assert_code(0);
    finished.assert_says(&[
        "the loader has chosen `fast` for `work` of variants",
        "for `memcmp` of libc.so.6",
    ]);
    let hits = |probe: &str| {
        let summary = finished.summary(probe);
        assert_adds_up(&summary);
        counter(&summary, "hits")
    };
    assert_eq!(
        (hits("p1"), hits("p2"), hits("p4")),
        (10, 10, 10),
        "{finished}"
    );
    // The C library calls it too.
    assert!(hits("p3") >= 10, "{finished}");
    let numbers: Vec<i64> = finished
        .events()
        .iter()
        .filter(|event| event["probe"] == "p1")
        .map(|event| value(event, "number").as_i64().expect("a number"))
        .collect();
    assert_eq!(numbers, (0..10).collect::<Vec<i64>>());
}

#[test]
fn name_of_several_variants_without_a_process_names_them() {
    let path = c("variants", "e2e_variants.c", &["-O1", "-fno-builtin"]);
    let path = path.to_str().expect("test paths are UTF-8");
    let all = tracer(&["attach", "--check", "--exe", path, "-e", "count sum"]);
    all.assert_code(0);
    assert!(
        all.text().contains("has 2 variants, and all are probed"),
        "{all}"
    );
    let unknown = tracer(&["attach", "--check", "--exe", path, "-e", "count work"]);
    unknown.assert_code(2);
    unknown.assert_says(&[
        "the loader chooses one of several variants for `work`",
        "without a process the choice is unknown",
    ]);
}
