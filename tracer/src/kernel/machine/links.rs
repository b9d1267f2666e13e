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
use crate::kernel::trigger::Uprobe;

/// The links of all sites that can be attached, and the indices of the others, with the reason.
pub(super) type Linked = (Vec<Link>, Vec<(usize, KernelError)>);

/// Attaches sites to a process.
pub(super) struct SiteAttacher<'p> {
    pub(super) programs: &'p mut Programs,
    pub(super) processes: Processes,
    /// The process.
    pub(super) pid: u32,
}

impl SiteAttacher<'_> {
    /// Attaches the sites of a probe.
    pub(super) fn link(&mut self, reserved: &Reserved, sites: &[SiteRequest]) -> Linked {
        let mut failed = Vec::new();
        let mut links = Vec::new();
        for SiteGroup { of, members } in groups(sites) {
            match self.link_group(of, &members, reserved, sites) {
                Ok(link) => links.push(link),
                // One by one: by perf events, or to find out which one is refused.
                Err(_) => {
                    for index in members {
                        match self.link_group(of, &[index], reserved, sites) {
                            Ok(link) => links.push(link),
                            Err(error) => failed.push((index, error)),
                        }
                    }
                }
            }
        }
        (links, failed)
    }

    /// Attaches a group of sites with one link. Perf events can only attach one site.
    fn link_group(
        &mut self,
        of: &SiteRequest,
        members: &[usize],
        reserved: &Reserved,
        sites: &[SiteRequest],
    ) -> Result<Link, KernelError> {
        // All processes that map the file. The program checks the process of each hit.
        let pid = if self.processes.are_checked() && !of.alone {
            0
        } else {
            self.pid
        };
        let is_multi = self.programs.has_multi_links();
        let program = self.programs.get(of.program.runner)?;
        let site = match members {
            [index] => sites.get(*index).unwrap_or(of),
            _ => of,
        };
        let file = match members {
            _ if is_multi => attach_multi(program, pid, site, members, reserved, sites),
            [index] => match reserved.cookies.get(*index) {
                Some(&cookie) => perf::link(program, pid, site.trigger.uprobe(), u64::from(cookie)),
                None => Err(io::ErrorKind::NotFound.into()),
            },
            _ => Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)),
        };
        let Uprobe { path, offset, .. } = site.trigger.uprobe();
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
    /// Their indices.
    members: Vec<usize>,
}

/// The groups of sites, in the order of the first site of each, and the beginnings of spans last.
fn groups(sites: &[SiteRequest]) -> Vec<SiteGroup<'_>> {
    let mut groups: Vec<SiteGroup<'_>> = Vec::new();
    for (index, site) in sites.iter().enumerate() {
        let is_alike = |group: &&mut SiteGroup<'_>| {
            let (first, other) = (group.of.trigger.uprobe(), site.trigger.uprobe());
            first.path == other.path
                && first.returns == other.returns
                && group.of.program.runner == site.program.runner
                && group.of.begins_span == site.begins_span
        };
        match groups.iter_mut().find(is_alike) {
            Some(group) => group.members.push(index),
            None => groups.push(SiteGroup {
                of: site,
                members: vec![index],
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
    of: &SiteRequest,
    members: &[usize],
    reserved: &Reserved,
    sites: &[SiteRequest],
) -> io::Result<OwnedFd> {
    let Uprobe { path, returns, .. } = of.trigger.uprobe();
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut places = MultiPlaces::default();
    for &index in members {
        let (Some(site), Some(&cookie)) = (sites.get(index), reserved.cookies.get(index)) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let uprobe = site.trigger.uprobe();
        places.offsets.push(uprobe.offset.0);
        places.cookies.push(cookie.into());
        places.counters.push(uprobe.counter.map_or(0, |at| at.0));
    }
    bpf::link_multi(program, &path, *returns, pid, &places)
}
