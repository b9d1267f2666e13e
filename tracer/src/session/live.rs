//! The session: probes come and go, the reader runs.

use std::collections::BTreeMap;
use std::future::Future;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracer_common::control::{ENDS, ProbeControl};

use super::aggregates::{Adding, aggregates};
use super::budget::Budget;
use super::catalog::unreadable;
use super::copies::CopyPlan;
use super::cost::known_trap_cost;
use super::family::{self, Followed, Following};
use super::following::Waiting;
use super::keeper::{self, Keeper};
use super::looks::ModuleLooks;
use super::modules::{Modules, TargetModule};
use super::placing::{Placing, announced};
use super::prepare::{self, Prepared, ReadySite, Setting, control, locate};
use super::queue::Queue;
use super::refused::{Refusal, left_out, not_attached};
use super::removed::Removed;
use super::shared::{EventStyle, Shared, SiteEntry, lock};
use super::wait::{Stopper, Waiter};
use super::warm;
use super::{
    AttachError, Control, Cost, LineInfo, Options, OutlineEntry, ProbeError, ProbeStatus,
    SourceFile, VariableInfo, reader,
};
use crate::cancel;
use crate::debuginfo::site::{Exit, Site};
use crate::event::{Aggregate, Counters, Event, Notice, Origin, PlacementId, ProbeId, Used};
use crate::kernel::{LoadOptions, Machine, SiteCopy, SiteRequest, TrapCost};
use crate::lang::ast::{Action, ProbeSpec, Template};
use crate::lang::parse_probe;
use crate::limits::BUFFER_BYTES;
use crate::paging::Pager;
use crate::plan::placement::SiteKind;
use crate::plan::{self, Key, Layout, Plan};
use crate::sources::{SourceError, SourceText};
use crate::target::{ImageId, Process};

/// A live set of probes over one target.
///
/// Dropping it ends it: probes are silenced and detached, the reader stops.
pub struct Session {
    pub(super) process: Arc<Process>,
    pub(super) options: Options,
    pub(super) machine: Mutex<Machine>,
    pub(super) probes: Mutex<BTreeMap<ProbeId, Probe>>,
    next: Mutex<u32>,
    placements: AtomicU32,
    pub(super) placing: Mutex<Placing>,
    /// Probes of modules that the target has not loaded.
    pub(super) waiting: Mutex<BTreeMap<ProbeId, Waiting>>,
    /// The probe that tells when the target loads a library.
    pub(super) loader: Mutex<Option<u32>>,
    /// The program that the target executes.
    pub(super) image: Mutex<Option<ImageId>>,
    pub(super) shared: Arc<Shared>,
    stopper: Stopper,
    reader: Mutex<Option<JoinHandle<()>>>,
    /// Probes that are gone, with what they did.
    pub(super) removed: Mutex<Vec<Removed>>,
    pub(super) budget: Mutex<Budget>,
    /// `None` inside: it could not be measured.
    pub(super) trap: OnceLock<Option<TrapCost>>,
    /// Follows what the target forks, where that is asked for.
    following: OnceLock<Following>,
}

/// A probe that is installed, or was.
pub(super) struct Probe {
    pub(super) status: ProbeStatus,
    pub(super) spec: ProbeSpec,
    /// Has its sites.
    pub(super) module: Arc<TargetModule>,
    pub(super) placement: PlacementId,
    pub(super) slot: u32,
    pub(super) cookies: Vec<u32>,
    pub(super) control: ProbeControl,
    /// Its sites, without their plans, to attach them again.
    pub(super) requests: Vec<SiteRequest>,
    /// What the dearest of its instructions is for the kernel.
    pub(super) kind: SiteKind,
    /// A plan of it knows where modules are.
    pub(super) bound: bool,
    /// It was told that the code of a site is not mapped any more.
    pub(super) moved: bool,
    /// It is done, and its sites are of a place that its module has left since.
    pub(super) stale: bool,
    /// It was told that it is over its rate.
    pub(super) told_limited: bool,
    /// Since when its breakpoints are in the target; `None`: they are out.
    pub(super) attached_at: Option<Instant>,
    /// For how long they were before.
    pub(super) attached_before: Duration,
}

