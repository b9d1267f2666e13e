//! USDT probes: their operands, their semaphores, and those of Debian's packages.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::build::{c, fixture, probe_line};
use crate::support::program::{Program, run};
use crate::support::pty::Terminal;
use crate::support::tracer::{Finished, Tracer, attach_args, counter, tracer, value};
use crate::support::{needs, wait_for};

const SOURCE: &str = "e2e_usdt.c";

fn built() -> PathBuf {
    c("usdt", SOURCE, &["-O1"])
}

/// The number behind a word in the program's output.
fn announced(program: &Program, word: &str) -> u64 {
    let lines = program.stdout.lines();
    let mut found = lines.iter().filter_map(|line| line.strip_prefix(word));
    let number = found.next().expect("it was announced").trim();
    number.parse().expect("a number")
}

/// The semaphore of a process: the number of two bytes at that address.
fn semaphore(pid: u32, address: u64) -> u16 {
    let memory = File::open(format!("/proc/{pid}/mem")).expect("it runs");
    let mut bytes = [0; 2];
    memory
        .read_exact_at(&mut bytes, address)
        .expect("it is mapped");
    u16::from_le_bytes(bytes)
}

#[track_caller]
fn wait_semaphore(pid: u32, address: u64, wanted: u16) {
    wait_for("the semaphore", || {
        (semaphore(pid, address) == wanted).then_some(())
    });
}

/// All arguments at one hit of a probe, in order.
fn arguments(program: &mut Program, name: &str) -> Vec<Value> {
    let probe = format!("log usdt:e2e:{name}");
    let tracer = Tracer::json(program.pid(), &[&probe]);
    tracer.wait_tracing();
    program.call(1);
    let events = tracer.wait_events(1);
    tracer.interrupt().assert_code(0);
    let values = events[0]["values"].as_array().expect("values");
    let arguments = values.iter().filter(|value| {
        let expr = value["expr"].as_str().expect("a text");
        expr.starts_with('$')
    });
    (1..)
        .zip(arguments)
        .map(|(number, argument)| {
            assert_eq!(argument["expr"], format!("$arg{number}"));
            argument.clone()
        })
        .collect()
}

/// Compares arguments with `TYPE VALUE`, the text of each.
#[track_caller]
fn assert_arguments(name: &str, found: &[Value], wanted: &[(&str, Value)]) {
    let shown = |(ty, value): &(&str, Value)| format!("{ty} {value}");
    let found: Vec<String> = found
        .iter()
        .map(|argument| {
            let ty = argument["type"].as_str().expect("a type");
            let value = argument["value"].to_string();
            // JSON has large numbers as texts.
            format!("{ty} {}", value.trim_matches('"'))
        })
        .collect();
    let wanted: Vec<String> = wanted.iter().map(shown).collect();
    assert_eq!(found, wanted, "{name}");
}

