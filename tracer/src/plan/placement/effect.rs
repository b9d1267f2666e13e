//! What one instruction does, as far as a probe may be carried across it.
//!
//! Only instructions are known here that always go on to the next one: those
//! that move and compute on integers, locked too, and move or mix vector registers. What
//! can raise an exception by its operands (division; floating point, where a
//! program may have unmasked its exceptions; vector loads that fault when not
//! aligned) is not among them, nor is anything that calls, jumps, traps, waits,
//! or asks the kernel or the machine. Whether its memory can be touched is for
//! [`super::run`] to say, which knows the frame.

use iced_x86::{
    Instruction, InstructionInfoFactory, InstructionInfoOptions, Mnemonic, OpAccess, OpKind,
    Register, UsedMemory,
};

use super::needs::FLAGS;
use super::touched::Sum;

/// What an instruction that always goes on to the next one does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Effect {
    /// Registers written, as [`super::Needs::registers`] has them.
    pub(super) writes: u32,
    /// Memory touched.
    pub(super) memory: Vec<Access>,
    /// What becomes of the stack pointer.
    pub(super) stack: StackChange,
    /// It orders this thread's memory with that of others: after it, they may own
    /// what this one has let go.
    pub(super) orders: bool,
    /// What becomes of `rbp`, when it is set from the stack pointer: `rbp = rsp`.
    pub(super) frame_set: bool,
}

/// What an instruction does to the stack pointer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum StackChange {
    /// Nothing.
    #[default]
    None,
    /// Adds a known number.
    Add(i64),
    /// Something else.
    Unknown,
}

/// Some memory that an instruction touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) place: Place,
    /// Bytes.
    pub(super) size: u64,
    pub(super) write: bool,
    pub(super) read: bool,
    /// It is touched whenever the instruction is executed.
    pub(super) certain: bool,
    /// It faults when it is not aligned to its size.
    pub(super) aligned: bool,
}

/// Where that memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `rsp` before the instruction, and an offset.
    Stack(i64),
    /// `rbp`, and an offset.
    Frame(i64),
    /// A link address.
    Static(u64),
    /// An offset from the thread pointer.
    Thread(i64),
    /// Where registers lead.
    Pointer(Sum),
    /// Somewhere else.
    Other,
}

/// The bit of a general register or a part of one.
pub(super) fn bit(register: Register) -> u32 {
    let number = match register.full_register() {
        Register::RAX => 0,
        Register::RDX => 1,
        Register::RCX => 2,
        Register::RBX => 3,
        Register::RSI => 4,
        Register::RDI => 5,
        Register::RBP => 6,
        Register::RSP => 7,
        Register::R8 => 8,
        Register::R9 => 9,
        Register::R10 => 10,
        Register::R11 => 11,
        Register::R12 => 12,
        Register::R13 => 13,
        Register::R14 => 14,
        Register::R15 => 15,
        _ => return 0,
    };
    1 << number
}

impl Effect {
    /// Of `instruction`; `None` when it does not always go on to the next one,
    /// or is not known here.
    pub(super) fn of(
        instruction: &Instruction,
        factory: &mut InstructionInfoFactory,
    ) -> Option<Self> {
        if !known(instruction.mnemonic())
            || has_system_register(instruction)
            || unusual(instruction)
            || instruction.has_rep_prefix()
            || instruction.has_repne_prefix()
        {
            return None;
        }
        let mut effect = Self::default();
        let to_memory =
            instruction.op0_kind() == OpKind::Memory || instruction.op1_kind() == OpKind::Memory;
        effect.orders = instruction.has_lock_prefix()
            || (instruction.mnemonic() == Mnemonic::Xchg && to_memory);
        let info = factory.info_options(instruction, InstructionInfoOptions::NONE);
        for used in info.used_registers() {
            if written(used.access()) {
                effect.writes |= bit(used.register());
            }
        }
        for used in info.used_memory() {
            if used.access() != OpAccess::NoMemAccess {
                // Locked across two lines of the cache it may trap.
                let aligned = effect.orders || wants_alignment(instruction.mnemonic());
                effect.memory.push(access(used, aligned)?);
            }
        }
        if instruction.rflags_modified() != 0 {
            effect.writes |= FLAGS;
        }
        effect.stack = stack_change(instruction, effect.writes);
        effect.frame_set = instruction.mnemonic() == Mnemonic::Mov
            && instruction.op0_register() == Register::RBP
            && instruction.op1_register() == Register::RSP;
        Some(effect)
    }
}

fn stack_change(instruction: &Instruction, writes: u32) -> StackChange {
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

fn access(used: &UsedMemory, aligned: bool) -> Option<Access> {
    let size = u64::try_from(used.memory_size().size()).ok()?;
    let displacement = used.displacement() as i64;
    let plain = used.index() == Register::None;
    let place = match (used.segment(), used.base()) {
        // Stack pushes and pops have the stack pointer's value as it is before.
        (Register::SS, Register::RSP) if plain => Place::Stack(displacement),
        (Register::SS, Register::RBP) if plain => Place::Frame(displacement),
        (Register::DS, Register::None | Register::RIP) if plain => {
            Place::Static(used.displacement())
        }
        (Register::FS, Register::None) if plain => Place::Thread(displacement),
        (Register::DS | Register::SS, base) => {
            Sum::of(base, used.index(), used.scale(), used.displacement())
                .map_or(Place::Other, Place::Pointer)
        }
        _ => Place::Other,
    };
    Some(Access {
        place,
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

/// Forms whose memory is not what their operand says: bits counted from an
/// address, and pushes and pops of memory.
fn unusual(instruction: &Instruction) -> bool {
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

/// Segment, control and debug registers: their loads fault or ask for privilege.
fn has_system_register(instruction: &Instruction) -> bool {
    (0..instruction.op_count()).any(|operand| {
        instruction.op_kind(operand) == OpKind::Register && {
            let register = instruction.op_register(operand);
            !register.is_gpr() && !register.is_vector_register()
        }
    })
}

/// Instructions of every x86-64 processor that only fault, if at all, by the memory that they touch.
fn known(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        // Integers.
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
            // Vector registers: moves that ask for no alignment.
            | M::Movd
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
    ) || wants_alignment(mnemonic)
}

/// Vector instructions that raise nothing on registers, and on memory only when
/// it is not aligned.
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
