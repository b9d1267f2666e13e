//! Tells the kernel side where each process has the modules whose addresses plans of other modules
//! need.
//!
//! Only sessions of processes that were started apart need this. A process that is there already is
//! looked at before the plan is attached, and when it joins. A new process notes the places itself,
//! before its `main`: see [`super::linker_walk`].

use std::collections::BTreeMap;
use std::sync::Arc;

use tracer_common::control::ProbeControl;

use super::Live;
use super::following::linker_site;
use super::linker_walk::{LinkerList, SoughtModule, walk};
use crate::base::address::{Bias, ModuleNumber};
use crate::base::causes::chain;
use crate::base::diagnostic::Diagnostic;
use crate::kernel::{KernelError, SiteRequest};
use crate::session::error::refused_by_kernel;
use crate::session::locks::lock;
use crate::session::sites::module_numbers::{ModuleNumbers, NumberedModule};
use crate::session::sites::modules::Modules;
use crate::target::{MappedModule as MappedFile, Process};

/// The modules that plans need, and the dynamic linkers that are watched.
pub(super) struct ModulePlaces {
    pub(super) numbers: Arc<ModuleNumbers>,
    needed: BTreeMap<ModuleNumber, NumberedModule>,
    walks: Vec<LinkerWalk>,
    /// Map elements of walks that others have replaced.
    replaced: Vec<u32>,
}

/// A walk of a dynamic linker's list.
struct LinkerWalk {
    linker: MappedFile,
    /// Number of modules that it looks for; 0 if the linker cannot be watched.
    modules: usize,
    slot: Option<u32>,
}

impl ModulePlaces {
    pub(super) fn new(numbers: Arc<ModuleNumbers>) -> Self {
        Self {
            numbers,
            needed: BTreeMap::new(),
            walks: Vec::new(),
            replaced: Vec::new(),
        }
    }

    /// The places of the needed modules in a process. `None` if it is gone.
    fn of_process(&self, pid: u32) -> Option<Vec<(ModuleNumber, Option<Bias>)>> {
        let files = Process::open(pid).and_then(|process| process.modules());
        let files = files.ok()?;
        let all = self.needed.iter();
        let place =
            |(&number, module): (&ModuleNumber, &NumberedModule)| (number, module.bias_in(&files));
        Some(all.map(place).collect())
    }
}

impl Live {
    /// The places of modules are known, from before the first hit of plans that need them.
    ///
    /// # Errors
    /// The kernel refused.
    pub(super) fn need_modules<'p>(
        &mut self,
        sites: impl Iterator<Item = &'p SiteRequest>,
    ) -> Result<(), Diagnostic> {
        let Some(places) = &mut self.places else {
            return Ok(());
        };
        let mut new = false;
        for number in sites.flat_map(|site| &site.program.modules) {
            let number = ModuleNumber(*number);
            if places.needed.contains_key(&number) {
                continue;
            }
            let Some(module) = places.numbers.get(number) else {
                continue;
            };
            let needed = lock(&self.machine).places().need(number, module.mark);
            needed.map_err(|error| refused_by_kernel(&error))?;
            places.needed.insert(number, module);
            new = true;
        }
        if new {
            // Whoever starts from now on is seen by the walks.
            self.watch_linkers();
            for target in self.target_statuses() {
                self.place_modules(target.pid);
            }
        }
        Ok(())
    }

    /// Has the dynamic linkers of all programs note the places of the needed modules.
    pub(super) fn watch_linkers(&mut self) {
        let Some(places) = &self.places else {
            return;
        };
        if places.needed.is_empty() {
            return;
        }
        let all: Vec<Arc<Modules>> = self
            .executables
            .iter()
            .map(|one| one.modules.now())
            .collect();
        for modules in all {
            self.watch_linker(&modules);
        }
    }

    fn watch_linker(&mut self, modules: &Modules) {
        let Some(places) = &mut self.places else {
            return;
        };
        let Some((linker, mut request)) = linker_site(modules) else {
            return;
        };
        let count = places.needed.len();
        let known = places
            .walks
            .iter()
            .position(|walk| walk.linker.is_file_of(&linker.file));
        let is_known = known.and_then(|index| places.walks.get(index));
        if is_known.is_some_and(|walk| walk.modules == count) {
            return;
        }
        let list = linker.debug().ok().and_then(|debug| {
            let site = debug.link_addr(request.trigger.uprobe()?.offset)?;
            Some((site, LinkerList::of(debug)?))
        });
        let needed = places.needed.values();
        let needed: Vec<SoughtModule> = needed.filter_map(sought).collect();
        let slot = list.and_then(|(site, list)| {
            request.program = walk(site, list, &needed);
            request.alone = false;
            match self.attach_walk(request) {
                Ok(slot) => Some(slot),
                Err(error) => {
                    tracing::debug!(error = %chain(&error), "a dynamic linker is not watched");
                    None
                }
            }
        });
        let Some(places) = &mut self.places else {
            return;
        };
        let new = LinkerWalk {
            linker: linker.file.clone(),
            modules: count,
            slot,
        };
        let old = match known.and_then(|index| places.walks.get_mut(index)) {
            Some(walk) => std::mem::replace(walk, new).slot,
            None => {
                places.walks.push(new);
                None
            }
        };
        let mut machine = lock(&self.machine);
        if !places.replaced.is_empty() {
            // No hit of them is in progress then, and they send no records.
            machine.wait_closed();
            places
                .replaced
                .drain(..)
                .for_each(|slot| machine.forget(slot));
        }
        if let Some(slot) = old {
            machine.detach(slot);
            places.replaced.push(slot);
        }
    }

    fn attach_walk(&self, request: SiteRequest) -> Result<u32, KernelError> {
        let control = ProbeControl {
            enabled: 1,
            ..ProbeControl::default()
        };
        let requests = [request];
        let mut machine = lock(&self.machine);
        let reserved = machine.reserve(&control, &requests)?;
        let slot = reserved.slot;
        machine.attach(self.pid().unwrap_or(0), reserved, &requests)?;
        Ok(slot)
    }

    /// Tells the kernel side where a process has the needed modules, by its mappings.
    pub(super) fn place_modules(&self, pid: u32) {
        let Some(places) = &self.places else {
            return;
        };
        if places.needed.is_empty() {
            return;
        }
        let Some(all) = places.of_process(pid) else {
            return;
        };
        if let Err(error) = lock(&self.machine).places().put(pid, &all) {
            self.shared.warn(format!(
                "values of process {pid} will miss: {}",
                chain(&error)
            ));
        }
    }
}

/// A module as a walk looks for it. `None` if no dynamic linker loads it.
fn sought(module: &NumberedModule) -> Option<SoughtModule> {
    Some(SoughtModule {
        number: module.number,
        mark: module.mark,
        dynamic: module.dynamic?,
    })
}
