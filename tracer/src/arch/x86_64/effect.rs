//! The effect of one instruction that a probe may move across.
//!
//! It only knows instructions that always continue with the next one: those that move integers
//! and compute on them, also with a `lock` prefix, and those that move or mix vector registers.
//! Instructions that can raise an exception through their operands are not included: division,
//! floating point (a program may have unmasked its exceptions), and vector loads that fault if
//! they are not aligned. Neither are instructions that call, jump, trap, wait, or use the kernel
//! or the machine. The caller, which walks along the code and knows the frame, decides if the
//! memory is accessible.

use iced_x86::{
    InstructionInfoFactory, InstructionInfoOptions, Mnemonic, OpAccess, OpKind, Register,
    UsedMemory,
};

use super::instruction::{Instruction, sum_of};
use super::registers::bit;
use crate::arch::{MemoryAccess, MemoryPlace, RegisterUse, StackChange, StraightEffect};

/// Bit of [`StraightEffect::writes`] for the flags.
const FLAGS: u32 = 1 << 16;

type Decoded = iced_x86::Instruction;

/// Finds the effects of instructions. It reuses its memory for the next instruction.
pub struct EffectReader {
    factory: InstructionInfoFactory,
}

impl Default for EffectReader {
    fn default() -> Self {
        Self {
            factory: InstructionInfoFactory::new(),
        }
    }
}

impl EffectReader {
    /// Returns the effect of an instruction, or `None` if the instruction does not always
    /// continue with the next one, or is not known here.
    pub fn effect(&mut self, instruction: &Instruction) -> Option<StraightEffect> {
        let sets_frame_pointer = instruction.sets_frame_pointer();
        let instruction = &instruction.decoded;
        if !known(instruction.mnemonic())
            || has_system_register(instruction)
            || unusual(instruction)
            || instruction.has_rep_prefix()
            || instruction.has_repne_prefix()
        {
            return None;
        }
        let mut effect = StraightEffect::default();
        let to_memory =
            instruction.op0_kind() == OpKind::Memory || instruction.op1_kind() == OpKind::Memory;
        effect.orders = instruction.has_lock_prefix()
            || (instruction.mnemonic() == Mnemonic::Xchg && to_memory);
        let info = self
            .factory
            .info_options(instruction, InstructionInfoOptions::NONE);
        for used in info.used_registers() {
            if written(used.access()) {
                effect.writes |= bit(used.register());
            }
        }
        for used in info.used_memory() {
            if used.access() != OpAccess::NoMemAccess {
                // A locked access across two cache lines may trap.
                let aligned = effect.orders || wants_alignment(instruction.mnemonic());
                effect.memory.push(access(used, aligned)?);
            }
        }
        if instruction.rflags_modified() != 0 {
            effect.writes |= FLAGS;
        }
        effect.stack = stack_change(instruction, effect.writes);
        effect.frame_set = sets_frame_pointer;
        Some(effect)
    }

    /// Returns the use that an instruction makes of a general register, by its DWARF number.
    pub fn use_of(&mut self, instruction: &Instruction, register: u8) -> RegisterUse {
        let info = self.factory.info(&instruction.decoded);
        let mut used = info
            .used_registers()
            .iter()
            .filter(|used| bit(used.register()) == 1 << register);
        let reads = |access| {
            matches!(
                access,
                OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite
            )
        };
        if used.clone().any(|used| reads(used.access())) {
            return RegisterUse::Read;
        }
        match used.next() {
            Some(_) => RegisterUse::Written,
            None => RegisterUse::None,
        }
    }
}

fn stack_change(instruction: &Decoded, writes: u32) -> StackChange {
    if writes & bit(Register::RSP) == 0 {
        return StackChange::None;
    }
    let to_rsp = instruction.op0_register() == Register::RSP;
    let immediate = matches!(
        instruction.op1_kind(),
        OpKind::Immediate8to64 | OpKind::Immediate32to64
    );
    match instruction.mnemonic() {
        Mnemonic::Push if instruction.op0_register() != Register::RSP => {
            match instruction.stack_pointer_increment() {
                -8 => StackChange::Add(-8),
                _ => StackChange::Unknown,
            }
        }
        Mnemonic::Pop if !to_rsp && instruction.stack_pointer_increment() == 8 => {
            StackChange::Add(8)
        }
        Mnemonic::Sub if to_rsp && immediate => {
            StackChange::Add((instruction.immediate(1) as i64).wrapping_neg())
        }
        Mnemonic::Add if to_rsp && immediate => StackChange::Add(instruction.immediate(1) as i64),
        Mnemonic::Lea
            if to_rsp
                && instruction.memory_base() == Register::RSP
                && instruction.memory_index() == Register::None =>
        {
            StackChange::Add(instruction.memory_displacement64() as i64)
        }
        _ => StackChange::Unknown,
    }
}

const fn written(access: OpAccess) -> bool {
    !matches!(
        access,
        OpAccess::None | OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess
    )
}

fn access(used: &UsedMemory, aligned: bool) -> Option<MemoryAccess> {
    let size = u64::try_from(used.memory_size().size()).ok()?;
    let displacement = used.displacement() as i64;
    let plain = used.index() == Register::None;
    let operand = match (used.segment(), used.base()) {
        // Operands of pushes and pops use the value of the stack pointer before the instruction.
        (Register::SS, Register::RSP) if plain => MemoryPlace::Stack(displacement),
        (Register::SS, Register::RBP) if plain => MemoryPlace::Frame(displacement),
        (Register::DS, Register::None | Register::RIP) if plain => {
            MemoryPlace::Static(used.displacement())
        }
        (Register::FS, Register::None) if plain => MemoryPlace::Thread(displacement),
        (Register::DS | Register::SS, base) => {
            sum_of(base, used.index(), used.scale(), used.displacement())
                .map_or(MemoryPlace::Other, MemoryPlace::Pointer)
        }
        _ => MemoryPlace::Other,
    };
    Some(MemoryAccess {
        operand,
        size,
        write: written(used.access()),
        read: !matches!(used.access(), OpAccess::Write | OpAccess::CondWrite),
        certain: matches!(
            used.access(),
            OpAccess::Read | OpAccess::Write | OpAccess::ReadWrite
        ),
        aligned,
    })
}