impl Probe {
    /// For how long its breakpoints were in the target.
    pub(super) fn attached(&self) -> Duration {
        let since = self.attached_at.map(|since| since.elapsed());
        self.attached_before + since.unwrap_or_default()
    }

    /// Its breakpoints are being taken out.
    pub(super) fn is_taken_out(&mut self) {
        self.attached_before = self.attached();
        self.attached_at = None;
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("pid", &self.process.pid())
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Takes hold of a process and loads the kernel's side; no probe yet.
    ///
    /// # Errors
    /// The process cannot be traced, or a privilege or kernel feature is missing.
    pub fn attach(pid: u32, options: &Options) -> Result<Arc<Self>, AttachError> {
        let process = Arc::new(Process::open(pid)?);
        let program = options.pager.clone();
        let pager = program.and_then(|program| Pager::start(program).ok());
        let load = LoadOptions {
            ring_bytes: options.ring_bytes,
            perf_events: options.perf_events,
            forks: options.forks,
            more_probes: options.more_probes,
        };
        // The kernel verifies the programs while the executable's tables are read.
        let (machine, modules) = std::thread::scope(|scope| {
            let loading = scope.spawn(move || Machine::load(&load));
            let modules = Modules::read(&process, &options.debug);
            if let Some(main) = modules
                .as_ref()
                .ok()
                .and_then(|modules| modules.all().first())
                && let Ok(debug) = main.debug()
            {
                let _warm = debug.source_files();
            }
            (loading.join(), modules)
        });
        let mut machine = match machine {
            Ok(machine) => machine?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let modules = modules?;
        let main = modules.all().first().ok_or(AttachError::NoCode { pid })?;
        main.debug()
            .map_err(|error| AttachError::Executable(Arc::clone(error)))?;
        let reader = |source| AttachError::Reader { source };
        let ring = machine.take_ring().ok_or(AttachError::NoCode { pid })?;
        let stopper = Stopper::new().map_err(reader)?;
        let family = machine
            .take_family()
            .map(|family| {
                family::Prepared::new(family, pid, process.pidfd().as_fd(), options.forks)
            })
            .transpose()?;
        let exited = family
            .as_ref()
            .map_or(process.pidfd().as_fd(), family::Prepared::all_gone);
        let waiter = Waiter::new(stopper.as_fd(), exited, ring.as_fd()).map_err(reader)?;
        let (keeper, told) = Keeper::new();
        let buffer = match options.buffer_bytes {
            0 => BUFFER_BYTES,
            bytes => bytes,
        };
        let queue = Queue::new(options.queue, buffer / 4, options.patient);
        let looks = ModuleLooks::new(Arc::clone(&process), options.debug.clone());
        let shared = Shared::new(queue, Arc::new(modules), looks, keeper.clone(), pager);
        let shared = Arc::new(shared);
        let of_reader = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("reader".into())
            .spawn(move || reader::run(&of_reader, ring, &waiter, buffer / 2))
            .map_err(reader)?;
        let placing = Placing::new(Some(process.pid()), options.site);
        let trap = OnceLock::new();
        if let Some(known) = known_trap_cost() {
            let _new = trap.set(Some(known));
        }
        let session = Arc::new(Self {
            placing: Mutex::new(placing),
            waiting: Mutex::default(),
            loader: Mutex::default(),
            image: Mutex::new(process.image()),
            process,
            options: options.clone(),
            machine: Mutex::new(machine),
            probes: Mutex::default(),
            next: Mutex::new(1),
            placements: AtomicU32::new(0),
            shared,
            stopper,
            reader: Mutex::new(Some(thread)),
            removed: Mutex::default(),
            budget: Mutex::new(Budget::new(options.max_cpu)),
            trap,
            following: OnceLock::new(),
        });
        keeper::start(&session, told).map_err(reader)?;
        if let Some(family) = family {
            let following = family.start(Arc::downgrade(&session)).map_err(reader)?;
            let _new = session.following.set(following);
        }
        Ok(session)
    }

    /// The target.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// What became of the processes that the target has forked; `None`: they are not followed.
    #[must_use]
    pub fn followed(&self) -> Option<Followed> {
        self.following.get().map(Following::counts)
    }

    /// Installs a probe that has been parsed.
    ///
    /// # Errors
    /// See [`ProbeError`]; nothing is left attached.
    pub fn install(&self, spec: &ProbeSpec) -> Result<ProbeStatus, ProbeError> {
        let started = Instant::now();
        let mut placing = lock(&self.placing);
        let prepared = match self.prepare(spec, &placing) {
            Ok(prepared) => prepared,
            Err(error) => return self.wait_for(spec).ok_or(error),
        };
        let status = self.start(prepared, self.next_id(), &mut placing)?;
        let took_ms = milliseconds(started);
        tracing::debug!(sites = status.sites, took_ms, "probe attached");
        Ok(status)
    }

    /// Says that there will be no other probes than these, which gives each more places to be.
    pub fn announce<'p>(&self, specs: impl Iterator<Item = &'p ProbeSpec>) {
        let modules = self.modules();
        let sites = announced(&modules, specs);
        lock(&self.placing).announce(sites);
    }

    /// Puts something that the user should know among the notices.
    pub fn warn(&self, text: String) {
        self.shared.queue.extend([Notice::Warning(text)]);
    }

    /// Takes events that have been shown back: the next ones are made in their room. The list is
    /// empty then.
    pub fn give_back(&self, events: &mut Vec<Used>) {
        self.shared.queue.give_back(events);
    }

    /// Gives up the events that wait, counted as lost by their probes.
    pub fn drop_events(&self) {
        self.shared.queue.drop_events();
    }

    /// Counts an event that was taken and will not be shown as lost by its probe.
    pub fn count_unshown(&self, event: &Event) {
        self.shared.queue.count_dropped(event.origin.placement);
    }

    /// Events that wait to be taken, about.
    pub fn waiting_events(&self) -> usize {
        self.shared.waiting()
    }

    /// Completes when [`Control::take_notices`] has something to give.
    pub fn notices_ready(&self) -> impl Future<Output = ()> + '_ {
        self.shared.queue.filled()
    }

