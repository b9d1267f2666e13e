//! `tracer doctor`: reports the abilities of this machine, and the access to processes.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::args::{ConfigReport, ConfigState, Doctor};
use super::failure::CommandFailure;
use super::output::print;
use super::subject::matched;
use super::{DONE, MISSING};
use crate::base::visible::Visible;
use crate::debuginfo::{DebugFileLookup, DebugOptions, LookupOutcome, WantedFile};
use crate::event::counted;
use crate::kernel::{Feature, Features};
use crate::session::{Catalog, ModuleInfo};
use crate::sink::json::write_object;
use crate::target::Process;
use crate::target::select::Selector;

/// Missing `.dwo` files that are named.
const MISSING_SHOWN: usize = 4;

/// Programs that are looked at in full if the selected processes run several.
const PROGRAMS_SHOWN: usize = 16;

/// Pids that a line lists.
const PIDS_SHOWN: usize = 16;

/// Runs the command.
pub(super) fn run(args: &Doctor) -> Result<u8, CommandFailure> {
    let selector = args.selector()?;
    let looked = if selector.is_empty() {
        None
    } else {
        Some(look(&selector, &args.debug.options())?)
    };
    let features = Features::detect();
    let config = ConfigReport::look();
    let code = if features.complete() { DONE } else { MISSING };
    print(|out| {
        if args.json {
            write_json(out, &features, config.as_ref(), looked.as_ref())
        } else {
            write_text(out, &features, config.as_ref(), looked.as_ref())
        }
    })?;
    Ok(code)
}

/// The selected processes, by the program that they run.
struct LookedProcesses {
    /// The line on what matched. `None` if one pid was selected.
    report: Option<String>,
    count: usize,
    programs: Vec<DoctorSubject>,
    /// Programs beyond the first.
    left_out: usize,
    /// Processes that could not be looked at, and why.
    failed: Vec<String>,
}

/// A process and its mapped modules, for all that run the same program.
struct DoctorSubject {
    process: Process,
    modules: Vec<ModuleInfo>,
    /// The other processes that run the program.
    others: Vec<u32>,
}

fn look(selector: &Selector, options: &DebugOptions) -> Result<LookedProcesses, CommandFailure> {
    let selection = selector.resolve()?;
    let found = matched(&selection)?;
    let mut by_program: BTreeMap<_, Vec<u32>> = BTreeMap::new();
    for process in &found {
        let pids = by_program.entry(process.executable.inode).or_default();
        pids.push(process.pid);
    }
    let mut looked = LookedProcesses {
        report: (!selector.is_one_pid()).then(|| selection.report(&found).to_string()),
        count: found.len(),
        left_out: by_program.len().saturating_sub(PROGRAMS_SHOWN),
        programs: Vec::new(),
        failed: Vec::new(),
    };
    let mut failure = None;
    // Those with the most processes first.
    let mut by_program: Vec<Vec<u32>> = by_program.into_values().collect();
    by_program.sort_by_key(|pids| (Reverse(pids.len()), pids.first().copied()));
    for pids in by_program.into_iter().take(PROGRAMS_SHOWN) {
        match look_at_one(&pids, options) {
            Ok(subject) => looked.programs.push(subject),
            Err(error) => {
                let pid = pids.first().copied().unwrap_or_default();
                looked.failed.push(format!("{pid}: {}", error.message()));
                failure = Some(error);
            }
        }
    }
    match failure {
        Some(failure) if looked.programs.is_empty() => Err(failure),
        _ => Ok(looked),
    }
}

