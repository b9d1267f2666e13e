//! Typed ops of the capture machine.
//!
//! [`Op::encode`] is the only writer of the machine's format. An op also lists the registers and
//! the memory that it reads, so analyses need no match over all ops.

use tracer_common::op::{self as code, EncodedOp};

use super::Constant;

/// Index of a jump's target.
pub type Target = u32;

/// Memory of the target that an op reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryOperand {
    /// Register with an address.
    pub base: u8,
    /// Offset of the first byte from that address.
    pub offset: i32,
    /// The most bytes that are read.
    pub length: u64,
}

/// One op. Registers are those of the machine: see [`tracer_common::op`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "`tracer_common::op` documents each op with its operands"
)]
pub enum Op {
    /// Ends the plan and sends the record.
    End,
    /// Ends the plan: the condition was false.
    Reject,
    /// Ends the plan: the condition could not be read.
    Fault,
    /// Ends the plan and counts the hit.
    Count,
    /// `dst = value`.
    Const { dst: u8, value: u64 },
    /// `dst = left OP right`, OP one of `op::alu`.
    Alu {
        operation: u32,
        dst: u8,
        left: u8,
        right: u8,
    },
    /// `dst = left OP right`.
    AluConst {
        operation: u32,
        dst: u8,
        left: u8,
        right: u64,
    },
    /// `dst = left OP right`, OP one of `op::float`. Jumps if there is no result.
    Float {
        operation: u32,
        dst: u8,
        left: u8,
        right: u8,
        no_result: Target,
    },
    /// `dst` = a half of `left OP right`, each in a low and a high register, OP one of `op::wide`.
    /// Jumps if there is no result.
    Wide {
        operation: u32,
        dst: u8,
        left: [u8; 2],
        right: [u8; 2],
        no_result: Target,
    },
    /// `dst` = the low bytes of `src`, extended.
    Extend {
        dst: u8,
        src: u8,
        size: u8,
        signed: bool,
    },
    /// Continues at another op.
    Jump { to: Target },
    /// Jumps if `left COND right`, COND one of `op::cond`.
    JumpIf {
        condition: u8,
        left: u8,
        right: u8,
        to: Target,
    },
    /// Jumps if `left COND right`.
    JumpIfConst {
        condition: u8,
        left: u8,
        right: u64,
        to: Target,
    },
    /// `dst` = a number in memory. Jumps if it cannot be read.
    Load {
        dst: u8,
        base: u8,
        offset: i32,
        size: u8,
        signed: bool,
        fault: Target,
    },
    /// `dst` = a number in the record. Jumps if the record does not have these bytes.
    LoadRecord {
        dst: u8,
        base: u8,
        offset: i32,
        size: u8,
        outside: Target,
    },
    /// Appends a chunk of memory. `dst` = its offset in the record, or 0.
    Copy {
        slot: u16,
        dst: u8,
        base: u8,
        offset: i32,
        length: u32,
    },
    /// Appends a chunk of `count` elements, up to a limit in bytes.
    CopyCounted {
        slot: u16,
        dst: u8,
        base: u8,
        count: u8,
        stride: u32,
        limit: u32,
    },
    /// Appends a chunk up to a zero byte, or up to the limit.
    CopyString {
        slot: u16,
        dst: u8,
        base: u8,
        offset: i32,
        limit: u32,
    },
    /// Appends a chunk up to the last readable page.
    CopyPartial {
        slot: u16,
        dst: u8,
        base: u8,
        offset: i32,
        length: u32,
    },
    /// Appends a chunk with the low bytes of a register.
    Emit {
        slot: u16,
        dst: u8,
        src: u8,
        size: u8,
    },
    /// Appends a chunk without data.
    Mark { slot: u16, status: u8 },
    /// Adds bytes of a register to the last chunk, which has this slot.
    Append { slot: u16, src: u8, size: u8 },
    /// Adds one to the entry of a number.
    Tally { status: u32, src: u8 },
    /// Adds one to the entry of the record's chunks.
    TallyRecord,
    /// Begins a timing.
    Enter {
        base: u8,
        offset: i32,
        group: u32,
        keeps: bool,
        tells_left: bool,
        first_pass: bool,
    },
    /// Ends a timing.
    Leave {
        base: u8,
        offset: i32,
        group: u32,
        keeps: bool,
    },
    /// Cancels timings.
    Forget {
        base: u8,
        offset: i32,
        group: u32,
        keeps: bool,
        tells_left: bool,
        of_call: bool,
    },
    /// Appends the chunks of the beginning.
    Kept,
    /// A step of a traced call. `dst` = 1 if the pass takes a call, else 0.
    Step {
        dst: u8,
        base: u8,
        offset: i32,
        /// Roles of the site, and its order above them.
        roles: u32,
        line: u32,
        /// The register with the address that is called, at a call of a computed address.
        target: Option<u8>,
    },
    /// `dst` = the bias of a module in the process. Jumps if it is not known.
    Module {
        module: u32,
        dst: u8,
        /// It is not known either if the process has not loaded the module.
        must_be_loaded: bool,
        unknown: Target,
    },
    /// Sets the place of a module in the process.
    Place {
        module: u32,
        src: u8,
        /// It stays if the module has one.
        only_first: bool,
    },
}

