//! The loaded machine: install probes, attach their sites, count, remove.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use tracer_common::aggregate::{BytesKey, NumberKey};
use tracer_common::control::{
    ADDS_UP, BEGINS, ENDS, FORGETS, ProbeControl, ProbeCounters, ProbeState, SiteControl,
};
use tracer_common::limits::{
    MAX_BEGUN, MAX_BEGUN_KEPT, MAX_KNOWN, MAX_NUMBERS, MAX_OPS, MAX_PROBES, MAX_SITES, MAX_TURNS,
    MAX_VALUES,
};
use tracer_common::op::{COUNT, LEAVE, Op, TALLY, TALLY_RECORD};
use tracer_common::timing::{BegunKey, TimeCounters, TimeState};

use super::bpf;
use super::closing::Closing;
use super::error::KernelError;
use super::family::{Family, Held, Member};
use super::fetch;
use super::guard;
use super::load::{Forks, LoadOptions, Loaded, load};
use super::perf;
use super::programs::Which;
use super::ring::Ring;
use super::room::Room;
use crate::address::{FileOffset, RunAddr};

/// One address to attach to.
#[derive(Clone, Debug)]
pub struct SiteRequest {
    /// The file, by a path that opens exactly the mapped one.
    pub path: PathBuf,
    /// Where in it: the first byte of an instruction.
    pub offset: FileOffset,
    /// What a hit runs.
    pub ops: Vec<Op>,
    /// `NEEDS_…` of `tracer_common::control`.
    pub flags: u32,
    /// Where it is in the process, as the ops think; a hit anywhere else is that of a copy, or lost.
    /// `None`: anywhere.
    pub address: Option<RunAddr>,
    /// What a hit runs in other copies of the file.
    pub copies: Vec<SiteCopy>,
    /// At the entry of a function: a hit is each return of it, by the kernel's return trampoline.
    pub returns: bool,
    /// In the target alone, whatever becomes of what it forks.
    pub alone: bool,
}

/// A site in another copy of its file in the process.
#[derive(Clone, Debug)]
pub struct SiteCopy {
    /// Where it is in the process.
    pub address: RunAddr,
    /// What a hit runs.
    pub ops: Vec<Op>,
    /// As [`SiteRequest::flags`].
    pub flags: u32,
}

/// A plan in the kernel's maps.
struct NewPlan<'p> {
    ops: &'p [Op],
    flags: u32,
    adds_up: u32,
    address: Option<RunAddr>,
    next_copy: u32,
}

/// Room in the kernel's maps for one probe and its sites, not attached yet.
#[derive(Debug, Default)]
pub struct Reserved {
    /// The probe's index; records carry it.
    pub slot: u32,
    /// The sites' attach cookies, in the order of the requests; records carry them.
    pub cookies: Vec<u32>,
    /// Those of the sites' copies, site by site.
    pub copies: Vec<u32>,
    ops: Vec<(u32, u32)>,
    /// It adds hits up by key.
    tallies: bool,
    /// It times.
    pub(super) times: bool,
}

/// What hits were added up by, of all probes, with the number of hits.
#[derive(Debug, Default)]
pub struct Tallies {
    /// By number.
    pub numbers: Vec<(NumberKey, u64)>,
    /// By the bytes of a value.
    pub values: Vec<(BytesKey, u64)>,
}

/// What holds a probe's sites.
pub(super) enum Link {
    Multi(OwnedFd),
    PerfEvent(OwnedFd),
}

impl From<Link> for OwnedFd {
    fn from(link: Link) -> Self {
        match link {
            Link::Multi(fd) | Link::PerfEvent(fd) => fd,
        }
    }
}

pub(super) struct Installed {
    pub(super) reserved: Reserved,
    links: Vec<Link>,
    /// It is not detached.
    pub(super) attached: bool,
    /// Its sites in the processes that are followed.
    pub(super) others: Vec<(u32, Vec<Link>)>,
    /// What those are attached by; `None`: it is for the target alone.
    pub(super) held: Option<Held>,
}

impl Installed {
    /// Its links, in all processes; it is detached once they are closed.
    pub(super) fn take_links(&mut self) -> Vec<Link> {
        self.attached = false;
        let mut links = std::mem::take(&mut self.links);
        let others = std::mem::take(&mut self.others);
        links.extend(others.into_iter().flat_map(|(_, links)| links));
        links
    }
}

