//! A target that changes: libraries that it loads later, or elsewhere, and another program that
//! it executes.

use std::time::Duration;

use tracer_common::control::ProbeControl;

use super::clock::monotonic_ns;
use super::live::{Probe, Session};
use super::modules::Modules;
use super::placing::Placing;
use super::shared::lock;
use super::{Cost, ProbeError, ProbeStatus};
use crate::event::{Counters, ProbeId};
use crate::kernel::SiteRequest;
use crate::lang::ast::ProbeSpec;
use crate::plan::placement::{CodeMap, SiteKind, Unprobeable};

/// What a dynamic linker calls when it has mapped or unmapped something, for debuggers to know:
/// glibc and musl have it.
const LINKER_CALLS: [&str; 2] = ["_dl_debug_state", "dl_debug_state"];

/// Between two looks at the mappings of an executable, in ns.
const OWN_TEXT_NS: u64 = 1_000_000_000;

/// A probe whose module is not there.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) status: ProbeStatus,
    spec: ProbeSpec,
}

impl Session {
    /// Looks after the session: what changed in the target, what the probes cost since the last
    /// time, `passed` ago.
    pub(super) fn keep(&self, passed: Duration) {
        self.forget(&mut lock(&self.machine), true);
        // First: a probe that has had its last hit has no other one in another program.
        self.look_at_limits();
        if !self.follow_exec() {
            self.follow_modules();
        }
        self.spend(passed);
    }

    /// Has a probe wait for the module that it names; `None` when it names none, or one that is there.
    pub(super) fn wait_for(&self, spec: &ProbeSpec) -> Option<ProbeStatus> {
        let module = self.absent_module(spec)?;
        let id = self.next_id();
        let name = spec.options.name.clone();
        let note = format!(
            "waits for `{module}` to be loaded; loaded are {}",
            self.modules().names()
        );
        let waiting = self.wait_as(id, name.unwrap_or_else(|| id.to_string()), spec, note);
        self.watch_loader();
        Some(waiting)
    }

