//! Watched values: who writes them, with the value before and after.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::build::{c, fixture, line_of, rust, source};
use crate::support::output::Output;
use crate::support::program::Program;
use crate::support::text::Text;
use crate::support::tracer::{Finished, Tracer, assert_adds_up, counter, value};
use crate::support::{needs, wait_for};

const WATCH: &str = "e2e_watch.c";
const STORES: &str = "e2e_stores.c";

/// Stores of whole ranges, which the processor may make in several steps.
const REPEATED: [&str; 3] = ["rep-stosq", "rep-stosb", "rep-movsb"];
/// Stores that another function makes, with a part of its name.
const CALLED: [(&str, &str); 3] = [("memcpy", "mem"), ("memset", "mem"), ("read", "read")];

/// The marks of a fixture, in the order of their lines.
fn marks(fixture: &str) -> Vec<String> {
    let text = std::fs::read_to_string(source(fixture)).expect("the source");
    let marks = text.lines().filter_map(|line| line.split("at: ").nth(1));
    marks
        .filter_map(|mark| Some(mark.split_whitespace().next()?.to_owned()))
        .collect()
}

/// The mark on the line of an event, or of the first caller that has one.
fn mark_of(fixture: &str, event: &Value) -> Option<String> {
    let text = std::fs::read_to_string(source(fixture)).expect("the source");
    let frames = event["stack"].as_array().into_iter().flatten();
    let places = std::iter::once(event).chain(frames);
    let is_own = |place: &&Value| {
        place["file"]
            .as_str()
            .is_some_and(|file| file.ends_with(fixture))
    };
    let mut lines = places
        .filter(is_own)
        .filter_map(|place| place["line"].as_u64());
    let line = usize::try_from(lines.next()?).ok()?;
    let mark = text.lines().nth(line - 1)?.split("at: ").nth(1)?;
    Some(mark.split_whitespace().next()?.to_owned())
}

fn function(event: &Value) -> &str {
    event["function"].as_str().unwrap_or_default()
}

/// The last values before and after an event, as numbers.
fn change(event: &Value) -> (i64, i64) {
    let number = |name| value(event, name).as_i64().unwrap_or(i64::MIN);
    (number("old"), number("new"))
}

fn watch_fixture(flags: &[&str]) -> Program {
    Program::ready(&c("watch", WATCH, flags), &[])
}

/// Has the fixture carry out `turn` to its end, without a look at its pauses.
#[track_caller]
fn turn(program: &mut Program) {
    let from = program.stdout.count();
    program.say("turn\n\n");
    program
        .stdout
        .wait_line("`done`", from, |line| line == "done");
}

/// Runs a fixture once under probes that send this number of events, or more.
#[track_caller]
fn run(path: &Path, probes: &[&str], events: usize) -> Finished {
    let mut program = Program::ready(path, &[]);
    let text = Text::of_exe(program.pid());
    let tracer = Tracer::attach(program.pid(), "json", probes, &[]);
    tracer.wait_tracing();
    carry_out(&mut program, "go");
    tracer.wait_events(events);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    // Nothing was written to the code.
    assert_eq!(text.changed(), Vec::<u64>::new());
    finished
}

/// Has the fixture carry out a line, and waits for its end.
#[track_caller]
fn carry_out(program: &mut Program, line: &str) {
    let from = program.stdout.count();
    program.say(line);
    program
        .stdout
        .wait_line("`done`", from, |line| line == "done");
}

