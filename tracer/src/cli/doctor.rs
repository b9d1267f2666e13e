//! `tracer doctor`: what this machine and a process allow.

use std::io::{self, Write};

use serde::Serialize;

use super::args::Doctor;
use super::attach::subject_pid;
use super::failure::Failure;
use super::output::print;
use super::{DONE, MISSING};
use crate::debuginfo::DebugOptions;
use crate::kernel::{Feature, Features};
use crate::session::{Catalog, ModuleInfo};
use crate::sink::json::write_object;
use crate::target::Process;
use crate::visible::Visible;

/// Runs the command.
pub(super) fn run(args: &Doctor) -> Result<u8, Failure> {
    let subject = args.pid.as_deref().map(look).transpose()?;
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

fn look(named: &str) -> Result<Subject, Failure> {
    let process = Process::open(subject_pid(named)?)?;
    let catalog = Catalog::of_process(&process, &DebugOptions::default())?;
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
        writeln!(
            out,
            "  uprobes cannot be attached before what is missing is there"
        )?;
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
    let mark = if module.problem.is_none() {
        "ok     "
    } else {
        "absent "
    };
    let what = module.problem.as_deref().unwrap_or("has debug information");
    writeln!(out, "  {mark} {}: {}", Visible(&path), Visible(what))?;
    if let Some(id) = &module.build_id {
        writeln!(out, "          build id {id}")?;
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
            "          hint: build it with `-g`, or `debug = true` in Cargo's profile; the code stays the same"
        )?;
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
    #[serde(skip_serializing_if = "Option::is_none")]
    build_id: Option<&'r str>,
    debug_info: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'r str>,
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
            build_id: module.build_id.as_deref(),
            debug_info: module.problem.is_none(),
            problem: module.problem.as_deref(),
        }
    }
}
