//! Functions with variants for different processors (`STT_GNU_IFUNC`): a name stands for the
//! variant that the process uses.
//!
//! The loader wrote its choice into words of the modules that call the function. If no word tells,
//! the tracer does not guess: it names the variants to the user.

use std::sync::Arc;

use crate::base::address::{LinkAddr, RunAddr};
use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::Module as DebugModule;
use crate::debuginfo::names::demangle;
use crate::lang::ast::{Location, LocationKind, ProbeSpec};
use crate::session::sites::located::ProbeLocation;
use crate::session::sites::modules::{Modules, TargetModule};

/// Words that are read of a process for one function.
const MAX_WORDS: usize = 256;
/// Variants that a message names.
const MAX_NAMED: usize = 12;

/// A function with variants.
struct IndirectFunction<'m> {
    name: &'m str,
    module: &'m Arc<TargetModule>,
    debug: &'m Arc<DebugModule>,
    /// The code that chooses.
    resolver: LinkAddr,
}

/// One variant.
struct IfuncVariant {
    module: Arc<TargetModule>,
    entry: LinkAddr,
    name: String,
}

impl IfuncVariant {
    /// Its name in the debug information, which may be one for all variants, or else its symbol.
    fn described_name(&self) -> String {
        let site = self
            .module
            .debug()
            .ok()
            .and_then(|debug| debug.site_at(self.entry));
        let name = site.map(|site| match site.inlined_into.last() {
            Some(outermost) => outermost.function.clone(),
            None => site.function,
        });
        name.unwrap_or_else(|| self.name.clone())
    }
}

/// Replaces the location of a name with several variants by that of the variant in use.
///
/// # Errors
/// The errors of `locate`, and an unknown choice of the variant.
pub(in crate::session) fn located(
    modules: &Modules,
    spec: &ProbeSpec,
    locate: &dyn Fn(&ProbeSpec) -> Result<ProbeLocation, Diagnostic>,
) -> Result<ProbeLocation, Diagnostic> {
    let candidates = modules.named(spec.location.module.as_deref());
    let Some(function) = IndirectFunction::of(&candidates, &spec.location) else {
        return locate(spec);
    };
    let in_module = |module: &TargetModule| {
        let mut spec = spec.clone();
        spec.location.module = Some(module.file.name.clone());
        locate(&spec)
    };
    // A module before may have a function of that name itself.
    let before = candidates
        .iter()
        .take_while(|module| !Arc::ptr_eq(module, function.module));
    for module in before {
        match in_module(module) {
            Ok(found) if Arc::ptr_eq(found.module(), module) => return Ok(found),
            _ => {}
        }
    }
    let used = function.in_use(modules);
    match used.as_slice() {
        [one] => function.by_variant(spec, one, locate),
        several => function.unchosen(spec, in_module(function.module), several),
    }
}

