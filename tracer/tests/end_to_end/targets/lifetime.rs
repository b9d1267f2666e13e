//! Starts and ends: of the tracer, by any signal, and of the target.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use rustix::process::Signal;

use crate::support::PATIENCE;
use crate::support::build::{c, probe_line};
use crate::support::needs;
use crate::support::program::{Program, send};
use crate::support::text::Text;
use crate::support::tracer::{
    Finished, TRACER, Tracer, assert_adds_up, attach_args, counter, value,
};
use crate::support::watch::Watch;

const SOURCE: &str = "e2e_loop.c";

fn probe(mark: &str) -> String {
    let line = probe_line(SOURCE, mark);
    match mark {
        "work" => format!(r#"log {SOURCE}:{line} "{{number}} {{twice}}""#),
        _ => format!(r#"log {SOURCE}:{line} "{{pair->number}}""#),
    }
}

/// The fixture, which calls once a millisecond until it is told to stop.
fn pacing(exit_code: &str) -> Program {
    let path = c("loop", SOURCE, &["-O0"]);
    let mut program = Program::ready(&path, &["1", "0", "1000", exit_code]);
    program.say("go");
    program
}

fn assert_doubled(finished: &Finished) {
    for event in finished.events() {
        let number = value(&event, "number").as_i64().expect("a number");
        assert_eq!(value(&event, "twice").as_i64(), Some(2 * number), "{event}");
    }
}

/// The program still calls.
fn assert_goes_on(program: &Program) {
    let from = program.stdout.count();
    program
        .stdout
        .wait_line("`tick`", from, |line| line == "tick");
}

#[test]
fn kill_9_leaves_target_running_without_probes() {
    if !needs::kernel() {
        return;
    }
    let mut program = pacing("0");
    let watch = Watch::start(program.pid());
    let text = Text::of_exe(program.pid());
    let tracer = Tracer::json(program.pid(), &[&probe("work"), &probe("second")]);
    tracer.wait_events(20);
    assert!(text.changed().len() >= 2, "two sites are probed");
    tracer.signal(Signal::KILL);
    text.wait_restored();
    assert_eq!(tracer.finish().code, None, "ended by the signal");
    assert_goes_on(&program);
    watch.assert_untouched();
    assert!(program.is_running());
}

#[test]
fn kill_9_while_attaching_leaves_nothing() {
    if !needs::kernel() {
        return;
    }
    let program = pacing("0");
    let text = Text::of_exe(program.pid());
    for _ in 0..3 {
        let tracer = Tracer::json(program.pid(), &[&probe("work"), &probe("second")]);
        text.wait_probed(1);
        tracer.signal(Signal::KILL);
        tracer.finish();
        text.wait_restored();
    }
    assert_goes_on(&program);
}

#[test]
fn termination_signals_end_with_summary() {
    if !needs::kernel() {
        return;
    }
    let program = pacing("0");
    let text = Text::of_exe(program.pid());
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let tracer = Tracer::json(program.pid(), &[&probe("work")]);
        tracer.wait_events(3);
        tracer.signal(signal);
        let finished = tracer.finish();
        assert!(!finished.events().is_empty());
        finished.assert_code(0);
        assert_adds_up(&finished.summary("p1"));
        text.wait_restored();
    }
    assert_goes_on(&program);
}

/// Waits for the request of a debug file, and answers it on command.
fn hold_back(id: &str, file: Vec<u8>) -> (String, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let id = id.to_owned();
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let (asks, asked) = mpsc::channel();
    let (answer, answered) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = String::new();
            let mut reader = BufReader::new(stream.try_clone().expect("a connection"));
            reader.read_line(&mut request).expect("a request");
            // The breakpoint is in the program, not in a library.
            let mine = request.contains(&id) && request.contains("/debuginfo ");
            let (status, body) = if mine {
                asks.send(()).expect("the test waits");
                answered.recv().expect("the test tells");
                ("200 OK", &file[..])
            } else {
                ("404 Not Found", &[][..])
            };
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).expect("it listens");
            stream.write_all(body).expect("it listens");
        }
    });
    (url, asked, answer)
}

