//! The modules of each process of a session, for the names of code addresses.
//!
//! Processes of one program share what is known of its files. Only their mappings are read one by
//! one, when the first address of a process needs a name.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::debuginfo::DebugOptions;
use crate::session::sites::modules::Modules;
use crate::session::sites::process_modules::ProcessModules;
use crate::target::Process;

/// Processes whose mappings are kept. The one that was read first goes first.
const MAX_PROCESSES: usize = 256;

/// The processes of a session whose modules are known.
pub(in crate::session) struct KnownProcesses {
    /// The modules of the first process, and of each one that cannot be read any more.
    first: Arc<ProcessModules>,
    /// Each process has mappings of its own. If false, all have those of the first: it forked them.
    apart: Option<DebugOptions>,
    by_pid: BTreeMap<u32, Arc<ProcessModules>>,
}

impl KnownProcesses {
    /// Processes that a first one has forked, with its mappings.
    pub(in crate::session) fn of_one(first: Arc<ProcessModules>) -> Self {
        Self {
            first,
            apart: None,
            by_pid: BTreeMap::new(),
        }
    }

    /// Processes that were started apart from each other.
    pub(in crate::session) fn of_many(first: Arc<ProcessModules>, options: DebugOptions) -> Self {
        Self {
            first,
            apart: Some(options),
            by_pid: BTreeMap::new(),
        }
    }

    /// The modules of a process. Reads its mappings when they are wanted for the first time.
    pub(in crate::session) fn modules_of(&mut self, pid: u32) -> Arc<ProcessModules> {
        let Some(options) = &self.apart else {
            return Arc::clone(&self.first);
        };
        if let Some(known) = self.by_pid.get(&pid) {
            return Arc::clone(known);
        }
        let read = || {
            let process = Process::open(pid).ok()?;
            let modules = Modules::read(&process, options).ok()?;
            let shared = modules.with_files_of(&self.first.now());
            Some(ProcessModules::new(
                Some(Arc::new(process)),
                options.clone(),
                shared,
            ))
        };
        // The process has ended since: nothing is known of its addresses.
        let modules = read().unwrap_or_else(|| ProcessModules::nothing(options.clone()));
        let modules = Arc::new(modules);
        if self.by_pid.len() >= MAX_PROCESSES {
            self.by_pid.pop_first();
        }
        self.by_pid.insert(pid, Arc::clone(&modules));
        modules
    }

    /// Sets the modules of a process that have been read already.
    pub(in crate::session) fn set(&mut self, pid: u32, modules: Arc<ProcessModules>) {
        if self.apart.is_some() {
            self.by_pid.insert(pid, modules);
        }
    }

    /// Forgets a process that has ended, or that runs another program now.
    pub(in crate::session) fn remove(&mut self, pid: u32) {
        self.by_pid.remove(&pid);
    }
}
