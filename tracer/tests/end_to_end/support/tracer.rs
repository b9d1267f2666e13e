//! Runs the tracer as a user would.

use std::ffi::OsStr;
use std::fmt::Display;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::PATIENCE;
use super::output::{Output, tail};
use super::program::send;

/// The binary under test.
pub(crate) const TRACER: &str = env!("CARGO_BIN_EXE_tracer");

/// Time limit of a command. A command that takes longer is killed and fails its test.
const DEADLINE: Duration = Duration::from_secs(30);

/// A running tracer.
pub(crate) struct Tracer {
    child: Child,
    /// Its stdout.
    pub(crate) stdout: Output,
    /// Its stderr.
    pub(crate) stderr: Output,
    what: String,
    started: Instant,
}

impl Tracer {
    /// Starts the tracer with these arguments.
    #[track_caller]
    pub(crate) fn start(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let mut command = Command::new(TRACER);
        command.args(args);
        Self::spawn(command)
    }

    /// Attaches these probes to `pid`, with JSON output.
    #[track_caller]
    pub(crate) fn json(pid: u32, probes: &[&str]) -> Self {
        Self::attach(pid, "json", probes, &[])
    }

    /// Attaches these probes to `pid`.
    #[track_caller]
    pub(crate) fn attach(pid: impl Display, output: &str, probes: &[&str], more: &[&str]) -> Self {
        Self::start(attach_args(pid, output, probes, more))
    }

    /// Runs any command line that executes the tracer.
    #[track_caller]
    pub(crate) fn spawn(mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env_remove("RUST_LOG")
            .env_remove("NO_COLOR")
            .env_remove("RUST_BACKTRACE");
        let mut variables = command.get_envs();
        if !variables.any(|(name, _)| name == "XDG_CONFIG_HOME") {
            // Not the settings of whoever runs the tests.
            command.env("XDG_CONFIG_HOME", "/nonexistent");
        }
        let what = format!("{command:?}");
        let mut child = command.spawn().expect("the tracer is built");
        let stdout = child.stdout.take().expect("piped");
        let stderr = child.stderr.take().expect("piped");
        let stderr = Output::read("the tracer's stderr", stderr);
        Self {
            child,
            stdout: Output::read("the tracer's stdout", stdout).beside(&stderr),
            stderr,
            what,
            started: Instant::now(),
        }
    }

    /// Waits until all possible probes are attached.
    #[track_caller]
    pub(crate) fn wait_tracing(&self) {
        let traces = |line: &String| line.starts_with("tracing ");
        // Finding the places of many spans takes seconds on a busy machine.
        self.stderr
            .wait_within(3 * PATIENCE, "the probes", |lines| {
                lines.iter().any(traces).then_some(())
            });
    }

    /// Waits for exactly this note.
    #[track_caller]
    pub(crate) fn wait_note(&self, note: &str) {
        let note = format!("note: {note}");
        self.stderr.wait_line(&note, 0, |line| line == note);
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Waits for this many events in JSON.
    #[track_caller]
    pub(crate) fn wait_events(&self, count: usize) -> Vec<Value> {
        self.stdout.wait(&format!("{count} events"), |lines| {
            // The count is cheap. Parsing all lines for every new one would be quadratic.
            (lines.len() >= count).then(|| of_type(&parse(lines), "event"))?;
            let events = of_type(&parse(lines), "event");
            (events.len() >= count).then_some(events)
        })
    }

    /// The events so far, in JSON.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        of_type(&parse(&self.stdout.lines()), "event")
    }

    /// Sends Ctrl-C, then waits for the end.
    #[track_caller]
    pub(crate) fn interrupt(self) -> Finished {
        self.signal(Signal::INT);
        self.finish()
    }

    /// Waits for the end. If that takes too long, it kills the tracer and fails.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Finished {
        let end = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            if Instant::now() >= end {
                let _ = self.child.kill();
                let _ = self.child.wait();
                let (what, said) = (&self.what, tail(&self.stderr.lines()));
                panic!("{what} still ran after {DEADLINE:?}; it said:\n{said}");
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let took = self.started.elapsed();
        let finished = Finished {
            what: self.what.clone(),
            code: status.code(),
            stdout: std::mem::replace(&mut self.stdout, empty()).finish(),
            stderr: std::mem::replace(&mut self.stderr, empty()).finish(),
            took,
        };
        let said = finished.stderr.join("\n");
        assert!(!said.contains("panicked"), "{finished}");
        finished
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn empty() -> Output {
    Output::read("nothing", std::io::empty())
}

/// Arguments of `attach`.
pub(crate) fn attach_args(
    pid: impl Display,
    output: &str,
    probes: &[&str],
    more: &[&str],
) -> Vec<String> {
    let mut args: Vec<String> = ["attach", "--pid"].map(str::to_owned).into();
    args.push(pid.to_string());
    args.extend(["--output".to_owned(), output.to_owned()]);
    for probe in probes {
        args.extend(["-e".to_owned(), (*probe).to_owned()]);
    }
    // Test programs hit as fast as they can. Another test covers the cost limit.
    if !more.contains(&"--max-cpu") {
        args.extend(["--max-cpu", "off"].map(str::to_owned));
    }
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    args
}

/// Runs a command of the tracer to its end.
#[track_caller]
pub(crate) fn tracer(args: &[&str]) -> Finished {
    Tracer::start(args).finish()
}

/// A tracer that has ended by itself.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its command line, for messages.
    pub(crate) what: String,
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Lines of stdout.
    pub(crate) stdout: Vec<String>,
    /// Lines of stderr.
    pub(crate) stderr: Vec<String>,
    /// Time from its start to its end.
    pub(crate) took: Duration,
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (out, err) = (tail(&self.stdout), tail(&self.stderr));
        let (what, code, took) = (&self.what, self.code, self.took);
        write!(
            f,
            "{what}\nexit code {code:?} after {took:?}\nstdout:\n{out}\nstderr:\n{err}"
        )
    }
}

