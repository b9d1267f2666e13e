//! The registers and the memory of the target that a program reads.
//!
//! The ops are followed once, in order. A machine register is known as a constant, or as a register
//! of the target or the site's address plus an offset. That knowledge ends at a jump target. Memory at an unknown address
//! may be anywhere.

use tracer_common::control::{NEEDS_TASK, TURNS};
use tracer_common::op::{
    ELAPSED, FLAGS_REGISTER, INSTRUCTION_POINTER, TARGET_REGISTERS, THREAD_POINTER, alu,
};

use super::op::{MemoryOperand, Op};

/// Machine register with the address of the site.
const ADDRESS: u8 = INSTRUCTION_POINTER;

/// Memory that a program reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// At an offset from a general register (by its DWARF number): first byte and length.
    Register(u8, i64, u64),
    /// At an offset from the site's address: first byte and length. The statics of its module.
    Site(i64, u64),
    /// At a run address: first byte and length. It may be in any module, or on a stack.
    Absolute(u64, u64),
    /// At an address that is known only at the hit.
    Anywhere,
}

/// The registers and the memory that a program reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Bit N: the general register with DWARF number N. Bit 16: the flags.
    pub registers: u32,
    /// Memory, without duplicates.
    pub reads: Vec<Read>,
    /// The probe cannot be at another instruction: the program reads the ids or the name of the
    /// thread, or it marks a branch.
    pub fixed: bool,
}

/// Bit of [`Needs::registers`] for the flags.
pub const FLAGS: u32 = 1 << 16;

/// Known value of a machine register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KnownNumber {
    Constant(u64),
    /// A register of the target plus an offset.
    Offset(u8, i64),
    /// The site's address plus an offset.
    Site(i64),
    Nothing,
}

impl Needs {
    /// The needs of a program that only counts: none.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// The needs of a program that must stay at its site, whatever it reads.
    #[must_use]
    pub fn fixed() -> Self {
        Self {
            fixed: true,
            ..Self::default()
        }
    }

    /// The needs of `ops`, with the flags of their program.
    #[must_use]
    pub fn of(ops: &[Op], flags: u32) -> Self {
        let mut needs = Self {
            // The thread and the hit's number are bound to the site, and an iteration is bound to
            // its branch.
            fixed: flags & (NEEDS_TASK | TURNS) != 0,
            ..Self::default()
        };
        let mut is_target = vec![false; ops.len()];
        for target in ops.iter().filter_map(|op| op.target()) {
            let index = usize::try_from(target).unwrap_or(usize::MAX);
            if let Some(is_target) = is_target.get_mut(index) {
                *is_target = true;
            }
        }
        let mut known = KnownRegisters::default();
        for (op, is_target) in ops.iter().zip(is_target) {
            if is_target {
                known = KnownRegisters::default();
            }
            needs.add(op, &mut known);
        }
        needs
    }

    /// True if some memory is read on the stack or through a pointer.
    #[must_use]
    pub fn reads_beyond_statics(&self) -> bool {
        let moves = |read: &Read| !matches!(read, Read::Site(..));
        self.reads.iter().any(moves)
    }

    fn uses(&mut self, register: u8) {
        match register {
            // The site has one address, wherever the probe is.
            ADDRESS => {}
            FLAGS_REGISTER => self.registers |= FLAGS,
            // The thread pointer does not change in straight-line code.
            THREAD_POINTER => {}
            // The machine itself fills these.
            ELAPSED => {}
            TARGET_REGISTERS..ADDRESS => self.registers |= 1 << (register - TARGET_REGISTERS),
            register if register < TARGET_REGISTERS => {}
            _ => self.fixed = true,
        }
    }

    fn read(&mut self, operand: MemoryOperand, known: &KnownRegisters) {
        let (offset, length) = (i64::from(operand.offset), operand.length);
        let read = match known.get(operand.base) {
            KnownNumber::Constant(address) => {
                Read::Absolute(address.wrapping_add(offset.cast_unsigned()), length)
            }
            KnownNumber::Offset(register, plus) => match plus.checked_add(offset) {
                Some(offset) => Read::Register(register, offset, length),
                None => Read::Anywhere,
            },
            KnownNumber::Site(plus) => match plus.checked_add(offset) {
                Some(offset) => Read::Site(offset, length),
                None => Read::Anywhere,
            },
            KnownNumber::Nothing => Read::Anywhere,
        };
        if !self.reads.contains(&read) {
            self.reads.push(read);
        }
    }

    fn add(&mut self, op: &Op, known: &mut KnownRegisters) {
        op.reads().for_each(|register| self.uses(register));
        if let Some(operand) = op.memory() {
            self.read(operand, known);
        }
        if let Some(register) = op.writes() {
            known.set(register, known.result(op));
        }
    }
}

/// Known values of the machine's own registers.
#[derive(Default)]
struct KnownRegisters(Vec<(u8, KnownNumber)>);

impl KnownRegisters {
    fn get(&self, register: u8) -> KnownNumber {
        if (TARGET_REGISTERS..ADDRESS).contains(&register) {
            return KnownNumber::Offset(register - TARGET_REGISTERS, 0);
        }
        if register == ADDRESS {
            return KnownNumber::Site(0);
        }
        self.0
            .iter()
            .find(|(known, _)| *known == register)
            .map_or(KnownNumber::Nothing, |(_, value)| *value)
    }

    fn set(&mut self, register: u8, value: KnownNumber) {
        self.0.retain(|(known, _)| *known != register);
        if value != KnownNumber::Nothing {
            self.0.push((register, value));
        }
    }

