//! From a parsed probe to its sites.

use crate::actions::ActionSites;
use crate::base::diagnostic::Diagnostic;
use crate::lang::ast::ProbeSpec;
use crate::session::sites::located::ProbeLocation;
use crate::session::sites::modules::Modules;
use crate::session::sites::resolve::resolve;
use crate::session::sites::timed::resolve_timed;
use crate::session::sites::traced::resolve_traced;
use crate::session::sites::variants;
use crate::session::sites::watched::resolve_watched;

/// Finds the location of a probe.
///
/// # Errors
/// The input matches nothing, or more than one thing.
pub(in crate::session) fn locate(
    modules: &Modules,
    spec: &ProbeSpec,
) -> Result<ProbeLocation, Diagnostic> {
    for module in modules.all() {
        module.expect_probe();
    }
    variants::located(modules, spec, &|spec| match spec.action.kind().sites() {
        ActionSites::Interval => resolve_timed(modules, spec).map(ProbeLocation::Timed),
        ActionSites::Calls => resolve_traced(modules, spec).map(ProbeLocation::Traced),
        ActionSites::Memory => resolve_watched(modules, spec).map(ProbeLocation::Watched),
        ActionSites::Alike => resolve(modules, &spec.location).map(ProbeLocation::Alike),
    })
}
