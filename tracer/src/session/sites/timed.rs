//! Sites where `time` begins and ends: in pairs, each with the data that identifies its frame.

use std::sync::Arc;

use tracer_common::limits::MAX_GROUPS;

use crate::actions::TimedRole;
use crate::base::address::LinkAddr;
use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::Module as DebugModule;
use crate::debuginfo::control_flow::LoopBranch;
use crate::debuginfo::site::{InlinedInto, Site};
use crate::lang::ast::{Location, LocationKind, ProbeSpec};
use crate::plan::timing::{Frame, Moment, Passes, reads_at_begin};
use crate::session::sites::modules::{Modules, TargetModule};
use crate::session::sites::resolve::{Resolved, resolve};

/// Bytes from the stack pointer to the frame address where the return address is on top.
const RETURN_ADDRESS: u64 = 8;

/// A site of a probe that times.
#[derive(Clone, Debug)]
pub(in crate::session) struct TimedSite {
    pub(in crate::session) site: Site,
    pub(in crate::session) role: TimedRole,
}

/// The sites of a probe that times: ends first, and branches to an entry before that, so that none is
/// missed once the beginnings are attached.
#[derive(Clone)]
pub(in crate::session) struct Timed {
    /// The module that has them.
    pub(in crate::session) module: Arc<TargetModule>,
    pub(in crate::session) sites: Vec<TimedSite>,
    /// Notes for the user.
    pub(in crate::session) notes: Vec<String>,
}

/// Finds the sites where a probe's times begin and end.
///
/// # Errors
/// The input matches nothing, or calls and frames cannot be told apart there.
pub(in crate::session) fn resolve_timed(
    modules: &Modules,
    spec: &ProbeSpec,
) -> Result<Timed, Diagnostic> {
    match (&spec.until, &spec.location.kind) {
        (Some(until), _) => between(modules, &spec.location, until),
        (None, LocationKind::Function(name)) => function(modules, spec, name),
        (None, _) => Err(Diagnostic::at(
            &spec.location.span,
            "`time` needs a function or two locations",
        )
        .hint("`time handle_request`, `time db.rs:30..db.rs:52`")),
    }
}

fn wrong(location: &Location, message: String) -> Diagnostic {
    Diagnostic::at(&location.span, message)
}

fn debug_of<'m>(
    module: &'m TargetModule,
    location: &Location,
) -> Result<&'m Arc<DebugModule>, Diagnostic> {
    let debug = module.debug();
    debug.map_err(|error| wrong(location, error.to_string()))
}

/// From each call of a function to its return.
fn function(modules: &Modules, spec: &ProbeSpec, name: &str) -> Result<Timed, Diagnostic> {
    let location = &spec.location;
    // A trampoline runs when the return address has been taken from the stack.
    let (kind, above_end) = if spec.options.trampoline {
        (LocationKind::Trampoline(name.to_owned()), 0)
    } else {
        (LocationKind::Return(name.to_owned()), RETURN_ADDRESS)
    };
    let returns = Location {
        kind,
        ..location.clone()
    };
    let Resolved {
        module,
        sites: exits,
        mut notes,
    } = resolve(modules, &returns)?;
    let debug = debug_of(&module, location)?;
    let failed = |error: crate::debuginfo::SiteError| Diagnostic::from(error).about(&location.span);
    let is_bare = exits.iter().any(|site| site.is_bare());
    let (entries, starts) = if is_bare {
        (debug.bare_sites(name).map_err(failed)?, Vec::new())
    } else {
        (
            debug.entry_sites(name).map_err(failed)?,
            debug.function_sites(name).map_err(failed)?.sites,
        )
    };
    let copies = starts
        .iter()
        .filter(|site| !site.inlined_into.is_empty())
        .count();
    if copies > 0 {
        notes.push(format!(
            "{copies} inlined {} of `{name}` not timed",
            if copies == 1 { "copy is" } else { "copies are" }
        ));
    }
    let mut sites: Vec<TimedSite> = exits
        .into_iter()
        .map(|site| TimedSite {
            site,
            role: TimedRole::End {
                moment: above(above_end),
            },
        })
        .collect();
    for entry in entries {
        begins(debug, spec, entry, &starts, &mut sites)?;
    }
    Ok(Timed {
        module,
        sites,
        notes,
    })
}

