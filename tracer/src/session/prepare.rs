//! From a probe and its sites to plans at places: everything that needs no kernel.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rayon::prelude::*;
use tracer_common::control::ProbeControl;

use super::catalog::missing_split;
use super::clock::monotonic_ns;
use super::copies::{CopyPlan, is_bound, others};
use super::modules::{Modules, TargetModule};
use super::placing::{Placing, emulates_nops};
use super::refused::Refusal;
use super::resolve::{Resolved, resolve};
use super::timing::{Role, Timed, TimedSite, resolve_timed};
use super::{Forks, Options, ProbeError, variants};
use crate::address::{Bias, LinkAddr};
use crate::debuginfo::place::{Expr as PlaceExpr, Place, Register, Source, Term};
use crate::debuginfo::site::{Exit, Site};
use crate::debuginfo::unread::LeftAway;
use crate::debuginfo::variable::{Variable, VariableKind};
use crate::lang::ast::{Action, ProbeSpec};
use crate::plan::placement::{CodeMap, Placed, SiteKind, Stay, Unprobeable};
use crate::plan::{self, Plan, PlanError, PlanInput, Returned};
use crate::unavailable::Unavailable;

/// Events a second that a `log` sends when the user does not say `rate`.
pub(super) const DEFAULT_RATE: u64 = 1_000;
/// How long a probe lives when the user does not say `for`, in ns: one hour.
pub(super) const DEFAULT_TTL_NS: u64 = 3_600_000_000_000;
/// Sites that are told one by one when they are left out.
const LEFT_OUT: usize = 4;

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
    /// Run address minus link address of the copy of the file that the plan is for.
    pub(super) bias: Bias,
    /// The plan is for that copy alone, since it knows where modules are.
    pub(super) bound: bool,
    /// The plans for the file's other copies.
    pub(super) copies: Vec<CopyPlan>,
}

/// What probes are prepared with.
#[derive(Clone, Copy)]
pub(super) struct Setting<'s> {
    /// Of the target.
    pub(super) modules: &'s Modules,
    /// Where others are attached.
    pub(super) placing: &'s Placing,
    /// The session's.
    pub(super) options: &'s Options,
}

/// One copy of a module in the process.
#[derive(Clone, Copy)]
struct ModuleCopy<'m> {
    module: &'m TargetModule,
    /// Run address minus link address.
    bias: Bias,
}

/// Where a probe is.
#[derive(Clone)]
pub(super) enum Located {
    /// The same happens at each of its sites.
    Alike(Resolved),
    /// It times.
    Timed(Timed),
}

impl Located {
    /// The module that has its sites.
    pub(super) fn module(&self) -> &Arc<TargetModule> {
        match self {
            Self::Alike(Resolved { module, .. }) | Self::Timed(Timed { module, .. }) => module,
        }
    }

    /// Adds something that the user should know.
    pub(super) fn note(&mut self, note: String) {
        match self {
            Self::Alike(Resolved { notes, .. }) | Self::Timed(Timed { notes, .. }) => {
                notes.push(note);
            }
        }
    }

    /// Whether a site is in the function that begins at `entry`.
    pub(super) fn has_function(&self, entry: LinkAddr) -> bool {
        let (module, addresses) = self.addresses();
        addresses
            .iter()
            .any(|&address| module.is_in_function(address, entry))
    }

    /// Leaves out what is not in the function that begins at `entry`. False, and nothing left out, when
    /// all would be.
    pub(super) fn keep_function(&mut self, entry: LinkAddr) -> bool {
        if !self.has_function(entry) {
            return false;
        }
        match self {
            Self::Alike(Resolved { module, sites, .. }) => {
                sites.retain(|site| module.is_in_function(site.address, entry));
            }
            Self::Timed(Timed { module, sites, .. }) => {
                sites.retain(|timed| module.is_in_function(timed.site.address, entry));
            }
        }
        true
    }

    /// Its module, and the addresses of its sites in it.
    pub(super) fn addresses(&self) -> (&TargetModule, Vec<LinkAddr>) {
        match self {
            Self::Alike(Resolved { module, sites, .. }) => {
                (module, sites.iter().map(|site| site.address).collect())
            }
            Self::Timed(Timed { module, sites, .. }) => {
                let addresses = sites.iter().map(|timed| timed.site.address);
                (module, addresses.collect())
            }
        }
    }
}