#[test]
fn operands_of_every_form_are_exact() {
    if !needs::kernel() {
        return;
    }
    let mut program = Program::ready(&built(), &[]);
    let table = announced(&program, "table ");
    let thread = announced(&program, "thread ");
    let mut registers = arguments(&mut program, "registers");
    // The stack pointer is not known beforehand.
    let stack = registers.remove(15);
    assert_eq!(stack["type"], "u64");
    assert!(
        stack["value"]
            .as_u64()
            .is_some_and(|address| address.is_multiple_of(8))
    );
    assert_arguments(
        "registers",
        &registers,
        &[
            ("u64", json!(0x1122_3344_5566_7788_u64)),
            ("i64", json!(0x8877_6655_4433_2211_u64.cast_signed())),
            ("u32", json!(0x5566_7788)),
            ("i32", json!(0x4433_2211)),
            ("u16", json!(0x7788)),
            ("i16", json!(0x2211)),
            ("u8", json!(0x88)),
            ("i8", json!(0x11)),
            ("u8", json!(0x77)),
            ("i8", json!(0x22)),
            ("i64", json!(-8)),
            ("u32", json!(9)),
            ("u16", json!(0x0a0a)),
            ("i8", json!(-11)),
            ("u8", json!(0)),
            ("i32", json!(0x4433_2211)),
        ],
    );
    assert_arguments(
        "immediates",
        &arguments(&mut program, "immediates"),
        &[
            ("i32", json!(5)),
            ("u32", json!(u32::MAX)),
            ("i64", json!(-9)),
            ("u8", json!(254)),
            ("u64", json!(i64::MAX)),
            ("u16", json!(8)),
            ("i8", json!(-1)),
            ("u64", json!(table)),
            ("u64", json!(table + 4)),
        ],
    );
    assert_arguments(
        "memory",
        &arguments(&mut program, "memory"),
        &[
            ("i32", json!(-7)),
            ("i32", json!(7)),
            ("i64", json!(-70)),
            ("u16", json!(0xfffe)),
            ("i16", json!(-2)),
            ("u8", json!(0xfd)),
            ("i8", json!(-3)),
            ("f32", json!(1.5)),
            ("f64", json!(-2.5)),
            ("i128", json!(-1)),
            ("i32", json!(-22)),
            ("i32", json!(-22)),
            ("i32", json!(33)),
            ("i32", json!(-22)),
            ("i32", json!(-22)),
            ("i32", json!(-22)),
            ("i32", json!(-44)),
        ],
    );
    assert_arguments(
        "symbols",
        &arguments(&mut program, "symbols"),
        &[
            ("i32", json!(11)),
            ("i32", json!(-22)),
            ("i32", json!(33)),
            ("i32", json!(11)),
            ("i32", json!(-55)),
            ("i32", json!(66)),
            ("i32", json!(66)),
            ("u64", json!(thread)),
            ("u64", json!(thread)),
            ("i32", json!(33)),
        ],
    );
}

#[test]
fn operands_without_a_place_say_why_and_are_never_guessed() {
    if !needs::kernel() {
        return;
    }
    let mut program = Program::ready(&built(), &[]);
    let found = arguments(&mut program, "unreadable");
    let reasons = [
        "in register xmm0",
        "in register xmm1",
        "in register xmm2",
        "in register st(1)",
        "the operand `%gs:0`",
        "the operand `e2e_usdt_table@GOTPCREL(%rip)`",
        "the operand `QWORD PTR [rax+8]`",
        "the place of `no_such_symbol`",
        "an argument without a known size",
        "8 bytes in `%eax`",
        "the number 300 in 1 bytes",
        "the operand `8(%eax)`",
        "the operand `%rax`",
        "memory not readable",
    ];
    assert_eq!(found.len(), reasons.len() + 1);
    for (argument, reason) in found.iter().zip(reasons) {
        let why = argument["value"]["$unavailable"].as_str();
        assert!(
            why.is_some_and(|why| why.contains(reason)),
            "{argument}: {reason}"
        );
    }
    // The others do not disturb it.
    assert_eq!(found[14]["value"], 1);
    let unsized_one = arguments(&mut program, "unsized");
    assert_eq!(unsized_one.len(), 1, "{unsized_one:?}");
    assert!(arguments(&mut program, "none").is_empty());
    let twice = arguments(&mut program, "noted_twice");
    assert_eq!(twice[0]["value"], 1);
    let why = twice[1]["value"]["$unavailable"]
        .as_str()
        .expect("a reason");
    assert!(why.contains("two notes disagree"), "{why}");
}

#[test]
fn each_copy_of_a_probe_has_its_operands_and_the_names_of_its_line() {
    if !needs::kernel() {
        return;
    }
    let mut program = Program::ready(&built(), &[]);
    let probes = [
        r#"log usdt:e2e:copied "{value} {$arg1} {doubled} {$arg2}""#,
        r#"log usdt!usdt:e2e:copied "{$arg1 + $arg2}" if $arg1 < 0"#,
        "count usdt:e2e:copied by $arg2",
    ];
    let tracer = Tracer::json(program.pid(), &probes);
    tracer.wait_tracing();
    program.call(3);
    tracer.wait_events(8);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let of = |probe: &str| -> Vec<Value> {
        let events = finished.events().into_iter();
        events.filter(|event| event["probe"] == *probe).collect()
    };
    let messages: Vec<String> = of("p1")
        .iter()
        .map(|event| event["message"].as_str().expect("a text").to_owned())
        .collect();
    assert_eq!(
        messages,
        [
            "1 1 2 2",
            "0 0 0 0",
            "2 2 4 4",
            "-1 -1 -2 -2",
            "3 3 6 6",
            "-2 -2 -4 -4"
        ]
    );
    let functions: Vec<Value> = of("p1")
        .iter()
        .map(|event| event["function"].clone())
        .collect();
    assert!(
        functions.iter().all(|name| name == "copied"),
        "{functions:?}"
    );
    let sums: Vec<Value> = of("p2")
        .iter()
        .map(|event| event["message"].clone())
        .collect();
    assert_eq!(sums, ["-3", "-6"]);
    assert_eq!(counter(&finished.summary("p3"), "hits"), 6);
}

