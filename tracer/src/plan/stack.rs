//! The stack in a record: the general registers, and a bounded slice of memory
//! from the stack pointer up. Unwinding it is [`crate::stack`]'s.

use tracer_common::limits::MAX_COPY;
use tracer_common::op::{APPEND, COPY_PARTIAL, EMIT, Op, TARGET_REGISTERS};

use super::asm::{Asm, SINK};
use super::build::Builder;
use super::decode::{Chunks, DecodeError};
use super::limits::STACK_BYTES;
use super::shape::Slot;
use crate::lang::ast::{Action, ProbeSpec};
use crate::stack::CapturedStack;
use crate::unavailable::Unavailable;

/// Registers in the record: `rax` … `r15` and `rip`, by DWARF number.
const REGISTERS: u8 = 17;
/// DWARF number of `rsp`.
const RSP: u8 = 7;
/// Frames of a snapshot when the user does not say `depth`.
pub(super) const SNAPSHOT_DEPTH: u32 = 64;

/// Where the record has the stack.
#[derive(Clone, Debug)]
pub(super) struct StackSlots {
    registers: Slot,
    memory: Vec<Slot>,
}

/// Frames that a probe asks for; 0 is none.
#[must_use]
pub fn depth(spec: &ProbeSpec) -> u32 {
    match (spec.options.depth, &spec.action) {
        (Some(depth), _) => depth,
        (None, Action::Snapshot) => SNAPSHOT_DEPTH,
        (None, _) => 0,
    }
}

/// Writes the ops.
///
/// # Errors
/// The record has no chunk left to give.
pub(super) fn capture(asm: &mut Asm, builder: &mut Builder<'_>) -> Result<StackSlots, Unavailable> {
    let registers = builder.slot()?;
    for number in 0..REGISTERS {
        asm.emit(Op {
            code: if number == 0 { EMIT } else { APPEND },
            dst: SINK,
            src: TARGET_REGISTERS + number,
            size: 8,
            a: u32::from(registers),
            ..Op::default()
        });
    }
    let mut memory = Vec::new();
    for number in 0..STACK_BYTES / MAX_COPY {
        let slot = builder.slot()?;
        memory.push(slot);
        asm.emit(Op {
            code: COPY_PARTIAL,
            dst: SINK,
            src: TARGET_REGISTERS + RSP,
            a: u32::from(slot),
            offset: i32::try_from(number * MAX_COPY).unwrap_or(i32::MAX),
            len: MAX_COPY,
            ..Op::default()
        });
    }
    Ok(StackSlots { registers, memory })
}

impl StackSlots {
    /// Reads the stack of a record.
    pub(super) fn decode(&self, chunks: &mut Chunks<'_>) -> Result<CapturedStack, DecodeError> {
        let mut stack = CapturedStack::default();
        let (registers, _) = chunks.next(self.registers)?;
        for (register, bytes) in stack
            .registers
            .iter_mut()
            .zip(registers.unwrap_or_default().chunks_exact(8))
        {
            *register = bytes.try_into().ok().map(u64::from_le_bytes);
        }
        let mut contiguous = true;
        for &slot in &self.memory {
            let (bytes, cut) = chunks.next(slot)?;
            let bytes = bytes.unwrap_or_default();
            if contiguous {
                stack.memory.extend_from_slice(bytes);
            }
            // What is behind a gap would be taken for what was in it.
            contiguous &= !cut && bytes.len() == MAX_COPY as usize;
        }
        stack.ended = !contiguous;
        Ok(stack)
    }
}