/// The destination of results that are not used.
const SINK: u8 = 31;

impl Op {
    /// Encodes the op for the machine.
    #[must_use]
    pub fn encode(&self) -> EncodedOp {
        let op = EncodedOp {
            code: self.code(),
            ..EncodedOp::default()
        };
        match self {
            Self::End
            | Self::Reject
            | Self::Fault
            | Self::Count
            | Self::TallyRecord
            | Self::Kept => op,
            Self::Const { .. }
            | Self::Alu { .. }
            | Self::AluConst { .. }
            | Self::Float { .. }
            | Self::Wide { .. }
            | Self::Extend { .. } => self.encode_computation(op),
            Self::Jump { .. }
            | Self::JumpIf { .. }
            | Self::JumpIfConst { .. }
            | Self::Load { .. }
            | Self::LoadRecord { .. } => self.encode_jump(op),
            Self::Copy { .. }
            | Self::CopyCounted { .. }
            | Self::CopyString { .. }
            | Self::CopyPartial { .. }
            | Self::Emit { .. }
            | Self::Mark { .. }
            | Self::Append { .. } => self.encode_chunk(op),
            Self::Tally { status, src } => EncodedOp {
                a: *status,
                src: *src,
                ..op
            },
            Self::Enter { .. } | Self::Leave { .. } | Self::Forget { .. } => self.encode_timing(op),
            Self::Step {
                dst,
                base,
                offset,
                roles,
                line,
                target,
            } => EncodedOp {
                dst: *dst,
                src: *base,
                size: target.unwrap_or_default(),
                offset: *offset,
                a: *roles,
                len: *line,
                ..op
            },
            Self::Module {
                module,
                dst,
                must_be_loaded,
                unknown,
            } => EncodedOp {
                len: *module,
                dst: *dst,
                size: u8::from(*must_be_loaded),
                a: *unknown,
                ..op
            },
            Self::Place {
                module,
                src,
                only_first,
            } => EncodedOp {
                len: *module,
                src: *src,
                size: u8::from(*only_first),
                ..op
            },
        }
    }

