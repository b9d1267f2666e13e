//! From a probe and its sites to plans at places: everything that needs no kernel.

pub(in crate::session) mod check;
pub(in crate::session) mod copies;
pub(in crate::session) mod placing;
pub(in crate::session) mod rate_limits;
pub(in crate::session) mod refusal;
pub(in crate::session) mod runtime;
mod semaphores;
mod steps;
pub(in crate::session) mod warm_pages;
pub(in crate::session) mod watch_part;
mod watched;

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::{Forks, SessionOptions};
use crate::actions;
use crate::base::address::{Bias, LinkAddr};
use crate::base::diagnostic::Diagnostic;
use crate::base::unavailable::Unavailable;
use crate::debuginfo::names::{last_segment, without_generics};
use crate::debuginfo::omitted_values::OmittedValues;
use crate::debuginfo::place::{LocationExpr as PlaceExpr, PieceSource, Place, Register, Term};
use crate::debuginfo::site::{Exit, Site};
use crate::debuginfo::variable::{Variable, VariableKind};
use crate::kernel::TraceRequest;
use crate::lang::ast::{LocationKind, ProbeSpec};
use crate::placement::{CodeMap, ProbePlacement, SiteKind, StayReason, unprobeable_at};
use crate::plan::{AddressBase, Plan, PlanInput, Returned};
use crate::session::prepare::copies::{CopyPlan, is_bound, others};
use crate::session::prepare::placing::{SitePlacer, emulates_nops};
use crate::session::prepare::refusal::SiteRefusal;
use crate::session::prepare::watch_part::ReadyWatch;
use crate::session::sites::located::ProbeLocation;
use crate::session::sites::module_numbers::ModuleNumbers;
use crate::session::sites::modules::{Modules, TargetModule};
use crate::session::sites::resolve::{Resolved, missing_split};
use crate::session::sites::timed::{Timed, TimedSite};
use crate::session::sites::traced::TracedCode;

/// Number of omitted sites that are reported one by one.
const LEFT_OUT: usize = 4;

/// A probe, ready to be attached.
pub(super) struct PreparedProbe {
    /// Has its sites.
    pub(super) module: Arc<TargetModule>,
    /// Empty only if a trace follows more calls without them.
    pub(super) sites: Vec<ReadySite>,
    /// Notes for the user: omitted sites, unavailable values.
    pub(super) notes: Vec<String>,
    /// The other part of a trace.
    pub(super) trace: Option<Arc<PreparedTrace>>,
    /// Sites of the same trace in other modules.
    pub(super) elsewhere: Vec<PreparedProbe>,
}

/// The part of a trace that is not in its sites.
pub(super) struct PreparedTrace {
    /// The limits and the callers, for the kernel side.
    pub(super) request: TraceRequest,
    /// The code that has the sites.
    pub(super) code: Arc<TracedCode>,
}

/// A site with the program of its hits.
#[derive(Clone)]
pub(super) struct ReadySite {
    pub(super) site: Site,
    pub(super) plan: Plan,
    /// The instruction that is probed.
    pub(super) place: ProbePlacement,
    /// Run address minus link address of the copy of the file that the plan is for.
    pub(super) bias: Bias,
    /// The plan is for that copy alone, since it knows where modules are.
    pub(super) bound: bool,
    /// The plans for the file's other copies.
    pub(super) copies: Vec<CopyPlan>,
    /// The part of the site in a watch, if it is one of a watch.
    pub(super) watch: Option<ReadyWatch>,
}

/// The context in which probes are prepared.
#[derive(Clone, Copy)]
pub(super) struct Setting<'s> {
    /// The target's modules.
    pub(super) modules: &'s Modules,
    /// The places of other attached probes.
    pub(super) placing: &'s SitePlacer,
    /// The session's.
    pub(super) options: &'s SessionOptions,
    /// Plans have numbers of other modules. `None` if they have the addresses in the one process.
    pub(super) numbers: Option<&'s ModuleNumbers>,
    /// Some probe of the session makes spans.
    pub(super) has_spans: bool,
}

/// One copy of a module in the process.
#[derive(Clone, Copy)]
struct ModuleCopy<'m> {
    module: &'m TargetModule,
    /// Run address minus link address.
    bias: Bias,
}

