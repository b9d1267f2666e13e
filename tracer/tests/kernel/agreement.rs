//! Random programs on the eBPF machine and on the reference machine must have the same results.
//!
//! Some of the programs are hostile. All run over the same registers and memory. Hundreds are
//! attached at once, each to a site of its own, and one call passes all sites.

mod placing;

use std::collections::{BTreeMap, BTreeSet};

use tracer::base::address::ModuleNumber;
use tracer::program::reference::{Outcome, ReferenceMachine, Regions};
use tracer_common::limits::{MAX_COPY, MAX_RECORD, MAX_STEPS};
use tracer_common::op::{self, EncodedOp};
use tracer_common::record::{FLAG_FAULT, FLAG_NO_ROOM, FLAG_STEPS};

use crate::support::random::Random;
use crate::support::rig::{RDI, RSI, Rig, UNLIMITED, Way, copy, emit, emulated, ways};
use crate::support::site::{row, row_address, row_offset};

/// Number of programs of one call. The ring has room for all their records.
const BATCH: usize = 400;
const RING: u32 = 16 << 20;
/// Machine registers that random programs use. Each is set at the start of a program.
const OWN: u8 = 8;
const HEADER: usize = 64;

/// Memory that programs read, between unreadable pages.
struct Arena {
    map: mapped::Map,
    regions: Regions,
}

impl Arena {
    fn new(random: &mut Random) -> Self {
        let mut map = mapped::Map::new();
        for byte in map.bytes() {
            // A zero byte ends texts now and then.
            *byte = if random.one_in(100) {
                0
            } else {
                random.next() as u8
            };
        }
        // Pointers into the arena, one past its end, and a null pointer.
        let (start, end) = (map.address(), map.address() + mapped::LENGTH as u64);
        let pointers = [
            start,
            start + 3,
            start + 4090,
            start + 100,
            0,
            end - 8,
            end,
            8,
        ];
        for (word, pointer) in map.bytes().chunks_exact_mut(8).zip(pointers) {
            word.copy_from_slice(&pointer.to_le_bytes());
        }
        let regions = Regions(BTreeMap::from([(map.address(), map.bytes().to_vec())]));
        Self { map, regions }
    }

    fn end(&self) -> u64 {
        self.map.address() + mapped::LENGTH as u64
    }
}

/// Anonymous memory between two unreadable pages.
mod mapped {
    #![expect(unsafe_code, reason = "maps memory")]

    const PAGE: usize = 4096;
    /// Address of the memory. It is so far from all other mappings that no op's offset leads to
    /// one.
    const ADDRESS: usize = 0x1000_0000_0000;
    /// Readable bytes.
    pub(super) const LENGTH: usize = 8 * PAGE;

    pub(super) struct Map(*mut u8);

    impl Map {
        pub(super) fn new() -> Self {
            let whole = LENGTH + 2 * PAGE;
            // SAFETY: a new mapping at an address without one, and a change of its middle.
            unsafe {
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
                let wanted = std::ptr::without_provenance_mut(ADDRESS);
                let start = libc::mmap(wanted, whole, libc::PROT_NONE, flags, -1, 0);
                assert_eq!(start, wanted);
                let middle = start.cast::<u8>().add(PAGE);
                let open = libc::PROT_READ | libc::PROT_WRITE;
                assert_eq!(libc::mprotect(middle.cast(), LENGTH, open), 0);
                Self(middle)
            }
        }

        pub(super) fn address(&self) -> u64 {
            self.0 as u64
        }

        pub(super) fn bytes(&mut self) -> &mut [u8] {
            // SAFETY: mapped with this length until dropped, and borrowed from `self`.
            unsafe { std::slice::from_raw_parts_mut(self.0, LENGTH) }
        }
    }

    impl Drop for Map {
        fn drop(&mut self) {
            // SAFETY: the mapping that `new` made. Nothing borrows it any more.
            unsafe { libc::munmap(self.0.sub(PAGE).cast(), LENGTH + 2 * PAGE) };
        }
    }
}

