//! The sites of a watch: each with its plan.

use super::{ModuleCopy, PreparedProbe, ReadySite, Setting, at_site, gather, ready, which};
use crate::base::address::LinkAddr;
use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::types::Language;
use crate::kernel;
use crate::lang::ast::{Action, ProbeSpec, WatchAction, WatchedAccess};
use crate::placement::{ProbePlacement, SiteKind};
use crate::plan::watching::{self, WatchPlan};
use crate::plan::{AddressBase, PlanInput};
use crate::session::prepare::watch_part::{ObjectPlan, ReadyWatch};
use crate::session::sites::modules::TargetModule;
use crate::session::sites::watched::{WatchRole, Watched, WatchedSite, first_name};

/// Prepares a watch.
///
/// # Errors
/// The value has no place in memory, or an expression makes no sense.
pub(super) fn prepare(
    spec: &ProbeSpec,
    watched: Watched,
    setting: Setting<'_>,
) -> Result<PreparedProbe, Diagnostic> {
    let Action::Watch(action) = &spec.action else {
        return Err(Diagnostic::new("the probe watches no value"));
    };
    if cfg!(not(target_arch = "x86_64")) {
        return Err(Diagnostic::new("watchpoints are supported on x86-64 only"));
    }
    let Watched {
        module,
        sites,
        notes,
    } = watched;
    let own: Vec<LinkAddr> = sites.iter().map(|one| one.site.address).collect();
    let (mut compiled, mut first_error) = (Vec::new(), None);
    let mut has_value = false;
    for one in &sites {
        let ready = match one.role {
            WatchRole::Value => value(spec, action, &module, one, setting),
            WatchRole::Finds => found(spec, action, &module, one, setting, &own),
            WatchRole::Ends => end(spec, action, &module, one, setting, &own),
        };
        if one.role != WatchRole::Ends {
            has_value |= ready.is_ok();
            first_error = first_error.or_else(|| ready.as_ref().err().cloned());
        }
        compiled.push(ready.map_err(|error| (which(&one.site), error)));
    }
    if let Some(error) = first_error.filter(|_| !has_value) {
        return Err(error);
    }
    gather(module, compiled, notes)
}

/// A static.
fn value(
    spec: &ProbeSpec,
    action: &WatchAction,
    module: &TargetModule,
    WatchedSite { site, .. }: &WatchedSite,
    setting: Setting<'_>,
) -> Result<ReadySite, Diagnostic> {
    let bias = module.bias().unwrap_or_default();
    let base = base_of(module, setting)?;
    let WatchPlan { place, plan } = at_site(
        spec,
        ModuleCopy { module, bias },
        site,
        setting,
        &[],
        |input| {
            let input = PlanInput {
                language: language_of(input, action).unwrap_or(input.language),
                ..input.clone()
            };
            accesses(spec, action, &input, base)
        },
    )?;
    let text = spec.text.get(action.value.span.clone()).unwrap_or_default();
    let mut site = site.clone();
    site.function = text.to_owned();
    Ok(ReadySite {
        site,
        plan,
        place: ProbePlacement {
            address: LinkAddr(0),
            kind: SiteKind::Watchpoint,
            stays: None,
            refused: None,
        },
        bias,
        bound: false,
        copies: Vec::new(),
        watch: Some(ReadyWatch::Value {
            place,
            on: on(action),
        }),
    })
}

/// The language of the file that declares the first variable of the value.
fn language_of(input: &PlanInput<'_>, action: &WatchAction) -> Option<Language> {
    let variable = (input.statics)(first_name(&action.value)?)?;
    Some(input.source.type_of(variable.ty).language)
}

fn accesses(
    spec: &ProbeSpec,
    action: &WatchAction,
    input: &PlanInput<'_>,
    base: AddressBase,
) -> Result<WatchPlan, Diagnostic> {
    let has_stack = spec.action.kind().stack_depth(spec) > 0 || input.has_spans;
    watching::watch(input, &action.value, base, has_stack)
}

/// The place of the module for the accesses, which any code can make.
fn base_of(module: &TargetModule, setting: Setting<'_>) -> Result<AddressBase, Diagnostic> {
    let Some(numbers) = setting.numbers else {
        return Ok(AddressBase::Bias(module.bias().unwrap_or_default()));
    };
    let debug = module.debug().map_err(Diagnostic::new)?;
    match numbers.number_of(&module.file, debug) {
        Some(number) => Ok(AddressBase::Module(number)),
        None => {
            let name = &module.file.name;
            let error = Diagnostic::new(format!(
                "`{name}` has no build id, so its statics are not known in several processes"
            ));
            Err(error.hint("choose one process by `--pid`"))
        }
    }
}

const fn on(action: &WatchAction) -> kernel::WatchOn {
    match action.on {
        WatchedAccess::Write => kernel::WatchOn::Write,
        WatchedAccess::Any => kernel::WatchOn::Any,
    }
}

/// A site at which the object of the value is found.
fn found(
    spec: &ProbeSpec,
    action: &WatchAction,
    module: &TargetModule,
    WatchedSite { site, .. }: &WatchedSite,
    setting: Setting<'_>,
    own: &[LinkAddr],
) -> Result<ReadySite, Diagnostic> {
    let base = base_of(module, setting)?;
    let copy = |bias| ModuleCopy { module, bias };
    let make = |bias| {
        at_site(spec, copy(bias), site, setting, &[], |input| {
            watching::find(input, &action.value)
        })
    };
    let mut ready = ready(module, site, setting, own, &make)?;
    let WatchPlan { place, plan } = at_site(spec, copy(ready.bias), site, setting, &[], |input| {
        accesses(spec, action, input, base)
    })?;
    ready.watch = Some(ReadyWatch::Finds(Box::new(ObjectPlan {
        plan,
        size: place.size,
        on: on(action),
    })));
    Ok(ready)
}

/// A site at which the watch ends.
fn end(
    spec: &ProbeSpec,
    action: &WatchAction,
    module: &TargetModule,
    WatchedSite { site, .. }: &WatchedSite,
    setting: Setting<'_>,
    own: &[LinkAddr],
) -> Result<ReadySite, Diagnostic> {
    let make = |bias| {
        let copy = ModuleCopy { module, bias };
        at_site(spec, copy, site, setting, &[], |input| {
            if let Ok(same) = watching::find(input, &action.value) {
                return Ok(same);
            }
            let mut plan = watching::pass(input);
            let name = spec.text.get(action.value.span.clone()).unwrap_or_default();
            let function = &site.function;
            plan.notes.push(format!(
                "`{name}` is not known in `{function}`: its next hit ends the watch, whichever object it is of"
            ));
            Ok(plan)
        })
    };
    let mut ready = ready(module, site, setting, own, &make)?;
    ready.watch = Some(ReadyWatch::Ends);
    Ok(ready)
}