/// The loaded machine.
///
/// Dropping it silences every probe and closes every link.
pub struct Machine {
    loaded: Loaded,
    ring: Option<Ring>,
    op_room: Room,
    site_room: Room,
    probe_room: Room,
    pub(super) installed: Vec<Installed>,
    /// Processes that are followed beside the target.
    pub(super) members: Vec<Member>,
    pub(super) family: Option<Family>,
    pub(super) forks: Forks,
    pub(super) closing: Closing,
    /// Of the last probe that times; see [`TimeState::generation`].
    generation: u64,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("probes", &self.installed.len())
            .finish_non_exhaustive()
    }
}

impl Machine {
    /// Loads programs and maps; takes some ten milliseconds.
    ///
    /// # Errors
    /// A privilege or a kernel feature is missing.
    pub fn load(options: &LoadOptions) -> Result<Self, KernelError> {
        let mut loaded = load(options)?;
        Ok(Self {
            ring: loaded.ring.take(),
            forks: options.forks,
            family: loaded.family.take(),
            members: Vec::new(),
            loaded,
            op_room: Room::new(MAX_OPS),
            site_room: Room::new(MAX_SITES),
            probe_room: Room::new(MAX_PROBES),
            installed: Vec::new(),
            closing: Closing::default(),
            generation: 0,
        })
    }

    /// Loads what is otherwise loaded when a site needs it.
    ///
    /// # Errors
    /// The kernel refused.
    pub(super) fn complete(&mut self) -> Result<(), KernelError> {
        self.loaded.programs.get(Which::Whole)?;
        self.loaded.programs.get(Which::Computing).map(drop)
    }

    /// The reader's end of the ring; there is one.
    pub fn take_ring(&mut self) -> Option<Ring> {
        self.ring.take()
    }

    /// Sites are attached by multi-uprobe links, a thousand in one call.
    #[must_use]
    pub fn has_multi_links(&self) -> bool {
        self.loaded.programs.has_multi_links()
    }

    /// Writes a probe and its sites into the maps; nothing is attached yet.
    ///
    /// # Errors
    /// The maps have no room, or could not be written.
    pub fn reserve(
        &mut self,
        control: &ProbeControl,
        sites: &[SiteRequest],
    ) -> Result<Reserved, KernelError> {
        let full = |what, wanted: usize, room: &Room| KernelError::Full {
            what,
            wanted,
            free: room.left(),
        };
        let slot = self
            .probe_room
            .take(1)
            .ok_or_else(|| full("probes", 1, &self.probe_room))?;
        let mut reserved = Reserved {
            slot,
            cookies: Vec::new(),
            copies: Vec::new(),
            ops: Vec::new(),
            tallies: sites
                .iter()
                .flat_map(|site| &site.ops)
                .any(|op| matches!(op.code, TALLY | TALLY_RECORD | LEAVE)),
            times: sites.iter().any(|site| site.flags & (BEGINS | ENDS) != 0),
        };
        let result = self.fill(control, sites, &mut reserved);
        if let Err(error) = result {
            self.release(&reserved);
            return Err(error);
        }
        Ok(reserved)
    }

    fn fill(
        &mut self,
        control: &ProbeControl,
        sites: &[SiteRequest],
        reserved: &mut Reserved,
    ) -> Result<(), KernelError> {
        let slot = reserved.slot;
        self.reset_probe(slot)?;
        if reserved.times {
            self.reset_times(slot)?;
        }
        self.set_control(slot, control)?;
        for site in sites {
            let mut next_copy = 0;
            let first_copy = reserved.copies.len();
            // From the last, since each names the next one.
            for copy in site.copies.iter().rev() {
                let plan = NewPlan {
                    ops: &copy.ops,
                    flags: copy.flags,
                    adds_up: adds_up(&copy.ops, copy.flags),
                    address: Some(copy.address),
                    next_copy,
                };
                let cookie = self.write_site(&plan, reserved)?;
                reserved.copies.push(cookie);
                next_copy = cookie + 1;
            }
            let copies = reserved.copies.get_mut(first_copy..);
            copies.unwrap_or_default().reverse();
            let plan = NewPlan {
                ops: &site.ops,
                flags: site.flags,
                adds_up: adds_up(&site.ops, site.flags),
                address: site.address,
                next_copy,
            };
            let cookie = self.write_site(&plan, reserved)?;
            reserved.cookies.push(cookie);
        }
        Ok(())
    }

