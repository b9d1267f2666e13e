//! Names run addresses of the target by the symbols of its modules.

use std::sync::Arc;

use super::modules::Modules;
use crate::address::RunAddr;
use crate::plan::Symbols;

/// The symbols of the modules that the target has.
pub(super) struct ModuleSymbols(Arc<Modules>);

impl ModuleSymbols {
    pub(super) fn new(modules: Arc<Modules>) -> Self {
        Self(modules)
    }
}

impl std::fmt::Debug for ModuleSymbols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModuleSymbols").finish_non_exhaustive()
    }
}

impl Symbols for ModuleSymbols {
    fn name(&self, address: u64) -> Option<String> {
        let placed = self.0.placed(RunAddr(address))?;
        let link = placed.bias.link(RunAddr(address));
        Some(match placed.module.name_at(link)? {
            (name, 0) => name,
            (name, offset) => format!("{name}+{offset:#x}"),
        })
    }

    fn code(&self, address: u64, length: usize) -> Option<Vec<u8>> {
        let placed = self.0.placed(RunAddr(address))?;
        let link = placed.bias.link(RunAddr(address));
        let bytes = placed
            .module
            .is_code(link)
            .then(|| placed.module.initial_bytes(link, length))?;
        bytes.map(<[u8]>::to_vec)
    }
}
