//! A capture machine in plain Rust, as the ops are documented: enough to run
//! plans in unit tests, over the memory of the test process or a made-up one.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use tracer_common::limits::{MAX_RECORD, MAX_STEPS, REGISTERS};
use tracer_common::op::{self, Op, alu, cond};
use tracer_common::record::{
    CHUNK_CUT, CHUNK_FAULT, CHUNK_NO_ROOM, CHUNK_OK, ChunkHeader, FLAG_FAULT, FLAG_NO_ROOM,
    FLAG_STEPS, RecordHeader,
};

/// Memory that ops read.
pub(super) trait Memory {
    fn read(&self, address: u64, bytes: &mut [u8]) -> bool;
}

/// Made-up memory: regions by address.
#[derive(Default)]
pub(super) struct Regions(pub(super) BTreeMap<u64, Vec<u8>>);

impl Memory for Regions {
    fn read(&self, address: u64, bytes: &mut [u8]) -> bool {
        let Some((start, region)) = self.0.range(..=address).next_back() else {
            return false;
        };
        let from = (address - start) as usize;
        match region.get(from..from.saturating_add(bytes.len())) {
            Some(found) => {
                bytes.copy_from_slice(found);
                true
            }
            None => false,
        }
    }
}

/// The test process's own memory.
pub(super) struct Own(File);

impl Own {
    pub(super) fn open() -> Self {
        Self(File::open("/proc/self/mem").expect("own memory opens"))
    }
}

impl Memory for Own {
    fn read(&self, address: u64, bytes: &mut [u8]) -> bool {
        self.0.read_exact_at(bytes, address).is_ok()
    }
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Sent(Vec<u8>),
    Rejected,
    Faulted,
    /// Counted; nothing is sent.
    Counted,
    /// Added to the entry of this status and number.
    Tallied(u32, u64),
    /// Added to the entry of these chunks.
    TalliedRecord(Vec<u8>),
}

pub(super) struct Machine<'m> {
    pub(super) registers: [u64; REGISTERS],
    memory: &'m dyn Memory,
    record: Vec<u8>,
    flags: u32,
    last: usize,
}

impl<'m> Machine<'m> {
    pub(super) fn new(memory: &'m dyn Memory) -> Self {
        Self {
            registers: [0; REGISTERS],
            memory,
            record: vec![0; size_of::<RecordHeader>()],
            flags: 0,
            last: 0,
        }
    }

    /// Sets a register of the target.
    pub(super) fn with(mut self, register: u8, value: u64) -> Self {
        self.registers[usize::from(op::TARGET_REGISTERS + register)] = value;
        self
    }

    pub(super) fn run(mut self, ops: &[Op]) -> Outcome {
        let mut at = 0usize;
        for _ in 0..MAX_STEPS {
            let Some(op) = ops.get(at) else {
                return self.send();
            };
            at += 1;
            match op.code {
                op::END => return self.send(),
                op::REJECT => return Outcome::Rejected,
                op::FAULT => return Outcome::Faulted,
                op::COUNT => return Outcome::Counted,
                op::TALLY => return Outcome::Tallied(op.a, self.get(op.src)),
                op::TALLY_RECORD => return Outcome::TalliedRecord(self.record[64..].to_vec()),
                _ => {
                    if let Some(target) = self.step(op) {
                        at = target as usize;
                    }
                }
            }
        }
        self.flags |= FLAG_STEPS;
        self.send()
    }

    fn send(mut self) -> Outcome {
        let header = RecordHeader {
            length: self.record.len() as u32,
            hit: 7,
            pid: 41,
            tid: 42,
            comm: *b"Monitor\0\0\0\0\0\0\0\0\0",
            flags: self.flags,
            ..RecordHeader::default()
        };
        self.record[..64].copy_from_slice(bytemuck::bytes_of(&header));
        Outcome::Sent(self.record)
    }

    fn get(&self, register: u8) -> u64 {
        self.registers[usize::from(register)]
    }

    fn set(&mut self, register: u8, value: u64) {
        assert!(
            register < op::TARGET_REGISTERS,
            "plans write their own registers only"
        );
        self.registers[usize::from(register)] = value;
    }

