//! Instructions of all versions, as far as the flow of control needs them.

use super::instruction_bytes;
use crate::heap::{Heap, Read};
use crate::limits::TABLE_BYTES;
use crate::memory::Numbers as _;

/// The way on from an instruction.
///
/// `offsets/opcodes.py` writes one letter for each opcode of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpClass {
    /// To the next instruction.
    Plain,
    /// `RESUME`: the start of a function, or its continuation.
    Resume,
    /// `FOR_ITER`, and other jumps that may be taken.
    Branch,
    /// Jumps that are always taken.
    Jump,
    /// A jump back that waits for another generator. It is no new pass over its line.
    Wait,
    /// `CLEANUP_THROW`: an exception was thrown into a generator that this one waits for.
    Throw,
    /// Up to 3.10: names the handler of the exceptions that follow.
    Setup,
    /// Up to 3.10: the end of the instructions that a handler covers.
    PopBlock,
    /// Returns and raises: nowhere.
    End,
    /// A prefix of the next instruction's argument.
    ExtendedArg,
}

/// An instruction with its prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PyInstruction {
    /// Offset of the first code unit, which may be a prefix.
    pub(super) start: usize,
    /// Offset behind the instruction and its cache entries.
    pub(super) end: usize,
    pub(super) class: OpClass,
    /// The argument with its prefixes.
    pub(super) argument: u64,
    /// Offset that a jump goes to.
    pub(super) target: Option<usize>,
}

/// Letters of opcodes that hide another one.
const INSTRUMENTED_LINE: u8 = b'L';
const INSTRUMENTED_INSTRUCTION: u8 = b'I';

/// The instructions of a code object.
pub(super) fn decode(heap: &Heap<'_>, code: u64) -> Read<Vec<PyInstruction>> {
    let (start, length) = instruction_bytes(heap, code)?;
    let bytes = heap.read(start, length)?;
    let table = heap.python().table;
    let minor = heap.python().version.minor;
    let monitoring = Monitoring::of(heap, code);
    let mut all = Vec::new();
    let mut first = None;
    let mut argument = 0u64;
    let mut at = 0;
    while let Some(&[opcode, low]) = bytes.get(at..at + 2) {
        let opcode = monitoring.original(heap, opcode, at / 2);
        let letter = table.op_classes[usize::from(opcode)];
        let caches = table.op_caches[usize::from(opcode)];
        let caches = char::from(caches).to_digit(16).unwrap_or(0) as usize;
        let start = first.unwrap_or(at);
        let end = (at + 2 + 2 * caches).min(length);
        argument = argument << 8 | u64::from(low);
        let class = class(letter);
        if class == OpClass::ExtendedArg {
            first = Some(start);
        } else {
            all.push(PyInstruction {
                start,
                end,
                class,
                argument,
                target: target(minor, letter, argument, end),
            });
            first = None;
            argument = 0;
        }
        at = end;
    }
    Ok(all)
}

fn class(letter: u8) -> OpClass {
    match letter {
        b'E' => OpClass::ExtendedArg,
        b'S' => OpClass::Resume,
        b'F' | b'f' | b'b' | b'a' => OpClass::Branch,
        b'J' | b'B' | b'A' => OpClass::Jump,
        b'N' => OpClass::Wait,
        b'T' => OpClass::Throw,
        b'H' => OpClass::Setup,
        b'P' => OpClass::PopBlock,
        b'R' => OpClass::End,
        _ => OpClass::Plain,
    }
}

/// The target of a jump. Arguments count code units from 3.10 on, bytes before.
fn target(minor: u8, letter: u8, argument: u64, end: usize) -> Option<usize> {
    let distance = usize::try_from(argument).ok()?;
    let distance = distance.checked_mul(if minor >= 10 { 2 } else { 1 })?;
    match letter {
        b'F' | b'f' | b'J' | b'H' => end.checked_add(distance),
        b'b' | b'B' | b'N' => end.checked_sub(distance),
        b'a' | b'A' => Some(distance),
        _ => None,
    }
}

/// The opcodes that tracing has replaced.
#[derive(Default)]
struct Monitoring {
    /// The line's original opcodes: address of the first one, and the distance to the next.
    lines: Option<(u64, u64)>,
    /// The original opcodes of all code units.
    instructions: Option<u64>,
}

