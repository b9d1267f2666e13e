//! One op of a plan.

use tracer_common::float;
use tracer_common::limits::{MAX_COPY, MAX_RECORD};
use tracer_common::op::{self, EncodedOp, alu};
use tracer_common::record::{
    CHUNK_CUT, CHUNK_FAULT, CHUNK_NO_ROOM, CHUNK_OK, FLAG_NO_ROOM, RecordHeader,
};
use tracer_common::wide::{self, WideInteger};

use crate::arch::PAGE;
use crate::calls::{timing, trace};
use crate::maps::{OPS, ScratchArea};
use crate::memory::missed::missed;
use crate::memory::{read_user, read_user_string};
use crate::numbers::{extend, holds, jump, register, set};
use crate::outcome;
use crate::processes::places;

/// Bytes of a chunk header.
const HEADER: u32 = 8;
/// Shows the verifier that an offset is in the record.
const OFFSET_MASK: u32 = MAX_RECORD - 1;
/// Shows the verifier that a length is bounded. [`MAX_COPY`] itself must fit.
const LENGTH_MASK: u32 = 2 * MAX_COPY - 1;

/// Argument that the loop passes to each step.
#[repr(C)]
pub struct Run {
    /// The hit's own area. All state that changes from step to step is in it, and none on the
    /// stack: the verifier does not track values in map memory through the loop.
    pub scratch: *mut ScratchArea,
}

/// Runs the next op. Returns 1 to end the loop.
pub unsafe extern "C" fn step(_index: u32, run: *mut Run) -> i64 {
    // SAFETY: the kernel passes on the argument of `bpf_loop`.
    next::<false>(unsafe { &mut *(*run).scratch })
}

/// Runs the next op of a plan that computes with floats or with integers of 128 bits. Returns 1 to
/// end the loop.
pub unsafe extern "C" fn step_computing(_index: u32, run: *mut Run) -> i64 {
    // SAFETY: as in `step`.
    next::<true>(unsafe { &mut *(*run).scratch })
}

/// Runs the next op of a plan that has common ops only. Returns 1 to end the loop.
pub unsafe extern "C" fn step_common(_index: u32, run: *mut Run) -> i64 {
    // SAFETY: as in `step`.
    let area = unsafe { &mut *(*run).scratch };
    match next_common::<false>(area) {
        StepOutcome::Done => 0,
        StepOutcome::Last => 1,
        // Userspace gives this program no such plan.
        StepOutcome::Other => {
            area.ended = outcome::LOST;
            1
        }
    }
}

/// Runs the next op. Returns 1 if it was the last.
#[inline(always)]
fn next<const COMPUTES: bool>(area: &mut ScratchArea) -> i64 {
    let Some(op) = fetch(area) else {
        area.ended = outcome::SENT;
        return 1;
    };
    area.next = area.next.wrapping_add(1);
    execute::<COMPUTES>(area, op);
    i64::from(area.ended != outcome::RUNNING)
}

/// The next op; `None` after the plan's last one.
#[inline(always)]
fn fetch(area: &ScratchArea) -> Option<&'static EncodedOp> {
    let at = area.next;
    // The subtraction wraps, so an index before the first op is outside, too.
    if at.wrapping_sub(area.first) >= area.end.wrapping_sub(area.first) {
        return None;
    }
    OPS.get(at)
}

/// Runs the next op if it is one of the few that make up most plans.
///
/// The verifier follows this function once for each step outside of the kernel's loop, so it has
/// few ops. With `WHOLE`, the program can add hits up by number.
#[inline(always)]
pub fn next_common<const WHOLE: bool>(area: &mut ScratchArea) -> StepOutcome {
    let Some(op) = fetch(area) else {
        area.ended = outcome::SENT;
        return StepOutcome::Last;
    };
    let next = area.next.wrapping_add(1);
    match op.code {
        op::EMIT => emit(area, op),
        op::COPY => {
            let address = register(area, op.src).wrapping_add(op.offset as i64 as u64);
            copy(area, op, address, op.len, CHUNK_OK);
        }
        op::EXTEND => {
            let value = extend(register(area, op.src), op.size, op.a == 1);
            set(area, op.dst, value);
        }
        op::LOAD => {
            area.next = next;
            load(area, op);
            return StepOutcome::Done;
        }
        op::JUMP_IF_CONST => {
            area.next = next;
            if holds(op.size, register(area, op.dst), op.wide()) {
                jump(area, op.a);
            }
            return StepOutcome::Done;
        }
        op::END => area.ended = outcome::SENT,
        op::REJECT => area.ended = outcome::REJECTED,
        op::COUNT => area.ended = outcome::COUNTED,
        op::TALLY if WHOLE => tally(area, op),
        _ => return StepOutcome::Other,
    }
    area.next = next;
    if area.ended == outcome::RUNNING {
        StepOutcome::Done
    } else {
        StepOutcome::Last
    }
}

