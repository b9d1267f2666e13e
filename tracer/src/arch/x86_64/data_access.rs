//! The memory accesses of one instruction, for the instruction that has accessed a watched value.

use iced_x86::{InstructionInfoFactory, OpAccess};

use super::Instruction;
use crate::arch::DataAccess;

impl Instruction {
    /// Returns the accesses that the instruction makes to memory. Code that it fetches does not count.
    #[must_use]
    pub fn data_access(&self) -> DataAccess {
        let mut access = DataAccess {
            repeats: self.decoded.has_rep_prefix() || self.decoded.has_repne_prefix(),
            ..DataAccess::default()
        };
        let mut factory = InstructionInfoFactory::new();
        for memory in factory.info(&self.decoded).used_memory() {
            match memory.access() {
                OpAccess::Read | OpAccess::CondRead => access.reads = true,
                OpAccess::Write | OpAccess::CondWrite => access.writes = true,
                OpAccess::ReadWrite | OpAccess::ReadCondWrite => {
                    access.reads = true;
                    access.writes = true;
                }
                OpAccess::None | OpAccess::NoMemAccess => {}
            }
        }
        access
    }

    /// Returns true for the instruction by which a program calls the kernel.
    #[must_use]
    pub fn calls_kernel(&self) -> bool {
        use iced_x86::Code;
        matches!(
            self.decoded.code(),
            Code::Syscall | Code::Sysenter | Code::Int_imm8
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(bytes: &[u8]) -> DataAccess {
        Instruction::first(bytes, 0x1000)
            .expect("an instruction")
            .data_access()
    }

    #[test]
    fn stores_and_loads_are_told_apart() {
        let of = |reads, writes, repeats| DataAccess {
            reads,
            writes,
            repeats,
        };
        // `mov [rdi], eax`, `mov eax, [rdi]`, `lock add dword ptr [rdi], 1`, `xchg [rdi], eax`.
        assert_eq!(access(&[0x89, 0x07]), of(false, true, false));
        assert_eq!(access(&[0x8b, 0x07]), of(true, false, false));
        assert_eq!(access(&[0xf0, 0x83, 0x07, 0x01]), of(true, true, false));
        assert_eq!(access(&[0x87, 0x07]), of(true, true, false));
        // `rep stosb`, `push rax`, `lea rax, [rdi]`, `movups [rdi], xmm0`.
        assert_eq!(access(&[0xf3, 0xaa]), of(false, true, true));
        assert_eq!(access(&[0x50]), of(false, true, false));
        assert_eq!(access(&[0x48, 0x8d, 0x07]), of(false, false, false));
        assert_eq!(access(&[0x0f, 0x11, 0x07]), of(false, true, false));
        let system_call = Instruction::first(&[0x0f, 0x05], 0).expect("an instruction");
        assert!(system_call.calls_kernel());
    }
}