    /// Writes one plan into the maps; gives its site's cookie.
    fn write_site(
        &mut self,
        plan: &NewPlan<'_>,
        reserved: &mut Reserved,
    ) -> Result<u32, KernelError> {
        let write = |what| move |source| KernelError::call(what, source);
        let full = |what, wanted, free| KernelError::Full { what, wanted, free };
        let count = u32::try_from(plan.ops.len()).unwrap_or(u32::MAX);
        // A plan without ops sends an empty record; its site still needs one.
        let room = count.max(1);
        let first = self
            .op_room
            .take(room)
            .ok_or_else(|| full("ops", plan.ops.len(), self.op_room.left()))?;
        reserved.ops.push((first, room));
        let ops = if plan.ops.is_empty() {
            &[Op::default()][..]
        } else {
            plan.ops
        };
        bpf::update_array(self.loaded.ops.fd().as_fd(), first, ops)
            .map_err(write("write ops to the kernel"))?;
        let cookie = self
            .site_room
            .take(1)
            .ok_or_else(|| full("sites", 1, self.site_room.left()))?;
        let flags = plan.flags | super::features::site_flags(plan.flags) | plan.adds_up;
        let (guard, passes_to) = guard::of(plan.ops);
        let entry = SiteControl {
            first_op: first,
            op_count: room,
            probe: reserved.slot,
            flags,
            guard,
            fetches: fetch::of(plan.ops.get(passes_to..).unwrap_or_default(), flags),
            cookie,
            next_copy: plan.next_copy,
            address: plan.address.map_or(0, |address| address.0),
        };
        let written = bpf::update_array(self.loaded.sites.fd().as_fd(), cookie, &[entry]);
        if let Err(source) = written {
            self.site_room.give(cookie, 1);
            return Err(KernelError::call("write a site to the kernel", source));
        }
        Ok(cookie)
    }

    fn reset_probe(&mut self, slot: u32) -> Result<(), KernelError> {
        bpf::update_array(
            self.loaded.state.fd().as_fd(),
            slot,
            &[ProbeState::default()],
        )
        .map_err(|source| KernelError::call("write a probe to the kernel", source))?;
        let mut zeroes = vec![ProbeCounters::default(); self.loaded.cpus];
        bpf::write_cpus(self.loaded.counters.fd().as_fd(), slot, &mut zeroes)
            .map_err(|source| KernelError::call("write a probe to the kernel", source))
    }

    fn reset_times(&mut self, slot: u32) -> Result<(), KernelError> {
        self.distrust(slot)?;
        let mut zeroes = vec![TimeCounters::default(); self.loaded.cpus];
        bpf::write_cpus(self.loaded.times.fd().as_fd(), slot, &mut zeroes)
            .map_err(|source| KernelError::call("write a probe to the kernel", source))
    }

    /// What has begun so far is taken for the beginning of nothing that ends from now on.
    fn distrust(&mut self, slot: u32) -> Result<(), KernelError> {
        // Far from what hits make of it, so that nothing of an earlier probe is taken for this one's.
        self.generation = self.generation.wrapping_add(1 << 32);
        let state = TimeState {
            generation: self.generation,
            blind: 0,
        };
        bpf::update_array(self.loaded.time_state.fd().as_fd(), slot, &[state])
            .map_err(|source| KernelError::call("write a probe to the kernel", source))
    }

    /// Attaches the sites of a probe, in the order of `reserve`.
    ///
    /// Gives the sites that could not be attached, by their index, with the reason.
    ///
    /// # Errors
    /// None could be attached; the probe is removed again.
    pub fn attach(
        &mut self,
        pid: u32,
        reserved: Reserved,
        sites: &[SiteRequest],
    ) -> Result<Vec<(usize, KernelError)>, KernelError> {
        let (links, mut failed) = self.link(pid, &reserved, sites);
        if links.is_empty() && !failed.is_empty() {
            self.release(&reserved);
            return Err(failed.swap_remove(0).1);
        }
        self.installed.push(Installed {
            reserved,
            links,
            attached: true,
            others: Vec::new(),
            held: self.hold(sites),
        });
        self.link_last();
        Ok(failed)
    }

    /// Attaches the probe that was installed last to the processes that are followed.
    fn link_last(&mut self) {
        let last = self.installed.len().saturating_sub(1);
        for (process, error) in self.link_members(last) {
            // It may have just exited.
            tracing::debug!(process, %error, "a process that is followed has not the new probe");
        }
    }