#[test]
fn signals_that_come_while_attaching_end_before_anything_is_traced() {
    if !needs::kernel() {
        return;
    }
    let path = c(
        "loop_by_id",
        SOURCE,
        &["-O0", "-Wl,--build-id=0xfeed0c0de0"],
    );
    let folder = tempfile::tempdir().expect("a directory");
    let stripped = folder.path().join("loop_stripped");
    let stripping = Command::new("objcopy")
        .arg("--strip-debug")
        .args([&path, &stripped])
        .status();
    assert!(stripping.expect("objcopy runs").success());
    let mut program = Program::ready(&stripped, &["1", "0", "1000", "0"]);
    program.say("go");
    let text = Text::of_exe(program.pid());
    let (url, asked, answer) =
        hold_back("feed0c0de0", fs::read(&path).expect("the program's file"));
    let mut command = Command::new(TRACER);
    command
        .args(attach_args(program.pid(), "json", &[&probe("work")], &[]))
        .env("DEBUGINFOD_URLS", url)
        .env("DEBUGINFOD_CACHE_PATH", folder.path());
    let tracer = Tracer::spawn(command);
    asked.recv_timeout(PATIENCE).expect("it asks");
    // First as many signals as silence all probes, then those of `timeout -s INT`: one for the
    // process, one for its group.
    tracer.signal(Signal::USR1);
    tracer.signal(Signal::INT);
    tracer.signal(Signal::INT);
    answer.send(()).expect("it waits");
    let finished = tracer.finish();
    finished.assert_code(130);
    finished.assert_says(&["interrupted before anything was traced"]);
    assert!(finished.summaries().is_empty(), "{finished}");
    text.wait_restored();
    assert_goes_on(&program);
}

#[test]
fn two_tracers_on_one_target_do_not_disturb_each_other() {
    if !needs::kernel() {
        return;
    }
    let program = pacing("0");
    let watch = Watch::start(program.pid());
    let text = Text::of_exe(program.pid());
    let first = Tracer::json(program.pid(), &[&probe("work")]);
    first.wait_events(5);
    let second = Tracer::json(program.pid(), &[&probe("work"), &probe("second")]);
    second.wait_events(10);
    let first = first.interrupt();
    // The end of the first session does not affect the second.
    let so_far = second.stdout.count();
    second.wait_events(so_far + 50);
    let second = second.interrupt();
    text.wait_restored();
    watch.assert_untouched();
    for finished in [&first, &second] {
        finished.assert_code(0);
        let summary = finished.summary("p1");
        assert_adds_up(&summary);
        assert_eq!(counter(&summary, "lost"), 0, "{summary}");
    }
    assert_doubled(&first);
    // Both saw the same calls while both were attached.
    let numbers = |finished: &Finished| -> Vec<i64> {
        let events = finished.events();
        let mine = events.iter().filter(|event| event["probe"] == "p1");
        mine.map(|event| value(event, "number").as_i64().expect("a number"))
            .collect()
    };
    let (first, second) = (numbers(&first), numbers(&second));
    for numbers in [&first, &second] {
        assert!(
            numbers.windows(2).all(|pair| pair[1] == pair[0] + 1),
            "{numbers:?}"
        );
    }
    assert!(first.contains(&second[0]), "they overlap");
}

#[test]
fn target_exit_ends_the_session_with_summary() {
    if !needs::kernel() {
        return;
    }
    let mut program = pacing("7");
    let tracer = Tracer::json(program.pid(), &[&probe("work")]);
    tracer.wait_events(5);
    // Ends the loop, and then the program.
    program.say("stop");
    program.stdout.wait_line("`done`", 0, |line| line == "done");
    program.say("exit");
    assert_eq!(
        program.wait().code(),
        Some(7),
        "tracing does not change how it ends"
    );
    let finished = tracer.finish();
    finished.assert_code(0).assert_says(&["exited"]);
    let summary = finished.summary("p1");
    assert_adds_up(&summary);
    assert_eq!(counter(&summary, "events"), finished.events().len() as u64);
    assert_eq!(counter(&summary, "lost"), 0, "{summary}");
    assert_doubled(&finished);
}

