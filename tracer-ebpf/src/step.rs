//! One op of a plan.

use tracer_common::limits::{MAX_COPY, MAX_RECORD};
use tracer_common::op::{self, Op, alu, cond};
use tracer_common::record::{
    CHUNK_CUT, CHUNK_FAULT, CHUNK_NO_ROOM, CHUNK_OK, FLAG_NO_ROOM, RecordHeader,
};
use tracer_common::{float, wide};

use crate::maps::{OPS, Scratch};
use crate::memory::{read_user, read_user_string};
use crate::missed::missed;
use crate::outcome;
use crate::timing;

/// Bytes of a chunk header.
const HEADER: u32 = 8;
/// Offsets in the record, as the verifier sees them.
const OFFSET_MASK: u32 = MAX_RECORD - 1;
/// Lengths of copies, as the verifier sees them: [`MAX_COPY`] itself must fit.
const LENGTH_MASK: u32 = 2 * MAX_COPY - 1;
const PAGE: u64 = 4096;

/// What the loop hands to each step.
#[repr(C)]
pub struct Run {
    /// The hit's own area. All that changes from step to step is in it, and not on the
    /// stack: what the verifier knows nothing about, it need not follow through the loop.
    pub scratch: *mut Scratch,
}

/// Runs the next op; 1 ends the loop.
pub unsafe extern "C" fn step(_index: u32, run: *mut Run) -> i64 {
    // SAFETY: the kernel hands on what `bpf_loop` was given.
    next::<false>(unsafe { &mut *(*run).scratch })
}

/// The same of plans that compute with floats and with integers of 128 bits.
pub unsafe extern "C" fn step_computing(_index: u32, run: *mut Run) -> i64 {
    // SAFETY: as in `step`.
    next::<true>(unsafe { &mut *(*run).scratch })
}

/// Runs the next op of a plan of common ones; 1 ends the loop.
pub unsafe extern "C" fn step_common(_index: u32, run: *mut Run) -> i64 {
    // SAFETY: as in `step`.
    let area = unsafe { &mut *(*run).scratch };
    match next_common::<false>(area) {
        Step::Done => 0,
        Step::Last => 1,
        // Userspace gives this program no such plan.
        Step::Other => {
            area.ended = outcome::LOST;
            1
        }
    }
}

/// Runs the next op; 1 when it was the last.
#[inline(always)]
fn next<const COMPUTES: bool>(area: &mut Scratch) -> i64 {
    let Some(op) = fetch(area) else {
        area.ended = outcome::SENT;
        return 1;
    };
    area.next = area.next.wrapping_add(1);
    execute::<COMPUTES>(area, op);
    i64::from(area.ended != outcome::RUNNING)
}

/// The next op; `None` behind the plan's last.
#[inline(always)]
fn fetch(area: &Scratch) -> Option<&'static Op> {
    let at = area.next;
    // Unsigned: an index before the first op is as far outside as one behind the last.
    if at.wrapping_sub(area.first) >= area.end.wrapping_sub(area.first) {
        return None;
    }
    OPS.get(at)
}

/// Runs the next op if it is one of the few that most plans are made of: the verifier goes
/// through this once for each step that is made without the kernel's loop. `WHOLE`: the program
/// adds hits up by number.
#[inline(always)]
pub fn next_common<const WHOLE: bool>(area: &mut Scratch) -> Step {
    let Some(op) = fetch(area) else {
        area.ended = outcome::SENT;
        return Step::Last;
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
            return Step::Done;
        }
        op::JUMP_IF_CONST => {
            area.next = next;
            if holds(op.size, register(area, op.dst), op.wide()) {
                jump(area, op.a);
            }
            return Step::Done;
        }
        op::END => area.ended = outcome::SENT,
        op::REJECT => area.ended = outcome::REJECTED,
        op::COUNT => area.ended = outcome::COUNTED,
        op::TALLY if WHOLE => tally(area, op),
        _ => return Step::Other,
    }
    area.next = next;
    if area.ended == outcome::RUNNING {
        Step::Done
    } else {
        Step::Last
    }
}

/// What became of an op.
#[derive(PartialEq, Eq)]
pub enum Step {
    /// It was run; others follow.
    Done,
    /// It was the last.
    Last,
    /// It is none of the common ones, and was not run.
    Other,
}

#[inline(always)]
fn execute<const COMPUTES: bool>(area: &mut Scratch, op: &Op) {
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
        op::FLOAT if COMPUTES => float_op(area, op),
        op::WIDE if COMPUTES => wide_op(area, op),
        op::REJECT => area.ended = outcome::REJECTED,
        op::FAULT => area.ended = outcome::FAULTED,
        _ => area.ended = outcome::SENT,
    }
}

/// The plan's status for a missing number; for a number that could not be read, the reason.
#[inline(always)]
fn why(area: &Scratch, status: u32) -> u32 {
    if status == u32::from(CHUNK_FAULT) {
        area.fault
    } else {
        status
    }
}

#[inline(always)]
fn tally(area: &mut Scratch, op: &Op) {
    area.status = why(area, op.a);
    area.number = register(area, op.src);
    area.ended = outcome::TALLIED;
}