#[test]
fn notes_that_lead_astray_are_refused() {
    let path = built();
    let path = path.to_str().expect("test paths are UTF-8");
    let refused = |probe: &str, more: &[&str], words: &[&str]| {
        let args = ["attach", "--check", "--exe", path, "-e", probe];
        let finished = tracer(&[&args, more].concat());
        assert_ne!(finished.code, Some(0), "{probe}: {finished}");
        finished.assert_says(words);
    };
    for name in ["no_nop", "no_code", "nowhere", "inside"] {
        refused(
            &format!("log usdt:e2e:{name}"),
            &[],
            &["where no nop begins"],
        );
    }
    refused(
        "log usdt:e2e:bad_semaphore",
        &[],
        &["has a semaphore", "`--usdt-semaphores` allows this write"],
    );
    refused(
        "log usdt:e2e:register",
        &[],
        &[
            "no module has the USDT probe",
            "did you mean `usdt:e2e:registers`?",
        ],
    );
    refused(
        "log usdt:e2e",
        &[],
        &["the name of the USDT probe is missing"],
    );
    refused(
        r#"log usdt:e2e:copied "{$arg3}""#,
        &[],
        &[
            "there is no `$arg3` here",
            "2 arguments, `$arg1` to `$arg2`",
        ],
    );
    refused(
        r#"log first "{$arg1}""#,
        &[],
        &[
            "there is no `$arg1` here",
            "USDT probes with arguments have it",
        ],
    );
    let odd = tracer(&[
        "attach",
        "--check",
        "--exe",
        path,
        "-e",
        "log \"usdt:e2e:odd name\u{1b}[31m\n!\"",
    ]);
    odd.assert_code(0);
    assert!(!odd.text().contains('\u{1b}'), "{odd}");
}

#[test]
fn lists_name_the_probes_their_places_and_their_arguments() {
    let path = built();
    let path = path.to_str().expect("test paths are UTF-8");
    let of = |args: &[&str]| {
        let finished = tracer(&[args, &["--exe", path]].concat());
        finished.assert_code(0);
        finished
    };
    let says = |finished: &Finished, words: &[&str]| {
        let text = finished.stdout.join("\n");
        for word in words {
            assert!(text.contains(word), "no `{word}` in {finished}");
        }
    };
    let listed = of(&["funcs", "usdt:"]);
    says(
        &listed,
        &[
            "usdt:e2e:copied  2 arguments  2 places",
            "usdt:e2e:memory  17 arguments  0x",
            "with a semaphore",
            r"usdt:e2e:odd name\u{1b}[31m\n!  1 argument",
        ],
    );
    assert!(!listed.stdout.join("\n").contains('\u{1b}'), "{listed}");
    let both = of(&["funcs", "watched"]);
    says(&both, &["usdt:e2e:watched  1 argument", "watched  "]);
    assert_eq!(both.stdout.len(), 2, "{both}");
    let object = of(&["funcs", "usdt:e2e:watched", "--json"]).json();
    assert_eq!(object["type"], "usdt");
    assert_eq!(object["arguments"], json!(["i32"]));
    assert_eq!(
        (&object["semaphore"], &object["own"]),
        (&json!(true), &json!(true))
    );
    let sites = of(&["lines", "usdt:e2e:copied"]);
    says(
        &sites,
        &[
            "1 of 2",
            "copied, inlined into first",
            "copied, inlined into second",
        ],
    );
    let variables = of(&["vars", "usdt:e2e:copied"]);
    for name in ["$arg1", "$arg2"] {
        let count = variables
            .stdout
            .iter()
            .filter(|line| line.trim_start().starts_with(name));
        assert_eq!(count.count(), 2, "{variables}");
    }
    says(&variables, &["doubled", "i32  parameter  register"]);
    let unreadable = of(&["vars", "usdt:e2e:unreadable"]);
    says(
        &unreadable,
        &["in register xmm0", "not supported: the operand `8(%eax)`"],
    );
    let nothing = tracer(&["funcs", "usdt:none", "--exe", path]);
    assert_ne!(nothing.code, Some(0), "{nothing}");
    nothing.assert_says(&["no USDT probe has `usdt:none` in its name"]);
}