/// A random number: an address, a small number, or any other.
fn number(random: &mut Random, arena: &Arena) -> u64 {
    let start = arena.map.address();
    match random.below(10) {
        0..=3 => start + random.below(mapped::LENGTH as u64),
        4 => arena.end() - random.below(64),
        5 => random.below(300),
        6 => random.pick(&[0, 1, 4095, 4096, 1 << 31, 1 << 63, u64::MAX]),
        // Kernel memory, and a non-canonical address.
        7 => random.pick(&[0xffff_8880_0000_0000, 0x8000_0000_0000_0000, !0xfff]),
        8 => random.next() >> random.below(64),
        _ => random.next(),
    }
}

fn register(random: &mut Random) -> u8 {
    match random.below(8) {
        0 => RDI,
        1 => RSI,
        // Numbers above the last register wrap around.
        2 => random.pick(&[64, 128, 192]) + random.below(u64::from(OWN)) as u8,
        _ => random.below(u64::from(OWN)) as u8,
    }
}

fn random_op(random: &mut Random, at: u32, end: u32) -> EncodedOp {
    let code = match random.below(40) {
        0 => 200 + random.below(56) as u8,
        1 => op::END,
        2 => random.pick(&[
            op::REJECT,
            op::FAULT,
            op::COUNT,
            op::TALLY,
            op::TALLY_RECORD,
        ]),
        _ => op::CONST + random.below(u64::from(op::APPEND_COPY - op::CONST + 1)) as u8,
    };
    let jump = match random.below(10) {
        0 => random.next() as u32,
        1 => random.below(u64::from(end)) as u32,
        _ => at + 1 + random.below(u64::from(end - at)) as u32,
    };
    let (size, a) = match code {
        op::ALU => (register(random), random.below(17) as u32),
        op::ALU_CONST => (random.next() as u8, random.below(17) as u32),
        op::JUMP | op::JUMP_IF | op::JUMP_IF_CONST => (random.below(11) as u8, jump),
        op::LOAD | op::LOAD_RECORD => (size(random), jump),
        op::COPY_COUNTED => (register(random), random.next() as u32),
        op::EXTEND => (size(random), random.below(3) as u32),
        _ => (size(random), random.next() as u32),
    };
    let mut op = EncodedOp {
        code,
        dst: register(random),
        src: register(random),
        size,
        a,
        offset: match random.below(4) {
            0 => random.next() as i32,
            1 => 64 + random.below(128) as i32,
            _ => random.below(64) as i32 - 32,
        },
        len: match random.below(6) {
            0 => random.next() as u32,
            1 => MAX_COPY - 1 + random.below(3) as u32,
            2 => 1,
            _ => random.below(400) as u32,
        },
    };
    if matches!(code, op::CONST | op::ALU_CONST | op::JUMP_IF_CONST) && random.one_in(2) {
        op = op.with_wide(random.below(16));
    }
    op
}

fn size(random: &mut Random) -> u8 {
    match random.below(12) {
        0 => random.below(18) as u8,
        1 => random.next() as u8,
        _ => random.pick(&[1, 2, 4, 8]),
    }
}

/// A plan that begins with a comparison, which the kernel side decides before it runs the ops.
fn guarded(random: &mut Random, arena: &Arena) -> Vec<EncodedOp> {
    let signed = random.one_in(2);
    let width = random.pick(&[1, 2, 4, 8]);
    let number = if random.one_in(2) {
        EncodedOp {
            code: op::EXTEND,
            src: random.pick(&[RDI, RSI, op::TARGET_REGISTERS + 1, op::TARGET_REGISTERS + 9]),
            size: width,
            a: u32::from(signed),
            ..EncodedOp::default()
        }
    } else {
        EncodedOp {
            code: op::LOAD,
            src: RDI,
            size: width,
            // A fault jumps to the `FAULT` op, or anywhere.
            a: random.pick(&[4, 5, 2]),
            offset: random.pick(&[0, 8, 4096, -8, i32::MIN]),
            len: u32::from(signed),
            ..EncodedOp::default()
        }
    };
    let test = EncodedOp {
        code: op::JUMP_IF_CONST,
        size: random.below(11) as u8,
        a: random.pick(&[3, 4, 4, 9]),
        ..EncodedOp::default()
    };
    let value = match random.below(4) {
        0 => random.pick(&[77, 2, 5, 0, u64::MAX]),
        1 => random.below(256),
        2 => arena.map.address(),
        _ => random.next(),
    };
    let end = |code| EncodedOp {
        code,
        ..EncodedOp::default()
    };
    vec![
        number,
        test.with_wide(value),
        end(random.pick(&[op::END, op::REJECT, op::MARK])),
        emit(3, RSI),
        end(random.pick(&[op::REJECT, op::REJECT, op::FAULT])),
        end(op::FAULT),
    ]
}