#[inline(always)]
pub fn register(area: &Scratch, index: u8) -> u64 {
    area.registers[usize::from(index & 63)]
}

#[inline(always)]
fn set(area: &mut Scratch, index: u8, value: u64) {
    area.registers[usize::from(index & 63)] = value;
}

#[inline(always)]
fn jump(area: &mut Scratch, to: u32) {
    area.next = area.first.wrapping_add(to);
}

/// Bytes of a number that is appended: at most 8.
#[inline(always)]
fn number_size(size: u8) -> u32 {
    if size > 8 { 8 } else { u32::from(size) }
}

/// Low `size` bytes of `value`.
#[inline(always)]
pub fn extend(value: u64, size: u8, signed: bool) -> u64 {
    let shift = 64_u32.wrapping_sub(u32::from(size).wrapping_mul(8)) & 63;
    let high = value.wrapping_shl(shift);
    if signed {
        (high as i64).wrapping_shr(shift) as u64
    } else {
        high.wrapping_shr(shift)
    }
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

/// Bits that a number needs.
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

/// Signed division by hand: the instruction came with Linux 6.6.
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

/// Whether `a` compares so with `b`.
#[inline(always)]
pub fn holds(condition: u8, a: u64, b: u64) -> bool {
    match condition {
        cond::EQ => a == b,
        cond::NE => a != b,
        cond::LT => a < b,
        cond::LE => a <= b,
        cond::GT => a > b,
        cond::GE => a >= b,
        cond::SLT => (a as i64) < (b as i64),
        cond::SLE => (a as i64) <= (b as i64),
        cond::SGT => (a as i64) > (b as i64),
        cond::SGE => (a as i64) >= (b as i64),
        _ => false,
    }
}

#[inline(always)]
fn load(area: &mut Scratch, op: &Op) {
    let address = register(area, op.src).wrapping_add(op.offset as i64 as u64);
    let size = u32::from(op.size) & 15;
    area.word = 0;
    // SAFETY: 8 bytes have room for a size of at most 8.
    let is_read = size <= 8 && unsafe { read_user((&raw mut area.word).cast(), size, address) };
    // Of no bytes, none is missing.
    if !is_read && size != 0 {
        missed(area, address, size);
        jump(area, op.a);
        return;
    }
    let value = extend(area.word, op.size, op.len == 1);
    set(area, op.dst, value);
}

/// Out of line, as what follows, for the stack's sake.
#[inline(never)]
fn float_op(area: &mut Scratch, op: &Op) {
    let (a, b) = (register(area, op.src), register(area, op.size));
    if float::has_result(op.len, a, b) {
        let value = float::calculate(op.len, a, b);
        set(area, op.dst, value);
    } else {
        jump(area, op.a);
    }
}

#[inline(never)]
fn wide_op(area: &mut Scratch, op: &Op) {
    let b = (
        register(area, op.size),
        register(area, (op.offset >> 8) as u8),
    );
    let a = (register(area, op.src), register(area, op.offset as u8));
    if wide::has_result(op.len, a, b) {
        let value = wide::calculate(op.len, a, b);
        set(area, op.dst, value);
    } else {
        jump(area, op.a);
    }
}

#[inline(never)]
fn load_record(area: &mut Scratch, op: &Op) {
    let at = register(area, op.src).wrapping_add(op.offset as i64 as u64);
    let size = u64::from(op.size);
    // The header is written last: it is no part of what can be read.
    let outside = at < size_of::<RecordHeader>() as u64
        || at >= u64::from(MAX_RECORD)
        || at.wrapping_add(size) > u64::from(area.length);
    if outside || size == 0 || size > 8 {
        jump(area, op.a);
        return;
    }
    let at = at as usize & OFFSET_MASK as usize;
    // SAFETY: the mask keeps it in the record, which has room behind its last byte.
    let value = unsafe { area.record.as_ptr().add(at).cast::<u64>().read_unaligned() };
    set(area, op.dst, extend(value, op.size, op.len == 1));
}

/// Writes a chunk header for `length` bytes of data, which the caller has put behind it.
#[inline(always)]
fn chunk(area: &mut Scratch, slot: u32, status: u8, length: u32) -> u32 {
    let at = area.length;
    if at.wrapping_add(HEADER) > MAX_RECORD || at >= MAX_RECORD {
        area.flags |= FLAG_NO_ROOM;
        // Nothing that comes later could be told apart: the record ends here.
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

/// Whether a chunk of `length` bytes fits; else it is marked as left out.
#[inline(always)]
fn fits(area: &mut Scratch, dst: u8, slot: u32, length: u32) -> bool {
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

/// Where the data of the next chunk goes, its last word zeroed for the padding.
#[inline(always)]
fn data(area: &mut Scratch, length: u32) -> *mut u8 {
    let at = (area.length & OFFSET_MASK) as usize;
    // SAFETY: the masks keep it in the record and the room behind it.
    unsafe {
        let data = area.record.as_mut_ptr().add(at + HEADER as usize);
        let last = ((length.wrapping_add(7) & !7).wrapping_sub(8) & LENGTH_MASK) as usize;
        data.add(last).cast::<u64>().write_unaligned(0);
        data
    }
}

/// Appends a chunk of `length` bytes at `address`, with the status `ok` when they can be read.
///
/// Out of line: inlined, it would want more stack than the loop around it may have.
#[inline(never)]
fn copy(area: &mut Scratch, op: &Op, address: u64, length: u32, ok: u8) {
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
fn copy_partial(area: &mut Scratch, op: &Op) {
    let address = register(area, op.src).wrapping_add(op.offset as i64 as u64);
    let first = (PAGE - (address & (PAGE - 1))) as u32;
    let (mut length, mut ok) = (op.len, CHUNK_OK);
    if first < length && !is_readable_behind(area, op, address, first) {
        // Up to the end of the first page.
        (length, ok) = (first, CHUNK_CUT);
    }
    copy(area, op, address, length, ok);
}

/// Checks that every byte of the op can be read, beyond its `first` bytes on the first page. Reports
/// a page that cannot; the copy itself reports the first one.
#[inline(never)]
fn is_readable_behind(area: &mut Scratch, op: &Op, address: u64, first: u32) -> bool {
    let end = (area.length)
        .wrapping_add(HEADER)
        .wrapping_add(op.len.wrapping_add(7) & !7);
    if op.len > MAX_COPY || end > MAX_RECORD {
        // It has no room.
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
    // The bytes before it are a value.
    area.flags = flags;
    false
}

#[inline(always)]
fn copy_counted(area: &mut Scratch, op: &Op) {
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
fn copy_string(area: &mut Scratch, op: &Op) {
    let most = op.len;
    // One byte more, for the zero that ends it.
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
    // SAFETY: the masks keep it in the record and the room behind it.
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
    // Whether the limit or the text's own zero ended it shows in the byte behind.
    // Of an empty text some kernels (6.12 is one) say 0 bytes, and others 1.
    let length = if read == 0 {
        0
    } else {
        (read as u32).wrapping_sub(1) & LENGTH_MASK
    };
    let mut status = CHUNK_OK;
    if length >= most {
        let mut byte = 0_u8;
        let behind = address.wrapping_add(u64::from(length));
        // SAFETY: one byte has room for one byte.
        if unsafe { !read_user(&raw mut byte, 1, behind) } || byte != 0 {
            status = CHUNK_CUT;
        }
    }
    // SAFETY: as above; zeroes the padding.
    unsafe { to.add(length as usize).cast::<u64>().write_unaligned(0) };
    let at = chunk(area, op.a, status, length);
    set(area, op.dst, u64::from(at));
}

/// A string could not be read: because of its first page, or else of the next one.
#[inline(always)]
fn missed_string(area: &mut Scratch, address: u64) -> u32 {
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
fn emit(area: &mut Scratch, op: &Op) {
    let size = number_size(op.size);
    if !fits(area, op.dst, op.a, size) {
        return;
    }
    let value = extend(register(area, op.src), size as u8, false);
    let at = (area.length & OFFSET_MASK) as usize;
    // SAFETY: the mask keeps it in the record and the room behind it.
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

/// Length of the last chunk's data, when it may grow by `by` bytes.
#[inline(always)]
fn grow(area: &mut Scratch, by: u32) -> Option<u32> {
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

/// Takes the last chunk's data back and says why.
#[inline(always)]
fn fail_last(area: &mut Scratch, status: u8) {
    let at = (area.chunk & OFFSET_MASK) as usize;
    // SAFETY: the mask keeps it in the record.
    unsafe {
        let header = area.record.as_mut_ptr().add(at);
        header.add(2).write(status);
        header.add(4).cast::<u32>().write_unaligned(0);
    }
    area.length = area.chunk.wrapping_add(HEADER);
}

/// Sets the last chunk's length, and the record's with it.
#[inline(always)]
fn set_last(area: &mut Scratch, length: u32) {
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
fn append(area: &mut Scratch, op: &Op) {
    let size = number_size(op.size);
    let Some(length) = grow(area, size) else {
        return;
    };
    if size == 0 {
        return;
    }
    let value = extend(register(area, op.src), size as u8, false);
    let at = (area.chunk.wrapping_add(length) & OFFSET_MASK) as usize;
    // SAFETY: the mask keeps it in the record and the room behind it.
    unsafe {
        let to = area.record.as_mut_ptr().add(at + HEADER as usize);
        to.cast::<u64>().write_unaligned(value);
        // The padding of a value that ends in the next word.
        to.add(8).cast::<u64>().write_unaligned(0);
    }
    set_last(area, length.wrapping_add(size));
}

#[inline(never)]
fn append_copy(area: &mut Scratch, op: &Op) {
    let Some(length) = grow(area, op.len) else {
        return;
    };
    let address = register(area, op.src).wrapping_add(op.offset as i64 as u64);
    let at = (area.chunk.wrapping_add(length) & OFFSET_MASK) as usize;
    // SAFETY: the masks keep it in the record and the room behind it.
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
