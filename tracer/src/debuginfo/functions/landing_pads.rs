//! Landing pads: addresses at which unwinding (a C++ exception, a Rust panic) re-enters a
//! function. They come from the tables in `.gcc_except_table` that the call frame information
//! points to.
//!
//! No instruction leads to a landing pad, so an analysis of the entries into code must include
//! them.

use gimli::{EhFrame, Pointer, Reader as _};

use crate::base::address::LinkAddr;
use crate::debuginfo::Slice;
use crate::debuginfo::frames::cfi::{FrameEntry, FrameSections};
use crate::debuginfo::module::Module;

/// Call sites of one function that are read; a table with more is refused.
const MAX_CALL_SITES: usize = 1 << 20;

/// Bytes of one table that are read.
const MAX_TABLE_BYTES: usize = 16 << 20;

impl Module {
    /// Returns every landing pad of the code in `ranges`.
    ///
    /// Returns `None` if a table exists but cannot be read with certainty.
    #[must_use]
    pub fn landing_pads(&self, ranges: &[(u64, u64)]) -> Option<Vec<LinkAddr>> {
        let sections = self.frame_sections();
        let mut pads = Vec::new();
        for &(begin, end) in ranges {
            let mut at = begin;
            // A range may have several consecutive entries.
            while at < end {
                let Some(fde) = sections.eh_frame_entry(at) else {
                    // No exception can unwind through code without an entry.
                    break;
                };
                match fde.lsda() {
                    None => {}
                    Some(Pointer::Direct(table)) => {
                        self.table(LinkAddr(table), fde.initial_address(), &mut pads)?;
                    }
                    Some(Pointer::Indirect(_)) => return None,
                }
                let next = fde.initial_address().checked_add(fde.len())?;
                if next <= at {
                    return None;
                }
                at = next;
            }
        }
        Some(pads)
    }

    /// Adds the landing pads of one language-specific data area to `pads`.
    fn table(&self, table: LinkAddr, function: u64, pads: &mut Vec<LinkAddr>) -> Option<()> {
        let bytes = self.initial_bytes(table, MAX_TABLE_BYTES)?;
        let mut reader = Slice::new(bytes, gimli::LittleEndian);
        // Landing pads count from the start of the function unless the table has another base.
        // Compilers for this processor never write one.
        let omitted = gimli::DW_EH_PE_omit.0;
        if reader.read_u8().ok()? != omitted {
            return None;
        }
        // The type table is not needed, so its offset is skipped.
        if reader.read_u8().ok()? != omitted {
            reader.read_uleb128().ok()?;
        }
        let encoding = gimli::DwEhPe(reader.read_u8().ok()?);
        let length = usize::try_from(reader.read_uleb128().ok()?).ok()?;
        let mut sites = reader.split(length).ok()?;
        let mut count = 0_usize;
        while !sites.is_empty() {
            count += 1;
            if count > MAX_CALL_SITES {
                return None;
            }
            let _start = number(&mut sites, encoding)?;
            let _length = number(&mut sites, encoding)?;
            let pad = number(&mut sites, encoding)?;
            let _action = sites.read_uleb128().ok()?;
            // A call site without a landing pad has 0.
            if pad != 0 {
                pads.push(LinkAddr(function.checked_add(pad)?));
            }
        }
        Some(())
    }
}

fn number(reader: &mut Slice<'_>, encoding: gimli::DwEhPe) -> Option<u64> {
    let value = match encoding {
        gimli::DW_EH_PE_uleb128 => reader.read_uleb128().ok()?,
        gimli::DW_EH_PE_udata2 => reader.read_u16().ok()?.into(),
        gimli::DW_EH_PE_udata4 => reader.read_u32().ok()?.into(),
        gimli::DW_EH_PE_udata8 => reader.read_u64().ok()?,
        _ => return None,
    };
    Some(value)
}

impl<'a> FrameSections<'a> {
    /// Returns the entry of `.eh_frame` that covers `address`.
    fn eh_frame_entry(&self, address: u64) -> Option<FrameEntry<'a>> {
        let (bytes, _) = self.eh_frame?;
        let mut section = EhFrame::from(bytes);
        section.set_address_size(8);
        // The table has all entries: an address that it lacks has no entry.
        self.entry_by_table(&section, address)
            .unwrap_or_else(|| self.eh_frame_entry_by_index(&section, address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::symbols::SymbolKind;

    #[test]
    fn own_functions_landing_pads_are_inside_of_them() {
        let path = std::env::current_exe().expect("own path");
        let module = Module::open(&path).expect("own binary opens");
        let mut found = 0;
        let functions = module
            .symbols()
            .filter(|symbol| symbol.kind == SymbolKind::Function && symbol.size > 64);
        for function in functions.step_by(37).take(200) {
            let range = (function.address.0, function.address.0 + function.size);
            let pads = module.landing_pads(&[range]).expect("tables are read");
            for pad in &pads {
                assert!((range.0..range.1).contains(&pad.0), "{pad} in {range:x?}");
            }
            found += pads.len();
        }
        assert!(found > 20, "{found} landing pads");
    }

    /// Builds a small library and changes its table of entries.
    fn with_table(change: impl FnOnce(&mut [u8])) -> (Module, Vec<(u64, u64)>) {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/fuzz/corpus/elf/c-gcc-O1-dwarf5"
        );
        let mut bytes = std::fs::read(path).expect("a seed of the fuzzer");
        let module = Module::open(path.as_ref()).expect("it opens");
        let header = module.main.section(".eh_frame_hdr").expect("a table");
        change(&mut bytes[header.file.clone()]);
        let directory = tempfile::tempdir().expect("a directory");
        let damaged = directory.path().join("damaged");
        std::fs::write(&damaged, bytes).expect("it can be written");
        let damaged = Module::open(&damaged).expect("it opens");
        (damaged, module.files.code_ranges)
    }

    #[test]
    fn table_that_points_before_its_section_leads_nowhere() {
        let (module, code) = with_table(|table| {
            // The header is followed by pairs of addresses, relative to the table.
            for pair in table[12..].chunks_exact_mut(8) {
                pair[4..].copy_from_slice(&4_i32.to_le_bytes());
            }
        });
        assert_eq!(module.landing_pads(&code), Some(Vec::new()));
    }

    #[test]
    fn table_with_more_entries_than_numbers_count_is_not_used() {
        let (module, code) = with_table(|table| {
            // Declares the count to have eight bytes, and fills them.
            table[2] = gimli::DW_EH_PE_udata8.0;
            table[8..16].fill(0xff);
        });
        assert_eq!(module.landing_pads(&code), Some(Vec::new()));
        assert!(module.cfa_at(LinkAddr(code[code.len() - 1].0)).is_ok());
    }
}
