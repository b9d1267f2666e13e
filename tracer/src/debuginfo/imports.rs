//! Calls of functions that the dynamic linker finds: through a word of the caller's module, which
//! it fills with the function's address.
//!
//! The instruction names the word, or a stub that does no more than jump to what the word holds.
//! Which function that is only the process knows: whoever asks compares the word.

use std::collections::HashMap;
use std::sync::Arc;

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Register};

use super::budget::Reader;
use super::calls::{CALL, MAX_CODE, release_code};
use super::module::Module;
use crate::address::LinkAddr;

/// Names of one function that others may import it by.
const MAX_NAMES: usize = 8;
/// Symbols of a module that are looked at.
const MAX_SYMBOLS: usize = 1 << 20;
/// Relocations that are looked at; big libraries have some hundred thousand.
const MAX_RELOCATIONS: usize = 1 << 20;
/// Words with the address of one function, and stubs for them.
const MAX_WORDS: usize = 8;
/// Bytes of a relocation with addend, and of a symbol.
const RELOCATION: usize = 24;
const SYMBOL: usize = 24;
/// Relocations that fill a word with a function's address and nothing else.
const GLOB_DAT: u32 = 6;
const JUMP_SLOT: u32 = 7;
/// The relocation that fills a word with the address that code of the module chooses.
const IRELATIVE: u32 = 37;
/// Bytes of a stub before its jump.
const BEFORE_JUMP: u64 = 16;
/// Sections of stubs.
const STUB_SECTIONS: [&str; 3] = [".plt.sec", ".plt", ".plt.got"];
/// Bytes of a stub.
const STUB_BYTES: u64 = 16;
/// Instructions of a stub, with its jump.
const MAX_STUB: usize = 4;
/// `call *rel32(%rip)` and `jmp *rel32(%rip)`: their first bytes, and their length.
const THROUGH: u8 = 0xff;
const CALL_THROUGH: u8 = 0x15;
const JUMP_THROUGH: u8 = 0x25;
const THROUGH_BYTES: u64 = 6;
/// Bytes of `call rel32`.
const CALL_BYTES: u64 = 5;

/// A call through a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Imported {
    /// Link address of the instruction behind it.
    pub(super) returns_to: u64,
    /// Holds the function's address.
    pub(super) word: LinkAddr,
}

/// The names by which other modules can import the function at `entry`.
pub(super) fn names_of(module: &Module, entry: LinkAddr) -> Arc<[Vec<u8>]> {
    let read = || {
        let names = exported(module, entry);
        names.take(MAX_NAMES).map(<[u8]>::to_vec).collect()
    };
    module.dies.exported_names(entry.0, read)
}

fn exported(module: &Module, entry: LinkAddr) -> impl Iterator<Item = &[u8]> {
    let strings = module.loaded_section(".dynstr").unwrap_or_default();
    let symbols = module.loaded_section(".dynsym").unwrap_or_default();
    let symbols = symbols.chunks_exact(SYMBOL).take(MAX_SYMBOLS);
    let defined = symbols.filter(move |symbol| {
        number(symbol, 8) == Some(entry.0) && symbol.get(6..8).is_some_and(|at| at != [0, 0])
    });
    defined.filter_map(move |symbol| name(symbol, strings))
}

/// Calls of what the module imports under a name, at most so many, by the code alone: bytes that
/// only look like one are among them. `None`: it imports nothing of that name.
pub(super) fn calls_of(module: &Module, name: &[u8], most: usize) -> Option<Arc<[Imported]>> {
    module.dies.imports(name, || {
        let words = words_of(module, name);
        (!words.is_empty()).then(|| calls_through(module, &words, most).into())
    })
}

/// The words that hold the address of what has a name once the loader has found it; and, of a
/// function of the module that chooses a variant, those with what it chose.
pub(super) fn words_for(
    module: &Module,
    wanted: &[u8],
    chooser: Option<LinkAddr>,
) -> Vec<LinkAddr> {
    let mut words = words_of(module, wanted);
    let Some(chooser) = chooser else {
        return words;
    };
    let tables = [".rela.plt", ".rela.dyn"].map(|name| module.loaded_section(name));
    let relocations = tables
        .into_iter()
        .flatten()
        .flat_map(|table| table.chunks_exact(RELOCATION));
    let chosen = relocations.take(MAX_RELOCATIONS).filter_map(|relocation| {
        let is_choice = number(relocation, 8)? as u32 == IRELATIVE;
        let by = number(relocation, 16)?;
        (is_choice && by == chooser.0).then_some(LinkAddr(number(relocation, 0)?))
    });
    words.extend(chosen.take(MAX_WORDS));
    words
}

