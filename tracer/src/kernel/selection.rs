//! The processes whose hits count, as the kernel's side knows them, and its messages about them.
//!
//! The processes are either a target with the processes that it forks, or those that match rules.
//! The kernel's side keeps the map of them, at each fork, executed program and exit. Userspace adds
//! the processes that it chooses by their ids, and those that match already. It can add rules at
//! any time.

mod layout;
pub(super) mod rules;

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya::maps::{Map, MapData, RingBuf};
use memmap2::MmapOptions;
use tracer_common::forks::FamilyMessage;
use tracer_common::limits::{MAX_CGROUPS, MAX_EXES, MAX_NAMES, MAX_PROCESSES, MAX_USERS};
use tracer_common::selection::{
    CHOSEN, FOLLOWED, InodeKey, Member, NO_CGROUP, NO_USER, SelectionState,
};

use super::bpf::{self, ProgramKind};
use super::error::KernelError;
use super::load::object::Image;
use super::options::Processes;

pub(super) use self::layout::{rule_layout, task_layout};
pub use self::rules::{NameRule, RuleKinds, SelectionRule};

/// Bytes of the ring of messages: 32,000 of them, two for each process that comes and goes. Hits of
/// processes without room are missed.
const RING: u32 = 1 << 20;
/// Size of the ring without messages: the smallest that the kernel makes.
const NO_RING: u32 = 1 << 12;
/// Messages that are taken at a time.
const MAX_MESSAGES: usize = 1 << 10;
/// Attempts to ask for the identity of a file while another thread changes our mappings.
const MAX_ATTEMPTS: u32 = 1 << 10;
/// The programs, and the tracepoints that they run at (Linux 3.4).
const PROGRAMS: [(&str, &CStr); 3] = [
    ("forked", c"sched_process_fork"),
    ("executed", c"sched_process_exec"),
    ("exited", c"sched_process_exit"),
];

/// A process that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FamilyMember {
    /// Its id in our pid namespace.
    pub process: u32,
    /// Its id in the initial pid namespace.
    pub initial: u32,
}

/// Why a process is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberOrigin {
    /// It matches the rules already. It leaves when it executes a program that does not match.
    Matched,
    /// It was chosen by its id. It stays when it executes another program.
    Chosen {
        /// The processes that it forks are members, too. Without effect if the session does not
        /// ask for processes by their ids: then a member's children always are.
        follow: bool,
    },
}

/// Processes and hits that were missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MissedMembers {
    /// New processes without probes, and changes that were not reported.
    pub processes: u64,
    /// Hits of processes that match the rules and are not members: the map or the ring of messages
    /// was full, or the process's file could not be looked at in that moment.
    pub hits: u64,
}

/// The members and the rules in the kernel, and the kernel's messages.
pub struct ProcessSelection {
    messages: RingBuf<MapData>,
    maps: SelectionMaps,
    state: SelectionState,
    identify: Option<OwnedFd>,
    #[expect(dead_code, reason = "links are held to be dropped")]
    links: Vec<OwnedFd>,
}

/// The maps that userspace reads and writes.
struct SelectionMaps {
    members: MapData,
    missed: MapData,
    state: MapData,
    exes: MapData,
    names: MapData,
    cgroups: MapData,
    users: MapData,
    identity: MapData,
}

impl SelectionMaps {
    fn take(object: &mut Image) -> Result<Self, KernelError> {
        Ok(Self {
            members: object.take("MEMBERS")?,
            missed: object.take("MEMBERS_MISSED")?,
            state: object.take("SELECTION_STATE")?,
            exes: object.take("EXES")?,
            names: object.take("NAMES")?,
            cgroups: object.take("CGROUPS")?,
            users: object.take("USERS")?,
            identity: object.take("IDENTITY")?,
        })
    }
}

impl std::fmt::Debug for ProcessSelection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessSelection").finish_non_exhaustive()
    }
}