    fn step(&mut self, op: &Op) -> Option<u32> {
        let source = self.get(op.src);
        let address = source.wrapping_add(i64::from(op.offset) as u64);
        match op.code {
            op::CONST => self.set(op.dst, op.wide()),
            op::ALU => self.set(op.dst, compute(op.a, source, self.get(op.size))),
            op::ALU_CONST => self.set(op.dst, compute(op.a, source, op.wide())),
            op::EXTEND => {
                let value = super::super::ir::extended(source, op.size, op.a == 1);
                self.set(op.dst, value);
            }
            op::JUMP => return Some(op.a),
            op::JUMP_IF => {
                let holds = super::super::ir::holds(op.size, self.get(op.dst), source);
                return holds.then_some(op.a);
            }
            op::JUMP_IF_CONST => {
                let holds = super::super::ir::holds(op.size, self.get(op.dst), op.wide());
                return holds.then_some(op.a);
            }
            op::LOAD => {
                let mut bytes = [0; 8];
                if !self
                    .memory
                    .read(address, &mut bytes[..usize::from(op.size)])
                {
                    return Some(op.a);
                }
                let value = u64::from_le_bytes(bytes);
                self.set(
                    op.dst,
                    super::super::ir::extended(value, op.size, op.len == 1),
                );
            }
            op::LOAD_RECORD => {
                let mut bytes = [0; 8];
                let from = address as usize;
                let Some(found) = self.record.get(from..from + usize::from(op.size)) else {
                    return Some(op.a);
                };
                bytes[..found.len()].copy_from_slice(found);
                self.set(op.dst, u64::from_le_bytes(bytes));
            }
            op::MARK => {
                self.chunk(op, op.size, &[]);
            }
            op::EMIT => {
                let bytes = source.to_le_bytes();
                self.chunk(op, CHUNK_OK, &bytes[..usize::from(op.size)]);
            }
            op::COPY => self.copy(op, address, u64::from(op.len)),
            op::COPY_COUNTED => {
                let whole = self.get(op.size).saturating_mul(u64::from(op.len));
                let limit = op.offset as u64 / u64::from(op.len) * u64::from(op.len);
                self.copy(op, source, whole.min(limit));
            }
            op::COPY_STRING => self.string(op, address),
            other => panic!("op {other} is not made by plans"),
        }
        None
    }

    fn copy(&mut self, op: &Op, address: u64, len: u64) {
        assert!(len <= u64::from(tracer_common::limits::MAX_COPY));
        let mut bytes = vec![0; len as usize];
        if len > 0 && !self.memory.read(address, &mut bytes) {
            self.flags |= FLAG_FAULT;
            return self.chunk(op, CHUNK_FAULT, &[]);
        }
        self.chunk(op, CHUNK_OK, &bytes);
    }

    fn string(&mut self, op: &Op, address: u64) {
        let mut bytes = Vec::new();
        for at in 0..u64::from(op.len) {
            let mut byte = [0];
            if !self.memory.read(address.wrapping_add(at), &mut byte) {
                self.flags |= FLAG_FAULT;
                return self.chunk(op, CHUNK_FAULT, &[]);
            }
            if byte == [0] {
                return self.chunk(op, CHUNK_OK, &bytes);
            }
            bytes.push(byte[0]);
        }
        self.chunk(op, CHUNK_CUT, &bytes);
    }

    fn chunk(&mut self, op: &Op, status: u8, data: &[u8]) {
        let size = size_of::<ChunkHeader>();
        let room = self.record.len() + size + data.len().next_multiple_of(8);
        let fits = room + size <= MAX_RECORD as usize;
        if !fits && self.record.len() + size > MAX_RECORD as usize {
            self.flags |= FLAG_NO_ROOM;
            return self.set(op.dst, 0);
        }
        let (status, data) = if fits {
            (status, data)
        } else {
            (CHUNK_NO_ROOM, &[][..])
        };
        let header = ChunkHeader {
            slot: op.a as u16,
            status,
            reserved: 0,
            length: data.len() as u32,
        };
        if !fits {
            self.flags |= FLAG_NO_ROOM;
        }
        self.record.extend_from_slice(bytemuck::bytes_of(&header));
        self.last = self.record.len();
        self.record.extend_from_slice(data);
        self.record.resize(self.record.len().next_multiple_of(8), 0);
        if op.code != op::MARK {
            let base = if data.is_empty() { 0 } else { self.last as u64 };
            self.set(op.dst, base);
        }
    }
}

fn compute(operation: u32, a: u64, b: u64) -> u64 {
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
        alu::SAR => ((a as i64) >> (b & 63)) as u64,
        alu::SDIV => (a as i64).checked_div(b as i64).unwrap_or(0) as u64,
        alu::SREM => (a as i64).checked_rem(b as i64).unwrap_or(0) as u64,
        alu::FLOOR => {
            let (a, b) = (i128::from(a as i64), i128::from(b as i64));
            match b {
                0 => 0,
                b if a % b != 0 && (a < 0) != (b < 0) => (a / b - 1) as u64,
                b => (a / b) as u64,
            }
        }
        alu::BITS => u64::from(64 - a.leading_zeros()),
        alu::SBITS => {
            let bits = i64::from(64 - (a as i64).unsigned_abs().leading_zeros());
            (bits * (a as i64).signum()) as u64
        }
        other => panic!("operation {other}"),
    }
}

/// Keeps the condition codes in use in one place.
#[test]
fn condition_codes_hold_as_their_names_say() {
    let holds = super::super::ir::holds;
    let minus = -1i64 as u64;
    assert!(holds(cond::GT, minus, 1) && holds(cond::SLT, minus, 1));
    assert!(holds(cond::SGE, 3, 3) && !holds(cond::NE, 3, 3) && holds(cond::LE, 2, 3));
}
