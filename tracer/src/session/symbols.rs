//! Names run addresses of the target by the symbols of its modules.

use std::sync::Arc;

use super::modules::{Modules, TargetModule};
use crate::address::RunAddr;
use crate::debuginfo::names::demangle;
use crate::plan::Symbols;

/// The symbols of the modules that were mapped when a probe was installed.
pub(super) struct ModuleSymbols(Arc<Modules>);

impl ModuleSymbols {
    pub(super) fn new(modules: Arc<Modules>) -> Self {
        Self(modules)
    }

    /// The module that is mapped at a run address.
    fn module(&self, address: u64) -> Option<&Arc<TargetModule>> {
        self.0.all().iter().find(|module| {
            let mut mappings = module.file.mappings.iter();
            mappings.any(|mapping| (mapping.start..mapping.end).contains(&address))
        })
    }
}

impl std::fmt::Debug for ModuleSymbols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModuleSymbols").finish_non_exhaustive()
    }
}

impl Symbols for ModuleSymbols {
    fn name(&self, address: u64) -> Option<String> {
        let module = self.module(address)?;
        let link = module.bias()?.link(RunAddr(address));
        let symbol = module.debug().ok()?.symbol_at(link)?;
        let name = demangle(symbol.name);
        match link.0.checked_sub(symbol.address.0)? {
            0 => Some(name),
            offset => Some(format!("{name}+{offset:#x}")),
        }
    }

    fn code(&self, address: u64, length: usize) -> Option<Vec<u8>> {
        let module = self.module(address)?;
        let link = module.bias()?.link(RunAddr(address));
        let debug = module.debug().ok()?;
        let bytes = debug
            .is_code(link)
            .then(|| debug.initial_bytes(link, length))?;
        bytes.map(<[u8]>::to_vec)
    }
}
