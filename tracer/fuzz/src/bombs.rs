//! Builds files that grow in one dimension of debug information. Each dimension is meant to cost a
//! reader more work or memory than its size justifies.
//!
//! `cargo xtask fuzz --bombs` grows each file until the module's budget ends the reading, or until
//! the requested size. `tracer/tests/fuzz_corpus.rs` does the same with small files.

mod entries;
mod objects;
mod units;

use super::elf_file::{CODE, Section, file, text, unloaded};

/// Builds the file of about this many bytes that grows in one dimension.
pub type Make = fn(usize) -> Vec<u8>;

/// Bytes of code.
const CODE_BYTES: usize = 256;

/// All dimensions.
pub const BOMBS: &[(&str, Make)] = &[
    ("units", units::units),
    (
        "units-one-table-of-abbreviations",
        units::units_one_abbreviation_table,
    ),
    (
        "units-chained-abbreviations",
        units::units_chained_abbreviations,
    ),
    ("units-one-line-table", units::units_one_line_table),
    (
        "units-chained-line-tables",
        units::units_chained_line_tables,
    ),
    ("units-one-directory", units::units_one_directory),
    ("units-one-list-of-files", units::units_one_file_list),
    ("units-split", units::units_split),
    ("abbreviations", units::abbreviations),
    (
        "attributes-without-bytes",
        entries::attributes_without_bytes,
    ),
    ("attributes-in-long-blocks", entries::attributes_in_blocks),
    ("children", entries::children),
    ("nested-blocks", entries::nested_blocks),
    (
        "nested-blocks-with-many-children",
        entries::nested_blocks_with_children,
    ),
    ("nested-structs", entries::nested_structs),
    ("inlined-copies", entries::inlined_copies),
    ("nested-inlined-copies", entries::nested_inlined_copies),
    ("functions", entries::functions),
    (
        "function-names-one-string",
        entries::function_names_one_string,
    ),
    ("function-names-suffixes", entries::function_names_suffixes),
    ("function-names-mangled", entries::function_names_mangled),
    ("rows", units::rows),
    ("rows-of-one-line", units::rows_of_one_line),
    ("sequences", units::sequences),
    ("files", units::files),
    ("directories", units::directories),
    ("ranges", entries::ranges),
    ("ranges-shared", entries::ranges_shared),
    ("locations-shared", entries::locations_shared),
    ("location-of-many-operations", entries::location_operations),
    ("members", entries::members),
    ("members-of-members", entries::members_of_members),
    ("enumerators", entries::enumerators),
    ("dimensions", entries::dimensions),
    ("types-in-a-chain", entries::types_in_a_chain),
    (
        "parameters-of-function-types",
        entries::parameters_of_function_types,
    ),
    ("specifications-in-a-chain", entries::specifications),
    ("namespaces-nested", entries::namespaces),
    ("type-units", units::type_units),
    ("symbols", objects::symbols),
    ("symbol-names-suffixes", objects::symbol_names_suffixes),
    ("symbol-names-mangled", objects::symbol_names_mangled),
    ("frames", objects::frame_entries),
    ("frame-of-many-instructions", objects::frame_instructions),
    ("notes", objects::notes),
    ("sections", objects::sections),
    ("code-of-calls", objects::code_of_calls),
];

/// Numbers of the abbreviations below.
mod code {
    pub const UNIT: u8 = 1;
    pub const FUNCTION: u8 = 2;
    pub const PARAMETER: u8 = 3;
    pub const BLOCK: u8 = 4;
    pub const STRUCT: u8 = 5;
    pub const MEMBER: u8 = 6;
    pub const BASE: u8 = 7;
    pub const INLINED: u8 = 8;
    pub const ABSTRACT: u8 = 9;
    pub const NAMED: u8 = 10;
    pub const ENUM: u8 = 11;
    pub const ENUMERATOR: u8 = 12;
    pub const ARRAY: u8 = 13;
    pub const DIMENSION: u8 = 14;
    pub const POINTER: u8 = 15;
    pub const SPECIFIED: u8 = 16;
    pub const RANGED: u8 = 17;
    pub const LISTED: u8 = 18;
    pub const NAMESPACE: u8 = 19;
    pub const SKELETON: u8 = 20;
    pub const FUNCTION_TYPE: u8 = 21;
    pub const TYPED: u8 = 22;
    pub const SIGNED: u8 = 23;
    pub const SPARE: u8 = 24;
}

