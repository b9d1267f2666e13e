//! The meaning of source lines and variables in a target, which depends on what executes its code.

use std::path::PathBuf;

use crate::base::address::LinkAddr;
use crate::base::diagnostic::Diagnostic;
use crate::lang::ast::ProbeSpec;
use crate::session::prepare::{PreparedProbe, Setting, prepare};
use crate::session::sites::locate::locate;
use crate::session::sites::located::ProbeLocation;
use crate::session::sites::modules::Modules;

/// Turns what a user writes into sites in the target, and plans for them.
///
/// An interpreter has lines and variables of its own beside those of its native code. Its runtime resolves
/// them to sites of the interpreter, with programs that read its data structures.
pub(in crate::session) trait Runtime {
    /// Finds the sites of a probe.
    ///
    /// # Errors
    /// Nothing, or more than one thing, fits what was typed.
    fn resolve(&self, modules: &Modules, spec: &ProbeSpec) -> Result<ProbeLocation, Diagnostic>;
    /// Compiles a probe for each of its sites, and finds their instructions.
    ///
    /// # Errors
    /// The probe makes sense at none of them.
    fn plan(
        &self,
        spec: &ProbeSpec,
        location: ProbeLocation,
        setting: Setting<'_>,
    ) -> Result<PreparedProbe, Diagnostic>;
}

/// Machine code with debug information, or with symbols alone.
pub(in crate::session) struct NativeRuntime;

impl Runtime for NativeRuntime {
    fn resolve(&self, modules: &Modules, spec: &ProbeSpec) -> Result<ProbeLocation, Diagnostic> {
        locate(modules, spec)
    }

    fn plan(
        &self,
        spec: &ProbeSpec,
        location: ProbeLocation,
        setting: Setting<'_>,
    ) -> Result<PreparedProbe, Diagnostic> {
        prepare(spec, location, setting)
    }
}

/// The runtime that a probe is meant for.
pub(in crate::session) fn runtime_of(_: &ProbeSpec) -> &'static dyn Runtime {
    &NativeRuntime
}

/// Every site of some probes, with its file.
pub(in crate::session) fn announced<'p>(
    modules: &Modules,
    specs: impl Iterator<Item = &'p ProbeSpec>,
) -> impl Iterator<Item = (PathBuf, LinkAddr)> {
    specs
        .filter_map(|spec| runtime_of(spec).resolve(modules, spec).ok())
        .flat_map(|located| {
            let (module, sites) = located.addresses();
            let path = module.file.path.clone();
            sites.into_iter().map(move |site| (path.clone(), site))
        })
}
