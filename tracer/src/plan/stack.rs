//! The stack in a record: the general registers, and a bounded range of memory above the stack
//! pointer. [`crate::stack`] unwinds it.

use tracer_common::limits::MAX_COPY;
use tracer_common::op::TARGET_REGISTERS;

use crate::arch::{REGISTERS, STACK_POINTER};
use crate::base::unavailable::Unavailable;
use crate::plan::decode::stack_slots::StackSlots;
use crate::plan::limits::STACK_BYTES;
use crate::plan::ops::asm::{Asm, SINK};
use crate::plan::shape::builder::Builder;
use crate::program::Op;

/// Writes the ops that capture the registers alone.
///
/// # Errors
/// The record has no chunk left.
pub(super) fn capture_registers(
    asm: &mut Asm,
    builder: &mut Builder<'_>,
) -> Result<StackSlots, Unavailable> {
    let registers = builder.slot()?;
    asm.emit_words(
        registers,
        TARGET_REGISTERS..TARGET_REGISTERS + REGISTERS as u8,
    );
    Ok(StackSlots {
        registers,
        memory: Vec::new(),
    })
}

/// Writes the ops.
///
/// # Errors
/// The record has no chunk left.
pub(super) fn capture(asm: &mut Asm, builder: &mut Builder<'_>) -> Result<StackSlots, Unavailable> {
    let StackSlots {
        registers,
        mut memory,
    } = capture_registers(asm, builder)?;
    for number in 0..STACK_BYTES / MAX_COPY {
        let slot = builder.slot()?;
        memory.push(slot);
        asm.emit(Op::CopyPartial {
            slot,
            dst: SINK,
            base: TARGET_REGISTERS + STACK_POINTER,
            offset: i32::try_from(number * MAX_COPY).unwrap_or(i32::MAX),
            length: MAX_COPY,
        });
    }
    Ok(StackSlots { registers, memory })
}