#[test]
fn line_and_function_of_each_kind_of_store_are_named() {
    if !needs::kernel() {
        return;
    }
    let wanted = marks(STORES);
    assert!(wanted.len() > 45, "{}", wanted.len());
    for compiler in ["gcc", "clang"] {
        for level in ["-O0", "-O2"] {
            let path = fixture(compiler, "stores", STORES, &["-g", level]);
            let probe = "watch cell.value depth 4 rate 1000000/s";
            let finished = run(&path, &[probe], wanted.len());
            assert_adds_up(&finished.summary("p1"));
            let mut seen: BTreeMap<String, Vec<Value>> = BTreeMap::new();
            for event in finished.events() {
                let mark = mark_of(STORES, &event);
                let mark = mark.unwrap_or_else(|| panic!("{compiler} {level}: {event}"));
                assert_eq!(event["access"]["uncertain"], Value::Null, "{event}");
                seen.entry(mark).or_default().push(event);
            }
            let marks: Vec<&String> = wanted.iter().collect();
            for mark in marks {
                let events = seen.remove(mark).unwrap_or_default();
                let called = CALLED.iter().find(|(name, _)| name == mark);
                let is_repeated = REPEATED.contains(&mark.as_str());
                match is_repeated || called.is_some() {
                    true => assert!(!events.is_empty(), "{compiler} {level}: {mark}"),
                    false => assert_eq!(events.len(), 1, "{compiler} {level}: {mark}"),
                }
                for event in &events {
                    let is_by_kernel = mark == "read";
                    let name = &event["access"]["by_kernel"]["name"];
                    assert_eq!(name == "read", is_by_kernel, "{event}");
                    if let Some((_, part)) = called {
                        assert!(function(event).contains(part), "{event}");
                    }
                }
            }
            assert!(seen.is_empty(), "{compiler} {level}: {seen:?}");
        }
    }
}

#[test]
fn instruction_and_kind_of_an_access_are_told() {
    if !needs::kernel() {
        return;
    }
    let path = fixture("gcc", "stores", STORES, &["-g", "-O2"]);
    let probe = "watch cell.value on access depth 4 rate 1000000/s";
    let finished = run(&path, &[probe], marks(STORES).len());
    let events = finished.events();
    for (mark, instruction, kind) in [
        ("mov-immediate", "mov qword ptr", "write"),
        ("lock-xadd", "lock xadd", "update"),
        ("incq", "", ""),
        ("inc", "inc qword ptr", "update"),
        ("stosq", "stosq", "write"),
        ("push", "push rax", "write"),
        ("movups", "movups", "write"),
    ] {
        let mut all = events
            .iter()
            .filter(|event| mark_of(STORES, event).as_deref() == Some(mark));
        let Some(event) = all.next() else {
            assert_eq!(mark, "incq", "no event at {mark}");
            continue;
        };
        let text = event["access"]["instruction"].as_str().unwrap_or_default();
        assert!(text.contains(instruction), "{mark}: {text}");
        assert_eq!(event["access"]["kind"], kind, "{mark}: {event}");
    }
    let is_read = |event: &&Value| event["access"]["kind"] == "read";
    // The last store, by `write`, reads from another place, and `add` reads first.
    for event in events.iter().filter(is_read) {
        let (old, new) = change(event);
        assert_eq!(old, new, "a read changes nothing: {event}");
    }
}

#[test]
fn writes_of_eight_late_threads_are_counted_exactly() {
    if !needs::kernel() {
        return;
    }
    let mut program = watch_fixture(&["-O2"]);
    let probes = ["watch counter if old > new", "watch limit.high"];
    let tracer = Tracer::attach(program.pid(), "json", &probes, &[]);
    tracer.wait_tracing();
    carry_out(&mut program, "threads 12500");
    let finished = tracer.interrupt();
    let summary = finished.summary("p1");
    assert_adds_up(&summary);
    assert_eq!(counter(&summary, "hits"), 100_000);
    // The value of another thread may be read before the own one.
    assert_eq!(
        counter(&summary, "events") + counter(&summary, "rejected"),
        100_000
    );
    assert_eq!(counter(&finished.summary("p2"), "hits"), 0);
    assert!(
        program
            .stdout
            .lines()
            .contains(&"counted 100000".to_owned())
    );
}

#[test]
fn statics_fields_bit_fields_texts_and_objects_behind_pointers_are_watched() {
    if !needs::kernel() {
        return;
    }
    for flags in ["-O0", "-O2"] {
        for (probe, mark, shown) in [
            (
                "watch limit.high",
                "raise",
                "limit.high: 9 → 10 by raise_to",
            ),
            (
                "watch list->next->value",
                "behind",
                "list->next->value: 5 → 6 by main",
            ),
            ("watch text", "text", "text: \"start\" → \"other\" by main"),
        ] {
            let mut program = watch_fixture(&[flags]);
            let probe = format!("{probe} if old != new");
            let probe = match mark {
                // Arrays cannot be compared.
                "text" => "watch text".to_owned(),
                _ => probe,
            };
            let tracer = Tracer::attach(program.pid(), "json", &[&probe], &[]);
            tracer.wait_tracing();
            turn(&mut program);
            tracer.wait_events(1);
            let finished = tracer.interrupt();
            finished.assert_code(0);
            let events = finished.events();
            let last = events.last().unwrap_or_else(|| panic!("{flags} {probe}"));
            let message = last["message"].as_str().unwrap_or_default();
            // A text is copied in one store or in several.
            match mark {
                "text" => assert!(message.contains("→ \"other\" by main"), "{message}"),
                _ => assert_eq!(message, shown, "{flags}"),
            }
            assert_eq!(
                mark_of(WATCH, last).as_deref(),
                Some(mark),
                "{flags}: {last}"
            );
        }
    }
}

