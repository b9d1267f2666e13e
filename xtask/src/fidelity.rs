//! `cargo xtask fidelity`: compares every variable that `tracer` shows with gdb.
//!
//! Each program of a corpus runs twice from the same start. gdb stops at the first hit of every
//! site and walks every variable in scope. `tracer` logs the same sites. Values are compared part
//! by part.

mod compare;
pub(crate) mod corpus;
mod listed;
mod moved;
mod report;
mod run;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::Value;

use crate::setup::machine::Need;
use crate::support::failure::{Failure, USAGE};
use crate::{build, setup};
use compare::{VariableOutcome, compare};
use corpus::CorpusProgram;
use report::{FidelityReport, Found};
use run::{ComparedSite, Ours};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print one JSON object on stdout, and nothing else there
    #[arg(long)]
    json: bool,
    /// Compare chosen sites with the first instructions of their lines, instead of values with
    /// gdb's: every hit, and the values of the first ones
    #[arg(long, conflicts_with_all = ["json", "program"])]
    moved: bool,
    /// Compare the steps of traced calls with those of gdb
    #[arg(long, conflicts_with_all = ["json", "program", "moved"])]
    steps: bool,
    /// Test the release build of `tracer`
    #[arg(long)]
    release: bool,
    /// Run only the part of the corpus that `cargo xtask test` runs
    #[arg(long)]
    quick: bool,
    /// Run only programs whose source, compiler or flags contain this text
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    only: Option<String>,
    /// Test one program that is not in the corpus; it must wait for a line on its stdin before its
    /// work, and do the same in every run
    #[arg(long, value_name = "FILE", conflicts_with_all = ["quick", "only"])]
    program: Option<PathBuf>,
    /// Source files of that program to look at, by the ends of their paths
    #[arg(long, value_name = "FILE", requires = "program")]
    source: Vec<String>,
    /// Most sites of that program to look at
    #[arg(long, value_name = "N", default_value_t = 300, requires = "program")]
    sites: usize,
    /// Arguments of that program
    #[arg(last = true, requires = "program")]
    arguments: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    setup::ensure(&[Need::Build, Need::Tests])?;
    build::programs(args.release)?;
    if args.release {
        run::use_release();
    }
    if args.moved {
        return moved(args.quick, args.only.as_deref());
    }
    if args.steps {
        return steps(args.quick, args.only.as_deref());
    }
    let report = look(args)?;
    if args.json {
        println!("{}", report.json());
    } else {
        print!("{}", report.table());
    }
    report.verdict()
}

/// Runs the part for `cargo xtask test`. `tracer` must be built.
///
/// # Errors
/// A value is wrong, or too many are missing.
pub(crate) fn quick() -> Result<()> {
    let report = look(&Args {
        release: false,
        json: false,
        moved: false,
        steps: false,
        quick: true,
        only: None,
        program: None,
        source: Vec::new(),
        sites: 0,
        arguments: Vec::new(),
    })?;
    print!("{}", report.table());
    report.verdict()?;
    moved(true, None)?;
    steps(true, None)
}

/// Compares the steps of traced calls.
fn steps(quick: bool, only: Option<&str>) -> Result<()> {
    let mut report = steps::StepsReport::default();
    for program in &corpus::build(quick, only)? {
        eprintln!("steps: {} {}", program.name, program.flags);
        let most = if quick {
            steps::QUICK_FUNCTIONS
        } else {
            steps::FUNCTIONS
        };
        steps::look_into(program, most, &mut report)?;
    }
    print!("{}", report.table());
    report.verdict()
}

/// Compares probes at chosen sites with probes at first instructions.
fn moved(quick: bool, only: Option<&str>) -> Result<()> {
    let mut report = moved::MovedReport::default();
    for program in &corpus::build(quick, only)? {
        eprintln!(
            "fidelity of placed probes: {} {}",
            program.name, program.flags
        );
        let groups = if quick { 1 } else { moved::GROUPS };
        moved::look_into(program, &run::sites(program)?, groups, &mut report)?;
    }
    print!("{}", report.table());
    report.verdict()
}

fn look(args: &Args) -> Result<FidelityReport> {
    let programs = match &args.program {
        Some(exe) => vec![own_program(exe, args)?],
        None => corpus::build(args.quick, args.only.as_deref())?,
    };
    let mut report = FidelityReport::default();
    for program in &programs {
        eprintln!("fidelity: {} {}", program.name, program.flags);
        let found = look_into(program)?;
        report.add(program, found);
    }
    Ok(report)
}

/// Compares a program that is not in the corpus.
fn own_program(exe: &Path, args: &Args) -> Result<CorpusProgram> {
    let exe = exe
        .canonicalize()
        .map_err(|error| Failure::new(format!("{}: {error}", exe.display())).code(USAGE))?;
    let name = exe
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let sources = if args.source.is_empty() {
        run::own_sources(&exe)?
    } else {
        args.source.clone()
    };
    Ok(CorpusProgram {
        name,
        language: "",
        flags: String::new(),
        modules: vec![(exe.clone(), sources)],
        arguments: args.arguments.clone(),
        sites: args.sites,
        exe,
    })
}