const fn above(bytes: u64) -> Moment {
    Moment {
        frame: Frame::Above(bytes),
        group: 0,
    }
}

/// The sites at which a call of the function at `entry` begins.
///
/// The time of a call begins at the first instruction. If parameters reach the places in the debug
/// information only in the prologue, it begins after the prologue. If the first instruction is the
/// head of a loop, the branches to it tell its turns from calls.
fn begins(
    debug: &DebugModule,
    spec: &ProbeSpec,
    entry: Site,
    starts: &[Site],
    sites: &mut Vec<TimedSite>,
) -> Result<(), Diagnostic> {
    let address = entry.address;
    let turns = turns(debug, spec, &entry)?;
    let passes = if turns.is_empty() {
        Passes::Calls
    } else {
        Passes::NoTurns
    };
    sites.extend(turns);
    let of_this = |site: &&Site| {
        site.inlined_into.is_empty()
            && debug
                .function_code_at(site.address)
                .is_some_and(|code| code.entry == address)
    };
    let start = starts
        .iter()
        .find(of_this)
        .filter(|start| reads_at_begin(spec) && start.address != address);
    let Some(start) = start else {
        sites.push(TimedSite {
            site: entry,
            role: TimedRole::Begin {
                moment: above(RETURN_ADDRESS),
                passes,
            },
        });
        return Ok(());
    };
    let frame = debug.cfa_at(start.address).map_err(|why| {
        let message = format!("the frame of `{}` is not known: {why}", entry.function);
        wrong(&spec.location, message)
    })?;
    let comes_back = debug.leads_back(address, start.address, address..=start.address);
    let again = comes_back != Some(false) || passes == Passes::NoTurns;
    sites.push(TimedSite {
        site: start.clone(),
        role: TimedRole::Begin {
            moment: Moment {
                frame: Frame::Cfa(frame),
                group: 0,
            },
            passes: if again { Passes::First } else { Passes::Calls },
        },
    });
    if again {
        sites.push(TimedSite {
            site: entry,
            role: TimedRole::Guard {
                moment: above(RETURN_ADDRESS),
                of_call: Some(passes),
            },
        });
    }
    Ok(())
}

/// The branches of a function to its first instruction.
fn turns(
    debug: &DebugModule,
    spec: &ProbeSpec,
    entry: &Site,
) -> Result<Vec<TimedSite>, Diagnostic> {
    let refused = |why: String| {
        let message = format!(
            "calls of `{}` cannot be told apart from iterations of a loop: {why}",
            entry.function
        );
        wrong(&spec.location, message)
            .hint("`time FILE:LINE..FILE:LINE` takes the time between two of its lines")
    };
    let turns = debug.turns(entry.address).map_err(refused)?;
    if spec.options.trampoline && !turns.is_empty() {
        return Err(refused(
            "it begins with a loop, and each iteration would be a call to the return trampoline"
                .into(),
        ));
    }
    let site = |turn: LoopBranch| {
        let site = debug.site_at(turn.address).ok_or_else(|| {
            refused(format!(
                "the target of the jump at {} is unknown",
                turn.address
            ))
        })?;
        let condition = turn.condition;
        Ok(timed(site, TimedRole::Turn { condition }))
    };
    turns.into_iter().map(site).collect()
}

/// The copy of a function's code that contains a site.
#[derive(PartialEq)]
struct Copy {
    /// Entry of the function with code of its own.
    outer: LinkAddr,
    /// The function and its inlined calls, innermost first. `None` for any.
    chain: Option<(String, Vec<InlinedInto>)>,
}

