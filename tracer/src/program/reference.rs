//! The reference: the capture machine in plain Rust, as `tracer_common::op` documents it.
//!
//! Unit tests run plans on it without a kernel. The kernel tests compare the eBPF machine with it,
//! op by op. It has no probes and no limits of probes. It is slow, and sessions run it only over
//! copies of memory.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use tracer_common::limits::{MAX_COPY, MAX_RECORD, MAX_STEPS, REGISTERS};
use tracer_common::op::{self, EncodedOp, alu, cond, float, wide};
use tracer_common::places::{ModuleMark, NOWHERE, PLACED};
use tracer_common::record::{
    CHUNK_CUT, CHUNK_FAULT, CHUNK_NO_ROOM, CHUNK_OK, CHUNK_UNPLACED, ChunkHeader, FLAG_FAULT,
    FLAG_NO_ROOM, FLAG_STEPS, RecordHeader,
};

/// Size of a record's header in bytes.
const HEADER: usize = size_of::<RecordHeader>();
/// Size of a chunk's header in bytes.
const CHUNK: usize = size_of::<ChunkHeader>();
const PAGE: u64 = 4096;

/// Memory that ops read.
pub trait Memory {
    /// Fills `bytes` from `address`. Returns false if one of them cannot be read.
    fn read(&self, address: u64, bytes: &mut [u8]) -> bool;
}

/// Memory for tests: regions by address.
#[derive(Debug, Default)]
pub struct Regions(pub BTreeMap<u64, Vec<u8>>);

impl Memory for Regions {
    fn read(&self, address: u64, bytes: &mut [u8]) -> bool {
        let Some((start, region)) = self.0.range(..=address).next_back() else {
            return false;
        };
        let Ok(from) = usize::try_from(address - start) else {
            return false;
        };
        match region.get(from..from.saturating_add(bytes.len())) {
            Some(found) => {
                bytes.copy_from_slice(found);
                true
            }
            None => false,
        }
    }
}

/// This process's own memory.
#[derive(Debug)]
pub struct Own(File);

impl Own {
    /// Opens it.
    ///
    /// # Errors
    /// `/proc` is missing.
    pub fn open() -> io::Result<Self> {
        File::open("/proc/self/mem").map(Self)
    }
}

impl Memory for Own {
    fn read(&self, address: u64, bytes: &mut [u8]) -> bool {
        self.0.read_exact_at(bytes, address).is_ok()
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It sends this record. The machine writes only the length and the flags of its header.
    Sent(Vec<u8>),
    /// The condition was false.
    Rejected,
    /// The condition could not be read.
    Faulted,
    /// The hit is counted. Nothing is sent.
    Counted,
    /// The hit is added to the entry of this status and number.
    Tallied(u32, u64),
    /// The hit is added to the entry of these chunks.
    TalliedRecord(Vec<u8>),
}

/// One run of a plan.
pub struct ReferenceMachine<'m> {
    registers: [u64; REGISTERS],
    memory: &'m dyn Memory,
    record: Vec<u8>,
    flags: u32,
    /// Offset of the last chunk's header; 0 if there is no chunk.
    last: usize,
    /// The record is full or closed: nothing is added any more.
    full: bool,
    /// Modules, by number.
    marks: Vec<ModuleMark>,
    /// Their places in the process.
    places: BTreeMap<u32, u64>,
    /// Why the last failed read failed.
    fault: u8,
}

impl std::fmt::Debug for ReferenceMachine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("registers", &self.registers)
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

impl<'m> ReferenceMachine<'m> {
    /// Makes a machine with all registers zero.
    #[must_use]
    pub fn new(memory: &'m dyn Memory) -> Self {
        Self {
            registers: [0; REGISTERS],
            memory,
            record: vec![0; HEADER],
            flags: 0,
            last: 0,
            full: false,
            marks: Vec::new(),
            places: BTreeMap::new(),
            fault: CHUNK_FAULT,
        }
    }

    /// Sets the modules by number, and places of some in the process.
    #[must_use]
    pub fn with_modules(mut self, marks: &[ModuleMark], places: &[(u32, u64)]) -> Self {
        self.marks = marks.to_vec();
        self.places = places.iter().copied().collect();
        self
    }

