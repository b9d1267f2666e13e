//! Measures how fast a line of a large binary is looked up, in comparison with gdb on the same
//! file.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Extent;
use super::observer::tracer;
use super::report::{BenchReport, LookupRow, Tool};
use super::start::large_line;
use super::statistics::{median, round};
use crate::support::command::find;
use crate::support::failure::Failure;
use crate::support::workspace;

/// Time between two looks at a process's peak memory and end.
const LOOK: Duration = Duration::from_micros(500);

/// Looks up one line of the tracer's own dev build with each installed tool.
///
/// # Errors
/// A tool could not be run, or found nothing.
pub(super) fn measure(report: &mut BenchReport, extent: &Extent) -> Result<()> {
    let binary = workspace::binary("tracer", false);
    let mb = std::fs::metadata(&binary)
        .with_context(|| format!("cannot read {}", binary.display()))?
        .len() as f64
        / 1e6;
    let (source, line) = large_line()?;
    let ours = || {
        let mut command = Command::new(tracer(true));
        command
            .args(["lines", "--exe"])
            .arg(&binary)
            .arg(format!("{source}:{line}"));
        command
    };
    let gdb = || {
        let mut command = Command::new("gdb");
        let ask = format!("info line {source}:{line}");
        command.args(["-nx", "-batch", "-ex", &ask]).arg(&binary);
        command
    };
    let mut tools: Vec<(Tool, &dyn Fn() -> Command)> = vec![(Tool::Tracer, &ours)];
    if find("gdb").is_some() {
        tools.push((Tool::Gdb, &gdb));
    }
    // The tools take turns, so that other work on the machine affects both alike.
    let mut times: Vec<Vec<(f64, f64)>> = vec![Vec::new(); tools.len()];
    for _ in 0..extent.repeats {
        for ((tool, command), times) in tools.iter().zip(&mut times) {
            eprintln!("bench: a line of {mb:.0} MB, {tool:?}");
            times.push(once(&mut command())?);
        }
    }
    for ((tool, _), times) in tools.iter().zip(&times) {
        let middle = |value: fn(&(f64, f64)) -> f64| {
            let values: Vec<f64> = times.iter().map(value).collect();
            median(&values).context("there was no repeat")
        };
        report.lookup.push(LookupRow {
            tool: *tool,
            binary_mb: round(mb, 0),
            ms: round(middle(|times| times.0)?, 1),
            peak_rss_mb: round(middle(|times| times.1)?, 1),
        });
    }
    Ok(())
}

/// Milliseconds from start to end, and peak memory in MB.
fn once(command: &mut Command) -> Result<(f64, f64)> {
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot run {:?}", command.get_program()))?;
    let mut peak = 0.0_f64;
    loop {
        // The kernel keeps the peak. Only growth after the last look is missed.
        peak = peak.max(peak_mb(&child).unwrap_or(0.0));
        if let Some(status) = child.try_wait().context("it is our child")? {
            let took = started.elapsed().as_secs_f64() * 1e3;
            if !status.success() {
                let program = command.get_program().to_string_lossy().into_owned();
                return Err(Failure::new(format!("{program} failed ({status})")).into());
            }
            return Ok((took, peak));
        }
        std::thread::sleep(LOOK);
    }
}

fn peak_mb(child: &Child) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}
