//! One decoded instruction, and the facts that need nothing else.

use iced_x86::{
    Code, ConditionCode, Decoder, DecoderOptions, FlowControl, Mnemonic, OpKind, Register,
};

use super::registers::{self, FRAME_POINTER, STACK_POINTER};
use crate::arch::{
    Assignment, CalledValue, Flow, FrameUse, JumpCondition, PointerSum, PointerValue,
};
use crate::base::address::LinkAddr;

/// Minimum bytes of a branch with a displacement of four bytes.
const LONG_BRANCH: usize = 5;

/// One decoded instruction.
#[derive(Clone, Copy, Debug)]
pub struct Instruction {
    pub(super) decoded: iced_x86::Instruction,
}

/// Decodes the consecutive instructions of some code that begins at `address`.
///
/// Bytes that are not an instruction result in one for which [`Instruction::is_valid`] returns
/// false.
pub fn decode(bytes: &[u8], address: u64) -> impl Iterator<Item = Instruction> {
    let mut decoder = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE);
    std::iter::from_fn(move || {
        decoder.can_decode().then(|| Instruction {
            decoded: decoder.decode(),
        })
    })
}

impl Instruction {
    /// Returns the first instruction in `bytes`.
    #[must_use]
    pub fn first(bytes: &[u8], address: u64) -> Option<Self> {
        decode(bytes, address).next().filter(Self::is_valid)
    }