/// Outcome of an op.
#[derive(PartialEq, Eq)]
pub enum StepOutcome {
    /// The op has run, and others follow.
    Done,
    /// The op was the last one.
    Last,
    /// The op is not a common one, and has not run.
    Other,
}

/// Runs an op.
#[inline(always)]
fn execute<const COMPUTES: bool>(area: &mut ScratchArea, op: &EncodedOp) {
    match op.code {
        op::COPY => {
            let address = register(area, op.src).wrapping_add(op.offset as i64 as u64);
            copy(area, op, address, op.len, CHUNK_OK);
        }
        op::EMIT => emit(area, op),
        op::CONST => set(area, op.dst, op.wide()),
        op::ALU => {
            let value = calculate(op.a, register(area, op.src), register(area, op.size));
            set(area, op.dst, value);
        }
        op::ALU_CONST => {
            let value = calculate(op.a, register(area, op.src), op.wide());
            set(area, op.dst, value);
        }
        op::EXTEND => {
            let value = extend(register(area, op.src), op.size, op.a == 1);
            set(area, op.dst, value);
        }
        op::JUMP => jump(area, op.a),
        op::JUMP_IF => {
            if holds(op.size, register(area, op.dst), register(area, op.src)) {
                jump(area, op.a);
            }
        }
        op::JUMP_IF_CONST => {
            if holds(op.size, register(area, op.dst), op.wide()) {
                jump(area, op.a);
            }
        }
        op::LOAD => load(area, op),
        op::LOAD_RECORD => load_record(area, op),
        op::COPY_COUNTED => copy_counted(area, op),
        op::COPY_STRING => copy_string(area, op),
        op::COPY_PARTIAL => copy_partial(area, op),
        op::MARK => {
            let status = why(area, u32::from(op.size));
            chunk(area, op.a, status as u8, 0);
        }
        op::APPEND => append(area, op),
        op::APPEND_COPY => append_copy(area, op),
        op::COUNT => area.ended = outcome::COUNTED,
        op::TALLY => tally(area, op),
        op::TALLY_RECORD => area.ended = outcome::TALLIED_RECORD,
        op::ENTER | op::LEAVE | op::FORGET | op::KEPT => timing::run(area, op),
        op::STEP => trace::run(area, op),
        op::MODULE => places::find(area, op),
        op::PLACE => places::put(area, op),
        op::FLOAT if COMPUTES => float_op(area, op),
        op::WIDE if COMPUTES => wide_op(area, op),
        op::REJECT => area.ended = outcome::REJECTED,
        op::FAULT => area.ended = outcome::FAULTED,
        _ => area.ended = outcome::SENT,
    }
}

/// The plan's status for a missing number. If the number could not be read, it is the reason.
#[inline(always)]
fn why(area: &ScratchArea, status: u32) -> u32 {
    if status == u32::from(CHUNK_FAULT) {
        area.fault
    } else {
        status
    }
}

#[inline(always)]
fn tally(area: &mut ScratchArea, op: &EncodedOp) {
    area.status = why(area, op.a);
    area.number = register(area, op.src);
    area.ended = outcome::TALLIED;
}

/// Size in bytes of an appended number: at most 8.
#[inline(always)]
fn number_size(size: u8) -> u32 {
    if size > 8 { 8 } else { u32::from(size) }
}

