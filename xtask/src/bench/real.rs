//! Measures the slowdown of a real program: a JSON parser, probed once per document or once per
//! value.

use std::process::Command;

use anyhow::{Context, Result};

use super::Extent;
use super::observed::Observed;
use super::observer::{NO_RATE, OutputTotals, attach, number, tracer};
use super::report::{BenchReport, RealRow, Tool, Workload};
use super::statistics::{median, round};
use super::target::{Answering, compile, marked_line};
use crate::support::failure::Failure;

const SOURCE: &str = "json.c";

/// Marks of the probed lines, and the probes.
const PROBES: &[(&str, Workload)] = &[
    ("parse_document", Workload::Log2),
    ("parse_value", Workload::Rejected),
    ("parse_value", Workload::Log2),
];

/// One run of the parser.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Parsed {
    documents: u64,
    ns: f64,
    values: u64,
}

/// Measures all probes, each in comparison with the untraced program.
///
/// # Errors
/// The program or tracer failed.
pub(super) fn measure(report: &mut BenchReport, extent: &Extent) -> Result<()> {
    let mut program = Answering::start(&mut Command::new(compile(SOURCE)?))?;
    program.answer("ready")?;
    for &(function, what) in PROBES {
        match row(&mut program, function, what, extent) {
            Ok(row) => report.real.push(row),
            Err(error) => report.note(&format!("{what:?} at {function}"), &error),
        }
    }
    Ok(())
}

fn row(
    program: &mut Answering,
    function: &'static str,
    what: Workload,
    extent: &Extent,
) -> Result<RealRow> {
    let (mut times, mut slowdowns) = (Vec::new(), Vec::new());
    let (mut delivered, mut lost, mut values) = (0, 0, 0);
    for _ in 0..extent.repeats {
        let alone = parse(program, extent.milliseconds)?;
        let process = watch(program.pid(), function, what)?;
        let watched = parse(program, extent.milliseconds);
        let ended = process.interrupt()?;
        let watched = watched?;
        times.push(watched.ns);
        slowdowns.push(watched.ns / alone.ns);
        values = watched.values;
        let mut output = OutputTotals::default();
        ended.for_each_line(|line| output.take(line))?;
        let summary = output.summary.context("tracer wrote no summary")?;
        delivered += output.events;
        lost += number(&summary, "lost").unwrap_or(0);
    }
    Ok(RealRow {
        program: SOURCE,
        function,
        tool: Tool::Tracer,
        what,
        task_us: round(median(&times).context("there was no repeat")? / 1e3, 2),
        slowdown: round(median(&slowdowns).context("there was no repeat")?, 3),
        hits_per_task: if function == "parse_value" { values } else { 1 },
        delivered: Some(delivered),
        lost: Some(lost),
    })
}

fn watch(pid: u32, function: &str, what: Workload) -> Result<Observed> {
    let line = marked_line(SOURCE, function)?;
    let condition = match what {
        Workload::Rejected => "if totals->values == -1 ",
        _ => "",
    };
    let values = "{totals->values} {totals->text}";
    let probe = format!(r#"log {SOURCE}:{line} "{values}" {condition}{NO_RATE}"#);
    let mut process = Observed::spawn(&mut attach(&tracer(true), pid, &probe))?;
    process.wait_attached()?;
    Ok(process)
}

fn parse(program: &mut Answering, milliseconds: u64) -> Result<Parsed> {
    program.say(&format!("run {milliseconds}"))?;
    parsed(&program.answer("done")?)
        .ok_or_else(|| Failure::new("the parser says no numbers").into())
}

fn parsed(words: &[String]) -> Option<Parsed> {
    Some(Parsed {
        documents: words.first()?.parse().ok().filter(|&count| count > 0)?,
        ns: words.get(1)?.parse().ok()?,
        values: words.get(2)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_gives_documents_time_and_values() {
        let words = ["1234", "36929", "1601"].map(str::to_owned);
        let expected = Parsed {
            documents: 1234,
            ns: 36_929.0,
            values: 1601,
        };
        assert_eq!(parsed(&words), Some(expected));
        assert_eq!(parsed(&["0", "0", "0"].map(str::to_owned)), None);
    }
}
