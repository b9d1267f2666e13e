//! Signals that a tracer is sent which has started a program, or is about to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;

use crate::support::build::{c, probe_line};
use crate::support::program::{Program, run, send, status_field};
use crate::support::random::Random;
use crate::support::tracer::TRACER;
use crate::support::{needs, wait_for};

const SOURCE: &str = "e2e_terminal.c";
const WORKER: &str = "e2e_worker.c";

/// Tracers that get a signal at a random time.
const ROUNDS: u32 = 20;
/// The longest time until the signal. The program runs after about half of it.
const LATEST: Duration = Duration::from_millis(500);

/// Starts the tracer with a command to run, in a process group of its own.
fn start(args: &[&str]) -> Program {
    Program::start_with(Path::new(TRACER), args, |command| {
        use std::os::unix::process::CommandExt as _;
        command.process_group(0).env_remove("SUDO_UID");
    })
}

fn probe(source: &str, name: &str) -> String {
    format!("count {source}:{}", probe_line(source, name))
}

/// The only child of a process, once there is one.
fn child(pid: u32) -> u32 {
    wait_for("a child", || {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    })
}

#[test]
fn signals_to_the_tracer_are_passed_on_once_and_a_second_one_ends_the_tracing() {
    if !needs::kernel() {
        return;
    }
    let path = c("launched-signals", SOURCE, &["-O0"]);
    let program = path.to_str().expect("UTF-8");
    let mut tracer = start(&["run", "-e", &probe(SOURCE, "answer"), "--", program]);
    let caught = |tracer: &Program, number: i32| {
        let caught = format!("caught {number:02}");
        tracer.stdout.wait_line(&caught, 0, |line| line == caught);
    };
    tracer
        .stdout
        .wait_line("`ready`", 0, |line| line == "ready");
    for signal in [Signal::INT, Signal::QUIT, Signal::HUP] {
        tracer.signal(signal);
        caught(&tracer, signal.as_raw());
    }
    tracer.say("signals");
    let counts = "signals int 1 quit 1 term 0 hup 1";
    tracer.stdout.wait_line(counts, 0, |line| line == counts);
    tracer.say("one");
    tracer
        .stdout
        .wait_line("an answer", 0, |line| line == "got one");
    // The second termination is meant for the tracer, and the program goes on.
    tracer.signal(Signal::TERM);
    let summary = |line: &str| line.contains("1 hit,");
    tracer.stderr.wait_line("the summary", 0, summary);
    tracer.say("two");
    tracer
        .stdout
        .wait_line("an answer", 0, |line| line == "got two");
    tracer.say("signals");
    let counts = "signals int 1 quit 1 term 0 hup 1";
    let same = |lines: &[String]| lines.iter().filter(|line| *line == counts).count() == 2;
    tracer
        .stdout
        .wait("the signals", |lines| same(lines).then_some(()));
    tracer.say("exit 6");
    assert_eq!(tracer.wait().code(), Some(6));
}

#[test]
fn signal_before_the_program_runs_ends_both() {
    if !needs::kernel() || !needs::tools(&["mkfifo"]) {
        return;
    }
    let path = c("launched-never", SOURCE, &["-O0"]);
    let program = path.to_str().expect("UTF-8");
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("probes");
    run("mkfifo", [&pipe]);
    // The tracer waits for the end of this pipe, after it has forked.
    let _writer = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&pipe)
        .expect("a pipe");
    let pipe = pipe.to_str().expect("UTF-8");
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP] {
        let mut tracer = start(&["run", "-f", pipe, "--", program]);
        let waiting = child(tracer.pid());
        wait_for("the signals to be handled", || {
            let caught = status_field(tracer.pid(), "SigCgt")?;
            let caught = u64::from_str_radix(&caught, 16).ok()?;
            (caught & 1 << (signal.as_raw() - 1) != 0).then_some(())
        });
        tracer.signal(signal);
        let status = tracer.wait();
        let said = tracer.stderr.lines().join("\n");
        assert_eq!(status.code(), Some(130), "{signal:?} {said}");
        assert_eq!(tracer.stdout.lines(), Vec::<String>::new());
        assert!(
            status_field(waiting, "State").is_none(),
            "it is left behind"
        );
        assert!(said.contains("interrupted before"), "{said}");
    }
}