/// Returns true for forms whose accessed memory differs from their operand: bits counted from an
/// address, and pushes and pops of memory.
fn unusual(instruction: &Decoded) -> bool {
    let reaches = matches!(
        instruction.mnemonic(),
        Mnemonic::Bt
            | Mnemonic::Bts
            | Mnemonic::Btr
            | Mnemonic::Btc
            | Mnemonic::Push
            | Mnemonic::Pop
    );
    let in_memory = |operand: u32| instruction.op_kind(operand) == OpKind::Memory;
    reaches && (0..instruction.op_count()).any(in_memory)
}

/// Returns true for segment, control and debug registers. Their loads fault or need privilege.
fn has_system_register(instruction: &Decoded) -> bool {
    (0..instruction.op_count()).any(|operand| {
        instruction.op_kind(operand) == OpKind::Register && {
            let register = instruction.op_register(operand);
            !register.is_gpr() && !register.is_vector_register()
        }
    })
}

/// Returns true for instructions of every x86-64 processor that can only fault through the memory
/// that they access.
fn known(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Mov
            | M::Movzx
            | M::Movsx
            | M::Movsxd
            | M::Lea
            | M::Add
            | M::Adc
            | M::Sub
            | M::Sbb
            | M::And
            | M::Or
            | M::Xor
            | M::Cmp
            | M::Test
            | M::Inc
            | M::Dec
            | M::Neg
            | M::Not
            | M::Shl
            | M::Shr
            | M::Sar
            | M::Shld
            | M::Shrd
            | M::Rol
            | M::Ror
            | M::Xchg
            | M::Xadd
            | M::Cmpxchg
            | M::Imul
            | M::Mul
            | M::Bt
            | M::Bts
            | M::Btr
            | M::Btc
            | M::Bsf
            | M::Bsr
            | M::Bswap
            | M::Tzcnt
            | M::Lzcnt
            | M::Cbw
            | M::Cwde
            | M::Cdqe
            | M::Cwd
            | M::Cdq
            | M::Cqo
            | M::Push
            | M::Pop
            | M::Nop
            | M::Endbr64
            | M::Seta
            | M::Setae
            | M::Setb
            | M::Setbe
            | M::Sete
            | M::Setg
            | M::Setge
            | M::Setl
            | M::Setle
            | M::Setne
            | M::Setno
            | M::Setnp
            | M::Setns
            | M::Seto
            | M::Setp
            | M::Sets
            | M::Cmova
            | M::Cmovae
            | M::Cmovb
            | M::Cmovbe
            | M::Cmove
            | M::Cmovg
            | M::Cmovge
            | M::Cmovl
            | M::Cmovle
            | M::Cmovne
            | M::Cmovno
            | M::Cmovnp
            | M::Cmovns
            | M::Cmovo
            | M::Cmovp
            | M::Cmovs
    ) || moves_unaligned(mnemonic)
        || wants_alignment(mnemonic)
}

/// Returns true for moves between vector registers and memory that need no alignment.
fn moves_unaligned(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Movd
            | M::Movq
            | M::Movss
            | M::Movsd
            | M::Movups
            | M::Movupd
            | M::Movdqu
            | M::Movlps
            | M::Movhps
            | M::Movlpd
            | M::Movhpd
            | M::Movlhps
            | M::Movhlps
    )
}

/// Returns true for vector instructions that never fault on registers, and on memory only if it
/// is not aligned.
fn wants_alignment(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Movaps
            | M::Movapd
            | M::Movdqa
            | M::Xorps
            | M::Xorpd
            | M::Andps
            | M::Andpd
            | M::Andnps
            | M::Andnpd
            | M::Orps
            | M::Orpd
            | M::Pxor
            | M::Pand
            | M::Pandn
            | M::Por
            | M::Paddb
            | M::Paddw
            | M::Paddd
            | M::Paddq
            | M::Psubb
            | M::Psubw
            | M::Psubd
            | M::Psubq
            | M::Pcmpeqb
            | M::Pcmpeqw
            | M::Pcmpeqd
            | M::Pcmpgtb
            | M::Pcmpgtw
            | M::Pcmpgtd
            | M::Pmovmskb
            | M::Movmskps
            | M::Movmskpd
            | M::Pshufd
            | M::Pshuflw
            | M::Pshufhw
            | M::Shufps
            | M::Shufpd
            | M::Unpcklps
            | M::Unpcklpd
            | M::Unpckhps
            | M::Unpckhpd
            | M::Punpcklbw
            | M::Punpcklwd
            | M::Punpckldq
            | M::Punpcklqdq
            | M::Punpckhbw
            | M::Punpckhwd
            | M::Punpckhdq
            | M::Punpckhqdq
            | M::Psllw
            | M::Pslld
            | M::Psllq
            | M::Pslldq
            | M::Psrlw
            | M::Psrld
            | M::Psrlq
            | M::Psrldq
            | M::Psraw
            | M::Psrad
            | M::Pmuludq
            | M::Pmullw
    )
}
