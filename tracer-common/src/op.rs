//! Ops of the capture machine. A plan is a sequence of them, which the eBPF program runs.
//!
//! The machine has [`REGISTERS`](crate::limits::REGISTERS) 64-bit registers. A plan may use those
//! below [`TARGET_REGISTERS`] freely. Next are the target's registers (see [`crate::arch`]), and
//! then registers with data of the thread and the hit, from [`PID`] on.
//!
//! A capture appends *chunks* to the record (see [`crate::record`]). Jump targets are relative to
//! the plan's first op. A jump out of the plan ends it. Backward jumps make loops, bounded by
//! [`MAX_STEPS`](crate::limits::MAX_STEPS).

pub use crate::arch::{FLAGS_REGISTER, INSTRUCTION_POINTER, TARGET_REGISTERS, THREAD_POINTER};

/// Machine register with the process id. This register and those up to [`COMM`] are filled on
/// [`NEEDS_TASK`](crate::control::NEEDS_TASK) only.
pub const PID: u8 = crate::arch::BEHIND_TARGET;
/// Machine register with the thread id.
pub const TID: u8 = PID + 1;
/// Machine register with the number of the hit.
pub const HIT: u8 = PID + 2;
/// First of two machine registers with the thread's name, zero-padded.
pub const COMM: u8 = PID + 3;
/// Machine register with the time from [`ENTER`] to [`LEAVE`] in ns. [`LEAVE`] fills it.
pub const ELAPSED: u8 = PID + 5;
const _: () = assert!((ELAPSED as usize) < crate::limits::REGISTERS);

/// First machine register with the words of a watched value after the access, on
/// [`WATCHES`](crate::control::WATCHES) only. A plan of a watched value has no timing.
pub const NEW_WORDS: u8 = ELAPSED;
/// First machine register with the words of a watched value before the access.
pub const OLD_WORDS: u8 = NEW_WORDS + crate::watch::WORDS as u8;
const _: () = assert!(OLD_WORDS as usize + crate::watch::WORDS <= crate::limits::REGISTERS);
/// Machine register with the kind of an access to a watched value, see [`crate::watch::BY_PROGRAM`].
pub const ACCESS: u8 = FLAGS_REGISTER;

/// Ends the plan: the record is sent.
pub const END: u8 = 0;
/// Ends the plan: its condition was false. Nothing is sent.
pub const REJECT: u8 = 1;
/// Ends the plan: a read of its condition failed. Nothing is sent.
pub const FAULT: u8 = 2;
/// `r[dst] = wide`.
pub const CONST: u8 = 3;
/// `r[dst] = r[src] OP r[size]`, OP in `a` (see [`alu`]).
pub const ALU: u8 = 4;
/// `r[dst] = r[src] OP wide`, OP in `a` (see [`alu`]).
pub const ALU_CONST: u8 = 5;
/// `r[dst]` = the low `size` bytes of `r[src]`, sign-extended if `a` is 1, else zero-extended.
pub const EXTEND: u8 = 6;
/// Jumps to op `a`.
pub const JUMP: u8 = 7;
/// Jumps to op `a` if `r[dst] COND r[src]`, COND in `size` (see [`cond`]).
pub const JUMP_IF: u8 = 8;
/// Jumps to op `a` if `r[dst] COND wide`, COND in `size`.
pub const JUMP_IF_CONST: u8 = 9;
/// `r[dst]` = `size` (1, 2, 4, 8) bytes of user memory at `r[src] + offset`,
/// zero-extended (sign-extended if `len` is 1). A failed read jumps to op `a`.
pub const LOAD: u8 = 10;
/// Like [`LOAD`], but from the record under construction, at its byte `r[src] + offset`. A load
/// outside of the chunks written so far jumps to op `a`.
pub const LOAD_RECORD: u8 = 11;
/// Appends chunk `a`: `len` bytes of user memory at `r[src] + offset`.
/// `r[dst]` = record offset of the chunk's data, or 0 if it has none.
pub const COPY: u8 = 12;
/// Appends chunk `a`: `min(r[size] * len, offset)` bytes (`len` the size of an
/// element, `offset` the limit in bytes) of user memory at `r[src]`, in whole
/// elements. `r[dst]` as for [`COPY`].
pub const COPY_COUNTED: u8 = 13;
/// Appends chunk `a`: user memory at `r[src] + offset` up to a zero byte,
/// which is not part of the chunk, or `len` bytes ([`crate::record::CHUNK_CUT`]). The byte
/// after the limit must be readable too.
/// `r[dst]` as for [`COPY`].
pub const COPY_STRING: u8 = 14;
/// Appends chunk `a`: up to `len` bytes of user memory at `r[src] + offset`,
/// ending at the last readable page ([`crate::record::CHUNK_CUT`]).
/// `r[dst]` as for [`COPY`].
pub const COPY_PARTIAL: u8 = 15;
/// Appends chunk `a`: the low `size` bytes of `r[src]`. `r[dst]` as for [`COPY`].
pub const EMIT: u8 = 16;
/// Appends chunk `a` without data, with status `size`. [`crate::record::CHUNK_FAULT`] becomes
/// [`crate::record::CHUNK_ABSENT`], [`crate::record::CHUNK_UNREAD`] or
/// [`crate::record::CHUNK_UNPLACED`] if that is why the last read failed.
pub const MARK: u8 = 17;
/// Adds the low `size` bytes of `r[src]` to the data of the last chunk, for values that are
/// assembled from pieces.
pub const APPEND: u8 = 18;
/// Adds `len` bytes of user memory at `r[src] + offset` to the data of the last chunk. If they
/// cannot be read, the chunk's status becomes [`crate::record::CHUNK_FAULT`],
/// [`crate::record::CHUNK_ABSENT`] or [`crate::record::CHUNK_UNREAD`], and its length 0.
pub const APPEND_COPY: u8 = 19;

