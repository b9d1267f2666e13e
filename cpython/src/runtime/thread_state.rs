//! The way from a thread to its thread state.

use super::image::CURRENT_THREAD;
use super::loaded::LoadedInterpreter;
use crate::arch::ThreadLocal;
use crate::interpreter::ThreadStatePlace;
use crate::memory::{Numbers as _, TargetMemory};
use crate::offsets::Offsets;

/// Finds the place of the thread state. `None` if the code that reads it is not understood.
pub(super) fn find(
    memory: &dyn TargetMemory,
    loaded: &LoadedInterpreter,
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