    /// Attaches a detached probe again, with the limits of `control`.
    ///
    /// Gives the sites that could not be attached, by their index, with the reason.
    ///
    /// # Errors
    /// None could be attached; the probe stays detached.
    pub fn reattach(
        &mut self,
        pid: u32,
        slot: u32,
        control: &ProbeControl,
        sites: &[SiteRequest],
    ) -> Result<Vec<(usize, KernelError)>, KernelError> {
        let of_slot = |installed: &Installed| installed.reserved.slot == slot;
        let Some(index) = self.installed.iter().position(of_slot) else {
            return Err(KernelError::Load {
                reason: "a probe that is not installed".into(),
            });
        };
        if self.installed.get(index).is_some_and(|one| one.attached) {
            self.set_control(slot, control)?;
            return Ok(Vec::new());
        }
        // A link that is still being closed would see each hit once more.
        self.wait_closed();
        let mut installed = self.installed.swap_remove(index);
        if installed.reserved.times {
            // Ends that passed meanwhile were not seen.
            self.distrust(slot)?;
        }
        let (links, mut failed) = self.link(pid, &installed.reserved, sites);
        let refused = links.is_empty() && !failed.is_empty();
        installed.links.extend(links);
        installed.attached = true;
        self.installed.push(installed);
        self.link_last();
        let last = self.installed.last_mut();
        if let Some(installed) = last.filter(|installed| refused && !installed.is_in_others()) {
            installed.attached = false;
            return Err(failed.swap_remove(0).1);
        }
        self.set_control(slot, control)?;
        Ok(failed)
    }

    /// The links of all sites that can be attached, and those that cannot.
    pub(super) fn link(
        &mut self,
        pid: u32,
        reserved: &Reserved,
        sites: &[SiteRequest],
    ) -> (Vec<Link>, Vec<(usize, KernelError)>) {
        if self.closing.is_ended() {
            let ended = |index| (index, KernelError::Ended);
            return (Vec::new(), (0..sites.len()).map(ended).collect());
        }
        let mut failed = Vec::new();
        let mut links = Vec::new();
        for (members, of, which) in groups(sites) {
            match self.link_group(pid, (of, which), &members, reserved, sites) {
                Ok(link) => links.push(link),
                // One by one: by perf events, or to find out which one is refused.
                Err(_) => {
                    for index in members {
                        match self.link_group(pid, (of, which), &[index], reserved, sites) {
                            Ok(link) => links.push(link),
                            Err(error) => failed.push((index, error)),
                        }
                    }
                }
            }
        }
        (links, failed)
    }

