//! Chooses the instructions at which a session's probes are attached. Each probe gets the cheapest
//! place that [`crate::placement`] proves equivalent, as long as the events of all probes stay in
//! the order in which their lines run.
//!
//! For that, the code between a site and its place belongs to the probe alone: no probe is carried
//! to or past a site of another line, and no two separate sites come together. If all probes are
//! known beforehand ([`crate::session::Session::announce`]), only their sites matter. Otherwise any line may
//! get a probe later, and no probe leaves its own line.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::path::PathBuf;

use crate::base::address::{Bias, LinkAddr};
use crate::debuginfo::Module as DebugModule;
use crate::debuginfo::function_code::Statement;
use crate::event::ProbeId;
use crate::kernel::kernel_release;
use crate::placement::{
    CodeMap, Needs, Obstacle, PlacementRules, ProbePlacement, SiteKind, StayReason, unprobeable_at,
};
use crate::plan::Plan;
use crate::session::SiteChoice;
use crate::session::prepare::refusal::{self, SitePlace, SiteRefusal};
use crate::session::sites::modules::TargetModule;
use crate::session::sites::patched;

/// The first Linux that rewrites probed 5-byte nops, and that emulates all others.
const LINUX_6_18: (u32, u32) = (6, 18);

/// A site and where it is attached.
#[derive(Clone, Debug)]
struct PlacedSpan {
    probe: ProbeId,
    site: LinkAddr,
    place: LinkAddr,
}

impl PlacedSpan {
    fn low(&self) -> LinkAddr {
        self.site.min(self.place)
    }

    fn high(&self) -> LinkAddr {
        self.site.max(self.place)
    }

    /// Returns true if any code after `from` up to `to` belongs to it.
    fn meets(&self, from: LinkAddr, to: LinkAddr) -> bool {
        self.low() <= to && from < self.high()
    }
}

/// The spans in one file. There may be thousands of them, and each site looks for those near it.
#[derive(Clone, Debug, Default)]
struct FileSpans {
    /// By their lower ends.
    spans: BTreeMap<LinkAddr, Vec<PlacedSpan>>,
    /// No span is longer, in bytes.
    longest: u64,
}

impl FileSpans {
    fn add(&mut self, span: PlacedSpan) {
        self.longest = self.longest.max(span.high().0 - span.low().0);
        self.spans.entry(span.low()).or_default().push(span);
    }

    fn remove(&mut self, probe: ProbeId) {
        self.spans.retain(|_, spans| {
            spans.retain(|span| span.probe != probe);
            !spans.is_empty()
        });
    }

    /// Returns all spans with code at `from` to `to`, and maybe others.
    fn near(&self, from: LinkAddr, to: LinkAddr) -> impl Iterator<Item = &PlacedSpan> {
        let first = LinkAddr(from.0.saturating_sub(self.longest));
        // A range must not end before it starts.
        let spans = self.spans.range(first..=to.max(first));
        spans.flat_map(|(_, spans)| spans)
    }
}

/// The attached places, and the announced ones.
#[derive(Clone, Debug)]
pub(in crate::session) struct SitePlacer {
    choice: SiteChoice,
    /// The probed process. `None` if there is none yet.
    pid: Option<u32>,
    rewrites_nops: bool,
    calls: bool,
    /// The sites of all future probes. `None` if they may be anywhere.
    announced: Option<HashMap<PathBuf, BTreeSet<LinkAddr>>>,
    spans: HashMap<PathBuf, FileSpans>,
}