    /// Returns true if the bytes are a valid instruction.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        !self.decoded.is_invalid()
    }

    /// Returns the link address of the first byte.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.decoded.ip()
    }

    /// Returns the link address after the instruction.
    #[must_use]
    pub fn next_address(&self) -> u64 {
        self.decoded.next_ip()
    }

    /// Returns the length in bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        self.decoded.len()
    }

    /// Returns the place at which execution continues.
    #[must_use]
    pub fn flow(&self) -> Flow {
        match self.decoded.flow_control() {
            FlowControl::Next => Flow::Next,
            FlowControl::Call => Flow::Call,
            FlowControl::IndirectCall => Flow::IndirectCall,
            FlowControl::UnconditionalBranch => Flow::Jump,
            FlowControl::ConditionalBranch => Flow::ConditionalJump,
            FlowControl::IndirectBranch => Flow::IndirectJump,
            FlowControl::Return => Flow::Return,
            FlowControl::Interrupt => Flow::Interrupt,
            FlowControl::Exception => Flow::Exception,
            FlowControl::XbeginXabortXend => Flow::Transaction,
        }
    }

    /// Returns the target of a direct call or jump.
    #[must_use]
    pub fn target(&self) -> Option<u64> {
        (self.decoded.op0_kind() == OpKind::NearBranch64).then(|| self.decoded.near_branch_target())
    }

    /// Returns true if the target can be anywhere in a module, and not only near the instruction.
    #[must_use]
    pub fn has_far_reach(&self) -> bool {
        self.length() >= LONG_BRANCH
    }

    /// Returns the condition of a direct jump.
    #[must_use]
    pub fn jump_condition(&self) -> JumpCondition {
        if self.decoded.is_jmp_short_or_near() {
            return JumpCondition::Always;
        }
        if !self.decoded.is_jcc_short_or_near() {
            // `loop` and `jrcxz` depend on a register.
            return JumpCondition::Other;
        }
        // The decoder numbers conditions in the order of the opcodes, after the number for no
        // condition.
        let condition = (self.decoded.condition_code() as u8).checked_sub(ConditionCode::o as u8);
        condition.map_or(JumpCondition::Other, JumpCondition::Flags)
    }

    /// Returns true for a jump that also decrements a register.
    #[must_use]
    pub fn counts_down(&self) -> bool {
        matches!(
            self.decoded.mnemonic(),
            Mnemonic::Loop | Mnemonic::Loope | Mnemonic::Loopne
        )
    }

    /// Returns the module's word that has the target of an indirect jump or call.
    #[must_use]
    pub fn target_word(&self) -> Option<LinkAddr> {
        self.decoded
            .is_ip_rel_memory_operand()
            .then(|| LinkAddr(self.decoded.ip_rel_memory_address()))
    }

    /// Returns the address that an indirect call or jump leads to, if it can be computed from general registers and
    /// memory.
    #[must_use]
    pub fn called_value(&self) -> Option<CalledValue> {
        if !matches!(self.decoded.code(), Code::Call_rm64 | Code::Jmp_rm64) {
            return None;
        }
        if self.decoded.op0_kind() == OpKind::Register {
            return registers::number(self.decoded.op0_register()).map(CalledValue::Register);
        }
        if let Some(word) = self.target_word() {
            return Some(CalledValue::Word(word));
        }
        if self.decoded.segment_prefix() != Register::None {
            return None;
        }
        sum_of(
            self.decoded.memory_base(),
            self.decoded.memory_index(),
            self.decoded.memory_index_scale(),
            self.decoded.memory_displacement64(),
        )
        .map(CalledValue::Memory)
    }

    /// Returns true for a jump to an address that the function computes.
    #[must_use]
    pub fn is_computed_jump(&self) -> bool {
        self.decoded.code() == Code::Jmp_rm64 && self.decoded.op0_kind() == OpKind::Register
    }

    /// Returns the link address that the instruction loads into a register.
    #[must_use]
    pub fn address_taken(&self) -> Option<u64> {
        let is_lea =
            self.decoded.code() == Code::Lea_r64_m && self.decoded.memory_base() == Register::RIP;
        is_lea.then(|| self.decoded.memory_displacement64())
    }

    /// Returns true if the instruction loads an entry of a table of differences.
    #[must_use]
    pub fn loads_table_entry(&self) -> bool {
        self.decoded.code() == Code::Movsxd_r64_rm32
            && self.decoded.op1_kind() == OpKind::Memory
            && self.decoded.memory_index_scale() == 4
    }

    /// Returns the register whose eight bytes the instruction stores to memory, if it does
    /// nothing else.
    #[must_use]
    pub fn stored_register(&self) -> Option<u8> {
        let stores =
            self.decoded.mnemonic() == Mnemonic::Mov && self.decoded.op1_kind() == OpKind::Register;
        stores
            .then(|| registers::number(self.decoded.op1_register()))
            .flatten()
    }

    /// Returns the value that the instruction assigns to a general register other than the stack
    /// pointer, or `None` if the value is not known.
    #[must_use]
    pub fn assignment(&self, register: u8) -> Option<Assignment> {
        let decoded = &self.decoded;
        let plain = |base: u8, plus: i64| Some(Assignment::Sum(PointerSum::off(base, plus)));
        let to = decoded.op0_register();
        if decoded.op0_kind() != OpKind::Register || registers::bit(to) != 1 << register {
            return None;
        }
        let from = decoded.op1_kind();
        if decoded.mnemonic() == Mnemonic::Mov && from == OpKind::Immediate32 && to.is_gpr32() {
            // A write of the lower half clears the upper half.
            return Some(Assignment::Sum(PointerSum {
                base: None,
                index: None,
                plus: i64::from(decoded.immediate32()),
            }));
        }
        if !to.is_gpr64() {
            return None;
        }
        let immediate = matches!(from, OpKind::Immediate8to64 | OpKind::Immediate32to64);
        match decoded.mnemonic() {
            Mnemonic::Mov if from == OpKind::Register => {
                plain(registers::number(decoded.op1_register())?, 0)
            }
            Mnemonic::Mov if from == OpKind::Memory => Some(Assignment::Loaded),
            Mnemonic::Add if immediate => plain(register, decoded.immediate(1) as i64),
            Mnemonic::Sub if immediate => {
                plain(register, (decoded.immediate(1) as i64).checked_neg()?)
            }
            Mnemonic::Inc => plain(register, 1),
            Mnemonic::Dec => plain(register, -1),
            Mnemonic::Lea => sum_of(
                decoded.memory_base(),
                decoded.memory_index(),
                decoded.memory_index_scale(),
                decoded.memory_displacement64(),
            )
            .map(Assignment::Sum),
            _ => None,
        }
    }

    /// Returns the use of the stack pointer or the frame pointer as values.
    #[must_use]
    pub fn frame_use(&self) -> FrameUse {
        use Mnemonic as M;
        let mnemonic = self.decoded.mnemonic();
        let to_stack_pointer = self.decoded.op_count() > 0
            && self.has_register(0, STACK_POINTER)
            && matches!(
                mnemonic,
                M::Mov | M::Lea | M::Add | M::Sub | M::And | M::Pop
            );
        if to_stack_pointer || matches!(mnemonic, M::Cmp | M::Test) {
            return FrameUse::None;
        }
        if mnemonic == M::Enter {
            return FrameUse::StackPointer;
        }
        if self.uses(0, STACK_POINTER) {
            return if self.sets_frame_pointer() {
                FrameUse::SetsFramePointer
            } else {
                FrameUse::StackPointer
            };
        }
        // These instructions overwrite their first operand without reading it.
        let first = match mnemonic {
            M::Mov | M::Movzx | M::Movsx | M::Movsxd | M::Lea | M::Pop
                if self.has_register(0, FRAME_POINTER) =>
            {
                1
            }
            _ => 0,
        };
        if self.uses(first, FRAME_POINTER) {
            FrameUse::FramePointer
        } else {
            FrameUse::None
        }
    }

    /// Returns true if the instruction copies the stack pointer to the frame pointer.
    pub(super) fn sets_frame_pointer(&self) -> bool {
        self.decoded.mnemonic() == Mnemonic::Mov
            && self.decoded.op0_register() == Register::RBP
            && self.decoded.op1_register() == Register::RSP
    }

    fn has_register(&self, operand: u32, register: u8) -> bool {
        self.decoded.op_kind(operand) == OpKind::Register
            && registers::bit(self.decoded.op_register(operand)) == 1 << register
    }

    /// Returns true if a register or a part of it is an operand from number `from` on, or is part
    /// of an address that the instruction computes.
    fn uses(&self, from: u32, register: u8) -> bool {
        let in_lea = self.decoded.mnemonic() == Mnemonic::Lea
            && [self.decoded.memory_base(), self.decoded.memory_index()]
                .map(registers::bit)
                .contains(&(1 << register));
        in_lea
            || (from..self.decoded.op_count()).any(|operand| self.has_register(operand, register))
    }
}

/// Returns the address that the parts of an operand form, or `None` if they do not have 64 bits.
pub(super) fn sum_of(base: Register, index: Register, scale: u32, plus: u64) -> Option<PointerSum> {
    let base = match base {
        Register::None | Register::RIP => None,
        other => Some(PointerValue::Register(registers::number(other)?)),
    };
    let index = match index {
        Register::None => None,
        other => Some((registers::number(other)?, scale)),
    };
    Some(PointerSum {
        base,
        index,
        plus: plus as i64,
    })
}
