//! Attaches the sites of a probe to a process.

use std::ffi::CString;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use super::installed::{Link, Reserved};
use super::site::SiteRequest;
use crate::kernel::bpf::{self, MultiPlaces};
use crate::kernel::error::KernelError;
use crate::kernel::load::programs::Programs;
use crate::kernel::options::Processes;
use crate::kernel::perf;
use crate::kernel::trigger::{Uprobe, WatchedMemory};
use crate::kernel::watches::{self, WatchMaps};
use crate::program::Runner;

/// The links of all sites that can be attached, and the indices of the others, with the reason.
pub(super) type Linked = (Vec<Link>, Vec<(usize, KernelError)>);

/// Attaches sites to a process.
pub(super) struct SiteAttacher<'p> {
    pub(super) programs: &'p mut Programs,
    pub(super) watches: &'p WatchMaps,
    pub(super) processes: Processes,
    /// The process.
    pub(super) pid: u32,
}

impl SiteAttacher<'_> {
    /// Attaches the sites of a probe.
    pub(super) fn link(&mut self, reserved: &Reserved, sites: &[SiteRequest]) -> Linked {
        let mut failed = Vec::new();
        let mut links = Vec::new();
        for (index, site) in sites.iter().enumerate() {
            if let Some(watch) = site.trigger.watch() {
                match self.watch(site.program.runner, watch, reserved, index) {
                    Ok(more) => links.extend(more),
                    Err(error) => failed.push((index, error)),
                }
            }
        }
        for SiteGroup { of, members, .. } in groups(sites) {
            match self.link_group(of, &members, reserved) {
                Ok(link) => links.push(link),
                // One by one: by perf events, or to find out which one is refused.
                Err(_) => {
                    for member in members {
                        match self.link_group(of, &[member], reserved) {
                            Ok(link) => links.push(link),
                            Err(error) => failed.push((member.index, error)),
                        }
                    }
                }
            }
        }
        (links, failed)
    }

    /// Watches a value.
    fn watch(
        &mut self,
        runner: Runner,
        watch: &WatchedMemory,
        reserved: &Reserved,
        index: usize,
    ) -> Result<Vec<Link>, KernelError> {
        let cookie = reserved.cookies.get(index);
        let mut places = reserved.watched.iter();
        let place = places.find(|place| Some(&place.cookie) == cookie);
        let place = place.ok_or_else(|| KernelError::unexpected("the place of a watched value"))?;
        let program = self.programs.watched(runner)?;
        self.watches.name(watch, place.index, place.cookie)?;
        match watches::link(program, watch) {
            Ok(files) => Ok(files.into_iter().map(Link::of_event).collect()),
            Err(error) => {
                self.watches.forget(watch)?;
                Err(error)
            }
        }
    }

    /// Attaches a group of sites with one link. Perf events can only attach one site.
    fn link_group(
        &mut self,
        of: &SiteRequest,
        members: &[GroupMember<'_>],
        reserved: &Reserved,
    ) -> Result<Link, KernelError> {
        // All processes that map the file. The program checks the process of each hit.
        let pid = if self.processes.are_checked() && !of.alone {
            0
        } else {
            self.pid
        };
        let is_multi = self.programs.has_multi_links();
        let program = self.programs.get(of.program.runner)?;
        let Some(GroupMember {
            uprobe: Uprobe { path, offset, .. },
            ..
        }) = members.first()
        else {
            return Err(KernelError::unexpected("a site of a group"));
        };
        let file = match members {
            _ if is_multi => attach_multi(program, pid, members, reserved),
            [member] => match reserved.cookies.get(member.index) {
                Some(&cookie) => perf::link(program, pid, member.uprobe, u64::from(cookie)),
                None => Err(io::ErrorKind::NotFound.into()),
            },
            _ => Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)),
        };
        let file = file.map_err(|source| KernelError::Attach {
            path: path.clone(),
            offset: *offset,
            source,
        })?;
        Ok(Link {
            file,
            begins_spans: of.begins_span,
        })
    }
}

/// Sites that one link attaches. They are in one file, run the same eBPF program, and all are
/// entries, or all are returns. Beginnings of spans have a link of their own, see `order.rs`.
struct SiteGroup<'s> {
    /// One of them.
    of: &'s SiteRequest,
    /// All of them.
    members: Vec<GroupMember<'s>>,
}

/// A site of a group.
#[derive(Clone, Copy)]
struct GroupMember<'s> {
    index: usize,
    uprobe: &'s Uprobe,
}

/// The groups of sites, in the order of the first site of each, and the beginnings of spans last. Watched values are in
/// no group.
fn groups(sites: &[SiteRequest]) -> Vec<SiteGroup<'_>> {
    let mut groups: Vec<SiteGroup<'_>> = Vec::new();
    for (index, site) in sites.iter().enumerate() {
        let Some(uprobe) = site.trigger.uprobe() else {
            continue;
        };
        let member = GroupMember { index, uprobe };
        let is_alike = |group: &&mut SiteGroup<'_>| {
            let first = group.members.first().map(|first| first.uprobe);
            first.is_some_and(|first| first.path == uprobe.path && first.returns == uprobe.returns)
                && group.of.program.runner == site.program.runner
                && group.of.begins_span == site.begins_span
        };
        match groups.iter_mut().find(is_alike) {
            Some(group) => group.members.push(member),
            None => groups.push(SiteGroup {
                of: site,
                members: vec![member],
            }),
        }
    }
    // A call that begins before its end is attached would look like one that was left.
    groups.sort_by_key(|group| group.of.begins_span);
    groups
}

fn attach_multi(
    program: BorrowedFd<'_>,
    pid: u32,
    members: &[GroupMember<'_>],
    reserved: &Reserved,
) -> io::Result<OwnedFd> {
    let Some(first) = members.first() else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let Uprobe { path, returns, .. } = first.uprobe;
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut places = MultiPlaces::default();
    for GroupMember { index, uprobe } in members {
        let Some(&cookie) = reserved.cookies.get(*index) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        places.offsets.push(uprobe.offset.0);
        places.cookies.push(cookie.into());
        places.counters.push(uprobe.counter.map_or(0, |at| at.0));
    }
    bpf::link_multi(program, &path, *returns, pid, &places)
}