impl ProcessSelection {
    /// Loads the programs and lets them run.
    pub(super) fn open(object: &mut Image, processes: Processes) -> Result<Self, KernelError> {
        let mut links = Vec::new();
        for (name, tracepoint) in PROGRAMS {
            let program = object.load(name, ProgramKind::RawTracepoint)?;
            let link = bpf::link_raw_tracepoint(program.as_fd(), tracepoint);
            links.push(link.map_err(|error| KernelError::call("attach to a tracepoint", error))?);
        }
        let identify = matches!(processes, Processes::Selected(_))
            .then(|| object.load("identify", ProgramKind::RawTracepoint))
            .transpose()?;
        let messages = Map::RingBuf(object.take("MEMBER_MESSAGES")?);
        Ok(Self {
            messages: RingBuf::try_from(messages)
                .map_err(|_| KernelError::unexpected("MEMBER_MESSAGES"))?,
            maps: SelectionMaps::take(object)?,
            state: SelectionState::default(),
            identify,
            links,
        })
    }

    /// Puts the rules into force. Call it when all first rules have been added, and before you look
    /// for the processes that match already: then none is missed in between.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn begin(&mut self) -> Result<(), KernelError> {
        self.state.generation = self.state.generation.max(1);
        self.write_state()
    }

    /// Adds a rule. Processes that run and match it from now on become members at their next hit,
    /// or when [`ProcessSelection::add`] adds them.
    ///
    /// # Errors
    /// There are too many rules of the kind, or the kernel refused.
    pub fn add_rule(&mut self, rule: &SelectionRule) -> Result<(), KernelError> {
        let maps = &self.maps;
        match rule {
            SelectionRule::Exe(key) => put_rule(&maps.exes, key, "files", MAX_EXES)?,
            SelectionRule::Cgroup(id) => put_rule(&maps.cgroups, id, "cgroups", MAX_CGROUPS)?,
            SelectionRule::User(user) => put_rule(&maps.users, user, "users", MAX_USERS)?,
            SelectionRule::Name(glob) => {
                let index = u32::try_from(self.state.names).unwrap_or(MAX_NAMES);
                if index >= MAX_NAMES {
                    return Err(full("names", MAX_NAMES));
                }
                bpf::update_array(maps.names.fd().as_fd(), index, &[glob.text()])
                    .map_err(write_rule)?;
                self.state.names += 1;
            }
        }
        if self.state.generation > 0 {
            // Verdicts from before the rule do not count any more.
            self.state.generation += 1;
        }
        self.write_state()
    }

    /// Removes the rule for a cgroup that is gone. No other one ever has its id.
    pub fn remove_cgroup(&mut self, id: u64) {
        // A rule that is left costs nothing but its place.
        let _ = bpf::remove(self.maps.cgroups.fd().as_fd(), &[id]);
    }

    fn write_state(&self) -> Result<(), KernelError> {
        bpf::update_array(self.maps.state.fd().as_fd(), 0, &[self.state]).map_err(write_rule)
    }

    /// The identity in the kernel of an open file, for [`SelectionRule::Exe`].
    ///
    /// # Errors
    /// The file cannot be mapped, or the kernel refused.
    pub fn identify(&self, file: &File) -> Result<InodeKey, KernelError> {
        let failed = |source| KernelError::call("identify a file", source);
        #[expect(unsafe_code, reason = "maps a file")]
        // SAFETY: nothing reads the mapping.
        let mapping = unsafe { MmapOptions::new().len(1).map_copy_read_only(file) };
        let mapping = mapping.map_err(failed)?;
        let Some(program) = &self.identify else {
            return Err(KernelError::unexpected("identify"));
        };
        let address = mapping.as_ptr() as u64;
        for _ in 0..MAX_ATTEMPTS {
            if bpf::run_raw_tracepoint(program.as_fd(), &[address]).map_err(failed)? == 0 {
                return bpf::read_array(self.maps.identity.fd().as_fd(), 0).map_err(failed);
            }
            // Another thread changes our mappings.
            std::thread::yield_now();
        }
        Err(failed(io::ErrorKind::ResourceBusy.into()))
    }

    /// Adds a process. A process that is a member already stays as it is, but becomes a chosen one
    /// if it is added as such. Returns true if it was not a member.
    ///
    /// # Errors
    /// There are too many processes, or the kernel refused.
    pub fn add(&mut self, process: u32, origin: MemberOrigin) -> Result<bool, KernelError> {
        let flags = match origin {
            MemberOrigin::Matched => 0,
            MemberOrigin::Chosen { follow: false } => CHOSEN,
            MemberOrigin::Chosen { follow: true } => CHOSEN | FOLLOWED,
        };
        let member = Member {
            flags,
            user: NO_USER,
            cgroup: NO_CGROUP,
        };
        let map = self.maps.members.fd().as_fd();
        let inserted = match bpf::insert(map, &process, &member, bpf::Insert::New) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) && flags == 0 => {
                return Ok(false);
            }
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
                bpf::insert(map, &process, &member, bpf::Insert::Any).map(|()| false)
            }
            inserted => inserted.map(|()| true),
        };
        inserted.map_err(|error| match error.raw_os_error() {
            Some(libc::E2BIG) => full("processes", MAX_PROCESSES),
            _ => KernelError::call("select a process", error),
        })
    }

    /// Removes a process. If it matches the rules, its next hit adds it again. The kernel's side
    /// removes exited processes itself, whose ids may belong to other processes by then.
    pub fn remove(&mut self, process: u32) {
        // One that is not in there, as after `exec`, is removed already.
        let _ = bpf::remove(self.maps.members.fd().as_fd(), &[process]);
    }

    /// The messages since the last call, oldest first. At most 1,024; if there are that many, more
    /// may be waiting.
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

    /// Processes and hits that were missed so far.
    #[must_use]
    pub fn missed(&self) -> MissedMembers {
        // If the map cannot be read, no number is known.
        let read = |index| bpf::read_array(self.maps.missed.fd().as_fd(), index).unwrap_or(0);
        MissedMembers {
            processes: read(0),
            hits: read(1),
        }
    }
}

