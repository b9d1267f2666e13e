//! The sites of USDT probes.

use std::sync::Arc;

use super::notes;
use crate::arch::{MAX_INSTRUCTION, decode, is_nop};
use crate::base::address::{FileOffset, LinkAddr};
use crate::debuginfo::budget::ReaderKind;
use crate::debuginfo::lines::resolve::SiteError;
use crate::debuginfo::model::site::{ScopeKey, Site};
use crate::debuginfo::model::usdt::UsdtProbe;
use crate::debuginfo::module::Module;

/// Bytes of one function that are read to find the beginnings of its instructions.
const MAX_FUNCTION: u64 = 1 << 20;
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

    /// Returns true if an instruction surely begins at an address: the instructions of its function lead there. A byte
    /// of a constant may look like a nop.
    fn begins_instruction(&self, address: LinkAddr) -> bool {
        let begins = [
            self.frame_sections().begin_of_entry(address.0),
            self.function_code_at(address).and_then(|code| {
                let mut ranges = code.ranges.into_iter();
                let range = ranges.find(|(begin, end)| (*begin..*end).contains(&address));
                range.map(|(begin, _)| begin.0)
            }),
            self.name_at(address)
                .and_then(|(_, distance)| address.0.checked_sub(distance)),
        ];
        let mut begins = begins.into_iter().flatten();
        let Some(begin) = begins.find(|begin| *begin <= address.0) else {
            return false;
        };
        let length = address.0 - begin;
        if length > MAX_FUNCTION || !self.budget.spend(ReaderKind::Code, length, 0) {
            return false;
        }
        let bytes = self.initial_bytes(LinkAddr(begin), usize::try_from(length).unwrap_or(0));
        let Some(bytes) = bytes.filter(|bytes| bytes.len() as u64 == length) else {
            return false;
        };
        decode(bytes, begin)
            .try_fold(begin, |at, instruction| {
                let follows = instruction.is_valid() && instruction.address() == at;
                follows.then(|| instruction.next_address())
            })
            .is_some_and(|end| end == address.0)
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
