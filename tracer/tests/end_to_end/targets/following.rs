//! Targets that change under their probes: libraries that are loaded later or at another address,
//! and programs that execute themselves.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::build::{c, probe_line};
use crate::support::needs;
use crate::support::program::{Program, run};
use crate::support::tracer::{Tracer, assert_adds_up, counter, value};
use crate::support::wait_for;

const LIBRARY: &str = "e2e_shared_lib.c";
const LIBRARY_FILE: &str = "libe2e_plugin.so";
const SOURCE: &str = "e2e_plugin.c";

/// A program that has not loaded its library yet.
fn plugin() -> Program {
    let library = c(LIBRARY_FILE, LIBRARY, &["-O0", "-shared", "-fPIC"]);
    let path = c("plugin", SOURCE, &["-O0", "-ldl"]);
    let library = library.to_str().expect("test paths are UTF-8");
    Program::ready(&path, &[library])
}

/// Sends a command to the program, and waits until it is done.
#[track_caller]
fn tell(program: &mut Program, what: &str, done: &str) {
    let from = program.stdout.lines().len();
    program.say(what);
    program.stdout.wait_line(done, from, |line| line == done);
}

fn library_probe() -> String {
    let line = probe_line(LIBRARY, "library");
    format!(r#"log {LIBRARY_FILE}!{LIBRARY}:{line} "{{input}} {{calls}}" as lib"#)
}

fn own_probe() -> String {
    let line = probe_line(SOURCE, "own");
    format!(r#"log {SOURCE}:{line} "{{own_calls}}" as own"#)
}

fn numbers(events: &[Value], probe: &str, expr: &str) -> Vec<i64> {
    let mine = events.iter().filter(|event| event["probe"] == probe);
    mine.map(|event| value(event, expr).as_i64().expect("a number"))
        .collect()
}

#[test]
fn probe_waits_for_its_library_and_follows_it_to_another_address() {
    if !needs::kernel() {
        return;
    }
    let mut program = plugin();
    let tracer = Tracer::json(program.pid(), &[&library_probe()]);
    let waits = |line: &str| line.contains("lib: waits for `libe2e_plugin.so` to be loaded");
    tracer.stderr.wait_line("the waiting", 0, waits);
    tell(&mut program, "load", "done");
    let loaded = |line: &str| line.contains("`libe2e_plugin.so` is loaded: 1 site");
    tracer.stderr.wait_line("the library", 0, loaded);
    tell(&mut program, "call", "done");
    tell(&mut program, "call", "done");
    tracer.wait_events(2);
    // The plan reads it relative to the hit, so the probe need not be attached again. The static has another address when the library is loaded again, and starts anew.
    tell(&mut program, "unload", "done");
    tell(&mut program, "load", "done");
    tell(&mut program, "call", "done");
    tracer.wait_events(3);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    assert_eq!(counter(&finished.summary("lib"), "hits"), 3);
    assert!(!finished.stderr.join("\n").contains("again"), "{finished}");
    assert_eq!(numbers(&finished.events(), "lib", "input"), [7, 7, 7]);
    assert_eq!(numbers(&finished.events(), "lib", "calls"), [41, 42, 41]);
}

#[test]
fn library_that_moves_before_anybody_looks_gives_its_own_values() {
    if !needs::kernel() {
        return;
    }
    let mut program = plugin();
    tell(&mut program, "load", "done");
    let tracer = Tracer::json(program.pid(), &[&library_probe()]);
    tracer.wait_tracing();
    tell(&mut program, "call", "done");
    tracer.wait_events(1);
    // The session is stopped, so nobody looks.
    tracer.signal(rustix::process::Signal::STOP);
    for step in ["unload", "load", "call", "call"] {
        tell(&mut program, step, "done");
    }
    tracer.signal(rustix::process::Signal::CONT);
    tell(&mut program, "call", "done");
    tracer.wait_events(4);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    // The plan reads the data of the library at the address of the hit.
    assert_eq!(
        numbers(&finished.events(), "lib", "calls"),
        [41, 41, 42, 43]
    );
}

#[test]
fn probes_follow_the_target_into_the_program_that_it_executes() {
    if !needs::kernel() {
        return;
    }
    let mut program = plugin();
    let tracer = Tracer::json(program.pid(), &[&own_probe()]);
    tracer.wait_tracing();
    for _ in 0..3 {
        tell(&mut program, "call", "done");
    }
    tracer.wait_events(3);
    tell(&mut program, "exec", "ready");
    let executed = |line: &str| line.contains("the target executed `");
    let said = tracer.stderr.wait_line("the execution", 0, executed);
    let anew = |line: &str| line.contains("attached again, ");
    let placed = tracer.stderr.wait_line("the new place", said, anew);
    let placed = tracer.stderr.lines().swap_remove(placed);
    let in_new = "note: own: attached again, in `";
    assert!(
        placed.starts_with(in_new) && placed.ends_with(" ms of it were not seen"),
        "{placed}"
    );
    tell(&mut program, "call", "done");
    tracer.wait_events(4);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    assert_eq!(
        numbers(&finished.events(), "own", "own_calls"),
        [1, 2, 3, 1]
    );
    // One summary for each life of the probe.
    let summaries: Vec<Value> = finished
        .stdout
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .filter(|line: &Value| line["type"] == "summary")
        .collect();
    let events: Vec<u64> = summaries.iter().map(|one| counter(one, "events")).collect();
    assert_eq!(events, [3, 1], "{finished}");
    summaries.iter().for_each(assert_adds_up);
}

/// A snapshot is sent once, and not again by the next program.
#[test]
fn probe_that_is_done_stays_so_in_the_program_that_the_target_executes() {
    if !needs::kernel() {
        return;
    }
    let mut program = plugin();
    let few = own_probe().replace(" as own", " hits 2 as few");
    let tracer = Tracer::json(program.pid(), &[&own_probe(), &few]);
    tracer.wait_tracing();
    for _ in 0..2 {
        tell(&mut program, "call", "done");
    }
    let done = |line: &str| line.contains("few is done");
    tracer.stderr.wait_line("the end of a probe", 0, done);
    tell(&mut program, "exec", "ready");
    let anew = |line: &str| line.contains("own: attached again, ");
    tracer.stderr.wait_line("the new place", 0, anew);
    tell(&mut program, "call", "done");
    tracer.wait_events(5);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let events = finished.events();
    assert_eq!(
        numbers(&events, "own", "own_calls"),
        [1, 2, 1],
        "{finished}"
    );
    assert_eq!(numbers(&events, "few", "own_calls"), [1, 2], "{finished}");
    assert_eq!(finished.summary("few")["done"]["reason"], "hits");
}

/// The tracer does not check between its last hit and the execution.
#[test]
fn probe_with_its_last_hit_just_before_an_execution_is_done() {
    if !needs::kernel() {
        return;
    }
    let mut program = plugin();
    let few = own_probe().replace(" as own", " hits 2 as few");
    // The first probe, which would otherwise get its site before the other one.
    let tracer = Tracer::json(program.pid(), &[&few, &own_probe()]);
    tracer.wait_tracing();
    tracer.signal(rustix::process::Signal::STOP);
    for _ in 0..2 {
        tell(&mut program, "call", "done");
    }
    tell(&mut program, "exec", "ready");
    tracer.signal(rustix::process::Signal::CONT);
    let anew = |line: &str| line.contains("own: attached again, ");
    tracer.stderr.wait_line("the new place", 0, anew);
    tell(&mut program, "call", "done");
    tracer.wait_events(5);
    let finished = tracer.interrupt();
    let events = finished.events();
    assert_eq!(
        numbers(&events, "own", "own_calls"),
        [1, 2, 1],
        "{finished}"
    );
    assert_eq!(numbers(&events, "few", "own_calls"), [1, 2], "{finished}");
}

/// Attaches the probes of a file.
fn from_file(program: &Program, file: &Path) -> Tracer {
    let file = file.to_str().expect("test paths are UTF-8");
    Tracer::attach(program.pid(), "json", &[], &["-f", file])
}

#[test]
fn probe_of_a_file_is_removed_in_the_program_that_the_target_executes() {
    if !needs::kernel() {
        return;
    }
    let mut program = plugin();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("probes");
    let stays = own_probe().replace(" as own", " as stays");
    fs::write(&file, format!("{}\n{stays}\n", own_probe())).expect("the folder is ours");
    let tracer = from_file(&program, &file);
    tracer.wait_tracing();
    tell(&mut program, "call", "done");
    tracer.wait_events(2);
    tell(&mut program, "exec", "ready");
    for name in ["own", "stays"] {
        let anew = |line: &str| line.contains(&format!("{name}: attached again, "));
        tracer.stderr.wait_line("the new place", 0, anew);
    }
    tell(&mut program, "call", "done");
    tracer.wait_events(4);
    fs::write(&file, format!("{stays}\n")).expect("the folder is ours");
    let removed = |line: &str| line.contains("own is removed");
    tracer.stderr.wait_line("the removal", 0, removed);
    tell(&mut program, "call", "done");
    tracer.wait_events(5);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let events = finished.events();
    assert_eq!(numbers(&events, "own", "own_calls"), [1, 1], "{finished}");
    assert_eq!(numbers(&events, "stays", "own_calls"), [1, 1, 2]);
    for name in ["own", "stays"] {
        let lives = finished.summaries();
        let lives = lives.iter().filter(|one| one["probe"] == name);
        assert_eq!(lives.inspect(|one| assert_adds_up(one)).count(), 2);
    }
}

/// Bytes that a process has read from files so far.
fn bytes_read(pid: u32) -> u64 {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).expect("it runs");
    let line = io.lines().find_map(|line| line.strip_prefix("rchar: "));
    line.and_then(|number| number.parse().ok())
        .expect("a number")
}

#[test]
fn waiting_probe_that_is_removed_while_its_library_is_read_stays_away() {
    if !needs::kernel() {
        return;
    }
    // The file is so large that reading it takes longer than the removal.
    let mut text = String::new();
    for number in 0..4000 {
        let _ = writeln!(
            text,
            "struct s{number} {{ int a, b; }};\nint g{number}(int n) {{ struct s{number} s = {{n, n}}; return s.a + s.b; }}"
        );
    }
    text += "int library_step(int input)\n{\n    return input;\n}\n";
    let folder = tempfile::tempdir().expect("a folder");
    let (source, library) = (folder.path().join("big.c"), folder.path().join("libbig.so"));
    fs::write(&source, text).expect("a file");
    let arguments = ["-g", "-O0", "-shared", "-fPIC", "-o"].map(AsRef::as_ref);
    let files = [library.as_os_str(), source.as_os_str()];
    run("cc", arguments.iter().copied().chain(files));
    let path = c("plugin", SOURCE, &["-O0", "-ldl"]);
    let mut program = Program::ready(&path, &[library.to_str().expect("UTF-8")]);
    let file = folder.path().join("probes");
    let probe = |name: &str| format!("log libbig.so!library_step \"{{input}}\" as {name}\n");
    fs::write(&file, probe("goes")).expect("the folder is ours");
    let tracer = from_file(&program, &file);
    let waits = |line: &str| line.contains("goes: waits for");
    tracer.stderr.wait_line("the waiting", 0, waits);
    // Files of this size are copied when they are opened.
    let size = fs::metadata(&library).expect("it is built").len();
    assert!((1 << 20..4 << 20).contains(&size), "{size}");
    let before = bytes_read(tracer.pid());
    tell(&mut program, "load", "done");
    wait_for("the library to be read", || {
        (bytes_read(tracer.pid()) >= before + size).then_some(())
    });
    fs::write(&file, probe("comes")).expect("the folder is ours");
    let removed = |line: &str| line.contains("goes is removed");
    let said = tracer.stderr.wait_line("the removal", 0, removed);
    // This probe is attached whatever happens to the other.
    let added = |line: &str| line.contains("comes is added");
    tracer.stderr.wait_line("the new probe", said, added);
    for _ in 0..3 {
        tell(&mut program, "call", "done");
    }
    tracer.wait_events(3);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    assert_eq!(numbers(&finished.events(), "goes", "input"), [0; 0]);
    assert_eq!(numbers(&finished.events(), "comes", "input"), [7; 3]);
    let loaded = |line: &String| line.contains("goes: `libbig.so` is loaded");
    assert!(!finished.stderr.iter().any(loaded), "{finished}");
}
