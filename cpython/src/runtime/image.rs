//! The file of the interpreter: its symbols, its call frame information, its code.

use std::fs::File;
use std::io::BufReader;
use std::ops::Range;

use gimli::{BaseAddresses, CieOrFde, EhFrame, LittleEndian, UnwindSection as _};
use object::read::{
    Object as _, ObjectSection as _, ObjectSegment as _, ObjectSymbol as _, ReadCache,
};

use crate::arch::MachineCode;
use crate::limits::SECTION_BYTES;

/// A function or variable, at its link address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ImageSymbol {
    pub(super) address: u64,
    pub(super) size: u64,
}

impl ImageSymbol {
    pub(super) fn range(self) -> Range<u64> {
        self.address..self.address.saturating_add(self.size)
    }
}

/// The part of an ELF file that this crate needs.
pub(super) struct InterpreterImage {
    symbols: foldhash::HashMap<String, ImageSymbol>,
    /// File offset and link address of each loaded segment, with its size in the file.
    segments: Vec<(Range<u64>, u64)>,
    /// Ranges of functions, by the entries of `.eh_frame`, in ascending order.
    functions: Vec<Range<u64>>,
    /// The code of the functions that are looked into.
    code: Vec<(u64, Vec<u8>)>,
}

/// A file whose parts are read when they are needed.
type ElfFile<'a> = object::File<'a, &'a ReadCache<BufReader<File>>>;

/// The function that runs Python code.
pub(super) const EVAL: &str = "_PyEval_EvalFrameDefault";
/// The function that returns the thread state of the thread.
pub(super) const CURRENT_THREAD: &str = "_PyThreadState_GetCurrent";
/// Prefix of the symbols of opcodes, in a build whose opcodes are functions.
const TAIL_CALL: &str = "_TAIL_CALL_";

impl InterpreterImage {
    /// Reads a file. `None` if it is no ELF file for x86-64 or has no symbol of that name.
    pub(super) fn read(file: File, required: &str) -> Option<Self> {
        let cache = ReadCache::new(BufReader::new(file));
        let file = object::File::parse(&cache).ok()?;
        if file.architecture() != object::Architecture::X86_64 {
            return None;
        }
        let mut symbols = foldhash::HashMap::default();
        for symbol in file.dynamic_symbols().chain(file.symbols()) {
            if symbol.is_undefined() {
                continue;
            }
            if let Ok(name) = symbol.name()
                && name.contains("Py") | name.starts_with(TAIL_CALL)
            {
                let found = ImageSymbol {
                    address: symbol.address(),
                    size: symbol.size(),
                };
                symbols.entry(name.to_owned()).or_insert(found);
            }
        }
        symbols.get(required)?;
        let segments = file
            .segments()
            .map(|segment| {
                let (offset, size) = segment.file_range();
                (offset..offset.saturating_add(size), segment.address())
            })
            .collect();
        let mut image = Self {
            symbols,
            segments,
            functions: functions(&file).unwrap_or_default(),
            code: Vec::new(),
        };
        for name in [EVAL, CURRENT_THREAD] {
            if let Some(symbol) = image.symbol(name)
                && let Some(bytes) = bytes(&file, symbol)
            {
                image.code.push((symbol.address, bytes));
            }
        }
        Some(image)
    }

    pub(super) fn symbol(&self, name: &str) -> Option<ImageSymbol> {
        self.symbols.get(name).copied()
    }

    /// The code of a function that was looked into.
    pub(super) fn code(&self, name: &str) -> Option<MachineCode<'_>> {
        let symbol = self.symbol(name)?;
        let (address, bytes) = self
            .code
            .iter()
            .find(|(address, _)| *address == symbol.address)?;
        Some(MachineCode {
            bytes,
            address: *address,
        })
    }

    /// The difference of run addresses and link addresses, from one mapping of the file.
    pub(super) fn bias(&self, start: u64, file_offset: u64) -> Option<u64> {
        const PAGE: u64 = 4096;
        let (file, address) = self.segments.iter().find(|(file, _)| {
            let first = file.start - file.start % PAGE;
            (first..file.end).contains(&file_offset)
        })?;
        let link = address.wrapping_sub(file.start).wrapping_add(file_offset);
        Some(start.wrapping_sub(link))
    }

    /// All ranges of the function that runs Python code.
    ///
    /// A compiler may move the unlikely parts of a function away. They have no symbol in a
    /// stripped file, but an entry of `.eh_frame`, and the function jumps into their middle. A
    /// jump to a start is the call of another function.
    pub(super) fn eval_ranges(&self) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for (name, symbol) in &self.symbols {
            let is_part = name
                .strip_prefix(EVAL)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            if is_part || name.starts_with(TAIL_CALL) {
                ranges.push(symbol.range());
            }
        }
        if let Some(code) = self.code(EVAL) {
            for target in code.jumps_out() {
                if let Some(function) = self.function_at(target)
                    && function.start != target
                {
                    ranges.push(function);
                }
            }
        }
        ranges.sort_by_key(|range| range.start);
        ranges.dedup();
        ranges
    }

    /// The function whose middle or start is at an address.
    fn function_at(&self, address: u64) -> Option<Range<u64>> {
        let after = self
            .functions
            .partition_point(|function| function.start <= address);
        let function = self.functions.get(after.checked_sub(1)?)?;
        function.contains(&address).then(|| function.clone())
    }
}

/// The bytes of a function.
fn bytes(file: &ElfFile<'_>, symbol: ImageSymbol) -> Option<Vec<u8>> {
    // A symbol without a size is short.
    let size = if symbol.size == 0 { 128 } else { symbol.size };
    let size = size.min(SECTION_BYTES);
    file.sections()
        .find_map(|section| section.data_range(symbol.address, size).ok().flatten())
        .map(<[u8]>::to_vec)
}

/// Ranges of all functions in `.eh_frame`.
fn functions(file: &ElfFile<'_>) -> Option<Vec<Range<u64>>> {
    let section = file.section_by_name(".eh_frame")?;
    if section.size() > SECTION_BYTES {
        return None;
    }
    let data = section.uncompressed_data().ok()?;
    let frames = EhFrame::new(&data, LittleEndian);
    let mut bases = BaseAddresses::default().set_eh_frame(section.address());
    if let Some(text) = file.section_by_name(".text") {
        bases = bases.set_text(text.address());
    }
    let mut functions = Vec::new();
    let mut entries = frames.entries(&bases);
    // Entries behind a damaged one are unknown.
    while let Ok(Some(entry)) = entries.next() {
        let CieOrFde::Fde(partial) = entry else {
            continue;
        };
        if let Ok(fde) = partial.parse(EhFrame::cie_from_offset) {
            let start = fde.initial_address();
            functions.push(start..start.saturating_add(fde.len()));
        }
    }
    functions.sort_by_key(|function| function.start);
    Some(functions)
}