/// Finds where a probe is.
///
/// # Errors
/// Nothing, or more than one thing, fits what was typed.
pub(super) fn locate(modules: &Modules, spec: &ProbeSpec) -> Result<Located, ProbeError> {
    for module in modules.all() {
        module.expect_probe();
    }
    variants::located(modules, spec, &|spec| {
        if spec.action == Action::Time {
            resolve_timed(modules, spec).map(Located::Timed)
        } else {
            resolve(modules, &spec.location).map(Located::Alike)
        }
    })
}

/// Compiles a probe for each of its sites and finds their places.
///
/// # Errors
/// It makes sense at none of them; one that times, not everywhere.
pub(super) fn prepare(
    spec: &ProbeSpec,
    located: Located,
    setting: Setting<'_>,
) -> Result<Prepared, ProbeError> {
    if spec.options.trampoline && setting.options.forks == Forks::Exact {
        return Err(ProbeError::new(
            "`trampoline` would replace return addresses in every process that runs the file, as \
             `--follow-fork=exact` reaches all of them",
        ));
    }
    let Resolved {
        module,
        sites,
        notes,
    } = match located {
        Located::Alike(resolved) => resolved,
        Located::Timed(timed) => return prepare_timed(spec, timed, setting),
    };
    let own: Vec<LinkAddr> = sites.iter().map(|site| site.address).collect();
    let compile = |site: &Site, elsewhere: Option<&[Variable]>| -> Compiled {
        let module = &module;
        let copy = |bias| ModuleCopy { module, bias };
        let make = |bias| match elsewhere {
            None => at_site(spec, copy(bias), site, setting, &[], plan::compile),
            Some(names) => at_site(spec, copy(bias), site, setting, names, plan::compile_beside),
        };
        ready(module, site, setting, &own, &make).map_err(|error| (which(site), error))
    };
    let mut compiled: Vec<Compiled> = sites.par_iter().map(|site| compile(site, None)).collect();
    if compiled.iter().any(Result::is_ok) {
        let names = NamesElsewhere::of(&module, setting, &compiled);
        for (site, result) in sites.iter().zip(&mut compiled) {
            let elsewhere = names.of_function(&site.function);
            if result.is_err() && !elsewhere.is_empty() {
                // The first reason is the true one where the names make no difference.
                if let Ok(ready) = compile(site, Some(elsewhere)) {
                    *result = Ok(ready);
                }
            }
        }
    }
    gather(spec, module, compiled, notes)
}

/// What is in scope at some copy of a function's code. A compiler drops the blocks of another copy
/// with the names in them, which the source has there as well.
struct NamesElsewhere(BTreeMap<String, Vec<Variable>>);

impl NamesElsewhere {
    /// From the sites that were compiled; of each function from the first of them.
    fn of(module: &TargetModule, setting: Setting<'_>, compiled: &[Compiled]) -> Self {
        let mut names = BTreeMap::new();
        if compiled.iter().all(Result::is_ok) {
            return Self(names);
        }
        let neighbours = || setting.modules.neighbours(module);
        for ready in compiled.iter().flatten() {
            let site = &ready.site;
            if site.bare || site.exit.is_some() || names.contains_key(&site.function) {
                continue;
            }
            let variables = module
                .debug()
                .ok()
                .and_then(|debug| debug.variables_in(site, &neighbours).ok());
            let dropped = variables
                .unwrap_or_default()
                .into_iter()
                .map(|variable| Variable {
                    place: Place::unavailable(Unavailable::OptimisedOut),
                    counts: Vec::new(),
                    ..variable
                });
            names.insert(site.function.clone(), dropped.collect());
        }
        Self(names)
    }

    /// Those of a function, without a place.
    fn of_function(&self, function: &str) -> &[Variable] {
        self.0.get(function).map_or(&[], Vec::as_slice)
    }
}

