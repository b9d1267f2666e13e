//! The loaded machine: installs probes, attaches their sites, counts, and removes them.
//!
//! [`Machine`] is the facade of this room. It owns the maps, the programs and the links, and no file
//! that it imports imports it back.

mod accounts;
mod allocator;
mod closing;
mod installed;
mod links;
mod members;
mod order;
mod site;

use std::os::fd::OwnedFd;

use tracer_common::control::{ProbeControl, ProbeCounters, ProbeState, REMOVED, SiteControl};
use tracer_common::limits::{MAX_OPS, MAX_PROBES, MAX_SITES, MAX_WATCHED};
use tracer_common::op::EncodedOp;
use tracer_common::timing::TimeCounters;
use tracer_common::trace::{SeenTarget, TraceState};

use self::allocator::RangeAllocator;
use self::closing::Closing;
use self::installed::{HeldSites, Installed, InstalledWatch};
use self::links::{Linked, SiteAttacher};
use super::bpf;
use super::error::KernelError;
use super::features::layout;
use super::load::{Loaded, load, programs::Programs};
use super::maps::{Maps, Tallies};
use super::open_calls::OpenCalls;
use super::options::{Forks, LoadOptions, Processes};
use super::places::PlaceMaps;
use super::ring::Ring;
use super::selection::{FamilyMember, ProcessSelection};
use super::traces::{OpenTracedCall, TraceRequest};
use crate::base::address::RunAddr;
use crate::program::{Program, Runner};

pub use self::installed::Reserved;
pub use self::site::{SiteCopy, SiteRequest, SiteTest};

/// A plan to write into the kernel's maps.
struct NewPlan<'p> {
    program: &'p Program,
    shift: i32,
    address: Option<RunAddr>,
    next_copy: u32,
}

