//! Runs a tracer as a user would.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::Value;

use super::findings::{Class, Findings};
use super::lines::Lines;
use super::probes::{EventLimit, Probe};
use super::target::{Marker, PATIENCE, send, wait};

/// Time from a signal, or from the target's end, to the tracer's end.
const END: Duration = Duration::from_secs(30);

/// The command of a tracer.
#[derive(Clone, Debug)]
pub(super) struct Start {
    /// The program.
    pub(super) tracer: PathBuf,
    /// Its home and working directory, which also holds its temporary files.
    pub(super) home: PathBuf,
    /// A marker in its environment, by which its processes are found.
    pub(super) marker: Marker,
    /// Arguments.
    pub(super) arguments: Vec<String>,
}

impl Start {
    /// Returns the command, without our own environment.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.tracer);
        command
            .args(&self.arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("TMPDIR", &self.home)
            .env(self.marker.name, &self.marker.value)
            .current_dir(&self.home)
            .stdin(Stdio::null());
        command
    }
}

/// A running tracer.
pub(super) struct Session {
    child: Child,
    output: OutputReader,
    errors: Lines,
    shown: String,
}

/// The reader of its events.
enum OutputReader {
    Read(Lines),
    /// A pipe that nobody reads.
    Unread {
        /// Keeps the pipe open.
        _pipe: ChildStdout,
    },
    /// A pipe that is closed.
    Closed,
}

/// Readers of the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventReader {
    /// The soak reads all events.
    Reads,
    /// Nobody reads: the pipe fills.
    Sleeps,
}

impl Session {
    /// Starts the tracer.
    ///
    /// # Errors
    /// Fails if the program is missing.
    pub(super) fn start(start: &Start, reader: EventReader) -> Result<Self> {
        let mut child = start
            .command()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", start.tracer.display()))?;
        let stdout = child.stdout.take().context("no pipe")?;
        let stderr = child.stderr.take().context("no pipe")?;
        let output = match reader {
            EventReader::Reads => OutputReader::Read(Lines::read(stdout)),
            EventReader::Sleeps => OutputReader::Unread { _pipe: stdout },
        };
        Ok(Self {
            child,
            output,
            errors: Lines::read(stderr),
            shown: format!("tracer {}", start.arguments.join(" ")),
        })
    }

    /// Returns the process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends the process a signal.
    pub(super) fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Closes the pipe of its events.
    pub(super) fn close_output(&mut self) {
        if matches!(self.output, OutputReader::Unread { .. }) {
            self.output = OutputReader::Closed;
        }
    }

    /// Waits until the probes are attached. Returns false if the tracer ended instead.
    ///
    /// # Errors
    /// Fails if neither happens in time.
    pub(super) fn wait_tracing(&self) -> Result<bool> {
        Ok(self
            .wait_said(0, "start of tracing", |line| line.starts_with("tracing "))?
            .is_some())
    }

    /// Waits for a line on stderr. Returns the index of the next line.
    ///
    /// # Errors
    /// Fails if the line does not come in time.
    pub(super) fn wait_said(
        &self,
        from: usize,
        what: &str,
        is: impl Fn(&str) -> bool,
    ) -> Result<Option<usize>> {
        let at = self.errors.wait(PATIENCE, from, what, is);
        let at = at.with_context(|| format!("{} said {:#?}", self.shown, self.errors.all()))?;
        Ok(at.map(|at| at + 1))
    }

    /// Returns the number of lines on stderr so far.
    pub(super) fn said(&self) -> usize {
        self.errors.count()
    }

    /// Waits for the tracer to end by itself.
    ///
    /// # Errors
    /// Fails if the tracer does not end in time.
    pub(super) fn finish(self) -> Result<Finished> {
        self.finish_within(END)
    }

