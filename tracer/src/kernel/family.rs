//! The processes that the target forks: told by the kernel, and probed like the target.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use aya::maps::{HashMap, Map, MapData, RingBuf};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracer_common::forks::{FamilyMessage, TARGET, TaskLayout};

use super::bpf::{self, Kind};
use super::btf::{KernelBtf, member_offset};
use super::closing::close_apart;
use super::error::KernelError;
use super::load::{Forks, load_error, unexpected};
use super::machine::{Link, Machine, SiteRequest};
use super::object::Image;

/// Bytes of the ring of messages: ten thousand of them.
const RING: u32 = 1 << 18;
/// The same where forks are not followed: the least that the kernel makes.
const NO_RING: u32 = 1 << 12;
/// Messages that are taken at a time.
const MAX_MESSAGES: usize = 1 << 10;
/// The programs, and the tracepoints that they run at (Linux 3.4).
const PROGRAMS: [(&str, &CStr); 3] = [
    ("forked", c"sched_process_fork"),
    ("executed", c"sched_process_exec"),
    ("exited", c"sched_process_exit"),
];

/// A process that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id in our pid namespace.
    pub process: u32,
    /// The same in the initial one.
    pub initial: u32,
}

/// What the kernel knows of the family, and tells.
pub struct Family {
    messages: RingBuf<MapData>,
    members: HashMap<MapData, u32, u32>,
    missed: MapData,
    #[expect(dead_code, reason = "links are held to be dropped")]
    links: Vec<OwnedFd>,
}

impl std::fmt::Debug for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Family").finish_non_exhaustive()
    }
}

impl Family {
    /// Loads the programs and lets them run.
    pub(super) fn open(object: &mut Image) -> Result<Self, KernelError> {
        let mut links = Vec::new();
        for (name, tracepoint) in PROGRAMS {
            let program = object.load(name, Kind::RawTracepoint)?;
            let link = bpf::link_raw_tracepoint(program.as_fd(), tracepoint);
            links.push(link.map_err(|error| KernelError::call("attach to a tracepoint", error))?);
        }
        let messages = Map::RingBuf(object.take("FAMILY_MESSAGES")?);
        let members = Map::HashMap(object.take("FAMILY")?);
        let missed = object.take("FAMILY_MISSED")?;
        Ok(Self {
            messages: RingBuf::try_from(messages).map_err(|_| unexpected("FAMILY_MESSAGES"))?,
            members: HashMap::try_from(members).map_err(|_| unexpected("FAMILY"))?,
            missed,
            links,
        })
    }

    /// Has the target's forks told from now on.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn begin(&mut self, target: u32) -> Result<(), KernelError> {
        self.members
            .insert(target, TARGET, 0)
            .map_err(|error| load_error(&error))
    }

    /// What such a process forks is told no more. One that has exited is removed by the kernel's
    /// side, and its number may be another's.
    pub fn remove(&mut self, process: u32) {
        // One that is not in there, as after `exec`, is removed already.
        let _ = self.members.remove(&process);
    }

    /// What happened since the last call, oldest first: at most 1,024, with more to come when it is
    /// that many.
    pub fn messages(&mut self) -> Vec<FamilyMessage> {
        let mut all = Vec::new();
        while all.len() < MAX_MESSAGES
            && let Some(bytes) = self.messages.next()
        {
            // They are all of one kind: the programs are a part of this binary.
            all.extend(bytemuck::try_pod_read_unaligned::<FamilyMessage>(&bytes));
        }
        all
    }

    /// Processes that were forked and are not told.
    #[must_use]
    pub fn missed(&self) -> u64 {
        // A map of our own that cannot be read has nothing to tell.
        bpf::read_array(self.missed.fd().as_fd(), 0).unwrap_or(0)
    }
}

impl AsFd for Family {
    /// Readable while there are messages.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.messages.as_fd()
    }
}

/// Bytes of the ring of messages.
pub(super) const fn ring_bytes(follow: bool) -> u32 {
    if follow { RING } else { NO_RING }
}

/// Where this kernel has what the programs read.
///
/// # Errors
/// Its BTF does not say.
pub(super) fn task_layout() -> Result<TaskLayout, KernelError> {
    let failed = |source| KernelError::call("read the kernel's BTF", source);
    let btf = KernelBtf::open().map_err(failed)?;
    let of = |name: &str, member: &str| {
        member_offset(&btf, name, member).ok_or_else(|| KernelError::Load {
            reason: format!(
                "the kernel's BTF has no `{name}.{member}`, which forks are followed by"
            ),
        })
    };
    Ok(TaskLayout {
        mm: of("task_struct", "mm")?,
        tgid: of("task_struct", "tgid")?,
        thread_pid: of("task_struct", "thread_pid")?,
        level: of("pid", "level")?,
        numbers: of("pid", "numbers")?,
        inum: of("pid_namespace", "ns")?.saturating_add(of("ns_common", "inum")?),
        group_leader: of("task_struct", "group_leader")?,
        signal: of("task_struct", "signal")?,
        live: of("signal_struct", "live")?,
    })
}

