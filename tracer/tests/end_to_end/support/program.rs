//! A running program to trace.

use std::ffi::OsStr;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::output::Output;
use super::wait_for;

/// A running program with its output, which ends with the test.
pub(crate) struct Program {
    child: Child,
    /// Its stdout.
    pub(crate) stdout: Output,
    /// Its stderr.
    pub(crate) stderr: Output,
}

impl Program {
    /// Starts `path`.
    #[track_caller]
    pub(crate) fn start(path: &Path, args: &[&str]) -> Self {
        Self::start_with(path, args, |_| {})
    }

    /// Starts `path` after `change` has modified the command.
    #[track_caller]
    pub(crate) fn start_with(
        path: &Path,
        args: &[&str],
        change: impl FnOnce(&mut Command),
    ) -> Self {
        let mut command = Command::new(path);
        command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        change(&mut command);
        let mut child = wait_for("the program to start", || match command.spawn() {
            Ok(child) => Some(child),
            // The file was just written, and another test's child, which has not executed its
            // program yet, still holds it.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => None,
            Err(error) => panic!("cannot start {}: {error}", path.display()),
        });
        let stdout = Output::read("the program's stdout", child.stdout.take().expect("piped"));
        let stderr = Output::read("the program's stderr", child.stderr.take().expect("piped"));
        Self {
            child,
            stdout,
            stderr,
        }
    }

    /// Starts a fixture and waits for its line `ready`.
    #[track_caller]
    pub(crate) fn ready(path: &Path, args: &[&str]) -> Self {
        let program = Self::start(path, args);
        program
            .stdout
            .wait_line("`ready`", 0, |line| line == "ready");
        program
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes one line to its stdin.
    #[track_caller]
    pub(crate) fn say(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{line}").expect("the program reads its input");
        stdin.flush().expect("the program reads its input");
    }

    /// Has the fixture `e2e_worker.c` call `work`, and waits until it has.
    #[track_caller]
    pub(crate) fn call(&mut self, times: u32) {
        let from = self.stdout.count();
        self.say(&format!("call {times}"));
        self.stdout
            .wait_line("the calls", from, |line| line == "called");
    }

    /// Closes its stdin.
    pub(crate) fn close_input(&mut self) {
        self.child.stdin = None;
    }

    /// Sends a signal to the program.
    pub(crate) fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// The program has not exited.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until the program has exited.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for("the program's exit", || {
            self.child.try_wait().expect("it is our child")
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended before. It only must be gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process that this test started.
pub(crate) fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let _ = kill_process(pid.expect("a pid of a child"), signal);
}

/// A field of `/proc/PID/status`. `None` if the process is gone.
pub(crate) fn status_field(pid: u32, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name == field).then(|| value.trim().to_owned())
    })
}

/// Start time of the process, in clock ticks since boot. Together with the pid, it identifies the
/// process.
#[track_caller]
pub(crate) fn start_time(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    let after_name = &stat[stat.rfind(')').expect("the name is in brackets") + 1..];
    // Field 22 of the line, which is the 20th after the name.
    let field = after_name.split_whitespace().nth(19);
    field
        .and_then(|field| field.parse().ok())
        .expect("a number")
}

/// Runs a tool to its end and returns its output.
#[track_caller]
pub(crate) fn run(
    tool: impl AsRef<OsStr>,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> String {
    let mut command = Command::new(tool);
    let command = command.args(args);
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