/// Compares both runs of a program.
fn look_into(program: &CorpusProgram) -> Result<Vec<Found>> {
    let sites = run::sites(program)?;
    let theirs = run::gdb(program, &sites)?;
    let statics = statics(&theirs);
    let ours = run::ours(program, &sites, &statics)?;
    let mut found = compared(&sites, &theirs, &statics, &ours);
    if found.iter().any(|found| found.outcome.wrong.is_some()) {
        let again = run::gdb(program, &sites)?;
        drop_unsteady(&mut found, &theirs, &again);
    }
    Ok(found)
}

/// The statics in scope, which sites are asked for by name. `log` lists the function's own ones.
fn statics(theirs: &BTreeMap<usize, Value>) -> BTreeMap<usize, Vec<String>> {
    let mut asked = BTreeSet::new();
    let mut statics: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (id, report) in theirs {
        for variable in static_variables(report) {
            let name = variable["name"].as_str().unwrap_or_default();
            let function = report["function"].as_str().unwrap_or_default();
            // Each function asks once, because a static is the same at all of its sites.
            if asked.insert((function.to_owned(), name.to_owned())) {
                statics.entry(*id).or_default().push(name.to_owned());
            }
        }
    }
    statics
}

fn static_variables(report: &Value) -> impl Iterator<Item = &Value> {
    let of = |key: &str| {
        report[key]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
    };
    let local = of("variables")
        .iter()
        .filter(|variable| variable["static"] == true);
    local.chain(of("statics"))
}

fn compared(
    sites: &[ComparedSite],
    theirs: &BTreeMap<usize, Value>,
    statics: &BTreeMap<usize, Vec<String>>,
    ours: &Ours,
) -> Vec<Found> {
    let mut found = Vec::new();
    for (id, report) in theirs {
        let Some(site) = sites.get(*id) else { continue };
        let found_at = |variable: String, gdb: &Value, outcome: VariableOutcome| Found {
            site: *id,
            location: site.location(),
            variable,
            type_name: gdb["type"].as_str().unwrap_or_default().to_owned(),
            outcome,
        };
        let event = ours.events.get(&format!("s{id}"));
        let variables = report["variables"].as_array().into_iter().flatten();
        for variable in variables.filter(|variable| variable["static"] != true) {
            let name = name_of(variable);
            let value = event.and_then(|event| event.get(&name));
            let outcome = match (value, event) {
                (Some(value), _) => compare(&variable["node"], value),
                (None, None) => VariableOutcome::lacking("no event"),
                // A variable that is declared further down is in scope for gdb only.
                (None, Some(_)) if variable["line"].as_u64() > Some(site.line) => continue,
                (None, Some(_)) => VariableOutcome::absent(&variable["node"], "not listed"),
            };
            found.push(found_at(name, variable, outcome));
        }
        for (number, name) in statics.get(id).into_iter().flatten().enumerate() {
            let gdb = static_variables(report).find(|variable| variable["name"] == **name);
            let event = ours.events.get(&format!("v{id}.{number}"));
            let value = event.and_then(|event| event.values().next());
            if let Some(gdb) = gdb {
                let outcome = match value {
                    Some(value) => compare(&gdb["node"], value),
                    None => VariableOutcome::absent(&gdb["node"], "static refused"),
                };
                found.push(found_at(format!("static {name}"), gdb, outcome));
            }
        }
    }
    found
}

/// Our name of a shadowed variable is `name#2`.
fn name_of(variable: &Value) -> String {
    let name = variable["name"].as_str().unwrap_or_default();
    match variable["shadow"].as_u64() {
        None | Some(0 | 1) => name.to_owned(),
        Some(shadow) => format!("{name}#{shadow}"),
    }
}

/// Removes values that differ between two runs of gdb itself.
fn drop_unsteady(
    found: &mut Vec<Found>,
    first: &BTreeMap<usize, Value>,
    second: &BTreeMap<usize, Value>,
) {
    let node = |runs: &BTreeMap<usize, Value>, site: usize, name: &str| {
        let report = runs.get(&site)?;
        let name = name.strip_prefix("static ").unwrap_or(name);
        let all = report["variables"].as_array().into_iter().flatten();
        let all = all.chain(report["statics"].as_array().into_iter().flatten());
        let mut named = all.filter(|variable| name_of(variable) == name);
        named.next().map(|variable| variable["node"].clone())
    };
    found.retain(|found| {
        found.outcome.wrong.is_none()
            || node(first, found.site, &found.variable) == node(second, found.site, &found.variable)
    });
}
