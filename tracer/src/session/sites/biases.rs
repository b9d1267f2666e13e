//! Biases of a module's copies: run address minus link address.

use crate::base::address::{Bias, FileOffset, RunAddr};
use crate::debuginfo::Module as DebugModule;
use crate::target::MappedModule as MappedFile;

/// Run address minus link address of the first copy of a file.
pub(in crate::session) fn bias_of(debug: &DebugModule, file: &MappedFile) -> Option<Bias> {
    biases_of(debug, file).first().copied()
}

/// Run address minus link address of each copy of a file; see [`super::modules::TargetModule::biases`].
pub(in crate::session) fn biases_of(debug: &DebugModule, file: &MappedFile) -> Vec<Bias> {
    if file.mappings.is_empty() {
        // No process has the module mapped, so its link addresses are used.
        return vec![Bias(0)];
    }
    let mut biases = Vec::new();
    for mapping in file.mappings.iter().filter(|mapping| mapping.execute) {
        let length = mapping.end.saturating_sub(mapping.start);
        let bias = debug.bias(RunAddr(mapping.start), FileOffset(mapping.offset), length);
        if let Some(bias) = bias.filter(|bias| !biases.contains(bias)) {
            biases.push(bias);
        }
    }
    biases
}