#[inline(always)]
fn calculate(operation: u32, a: u64, b: u64) -> u64 {
    match operation {
        alu::ADD => a.wrapping_add(b),
        alu::SUB => a.wrapping_sub(b),
        alu::MUL => a.wrapping_mul(b),
        alu::DIV => a.checked_div(b).unwrap_or(0),
        alu::REM => {
            if b == 0 {
                0
            } else {
                a % b
            }
        }
        alu::AND => a & b,
        alu::OR => a | b,
        alu::XOR => a ^ b,
        alu::SHL => a.wrapping_shl(b as u32),
        alu::SHR => a.wrapping_shr(b as u32),
        alu::SAR => (a as i64).wrapping_shr(b as u32) as u64,
        alu::SDIV => signed_divide(a, b),
        alu::SREM => {
            if b == 0 {
                0
            } else {
                a.wrapping_sub(signed_divide(a, b).wrapping_mul(b))
            }
        }
        alu::FLOOR => floor_divide(a, b),
        alu::BITS => bits(a),
        alu::SBITS => {
            if (a as i64) < 0 {
                bits(a.wrapping_neg()).wrapping_neg()
            } else {
                bits(a)
            }
        }
        _ => 0,
    }
}

/// Signed division that rounds down.
#[inline(always)]
fn floor_divide(a: u64, b: u64) -> u64 {
    let quotient = signed_divide(a, b);
    let rest = a.wrapping_sub(quotient.wrapping_mul(b));
    if b != 0 && rest != 0 && ((rest ^ b) as i64) < 0 {
        quotient.wrapping_sub(1)
    } else {
        quotient
    }
}

/// Number of bits of a number, without leading zeroes.
#[inline(always)]
fn bits(value: u64) -> u64 {
    let mut left = value;
    let mut bits = 0;
    if left >> 32 != 0 {
        left >>= 32;
        bits += 32;
    }
    if left >> 16 != 0 {
        left >>= 16;
        bits += 16;
    }
    if left >> 8 != 0 {
        left >>= 8;
        bits += 8;
    }
    if left >> 4 != 0 {
        left >>= 4;
        bits += 4;
    }
    if left >> 2 != 0 {
        left >>= 2;
        bits += 2;
    }
    if left >> 1 != 0 {
        left >>= 1;
        bits += 1;
    }
    bits + left
}

/// Signed division. eBPF has an instruction for it since Linux 6.6 only.
#[inline(always)]
fn signed_divide(a: u64, b: u64) -> u64 {
    if b == 0 {
        return 0;
    }
    let magnitude = |value: u64| {
        if (value as i64) < 0 {
            value.wrapping_neg()
        } else {
            value
        }
    };
    let quotient = magnitude(a) / magnitude(b);
    if ((a ^ b) as i64) < 0 {
        quotient.wrapping_neg()
    } else {
        quotient
    }
}

#[inline(always)]
fn load(area: &mut ScratchArea, op: &EncodedOp) {
    let address = register(area, op.src).wrapping_add(op.offset as i64 as u64);
    let size = u32::from(op.size) & 15;
    area.word = 0;
    // SAFETY: 8 bytes have room for a size of at most 8.
    let is_read = size <= 8 && unsafe { read_user((&raw mut area.word).cast(), size, address) };
    // A read of no bytes never fails.
    if !is_read && size != 0 {
        missed(area, address, size);
        jump(area, op.a);
        return;
    }
    let value = extend(area.word, op.size, op.len == 1);
    set(area, op.dst, value);
}

// The functions below are out of line to keep their stack apart.

#[inline(never)]
fn float_op(area: &mut ScratchArea, op: &EncodedOp) {
    let (a, b) = (register(area, op.src), register(area, op.size));
    if float::has_result(op.len, a, b) {
        let value = float::calculate(op.len, a, b);
        set(area, op.dst, value);
    } else {
        jump(area, op.a);
    }
}

#[inline(never)]
fn wide_op(area: &mut ScratchArea, op: &EncodedOp) {
    let b = WideInteger {
        low: register(area, op.size),
        high: register(area, (op.offset >> 8) as u8),
    };
    let a = WideInteger {
        low: register(area, op.src),
        high: register(area, op.offset as u8),
    };
    if wide::has_result(op.len, a, b) {
        let value = wide::calculate(op.len, a, b);
        set(area, op.dst, value);
    } else {
        jump(area, op.a);
    }
}

