//! The modules of one process, kept up to date by looks at its mappings.

use std::sync::{Arc, Mutex};

use crate::base::address::RunAddr;
use crate::debuginfo::DebugOptions;
use crate::session::locks::lock;
use crate::session::sites::module_looks::ModuleLooks;
use crate::session::sites::modules::Modules;
use crate::stack::PlacedModule;
use crate::target::Process;

/// The modules of a process as they were at the last look.
pub(in crate::session) struct ProcessModules {
    modules: Mutex<Arc<Modules>>,
    looks: ModuleLooks,
}

impl ProcessModules {
    /// The modules that were just read from a process, or from a file that none runs yet.
    pub(in crate::session) fn new(
        process: Option<Arc<Process>>,
        options: DebugOptions,
        modules: Modules,
    ) -> Self {
        Self {
            modules: Mutex::new(Arc::new(modules)),
            looks: ModuleLooks::new(process, options),
        }
    }

    /// The modules of a process that is gone: none.
    pub(in crate::session) fn nothing(options: DebugOptions) -> Self {
        let modules = Modules::none(&options);
        Self::new(None, options, modules)
    }

    /// The modules, as they were when last looked at.
    pub(in crate::session) fn now(&self) -> Arc<Modules> {
        Arc::clone(&lock(&self.modules))
    }

    /// Puts these in the place of the modules.
    pub(in crate::session) fn set(&self, modules: Modules) {
        *lock(&self.modules) = Arc::new(modules);
    }

    /// The process whose mappings are read. `None` while none runs the program.
    pub(in crate::session) fn process(&self) -> Option<Arc<Process>> {
        self.looks.process()
    }

    /// Takes another process in the place of one that has ended, and reads its mappings.
    pub(in crate::session) fn set_process(&self, process: Arc<Process>) {
        self.looks.set_process(process);
        let _changed = self.look_again();
    }

    /// Reads the mappings once more. `None` if they are unchanged.
    pub(in crate::session) fn look_again(&self) -> Option<Arc<Modules>> {
        let now = self.looks.read()?;
        let mut modules = lock(&self.modules);
        *modules = Arc::new(modules.with(now)?);
        Some(Arc::clone(&modules))
    }

    /// The module at a run address at the time of a hit, with its place.
    ///
    /// The process may have loaded it since the last look, so the mappings are read again, as often
    /// as [`ModuleLooks`] allows.
    pub(in crate::session) fn placed(&self, address: RunAddr, hit_ns: u64) -> Option<PlacedModule> {
        let modules = self.now();
        let found = modules.placed(address);
        let age = hit_ns.saturating_sub(modules.looked_ns());
        if !self.looks.may_look(found.is_some(), age) {
            return found;
        }
        drop(modules);
        let _changed = self.look_again();
        let found = self.now().placed(address);
        self.looks.looked(found.is_some());
        found
    }
}
