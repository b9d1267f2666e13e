//! From a probe and its sites to plans at places: everything that needs no kernel.

use std::sync::Arc;
use std::time::Duration;

use rayon::prelude::*;
use tracer_common::control::ProbeControl;

use super::clock::monotonic_ns;
use super::modules::TargetModule;
use super::placing::Placing;
use super::resolve::Resolved;
use super::{Options, ProbeError};
use crate::address::LinkAddr;
use crate::debuginfo::site::{Exit, Site};
use crate::debuginfo::variable::VariableKind;
use crate::lang::ast::{Action, ProbeSpec};
use crate::plan::placement::Placed;
use crate::plan::{self, Plan, PlanError, PlanInput, Returned};

/// Events a second that a `log` sends when the user does not say `rate`.
const DEFAULT_RATE: u64 = 1_000;
/// How long a probe lives when the user does not say `for`, in ns: one hour.
const DEFAULT_TTL_NS: u64 = 3_600_000_000_000;

/// A probe, ready to be attached.
pub(super) struct Prepared {
    pub(super) spec: ProbeSpec,
    /// Has all of its sites.
    pub(super) module: Arc<TargetModule>,
    /// At least one.
    pub(super) sites: Vec<ReadySite>,
    /// What the user should know: sites left out, values that are unavailable.
    pub(super) notes: Vec<String>,
}

/// One site with what a hit of it does.
pub(super) struct ReadySite {
    pub(super) site: Site,
    pub(super) plan: Plan,
    /// The instruction that is probed.
    pub(super) place: Placed,
}

/// Says no to actions that nothing can do yet.
pub(super) fn refuse_unknown(spec: &ProbeSpec) -> Result<(), ProbeError> {
    match spec.action {
        Action::Log | Action::Snapshot | Action::Count { .. } | Action::Hist { .. } => Ok(()),
        _ => Err(ProbeError {
            message: format!("this version cannot `{}` yet", spec.action.name()),
            hint: Some("`log` shows the values at each hit".into()),
            span: None,
        }),
    }
}

/// Compiles a probe for each of its sites and finds their places.
///
/// # Errors
/// It makes sense at none of them.
pub(super) fn prepare(
    spec: &ProbeSpec,
    resolved: Resolved,
    placing: &Placing,
    options: &Options,
) -> Result<Prepared, ProbeError> {
    let Resolved {
        module,
        sites,
        mut notes,
    } = resolved;
    let own: Vec<LinkAddr> = sites.iter().map(|site| site.address).collect();
    let compiled: Vec<Result<ReadySite, PlanError>> = sites
        .into_par_iter()
        .map(|site| {
            let plan = compile(spec, &module, &site, options)?;
            let bias = module.bias().unwrap_or_default();
            let place = placing
                .place(&module, bias, site.address, &plan, &own)
                .map_err(failed)?;
            Ok(ReadySite { site, plan, place })
        })
        .collect();
    let total = compiled.len();
    let mut ready = Vec::new();
    let mut failures = Vec::new();
    for result in compiled {
        match result {
            Ok(site) => ready.push(site),
            Err(error) => failures.push(error),
        }
    }
    if ready.is_empty() {
        let first = failures.into_iter().next();
        return Err(first.map_or_else(
            || ProbeError::new("the location has no code"),
            ProbeError::from,
        ));
    }
    if !failures.is_empty() {
        notes.push(format!(
            "left out {} of {total} sites: {}",
            failures.len(),
            failures[0]
        ));
    }
    let mut seen = Vec::new();
    for note in ready.iter().flat_map(|site| &site.plan.notes) {
        if !seen.contains(note) {
            seen.push(note.clone());
        }
    }
    notes.append(&mut seen);
    Ok(Prepared {
        spec: spec.clone(),
        module,
        sites: ready,
        notes,
    })
}

/// A site that cannot be probed.
fn failed(message: String) -> PlanError {
    PlanError {
        message,
        hint: None,
        span: None,
    }
}

/// The plan of a probe at one site.
fn compile(
    spec: &ProbeSpec,
    module: &TargetModule,
    site: &Site,
    options: &Options,
) -> Result<Plan, PlanError> {
    let debug = module.debug().map_err(|error| failed(error.to_string()))?;
    let bias = module.bias().ok_or_else(|| {
        failed(format!(
            "`{}` is not mapped with code any more",
            module.file.path.display()
        ))
    })?;
    let mut variables = debug
        .variables_at(site.address)
        .map_err(|error| failed(error.to_string()))?;
    let returned = match site.exit {
        Some(exit) => {
            // The frame is gone: what the debug information still says of it is not to be trusted.
            variables.retain(|variable| variable.kind == VariableKind::Static);
            let ty = debug.outer_return_type(site.address);
            Some(Returned {
                ty: ty.map_err(|error| failed(error.to_string()))?,
                by_jump: exit == Exit::Jump,
            })
        }
        None => None,
    };
    plan::compile(&PlanInput {
        source: &**debug,
        bias,
        tls: module.tls(),
        variables: &variables,
        statics: &|path| debug.static_variable(path).into_iter().next(),
        spec,
        limits: options.limits,
        returned,
        redactor: &options.redactor,
    })
}

/// Limits of a probe, as the kernel side wants them.
pub(super) fn control(spec: &ProbeSpec) -> ProbeControl {
    const SECOND: u64 = 1_000_000_000;
    let nanoseconds = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let options = &spec.options;
    // What is added up in the kernel floods nobody.
    let adds_up = matches!(spec.action, Action::Count { .. } | Action::Hist { .. });
    let rate = options.rate.or((!adds_up).then_some(DEFAULT_RATE));
    let (interval_ns, burst_ns) = match (options.every, rate) {
        (Some(every), _) => (nanoseconds(every), 0),
        // A second's worth may come at once.
        (None, Some(rate)) => ((SECOND / rate.max(1)).max(1), SECOND),
        (None, None) => (0, 0),
    };
    let ttl = options.ttl.map_or(DEFAULT_TTL_NS, nanoseconds);
    ProbeControl {
        enabled: 1,
        reserved: 0,
        expires_ns: monotonic_ns().saturating_add(ttl),
        hit_budget: options.hits.unwrap_or(match spec.action {
            // A snapshot is much to read; one tells what it is for.
            Action::Snapshot => 1,
            _ => 0,
        }),
        interval_ns,
        burst_ns,
    }
}
