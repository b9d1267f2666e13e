//! From the location that the user typed to sites in the target's modules.

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::base::address::LinkAddr;
use crate::base::diagnostic::Diagnostic;
use crate::base::suggestions::near_names;
use crate::debuginfo::site::{FileId, Site, Sites};
use crate::debuginfo::{Module as DebugModule, SiteError, UsdtSites};
use crate::lang::ast::{Location, LocationKind};
use crate::session::sites::modules::{Modules, TargetModule};

/// Candidates that an ambiguous file name lists.
const MAX_CANDIDATES: usize = 8;

/// Sites of a location, all in one module.
#[derive(Clone)]
pub(in crate::session) struct Resolved {
    /// The module that has them.
    pub(in crate::session) module: Arc<TargetModule>,
    /// Never empty.
    pub(in crate::session) sites: Vec<Site>,
    /// Notes for the user: the line was moved.
    pub(in crate::session) notes: Vec<String>,
}

/// Finds the sites of `location`: in the executable first, then in the other modules.
///
/// # Errors
/// The input matches nothing, or more than one thing.
pub(in crate::session) fn resolve(
    modules: &Modules,
    location: &Location,
) -> Result<Resolved, Diagnostic> {
    let candidates = modules.named(location.module.as_deref());
    if candidates.is_empty() {
        let name = location.module.as_deref().unwrap_or_default();
        return Err(Diagnostic::at(
            &location.span,
            format!("the process has no module `{name}`"),
        )
        .hint(format!("it has {}", modules.names())));
    }
    let result = match &location.kind {
        LocationKind::Line { file, line } => line_sites(&candidates, file, *line),
        LocationKind::Function(name) => {
            named_sites(&candidates, name, |debug, known| match known {
                KnownFile::Described => debug.function_sites(name).map(|sites| sites.sites),
                KnownFile::Bare => debug.bare_sites(name),
            })
        }
        LocationKind::Return(name) => named_sites(&candidates, name, |debug, known| match known {
            KnownFile::Described => debug.return_sites(name),
            KnownFile::Bare => debug.bare_return_sites(name),
        }),
        LocationKind::Trampoline(name) => {
            named_sites(&candidates, name, |debug, known| match known {
                KnownFile::Described => debug.trampoline_sites(name),
                KnownFile::Bare => debug.bare_trampoline_sites(name),
            })
        }
        LocationKind::Address(address) => address_sites(&candidates, LinkAddr(*address)),
        LocationKind::Usdt { provider, name } => usdt_sites(&candidates, provider, name),
        LocationKind::Memory => Err(Diagnostic::new("a value in memory has no code of its own")),
    };
    result.map_err(|fault| Diagnostic::at(&location.span, fault.message).maybe_hint(fault.hint))
}

impl From<SiteError> for Diagnostic {
    fn from(error: SiteError) -> Self {
        Self::new(&error).maybe_hint(error.hint())
    }
}

/// A module and its debug information.
pub(in crate::session) type WithDwarf<'a> = (&'a Arc<TargetModule>, &'a Arc<DebugModule>);

/// The modules with DWARF, or the reason why there is none.
pub(in crate::session) fn with_dwarf<'a>(
    candidates: &[&'a Arc<TargetModule>],
) -> Result<Vec<WithDwarf<'a>>, Diagnostic> {
    let mut first_fault = None;
    let mut found = Vec::new();
    for &module in candidates {
        match module.debug() {
            Ok(debug) => match debug.require_dwarf() {
                Ok(()) => found.push((module, debug)),
                Err(error) => {
                    first_fault.get_or_insert_with(|| Diagnostic::from(&error));
                }
            },
            Err(error) => {
                first_fault.get_or_insert_with(|| Diagnostic::from(&**error));
            }
        }
    }
    match first_fault {
        Some(fault) if found.is_empty() => Err(fault),
        _ => Ok(found),
    }
}

/// The one file whose path ends with `suffix`, in the first module that has such a file.
pub(in crate::session) fn file_of(
    modules: &Modules,
    suffix: &str,
) -> Result<(Arc<TargetModule>, Arc<PathBuf>), Diagnostic> {
    let candidates = modules.named(None);
    let mut refused = None;
    for &candidate in &candidates {
        let Ok(debug) = candidate.debug() else {
            continue;
        };
        let files = debug.find_files(suffix);
        if let Err(error) = debug.require_budget() {
            refused.get_or_insert(error);
            continue;
        }
        match files.as_slice() {
            [] => {}
            [id] => {
                if let Some(file) = debug.source_file(*id) {
                    return Ok((Arc::clone(candidate), Arc::clone(&file.path)));
                }
            }
            several => return Err(ambiguous(debug, several.iter().copied(), suffix)),
        }
    }
    let fault = refused.map(|error| Diagnostic::from(&error));
    Err(fault.unwrap_or_else(|| no_file(&candidates, suffix)))
}

