//! Who observes the hitting program: each tool behind the same few questions.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::observed::{Observed, RunTime};
use super::peers;
use super::programs::Program;
use super::report::{Site, Tool, What};
use super::target::{HITTER, Hitter, function, marked_line};
use crate::failure::Failure;
use crate::workspace;

/// More than the target can make.
pub(super) const NO_RATE: &str = "rate 100000000/s";

/// A tool that observes now.
pub(super) trait Observer {
    /// Fails when it has ended.
    fn check_runs(&mut self) -> Result<()>;
    /// CPU time of what reads the events, so far.
    fn cpu(&self) -> Option<Duration>;
    /// Run time of its eBPF programs, so far, while statistics are on.
    fn run_time(&self) -> Option<RunTime>;
    /// Waits until it has written what it knows.
    fn settle(&mut self) -> Result<()>;
    /// Ends it.
    fn stop(self: Box<Self>) -> Result<Counts>;
}

/// What a tool says in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Events that it wrote; hits, where it counts.
    pub(super) delivered: Option<u64>,
    /// Events that it says it lost.
    pub(super) lost: Option<u64>,
}

/// Starts a tool; its probe is in place when this returns.
///
/// # Errors
/// It cannot do this, or failed.
pub(super) fn start(
    object: &Path,
    (tool, what): (Tool, What),
    hitter: &Hitter,
    site: Site,
) -> Result<Box<dyn Observer>> {
    let code = hitter.code(site)?;
    let mut observer: Box<dyn Observer> = match tool {
        Tool::Untraced => return Ok(Box::new(Nobody)),
        Tool::Empty | Tool::HandWritten => Box::new(Program::start(object, what, hitter, site)?),
        Tool::Tracer => Box::new(Tracer::start(what, hitter, site)?),
        Tool::Bpftrace | Tool::Perf | Tool::Gdb => peers::start(tool, what, hitter, site)?,
    };
    code.wait_probed(|| observer.check_runs())?;
    Ok(observer)
}

/// Nobody observes.
struct Nobody;

impl Observer for Nobody {
    fn check_runs(&mut self) -> Result<()> {
        Ok(())
    }
    fn cpu(&self) -> Option<Duration> {
        None
    }
    fn run_time(&self) -> Option<RunTime> {
        None
    }
    fn settle(&mut self) -> Result<()> {
        Ok(())
    }
    fn stop(self: Box<Self>) -> Result<Counts> {
        Ok(Counts::default())
    }
}

/// The tool under test, as a user starts it.
pub(super) struct Tracer {
    process: Observed,
    what: What,
}

impl Tracer {
    fn start(what: What, hitter: &Hitter, site: Site) -> Result<Self> {
        let place = format!("{HITTER}:{}", marked_line(HITTER, function(site))?);
        let probe = match what {
            What::Log2 => format!(r#"log {place} "{{left}} {{right}}" {NO_RATE}"#),
            What::LogStruct => format!(r#"log {place} "{{*request}}" {NO_RATE}"#),
            What::Rejected => {
                format!(r#"log {place} "{{left}} {{right}}" if left == -1 {NO_RATE}"#)
            }
            What::Count => format!("count {place}"),
            What::None => return Err(Failure::new("tracer always observes something").into()),
        };
        Ok(Self {
            process: Observed::spawn(&mut attach(&tracer(true), hitter.pid(), &probe))?,
            what,
        })
    }
}

/// The built program.
pub(super) fn tracer(release: bool) -> PathBuf {
    workspace::binary("tracer", release)
}

/// `tracer attach` with events as JSON.
pub(super) fn attach(tracer: &Path, pid: u32, probe: &str) -> Command {
    let mut command = Command::new(tracer);
    command
        .args(["attach", "--pid", &pid.to_string(), "--output", "json"])
        // What hits cost is measured here, and not what may be spent on them.
        .args(["--max-cpu", "off"])
        .args(["-e", probe])
        .env_remove("RUST_LOG");
    command
}

impl Observer for Tracer {
    fn check_runs(&mut self) -> Result<()> {
        self.process.check_runs()
    }

    fn cpu(&self) -> Option<Duration> {
        self.process.cpu()
    }

    fn run_time(&self) -> Option<RunTime> {
        self.process.run_time()
    }

    fn settle(&mut self) -> Result<()> {
        self.process.settle()
    }

    fn stop(self: Box<Self>) -> Result<Counts> {
        let ended = self.process.interrupt()?;
        let mut found = Output::default();
        ended.for_each_line(|line| found.take(line))?;
        let summary = found.summary.context("tracer wrote no summary")?;
        Ok(Counts {
            delivered: match self.what {
                What::Count => number(&summary, "hits"),
                _ => Some(found.events),
            },
            lost: number(&summary, "lost"),
        })
    }
}

/// What tracer's JSON says.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// Lines that are events.
    pub(super) events: u64,
    /// The last summary.
    pub(super) summary: Option<Value>,
}

impl Output {
    /// Takes a line in. Events are told by their first key, which is always the
    /// type: there are millions of them.
    pub(super) fn take(&mut self, line: &str) {
        if line.starts_with(r#"{"type":"event""#) {
            self.events += 1;
        } else if line.starts_with(r#"{"type":"summary""#) {
            self.summary = serde_json::from_str(line).ok();
        }
    }
}

/// A number of a summary.
pub(super) fn number(summary: &Value, name: &str) -> Option<u64> {
    summary.get(name)?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_counts_events_and_keeps_the_summary() {
        let mut output = Output::default();
        for line in [
            r#"{"type":"event","probe":"p1","message":"{\"type\":\"summary\"}"}"#,
            r#"{"type":"event","probe":"p1"}"#,
            r#"{"type":"note","text":"x"}"#,
            r#"{"type":"summary","probe":"p1","hits":5,"lost":3}"#,
        ] {
            output.take(line);
        }
        assert_eq!(output.events, 2);
        let summary = output.summary.unwrap();
        assert_eq!(number(&summary, "lost"), Some(3));
        assert_eq!(number(&summary, "limited"), None);
    }
}