/// Looks at the first of these processes that can be looked at.
fn look_at_one(pids: &[u32], options: &DebugOptions) -> Result<DoctorSubject, CommandFailure> {
    let mut failure = None;
    for &pid in pids {
        let looked = Process::open(pid)
            .map_err(CommandFailure::from)
            .and_then(|process| {
                let catalog = Catalog::of_process(&process, options)?;
                Ok(DoctorSubject {
                    modules: catalog.modules(),
                    process,
                    others: pids.iter().copied().filter(|&other| other != pid).collect(),
                })
            });
        match looked {
            Ok(subject) => return Ok(subject),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Err(failure.unwrap_or_else(|| CommandFailure::new("no process was looked at")))
}

fn write_text(
    out: &mut impl Write,
    features: &Features,
    config: Option<&ConfigReport>,
    looked: Option<&LookedProcesses>,
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
    if let Some(config) = config {
        write_config(out, config)?;
    }
    let Some(looked) = looked else {
        return Ok(());
    };
    if let Some(report) = &looked.report {
        writeln!(out, "\n{report}")?;
    }
    for subject in &looked.programs {
        write_subject(out, subject)?;
    }
    for failed in &looked.failed {
        writeln!(out, "\nprocess {}", Visible(failed))?;
    }
    match looked.left_out {
        0 => Ok(()),
        more => writeln!(out, "\n{} left out", counted(more, "more program")),
    }
}

/// Writes the place of the configuration file, and its mistake if it has one.
fn write_config(out: &mut impl Write, config: &ConfigReport) -> io::Result<()> {
    let path = config.path.to_string_lossy();
    let path = Visible(&path);
    writeln!(out, "\nconfiguration")?;
    match &config.state {
        ConfigState::Absent => writeln!(out, "  absent  {path}: the defaults are used"),
        ConfigState::Used => writeln!(out, "  ok      {path}"),
        ConfigState::Ignored(why) => {
            writeln!(out, "  IGNORED {path}: {}", Visible(why))?;
            writeln!(out, "          hint: `--config FILE` reads any file")
        }
        ConfigState::Mistaken(failure) => {
            // The message has the path and the line.
            writeln!(out, "  MISTAKE {}", Visible(failure.message()))?;
            match failure.advice() {
                Some(advice) => writeln!(out, "          hint: {}", Visible(advice)),
                None => Ok(()),
            }
        }
    }
}

fn write_subject(out: &mut impl Write, subject: &DoctorSubject) -> io::Result<()> {
    let exe = subject.process.exe().to_string_lossy();
    writeln!(
        out,
        "\nprocess {} ({})",
        subject.process.pid(),
        Visible(&exe)
    )?;
    if !subject.others.is_empty() {
        let shown = subject.others.iter().take(PIDS_SHOWN);
        let shown: Vec<String> = shown.map(u32::to_string).collect();
        write!(out, "  the same program: {}", shown.join(", "))?;
        match subject.others.len().checked_sub(PIDS_SHOWN) {
            Some(0) | None => writeln!(out)?,
            Some(more) => writeln!(out, ", and {more} more")?,
        }
    }
    for module in &subject.modules {
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
            "          {unmapped} of its {total} bytes of code are in no executable mapping of the file any more: \
             the program moved or unmapped them; probes there see no hits"
        )?;
    }
    if module.replaced {
        writeln!(
            out,
            "          the file was replaced on disk; reading the mapped one"
        )?;
    }
    if module.main && module.problem.is_some() {
        writeln!(
            out,
            "          hint: build it with `-g`, or `debug = true` in Cargo's profile, which keeps the code the same; or pass its debug file with `--debug-file` or `--debug-dir`"
        )?;
    }
    Ok(())
}

/// Writes the searched places for debug information, unless it was in the file itself.
fn write_search(out: &mut impl Write, module: &ModuleInfo) -> io::Result<()> {
    let told = |looked: &&DebugFileLookup| {
        // There may be thousands of split units. The missing ones are reported below.
        looked.place != module.path && looked.wanted != WantedFile::Split
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
            LookupOutcome::Used => writeln!(out, "in use")?,
            LookupOutcome::Absent => writeln!(out, "not there")?,
            LookupOutcome::Refused(why) => writeln!(out, "refused: {}", Visible(why))?,
        }
    }
    if module.split.missing > 0 {
        writeln!(
            out,
            "          {} of {} split units have no `.dwo` file: their lines can be probed, but their variables cannot be read",
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
    /// Absent if the environment names no place for the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<ConfigLine>,
    /// The only process that matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<ProcessLine<'r>>,
    /// The selected processes if they are several, one for each program.
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<ProcessesLine<'r>>,
}

#[derive(Serialize)]
struct ConfigLine {
    path: String,
    state: &'static str,
    /// Why the file is ignored, or its mistake.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl From<&ConfigReport> for ConfigLine {
    fn from(config: &ConfigReport) -> Self {
        let (state, problem) = match &config.state {
            ConfigState::Absent => ("absent", None),
            ConfigState::Used => ("used", None),
            ConfigState::Ignored(why) => ("ignored", Some(why.clone())),
            ConfigState::Mistaken(failure) => ("mistaken", Some(failure.message().to_owned())),
        };
        Self {
            path: config.path.to_string_lossy().into_owned(),
            state,
            problem,
        }
    }
}

#[derive(Serialize)]
struct ProcessesLine<'r> {
    matched: usize,
    programs: Vec<ProcessLine<'r>>,
    programs_left_out: usize,
    failed: &'r [String],
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
    /// The other selected processes that run the same program.
    #[serde(skip_serializing_if = "<[u32]>::is_empty")]
    others: &'r [u32],
    modules: Vec<ModuleLine<'r>>,
}

#[derive(Serialize)]
struct ModuleLine<'r> {
    path: String,
    main: bool,
    replaced: bool,
    /// Bytes of its code that no executable mapping of the file has. Absent if all are mapped.
    #[serde(skip_serializing_if = "Option::is_none")]
    unmapped_code: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    build_id: Option<&'r str>,
    debug_info: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'r str>,
    /// The searched places for debug information, in search order.
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

impl<'r> From<&'r DebugFileLookup> for LookedLine<'r> {
    fn from(looked: &'r DebugFileLookup) -> Self {
        let (outcome, why) = match &looked.outcome {
            LookupOutcome::Used => ("used", None),
            LookupOutcome::Absent => ("absent", None),
            LookupOutcome::Refused(why) => ("refused", Some(why.as_str())),
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
    config: Option<&ConfigReport>,
    looked: Option<&LookedProcesses>,
) -> io::Result<()> {
    let (one, several) = match looked {
        Some(looked) if looked.count == 1 => (looked.programs.first(), None),
        several => (None, several),
    };
    write_object(
        out,
        &Report {
            r#type: "doctor",
            complete: features.complete(),
            machine: features.features.iter().map(FeatureLine::from).collect(),
            config: config.map(ConfigLine::from),
            process: one.map(process_line),
            processes: several.map(|looked| ProcessesLine {
                matched: looked.count,
                programs: looked.programs.iter().map(process_line).collect(),
                programs_left_out: looked.left_out,
                failed: &looked.failed,
            }),
        },
    )
}

fn process_line(subject: &DoctorSubject) -> ProcessLine<'_> {
    ProcessLine {
        pid: subject.process.pid(),
        exe: subject.process.exe().to_string_lossy().into_owned(),
        replaced: subject.process.exe_replaced(),
        others: &subject.others,
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
