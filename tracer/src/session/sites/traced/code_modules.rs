//! The modules whose functions a trace records.

use std::sync::Arc;

use crate::base::address::{Bias, LinkAddr, RunAddr};
use crate::debuginfo::{DebugInfoError, ExportedFunction, Module as DebugModule};
use crate::session::sites::modules::{Modules, TargetModule};
use crate::session::sites::own_modules::is_own_module;

/// Address of code in a trace.
///
/// It is a link address of the module with the traced function. Addresses of another module are moved by the distance
/// of the two modules in the process. So a return address minus the called function's is the same number as in the
/// process, whichever modules the two are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::session) struct TraceAddr(pub(in crate::session) u64);

/// A module with functions of a trace.
pub(in crate::session) struct CodeModule {
    /// Its place among the modules of the trace.
    pub(super) number: usize,
    pub(super) module: Arc<TargetModule>,
    pub(super) debug: Arc<DebugModule>,
    /// Address in the trace minus link address, wrapping.
    shift: u64,
}

impl CodeModule {
    /// The address in the trace of a link address.
    pub(in crate::session) fn trace(&self, address: LinkAddr) -> TraceAddr {
        TraceAddr(address.0.wrapping_add(self.shift))
    }

    /// The link address of an address in the trace.
    pub(super) fn link(&self, address: TraceAddr) -> LinkAddr {
        LinkAddr(address.0.wrapping_sub(self.shift))
    }
}

/// The modules of a trace.
#[derive(Clone)]
pub(in crate::session) struct CodeModules {
    /// Has the traced function.
    pub(super) first: Arc<CodeModule>,
    others: Vec<Arc<CodeModule>>,
    /// Modules that the system has installed count like the program's own.
    into_all: bool,
}

impl CodeModules {
    /// The modules of a trace of a function in this one.
    ///
    /// # Errors
    /// Its debug information cannot be read.
    pub(super) fn of(
        module: Arc<TargetModule>,
        into_all: bool,
    ) -> Result<Self, Arc<DebugInfoError>> {
        let debug = Arc::clone(module.debug().map_err(Arc::clone)?);
        let first = CodeModule {
            number: 0,
            module,
            debug,
            shift: 0,
        };
        Ok(Self {
            first: Arc::new(first),
            others: Vec::new(),
            into_all,
        })
    }

    /// All of them, by their numbers.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<CodeModule>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The module of the trace that is this one of the target.
    pub(in crate::session) fn of_target(&self, module: &TargetModule) -> Option<&Arc<CodeModule>> {
        self.all()
            .find(|one| one.module.file.is_file_of(&module.file))
    }

    /// The bias of the module with the traced function in the process. `None` without a process.
    fn bias(&self, modules: &Modules) -> Option<Bias> {
        // The module may be from before the process was there.
        let mut mapped = modules.mapped().iter();
        mapped
            .find(|module| module.file.is_file_of(&self.first.module.file))
            .filter(|module| !module.file.mappings.is_empty())
            .and_then(|module| module.bias())
    }

    /// The module that has an address in the process, which is one of the trace from now on. The first one if no other
    /// has it. `None` if the trace has no functions of the module.
    pub(super) fn at(&mut self, address: TraceAddr, modules: &Modules) -> Option<Arc<CodeModule>> {
        let Some(bias) = self.bias(modules) else {
            return Some(Arc::clone(&self.first));
        };
        let run = RunAddr(address.0.wrapping_add(bias.0));
        match modules.holding(run) {
            Some(module) => {
                let distance = module.bias_at(run)?.0.wrapping_sub(bias.0);
                self.add(Arc::clone(module), distance)
            }
            None => Some(Arc::clone(&self.first)),
        }
    }

    /// A module at this distance, which is one of the trace from now on. `None` if it is not the program's own, the trace
    /// has it elsewhere, or its debug information cannot be read.
    fn add(&mut self, module: Arc<TargetModule>, shift: u64) -> Option<Arc<CodeModule>> {
        if let Some(known) = self.of_target(&module) {
            return (known.shift == shift).then(|| Arc::clone(known));
        }
        if !self.into_all && !is_own_module(&module.file) {
            return None;
        }
        let debug = Arc::clone(module.debug().ok()?);
        let new = Arc::new(CodeModule {
            number: 1 + self.others.len(),
            module,
            debug,
            shift,
        });
        self.others.push(Arc::clone(&new));
        Some(new)
    }

    /// The functions that modules of the process export under a name. `None` without a process, or if the dynamic linker
    /// chooses the function.
    pub(super) fn exported(&mut self, name: &[u8], modules: &Modules) -> Option<Vec<TraceAddr>> {
        let bias = self.bias(modules)?;
        let mut found = Vec::new();
        for module in modules.mapped() {
            if !self.into_all && !is_own_module(&module.file) {
                continue;
            }
            let exported = module
                .debug()
                .ok()
                .and_then(|debug| debug.exported_as(name));
            let function = match exported {
                Some(ExportedFunction::At(function)) => function,
                Some(ExportedFunction::Chosen) => return None,
                None => continue,
            };
            let Some(place) = module.bias() else {
                continue;
            };
            let distance = place.0.wrapping_sub(bias.0);
            let code = self.add(Arc::clone(module), distance);
            found.extend(code.map(|code| code.trace(function)));
        }
        Some(found)
    }
}