/// Tag, whether it has children, then attributes and forms.
const ABBREVIATIONS: &[&[u8]] = &[
    // Unit: language, name, directory, addresses, line table.
    &[
        0x11, 1, 0x13, 0x0b, 0x03, 0x08, 0x1b, 0x0e, 0x11, 0x01, 0x12, 0x06, 0x10, 0x17,
    ],
    // Function: name, addresses, frame base, file, line.
    &[
        0x2e, 1, 0x03, 0x08, 0x11, 0x01, 0x12, 0x06, 0x40, 0x18, 0x3a, 0x0b, 0x3b, 0x0b,
    ],
    // Parameter: name, type, location.
    &[0x05, 0, 0x03, 0x08, 0x49, 0x13, 0x02, 0x18],
    // Block: addresses.
    &[0x0b, 1, 0x11, 0x01, 0x12, 0x06],
    // Struct: name, size.
    &[0x13, 1, 0x03, 0x08, 0x0b, 0x06],
    // Member: name, type, place.
    &[0x0d, 0, 0x03, 0x08, 0x49, 0x13, 0x38, 0x0b],
    // Base type: name, encoding, size.
    &[0x24, 0, 0x03, 0x08, 0x3e, 0x0b, 0x0b, 0x0b],
    // Inlined copy: origin, addresses, file and line of the call.
    &[
        0x1d, 1, 0x31, 0x13, 0x11, 0x01, 0x12, 0x06, 0x58, 0x0b, 0x59, 0x0b,
    ],
    // Abstract function: name.
    &[0x2e, 0, 0x03, 0x08, 0x20, 0x0b],
    // Function with shared names: name, linkage name, addresses.
    &[0x2e, 0, 0x03, 0x0e, 0x6e, 0x0e, 0x11, 0x01, 0x12, 0x06],
    // Enumeration: name, size, type; enumerator: name, value.
    &[0x04, 1, 0x03, 0x08, 0x0b, 0x0b, 0x49, 0x13],
    &[0x28, 0, 0x03, 0x08, 0x1c, 0x0d],
    // Array: type; dimension: upper bound.
    &[0x01, 1, 0x49, 0x13],
    &[0x21, 0, 0x2f, 0x0b],
    // Pointer: type.
    &[0x0f, 0, 0x49, 0x13],
    // Function that another entry declares: that entry, addresses.
    &[0x2e, 0, 0x47, 0x13, 0x11, 0x01, 0x12, 0x06],
    // Function in pieces: name, ranges.
    &[0x2e, 0, 0x03, 0x08, 0x55, 0x17],
    // Parameter with a list of locations: name, type, list.
    &[0x05, 0, 0x03, 0x08, 0x49, 0x13, 0x02, 0x17],
    // Namespace: name.
    &[0x39, 1, 0x03, 0x08],
    // Skeleton: file, directory, number.
    &[0x11, 0, 0xb0, 0x42, 0x08, 0x1b, 0x08, 0xb1, 0x42, 0x07],
    // Function type; parameter of a type.
    &[0x15, 1, 0x49, 0x13],
    &[0x05, 0, 0x49, 0x13],
    // Function that a type unit declares: its signature, addresses.
    &[0x2e, 0, 0x47, 0x20, 0x11, 0x01, 0x12, 0x06],
];

fn abbreviation_table(more: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (code, abbreviation) in (1..).zip(ABBREVIATIONS) {
        bytes.push(code);
        // Tags and names above 0x7f are already encoded in two bytes above.
        bytes.extend(*abbreviation);
        bytes.extend([0, 0]);
    }
    bytes.extend(more);
    bytes.push(0);
    bytes
}

