//! Output that nobody reads: bounded, counted, and no reason to hang.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtyPair, PtySize, native_pty_system};
use rustix::process::Signal;

use crate::support::build::{c, probe_line};
use crate::support::output::Output;
use crate::support::program::{Program, send};
use crate::support::text::Text;
use crate::support::tracer::{TRACER, Tracer, assert_adds_up, attach_args, counter};
use crate::support::{needs, wait_for};

const SOURCE: &str = "e2e_large.c";

/// One second, plus more than that again for a busy machine.
const SOON: Duration = Duration::from_secs(4);

fn program() -> Program {
    Program::ready(&c("large", SOURCE, &["-O0"]), &[])
}

fn probe() -> String {
    let line = probe_line(SOURCE, "large");
    format!("log {SOURCE}:{line} \"{{first}} {{second}} {{third}}\" rate 100000/s")
}

/// The process ends even if the test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Its exit code after one signal, which must end it soon.
    #[track_caller]
    fn end(&mut self, signal: Signal) -> Option<i32> {
        send(self.0.id(), signal);
        let began = Instant::now();
        let status = wait_for("the tracer's end", || {
            self.0.try_wait().expect("it is our child")
        });
        let took = began.elapsed();
        assert!(took < SOON, "it took {took:?}");
        status.code()
    }
}

/// A full pipe, and its other end.
fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
    rustix::io::ioctl_fionbio(&writer, true).expect("a flag");
    while rustix::io::write(&writer, &[b'\n'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).expect("a flag");
    (reader, writer)
}

fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse::<u64>().ok())
        .expect("a number")
        << 10
}

#[test]
fn events_that_nobody_reads_are_bounded_in_bytes_and_counted() {
    if !needs::kernel() {
        return;
    }
    let program = program();
    let text = Text::of_exe(program.pid());
    let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
    let mut command = Command::new(TRACER);
    let more = ["--buffer-size", "32M"];
    command.args(attach_args(program.pid(), "json", &[&probe()], &more));
    command
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(Stdio::piped());
    let mut tracer = Running(command.spawn().expect("the tracer is built"));
    drop(command);
    let stderr = Output::read("stderr", tracer.0.stderr.take().expect("piped"));
    let traces = |line: &str| line.starts_with("tracing ");
    stderr.wait_line("the probes", 0, traces);
    text.wait_probed(1);
    let before = memory(tracer.0.id());
    // An event has about 100 KB of values, so this many exceed any bound.
    let calls = || {
        let lines = program.stdout.lines();
        lines
            .last()
            .and_then(|line| line.parse::<u64>().ok())
            .unwrap_or(0)
    };
    let from = calls();
    wait_for("the calls", || (calls() > from + 8000).then_some(()));
    let grown = memory(tracer.0.id()).saturating_sub(before);
    assert!(grown < 96 << 20, "{grown} bytes more than before");
    let code = tracer.end(Signal::TERM);
    text.wait_restored();
    let said = stderr.finish().join("\n");
    assert!(matches!(code, Some(0 | 1)), "{code:?}: {said}");
    assert!(said.contains("were not written"), "{said}");
    assert!(said.contains(" lost"), "{said}");
    drop(reader);
}

#[test]
fn slow_reader_gets_the_newest_and_every_event_is_counted() {
    if !needs::kernel() {
        return;
    }
    let program = program();
    let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
    let mut command = Command::new(TRACER);
    let more = ["--buffer-size", "8M"];
    command.args(attach_args(program.pid(), "json", &[&probe()], &more));
    command
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(Stdio::null());
    let mut tracer = Running(command.spawn().expect("the tracer is built"));
    drop(command);
    let said = |count: usize| (program.stdout.lines().len() > count).then_some(());
    wait_for("the calls", || said(8));
    // From now on the reader reads.
    let stdout = Output::read("stdout", File::from(reader));
    stdout.wait("events again", |lines| (lines.len() > 200).then_some(()));
    let code = tracer.end(Signal::INT);
    let lines = stdout.finish();
    let parsed: Vec<serde_json::Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("whole lines of JSON"))
        .collect();
    assert_eq!(code, Some(0));
    let summary = parsed.iter().find(|one| one["type"] == "summary");
    let summary = summary.expect("a summary");
    assert_adds_up(summary);
    assert!(counter(summary, "lost") > 0, "{summary}");
    let events = parsed.iter().filter(|one| one["type"] == "event").count();
    assert_eq!(counter(summary, "events"), events as u64, "{summary}");
}