/// A plan that only fetches, which the kernel side does without running ops. Some plans are nearly
/// that: too long, with too many chunks, or with unreadable and null pointers.
fn fetching(random: &mut Random) -> Vec<EncodedOp> {
    const GENERAL: [u8; 7] = [5, 4, 1, 2, 8, 9, 16];
    let mut ops = Vec::new();
    for _ in 0..1 + random.below(5) {
        let src = op::TARGET_REGISTERS + random.pick(&GENERAL);
        let offset = match random.below(12) {
            0 => -8,
            1 => 8 * 4096 - 4,
            2 => random.next() as i32,
            _ => random.below(8 * 4096) as i32,
        };
        let len = match random.below(8) {
            0 => random.below(80) as u32,
            1 => random.pick(&[0, 63, 64, 65]),
            _ => 1 + random.below(8) as u32,
        };
        let dst = random.below(u64::from(OWN)) as u8;
        let jump = random.below(8) as u32;
        let null_check = |dst| EncodedOp {
            code: op::JUMP_IF_CONST,
            dst,
            size: op::cond::EQ,
            a: jump,
            ..EncodedOp::default()
        };
        let slot = random.next() as u32;
        match random.below(5) {
            0 | 1 => ops.push(EncodedOp {
                code: op::EMIT,
                dst,
                src,
                size: random.below(10) as u8,
                a: slot,
                ..EncodedOp::default()
            }),
            2 => {
                // The pointer is in the arena: see `check`.
                ops.push(EncodedOp {
                    code: op::LOAD,
                    dst,
                    src: RDI,
                    size: 8,
                    offset: 8 * random.below(8) as i32,
                    ..EncodedOp::default()
                });
                if slot & 1 == 0 {
                    ops.push(null_check(dst));
                }
                ops.push(EncodedOp {
                    code: op::COPY,
                    dst,
                    src: dst,
                    a: slot,
                    offset: offset / 2,
                    len,
                    ..EncodedOp::default()
                });
            }
            _ => {
                // The reference does not have the memory around the instruction.
                let is_rip = src == op::TARGET_REGISTERS + 16;
                let src = if slot & 3 == 0 && !is_rip { src } else { RDI };
                if slot & 4 == 0 {
                    ops.push(null_check(src));
                }
                ops.push(EncodedOp {
                    code: op::COPY,
                    dst,
                    src,
                    a: slot,
                    offset,
                    len,
                    ..EncodedOp::default()
                });
            }
        }
    }
    ops.push(EncodedOp {
        code: random.pick(&[op::END, op::END, op::END, op::REJECT]),
        ..EncodedOp::default()
    });
    if random.one_in(2) {
        ops
    } else {
        behind_condition(random, ops)
    }
}

/// A plan of fetches that follows a condition on a register.
fn behind_condition(random: &mut Random, mut ops: Vec<EncodedOp>) -> Vec<EncodedOp> {
    let last = ops.len() as u32 - 1;
    for op in &mut ops {
        op.a += if op.code == op::JUMP_IF_CONST { 2 } else { 0 };
    }
    let number = EncodedOp {
        code: op::EXTEND,
        src: random.pick(&[RDI, RSI]),
        size: 8,
        ..EncodedOp::default()
    };
    let test = EncodedOp {
        code: op::JUMP_IF_CONST,
        size: random.pick(&[op::cond::EQ, op::cond::NE]),
        a: last + 3,
        ..EncodedOp::default()
    };
    ops.splice(0..0, [number, test.with_wide(77)]);
    ops.push(EncodedOp {
        code: op::REJECT,
        ..EncodedOp::default()
    });
    ops
}

/// A number for a float operation: random bits, a small integer, an `f32`, few bits, or a NaN.
fn float(random: &mut Random) -> u64 {
    let any = random.next();
    match random.below(8) {
        0 => (random.below(2000) as f64 - 1000.0).to_bits(),
        1 => (any as i32 as f64 / 64.0).to_bits(),
        2 => u64::from((any as i16 as f32 / 3.0).to_bits()),
        3 => any & !(0x7ff << 52) | (1023 - 40 + random.below(180)) << 52,
        4 => any & !(0x7ff << 52),
        5 => random.pick(&[0, 1 << 63, 0x7ff << 52, 0xfff << 52, (0x7ff << 52) + 1]),
        6 => random.pick(&[8, 16, 32, 64, 1, 128, 129]),
        _ => any,
    }
}