#[test]
fn old_and_new_of_a_redacted_value_are_redacted() {
    if !needs::kernel() {
        return;
    }
    let mut program = watch_fixture(&["-O2"]);
    for (text, shown) in [
        ("", "limit.high: <redacted> → <redacted> by raise_to"),
        (
            " \"{old} {new} {new + 1} {limit.low}\"",
            "<redacted> <redacted> <redacted> 1",
        ),
    ] {
        let probe = format!("watch limit.high{text} hits 1");
        let tracer = Tracer::attach(program.pid(), "json", &[&probe], &["--redact", "high"]);
        tracer.wait_tracing();
        turn(&mut program);
        tracer.wait_events(1);
        let finished = tracer.interrupt();
        finished.assert_code(0);
        assert_eq!(finished.events()[0]["message"], shown);
    }
}

#[test]
fn thread_local_of_each_thread_is_watched() {
    if !needs::kernel() {
        return;
    }
    let mut program = watch_fixture(&["-O2"]);
    // One thread is there before, and one comes later.
    let start = |program: &mut Program| {
        let from = program.stdout.count();
        program.say("own");
        let own = program
            .stdout
            .wait_line("a thread", from, |line| line.starts_with("own "));
        let line = program.stdout.lines()[own].clone();
        line.trim_start_matches("own ")
            .parse::<u64>()
            .expect("its id")
    };
    let early = start(&mut program);
    let tracer = Tracer::attach(program.pid(), "json", &["watch turns if new > old"], &[]);
    tracer.wait_tracing();
    let late = start(&mut program);
    // Both add to their own variable again and again.
    let seen = wait_for("accesses of both", || {
        let tids: Vec<u64> = tracer
            .events()
            .iter()
            .map(|event| counter(event, "tid"))
            .collect();
        [early, late]
            .iter()
            .all(|tid| tids.contains(tid))
            .then_some(tids)
    });
    assert!(
        seen.iter().all(|tid| [early, late].contains(tid)),
        "{seen:?}"
    );
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let of = |tid: u64| {
        let events = finished
            .events()
            .into_iter()
            .filter(move |event| counter(event, "tid") == tid);
        events.map(|event| change(&event)).collect::<Vec<_>>()
    };
    for tid in [early, late] {
        for pair in of(tid).windows(2) {
            let [(_, before), (old, new)] = pair else {
                continue;
            };
            assert_eq!((*old, *new), (*before, before + 1), "{tid}");
        }
    }
    finished.assert_says(&["each thread has its own `turns`"]);
}

#[test]
fn thread_local_of_a_library_is_watched_in_a_thread_that_first_uses_it_later() {
    if !needs::kernel() {
        return;
    }
    let library = c(
        "libwatch_own.so",
        "e2e_tls_lib.c",
        &["-O0", "-shared", "-fPIC"],
    );
    let path = c("watch-late", "e2e_tls_main.c", &["-O0", "-ldl"]);
    let library = library.to_str().expect("test paths are UTF-8");
    let mut program = Program::ready(&path, &[library]);
    let say = |program: &mut Program, line: &str| {
        let from = program.stdout.count();
        program.say(line);
        program
            .stdout
            .wait_line("`done`", from, |line| line == "done");
    };
    say(&mut program, "open 1");
    say(&mut program, "main 1");
    let probe = "watch libwatch_own.so!exported if new > old";
    let tracer = Tracer::attach(program.pid(), "json", &[probe], &[]);
    tracer.wait_tracing();
    let main = u64::from(program.pid());
    let event = wait_for("an access of the other thread", || {
        say(&mut program, "call 1");
        let events = tracer.events().into_iter();
        let mut others = events.filter(|event| counter(event, "tid") != main);
        others.next()
    });
    let (old, new) = change(&event);
    assert!(old > 7 && new == old + 1, "{event}");
    tracer.interrupt().assert_code(0);
}