/// Compiles a probe for each of its sites and finds their places.
///
/// # Errors
/// It makes sense at none of them; one that times, not everywhere.
pub(super) fn prepare(
    spec: &ProbeSpec,
    located: ProbeLocation,
    setting: Setting<'_>,
) -> Result<PreparedProbe, Diagnostic> {
    if spec.options.trampoline && setting.options.forks == Forks::Exact {
        return Err(Diagnostic::new(
            "`trampoline` would replace return addresses in every process that runs the file, not only in the \
             targets",
        )
        .hint("leave it out: returns are observed at the function's return instructions"));
    }
    let Resolved {
        module,
        sites,
        mut notes,
    } = match located {
        ProbeLocation::Alike(resolved) => resolved,
        ProbeLocation::Timed(timed) => return prepare_timed(spec, timed, setting),
        ProbeLocation::Traced(traced) => return steps::prepare(spec, traced, setting),
        ProbeLocation::Watched(watched) => return watched::prepare(spec, watched, setting),
    };
    notes.extend(semaphores::check(spec, &module, &sites, setting)?);
    let own: Vec<LinkAddr> = sites.iter().map(|site| site.address).collect();
    let compile = |site: &Site, elsewhere: Option<&[Variable]>| -> CompiledSite {
        let module = &module;
        let copy = |bias| ModuleCopy { module, bias };
        let make = |bias| match elsewhere {
            None => at_site(spec, copy(bias), site, setting, &[], actions::compile),
            Some(names) => at_site(
                spec,
                copy(bias),
                site,
                setting,
                names,
                actions::compile_beside,
            ),
        };
        ready(module, site, setting, &own, &make).map_err(|error| (which(site), error))
    };
    let mut compiled: Vec<CompiledSite> =
        sites.par_iter().map(|site| compile(site, None)).collect();
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
    gather(module, compiled, notes)
}

/// Variables that are in scope in some copy of a function's code. A compiler drops blocks of
/// another copy, and with them the names that the source has there as well.
struct NamesElsewhere(BTreeMap<String, Vec<Variable>>);

