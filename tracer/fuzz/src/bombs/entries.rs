//! Entries: functions, blocks, types, ranges, locations.

use super::super::elf_file::CODE;
use super::{
    CODE_BYTES, Dwarf, FIRST, Unit, abbreviation_table, code, count, long_string, mangled, uleb,
    with_unit,
};

pub(super) fn attributes_without_bytes(bytes: usize) -> Vec<u8> {
    let mut more = vec![code::SPARE, 0x34, 0];
    // The form implies DW_AT_external.
    more.extend([0x3f, 0x19].repeat(count(bytes / 2, 2).min(500)));
    more.extend([0, 0]);
    let mut dwarf = Dwarf::new();
    dwarf.abbreviations = abbreviation_table(&more);
    let mut unit = Unit::with_int();
    unit.body.extend(vec![code::SPARE; bytes / 2]);
    unit.function_with(FIRST);
    dwarf.unit(&unit).file()
}

pub(super) fn attributes_in_blocks(bytes: usize) -> Vec<u8> {
    let mut more = vec![code::SPARE, 0x34, 0];
    // DW_AT_const_value, in a block.
    more.extend([0x1c, 0x09, 0, 0]);
    let mut dwarf = Dwarf::new();
    dwarf.abbreviations = abbreviation_table(&more);
    let mut unit = Unit::with_int();
    unit.body.push(code::SPARE);
    uleb(&mut unit.body, bytes as u64);
    unit.body.extend(vec![0; bytes]);
    unit.function_with(FIRST);
    dwarf.unit(&unit).file()
}

pub(super) fn children(bytes: usize) -> Vec<u8> {
    let mut unit = Unit::with_int();
    unit.function("probed");
    for _ in 0..count(bytes, 10) {
        unit.parameter(FIRST);
    }
    unit.end();
    with_unit(&unit)
}

pub(super) fn nested_blocks(bytes: usize) -> Vec<u8> {
    let mut unit = Unit::with_int();
    unit.function("probed");
    let levels = count(bytes, 14);
    for _ in 0..levels {
        unit.block();
    }
    unit.body.extend(vec![0; levels]);
    unit.end();
    with_unit(&unit)
}

pub(super) fn nested_blocks_with_children(bytes: usize) -> Vec<u8> {
    let mut unit = Unit::with_int();
    unit.function("probed");
    for _ in 0..250 {
        unit.block();
    }
    for _ in 0..count(bytes, 10) {
        unit.parameter(FIRST);
    }
    unit.body.extend([0; 251]);
    with_unit(&unit)
}

pub(super) fn nested_structs(bytes: usize) -> Vec<u8> {
    let mut unit = Unit::with_int();
    let (first, levels) = (unit.next(), count(bytes, 8));
    for _ in 0..levels {
        unit.body.push(code::STRUCT);
        unit.body.extend(b"s\0\x08\0\0\0");
    }
    unit.body.extend(vec![0; levels]);
    unit.function_with(first);
    with_unit(&unit)
}

fn inlined(bytes: usize, nested: bool) -> Vec<u8> {
    let mut unit = Unit::with_int();
    let origin = unit.next();
    unit.body.push(code::ABSTRACT);
    unit.body.extend(b"inlined\0\x01");
    unit.function("probed");
    let copies = count(bytes, 20);
    for _ in 0..copies {
        unit.body.push(code::INLINED);
        unit.number(origin);
        unit.addresses();
        unit.body.extend([1, 2]);
        if !nested {
            unit.end();
        }
    }
    if nested {
        unit.body.extend(vec![0; copies]);
    }
    unit.end();
    with_unit(&unit)
}

pub(super) fn inlined_copies(bytes: usize) -> Vec<u8> {
    inlined(bytes, false)
}

pub(super) fn nested_inlined_copies(bytes: usize) -> Vec<u8> {
    inlined(bytes, true)
}

pub(super) fn functions(bytes: usize) -> Vec<u8> {
    let mut unit = Unit::with_int();
    for number in 0..count(bytes, 26) {
        unit.function(&format!("f{number:x}"));
        unit.end();
    }
    with_unit(&unit)
}

/// Functions with names in the string section.
fn named_functions(strings: Vec<u8>, bytes: usize, name: impl Fn(usize) -> usize) -> Vec<u8> {
    let mut dwarf = Dwarf::new();
    let end = strings.len().max(3);
    dwarf.strings = strings;
    let mut unit = Unit::with_int();
    for number in 0..count(bytes, 21) {
        let name = (1 + name(number) % (end - 2)) as u32;
        unit.body.push(code::NAMED);
        unit.number(name);
        unit.number(name);
        unit.body.extend(CODE.0.to_le_bytes());
        unit.number(CODE_BYTES as u32);
    }
    dwarf.unit(&unit).file()
}

pub(super) fn function_names_one_string(bytes: usize) -> Vec<u8> {
    named_functions(long_string(bytes / 2), bytes / 2, |_| 0)
}

pub(super) fn function_names_suffixes(bytes: usize) -> Vec<u8> {
    named_functions(long_string(bytes / 2), bytes / 2, |number| number)
}

pub(super) fn function_names_mangled(bytes: usize) -> Vec<u8> {
    let name = mangled(30);
    let strings = [b"\0", name.as_bytes(), b"\0"].concat();
    named_functions(strings, bytes, |_| 0)
}

/// Functions of one list of ranges.
fn with_ranges(functions: usize, ranges: usize) -> Vec<u8> {
    let mut dwarf = Dwarf::new();
    for number in 0..ranges as u64 {
        let begin = number % CODE_BYTES as u64;
        dwarf.ranges.extend(begin.to_le_bytes());
        dwarf.ranges.extend((begin + 1).to_le_bytes());
    }
    dwarf.ranges.extend([0; 16]);
    let mut unit = Unit::with_int();
    for _ in 0..functions {
        unit.body.push(code::RANGED);
        unit.body.extend(b"r\0");
        unit.number(0);
    }
    dwarf.unit(&unit).file()
}