impl<'m> IndirectFunction<'m> {
    /// The first module's that has one of the name.
    fn of(candidates: &[&'m Arc<TargetModule>], location: &'m Location) -> Option<Self> {
        let name = match &location.kind {
            LocationKind::Function(name)
            | LocationKind::Return(name)
            | LocationKind::Trampoline(name) => name.as_str(),
            LocationKind::Line { .. }
            | LocationKind::Address(_)
            | LocationKind::Usdt { .. }
            | LocationKind::Memory => return None,
        };
        candidates.iter().find_map(|&module| {
            let debug = module.debug().ok()?;
            Some(Self {
                name,
                module,
                debug,
                resolver: debug.indirect_function(name)?,
            })
        })
    }

    /// The variants that words of the process's modules lead to.
    fn in_use(&self, modules: &Modules) -> Vec<IfuncVariant> {
        let mut words = Vec::new();
        for module in modules.mapped() {
            let (Ok(debug), Some(bias)) = (module.debug(), module.bias()) else {
                continue;
            };
            let own = Arc::ptr_eq(module, self.module).then_some(self.resolver);
            let found = debug.words_of_indirect(self.name.as_bytes(), own);
            words.extend(found.into_iter().map(|word| bias.run(word).0));
        }
        words.truncate(MAX_WORDS);
        let mut variants: Vec<IfuncVariant> = Vec::new();
        for target in modules.words(&words).into_iter().flatten() {
            let Some(variant) = variant_at(modules, RunAddr(target)) else {
                continue;
            };
            let known = variants.iter().any(|known| {
                known.entry == variant.entry && Arc::ptr_eq(&known.module, &variant.module)
            });
            if !known {
                variants.push(variant);
            }
        }
        variants
    }

    /// The location of the variant's own name, without other functions of that name.
    fn by_variant(
        &self,
        spec: &ProbeSpec,
        variant: &IfuncVariant,
        locate: &dyn Fn(&ProbeSpec) -> Result<ProbeLocation, Diagnostic>,
    ) -> Result<ProbeLocation, Diagnostic> {
        let note = format!(
            "the loader has chosen `{}` for `{}` of {}",
            variant.name, self.name, self.module.file.name
        );
        let mut spec = spec.clone();
        spec.location.module = Some(variant.module.file.name.clone());
        match &mut spec.location.kind {
            LocationKind::Function(name)
            | LocationKind::Return(name)
            | LocationKind::Trampoline(name) => *name = variant.described_name(),
            LocationKind::Line { .. }
            | LocationKind::Address(_)
            | LocationKind::Usdt { .. }
            | LocationKind::Memory => {}
        }
        let mut found = locate(&spec)?;
        if !Arc::ptr_eq(found.module(), &variant.module) || !found.keep_function(variant.entry) {
            return Err(self.error(&spec, format!("{note}, which cannot be found"), None));
        }
        found.note(note);
        Ok(found)
    }

    /// The error for an unknown choice of the variant.
    fn unchosen(
        &self,
        spec: &ProbeSpec,
        found: Result<ProbeLocation, Diagnostic>,
        used: &[IfuncVariant],
    ) -> Result<ProbeLocation, Diagnostic> {
        let named = self.debug.variants_by_name(self.name);
        let covers = |found: &ProbeLocation| {
            Arc::ptr_eq(found.module(), self.module)
                && named.iter().all(|(entry, _)| found.has_function(*entry))
        };
        match found {
            // Debug information has all of them under the one name.
            Ok(mut found) if used.is_empty() && !named.is_empty() && covers(&found) => {
                found.note(format!(
                    "`{}` of {} has {} variants, and all are probed",
                    self.name,
                    self.module.file.name,
                    named.len()
                ));
                Ok(found)
            }
            _ => {
                let mut names: Vec<String> = match used {
                    [] => named.into_iter().map(|(_, name)| name).collect(),
                    used => used.iter().map(|variant| variant.name.clone()).collect(),
                };
                names.sort();
                names.truncate(MAX_NAMED);
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                let hint = (!names.is_empty()).then(|| format!("name one: {}", names.join(", ")));
                let state = match (used, &self.module.file.mappings[..]) {
                    ([], []) => "without a process the choice is unknown",
                    ([], _) => "it has not chosen one yet",
                    _ => "the process uses several",
                };
                let message = format!(
                    "the loader chooses one of several variants for `{}` of {}, and {state}",
                    self.name, self.module.file.name
                );
                Err(self.error(spec, message, hint))
            }
        }
    }

    fn error(&self, spec: &ProbeSpec, message: String, hint: Option<String>) -> Diagnostic {
        Diagnostic::at(&spec.location.span, message).maybe_hint(hint)
    }
}

/// The function that begins at a run address.
fn variant_at(modules: &Modules, address: RunAddr) -> Option<IfuncVariant> {
    let module = modules.holding(address)?;
    let entry = module.bias_at(address)?.link(address);
    let name = module.debug().ok()?.function_named_at(entry)?;
    Some(IfuncVariant {
        module: Arc::clone(module),
        entry,
        name: demangle(&name),
    })
}
