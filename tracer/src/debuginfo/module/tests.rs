use super::*;
use crate::base::address::{FileOffset, RunAddr};
use crate::debuginfo::symbols::SymbolKind;

fn own() -> Module {
    let path = std::env::current_exe().expect("own path");
    Module::open(&path).expect("own binary opens")
}

#[test]
fn own_binary_addresses_convert_both_ways() {
    let module = own();
    let symbol = module
        .symbols()
        .find(|symbol| symbol.kind == SymbolKind::Function && symbol.size > 16)
        .expect("a function");
    let offset = module.file_offset(symbol.address).expect("code");
    assert_eq!(module.link_addr(offset), Some(symbol.address));
    assert!(module.is_code(symbol.address));
    assert!(!module.is_code(LinkAddr(0)));
    let found = module.symbol_at(symbol.address.add(3)).expect("symbol");
    assert_eq!(found.address, symbol.address);
    let name = std::str::from_utf8(found.name).expect("text");
    assert!(
        module
            .symbols_named(name)
            .iter()
            .any(|s| s.address == symbol.address)
    );
}

#[test]
fn own_binary_unit_at_function_has_its_name() {
    let module = own();
    module.require_dwarf().expect("debug information");
    assert!(!module.is_stripped());
    let symbol = module
        .symbols()
        .find(|symbol| {
            String::from_utf8_lossy(symbol.name)
                .contains("own_binary_unit_at_function_has_its_name")
        })
        .expect("this function");
    let id = module.unit_at(symbol.address).expect("unit");
    let info = module.unit_info(id).expect("info");
    assert_eq!(
        info.language,
        crate::debuginfo::model::types::Language::Rust
    );
    assert!(info.name.contains("lib.rs"), "{}", info.name);
    let (unit, offset) = module
        .unit_of_die(info.offset + 0x20)
        .expect("unit of an entry");
    assert_eq!(unit.die_offset(offset), info.offset + 0x20);
}

#[test]
fn own_binary_bias_is_run_minus_link_address() {
    let module = own();
    let here = own_binary_bias_is_run_minus_link_address as fn() as usize as u64;
    let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
    let hex = |text: &str| u64::from_str_radix(text, 16).expect("hexadecimal");
    let (start, end, offset) = maps
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let (start, end) = fields.next()?.split_once('-')?;
            let offset = fields.nth(1)?;
            Some((hex(start), hex(end), hex(offset)))
        })
        .find(|(start, end, _)| (*start..*end).contains(&here))
        .expect("own mapping");
    let bias = module
        .bias(RunAddr(start), FileOffset(offset), end - start)
        .expect("bias");
    let symbol = module
        .symbol_at(bias.link(RunAddr(here)))
        .expect("symbol of this function");
    let name = String::from_utf8_lossy(symbol.name).into_owned();
    assert!(
        name.contains("own_binary_bias_is_run_minus_link_address"),
        "{name}"
    );
}
