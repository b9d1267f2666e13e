//! Keeps a session up to date as its target loads, moves or unloads modules, or executes programs.
//!
//! A probe whose module is not loaded waits, and is attached when the module comes. A probe is
//! placed again under its id if its module has moved, or if `exec` replaced its program.

use std::sync::Arc;

use tracer_common::control::ProbeControl;

use super::{ExecutableId, HeldAddresses, Live, Placement};
use crate::kernel::{SiteRequest, Trigger};
use crate::placement::{CodeMap, SiteKind, unprobeable_at};
use crate::program::Program;
use crate::session::actor::Backend as _;
use crate::session::followed::Milliseconds;
use crate::session::locks::lock;
use crate::session::prepare::placing::SitePlacer;
use crate::session::probes::{Probe, ProbeMap};
use crate::session::reader::clock::monotonic_ns;
use crate::session::sites::modules::{Modules, TargetModule};

/// The functions that dynamic linkers call when they have mapped or unmapped something, for debuggers to
/// know: those of glibc and musl.
const LINKER_CALLS: [&str; 2] = ["_dl_debug_state", "dl_debug_state"];

/// Between two looks at the mappings of an executable, in ns: they hardly ever change.
const OWN_TEXT_NS: u64 = 1_000_000_000;

impl Live {
    /// Probes the function that the target's dynamic linker calls at each load, so that the session
    /// need not poll. Without such a function, the next tick finds the library.
    pub(super) fn attach_to_loader(&mut self) {
        if self.loader.is_some() {
            return;
        }
        let Some((_, request)) = linker_site(&self.modules()) else {
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
            machine.attach(self.pid().unwrap_or(0), reserved, &requests)?;
            Ok(slot)
        });
        match attached {
            Ok(slot) => self.loader = Some(slot),
            Err(error) => tracing::debug!(%error, "the dynamic linker is not watched"),
        }
    }

    fn detach_from_loader(&mut self) {
        if let Some(slot) = self.loader.take() {
            self.shared.set_loader(u32::MAX);
            lock(&self.machine).detach(slot);
        }
    }

    /// Returns true if the target has executed a program since the last call. Its modules are then
    /// those of the new program.
    pub(super) fn has_executed(&mut self) -> bool {
        let family = self.family.as_ref();
        if family.is_some_and(|tracker| tracker.selected.is_some()) {
            // The kernel side reports it. Another process may stand for the program by now.
            return false;
        }
        let Some(process) = self.executables.first().modules.process() else {
            return false;
        };
        let asked_ns = monotonic_ns();
        let now = process.image();
        if now.is_none() {
            return false;
        }
        let seen_ns = std::mem::replace(&mut self.image_seen_ns, asked_ns);
        if self.image == now {
            return false;
        }
        self.image = now;
        self.executed_after_ns = seen_ns;
        self.executed.push(process.pid());
        self.shared.labels().came(process.pid());
        let Ok(modules) = Modules::read(&process, &self.options.debug) else {
            // The target is gone, and the reader reports it.
            return false;
        };
        let name = modules.all().first().map(|main| main.file.name.clone());
        self.shared.note(format!(
            "the target executed `{}`: the probes are to be attached there",
            name.unwrap_or_default()
        ));
        let first = self.executables.first_mut();
        first.modules.set(modules);
        first.seen = first.modules.now();
        first.placing = Arc::new(SitePlacer::new(Some(process.pid()), self.options.site));
        self.epoch += 1;
        self.detach_from_loader();
        true
    }

    /// The end of the note on a probe that is attached again.
    pub(super) fn reason_of_new_place(&self, placement: &Placement) -> String {
        if !placement.follows_exec {
            return "because its module has moved".to_owned();
        }
        let name = self.executables.first().name();
        // At the look before, the program had not begun for certain.
        let unseen = Milliseconds(monotonic_ns().saturating_sub(self.executed_after_ns));
        format!("in `{name}`; up to {unseen} ms of it were not seen")
    }

    /// Returns true if the target's modules have changed since the last call. Reads them only if a
    /// probe could be affected.
    pub(super) fn have_modules_changed(&mut self, probes: &ProbeMap<Placement>) -> bool {
        let is_concerned = |probe: &Probe<Placement>| match probe.placement() {
            None => true,
            Some(placement) => placement.parts.iter().any(|part| !part.module.file.main),
        };
        if !probes.iter().any(is_concerned) && !self.is_time_for_own_text(probes) {
            return false;
        }
        // The planner and the reader look, too. Their finds count as changes here all the same.
        let mut has_changed = false;
        for executable in self.executables.iter_mut() {
            executable.modules.look_again();
            let now = executable.modules.now();
            has_changed |= !Arc::ptr_eq(&now, &executable.seen);
            executable.seen = now;
        }
        has_changed
    }

    /// Returns true if it is time to read the executable's mappings.
    fn is_time_for_own_text(&self, probes: &ProbeMap<Placement>) -> bool {
        let age = monotonic_ns().saturating_sub(self.modules().looked_ns());
        age >= OWN_TEXT_NS && !probes.is_empty()
    }

    /// Returns true if a module is not where plans made from `known` expect it.
    ///
    /// Plans that contain no load address are right wherever it is.
    pub(super) fn is_module_elsewhere(
        &self,
        executable: ExecutableId,
        known: &TargetModule,
        held: HeldAddresses,
    ) -> bool {
        if held == HeldAddresses::None {
            return false;
        }
        let bound = held == HeldAddresses::OfEachCopy;
        let Some(executable) = self.executables.get(executable) else {
            return false;
        };
        if self.places.is_some() || (known.file.mappings.is_empty() && !bound) {
            // Each process has it at a place of its own, or no process ran it then.
            return false;
        }
        let modules = executable.modules.now();
        let identity = known.file.identity;
        let mut all = modules.all().iter();
        let now = all.find(|now| now.file.identity == identity);
        // An unloaded library has no hits. It is examined again when it is loaded again.
        let Some(now) = now.map(|module| module.biases()) else {
            return false;
        };
        let known = known.biases();
        let is_there = known.iter().any(|bias| now.contains(bias));
        let has_new = now.iter().any(|bias| !known.contains(bias));
        !now.is_empty() && (!is_there || (bound && has_new))
    }

    /// Reports probes whose code the target has moved away, since they can have no more hits.
    pub(super) fn tell_moved_text(&self, probes: &mut ProbeMap<Placement>) {
        for probe in probes.iter_mut().filter(|probe| probe.done.is_none()) {
            let Some(placement) = probe.placement_mut() else {
                continue;
            };
            let mut notes = Vec::new();
            for part in placement.parts.iter_mut().filter(|part| !part.moved) {
                let Some(executable) = self.executables.get(part.executable) else {
                    continue;
                };
                let sites = placement.requests.get(part.requests.clone());
                let modules = executable.modules.now();
                if let Some(note) = moved_text(&part.module, sites.unwrap_or_default(), &modules) {
                    part.moved = true;
                    notes.push(note);
                }
            }
            for note in notes {
                self.warn(format!("{}: {note}", probe.name));
                probe.notes.push(note);
            }
        }
    }
}