/// Has the fixture go on after its pause, once the tracer has said something.
#[track_caller]
fn resume_once_said(program: &mut Program, tracer: &Tracer, said: &str) {
    let from = program.stdout.count();
    tracer.stderr.wait_line(said, 0, |line| line.contains(said));
    program.say("");
    program
        .stdout
        .wait_line("the end of a pause", from, |line| {
            ["paused", "done"].contains(&line)
        });
}

#[test]
fn object_is_watched_from_a_place_on_and_until_another() {
    if !needs::kernel() {
        return;
    }
    for flags in ["-O0", "-O2"] {
        let mut program = watch_fixture(&[flags]);
        let turns = line_of(&source(WATCH), "at: turns");
        let freed = line_of(&source(WATCH), "at: freed");
        let probes = [
            format!("watch node->value at start until {WATCH}:{freed}"),
            format!("watch turns at {WATCH}:{turns}"),
        ];
        let probes: Vec<&str> = probes.iter().map(String::as_str).collect();
        let tracer = Tracer::attach(program.pid(), "json", &probes, &[]);
        tracer.wait_tracing();
        let from = program.stdout.count();
        program.say("turn");
        program
            .stdout
            .wait_line("a pause", from, |line| line == "paused");
        resume_once_said(&mut program, &tracer, "p1: the object is at");
        resume_once_said(&mut program, &tracer, "p1 is done at the place of `until`");
        tracer.wait_events(2);
        let finished = tracer.interrupt();
        finished.assert_code(0);
        let events = finished.events();
        let of = |probe: &str| {
            let events = events.iter().filter(|event| event["probe"] == probe);
            events
                .map(|event| (mark_of(WATCH, event), change(event)))
                .collect::<Vec<_>>()
        };
        // The compiler may add the three up to one.
        let uses = of("p1");
        let used = uses
            .iter()
            .take_while(|(mark, _)| mark.as_deref() == Some("use"));
        let (first, last) = (uses.first(), used.last());
        assert_eq!(
            first.map(|(_, (old, _))| *old),
            Some(0),
            "{flags}: {events:?}"
        );
        assert_eq!(
            last.map(|(_, (_, new))| *new),
            Some(6),
            "{flags}: {events:?}"
        );
        let turns = of("p2");
        assert_eq!(
            turns.last().map(|(_, (_, new))| *new),
            Some(7),
            "{events:?}"
        );
    }
}

#[test]
fn end_that_does_not_know_the_object_is_told() {
    if !needs::kernel() {
        return;
    }
    let program = watch_fixture(&["-O0"]);
    let wait = line_of(&source(WATCH), "at: wait");
    let later = format!("{WATCH}:{}", line_of(&source(WATCH), "at: loop"));
    for (until, is_told) in [("add", true), (&*later, false)] {
        let probe = format!("watch number at {WATCH}:{wait} until {until}");
        let tracer = Tracer::attach(program.pid(), "json", &[&probe], &[]);
        tracer.wait_tracing();
        let finished = tracer.interrupt();
        let note = "`number` is not known in `add`: its next hit ends the watch, whichever object it is of";
        let told = finished.stderr.iter().any(|line| line.contains(note));
        assert_eq!(told, is_told, "{finished}");
    }
}

