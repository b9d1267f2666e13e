//! The order in which the probes of one instruction run: spans begin first.
//!
//! The kernel puts each new probe of an instruction in front of the others (6.1 to 6.17, for links of both
//! kinds). So what was attached last runs first, and the end of a span that was there before a log runs
//! behind it. Nothing promises that order. Whoever reads the records compares their times, and never assumes
//! it.

use std::collections::BTreeSet;

use super::installed::{HeldSites, Installed, Link, Reserved, SpanBeginSite};
use super::links::Linked;
use super::{Machine, SiteRequest};
use crate::kernel::error::KernelError;

impl Machine {
    /// Has spans begin before the hits of these new sites of a probe: attaches their beginnings anew.
    ///
    /// Calls that are open then lose their span, because a call that begins meanwhile is not seen.
    ///
    /// # Errors
    /// The kernel refused. That span has no more beginnings.
    pub fn put_spans_first(&mut self, slot: u32, sites: &[SiteRequest]) -> Result<(), KernelError> {
        for index in 0..self.installed.len() {
            let other = self.installed.get(index);
            let other = other.filter(|other| other.attached && other.reserved.slot != slot);
            let is_behind = other.is_some_and(|other| {
                let mut all = sites.iter().filter(|site| !site.begins_span);
                all.any(|site| other.begins_at(site))
            });
            if is_behind {
                self.begin_anew(index)?;
            }
        }
        Ok(())
    }

    /// Attaches the beginnings of a probe's spans again.
    fn begin_anew(&mut self, index: usize) -> Result<(), KernelError> {
        let Some(installed) = self.installed.get_mut(index) else {
            return Ok(());
        };
        let slot = installed.reserved.slot;
        let old = installed.take_begins();
        self.closing.close(old);
        // A beginning that ran twice would look like a call that was left.
        self.wait_closed();
        // The frame of a call that was left may have been used again meanwhile.
        self.distrust(slot)?;
        let Some(installed) = self.installed.get_mut(index) else {
            return Ok(());
        };
        let begins = std::mem::take(&mut installed.begins);
        let held = installed.held.take();
        let cookies = installed.reserved.cookies.clone();
        let others: Vec<u32> = installed
            .others
            .iter()
            .map(|(process, _)| *process)
            .collect();
        let linked = self.link_begins(slot, &begins);
        let others: Vec<(u32, Linked)> = match &held {
            Some(held) => {
                let (reserved, sites) = held_begins(slot, held, &cookies);
                let link = |process| (process, self.link(process, &reserved, &sites));
                others.into_iter().map(link).collect()
            }
            None => Vec::new(),
        };
        let Some(installed) = self.installed.get_mut(index) else {
            return Ok(());
        };
        (installed.begins, installed.held) = (begins, held);
        let (links, failed) = linked;
        installed.links.extend(links);
        for (process, (links, failed)) in others {
            let other = installed.others.iter_mut().find(|(of, _)| *of == process);
            if let Some((_, theirs)) = other {
                theirs.extend(links);
            }
            if let Some((_, error)) = failed.first() {
                // The process may have just exited.
                tracing::debug!(process, %error, "a followed process lacks the beginnings of a span");
            }
        }
        failed
            .into_iter()
            .next()
            .map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Attaches beginnings to the processes in which they were.
    fn link_begins(&mut self, slot: u32, begins: &[SpanBeginSite]) -> Linked {
        let (mut links, mut failed) = (Vec::new(), Vec::new());
        let pids: BTreeSet<u32> = begins.iter().map(|begin| begin.pid).collect();
        for pid in pids {
            let of_it = || begins.iter().filter(|begin| begin.pid == pid);
            let reserved = cookies_of(slot, of_it().map(|begin| begin.cookie));
            let sites: Vec<SiteRequest> = of_it().map(|begin| begin.request.clone()).collect();
            let (more, refused) = self.link(pid, &reserved, &sites);
            links.extend(more);
            failed.extend(refused);
        }
        (links, failed)
    }
}

impl Installed {
    /// Returns true if spans of it begin at the instruction of a site.
    fn begins_at(&self, site: &SiteRequest) -> bool {
        let Some(of) = site.trigger.uprobe() else {
            return false;
        };
        let mut begins = self
            .begins
            .iter()
            .filter_map(|begin| begin.request.trigger.uprobe());
        begins.any(|begin| begin.offset == of.offset && begin.path == of.path && !of.returns)
    }

    /// Takes the links of its beginnings in all processes.
    fn take_begins(&mut self) -> Vec<Link> {
        let others = self.others.iter_mut().map(|(_, links)| links);
        let mut taken = Vec::new();
        for links in std::iter::once(&mut self.links).chain(others) {
            taken.extend(links.extract_if(.., |link| link.begins_spans));
        }
        taken
    }
}

/// The sites of a probe at which spans begin, without their plans.
pub(super) fn begins(
    pid: u32,
    reserved: &Reserved,
    sites: &[SiteRequest],
) -> impl Iterator<Item = SpanBeginSite> {
    let all = sites.iter().zip(&reserved.cookies);
    let begins = all.filter(|(site, _)| site.begins_span);
    begins.map(move |(site, &cookie)| {
        let mut request = site.clone();
        request.program.drop_ops();
        request.copies = Vec::new();
        SpanBeginSite {
            pid,
            request,
            cookie,
        }
    })
}

/// The beginnings among the sites of processes that are followed.
fn held_begins(slot: u32, held: &HeldSites, cookies: &[u32]) -> (Reserved, Vec<SiteRequest>) {
    let all = held.sites.iter().zip(cookies);
    let begins: Vec<_> = all.filter(|(site, _)| site.begins_span).collect();
    let reserved = cookies_of(slot, begins.iter().map(|(_, cookie)| **cookie));
    let sites = begins.into_iter().map(|(site, _)| site.clone()).collect();
    (reserved, sites)
}

/// The slot and the cookies, which suffice to attach sites that are in the maps.
fn cookies_of(slot: u32, cookies: impl Iterator<Item = u32>) -> Reserved {
    Reserved {
        slot,
        cookies: cookies.collect(),
        ..Reserved::default()
    }
}
