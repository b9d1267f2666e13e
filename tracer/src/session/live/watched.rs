//! Watched values: one site for each process, or one for each object that a hit has found.

pub(super) mod part;

use std::sync::Arc;

use tracer_common::control::{ENABLED, ProbeControl};
use tracer_common::watch::WORDS;

use super::attach::{NewSites, new_sites};
use super::{ExecutableId, Live, Placement};
use crate::base::address::RunAddr;
use crate::base::diagnostic::Diagnostic;
use crate::event::{Done, DoneReason, PlacementId, ProbeDone};
use crate::kernel::{OwnerFrame, SiteRequest, WatchedMemory};
use crate::plan::watching::WatchedProcess;
use crate::session::Notice;
use crate::session::actor::NewProbe;
use crate::session::error::refused_by_kernel;
use crate::session::locks::lock;
use crate::session::prepare::watch_part::{ObjectPlan, ReadyWatch};
use crate::session::prepare::{PreparedProbe, ReadySite};
use crate::session::probes::{Probe, ProbeMap};
use crate::session::reader::clock::{WallOffset, monotonic_ns};
use crate::session::reader::objects::{FoundObject, WatchNews};
use crate::session::reader::retired::HelperSites;
use crate::session::reader::site_table::WatchedObject;
use crate::session::sites::modules::TargetModule;
use crate::session::sites::threads::{FoundThread, thread_ids, threads};
use crate::target::read_words;
use part::{ValueOwner, WatchedPart};

/// Size in bytes of a word.
const WORD: u32 = 8;
/// Bytes of the largest stack whose objects are known to be on it.
const MAX_STACK: u64 = 64 << 20;
/// Bytes below the stack pointer that belong to the running function.
const RED_ZONE: u64 = 128;

/// The place of a value, and its owner.
struct FoundValue {
    owner: ValueOwner,
    site: ReadySite,
}

/// Further watched values that have been attached.
struct MoreSites {
    requests: Vec<SiteRequest>,
    cookies: Vec<u32>,
}

