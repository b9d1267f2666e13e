//! Other modules of a module's process: the functions of the module that they call, and the
//! definitions that the module uses.
//!
//! Knows their locations only. The caller finds out which modules the process has mapped.

use std::sync::Arc;

use super::imports::stub_at;
use super::linked_names::{ExportedFunction, exported_as, name_in_word};
use crate::base::address::{LinkAddr, ModulePlace, RunAddr};
use crate::debuginfo::module::Module;

/// Bytes of notes that are looked through for the build id.
const MAX_NOTES: u64 = 1 << 16;

/// A module that a process has loaded.
#[derive(Clone)]
pub struct Neighbour {
    /// Its file and debug information.
    pub module: Arc<Module>,
    /// Where the process has it.
    pub place: ModulePlace,
    /// True for the executable: nothing else can replace it at its address.
    pub lasts: bool,
}

/// Tells at a hit if a module is still at its address. A library may have been unloaded since,
/// and another build of it loaded in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// No check is needed.
    Lasting,
    /// Eight bytes of the build id are compared.
    Word {
        /// Address of the bytes.
        at: RunAddr,
        /// Expected value of the bytes.
        is: u64,
    },
}

impl Neighbour {
    /// Returns the identity to check at a hit, or `None` if there is nothing to compare.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        let ModulePlace::At(bias) = self.place else {
            // The kernel side compares it whenever it looks up the place.
            return Some(Identity::Lasting);
        };
        if self.lasts {
            return Some(Identity::Lasting);
        }
        let (at, is) = self.module.build_id_word()?;
        let at = bias.run(at);
        Some(Identity::Word { at, is })
    }
}

impl Module {
    /// Returns the address of the build id in the loaded module, and its first eight bytes.
    #[must_use]
    pub fn build_id_word(&self) -> Option<(LinkAddr, u64)> {
        let id = self.build_id()?;
        let word = u64::from_le_bytes(*id.first_chunk()?);
        let notes = self.segments().iter();
        let mut notes = notes.filter(|segment| segment.kind == object::elf::PT_NOTE.0);
        notes.find_map(|segment| {
            let length = usize::try_from(segment.file_size.min(MAX_NOTES)).ok()?;
            let bytes = self.initial_bytes(segment.address, length)?;
            let at = memchr::memmem::find(bytes, id)?;
            Some((segment.address.add(at as u64), word))
        })
    }
}

impl Module {
    /// Returns the name of the symbol whose address the dynamic linker writes to a word.
    #[must_use]
    pub fn name_in_word(&self, word: LinkAddr) -> Option<&[u8]> {
        name_in_word(&self.files, &self.caches.linked_names, word)
    }

    /// Returns the function that the module exports under a name, or `None` if it exports none.
    #[must_use]
    pub fn exported_as(&self, name: &[u8]) -> Option<ExportedFunction> {
        exported_as(&self.files, &self.caches.linked_names, name)
    }

    /// Returns the name of the function to which the stub at an address leads.
    pub(in crate::debuginfo) fn stub_at(&self, address: LinkAddr) -> Option<&[u8]> {
        let (_, name) = stub_at(&self.files, &self.caches.linked_names, address)?;
        Some(name)
    }

    /// Returns the link address of the dynamic section, which the dynamic linker keeps for each module
    /// that it loads. `None` for a program without one.
    #[must_use]
    pub fn dynamic_section(&self) -> Option<LinkAddr> {
        let mut segments = self.segments().iter();
        let dynamic = segments.find(|segment| segment.kind == object::elf::PT_DYNAMIC.0);
        dynamic.map(|segment| segment.address)
    }
}

/// Returns the other modules of the process. Opening them is expensive, so it is called only if
/// they matter.
pub type Neighbours<'n> = &'n (dyn Fn() -> Vec<Neighbour> + 'n);

/// Returns no modules: for a file that no process has, or if other modules do not matter.
pub(in crate::debuginfo) fn alone() -> Vec<Neighbour> {
    Vec::new()
}
