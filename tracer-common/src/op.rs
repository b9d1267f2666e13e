//! Ops of the capture machine: what a plan tells the eBPF program to do.
//!
//! The machine has [`REGISTERS`](crate::limits::REGISTERS) 64-bit registers.
//! Registers 0 to 31 are free for the plan; 32 + N holds the target's general
//! register with DWARF number N (x86-64: 0 `rax`, 1 `rdx`, 2 `rcx`, 3 `rbx`,
//! 4 `rsi`, 5 `rdi`, 6 `rbp`, 7 `rsp`, 8–15, 16 the address of the probed
//! instruction), 49 `eflags`, 50 `fs_base`, 51 to 55 what is known of the thread, 56 the
//! time that something took.
//!
//! A capture appends *chunks* to the record (see [`crate::record`]). Jumps are
//! relative to the plan's first op; an op index outside the plan ends it.
//! Backward jumps make loops, bounded by
//! [`MAX_STEPS`](crate::limits::MAX_STEPS).

/// First machine register that holds a register of the target.
pub const TARGET_REGISTERS: u8 = 32;
/// Machine register with the target's `eflags`.
pub const EFLAGS: u8 = 49;
/// Machine register with the base address of thread-local storage, filled on
/// [`NEEDS_FS_BASE`](crate::control::NEEDS_FS_BASE) only.
pub const FS_BASE: u8 = 50;

/// Machine register with the process id, and the following ones on
/// [`NEEDS_TASK`](crate::control::NEEDS_TASK) only.
pub const PID: u8 = 51;
/// Machine register with the thread id.
pub const TID: u8 = 52;
/// Machine register with the number of the hit.
pub const HIT: u8 = 53;
/// First of two machine registers with the thread's name, zero-padded.
pub const COMM: u8 = 54;
/// Machine register with the time from [`ENTER`] to [`LEAVE`] in ns, filled by the latter.
pub const ELAPSED: u8 = 56;

/// Ends the plan; the record is sent.
pub const END: u8 = 0;
/// Ends the plan: its condition was false, nothing is sent.
pub const REJECT: u8 = 1;
/// Ends the plan: a read of its condition failed, nothing is sent.
pub const FAULT: u8 = 2;
/// `r[dst] = wide`.
pub const CONST: u8 = 3;
/// `r[dst] = r[src] OP r[size]`, OP in `a` (see [`alu`]).
pub const ALU: u8 = 4;
/// `r[dst] = r[src] OP wide`, OP in `a` (see [`alu`]).
pub const ALU_CONST: u8 = 5;
/// `r[dst]` = sign- or zero-extend the low `size` bytes of `r[src]`; sign when `a` is 1.
pub const EXTEND: u8 = 6;
/// Jump to op `a`.
pub const JUMP: u8 = 7;
/// Jump to op `a` when `r[dst] COND r[src]`, COND in `size` (see [`cond`]).
pub const JUMP_IF: u8 = 8;
/// Jump to op `a` when `r[dst] COND wide`, COND in `size`.
pub const JUMP_IF_CONST: u8 = 9;
/// `r[dst]` = `size` (1, 2, 4, 8) bytes of user memory at `r[src] + offset`,
/// zero-extended (sign-extended when `len` is 1). A read that fails jumps to op `a`.
pub const LOAD: u8 = 10;
/// The same from the record under construction, at byte `r[src] + offset` of
/// it. Outside of the chunks written so far: jump to op `a`.
pub const LOAD_RECORD: u8 = 11;
/// Appends chunk `a`: `len` bytes of user memory at `r[src] + offset`.
/// `r[dst]` = record offset of the chunk's data, or 0 when it has none.
pub const COPY: u8 = 12;
/// Appends chunk `a`: `min(r[size] * len, offset)` bytes (`len` the size of an
/// element, `offset` the limit in bytes) of user memory at `r[src]`, in whole
/// elements. `r[dst]` as for [`COPY`].
pub const COPY_COUNTED: u8 = 13;
/// Appends chunk `a`: user memory at `r[src] + offset` up to a zero byte,
/// which is not part of the chunk, or `len` bytes ([`crate::record::CHUNK_CUT`]). The byte
/// behind the limit must be readable too.
/// `r[dst]` as for [`COPY`].
pub const COPY_STRING: u8 = 14;
/// Appends chunk `a`: up to `len` bytes of user memory at `r[src] + offset`,
/// ending at the last readable page ([`crate::record::CHUNK_CUT`]).
/// `r[dst]` as for [`COPY`].
pub const COPY_PARTIAL: u8 = 15;
/// Appends chunk `a`: the low `size` bytes of `r[src]`. `r[dst]` as for [`COPY`].
pub const EMIT: u8 = 16;
/// Appends chunk `a` without data, with status `size`; for [`crate::record::CHUNK_FAULT`], with
/// [`crate::record::CHUNK_ABSENT`] or [`crate::record::CHUNK_UNREAD`] where the last read failed so.
pub const MARK: u8 = 17;
/// Adds to the data of the last chunk: the low `size` bytes of `r[src]`,
/// for values that are assembled from pieces.
pub const APPEND: u8 = 18;
/// Adds `len` bytes of user memory at `r[src] + offset` to the data of the
/// last chunk; when they cannot be read the last chunk's status becomes
/// [`crate::record::CHUNK_FAULT`], [`crate::record::CHUNK_ABSENT`] or
/// [`crate::record::CHUNK_UNREAD`], and its length 0.
pub const APPEND_COPY: u8 = 19;

