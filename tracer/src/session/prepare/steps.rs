//! The sites of a trace: each with the plan of its step.

use std::cell::RefCell;
use std::sync::Arc;

use rayon::prelude::*;
use tracer_common::trace::{
    CALLS_COMPUTED, FOLLOWS_CALLS, HEADS_LOOP, RETURNS_FROM_CALLS, TAKES_CALLS,
};

use super::{
    CompiledSite, ModuleCopy, PreparedProbe, PreparedTrace, ReadySite, Setting, at_site, gather,
    ready, which,
};
use crate::base::address::LinkAddr;
use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::site::Site;
use crate::lang::ast::{Action, ProbeSpec};
use crate::plan::PlanInput;
use crate::plan::tracing;
use crate::session::sites::modules::TargetModule;
use crate::session::sites::traced::{Traced, TracedSite};

/// Roles of sites without which calls are still told apart.
const CAN_BE_LEFT_OUT: u32 = FOLLOWS_CALLS | HEADS_LOOP | CALLS_COMPUTED;

/// A compiled site, and the watched values that make no sense there.
struct CompiledStep {
    site: Result<ReadySite, Diagnostic>,
    unknown: Vec<(usize, Diagnostic)>,
}

/// Prepares a trace.
///
/// # Errors
/// Its calls cannot be observed, or a watched value makes no sense on any line.
pub(super) fn prepare(
    spec: &ProbeSpec,
    traced: Traced,
    setting: Setting<'_>,
) -> Result<PreparedProbe, Diagnostic> {
    let Traced {
        module,
        sites,
        elsewhere,
        request,
        code,
        notes,
    } = traced;
    let trace = Arc::new(PreparedTrace { request, code });
    let compiled = compile(spec, &module, &sites, setting);
    // Functions that are followed later may lack a watched value.
    if sites
        .iter()
        .any(|traced| traced.step.roles & TAKES_CALLS != 0)
    {
        require_known(spec, &sites, &compiled)?;
    }
    let beginning = sites
        .iter()
        .zip(&compiled)
        .find(|(traced, one)| traced.step.roles & TAKES_CALLS != 0 && one.site.is_err());
    if let Some((
        first,
        CompiledStep {
            site: Err(error), ..
        },
    )) = beginning
    {
        return Err(no_first_line(error, &first.site, &sites, &compiled));
    }
    let mut prepared = prepared(module, &sites, compiled, notes)?;
    if !elsewhere.is_empty() && setting.numbers.is_some() {
        let name = &prepared.module.file.name;
        prepared.notes.push(format!(
            "functions of other files are followed in the first process of `{name}` and in those that it forks: others \
             have the files at other distances"
        ));
    }
    for (module, sites) in elsewhere {
        let compiled = compile(spec, &module, &sites, setting);
        let mut part = self::prepared(module, &sites, compiled, Vec::new())?;
        part.trace = Some(Arc::clone(&trace));
        prepared.notes.append(&mut part.notes);
        prepared.elsewhere.push(part);
    }
    prepared.trace = Some(trace);
    Ok(prepared)
}

/// Compiles the sites in one module.
fn compile(
    spec: &ProbeSpec,
    module: &Arc<TargetModule>,
    sites: &[TracedSite],
    setting: Setting<'_>,
) -> Vec<CompiledStep> {
    let own: Vec<LinkAddr> = sites.iter().map(|traced| traced.site.address).collect();
    sites
        .par_iter()
        .map(|TracedSite { site, step }| {
            let unknown = RefCell::new(Vec::new());
            let make = |bias| {
                let copy = ModuleCopy { module, bias };
                let compile = |input: &PlanInput<'_>| tracing::step(input, step);
                let step = at_site(spec, copy, site, setting, &[], compile)?;
                unknown.replace(step.unknown);
                Ok(step.plan)
            };
            let site = ready(module, site, setting, &own, &make);
            CompiledStep {
                site,
                unknown: unknown.into_inner(),
            }
        })
        .collect()
}

/// The compiled sites in one module.
fn prepared(
    module: Arc<TargetModule>,
    sites: &[TracedSite],
    compiled: Vec<CompiledStep>,
    notes: Vec<String>,
) -> Result<PreparedProbe, Diagnostic> {
    let mut lines: Vec<CompiledSite> = Vec::with_capacity(compiled.len());
    for (TracedSite { site, step }, compiled) in sites.iter().zip(compiled) {
        match compiled.site {
            Ok(ready) => lines.push(Ok(ready)),
            // A line can be left out. Without the others, calls would be mixed up.
            Err(error) if step.roles & !CAN_BE_LEFT_OUT == 0 => {
                lines.push(Err((which(site), error)))
            }
            Err(error) => return Err(error),
        }
    }
    if lines.is_empty() {
        // A trace that is to follow more calls may need no more sites for it.
        return Ok(PreparedProbe {
            module,
            sites: Vec::new(),
            notes,
            trace: None,
            elsewhere: Vec::new(),
        });
    }
    gather(module, lines, notes)
}

/// The error for a function whose first line cannot be probed: another line of it shows its variables, too.
fn no_first_line(
    error: &Diagnostic,
    first: &Site,
    sites: &[TracedSite],
    compiled: &[CompiledStep],
) -> Diagnostic {
    let others = sites.iter().zip(compiled).filter(|(traced, one)| {
        traced.step.line != 0 && one.site.is_ok() && traced.site.function == first.function
    });
    let lines = others.filter_map(|(traced, _)| traced.site.source.as_ref());
    let Some(line) = lines.min_by_key(|source| source.line) else {
        return error.clone();
    };
    let file = line.file.file_name().unwrap_or_default().to_string_lossy();
    let near = format!("`snapshot {file}:{}` has the variables there", line.line);
    let error = error.clone();
    let why = "a trace begins with the first line of its function";
    match &error.hint {
        Some(hint) => {
            let hint = format!("{why}; {hint}; {near}");
            error.hint(hint)
        }
        None => error.hint(format!("{why}; {near}")),
    }
}

/// Refuses a watched value that makes no sense on any line, with the reason of the first line.
fn require_known(
    spec: &ProbeSpec,
    sites: &[TracedSite],
    compiled: &[CompiledStep],
) -> Result<(), Diagnostic> {
    let Action::Trace(trace) = &spec.action else {
        return Ok(());
    };
    let lines = || {
        let all = sites.iter().zip(compiled);
        all.filter(|(traced, compiled)| {
            let is_line = traced.step.line != 0 && traced.step.roles & RETURNS_FROM_CALLS == 0;
            is_line && compiled.site.is_ok()
        })
    };
    for index in 0..trace.watched.len() {
        let mut first = None;
        let is_unknown = lines().all(|(_, compiled)| {
            let mut unknown = compiled.unknown.iter();
            let found = unknown.find(|(at, _)| *at == index);
            if first.is_none() {
                first = found.map(|(_, error)| error.clone());
            }
            found.is_some()
        });
        if is_unknown && let Some(error) = first {
            return Err(error);
        }
    }
    Ok(())
}