/// The loaded machine.
///
/// Dropping it silences every probe and closes every link.
pub struct Machine {
    maps: Maps,
    programs: Programs,
    ring: Option<Ring>,
    op_room: RangeAllocator,
    site_room: RangeAllocator,
    probe_room: RangeAllocator,
    watched_room: RangeAllocator,
    installed: Vec<Installed>,
    /// Followed processes besides the target.
    members: Vec<FamilyMember>,
    selection: Option<ProcessSelection>,
    processes: Processes,
    /// It keeps accounts of processes.
    has_accounts: bool,
    closing: Closing,
    places: PlaceMaps,
    /// Generation of the last timed probe.
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
        let Loaded {
            maps,
            programs,
            ring,
            selection,
            places,
        } = load(options)?;
        Ok(Self {
            maps,
            programs,
            ring: Some(ring),
            op_room: RangeAllocator::new(MAX_OPS),
            site_room: RangeAllocator::new(MAX_SITES),
            probe_room: RangeAllocator::new(MAX_PROBES),
            watched_room: RangeAllocator::new(MAX_WATCHED),
            installed: Vec::new(),
            members: Vec::new(),
            selection,
            processes: options.processes,
            has_accounts: options.accounts > 0,
            closing: Closing::default(),
            places,
            generation: 0,
        })
    }

    /// Loads the programs that are otherwise loaded when a site needs them.
    ///
    /// # Errors
    /// The kernel refused.
    pub(super) fn complete(&mut self) -> Result<(), KernelError> {
        self.programs.get(Runner::Whole)?;
        self.programs.get(Runner::Computing).map(drop)
    }

    /// Loads the program for a watched value ahead, so that the value is watched at once when it is found.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn expect_watch(&mut self, runner: Runner) -> Result<(), KernelError> {
        self.programs.watched(runner).map(drop)
    }

    /// A reader of open calls.
    ///
    /// # Errors
    /// No more files can be opened.
    pub fn open_calls(&self) -> std::io::Result<OpenCalls> {
        self.maps.open_calls()
    }

    /// The reader's end of the ring; there is one.
    pub fn take_ring(&mut self) -> Option<Ring> {
        self.ring.take()
    }

    /// Sites are attached by multi-uprobe links, a thousand in one call.
    #[must_use]
    pub fn has_multi_links(&self) -> bool {
        self.programs.has_multi_links()
    }

    /// Writes a probe and its sites into the maps. Attaches nothing yet.
    ///
    /// # Errors
    /// The maps have no space, or could not be written.
    pub fn reserve(
        &mut self,
        control: &ProbeControl,
        sites: &[SiteRequest],
    ) -> Result<Reserved, KernelError> {
        let slot = self
            .probe_room
            .take(1)
            .ok_or_else(|| full("probes", 1, &self.probe_room))?;
        let mut reserved = Reserved::of(slot, sites);
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
        self.maps.reset_probe(slot)?;
        if reserved.times {
            self.distrust(slot)?;
            self.maps.reset_times(slot)?;
        }
        if reserved.traces {
            self.maps.traces().reset(slot)?;
        }
        self.set_control(slot, control)?;
        self.fill_sites(sites, reserved)
    }

    /// Writes the limits and the callers of a trace, between `reserve` and `attach`.
    ///
    /// # Errors
    /// The maps have no space, or could not be written.
    pub fn set_trace(&mut self, slot: u32, request: &TraceRequest) -> Result<(), KernelError> {
        self.maps.traces().write(slot, request)
    }

    /// The calls that a trace is recording.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn open_traced_calls(&self, slot: u32) -> Result<Vec<OpenTracedCall>, KernelError> {
        self.maps.traces().open_calls(slot)
    }

    /// The called addresses that recorded calls of a trace have computed, in order.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn seen_targets(&self, slot: u32) -> Result<Vec<SeenTarget>, KernelError> {
        self.maps.traces().seen(slot)
    }

    /// Counts hits of a new probe as had, between `reserve` and `attach`.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn hits_were_used(&mut self, slot: u32, used: u64) -> Result<(), KernelError> {
        let state = ProbeState {
            budget_used: used,
            ..ProbeState::default()
        };
        self.maps.set_state(slot, state)
    }

    /// Has the calls of a new trace numbered from this number on, between `reserve` and `attach`.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn number_calls_after(&mut self, slot: u32, last: u64) -> Result<(), KernelError> {
        let state = TraceState {
            taken: last,
            ended: last,
            full: 0,
        };
        self.maps.traces().set_state(slot, state)
    }

    /// Ends the recorded call of a thread that is gone.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn end_traced_call(&self, slot: u32, thread: u32) -> Result<(), KernelError> {
        self.maps.traces().end_call(slot, thread)
    }

    /// The calls of a trace.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn trace_state(&self, slot: u32) -> Result<TraceState, KernelError> {
        self.maps.traces().state(slot)
    }

    /// Writes further sites of a probe into the maps. Attaches nothing yet.
    ///
    /// # Errors
    /// The maps have no space, or could not be written.
    pub fn reserve_more(
        &mut self,
        slot: u32,
        sites: &[SiteRequest],
    ) -> Result<Reserved, KernelError> {
        let mut reserved = Reserved::of(slot, sites);
        if reserved.times {
            // A beginning in one program has no end in another.
            self.distrust(slot)?;
        }
        let result = self.fill_sites(sites, &mut reserved);
        if let Err(error) = result {
            self.release_sites(&reserved);
            return Err(error);
        }
        Ok(reserved)
    }

    fn fill_sites(
        &mut self,
        sites: &[SiteRequest],
        reserved: &mut Reserved,
    ) -> Result<(), KernelError> {
        for site in sites {
            let mut next_copy = 0;
            let first_copy = reserved.copies.len();
            // From the last, since each names the next one.
            for copy in site.copies.iter().rev() {
                let plan = NewPlan {
                    program: &copy.program,
                    shift: site.shift,
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
                program: &site.program,
                shift: site.shift,
                address: site.only_if.map(SiteTest::address),
                next_copy,
            };
            let cookie = self.write_site(&plan, reserved)?;
            reserved.cookies.push(cookie);
            if let Some(watch) = site.trigger.watch() {
                let index = self
                    .watched_room
                    .take(1)
                    .ok_or_else(|| full("watched values", 1, &self.watched_room))?;
                reserved.watched.push(InstalledWatch {
                    watch: watch.clone(),
                    index,
                    cookie,
                });
            }
        }
        Ok(())
    }

    /// Writes one plan into the maps. Returns its site's cookie.
    fn write_site(
        &mut self,
        plan: &NewPlan<'_>,
        reserved: &mut Reserved,
    ) -> Result<u32, KernelError> {
        let program = plan.program;
        // A plan without ops sends an empty record; its site still needs an op.
        let ops = match program.ops.as_slice() {
            [] => &[EncodedOp::default()],
            ops => ops,
        };
        let count = u32::try_from(ops.len()).unwrap_or(u32::MAX);
        let first = self
            .op_room
            .take(count)
            .ok_or_else(|| full("ops", program.ops.len(), &self.op_room))?;
        reserved.ops.push((first, count));
        self.maps.write_ops(first, ops)?;
        let cookie = self
            .site_room
            .take(1)
            .ok_or_else(|| full("sites", 1, &self.site_room))?;
        let site = SiteControl {
            first_op: first,
            op_count: count,
            probe: reserved.slot,
            flags: program.flags | self.account_flag(),
            guard: program.guard.unwrap_or_default(),
            fetches: program.fetches.unwrap_or_default(),
            cookie,
            next_copy: plan.next_copy,
            address: plan.address.map_or(0, |address| address.0),
            thread_pointer: layout::thread_pointer(program.flags),
            turn_condition: program.turn_condition,
            ..SiteControl::default()
        };
        let site = site.with_shift(plan.shift);
        if let Err(error) = self.maps.write_site(cookie, site) {
            self.site_room.give(cookie, 1);
            return Err(error);
        }
        Ok(cookie)
    }

    /// Invalidates all open beginnings: no later end is paired with one.
    fn distrust(&mut self, slot: u32) -> Result<(), KernelError> {
        // Hits increment the generation. A large step keeps it apart from that of any earlier probe.
        self.generation = self.generation.wrapping_add(1 << 32);
        self.maps.set_generation(slot, self.generation)
    }

    /// Attaches the sites of a probe, in the order of `reserve`, or more sites of one, in the order of
    /// `reserve_more`.
    ///
    /// Returns the sites that could not be attached, by their index, with the reason.
    ///
    /// # Errors
    /// No site could be attached. A new probe is removed again, and an earlier one is as before.
    pub fn attach(
        &mut self,
        pid: u32,
        reserved: Reserved,
        sites: &[SiteRequest],
    ) -> Result<Vec<(usize, KernelError)>, KernelError> {
        if let Some(index) = self.index_of(reserved.slot) {
            return self.attach_more(index, pid, reserved, sites);
        }
        let (links, mut failed) = self.link(pid, &reserved, sites);
        if links.is_empty() && !failed.is_empty() {
            self.release(&reserved);
            return Err(failed.swap_remove(0).1);
        }
        let held = self.hold(sites);
        self.installed.push(Installed {
            begins: order::begins(pid, &reserved, sites).collect(),
            reserved,
            links,
            attached: true,
            others: Vec::new(),
            held,
        });
        self.link_last();
        Ok(failed)
    }

    /// Attaches further sites of an installed probe. Those of a detached one are attached when it is
    /// attached again.
    fn attach_more(
        &mut self,
        index: usize,
        pid: u32,
        reserved: Reserved,
        sites: &[SiteRequest],
    ) -> Result<Vec<(usize, KernelError)>, KernelError> {
        let is_attached = self.installed.get(index).is_some_and(|one| one.attached);
        let (links, mut failed) = match is_attached {
            true => self.link(pid, &reserved, sites),
            false => (Vec::new(), Vec::new()),
        };
        if links.is_empty() && !failed.is_empty() {
            self.release_sites(&reserved);
            return Err(failed.swap_remove(0).1);
        }
        if let Some(installed) = self.installed.get_mut(index) {
            installed.links.extend(links);
            installed
                .begins
                .extend(order::begins(pid, &reserved, sites));
            installed.reserved.extend(reserved);
        }
        Ok(failed)
    }

    /// Attaches a detached probe again, with the limits of `control`.
    ///
    /// Returns the sites that could not be attached, by their index, with the reason.
    ///
    /// # Errors
    /// No site could be attached. The probe stays detached.
    pub fn reattach(
        &mut self,
        pid: u32,
        slot: u32,
        control: &ProbeControl,
        sites: &[SiteRequest],
    ) -> Result<Vec<(usize, KernelError)>, KernelError> {
        let Some(index) = self.index_of(slot) else {
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
        if installed.reserved.traces {
            // Steps that passed meanwhile were not seen.
            self.maps.traces().reset_calls(slot)?;
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

    fn index_of(&self, slot: u32) -> Option<usize> {
        let is_it = |installed: &Installed| installed.reserved.slot == slot;
        self.installed.iter().position(is_it)
    }

    /// Attaches sites to a process. After the end of the session, none can be attached.
    fn link(&mut self, pid: u32, reserved: &Reserved, sites: &[SiteRequest]) -> Linked {
        if self.closing.is_ended() {
            let ended = |index| (index, KernelError::Ended);
            return (Vec::new(), (0..sites.len()).map(ended).collect());
        }
        let mut attacher = SiteAttacher {
            programs: &mut self.programs,
            watches: self.maps.watches(),
            processes: self.processes,
            pid,
        };
        attacher.link(reserved, sites)
    }

    /// Keeps the files of a probe that is attached to the target, if forks are followed.
    fn hold(&self, sites: &[SiteRequest]) -> Option<HeldSites> {
        if self.processes != Processes::Family(Forks::Told) {
            return None;
        }
        match HeldSites::open(sites) {
            Ok(held) => Some(held),
            Err(error) => {
                tracing::debug!(%error, "a probe stays in the target alone");
                None
            }
        }
    }

    /// Attaches the probe that was installed last to the processes that are followed.
    fn link_last(&mut self) {
        let last = self.installed.len().saturating_sub(1);
        let members: Vec<u32> = self.members.iter().map(|member| member.process).collect();
        for process in members {
            if let Err(error) = self.link_member(last, process) {
                // The process may have just exited.
                tracing::debug!(process, %error, "a followed process lacks the new probe");
            }
        }
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

    /// Changes a probe's limits at once.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn set_control(&mut self, slot: u32, control: &ProbeControl) -> Result<(), KernelError> {
        let per_process = match control.per_process {
            0 => 0,
            _ => slot + 1,
        };
        let control = ProbeControl {
            per_process,
            ..*control
        };
        self.maps.set_control(slot, control)
    }

    /// A probe's counters, summed over all CPUs.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn counters(&self, slot: u32) -> Result<ProbeCounters, KernelError> {
        self.maps.counters(slot)
    }

    /// State of a probe in the kernel.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn state(&self, slot: u32) -> Result<ProbeState, KernelError> {
        self.maps.state(slot)
    }

    /// Counters of a timed probe besides its hits, over all CPUs.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn times(&self, slot: u32) -> Result<TimeCounters, KernelError> {
        self.maps.times(slot)
    }

    /// Hits that were added up by key so far.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn tallies(&self) -> Result<Tallies, KernelError> {
        self.maps.tallies()
    }

    /// Silences a probe at once and closes its links in the background. It can be attached again.
    pub fn silence(&mut self, slot: u32) {
        // A map that cannot be written does not keep the links from closing.
        let _ = self.set_control(slot, &ProbeControl::default());
        self.close(&[slot]);
    }

    /// Silences a probe at once and for good, and closes its links in the background.
    ///
    /// Its counters can be read until [`Machine::forget`] is called: the last hits may still
    /// be on their way.
    pub fn detach(&mut self, slot: u32) {
        let removed = ProbeControl {
            enabled: REMOVED,
            ..ProbeControl::default()
        };
        // As in `silence`.
        let _ = self.set_control(slot, &removed);
        self.close(&[slot]);
    }

    /// Closes the links of probes in the background. Their limits stay, so hits until they are
    /// closed are counted as before.
    pub fn close(&mut self, slots: &[u32]) {
        let closed = self
            .installed
            .iter_mut()
            .filter(|installed| slots.contains(&installed.reserved.slot));
        let closed: Vec<&mut Installed> = closed.collect();
        for place in closed.iter().flat_map(|one| &one.reserved.watched) {
            // If that fails, accesses are hits until the links are closed.
            let _ = self.maps.watches().forget(&place.watch);
        }
        let links = closed.into_iter().flat_map(Installed::take_links).collect();
        self.closing.close(links);
    }

    /// Waits until the links that are being closed are closed. Then no hit is in progress.
    pub fn wait_closed(&mut self) {
        self.closing.wait();
    }

    /// Detaches every probe for good: when this returns, no hit is in progress and none can follow.
    ///
    /// A command that another thread still carries out, such as waking a probe, is refused with
    /// [`KernelError::Ended`]. Counters can be read as before.
    pub fn end(&mut self) {
        self.closing.end();
        let slots: Vec<u32> = self
            .installed
            .iter()
            .map(|installed| installed.reserved.slot)
            .collect();
        for slot in slots {
            self.detach(slot);
        }
        self.wait_closed();
    }

    /// Frees the map elements of a detached probe. No record of it may be left in the ring.
    pub fn forget(&mut self, slot: u32) {
        if let Some(index) = self.index_of(slot) {
            let installed = self.installed.swap_remove(index);
            self.release(&installed.reserved);
        }
    }

    fn release(&mut self, reserved: &Reserved) {
        if self.close_accounts_of(reserved.slot) {
            self.probe_room.give(reserved.slot, 1);
        }
        if reserved.times {
            // An entry that stays takes room, and belongs to no probe.
            let _ = self.maps.forget_begun(|key| key.probe == reserved.slot);
        }
        if reserved.traces {
            // As above.
            let _ = self.maps.traces().forget(reserved.slot);
        }
        self.release_sites(reserved);
    }

    fn release_sites(&mut self, reserved: &Reserved) {
        let cookies = [&reserved.cookies[..], &reserved.copies[..]].concat();
        if !reserved.tallies || self.maps.forget_tallies(&cookies).is_ok() {
            for cookie in cookies {
                self.site_room.give(cookie, 1);
            }
        }
        for &(first, count) in &reserved.ops {
            self.op_room.give(first, count);
        }
        for place in &reserved.watched {
            self.watched_room.give(place.index, 1);
        }
    }

    /// Tells the value that the first access of a site replaces, unless there was one since the site was attached.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn set_last_value(&self, cookie: u32, words: [u64; 4]) -> Result<(), KernelError> {
        let mut places = self.installed.iter().flat_map(|one| &one.reserved.watched);
        match places.find(|place| place.cookie == cookie) {
            Some(place) => self.maps.watches().set_last(place.index, words),
            None => Ok(()),
        }
    }

    /// The places of modules in each process.
    pub fn places(&mut self) -> &mut PlaceMaps {
        &mut self.places
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
        for program in self.programs.loaded() {
            let (runs, ns) = bpf::run_time(program)
                .map_err(|source| KernelError::call("read run times", source))?;
            sum = (sum.0 + runs, sum.1 + ns);
        }
        Ok(sum)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.end();
    }
}

fn full(what: &'static str, wanted: usize, room: &RangeAllocator) -> KernelError {
    KernelError::Full {
        what,
        wanted,
        free: room.left(),
    }
}