/// The same for a probe that times.
fn prepare_timed(
    spec: &ProbeSpec,
    timed: Timed,
    setting: Setting<'_>,
) -> Result<Prepared, ProbeError> {
    let Timed {
        module,
        sites,
        notes,
    } = timed;
    let own: Vec<LinkAddr> = sites.iter().map(|timed| timed.site.address).collect();
    let returns = sites.iter().find(|timed| timed.site.exit.is_some());
    let returns = match returns {
        Some(timed) => {
            let copy = ModuleCopy {
                module: &module,
                bias: module.bias().unwrap_or_default(),
            };
            at_site(spec, copy, &timed.site, setting, &[], |input| {
                Ok(input.returned)
            })?
        }
        None => None,
    };
    let compiled: Vec<Result<ReadySite, PlanError>> = sites
        .into_par_iter()
        .map(|TimedSite { site, role }| {
            let plan = |input: &PlanInput<'_>| match &role {
                Role::Begin { moment, passes } => {
                    plan::timing::begin(input, moment, *passes, returns)
                }
                Role::End { moment } => plan::timing::end(input, moment),
                Role::Guard { moment, of_call } => plan::timing::forget(input, moment, *of_call),
                Role::Turn { condition } => Ok(plan::timing::turn(input, *condition)),
            };
            let module = &module;
            let copy = |bias| ModuleCopy { module, bias };
            let make = |bias| at_site(spec, copy(bias), &site, setting, &[], plan);
            ready(module, &site, setting, &own, &make)
        })
        .collect();
    // One that is left out would leave ends without a beginning, or take the wrong one for it.
    if let Some(Err(error)) = compiled.iter().find(|site| site.is_err()) {
        return Err(error.clone().into());
    }
    // None is an error any more.
    let compiled = compiled
        .into_iter()
        .map(|site| site.map_err(|error| (String::new(), error)));
    gather(spec, module, compiled.collect(), notes)
}

/// A site with its plans and the place that it is put at; `make` makes the plan for one copy of the
/// file.
fn ready(
    module: &TargetModule,
    site: &Site,
    setting: Setting<'_>,
    own: &[LinkAddr],
    make: &dyn Fn(Bias) -> Result<Plan, PlanError>,
) -> Result<ReadySite, PlanError> {
    let refused = |refusal: Refusal| refusal.at(module, site);
    let copies = module.copies_with(site.address).map_err(failed)?;
    let bias = copies.first().copied().unwrap_or_default();
    let mut plan = make(bias)?;
    let bound = is_bound(&plan, setting.modules);
    if site.exit == Some(Exit::Trampoline) {
        if bound && copies.len() > 1 {
            let name = &module.file.name;
            return Err(failed(format!(
                "`{name}` is mapped {} times, and a return by trampoline does not tell which copy it is of",
                copies.len()
            )));
        }
        return Ok(ReadySite {
            place: trampoline(module, site.address, setting.placing).map_err(refused)?,
            site: site.clone(),
            plan,
            bias,
            // A hit is where the function returns to.
            bound: false,
            copies: Vec::new(),
        });
    }
    let (others, note) = match bound {
        true => others(&copies),
        false => (&[][..], None),
    };
    plan.notes.extend(note);
    let place = |plan: &Plan, bias| {
        let placing = setting.placing;
        placing
            .place(module, bias, site.address, plan, own)
            .map_err(refused)
    };
    let placed = place(&plan, bias)?;
    let mut plans = Vec::new();
    for &bias in others {
        let plan = make(bias)?;
        if place(&plan, bias)?.address != placed.address {
            return Err(failed(format!(
                "the copies of `{}` want different instructions; `--site first` has one for all",
                module.file.name
            )));
        }
        plans.push(CopyPlan { bias, plan });
    }
    if placed.address != site.address {
        // It may lie in another mapping than the site.
        module.copies_with(placed.address).map_err(failed)?;
    }
    Ok(ReadySite {
        site: site.clone(),
        plan,
        place: placed,
        bias,
        bound,
        copies: plans,
    })
}

/// The entry of a function whose returns are seen by a trampoline: the kernel waits for it nowhere else.
fn trampoline(
    module: &TargetModule,
    entry: LinkAddr,
    placing: &Placing,
) -> Result<Placed, Refusal> {
    let debug = module
        .debug()
        .map_err(|error| Refusal::other(error.to_string()))?;
    if let Some(why) = Unprobeable::at(debug, entry) {
        return Err(Refusal::of_instruction(debug, entry, why.into()));
    }
    placing.check_memory(debug, module.bias().unwrap_or_default(), entry)?;
    Ok(Placed {
        address: entry,
        kind: CodeMap::kind(debug, entry, emulates_nops()).unwrap_or(SiteKind::TwoTraps),
        stays: Some(Stay::Fixed),
        refused: None,
    })
}