    fn encode_computation(&self, mut op: EncodedOp) -> EncodedOp {
        match *self {
            Self::Const { dst, value } => {
                op.dst = dst;
                return op.with_wide(value);
            }
            Self::Alu {
                operation,
                dst,
                left,
                right,
            } => {
                (op.a, op.dst, op.src, op.size) = (operation, dst, left, right);
            }
            Self::AluConst {
                operation,
                dst,
                left,
                right,
            } => {
                (op.a, op.dst, op.src) = (operation, dst, left);
                return op.with_wide(right);
            }
            Self::Float {
                operation,
                dst,
                left,
                right,
                no_result,
            } => {
                (op.len, op.dst, op.src, op.size, op.a) = (operation, dst, left, right, no_result);
            }
            Self::Wide {
                operation,
                dst,
                left: [left, left_high],
                right: [right, right_high],
                no_result,
            } => {
                (op.len, op.dst, op.src, op.size, op.a) = (operation, dst, left, right, no_result);
                op.offset = i32::from_le_bytes([left_high, right_high, 0, 0]);
            }
            Self::Extend {
                dst,
                src,
                size,
                signed,
            } => {
                (op.dst, op.src, op.size, op.a) = (dst, src, size, u32::from(signed));
            }
            _ => {}
        }
        op
    }

    fn encode_jump(&self, mut op: EncodedOp) -> EncodedOp {
        match *self {
            Self::Jump { to } => op.a = to,
            Self::JumpIf {
                condition,
                left,
                right,
                to,
            } => {
                (op.size, op.dst, op.src, op.a) = (condition, left, right, to);
            }
            Self::JumpIfConst {
                condition,
                left,
                right,
                to,
            } => {
                (op.size, op.dst, op.a) = (condition, left, to);
                return op.with_wide(right);
            }
            Self::Load {
                dst,
                base,
                offset,
                size,
                signed,
                fault,
            } => {
                (op.dst, op.src, op.offset, op.size, op.a) = (dst, base, offset, size, fault);
                op.len = u32::from(signed);
            }
            Self::LoadRecord {
                dst,
                base,
                offset,
                size,
                outside,
            } => {
                (op.dst, op.src, op.offset, op.size, op.a) = (dst, base, offset, size, outside);
            }
            _ => {}
        }
        op
    }

    fn encode_chunk(&self, mut op: EncodedOp) -> EncodedOp {
        match *self {
            Self::Copy {
                slot,
                dst,
                base,
                offset,
                length,
            }
            | Self::CopyPartial {
                slot,
                dst,
                base,
                offset,
                length,
            }
            | Self::CopyString {
                slot,
                dst,
                base,
                offset,
                limit: length,
            } => {
                (op.a, op.dst, op.src, op.offset, op.len) =
                    (slot.into(), dst, base, offset, length);
            }
            Self::CopyCounted {
                slot,
                dst,
                base,
                count,
                stride,
                limit,
            } => {
                (op.a, op.dst, op.src, op.size) = (slot.into(), dst, base, count);
                (op.len, op.offset) = (stride, limit.cast_signed());
            }
            Self::Emit {
                slot,
                dst,
                src,
                size,
            } => {
                (op.a, op.dst, op.src, op.size) = (slot.into(), dst, src, size);
            }
            Self::Mark { slot, status } => (op.a, op.dst, op.size) = (slot.into(), SINK, status),
            Self::Append { slot, src, size } => {
                (op.a, op.dst, op.src, op.size) = (slot.into(), SINK, src, size);
            }
            _ => {}
        }
        op
    }

    fn encode_timing(&self, mut op: EncodedOp) -> EncodedOp {
        match *self {
            Self::Enter {
                base,
                offset,
                group,
                keeps,
                tells_left,
                first_pass: flag,
            }
            | Self::Forget {
                base,
                offset,
                group,
                keeps,
                tells_left,
                of_call: flag,
            } => {
                (op.src, op.offset, op.a) = (base, offset, group);
                let tells_left = if tells_left { code::TELLS_LEFT } else { 0 };
                (op.size, op.dst) = (u8::from(keeps) | tells_left, u8::from(flag));
            }
            Self::Leave {
                base,
                offset,
                group,
                keeps,
            } => {
                (op.src, op.offset, op.a, op.size) = (base, offset, group, u8::from(keeps));
            }
            _ => {}
        }
        op
    }

