//! What a plan reads of the thread that hits: taken from its ops, which are all
//! that the kernel side runs.
//!
//! The ops are followed once, in order; registers of the machine are known as a
//! constant or as a register of the target and an offset for as long as that is
//! certain. Whatever is not known to point elsewhere may point anywhere.

use tracer_common::control::{BEGINS, COUNTS, ENDS, FORGETS, FS_BASE_SHIFT, NEEDS_FS_BASE};
use tracer_common::op::{
    ALU, ALU_CONST, APPEND, APPEND_COPY, CONST, COPY, COPY_COUNTED, COPY_PARTIAL, COPY_STRING,
    COUNT, EFLAGS, ELAPSED, EMIT, END, ENTER, EXTEND, FAULT, FLOAT, FORGET, FS_BASE, JUMP, JUMP_IF,
    JUMP_IF_CONST, KEPT, LEAVE, LOAD, LOAD_RECORD, MARK, Op, REJECT, TALLY, TALLY_RECORD,
    TARGET_REGISTERS, WIDE, alu,
};

/// Machine register with the address of the probed instruction.
const ADDRESS: u8 = TARGET_REGISTERS + 16;

/// Some memory that a plan reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// At an offset from a general register (by its DWARF number): first byte and length.
    Register(u8, i64, u64),
    /// At a run address: first byte and length.
    Absolute(u64, u64),
    /// Where a pointer leads that is known at the hit only.
    Anywhere,
}

/// What a plan reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Bit N: the general register with DWARF number N; bit 16: the flags.
    pub registers: u32,
    /// Memory; each once.
    pub reads: Vec<Read>,
    /// The instruction's own address, or something that is not understood here:
    /// the probe cannot be anywhere else.
    pub fixed: bool,
}

/// Bit of [`Needs::registers`] for the flags.
pub(super) const FLAGS: u32 = 1 << 16;

/// What is known of a machine register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Constant(u64),
    /// A register of the target, and what was added.
    Offset(u8, i64),
    Nothing,
}

impl Needs {
    /// Nothing: a plan that counts.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Bound to the site, whatever it reads.
    #[must_use]
    pub fn fixed() -> Self {
        Self {
            fixed: true,
            ..Self::default()
        }
    }

    /// What `ops` read, with the site's `flags`.
    #[must_use]
    pub fn of(ops: &[Op], flags: u32) -> Self {
        let understood =
            NEEDS_FS_BASE | COUNTS | BEGINS | ENDS | FORGETS | (u32::MAX << FS_BASE_SHIFT);
        let mut needs = Self {
            fixed: flags & !understood != 0,
            ..Self::default()
        };
        let targets: Vec<u32> = ops
            .iter()
            .filter(|op| jumps(op.code))
            .map(|op| op.a)
            .collect();
        let mut state = State::default();
        for (index, op) in (0_u32..).zip(ops) {
            if targets.contains(&index) {
                state = State::default();
            }
            needs.step(op, &mut state);
        }
        needs
    }

    /// Whether some memory on the stack, or that a pointer leads to, is read.
    #[must_use]
    pub fn reads_beyond_statics(&self) -> bool {
        let moves = |read: &Read| !matches!(read, Read::Absolute(..));
        self.reads.iter().any(moves)
    }

    fn uses(&mut self, register: u8) {
        match register {
            ADDRESS => self.fixed = true,
            EFLAGS => self.registers |= FLAGS,
            // The thread pointer does not change in a straight run.
            FS_BASE => {}
            // Made by the machine itself.
            ELAPSED => {}
            TARGET_REGISTERS..ADDRESS => self.registers |= 1 << (register - TARGET_REGISTERS),
            register if register < TARGET_REGISTERS => {}
            _ => self.fixed = true,
        }
    }

    fn read(&mut self, base: u8, offset: i64, len: u64, state: &State) {
        self.uses(base);
        let read = match state.known(base) {
            Known::Constant(address) => Read::Absolute(address.wrapping_add(offset as u64), len),
            Known::Offset(register, plus) => match plus.checked_add(offset) {
                Some(offset) => Read::Register(register, offset, len),
                None => Read::Anywhere,
            },
            Known::Nothing => Read::Anywhere,
        };
        if !self.reads.contains(&read) {
            self.reads.push(read);
        }
    }

