//! The sites of a trace: each with the plan of its step.

use std::cell::RefCell;

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
use crate::lang::ast::{Action, ProbeSpec};
use crate::plan::PlanInput;
use crate::plan::tracing;
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
        request,
        code,
        notes,
    } = traced;
    let trace = Some(PreparedTrace { request, code });
    let own: Vec<LinkAddr> = sites.iter().map(|traced| traced.site.address).collect();
    let compiled: Vec<CompiledStep> = sites
        .par_iter()
        .map(|TracedSite { site, step }| {
            let unknown = RefCell::new(Vec::new());
            let make = |bias| {
                let copy = ModuleCopy {
                    module: &module,
                    bias,
                };
                let compile = |input: &PlanInput<'_>| tracing::step(input, step);
                let step = at_site(spec, copy, site, setting, &[], compile)?;
                unknown.replace(step.unknown);
                Ok(step.plan)
            };
            let site = ready(&module, site, setting, &own, &make);
            CompiledStep {
                site,
                unknown: unknown.into_inner(),
            }
        })
        .collect();
    // Functions that are followed later may lack a watched value.
    if sites
        .iter()
        .any(|traced| traced.step.roles & TAKES_CALLS != 0)
    {
        require_known(spec, &sites, &compiled)?;
    }
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
            trace,
        });
    }
    let prepared = gather(module, lines, notes)?;
    Ok(PreparedProbe { trace, ..prepared })
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