    /// Silences and detaches every probe, and reads the ring to its end. What is left to take
    /// are the last events; the counters are final.
    pub fn finish(&self) -> Vec<ProbeStatus> {
        self.look_at_limits();
        {
            let started = Instant::now();
            // A signal or a library that was just loaded must not attach a probe behind this.
            lock(&self.machine).end();
            lock(&self.probes)
                .values_mut()
                .for_each(Probe::is_taken_out);
            cancel::detached();
            tracing::debug!(took_ms = milliseconds(started), "probes detached");
        }
        self.shared.end_paging();
        self.stopper.stop();
        if let Some(reader) = lock(&self.reader).take() {
            // A panic of the reader has been reported by the panic hook.
            let _ = reader.join();
        }
        self.forget(&mut lock(&self.machine), false);
        self.probes()
    }

    pub(super) fn modules(&self) -> Arc<Modules> {
        self.shared.modules()
    }

    /// Everything that needs no kernel: resolve, type, compile.
    pub(super) fn prepare(
        &self,
        spec: &ProbeSpec,
        placing: &Placing,
    ) -> Result<Prepared, ProbeError> {
        let mut modules = self.modules();
        let located = match locate(&modules, spec) {
            Ok(located) => located,
            // A library may have been loaded since.
            Err(error) => {
                modules = self.look_again().ok_or(error)?;
                locate(&modules, spec)?
            }
        };
        let setting = Setting {
            modules: &modules,
            placing,
            options: &self.options,
        };
        prepare::prepare(spec, located, setting)
    }

    /// Reads the target's mappings once more; `None` when nothing is new.
    pub(super) fn look_again(&self) -> Option<Arc<Modules>> {
        self.shared.look_again()
    }

    /// A number that no probe has had.
    pub(super) fn next_id(&self) -> ProbeId {
        let mut next = lock(&self.next);
        let id = ProbeId(*next);
        *next += 1;
        id
    }