/// A plan that computes with floats and integers of 128 bits, and sends all its registers.
fn computing(random: &mut Random) -> Vec<EncodedOp> {
    let mut ops: Vec<EncodedOp> = (0..OWN)
        .map(|dst| {
            let op = EncodedOp {
                code: op::CONST,
                dst,
                ..EncodedOp::default()
            };
            op.with_wide(float(random))
        })
        .collect();
    let steps = 1 + random.below(24);
    let end = u32::from(OWN) + steps as u32;
    for _ in 0..steps {
        let is_float = random.one_in(2);
        let above = [register(random), register(random), random.next() as u8, 0];
        ops.push(EncodedOp {
            code: if is_float { op::FLOAT } else { op::WIDE },
            dst: random.below(u64::from(OWN)) as u8,
            src: register(random),
            size: register(random),
            a: ops.len() as u32 + 1 + random.below(u64::from(end) + 1 - ops.len() as u64) as u32,
            offset: i32::from_le_bytes(above),
            len: random.below(if is_float { 21 } else { 16 }) as u32,
        });
    }
    ops.extend((0..OWN).map(|register| emit(u32::from(register), register)));
    ops
}

fn program(random: &mut Random, arena: &Arena) -> Vec<EncodedOp> {
    if random.one_in(8) {
        return placing::placing(random, arena);
    }
    match random.below(8) {
        0 | 1 => return guarded(random, arena),
        2 | 3 => return fetching(random),
        4 | 5 => return computing(random),
        _ => {}
    }
    let mut ops: Vec<EncodedOp> = (0..OWN)
        .map(|dst| {
            let op = EncodedOp {
                code: op::CONST,
                dst,
                ..EncodedOp::default()
            };
            op.with_wide(number(random, arena))
        })
        .collect();
    let end = u32::from(OWN) + 1 + random.below(24) as u32;
    ops.extend((u32::from(OWN)..end).map(|at| random_op(random, at, end)));
    ops
}

/// Counts of the outcomes, to check that the random programs reach all of them.
#[derive(Debug, Default)]
struct Seen {
    sent: usize,
    counted: usize,
    rejected: usize,
    faulted: usize,
    steps: usize,
    no_room: usize,
    read_faults: usize,
    codes: BTreeSet<u8>,
}

/// Runs programs in the kernel and compares each result with the reference.
fn check(rig: &mut Rig, arena: &Arena, programs: &[Vec<EncodedOp>], seen: &mut Seen, name: &str) {
    let sites: Vec<_> = programs
        .iter()
        .enumerate()
        .map(|(index, ops)| (row_offset(index), ops.clone()))
        .collect();
    let marks = placing::marks(arena);
    for (number, mark) in (0..).zip(&marks) {
        let need = rig.machine.places().need(ModuleNumber(number), *mark);
        need.expect("room");
    }
    let (slot, cookies) = rig.probe(&UNLIMITED, &sites);
    let arguments = [arena.map.address(), 77, 2, 3, 4, 5];
    row().pass(arguments);
    let mut records: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    for record in rig.records() {
        assert_eq!(record.header.length as usize, record.bytes.len(), "{name}");
        assert_eq!(u32::from(record.header.probe), slot, "{name}");
        let twice = records.insert(record.header.site, record.bytes);
        assert!(twice.is_none(), "{name}: two records of one hit");
    }
    let (mut rejected, mut faulted, mut counted) = (0, 0, 0);
    for (index, (ops, cookie)) in programs.iter().zip(&cookies).enumerate() {
        let machine = ReferenceMachine::new(&arena.regions)
            .with_modules(&marks, &[])
            .with(5, arguments[0])
            .with(4, arguments[1])
            .with(1, arguments[2])
            .with(2, arguments[3])
            .with(8, arguments[4])
            .with(9, arguments[5])
            .with(16, row_address(index));
        let got = records.remove(cookie);
        for op in ops {
            seen.codes.insert(op.code);
        }
        match machine.run(ops) {
            Outcome::Sent(wanted) => {
                let got = got.unwrap_or_default();
                same(&wanted, &got, &format!("{name} {index}"), ops);
                let flags = u32::from_le_bytes(wanted[48..52].try_into().expect("flags"));
                seen.sent += 1;
                seen.steps += usize::from(flags & FLAG_STEPS != 0);
                seen.no_room += usize::from(flags & FLAG_NO_ROOM != 0);
                seen.read_faults += usize::from(flags & FLAG_FAULT != 0);
            }
            Outcome::Counted | Outcome::Tallied(..) | Outcome::TalliedRecord(_) => {
                counted += 1;
                assert!(got.is_none(), "{name} {index}: a counted hit was sent");
            }
            Outcome::Rejected => {
                rejected += 1;
                assert!(got.is_none(), "{name} {index}: a rejected hit was sent");
            }
            Outcome::Faulted => {
                faulted += 1;
                assert!(got.is_none(), "{name} {index}: a faulted hit was sent");
            }
        }
    }
    let counters = rig.counters(slot);
    assert_eq!(counters.hits, programs.len() as u64, "{name}");
    assert_eq!(
        (counters.rejected, counters.faults, counters.lost),
        (rejected, faulted, 0),
        "{name}"
    );
    seen.counted += counted;
    seen.rejected += rejected as usize;
    seen.faulted += faulted as usize;
    rig.remove(slot);
}