#[test]
fn target_killed_ends_the_session_with_summary() {
    if !needs::kernel() {
        return;
    }
    let program = pacing("0");
    let tracer = Tracer::attach(program.pid(), "text", &[&probe("work")], &[]);
    tracer
        .stdout
        .wait_line("an event", 0, |line| line.contains("loop/"));
    program.signal(Signal::KILL);
    tracer.finish().assert_code(0).assert_says(&["p1", "hits"]);
}

#[test]
fn attach_for_a_time_ends_by_itself() {
    if !needs::kernel() {
        return;
    }
    let program = pacing("0");
    let text = Text::of_exe(program.pid());
    let tracer = Tracer::attach(
        program.pid(),
        "json",
        &[&probe("work")],
        &["--for", "500ms"],
    );
    let finished = tracer.finish();
    text.wait_restored();
    finished.assert_code(0);
    assert!(finished.took.as_millis() >= 500, "{finished}");
    assert!(!finished.events().is_empty(), "{finished}");
    assert_adds_up(&finished.summary("p1"));
}

#[test]
fn nothing_captured_is_exit_code_1() {
    if !needs::kernel() {
        return;
    }
    let path = c("loop", SOURCE, &["-O0"]);
    // The program waits for input, so it never reaches the line.
    let program = Program::ready(&path, &["1", "0", "1000"]);
    let args = ["--for", "200ms"];
    let finished = Tracer::attach(program.pid(), "json", &[&probe("work")], &args).finish();
    finished.assert_code(1);
    assert_eq!(counter(&finished.summary("p1"), "hits"), 0);
}

#[test]
fn closed_stdout_ends_the_tracer_quietly() {
    if !needs::kernel() {
        return;
    }
    let program = pacing("0");
    let text = Text::of_exe(program.pid());
    let mut command = std::process::Command::new("sh");
    let line = r#""$0" attach --pid "$1" --output text -e "$2" | head -n 2"#;
    command.args(["-c", line, crate::support::tracer::TRACER]);
    command.args([program.pid().to_string(), probe("work")]);
    let finished = Tracer::spawn(command).finish();
    assert_eq!(finished.stdout.len(), 2, "{finished}");
    assert!(
        !finished.stderr.join(" ").contains("roken pipe"),
        "{finished}"
    );
    text.wait_restored();
}

#[test]
fn one_impossible_probe_is_told_and_the_others_run() {
    if !needs::kernel() {
        return;
    }
    let program = pacing("0");
    let impossible = format!(r#"log {SOURCE}:9999 "never""#);
    let tracer = Tracer::json(program.pid(), &[&impossible, &probe("work")]);
    tracer.wait_events(3);
    let finished = tracer.interrupt();
    finished.assert_says(&["9999"]);
    assert_ne!(finished.code, Some(0), "the exit code tells:\n{finished}");
    assert_doubled(&finished);
}

#[test]
fn closed_stderr_ends_nothing() {
    if !needs::kernel() {
        return;
    }
    let path = c("loop", "e2e_loop.c", &["-O0"]);
    let mut program = Program::ready(&path, &["1", "0", "500"]);
    let text = Text::of_exe(program.pid());
    program.say("go");
    let line = probe_line("e2e_loop.c", "work");
    let probe = format!(r#"log e2e_loop.c:{line} "{{number}}""#);
    let mut tracer = Command::new(TRACER)
        .args(attach_args(program.pid(), "json", &[&probe], &[]))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tracer is built");
    let mut first = String::new();
    let mut stderr = BufReader::new(tracer.stderr.take().expect("piped"));
    stderr
        .read_line(&mut first)
        .expect("it says that it traces");
    drop(stderr);
    // Both are reported on stderr. They are sent one after the other, because two pending signals
    // merge.
    text.wait_probed(1);
    send(tracer.id(), Signal::USR1);
    text.wait_restored();
    send(tracer.id(), Signal::USR1);
    text.wait_probed(1);
    let mut lines = BufReader::new(tracer.stdout.take().expect("piped")).lines();
    for _ in 0..20 {
        lines.next().expect("it goes on").expect("UTF-8");
    }
    send(tracer.id(), Signal::INT);
    let last = lines.map_while(Result::ok).last().expect("more lines");
    assert!(last.contains(r#""type":"summary""#), "{last}");
    assert!(tracer.wait().expect("it is our child").success());
}