/// The function that a module defines for others under a name; `None` when it defines none, or
/// several.
pub(super) fn defined_as(module: &Module, wanted: &[u8]) -> Option<LinkAddr> {
    let strings = module.loaded_section(".dynstr")?;
    let symbols = module.loaded_section(".dynsym")?;
    let mut entries = symbols
        .chunks_exact(SYMBOL)
        .take(MAX_SYMBOLS)
        .filter(|symbol| symbol.get(6..8).is_some_and(|section| section != [0, 0]))
        .filter(|symbol| name(symbol, strings) == Some(wanted))
        .filter_map(|symbol| number(symbol, 8));
    let first = entries.next()?;
    // One function may have the name in several versions.
    entries
        .all(|other| other == first)
        .then_some(LinkAddr(first))
}

/// The names of all that a module exports or imports.
pub(super) fn names(module: &Module) -> impl Iterator<Item = &[u8]> {
    let strings = module.loaded_section(".dynstr").unwrap_or_default();
    let symbols = module.loaded_section(".dynsym").unwrap_or_default();
    let symbols = symbols.chunks_exact(SYMBOL).take(MAX_SYMBOLS);
    symbols.filter_map(move |symbol| name(symbol, strings))
}

/// The words that the dynamic linker fills with the address of what has that name.
fn words_of(module: &Module, wanted: &[u8]) -> Vec<LinkAddr> {
    let strings = module.loaded_section(".dynstr").unwrap_or_default();
    let symbols = module.loaded_section(".dynsym").unwrap_or_default();
    let numbered = symbols.chunks_exact(SYMBOL).take(MAX_SYMBOLS);
    // Several, where it has versions.
    let indexes: Vec<u64> = (0_u64..)
        .zip(numbered)
        .filter(|(_, symbol)| name(symbol, strings) == Some(wanted))
        .map(|(index, _)| index)
        .take(MAX_NAMES)
        .collect();
    if indexes.is_empty() {
        return Vec::new();
    }
    let tables = [".rela.plt", ".rela.dyn"].map(|name| module.loaded_section(name));
    let relocations = tables
        .into_iter()
        .flatten()
        .flat_map(|table| table.chunks_exact(RELOCATION));
    let fills = |relocation: &[u8]| {
        let info = number(relocation, 8)?;
        let kind = info as u32;
        let filled = matches!(kind, GLOB_DAT | JUMP_SLOT) && indexes.contains(&(info >> 32));
        filled.then_some(LinkAddr(number(relocation, 0)?))
    };
    let words = relocations.take(MAX_RELOCATIONS).filter_map(fills);
    words.take(MAX_WORDS).collect()
}

/// What is behind the calls through one of the words.
fn calls_through(module: &Module, words: &[LinkAddr], most: usize) -> Vec<Imported> {
    let ranges = &module.code_ranges;
    let total: u64 = ranges.iter().map(|(begin, end)| end - begin).sum();
    if total > MAX_CODE {
        return Vec::new();
    }
    if !module.budget.spend(Reader::Code, total, total) {
        return Vec::new();
    }
    let stubs = stubs_of(module, words);
    let mut found = Vec::new();
    'code: for &range in ranges {
        let code = code_of(module, range);
        for at in memchr::memchr2_iter(CALL, THROUGH, code) {
            let rest = code.get(at..).unwrap_or_default();
            let address = range.0.saturating_add(at as u64);
            let imported = match *rest {
                [CALL, ref distance @ ..] => {
                    let returns_to = address.saturating_add(CALL_BYTES);
                    let stub = target(returns_to, distance);
                    let known = stub.and_then(|stub| stubs.get(&stub));
                    known.map(|word| (returns_to, *word))
                }
                [THROUGH, CALL_THROUGH, ref distance @ ..] => {
                    let returns_to = address.saturating_add(THROUGH_BYTES);
                    let word = target(returns_to, distance).map(LinkAddr);
                    let known = words.iter().find(|known| Some(**known) == word);
                    known.map(|word| (returns_to, *word))
                }
                _ => None,
            };
            if let Some((returns_to, word)) = imported {
                found.push(Imported { returns_to, word });
                if found.len() >= most {
                    break 'code;
                }
            }
        }
    }
    release_code(module, total);
    found
}

/// Stubs that jump to what one of the words holds, each with its word.
fn stubs_of(module: &Module, words: &[LinkAddr]) -> HashMap<u64, LinkAddr> {
    let mut stubs = HashMap::new();
    for &range in &module.code_ranges {
        let code = code_of(module, range);
        for at in memchr::memchr_iter(THROUGH, code) {
            let [THROUGH, JUMP_THROUGH, distance @ ..] = code.get(at..).unwrap_or_default() else {
                continue;
            };
            let jump = range.0.saturating_add(at as u64);
            let word = target(jump.saturating_add(THROUGH_BYTES), distance).map(LinkAddr);
            if !words.iter().any(|known| Some(*known) == word) {
                continue;
            }
            let starts = jump.saturating_sub(BEFORE_JUMP).max(range.0)..=jump;
            let leads = |start: &u64| word_of_stub(module, LinkAddr(*start)) == word;
            stubs.extend(starts.filter(leads).zip(word.into_iter().cycle()));
            if stubs.len() >= MAX_WORDS * BEFORE_JUMP as usize {
                return stubs;
            }
        }
    }
    stubs
}

