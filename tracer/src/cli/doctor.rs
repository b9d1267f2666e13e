//! `tracer doctor`: what this machine and a process allow.

use std::io::{self, Write};

use serde::Serialize;

use super::args::Doctor;
use super::attach::subject_pid;
use super::failure::Failure;
use super::output::print;
use super::{DONE, MISSING};
use crate::debuginfo::{DebugOptions, Looked, Outcome, Wanted};
use crate::kernel::{Feature, Features};
use crate::session::{Catalog, ModuleInfo};
use crate::sink::json::write_object;
use crate::target::Process;
use crate::visible::Visible;

/// Missing `.dwo` files that are named.
const MISSING_SHOWN: usize = 4;

/// Runs the command.
pub(super) fn run(args: &Doctor) -> Result<u8, Failure> {
    let subject = args.pid.as_deref();
    let subject = subject
        .map(|named| look(named, &args.debug.options()))
        .transpose()?;
    let features = Features::detect();
    let code = if features.complete() { DONE } else { MISSING };
    print(|out| {
        if args.json {
            write_json(out, &features, subject.as_ref())
        } else {
            write_text(out, &features, subject.as_ref())
        }
    })?;
    Ok(code)
}

/// A process, and what it has mapped.
struct Subject {
    process: Process,
    modules: Vec<ModuleInfo>,
}

fn look(named: &str, options: &DebugOptions) -> Result<Subject, Failure> {
    let process = Process::open(subject_pid(named)?)?;
    let catalog = Catalog::of_process(&process, options)?;
    Ok(Subject {
        modules: catalog.modules(),
        process,
    })
}

fn write_text(
    out: &mut impl Write,
    features: &Features,
    subject: Option<&Subject>,
) -> io::Result<()> {
    writeln!(out, "this machine")?;
    for feature in &features.features {
        write_feature(out, feature)?;
    }
    if features.complete() {
        writeln!(out, "  probes can be attached as uprobes")?;
    } else {
        writeln!(out, "  uprobes cannot be attached until this is fixed")?;
    }
    let Some(Subject { process, modules }) = subject else {
        return Ok(());
    };
    let exe = process.exe().to_string_lossy();
    writeln!(out, "\nprocess {} ({})", process.pid(), Visible(&exe))?;
    for module in modules {
        write_module(out, module)?;
    }
    Ok(())
}

fn write_feature(out: &mut impl Write, feature: &Feature) -> io::Result<()> {
    let mark = match (feature.present, feature.required) {
        (true, _) => "ok     ",
        (false, true) => "MISSING",
        (false, false) => "absent ",
    };
    writeln!(
        out,
        "  {mark} {}: {}",
        feature.name,
        Visible(&feature.found)
    )?;
    match &feature.advice {
        Some(advice) if !feature.present => writeln!(out, "          hint: {}", Visible(advice)),
        _ => Ok(()),
    }
}

fn write_module(out: &mut impl Write, module: &ModuleInfo) -> io::Result<()> {
    let path = module.path.to_string_lossy();
    let mark = match (&module.problem, module.unmapped_code) {
        (Some(_), _) => "absent ",
        (None, Some(_)) => "MOVED  ",
        (None, None) => "ok     ",
    };
    let what = module.problem.as_deref().unwrap_or("has debug information");
    writeln!(out, "  {mark} {}: {}", Visible(&path), Visible(what))?;
    if let Some(id) = &module.build_id {
        writeln!(out, "          build id {id}")?;
    }
    write_search(out, module)?;
    if let Some((unmapped, total)) = module.unmapped_code {
        writeln!(
            out,
            "          no executable mapping of the file has {unmapped} of its {total} bytes of code any more: the \
             program has moved them to memory of its own, or unmapped them; probes there see no hit"
        )?;
    }
    if module.replaced {
        writeln!(
            out,
            "          the file was replaced on disk since; the mapped one is read"
        )?;
    }
    if module.main && module.problem.is_some() {
        writeln!(
            out,
            "          hint: build it with `-g`, or `debug = true` in Cargo's profile; the code stays the same; or name its debug file with `--debug-file`, `--debug-dir`"
        )?;
    }
    Ok(())
}