#[test]
fn full_pipes_on_stdout_and_stderr_do_not_keep_it() {
    if !needs::kernel() {
        return;
    }
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let program = program();
        let text = Text::of_exe(program.pid());
        let (stdout, stderr) = (full_pipe(), full_pipe());
        let mut command = Command::new(TRACER);
        command.args(attach_args(program.pid(), "text", &[&probe()], &[]));
        command
            .stdin(Stdio::null())
            .stdout(stdout.1)
            .stderr(stderr.1);
        let mut tracer = Running(command.spawn().expect("the tracer is built"));
        drop(command);
        text.wait_probed(1);
        let code = tracer.end(signal);
        assert_eq!(code, Some(1), "nothing was written");
        text.wait_restored();
        drop((stdout.0, stderr.0));
    }
}

#[test]
fn signal_before_anything_is_traced_ends_it() {
    if !needs::kernel() {
        return;
    }
    let program = program();
    let stderr = full_pipe();
    let mut command = Command::new(TRACER);
    // The first refused probe is reported to a pipe that accepts nothing.
    let args = attach_args(program.pid(), "json", &["log nowhere.c:1"], &[]);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr.1);
    let mut tracer = Running(command.spawn().expect("the tracer is built"));
    drop(command);
    wait_for("a blocked write", || {
        is_writing(tracer.0.id(), 2).then_some(())
    });
    assert_eq!(tracer.end(Signal::INT), Some(130));
}

/// A thread of the process is writing to this descriptor.
fn is_writing(pid: u32, to: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return false;
    };
    threads.flatten().any(|thread| {
        let call = std::fs::read_to_string(thread.path().join("syscall")).unwrap_or_default();
        call.starts_with(&format!("1 0x{to:x} "))
    })
}

/// A large terminal with the terminal UI of a session on it.
fn in_terminal(pid: u32) -> (PtyPair, Box<dyn portable_pty::Child + Send + Sync>) {
    let size = PtySize {
        rows: 50,
        cols: 200,
        pixel_width: 0,
        pixel_height: 0,
    };
    let pair = native_pty_system().openpty(size).expect("a terminal");
    let mut command = CommandBuilder::new(TRACER);
    command.args(attach_args(pid, "tui", &[&probe()], &[]));
    command.env("TERM", "xterm-256color");
    let child = pair
        .slave
        .spawn_command(command)
        .expect("the tracer is built");
    (pair, child)
}

/// Asserts that one signal ends it soon, without an error.
#[track_caller]
fn assert_ends_soon(child: &mut (dyn portable_pty::Child + Send + Sync)) {
    let pid = child.process_id().expect("it was started");
    send(pid, Signal::TERM);
    let began = Instant::now();
    let status = wait_for("the tracer's end", || {
        child.try_wait().expect("it is our child")
    });
    let took = began.elapsed();
    assert!(took < SOON, "it took {took:?}");
    assert_eq!(status.exit_code(), 0);
}

#[test]
fn terminal_that_takes_nothing_does_not_keep_the_screen() {
    if !needs::kernel() {
        return;
    }
    let program = program();
    let text = Text::of_exe(program.pid());
    let (pair, mut child) = in_terminal(program.pid());
    let pid = child.process_id().expect("it was started");
    text.wait_probed(1);
    // Nobody reads, so its changes fill the terminal's buffer.
    wait_for("a blocked write", || {
        std::thread::sleep(Duration::from_millis(100));
        is_writing(pid, 1).then_some(())
    });
    assert_ends_soon(&mut *child);
    text.wait_restored();
    drop(pair);
}

#[test]
fn records_that_nobody_will_see_do_not_keep_the_screen() {
    if !needs::kernel() {
        return;
    }
    let program = program();
    let text = Text::of_exe(program.pid());
    let (pair, mut child) = in_terminal(program.pid());
    let mut screen = pair.master.try_clone_reader().expect("a reader");
    let drawn = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&drawn);
    let drain = std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = screen.read(&mut bytes) {
            counted.fetch_add(count, Ordering::Relaxed);
        }
    });
    // The hits of this time take many seconds to decode: the reader is far behind.
    wait_for("frames", || {
        (drawn.load(Ordering::Relaxed) > 40_000).then_some(())
    });
    assert_ends_soon(&mut *child);
    text.wait_restored();
    drop(pair);
    drain.join().expect("no panic");
}

#[test]
fn reader_that_is_in_time_gets_the_events_before_the_signal() {
    if !needs::kernel() {
        return;
    }
    let program = program();
    let tracer = Tracer::json(program.pid(), &[&probe()]);
    let events = tracer.wait_events(3).len();
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let summary = finished.summary("p1");
    assert!(finished.events().len() >= events);
    assert_eq!(counter(&summary, "events"), finished.events().len() as u64);
    assert_adds_up(&summary);
}
