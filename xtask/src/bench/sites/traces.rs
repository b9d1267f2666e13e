//! Calls that are recorded line by line: their cost, that of calls on other threads, and the time to attach.

use std::process::Command;

use anyhow::{Context, Result};

use super::parse;
use crate::bench::Extent;
use crate::bench::observed::{Observed, Scratch};
use crate::bench::observer::{NO_RATE, attach, tracer};
use crate::bench::report::{BenchReport, TraceRow};
use crate::bench::statistics::{median, round};
use crate::bench::target::{Answering, compile_plain, line_of};
use crate::support::failure::Failure;
use crate::support::workspace;

const SOURCE: &str = "trace.c";
/// Calls of one run.
const CALLS: u32 = 1_500;
/// Functions of the target.
const FORTY: &str = "forty";
const THOUSAND: &str = "thousand";

/// Measures everything in turns.
///
/// # Errors
/// Tracer or the target failed.
pub(in crate::bench) fn measure(report: &mut BenchReport, extent: &Extent) -> Result<()> {
    let mut target = Answering::start(&mut Command::new(compile_plain(SOURCE)?))?;
    target.answer("ready")?;
    let lines = lines()?;
    let each = |probe: &dyn Fn(usize) -> String| lines.iter().map(|line| probe(*line)).collect();
    let logged: Vec<String> = each(&|line| format!("log {SOURCE}:{line} {NO_RATE}"));
    let rejected: Vec<String> =
        each(&|line| format!(r#"log {SOURCE}:{line} "{{n}} {{a}}" if n == -12345"#));
    let recorded = vec![format!("trace {FORTY} hits 100000000 {NO_RATE}")];
    let held = vec![format!("trace {FORTY} if n < 0")];
    let mut samples: [Vec<f64>; 5] = Default::default();
    let (mut attach_ms, mut detach_ms, mut sites) = (Vec::new(), Vec::new(), 0);
    for _ in 0..extent.repeats {
        let runs = [
            call(&mut target)?,
            under(&mut target, &logged, false)?,
            under(&mut target, &recorded, false)?,
            under(&mut target, &rejected, false)?,
            under(&mut target, &held, true)?,
        ];
        for (samples, run) in samples.iter_mut().zip(runs) {
            samples.push(run);
        }
        let times = attached(target.pid())?;
        sites = times.sites;
        attach_ms.push(times.attach_ms);
        detach_ms.push(times.detach_ms);
    }
    let middle = |values: &[f64]| median(values).context("there was no repeat");
    let [bare, logged, recorded, rejected, away] = &samples;
    let (logged, recorded) = (middle(logged)?, middle(recorded)?);
    let (rejected, away) = (middle(rejected)?, middle(away)?);
    report.traces.push(TraceRow {
        lines: lines.len(),
        bare_ns: round(middle(bare)?, 0),
        logged_ns: round(logged, 0),
        recorded_ns: round(recorded, 0),
        recorded_ratio: round(recorded / logged, 2),
        rejected_ns: round(rejected, 0),
        turned_away_ns: round(away, 0),
        turned_away_ratio: round(away / rejected, 2),
        attached_sites: sites,
        attach_ms: round(middle(&attach_ms)?, 1),
        detach_ms: round(middle(&detach_ms)?, 1),
    });
    Ok(())
}

/// The lines of the function of forty lines, from its first statement to its end.
fn lines() -> Result<Vec<usize>> {
    let path = workspace::root().join("xtask/bench").join(SOURCE);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let first = line_of(&text, &format!(" {FORTY}(long n)")).context("the function is gone")? + 2;
    let last = line_of(&text, "return a + b;").context("its return is gone")? + 1;
    Ok((first..=last).collect())
}

/// The time of a call, in ns.
fn call(target: &mut Answering) -> Result<f64> {
    target.say(&format!("call {CALLS}"))?;
    let words = target.answer("done")?;
    let ns = words.first().and_then(|word| word.parse().ok());
    ns.context("the target names no time")
}

/// The time of a call under these probes. `held` has another thread stay in a call of its own.
fn under(target: &mut Answering, probes: &[String], held: bool) -> Result<f64> {
    let (first, others) = probes.split_first().context("there is no probe")?;
    let mut command = attach(&tracer(true), target.pid(), first);
    for probe in others {
        command.args(["-e", probe]);
    }
    let mut process = Observed::spawn(&mut command)?;
    process.wait_attached()?;
    process.settle()?;
    if held {
        target.say("hold")?;
        target.answer("held")?;
    }
    let ns = call(target)?;
    if held {
        target.say("release")?;
        target.answer("released")?;
    }
    process.check_runs()?;
    process.interrupt()?;
    Ok(ns)
}

/// The times to attach and detach a trace of the function of a thousand lines. A probe before it has the debug
/// information read, and the eBPF program loaded that runs traces.
fn attached(pid: u32) -> Result<super::AttachTimes> {
    let log = Scratch::new("log")?;
    let mut command = attach(&tracer(true), pid, &format!("snapshot {THOUSAND}"));
    command
        .args(["-e", &format!("trace {THOUSAND}")])
        .arg("--log-file")
        .arg(log.path());
    let mut process = Observed::spawn(&mut command)?;
    process.wait_attached()?;
    process.settle()?;
    process.interrupt()?;
    let text = std::fs::read_to_string(log.path()).context("tracer wrote no log")?;
    parse(&text).ok_or_else(|| Failure::new("tracer's log says no times").into())
}
