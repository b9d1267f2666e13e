//! Names that may stand in a probe, for completion.

use std::collections::BTreeSet;

use crate::actions::parse_probe;
use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::names::{last_segment, without_generics};
use crate::debuginfo::site::Site;
use crate::debuginfo::variable::Variable;
use crate::lang::ast::ProbeSpec;
use crate::plan::members::{MemberName, members};
use crate::plan::{AddressBase, Limits, PlanInput};
use crate::session::VariableInfo;
use crate::session::sites::module_numbers::ModuleNumbers;
use crate::session::sites::modules::{Modules, TargetModule};
use crate::session::sites::own_modules::is_own_module;
use crate::session::sites::resolve::resolve;
use crate::sources::is_own_source;
use crate::value::redact::Redactor;

/// Front of the location of a USDT probe.
const USDT: &str = "usdt:";
/// The most functions that are named.
const FUNCTIONS: usize = 200;

impl Modules {
    /// The names that may stand at a location: variables, or the members of the expression `owner` if there is one.
    pub(in crate::session) fn names_at(
        &self,
        location: &str,
        owner: &str,
    ) -> Result<Vec<VariableInfo>, Diagnostic> {
        let condition = match owner.is_empty() {
            true => String::new(),
            false => format!(" if {owner}"),
        };
        let spec = parse_probe(&format!("log {location}{condition}"))?;
        let resolved = resolve(self, &spec.location)?;
        let Some(site) = resolved.sites.first() else {
            return Ok(Vec::new());
        };
        if owner.is_empty() {
            return self.at(&resolved.module, site);
        }
        let found = self.members(&resolved.module, site, &spec)?;
        let info = |member: MemberName| VariableInfo {
            name: member.name,
            ty: member.ty,
            kind: if member.is_method { "method" } else { "field" },
            place: String::new(),
            unavailable: None,
        };
        Ok(found.into_iter().map(info).collect())
    }

    /// The variables at a site: the arguments of its USDT probe, and the program's own.
    pub(in crate::session) fn names_of(
        &self,
        module: &TargetModule,
        site: &Site,
        numbers: Option<&ModuleNumbers>,
    ) -> Result<Vec<Variable>, Diagnostic> {
        let debug = module.debug().map_err(Diagnostic::new)?;
        let mut variables = debug.usdt_arguments(site);
        if !site.is_bare() {
            let own = debug.variables_in(site, &|| self.neighbours(module, numbers));
            variables.extend(own.map_err(|error| Diagnostic::from(&error))?);
        }
        Ok(variables)
    }

    /// The members of the value that the condition of a probe is.
    fn members(
        &self,
        module: &TargetModule,
        site: &Site,
        spec: &ProbeSpec,
    ) -> Result<Vec<MemberName>, Diagnostic> {
        let has_names = !site.is_bare() || site.usdt.is_some();
        let Some(owner) = spec.condition.as_ref().filter(|_| has_names) else {
            return Ok(Vec::new());
        };
        let debug = module.debug().map_err(Diagnostic::new)?;
        let neighbours = || self.neighbours(module, None);
        let variables = self.names_of(module, site, None)?;
        let input = PlanInput {
            source: &**debug,
            language: debug.language_of(site),
            base: AddressBase::Site(site.address),
            neighbours: &neighbours,
            tls: None,
            variables: &variables,
            statics: &|path| debug.static_at(site, path),
            types: &|name| debug.types_at(site, name),
            spec,
            limits: Limits::default(),
            shapes: module.shapes().map_err(Diagnostic::new)?,
            returned: None,
            redactor: &Redactor::default(),
            has_spans: false,
        };
        let found = members(&input, owner)?;
        debug
            .require_budget()
            .map_err(|error| Diagnostic::from(&error))?;
        Ok(found)
    }

    /// Locations of USDT probes that begin with `front`, the program's own first. A module's name
    /// with `!` may stand before.
    fn usdt_locations(&self, front: &str) -> Vec<String> {
        let (module, begin) = match front.rsplit_once('!') {
            Some((module, begin)) => (Some(module), begin),
            None => (None, front),
        };
        if !begin.starts_with(USDT) && !USDT.starts_with(begin) {
            return Vec::new();
        }
        let modules = self.named(module);
        let probes = modules.iter().filter_map(|module| module.debug().ok());
        let probes = probes.flat_map(|debug| debug.usdt_probes());
        let mut found: Vec<String> = Vec::new();
        for probe in probes {
            let location = probe.location();
            // A place of the same probe comes next to it.
            if location.starts_with(begin)
                && is_typed_plain(&location)
                && found.last() != Some(&location)
            {
                found.push(location);
            }
        }
        let whole = |location| match module {
            Some(module) => format!("{module}!{location}"),
            None => location,
        };
        found.into_iter().take(FUNCTIONS).map(whole).collect()
    }

    /// Names of functions whose last part begins with `front`, the program's own first, and locations of USDT probes
    /// that begin so.
    pub(in crate::session) fn function_names(&self, front: &str) -> Vec<String> {
        let mut own = BTreeSet::new();
        let mut others = BTreeSet::new();
        for module in self.all() {
            let Ok(debug) = module.debug() else {
                continue;
            };
            let Ok(functions) = debug.functions(None) else {
                continue;
            };
            let is_own = is_own_module(&module.file);
            for function in functions {
                let Some(name) = last_part(&function.name).filter(|name| name.starts_with(front))
                else {
                    continue;
                };
                let declared = function.declared.as_ref();
                if is_own && declared.is_some_and(|line| is_own_source(&line.file)) {
                    own.insert(name.to_owned());
                } else if others.len() < FUNCTIONS {
                    others.insert(name.to_owned());
                }
            }
        }
        let others: Vec<String> = others.difference(&own).cloned().collect();
        let usdt = self.usdt_locations(front).into_iter();
        let functions = own.into_iter().chain(others);
        usdt.chain(functions).take(FUNCTIONS).collect()
    }
}

/// Returns true if a location needs no quotes.
fn is_typed_plain(location: &str) -> bool {
    !location.contains(|c: char| c.is_whitespace() || c.is_control() || "\"'<>(){}".contains(c))
}

/// The last part of a function's path, if a probe can name it.
fn last_part(name: &str) -> Option<&str> {
    let last = without_generics(last_segment(name));
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    (!last.is_empty() && last.chars().all(is_name)).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_part_is_that_of_the_function_and_not_of_its_class() {
        for (name, last) in [
            ("main", Some("main")),
            ("shop::Shop::order", Some("order")),
            ("a::Stack<b::C>::push", Some("push")),
            ("a::push<b::C>", Some("push")),
            ("a::f::{closure#0}", None),
            ("operator<", None),
        ] {
            assert_eq!(last_part(name), last, "{name}");
        }
    }
}
