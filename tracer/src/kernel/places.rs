//! The places of modules in each process, which plans of other modules need.
//!
//! The kernel side finds most of them itself: a process runs the walk of its dynamic linker's list before
//! its `main`. Userspace writes those of processes that were there before.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd as _;

use aya::maps::MapData;
use tracer_common::limits::{MAX_INHERITED, MAX_MODULES};
use tracer_common::places::{ModuleMark, NOT_LOADED, PLACED, PlaceKey};

use super::bpf::{self, Insert};
use super::error::KernelError;
use super::load::object::Image;
use crate::base::address::{Bias, ModuleNumber};

/// Bits of an address within a page. No bias has any.
const IN_PAGE: u64 = 0xfff;

/// The maps of places.
#[derive(Debug)]
pub struct PlaceMaps {
    places: MapData,
    marks: MapData,
    needed: MapData,
    /// The modules that plans need.
    modules: BTreeMap<ModuleNumber, ModuleMark>,
}

impl PlaceMaps {
    /// Takes the maps out of the object.
    pub(super) fn take(object: &mut Image) -> Result<Self, KernelError> {
        Ok(Self {
            places: object.take("PLACES")?,
            marks: object.take("MODULES")?,
            needed: object.take("NEEDED_MODULES")?,
            modules: BTreeMap::new(),
        })
    }

    /// Has the kernel side know a module, from before the first plan that needs its places. Returns true
    /// if it is new.
    ///
    /// # Errors
    /// The kernel refused, or the number is too large.
    pub fn need(&mut self, module: ModuleNumber, mark: ModuleMark) -> Result<bool, KernelError> {
        if self.modules.get(&module) == Some(&mark) {
            return Ok(false);
        }
        let ModuleNumber(number) = module;
        if number >= MAX_MODULES {
            return Err(KernelError::unexpected("MODULES"));
        }
        let failed = |source| KernelError::call("write a module to the kernel", source);
        bpf::update_array(self.marks.fd().as_fd(), number, &[mark]).map_err(failed)?;
        let known = u32::try_from(self.modules.len()).unwrap_or(u32::MAX);
        if known < MAX_INHERITED && !self.modules.contains_key(&module) {
            // Numbers in this list are one more, since 0 ends it.
            bpf::update_array(self.needed.fd().as_fd(), known, &[number + 1]).map_err(failed)?;
        }
        self.modules.insert(module, mark);
        Ok(true)
    }

    /// Sets the places of modules in a process. A module that it has not loaded, by the look at its
    /// mappings, keeps the place that the kernel side may have found meanwhile.
    ///
    /// # Errors
    /// The kernel refused: there is no room.
    pub fn put(
        &self,
        process: u32,
        places: &[(ModuleNumber, Option<Bias>)],
    ) -> Result<(), KernelError> {
        for &(ModuleNumber(module), bias) in places {
            let key = PlaceKey { process, module };
            let (place, how) = match bias {
                Some(Bias(bias)) if bias & IN_PAGE != 0 => continue,
                Some(Bias(bias)) => (bias | PLACED, Insert::Any),
                None => (NOT_LOADED, Insert::New),
            };
            match bpf::insert(self.places.fd().as_fd(), &key, &place, how) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(KernelError::call("write the place of a module", error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Forgets the places of a process that is gone.
    pub fn forget(&self, process: u32) {
        let keys = self.modules.keys();
        let keys: Vec<PlaceKey> = keys
            .map(|&ModuleNumber(module)| PlaceKey { process, module })
            .collect();
        if let Err(error) = bpf::remove(self.places.fd().as_fd(), &keys) {
            tracing::debug!(process, %error, "places of a process that is gone stay");
        }
    }
}
