//! Other modules of the process that has a module: what they call in it, and what they define
//! that it uses.
//!
//! Says where they are and no more: what a process has mapped others find out.

use std::sync::Arc;

use super::module::Module;
use crate::address::{Bias, LinkAddr, RunAddr};

/// Bytes of notes that are looked through for the build id.
const MAX_NOTES: u64 = 1 << 16;

/// A module as a process has it.
#[derive(Clone)]
pub struct Neighbour {
    /// Its file and debug information.
    pub module: Arc<Module>,
    /// Run address minus link address.
    pub bias: Bias,
    /// The executable: nothing else comes to be where it is.
    pub lasts: bool,
}

/// What tells at a hit that a module is still the one that was where it was: a library may have
/// been unloaded since, and another build of it be in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Nothing needs to.
    Lasting,
    /// Eight bytes of its build id.
    Word {
        /// Where they are.
        at: RunAddr,
        /// What they are.
        is: u64,
    },
}

impl Neighbour {
    /// `None`: nothing can tell.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        if self.lasts {
            return Some(Identity::Lasting);
        }
        let (at, is) = self.module.build_id_word()?;
        let at = self.bias.run(at);
        Some(Identity::Word { at, is })
    }
}

impl Module {
    /// The first eight bytes of the build id, and where they are once the module is loaded.
    fn build_id_word(&self) -> Option<(LinkAddr, u64)> {
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

/// Asks for the other modules of the process: opening them costs, so only when they matter.
pub type Neighbours<'n> = &'n (dyn Fn() -> Vec<Neighbour> + 'n);

/// Of a file that no process has, or where others do not matter.
pub(super) fn alone() -> Vec<Neighbour> {
    Vec::new()
}