impl SitePlacer {
    /// On this kernel, for a process, or for a file that none runs.
    pub(in crate::session) fn new(pid: Option<u32>, choice: SiteChoice) -> Self {
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
            spans: HashMap::new(),
        }
    }

    /// Announces the sites of all future probes.
    pub(in crate::session) fn announce(
        &mut self,
        sites: impl Iterator<Item = (PathBuf, LinkAddr)>,
    ) {
        let mut announced: HashMap<PathBuf, BTreeSet<LinkAddr>> = HashMap::new();
        for (file, site) in sites {
            announced.entry(file).or_default().insert(site);
        }
        self.announced = Some(announced);
    }

    /// The place at which a site is attached.
    ///
    /// # Errors
    /// The reason against it: a probe there would harm the target, or confuse two probes.
    pub(in crate::session) fn place(
        &self,
        module: &TargetModule,
        bias: Bias,
        site: LinkAddr,
        plan: &Plan,
        own: &[LinkAddr],
    ) -> Result<ProbePlacement, SiteRefusal> {
        let Ok(debug) = module.debug() else {
            return Err(SiteRefusal::other(
                "the module has no debug information".into(),
            ));
        };
        let path = &module.file.path;
        let none = FileSpans::default();
        let spans = self.spans.get(path).unwrap_or(&none);
        let others = |from, to| spans.near(from, to).filter(|span| span.site != site);
        let announced = self.announced.as_ref().and_then(|all| all.get(path));
        // There may be thousands of them, and each site checks them, so a range is looked up.
        let has_site = |from: LinkAddr, to: LinkAddr| {
            let is_within = |other: &LinkAddr| from < *other && *other <= to && *other != site;
            let range = (Bound::Excluded(from), Bound::Included(to));
            own.iter().any(is_within)
                || from < to
                    && announced.is_some_and(|all| all.range(range).any(|other| *other != site))
        };
        let line = self.announced.is_none().then(|| debug.statement_at(site));
        let stays_in_line =
            |from, to| line.is_none_or(|line| !begins_another(debug, line, from, to));
        let passable = |from: LinkAddr, to: LinkAddr| {
            !others(from, to).any(|span| span.meets(from, to))
                && !has_site(from, to)
                && stays_in_line(from, to)
        };
        let free = |place: LinkAddr| {
            let taken = |span: &PlacedSpan| span.site == place || span.place == place;
            !others(place, place).any(taken)
                && !has_site(LinkAddr(place.0.wrapping_sub(1)), place)
                && stays_in_line(LinkAddr(place.0.wrapping_sub(1)), place)
        };
        // The kernel has one counter for an instruction, so a probe with a semaphore has the
        // instruction to itself.
        let free = |place: LinkAddr| free(place) && !debug.has_usdt_semaphore(place);
        let needs = match self.choice {
            _ if debug.has_usdt_semaphore(site) => Needs::fixed(),
            SiteChoice::Cheapest => plan.program.reads.clone(),
            SiteChoice::First => Needs::fixed(),
        };
        let rules = PlacementRules {
            calls: self.calls,
            rewrites_nops: self.rewrites_nops,
            passable: &passable,
            free: &free,
        };
        let placed = module.code().place(debug, site, &needs, &rules);
        if let Some(obstacle) = placed.refused {
            return Err(SiteRefusal::of_instruction(debug, site, obstacle));
        }
        let mut at_place = others(placed.address, placed.address);
        if let Some(span) = at_place.find(|span| span.place == placed.address) {
            return Err(SiteRefusal::other(format!(
                "{} is the site of probe {} for the line that starts at {}: events of the two probes would be out of order; remove it, or use `--site first`",
                placed.address, span.probe, span.site
            )));
        }
        self.check_memory(debug, bias, placed.address)?;
        Ok(placed)
    }

    /// Checks that the target's code at a place is that of its file: the kernel steps the file's
    /// code.
    ///
    /// # Errors
    /// The code has been changed.
    pub(in crate::session) fn check_memory(
        &self,
        debug: &DebugModule,
        bias: Bias,
        place: LinkAddr,
    ) -> Result<(), SiteRefusal> {
        match self.pid {
            Some(pid) => patched::check(pid, debug, bias, place).map_err(SiteRefusal::other),
            None => Ok(()),
        }
    }

    /// A probe was attached.
    pub(in crate::session) fn add(
        &mut self,
        probe: ProbeId,
        module: &TargetModule,
        sites: &[SitePlace],
    ) {
        let spans = self.spans.entry(module.file.path.clone()).or_default();
        for &SitePlace { site, place } in sites {
            spans.add(PlacedSpan { probe, site, place });
        }
    }

    /// A probe is gone.
    pub(in crate::session) fn remove(&mut self, probe: ProbeId) {
        for spans in self.spans.values_mut() {
            spans.remove(probe);
        }
    }
}