    fn step(&mut self, op: &Op, state: &mut State) {
        match op.code {
            END | REJECT | FAULT | JUMP | MARK | COUNT | TALLY_RECORD | KEPT => {}
            TALLY | ENTER | LEAVE | FORGET => self.uses(op.src),
            CONST => state.set(op.dst, Known::Constant(op.wide())),
            ALU => {
                self.uses(op.src);
                self.uses(op.size);
                state.set(op.dst, Known::Nothing);
            }
            FLOAT => {
                self.uses(op.src);
                self.uses(op.size);
                state.set(op.dst, Known::Nothing);
            }
            WIDE => {
                let [above_a, above_b, ..] = op.offset.to_le_bytes();
                for register in [op.src, op.size, above_a, above_b] {
                    self.uses(register);
                }
                state.set(op.dst, Known::Nothing);
            }
            ALU_CONST => {
                self.uses(op.src);
                let value = match (state.known(op.src), op.a) {
                    (Known::Offset(register, plus), alu::ADD) => plus
                        .checked_add(op.wide() as i64)
                        .map_or(Known::Nothing, |plus| Known::Offset(register, plus)),
                    (Known::Constant(value), alu::ADD) => {
                        Known::Constant(value.wrapping_add(op.wide()))
                    }
                    _ => Known::Nothing,
                };
                state.set(op.dst, value);
            }
            EXTEND => {
                self.uses(op.src);
                state.set(op.dst, Known::Nothing);
            }
            JUMP_IF => {
                self.uses(op.dst);
                self.uses(op.src);
            }
            JUMP_IF_CONST => self.uses(op.dst),
            LOAD => {
                self.read(op.src, op.offset.into(), op.size.into(), state);
                state.set(op.dst, Known::Nothing);
            }
            LOAD_RECORD => {
                self.uses(op.src);
                state.set(op.dst, Known::Nothing);
            }
            COPY | COPY_STRING | COPY_PARTIAL => {
                // A text ends by the byte behind it.
                let behind = u64::from(op.code == COPY_STRING);
                self.read(op.src, op.offset.into(), u64::from(op.len) + behind, state);
                state.set(op.dst, Known::Nothing);
            }
            COPY_COUNTED => {
                self.uses(op.size);
                // `offset` is the limit in bytes.
                let limit = u64::from(op.offset as u32);
                self.read(op.src, 0, limit, state);
                state.set(op.dst, Known::Nothing);
            }
            EMIT => {
                self.uses(op.src);
                state.set(op.dst, Known::Nothing);
            }
            APPEND => self.uses(op.src),
            APPEND_COPY => self.read(op.src, op.offset.into(), op.len.into(), state),
            _ => self.fixed = true,
        }
    }
}

const fn jumps(code: u8) -> bool {
    matches!(
        code,
        JUMP | JUMP_IF | JUMP_IF_CONST | LOAD | LOAD_RECORD | FLOAT | WIDE
    )
}

/// What is known of the machine's own registers.
#[derive(Default)]
struct State(Vec<(u8, Known)>);

impl State {
    fn known(&self, register: u8) -> Known {
        if (TARGET_REGISTERS..ADDRESS).contains(&register) {
            return Known::Offset(register - TARGET_REGISTERS, 0);
        }
        self.0
            .iter()
            .find(|(known, _)| *known == register)
            .map_or(Known::Nothing, |(_, value)| *value)
    }

    fn set(&mut self, register: u8, value: Known) {
        self.0.retain(|(known, _)| *known != register);
        if value != Known::Nothing {
            self.0.push((register, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RBP: u8 = TARGET_REGISTERS + 6;
    const RDI: u8 = TARGET_REGISTERS + 5;

    fn op(code: u8, dst: u8, src: u8, size: u8, offset: i32, len: u32) -> Op {
        Op {
            code,
            dst,
            src,
            size,
            a: 99,
            offset,
            len,
        }
    }

    #[test]
    fn copy_off_a_register_reads_it_and_the_memory_there() {
        let needs = Needs::of(&[op(COPY, 31, RBP, 0, -24, 8)], 0);
        assert_eq!(needs.registers, 1 << 6);
        assert_eq!(needs.reads, [Read::Register(6, -24, 8)]);
        assert!(!needs.fixed);
    }

    #[test]
    fn loaded_pointer_leads_anywhere() {
        let ops = [op(LOAD, 0, RBP, 8, -8, 0), op(COPY, 31, 0, 0, 0, 4)];
        let needs = Needs::of(&ops, 0);
        assert_eq!(needs.reads, [Read::Register(6, -8, 8), Read::Anywhere]);
    }

    #[test]
    fn sum_of_register_and_constant_is_followed_until_a_label() {
        let plus = Op {
            code: ALU_CONST,
            dst: 1,
            src: RBP,
            a: alu::ADD,
            ..Op::default()
        }
        .with_wide((-64_i64) as u64);
        let copy = op(COPY, 31, 1, 0, 4, 4);
        assert_eq!(
            Needs::of(&[plus, copy], 0).reads,
            [Read::Register(6, -60, 4)]
        );
        let jump = Op {
            code: JUMP,
            a: 2,
            ..Op::default()
        };
        assert_eq!(Needs::of(&[plus, jump, copy], 0).reads, [Read::Anywhere]);
    }

    #[test]
    fn emitted_register_is_in_use_without_memory() {
        let needs = Needs::of(&[op(EMIT, 31, RDI, 4, 0, 0)], 0);
        assert_eq!((needs.registers, needs.reads.len()), (1 << 5, 0));
    }

    #[test]
    fn computed_floats_and_wide_integers_use_all_their_registers() {
        let needs = Needs::of(&[op(FLOAT, 0, RDI, RBP, 0, 0)], 0);
        assert_eq!((needs.registers, needs.fixed), (1 << 5 | 1 << 6, false));
        let above = i32::from_le_bytes([RDI + 2, RDI + 3, 0, 0]);
        let needs = Needs::of(&[op(WIDE, 0, RDI, RBP, above, 0)], 0);
        let all = 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8;
        assert_eq!((needs.registers, needs.fixed), (all, false));
    }

    #[test]
    fn address_of_the_instruction_and_unknown_ops_are_fixed() {
        assert!(Needs::of(&[op(EMIT, 31, ADDRESS, 8, 0, 0)], 0).fixed);
        assert!(Needs::of(&[op(200, 0, 0, 0, 0, 0)], 0).fixed);
        assert!(Needs::of(&[], 1 << 7).fixed);
        assert!(!Needs::of(&[op(TALLY, 0, 3, 0, 0, 0)], COUNTS).fixed);
        assert!(!Needs::of(&[], NEEDS_FS_BASE).fixed);
    }
}