/// Ends the plan: the hit is counted, nothing is sent.
pub const COUNT: u8 = 20;
/// Ends the plan: adds one to the number entry of (site, status `a` as of [`MARK`], `r[src]`),
/// see [`crate::aggregate`]; nothing is sent.
pub const TALLY: u8 = 21;
/// The same for the entry of the record's bytes behind its header, at most
/// [`KEY_BYTES`](crate::aggregate::KEY_BYTES) of them.
pub const TALLY_RECORD: u8 = 22;

/// Something that is timed begins: that of the frame `r[src] + offset` and the group `a`. The
/// plan goes on; at its end the record's chunks are kept with the beginning when `size` is 1
/// (at most [`KEPT_BYTES`](crate::limits::KEPT_BYTES)), and nothing is sent. What has begun
/// there already did not end. When `dst` is 1, this is a beginning only at the first pass behind a
/// [`FORGET`] that has `dst` 1; else the plan ends.
///
/// See [`crate::timing`]; the site's flags must say the same as the op.
pub const ENTER: u8 = 23;
/// It ends: `r[ELAPSED]` = ns since the beginning in the frame `r[src] + offset` and group `a`,
/// which is over with the plan's end. Ends the plan when there was none. `size` as for [`ENTER`].
pub const LEAVE: u8 = 24;
/// Ends the plan: what has begun in the frame `r[src] + offset` does not end, in the groups
/// from 0 to `a`. When `dst` is 1, a call begins here, whose time does so at an [`ENTER`] behind.
pub const FORGET: u8 = 25;
/// Appends the chunks that were kept at [`ENTER`].
pub const KEPT: u8 = 26;

/// `r[dst] = r[src] OP r[size]`, of floats, OP in `len` (see [`float`]). Where the
/// result is no number of its type: jump to op `a`.
pub const FLOAT: u8 = 27;
/// `r[dst]` = a half of `a OP b`, of integers of 128 bits, OP in `len` (see [`wide`]): `a` is
/// `r[src]` with the upper half in `r[offset & 255]`, `b` is `r[size]` with the upper half in
/// `r[offset >> 8 & 255]`. A division by zero, and one of the least signed number by -1, jumps to op `a`.
pub const WIDE: u8 = 28;

/// Operations of [`ALU`] and [`ALU_CONST`]; all wrap at 64 bits.
#[expect(missing_docs, reason = "the names say it")]
pub mod alu {
    pub const ADD: u32 = 0;
    pub const SUB: u32 = 1;
    pub const MUL: u32 = 2;
    /// Unsigned; by zero gives zero (a plan checks first).
    pub const DIV: u32 = 3;
    /// Unsigned; by zero gives zero (a plan checks first).
    pub const REM: u32 = 4;
    pub const AND: u32 = 5;
    pub const OR: u32 = 6;
    pub const XOR: u32 = 7;
    /// Shifts take the low 6 bits of the count.
    pub const SHL: u32 = 8;
    pub const SHR: u32 = 9;
    pub const SAR: u32 = 10;
    pub const SDIV: u32 = 11;
    pub const SREM: u32 = 12;
    /// Signed division that rounds down; by zero gives zero.
    pub const FLOOR: u32 = 13;
    /// Bits of `a`, unsigned: 0 for 0, else 1 + the power of two below. Takes no notice of `b`.
    pub const BITS: u32 = 14;
    /// The same for signed numbers: minus the bits of `-a` when `a` is negative.
    pub const SBITS: u32 = 15;
}

