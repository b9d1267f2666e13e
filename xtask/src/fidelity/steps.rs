//! Compares the steps of traced calls with gdb's.
//!
//! A function's first call is traced by `tracer`, and followed by gdb in another run of the program from the same
//! start. Without optimisation gdb goes on by `next`: it must stop on the same lines in the same order. In every build
//! gdb stops at the addresses of our steps, and every variable of each step must have gdb's value.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Value, json};

use super::compare::{Difference, compare};
use super::corpus::CorpusProgram;
use super::{name_of, run};
use crate::support::failure::Failure;

/// Functions of one program that are looked into.
pub(super) const FUNCTIONS: usize = 25;
/// Those of the quick part.
pub(super) const QUICK_FUNCTIONS: usize = 4;
/// Steps of a call that are compared.
const STEPS: usize = 120;
/// Differences that are printed.
const MOST_LINES: usize = 30;
/// Characters that are printed of a value.
const MOST_TEXT: usize = 400;

/// The result of the comparison.
#[derive(Default)]
pub(super) struct StepsReport {
    functions: usize,
    /// Those whose lines were compared, too.
    in_order: usize,
    refused: BTreeMap<String, usize>,
    steps: usize,
    equal: usize,
    neither: usize,
    lacking: usize,
    differences: Vec<String>,
}

impl StepsReport {
    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "{} functions, the order of lines compared in {} of them: {} steps, {} values equal, {} unavailable in \
             both, {} unavailable in ours only, {} differences\n",
            self.functions,
            self.in_order,
            self.steps,
            self.equal,
            self.neither,
            self.lacking,
            self.differences.len()
        );
        for (why, count) in &self.refused {
            text.push_str(&format!("refused {count}: {why}\n"));
        }
        for line in self.differences.iter().take(MOST_LINES) {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    pub(super) fn verdict(&self) -> Result<()> {
        if self.functions == 0 {
            return Err(Failure::new("no function was traced".to_owned()).into());
        }
        if self.differences.is_empty() {
            return Ok(());
        }
        let what = format!("{} differences to gdb's steps", self.differences.len());
        Err(Failure::new(what).into())
    }
}

/// A step of ours.
struct OurStep {
    line: u64,
    address: String,
    values: BTreeMap<String, Value>,
    /// The call returns, with a value of its own.
    returns: bool,
}

/// Looks into some functions of a program.
pub(super) fn look_into(
    program: &CorpusProgram,
    most: usize,
    report: &mut StepsReport,
) -> Result<()> {
    let functions = functions(program, most)?;
    let probe = |(number, name): (usize, &String)| {
        [
            "-e".into(),
            OsString::from(format!("trace {name} cpu 1000% as f{number}")),
        ]
    };
    let arguments: Vec<OsString> = functions.iter().enumerate().flat_map(probe).collect();
    let mut accepted = Vec::new();
    for (checked, name) in run::check(program, &arguments)?.iter().zip(&functions) {
        if checked["type"] == "refused" {
            let why = text(&checked["message"]).replace(name.as_str(), "F");
            let why = why.split(" at 0x").next().unwrap_or_default().to_owned();
            *report.refused.entry(why).or_default() += 1;
        } else {
            accepted.push(name.clone());
        }
    }
    let mut arguments: Vec<OsString> = accepted.iter().enumerate().flat_map(probe).collect();
    arguments.extend(["--max-cpu".into(), "off".into()]);
    let ours = ours(&run::trace(program, &arguments)?);
    let is_plain = program.flags.contains("-O0") || program.flags.contains("opt-level=0");
    for (number, name) in accepted.iter().enumerate() {
        let Some(steps) = ours
            .get(&format!("f{number}"))
            .filter(|steps| !steps.is_empty())
        else {
            // The program does not call it.
            continue;
        };
        let shown = format!("{} {}: {name}", program.name, program.flags);
        report.functions += 1;
        report.steps += steps.len();
        values(program, &shown, steps, report)?;
        if is_plain {
            report.in_order += 1;
            order(program, &shown, steps, report)?;
        }
    }
    Ok(())
}