    /// Sets the target's register with this DWARF number.
    #[must_use]
    pub fn with(mut self, register: u8, value: u64) -> Self {
        self.set(op::TARGET_REGISTERS.wrapping_add(register), value);
        self
    }

    /// Sets the registers with the thread and the hit. The name has the first 16 bytes of `comm`.
    #[must_use]
    pub fn with_thread(mut self, pid: u32, tid: u32, hit: u64, name: &str) -> Self {
        let byte = |at: usize| name.as_bytes().get(at).copied().unwrap_or(0);
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| byte(at + index)));
        let words = [u64::from(pid), u64::from(tid), hit, word(0), word(8)];
        for (register, word) in (op::PID..).zip(words) {
            self.set(register, word);
        }
        self
    }

    /// Runs to the plan's end, or to the limit of steps.
    #[must_use]
    pub fn run(mut self, ops: &[EncodedOp]) -> Outcome {
        let mut at = 0_u32;
        for _ in 0..MAX_STEPS {
            let Some(op) = usize::try_from(at).ok().and_then(|at| ops.get(at)) else {
                return self.send();
            };
            at = at.wrapping_add(1);
            match op.code {
                op::REJECT => return Outcome::Rejected,
                op::FAULT => return Outcome::Faulted,
                op::COUNT => return Outcome::Counted,
                // Timings and traces are not implemented here.
                op::ENTER | op::LEAVE | op::KEPT | op::STEP => {}
                op::FORGET => return Outcome::Rejected,
                op::TALLY => return Outcome::Tallied(op.a, self.get(op.src)),
                op::TALLY_RECORD => {
                    return Outcome::TalliedRecord(self.record.split_off(HEADER));
                }
                op::CONST..=op::APPEND_COPY | op::FLOAT..=op::PLACE => {
                    if let Some(target) = self.step(op) {
                        at = target;
                    }
                    if self.full {
                        return self.send();
                    }
                }
                _ => return self.send(),
            }
        }
        self.flags |= FLAG_STEPS;
        self.send()
    }

    fn send(mut self) -> Outcome {
        let header = RecordHeader {
            length: narrow(self.record.len()),
            hit: 7,
            pid: 41,
            tid: 42,
            comm: *b"Monitor\0\0\0\0\0\0\0\0\0",
            flags: self.flags as u16,
            ..RecordHeader::default()
        };
        self.put(0, bytemuck::bytes_of(&header));
        Outcome::Sent(self.record)
    }

    fn get(&self, register: u8) -> u64 {
        let index = usize::from(register) % REGISTERS;
        self.registers.get(index).copied().unwrap_or(0)
    }

    fn set(&mut self, register: u8, value: u64) {
        let index = usize::from(register) % REGISTERS;
        if let Some(there) = self.registers.get_mut(index) {
            *there = value;
        }
    }

    /// Runs one op. Returns its jump target.
    fn step(&mut self, op: &EncodedOp) -> Option<u32> {
        let source = self.get(op.src);
        let address = source.wrapping_add_signed(i64::from(op.offset));
        match op.code {
            op::CONST => self.set(op.dst, op.wide()),
            op::ALU => self.set(op.dst, compute(op.a, source, self.get(op.size))),
            op::ALU_CONST => self.set(op.dst, compute(op.a, source, op.wide())),
            op::EXTEND => self.set(op.dst, extended(source, op.size, op.a == 1)),
            op::FLOAT => match computed(op.len, source, self.get(op.size)) {
                Some(value) => self.set(op.dst, value),
                None => return Some(op.a),
            },
            op::WIDE => {
                let [above_a, above_b, ..] = op.offset.to_le_bytes();
                let wide = |low, high| u128::from(self.get(high)) << 64 | u128::from(self.get(low));
                match computed_wide(op.len, wide(op.src, above_a), wide(op.size, above_b)) {
                    Some(value) => self.set(op.dst, value),
                    None => return Some(op.a),
                }
            }
            op::JUMP => return Some(op.a),
            op::JUMP_IF => return holds(op.size, self.get(op.dst), source).then_some(op.a),
            op::JUMP_IF_CONST => {
                return holds(op.size, self.get(op.dst), op.wide()).then_some(op.a);
            }
            op::LOAD => return self.load(op, address),
            op::LOAD_RECORD => return self.load_record(op, address),
            op::MARK if op.size == CHUNK_FAULT => self.chunk(op.a, self.fault, &[]),
            op::MARK => self.chunk(op.a, op.size, &[]),
            op::MODULE => return self.module(op),
            op::PLACE if op.size == 1 => {
                self.places.entry(op.len).or_insert(source);
            }
            op::PLACE => {
                self.places.insert(op.len, source);
            }
            op::EMIT => {
                let bytes = low_bytes(source, op.size);
                self.keep(op, CHUNK_OK, &bytes);
            }
            op::COPY | op::COPY_PARTIAL => self.copy(op, address, u64::from(op.len)),
            op::COPY_COUNTED => self.copy_counted(op, source),
            op::COPY_STRING => self.string(op, address),
            op::APPEND => {
                let bytes = low_bytes(source, op.size);
                self.append(bytes.len(), |_| Some(bytes));
            }
            op::APPEND_COPY => {
                let length = usize::try_from(op.len).unwrap_or(usize::MAX);
                self.append(length, |memory| {
                    let mut bytes = vec![0; length];
                    (length == 0 || memory.read(address, &mut bytes)).then_some(bytes)
                });
            }
            _ => {}
        }
        None
    }

    fn module(&mut self, op: &EncodedOp) -> Option<u32> {
        let place = self.places.get(&op.len).copied().unwrap_or(0);
        let index = usize::try_from(op.len).unwrap_or(usize::MAX);
        if place & PLACED != 0
            && let Some(mark) = self.marks.get(index)
        {
            let bias = place & !PLACED;
            let mut bytes = [0; 8];
            if !self.memory.read(bias.wrapping_add(mark.at), &mut bytes) {
                self.fault = CHUNK_FAULT;
            } else if u64::from_le_bytes(bytes) == mark.is {
                self.set(op.dst, bias);
                return None;
            }
        }
        if place == 0 || op.size == 1 {
            self.fault = CHUNK_UNPLACED;
            return Some(op.a);
        }
        self.set(op.dst, NOWHERE);
        None
    }

    fn load(&mut self, op: &EncodedOp, address: u64) -> Option<u32> {
        let mut bytes = [0; 8];
        let wanted = bytes.get_mut(..usize::from(op.size & 15));
        if !wanted.is_some_and(|bytes| bytes.is_empty() || self.memory.read(address, bytes)) {
            self.fault = CHUNK_FAULT;
            self.flags |= FLAG_FAULT;
            return Some(op.a);
        }
        let value = u64::from_le_bytes(bytes);
        self.set(op.dst, extended(value, op.size, op.len == 1));
        None
    }

    fn load_record(&mut self, op: &EncodedOp, at: u64) -> Option<u32> {
        let size = usize::from(op.size);
        let found = usize::try_from(at)
            .ok()
            .filter(|&at| at >= HEADER && (1..=8).contains(&size))
            .and_then(|at| self.record.get(at..at.checked_add(size)?));
        let Some(found) = found else {
            return Some(op.a);
        };
        let value = number(found);
        self.set(op.dst, extended(value, op.size, op.len == 1));
        None
    }

    fn copy_counted(&mut self, op: &EncodedOp, address: u64) {
        let most = u64::from(op.offset.cast_unsigned().checked_div(op.len).unwrap_or(0));
        let count = self.get(op.size);
        let length = count.min(most) * u64::from(op.len);
        self.copy(op, address, length);
        if count > most && self.get(op.dst) != 0 {
            self.put(self.last + 2, &[CHUNK_CUT]);
        }
    }

    fn copy(&mut self, op: &EncodedOp, address: u64, length: u64) {
        if !self.fits(op, length) {
            return;
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        if bytes.is_empty() || self.memory.read(address, &mut bytes) {
            return self.keep(op, CHUNK_OK, &bytes);
        }
        self.fault = CHUNK_FAULT;
        let first = PAGE - address % PAGE;
        if op.code == op::COPY_PARTIAL && first < length {
            bytes.truncate(usize::try_from(first).unwrap_or(0));
            if self.memory.read(address, &mut bytes) {
                return self.keep(op, CHUNK_CUT, &bytes);
            }
        }
        self.fail(op);
    }

    fn string(&mut self, op: &EncodedOp, address: u64) {
        let most = u64::from(op.len);
        if !self.fits(op, most + 1) {
            return;
        }
        let mut bytes = Vec::new();
        // The byte after the limit is read, too. It tells if the text ends there.
        for at in 0..=most {
            let mut byte = [0];
            if !self.memory.read(address.wrapping_add(at), &mut byte) {
                return self.fail(op);
            }
            if byte == [0] {
                return self.keep(op, CHUNK_OK, &bytes);
            }
            if at < most {
                bytes.extend_from_slice(&byte);
            }
        }
        self.keep(op, CHUNK_CUT, &bytes);
    }

    /// True if a chunk of `length` bytes fits. Otherwise marks the chunk as left out.
    fn fits(&mut self, op: &EncodedOp, length: u64) -> bool {
        let room = MAX_RECORD as usize - self.record.len();
        let wanted = usize::try_from(length).map(|length| CHUNK + length.next_multiple_of(8));
        if length <= u64::from(MAX_COPY) && wanted.is_ok_and(|wanted| wanted <= room) {
            return true;
        }
        self.flags |= FLAG_NO_ROOM;
        self.chunk(op.a, CHUNK_NO_ROOM, &[]);
        self.set(op.dst, 0);
        false
    }

    fn fail(&mut self, op: &EncodedOp) {
        self.flags |= FLAG_FAULT;
        self.fault = CHUNK_FAULT;
        self.chunk(op.a, CHUNK_FAULT, &[]);
        self.set(op.dst, 0);
    }

    /// Appends a chunk with data, and returns its offset.
    fn keep(&mut self, op: &EncodedOp, status: u8, data: &[u8]) {
        if self.fits(op, data.len() as u64) {
            self.chunk(op.a, status, data);
            self.set(op.dst, (self.last + CHUNK) as u64);
        }
    }

    fn chunk(&mut self, slot: u32, status: u8, data: &[u8]) {
        if self.record.len() + CHUNK > MAX_RECORD as usize {
            self.flags |= FLAG_NO_ROOM;
            self.full = true;
            return;
        }
        let header = ChunkHeader {
            slot: slot as u16,
            status,
            reserved: 0,
            length: narrow(data.len()),
        };
        self.last = self.record.len();
        self.record.extend_from_slice(bytemuck::bytes_of(&header));
        self.record.extend_from_slice(data);
        self.pad();
    }

    /// Adds the result of `read` to the last chunk's data. On a failed read, removes the chunk's
    /// data.
    fn append(&mut self, by: usize, read: impl FnOnce(&dyn Memory) -> Option<Vec<u8>>) {
        let status = self.record.get(self.last + 2).copied();
        if self.last == 0 || !matches!(status, Some(CHUNK_OK | CHUNK_CUT)) {
            return;
        }
        let at = self.last + 4;
        let length = self.record.get(at..at + 4).map_or(0, number);
        let data = self.last + CHUNK;
        let length = usize::try_from(length).unwrap_or(0);
        let end = (data + length + by).next_multiple_of(8);
        let added = if by > MAX_COPY as usize || end > MAX_RECORD as usize {
            Err((FLAG_NO_ROOM, CHUNK_NO_ROOM))
        } else {
            read(self.memory).ok_or((FLAG_FAULT, CHUNK_FAULT))
        };
        match added {
            Ok(bytes) => {
                self.record.truncate(data + length);
                self.record.extend_from_slice(&bytes);
                self.put(self.last + 4, &narrow(length + by).to_le_bytes());
                self.pad();
            }
            Err((flag, status)) => {
                self.flags |= flag;
                if status == CHUNK_FAULT {
                    self.fault = CHUNK_FAULT;
                }
                self.record.truncate(data);
                self.put(self.last + 2, &[status]);
                self.put(self.last + 4, &[0; 4]);
            }
        }
    }

    fn pad(&mut self) {
        self.record.resize(self.record.len().next_multiple_of(8), 0);
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(there) = self.record.get_mut(at..at + bytes.len()) {
            there.copy_from_slice(bytes);
        }
    }
}