/// Returns true if a statement of another line begins after `from`, up to `to`.
fn begins_another(
    debug: &DebugModule,
    line: Option<Statement>,
    from: LinkAddr,
    to: LinkAddr,
) -> bool {
    let own = line.map(|line| (line.file, line.line));
    // `from` may be before the unit, where its lines are not found.
    debug
        .statements_between(LinkAddr(from.0.wrapping_add(1)), to)
        .iter()
        .filter(|row| row.line != 0)
        .any(|row| own != Some((row.file, row.line)))
}

/// Returns true if this kernel emulates nops of several bytes.
pub(in crate::session) fn emulates_nops() -> bool {
    kernel_release() >= LINUX_6_18
}

/// The cost of a site, for lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteCost {
    /// Kind of its first instruction.
    pub first: SiteKind,
    /// The place of a probe that reads nothing, if that is another one.
    pub cheapest: Option<(LinkAddr, SiteKind)>,
    /// Why no probe would be anywhere else.
    pub stays: Option<StayReason>,
    /// Why its first instruction cannot be probed. Without a `cheapest` there is no probe then.
    pub obstacle: Option<String>,
}

/// The cost of the site at `address`.
pub(in crate::session) fn cost(map: &CodeMap, debug: &DebugModule, address: LinkAddr) -> SiteCost {
    let first = CodeMap::kind(debug, address, emulates_nops()).unwrap_or(SiteKind::TwoTraps);
    let line = debug.statement_at(address);
    let rules = PlacementRules {
        calls: true,
        rewrites_nops: emulates_nops(),
        passable: &|from, to| !begins_another(debug, line, from, to),
        free: &|place| !begins_another(debug, line, LinkAddr(place.0.wrapping_sub(1)), place),
    };
    let ProbePlacement {
        address: place,
        kind,
        stays,
        refused,
    } = map.place(debug, address, &Needs::nothing(), &rules);
    let obstacle = refused.or_else(|| unprobeable_at(debug, address).map(Obstacle::from));
    SiteCost {
        first,
        cheapest: (place != address).then_some((place, kind)),
        stays,
        obstacle: obstacle.map(|obstacle| refusal::sentence(debug, address, obstacle)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(probe: u32, site: u64, place: u64) -> PlacedSpan {
        PlacedSpan {
            probe: ProbeId(probe),
            site: LinkAddr(site),
            place: LinkAddr(place),
        }
    }

    #[test]
    fn span_meets_what_reaches_into_it() {
        let span = span(1, 10, 20);
        let meets = |from, to| span.meets(LinkAddr(from), LinkAddr(to));
        assert!(meets(12, 14) && meets(8, 10) && meets(19, 20) && meets(5, 30));
        assert!(!meets(20, 24) && !meets(4, 9));
    }

    #[test]
    fn spans_near_a_range_are_all_that_meet_it() {
        let all: Vec<_> = (0..200_u64)
            .map(|n| {
                let site = n * 7 % 500;
                let place = (site + n % 13).saturating_sub(6);
                span(u32::try_from(n).expect("small") % 5, site, place)
            })
            .collect();
        let mut spans = FileSpans::default();
        all.iter().for_each(|span| spans.add(span.clone()));
        spans.remove(ProbeId(3));
        for (from, to) in (0..520).flat_map(|from| [(from, from), (from, from + 9)]) {
            let (from, to) = (LinkAddr(from), LinkAddr(to));
            let found = |span: &PlacedSpan| {
                (span.probe != ProbeId(3))
                    && (span.meets(from, to) || span.place == to || span.site == to)
            };
            let sorted = |spans: Vec<&PlacedSpan>| {
                let mut keys: Vec<_> = spans.iter().map(|s| (s.probe, s.site, s.place)).collect();
                keys.sort_by_key(|(probe, site, place)| (probe.0, *site, *place));
                keys
            };
            let near: Vec<_> = spans.near(from, to).filter(|span| found(span)).collect();
            let wanted: Vec<_> = all.iter().filter(|span| found(span)).collect();
            assert_eq!(sorted(near), sorted(wanted), "{from} to {to}");
        }
    }
}
