//! Builds a program around given location expressions. Its first function calls the second, and it
//! has the debug information that a location can refer to.

use tracer::base::address::LinkAddr;

use super::elf_file::{CODE, file, frames, one_frame, text, unloaded};

/// Address of the called function.
pub const FUNCTION: LinkAddr = LinkAddr(CODE.0 + 0x10);
/// An instruction in it, other than its first.
pub const INSIDE: LinkAddr = LinkAddr(CODE.0 + 0x18);

/// The location expressions.
pub struct Parts<'a> {
    pub frame_base: &'a [u8],
    /// The value that the caller passes in `rdi`.
    pub passed: &'a [u8],
    /// The number of elements of an array.
    pub count: &'a [u8],
    /// The location of the variable.
    pub location: &'a [u8],
}

/// Abbreviations: tag, whether it has children, then attributes and forms.
const ABBREVIATIONS: &[&[u8]] = &[
    // Unit: language C11, addresses.
    &[0x11, 1, 0x13, 0x0b, 0x11, 0x01, 0x12, 0x06],
    // Base type: encoding, size, name.
    &[0x24, 0, 0x3e, 0x0b, 0x0b, 0x0b, 0x03, 0x08],
    // Function: addresses, frame base, all calls described.
    &[
        0x2e, 1, 0x03, 0x08, 0x11, 0x01, 0x12, 0x06, 0x40, 0x18, 0x7a, 0x19,
    ],
    // Parameter and variable: name, type, location.
    &[0x05, 0, 0x03, 0x08, 0x49, 0x13, 0x02, 0x18],
    &[0x34, 0, 0x03, 0x08, 0x49, 0x13, 0x02, 0x18],
    // Call site: return address, called function.
    &[0x48, 1, 0x7d, 0x01, 0x7f, 0x13],
    // Parameter of the call site: location, value.
    &[0x49, 0, 0x02, 0x18, 0x7e, 0x18],
    // Array, and its dimension.
    &[0x01, 1, 0x49, 0x13],
    &[0x21, 0, 0x37, 0x18],
    // DWARF procedure.
    &[0x36, 0, 0x02, 0x18],
    // Struct of one member.
    &[0x13, 1, 0x03, 0x08, 0x0b, 0x0b],
    &[0x0d, 0, 0x03, 0x08, 0x49, 0x13, 0x38, 0x18],
];

/// The file of these locations.
pub fn with_locations(parts: &Parts<'_>) -> Vec<u8> {
    let mut callee = [0x90; 48];
    callee[47] = 0xc3;
    program(parts, &callee)
}

/// The file whose second function is this code.
pub fn with_code(callee: &[u8]) -> Vec<u8> {
    let parts = Parts {
        frame_base: &[0x9c],
        passed: &[0x30],
        count: &[0x31],
        location: &[0x91, 0x70],
    };
    program(&parts, callee)
}

fn program(parts: &Parts<'_>, callee: &[u8]) -> Vec<u8> {
    // The first function only calls the second.
    let mut code = vec![0xe8, 0x0b, 0, 0, 0, 0xc3];
    code.resize(0x10, 0x90);
    code.extend(callee);
    let abbreviations = abbreviations();
    let info = info(parts, callee.len() as u32);
    file(&[
        text(&code),
        frames(&one_frame(code.len())),
        unloaded(".debug_abbrev", &abbreviations),
        unloaded(".debug_info", &info),
    ])
}

fn abbreviations() -> Vec<u8> {
    let mut bytes = Vec::new();
    for (code, abbreviation) in (1..).zip(ABBREVIATIONS) {
        bytes.push(code);
        bytes.extend(*abbreviation);
        bytes.extend([0, 0]);
    }
    bytes.push(0);
    bytes
}

/// Entries, and the references to them by their offset in the unit.
#[derive(Default)]
struct Info(Vec<u8>);

impl Info {
    fn entry(&mut self, code: u8) -> u32 {
        let offset = self.0.len() as u32;
        self.0.push(code);
        offset
    }

    fn name(&mut self, name: &str) {
        self.0.extend(name.bytes().chain([0]));
    }

    fn number(&mut self, number: u32) {
        self.0.extend(number.to_le_bytes());
    }

    fn addresses(&mut self, begin: u64, length: u32) {
        self.0.extend(begin.to_le_bytes());
        self.number(length);
    }

    fn expression(&mut self, bytes: &[u8]) {
        let mut length = bytes.len();
        while length >= 0x80 {
            self.0.push(length as u8 | 0x80);
            length >>= 7;
        }
        self.0.push(length as u8);
        self.0.extend(bytes);
    }

    fn end(&mut self) {
        self.0.push(0);
    }
}

fn info(parts: &Parts<'_>, callee_length: u32) -> Vec<u8> {
    let mut info = Info::default();
    // Version 5, a unit of code, addresses of 8 bytes; its length comes last.
    info.0.extend([0, 0, 0, 0, 5, 0, 1, 8, 0, 0, 0, 0]);
    info.entry(1);
    info.0.push(0x1d);
    info.addresses(CODE.0, 0x10 + callee_length);
    let mut base = |encoding: u8, size: u8, name: &str| {
        let offset = info.entry(2);
        info.0.extend([encoding, size]);
        info.name(name);
        offset
    };
    let (int, _) = (base(5, 4, "int"), base(8, 1, "byte"));
    let (_, _) = (base(4, 8, "double"), base(7, 8, "unsigned long"));
    info.entry(10);
    info.expression(parts.location);
    let array = info.entry(8);
    info.number(int);
    info.entry(9);
    info.expression(parts.count);
    info.end();
    let pair = info.entry(11);
    info.name("pair");
    info.0.push(16);
    info.entry(12);
    info.name("member");
    info.number(int);
    info.expression(parts.count);
    info.end();
    // The caller, whose entry for the call names the second function.
    info.entry(3);
    info.name("caller");
    info.addresses(CODE.0, 6);
    info.expression(parts.frame_base);
    info.entry(6);
    info.0.extend((CODE.0 + 5).to_le_bytes());
    let names_callee = info.0.len();
    info.number(0);
    info.entry(7);
    info.expression(&[0x55]);
    info.expression(parts.passed);
    info.end();
    info.end();
    let callee = info.entry(3);
    info.0[names_callee..names_callee + 4].copy_from_slice(&callee.to_le_bytes());
    info.name("callee");
    info.addresses(FUNCTION.0, callee_length);
    info.expression(parts.frame_base);
    for (code, name, ty) in [
        (4, "parameter", int),
        (5, "variable", pair),
        (5, "counted", array),
    ] {
        info.entry(code);
        info.name(name);
        info.number(ty);
        info.expression(parts.location);
    }
    info.end();
    info.end();
    let length = info.0.len() as u32 - 4;
    info.0[..4].copy_from_slice(&length.to_le_bytes());
    info.0
}