pub(super) fn ranges(bytes: usize) -> Vec<u8> {
    with_ranges(1, count(bytes, 16))
}

pub(super) fn ranges_shared(bytes: usize) -> Vec<u8> {
    with_ranges(count(bytes / 2, 7), count(bytes / 2, 16))
}

pub(super) fn locations_shared(bytes: usize) -> Vec<u8> {
    let mut dwarf = Dwarf::new();
    for _ in 0..count(bytes / 2, 20) {
        // No requested address is in these.
        dwarf.locations.extend(0x10_0000_u64.to_le_bytes());
        dwarf.locations.extend(0x10_0001_u64.to_le_bytes());
        dwarf.locations.extend([2, 0, 0x91, 0x70]);
    }
    dwarf.locations.extend([0; 16]);
    let mut unit = Unit::with_int();
    unit.function("probed");
    for _ in 0..count(bytes / 2, 11) {
        unit.body.push(code::LISTED);
        unit.body.extend(b"v\0");
        unit.number(FIRST);
        unit.number(0);
    }
    unit.end();
    dwarf.unit(&unit).file()
}

pub(super) fn location_operations(bytes: usize) -> Vec<u8> {
    let mut unit = Unit::with_int();
    unit.function("probed");
    unit.body.push(code::PARAMETER);
    unit.body.extend(b"p\0");
    unit.number(FIRST);
    uleb(&mut unit.body, bytes as u64 + 1);
    // 0, then `dup` and `plus` equally often.
    unit.body.push(0x30);
    unit.body.extend(vec![0x12; bytes / 2]);
    unit.body.extend(vec![0x22; bytes - bytes / 2]);
    unit.end();
    with_unit(&unit)
}

pub(super) fn members(bytes: usize) -> Vec<u8> {
    let mut unit = Unit::with_int();
    let first = unit.next();
    unit.body.push(code::STRUCT);
    unit.body.extend(b"s\0\0\0\0\x01");
    for _ in 0..count(bytes, 8) {
        unit.body.push(code::MEMBER);
        unit.body.extend(b"m\0");
        unit.number(FIRST);
        unit.body.push(0);
    }
    unit.end();
    unit.function_with(first);
    with_unit(&unit)
}

pub(super) fn members_of_members(bytes: usize) -> Vec<u8> {
    let mut unit = Unit::with_int();
    let mut before = FIRST;
    for _ in 0..count(bytes, 136) {
        let own = unit.next();
        unit.body.push(code::STRUCT);
        unit.body.extend(b"s\0\0\0\0\x01");
        for _ in 0..16 {
            unit.body.push(code::MEMBER);
            unit.body.extend(b"m\0");
            unit.number(before);
            unit.body.push(0);
        }
        unit.end();
        before = own;
    }
    unit.function_with(before);
    with_unit(&unit)
}

pub(super) fn enumerators(bytes: usize) -> Vec<u8> {
    let mut unit = Unit::with_int();
    let first = unit.next();
    unit.body.push(code::ENUM);
    unit.body.extend(b"e\0\x04");
    unit.number(FIRST);
    for _ in 0..count(bytes, 4) {
        unit.body.push(code::ENUMERATOR);
        unit.body.extend(b"x\0\x01");
    }
    unit.end();
    unit.function_with(first);
    with_unit(&unit)
}

pub(super) fn dimensions(bytes: usize) -> Vec<u8> {
    let mut unit = Unit::with_int();
    let first = unit.next();
    unit.body.push(code::ARRAY);
    unit.number(FIRST);
    for _ in 0..count(bytes, 2) {
        unit.body.extend([code::DIMENSION, 200]);
    }
    unit.end();
    unit.function_with(first);
    with_unit(&unit)
}

pub(super) fn types_in_a_chain(bytes: usize) -> Vec<u8> {
    let mut unit = Unit::with_int();
    let mut before = FIRST;
    for _ in 0..count(bytes, 5) {
        let own = unit.next();
        unit.body.push(code::POINTER);
        unit.number(before);
        before = own;
    }
    unit.function_with(before);
    with_unit(&unit)
}

pub(super) fn parameters_of_function_types(bytes: usize) -> Vec<u8> {
    let mut unit = Unit::with_int();
    let mut before = FIRST;
    for _ in 0..count(bytes, 86) {
        let own = unit.next();
        unit.body.push(code::FUNCTION_TYPE);
        unit.number(before);
        for _ in 0..16 {
            unit.body.push(code::TYPED);
            unit.number(before);
        }
        unit.end();
        before = own;
    }
    unit.function_with(before);
    with_unit(&unit)
}

pub(super) fn specifications(bytes: usize) -> Vec<u8> {
    let mut unit = Unit::with_int();
    for _ in 0..count(bytes, 17) {
        let next = unit.next() + 17;
        unit.body.push(code::SPECIFIED);
        unit.number(next);
        unit.addresses();
    }
    unit.function("probed");
    unit.end();
    with_unit(&unit)
}

pub(super) fn namespaces(bytes: usize) -> Vec<u8> {
    let mut unit = Unit::with_int();
    let levels = count(bytes, 30);
    for _ in 0..levels {
        unit.body.push(code::NAMESPACE);
        unit.body.extend(b"n\0");
        unit.function("f");
        unit.end();
    }
    unit.body.extend(vec![0; levels]);
    with_unit(&unit)
}
