//! The machine code of the interpreter, for x86-64.
//!
//! Two questions are answered from instructions: where the evaluation function continues outside
//! its symbol, and where a thread keeps its thread state.

use std::ops::Range;

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register,
};

/// Machine code and the address that it is linked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MachineCode<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) address: u64,
}

impl<'a> MachineCode<'a> {
    fn instructions(self) -> impl Iterator<Item = Instruction> + 'a {
        let mut decoder = Decoder::with_ip(64, self.bytes, self.address, DecoderOptions::NONE);
        std::iter::from_fn(move || decoder.can_decode().then(|| decoder.decode()))
    }

    /// Targets of jumps that leave the code.
    pub(crate) fn jumps_out(self) -> impl Iterator<Item = u64> + 'a {
        let range = self.range();
        self.instructions()
            .filter(|instruction| {
                let flow = instruction.flow_control();
                matches!(
                    flow,
                    FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch
                )
            })
            .map(|instruction| instruction.near_branch_target())
            .filter(move |target| *target != 0 && !range.contains(target))
    }

    fn range(self) -> Range<u64> {
        self.address..self.address.saturating_add(self.bytes.len() as u64)
    }

    /// How a function that returns a thread-local variable finds it.
    ///
    /// The function is `_PyThreadState_GetCurrent`, of a few instructions: a load from `fs` with a
    /// constant offset (in an executable), with an offset from the global offset table (initial
    /// exec), a call of `__tls_get_addr`, or a call through a TLS descriptor.
    pub(crate) fn thread_local(self) -> Option<ThreadLocal> {
        let mut pointer = None;
        for instruction in self.instructions().take(16) {
            let code = instruction.code();
            let is_load = code == Code::Mov_r64_rm64 && instruction.op1_kind() == OpKind::Memory;
            if is_load && instruction.segment_prefix() == Register::FS {
                let displacement = instruction.memory_displacement64().cast_signed();
                return match instruction.memory_base() {
                    Register::None => Some(ThreadLocal::Offset(i64::from(displacement as i32))),
                    _ => match pointer {
                        Some(MadePointer::LoadedInterpreter(slot)) => {
                            Some(ThreadLocal::OffsetAt(slot))
                        }
                        Some(MadePointer::Constant(offset)) => Some(ThreadLocal::Offset(offset)),
                        // The base of the thread itself is loaded from `fs:0`, see below.
                        _ => None,
                    },
                };
            }
            if instruction.is_ip_rel_memory_operand() {
                let slot = instruction.ip_rel_memory_address();
                pointer = match instruction.mnemonic() {
                    Mnemonic::Lea => Some(MadePointer::Address(slot)),
                    Mnemonic::Mov if is_load => Some(MadePointer::LoadedInterpreter(slot)),
                    _ => pointer,
                };
            }
            if code == Code::Mov_rm64_imm32 && instruction.op0_kind() == OpKind::Register {
                pointer = Some(MadePointer::Constant(instruction.immediate32to64()));
            }
            let Some(MadePointer::Address(slot)) = pointer else {
                continue;
            };
            match instruction.flow_control() {
                FlowControl::Call => return Some(ThreadLocal::ModuleAt(slot)),
                FlowControl::IndirectCall if instruction.memory_base() == Register::RIP => {
                    return Some(ThreadLocal::ModuleAt(slot));
                }
                FlowControl::IndirectCall => return Some(ThreadLocal::DescriptorAt(slot)),
                _ => {}
            }
        }
        None
    }
}

/// The pointer that the function has made.
enum MadePointer {
    /// The address of this slot of the global offset table.
    Address(u64),
    /// The value in this slot.
    LoadedInterpreter(u64),
    /// This number.
    Constant(i64),
}

/// How code finds a thread-local variable. The addresses are link addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ThreadLocal {
    /// At this offset from the thread pointer.
    Offset(i64),
    /// At the offset from the thread pointer that is in this slot.
    OffsetAt(u64),
    /// The slot has the number of the module, and behind it the offset in the module's block.
    ModuleAt(u64),
    /// The slot has a function, and behind it the function's argument.
    DescriptorAt(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Option<ThreadLocal> {
        let code = MachineCode {
            bytes,
            address: 0x1000,
        };
        code.thread_local()
    }

    #[test]
    fn each_form_of_thread_local_access_is_known() {
        // mov rax, fs:[-8]; ret
        let local = b"\x64\x48\x8b\x04\x25\xf8\xff\xff\xff\xc3";
        assert_eq!(of(local), Some(ThreadLocal::Offset(-8)));
        // endbr64; mov rax, [rip + 0x100]; mov rax, fs:[rax]; ret
        let initial = b"\xf3\x0f\x1e\xfa\x48\x8b\x05\x00\x01\x00\x00\x64\x48\x8b\x00\xc3";
        assert_eq!(of(initial), Some(ThreadLocal::OffsetAt(0x110b)));
        // sub rsp, 8; data16 lea rdi, [rip + 0x100]; data16 data16 call X; mov rax, [rax]
        let general =
            b"\x48\x83\xec\x08\x66\x48\x8d\x3d\x00\x01\x00\x00\x66\x66\x48\xe8\x00\x00\x00\x00\x48\x8b\x00";
        assert_eq!(of(general), Some(ThreadLocal::ModuleAt(0x110c)));
        // lea rax, [rip + 0x100]; call [rax]; mov rax, fs:[rax]; ret
        let descriptor = b"\x48\x8d\x05\x00\x01\x00\x00\xff\x10\x64\x48\x8b\x00\xc3";
        assert_eq!(of(descriptor), Some(ThreadLocal::DescriptorAt(0x1107)));
        assert_eq!(of(b"\x31\xc0\xc3"), None);
        assert_eq!(of(b""), None);
    }

    #[test]
    fn jumps_that_stay_are_left_out() {
        // je +0x100; jmp -4; ret
        let bytes = b"\x0f\x84\x00\x01\x00\x00\xeb\xfc\xc3";
        let code = MachineCode {
            bytes,
            address: 0x1000,
        };
        assert_eq!(code.jumps_out().collect::<Vec<_>>(), [0x1106]);
    }
}
