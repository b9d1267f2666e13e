//! Many processes of one program: start, memory, idle cost, processes that come, and processes that
//! are not selected.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use super::Extent;
use super::observed::{EndedObserver, Observed};
use super::observer::{NO_RATE, tracer};
use super::report::{BenchReport, Pace, SiteKind, TargetsRow};
use super::statistics::{median, round};
use super::target::{Answering, HITTER, Hitter, compile, directory, function, marked_line};
use crate::support::failure::Failure;

const WORKER: &str = "worker.c";
/// Lines of the worker with a probe each.
const PROBES: u32 = 10;
/// Processes of the same file.
const PROCESSES: u32 = 200;
/// Time for which an idle session is watched.
const IDLE: Duration = Duration::from_secs(10);
/// Short processes of one stretch whose time is measured.
const TIMED: u32 = 200;

/// Measures all of it.
///
/// # Errors
/// A program failed.
pub(super) fn measure(report: &mut BenchReport, extent: &Extent, quick: bool) -> Result<()> {
    let short = if quick { 1_000 } else { 10_000 };
    eprintln!("bench: {PROCESSES} processes of one file");
    let running = running(extent.repeats)?;
    eprintln!("bench: {short} processes that come");
    let coming = coming(extent.repeats, short)?;
    eprintln!("bench: a process that is not selected");
    let unselected = unselected(extent)?;
    report.targets = Some(TargetsRow {
        processes: PROCESSES,
        probes: PROBES,
        one_attached_ms: round(running.one_ms, 1),
        all_attached_ms: round(running.all_ms, 1),
        memory_kb_each: round(running.memory_kb_each, 1),
        idle_cpu_percent: round(running.idle_percent, 3),
        short_processes: short,
        short_added_ms: round(coming.added_ms, 2),
        short_missed_hits: coming.missed,
        untraced_ns: round(unselected.untraced, 1),
        selected_ns: round(unselected.selected, 1),
        unselected_ns: round(unselected.unselected, 1),
    });
    Ok(())
}

/// A copy of the worker: a file of its own.
fn worker(name: &str) -> Result<PathBuf> {
    let to = directory()?.join(name);
    std::fs::copy(compile(WORKER)?, &to)
        .with_context(|| format!("cannot copy to {}", to.display()))?;
    Ok(to)
}

/// `tracer attach` to all processes of a file, with JSON.
fn select(file: &Path, probes: &[String]) -> Command {
    let mut command = Command::new(tracer(true));
    command
        .args(["attach", "--output", "json", "--max-cpu", "off", "--exe"])
        .arg(file)
        .env_remove("RUST_LOG");
    for probe in probes {
        command.args(["-e", probe]);
    }
    command
}