impl NamesElsewhere {
    /// Names from the compiled sites. The first site of each function counts.
    fn of(module: &TargetModule, setting: Setting<'_>, compiled: &[CompiledSite]) -> Self {
        let mut names = BTreeMap::new();
        if compiled.iter().all(Result::is_ok) {
            return Self(names);
        }
        let neighbours = || setting.modules.neighbours(module, setting.numbers);
        for ready in compiled.iter().flatten() {
            let site = &ready.site;
            if site.is_bare() || site.exit.is_some() || names.contains_key(&site.function) {
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

    /// The function's variables, without a place.
    fn of_function(&self, function: &str) -> &[Variable] {
        self.0.get(function).map_or(&[], Vec::as_slice)
    }
}

/// Prepares a timed probe.
fn prepare_timed(
    spec: &ProbeSpec,
    timed: Timed,
    setting: Setting<'_>,
) -> Result<PreparedProbe, Diagnostic> {
    let Timed {
        module,
        sites,
        mut notes,
    } = timed;
    let all = sites.iter().map(|timed| &timed.site);
    notes.extend(semaphores::check(spec, &module, all, setting)?);
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
    let compiled: Vec<Result<ReadySite, Diagnostic>> = sites
        .into_par_iter()
        .map(|TimedSite { site, role }| {
            let plan = |input: &PlanInput<'_>| role.compile(input, returns);
            let module = &module;
            let copy = |bias| ModuleCopy { module, bias };
            let make = |bias| at_site(spec, copy(bias), &site, setting, &[], plan);
            ready(module, &site, setting, &own, &make)
        })
        .collect();
    // One that is left out would leave ends without a beginning, or take the wrong one for it.
    if let Some(Err(error)) = compiled.iter().find(|site| site.is_err()) {
        return Err(error.clone());
    }
    // None is an error any more.
    let compiled = compiled
        .into_iter()
        .map(|site| site.map_err(|error| (String::new(), error)));
    gather(module, compiled.collect(), notes)
}

/// A site with its plans and the place that it is put at; `make` makes the plan for one copy of the
/// file.
fn ready(
    module: &TargetModule,
    site: &Site,
    setting: Setting<'_>,
    own: &[LinkAddr],
    make: &dyn Fn(Bias) -> Result<Plan, Diagnostic>,
) -> Result<ReadySite, Diagnostic> {
    let refused = |refusal: SiteRefusal| refusal.at(module, site);
    let copies = module.copies_with(site.address).map_err(Diagnostic::new)?;
    let bias = copies.first().copied().unwrap_or_default();
    let mut plan = make(bias)?;
    let bound = setting.numbers.is_none() && is_bound(&plan, setting.modules);
    if site.exit == Some(Exit::Trampoline) {
        if bound && copies.len() > 1 {
            let name = &module.file.name;
            return Err(Diagnostic::new(format!(
                "`{name}` is mapped {} times, and a return by trampoline does not show its copy",
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
            watch: None,
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
            return Err(Diagnostic::new(format!(
                "the copies of `{}` need different instructions; `--site first` uses the same one for all",
                module.file.name
            )));
        }
        plans.push(CopyPlan { bias, plan });
    }
    if placed.address != site.address {
        // It may lie in another mapping than the site.
        module
            .copies_with(placed.address)
            .map_err(Diagnostic::new)?;
    }
    Ok(ReadySite {
        site: site.clone(),
        plan,
        place: placed,
        bias,
        bound,
        copies: plans,
        watch: None,
    })
}

/// The entry of a function whose returns a trampoline reports: the kernel accepts no other place
/// for it.
fn trampoline(
    module: &TargetModule,
    entry: LinkAddr,
    placing: &SitePlacer,
) -> Result<ProbePlacement, SiteRefusal> {
    let debug = module
        .debug()
        .map_err(|error| SiteRefusal::other(error.to_string()))?;
    if let Some(why) = unprobeable_at(debug, entry) {
        return Err(SiteRefusal::of_instruction(debug, entry, why.into()));
    }
    placing.check_memory(debug, module.bias().unwrap_or_default(), entry)?;
    Ok(ProbePlacement {
        address: entry,
        kind: CodeMap::kind(debug, entry, emulates_nops()).unwrap_or(SiteKind::TwoTraps),
        stays: Some(StayReason::Fixed),
        refused: None,
    })
}

/// A site that is ready; or which it is, and why it is not.
type CompiledSite = Result<ReadySite, (String, Diagnostic)>;

/// A site as the user finds it again.
fn which(site: &Site) -> String {
    let function = crate::base::visible::Visible(&site.function);
    format!("{function} ({})", site.address)
}

/// Some of the sites that are left out, each with its reason.
fn each_reason(failures: &[(String, Diagnostic)]) -> String {
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

/// The compiled sites, with notes on the others.
fn gather(
    module: Arc<TargetModule>,
    compiled: Vec<CompiledSite>,
    mut notes: Vec<String>,
) -> Result<PreparedProbe, Diagnostic> {
    if let Some(error) = module.refusal() {
        // A compiled probe may rest on a part of the module's debug information.
        return Err(Diagnostic::from(&error));
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
            || Diagnostic::new("the location has no code"),
            |(_, error)| error,
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
    Ok(PreparedProbe {
        module,
        sites: ready,
        notes,
        trace: None,
        elsewhere: Vec::new(),
    })
}

/// DWARF numbers of `rbp` and `rsp`.
const FRAME_REGISTERS: [Register; 2] = [Register(6), Register(7)];

/// Returns true if all parameters are in the function's frame. `None` if it has none.
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
                PieceSource::Memory(place) => in_frame(place),
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

/// The result of `compile` for a probe at one site. Names that are in scope only `elsewhere` have
/// no value there.
fn at_site<T>(
    spec: &ProbeSpec,
    ModuleCopy { module, bias }: ModuleCopy<'_>,
    site: &Site,
    setting: Setting<'_>,
    elsewhere: &[Variable],
    compile: impl FnOnce(&PlanInput<'_>) -> Result<T, Diagnostic>,
) -> Result<T, Diagnostic> {
    let debug = module.debug().map_err(Diagnostic::new)?;
    let options = setting.options;
    let neighbours = || setting.modules.neighbours(module, setting.numbers);
    let mut variables = setting.modules.names_of(module, site, setting.numbers)?;
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
                true => OmittedValues::default(),
                false => debug.values_left_away(site.address),
            };
            // The frame is gone, so the debug information about it cannot be trusted.
            variables.retain(|variable| variable.kind == VariableKind::Static);
            let ty = match site.is_bare() {
                true => Ok(None),
                false => debug.outer_return_type(site),
            };
            Some(Returned {
                ty: ty.map_err(Diagnostic::new)?,
                unknown: site.is_bare(),
                by_jump: exit == Exit::Jump,
                changed: debug.has_changed_calls(site),
                unread: left_away.first,
                half_read: left_away.second,
                homed: homed.unwrap_or(true),
                handed_back: debug.hands_back_first_argument(site.address),
                redacted: options
                    .redactor
                    .hides(without_generics(last_segment(&site.function))),
            })
        }
        None => None,
    };
    compile(&PlanInput {
        source: &**debug,
        language: debug.language_of(site),
        base: match site.exit {
            // A hit is where the function returns to.
            Some(Exit::Trampoline) => AddressBase::Bias(bias),
            _ => AddressBase::Site(site.address),
        },
        neighbours: &neighbours,
        tls: module.tls(setting.numbers),
        variables: &variables,
        statics: &|path| debug.static_at(site, path),
        types: &|name| debug.types_at(site, name),
        spec,
        limits: options.limits,
        shapes: module.shapes().map_err(Diagnostic::new)?,
        returned,
        redactor: &options.redactor,
        has_spans: setting.has_spans,
    })
    .map_err(|error| match debug.missing_split_file(site.address) {
        Some(file) => error.hint(missing_split(&file)),
        None if site.is_bare() && site.usdt.is_none() && spec.location.kind != LocationKind::Memory => error.hint("the function has no debug information: `$pid`, `$tid`, `$thread`, `$process`, `$cgroup`, \
             `$container`, `$time` and `$hit` are available"
                ),
        None => error,
    })
}