    /// The link of sites of one file that run the same program; of one alone where there are no
    /// multi-uprobe links.
    fn link_group(
        &mut self,
        pid: u32,
        (of, which): (&SiteRequest, Which),
        members: &[usize],
        reserved: &Reserved,
        sites: &[SiteRequest],
    ) -> Result<Link, KernelError> {
        // All processes that map the file, where the program asks whose hit it is.
        let pid = if self.forks == Forks::Exact && !of.alone {
            0
        } else {
            pid
        };
        let is_multi = self.has_multi_links();
        let program = self.loaded.programs.get(which)?;
        let site = match members {
            [index] => sites.get(*index).unwrap_or(of),
            _ => of,
        };
        let link = match members {
            _ if is_multi => {
                attach_multi(program, pid, site, members, reserved, sites).map(Link::Multi)
            }
            [index] => match reserved.cookies.get(*index) {
                Some(&cookie) => {
                    perf::link(program, pid, site, u64::from(cookie)).map(Link::PerfEvent)
                }
                None => Err(io::ErrorKind::NotFound.into()),
            },
            _ => Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)),
        };
        link.map_err(|source| KernelError::Attach {
            path: site.path.clone(),
            offset: site.offset,
            source,
        })
    }

    /// Changes a probe's limits at once.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn set_control(&mut self, slot: u32, control: &ProbeControl) -> Result<(), KernelError> {
        bpf::update_array(self.loaded.control.fd().as_fd(), slot, &[*control])
            .map_err(|source| KernelError::call("write a probe to the kernel", source))
    }

    /// A probe's counters, summed over all CPUs.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn counters(&self, slot: u32) -> Result<ProbeCounters, KernelError> {
        let failed = |source| KernelError::call("read counters", source);
        let counters = self.loaded.counters.fd().as_fd();
        let values = bpf::read_cpus::<ProbeCounters>(counters, slot, self.loaded.cpus);
        // After the counters of how hits ended: a hit in progress may only be one too many.
        let state = bpf::read_array::<ProbeState>(self.loaded.state.fd().as_fd(), slot);
        let (values, state) = (values.map_err(failed)?, state.map_err(failed)?);
        let mut sum = values
            .iter()
            .fold(ProbeCounters::default(), |sum, value| add(&sum, value));
        sum.hits += state.sequence;
        sum.limited += state.limited;
        sum.lost += state.lost;
        Ok(sum)
    }

    /// What the kernel side remembers of a probe.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn state(&self, slot: u32) -> Result<ProbeState, KernelError> {
        bpf::read_array::<ProbeState>(self.loaded.state.fd().as_fd(), slot)
            .map_err(|source| KernelError::call("read a probe's state", source))
    }

    /// What a probe that times has counted beside its hits, over all CPUs.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn times(&self, slot: u32) -> Result<TimeCounters, KernelError> {
        let times = self.loaded.times.fd().as_fd();
        let values = bpf::read_cpus::<TimeCounters>(times, slot, self.loaded.cpus)
            .map_err(|source| KernelError::call("read counters", source))?;
        Ok(values
            .iter()
            .fold(TimeCounters::default(), |sum, value| add_times(&sum, value)))
    }

    /// What hits were added up by so far.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn tallies(&self) -> Result<Tallies, KernelError> {
        let failed = |source| KernelError::call("read what was counted", source);
        Ok(Tallies {
            numbers: bpf::entries(self.loaded.numbers.fd().as_fd(), MAX_NUMBERS).map_err(failed)?,
            values: bpf::entries(self.loaded.values.fd().as_fd(), MAX_VALUES).map_err(failed)?,
        })
    }

    /// Removes the entries of sites that are gone.
    ///
    /// # Errors
    /// The kernel refused. The sites' numbers must not be used again then: their next probe
    /// would show keys that are not its own.
    fn forget_tallies(&self, cookies: &[u32]) -> Result<(), KernelError> {
        let Tallies { numbers, values } = self.tallies()?;
        let mine = |site: u32| cookies.contains(&site);
        let numbers: Vec<NumberKey> = keys(numbers, |key| mine(key.site));
        let values: Vec<BytesKey> = keys(values, |key| mine(key.site));
        bpf::remove(self.loaded.numbers.fd().as_fd(), &numbers)
            .and_then(|()| bpf::remove(self.loaded.values.fd().as_fd(), &values))
            .map_err(|source| KernelError::call("forget what was counted", source))
    }

    /// Gives back the room of what has begun and will not end.
    pub(super) fn forget_begun(&self, which: impl Fn(&BegunKey) -> bool) -> io::Result<()> {
        for (map, most) in [
            (&self.loaded.begun, MAX_BEGUN),
            (&self.loaded.begun_kept, MAX_BEGUN_KEPT),
            (&self.loaded.underway, MAX_TURNS),
            (&self.loaded.known_threads, MAX_KNOWN),
        ] {
            let mut keys: Vec<BegunKey> = bpf::keys(map.fd().as_fd(), most)?;
            keys.retain(|key| which(key));
            bpf::remove(map.fd().as_fd(), &keys)?;
        }
        Ok(())
    }

    /// Gives the maps' room of a detached probe back. No record of it may be left in the ring.
    pub fn forget(&mut self, slot: u32) {
        let of_slot = |installed: &Installed| installed.reserved.slot == slot;
        if let Some(index) = self.installed.iter().position(of_slot) {
            let installed = self.installed.swap_remove(index);
            self.release(&installed.reserved);
        }
    }

    fn release(&mut self, reserved: &Reserved) {
        self.probe_room.give(reserved.slot, 1);
        if reserved.times {
            // What stays takes room, and is taken for nobody's.
            let _ = self.forget_begun(|key| key.probe == reserved.slot);
        }
        let cookies = [&reserved.cookies[..], &reserved.copies[..]].concat();
        if !reserved.tallies || self.forget_tallies(&cookies).is_ok() {
            for cookie in cookies {
                self.site_room.give(cookie, 1);
            }
        }
        for &(first, count) in &reserved.ops {
            self.op_room.give(first, count);
        }
    }

    /// Makes the kernel measure its programs' run time for as long as the descriptor is open.
    ///
    /// # Errors
    /// The privilege is missing.
    pub fn enable_run_time_stats() -> Result<OwnedFd, KernelError> {
        bpf::enable_run_time_stats()
            .map_err(|source| KernelError::call("measure run times", source))
    }

    /// Runs of the programs, and the ns that they took together, while statistics were on.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn run_time(&self) -> Result<(u64, u64), KernelError> {
        let mut sum = (0, 0);
        for program in self.loaded.programs.loaded() {
            let (runs, ns) = bpf::run_time(program)
                .map_err(|source| KernelError::call("read run times", source))?;
            sum = (sum.0 + runs, sum.1 + ns);
        }
        Ok(sum)
    }
}