fn probes(action: &str) -> Result<Vec<String>> {
    (1..=PROBES)
        .map(|number| {
            let line = marked_line(WORKER, &format!("line_{number}"))?;
            Ok(match action {
                "log" => format!(r#"log {WORKER}:{line} "{{value}}" {NO_RATE}"#),
                _ => format!("{action} {WORKER}:{line}"),
            })
        })
        .collect()
}

/// Results with processes that run before the session starts.
struct RunningTargets {
    one_ms: f64,
    all_ms: f64,
    memory_kb_each: f64,
    idle_percent: f64,
}

/// Compares a session of one process with a session of many, in turns.
fn running(repeats: u32) -> Result<RunningTargets> {
    let (one, many) = (worker("worker-one")?, worker("worker-many")?);
    let start = |file: &Path| {
        let mut program = Answering::start(&mut Command::new(file))?;
        program.answer("ready")?;
        Ok(program)
    };
    let _one = start(&one)?;
    let _many: Vec<Answering> = (0..PROCESSES)
        .map(|_| start(&many))
        .collect::<Result<_>>()?;
    let probes = probes("log")?;
    let mut times = [Vec::new(), Vec::new()];
    let mut memory = [Vec::new(), Vec::new()];
    let mut idle = Vec::new();
    for repeat in 0..repeats {
        for (index, file) in [&one, &many].into_iter().enumerate() {
            let mut process = Observed::spawn(&mut select(file, &probes))?;
            let attached = process.wait_attached()?;
            let took = attached.duration_since(process.started());
            times[index].push(took.as_secs_f64() * 1e3);
            if index == 1 && repeat + 1 == repeats {
                idle.push(idle_percent(&process)?);
            }
            let peak = process.peak_rss_mb();
            memory[index].push(peak.context("the kernel does not say how much memory was used")?);
            process.interrupt()?;
        }
    }
    let middle = |values: &[f64]| median(values).context("there was no repeat");
    let more_mb = middle(&memory[1])? - middle(&memory[0])?;
    Ok(RunningTargets {
        one_ms: middle(&times[0])?,
        all_ms: middle(&times[1])?,
        memory_kb_each: more_mb * 1e3 / f64::from(PROCESSES - 1),
        idle_percent: middle(&idle)?,
    })
}

/// CPU time of a session without hits, in percent of one CPU.
fn idle_percent(process: &Observed) -> Result<f64> {
    let cpu = || process.cpu().context("the tracer has ended");
    // The start is over by then.
    std::thread::sleep(Duration::from_secs(1));
    let (from, started) = (cpu()?, Instant::now());
    std::thread::sleep(IDLE);
    let used = cpu()?.saturating_sub(from);
    Ok(used.as_secs_f64() / started.elapsed().as_secs_f64() * 100.0)
}

/// Results with processes that come during the session.
struct ComingTargets {
    added_ms: f64,
    missed: u64,
}

fn coming(repeats: u32, count: u32) -> Result<ComingTargets> {
    let file = worker("worker-short")?;
    // A session needs a process that runs.
    let mut stays = Answering::start(&mut Command::new(&file))?;
    stays.answer("ready")?;
    let probes = probes("count")?;
    let mut added = Vec::new();
    for _ in 0..repeats {
        let without = time_of_one(&file)?;
        let mut process = Observed::spawn(&mut select(&file, &probes))?;
        process.wait_attached()?;
        let with = time_of_one(&file)?;
        process.interrupt()?;
        added.push(with - without);
    }
    let mut process = Observed::spawn(&mut select(&file, &probes))?;
    process.wait_attached()?;
    for _ in 0..count {
        run_once(&file)?;
    }
    let counted = hits_of(&process.interrupt()?)?;
    let made = u64::from(count) * u64::from(PROBES);
    Ok(ComingTargets {
        added_ms: median(&added).context("there was no repeat")?,
        missed: made.checked_sub(counted).ok_or_else(|| {
            Failure::new(format!(
                "{counted} hits were counted, and only {made} were made"
            ))
        })?,
    })
}

/// Starts a short process, and waits for its end.
fn run_once(file: &Path) -> Result<()> {
    let status = Command::new(file)
        .arg("once")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .context("cannot start a worker")?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("a worker failed ({status})")).into())
    }
}

/// Median time from the start of a short process to its end, in ms.
fn time_of_one(file: &Path) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..TIMED {
        let started = Instant::now();
        run_once(file)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    median(&times).context("there was no process")
}

/// Hits of all probes, as tracer's summaries count them.
fn hits_of(ended: &EndedObserver) -> Result<u64> {
    let (mut hits, mut summaries) = (0, 0);
    ended.for_each_line(|line| {
        let Ok(record) = serde_json::from_str::<Value>(line) else {
            return;
        };
        if record["type"] == "summary" {
            summaries += 1;
            hits += record["hits"].as_u64().unwrap_or(0);
        }
    })?;
    if summaries != PROBES {
        return Err(Failure::new(format!(
            "the tracer wrote {summaries} summaries of {PROBES}"
        ))
        .into());
    }
    Ok(hits)
}

/// Cost of a hit in ns, seen from inside the process.
struct UnselectedCost {
    untraced: f64,
    selected: f64,
    unselected: f64,
}

/// Traces two of three processes of a file.
fn unselected(extent: &Extent) -> Result<UnselectedCost> {
    let file = compile(HITTER)?;
    let (mut first, second) = (Hitter::start(&file)?, Hitter::start(&file)?);
    let mut other = Hitter::start(&file)?;
    let site = SiteKind::OneTrap;
    let line = marked_line(HITTER, function(site))?;
    let mut costs = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..extent.repeats {
        let mut ns = |hitter: &mut Hitter, kind: usize| -> Result<()> {
            let hits = hitter.run(site, Pace::Tight, 1, extent.milliseconds)?;
            costs[kind].push(hits.ns);
            Ok(())
        };
        ns(&mut other, 0)?;
        let mut command = Command::new(tracer(true));
        command
            .args(["attach", "--output", "json", "--max-cpu", "off"])
            .args(["--pid", &first.pid().to_string()])
            .args(["--pid", &second.pid().to_string()])
            .args(["-e", &format!("count {HITTER}:{line}")])
            .env_remove("RUST_LOG");
        let mut process = Observed::spawn(&mut command)?;
        process.wait_attached()?;
        ns(&mut first, 1)?;
        ns(&mut other, 2)?;
        process.interrupt()?;
    }
    let middle = |kind: usize| median(&costs[kind]).context("there was no repeat");
    Ok(UnselectedCost {
        untraced: middle(0)?,
        selected: middle(1)?,
        unselected: middle(2)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worker_has_a_line_for_each_probe() {
        assert_eq!(probes("count").unwrap().len(), 10);
    }
}