/// The functions of a program that are its own and that a probe can name, evenly chosen.
fn functions(program: &CorpusProgram, most: usize) -> Result<Vec<String>> {
    let all = run::functions(program)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut names: Vec<String> = all
        .iter()
        .filter(|function| function["own"] == true)
        .filter(|function| {
            function["addresses"]
                .as_array()
                .is_some_and(|all| all.len() == 1)
        })
        .map(|function| text(&function["name"]))
        .filter(|name| name.chars().all(is_name) && name != "main" && !name.ends_with("::main"))
        .collect();
    names.sort();
    names.dedup();
    let every = names.len().div_ceil(most).max(1);
    Ok(names.into_iter().step_by(every).collect())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The steps of the first call of each probe.
fn ours(events: &[Value]) -> BTreeMap<String, Vec<OurStep>> {
    let mut calls: BTreeMap<String, Vec<OurStep>> = BTreeMap::new();
    for event in events.iter().filter(|event| event["type"] == "event") {
        let step = &event["step"];
        let steps = calls.entry(text(&event["probe"])).or_default();
        let follows = step["number"].as_u64() == Some(steps.len() as u64 + 1);
        if !follows || steps.len() >= STEPS {
            continue;
        }
        let values = event["values"].as_array().into_iter().flatten();
        steps.push(OurStep {
            line: event["line"].as_u64().unwrap_or(0),
            address: text(&step["address"]),
            values: values
                .map(|value| (text(&value["expr"]), value["value"].clone()))
                .collect(),
            returns: step["kind"] == "return",
        });
    }
    calls
}

/// A variable of one step that differs from gdb's.
struct WrongValue {
    step: usize,
    line: u64,
    name: String,
    difference: Difference,
}

/// Compares the values of each step with gdb's at its address.
fn values(
    program: &CorpusProgram,
    shown: &str,
    steps: &[OurStep],
    report: &mut StepsReport,
) -> Result<()> {
    let lines = || steps.iter().filter(|step| !step.returns);
    let mut addresses: Vec<&str> = lines().map(|step| &*step.address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    // gdb passes the addresses of rows that are no step of their own, such as the second half of a `for`.
    let look = || followed(program, steps, &addresses, STEPS * 4);
    let all = look()?;
    let mut stops = all.iter();
    let mut wrong = Vec::new();
    for (number, step) in (1..).zip(lines()) {
        let at = u64::from_str_radix(step.address.trim_start_matches("0x"), 16).unwrap_or(0);
        let Some(stop) = stops.find(|stop| offset(stop) == at) else {
            report.differences.push(format!(
                "{shown}: gdb does not stop at step {number}, line {} ({})",
                step.line, step.address
            ));
            return Ok(());
        };
        for variable in stop["variables"].as_array().into_iter().flatten() {
            let name = name_of(variable);
            let Some(value) = step
                .values
                .get(&name)
                .filter(|_| variable["static"] != true)
            else {
                continue;
            };
            let outcome = compare(&variable["node"], value);
            report.equal += outcome.equal;
            report.neither += outcome.neither;
            report.lacking += usize::from(outcome.lacking.is_some());
            if let Some(difference) = outcome.wrong {
                let index = all.len() - stops.len() - 1;
                let line = step.line;
                wrong.push((
                    index,
                    WrongValue {
                        step: number,
                        line,
                        name,
                        difference,
                    },
                ));
            }
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    // Memory that was not set yet has other bytes in each run.
    let again = look()?;
    for (index, wrong) in wrong {
        if node(&all, index, &wrong.name) == node(&again, index, &wrong.name) {
            let WrongValue {
                step,
                line,
                name,
                difference,
            } = wrong;
            report.differences.push(format!(
                "{shown}: step {step}, line {line}, {name}{}: gdb {}, we {}",
                difference.part,
                short(&difference.gdb),
                short(&difference.ours)
            ));
        }
    }
    Ok(())
}

/// A variable at a stop of gdb's.
fn node(stops: &[Value], index: usize, name: &str) -> Option<Value> {
    let variables = stops.get(index)?["variables"].as_array()?;
    let named = variables.iter().find(|variable| name_of(variable) == name);
    named.map(|variable| variable["node"].clone())
}

/// Compares the lines with those on which gdb stops by `next`.
fn order(
    program: &CorpusProgram,
    shown: &str,
    steps: &[OurStep],
    report: &mut StepsReport,
) -> Result<()> {
    let stops = followed(program, steps, &[], STEPS)?;
    // gdb does not follow every exception to its handler, and then only the lines before it can be compared.
    let is_lost = stops.last().is_some_and(|stop| stop["lost"] == true);
    let lines = stops.iter().filter_map(|stop| stop["line"].as_u64());
    let mut theirs: Vec<u64> = lines.collect();
    // gdb stops at a return only if a row of the line table begins there.
    let returns_on_a_row = theirs.last() == steps.last().map(|step| &step.line);
    let counts = |step: &&OurStep| !step.returns || returns_on_a_row;
    let mut ours: Vec<u64> = steps.iter().filter(counts).map(|step| step.line).collect();
    // gdb does not stop twice on one line, such as on that of a loop without a body.
    theirs.dedup();
    ours.dedup();
    let most = if steps.len() >= STEPS {
        STEPS / 2
    } else {
        usize::MAX
    };
    let most = if is_lost {
        theirs.len().min(most)
    } else {
        most
    };
    theirs.truncate(most);
    ours.truncate(most);
    if theirs != ours {
        let at = theirs.iter().zip(&ours).take_while(|(a, b)| a == b).count();
        let from = at.saturating_sub(2);
        let part = |lines: &[u64]| format!("{:?}", lines.get(from..lines.len().min(at + 4)));
        report.differences.push(format!(
            "{shown}: lines from step {}: gdb {}, we {}",
            at + 1,
            part(&theirs),
            part(&ours)
        ));
    }
    Ok(())
}

/// gdb's stops in the first call of a function.
fn followed(
    program: &CorpusProgram,
    steps: &[OurStep],
    addresses: &[&str],
    limit: usize,
) -> Result<Vec<Value>> {
    let start = steps.first().map(|step| &*step.address).unwrap_or_default();
    let module: PathBuf = program
        .exe
        .canonicalize()
        .unwrap_or_else(|_| program.exe.clone());
    let job = json!({
        "module": module,
        "start": start,
        "addresses": addresses,
        "limit": limit,
    });
    run::gdb_reports(program, job)
}

/// The link address of a stop.
fn offset(stop: &Value) -> u64 {
    let number = |key: &str| stop[key].as_u64().unwrap_or(0);
    number("pc").wrapping_sub(number("base"))
}

fn short(text: &str) -> String {
    text.chars().take(MOST_TEXT).collect()
}