impl Installed {
    /// A process that is followed has a site of it.
    fn is_in_others(&self) -> bool {
        self.others.iter().any(|(_, links)| !links.is_empty())
    }
}

/// The keys that are asked for.
fn keys<K>(entries: Vec<(K, u64)>, wanted: impl Fn(&K) -> bool) -> Vec<K> {
    let keys = entries.into_iter().map(|(key, _)| key);
    keys.filter(wanted).collect()
}

/// [`ADDS_UP`] for a plan that ends so, and has only ops that take no notice of the time.
fn adds_up(ops: &[Op], flags: u32) -> u32 {
    if flags & (BEGINS | FORGETS) != 0 {
        // What begins has its time from when all else has been done.
        return ADDS_UP;
    }
    let ends_so = |op: &Op| matches!(op.code, COUNT | TALLY | TALLY_RECORD);
    let is_timeless = |op: &Op| op.code <= TALLY_RECORD;
    if ops.iter().any(ends_so) && ops.iter().all(is_timeless) {
        ADDS_UP
    } else {
        0
    }
}

/// Indices of the sites of each file that run the same program, entries and returns apart, with one of
/// them; in the order of the first of each.
fn groups(sites: &[SiteRequest]) -> Vec<(Vec<usize>, &SiteRequest, Which)> {
    let mut groups: Vec<(Vec<usize>, &SiteRequest, Which)> = Vec::new();
    for (index, site) in sites.iter().enumerate() {
        let which = Which::of(site);
        let alike = |of: &SiteRequest| of.path == site.path && of.returns == site.returns;
        let group = groups.iter_mut();
        match group
            .into_iter()
            .find(|(_, of, runs)| *runs == which && alike(of))
        {
            Some((members, ..)) => members.push(index),
            None => groups.push((vec![index], site, which)),
        }
    }
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
    let path = CString::new(of.path.as_os_str().as_bytes())?;
    let offset = |&index: &usize| sites.get(index).map(|site| site.offset.0);
    let cookie = |&index: &usize| reserved.cookies.get(index).map(|&cookie| u64::from(cookie));
    let offsets: Vec<u64> = members.iter().filter_map(offset).collect();
    let cookies: Vec<u64> = members.iter().filter_map(cookie).collect();
    bpf::link_multi(program, (&path, of.returns), pid, &offsets, &cookies)
}

fn add_times(a: &TimeCounters, b: &TimeCounters) -> TimeCounters {
    TimeCounters {
        begun: a.begun + b.begun,
        ended: a.ended + b.ended,
        unfinished: a.unfinished + b.unfinished,
        uncertain: a.uncertain + b.uncertain,
        unpaired: a.unpaired + b.unpaired,
        off: a.off + b.off,
        rejected: a.rejected + b.rejected,
        faults: a.faults + b.faults,
        lost: a.lost + b.lost,
        full: a.full + b.full,
        sum_ns: a.sum_ns.saturating_add(b.sum_ns),
        longest_ns: a.longest_ns.max(b.longest_ns),
        shortest_ns_inverse: a.shortest_ns_inverse.max(b.shortest_ns_inverse),
    }
}

fn add(a: &ProbeCounters, b: &ProbeCounters) -> ProbeCounters {
    ProbeCounters {
        hits: a.hits + b.hits,
        events: a.events + b.events,
        lost: a.lost + b.lost,
        limited: a.limited + b.limited,
        rejected: a.rejected + b.rejected,
        faults: a.faults + b.faults,
        silenced: a.silenced + b.silenced,
        expired: a.expired + b.expired,
        over_budget: a.over_budget + b.over_budget,
        read_faults: a.read_faults + b.read_faults,
        cut: a.cut + b.cut,
        other: a.other + b.other,
        bpf_ns: a.bpf_ns + b.bpf_ns,
        timed: a.timed + b.timed,
        passed: a.passed + b.passed,
    }
}