    /// The module that a probe names and the target has not.
    fn absent_module<'s>(&self, spec: &'s ProbeSpec) -> Option<&'s str> {
        let module = spec.location.module.as_deref()?;
        let absent = self.modules().named(Some(module)).is_empty();
        absent.then_some(module)
    }

    fn wait_as(&self, id: ProbeId, name: String, spec: &ProbeSpec, note: String) -> ProbeStatus {
        let status = ProbeStatus {
            id,
            name,
            text: spec.text.clone(),
            file: Default::default(),
            line: 0,
            function: String::new(),
            sites: 0,
            enabled: true,
            done: None,
            counters: Counters::default(),
            cost: Cost::default(),
            notes: vec![note],
        };
        let spec = spec.clone();
        let waiting = Waiting {
            status: status.clone(),
            spec,
        };
        lock(&self.waiting).insert(id, waiting);
        status
    }

    /// Probes the function that the target's dynamic linker calls at each load, so that nobody has to look
    /// again and again. Where there is none, the keeper's looks find the library a moment later.
    fn watch_loader(&self) {
        let mut loader = lock(&self.loader);
        if loader.is_some() {
            return;
        }
        let Some(request) = linker_call(&self.modules()) else {
            return;
        };
        let control = ProbeControl {
            enabled: 1,
            ..ProbeControl::default()
        };
        let mut machine = lock(&self.machine);
        let requests = [request];
        let attached = machine.reserve(&control, &requests).and_then(|reserved| {
            let slot = reserved.slot;
            if let Some(&cookie) = reserved.cookies.first() {
                self.shared.set_loader(cookie);
            }
            machine.attach(self.process.pid(), reserved, &requests)?;
            Ok(slot)
        });
        match attached {
            Ok(slot) => *loader = Some(slot),
            Err(error) => tracing::debug!(%error, "the dynamic linker is not watched"),
        }
    }

    /// Attaches what waited for modules that are there now, and places probes anew whose module
    /// is somewhere else now.
    pub(super) fn follow_modules(&self) {
        let in_libraries = || {
            let probes = lock(&self.probes);
            probes.values().any(|probe| !probe.module.file.main)
        };
        if lock(&self.waiting).is_empty() && !in_libraries() && !self.is_time_for_own_text() {
            return;
        }
        if self.look_again().is_none() {
            return;
        }
        self.tell_moved();
        self.place_anew(|session, probe| session.has_moved(probe));
        let ids: Vec<ProbeId> = lock(&self.waiting).keys().copied().collect();
        for id in ids {
            self.start_waiting(id, Placed::First);
        }
    }

    /// Whether the executable's mappings are to be looked at: they hardly ever change.
    fn is_time_for_own_text(&self) -> bool {
        let age = monotonic_ns().saturating_sub(self.modules().looked_ns());
        age >= OWN_TEXT_NS && !lock(&self.probes).is_empty()
    }

    /// Whether the module of a probe is not where its plan thinks.
    fn has_moved(&self, probe: &Probe) -> bool {
        let modules = self.modules();
        let identity = probe.module.file.identity;
        let now = modules
            .all()
            .iter()
            .find(|now| now.file.identity == identity);
        // A library that was unloaded has no hits; when it comes again it is looked at again.
        let Some(now) = now.map(|module| module.biases()) else {
            return false;
        };
        let known = probe.module.biases();
        let is_there = known.iter().any(|bias| now.contains(bias));
        let has_new = now.iter().any(|bias| !known.contains(bias));
        !now.is_empty() && (!is_there || (probe.bound && has_new))
    }

    /// Tells of probes whose code the target has moved away, since no hit of theirs can come any more.
    fn tell_moved(&self) {
        let modules = self.modules();
        for probe in lock(&self.probes).values_mut() {
            let file = &probe.module.file;
            let now = modules
                .mapped()
                .iter()
                .find(|now| now.file.is_file_of(file));
            let Some(now) = now.filter(|_| !probe.moved && probe.status.done.is_none()) else {
                continue;
            };
            let gone = probe
                .requests
                .iter()
                .filter(|site| !now.file.executes(site.offset));
            let (gone, all) = (gone.count(), probe.requests.len());
            if gone == 0 {
                continue;
            }
            let note = format!(
                "no executable mapping of `{}` has the code of {gone} of {all} sites any more: the program has \
                 moved its text to memory of its own, or unmapped it, and hits there cannot be seen",
                file.name
            );
            probe.moved = true;
            self.warn(format!("{}: {note}", probe.status.name));
            probe.status.notes.push(note);
        }
    }

    /// Attaches a probe that waited, when its module is there.
    ///
    /// It stays among those that wait until it is attached, so whoever removes or silences it
    /// meanwhile finds it there.
    fn start_waiting(&self, id: ProbeId, why: Placed) {
        let mut placing = lock(&self.placing);
        let (spec, name) = match lock(&self.waiting).get(&id) {
            Some(Waiting { spec, status }) if self.absent_module(spec).is_none() => {
                (spec.clone(), status.name.clone())
            }
            _ => return,
        };
        let started = self.prepare(&spec, &placing).map(|prepared| {
            // Preparing takes long: it may be gone by now.
            let waits = lock(&self.waiting).contains_key(&id);
            waits.then(|| self.start(prepared, id, &mut placing))
        });
        drop(placing);
        match started {
            Ok(None) => {}
            Ok(Some(Ok(status))) => self.started(id, &status, &spec, why),
            Ok(Some(Err(error))) | Err(error) => {
                let note = with_hint(&error);
                if let Some(waiting) = lock(&self.waiting).get_mut(&id)
                    && waiting.status.notes.first() != Some(&note)
                {
                    // Told once, not at each look.
                    waiting.status.notes = vec![note.clone()];
                    self.warn(format!("{name}: {note}"));
                }
            }
        }
    }

    /// A probe that waited is attached: it does so no more, and is what its user wants by now.
    fn started(&self, id: ProbeId, status: &ProbeStatus, spec: &ProbeSpec, why: Placed) {
        let mut probes = lock(&self.probes);
        let Some(waited) = lock(&self.waiting).remove(&id) else {
            // It was removed meanwhile.
            let removed = probes.remove(&id);
            drop(probes);
            removed.map(|removed| self.take_out(removed));
            return;
        };
        if !waited.status.enabled
            && let Some(probe) = probes.get_mut(&id)
        {
            self.switch(probe, false);
        }
        drop(probes);
        let name = &status.name;
        match why {
            Placed::Anew => self.warn(format!(
                "{name}: placed anew, its module is somewhere else now"
            )),
            Placed::First => {
                let module = spec.location.module.as_deref().unwrap_or_default();
                let sites = status.sites;
                let plural = if sites == 1 { "" } else { "s" };
                self.warn(format!(
                    "{name}: `{module}` is loaded: {sites} site{plural}"
                ));
            }
        }
    }

    /// Places every probe anew when the target has executed another program, or the same one
    /// again. True when it has.
    fn follow_exec(&self) -> bool {
        let now = self.process.image();
        {
            let mut image = lock(&self.image);
            if now.is_none() || *image == now {
                return false;
            }
            *image = now;
        }
        let Ok(modules) = Modules::read(&self.process, &self.options.debug) else {
            // It is gone: the reader tells.
            return false;
        };
        let name = modules.all().first().map(|main| main.file.name.clone());
        self.warn(format!(
            "the target has executed `{}`: its probes are placed anew",
            name.unwrap_or_default()
        ));
        self.shared.set_modules(modules);
        *lock(&self.placing) = Placing::new(Some(self.process.pid()), self.options.site);
        self.unwatch_loader();
        self.place_anew(|_, _| true);
        let ids: Vec<ProbeId> = lock(&self.waiting).keys().copied().collect();
        for id in ids {
            self.start_waiting(id, Placed::First);
        }
        if !lock(&self.waiting).is_empty() {
            self.watch_loader();
        }
        true
    }

    fn unwatch_loader(&self) {
        if let Some(slot) = lock(&self.loader).take() {
            self.shared.set_loader(u32::MAX);
            let mut machine = lock(&self.machine);
            machine.detach(slot);
        }
    }

    /// Places probes anew. One that is done stays so, and is placed anew when it is woken.
    fn place_anew(&self, which: impl Fn(&Self, &Probe) -> bool) {
        self.look_at_limits();
        let mut moved = Vec::new();
        for (id, probe) in &mut *lock(&self.probes) {
            if which(self, probe) {
                match probe.status.done {
                    None => moved.push(*id),
                    Some(_) => probe.stale = true,
                }
            }
        }
        self.place_again(&moved);
    }

    /// Takes probes out and puts them where their locations are now, under their numbers. Those
    /// that have no place any more wait for one.
    pub(super) fn place_again(&self, ids: &[ProbeId]) {
        for &id in ids {
            let old = {
                // In this order, as everywhere; it is always in one of the two.
                let mut probes = lock(&self.probes);
                let Some(old) = probes.remove(&id) else {
                    // Its user has removed it.
                    continue;
                };
                let waiting = Waiting {
                    status: waiting_status(&old.status),
                    spec: old.spec.clone(),
                };
                lock(&self.waiting).insert(id, waiting);
                old
            };
            let absent = self.absent_module(&old.spec).map(|module| {
                let loaded = self.modules().names();
                format!("waits for `{module}` to be loaded; loaded are {loaded}")
            });
            let name = old.status.name.clone();
            self.take_out(old);
            lock(&self.budget).begin_anew(id);
            if let Some(note) = absent {
                self.warn(format!("{name}: {note}"));
                if let Some(waiting) = lock(&self.waiting).get_mut(&id) {
                    waiting.status.notes = vec![note];
                }
            }
            self.start_waiting(id, Placed::Anew);
        }
    }
}