/// Whenever the signal comes: the program either gets it, or never runs.
#[test]
fn signal_at_any_time_is_for_the_program_or_keeps_it_from_running() {
    if !needs::kernel() {
        return;
    }
    let path = c("launched-any-time", WORKER, &["-O0"]);
    let program = path.to_str().expect("UTF-8");
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seed = u64::from(now.expect("after 1970").subsec_nanos());
    eprintln!("seed {seed}");
    let mut random = Random::new(seed);
    let (mut ran, mut never) = (0, 0);
    for _ in 0..ROUNDS {
        let probe = probe(WORKER, "work");
        let mut tracer = start(&["run", "-e", &probe, "--", program, "1", "stay"]);
        let waiting = child(tracer.pid());
        // The moment is random by design; there is no event to wait for.
        let time = random.below(LATEST.as_micros().try_into().expect("it is short"));
        std::thread::sleep(Duration::from_micros(time));
        send(tracer.pid(), Signal::TERM);
        let status = tracer.wait();
        let said = tracer.stderr.lines().join("\n");
        wait_for("the program to be gone", || {
            status_field(waiting, "State").is_none().then_some(())
        });
        match status.code() {
            Some(143) => ran += 1,
            // A signal that comes before the tracer listens ends it.
            Some(130) | None => {
                never += 1;
                assert!(tracer.stdout.lines().is_empty(), "{status:?}\n{said}");
            }
            _ => panic!("{status:?}\n{said}"),
        }
    }
    eprintln!("{ran} ran, {never} did not");
}

/// The path of a shell, and a script for it that is the second program of a run.
fn daemon() -> PathBuf {
    c("launched-daemon", "e2e_fork.c", &["-O0"])
}

#[test]
fn program_that_leaves_a_daemon_behind_ends_with_its_code() {
    if !needs::kernel() {
        return;
    }
    let path = daemon();
    let program = path.to_str().expect("UTF-8");
    let mut tracer = start(&["run", "-e", &probe("e2e_fork.c", "work"), "--", program]);
    tracer
        .stdout
        .wait_line("`ready`", 0, |line| line == "ready");
    tracer.say("call 2");
    tracer.say("daemon 5");
    tracer.close_input();
    assert_eq!(tracer.wait().code(), Some(0));
    let said = tracer.stderr.lines().join("\n");
    assert!(said.contains("2 hits"), "{said}");
}

#[test]
fn daemon_is_followed_to_its_end_and_can_be_left_alone() {
    if !needs::kernel() {
        return;
    }
    let path = daemon();
    let program = path.to_str().expect("UTF-8");
    let probe = probe("e2e_fork.c", "work");
    let mut tracer = start(&["run", "--follow-fork", "-e", &probe, "--", program]);
    tracer
        .stdout
        .wait_line("`ready`", 0, |line| line == "ready");
    tracer.say("call 2");
    tracer.say("daemon 5");
    tracer.close_input();
    assert_eq!(tracer.wait().code(), Some(0));
    let said = tracer.stderr.lines().join("\n");
    assert!(said.contains("7 hits"), "{said}");
}

/// A copy of the worker that any user may run.
fn for_everyone() -> (tempfile::TempDir, PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("launched-as");
    fs::copy(c("launched-as", WORKER, &["-O0"]), &path).expect("a copy");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder.path(), mode).expect("it is ours");
    (folder, path)
}

#[test]
fn program_runs_as_another_user_with_the_probes_and_the_signals() {
    if !needs::kernel() {
        return;
    }
    let (_folder, path) = for_everyone();
    let program = path.to_str().expect("UTF-8");
    let probe = probe(WORKER, "work");
    let args = ["run", "--user", "65534", "-e", &probe, "--", program];
    let mut tracer = start(&[&args[..], &["3", "stay"]].concat());
    tracer
        .stdout
        .wait_line("`ready`", 0, |line| line == "ready");
    let pid = child(tracer.pid());
    let users = status_field(pid, "Uid").expect("it runs");
    assert!(
        users.split_whitespace().all(|user| user == "65534"),
        "{users}"
    );
    tracer.signal(Signal::TERM);
    assert_eq!(tracer.wait().code(), Some(128 + Signal::TERM.as_raw()));
    let said = tracer.stderr.lines().join("\n");
    assert!(said.contains("4 hits"), "{said}");
    let mut nobody = Command::new(TRACER);
    nobody.args(["run", "--user", "no-such-user", "-e", &probe, "--", program]);
    let output = nobody.output().expect("the tracer is built");
    assert_eq!(output.status.code(), Some(126), "{output:?}");
}
