//! From a plan to sites in the target.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracer_common::control::{ANNOUNCES, BEGINS, ENDS, TAKES, TURNS};

use super::calls::PartTrace;
use super::executables::Executable;
use super::planner::{LivePlan, PlannedPart};
use super::{ExecutableId, FirstSite, HeldAddresses, Live, Placement, PlacementPart};
use crate::actions::ActionSites;
use crate::base::address::LinkAddr;
use crate::base::causes::chain;
use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::site::{Exit, Site};
use crate::event::{PlacementId, SiteOrigin};
use crate::kernel::{
    KernelError, Machine, Reserved, SiteCopy, SiteRequest, SiteTest, Trigger, Uprobe,
};
use crate::lang::ast::{ProbeSpec, Template};
use crate::placement::SiteKind;
use crate::plan::{Key, Layout, Plan};
use crate::session::actor::{Attached, Backend as _, NewProbe};
use crate::session::error::refused_by_kernel;
use crate::session::locks::lock;
use crate::session::prepare::copies::CopyPlan;
use crate::session::prepare::refusal::SitePlace;
use crate::session::prepare::refusal::{SiteRefusal, left_out, not_attached};
use crate::session::prepare::warm_pages;
use crate::session::prepare::watch_part::ReadyWatch;
use crate::session::prepare::{PreparedProbe, PreparedTrace, ReadySite};
use crate::session::probes::Probe;
use crate::session::reader::site_table::{EventStyle, SiteEntry, WatchMark, WatchedObject};
use crate::session::reader::span_code::SpanCode;
use crate::session::sites::modules::TargetModule;

/// The parts of a plan's sites that the kernel and the reader need.
pub(super) struct NewSites {
    pub(super) requests: Vec<SiteRequest>,
    /// In the order of the requests, then those of the copies.
    pub(super) entries: Vec<NewSite>,
    places: Vec<SitePlace>,
    /// The dearest of the instructions.
    kind: SiteKind,
    held: HeldAddresses,
}

/// New sites of a module, to be attached.
#[derive(Clone, Copy)]
struct NewSitesAt<'s> {
    module: &'s TargetModule,
    places: &'s [SitePlace],
    requests: &'s [SiteRequest],
    /// The process, where the sites are for one alone.
    pid: u32,
}

/// The part of a new site that the reader needs.
pub(super) struct NewSite {
    origin: Arc<SiteOrigin>,
    site: Option<Site>,
    layout: Layout,
    key: Option<Key>,
    span: Option<SpanCode>,
    watch: Option<WatchedObject>,
    mark: Option<WatchMark>,
}

/// Where a part of a probe belongs.
#[derive(Clone, Copy)]
struct PartPlace {
    placement: PlacementId,
    /// Index of the probe in the kernel's maps. `None` if this is its first part.
    slot: Option<u32>,
    /// Number of sites in the parts before.
    first_request: usize,
    /// Number of their cookies.
    first_cookie: usize,
}

/// A part of a probe that has been attached.
struct AttachedPart {
    slot: u32,
    part: PlacementPart,
    requests: Vec<SiteRequest>,
    cookies: Vec<u32>,
    kind: SiteKind,
    notes: Vec<String>,
    trace: Option<PartTrace>,
}