    /// Value that an op writes. Constants, and sums with constants, are known.
    fn result(&self, op: &Op) -> KnownNumber {
        match *op {
            Op::Const { value, .. } => KnownNumber::Constant(value),
            Op::AluConst {
                operation: alu::ADD,
                left,
                right,
                ..
            } => match self.get(left) {
                KnownNumber::Constant(value) => KnownNumber::Constant(value.wrapping_add(right)),
                KnownNumber::Offset(register, plus) => plus
                    .checked_add(right.cast_signed())
                    .map_or(KnownNumber::Nothing, |plus| {
                        KnownNumber::Offset(register, plus)
                    }),
                KnownNumber::Site(plus) => plus
                    .checked_add(right.cast_signed())
                    .map_or(KnownNumber::Nothing, KnownNumber::Site),
                KnownNumber::Nothing => KnownNumber::Nothing,
            },
            _ => KnownNumber::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_common::control::{COUNTS, NEEDS_THREAD_POINTER};

    const RBP: u8 = TARGET_REGISTERS + 6;
    const RDI: u8 = TARGET_REGISTERS + 5;

    const fn copy(base: u8, offset: i32, length: u32) -> Op {
        Op::Copy {
            slot: 99,
            dst: 31,
            base,
            offset,
            length,
        }
    }

    fn emit(src: u8) -> Op {
        let (slot, dst, size) = (99, 31, 8);
        Op::Emit {
            slot,
            dst,
            src,
            size,
        }
    }

    #[test]
    fn copy_off_a_register_reads_it_and_the_memory_there() {
        let needs = Needs::of(&[copy(RBP, -24, 8)], 0);
        assert_eq!(needs.registers, 1 << 6);
        assert_eq!(needs.reads, [Read::Register(6, -24, 8)]);
        assert!(!needs.fixed);
    }

    #[test]
    fn loaded_pointer_leads_anywhere() {
        let load = Op::Load {
            dst: 0,
            base: RBP,
            offset: -8,
            size: 8,
            signed: false,
            fault: 99,
        };
        let needs = Needs::of(&[load, copy(0, 0, 4)], 0);
        assert_eq!(needs.reads, [Read::Register(6, -8, 8), Read::Anywhere]);
    }

    #[test]
    fn sum_of_register_and_constant_is_followed_until_a_label() {
        let plus = Op::AluConst {
            operation: alu::ADD,
            dst: 1,
            left: RBP,
            right: (-64_i64).cast_unsigned(),
        };
        let copy = copy(1, 4, 4);
        assert_eq!(
            Needs::of(&[plus, copy], 0).reads,
            [Read::Register(6, -60, 4)]
        );
        let jump = Op::Jump { to: 2 };
        assert_eq!(Needs::of(&[plus, jump, copy], 0).reads, [Read::Anywhere]);
    }

    #[test]
    fn emitted_register_is_in_use_without_memory() {
        let needs = Needs::of(&[emit(RDI)], 0);
        assert_eq!((needs.registers, needs.reads.len()), (1 << 5, 0));
    }

    #[test]
    fn computed_floats_and_wide_integers_use_all_their_registers() {
        let (operation, dst, no_result) = (0, 0, 99);
        let float = Op::Float {
            operation,
            dst,
            left: RDI,
            right: RBP,
            no_result,
        };
        let needs = Needs::of(&[float], 0);
        assert_eq!((needs.registers, needs.fixed), (1 << 5 | 1 << 6, false));
        let wide = Op::Wide {
            operation,
            dst,
            left: [RDI, RDI + 2],
            right: [RBP, RDI + 3],
            no_result,
        };
        let needs = Needs::of(&[wide], 0);
        let all = 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8;
        assert_eq!((needs.registers, needs.fixed), (all, false));
    }

    #[test]
    fn reads_relative_to_the_site_are_known_and_move_with_the_probe() {
        assert_eq!(Needs::of(&[emit(ADDRESS)], 0), Needs::nothing());
        let static_at = |offset, length| Needs {
            reads: vec![Read::Site(offset, length)],
            ..Needs::default()
        };
        let direct = Needs::of(&[copy(ADDRESS, 0x2000, 4)], 0);
        assert_eq!(direct, static_at(0x2000, 4));
        assert!(!direct.reads_beyond_statics());
        let far = Op::AluConst {
            operation: alu::ADD,
            dst: 1,
            left: ADDRESS,
            right: (-(1_i64 << 40)).cast_unsigned(),
        };
        let summed = Needs::of(&[far, copy(1, 8, 8)], 0);
        assert_eq!(summed, static_at(8 - (1 << 40), 8));
        let (dst, value) = (1, 0x7f00_0000_1000);
        let absolute = Needs::of(&[Op::Const { dst, value }, copy(1, 0, 8)], 0);
        assert_eq!(absolute.reads, [Read::Absolute(value, 8)]);
        assert!(absolute.reads_beyond_statics());
    }

    #[test]
    fn plans_of_the_thread_and_turns_are_fixed() {
        assert!(Needs::of(&[emit(tracer_common::op::PID)], 0).fixed);
        assert!(Needs::of(&[], TURNS).fixed);
        let tally = Op::Tally { status: 0, src: 3 };
        assert!(!Needs::of(&[tally], COUNTS).fixed);
        assert!(!Needs::of(&[], NEEDS_THREAD_POINTER).fixed);
    }
}