#[inline(never)]
fn load_record(area: &mut ScratchArea, op: &EncodedOp) {
    let at = register(area, op.src).wrapping_add(op.offset as i64 as u64);
    let size = u64::from(op.size);
    // The header is written last, so it cannot be read here.
    let outside = at < size_of::<RecordHeader>() as u64
        || at >= u64::from(MAX_RECORD)
        || at.wrapping_add(size) > u64::from(area.length);
    if outside || size == 0 || size > 8 {
        jump(area, op.a);
        return;
    }
    let at = at as usize & OFFSET_MASK as usize;
    // SAFETY: the mask keeps it in the record, and there is room after the record's last byte.
    let value = unsafe { area.record.as_ptr().add(at).cast::<u64>().read_unaligned() };
    set(area, op.dst, extend(value, op.size, op.len == 1));
}

/// Writes a chunk header for `length` bytes of data, which the caller has already written after it.
#[inline(always)]
fn chunk(area: &mut ScratchArea, slot: u32, status: u8, length: u32) -> u32 {
    let at = area.length;
    if at.wrapping_add(HEADER) > MAX_RECORD || at >= MAX_RECORD {
        area.flags |= FLAG_NO_ROOM;
        // Later chunks could not be told apart, so the record ends here.
        area.ended = outcome::SENT;
        return 0;
    }
    let header = u64::from(slot & 0xffff) | u64::from(status) << 16 | u64::from(length) << 32;
    // SAFETY: the mask keeps it in the record.
    unsafe {
        area.record
            .as_mut_ptr()
            .add((at & OFFSET_MASK) as usize)
            .cast::<u64>()
            .write_unaligned(header);
    }
    area.chunk = at;
    area.length = at
        .wrapping_add(HEADER)
        .wrapping_add(length.wrapping_add(7) & !7);
    at.wrapping_add(HEADER)
}

/// Returns true if a chunk of `length` bytes fits. Otherwise marks the chunk as left out.
#[inline(always)]
fn fits(area: &mut ScratchArea, dst: u8, slot: u32, length: u32) -> bool {
    let end = area
        .length
        .wrapping_add(HEADER)
        .wrapping_add(length.wrapping_add(7) & !7);
    if length <= MAX_COPY && end <= MAX_RECORD {
        return true;
    }
    area.flags |= FLAG_NO_ROOM;
    chunk(area, slot, CHUNK_NO_ROOM, 0);
    set(area, dst, 0);
    false
}

/// Address of the next chunk's data. Its last word is zeroed for the padding.
#[inline(always)]
fn data(area: &mut ScratchArea, length: u32) -> *mut u8 {
    let at = (area.length & OFFSET_MASK) as usize;
    // SAFETY: the masks keep it in the record and the room after it.
    unsafe {
        let data = area.record.as_mut_ptr().add(at + HEADER as usize);
        let last = ((length.wrapping_add(7) & !7).wrapping_sub(8) & LENGTH_MASK) as usize;
        data.add(last).cast::<u64>().write_unaligned(0);
        data
    }
}

/// Appends a chunk of `length` bytes at `address`, with the status `ok` if they can be read.
///
/// Out of line, because the loop around it has too little stack for it.
#[inline(never)]
fn copy(area: &mut ScratchArea, op: &EncodedOp, address: u64, length: u32, ok: u8) {
    if !fits(area, op.dst, op.a, length) {
        return;
    }
    if length == 0 {
        let at = chunk(area, op.a, ok, 0);
        set(area, op.dst, u64::from(at));
        return;
    }
    let to = data(area, length);
    // SAFETY: `data` has room for every masked length.
    if unsafe { read_user(to, length & LENGTH_MASK, address) } {
        let at = chunk(area, op.a, ok, length);
        set(area, op.dst, u64::from(at));
        return;
    }
    let status = missed(area, address, length);
    chunk(area, op.a, status as u8, 0);
    set(area, op.dst, 0);
}

#[inline(always)]
fn copy_partial(area: &mut ScratchArea, op: &EncodedOp) {
    let address = register(area, op.src).wrapping_add(op.offset as i64 as u64);
    let first = (PAGE - (address & (PAGE - 1))) as u32;
    let (mut length, mut ok) = (op.len, CHUNK_OK);
    if first < length && !is_readable_behind(area, op, address, first) {
        // Copy up to the end of the first page.
        (length, ok) = (first, CHUNK_CUT);
    }
    copy(area, op, address, length, ok);
}