impl Live {
    /// Attaches a probe by its plan. An executable that refuses it does not disturb the others.
    ///
    /// # Errors
    /// The kernel refused all of it, or the target is gone. Nothing is left attached.
    pub(super) fn attach_plan(
        &mut self,
        new: &NewProbe<'_>,
        plan: LivePlan,
    ) -> Result<Attached<Placement>, Diagnostic> {
        let id = PlacementId(self.placements);
        self.placements += 1;
        self.require_target()?;
        self.forget(true);
        let LivePlan {
            parts,
            planned,
            mut notes,
            covered: _,
        } = plan;
        let first = first_site(parts.iter().flat_map(|part| &part.probe.sites));
        let mut first_error = None;
        let mut attached: Option<Placement> = None;
        for part in parts {
            let more = match &mut attached {
                None => self.begin(new, id, part, &first).map(|begun| {
                    attached = Some(begun.placement);
                    begun.notes
                }),
                Some(placement) => self.extend(new, placement, part),
            };
            match more {
                Ok(more) => notes.extend(more),
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        match (attached, first_error) {
            (Some(mut placement), error) => {
                placement.planned = planned;
                notes.extend(error.map(|error| error.to_string()));
                Ok(Attached { placement, notes })
            }
            (None, Some(error)) => Err(error),
            (None, None) => Err(Diagnostic::new("no program has the location")),
        }
    }

    /// Attaches the first sites of a probe.
    fn begin(
        &mut self,
        new: &NewProbe<'_>,
        id: PlacementId,
        planned: PlannedPart,
        first: &FirstSite,
    ) -> Result<Attached<Placement>, Diagnostic> {
        let place = PartPlace {
            placement: id,
            slot: None,
            first_request: 0,
            first_cookie: 0,
        };
        let executable = planned.executable;
        let part = self.attach_part(new, place, planned)?;
        let control = self.limits_of(new.id, new.spec, &lock(&self.machine));
        self.has_place_in(executable);
        let before = self.attached_in.insert(new.id, self.epoch);
        let placement = Placement {
            id,
            first: first.clone(),
            slot: part.slot,
            cookies: part.cookies,
            control,
            parts: vec![part.part],
            planned: Vec::new(),
            placed: vec![executable],
            requests: part.requests,
            kind: match new.spec.action.kind().sites() {
                // Hits that find the object are not among those of the probe.
                ActionSites::Memory => SiteKind::Watchpoint,
                _ => part.kind,
            },
            follows_exec: before.is_some_and(|before| before != self.epoch),
            stale: false,
            told_limited: false,
            told_unaccounted: false,
            told_full: false,
            traces: part.trace.into_iter().collect(),
            seen: BTreeSet::new(),
            extra_calls: 0,
            attached_at: Some(Instant::now()),
            attached_before: Duration::ZERO,
            at_end: None,
        };
        Ok(Attached {
            placement,
            notes: part.notes,
        })
    }

    /// Attaches a probe in the programs that targets have come to run.
    pub(super) fn attach_in_more(
        &mut self,
        probe: &mut Probe<Placement>,
        plan: Result<LivePlan, Diagnostic>,
    ) {
        let all: Vec<(ExecutableId, String)> = self
            .executables
            .iter()
            .map(|one| (one.id, one.name()))
            .collect();
        let (id, name, spec) = (probe.id, probe.name.clone(), Arc::clone(&probe.spec));
        let new = NewProbe {
            id,
            name: &name,
            spec: &spec,
        };
        let Some(placement) = probe.placement_mut() else {
            return;
        };
        let mut notes = Vec::new();
        match plan {
            Ok(plan) => {
                placement.planned.extend(plan.planned);
                placement.are_planned(&plan.covered);
                notes.extend(plan.notes);
                let mut followed = Vec::new();
                let mut follows_more = false;
                for part in plan.parts {
                    let is_more = part.is_more;
                    let has_sites = !part.probe.sites.is_empty();
                    match self.extend(&new, placement, part) {
                        Ok(more) if is_more => {
                            follows_more |= has_sites;
                            followed.extend(more);
                        }
                        Ok(more) => notes.extend(more),
                        Err(error) => notes.push(error.to_string()),
                    }
                }
                if follows_more {
                    // Before the notes, so that whoever has them finds the next call recorded.
                    self.follows_more(&name, placement);
                    for note in followed {
                        self.shared.note(format!("{name}: {note}"));
                    }
                } else {
                    notes.append(&mut followed);
                }
            }
            Err(error) => {
                // It is not tried again at each process.
                for (executable, file) in all {
                    if placement.lacks(executable) {
                        placement.planned.push(executable);
                        notes.push(format!("no site in `{file}`: {}", error.message));
                    }
                }
                placement.none_are_planned();
                if notes.is_empty() {
                    notes.push(error.to_string());
                }
            }
        }
        for note in notes {
            if !probe.notes.contains(&note) {
                self.warn(format!("{name}: {note}"));
                probe.notes.push(note);
            }
        }
    }

    /// Attaches a probe in one more executable. Returns notes for the user.
    ///
    /// # Errors
    /// The kernel refused. The other executables keep their sites.
    fn extend(
        &mut self,
        new: &NewProbe<'_>,
        placement: &mut Placement,
        planned: PlannedPart,
    ) -> Result<Vec<String>, Diagnostic> {
        // A library that several programs use has its sites once.
        let file = &planned.probe.module.file;
        let executable = planned.executable;
        let mut parts = placement.parts.iter();
        if !planned.is_more && parts.any(|part| part.module.file.is_file_of(file)) {
            placement.placed.push(executable);
            self.has_place_in(executable);
            return Ok(Vec::new());
        }
        let place = PartPlace {
            placement: placement.id,
            slot: Some(placement.slot),
            first_request: placement.requests.len(),
            first_cookie: placement.cookies.len(),
        };
        let AttachedPart {
            part,
            requests,
            cookies,
            kind,
            notes,
            trace,
            ..
        } = self.attach_part(new, place, planned)?;
        placement.placed.push(executable);
        self.has_place_in(executable);
        placement.traces_now(trace);
        placement.parts.push(part);
        placement.requests.extend(requests);
        placement.cookies.extend(cookies);
        if placement.kind != SiteKind::Watchpoint {
            placement.kind = dearer(placement.kind, kind);
        }
        Ok(notes)
    }

    /// A probe has a place in an executable.
    fn has_place_in(&mut self, executable: ExecutableId) {
        if let Some(executable) = self.executables.get_mut(executable) {
            executable.has_place = true;
        }
    }

    fn attach_part(
        &mut self,
        new: &NewProbe<'_>,
        place: PartPlace,
        planned: PlannedPart,
    ) -> Result<AttachedPart, Diagnostic> {
        let PlannedPart {
            executable, probe, ..
        } = planned;
        let (probe, mut watched) = self.in_processes(executable, probe)?;
        let PreparedProbe {
            module,
            sites,
            mut notes,
            trace,
            // They are parts of their own.
            elsewhere: _,
        } = probe;
        let NewSites {
            mut requests,
            entries,
            places,
            kind,
            held,
        } = new_sites(new, place.placement, &module, sites)?;
        self.need_modules(requests.iter())?;
        let pid = self.executables.get(executable).and_then(Executable::pid);
        if let Some(pager) = self.shared.pager()
            && let Some(pid) = pid
        {
            pager.warm(pid, warm_pages::ranges(&module, &requests, &places));
        }
        let reserved = self.reserve(new, place.slot, &requests);
        let reserved = reserved.map_err(|error| refused_by_kernel(&error))?;
        let slot = reserved.slot;
        if let Some(trace) = &trace {
            let last_call = place.slot.is_none().then(|| self.last_call(new.id));
            let written = set_trace(&mut lock(&self.machine), slot, trace, last_call);
            written.map_err(|error| refused_by_kernel(&error))?;
        }
        let own_cookies = reserved.cookies.clone();
        let cookies = [&reserved.cookies[..], &reserved.copies[..]].concat();
        self.register(slot, &cookies, entries, new.spec);
        let sites = NewSitesAt {
            module: &module,
            places: &places,
            requests: &requests,
            pid: pid.unwrap_or(0),
        };
        match self.attach_reserved(new, sites, reserved) {
            Ok(refusals) => {
                let total = u32::try_from(requests.len()).unwrap_or(u32::MAX);
                notes.extend(left_out(&refusals, total));
                self.tell_first_values(&requests, &own_cookies);
            }
            Err(error) => {
                self.unregister(&cookies);
                return Err(error);
            }
        }
        if let Err(error) = self.attach_finders(new, place.placement, &module, &mut watched) {
            lock(&self.machine).detach(slot);
            self.unregister(&cookies);
            return Err(error);
        }
        if let Some(executable) = self.executables.get_mut(executable) {
            Arc::make_mut(&mut executable.placing).add(new.id, &module, &places);
        }
        for request in &mut requests {
            request.program.drop_ops();
            request.copies = Vec::new();
        }
        let (from, first) = (place.first_request, place.first_cookie);
        Ok(AttachedPart {
            slot,
            trace: trace.map(|trace| PartTrace::of(executable, Arc::clone(&trace.code))),
            part: PlacementPart {
                executable,
                module,
                requests: from..from + requests.len(),
                cookies: first..first + cookies.len(),
                held,
                moved: false,
                watched,
            },
            requests,
            cookies,
            kind,
            notes,
        })
    }

    /// Writes sites into the kernel's maps, as those of a new probe or of one that is there.
    fn reserve(
        &self,
        new: &NewProbe<'_>,
        slot: Option<u32>,
        requests: &[SiteRequest],
    ) -> Result<Reserved, KernelError> {
        let mut machine = lock(&self.machine);
        if let Some(slot) = slot {
            return machine.reserve_more(slot, requests);
        }
        let control = self.limits_of(new.id, new.spec, &machine);
        let reserved = machine.reserve(&control, requests)?;
        let kept = self.kept_limits.get(&new.id);
        let used = kept.map_or(0, |kept| kept.used());
        machine.hits_were_used(reserved.slot, used)?;
        Ok(reserved)
    }

    /// Fails when the target has exited.
    fn require_target(&self) -> Result<(), Diagnostic> {
        let family = self.family.as_ref();
        let are_selected = family.is_some_and(|family| family.selected.is_some());
        let process = self.executables.first().modules.process();
        if are_selected || process.is_none_or(|process| process.is_alive()) {
            return Ok(());
        }
        Err(Diagnostic::new("the target has exited").maybe_hint(
            self.family
                .as_ref()
                .map(|_| "existing probes continue in the processes that it forked".into()),
        ))
    }

    /// Attaches sites with reserved map elements. Returns those that the kernel refused.
    fn attach_reserved(
        &self,
        new: &NewProbe<'_>,
        sites: NewSitesAt<'_>,
        reserved: Reserved,
    ) -> Result<Vec<SiteRefusal>, Diagnostic> {
        let NewSitesAt {
            module,
            places,
            requests,
            pid,
        } = sites;
        let slot = reserved.slot;
        let mut machine = lock(&self.machine);
        let attached = machine.attach(pid, reserved, requests);
        let failed = attached.map_err(|error| refusal_of(error, module, places))?;
        if let Err(error) = machine.put_spans_first(slot, requests) {
            self.warn(no_beginnings(&error));
        }
        let mut refusals = not_attached(module, places, &failed);
        if new.spec.action.kind().sites() != ActionSites::Alike && !refusals.is_empty() {
            // Ends without their beginnings, or the reverse, would measure something else. The map
            // elements are not freed, since records of them may be in the ring.
            machine.detach(slot);
            return Err(refusals.swap_remove(0).into());
        }
        Ok(refusals)
    }

    /// Registers sites with the reader before they can be hit.
    pub(super) fn register(
        &self,
        slot: u32,
        cookies: &[u32],
        entries: Vec<NewSite>,
        spec: &Arc<ProbeSpec>,
    ) {
        let style = event_style(spec);
        let mut table = self.shared.sites_mut();
        for (&cookie, site) in cookies.iter().zip(entries) {
            table.set(
                cookie,
                Some(SiteEntry {
                    slot,
                    spec: Arc::clone(spec),
                    origin: site.origin,
                    layout: site.layout,
                    key: site.key,
                    style,
                    site: site.site,
                    span: site.span,
                    watch: site.watch,
                    mark: site.mark,
                }),
            );
        }
    }

    /// The reader knows these sites no more.
    pub(super) fn unregister(&self, cookies: &[u32]) {
        let mut table = self.shared.sites_mut();
        for &cookie in cookies {
            table.set(cookie, None);
        }
    }
}

/// The warning that a span of another probe begins no more, because it could not be put before a new probe.
pub(super) fn no_beginnings(error: &KernelError) -> String {
    format!(
        "a span that begins where the new probe is gets no more calls: {}",
        chain(error)
    )
}

/// Writes the part of a trace that is not in its sites. Calls of a new trace are numbered after `last_call`.
fn set_trace(
    machine: &mut Machine,
    slot: u32,
    trace: &PreparedTrace,
    last_call: Option<u64>,
) -> Result<(), KernelError> {
    if let Some(last) = last_call {
        machine.number_calls_after(slot, last)?;
    }
    machine.set_trace(slot, &trace.request)
}

/// The reason why no site could be attached.
fn refusal_of(error: KernelError, module: &TargetModule, places: &[SitePlace]) -> Diagnostic {
    match places.first() {
        Some(first) if error.is_instruction_refused() || error.is_place_refused() => {
            SiteRefusal::of_kernel(module, first.place, &error).into()
        }
        _ => refused_by_kernel(&error),
    }
}

/// Source position of the first site; for a timed probe, of its beginning.
fn first_site<'s>(sites: impl Iterator<Item = &'s ReadySite> + Clone) -> FirstSite {
    let has = |flags| move |site: &&ReadySite| site.plan.program.flags & flags != 0;
    // The first line of a traced function, and not those of functions that it calls.
    let mut all = sites.clone();
    all.find(has(TAKES | ANNOUNCES))
        .or_else(|| sites.clone().find(|site| !has(ENDS)(site)))
        .or_else(|| sites.clone().next())
        .map(|ready| FirstSite {
            source: ready.site.source.clone(),
            function: ready.site.function.clone(),
        })
        .unwrap_or_default()
}

/// The options of a probe for its events.
fn event_style(spec: &ProbeSpec) -> EventStyle {
    let action = spec.action.kind();
    EventStyle {
        depth: action.stack_depth(spec),
        callers: action.shows_callers(),
        samples: spec.options.every.is_some(),
    }
}

/// Divides the data on sites into the kernel's part and the reader's.
pub(super) fn new_sites(
    new: &NewProbe<'_>,
    placement: PlacementId,
    module: &TargetModule,
    sites: Vec<ReadySite>,
) -> Result<NewSites, Diagnostic> {
    let mut all = NewSites {
        requests: Vec::with_capacity(sites.len()),
        entries: Vec::with_capacity(sites.len()),
        places: Vec::with_capacity(sites.len()),
        kind: SiteKind::Nop5,
        held: HeldAddresses::of(&sites),
    };
    let mut copies = Vec::new();
    let ends = sites
        .iter()
        .filter(|ready| ready.plan.program.flags & ENDS != 0);
    let ends: Arc<[LinkAddr]> = ends.map(|ready| ready.site.address).collect();
    let total = u32::try_from(sites.len()).unwrap_or(u32::MAX);
    for (number, ready) in (1..).zip(sites) {
        all.kind = dearer(all.kind, ready.place.kind);
        all.places.push(SitePlace {
            site: ready.site.address,
            place: ready.place.address,
        });
        all.requests.push(request(module, &ready)?);
        let source = ready.site.source.as_ref();
        let origin = Arc::new(SiteOrigin {
            probe: new.id,
            placement,
            probe_name: new.name.to_owned(),
            action: new.spec.action.name(),
            file: source.map_or_else(Arc::default, |source| Arc::clone(&source.file)),
            line: source.map_or(0, |source| source.line),
            function: ready.site.function.clone(),
            frame_function: ready
                .site
                .inlined_into
                .last()
                .map(|outermost| outermost.function.clone()),
            address: ready.site.address.0,
            site: (number, total),
            multiline: new
                .spec
                .template
                .as_ref()
                .is_some_and(Template::is_multiline),
        });
        let site = ready.site;
        let is_elsewhere = site.exit == Some(Exit::Trampoline);
        let (watch, mark) = match &ready.watch {
            Some(ReadyWatch::At(object)) => (Some(object.clone()), None),
            Some(ReadyWatch::Finds(_)) => (None, Some(WatchMark::Finds)),
            Some(ReadyWatch::Ends) => (None, Some(WatchMark::Ends)),
            Some(ReadyWatch::Value { .. }) | None => (None, None),
        };
        let entry = |plan: Plan| NewSite {
            origin: Arc::clone(&origin),
            site: (!is_elsewhere && watch.is_none()).then(|| site.clone()),
            span: plan
                .layout
                .span()
                .and(module.debug().ok())
                .map(|debug| SpanCode::at(debug, site.address, &ends)),
            layout: plan.layout,
            key: plan.key,
            watch: watch.clone(),
            mark,
        };
        copies.extend(ready.copies.into_iter().map(|copy| entry(copy.plan)));
        all.entries.push(entry(ready.plan));
    }
    all.entries.extend(copies);
    Ok(all)
}

/// The kind of the two whose hits cost more.
const fn dearer(a: SiteKind, b: SiteKind) -> SiteKind {
    match (a, b) {
        (SiteKind::TwoTraps, _) | (_, SiteKind::TwoTraps) => SiteKind::TwoTraps,
        (SiteKind::Watchpoint, _) | (_, SiteKind::Watchpoint) => SiteKind::Watchpoint,
        (SiteKind::OneTrap, _) | (_, SiteKind::OneTrap) => SiteKind::OneTrap,
        (SiteKind::Nop5, SiteKind::Nop5) => SiteKind::Nop5,
    }
}

/// The request to the kernel side for a site.
fn request(module: &TargetModule, ready: &ReadySite) -> Result<SiteRequest, Diagnostic> {
    if let Some(ReadyWatch::At(object)) = &ready.watch {
        return Ok(SiteRequest {
            trigger: Trigger::Watch(object.watch.clone()),
            program: ready.plan.program.clone(),
            shift: 0,
            only_if: None,
            copies: Vec::new(),
            alone: true,
            begins_span: false,
        });
    }
    let debug = module.debug().map_err(Diagnostic::new)?;
    let place = ready.place.address;
    let offset = debug
        .file_offset(place)
        .ok_or_else(|| Diagnostic::new(format!("{place} is in no segment of the file")))?;
    let shift = ready.site.address.0.wrapping_sub(place.0).cast_signed();
    let shift = i32::try_from(shift)
        .map_err(|_| Diagnostic::new(format!("{place} is too far from the site")))?;
    let copy = |copy: &CopyPlan| SiteCopy {
        address: copy.bias.run(place),
        program: copy.plan.program.clone(),
    };
    let flags = ready.plan.program.flags;
    let semaphore = ready.site.usdt.as_ref().and_then(|probe| probe.semaphore);
    let counter = match semaphore {
        Some(semaphore) => Some(debug.semaphore_offset(semaphore).ok_or_else(|| {
            Diagnostic::new(format!(
                "the semaphore at {semaphore} is not in the data of the file, where the kernel could write it"
            ))
        })?),
        None => None,
    };
    Ok(SiteRequest {
        trigger: Trigger::Uprobe(Uprobe {
            path: module.open_path(),
            offset,
            returns: ready.site.exit == Some(Exit::Trampoline),
            counter,
        }),
        program: ready.plan.program.clone(),
        shift,
        only_if: ready.bound.then(|| SiteTest::At(ready.bias.run(place))),
        copies: ready.copies.iter().map(copy).collect(),
        alone: false,
        // A branch to the head of a loop tells of one pass only, so such a beginning is not attached again.
        begins_span: ready.plan.layout.span().is_some() && flags & (BEGINS | TURNS) == BEGINS,
    })
}
