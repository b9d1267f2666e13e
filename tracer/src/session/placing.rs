//! Where the sites of a session's probes are attached: each at the cheapest place
//! that [`crate::plan::placement`] proves to be the same, as long as the events of
//! all probes stay in the order in which their lines run.
//!
//! For that, what is between a site and its place belongs to the probe alone: no
//! probe is carried to or past a site of another line, and no two sites that are
//! apart come together. Where all probes are known beforehand
//! ([`super::Session::announce`]) those are the sites that matter; else any line
//! may get a probe later, and no probe leaves its own.

use std::collections::HashMap;
use std::path::PathBuf;

use super::SiteChoice;
use super::modules::{Modules, TargetModule};
use super::patched;
use super::prepare::locate;
use super::refused::{self, Refusal};
use crate::address::{Bias, LinkAddr};
use crate::debuginfo::Module as DebugModule;
use crate::debuginfo::flow::Statement;
use crate::event::ProbeId;
use crate::kernel::kernel_release;
use crate::lang::ast::ProbeSpec;
use crate::plan::Plan;
use crate::plan::placement::{
    CodeMap, Needs, Obstacle, Placed, Rules, SiteKind, Stay, Unprobeable,
};

/// The first Linux that rewrites probed 5-byte nops, and that emulates all others.
const LINUX_6_18: (u32, u32) = (6, 18);

/// A site and where it is attached.
#[derive(Clone, Debug)]
struct Span {
    probe: ProbeId,
    file: PathBuf,
    site: LinkAddr,
    place: LinkAddr,
}

impl Span {
    /// Whether anything from behind `from` up to `to` belongs to it.
    fn meets(&self, from: LinkAddr, to: LinkAddr) -> bool {
        let (low, high) = (self.site.min(self.place), self.site.max(self.place));
        low <= to && from < high
    }
}

/// What is attached, and what will be.
#[derive(Debug)]
pub(super) struct Placing {
    choice: SiteChoice,
    /// The process that is probed; `None`: none yet.
    pid: Option<u32>,
    rewrites_nops: bool,
    calls: bool,
    /// The sites of all probes that there will be; `None`: any.
    announced: Option<HashMap<PathBuf, Vec<LinkAddr>>>,
    spans: Vec<Span>,
}

impl Placing {
    /// On this kernel, for a process, or for a file that none runs.
    pub(super) fn new(pid: Option<u32>, choice: SiteChoice) -> Self {
        let version = kernel_release();
        let status = pid.map(|pid| std::fs::read_to_string(format!("/proc/{pid}/status")));
        let status = status.and_then(Result::ok).unwrap_or_default();
        let shadow_stack = status
            .lines()
            .filter_map(|line| line.strip_prefix("x86_Thread_features:"))
            .any(|features| features.contains("shstk"));
        Self {
            choice,
            rewrites_nops: version >= LINUX_6_18,
            calls: !shadow_stack,
            pid,
            announced: None,
            spans: Vec::new(),
        }
    }

    /// Says which sites there will be.
    pub(super) fn announce(&mut self, sites: impl Iterator<Item = (PathBuf, LinkAddr)>) {
        let mut announced: HashMap<PathBuf, Vec<LinkAddr>> = HashMap::new();
        for (file, site) in sites {
            announced.entry(file).or_default().push(site);
        }
        self.announced = Some(announced);
    }

    /// Where a site is attached.
    ///
    /// # Errors
    /// Why it cannot be: what is there would harm the target, or confuse two probes.
    pub(super) fn place(
        &self,
        module: &TargetModule,
        bias: Bias,
        site: LinkAddr,
        plan: &Plan,
        own: &[LinkAddr],
    ) -> Result<Placed, Refusal> {
        let Ok(debug) = module.debug() else {
            return Err(Refusal::other("the module has no debug information".into()));
        };
        let others: Vec<&Span> = self
            .spans
            .iter()
            .filter(|span| span.file == module.file.path && span.site != site)
            .collect();
        let path = &module.file.path;
        let mut sites: Vec<LinkAddr> = own.to_vec();
        if let Some(all) = self.announced.as_ref().and_then(|all| all.get(path)) {
            sites.extend(all);
        }
        sites.retain(|other| *other != site);
        let line = self.announced.is_none().then(|| debug.statement_at(site));
        let stays_in_line =
            |from, to| line.is_none_or(|line| !begins_another(debug, line, from, to));
        let passable = |from: LinkAddr, to: LinkAddr| {
            !others.iter().any(|span| span.meets(from, to))
                && !sites.iter().any(|other| from < *other && *other <= to)
                && stays_in_line(from, to)
        };
        let free = |place: LinkAddr| {
            let taken = |span: &&Span| span.site == place || span.place == place;
            !others.iter().any(taken)
                && !sites.contains(&place)
                && stays_in_line(LinkAddr(place.0.wrapping_sub(1)), place)
        };
        let needs = match self.choice {
            SiteChoice::Cheapest => Needs::of(&plan.ops, plan.flags),
            SiteChoice::First => Needs::fixed(),
        };
        let rules = Rules {
            bias,
            calls: self.calls,
            rewrites_nops: self.rewrites_nops,
            passable: &passable,
            free: &free,
        };
        let placed = module.code().place(debug, site, &needs, &rules);
        if let Some(obstacle) = placed.refused {
            return Err(Refusal::of_instruction(debug, site, obstacle));
        }
        if let Some(span) = others.iter().find(|span| span.place == placed.address) {
            return Err(Refusal::other(format!(
                "at {} is probe {} of the line that begins at {}: events of the two would come out of order; remove it, or use `--site first`",
                placed.address, span.probe, span.site
            )));
        }
        self.check_memory(debug, bias, placed.address)?;
        Ok(placed)
    }

