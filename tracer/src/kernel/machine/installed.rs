//! A probe in the kernel: its elements of the maps, its links, and its files.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use tracer_common::control::{BEGINS, ENDS, STEPS};

use super::site::SiteRequest;
use crate::kernel::trigger::{Trigger, Uprobe, WatchedMemory};

/// Elements of the kernel's maps for one probe and its sites, not attached yet.
#[derive(Debug, Default)]
pub struct Reserved {
    /// The probe's index; records carry it.
    pub slot: u32,
    /// The sites' attach cookies, in the order of the requests; records carry them.
    pub cookies: Vec<u32>,
    /// Cookies of the sites' copies, site by site.
    pub copies: Vec<u32>,
    /// Ranges of ops: the first one, and their number.
    pub(super) ops: Vec<(u32, u32)>,
    /// It adds hits up by key.
    pub(super) tallies: bool,
    /// It is a timed probe.
    pub(super) times: bool,
    /// It is a trace.
    pub(super) traces: bool,
    /// Its watched values.
    pub(super) watched: Vec<InstalledWatch>,
}

/// A watched value and its place in the maps.
#[derive(Clone, Debug)]
pub(super) struct InstalledWatch {
    pub(super) watch: WatchedMemory,
    /// Index of the value.
    pub(super) index: u32,
    /// The site.
    pub(super) cookie: u32,
}

impl Reserved {
    /// For sites of the probe with this index. None is written yet.
    pub(super) fn of(slot: u32, sites: &[SiteRequest]) -> Self {
        let times = |site: &SiteRequest| site.program.flags & (BEGINS | ENDS) != 0;
        Self {
            slot,
            cookies: Vec::new(),
            copies: Vec::new(),
            ops: Vec::new(),
            tallies: sites.iter().any(|site| site.program.tallies),
            times: sites.iter().any(times),
            traces: sites.iter().any(|site| site.program.flags & STEPS != 0),
            watched: Vec::new(),
        }
    }

    /// Adds the elements for further sites of the same probe.
    pub(super) fn extend(&mut self, more: Self) {
        self.cookies.extend(more.cookies);
        self.copies.extend(more.copies);
        self.ops.extend(more.ops);
        self.tallies |= more.tallies;
        self.times |= more.times;
        self.traces |= more.traces;
        self.watched.extend(more.watched);
    }
}

/// A link that keeps a probe's sites attached.
pub(super) struct Link {
    pub(super) file: OwnedFd,
    /// Its sites are beginnings of spans.
    pub(super) begins_spans: bool,
}

impl Link {
    /// A link of a watchpoint.
    pub(super) const fn of_event(file: OwnedFd) -> Self {
        Self {
            file,
            begins_spans: false,
        }
    }
}

impl From<Link> for OwnedFd {
    fn from(link: Link) -> Self {
        link.file
    }
}

/// A site of the target at which spans begin.
pub(super) struct SpanBeginSite {
    /// The process that it was attached to.
    pub(super) pid: u32,
    pub(super) request: SiteRequest,
    pub(super) cookie: u32,
}

/// A probe that has been attached.
pub(super) struct Installed {
    pub(super) reserved: Reserved,
    /// Its links in the target.
    pub(super) links: Vec<Link>,
    /// It is not detached.
    pub(super) attached: bool,
    /// Its sites at which spans begin.
    pub(super) begins: Vec<SpanBeginSite>,
    /// Its links in the processes that are followed.
    pub(super) others: Vec<(u32, Vec<Link>)>,
    /// The files and sites for links to further processes; `None`: the probe is for the target
    /// alone.
    pub(super) held: Option<HeldSites>,
}

impl Installed {
    /// Takes its links in all processes. The probe is detached once they are closed.
    pub(super) fn take_links(&mut self) -> Vec<Link> {
        self.attached = false;
        let mut links = std::mem::take(&mut self.links);
        let others = std::mem::take(&mut self.others);
        links.extend(others.into_iter().flat_map(|(_, links)| links));
        // A call that begins without its end would look like one that was left.
        links.sort_by_key(|link| !link.begins_spans);
        links
    }

    /// A process that is followed has a site of it.
    pub(super) fn is_in_others(&self) -> bool {
        self.others.iter().any(|(_, links)| !links.is_empty())
    }
}

/// The sites of a probe, with their files held open. The target may be gone when another process is
/// attached, and its paths may then lead to other files.
#[derive(Debug, Default)]
pub(super) struct HeldSites {
    /// The sites, by the files below.
    pub(super) sites: Vec<SiteRequest>,
    #[expect(dead_code, reason = "held to be dropped")]
    files: Vec<OwnedFd>,
}

impl HeldSites {
    pub(super) fn open(sites: &[SiteRequest]) -> io::Result<Self> {
        let mut files: Vec<(&Path, OwnedFd)> = Vec::new();
        let mut held = Vec::with_capacity(sites.len());
        for site in sites {
            let Some(uprobe) = site.trigger.uprobe() else {
                continue;
            };
            let known = files.iter().position(|(path, _)| *path == uprobe.path);
            let index = match known {
                Some(index) => index,
                None => {
                    let flags = OFlags::PATH | OFlags::CLOEXEC;
                    files.push((
                        &uprobe.path,
                        rustix::fs::open(&uprobe.path, flags, Mode::empty())?,
                    ));
                    files.len() - 1
                }
            };
            let file = files.get(index).map(|(_, file)| file.as_raw_fd());
            let mut site = SiteRequest {
                trigger: Trigger::Uprobe(Uprobe {
                    path: PathBuf::from(format!("/proc/self/fd/{}", file.unwrap_or(-1))),
                    ..uprobe.clone()
                }),
                ..site.clone()
            };
            site.program.drop_ops();
            held.push(site);
        }
        Ok(Self {
            sites: held,
            files: files.into_iter().map(|(_, file)| file).collect(),
        })
    }
}