fn uleb(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The debug sections of a file.
#[derive(Default)]
struct Dwarf {
    abbreviations: Vec<u8>,
    info: Vec<u8>,
    types: Vec<u8>,
    lines: Vec<u8>,
    strings: Vec<u8>,
    ranges: Vec<u8>,
    locations: Vec<u8>,
}

impl Dwarf {
    fn new() -> Self {
        Self {
            abbreviations: abbreviation_table(&[]),
            lines: line_table(&list_of_files(1), &program(&[])),
            strings: b"\0/src\0".to_vec(),
            ..Self::default()
        }
    }

    fn unit(&mut self, unit: &Unit) -> &mut Self {
        self.info.extend(&unit.bytes());
        self
    }

    fn file(&self) -> Vec<u8> {
        file(&self.sections(&[0x90; CODE_BYTES]))
    }

    fn sections<'a>(&'a self, code: &'a [u8]) -> Vec<Section<'a>> {
        vec![
            text(code),
            unloaded(".debug_abbrev", &self.abbreviations),
            unloaded(".debug_info", &self.info),
            unloaded(".debug_types", &self.types),
            unloaded(".debug_line", &self.lines),
            unloaded(".debug_str", &self.strings),
            unloaded(".debug_ranges", &self.ranges),
            unloaded(".debug_loc", &self.locations),
        ]
    }
}

/// One unit of DWARF 4.
struct Unit {
    abbreviations: u32,
    lines: u32,
    directory: u32,
    body: Vec<u8>,
}

/// Offset of the first entry after the root of a unit.
const FIRST: u32 = 11 + 1 + 1 + 4 + 4 + 8 + 4 + 4;

impl Unit {
    const fn new() -> Self {
        Self {
            abbreviations: 0,
            lines: 0,
            directory: 1,
            body: Vec::new(),
        }
    }

    /// The unit's first entry is a type `int`.
    fn with_int() -> Self {
        let mut unit = Self::new();
        unit.body.push(code::BASE);
        unit.body.extend(b"int\0\x05\x04");
        unit
    }

    /// Offset of the next entry.
    fn next(&self) -> u32 {
        FIRST + self.body.len() as u32
    }

    fn number(&mut self, number: u32) {
        self.body.extend(number.to_le_bytes());
    }

    fn addresses(&mut self) {
        self.body.extend(CODE.0.to_le_bytes());
        self.number(CODE_BYTES as u32);
    }

    fn function(&mut self, name: &str) {
        self.body.push(code::FUNCTION);
        self.body.extend(name.bytes().chain([0]));
        self.addresses();
        self.body.extend([1, 0x9c, 1, 1]);
    }

    /// A parameter of the type at an offset, in memory.
    fn parameter(&mut self, ty: u32) {
        self.body.push(code::PARAMETER);
        self.body.extend(b"p\0");
        self.number(ty);
        self.body.extend([2, 0x91, 0x70]);
    }

    fn block(&mut self) {
        self.body.push(code::BLOCK);
        self.addresses();
    }

    fn end(&mut self) {
        self.body.push(0);
    }

    /// A function with a parameter of the type at an offset.
    fn function_with(&mut self, ty: u32) {
        self.function("probed");
        self.parameter(ty);
        self.end();
    }

    fn bytes(&self) -> Vec<u8> {
        let mut root = vec![code::UNIT, 0x1d];
        root.extend(b"a.c\0");
        root.extend(self.directory.to_le_bytes());
        root.extend(CODE.0.to_le_bytes());
        root.extend((CODE_BYTES as u32).to_le_bytes());
        root.extend(self.lines.to_le_bytes());
        root.extend(&self.body);
        root.push(0);
        unit_of(&root, self.abbreviations)
    }
}

/// A unit around entries.
fn unit_of(entries: &[u8], abbreviations: u32) -> Vec<u8> {
    let mut bytes = (7 + entries.len() as u32).to_le_bytes().to_vec();
    bytes.extend([4, 0]);
    bytes.extend(abbreviations.to_le_bytes());
    bytes.push(8);
    bytes.extend(entries);
    bytes
}

/// Number of items of this size that fill a file.
fn count(bytes: usize, each: usize) -> usize {
    (bytes / each).max(1)
}

/// The plain file with one unit.
fn with_unit(unit: &Unit) -> Vec<u8> {
    Dwarf::new().unit(unit).file()
}

/// A line table of version 4.
fn line_table(files: &[u8], program: &[u8]) -> Vec<u8> {
    let mut header = vec![1, 1, 1, 0xfb, 14, 13];
    header.extend([0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1]);
    header.extend(files);
    let mut table = vec![4, 0];
    table.extend((header.len() as u32).to_le_bytes());
    table.extend(&header);
    table.extend(program);
    let mut bytes = (table.len() as u32).to_le_bytes().to_vec();
    bytes.extend(table);
    bytes
}

fn list_of_files(count: usize) -> Vec<u8> {
    let mut bytes = vec![0];
    for number in 0..count {
        bytes.extend(format!("{number:x}.c\0").bytes());
        bytes.extend([0, 0, 0]);
    }
    bytes.push(0);
    bytes
}

/// A program whose rows are those opcodes.
fn program(rows: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 9, 2];
    bytes.extend(CODE.0.to_le_bytes());
    // Line 2, a row; 8 bytes further, line 3, a row.
    bytes.extend([3, 1, 1, 2, 8, 3, 1, 1]);
    bytes.extend(rows);
    bytes.extend([2, 8, 0, 1, 1]);
    bytes
}

fn long_string(bytes: usize) -> Vec<u8> {
    [b"\0".as_slice(), &vec![b'f'; bytes], b"\0"].concat()
}

/// A C++ name in which each part is twice as long as the previous one.
fn mangled(levels: usize) -> String {
    const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut name = "_Z1f1aIiiE".to_owned();
    for before in DIGITS.iter().take(levels.min(34)) {
        let before = char::from(*before);
        name += &format!("S_IS{before}_S{before}_E");
    }
    name
}
