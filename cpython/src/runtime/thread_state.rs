//! The way from a thread to its thread state.

use super::image::CURRENT_THREAD;
use super::{Loaded, ThreadStatePlace};
use crate::arch::ThreadLocal;
use crate::memory::{Memory, Numbers as _};
use crate::offsets::Offsets;

/// Finds the place of the thread state. `None` if the code that reads it is not understood.
pub(super) fn find(
    memory: &dyn Memory,
    loaded: &Loaded,
    runtime: u64,
    offsets: &Offsets,
) -> Option<ThreadStatePlace> {
    if let Some(current) = offsets.runtime_thread_current {
        return Some(ThreadStatePlace::Global(runtime.wrapping_add(current)));
    }
    let at = |slot: u64| slot.wrapping_add(loaded.bias);
    match loaded.image.code(CURRENT_THREAD)?.thread_local()? {
        ThreadLocal::Offset(offset) => Some(ThreadStatePlace::FromThreadPointer(offset)),
        ThreadLocal::OffsetAt(slot) => {
            let offset = memory.signed(at(slot)).ok()?;
            Some(ThreadStatePlace::FromThreadPointer(offset))
        }
        ThreadLocal::ModuleAt(slot) => Some(ThreadStatePlace::InModule {
            module: memory.word(at(slot)).ok()?,
            offset: memory.word(at(slot).wrapping_add(8)).ok()?,
        }),
        ThreadLocal::DescriptorAt(slot) => {
            let argument = memory.signed(at(slot).wrapping_add(8)).ok()?;
            // An argument near the thread pointer is an offset from it. Others point to what the
            // dynamic loader knows, in a form of its own.
            (-0x10_0000..0)
                .contains(&argument)
                .then_some(ThreadStatePlace::FromThreadPointer(argument))
        }
    }
}

impl ThreadStatePlace {
    /// The thread state of the thread with this thread pointer (`fs` base). Zero if the thread
    /// does not run Python code; up to 3.11, the thread state of the GIL's holder.
    ///
    /// # Errors
    ///
    /// [`crate::memory::Unreadable`] if the memory cannot be read.
    pub fn read(
        self,
        memory: &dyn Memory,
        thread_pointer: u64,
    ) -> Result<u64, crate::memory::Unreadable> {
        match self {
            Self::Global(address) => memory.word(address),
            Self::FromThreadPointer(offset) => {
                memory.word(thread_pointer.wrapping_add_signed(offset))
            }
            Self::InModule { module, offset } => {
                let vector = memory.word(thread_pointer.wrapping_add(8))?;
                let block = memory.word(vector.wrapping_add(module.wrapping_mul(16)))?;
                memory.word(block.wrapping_add(offset))
            }
        }
    }
}