/// Fails if the records differ in their flags or in the bytes after the header.
fn same(wanted: &[u8], got: &[u8], name: &str, ops: &[EncodedOp]) {
    let flags = |record: &[u8]| record.get(48..52).map(<[u8]>::to_vec);
    let data = |record: &[u8]| record.get(HEADER..).map(<[u8]>::to_vec);
    let at = wanted
        .iter()
        .zip(got)
        .skip(HEADER)
        .position(|(a, b)| a != b);
    let near = |record: &[u8]| {
        let from = at.map_or(0, |at| (at + HEADER) / 8 * 8);
        record
            .get(from..record.len().min(from + 24))
            .map(<[u8]>::to_vec)
    };
    assert!(
        flags(wanted) == flags(got) && data(wanted) == data(got),
        "{name}: {} bytes wanted, {} got, flags {:?} and {:?}, other bytes from {:?} on, {:?} and {:?}\n{ops:#?}",
        wanted.len(),
        got.len(),
        flags(wanted),
        flags(got),
        at.map(|at| at + HEADER),
        near(wanted),
        near(got),
    );
}

/// Number of batches. Emulated machines are ten times slower.
fn batches(way: Way) -> u64 {
    match (way, emulated()) {
        (Way::Best, false) => 10,
        (Way::Best, true) => 2,
        (Way::PerfEvents, _) => 1,
    }
}

#[test]
fn random_programs_send_what_the_reference_sends() {
    for &way in ways() {
        let Some(mut rig) = Rig::load(way, RING) else {
            return;
        };
        let batch = if way == Way::Best && rig.machine.has_multi_links() {
            BATCH
        } else {
            BATCH / 8
        };
        let mut seen = Seen::default();
        for seed in 0..batches(way) {
            let mut random = Random::new(seed);
            let arena = Arena::new(&mut random);
            let programs: Vec<_> = (0..batch).map(|_| program(&mut random, &arena)).collect();
            let name = format!("{way:?}, seed {seed}, program");
            check(&mut rig, &arena, &programs, &mut seen, &name);
        }
        eprintln!(
            "{way:?}: {} sent, {} counted, {} rejected, {} faulted, {} at the limit of steps, {} out of room, {} with faults",
            seen.sent,
            seen.counted,
            seen.rejected,
            seen.faulted,
            seen.steps,
            seen.no_room,
            seen.read_faults
        );
        if batch == BATCH {
            let missing = (op::END..=op::TALLY_RECORD)
                .chain(op::FLOAT..=op::PLACE)
                .find(|code| !seen.codes.contains(code));
            assert_eq!(missing, None, "an op that was never tried");
            let each = [
                seen.sent,
                seen.counted,
                seen.rejected,
                seen.faulted,
                seen.steps,
            ];
            assert!(each.iter().all(|&count| count > 0), "{seen:?}");
            assert!(seen.no_room > 0 && seen.read_faults > 0, "{seen:?}");
        }
    }
}

