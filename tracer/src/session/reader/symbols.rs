//! Names run addresses of a process by the symbols of its modules.

use std::sync::Arc;

use crate::base::address::RunAddr;
use crate::plan::Symbols;
use crate::session::sites::process_modules::ProcessModules;
use crate::stack::PlacedModule;

/// The symbols of the modules that a process has.
pub(in crate::session) struct ModuleSymbols(Arc<ProcessModules>);

impl ModuleSymbols {
    pub(in crate::session) fn new(modules: Arc<ProcessModules>) -> Self {
        Self(modules)
    }

    /// The module at a run address at the time of a hit, with its place.
    pub(in crate::session) fn placed(&self, address: RunAddr, hit_ns: u64) -> Option<PlacedModule> {
        self.0.placed(address, hit_ns)
    }
}

impl std::fmt::Debug for ModuleSymbols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModuleSymbols").finish_non_exhaustive()
    }
}

impl Symbols for ModuleSymbols {
    fn name(&self, address: u64) -> Option<String> {
        let placed = self.0.now().placed(RunAddr(address))?;
        let link = placed.bias.link(RunAddr(address));
        Some(match placed.module.name_at(link)? {
            (name, 0) => name,
            (name, offset) => format!("{name}+{offset:#x}"),
        })
    }

    fn code(&self, address: u64, length: usize) -> Option<Vec<u8>> {
        let placed = self.0.now().placed(RunAddr(address))?;
        let link = placed.bias.link(RunAddr(address));
        let bytes = placed
            .module
            .is_code(link)
            .then(|| placed.module.initial_bytes(link, length))?;
        bytes.map(<[u8]>::to_vec)
    }
}
