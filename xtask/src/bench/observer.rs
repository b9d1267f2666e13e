//! The observers of the hitting program, behind one interface.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::observed::{EventCounts, Observed, Observer, RunTime};
use super::peers;
use super::programs::BenchProgram;
use super::report::{SiteKind, Tool, Workload};
use super::target::{HITTER, Hitter, function, marked_line};
use crate::support::failure::Failure;
use crate::support::workspace;

/// A rate above that of the target.
pub(super) const NO_RATE: &str = "rate 100000000/s";

/// Starts a tool. Its probe is attached when this returns.
///
/// # Errors
/// The tool does not support this, or failed.
pub(super) fn start(
    object: &Path,
    tool: Tool,
    what: Workload,
    hitter: &Hitter,
    site: SiteKind,
) -> Result<Box<dyn Observer>> {
    let code = hitter.code(site)?;
    let mut observer: Box<dyn Observer> = match tool {
        Tool::Untraced => return Ok(Box::new(Nobody)),
        Tool::Empty | Tool::HandWritten => {
            Box::new(BenchProgram::start(object, what, hitter, site)?)
        }
        Tool::Tracer => Box::new(Tracer::start(what, hitter, site)?),
        Tool::Bpftrace | Tool::Perf | Tool::Gdb => peers::start(tool, what, hitter, site)?,
    };
    code.wait_probed(|| observer.check_runs())?;
    Ok(observer)
}

/// No observer.
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
    fn stop(self: Box<Self>) -> Result<EventCounts> {
        Ok(EventCounts::default())
    }
}

/// The tested tool, as a user starts it.
pub(super) struct Tracer {
    process: Observed,
    what: Workload,
}

impl Tracer {
    fn start(what: Workload, hitter: &Hitter, site: SiteKind) -> Result<Self> {
        let place = format!("{HITTER}:{}", marked_line(HITTER, function(site))?);
        let probe = match what {
            Workload::Log2 => format!(r#"log {place} "{{left}} {{right}}" {NO_RATE}"#),
            Workload::LogStruct => format!(r#"log {place} "{{*request}}" {NO_RATE}"#),
            Workload::Rejected => {
                format!(r#"log {place} "{{left}} {{right}}" if left == -1 {NO_RATE}"#)
            }
            Workload::Count => format!("count {place}"),
            Workload::None => return Err(Failure::new("tracer always observes something").into()),
        };
        Ok(Self {
            process: Observed::spawn(&mut attach(&tracer(true), hitter.pid(), &probe))?,
            what,
        })
    }
}

/// Path of the built program.
pub(super) fn tracer(release: bool) -> PathBuf {
    workspace::binary("tracer", release)
}

/// `tracer attach` with events as JSON.
pub(super) fn attach(tracer: &Path, pid: u32, probe: &str) -> Command {
    let mut command = Command::new(tracer);
    command
        .args(["attach", "--pid", &pid.to_string(), "--output", "json"])
        // The bench measures the cost of hits, so their cost is not limited.
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

    fn stop(self: Box<Self>) -> Result<EventCounts> {
        let ended = self.process.interrupt()?;
        let mut found = OutputTotals::default();
        ended.for_each_line(|line| found.take(line))?;
        let summary = found.summary.context("tracer wrote no summary")?;
        Ok(EventCounts {
            delivered: match self.what {
                Workload::Count => number(&summary, "hits"),
                _ => Some(found.events),
            },
            lost: number(&summary, "lost"),
        })
    }
}

/// Totals of tracer's JSON output.
#[derive(Debug, Default)]
pub(super) struct OutputTotals {
    /// Number of lines that are events.
    pub(super) events: u64,
    /// The last summary.
    pub(super) summary: Option<Value>,
}

impl OutputTotals {
    /// Reads a line. The first key tells events apart, which is fast enough for millions of lines.
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
        let mut output = OutputTotals::default();
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