#[test]
fn object_on_the_stack_ends_with_its_function() {
    if !needs::kernel() {
        return;
    }
    let mut program = watch_fixture(&["-O0"]);
    let wait = line_of(&source(WATCH), "at: wait");
    let probe = format!("watch number at {WATCH}:{wait}");
    let tracer = Tracer::attach(program.pid(), "json", &[&probe], &[]);
    tracer.wait_tracing();
    let from = program.stdout.count();
    program.say("turn\n");
    let paused = |line: &str| line == "paused";
    let first = program.stdout.wait_line("a pause", from, paused);
    program.stdout.wait_line("another", first + 1, paused);
    resume_once_said(&mut program, &tracer, "on the stack of thread");
    // The functions that are called next use its place.
    let said = "p1 is done since the function of its object was left";
    tracer.stderr.wait_line(said, 0, |line| line.contains(said));
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let events = finished.events();
    let (live, gone): (Vec<&Value>, Vec<&Value>) = events
        .iter()
        .partition(|event| event["access"]["uncertain"].is_null());
    let changes: Vec<(i64, i64)> = live.iter().map(|event| change(event)).collect();
    assert_eq!(changes, [(4, 4), (4, 5), (5, 6)], "{events:?}");
    assert!(!gone.is_empty());
    for event in gone {
        let why = event["access"]["uncertain"].as_str().unwrap_or_default();
        assert_eq!(why, "the function of the object was left before");
    }
}

#[test]
fn forked_children_are_watched_only_when_they_are_followed() {
    if !needs::kernel() {
        return;
    }
    for (more, hits) in [(&[][..], 0), (&["--follow-fork"][..], 500)] {
        let mut program = watch_fixture(&["-O2"]);
        let probes = ["watch counter if new > old"];
        let tracer = Tracer::attach(program.pid(), "json", &probes, more);
        tracer.wait_tracing();
        let from = program.stdout.count();
        program.say("fork 500");
        program
            .stdout
            .wait_line("`forked`", from, |line| line == "forked");
        if !more.is_empty() {
            let said = "is watched from now on";
            tracer.stderr.wait_line(said, 0, |line| line.contains(said));
        }
        carry_out(&mut program, "go");
        let finished = tracer.interrupt();
        assert_eq!(counter(&finished.summary("p1"), "hits"), hits, "{more:?}");
    }
}

#[test]
fn program_that_is_executed_has_the_watch_at_its_own_place() {
    if !needs::kernel() {
        return;
    }
    let mut program = watch_fixture(&["-O2", "-pie"]);
    let tracer = Tracer::attach(program.pid(), "json", &["watch limit.high"], &[]);
    tracer.wait_tracing();
    turn(&mut program);
    tracer.wait_events(1);
    let from = program.stdout.count();
    program.say("exec");
    program
        .stdout
        .wait_line("`ready`", from, |line| line == "ready");
    tracer
        .stderr
        .wait_line("the new program", 0, |line| line.contains("attached again"));
    // The probe is in the new program a moment later.
    wait_for("an event of the new program", || {
        turn(&mut program);
        (tracer.events().len() > 1).then_some(())
    });
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let events = finished.events();
    assert_eq!(change(&events[0]), (9, 10));
    assert!(
        events.iter().all(|event| function(event) == "raise_to"),
        "{events:?}"
    );
}

#[test]
fn registers_are_free_again_however_the_tracer_ends() {
    if !needs::kernel() {
        return;
    }
    let mut program = watch_fixture(&["-O2"]);
    let probes = [
        "watch counter",
        "watch limit.high",
        "watch list",
        "watch text",
    ];
    for signal in [Signal::KILL, Signal::INT, Signal::TERM] {
        let tracer = Tracer::attach(program.pid(), "json", &probes, &[]);
        tracer.wait_tracing();
        tracer.signal(signal);
        let _ended = tracer.finish();
    }
    // All four registers can be had at once.
    let tracer = Tracer::attach(program.pid(), "json", &probes, &[]);
    tracer.wait_tracing();
    turn(&mut program);
    let finished = tracer.interrupt();
    assert_eq!(counter(&finished.summary("p2"), "hits"), 1);
}

/// The refusal of a probe beside others, which are attached.
fn refused(pid: u32, probes: &[&str]) -> Finished {
    let tracer = Tracer::attach(pid, "json", probes, &[]);
    match probes.len() {
        1 => tracer.finish(),
        _ => {
            tracer.wait_tracing();
            tracer.interrupt()
        }
    }
}