impl Monitoring {
    fn of(heap: &Heap<'_>, code: u64) -> Self {
        let offsets = heap.offsets();
        let data = offsets.code_monitoring;
        let data = data.and_then(|offset| heap.pointer(code, offset).ok());
        let Some(data) = data else {
            return Self::default();
        };
        let field = |offset: Option<u64>| heap.pointer(data, offset?).ok();
        let lines = field(offsets.monitoring_lines).map(|lines| {
            // Until some release of 3.13, pairs of the opcode and the distance of the line. Since,
            // a byte with the length of an entry goes before them: two to five. No opcode that
            // could be the first of a code object has such a number.
            match heap.byte(lines, 0) {
                Ok(size @ 2..=5) => (lines.wrapping_add(1), u64::from(size)),
                _ => (lines, 2),
            }
        });
        Self {
            lines,
            instructions: field(offsets.monitoring_instructions),
        }
    }

    /// The opcode that a code unit had before tracing changed it.
    fn original(&self, heap: &Heap<'_>, opcode: u8, unit: usize) -> u8 {
        let classes = heap.python().table.op_classes;
        let memory = heap.memory();
        let mut opcode = opcode;
        if classes[usize::from(opcode)] == INSTRUMENTED_LINE
            && let Some((first, stride)) = self.lines
            && let Ok(original) = memory.byte(first.wrapping_add(stride * unit as u64))
        {
            opcode = original;
        }
        if classes[usize::from(opcode)] == INSTRUMENTED_INSTRUCTION
            && let Some(first) = self.instructions
            && let Ok(original) = memory.byte(first.wrapping_add(unit as u64))
        {
            opcode = original;
        }
        opcode
    }
}

/// The handler of exceptions in a range of instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handler {
    /// Offset of the first instruction that may raise.
    pub(super) start: usize,
    /// Offset behind the last one.
    pub(super) end: usize,
    /// Offset of the handler's first instruction.
    pub(super) target: usize,
}

/// The handlers of a code object.
pub(super) fn handlers(
    heap: &Heap<'_>,
    code: u64,
    instructions: &[PyInstruction],
) -> Read<Vec<Handler>> {
    let Some(offset) = heap.offsets().code_exception_table else {
        return Ok(set_up_handlers(instructions));
    };
    let table = heap.pointer(code, offset)?;
    let table = heap.bytes(table, TABLE_BYTES)?;
    Ok(exception_table(&table.bytes))
}

/// The handlers that instructions set up. Blocks are nested as the instructions are written.
fn set_up_handlers(instructions: &[PyInstruction]) -> Vec<Handler> {
    let mut open = Vec::new();
    let mut handlers = Vec::new();
    for instruction in instructions {
        match (instruction.class, instruction.target) {
            (OpClass::Setup, Some(target)) => open.push((instruction.end, target)),
            (OpClass::PopBlock, _) => {
                if let Some((start, target)) = open.pop() {
                    handlers.push(Handler {
                        start,
                        end: instruction.start,
                        target,
                    });
                }
            }
            _ => {}
        }
    }
    handlers.extend(open.into_iter().map(|(start, target)| Handler {
        start,
        end: target.max(start),
        target,
    }));
    handlers
}

/// Decodes an exception table: start, length, target, and depth, of groups of six bits, the
/// highest first. The first byte of an entry has its highest bit set.
fn exception_table(table: &[u8]) -> Vec<Handler> {
    let mut bytes = table.iter().copied();
    let mut number = || -> Option<usize> {
        let mut number = 0usize;
        loop {
            let byte = bytes.next()?;
            number = number.wrapping_shl(6) | usize::from(byte & 63);
            if byte & 64 == 0 {
                return Some(number);
            }
        }
    };
    let mut handlers = Vec::new();
    while let (Some(start), Some(length), Some(target), Some(_)) =
        (number(), number(), number(), number())
    {
        let start = start.saturating_mul(2);
        handlers.push(Handler {
            start,
            end: start.saturating_add(length.saturating_mul(2)),
            target: target.saturating_mul(2),
        });
    }
    handlers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_table_has_ranges_and_handlers() {
        let table = [0x80 | 4, 10, 64 | 1, 2, 3, 0x80 | 20, 1, 30, 0];
        let handler = |start, end, target| Handler { start, end, target };
        assert_eq!(
            exception_table(&table),
            [handler(8, 28, 132), handler(40, 42, 60)]
        );
        assert_eq!(exception_table(&[0x84, 10, 64]), []);
    }

    #[test]
    fn targets_are_counted_from_the_end_of_the_jump() {
        assert_eq!(target(11, b'J', 3, 10), Some(16));
        assert_eq!(target(9, b'J', 4, 10), Some(14));
        assert_eq!(target(12, b'B', 3, 10), Some(4));
        assert_eq!(target(12, b'B', 30, 10), None);
        assert_eq!(target(8, b'A', 20, 10), Some(20));
        assert_eq!(target(12, b'.', 20, 10), None);
    }
}