/// Records are far smaller than 4 GiB.
fn narrow(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// At most 8 bytes, little-endian, zero-extended.
fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// The low `size` bytes. Sizes above 8 count as 8.
fn low_bytes(value: u64, size: u8) -> Vec<u8> {
    let mut bytes = value.to_le_bytes().to_vec();
    bytes.truncate(usize::from(size).min(8));
    bytes
}

/// The low `size` bytes of `value`, extended. Sizes count modulo 8, and 0 stands for 8.
fn extended(value: u64, size: u8, signed: bool) -> u64 {
    let shift = match u32::from(size % 8) {
        0 => 0,
        bytes => 64 - bytes * 8,
    };
    if signed {
        ((value << shift).cast_signed() >> shift).cast_unsigned()
    } else {
        (value << shift) >> shift
    }
}

fn compute(operation: u32, a: u64, b: u64) -> u64 {
    let (x, y) = (a.cast_signed(), b.cast_signed());
    match operation {
        alu::ADD => a.wrapping_add(b),
        alu::SUB => a.wrapping_sub(b),
        alu::MUL => a.wrapping_mul(b),
        alu::DIV => a.checked_div(b).unwrap_or(0),
        alu::REM => a.checked_rem(b).unwrap_or(0),
        alu::AND => a & b,
        alu::OR => a | b,
        alu::XOR => a ^ b,
        alu::SHL => a << (b & 63),
        alu::SHR => a >> (b & 63),
        alu::SAR => (x >> (b & 63)).cast_unsigned(),
        alu::SDIV if b != 0 => x.wrapping_div(y).cast_unsigned(),
        alu::SREM if b != 0 => x.wrapping_rem(y).cast_unsigned(),
        alu::FLOOR if b != 0 => {
            let inexact = x.wrapping_rem(y) != 0 && (x < 0) != (y < 0);
            x.wrapping_div(y)
                .wrapping_sub(i64::from(inexact))
                .cast_unsigned()
        }
        alu::BITS => u64::from(64 - a.leading_zeros()),
        alu::SBITS => {
            let bits = i64::from(64 - x.unsigned_abs().leading_zeros());
            (bits * x.signum()).cast_unsigned()
        }
        _ => 0,
    }
}

/// Computes with the processor's floats.
fn computed(operation: u32, a: u64, b: u64) -> Option<u64> {
    let (x, y) = (f64::from_bits(a), f64::from_bits(b));
    let double = |value: f64| if value.is_nan() { f64::NAN } else { value }.to_bits();
    let single = |value: f32| {
        let value = if value.is_nan() { f32::NAN } else { value };
        u64::from(value.to_bits())
    };
    let both = u128::from(b) << 64 | u128::from(a);
    Some(match operation {
        float::ADD => double(x + y),
        float::SUB => double(x - y),
        float::MUL => double(x * y),
        float::DIV => double(x / y),
        float::REM => double(x % y),
        float::COMPARE => match x.partial_cmp(&y) {
            None => float::UNORDERED,
            Some(Ordering::Less) => float::LESS,
            Some(Ordering::Equal) => float::EQUAL,
            Some(Ordering::Greater) => float::GREATER,
        },
        float::FROM_SINGLE => double(f64::from(f32::from_bits(a as u32))),
        float::TO_SINGLE => single(x as f32),
        float::FROM_UNSIGNED => double(a as f64),
        float::FROM_SIGNED => double(a.cast_signed() as f64),
        float::FROM_WIDE_UNSIGNED => double(both as f64),
        float::FROM_WIDE_SIGNED => double(both.cast_signed() as f64),
        float::SINGLE_FROM_UNSIGNED => single(a as f32),
        float::SINGLE_FROM_SIGNED => single(a.cast_signed() as f32),
        float::SINGLE_FROM_WIDE_UNSIGNED => single(both as f32),
        float::SINGLE_FROM_WIDE_SIGNED => single(both.cast_signed() as f32),
        float::TO_UNSIGNED => match b {
            8 => u64::from(x as u8),
            16 => u64::from(x as u16),
            32 => u64::from(x as u32),
            float::LOWER | float::UPPER => computed_half(x as u128, b),
            _ => x as u64,
        },
        float::TO_SIGNED => match b {
            8 => i64::from(x as i8).cast_unsigned(),
            16 => i64::from(x as i16).cast_unsigned(),
            32 => i64::from(x as i32).cast_unsigned(),
            float::LOWER | float::UPPER => computed_half((x as i128).cast_unsigned(), b),
            _ => (x as i64).cast_unsigned(),
        },
        float::TRUNCATE_UNSIGNED if matches!(b, float::LOWER | float::UPPER) => {
            return (x > -1.0 && x < 2_f64.powi(128)).then(|| computed_half(x as u128, b));
        }
        float::TRUNCATE_SIGNED if matches!(b, float::LOWER | float::UPPER) => {
            let range = -(2_f64.powi(127))..2_f64.powi(127);
            let value = (x as i128).cast_unsigned();
            return range.contains(&x).then(|| computed_half(value, b));
        }
        float::TRUNCATE_UNSIGNED | float::TRUNCATE_SIGNED => {
            let bits = if matches!(b, 8 | 16 | 32) { b } else { 64 };
            // Values beyond 64 bits stay beyond them.
            let whole = x as i128;
            let range = if operation == float::TRUNCATE_SIGNED {
                -(1_i128 << (bits - 1))..1 << (bits - 1)
            } else {
                0..1 << bits
            };
            return (!x.is_nan() && range.contains(&whole)).then_some(whole as u64);
        }
        _ => 0,
    })
}

fn computed_half(value: u128, half: u64) -> u64 {
    if half == float::UPPER {
        (value >> 64) as u64
    } else {
        value as u64
    }
}

/// Computes with the compiler's integers of 128 bits.
fn computed_wide(operation: u32, a: u128, b: u128) -> Option<u64> {
    let (x, y) = (a.cast_signed(), b.cast_signed());
    let count = (b & 127) as u32;
    let signed = |value: i128| value.cast_unsigned();
    let (value, high) = match operation {
        wide::MUL_HIGH => (a.wrapping_mul(b), true),
        wide::SHL_LOW => (a << count, false),
        wide::SHL_HIGH => (a << count, true),
        wide::SHR_LOW => (a >> count, false),
        wide::SHR_HIGH => (a >> count, true),
        wide::SAR_LOW => (signed(x >> count), false),
        wide::SAR_HIGH => (signed(x >> count), true),
        wide::DIV_LOW => (a.checked_div(b)?, false),
        wide::DIV_HIGH => (a.checked_div(b)?, true),
        wide::REM_LOW => (a.checked_rem(b)?, false),
        wide::REM_HIGH => (a.checked_rem(b)?, true),
        wide::SDIV_LOW => (signed(x.checked_div(y)?), false),
        wide::SDIV_HIGH => (signed(x.checked_div(y)?), true),
        wide::SREM_LOW => (signed(x.checked_rem(y)?), false),
        wide::SREM_HIGH => (signed(x.checked_rem(y)?), true),
        _ => (0, false),
    };
    Some(if high { value >> 64 } else { value } as u64)
}

fn holds(condition: u8, a: u64, b: u64) -> bool {
    let (x, y) = (a.cast_signed(), b.cast_signed());
    match condition {
        cond::EQ => a == b,
        cond::NE => a != b,
        cond::LT => a < b,
        cond::LE => a <= b,
        cond::GT => a > b,
        cond::GE => a >= b,
        cond::SLT => x < y,
        cond::SLE => x <= y,
        cond::SGT => x > y,
        cond::SGE => x >= y,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn condition_codes_hold_as_their_names_say() {
        let minus = (-1_i64).cast_unsigned();
        assert!(holds(cond::GT, minus, 1) && holds(cond::SLT, minus, 1));
        assert!(holds(cond::SGE, 3, 3) && !holds(cond::NE, 3, 3) && holds(cond::LE, 2, 3));
    }
}
