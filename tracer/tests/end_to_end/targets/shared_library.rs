//! Code in shared libraries, and processes that share a file with the target.

use std::path::PathBuf;

use crate::support::build::{c, fixture, probe_line};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::text::Text;
use crate::support::tracer::{Finished, Tracer, tracer, value};

const LIBRARY: &str = "e2e_shared_lib.c";
const TLS_LIBRARY: &str = "e2e_tls_lib.c";
const LIBRARY_FILE: &str = "libe2e_shared.so";

fn library() -> PathBuf {
    c(
        LIBRARY_FILE,
        LIBRARY,
        &["-O0", "-shared", "-fPIC", "-Wl,-soname,libe2e_shared.so"],
    )
}

fn linked() -> PathBuf {
    let library = library();
    let folder = library.parent().expect("a file is in a folder");
    let rpath = format!("-Wl,-rpath,{}", folder.display());
    let library = library.to_str().expect("test paths are UTF-8");
    c(
        "shared-linked",
        "e2e_shared_main.c",
        &["-O0", "-DLINKED", library, &rpath],
    )
}

fn probe() -> String {
    let line = probe_line(LIBRARY, "library");
    format!(r#"log {LIBRARY}:{line} "{{input}} {{output}} {{calls}}""#)
}

/// Traces the library's line in `program`, whose input is `input`.
fn trace(program: &Program, probe: &str, input: i64) -> Finished {
    let text = Text::of(program.pid(), LIBRARY_FILE);
    let tracer = Tracer::json(program.pid(), &[probe]);
    tracer.wait_events(20);
    let finished = tracer.interrupt();
    text.wait_restored();
    finished.assert_code(0);
    let mut last_calls = 0;
    for event in finished.events() {
        assert_eq!(event["pid"], program.pid());
        assert_eq!(value(&event, "input"), input, "{event}");
        assert_eq!(value(&event, "output"), 2 * input, "{event}");
        let calls = value(&event, "calls").as_i64().expect("a number");
        assert!(
            last_calls == 0 || calls == last_calls + 1,
            "its static counts: {event}"
        );
        assert!(calls > 40, "{event}");
        last_calls = calls;
    }
    finished
}

#[test]
fn linked_library_line_is_traced_in_the_target_only() {
    if !needs::kernel() {
        return;
    }
    let path = linked();
    let target = Program::ready(&path, &["21"]);
    // Another process of the program and library, whose calls must not be seen.
    let other = Program::ready(&path, &["1000"]);
    let other_text = Text::of(other.pid(), LIBRARY_FILE);
    trace(&target, &probe(), 21);
    other_text.wait_restored();
}

#[test]
fn function_is_traced_by_the_name_of_a_symbol_that_leads_to_it() {
    if !needs::kernel() {
        return;
    }
    let program = Program::ready(&linked(), &["21"]);
    let tracer = Tracer::json(program.pid(), &[r#"log library_step_again "{input}""#]);
    tracer.wait_events(3);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    for event in finished.events() {
        assert_eq!(event["function"], "library_step", "{event}");
        assert_eq!(value(&event, "input"), 21, "{event}");
    }
}

#[test]
fn function_that_is_there_and_not_to_be_timed_is_not_called_missing() {
    if !needs::kernel() {
        return;
    }
    let program = Program::ready(&linked(), &["21"]);
    let finished = Tracer::json(program.pid(), &["time doubled"]).finish();
    finished.assert_code(2);
    finished.assert_says(&["it has only inlined copies, which have no return of their own"]);
}

#[test]
fn dlopened_library_line_is_traced() {
    if !needs::kernel() {
        return;
    }
    let library = library();
    let path = c("shared-dlopen", "e2e_shared_main.c", &["-O0", "-ldl"]);
    let library = library.to_str().expect("test paths are UTF-8");
    let target = Program::ready(&path, &["5", library]);
    trace(&target, &probe(), 5);
    // The location may name the module.
    let probe = probe().replace("log ", &format!("log {LIBRARY_FILE}!"));
    trace(&target, &probe, 5);
}

const ENTRY_LIBRARY: &str = "e2e_entry_lib.c";
const ENTRY_PROGRAM: &str = "e2e_entry_main.c";

fn entry_library() -> String {
    let library = c(
        "libe2e_entry.so",
        ENTRY_LIBRARY,
        &["-O2", "-shared", "-fPIC"],
    );
    library.to_str().expect("test paths are UTF-8").to_owned()
}

/// Parameters of a library's function, as in a program: passed from two call sites, or through a
/// pointer.
fn entered(program: &std::path::Path) -> Vec<(serde_json::Value, serde_json::Value)> {
    let target = Program::ready(program, &[]);
    let line = probe_line(ENTRY_LIBRARY, "entered");
    let probe = format!(r#"log libe2e_entry.so!{ENTRY_LIBRARY}:{line} "{{constant}} {{kept}}""#);
    let tracer = Tracer::json(target.pid(), &[&probe]);
    tracer.wait_events(30);
    let events = tracer.interrupt().events();
    let both = |event| {
        (
            value(event, "constant").clone(),
            value(event, "kept").clone(),
        )
    };
    events.iter().map(both).collect()
}

#[test]
fn library_of_a_program_that_is_awaited_is_told_with_the_time_that_was_not_seen() {
    if !needs::kernel() {
        return;
    }
    let program = c("entry-awaited", ENTRY_PROGRAM, &["-O2", &entry_library()]);
    let exe = program.to_str().expect("test paths are UTF-8");
    let line = probe_line(ENTRY_LIBRARY, "entered");
    let probe = format!(r#"log libe2e_entry.so!{ENTRY_LIBRARY}:{line} "{{kept}}""#);
    let args = ["attach", "-o", "json", "-e", &probe, "--wait", "--exe", exe];
    let tracer = Tracer::start(args);
    let waiting = |line: &str| line.starts_with("waiting for a process");
    tracer.stderr.wait_line("the wait", 0, waiting);
    let target = Program::ready(&program, &[]);
    let loaded = "note: p1: `libe2e_entry.so` is loaded: 1 site; up to ";
    let told = format!(" ms of process {} were not seen", target.pid());
    let is_told = |line: &str| line.starts_with(loaded) && line.ends_with(&told);
    tracer.stderr.wait_line(loaded, 0, is_told);
    tracer.wait_events(3);
    tracer.interrupt().assert_code(0);
}

#[test]
fn parameters_that_another_module_passed_are_those_of_the_caller() {
    if !needs::kernel() {
        return;
    }
    let library = entry_library();
    let unknown = "not supported: the value at the function's entry, called from there";
    let unknown = serde_json::json!({ "$unavailable": unknown });
    for flags in ["-fPIE -pie", "-no-pie -fno-pie", "-fno-plt", "-Wl,-z,now"] {
        let mut all: Vec<&str> = flags.split_whitespace().collect();
        all.extend(["-O2", &library]);
        let program = c("entry", ENTRY_PROGRAM, &all);
        let (mut seen, mut last) = ([0; 3], None);
        for (constant, kept) in entered(&program) {
            match constant.as_i64() {
                Some(-6) => {
                    seen[0] += 1;
                    let round = kept.as_i64().expect("a number");
                    assert!(last.is_none_or(|last| last + 1 == round), "{flags}: {kept}");
                    last = Some(round);
                }
                Some(-7) => {
                    seen[1] += 1;
                    let round = kept.as_i64().map(|kept| -kept);
                    assert!(last.is_none() || round == last, "{flags}: {kept}");
                }
                // A call through a pointer does not show which function it calls.
                _ => {
                    seen[2] += 1;
                    assert_eq!((&constant, &kept), (&unknown, &unknown), "{flags}");
                }
            }
        }
        assert!(seen.iter().all(|seen| *seen >= 8), "{flags}: {seen:?}");
    }
}

/// Address of the plugin.
fn plugin_at(target: &Program) -> Option<String> {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", target.pid()));
    let maps = maps.expect("the target runs");
    let mut lines = maps.lines();
    let line = lines.find(|line| line.ends_with("libe2e_plugin.so"))?;
    line.split('-').next().map(str::to_owned)
}

#[test]
fn parameter_that_another_build_of_a_library_passes_is_not_that_of_the_first() {
    if !needs::kernel() {
        return;
    }
    let library = entry_library();
    let plugin = |number: &str, more: &str| {
        let flags = ["-O2", "-shared", "-fPIC", number, &library, more];
        let path = c("libe2e_plugin.so", "e2e_entry_plugin.c", &flags);
        path.to_str().expect("test paths are UTF-8").to_owned()
    };
    let (first, second) = (plugin("-DNUMBER=-6", "-g"), plugin("-DNUMBER=-7", "-g"));
    let flags = ["-O0", "-ldl", "-Wl,--no-as-needed", &library];
    let program = c("entry-plugin", "e2e_tls_main.c", &flags);
    let mut target = Program::ready(&program, &[&first, &second]);
    tell(&mut target, "open 1");
    let was = plugin_at(&target);
    let line = probe_line(ENTRY_LIBRARY, "entered");
    let probe = format!(r#"log libe2e_entry.so!{ENTRY_LIBRARY}:{line} "{{constant}}""#);
    let tracer = Tracer::json(target.pid(), &[&probe]);
    tracer.wait_tracing();
    for line in [
        "call 1", "close", "open 2", "call 1", "close", "open 1", "call 1",
    ] {
        tell(&mut target, line);
        assert!(
            line != "open 2" || plugin_at(&target) == was,
            "it must be where the first was"
        );
    }
    tracer.wait_events(3);
    let events = tracer.interrupt().events();
    let numbers: Vec<_> = events
        .iter()
        .map(|event| value(event, "constant"))
        .collect();
    let unknown = "not supported: the value at the function's entry, called from there";
    let unknown = serde_json::json!({ "$unavailable": unknown });
    assert_eq!(numbers, [&(-6).into(), &unknown, &(-6).into()]);
}

#[test]
fn parameters_that_a_function_in_between_changed_are_not_those_of_the_caller() {
    if !needs::kernel() {
        return;
    }
    let library = entry_library();
    let wrapper = c(
        "libe2e_wrapper.so",
        ENTRY_LIBRARY,
        &["-O2", "-shared", "-fPIC", "-DWRAPPER"],
    );
    let wrapper = wrapper.to_str().expect("test paths are UTF-8");
    // The wrapper comes first, so the program calls it.
    let flags = ["-O2", "-Wl,--no-as-needed", wrapper, &library];
    let program = c("entry", ENTRY_PROGRAM, &flags);
    for (constant, kept) in entered(&program) {
        // It still returns to the program, because the wrapper jumps.
        for value in [constant, kept] {
            let why = value["$unavailable"].as_str().unwrap_or_default();
            assert!(why.contains("called from there"), "{value}");
        }
    }
}

/// Values of the library's thread-local counter, beside its static one.
fn by_thread(program: &Program) -> Vec<(i64, serde_json::Value)> {
    let line = probe_line(LIBRARY, "library");
    let probe = format!(r#"log {LIBRARY}:{line} "{{calls}} {{by_thread}}""#);
    let tracer = Tracer::json(program.pid(), &[&probe]);
    tracer.wait_events(3);
    let events = tracer.interrupt().events();
    let calls = |event| value(event, "calls").as_i64().expect("a number");
    let both = |event| (calls(event), value(event, "by_thread").clone());
    events.iter().map(both).collect()
}

#[test]
fn thread_local_of_a_linked_library_is_the_threads_own() {
    if !needs::kernel() {
        return;
    }
    let target = Program::ready(&linked(), &["21"]);
    // One thread calls: both counters increase equally, from 40 and from 7.
    for (calls, by_thread) in by_thread(&target) {
        assert_eq!(by_thread, calls - 33);
    }
}

#[test]
fn thread_local_of_an_opened_library_is_the_threads_own() {
    if !needs::kernel() {
        return;
    }
    let library = library();
    let path = c("shared-dlopen", "e2e_shared_main.c", &["-O0", "-ldl"]);
    let library = library.to_str().expect("test paths are UTF-8");
    let target = Program::ready(&path, &["5", library]);
    for (calls, by_thread) in by_thread(&target) {
        assert_eq!(by_thread, calls - 33);
    }
}

#[test]
fn thread_local_of_an_opened_library_is_never_that_of_one_that_is_gone() {
    if !needs::kernel() {
        return;
    }
    let flags = ["-O0", "-shared", "-fPIC", "-DOWN", "-DVALUE=70"];
    let first = c(
        "libe2e_tls_first.so",
        TLS_LIBRARY,
        &["-O0", "-shared", "-fPIC"],
    );
    let second = c("libe2e_tls_second.so", TLS_LIBRARY, &flags);
    let path = c("tls", "e2e_tls_main.c", &["-O0", "-ldl"]);
    let paths = [&first, &second].map(|path| path.to_str().expect("test paths are UTF-8"));
    let mut target = Program::ready(&path, &paths);
    // The thread gets a block of the first library, whose number the second one reuses.
    for line in ["open 1", "call 1", "call 1", "close", "open 2"] {
        tell(&mut target, line);
    }
    let line = probe_line(TLS_LIBRARY, "tls");
    let probe = format!(
        r#"log libe2e_tls_second.so!{TLS_LIBRARY}:{line} "{{touch}} {{exported}} {{own}}""#
    );
    let tracer = Tracer::json(target.pid(), &[&probe]);
    tracer.wait_tracing();
    for line in ["call 0", "call 1", "call 0"] {
        tell(&mut target, line);
    }
    tracer.wait_events(3);
    let events = tracer.interrupt().events();
    let shown = |name: &str| -> Vec<serde_json::Value> {
        events
            .iter()
            .map(|event| value(event, name).clone())
            .collect()
    };
    let why = "not used by this thread yet";
    let unused = serde_json::json!({ "$unavailable": why });
    assert_eq!(shown("exported"), [unused.clone(), 71.into(), 71.into()]);
    assert_eq!(shown("own"), [unused, 72.into(), 72.into()]);
}

#[test]
fn thread_local_that_others_may_have_in_its_place_is_shown() {
    if !needs::kernel() {
        return;
    }
    let library = c(
        "libe2e_tls_first.so",
        TLS_LIBRARY,
        &["-O0", "-shared", "-fPIC"],
    );
    let path = c("tls", "e2e_tls_main.c", &["-O0", "-ldl"]);
    let mut target = Program::ready(&path, &[library.to_str().expect("test paths are UTF-8")]);
    tell(&mut target, "open 1");
    let line = probe_line(TLS_LIBRARY, "tls");
    let probe = format!(r#"log {TLS_LIBRARY}:{line} "{{exported}}""#);
    let tracer = Tracer::json(target.pid(), &[&probe]);
    tracer.wait_tracing();
    tell(&mut target, "call 1");
    tell(&mut target, "call 1");
    tracer.wait_events(2);
    let events = tracer.interrupt().events();
    let numbers = events.iter().map(|event| value(event, "exported").clone());
    assert_eq!(numbers.collect::<Vec<_>>(), [8, 9]);
}

const CLASSES: &str = "e2e_classes_lib.cpp";

fn cpp(name: &str, source: &str, flags: &[&str]) -> String {
    let path = fixture("g++", name, source, &[&["-g"], flags].concat());
    path.to_str().expect("test paths are UTF-8").to_owned()
}

#[test]
fn object_of_a_class_of_another_module_is_shown_as_what_it_is() {
    if !needs::kernel() {
        return;
    }
    // The header is not part of the build id, and does not change alone.
    let library = cpp("libe2e_classes.so", CLASSES, &["-shared", "-fPIC"]);
    let plugin = |define: &str| {
        let flags = ["-shared", "-fPIC", define, &library];
        cpp("libe2e_plugin.so", "e2e_classes_plugin.cpp", &flags)
    };
    let (first, second) = (plugin("-DFIRST"), plugin("-DSECOND"));
    let flags = [&*library, "-ldl"];
    let program = cpp("classes", "e2e_classes_main.cpp", &flags);
    let mut target = Program::ready(program.as_ref(), &[&first, &second]);
    tell(&mut target, "open 1");
    let was = plugin_at(&target);
    let line = probe_line(CLASSES, "visit");
    let probe = format!(r#"log {CLASSES}:{line} "{{shape}}""#);
    let tracer = Tracer::json(target.pid(), &[&probe]);
    tracer.wait_tracing();
    for line in [
        "own", "call", "close", "open 2", "call", "own", "close", "open 1", "call",
    ] {
        tell(&mut target, line);
        assert!(
            line != "open 2" || plugin_at(&target) == was,
            "it must be where the first was"
        );
    }
    tracer.wait_events(5);
    let events = tracer.interrupt().events();
    let shown: Vec<_> = events
        .iter()
        .map(|event| &value(event, "shape")["$target"])
        .collect();
    let base = serde_json::json!({"$type": "Shape", "id": 1});
    let square = serde_json::json!({"$type": "Square", "Shape": base, "edge": 7});
    let round = serde_json::json!({"$type": "Round", "Shape": base, "radius": 20});
    // For the other build, only values that the library itself knows are shown.
    assert_eq!(shown, [&square, &round, &base, &square, &round]);
}

/// Sends a command to the program, and waits until it is done.
#[track_caller]
fn tell(program: &mut Program, what: &str) {
    let from = program.stdout.lines().len();
    program.say(what);
    program.stdout.wait_line(what, from, |line| line == "done");
}

#[test]
fn other_process_of_the_same_binary_is_not_seen() {
    if !needs::kernel() {
        return;
    }
    let source = "e2e_loop.c";
    let path = c("loop", source, &["-O0"]);
    let mut target = Program::ready(&path, &["1", "0", "2000"]);
    let mut other = Program::ready(&path, &["4", "0", "500"]);
    let other_text = Text::of_exe(other.pid());
    target.say("go");
    other.say("go");
    let line = probe_line(source, "work");
    let probe = format!(r#"log {source}:{line} "{{number}}""#);
    let tracer = Tracer::json(target.pid(), &[&probe]);
    tracer.wait_events(50);
    let events = tracer.interrupt().events();
    let numbers: Vec<i64> = events
        .iter()
        .map(|event| value(event, "number").as_i64().expect("a number"))
        .collect();
    assert!(events.iter().all(|event| event["pid"] == target.pid()));
    assert!(
        numbers.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "{numbers:?}"
    );
    other_text.wait_restored();
}

/// The program and its library have code at the same link addresses.
#[test]
fn bare_address_is_of_the_program_and_not_of_a_library() {
    if !needs::kernel() {
        return;
    }
    let program = Program::ready(&linked(), &["21"]);
    let place = format!("{LIBRARY}:{}", probe_line(LIBRARY, "library"));
    let library = library();
    let exe = library.to_str().expect("test paths are UTF-8");
    let site = tracer(&["lines", "--exe", exe, &place, "--json"]).json();
    let address = site["address"].as_str().expect("an address");
    let check = |location: &str| {
        let probe = format!("count {location}");
        let pid = program.pid().to_string();
        tracer(&["attach", "--check", "--pid", &pid, "-e", &probe])
    };
    check(address).assert_code(2).assert_says(&[
        &format!("{address} is not the start of a statement"),
        &format!("`{LIBRARY_FILE}!{address}` is one in another module"),
    ]);
    check(&format!("{LIBRARY_FILE}!{address}")).assert_code(0);
}