    const fn code(&self) -> u8 {
        match self {
            Self::End => code::END,
            Self::Reject => code::REJECT,
            Self::Fault => code::FAULT,
            Self::Count => code::COUNT,
            Self::Const { .. } => code::CONST,
            Self::Alu { .. } => code::ALU,
            Self::AluConst { .. } => code::ALU_CONST,
            Self::Float { .. } => code::FLOAT,
            Self::Wide { .. } => code::WIDE,
            Self::Extend { .. } => code::EXTEND,
            Self::Jump { .. } => code::JUMP,
            Self::JumpIf { .. } => code::JUMP_IF,
            Self::JumpIfConst { .. } => code::JUMP_IF_CONST,
            Self::Load { .. } => code::LOAD,
            Self::LoadRecord { .. } => code::LOAD_RECORD,
            Self::Copy { .. } => code::COPY,
            Self::CopyCounted { .. } => code::COPY_COUNTED,
            Self::CopyString { .. } => code::COPY_STRING,
            Self::CopyPartial { .. } => code::COPY_PARTIAL,
            Self::Emit { .. } => code::EMIT,
            Self::Mark { .. } => code::MARK,
            Self::Append { .. } => code::APPEND,
            Self::Tally { .. } => code::TALLY,
            Self::TallyRecord => code::TALLY_RECORD,
            Self::Enter { .. } => code::ENTER,
            Self::Leave { .. } => code::LEAVE,
            Self::Forget { .. } => code::FORGET,
            Self::Kept => code::KEPT,
            Self::Step { .. } => code::STEP,
            Self::Module { .. } => code::MODULE,
            Self::Place { .. } => code::PLACE,
        }
    }

    /// Registers whose values the op uses.
    pub fn reads(&self) -> impl Iterator<Item = u8> + use<> {
        let [one, two] = match *self {
            Self::End
            | Self::Reject
            | Self::Fault
            | Self::Count
            | Self::Const { .. }
            | Self::Jump { .. }
            | Self::Mark { .. }
            | Self::TallyRecord
            | Self::Kept
            | Self::Module { .. } => [None, None],
            Self::Alu { left, right, .. }
            | Self::Float { left, right, .. }
            | Self::JumpIf { left, right, .. }
            | Self::Wide {
                left: [left, _],
                right: [right, _],
                ..
            } => [Some(left), Some(right)],
            Self::CopyCounted { base, count, .. } => [Some(count), Some(base)],
            Self::Step { base, target, .. } => [Some(base), target],
            Self::AluConst { left: src, .. }
            | Self::JumpIfConst { left: src, .. }
            | Self::Extend { src, .. }
            | Self::Emit { src, .. }
            | Self::Append { src, .. }
            | Self::Tally { src, .. }
            | Self::Load { base: src, .. }
            | Self::LoadRecord { base: src, .. }
            | Self::Copy { base: src, .. }
            | Self::CopyString { base: src, .. }
            | Self::CopyPartial { base: src, .. }
            | Self::Enter { base: src, .. }
            | Self::Leave { base: src, .. }
            | Self::Forget { base: src, .. }
            | Self::Place { src, .. } => [Some(src), None],
        };
        let upper_halves = match *self {
            Self::Wide {
                left: [_, left],
                right: [_, right],
                ..
            } => [Some(left), Some(right)],
            _ => [None, None],
        };
        [one, two].into_iter().chain(upper_halves).flatten()
    }

    /// Memory that the op reads.
    #[must_use]
    pub fn memory(&self) -> Option<MemoryOperand> {
        let (base, offset, length) = match *self {
            Self::Load {
                base, offset, size, ..
            } => (base, offset, size.into()),
            Self::Copy {
                base,
                offset,
                length,
                ..
            }
            | Self::CopyPartial {
                base,
                offset,
                length,
                ..
            } => (base, offset, length.into()),
            // The byte after the limit tells if the text ends there.
            Self::CopyString {
                base,
                offset,
                limit,
                ..
            } => (base, offset, u64::from(limit) + 1),
            Self::CopyCounted { base, limit, .. } => (base, 0, limit.into()),
            _ => return None,
        };
        Some(MemoryOperand {
            base,
            offset,
            length,
        })
    }