/// Where the debug information was looked for, unless it was just in the file.
fn write_search(out: &mut impl Write, module: &ModuleInfo) -> io::Result<()> {
    let told = |looked: &&Looked| {
        // Split units may be thousands: those that miss are told below.
        looked.place != module.path && looked.wanted != Wanted::Split
    };
    for looked in module.looked.iter().filter(told) {
        let place = looked.place.to_string_lossy();
        let whose = if looked.in_target { " (target's)" } else { "" };
        write!(
            out,
            "          {} {}{whose}: ",
            looked.wanted,
            Visible(&place)
        )?;
        match &looked.outcome {
            Outcome::Used => writeln!(out, "in use")?,
            Outcome::Absent => writeln!(out, "not there")?,
            Outcome::Refused(why) => writeln!(out, "refused: {}", Visible(why))?,
        }
    }
    if module.split.missing > 0 {
        writeln!(
            out,
            "          {} of {} split units have no `.dwo` file: their lines can be probed, their variables not read",
            module.split.missing, module.split.units
        )?;
        for file in module.split.missing_files.iter().take(MISSING_SHOWN) {
            let file = file.to_string_lossy();
            writeln!(out, "          split unit {}: not there", Visible(&file))?;
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Report<'r> {
    r#type: &'static str,
    complete: bool,
    machine: Vec<FeatureLine<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<ProcessLine<'r>>,
}

#[derive(Serialize)]
struct FeatureLine<'r> {
    name: &'r str,
    present: bool,
    required: bool,
    found: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'r str>,
}

#[derive(Serialize)]
struct ProcessLine<'r> {
    pid: u32,
    exe: String,
    replaced: bool,
    modules: Vec<ModuleLine<'r>>,
}

#[derive(Serialize)]
struct ModuleLine<'r> {
    path: String,
    main: bool,
    replaced: bool,
    /// Bytes of its code that no executable mapping of the file has; absent when all are mapped.
    #[serde(skip_serializing_if = "Option::is_none")]
    unmapped_code: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    build_id: Option<&'r str>,
    debug_info: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'r str>,
    /// Where debug information was looked for, in that order.
    looked: Vec<LookedLine<'r>>,
    split_units: usize,
    split_units_missing: usize,
}

#[derive(Serialize)]
struct LookedLine<'r> {
    wanted: String,
    place: String,
    in_target: bool,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'r str>,
}

impl<'r> From<&'r Looked> for LookedLine<'r> {
    fn from(looked: &'r Looked) -> Self {
        let (outcome, why) = match &looked.outcome {
            Outcome::Used => ("used", None),
            Outcome::Absent => ("absent", None),
            Outcome::Refused(why) => ("refused", Some(why.as_str())),
        };
        Self {
            wanted: looked.wanted.to_string(),
            place: looked.place.to_string_lossy().into_owned(),
            in_target: looked.in_target,
            outcome,
            why,
        }
    }
}

fn write_json(
    out: &mut impl Write,
    features: &Features,
    subject: Option<&Subject>,
) -> io::Result<()> {
    write_object(
        out,
        &Report {
            r#type: "doctor",
            complete: features.complete(),
            machine: features.features.iter().map(FeatureLine::from).collect(),
            process: subject.map(process_line),
        },
    )
}

fn process_line(subject: &Subject) -> ProcessLine<'_> {
    ProcessLine {
        pid: subject.process.pid(),
        exe: subject.process.exe().to_string_lossy().into_owned(),
        replaced: subject.process.exe_replaced(),
        modules: subject.modules.iter().map(ModuleLine::from).collect(),
    }
}

impl<'r> From<&'r Feature> for FeatureLine<'r> {
    fn from(feature: &'r Feature) -> Self {
        Self {
            name: &feature.name,
            present: feature.present,
            required: feature.required,
            found: &feature.found,
            advice: feature.advice.as_deref().filter(|_| !feature.present),
        }
    }
}

impl<'r> From<&'r ModuleInfo> for ModuleLine<'r> {
    fn from(module: &'r ModuleInfo) -> Self {
        Self {
            path: module.path.to_string_lossy().into_owned(),
            main: module.main,
            replaced: module.replaced,
            unmapped_code: module.unmapped_code.map(|(unmapped, _)| unmapped),
            build_id: module.build_id.as_deref(),
            debug_info: module.problem.is_none(),
            problem: module.problem.as_deref(),
            looked: module.looked.iter().map(LookedLine::from).collect(),
            split_units: module.split.units,
            split_units_missing: module.split.missing,
        }
    }
}
