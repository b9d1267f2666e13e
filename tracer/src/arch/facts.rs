//! Facts about instructions, as plain types.

use serde::{Deserialize, Serialize};

use crate::base::address::LinkAddr;

/// The place at which execution continues after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The next instruction.
    Next,
    /// A function whose address is in the instruction.
    Call,
    /// A function whose address is in a register or memory.
    IndirectCall,
    /// A target in the instruction.
    Jump,
    /// A target in the instruction, or the next instruction.
    ConditionalJump,
    /// A target in a register or memory.
    IndirectJump,
    /// The caller.
    Return,
    /// The kernel, and then the next instruction.
    Interrupt,
    /// An exception: the instruction never completes.
    Exception,
    /// The begin or end of a transaction, which may continue elsewhere.
    Transaction,
}

impl Flow {
    /// Returns true for a jump to a target in the instruction, conditional or not.
    #[must_use]
    pub const fn is_direct_jump(self) -> bool {
        matches!(self, Self::Jump | Self::ConditionalJump)
    }

    /// Returns true for a direct or an indirect call.
    #[must_use]
    pub const fn is_call(self) -> bool {
        matches!(self, Self::Call | Self::IndirectCall)
    }

    /// Returns true if the next instruction in memory can be the next one to run.
    #[must_use]
    pub const fn falls_through(self) -> bool {
        !matches!(
            self,
            Self::Jump | Self::IndirectJump | Self::Return | Self::Exception
        )
    }
}

/// The condition of a direct jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JumpCondition {
    /// The jump is always taken.
    Always,
    /// The jump depends on the flags: the number of the capture machine's test of them.
    Flags(u8),
    /// The jump depends on something else, such as a register.
    Other,
}

/// The use that an instruction makes of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterUse {
    /// The instruction reads the register, and may write it.
    Read,
    /// The instruction writes the register without reading it.
    Written,
    /// The instruction neither reads nor writes the register.
    None,
}

/// The effect of an instruction that always continues with the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StraightEffect {
    /// Registers that it writes. Bit N is the general register with DWARF number N; bit 16 is the
    /// flags.
    pub writes: u32,
    /// Memory that it accesses.
    pub memory: Vec<MemoryAccess>,
    /// Change of the stack pointer.
    pub stack: StackChange,
    /// True if it orders this thread's memory accesses with those of other threads. After it,
    /// other threads may own memory that this thread has released.
    pub orders: bool,
    /// True if it copies the stack pointer to the frame pointer.
    pub frame_set: bool,
}

/// The change that an instruction makes to the stack pointer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StackChange {
    /// No change.
    #[default]
    None,
    /// The instruction adds a known number.
    Add(i64),
    /// Some other change.
    Unknown,
}

/// The kinds of access that an instruction makes to memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataAccess {
    /// It reads.
    pub reads: bool,
    /// It writes.
    pub writes: bool,
    /// It may be interrupted between two accesses, and is then still the current instruction.
    pub repeats: bool,
}

/// Memory that an instruction accesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryAccess {
    /// Place of the memory.
    pub operand: MemoryPlace,
    /// Size in bytes.
    pub size: u64,
    /// True if it writes the bytes.
    pub write: bool,
    /// True if it reads the bytes.
    pub read: bool,
    /// True if it accesses the bytes each time it is executed.
    pub certain: bool,
    /// True if it faults for an address that is not a multiple of the size.
    pub aligned: bool,
}

/// The place of accessed memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryPlace {
    /// An offset from the stack pointer before the instruction.
    Stack(i64),
    /// An offset from the frame pointer.
    Frame(i64),
    /// A link address.
    Static(u64),
    /// An offset from the thread pointer.
    Thread(i64),
    /// An address that registers hold.
    Pointer(PointerSum),
    /// Some other place.
    Other,
}

/// A value in the computation of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointerValue {
    /// A register, by its DWARF number.
    Register(u8),
    /// The thread pointer.
    Thread,
    /// Eight bytes at this offset from the stack pointer at the time of the access.
    Stack(i64),
    /// Eight bytes at this offset from the frame pointer at the time of the access.
    Frame(i64),
}

/// An address as a sum of values and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PointerSum {
    /// The first value.
    pub base: Option<PointerValue>,
    /// A register and its factor.
    pub index: Option<(u8, u32)>,
    /// The number.
    pub plus: i64,
}

impl PointerSum {
    /// Returns the sum of a register and an offset.
    #[must_use]
    pub const fn off(register: u8, plus: i64) -> Self {
        Self {
            base: Some(PointerValue::Register(register)),
            index: None,
            plus,
        }
    }
}

/// The value that an instruction assigns to a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// A sum of values before the instruction.
    Sum(PointerSum),
    /// The eight bytes of the only memory that the instruction accesses.
    Loaded,
}

/// The address that an indirect call or jump leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalledValue {
    /// A register, by its DWARF number.
    Register(u8),
    /// The word of the module at this link address.
    Word(LinkAddr),
    /// Eight bytes of memory at this address.
    Memory(PointerSum),
}

/// The use that an instruction makes of the stack pointer or the frame pointer as values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameUse {
    /// No other value is computed from them.
    None,
    /// A value is computed from the stack pointer.
    StackPointer,
    /// The stack pointer is copied to the frame pointer, and nothing else happens.
    SetsFramePointer,
    /// A value is computed from the frame pointer.
    FramePointer,
}

/// The kind of a direct transfer in code bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferKind {
    /// A call.
    Call,
    /// A jump.
    Jump,
}

/// A call or jump that may be in some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NearTransfer {
    /// Address after the instruction.
    pub behind: u64,
    /// Its target.
    pub to: TransferTarget,
}

/// The target of a call or jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferTarget {
    /// An address.
    Address(u64),
    /// The address that a word of the module holds.
    Word(LinkAddr),
}

/// The way in which the kernel runs a probed instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SiteKind {
    /// The kernel emulates the instruction in the breakpoint trap.
    OneTrap,
    /// The kernel steps a copy, which takes a second trap.
    TwoTraps,
    /// A 5-byte nop: it becomes a call from Linux 6.18 on, and takes two traps on older kernels.
    Nop5,
    /// No instruction: the processor traps behind each access to memory.
    Watchpoint,
}

impl SiteKind {
    /// Returns the readable name for lists.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneTrap => "one trap",
            Self::TwoTraps => "two traps",
            Self::Nop5 => "5-byte nop",
            Self::Watchpoint => "watchpoint",
        }
    }
}