#[test]
fn terminal_ui_completes_probes_and_their_arguments() {
    if !needs::kernel() {
        return;
    }
    let mut program = Program::ready(&built(), &[]);
    let args = attach_args(program.pid(), "tui", &[], &[]);
    let mut terminal = Terminal::start(&args, 40, 120);
    terminal.wait_text("Open a source file");
    terminal.keys("\u{1b}");
    terminal.wait("the list to be gone", |screen| {
        !screen.contains("Open a source file")
    });
    terminal.keys(":log usdt:e2e:co");
    terminal.wait_text("usdt:e2e:copied  USDT probe");
    terminal.keys("pied \"{$a");
    terminal.wait_text("$arg2  i32");
    terminal.keys("rg1} {value}\"\r");
    terminal.wait_text("waiting for the first hit");
    program.call(5);
    terminal.wait_text("-4 -4");
    terminal.keys("q");
    terminal.wait_end();
}

#[test]
fn probe_with_a_semaphore_is_refused_without_the_option_and_says_so() {
    if !needs::kernel() {
        return;
    }
    let mut program = Program::ready(&built(), &[]);
    let address = announced(&program, "semaphore ");
    let pid = program.pid().to_string();
    let finished = tracer(&["attach", "--pid", &pid, "-e", "log usdt:e2e:watched"]);
    assert_ne!(finished.code, Some(0), "{finished}");
    finished.assert_says(&["`usdt:e2e:watched` has a semaphore", "`--usdt-semaphores`"]);
    assert_eq!(semaphore(program.pid(), address), 0);
    let unreachable = [
        "attach",
        "--pid",
        &pid,
        "--usdt-semaphores",
        "-e",
        "log usdt:e2e:bad_semaphore",
    ];
    let finished = tracer(&unreachable);
    assert_ne!(finished.code, Some(0), "{finished}");
    finished.assert_says(&["is not in the data of the file"]);
    program.call(1);
}

/// How a session ends.
#[derive(Clone, Copy)]
enum End {
    Interrupt,
    Kill,
}

fn raised(program: &Program, more: &[&str]) -> Tracer {
    let probe = r#"log usdt:e2e:watched "{$arg1} {value}""#;
    let more = [&["--usdt-semaphores"], more].concat();
    let tracer = Tracer::attach(program.pid(), "json", &[probe], &more);
    tracer.wait_tracing();
    tracer
}

fn semaphore_goes_up_and_down(more: &[&str], end: End) {
    if !needs::kernel() {
        return;
    }
    let path = built();
    let mut program = Program::ready(&path, &[]);
    let mut other = Program::ready(&path, &[]);
    let address = announced(&program, "semaphore ");
    let address_of_other = announced(&other, "semaphore ");
    program.call(1);
    let tracer = raised(&program, more);
    assert_eq!(semaphore(program.pid(), address), 1);
    assert_eq!(semaphore(other.pid(), address_of_other), 0, "{more:?}");
    program.call(3);
    other.call(3);
    let messages: Vec<Value> = tracer
        .wait_events(3)
        .iter()
        .map(|event| event["message"].clone())
        .collect();
    assert_eq!(messages, ["0 0", "1 1", "2 2"]);
    // A child that was forked meanwhile has a copy of the raised number.
    let from = program.stdout.count();
    program.say("fork");
    program
        .stdout
        .wait_line("the child", from, |line| line.starts_with("child "));
    let child = u32::try_from(announced(&program, "child ")).expect("a pid");
    assert_eq!(semaphore(child, address), 1);
    match end {
        End::Interrupt => {
            tracer.interrupt().assert_code(0);
        }
        End::Kill => {
            tracer.signal(Signal::KILL);
            tracer.finish();
        }
    }
    wait_semaphore(program.pid(), address, 0);
    wait_semaphore(child, address, 0);
    assert_eq!(semaphore(other.pid(), address_of_other), 0);
    program.call(1);
    other.call(1);
}