    /// Checks that the target's code at a place is that of its file: the kernel steps the file's.
    ///
    /// # Errors
    /// Something has changed it.
    pub(super) fn check_memory(
        &self,
        debug: &DebugModule,
        bias: Bias,
        place: LinkAddr,
    ) -> Result<(), Refusal> {
        match self.pid {
            Some(pid) => patched::check(pid, debug, bias, place).map_err(Refusal::other),
            None => Ok(()),
        }
    }

    /// A probe was attached.
    pub(super) fn add(
        &mut self,
        probe: ProbeId,
        module: &TargetModule,
        sites: impl Iterator<Item = (LinkAddr, LinkAddr)>,
    ) {
        self.spans.extend(sites.map(|(site, place)| Span {
            probe,
            file: module.file.path.clone(),
            site,
            place,
        }));
    }

    /// A probe is gone.
    pub(super) fn remove(&mut self, probe: ProbeId) {
        self.spans.retain(|span| span.probe != probe);
    }
}

/// Every site of some probes, with its file.
pub(super) fn announced<'p>(
    modules: &Modules,
    specs: impl Iterator<Item = &'p ProbeSpec>,
) -> impl Iterator<Item = (PathBuf, LinkAddr)> {
    specs
        .filter_map(|spec| locate(modules, spec).ok())
        .flat_map(|located| {
            let (module, sites) = located.addresses();
            let path = module.file.path.clone();
            sites.into_iter().map(move |site| (path.clone(), site))
        })
}

/// Whether a statement of another line than that one begins behind `from`, up to `to`.
fn begins_another(
    debug: &DebugModule,
    line: Option<Statement>,
    from: LinkAddr,
    to: LinkAddr,
) -> bool {
    let own = line.map(|line| (line.file, line.line));
    // `from` may be before the unit, whose lines would then not be found.
    debug
        .statements_between(LinkAddr(from.0.wrapping_add(1)), to)
        .iter()
        .filter(|row| row.line != 0)
        .any(|row| own != Some((row.file, row.line)))
}

/// Whether this kernel emulates nops of several bytes.
pub(super) fn emulates_nops() -> bool {
    kernel_release() >= LINUX_6_18
}

/// What a site costs, for lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteCost {
    /// At its first instruction.
    pub first: SiteKind,
    /// Where a probe that reads nothing would be, when that is another place.
    pub cheapest: Option<(LinkAddr, SiteKind)>,
    /// Why no probe would be anywhere else.
    pub stays: Option<Stay>,
    /// Why its first instruction cannot be probed. Without a `cheapest` there is no probe then.
    pub obstacle: Option<String>,
}

/// What the site at `address` costs.
pub(super) fn cost(map: &CodeMap, debug: &DebugModule, address: LinkAddr) -> SiteCost {
    let first = CodeMap::kind(debug, address, emulates_nops()).unwrap_or(SiteKind::TwoTraps);
    let line = debug.statement_at(address);
    let rules = Rules {
        bias: Bias(0),
        calls: true,
        rewrites_nops: emulates_nops(),
        passable: &|from, to| !begins_another(debug, line, from, to),
        free: &|place| !begins_another(debug, line, LinkAddr(place.0.wrapping_sub(1)), place),
    };
    let Placed {
        address: place,
        kind,
        stays,
        refused,
    } = map.place(debug, address, &Needs::nothing(), &rules);
    let obstacle = refused.or_else(|| Unprobeable::at(debug, address).map(Obstacle::from));
    SiteCost {
        first,
        cheapest: (place != address).then_some((place, kind)),
        stays,
        obstacle: obstacle.map(|obstacle| refused::sentence(debug, address, obstacle)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn span_meets_what_reaches_into_it() {
        let span = Span {
            probe: ProbeId(1),
            file: PathBuf::new(),
            site: LinkAddr(10),
            place: LinkAddr(20),
        };
        let meets = |from, to| span.meets(LinkAddr(from), LinkAddr(to));
        assert!(meets(12, 14) && meets(8, 10) && meets(19, 20) && meets(5, 30));
        assert!(!meets(20, 24) && !meets(4, 9));
    }
}