#[test]
fn refusals_say_what_to_do() {
    if !needs::kernel() {
        return;
    }
    let program = watch_fixture(&["-O2"]);
    let four = [
        "watch counter",
        "watch limit.high",
        "watch list",
        "watch text",
    ];
    let fifth = [&four[..], &["watch head.value"]].concat();
    let taken = "the processor has four watchpoints of at most 8 bytes for each thread";
    for (probes, words) in [
        (&fifth[..], &[taken][..]),
        (
            &["watch counter", "watch counter if new > 5"],
            &["another probe watches", "join both conditions"],
        ),
        (
            &["watch nothing"],
            &[
                "no static or global variable is named `nothing`",
                "at FILE:LINE",
            ],
        ),
        (&["watch counter + 1"], &["this has no address"]),
        (
            &["watch limit.step"],
            &["is a bit field", "watch the struct that has it"],
        ),
    ] {
        let finished = refused(program.pid(), probes);
        finished.assert_says(words);
    }
    if !needs::tools(&["gdb"]) {
        return;
    }
    let pid = program.pid().to_string();
    let watched = ["counter", "list", "head.value", "tail.value"];
    let commands = watched.map(|value| format!("watch {value}"));
    let commands = commands.iter().flat_map(|command| ["-ex", command]);
    let mut gdb = Command::new("gdb")
        .args(["-nx", "-batch", "-p", &pid])
        .args(commands)
        .args(["-ex", "continue"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("gdb starts");
    let output = Output::read("gdb's output", gdb.stdout.take().expect("piped"));
    let last = "Hardware watchpoint 4";
    output.wait_line("gdb's watchpoints", 0, |line| line.contains(last));
    // gdb sets the registers when the program goes on, a moment later.
    wait_for("the registers to be gdb's", || {
        let tracer = Tracer::attach(program.pid(), "json", &["watch limit.high"], &[]);
        let said = tracer.stderr.wait("an answer", |lines| {
            let is_answer = |line: &&String| line.contains("tracing watch") || line.contains(taken);
            lines.iter().find(is_answer).cloned()
        });
        tracer.signal(Signal::INT);
        let _ended = tracer.finish();
        said.contains(taken).then_some(())
    });
    gdb.kill().expect("gdb runs");
    gdb.wait().expect("gdb ends");
}

#[test]
fn statics_of_cpp_and_rust_are_watched_in_both_builds() {
    if !needs::kernel() {
        return;
    }
    for level in ["-O0", "-O2"] {
        let path = fixture("g++", "watch-cpp", "e2e_watch.cpp", &["-g", level]);
        let probes = [
            "watch shop::orders depth 4",
            "watch shop::Till::total depth 4",
            "watch shop::till.last depth 4",
            "watch shop::numbers[1] depth 6",
        ];
        let finished = run(&path, &probes, 7);
        let marked = |probe: &str| marks_of(&finished, probe, "e2e_watch.cpp");
        assert_eq!(marked("p1"), ["atomic", "sub", "increment"], "{level}");
        assert_eq!(marked("p2"), ["member"], "{level}");
        let last = marked("p3");
        let is_last = |mark: &String| ["aggregate", "bool"].contains(&mark.as_str());
        assert!(
            !last.is_empty() && last.iter().all(is_last),
            "{level}: {last:?}"
        );
        let numbers = marked("p4");
        assert_eq!(numbers.first().map(String::as_str), Some("swap"), "{level}");
        assert_eq!(numbers.last().map(String::as_str), Some("fill"), "{level}");
    }
    for level in ["0", "2"] {
        let path = rust(
            "watch-rust",
            "e2e_watch.rs",
            &["-C", &format!("opt-level={level}")],
        );
        let probes = [
            "watch HITS depth 6",
            "watch POINT.y depth 6",
            "watch LIMIT.data depth 6",
        ];
        let finished = run(&path, &probes, 8);
        let marked = |probe: &str| marks_of(&finished, probe, "e2e_watch.rs");
        assert_eq!(
            marked("p1"),
            ["store", "fetch_add", "swap", "exchange"],
            "{level}"
        );
        assert_eq!(marked("p2"), ["whole", "field", "copy"], "{level}");
        assert_eq!(marked("p3"), ["lock"], "{level}");
    }
}

/// The marks of the lines of a probe's events. Events without a mark of their own have that of their caller.
fn marks_of(finished: &Finished, probe: &str, fixture: &str) -> Vec<String> {
    let events = finished.events().into_iter();
    let events = events.filter(|event| event["probe"] == probe);
    let marks = events.map(|event| mark_of(fixture, &event).unwrap_or_else(|| event.to_string()));
    marks.collect()
}
