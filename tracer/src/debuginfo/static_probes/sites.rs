//! The sites of USDT probes.

use std::sync::Arc;

use super::notes;
use crate::arch::{MAX_INSTRUCTION, is_nop};
use crate::base::address::{FileOffset, LinkAddr};
use crate::debuginfo::lines::resolve::SiteError;
use crate::debuginfo::model::site::{ScopeKey, Site};
use crate::debuginfo::model::usdt::UsdtProbe;
use crate::debuginfo::module::Module;

/// Bytes of a semaphore.
const SEMAPHORE_BYTES: u64 = 2;

/// The sites of a USDT probe.
#[derive(Clone, Debug, PartialEq)]
pub struct UsdtSites {
    /// Its places, by address.
    pub sites: Vec<Site>,
    /// Addresses of notes that do not lead to the beginning of a nop.
    pub left_out: Vec<LinkAddr>,
}

impl Module {
    /// Returns the USDT probes, sorted by provider, name and address. A probe with several places
    /// occurs several times.
    ///
    /// The list is empty if the module is not read any further.
    pub fn usdt_probes(&self) -> &[Arc<UsdtProbe>] {
        self.caches
            .static_probes
            .get_or_init(|| notes::read(&self.files))
    }

    /// Returns the sites of a USDT probe.
    ///
    /// # Errors
    /// [`SiteError::NoUsdtProbe`], [`SiteError::NoNop`], [`SiteError::DebugInfo`].
    pub fn usdt_sites(&self, provider: &str, name: &str) -> Result<UsdtSites, SiteError> {
        let probes = self.usdt_probes();
        self.require_intact()?;
        let key = (provider, name);
        let key_of = |probe: &Arc<UsdtProbe>| {
            let probe: &UsdtProbe = probe;
            (probe.provider.as_str(), probe.name.as_str()).cmp(&key)
        };
        let from = probes.partition_point(|probe| key_of(probe).is_lt());
        let named = probes.get(from..).unwrap_or_default().iter();
        let named = named.take_while(|probe| key_of(probe).is_eq());
        let (at_nops, others): (Vec<_>, Vec<_>) = named.partition(|probe| {
            // An instruction whose first byte is not this one must not get a breakpoint.
            let code = self.initial_bytes(probe.address, MAX_INSTRUCTION);
            self.is_code(probe.address)
                && is_nop(code.unwrap_or_default())
                && self.begins_instruction(probe.address)
        });
        let left_out: Vec<LinkAddr> = others.into_iter().map(|probe| probe.address).collect();
        let sites: Vec<Site> = at_nops
            .into_iter()
            .map(|probe| self.usdt_site(probe))
            .collect();
        self.require_intact()?;
        match (sites.is_empty(), left_out.first()) {
            (true, Some(&address)) => Err(SiteError::NoNop { address }),
            (true, None) => Err(SiteError::NoUsdtProbe),
            (false, _) => Ok(UsdtSites { sites, left_out }),
        }
    }

    fn usdt_site(&self, probe: &Arc<UsdtProbe>) -> Site {
        let address = probe.address;
        let described = self.require_dwarf().is_ok().then(|| self.site_at(address));
        let site = described.flatten().unwrap_or_else(|| Site {
            address,
            source: None,
            function: match self.name_at(address) {
                Some((name, _)) => name,
                // All symbols are stripped.
                None => format!("{}:{}", probe.provider, probe.name),
            },
            scope: ScopeKey::default(),
            inlined_into: Vec::new(),
            exit: None,
            usdt: None,
        });
        Site {
            usdt: Some(Arc::clone(probe)),
            ..site
        }
    }

    /// Returns true if a USDT probe at `address` has a semaphore.
    #[must_use]
    pub fn has_usdt_semaphore(&self, address: LinkAddr) -> bool {
        let mut probes = self.usdt_probes().iter();
        probes.any(|probe| probe.address == address && probe.semaphore.is_some())
    }

    /// Returns the file offset of a semaphore. `None` if it is not in the bytes of a segment that
    /// the program may write.
    #[must_use]
    pub fn semaphore_offset(&self, semaphore: LinkAddr) -> Option<FileOffset> {
        let is_data = |segment: &&crate::debuginfo::object::ElfSegment| {
            segment.kind == object::elf::PT_LOAD.0 && segment.flags & object::elf::PF_W.0 != 0
        };
        let offset = self.segments().iter().filter(is_data).find_map(|segment| {
            let distance = semaphore.0.checked_sub(segment.address.0)?;
            let end = distance.checked_add(SEMAPHORE_BYTES)?;
            (end <= segment.file_size).then(|| segment.offset.add(distance))
        })?;
        offset.0.is_multiple_of(SEMAPHORE_BYTES).then_some(offset)
    }
}