#[test]
fn semaphore_is_raised_while_attached_and_lowered_at_the_end() {
    semaphore_goes_up_and_down(&[], End::Interrupt);
}

#[test]
fn kill_9_lowers_the_semaphore_in_all_processes() {
    semaphore_goes_up_and_down(&[], End::Kill);
}

#[test]
fn perf_events_raise_and_lower_the_semaphore_too() {
    semaphore_goes_up_and_down(&["--perf-events"], End::Interrupt);
    semaphore_goes_up_and_down(&["--perf-events"], End::Kill);
}

#[test]
fn two_sessions_share_the_semaphore() {
    if !needs::kernel() {
        return;
    }
    let mut program = Program::ready(&built(), &[]);
    let address = announced(&program, "semaphore ");
    let (one, two) = (raised(&program, &[]), raised(&program, &[]));
    // The kernel raises it once for all that observe the instruction.
    assert_eq!(semaphore(program.pid(), address), 1);
    one.interrupt();
    assert_eq!(semaphore(program.pid(), address), 1);
    program.call(2);
    two.wait_events(2);
    two.interrupt().assert_code(0);
    wait_semaphore(program.pid(), address, 0);
}

#[test]
fn probe_without_a_counter_keeps_off_the_nop_of_a_probe_with_one() {
    if !needs::kernel() {
        return;
    }
    let mut program = Program::ready(&built(), &[]);
    let line = probe_line(SOURCE, "passed");
    let at_line = format!("log {SOURCE}:{line}");
    let counted = r#"log usdt:e2e:watched "{$arg1}""#;
    let of_both = |probes: &[&str], program: &mut Program| {
        let tracer = Tracer::attach(program.pid(), "json", probes, &["--usdt-semaphores"]);
        tracer.wait_tracing();
        program.call(2);
        tracer.interrupt()
    };
    let finished = of_both(&[counted, "log watched"], &mut program);
    finished.assert_code(0);
    assert_eq!(messages(&finished, "p1"), ["0", "1"], "{finished}");
    assert_eq!(messages(&finished, "p2").len(), 2, "{finished}");
    // The line of the nop itself: the kernel has one counter for an instruction.
    let finished = of_both(&[counted, &at_line], &mut program);
    assert_ne!(finished.code, Some(0), "{finished}");
    finished.assert_says(&[
        "another probe without the semaphore, or with another one, is on the same instruction",
    ]);
}

fn messages(finished: &Finished, probe: &str) -> Vec<String> {
    let events = finished.events();
    let of_probe = events.iter().filter(|event| event["probe"] == *probe);
    of_probe
        .map(|event| event["message"].as_str().expect("a text").to_owned())
        .collect()
}

#[test]
fn probes_of_debian_s_python_have_their_arguments() {
    if !needs::kernel() {
        return;
    }
    let python = "/usr/bin/python3.11";
    if !needs::debian_program(python) {
        return;
    }
    let script = "
import gc
def double(number):
    return 2 * number
for round in range(20):
    list(map(double, [1, 2, 3]))
gc.collect(1)
";
    let args = [
        "run",
        "--output",
        "json",
        "--usdt-semaphores",
        "-e",
        r#"log usdt:python:function__entry "{(char *)$arg1} {(char *)$arg2} {$arg3}" if $arg3 == 3"#,
        "-e",
        "count usdt:python:line",
        "-e",
        r#"log usdt:python:gc__start "{$arg1}" if $arg1 == 1"#,
        "-e",
        r#"log usdt:python:audit "{(char *)$arg1}" if starts_with((char *)$arg1, "cpython.run")"#,
        "--",
        python,
        "-I",
        "-c",
        script,
    ];
    let mut finished = tracer(&args);
    finished.assert_code(0);
    // Stdout is the program's own.
    finished.stdout = finished.stderr.clone();
    finished.stdout.retain(|line| line.starts_with('{'));
    let entries = messages(&finished, "p1");
    let own: Vec<&String> = entries
        .iter()
        .filter(|entry| entry.contains("double"))
        .collect();
    // Python 3.11 passes this probe only while the lines are observed too.
    assert_eq!(own.len(), 60, "{finished}");
    assert!(
        own.iter().all(|entry| *entry == "<string> double 3"),
        "{finished}"
    );
    assert_eq!(messages(&finished, "p3"), ["1"], "{finished}");
    assert_eq!(
        messages(&finished, "p4"),
        ["cpython.run_command"],
        "{finished}"
    );
    finished.assert_says(&["is raised in every process that runs `python3.11`"]);
}