    /// Waits for the tracer to end by itself, within another time.
    ///
    /// # Errors
    /// Fails if the tracer does not end in time.
    pub(super) fn finish_within(mut self, time: Duration) -> Result<Finished> {
        let status = match wait(&mut self.child, time, "a tracer") {
            Ok(status) => status,
            Err(error) => {
                let said = self.errors.all().join("\n");
                return Err(error.context(format!("{}\nsaid:\n{said}", self.shown)));
            }
        };
        // The last lines may still be in the pipe.
        self.errors
            .wait(PATIENCE, usize::MAX, "end of a pipe", |_| false)?;
        let (output, dropped) = match std::mem::replace(&mut self.output, OutputReader::Closed) {
            OutputReader::Read(lines) => {
                let dropped = lines.dropped();
                (lines.finish(PATIENCE)?, dropped)
            }
            OutputReader::Unread { .. } | OutputReader::Closed => (Vec::new(), 0),
        };
        Ok(Finished {
            shown: self.shown.clone(),
            code: status.code(),
            signal: status.signal(),
            output,
            dropped,
            errors: self.errors.all(),
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Both calls fail only if the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A tracer that has ended.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    /// Its command line.
    pub(super) shown: String,
    /// Its exit code.
    pub(super) code: Option<i32>,
    /// The signal that ended it.
    pub(super) signal: Option<i32>,
    /// Lines on stdout.
    pub(super) output: Vec<String>,
    /// Lines beyond the bound.
    pub(super) dropped: u64,
    /// Lines on stderr.
    pub(super) errors: Vec<String>,
}

impl Finished {
    /// Returns the output, one value per line. A line that does not parse is a finding, except
    /// for the last line of a killed tracer.
    pub(super) fn values(&self, findings: &mut Findings) -> Vec<Value> {
        let mut values = Vec::with_capacity(self.output.len());
        for (number, line) in self.output.iter().enumerate() {
            match serde_json::from_str(line) {
                Ok(value) => values.push(value),
                Err(_) if self.signal.is_some() && number + 1 == self.output.len() => {}
                Err(error) => {
                    findings.add(
                        Class::Tracer,
                        format!("output that is no JSON: {error}: {line}"),
                    );
                }
            }
        }
        values
    }

    /// Checks that it ended by itself, without a panic, with one of these exit codes.
    pub(super) fn check_end(&self, codes: &[i32], findings: &mut Findings) {
        let good = self.code.is_some_and(|code| codes.contains(&code));
        findings.check(Class::Tracer, good, || {
            let said = self.errors.join("\n");
            format!(
                "{} ended with code {:?}, signal {:?}, not {codes:?}:\n{said}",
                self.shown, self.code, self.signal
            )
        });
        self.check_said(findings);
    }

    /// Checks that it did not panic, and that its output was within the bound.
    pub(super) fn check_said(&self, findings: &mut Findings) {
        let panicked = self.errors.iter().any(|line| line.contains("panicked at"));
        findings.check(Class::Tracer, !panicked, || {
            format!("{} panicked:\n{}", self.shown, self.errors.join("\n"))
        });
        findings.check(Class::Soak, self.dropped == 0, || {
            format!(
                "{} wrote more than is kept: {} lines",
                self.shown, self.dropped
            )
        });
    }
}

/// Returns the arguments that attach these probes with JSON output, without a cost limit.
pub(super) fn attach(pid: u32, probes: &[Probe], more: &[String]) -> Vec<String> {
    let mut arguments: Vec<String> = ["attach", "--output", "json", "--max-cpu", "off", "--pid"]
        .map(str::to_owned)
        .into();
    arguments.push(pid.to_string());
    for probe in probes {
        arguments.extend(["-e".to_owned(), probe.text.clone()]);
    }
    // A session ends when all of its probes are done. This probe keeps it alive until it is told to
    // end.
    let may_be_done =
        |probe: &Probe| matches!(probe.limit, EventLimit::Hits(_) | EventLimit::For(_));
    if let Some(first) = probes.first()
        && probes.iter().all(may_be_done)
    {
        let location = first.text.split_whitespace().nth(1).unwrap_or_default();
        let location = location.trim_end_matches("%return");
        arguments.extend(["-e".to_owned(), format!("count {location} as stays")]);
    }
    arguments.extend(more.iter().cloned());
    arguments
}