/// Programs that reach each limit exactly, in steps and in bytes.
fn at_limits(arena: &Arena) -> Vec<Vec<EncodedOp>> {
    let count_down = EncodedOp {
        code: op::ALU_CONST,
        dst: 0,
        src: 0,
        a: op::alu::SUB,
        ..EncodedOp::default()
    };
    let until_zero = |to| EncodedOp {
        code: op::JUMP_IF_CONST,
        dst: 0,
        size: op::cond::NE,
        a: to,
        ..EncodedOp::default()
    };
    // One op first, then two ops a round: programs at the limit, and one step above and below.
    let rounds = u64::from(MAX_STEPS) / 2;
    let mut programs: Vec<Vec<EncodedOp>> = (rounds - 2..rounds + 2)
        .flat_map(|rounds| {
            let looped = vec![
                constant(0, rounds),
                count_down.with_wide(1),
                until_zero(1),
                emit(1, 0),
            ];
            let mut shifted = looped.clone();
            shifted.insert(0, constant(1, 1));
            shifted[3].a = 2;
            [looped, shifted]
        })
        .collect();
    let whole = |bytes| copy(7, RDI, bytes);
    // Full records, with a last chunk that fits, one that does not, and one that leaves no room for
    // a header.
    for last in [0, 8, 3976, 3984, 3992, 4000, 4008, MAX_COPY, MAX_COPY + 1] {
        let mut ops = vec![whole(MAX_COPY); 7];
        ops.extend([whole(last), emit(1, RSI), emit(2, RSI)]);
        programs.push(ops);
    }
    // Strings that are cut at the limit and at the end of the mapping.
    for (back, len) in [(10, 9), (10, 10), (10, 11), (1, 0), (4000, MAX_COPY)] {
        programs.push(vec![
            constant(0, arena.end() - back),
            EncodedOp {
                code: op::COPY_STRING,
                src: 0,
                len,
                a: 3,
                ..EncodedOp::default()
            },
        ]);
    }
    // Copies up to the last readable page.
    for (back, len) in [(10, 11), (4096, 4096), (4095, 4096), (1, 2)] {
        programs.push(vec![
            constant(0, arena.end() - back),
            EncodedOp {
                code: op::COPY_PARTIAL,
                src: 0,
                len,
                a: 3,
                ..EncodedOp::default()
            },
        ]);
    }
    programs.extend(divisions_of_the_least());
    programs.push(Vec::new());
    programs.push(vec![EncodedOp {
        code: op::JUMP,
        a: u32::MAX,
        ..EncodedOp::default()
    }]);
    programs
}

/// `r[dst] = value`.
fn constant(dst: u8, value: u64) -> EncodedOp {
    let op = EncodedOp {
        code: op::CONST,
        dst,
        ..EncodedOp::default()
    };
    op.with_wide(value)
}

/// Divisions of the least number of 128 bits by 0, -1 and 1.
fn divisions_of_the_least() -> Vec<Vec<EncodedOp>> {
    let mut programs = Vec::new();
    for operation in op::wide::DIV_LOW..=op::wide::SREM_HIGH {
        for by in [0, u64::MAX, 1] {
            let halves = [0, 1 << 63, by, if by == 1 { 0 } else { by }];
            let mut ops: Vec<EncodedOp> = (0..)
                .zip(halves)
                .map(|(dst, value)| constant(dst, value))
                .collect();
            ops.push(EncodedOp {
                code: op::WIDE,
                dst: 4,
                src: 0,
                size: 2,
                a: 6,
                offset: i32::from_le_bytes([1, 3, 0, 0]),
                len: operation,
            });
            ops.extend([emit(1, 4), emit(2, 0)]);
            programs.push(ops);
        }
    }
    programs
}

#[test]
fn programs_at_a_limit_end_as_the_reference_ends() {
    for &way in ways() {
        let Some(mut rig) = Rig::load(way, RING) else {
            return;
        };
        let mut arena = Arena::new(&mut Random::new(1));
        arena.map.bytes().fill(b'x');
        let filled = arena.map.bytes().to_vec();
        arena.regions = Regions(BTreeMap::from([(arena.map.address(), filled)]));
        let programs = at_limits(&arena);
        let mut seen = Seen::default();
        check(&mut rig, &arena, &programs, &mut seen, &format!("{way:?}"));
        assert!(seen.steps > 0 && seen.no_room > 0, "{seen:?}");
        assert!(seen.sent > 20 && MAX_RECORD > 0, "{seen:?}");
    }
}