    /// Leaves a number out, so that the names `p1`, `p2` … of probes that were asked for together
    /// tell their place among these, whichever are refused.
    pub fn skip_number(&self) {
        self.next_id();
    }

    /// Attaches a probe under this number.
    pub(super) fn start(
        &self,
        prepared: Prepared,
        id: ProbeId,
        placing: &mut Placing,
    ) -> Result<ProbeStatus, ProbeError> {
        let Prepared {
            spec,
            module,
            sites,
            mut notes,
        } = prepared;
        let name = spec.options.name.clone().unwrap_or_else(|| id.to_string());
        let placement = PlacementId(self.placements.fetch_add(1, Ordering::Relaxed));
        let control = control(&spec);
        // Of a time, where it begins.
        let first = sites
            .iter()
            .find(|site| site.plan.flags & ENDS == 0)
            .or(sites.first())
            .map(|site| site.site.clone());
        let places: Vec<_> = sites
            .iter()
            .map(|site| (site.site.address, site.place.address))
            .collect();
        let mut kind = SiteKind::Nop5;
        let mut requests = Vec::with_capacity(sites.len());
        let mut entries = Vec::with_capacity(sites.len());
        let (mut copies, mut bound) = (Vec::new(), false);
        let total = u32::try_from(sites.len()).unwrap_or(u32::MAX);
        for (number, ready) in (1..).zip(sites) {
            kind = dearer(kind, ready.place.kind);
            bound |= ready.bound;
            requests.push(request(&module, &ready)?);
            let origin = Arc::new(origin(
                (id, placement),
                &name,
                &spec,
                &ready.site,
                (number, total),
            ));
            let site = ready.site;
            let is_elsewhere = site.exit == Some(Exit::Trampoline);
            let entry = |plan: Plan| NewSite {
                origin: Arc::clone(&origin),
                site: (!is_elsewhere).then(|| site.clone()),
                layout: plan.layout,
                key: plan.key,
            };
            copies.extend(ready.copies.into_iter().map(|copy| entry(copy.plan)));
            entries.push(entry(ready.plan));
        }
        if !self.process.is_alive() {
            return Err(ProbeError {
                hint: self.following.get().map(|_| {
                    "the probes that are there go on in the processes that it forked".into()
                }),
                ..ProbeError::new("the target has exited")
            });
        }
        if let Some(pager) = self.shared.pager() {
            pager.warm(self.process.pid(), warm::ranges(&module, &requests));
        }
        let mut machine = lock(&self.machine);
        self.forget(&mut machine, true);
        let reserved = machine
            .reserve(&control, &requests)
            .map_err(ProbeError::kernel)?;
        let slot = reserved.slot;
        let cookies = [&reserved.cookies[..], &reserved.copies[..]].concat();
        entries.extend(copies);
        let samples = spec.options.every.is_some();
        let depth = plan::stack_depth(&spec);
        self.register(slot, &cookies, entries, EventStyle { depth, samples });
        match machine.attach(self.process.pid(), reserved, &requests) {
            Ok(failed) => {
                let mut refusals = not_attached(&module, &places, &failed);
                if spec.action == Action::Time && !refusals.is_empty() {
                    // Ends without their beginnings, or the reverse, measure something else. The room
                    // is not given back: records of them may be in the ring.
                    machine.detach(slot);
                    self.unregister(&cookies);
                    return Err(refusals.swap_remove(0).into());
                }
                notes.extend(left_out(&refusals, total));
            }
            Err(error) => {
                self.unregister(&cookies);
                return Err(match places.first() {
                    Some((_, place)) if error.is_instruction_refused() => {
                        Refusal::of_kernel(&module, *place, &error).into()
                    }
                    _ => ProbeError::kernel(error),
                });
            }
        }
        drop(machine);
        placing.add(id, &module, places.into_iter());
        let status = ProbeStatus {
            id,
            name,
            text: spec.text.clone(),
            file: first
                .as_ref()
                .map_or_else(Arc::default, |site| Arc::clone(&site.source.file)),
            line: first.as_ref().map_or(0, |site| site.source.line),
            function: first.map(|site| site.function).unwrap_or_default(),
            sites: total,
            enabled: true,
            done: None,
            counters: Counters::default(),
            cost: Cost {
                kind: Some(kind),
                trap_ns: self.trap_ns(kind),
                allowed: lock(&self.budget).allowed(spec.options.cpu),
                ..Cost::default()
            },
            notes,
        };
        for request in &mut requests {
            request.ops = Vec::new();
            request.copies = Vec::new();
        }
        lock(&self.probes).insert(
            id,
            Probe {
                status: status.clone(),
                placement,
                slot,
                cookies,
                control,
                requests,
                kind,
                module,
                spec,
                bound,
                moved: false,
                stale: false,
                told_limited: false,
                attached_at: Some(Instant::now()),
                attached_before: Duration::ZERO,
            },
        );
        Ok(status)
    }