/// Operations of [`FLOAT`]: on the bytes of `f64`, but where they say single, of `f32`.
///
/// What is no number has always the same bytes: the quiet one without a sign.
#[expect(missing_docs, reason = "the names say it")]
pub mod float {
    pub const ADD: u32 = 0;
    pub const SUB: u32 = 1;
    pub const MUL: u32 = 2;
    pub const DIV: u32 = 3;
    /// The remainder of the quotient that is rounded to zero: `fmod`.
    pub const REM: u32 = 4;
    /// One of [`LESS`], [`EQUAL`], [`GREATER`], [`UNORDERED`].
    pub const COMPARE: u32 = 5;
    pub const FROM_SINGLE: u32 = 6;
    pub const TO_SINGLE: u32 = 7;
    /// Of integers of 64 bits.
    pub const FROM_UNSIGNED: u32 = 8;
    pub const FROM_SIGNED: u32 = 9;
    /// Of integers of 128 bits: `a` is the lower half, `b` the upper one.
    pub const FROM_WIDE_UNSIGNED: u32 = 10;
    pub const FROM_WIDE_SIGNED: u32 = 11;
    pub const SINGLE_FROM_UNSIGNED: u32 = 12;
    pub const SINGLE_FROM_SIGNED: u32 = 13;
    pub const SINGLE_FROM_WIDE_UNSIGNED: u32 = 14;
    pub const SINGLE_FROM_WIDE_SIGNED: u32 = 15;
    /// The nearest integer of `b` (8, 16, 32, else 64) bits towards zero; 0 of what is no number.
    /// [`LOWER`] and [`UPPER`] are the halves of that of 128 bits.
    pub const TO_UNSIGNED: u32 = 16;
    pub const TO_SIGNED: u32 = 17;
    /// The same, which has no result where `a` without its fraction has no place in `b` bits.
    pub const TRUNCATE_UNSIGNED: u32 = 18;
    pub const TRUNCATE_SIGNED: u32 = 19;

    /// Bits of an integer of 128, of which the lower half is asked for, or the upper one.
    pub const LOWER: u64 = 128;
    pub const UPPER: u64 = 129;

    /// What [`COMPARE`] gives of `a` and `b`.
    pub const LESS: u64 = 1;
    pub const EQUAL: u64 = 2;
    pub const GREATER: u64 = 4;
    pub const UNORDERED: u64 = 8;
}

/// Operations of [`WIDE`]; all wrap at 128 bits.
#[expect(missing_docs, reason = "the names say it")]
pub mod wide {
    pub const MUL_HIGH: u32 = 0;
    /// The count is the lower half of `b`, of which seven bits count.
    pub const SHL_LOW: u32 = 1;
    pub const SHL_HIGH: u32 = 2;
    pub const SHR_LOW: u32 = 3;
    pub const SHR_HIGH: u32 = 4;
    pub const SAR_LOW: u32 = 5;
    pub const SAR_HIGH: u32 = 6;
    pub const DIV_LOW: u32 = 7;
    pub const DIV_HIGH: u32 = 8;
    pub const REM_LOW: u32 = 9;
    pub const REM_HIGH: u32 = 10;
    /// Signed: rounds to zero.
    pub const SDIV_LOW: u32 = 11;
    pub const SDIV_HIGH: u32 = 12;
    pub const SREM_LOW: u32 = 13;
    pub const SREM_HIGH: u32 = 14;
}

/// Conditions of [`JUMP_IF`] and [`JUMP_IF_CONST`]; S means signed.
#[expect(missing_docs, reason = "the names say it")]
pub mod cond {
    pub const EQ: u8 = 0;
    pub const NE: u8 = 1;
    pub const LT: u8 = 2;
    pub const LE: u8 = 3;
    pub const GT: u8 = 4;
    pub const GE: u8 = 5;
    pub const SLT: u8 = 6;
    pub const SLE: u8 = 7;
    pub const SGT: u8 = 8;
    pub const SGE: u8 = 9;

    /// The condition that holds when this one does not; `None` of a number that is no condition.
    #[must_use]
    pub const fn opposite(condition: u8) -> Option<u8> {
        Some(match condition {
            EQ => NE,
            NE => EQ,
            LT => GE,
            LE => GT,
            GT => LE,
            GE => LT,
            SLT => SGE,
            SLE => SGT,
            SGT => SLE,
            SGE => SLT,
            _ => return None,
        })
    }
}

/// One op: 16 bytes. The fields' meaning depends on the code; see the codes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Op {
    /// Which op.
    pub code: u8,
    /// Register that is written (or compared, for jumps).
    pub dst: u8,
    /// Register that is read.
    pub src: u8,
    /// Operand size in bytes, second source register, or condition.
    pub size: u8,
    /// Jump target, chunk slot, or ALU operation.
    pub a: u32,
    /// Signed byte offset, or low half of `wide`.
    pub offset: i32,
    /// Length in bytes, or high half of `wide`.
    pub len: u32,
}

impl Op {
    /// The 64-bit constant in `offset` and `len`.
    #[must_use]
    pub const fn wide(&self) -> u64 {
        (self.offset as u32 as u64) | ((self.len as u64) << 32)
    }

    /// The same op with its 64-bit constant set.
    #[must_use]
    pub const fn with_wide(mut self, value: u64) -> Self {
        self.offset = value as u32 as i32;
        self.len = (value >> 32) as u32;
        self
    }
}

const _: () = assert!(size_of::<Op>() == 16 && align_of::<Op>() == 4);
