//! Where a module's code can be entered from elsewhere: every address that
//! something in its bytes could lead to.
//!
//! This is a set that is too large, never too small; [`super::run`] tells which of it
//! cannot be. The bytes of a branch, call
//! or `lea` that leads into code count wherever they stand, in the middle of an
//! instruction too; so do four bytes that are the address itself, where the
//! linker fixed addresses, and every aligned eight bytes of data that
//! are an address of code (vtables, tables of labels, and the addends of
//! relocations, which are stored so). Symbols of functions count too.
//!
//! What it cannot see are branches of one byte's reach and tables of
//! differences: those belong to one function, and [`super::function`] reads them.

use object::elf;

use crate::address::LinkAddr;
use crate::debuginfo::Module;
use crate::debuginfo::symbols::SymbolKind;

/// Bytes of code of one module that are searched; in a larger one no probe is moved.
///
/// 256 MiB take some tenths of a second, and as many MiB while they are searched.
const MAX_CODE: u64 = 256 << 20;

/// Bytes of data of one module that are searched; as for code.
const MAX_DATA: u64 = 2 << 30;

/// Every address of a module that something outside of the straight flow of
/// its code could lead to, sorted.
#[derive(Debug, Default)]
pub(super) struct Entries {
    all: Vec<u64>,
    /// Those that are no four bytes somewhere in code, which may be anything.
    named: Vec<u64>,
}

impl Entries {
    /// Reads the whole module. `None` when it is too large.
    pub(super) fn read(module: &Module) -> Option<Self> {
        let loaded = |segment: &&crate::debuginfo::object::Segment| {
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
        let (low, high) = (
            code.iter().map(|(begin, _)| *begin).min()?,
            code.iter().map(|(_, end)| *end).max()?,
        );
        let span = high.checked_sub(low)?;
        let (mut found, mut named) = (Vec::new(), Vec::new());
        for segment in segments {
            let length = usize::try_from(segment.file_size).ok()?;
            let bytes = module.initial_bytes(segment.address, length)?;
            if segment.executable() {
                displacements(bytes, segment.address.0, (low, span), &mut found);
                if !module.position_independent() {
                    addresses(bytes, (low, span), &mut found);
                }
            }
            pointers(bytes, segment.address.0, (low, span), &mut named);
        }
        let function = |kind| matches!(kind, SymbolKind::Function | SymbolKind::Indirect);
        let symbols = module.symbols().filter(|symbol| function(symbol.kind));
        named.extend(symbols.map(|symbol| symbol.address.0));
        found.extend_from_slice(&named);
        found.sort_unstable();
        named.sort_unstable();
        Some(Self { all: found, named })
    }

    /// How many things could lead to `address`.
    pub(super) fn count_at(&self, address: LinkAddr) -> usize {
        let first = self.all.partition_point(|entry| *entry < address.0);
        let after = self.all.partition_point(|entry| *entry <= address.0);
        after.saturating_sub(first)
    }

    /// Whether any of them is behind `after`, up to `last`.
    pub(super) fn any_between(&self, after: LinkAddr, last: LinkAddr) -> bool {
        any_between(&self.all, after, last)
    }

    /// The same of those that are more than four bytes in code.
    pub(super) fn any_named_between(&self, after: LinkAddr, last: LinkAddr) -> bool {
        any_between(&self.named, after, last)
    }
}

fn any_between(entries: &[u64], after: LinkAddr, last: LinkAddr) -> bool {
    let next = entries.partition_point(|entry| *entry <= after.0);
    entries.get(next).is_some_and(|entry| *entry <= last.0)
}

/// Where each four bytes lead that follow the opcode of a branch, of a call, or of
/// a `lea` off the instruction pointer.
fn displacements(bytes: &[u8], start: u64, (low, span): (u64, u64), found: &mut Vec<u64>) {
    let mut next = start.wrapping_add(6);
    for window in bytes.windows(6) {
        if let [first, second, a, b, c, d] = *window
            && leads(first, second)
        {
            let displacement = i32::from_le_bytes([a, b, c, d]);
            let target = next.wrapping_add(i64::from(displacement) as u64);
            if target.wrapping_sub(low) < span {
                found.push(target);
            }
        }
        next = next.wrapping_add(1);
    }
}

/// Whether two bytes can be the last ones before a displacement that leads to code.
const fn leads(first: u8, second: u8) -> bool {
    match (first, second) {
        // call, jmp; jcc; xbegin; lea with an operand off the instruction pointer.
        (_, 0xe8 | 0xe9) | (0x0f, 0x80..=0x8f) | (0xc7, 0xf8) => true,
        (0x8d, operand) => operand & 0xc7 == 0x05,
        _ => false,
    }
}

/// Each four bytes that are an address.
fn addresses(bytes: &[u8], (low, span): (u64, u64), found: &mut Vec<u64>) {
    for window in bytes.windows(4) {
        if let [a, b, c, d] = *window {
            let target = u64::from(u32::from_le_bytes([a, b, c, d]));
            if target.wrapping_sub(low) < span {
                found.push(target);
            }
        }
    }
}

/// Each aligned eight bytes that are an address.
fn pointers(bytes: &[u8], start: u64, (low, span): (u64, u64), found: &mut Vec<u64>) {
    let skip = usize::try_from(start.wrapping_neg() % 8).unwrap_or_default();
    let aligned = bytes.get(skip..).unwrap_or_default();
    for chunk in aligned.chunks_exact(8) {
        if let [a, b, c, d, e, f, g, h] = *chunk {
            let target = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
            if target.wrapping_sub(low) < span {
                found.push(target);
            }
        }
    }
}