/// Ends the plan: the hit is counted. Nothing is sent.
pub const COUNT: u8 = 20;
/// Ends the plan: adds one to the number entry of (site, status `a` as for [`MARK`], `r[src]`), see
/// [`crate::aggregate`]. Nothing is sent.
pub const TALLY: u8 = 21;
/// Ends the plan: adds one to the entry of the record's bytes after its header, at most
/// [`KEY_BYTES`](crate::aggregate::KEY_BYTES) of them. Nothing is sent.
pub const TALLY_RECORD: u8 = 22;

/// In `size` of an op of a timing: chunks are kept from the beginning to the end.
pub const KEEPS: u8 = 1;
/// In `size` of an op of a timing: calls that are left are told.
pub const TELLS_LEFT: u8 = 2;

/// Begins the timing of the frame `r[src] + offset` and the group `a`; see [`crate::timing`].
///
/// The plan continues. At its end, the beginning is stored, with the record's chunks if `size` has
/// [`KEEPS`] (at most [`KEPT_BYTES`](crate::limits::KEPT_BYTES)). An open beginning of the same frame and
/// group is counted as unfinished. If `size` has [`TELLS_LEFT`], a record of that call is sent instead
/// ([`FLAG_LEFT`](crate::record::FLAG_LEFT)). Otherwise nothing is sent. If `dst` is 1, only the first pass after a
/// [`FORGET`] with `dst` 1 is a beginning; any other pass ends the plan.
///
/// The site's flags must match the op.
pub const ENTER: u8 = 23;
/// Ends the timing of the frame `r[src] + offset` and the group `a`: `r[ELAPSED]` = ns since its
/// beginning, which is removed when the plan ends. Ends the plan if there is no beginning. `size`
/// as for [`ENTER`].
pub const LEAVE: u8 = 24;
/// Ends the plan: cancels the timings of the frame `r[src] + offset` in the groups 0 to `a`. If
/// `dst` is 1, it also announces a call, whose timing begins at a later [`ENTER`].
pub const FORGET: u8 = 25;
/// Appends the chunks that were stored at [`ENTER`].
pub const KEPT: u8 = 26;

/// `r[dst] = r[src] OP r[size]`, of floats, OP in `len` (see [`float`]). Jumps to op `a` if the
/// result does not fit into its type.
pub const FLOAT: u8 = 27;
/// `r[dst]` = one half of `a OP b`, of integers of 128 bits, OP in `len` (see [`wide`]). `a` is
/// `r[src]` with the upper half in `r[offset & 255]`; `b` is `r[size]` with the upper half in
/// `r[offset >> 8 & 255]`. A division by zero, and one of the least signed number by -1, jumps to
/// op `a`.
pub const WIDE: u8 = 28;

/// `r[dst]` = the bias of module `len` in the process of the hit, see [`crate::places`]. Jumps to op
/// `a` if it is not known, with [`crate::record::CHUNK_UNPLACED`] as the reason. For a module that the
/// process has not loaded it is [`NOWHERE`](crate::places::NOWHERE), or not known if `size` is 1.
pub const MODULE: u8 = 29;
/// `r[src]` is the place of module `len` in the process of the hit from now on; if `size` is 1, only if
/// it has none.
pub const PLACE: u8 = 30;

/// A step of a traced call, in the frame `r[src] + offset`; see [`crate::trace`]. The low
/// [`ROLE_BITS`](crate::trace::ROLE_BITS) of `a` are the roles of the site, and the others its place in the order
/// of addresses. `len` is the number of its line, from 1; 0 if no line begins there. `r[size]` is the
/// address that a site with [`CALLS_COMPUTED`](crate::trace::CALLS_COMPUTED) calls. `r[dst]` = 1 if the pass takes a
/// call once the plan has ended, else 0.
///
/// Ends the plan if the thread is not in a frame that is recorded. It is the first op that adds to the record.
pub const STEP: u8 = 31;