/// The word that code at an address jumps through, having done nothing that its caller or the
/// function could see.
fn word_of_stub(module: &Module, start: LinkAddr) -> Option<LinkAddr> {
    let bytes = module.initial_bytes(start, 15 * MAX_STUB)?;
    let mut decoder = Decoder::with_ip(64, bytes, start.0, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    for _ in 0..MAX_STUB {
        if !decoder.can_decode() {
            break;
        }
        decoder.decode_out(&mut instruction);
        match instruction.code() {
            // The number of the import, which the linker's own code wants in a register of no
            // other use at a call.
            Code::Mov_r32_imm32 if instruction.op0_register() == Register::R11D => {}
            Code::Endbr64 | Code::Nopd | Code::Nopw => {}
            Code::Jmp_rm64 if instruction.is_ip_rel_memory_operand() => {
                return Some(LinkAddr(instruction.ip_rel_memory_address()));
            }
            _ => break,
        }
    }
    None
}

/// The stub of the procedure linkage table that has `address`: its start, and the name of the
/// function that it leads to.
pub(super) fn stub_at(module: &Module, address: LinkAddr) -> Option<(LinkAddr, Vec<u8>)> {
    let (name, section) = STUB_SECTIONS.iter().find_map(|name| {
        let section = module.main_section(name)?;
        let distance = address.0.checked_sub(section.address.0)?;
        (distance < section.size).then_some((*name, section))
    })?;
    // Stubs of `.plt.got` have half the size where they begin with their jump.
    let jumps_at_once = matches!(
        module.initial_bytes(section.address, 2)?,
        [THROUGH, JUMP_THROUGH]
    );
    let size = match name {
        ".plt.got" if jumps_at_once => STUB_BYTES / 2,
        _ => STUB_BYTES,
    };
    let start = section
        .address
        .add((address.0 - section.address.0) / size * size);
    let word = word_of_stub(module, start)?;
    Some((start, name_in_word(module, word)?))
}

/// The name of the function whose address the dynamic linker writes to a word.
pub(super) fn name_in_word(module: &Module, word: LinkAddr) -> Option<Vec<u8>> {
    let strings = module.loaded_section(".dynstr")?;
    let symbols = module.loaded_section(".dynsym")?;
    let tables = [".rela.plt", ".rela.dyn"].map(|name| module.loaded_section(name));
    let relocations = tables
        .into_iter()
        .flatten()
        .flat_map(|table| table.chunks_exact(RELOCATION));
    let mut fills = relocations
        .take(MAX_RELOCATIONS)
        .filter(|relocation| number(relocation, 0) == Some(word.0));
    let info = number(fills.next()?, 8)?;
    if !matches!(info as u32, GLOB_DAT | JUMP_SLOT) {
        return None;
    }
    let index = usize::try_from(info >> 32).ok()?;
    let name = name(symbols.chunks_exact(SYMBOL).nth(index)?, strings)?;
    (!name.is_empty()).then(|| name.to_vec())
}

/// The word that the call before an address goes through without a stub.
pub(super) fn word_before(module: &Module, returns_to: u64) -> Option<LinkAddr> {
    let call = LinkAddr(returns_to.checked_sub(THROUGH_BYTES)?);
    if !module.is_code(call) {
        return None;
    }
    match module.initial_bytes(call, THROUGH_BYTES as usize)? {
        [THROUGH, CALL_THROUGH, distance @ ..] => target(returns_to, distance).map(LinkAddr),
        _ => None,
    }
}

fn code_of(module: &Module, (begin, end): (u64, u64)) -> &[u8] {
    let length = usize::try_from(end - begin).unwrap_or(0);
    let code = module.initial_bytes(LinkAddr(begin), length);
    code.unwrap_or_default()
}

/// What an instruction refers to whose last four bytes are a distance from its end.
fn target(end: u64, distance: &[u8]) -> Option<u64> {
    let distance = i32::from_le_bytes(*distance.first_chunk()?);
    Some(end.wrapping_add_signed(distance.into()))
}

/// The name of a symbol, which ends at a zero.
fn name<'a>(symbol: &[u8], strings: &'a [u8]) -> Option<&'a [u8]> {
    let at = u32::from_le_bytes(*symbol.first_chunk()?);
    let name = strings.get(usize::try_from(at).ok()?..)?;
    let name = name.get(..memchr::memchr(0, name)?)?;
    (!name.is_empty()).then_some(name)
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    bytes.try_into().ok().map(u64::from_le_bytes)
}