/// How a probe that waited came to its place.
#[derive(Clone, Copy)]
enum Placed {
    /// Its module was loaded.
    First,
    /// It had another.
    Anew,
}

/// The state of a probe that has lost its place.
fn waiting_status(status: &ProbeStatus) -> ProbeStatus {
    ProbeStatus {
        file: Default::default(),
        line: 0,
        function: String::new(),
        sites: 0,
        done: None,
        counters: Counters::default(),
        cost: Cost::default(),
        notes: Vec::new(),
        ..status.clone()
    }
}

fn with_hint(error: &ProbeError) -> String {
    match &error.hint {
        Some(hint) => format!("{} ({hint})", error.message),
        None => error.message.clone(),
    }
}

/// The function that the target's dynamic linker calls at each load.
fn linker_call(modules: &Modules) -> Option<SiteRequest> {
    let is_linker = |name: &str| name.starts_with("ld-") || name.starts_with("ld.so");
    let linker = modules
        .all()
        .iter()
        .find(|module| is_linker(&module.file.name))?;
    let debug = linker.debug().ok()?;
    let address = LINKER_CALLS
        .iter()
        .find_map(|name| Some(debug.symbols_named(name).first()?.address))?;
    // A 5-byte nop would be rewritten to a call.
    let is_nop = CodeMap::kind(debug, address, false)? == SiteKind::Nop5;
    if is_nop || Unprobeable::at(debug, address).is_some() {
        return None;
    }
    Some(SiteRequest {
        path: linker.file.open_path.clone(),
        offset: debug.file_offset(address)?,
        ops: Vec::new(),
        flags: 0,
        address: None,
        copies: Vec::new(),
        returns: false,
        // Every program that is started passes here.
        alone: true,
    })
}