/// From each pass of one place to the next one of another, in the same frame.
fn between(modules: &Modules, from: &Location, to: &Location) -> Result<Timed, Diagnostic> {
    let first = resolve(modules, from)?;
    let second = resolve(modules, to)?;
    let module = first.module;
    if module.file.path != second.module.file.path {
        let message = "the two locations are in different modules".to_owned();
        return Err(wrong(to, message));
    }
    let mut notes = first.notes;
    notes.extend(second.notes);
    let debug = debug_of(&module, from)?;
    let located = |sites: Vec<Site>, whole: bool| -> Vec<(Copy, Site)> {
        let copy = |site: Site| {
            let outer = debug.function_code_at(site.address)?.entry;
            let chain = whole.then(|| (site.function.clone(), site.inlined_into.clone()));
            Some((Copy { outer, chain }, site))
        };
        sites.into_iter().filter_map(copy).collect()
    };
    // If both are in one function, its copies are told apart. Otherwise they share an outer
    // function.
    let same = first.sites.iter().any(|one| {
        second
            .sites
            .iter()
            .any(|other| one.function == other.function)
    });
    let begins = located(first.sites, same);
    let ends = located(second.sites, same);
    let pairs = SitePairs { begins, ends };
    let sites = pairs.sites(debug, &mut notes);
    if sites.is_empty() {
        let error = wrong(to, "no function contains both locations".into());
        return Err(error.hint("both locations of a time must be in one function"));
    }
    if let Some(both) = both_at_once(&sites) {
        return Err(wrong(to, format!("it would start and end at {both}")));
    }
    Ok(Timed {
        module,
        sites,
        notes,
    })
}

/// An instruction where the time both begins and ends.
fn both_at_once(sites: &[TimedSite]) -> Option<LinkAddr> {
    let at = |wanted: fn(&TimedRole) -> bool| {
        sites
            .iter()
            .filter(move |site| wanted(&site.role))
            .map(|site| site.site.address)
    };
    let begins: Vec<LinkAddr> = at(|role| matches!(role, TimedRole::Begin { .. })).collect();
    at(|role| matches!(role, TimedRole::End { .. })).find(|end| begins.contains(end))
}

/// Sites where the time begins, and ends, by copy.
struct SitePairs {
    begins: Vec<(Copy, Site)>,
    ends: Vec<(Copy, Site)>,
}

impl SitePairs {
    /// The sites whose copies have both: ends first, then beginnings, then their guards.
    fn sites(&self, debug: &DebugModule, notes: &mut Vec<String>) -> Vec<TimedSite> {
        let mut copies: Vec<&Copy> = Vec::new();
        for (copy, _) in &self.begins {
            if !copies.contains(&copy) && self.ends.iter().any(|(end, _)| end == copy) {
                copies.push(copy);
            }
        }
        let (mut ends, mut begins, mut guards) = (Vec::new(), Vec::new(), Vec::new());
        let mut guarded: Vec<LinkAddr> = Vec::new();
        let mut left_out = 0;
        for (index, copy) in copies.iter().enumerate() {
            // Groups are counted in each function of its own: other functions have other frames.
            let group = copies
                .iter()
                .take(index)
                .filter(|other| other.outer == copy.outer)
                .count();
            let Some(group) = u32::try_from(group)
                .ok()
                .filter(|&group| group < MAX_GROUPS)
            else {
                left_out += 1;
                continue;
            };
            let of = |sites: &[(Copy, Site)]| -> Vec<Site> {
                let mine = sites.iter().filter(|(other, _)| other == *copy);
                mine.map(|(_, site)| site.clone()).collect()
            };
            let mut unknown = |site: &Site, why: &crate::base::unavailable::Unavailable| {
                notes.push(format!("left out {}: {why}", site.address));
            };
            let moment = |site: &Site| {
                debug.cfa_at(site.address).map(|frame| Moment {
                    frame: Frame::Cfa(frame),
                    group,
                })
            };
            let starts: Vec<LinkAddr> = of(&self.begins).iter().map(|site| site.address).collect();
            for site in of(&self.ends) {
                let certain = debug.always_passes(&starts, site.address);
                if !certain && !guarded.contains(&copy.outer) {
                    guarded.push(copy.outer);
                }
                match moment(&site) {
                    Ok(moment) => ends.push(timed(site, TimedRole::End { moment })),
                    Err(why) => unknown(&site, &why),
                }
            }
            for site in of(&self.begins) {
                match moment(&site) {
                    Ok(moment) => {
                        let passes = Passes::Calls;
                        begins.push(timed(site, TimedRole::Begin { moment, passes }));
                    }
                    Err(why) => unknown(&site, &why),
                }
            }
        }
        for outer in guarded {
            if let Some(site) = debug.site_at(outer) {
                let moment = Moment {
                    frame: Frame::Above(RETURN_ADDRESS),
                    group: MAX_GROUPS - 1,
                };
                let of_call = None;
                guards.push(timed(site, TimedRole::Guard { moment, of_call }));
            }
        }
        let alone = |sites: &[(Copy, Site)], others: &[(Copy, Site)]| {
            let has = |copy: &Copy| others.iter().any(|(other, _)| other == copy);
            sites.iter().filter(|(copy, _)| !has(copy)).count()
        };
        left_out += alone(&self.begins, &self.ends) + alone(&self.ends, &self.begins);
        if left_out > 0 && !ends.is_empty() {
            notes.push(format!(
                "left out {left_out} sites without a counterpart in the same copy of the function"
            ));
        }
        if begins.is_empty() || ends.is_empty() {
            return Vec::new();
        }
        ends.into_iter().chain(begins).chain(guards).collect()
    }
}