/// A site that is ready; or which it is, and why it is not.
type Compiled = Result<ReadySite, (String, PlanError)>;

/// A site as the user finds it again.
fn which(site: &Site) -> String {
    let function = crate::visible::Visible(&site.function);
    format!("{function} ({})", site.address)
}

/// Some of the sites that are left out, each with its reason.
fn each_reason(failures: &[(String, PlanError)]) -> String {
    let told = failures.iter().take(LEFT_OUT);
    let told: Vec<String> = told.map(|(which, why)| format!("{which}: {why}")).collect();
    let more = failures.len() - told.len();
    let more = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    told.join("; ") + &more
}

/// The sites that were compiled, with what there is to say of the others.
fn gather(
    spec: &ProbeSpec,
    module: Arc<TargetModule>,
    compiled: Vec<Compiled>,
    mut notes: Vec<String>,
) -> Result<Prepared, ProbeError> {
    if let Some(error) = module.refusal() {
        // What was compiled may come from a part of what the module says.
        return Err(ProbeError::of_debug_info(&error));
    }
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
            |(_, error)| ProbeError::from(error),
        ));
    }
    if !failures.is_empty() {
        notes.push(format!(
            "left out {} of {total} sites: {}",
            failures.len(),
            each_reason(&failures)
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

/// DWARF numbers of `rbp` and `rsp`.
const FRAME_REGISTERS: [Register; 2] = [Register(6), Register(7)];

/// Whether all parameters are in the function's frame; `None`: there are none.
fn is_homed(variables: &[Variable]) -> Option<bool> {
    let in_frame = |place: &PlaceExpr| {
        let mut registers = place.0.iter().filter_map(|term| match term {
            Term::Register(register) => Some(register),
            _ => None,
        });
        registers.all(|register| FRAME_REGISTERS.contains(register))
    };
    let in_memory = |variable: &Variable| {
        let mut pieces = variable.place.pieces.iter().peekable();
        pieces.peek().is_some()
            && pieces.all(|piece| match &piece.source {
                Source::Memory(place) => in_frame(place),
                _ => false,
            })
    };
    let mut parameters = variables
        .iter()
        .filter(|variable| variable.kind == VariableKind::Parameter)
        .peekable();
    parameters.peek()?;
    Some(parameters.all(in_memory))
}

/// A site that cannot be probed.
fn failed(message: String) -> PlanError {
    PlanError {
        message,
        hint: None,
        span: None,
    }
}

/// What `compile` makes of a probe at one site. Names that are in scope `elsewhere` alone have no
/// value there.
fn at_site<T>(
    spec: &ProbeSpec,
    ModuleCopy { module, bias }: ModuleCopy<'_>,
    site: &Site,
    setting: Setting<'_>,
    elsewhere: &[Variable],
    compile: impl FnOnce(&PlanInput<'_>) -> Result<T, PlanError>,
) -> Result<T, PlanError> {
    let debug = module.debug().map_err(|error| failed(error.to_string()))?;
    let options = setting.options;
    let neighbours = || setting.modules.neighbours(module);
    let mut variables = match site.bare {
        true => Vec::new(),
        false => debug
            .variables_in(site, &neighbours)
            .map_err(|error| PlanError {
                hint: error.hint(),
                ..failed(error.to_string())
            })?,
    };
    for name in elsewhere {
        if !variables.iter().any(|variable| variable.name == name.name) {
            variables.push(name.clone());
        }
    }
    let returned = match site.exit {
        Some(exit) => {
            let homed = is_homed(&variables);
            let plain = homed == Some(true) && !debug.has_inlined_code(site.address);
            let left_away = match plain {
                true => LeftAway::default(),
                false => debug.values_left_away(site.address),
            };
            // The frame is gone: what the debug information still says of it is not to be trusted.
            variables.retain(|variable| variable.kind == VariableKind::Static);
            let ty = match site.bare {
                true => Ok(None),
                false => debug.outer_return_type(site),
            };
            Some(Returned {
                ty: ty.map_err(|error| failed(error.to_string()))?,
                unknown: site.bare,
                by_jump: exit == Exit::Jump,
                changed: debug.has_changed_calls(site),
                unread: left_away.first,
                half_read: left_away.second,
                homed: homed.unwrap_or(true),
                handed_back: debug.hands_back_first_argument(site.address),
            })
        }
        None => None,
    };
    compile(&PlanInput {
        source: &**debug,
        language: debug.language_at(site),
        bias,
        neighbours: &neighbours,
        tls: module.tls(bias),
        variables: &variables,
        statics: &|path| debug.static_at(site, path),
        types: &|name| debug.types_named(name, Some(site.address)),
        spec,
        limits: options.limits,
        returned,
        redactor: &options.redactor,
    })
    .map_err(|error| match debug.missing_split_file(site.address) {
        Some(file) => error.hint(Some(missing_split(&file))),
        None if site.bare => error.hint(Some(
            "the function has no debug information: `$pid`, `$tid`, `$thread`, `$time` and `$hit` are \
             known there"
                .into(),
        )),
        None => error,
    })
}

/// Events a second from which on a rate is no limit: all hits of a probe count up one number,
/// which CPUs together do not do as often.
const UNREACHED_RATE: u64 = 100_000_000;

/// Limits of a probe, as the kernel side wants them.
pub(super) fn control(spec: &ProbeSpec) -> ProbeControl {
    const SECOND: u64 = 1_000_000_000;
    let nanoseconds = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let options = &spec.options;
    // What is added up in the kernel floods nobody.
    let adds_up = match spec.action {
        Action::Count { .. } | Action::Hist { .. } => true,
        Action::Time => !plan::timing::has_events(spec),
        Action::Log | Action::Snapshot => false,
    };
    let rate = options.rate.or((!adds_up).then_some(DEFAULT_RATE));
    let (interval_ns, burst_ns) = match (options.every, rate) {
        // Both hold then: none comes sooner than either says.
        (Some(every), _) => {
            let spaced = options.rate.map_or(0, |rate| SECOND / rate.max(1));
            (nanoseconds(every).max(spaced), 0)
        }
        // No hits come so fast, whatever is asked for: there is nothing to decide at each.
        (None, Some(UNREACHED_RATE..)) => (0, 0),
        // A second's worth may come at once: the first, and so many ahead of their time.
        (None, Some(rate)) => {
            let interval = (SECOND / rate.max(1)).max(1);
            (interval, SECOND - interval)
        }
        (None, None) => (0, 0),
    };
    let ttl = options.ttl.map_or(DEFAULT_TTL_NS, nanoseconds);
    ProbeControl {
        enabled: 1,
        reserved: 0,
        expires_ns: monotonic_ns().saturating_add(ttl),
        hit_budget: hits_allowed(spec),
        interval_ns,
        burst_ns,
    }
}

/// Events that a probe may have; 0: any number.
pub(super) fn hits_allowed(spec: &ProbeSpec) -> u64 {
    spec.options.hits.unwrap_or(match spec.action {
        // A snapshot is much to read; one tells what it is for.
        Action::Snapshot => 1,
        _ => 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_that_no_hits_reach_is_no_limit() {
        let limits = |text: &str| {
            let control = control(&crate::lang::parse_probe(text).expect("a probe"));
            (control.interval_ns, control.burst_ns)
        };
        assert_eq!(limits("log main.rs:1 \"x\""), (1_000_000, 999_000_000));
        assert_eq!(limits("log main.rs:1 rate 1/s"), (1_000_000_000, 0));
        assert_eq!(limits("log main.rs:1 every 1ms rate 4/s"), (250_000_000, 0));
        assert_eq!(
            limits("log main.rs:1 every 1s rate 4/s"),
            (1_000_000_000, 0)
        );
        assert_eq!(
            limits("log main.rs:1 \"x\" rate 99999999/s"),
            (10, 999_999_990)
        );
        assert_eq!(limits("log main.rs:1 \"x\" rate 100000000/s"), (0, 0));
        assert_eq!(limits("count main.rs:1"), (0, 0));
    }
}