impl AsFd for ProcessSelection {
    /// Readable while there are messages.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.messages.as_fd()
    }
}

/// Numbers of entries of the maps, with `areas` for comparisons of names. Maps that are not used
/// have the smallest size.
pub(super) fn entries(processes: Processes, areas: u32) -> Vec<(&'static str, u32)> {
    let are_reported = processes.are_reported();
    let (ring, members) = if are_reported {
        (RING, MAX_PROCESSES)
    } else {
        (NO_RING, 1)
    };
    let mut entries = vec![("MEMBER_MESSAGES", ring), ("MEMBERS", members)];
    if matches!(processes, Processes::Selected(_)) {
        entries.push(("NAME_AREAS", areas));
    } else {
        let unused = [
            "EXES",
            "NAMES",
            "CGROUPS",
            "USERS",
            "REJECTED",
            "CGROUP_VERDICTS",
        ];
        entries.extend(unused.map(|name| (name, 1)));
    }
    entries
}

/// Adds a key to a map of rules.
fn put_rule<K: bytemuck::Pod>(
    map: &MapData,
    key: &K,
    what: &'static str,
    most: u32,
) -> Result<(), KernelError> {
    let put = bpf::insert(map.fd().as_fd(), key, &1_u32, bpf::Insert::Any);
    put.map_err(|error| match error.raw_os_error() {
        Some(libc::E2BIG) => full(what, most),
        _ => write_rule(error),
    })
}

fn write_rule(source: io::Error) -> KernelError {
    KernelError::call("write a rule to the kernel", source)
}

/// The map of `most` entries is full.
fn full(what: &'static str, most: u32) -> KernelError {
    KernelError::TooMany { what, most }
}