/// The note on sites whose code is no longer mapped. `None` if all of it is mapped, or if the whole
/// module is gone.
fn moved_text(module: &TargetModule, sites: &[SiteRequest], modules: &Modules) -> Option<String> {
    // Nothing is known of the mappings of a program that no process runs yet.
    modules.pid()?;
    let file = &module.file;
    let mut mapped = modules.mapped().iter();
    let now = mapped.find(|now| now.file.is_file_of(file))?;
    let gone = sites
        .iter()
        .filter_map(|site| site.trigger.uprobe())
        .filter(|uprobe| !now.file.executes(uprobe.offset));
    let gone = gone.count();
    (gone > 0).then(|| {
        format!(
            "the code of {gone} of {} sites in `{}` is in no executable mapping any more: the program \
             moved or unmapped it, so its hits cannot be seen",
            sites.len(),
            file.name
        )
    })
}

/// The dynamic linker, and the function that it calls at each load.
pub(super) fn linker_site(modules: &Modules) -> Option<(Arc<TargetModule>, SiteRequest)> {
    // The linker of musl is its C library, which is installed as `libc.so` with a link from `ld-musl-…`.
    let is_linker =
        |name: &str| name.starts_with("ld-") || name.starts_with("ld.so") || name == "libc.so";
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
    if is_nop || unprobeable_at(debug, address).is_some() {
        return None;
    }
    let request = SiteRequest {
        trigger: Trigger::at(&linker.file.open_path, debug.file_offset(address)?),
        program: Program::default(),
        shift: 0,
        only_if: None,
        copies: Vec::new(),
        // Every program that is started passes here.
        alone: true,
        begins_span: false,
    };
    Some((Arc::clone(linker), request))
}
