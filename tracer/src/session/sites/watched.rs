//! The place of a watched value: a static of a module, or the sites at which its object is found.

use std::sync::Arc;

use crate::base::address::LinkAddr;
use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::site::{ScopeKey, Site};
use crate::lang::ast::{Action, Expr, ExprKind, LocationKind, ProbeSpec, WatchAction};
use crate::session::sites::modules::{Modules, TargetModule};
use crate::session::sites::resolve::{Resolved, resolve, with_dwarf};

/// The sites of a watch, all in one module.
#[derive(Clone)]
pub(in crate::session) struct Watched {
    /// The module that has them.
    pub(in crate::session) module: Arc<TargetModule>,
    /// Never empty.
    pub(in crate::session) sites: Vec<WatchedSite>,
    /// Notes for the user.
    pub(in crate::session) notes: Vec<String>,
}

/// A site of a watch.
#[derive(Clone)]
pub(in crate::session) struct WatchedSite {
    pub(in crate::session) site: Site,
    pub(in crate::session) role: WatchRole,
}

/// The part that a site has in a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum WatchRole {
    /// It is the value itself. Its address is 0, so the value is found relative to the place of the module.
    Value,
    /// A hit finds the object, which is watched from there on.
    Finds,
    /// A hit ends the watch.
    Ends,
}

/// Finds the sites of a watch.
///
/// # Errors
/// No module has the value or the location, or several things fit what was typed.
pub(in crate::session) fn resolve_watched(
    modules: &Modules,
    spec: &ProbeSpec,
) -> Result<Watched, Diagnostic> {
    let Action::Watch(action) = &spec.action else {
        return Err(Diagnostic::new("the probe watches no value"));
    };
    if spec.location.kind == LocationKind::Memory {
        return resolve_static(modules, spec, action);
    }
    if action.module.is_some() {
        let error = Diagnostic::at(&action.value.span, "the module goes before the location");
        return Err(error.hint("write `watch VALUE at MODULE!LOCATION`"));
    }
    let Resolved {
        module,
        sites,
        mut notes,
    } = resolve(modules, &spec.location)?;
    let as_site = |role| move |site| WatchedSite { site, role };
    let mut all: Vec<WatchedSite> = sites.into_iter().map(as_site(WatchRole::Finds)).collect();
    if let Some(until) = &spec.until {
        let ends = resolve(modules, until)?;
        if !Arc::ptr_eq(&ends.module, &module) {
            let error = Diagnostic::at(
                &until.span,
                "the end of the watch is in another module than its beginning",
            );
            return Err(error.hint("name a place of the same file"));
        }
        notes.extend(ends.notes);
        all.extend(ends.sites.into_iter().map(as_site(WatchRole::Ends)));
    }
    Ok(Watched {
        module,
        sites: all,
        notes,
    })
}

/// Finds the module that has the first name of the value among its statics.
fn resolve_static(
    modules: &Modules,
    spec: &ProbeSpec,
    action: &WatchAction,
) -> Result<Watched, Diagnostic> {
    let value = &action.value;
    let Some(name) = first_name(value) else {
        let error = Diagnostic::at(&value.span, "this has no address");
        return Err(error.hint("watch a variable, a field or an element"));
    };
    let candidates = modules.named(action.module.as_deref());
    if candidates.is_empty() {
        let name = action.module.as_deref().unwrap_or_default();
        let error = Diagnostic::at(0..0, format!("the process has no module `{name}`"));
        return Err(error.hint(format!("it has {}", modules.names())));
    }
    for (module, debug) in with_dwarf(&candidates)? {
        let site = anchor();
        if debug.static_at(&site, name).is_some() {
            return Ok(Watched {
                module: Arc::clone(module),
                sites: vec![WatchedSite {
                    site,
                    role: WatchRole::Value,
                }],
                notes: Vec::new(),
            });
        }
        if let Err(error) = debug.require_budget() {
            return Err(Diagnostic::from(&error));
        }
    }
    let text = spec.text.get(value.span.clone()).unwrap_or(name);
    let error = Diagnostic::at(
        &value.span,
        format!("no static or global variable is named `{name}`"),
    );
    Err(error.hint(format!(
        "a variable of a function is watched from a place on where it is in scope: `watch {text} at FILE:LINE`"
    )))
}

/// The site of a value that belongs to no code.
fn anchor() -> Site {
    Site {
        address: LinkAddr(0),
        source: None,
        function: String::new(),
        scope: ScopeKey::default(),
        inlined_into: Vec::new(),
        exit: None,
        usdt: None,
    }
}

/// The variable that a value begins with: `list` of `(*list.head).next`.
pub(in crate::session) fn first_name(value: &Expr) -> Option<&str> {
    match &value.kind {
        ExprKind::Name { path, .. } => Some(path),
        _ => first_name(value.parts().into_iter().next()?),
    }
}