/// Returns true if all bytes of the op after its first page can be read. Reports a missing page
/// among them. The copy itself reports a missing first page.
#[inline(never)]
fn is_readable_behind(area: &mut ScratchArea, op: &EncodedOp, address: u64, first: u32) -> bool {
    let end = (area.length)
        .wrapping_add(HEADER)
        .wrapping_add(op.len.wrapping_add(7) & !7);
    if op.len > MAX_COPY || end > MAX_RECORD {
        // The chunk has no room, so nothing is copied.
        return true;
    }
    let to = data(area, op.len);
    // SAFETY: `data` has room for every masked length.
    if unsafe { read_user(to, op.len & LENGTH_MASK, address) } {
        return true;
    }
    let flags = area.flags;
    let behind = address.wrapping_add(u64::from(first));
    missed(area, behind, op.len.wrapping_sub(first));
    // The bytes before the missing page are a value, so the record has no fault.
    area.flags = flags;
    false
}

#[inline(always)]
fn copy_counted(area: &mut ScratchArea, op: &EncodedOp) {
    let count = register(area, op.size);
    let most = (op.offset as u32).checked_div(op.len).unwrap_or(0);
    let (count, ok) = if count > u64::from(most) {
        (most, CHUNK_CUT)
    } else {
        (count as u32, CHUNK_OK)
    };
    let address = register(area, op.src);
    copy(area, op, address, count.wrapping_mul(op.len), ok);
}

#[inline(never)]
fn copy_string(area: &mut ScratchArea, op: &EncodedOp) {
    let most = op.len;
    // One more byte, for the zero at the end.
    if most >= MAX_COPY || !fits(area, op.dst, op.a, most.wrapping_add(1)) {
        if most >= MAX_COPY {
            area.flags |= FLAG_NO_ROOM;
            chunk(area, op.a, CHUNK_NO_ROOM, 0);
            set(area, op.dst, 0);
        }
        return;
    }
    let address = register(area, op.src).wrapping_add(op.offset as i64 as u64);
    let at = (area.length & OFFSET_MASK) as usize;
    // SAFETY: the masks keep it in the record and the room after it.
    let to = unsafe { area.record.as_mut_ptr().add(at + HEADER as usize) };
    let room = most.wrapping_add(1) & LENGTH_MASK;
    // SAFETY: `to` has room for every masked length.
    let read = unsafe { read_user_string(to, room, address) };
    if read < 0 {
        let status = missed_string(area, address);
        chunk(area, op.a, status as u8, 0);
        set(area, op.dst, 0);
        return;
    }
    // For an empty string some kernels (6.12 is one) return 0 bytes, and others 1.
    let length = if read == 0 {
        0
    } else {
        (read as u32).wrapping_sub(1) & LENGTH_MASK
    };
    let mut status = CHUNK_OK;
    // At the limit, the next byte tells if the string ends there by its own zero.
    if length >= most {
        let mut byte = 0_u8;
        let behind = address.wrapping_add(u64::from(length));
        // SAFETY: one byte has room for one byte.
        if unsafe { !read_user(&raw mut byte, 1, behind) } || byte != 0 {
            status = CHUNK_CUT;
        }
    }
    // SAFETY: as above. Zeroes the padding.
    unsafe { to.add(length as usize).cast::<u64>().write_unaligned(0) };
    let at = chunk(area, op.a, status, length);
    set(area, op.dst, u64::from(at));
}

/// Reports a string that could not be read: its first page, or the next one if the first is there.
#[inline(always)]
fn missed_string(area: &mut ScratchArea, address: u64) -> u32 {
    let mut byte = 0_u8;
    // SAFETY: one byte has room for one byte.
    let at = if unsafe { read_user(&raw mut byte, 1, address) } {
        (address | (PAGE - 1)).wrapping_add(1)
    } else {
        address
    };
    missed(area, at, 1)
}