/// The files of a probe's sites, held open: the target may be gone when another process is
/// attached, and what a path of its names then may be another file.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The sites, by the files below.
    sites: Vec<SiteRequest>,
    #[expect(dead_code, reason = "held to be dropped")]
    files: Vec<OwnedFd>,
}

impl Held {
    fn open(sites: &[SiteRequest]) -> io::Result<Self> {
        let mut files: Vec<(&Path, OwnedFd)> = Vec::new();
        let mut held = Vec::with_capacity(sites.len());
        for site in sites {
            let known = files.iter().position(|(path, _)| *path == site.path);
            let index = match known {
                Some(index) => index,
                None => {
                    let flags = OFlags::PATH | OFlags::CLOEXEC;
                    files.push((
                        &site.path,
                        rustix::fs::open(&site.path, flags, Mode::empty())?,
                    ));
                    files.len() - 1
                }
            };
            let file = files.get(index).map(|(_, file)| file.as_raw_fd());
            held.push(SiteRequest {
                path: PathBuf::from(format!("/proc/self/fd/{}", file.unwrap_or(-1))),
                ops: Vec::new(),
                ..site.clone()
            });
        }
        Ok(Self {
            sites: held,
            files: files.into_iter().map(|(_, file)| file).collect(),
        })
    }
}

impl Machine {
    /// The kernel's side of following forks, when it was loaded for that; there is one. Raises the
    /// number of files that this process may have open, since each process that is followed takes some.
    pub fn take_family(&mut self) -> Option<Family> {
        let family = self.family.take()?;
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            ..limit
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            // Fewer can be followed then, and those that cannot are told.
            tracing::debug!(%error, "the number of open files stays");
        }
        Some(family)
    }

    /// Attaches all probes to another process, and from now on each new one. Where sites are in all
    /// processes, they are there.
    ///
    /// # Errors
    /// A probe could not be attached there; none is then.
    pub fn follow(&mut self, member: Member) -> Result<(), KernelError> {
        self.members.push(member);
        if self.forks == Forks::Exact {
            return Ok(());
        }
        for index in 0..self.installed.len() {
            if let Err(error) = self.link_member(index, member.process) {
                self.leave(&[member.process], true);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes all probes out of processes: in the background when they are gone, and at once when
    /// they go on as something else.
    pub fn leave(&mut self, processes: &[u32], are_gone: bool) {
        let is_theirs = |process: &u32| processes.contains(process);
        let mut links = Vec::new();
        for installed in &mut self.installed {
            let others = std::mem::take(&mut installed.others);
            let (theirs, left) = others
                .into_iter()
                .partition(|(process, _)| is_theirs(process));
            installed.others = left;
            links.extend(
                theirs
                    .into_iter()
                    .flat_map(|(_, links): (u32, Vec<Link>)| links),
            );
        }
        if are_gone {
            self.close_later(links);
        } else {
            close_apart(links);
        }
        let (gone, left) = self
            .members
            .drain(..)
            .partition(|member| is_theirs(&member.process));
        self.members = left;
        // Their ids may come again, and their frames.
        let gone: Vec<Member> = gone;
        let ids: Vec<u32> = gone.iter().map(|member| member.initial).collect();
        let timed = self.installed.iter().any(|one| one.reserved.times);
        if timed && let Err(error) = self.forget_begun(|key| ids.contains(&key.process)) {
            tracing::debug!(%error, "beginnings of processes that are gone stay");
        }
    }

    /// Attaches a probe to the processes that are followed. Gives those in which it is not.
    pub(super) fn link_members(&mut self, index: usize) -> Vec<(u32, KernelError)> {
        let members: Vec<u32> = self.members.iter().map(|member| member.process).collect();
        let link = |process| Some((process, self.link_member(index, process).err()?));
        members.into_iter().filter_map(link).collect()
    }

    /// Attaches a probe to one of them, unless it is detached.
    fn link_member(&mut self, index: usize, process: u32) -> Result<(), KernelError> {
        let installed = self.installed.get_mut(index);
        let Some(installed) = installed.filter(|installed| installed.attached) else {
            return Ok(());
        };
        let Some(held) = installed.held.take() else {
            return Ok(());
        };
        let reserved = std::mem::take(&mut installed.reserved);
        let (links, mut failed) = self.link(process, &reserved, &held.sites);
        let Some(installed) = self.installed.get_mut(index) else {
            return Ok(());
        };
        (installed.reserved, installed.held) = (reserved, Some(held));
        let refused = links.is_empty() && !failed.is_empty();
        installed.others.push((process, links));
        if refused {
            return Err(failed.swap_remove(0).1);
        }
        Ok(())
    }

    /// Keeps the files of a probe that is attached to the target, where forks are followed.
    pub(super) fn hold(&self, sites: &[SiteRequest]) -> Option<Held> {
        if self.forks != Forks::Told {
            return None;
        }
        match Held::open(sites) {
            Ok(held) => Some(held),
            Err(error) => {
                tracing::debug!(%error, "a probe stays in the target alone");
                None
            }
        }
    }
}