/// Operations of [`ALU`] and [`ALU_CONST`]. All wrap at 64 bits.
#[expect(missing_docs, reason = "the names say it")]
pub mod alu {
    pub const ADD: u32 = 0;
    pub const SUB: u32 = 1;
    pub const MUL: u32 = 2;
    /// Unsigned. Zero for a division by zero (a plan checks first).
    pub const DIV: u32 = 3;
    /// Unsigned. Zero for a division by zero (a plan checks first).
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
    /// Signed division that rounds down. Zero for a division by zero.
    pub const FLOOR: u32 = 13;
    /// Number of bits of the unsigned `a`, without leading zeroes. Ignores `b`.
    pub const BITS: u32 = 14;
    /// Like [`BITS`], but signed: the negated number of bits of `-a` if `a` is negative.
    pub const SBITS: u32 = 15;
}

/// Operations of [`FLOAT`] on the bits of `f64`, or of `f32` where the name says `SINGLE`.
///
/// Every NaN result has the same bits: those of the quiet NaN without a sign.
#[expect(missing_docs, reason = "the names say it")]
pub mod float {
    pub const ADD: u32 = 0;
    pub const SUB: u32 = 1;
    pub const MUL: u32 = 2;
    pub const DIV: u32 = 3;
    /// The remainder after a division that rounds towards zero, as `fmod`.
    pub const REM: u32 = 4;
    /// One of [`LESS`], [`EQUAL`], [`GREATER`], [`UNORDERED`].
    pub const COMPARE: u32 = 5;
    pub const FROM_SINGLE: u32 = 6;
    pub const TO_SINGLE: u32 = 7;
    /// From an integer of 64 bits.
    pub const FROM_UNSIGNED: u32 = 8;
    pub const FROM_SIGNED: u32 = 9;
    /// From an integer of 128 bits: `a` is its lower half, `b` its upper half.
    pub const FROM_WIDE_UNSIGNED: u32 = 10;
    pub const FROM_WIDE_SIGNED: u32 = 11;
    pub const SINGLE_FROM_UNSIGNED: u32 = 12;
    pub const SINGLE_FROM_SIGNED: u32 = 13;
    pub const SINGLE_FROM_WIDE_UNSIGNED: u32 = 14;
    pub const SINGLE_FROM_WIDE_SIGNED: u32 = 15;
    /// To an integer of `b` bits (8, 16, 32, else 64): truncated, and saturated to the type's range;
    /// 0 for a NaN. With [`LOWER`] or [`UPPER`], a half of an integer of 128 bits.
    pub const TO_UNSIGNED: u32 = 16;
    pub const TO_SIGNED: u32 = 17;
    /// To an integer of `b` bits, truncated. There is no result if the integer part of `a` does not
    /// fit into `b` bits.
    pub const TRUNCATE_UNSIGNED: u32 = 18;
    pub const TRUNCATE_SIGNED: u32 = 19;

    /// In place of a number of bits: the lower or upper half of an integer of 128 bits.
    pub const LOWER: u64 = 128;
    pub const UPPER: u64 = 129;

    /// Results of [`COMPARE`].
    pub const LESS: u64 = 1;
    pub const EQUAL: u64 = 2;
    pub const GREATER: u64 = 4;
    pub const UNORDERED: u64 = 8;
}

/// Operations of [`WIDE`]. All wrap at 128 bits.
#[expect(missing_docs, reason = "the names say it")]
pub mod wide {
    pub const MUL_HIGH: u32 = 0;
    /// The count is the low seven bits of the lower half of `b`.
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

/// Conditions of [`JUMP_IF`] and [`JUMP_IF_CONST`]. An S means signed.
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

    /// The negated condition. `None` if the number is not a condition.
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

/// One op: 16 bytes. The meaning of the fields depends on the code.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct EncodedOp {
    /// Code of the op: [`END`] and the others above.
    pub code: u8,
    /// Destination register (for jumps: the left side of the comparison).
    pub dst: u8,
    /// Source register.
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

impl EncodedOp {
    /// The 64-bit constant in `offset` and `len`.
    #[must_use]
    pub const fn wide(&self) -> u64 {
        (self.offset as u32 as u64) | ((self.len as u64) << 32)
    }

    /// The op with this 64-bit constant.
    #[must_use]
    pub const fn with_wide(mut self, value: u64) -> Self {
        self.offset = value as u32 as i32;
        self.len = (value >> 32) as u32;
        self
    }
}

const _: () = assert!(size_of::<EncodedOp>() == 16 && align_of::<EncodedOp>() == 4);
