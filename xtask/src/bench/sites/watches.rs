//! Watched values: the cost of a write, beside that of an empty program on the same watchpoint.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use aya::Ebpf;
use aya::programs::PerfEvent;
use aya::programs::perf_event::{
    BreakpointConfig, PerfBreakpointLength, PerfBreakpointType, PerfEventConfig, PerfEventScope,
    SamplePolicy,
};

use crate::bench::Extent;
use crate::bench::observed::Observed;
use crate::bench::observer::{NO_RATE, attach, tracer};
use crate::bench::programs;
use crate::bench::report::{BenchReport, WatchRow};
use crate::bench::statistics::{median, round};
use crate::bench::target::{Answering, compile_plain};

const SOURCE: &str = "watch.c";
/// Writes of one run.
const WRITES: u32 = 50_000;

/// Measures everything in turns.
///
/// # Errors
/// Tracer, the empty program or the target failed.
pub(in crate::bench) fn measure(report: &mut BenchReport, extent: &Extent) -> Result<()> {
    let object = programs::build()?;
    let mut target = Answering::start(&mut Command::new(compile_plain(SOURCE)?))?;
    let words = target.answer("ready")?;
    let address = words.first().and_then(|word| word.parse().ok());
    let address: u64 = address.context("the target names no address")?;
    let mut samples: [Vec<f64>; 4] = Default::default();
    for _ in 0..extent.repeats {
        let runs = [
            write(&mut target)?,
            under_empty(&mut target, &object, address)?,
            under(&mut target, "watch written if old == new")?,
            under(&mut target, &format!("watch written {NO_RATE}"))?,
        ];
        for (samples, run) in samples.iter_mut().zip(runs) {
            samples.push(run);
        }
    }
    let middle = |values: &[f64]| median(values).context("there was no repeat");
    let [bare, empty, rejected, sent] = &samples;
    let (empty, rejected, sent) = (middle(empty)?, middle(rejected)?, middle(sent)?);
    report.watches.push(WatchRow {
        bare_ns: round(middle(bare)?, 1),
        empty_ns: round(empty, 0),
        rejected_ns: round(rejected, 0),
        rejected_ratio: round(rejected / empty, 2),
        sent_ns: round(sent, 0),
        sent_ratio: round(sent / empty, 2),
    });
    Ok(())
}

/// The time of a write, in ns.
fn write(target: &mut Answering) -> Result<f64> {
    target.say(&format!("write {WRITES}"))?;
    let words = target.answer("done")?;
    let ns = words.first().and_then(|word| word.parse().ok());
    ns.context("the target names no time")
}

/// The time of a write with a program on the watchpoint that does nothing.
fn under_empty(target: &mut Answering, object: &Path, address: u64) -> Result<f64> {
    let bytes = std::fs::read(object).context("cannot read the programs of the bench")?;
    let mut ebpf = Ebpf::load(&bytes).context("cannot load the programs of the bench")?;
    let program: &mut PerfEvent = ebpf
        .program_mut("empty_event")
        .context("the object has no program `empty_event`")?
        .try_into()?;
    program
        .load()
        .context("cannot load a program of the bench")?;
    program
        .attach(
            PerfEventConfig::Breakpoint(BreakpointConfig::Data {
                r#type: PerfBreakpointType::Write,
                address,
                length: PerfBreakpointLength::Len8,
            }),
            PerfEventScope::OneProcess {
                pid: target.pid(),
                cpu: None,
            },
            SamplePolicy::Period(1),
            false,
        )
        .context("cannot attach a program of the bench")?;
    write(target)
}

/// The time of a write under a probe.
fn under(target: &mut Answering, probe: &str) -> Result<f64> {
    let mut process = Observed::spawn(&mut attach(&tracer(true), target.pid(), probe))?;
    process.wait_attached()?;
    process.settle()?;
    let ns = write(target)?;
    process.check_runs()?;
    process.interrupt()?;
    Ok(ns)
}