#[inline(always)]
fn emit(area: &mut ScratchArea, op: &EncodedOp) {
    let size = number_size(op.size);
    if !fits(area, op.dst, op.a, size) {
        return;
    }
    let value = extend(register(area, op.src), size as u8, false);
    let at = (area.length & OFFSET_MASK) as usize;
    // SAFETY: the mask keeps it in the record and the room after it.
    unsafe {
        area.record
            .as_mut_ptr()
            .add(at + HEADER as usize)
            .cast::<u64>()
            .write_unaligned(value);
    }
    let at = chunk(area, op.a, CHUNK_OK, size);
    set(area, op.dst, u64::from(at));
}

/// Length of the last chunk's data. `None` if the chunk cannot grow by `by` bytes.
#[inline(always)]
fn grow(area: &mut ScratchArea, by: u32) -> Option<u32> {
    if area.chunk == 0 {
        return None;
    }
    let at = (area.chunk & OFFSET_MASK) as usize;
    // SAFETY: the mask keeps it in the record.
    let header = unsafe { area.record.as_ptr().add(at).cast::<u64>().read_unaligned() };
    let status = (header >> 16) as u8;
    let length = (header >> 32) as u32;
    if status != CHUNK_OK && status != CHUNK_CUT {
        return None;
    }
    let end = area
        .chunk
        .wrapping_add(HEADER)
        .wrapping_add(length)
        .wrapping_add(by);
    if by > MAX_COPY || end.wrapping_add(7) & !7 > MAX_RECORD {
        area.flags |= FLAG_NO_ROOM;
        fail_last(area, CHUNK_NO_ROOM);
        return None;
    }
    Some(length)
}

/// Removes the last chunk's data, and writes the reason into its status.
#[inline(always)]
fn fail_last(area: &mut ScratchArea, status: u8) {
    let at = (area.chunk & OFFSET_MASK) as usize;
    // SAFETY: the mask keeps it in the record.
    unsafe {
        let header = area.record.as_mut_ptr().add(at);
        header.add(2).write(status);
        header.add(4).cast::<u32>().write_unaligned(0);
    }
    area.length = area.chunk.wrapping_add(HEADER);
}

/// Sets the length of the last chunk, and that of the record.
#[inline(always)]
fn set_last(area: &mut ScratchArea, length: u32) {
    let at = (area.chunk & OFFSET_MASK) as usize;
    // SAFETY: the mask keeps it in the record.
    unsafe {
        area.record
            .as_mut_ptr()
            .add(at + 4)
            .cast::<u32>()
            .write_unaligned(length)
    };
    area.length = area
        .chunk
        .wrapping_add(HEADER)
        .wrapping_add(length.wrapping_add(7) & !7);
}

#[inline(never)]
fn append(area: &mut ScratchArea, op: &EncodedOp) {
    let size = number_size(op.size);
    let Some(length) = grow(area, size) else {
        return;
    };
    if size == 0 {
        return;
    }
    let value = extend(register(area, op.src), size as u8, false);
    let at = (area.chunk.wrapping_add(length) & OFFSET_MASK) as usize;
    // SAFETY: the mask keeps it in the record and the room after it.
    unsafe {
        let to = area.record.as_mut_ptr().add(at + HEADER as usize);
        to.cast::<u64>().write_unaligned(value);
        // Padding, if the value ends in the next word.
        to.add(8).cast::<u64>().write_unaligned(0);
    }
    set_last(area, length.wrapping_add(size));
}

#[inline(never)]
fn append_copy(area: &mut ScratchArea, op: &EncodedOp) {
    let Some(length) = grow(area, op.len) else {
        return;
    };
    let address = register(area, op.src).wrapping_add(op.offset as i64 as u64);
    let at = (area.chunk.wrapping_add(length) & OFFSET_MASK) as usize;
    // SAFETY: the masks keep it in the record and the room after it.
    let read = unsafe {
        let to = area.record.as_mut_ptr().add(at + HEADER as usize);
        let done = op.len == 0 || read_user(to, op.len & LENGTH_MASK, address);
        to.add((op.len & LENGTH_MASK) as usize)
            .cast::<u64>()
            .write_unaligned(0);
        done
    };
    if read {
        set_last(area, length.wrapping_add(op.len));
    } else {
        let status = missed(area, address, op.len);
        fail_last(area, status as u8);
    }
}