/// Folder of the server's programs in Debian's package.
const POSTGRESQL: &str = "/usr/lib/postgresql/15/bin";

/// The server alone, without clients: it reads queries from stdin. It refuses to run as root.
fn single_user_server(data: &Path) -> Program {
    std::os::unix::fs::chown(data, Some(NOBODY), Some(NOBODY)).expect("tests run as root");
    let folder = data.to_str().expect("UTF-8");
    let user = format!("--reuid={NOBODY}");
    let group = format!("--regid={NOBODY}");
    let initdb = format!("{POSTGRESQL}/initdb");
    run(
        "setpriv",
        [
            &user,
            &group,
            "--clear-groups",
            &initdb,
            "--no-sync",
            "-A",
            "trust",
            "-D",
            folder,
        ],
    );
    let server = format!("{POSTGRESQL}/postgres");
    let args = ["--single", "-D", folder, "postgres"];
    let program = Program::start_with(Path::new(&server), &args, |command| {
        command.uid(NOBODY).gid(NOBODY).current_dir(folder);
    });
    wait_for("the server to read queries", || {
        let state = std::fs::read_to_string(format!("/proc/{}/wchan", program.pid()));
        state
            .is_ok_and(|state| state.contains("pipe_read"))
            .then_some(())
    });
    program
}

/// The user without rights.
const NOBODY: u32 = 65534;

#[test]
fn probes_of_debian_s_postgresql_have_their_arguments() {
    if !needs::kernel() {
        return;
    }
    if !needs::debian_program(&format!("{POSTGRESQL}/postgres")) {
        return;
    }
    let data = std::env::temp_dir().join(format!("tracer-test-postgres-{}", std::process::id()));
    std::fs::create_dir_all(&data).expect("a folder for temporary files");
    let mut program = single_user_server(&data);
    let tracer = Tracer::attach(
        program.pid(),
        "json",
        &[
            r#"log usdt:postgresql:query__start "{(char *)$arg1}""#,
            r#"log usdt:postgresql:query__done "{(char *)$arg1}""#,
            r#"log usdt:postgresql:transaction__commit "{$arg1}""#,
        ],
        &["--usdt-semaphores"],
    );
    tracer.wait_tracing();
    program.say("SELECT 20 + 22");
    program
        .stdout
        .wait_line("the answer", 0, |line| line.contains("= \"42\""));
    tracer.wait_events(3);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    program.close_input();
    program.wait();
    std::fs::remove_dir_all(&data).expect("the server has ended");
    assert_eq!(
        messages(&finished, "p1"),
        ["SELECT 20 + 22\n"],
        "{finished}"
    );
    assert_eq!(
        messages(&finished, "p2"),
        ["SELECT 20 + 22\n"],
        "{finished}"
    );
    assert_eq!(messages(&finished, "p3").len(), 1, "{finished}");
}

#[test]
fn probes_of_the_c_plus_plus_library_have_their_arguments() {
    if !needs::kernel() {
        return;
    }
    let path = fixture("c++", "throws", "e2e_usdt_throw.cpp", &["-g", "-O1"]);
    let mut program = Program::ready(&path, &[]);
    let thrown = announced(&program, "object ");
    let tracer = Tracer::json(
        program.pid(),
        &[
            "log libstdc++.so.6!usdt:libstdcxx:throw",
            r#"log usdt:libstdcxx:catch "{*(int *)$arg1}""#,
        ],
    );
    tracer.wait_tracing();
    program.call(2);
    tracer.wait_events(4);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    for event in finished
        .events()
        .iter()
        .filter(|event| event["probe"] == "p1")
    {
        assert_ne!(*value(event, "$arg1"), 0, "{event}");
        // The type information of the thrown object.
        assert_eq!(*value(event, "$arg2"), thrown, "{event}");
    }
    assert_eq!(messages(&finished, "p2"), ["700", "701"], "{finished}");
}
