//! Units, abbreviations, line tables.

use super::{
    Dwarf, FIRST, Unit, abbreviation_table, code, count, line_table, list_of_files, program, uleb,
    unit_of,
};

pub(super) fn units(bytes: usize) -> Vec<u8> {
    let mut unit = Unit::with_int();
    unit.function_with(FIRST);
    let mut dwarf = Dwarf::new();
    let one = unit.bytes();
    dwarf.info = one.repeat(count(bytes, one.len()));
    dwarf.file()
}

/// Abbreviations of many bytes in total, after the used ones.
fn spare_abbreviations(bytes: usize) -> Vec<u8> {
    let mut more = Vec::new();
    for number in 0..count(bytes, 9) as u64 {
        uleb(&mut more, u64::from(code::SPARE) + number);
        more.extend([0x34, 0, 0x03, 0x08, 0, 0]);
    }
    more
}

pub(super) fn units_one_abbreviation_table(bytes: usize) -> Vec<u8> {
    let mut dwarf = Dwarf::new();
    dwarf.abbreviations = abbreviation_table(&spare_abbreviations(bytes / 2));
    let one = Unit::with_int().bytes();
    dwarf.info = one.repeat(count(bytes / 2, one.len()));
    dwarf.file()
}

pub(super) fn units_chained_abbreviations(bytes: usize) -> Vec<u8> {
    let mut dwarf = Dwarf::new();
    let chain = spare_abbreviations(bytes / 2);
    let start = abbreviation_table(&[]).len() - 1;
    dwarf.abbreviations = abbreviation_table(&chain);
    let step = (chain.len() / count(bytes / 2, 50)).max(9);
    let mut unit = Unit::new();
    for at in (0..chain.len()).step_by(step) {
        unit.abbreviations = (start + at) as u32;
        dwarf.unit(&unit);
    }
    dwarf.file()
}

pub(super) fn units_one_line_table(bytes: usize) -> Vec<u8> {
    let mut dwarf = Dwarf::new();
    dwarf.lines = line_table(&list_of_files(1), &program(&vec![19; bytes / 2]));
    let mut unit = Unit::with_int();
    unit.function_with(FIRST);
    let one = unit.bytes();
    dwarf.info = one.repeat(count(bytes / 2, one.len()));
    dwarf.file()
}

/// Each table has all later tables as its rows.
pub(super) fn units_chained_line_tables(bytes: usize) -> Vec<u8> {
    let mut dwarf = Dwarf::new();
    let tables = count(bytes, 200);
    let one = line_table(&list_of_files(1), &program(&[19; 60]));
    dwarf.lines.clear();
    for number in 0..tables {
        let mut table = one.clone();
        let rest = (one.len() * (tables - number) - 4) as u32;
        table[..4].copy_from_slice(&rest.to_le_bytes());
        dwarf.lines.extend(table);
    }
    let mut unit = Unit::with_int();
    unit.function_with(FIRST);
    for number in 0..tables {
        unit.lines = (number * one.len()) as u32;
        dwarf.unit(&unit);
    }
    dwarf.file()
}

pub(super) fn units_one_directory(bytes: usize) -> Vec<u8> {
    let mut dwarf = Dwarf::new();
    dwarf.strings = [b"\0/".as_slice(), &vec![b'd'; bytes / 2], b"\0"].concat();
    let one = Unit::with_int().bytes();
    dwarf.info = one.repeat(count(bytes / 2, one.len()));
    dwarf.file()
}

pub(super) fn units_one_file_list(bytes: usize) -> Vec<u8> {
    let mut dwarf = Dwarf::new();
    let files = (bytes / 2).min(1 << 20);
    dwarf.lines = line_table(&list_of_files(count(files, 9)), &program(&[]));
    let mut unit = Unit::with_int();
    unit.function_with(FIRST);
    let one = unit.bytes();
    dwarf.info = one.repeat(count(bytes / 2, one.len()));
    dwarf.file()
}

pub(super) fn units_split(bytes: usize) -> Vec<u8> {
    let mut dwarf = Dwarf::new();
    for number in 0..count(bytes, 40) as u64 {
        let mut root = vec![code::SKELETON];
        root.extend(format!("{number:x}.dwo\0/d\0").bytes());
        root.extend(number.to_le_bytes());
        dwarf.info.extend(unit_of(&root, 0));
    }
    dwarf.file()
}

pub(super) fn abbreviations(bytes: usize) -> Vec<u8> {
    let mut dwarf = Dwarf::new();
    dwarf.abbreviations = abbreviation_table(&spare_abbreviations(bytes));
    dwarf.unit(&Unit::with_int()).file()
}

pub(super) fn type_units(bytes: usize) -> Vec<u8> {
    let mut dwarf = Dwarf::new();
    let mut unit = Unit::with_int();
    let number = count(bytes, 60) as u64;
    for signature in 0..number {
        let entries = [code::NAMESPACE, b't', 0, 0];
        let length = (7 + 12 + entries.len()) as u32;
        dwarf.types.extend(length.to_le_bytes());
        dwarf.types.extend([4, 0, 0, 0, 0, 0, 8]);
        dwarf.types.extend(signature.to_le_bytes());
        dwarf.types.extend(23_u32.to_le_bytes());
        dwarf.types.extend(entries);
        unit.body.push(code::SIGNED);
        unit.body.extend((number - signature).to_le_bytes());
        unit.addresses();
    }
    dwarf.unit(&unit).file()
}

fn with_lines(lines: Vec<u8>) -> Vec<u8> {
    let mut dwarf = Dwarf::new();
    dwarf.lines = lines;
    let mut unit = Unit::with_int();
    unit.function_with(FIRST);
    dwarf.unit(&unit).file()
}

pub(super) fn rows(bytes: usize) -> Vec<u8> {
    // The next line.
    with_lines(line_table(&list_of_files(1), &program(&vec![19; bytes])))
}

pub(super) fn rows_of_one_line(bytes: usize) -> Vec<u8> {
    with_lines(line_table(&list_of_files(1), &program(&vec![1; bytes])))
}

pub(super) fn sequences(bytes: usize) -> Vec<u8> {
    let one = program(&[]);
    let all = one.repeat(count(bytes, one.len()));
    with_lines(line_table(&list_of_files(1), &all))
}

pub(super) fn files(bytes: usize) -> Vec<u8> {
    with_lines(line_table(&list_of_files(count(bytes, 11)), &program(&[])))
}

pub(super) fn directories(bytes: usize) -> Vec<u8> {
    let mut list = b"d\0".repeat(count(bytes, 2));
    list.extend(list_of_files(1));
    with_lines(line_table(&list, &program(&[])))
}