    /// Tells the reader of sites before they can be hit.
    fn register(&self, slot: u32, cookies: &[u32], entries: Vec<NewSite>, style: EventStyle) {
        let mut table = self.shared.sites_mut();
        for (&cookie, site) in cookies.iter().zip(entries) {
            table.set(
                cookie,
                Some(SiteEntry {
                    slot,
                    origin: site.origin,
                    layout: site.layout,
                    key: site.key,
                    style,
                    site: site.site,
                }),
            );
        }
    }

    pub(super) fn unregister(&self, cookies: &[u32]) {
        let mut table = self.shared.sites_mut();
        for &cookie in cookies {
            table.set(cookie, None);
        }
    }

    pub(super) fn counters(
        &self,
        machine: &Machine,
        placement: PlacementId,
        slot: u32,
    ) -> Counters {
        // A map of our own that cannot be read shows nothing rather than something wrong.
        let kernel = machine.counters(slot).unwrap_or_default();
        let lost = self.shared.lost_on_the_way(placement).min(kernel.events);
        Counters {
            hits: kernel.hits,
            events: kernel.events - lost,
            lost: kernel.lost + lost,
            limited: kernel.limited,
            rejected: kernel.rejected,
            faults: kernel.faults,
            silenced: kernel.silenced,
            expired: kernel.expired,
            over_budget: kernel.over_budget,
            read_faults: kernel.read_faults,
            cut: kernel.cut,
            bpf_ns: estimated(kernel.bpf_ns, kernel.timed, kernel.hits),
            passed: kernel.passed,
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Control for Session {
    fn target(&self) -> (String, u32) {
        let name = self.process.exe().file_name().unwrap_or_default();
        (name.to_string_lossy().into_owned(), self.process.pid())
    }

    fn source_files(&self) -> Vec<SourceFile> {
        self.modules().source_files()
    }

    fn source_text(&self, file: &SourceFile) -> Result<SourceText, ProbeError> {
        let found = self.modules().source_text(file)?;
        found.ok_or_else(|| unreadable(file, &SourceError::Absent))
    }

    fn outline(&self, file: &SourceFile) -> Vec<OutlineEntry> {
        self.modules().outline(file)
    }

    fn lines(&self, file: &SourceFile) -> Result<Vec<LineInfo>, ProbeError> {
        self.modules().lines(file)
    }

    fn variables(&self, file: &SourceFile, line: u64) -> Result<Vec<VariableInfo>, ProbeError> {
        self.modules().variables(file, line)
    }

    fn add(&self, text: &str) -> Result<ProbeStatus, ProbeError> {
        self.install(&parse_probe(text)?)
    }

    fn remove(&self, probe: ProbeId) -> Option<ProbeStatus> {
        if let Some(waited) = lock(&self.waiting).remove(&probe) {
            return Some(waited.status);
        }
        let removed = lock(&self.probes).remove(&probe)?;
        Some(self.take_out(removed))
    }

    fn set_enabled(&self, probe: ProbeId, enabled: bool) {
        self.set_awake(probe, enabled);
    }

    fn probes(&self) -> Vec<ProbeStatus> {
        let probes = lock(&self.probes);
        let machine = lock(&self.machine);
        let budget = lock(&self.budget);
        let status = |(id, probe): (&ProbeId, &Probe)| ProbeStatus {
            counters: self.counters(&machine, probe.placement, probe.slot),
            cost: Cost {
                kind: Some(probe.kind),
                trap_ns: self.trap_ns(probe.kind),
                cpus: budget.share(*id),
                attached: probe.attached(),
                allowed: budget.allowed(probe.spec.options.cpu),
            },
            ..probe.status.clone()
        };
        let mut all: Vec<ProbeStatus> = probes.iter().map(status).collect();
        let waiting = lock(&self.waiting);
        if !waiting.is_empty() {
            // One that is just being attached is in both.
            let waits = waiting.values().map(|one| &one.status);
            all.extend(waits.filter(|one| !probes.contains_key(&one.id)).cloned());
            all.sort_by_key(|probe| probe.id);
        }
        all
    }

    fn aggregates(&self) -> Vec<Aggregate> {
        let probes = lock(&self.probes);
        let adding = |(id, probe): (&ProbeId, &Probe)| Adding {
            id: *id,
            name: probe.status.name.clone(),
            slot: probe.slot,
            cookies: probe.cookies.clone(),
        };
        let probes: Vec<Adding> = probes.iter().map(adding).collect();
        let machine = lock(&self.machine);
        aggregates(&machine, &self.shared.sites(), probes)
    }

    fn take_notices(&self, max: usize) -> Vec<Notice> {
        self.shared.queue.take(max)
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// The one of two kinds at which a hit costs more.
const fn dearer(a: SiteKind, b: SiteKind) -> SiteKind {
    match (a, b) {
        (SiteKind::TwoTraps, _) | (_, SiteKind::TwoTraps) => SiteKind::TwoTraps,
        (SiteKind::OneTrap, _) | (_, SiteKind::OneTrap) => SiteKind::OneTrap,
        (SiteKind::Nop5, SiteKind::Nop5) => SiteKind::Nop5,
    }
}

/// The time of all hits, from that of some of them.
fn estimated(timed_ns: u64, timed: u64, hits: u64) -> u64 {
    let all = u128::from(timed_ns) * u128::from(hits);
    let all = all.checked_div(u128::from(timed)).unwrap_or(0);
    u64::try_from(all).unwrap_or(u64::MAX)
}

/// What the kernel side is to do at a site.
fn request(module: &TargetModule, ready: &ReadySite) -> Result<SiteRequest, ProbeError> {
    let debug = module.debug().map_err(ProbeError::new)?;
    let place = ready.place.address;
    let offset = debug
        .file_offset(place)
        .ok_or_else(|| ProbeError::new(format!("{place} is in no segment of the file")))?;
    let copy = |copy: &CopyPlan| SiteCopy {
        address: copy.bias.run(place),
        ops: copy.plan.ops.clone(),
        flags: copy.plan.flags,
    };
    Ok(SiteRequest {
        path: module.file.open_path.clone(),
        offset,
        ops: ready.plan.ops.clone(),
        flags: ready.plan.flags,
        address: ready.bound.then(|| ready.bias.run(place)),
        copies: ready.copies.iter().map(copy).collect(),
        returns: ready.site.exit == Some(Exit::Trampoline),
        alone: false,
    })
}

/// What the reader needs of a site that is about to be.
struct NewSite {
    origin: Arc<Origin>,
    site: Option<Site>,
    layout: Layout,
    key: Option<Key>,
}

fn origin(
    (probe, placement): (ProbeId, PlacementId),
    name: &str,
    spec: &ProbeSpec,
    site: &Site,
    number: (u32, u32),
) -> Origin {
    Origin {
        probe,
        placement,
        probe_name: name.to_owned(),
        action: spec.action.name(),
        file: Arc::clone(&site.source.file),
        line: site.source.line,
        function: site.function.clone(),
        address: site.address.0,
        site: number,
        multiline: spec.template.as_ref().is_some_and(Template::is_multiline),
    }
}