impl Live {
    /// Replaces a value by its place in each process. Notes tell what the user should know of them.
    ///
    /// # Errors
    /// The value has no address in any process.
    pub(super) fn in_processes(
        &self,
        executable: ExecutableId,
        mut probe: PreparedProbe,
    ) -> Result<(PreparedProbe, WatchedPart), Diagnostic> {
        let mut watched = WatchedPart::default();
        let finds = |site: &ReadySite| matches!(site.watch, Some(ReadyWatch::Finds(_)));
        if probe.sites.iter().any(finds) {
            for site in std::mem::take(&mut probe.sites) {
                match site.watch {
                    Some(ReadyWatch::Ends) => watched.enders.push(site),
                    _ => watched.finders.push(site),
                }
            }
            return Ok((probe, watched));
        }
        let is_value = |site: &ReadySite| matches!(site.watch, Some(ReadyWatch::Value { .. }));
        let Some(value) = probe.sites.iter().find(|site| is_value(site)).cloned() else {
            return Ok((probe, watched));
        };
        let mut sites = Vec::new();
        let mut first_error = None;
        for pid in self.processes_of(executable) {
            // Before their values, so that a thread that starts meanwhile is looked for later.
            let threads = thread_ids(pid);
            match self.values_in(pid, &probe.module, &value) {
                Ok(found) => {
                    watched.looked(pid, threads);
                    for FoundValue { owner, site } in found {
                        watched.owners.push(owner);
                        sites.push(site);
                    }
                }
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        if sites.is_empty() {
            let none = || Diagnostic::new("no process has the value yet");
            return Err(first_error.unwrap_or_else(none));
        }
        probe
            .notes
            .extend(first_error.map(|error| error.to_string()));
        probe.notes.extend(behind_pointers(&value, &sites));
        if watched.owners.iter().any(|owner| owner.thread.is_some()) {
            probe.notes.push(format!(
                "each thread has its own `{}`: threads that start later are watched within half a second, and those \
                 that first use it later within two seconds",
                value.site.function
            ));
        }
        probe.sites = sites;
        watched.value = Some(value);
        Ok((probe, watched))
    }

    /// The processes that run an executable.
    fn processes_of(&self, executable: ExecutableId) -> Vec<u32> {
        let Some(executable) = self.executables.get(executable) else {
            return Vec::new();
        };
        let modules = executable.modules.now();
        let Some(main) = modules.all().first() else {
            return Vec::new();
        };
        let runs_it = |pid: &u32| {
            let modules = self.shared.modules_of(*pid).now();
            let its = modules.all().first();
            its.is_some_and(|its| its.file.is_file_of(&main.file))
        };
        let all = self.target_statuses().into_iter().map(|target| target.pid);
        all.filter(runs_it).collect()
    }

    /// The sites of a value in one process: one, or one for each thread if each has its own.
    fn values_in(
        &self,
        pid: u32,
        module: &TargetModule,
        value: &ReadySite,
    ) -> Result<Vec<FoundValue>, Diagnostic> {
        let Some(ReadyWatch::Value { place, on }) = &value.watch else {
            return Ok(Vec::new());
        };
        let name = &value.site.function;
        let modules = self.shared.modules_of(pid).now();
        let mut all = modules.all().iter();
        let here = all.find(|here| here.file.is_file_of(&module.file));
        let bias = here.and_then(|here| here.bias()).ok_or_else(|| {
            Diagnostic::new(format!(
                "process {pid} has not loaded `{}`",
                module.file.name
            ))
        })?;
        let site_of = |thread: Option<FoundThread>| {
            let facts = WatchedProcess {
                site: bias.run(value.site.address).0,
                thread_pointer: thread.map(|thread| thread.pointer),
                read: &|address| read_words(pid, &[address]).into_iter().next().flatten(),
            };
            let address = place.address(&facts).map_err(|why| {
                Diagnostic::new(format!(
                    "`{name}` cannot be watched in process {pid}: {why}"
                ))
            })?;
            let thread = thread.map(|thread| thread.id);
            let watch = WatchedMemory {
                pid,
                thread,
                address: RunAddr(address),
                size: place.size,
                on: *on,
                owner: None,
            };
            let object = WatchedObject {
                watch,
                stack_of: None,
            };
            Ok(FoundValue {
                owner: ValueOwner { pid, thread },
                site: ReadySite {
                    watch: Some(ReadyWatch::At(object)),
                    bias,
                    ..value.clone()
                },
            })
        };
        if !place.is_of_thread() {
            return site_of(None).map(|found| vec![found]);
        }
        let threads = threads(pid, &modules).filter(|threads| !threads.is_empty());
        let Some(threads) = threads else {
            let message = format!(
                "`{name}` is thread-local, and the C library does not tell the threads' places"
            );
            return Err(Diagnostic::new(message).hint(format!(
                "watch that of the thread that comes to a place: `watch {name} at FUNCTION`"
            )));
        };
        let (mut found, mut first_error) = (Vec::new(), None);
        for thread in threads {
            match site_of(Some(thread)) {
                Ok(value) => found.push(value),
                // A thread that has not used the variable may have no copy of it yet.
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        match first_error {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }

    /// Attaches the sites that find the object of a watch.
    ///
    /// # Errors
    /// The kernel refused.
    pub(super) fn attach_finders(
        &self,
        new: &NewProbe<'_>,
        placement: PlacementId,
        module: &TargetModule,
        watched: &mut WatchedPart,
    ) -> Result<(), Diagnostic> {
        let finders = std::mem::take(&mut watched.finders);
        if finders.is_empty() {
            return Ok(());
        }
        // The first hit finds the object. Further ones are turned away until the breakpoints are out.
        let control = ProbeControl {
            enabled: ENABLED,
            hit_budget: 1,
            ..ProbeControl::default()
        };
        for finder in &finders {
            if let Some(ReadyWatch::Finds(plan)) = &finder.watch {
                let runner = plan.plan.program.runner;
                let loaded = lock(&self.machine).expect_watch(runner);
                loaded.map_err(|error| refused_by_kernel(&error))?;
            }
        }
        let helper = self.attach_helper(new, placement, module, finders.clone(), &control)?;
        for (&cookie, site) in helper.cookies.iter().zip(finders) {
            watched.objects.insert(cookie, site);
        }
        watched.finding = Some(helper);
        let enders = std::mem::take(&mut watched.enders);
        if !enders.is_empty() {
            // Its hits count once the object is found.
            let silent = ProbeControl::default();
            let helper = self.attach_helper(new, placement, module, enders, &silent)?;
            watched.ending = Some(helper);
        }
        Ok(())
    }

    /// Attaches sites whose hits are no events.
    fn attach_helper(
        &self,
        new: &NewProbe<'_>,
        placement: PlacementId,
        module: &TargetModule,
        sites: Vec<ReadySite>,
        control: &ProbeControl,
    ) -> Result<HelperSites, Diagnostic> {
        let NewSites {
            requests, entries, ..
        } = new_sites(new, placement, module, sites)?;
        let reserved = lock(&self.machine).reserve(control, &requests);
        let reserved = reserved.map_err(|error| refused_by_kernel(&error))?;
        let slot = reserved.slot;
        let cookies = [&reserved.cookies[..], &reserved.copies[..]].concat();
        self.register(slot, &cookies, entries, new.spec);
        let attached = lock(&self.machine).attach(self.pid().unwrap_or(0), reserved, &requests);
        let refused = match attached {
            Ok(failed) => match failed.into_iter().next() {
                None => return Ok(HelperSites { slot, cookies }),
                Some((_, error)) => {
                    // The map elements are not freed, since records of them may be in the ring.
                    lock(&self.machine).detach(slot);
                    error
                }
            },
            Err(error) => error,
        };
        self.unregister(&cookies);
        Err(refused_by_kernel(&refused))
    }

    /// A watch has come to its object, or to its end.
    pub(super) fn take_watch_news(&mut self, probes: &mut ProbeMap<Placement>, news: WatchNews) {
        let mut all = probes.iter_mut();
        match news {
            WatchNews::Found(found) => {
                if let Some(probe) = all.find(|probe| finder_part(probe, found.slot).is_some()) {
                    self.found(probe, found);
                }
            }
            WatchNews::Ended { slot, pid, address } => {
                if let Some(probe) = all.find(|probe| ends_watch(probe, slot, pid, address)) {
                    self.end_watch(probe, DoneReason::Until);
                }
            }
            WatchNews::Left { slot } => {
                let is_it = |placement: &Placement| placement.slot == slot;
                if let Some(probe) = all.find(|probe| probe.placement().is_some_and(is_it)) {
                    self.end_watch(probe, DoneReason::Left);
                }
            }
        }
    }

    /// Watches the object that a hit has found.
    fn found(&self, probe: &mut Probe<Placement>, found: FoundObject) {
        let (id, name, spec) = (probe.id, probe.name.clone(), Arc::clone(&probe.spec));
        let new = NewProbe {
            id,
            name: &name,
            spec: &spec,
        };
        let index = finder_part(probe, found.slot);
        let Some(placement) = probe.placement_mut() else {
            return;
        };
        let (slot, placement_id) = (placement.slot, placement.id);
        let Some(part) = index.and_then(|index| placement.parts.get_mut(index)) else {
            return;
        };
        let Some(site) = part.watched.objects.get(&found.cookie) else {
            return;
        };
        let Some(ReadyWatch::Finds(plan)) = &site.watch else {
            return;
        };
        if part.watched.object.is_some() {
            return;
        }
        let object = object_of(&found, plan);
        let value = ReadySite {
            plan: plan.plan.clone(),
            watch: Some(ReadyWatch::At(object.clone())),
            copies: Vec::new(),
            ..site.clone()
        };
        let more = match self.watch_more(&new, placement_id, slot, &part.module, value) {
            Ok(more) => more,
            Err(error) => {
                self.shared.warn(format!("{name}: {error}"));
                return;
            }
        };
        let late_us = monotonic_ns().saturating_sub(found.ktime_ns) / 1_000;
        lock(&self.machine).detach(found.slot);
        part.watched.object = Some(object.clone());
        if let Some(ending) = &part.watched.ending {
            let control = ProbeControl {
                enabled: ENABLED,
                ..ProbeControl::default()
            };
            let woken = lock(&self.machine).set_control(ending.slot, &control);
            if let Err(error) = woken {
                let why = refused_by_kernel(&error);
                self.shared
                    .warn(format!("{name}: the watch does not end by itself: {why}"));
            }
        }
        let on_stack = match object.stack_of {
            Some(thread) => format!(", on the stack of thread {thread}"),
            None => String::new(),
        };
        self.shared.note(format!(
            "{name}: the object is at {}{on_stack}; it is watched from {late_us} µs after that hit on",
            object.watch.address
        ));
        placement.requests.extend(more.requests);
        placement.cookies.extend(more.cookies);
        // It may have been left before the watch began.
        if object
            .watch
            .owner
            .is_some_and(|owner| was_left(found.pid, owner))
        {
            self.end_watch(probe, DoneReason::Left);
        }
    }

    /// Attaches a further watched value of a probe.
    fn watch_more(
        &self,
        new: &NewProbe<'_>,
        placement: PlacementId,
        slot: u32,
        module: &TargetModule,
        site: ReadySite,
    ) -> Result<MoreSites, Diagnostic> {
        let NewSites {
            mut requests,
            entries,
            ..
        } = new_sites(new, placement, module, vec![site])?;
        let reserved = lock(&self.machine).reserve_more(slot, &requests);
        let reserved = reserved.map_err(|error| refused_by_kernel(&error))?;
        let cookies = reserved.cookies.clone();
        self.register(slot, &cookies, entries, new.spec);
        let attached = lock(&self.machine).attach(self.pid().unwrap_or(0), reserved, &requests);
        if let Err(error) = attached {
            self.unregister(&cookies);
            return Err(refused_by_kernel(&error));
        }
        self.tell_first_values(&requests, &cookies);
        for request in &mut requests {
            request.program.drop_ops();
        }
        Ok(MoreSites { requests, cookies })
    }

    /// Ends a watch whose object is gone.
    fn end_watch(&self, probe: &mut Probe<Placement>, reason: DoneReason) {
        if probe.done.is_some() {
            return;
        }
        let now = monotonic_ns();
        let done = Done {
            reason,
            time_ns: WallOffset::now().wall(now),
        };
        probe.done = Some(done);
        probe.enabled = false;
        let told = ProbeDone {
            probe: probe.id,
            name: probe.name.clone(),
            done,
        };
        if let Some(placement) = probe.placement_mut() {
            placement.is_taken_out();
            let mut machine = lock(&self.machine);
            machine.close(&[placement.slot]);
            let parts = placement.parts.iter();
            for helper in parts.flat_map(|part| part.watched.helpers()) {
                machine.detach(helper.slot);
            }
        }
        self.shared.tell_after(now, Notice::Done(told));
    }

    /// Watches the value in processes that have come since.
    pub(super) fn watch_new_processes(&self, probes: &mut ProbeMap<Placement>) {
        for probe in probes.iter_mut().filter(|probe| probe.done.is_none()) {
            let (id, name, spec) = (probe.id, probe.name.clone(), Arc::clone(&probe.spec));
            let new = NewProbe {
                id,
                name: &name,
                spec: &spec,
            };
            let Some(placement) = probe.placement_mut() else {
                continue;
            };
            let (slot, placement_id) = (placement.slot, placement.id);
            for part in &mut placement.parts {
                let Some(value) = part.watched.value.clone() else {
                    continue;
                };
                let mut there = Vec::new();
                let processes = self.processes_of(part.executable);
                part.watched.keep_looks(&processes);
                for pid in processes {
                    let known = |owner: &&ValueOwner| owner.pid == pid;
                    let first = part.watched.owners.iter().find(known).copied();
                    // A value that all threads share is there once.
                    if let Some(owner) = first.filter(|owner| owner.thread.is_none()) {
                        there.push(owner);
                        continue;
                    }
                    let threads = thread_ids(pid);
                    if first.is_some() && !part.watched.may_have_more(pid, &threads) {
                        let owners = part.watched.owners.iter();
                        there.extend(owners.filter(|owner| owner.pid == pid));
                        continue;
                    }
                    part.watched.looked(pid, threads);
                    let found = self.values_in(pid, &part.module, &value);
                    if first.is_none()
                        && let Err(error) = &found
                    {
                        self.shared.warn(format!("{name}: {error}"));
                        there.push(ValueOwner { pid, thread: None });
                    }
                    for FoundValue { owner, site } in found.unwrap_or_default() {
                        there.push(owner);
                        if part.watched.owners.contains(&owner) {
                            continue;
                        }
                        match self.watch_more(&new, placement_id, slot, &part.module, site) {
                            Ok(more) => {
                                if first.is_none() {
                                    self.shared.note(format!(
                                        "{name}: process {pid} is watched from now on; its accesses before were not seen"
                                    ));
                                }
                                placement.requests.extend(more.requests);
                                placement.cookies.extend(more.cookies);
                            }
                            Err(error) => self.shared.warn(format!("{name}: {error}")),
                        }
                    }
                }
                part.watched.owners = there;
            }
        }
    }

    /// Tells the kernel side the values that the first accesses replace.
    pub(super) fn tell_first_values(&self, requests: &[SiteRequest], cookies: &[u32]) {
        for (request, &cookie) in requests.iter().zip(cookies) {
            if let Some(watch) = request.trigger.watch()
                && let Some(words) = value_now(watch)
                && let Err(error) = lock(&self.machine).set_last_value(cookie, words)
            {
                tracing::debug!(%error, "the first value of a watch stays unknown");
            }
        }
    }
}

/// The note that pointers lead to the value.
fn behind_pointers(value: &ReadySite, sites: &[ReadySite]) -> Option<String> {
    let Some(ReadyWatch::Value { place, .. }) = &value.watch else {
        return None;
    };
    let Some(ReadyWatch::At(object)) = &sites.first()?.watch else {
        return None;
    };
    place.is_behind_pointers().then(|| {
        format!(
            "pointers lead to `{}`: the object at {} is watched, also when they lead elsewhere later",
            value.site.function, object.watch.address
        )
    })
}

/// The bytes of a watched value, in words. `None` if they cannot be read.
fn value_now(watch: &WatchedMemory) -> Option<[u64; WORDS]> {
    let mut words = [0; WORDS];
    let begins = (0..watch.size).step_by(WORD as usize);
    for (word, begin) in words.iter_mut().zip(begins) {
        let length = (watch.size - begin).min(WORD);
        // A whole word that ends with the value: the bytes behind it may not be mapped.
        let before = WORD - length;
        let at = watch.address.0.wrapping_add(u64::from(begin));
        let at = at.wrapping_sub(u64::from(before));
        let read = read_words(watch.pid, &[at]).into_iter().next().flatten()?;
        *word = read >> (8 * before);
    }
    Some(words)
}

/// The part of a probe whose sites find its object, by their index in the kernel's maps.
fn finder_part(probe: &Probe<Placement>, slot: u32) -> Option<usize> {
    let is_it = |helper: &HelperSites| helper.slot == slot;
    let mut parts = probe.placement()?.parts.iter();
    parts.position(|part| part.watched.finding.as_ref().is_some_and(is_it))
}

/// Returns true if a hit of these sites ends the watch of a probe.
fn ends_watch(probe: &Probe<Placement>, slot: u32, pid: u32, address: Option<u64>) -> bool {
    let is_it = |helper: &HelperSites| helper.slot == slot;
    let parts = probe.placement().map(|placement| &placement.parts);
    let mut parts = parts.into_iter().flatten();
    parts.any(|part| {
        let is_ending = part.watched.ending.as_ref().is_some_and(is_it);
        is_ending
            && part.watched.object.as_ref().is_some_and(|object| {
                let is_same = address.is_none_or(|address| address == object.watch.address.0);
                object.watch.pid == pid && is_same
            })
    })
}

/// Returns true if a function has returned, or if that cannot be told.
fn was_left(pid: u32, owner: OwnerFrame) -> bool {
    let word = read_words(pid, &[owner.slot.0])
        .into_iter()
        .next()
        .flatten();
    word != Some(owner.return_address)
}

/// The object that a hit has found.
fn object_of(found: &FoundObject, plan: &ObjectPlan) -> WatchedObject {
    let is_on_stack = found.stack_pointer.is_some_and(|stack_pointer| {
        let lowest = stack_pointer.saturating_sub(RED_ZONE);
        (lowest..stack_pointer.saturating_add(MAX_STACK)).contains(&found.address)
    });
    WatchedObject {
        watch: WatchedMemory {
            pid: found.pid,
            thread: None,
            address: RunAddr(found.address),
            size: plan.size,
            on: plan.on,
            owner: found.owner,
        },
        stack_of: is_on_stack.then_some(found.tid),
    }
}