fn line_sites(
    candidates: &[&Arc<TargetModule>],
    file: &str,
    line: u64,
) -> Result<Resolved, Diagnostic> {
    // One module after the other: the executable nearly always has it, and the
    // others need not be opened then.
    let mut refused = None;
    for &candidate in candidates {
        let Ok(debug) = candidate.debug() else {
            continue;
        };
        let files = debug.find_files(file);
        if let Err(error) = debug.require_budget() {
            // It may have the file, and so may another module.
            refused.get_or_insert(error);
            continue;
        }
        let id = match files.as_slice() {
            [] => continue,
            [id] => *id,
            several => with_line(debug, several, line, file)?,
        };
        let Sites { sites, moved_from } = debug.sites(id, line)?;
        if moved_from.is_some() && candidate.has_no_statement(debug, id, line) {
            return Err(no_code(debug, id, line));
        }
        let notes = moved(line, moved_from.is_some(), &sites).into_iter();
        let notes = notes.chain(folded(debug, &sites)).collect();
        return Ok(Resolved {
            module: Arc::clone(candidate),
            sites,
            notes,
        });
    }
    let fault = refused.map(|error| Diagnostic::from(&error));
    Err(fault.unwrap_or_else(|| no_file(candidates, file)))
}

/// Notes on sites in functions that a linker folded into one.
fn folded(debug: &DebugModule, sites: &[Site]) -> Vec<String> {
    let mut notes = Vec::new();
    for site in sites.iter().take(MAX_CANDIDATES) {
        let others = debug.folded_with(site);
        if others.is_empty() {
            continue;
        }
        let outermost = site.inlined_into.last();
        let own = outermost.map_or(&site.function, |outer| &outer.function);
        let others: Vec<String> = others.iter().map(|name| format!("`{name}`")).collect();
        let note = format!(
            "the linker merged `{own}` and {}: hits of all of them are seen, with the names of `{own}`",
            others.join(", ")
        );
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    notes
}

/// The note on sites that are on another line than the requested one.
fn moved(line: u64, no_row: bool, sites: &[Site]) -> Option<String> {
    let mut lines = sites
        .iter()
        .filter_map(|site| Some(site.source.as_ref()?.line));
    let to = lines.find(|to| *to != line)?;
    Some(if no_row {
        format!("line {line} has no code of its own; the probe is on line {to}")
    } else {
        format!("line {line} starts a function; the probe is after its prologue, on line {to}")
    })
}

/// A line that has no code, with the nearest that have.
fn no_code(debug: &DebugModule, id: FileId, line: u64) -> Diagnostic {
    let nearest = debug.lines(id).map(|lines| {
        let before = lines.range(..line).next_back().map(|(line, _)| *line);
        let after = lines.range(line..).next().map(|(line, _)| *line);
        before.into_iter().chain(after).collect()
    });
    Diagnostic::from(SiteError::NoCode {
        file: debug
            .source_file(id)
            .map(|file| Arc::clone(&file.path))
            .unwrap_or_default(),
        line,
        nearest: nearest.unwrap_or_default(),
    })
}

/// The only file of several matching ones that has code for the line.
fn with_line(
    debug: &DebugModule,
    files: &[FileId],
    line: u64,
    typed: &str,
) -> Result<FileId, Diagnostic> {
    let has_line = |&&id: &&FileId| debug.lines(id).is_ok_and(|lines| lines.contains_key(&line));
    let with_code: Vec<&FileId> = files.iter().filter(has_line).collect();
    match with_code.as_slice() {
        [id] => return Ok(**id),
        [] => {}
        _ => return Err(ambiguous(debug, with_code.iter().map(|id| **id), typed)),
    }
    Err(ambiguous(debug, files.iter().copied(), typed))
}

fn ambiguous(debug: &DebugModule, files: impl Iterator<Item = FileId>, typed: &str) -> Diagnostic {
    let paths: Vec<String> = files
        .filter_map(|id| debug.source_file(id))
        .map(|file| format!("`{}`", file.path.display()))
        .collect();
    let shown = paths
        .iter()
        .take(MAX_CANDIDATES)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    let more = if paths.len() > MAX_CANDIDATES {
        ", …"
    } else {
        ""
    };
    Diagnostic::new(format!("`{typed}` names {} files", paths.len()))
        .hint(format!("write more of its path: {shown}{more}"))
}

fn no_file(candidates: &[&Arc<TargetModule>], file: &str) -> Diagnostic {
    let found = match with_dwarf(candidates) {
        Ok(found) => found,
        Err(fault) => return fault,
    };
    let names: Vec<String> = found
        .iter()
        .flat_map(|(_, debug)| debug.source_files())
        .filter_map(|file| Some(file.path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    // The usual reason, and the one that the user can do something about.
    if let Some((name, fault)) = program_without_dwarf(candidates) {
        let message = format!("{}, so `{file}` cannot be found in `{name}`", fault.message);
        return Diagnostic::new(message).maybe_hint(fault.hint);
    }
    let typed = file.rsplit('/').next().unwrap_or(file);
    let mut near = near_names(typed, names.iter().map(String::as_str));
    near.dedup();
    // The file is there, in another directory.
    let same = near.first().is_some_and(|first| first == typed);
    near.truncate(if same { 1 } else { 3 });
    let near: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    let hint = match near.as_slice() {
        [] => "`tracer lines --pid PID` lists the files that have code".to_owned(),
        _ => format!("did you mean {}?", near.join(" or ")),
    };
    Diagnostic::new(format!("no debug information names a file `{file}`")).hint(hint)
}

/// The name of the program among the modules, and why its lines are not known, where they are not.
pub(in crate::session) fn program_without_dwarf(
    candidates: &[&Arc<TargetModule>],
) -> Option<(String, Diagnostic)> {
    let program = candidates.iter().find(|module| module.file.main)?;
    let fault = match program.debug() {
        Ok(debug) => Diagnostic::from(&debug.require_dwarf().err()?),
        Err(error) => Diagnostic::from(&**error),
    };
    Some((program.file.name.clone(), fault))
}

/// The key by which a function is looked up.
#[derive(Clone, Copy)]
enum KnownFile {
    /// Debug information.
    Described,
    /// A symbol alone.
    Bare,
}

/// The sites of a function, in the first module whose debug information has it. If there is none,
/// in the first module that has a symbol of that name.
fn named_sites(
    candidates: &[&Arc<TargetModule>],
    name: &str,
    find: impl Fn(&DebugModule, KnownFile) -> Result<Vec<Site>, SiteError>,
) -> Result<Resolved, Diagnostic> {
    let (mut first_fault, mut refused) = (None, None);
    let described = with_dwarf(candidates).unwrap_or_else(|fault| {
        first_fault = Some(fault);
        Vec::new()
    });
    for (module, debug) in described {
        match find(debug, KnownFile::Described) {
            Ok(sites) => {
                let module = Arc::clone(module);
                let notes = folded(debug, &sites);
                return Ok(Resolved {
                    module,
                    sites,
                    notes,
                });
            }
            // An existing function that cannot be probed makes a better error than a missing one
            // elsewhere.
            Err(error @ SiteError::Returns { .. }) => {
                refused.get_or_insert_with(|| Diagnostic::from(error));
            }
            Err(error) => {
                // The executable's near names fit best.
                first_fault.get_or_insert_with(|| Diagnostic::from(error));
            }
        }
    }
    if refused.is_none() {
        for &module in candidates {
            let Ok(debug) = module.debug() else {
                continue;
            };
            match find(debug, KnownFile::Bare) {
                Ok(_) if module.refusal().is_some() => {
                    // The debug information of this module may or may not have it.
                    first_fault = first_fault.or(module.refusal().as_ref().map(Diagnostic::from));
                }
                Ok(sites) => {
                    let note = format!(
                        "`{name}` of {} has no debug information: probed by its symbol, without \
                         lines and variables",
                        module.file.name
                    );
                    return Ok(Resolved {
                        module: Arc::clone(module),
                        sites,
                        notes: vec![note],
                    });
                }
                Err(error @ SiteError::Returns { .. }) => {
                    refused.get_or_insert_with(|| Diagnostic::from(error));
                }
                // The reason for missing debug information makes a better error.
                Err(_) => {}
            }
        }
    }
    if let Some(refused) = refused {
        return Err(refused);
    }
    if let Some((program, fault)) = program_without_dwarf(candidates) {
        let message = format!("no symbol is named `{name}`, and {}", fault.message);
        let known = format!(
            "`tracer funcs --pid PID` lists the functions of `{program}` that have symbols"
        );
        let hint = fault
            .hint
            .map_or_else(|| known.clone(), |hint| format!("{hint}; {known}"));
        return Err(Diagnostic::new(message).hint(hint));
    }
    Err(first_fault.unwrap_or_else(|| Diagnostic::new(format!("no function `{name}`"))))
}

/// The sites of a USDT probe, in the first module that has one of the name.
fn usdt_sites(
    candidates: &[&Arc<TargetModule>],
    provider: &str,
    name: &str,
) -> Result<Resolved, Diagnostic> {
    let (mut refused, mut found) = (None, None::<Resolved>);
    let mut also = Vec::new();
    for &module in candidates {
        let Ok(debug) = module.debug() else {
            continue;
        };
        match debug.usdt_sites(provider, name) {
            Ok(_) if found.is_some() => also.push(format!("`{}`", module.file.name)),
            Ok(UsdtSites { sites, left_out }) => {
                let mut notes = Vec::new();
                if let Some(first) = left_out.first() {
                    notes.push(format!(
                        "left out {} of {} notes on the probe: no nop begins at {first}",
                        left_out.len(),
                        left_out.len() + sites.len()
                    ));
                }
                found = Some(Resolved {
                    module: Arc::clone(module),
                    sites,
                    notes,
                });
            }
            Err(SiteError::NoUsdtProbe) => {}
            Err(error) => {
                refused.get_or_insert_with(|| Diagnostic::from(error));
            }
        }
    }
    if let Some(mut found) = found {
        if !also.is_empty() {
            also.truncate(MAX_CANDIDATES);
            found.notes.push(format!(
                "the probe of `{}` is meant; {} has one of this name too: `MODULE!usdt:{provider}:{name}`",
                found.module.file.name,
                also.join(", ")
            ));
        }
        return Ok(found);
    }
    Err(refused.unwrap_or_else(|| no_usdt_probe(candidates, provider, name)))
}

/// The error for a USDT probe that no module has.
fn no_usdt_probe(candidates: &[&Arc<TargetModule>], provider: &str, name: &str) -> Diagnostic {
    let typed = format!("usdt:{provider}:{name}");
    let mut names = BTreeSet::new();
    for module in candidates {
        let probes = module.debug().map_or(&[][..], |debug| debug.usdt_probes());
        names.extend(probes.iter().map(|probe| probe.location()));
    }
    let error = Diagnostic::new(format!("no module has the USDT probe `{typed}`"));
    if names.is_empty() {
        return error.hint("none of the modules here has any USDT probe");
    }
    let near = near_names(&typed, names.iter().map(String::as_str));
    let near: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    error.hint(match near.as_slice() {
        [] => "`tracer funcs --pid PID usdt:` lists those of the process".to_owned(),
        _ => format!("did you mean {}?", near.join(" or ")),
    })
}

/// The site at an address: of the first module that has code there, the program before its libraries. Another
/// module's code at the same number has nothing to do with the one that the user has seen.
fn address_sites(
    candidates: &[&Arc<TargetModule>],
    address: LinkAddr,
) -> Result<Resolved, Diagnostic> {
    let mut is_taken = false;
    for &module in candidates {
        let Ok(debug) = module.debug() else {
            continue;
        };
        let described = || debug.site_at(address).filter(|_| debug.is_row(address));
        let found = described().or_else(|| debug.bare_site_at(address));
        if is_taken {
            if found.is_some() {
                let name = &module.file.name;
                let error = format!("{address} is not the start of a statement");
                let hint = format!("`{name}!{address}` is one in another module");
                return Err(Diagnostic::new(error).hint(hint));
            }
            continue;
        }
        if let Some(site) = found {
            let sites = vec![site];
            let mut notes = folded(debug, &sites);
            if candidates.len() > 1 && !module.file.main {
                notes.push(format!("{address} is code of `{}`", module.file.name));
            }
            return Ok(Resolved {
                module: Arc::clone(module),
                sites,
                notes,
            });
        }
        is_taken = debug.is_code(address);
    }
    if let Some(error) = candidates.iter().find_map(|module| module.refusal()) {
        return Err(Diagnostic::from(&error));
    }
    with_dwarf(candidates)?;
    // Only rows of the line table are known to be the first byte of an instruction.
    Err(
        Diagnostic::new(format!("{address} is not the start of a statement"))
            .hint("`tracer lines` lists the addresses that can be probed"),
    )
}

/// The message for a split debug file that is not there.
pub(in crate::session) fn missing_split(file: &Path) -> String {
    format!("the split debug file `{}` is missing", file.display())
}
