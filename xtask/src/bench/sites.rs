//! A line with many sites: the time to attach and detach its probe.

pub(super) mod traces;
pub(super) mod watches;

use std::process::Command;

use anyhow::{Context, Result};

use super::Extent;
use super::observed::{Observed, Scratch};
use super::observer::{NO_RATE, attach, tracer};
use super::report::{BenchReport, SitesRow};
use super::statistics::{median, round};
use super::target::{Answering, compile, marked_line};
use crate::support::failure::Failure;

const SOURCE: &str = "sites.c";
/// Numbers of sites of the marked lines.
const COUNTS: &[u32] = &[1, 100, 1000];

/// Times of one session, from tracer's log.
#[derive(Clone, Copy, Debug, PartialEq)]
struct AttachTimes {
    sites: u32,
    attach_ms: f64,
    detach_ms: f64,
}

/// Measures all numbers of sites in turn.
///
/// # Errors
/// Tracer failed, or a line has another number of sites.
pub(super) fn measure(report: &mut BenchReport, extent: &Extent) -> Result<()> {
    let mut target = Answering::start(&mut Command::new(compile(SOURCE)?))?;
    target.answer("ready")?;
    let mut times = vec![(Vec::new(), Vec::new()); COUNTS.len()];
    for _ in 0..extent.repeats {
        for (&count, (attach, detach)) in COUNTS.iter().zip(&mut times) {
            let once = once(target.pid(), count)?;
            attach.push(once.attach_ms);
            detach.push(once.detach_ms);
        }
    }
    for (&count, (attach, detach)) in COUNTS.iter().zip(&times) {
        let middle = |values: &[f64]| median(values).context("there was no repeat");
        report.sites.push(SitesRow {
            count,
            attach_ms: round(middle(attach)?, 2),
            detach_ms: round(middle(detach)?, 2),
        });
    }
    Ok(())
}

/// Runs one session with two probes. The first has the debug information read, the second is
/// measured.
fn once(pid: u32, count: u32) -> Result<AttachTimes> {
    let probe = |count| -> Result<String> {
        let line = marked_line(SOURCE, &format!("sites_{count}"))?;
        Ok(format!(r#"log {SOURCE}:{line} "x" {NO_RATE}"#))
    };
    let log = Scratch::new("log")?;
    let mut command = attach(&tracer(true), pid, &probe(1)?);
    command
        .args(["-e", &probe(count)?])
        .arg("--log-file")
        .arg(log.path());
    let mut process = Observed::spawn(&mut command)?;
    process.wait_attached()?;
    // The session listens for the interrupt a moment later.
    process.settle()?;
    process.interrupt()?;
    let text = std::fs::read_to_string(log.path()).context("tracer wrote no log")?;
    let times = parse(&text).ok_or_else(|| Failure::new("tracer's log says no times"))?;
    if times.sites != count {
        return Err(Failure::new(format!(
            "a line of {SOURCE} has {} sites and not {count}",
            times.sites
        ))
        .into());
    }
    Ok(times)
}

/// The last probe that was attached, and the detaching of all probes.
fn parse(log: &str) -> Option<AttachTimes> {
    let attached = log
        .lines()
        .rfind(|line| line.contains(": probe attached "))?;
    // A session detaches twice, the second time without any probe left.
    let detached = log
        .lines()
        .find(|line| line.contains(": probes detached "))?;
    Some(AttachTimes {
        sites: field(attached, "sites=")?.parse().ok()?,
        attach_ms: field(attached, "took_ms=")?.parse().ok()?,
        detach_ms: field(detached, "took_ms=")?.parse().ok()?,
    })
}

fn field<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    line.split(' ').find_map(|word| word.strip_prefix(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_gives_the_second_probe_and_the_end() {
        let log = "2026-11-24T12:00:00.1Z DEBUG tracer::session::live: probe attached sites=1 took_ms=3.5\n\
                   2026-11-24T12:00:00.2Z DEBUG tracer::session::live: probe attached sites=1000 took_ms=9.25\n\
                   2026-11-24T12:00:00.3Z DEBUG tracer::session::live: probes detached took_ms=36.5\n\
                   2026-11-24T12:00:00.4Z DEBUG tracer::session::live: probes detached took_ms=0.1\n";
        let expected = AttachTimes {
            sites: 1000,
            attach_ms: 9.25,
            detach_ms: 36.5,
        };
        assert_eq!(parse(log), Some(expected));
        assert_eq!(parse("probe attached"), None);
    }

    #[test]
    fn every_count_has_its_line() {
        for count in COUNTS {
            assert!(marked_line(SOURCE, &format!("sites_{count}")).is_ok());
        }
    }
}
