//! Entries into a module's code from elsewhere: all addresses that anything in its bytes could lead
//! to.
//!
//! The set is too large, never too small; [`super::straight_run`] excludes some of it. The bytes of
//! a branch, call or `lea` into code count wherever they are, even in the middle of an instruction.
//! Four bytes that are an address count if the linker fixed addresses. Aligned eight bytes of data
//! that are an address of code count: vtables, tables of labels, and addends of relocations, which
//! are stored like that. Symbols of functions count.
//!
//! One-byte branches and tables of differences stay within one function.
//! [`super::decoded_function`] reads them.

use object::elf;

use crate::arch::displacements;
use crate::base::address::LinkAddr;
use crate::debuginfo::Module;
use crate::debuginfo::symbols::SymbolKind;

/// Most bytes of code in a module. Probes in a larger module are not moved.
///
/// Searching 256 MiB takes some tenths of a second, and as much memory.
const MAX_CODE: u64 = 256 << 20;

/// Most bytes of data in a module. Probes in a larger module are not moved.
const MAX_DATA: u64 = 2 << 30;

/// All addresses of a module that may be entered other than by the straight flow of its code,
/// sorted.
#[derive(Debug, Default)]
pub(super) struct ModuleEntries {
    all: Vec<u64>,
    /// Entries with more evidence than four bytes in code, which may be anything.
    named: Vec<u64>,
}

impl ModuleEntries {
    /// Reads the whole module. `None` if it is too large.
    pub(super) fn read(module: &Module) -> Option<Self> {
        let loaded = |segment: &&crate::debuginfo::object::ElfSegment| {
            segment.kind == elf::PT_LOAD.0 && segment.file_size > 0
        };
        let segments: Vec<_> = module.segments().iter().filter(loaded).collect();
        let total = |executable: bool| -> u64 {
            let of_kind = segments
                .iter()
                .filter(|segment| segment.executable() == executable);
            of_kind.fold(0, |sum, segment| sum.saturating_add(segment.file_size))
        };
        if total(true) > MAX_CODE || total(false) > MAX_DATA {
            return None;
        }
        let code: Vec<(u64, u64)> = segments
            .iter()
            .filter(|segment| segment.executable())
            .map(|segment| {
                let begin = segment.address.0;
                (begin, begin.saturating_add(segment.file_size))
            })
            .collect();
        let low = code.iter().map(|(begin, _)| *begin).min()?;
        let high = code.iter().map(|(_, end)| *end).max()?;
        let window = AddressWindow {
            low,
            span: high.checked_sub(low)?,
        };
        let (mut found, mut named) = (Vec::new(), Vec::new());
        for segment in segments {
            let length = usize::try_from(segment.file_size).ok()?;
            let bytes = module.initial_bytes(segment.address, length)?;
            if segment.executable() {
                displacements(bytes, segment.address.0, |target| {
                    if window.contains(target) {
                        found.push(target);
                    }
                });
                if !module.position_independent() {
                    addresses(bytes, window, &mut found);
                }
            }
            pointers(bytes, segment.address.0, window, &mut named);
        }
        let function = |kind| matches!(kind, SymbolKind::Function | SymbolKind::Indirect);
        let symbols = module.symbols().filter(|symbol| function(symbol.kind));
        named.extend(symbols.map(|symbol| symbol.address.0));
        found.extend_from_slice(&named);
        found.sort_unstable();
        named.sort_unstable();
        Some(Self { all: found, named })
    }

    /// The number of ways that could lead to `address`.
    pub(super) fn count_at(&self, address: LinkAddr) -> usize {
        let first = self.all.partition_point(|entry| *entry < address.0);
        let after = self.all.partition_point(|entry| *entry <= address.0);
        after.saturating_sub(first)
    }

    /// Returns true if any entry is above `after`, up to `last`.
    pub(super) fn any_between(&self, after: LinkAddr, last: LinkAddr) -> bool {
        any_between(&self.all, after, last)
    }

    /// Returns true if any named entry is above `after`, up to `last`.
    pub(super) fn any_named_between(&self, after: LinkAddr, last: LinkAddr) -> bool {
        any_between(&self.named, after, last)
    }
}

fn any_between(entries: &[u64], after: LinkAddr, last: LinkAddr) -> bool {
    let next = entries.partition_point(|entry| *entry <= after.0);
    entries.get(next).is_some_and(|entry| *entry <= last.0)
}

/// The addresses of a module's code.
#[derive(Clone, Copy)]
struct AddressWindow {
    low: u64,
    span: u64,
}

impl AddressWindow {
    const fn contains(self, address: u64) -> bool {
        address.wrapping_sub(self.low) < self.span
    }
}

/// Adds all four bytes that are an address.
fn addresses(bytes: &[u8], window: AddressWindow, found: &mut Vec<u64>) {
    for four in bytes.windows(4) {
        if let [a, b, c, d] = *four {
            let target = u64::from(u32::from_le_bytes([a, b, c, d]));
            if window.contains(target) {
                found.push(target);
            }
        }
    }
}

/// Adds all aligned eight bytes that are an address.
fn pointers(bytes: &[u8], start: u64, window: AddressWindow, found: &mut Vec<u64>) {
    let skip = usize::try_from(start.wrapping_neg() % 8).unwrap_or_default();
    let aligned = bytes.get(skip..).unwrap_or_default();
    for chunk in aligned.chunks_exact(8) {
        if let [a, b, c, d, e, f, g, h] = *chunk {
            let target = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
            if window.contains(target) {
                found.push(target);
            }
        }
    }
}