const fn timed(site: Site, role: TimedRole) -> TimedSite {
    TimedSite { site, role }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::actions::parse_probe;

    const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/e2e_turns.c");

    fn module() -> DebugModule {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("turns");
        let status = Command::new("cc")
            .args([
                "-g",
                "-O2",
                "-fcf-protection=none",
                "-pthread",
                SOURCE,
                "-o",
            ])
            .arg(&path)
            .status();
        assert!(status.expect("the compiler runs").success());
        DebugModule::open(&path).expect("opens")
    }

    /// The roles of the sites at which calls of a function begin, or the reason why there are none.
    fn roles(debug: &DebugModule, function: &str) -> Result<Vec<TimedRole>, String> {
        let spec = parse_probe(&format!("time {function}")).expect("a probe");
        let [entry] = &debug.entry_sites(function).expect("it is there")[..] else {
            panic!("one {function}");
        };
        let starts = debug.function_sites(function).expect("it is there").sites;
        let mut sites = Vec::new();
        begins(debug, &spec, entry.clone(), &starts, &mut sites).map_err(|error| error.message)?;
        Ok(sites.into_iter().map(|site| site.role).collect())
    }

    #[test]
    fn branches_to_an_entry_are_sites_before_it_with_their_conditions() {
        let debug = module();
        for (function, expected) in [
            ("turn", Some(15)),
            ("tail", None),
            ("until", Some(4)),
            ("if_o", Some(0)),
            ("if_be", Some(6)),
            ("if_np", Some(11)),
        ] {
            let roles = roles(&debug, function).expect("it can be timed");
            let [
                TimedRole::Turn { condition },
                TimedRole::Begin { passes, .. },
            ] = roles[..]
            else {
                panic!("{function}: {roles:?}");
            };
            assert_eq!(
                (condition, passes),
                (expected, Passes::NoTurns),
                "{function}"
            );
        }
    }

    #[test]
    fn entry_without_branches_to_it_begins_at_each_pass() {
        let roles = roles(&module(), "leave").expect("it can be timed");
        assert!(
            matches!(
                roles[..],
                [TimedRole::Begin {
                    passes: Passes::Calls,
                    ..
                }]
            ),
            "{roles:?}"
        );
    }

    #[test]
    fn branch_that_goes_by_a_register_is_refused() {
        let why = roles(&module(), "counted").expect_err("not by flags");
        assert!(why.contains("has no condition of flags"), "{why}");
    }
}
