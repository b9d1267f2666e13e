//! Reads the stack from a record: the general registers, and the memory above the stack pointer.

use tracer_common::limits::MAX_COPY;

use crate::plan::decode::{Chunks, DecodeError};
use crate::plan::shape::Slot;
use crate::stack::CapturedStack;

/// The chunks of the stack.
#[derive(Clone, Debug)]
pub(in crate::plan) struct StackSlots {
    pub(in crate::plan) registers: Slot,
    pub(in crate::plan) memory: Vec<Slot>,
}

impl StackSlots {
    /// Reads the stack of a record.
    pub(in crate::plan) fn decode(
        &self,
        chunks: &mut Chunks<'_>,
    ) -> Result<CapturedStack, DecodeError> {
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
            // Bytes after a gap would be taken for those in the gap.
            contiguous &= !cut && bytes.len() == MAX_COPY as usize;
        }
        stack.ended = !contiguous;
        Ok(stack)
    }
}