    /// The register that the op writes.
    #[must_use]
    pub fn writes(&self) -> Option<u8> {
        match *self {
            Self::Const { dst, .. }
            | Self::Alu { dst, .. }
            | Self::AluConst { dst, .. }
            | Self::Float { dst, .. }
            | Self::Wide { dst, .. }
            | Self::Extend { dst, .. }
            | Self::Load { dst, .. }
            | Self::LoadRecord { dst, .. }
            | Self::Copy { dst, .. }
            | Self::CopyCounted { dst, .. }
            | Self::CopyString { dst, .. }
            | Self::CopyPartial { dst, .. }
            | Self::Emit { dst, .. }
            | Self::Step { dst, .. }
            | Self::Module { dst, .. } => Some(dst),
            _ => None,
        }
    }

    /// The op that this one may jump to.
    pub fn target_mut(&mut self) -> Option<&mut Target> {
        match self {
            Self::Jump { to } | Self::JumpIf { to, .. } | Self::JumpIfConst { to, .. } => Some(to),
            Self::Load { fault, .. } => Some(fault),
            Self::LoadRecord { outside, .. } => Some(outside),
            Self::Float { no_result, .. } | Self::Wide { no_result, .. } => Some(no_result),
            Self::Module { unknown, .. } => Some(unknown),
            _ => None,
        }
    }

    /// The op that this one may jump to.
    #[must_use]
    pub fn target(mut self) -> Option<Target> {
        self.target_mut().copied()
    }

    /// The number in the op.
    #[must_use]
    pub fn constant(&self) -> Option<Constant> {
        let (value, is_loaded) = match *self {
            Self::Const { value, .. } => (value, true),
            Self::AluConst { right, .. } | Self::JumpIfConst { right, .. } => (right, false),
            _ => return None,
        };
        Some(Constant { value, is_loaded })
    }

    /// The module whose place the op needs.
    #[must_use]
    pub const fn module(&self) -> Option<u32> {
        match *self {
            Self::Module { module, .. } => Some(module),
            _ => None,
        }
    }

    /// Replaces the number in an op of arithmetic or of a comparison.
    pub fn set_constant(&mut self, value: u64) {
        if let Self::AluConst { right, .. } | Self::JumpIfConst { right, .. } = self {
            *right = value;
        }
    }

    /// True if the plain eBPF program implements the op.
    pub(super) const fn is_plain(&self) -> bool {
        matches!(
            self,
            Self::End
                | Self::Copy { .. }
                | Self::Emit { .. }
                | Self::Extend { .. }
                | Self::JumpIfConst { .. }
                | Self::Load { .. }
                | Self::Reject
                | Self::Count
        )
    }

    /// True if only the computing eBPF program implements the op.
    pub(super) const fn computes(&self) -> bool {
        matches!(self, Self::Float { .. } | Self::Wide { .. })
    }

    /// True if hits end here in a map with an entry for each key.
    pub(super) const fn tallies(&self) -> bool {
        matches!(
            self,
            Self::Tally { .. } | Self::TallyRecord | Self::Leave { .. }
        )
    }

    /// True if a hit that ends here is added up and sends nothing.
    pub(super) const fn adds_up(&self) -> bool {
        matches!(self, Self::Count | Self::Tally { .. } | Self::TallyRecord)
    }

    /// True if the op needs the time of the hit, or an eBPF program that reads it.
    pub(super) const fn takes_time(&self) -> bool {
        self.computes()
            || matches!(
                self,
                Self::Enter { .. }
                    | Self::Leave { .. }
                    | Self::Forget { .. }
                    | Self::Kept
                    | Self::Step { .. }
            )
    }
}
