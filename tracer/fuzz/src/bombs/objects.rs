//! Symbols, call frame information, notes, sections, code.

use super::super::elf_file::{CODE, SYMBOLS, file, frames, one_frame, unloaded};
use super::{CODE_BYTES, Dwarf, FIRST, Unit, count, long_string, mangled};

/// Symbols whose names start at offsets from a function.
fn with_symbols(strings: &[u8], symbols: usize, name: impl Fn(usize) -> usize) -> Vec<u8> {
    let mut table = vec![0; 24];
    for number in 0..symbols {
        let name = (1 + name(number) % (strings.len() - 2)) as u32;
        table.extend(name.to_le_bytes());
        // A global function of the first section.
        table.extend([0x12, 0, 1, 0]);
        table.extend((CODE.0 + number as u64 % CODE_BYTES as u64).to_le_bytes());
        table.extend(1_u64.to_le_bytes());
    }
    let mut dwarf = Dwarf::new();
    let mut unit = Unit::with_int();
    unit.function_with(FIRST);
    dwarf.unit(&unit);
    let mut sections = dwarf.sections(&[0x90; CODE_BYTES]);
    let mut symbols = unloaded(".symtab", &table);
    symbols.kind = SYMBOLS;
    // A second function; the first section of a file is empty.
    symbols.link = sections.len() as u32 + 2;
    let mut names = unloaded(".strtab", strings);
    names.kind = 3;
    sections.extend([symbols, names]);
    file(&sections)
}

pub(super) fn symbols(bytes: usize) -> Vec<u8> {
    with_symbols(&long_string(8), count(bytes, 24), |_| 0)
}

pub(super) fn symbol_names_suffixes(bytes: usize) -> Vec<u8> {
    let strings = long_string(bytes / 2);
    with_symbols(&strings, count(bytes / 2, 24), |number| number)
}

pub(super) fn symbol_names_mangled(bytes: usize) -> Vec<u8> {
    let strings = [b"\0", mangled(30).as_bytes(), b"\0"].concat();
    with_symbols(&strings, count(bytes, 24), |_| 0)
}

/// A file with this `.eh_frame` besides the usual one.
fn with_frames(bytes: &[u8]) -> Vec<u8> {
    let mut dwarf = Dwarf::new();
    let mut unit = Unit::with_int();
    unit.function_with(FIRST);
    dwarf.unit(&unit);
    let mut sections = dwarf.sections(&[0x90; CODE_BYTES]);
    sections.push(frames(bytes));
    file(&sections)
}

pub(super) fn frame_entries(bytes: usize) -> Vec<u8> {
    let one = one_frame(CODE_BYTES);
    let mut all = one[..one.len() - 4].to_vec();
    let (cie, each) = (24, all.len() - 24);
    while all.len() < bytes.max(each) {
        let at = all.len();
        let entry = all[cie..cie + each].to_vec();
        all.extend(entry);
        let back = (at + 4) as u32;
        all[at + 4..at + 8].copy_from_slice(&back.to_le_bytes());
        // The code is nowhere.
        all[at + 8..at + 12].copy_from_slice(&0x4000_0000_u32.to_le_bytes());
    }
    all.extend([0; 4]);
    with_frames(&all)
}

pub(super) fn frame_instructions(bytes: usize) -> Vec<u8> {
    let one = one_frame(CODE_BYTES);
    let mut all = one[..one.len() - 4].to_vec();
    // `remember` and `restore`, repeated.
    let more = [0x0a, 0x0b].repeat(bytes / 2);
    let length = (20 + more.len()) as u32;
    all[24..28].copy_from_slice(&length.to_le_bytes());
    all.extend(more);
    all.extend([0; 4]);
    with_frames(&all)
}

pub(super) fn notes(bytes: usize) -> Vec<u8> {
    let one = [4, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, b'G', b'N', b'U', 0];
    let all = one.repeat(count(bytes, one.len()));
    let mut dwarf = Dwarf::new();
    dwarf.unit(&Unit::with_int());
    let mut sections = dwarf.sections(&[0x90; CODE_BYTES]);
    sections.push(unloaded(".note.gnu.build-id", &all));
    file(&sections)
}

pub(super) fn sections(bytes: usize) -> Vec<u8> {
    let mut dwarf = Dwarf::new();
    let mut unit = Unit::with_int();
    unit.function_with(FIRST);
    dwarf.unit(&unit);
    let mut sections = dwarf.sections(&[0x90; CODE_BYTES]);
    for _ in 0..count(bytes, 80).min(60_000) {
        sections.push(unloaded(".debug_info", &[]));
    }
    file(&sections)
}

pub(super) fn code_of_calls(bytes: usize) -> Vec<u8> {
    let mut dwarf = Dwarf::new();
    let mut unit = Unit::with_int();
    unit.function_with(FIRST);
    dwarf.unit(&unit);
    file(&dwarf.sections(&vec![0xe8; bytes]))
}