impl Finished {
    /// Checks the exit code.
    #[track_caller]
    pub(crate) fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Checks that stderr contains each of these texts, ignoring case.
    #[track_caller]
    pub(crate) fn assert_says(&self, words: &[&str]) -> &Self {
        let said = self.stderr.join("\n").to_lowercase();
        for word in words {
            assert!(
                said.contains(&word.to_lowercase()),
                "no `{word}` in\n{self}"
            );
        }
        self
    }

    /// Its stdout.
    pub(crate) fn text(&self) -> String {
        self.stdout.join("\n")
    }

    /// The whole stdout as one JSON value, or one value per line as an array.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_str(&self.text()) {
            Ok(value) => value,
            Err(_) => Value::Array(parse(&self.stdout)),
        }
    }

    /// Its events.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        of_type(&parse(&self.stdout), "event")
    }

    /// Its record about forked processes.
    #[track_caller]
    pub(crate) fn followed(&self) -> Value {
        let said = of_type(&parse(&self.stdout), "followed");
        let [one] = &said[..] else {
            panic!("not one: {self}");
        };
        one.clone()
    }

    /// All of its summaries.
    #[track_caller]
    pub(crate) fn summaries(&self) -> Vec<Value> {
        of_type(&parse(&self.stdout), "summary")
    }

    /// The only summary of a probe.
    #[track_caller]
    pub(crate) fn summary(&self, probe: &str) -> Value {
        let summaries = of_type(&parse(&self.stdout), "summary");
        let mut mine = summaries.iter().filter(|one| one["probe"] == probe);
        let summary = mine.next().unwrap_or_else(|| panic!("no summary: {self}"));
        assert!(mine.next().is_none(), "two summaries: {self}");
        summary.clone()
    }
}

#[track_caller]
fn parse(lines: &[String]) -> Vec<Value> {
    let values = lines.iter().map(|line| {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in `{line}`"))
    });
    values.collect()
}

fn of_type(values: &[Value], kind: &str) -> Vec<Value> {
    let mine = values.iter().filter(|value| value["type"] == kind);
    mine.cloned().collect()
}

/// The value of an expression in an event.
#[track_caller]
pub(crate) fn value<'a>(event: &'a Value, expr: &str) -> &'a Value {
    let values = event["values"].as_array().expect("events have values");
    let found = values.iter().find(|value| value["expr"] == expr);
    &found.unwrap_or_else(|| panic!("no `{expr}` in {event}"))["value"]
}

/// A counter of a summary. A missing counter is zero.
pub(crate) fn counter(summary: &Value, name: &str) -> u64 {
    summary[name].as_u64().unwrap_or(0)
}

/// Checks that every hit is counted: as an event, or under the reason why it is not one.
#[track_caller]
pub(crate) fn assert_adds_up(summary: &Value) {
    let ways = [
        "events",
        "lost",
        "limited",
        "rejected",
        "faults",
        "silenced",
        "expired",
        "over_budget",
    ];
    let sum: u64 = ways.iter().map(|way| counter(summary, way)).sum();
    assert_eq!(counter(summary, "hits"), sum, "{summary}");
}

/// Checks that a process came once, and that the note says how much of it was not seen.
#[track_caller]
pub(crate) fn assert_tells_unseen(finished: &Finished, pid: u32) {
    let probed = format!("note: process {pid} is probed");
    let mut notes = finished.stderr.iter();
    let note = notes.find(|line| line.starts_with(&probed));
    let note = note.unwrap_or_else(|| panic!("no note on {pid}\n{finished}"));
    assert!(
        note.contains("; its first ") && note.contains(" ms were not seen"),
        "{note}\n{finished}"
    );
    assert!(!notes.any(|line| line.starts_with(&probed)), "{finished}");
    finished.assert_says(&["ms of some were not seen"]);
}

/// A copy of the tracer in another folder, where any user may run it.
pub(crate) fn copy_for_everyone(folder: &Path) -> std::path::PathBuf {
    let copy = folder.join("tracer");
    std::fs::copy(TRACER, &copy).expect("the tracer is built");
    copy
}
