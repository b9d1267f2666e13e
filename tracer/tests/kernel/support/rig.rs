//! The loaded machine with its ring, and common operations of tests.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tracer::base::address::FileOffset;
use tracer::kernel::{LoadOptions, Machine, Ring, SiteRequest, Trigger};
use tracer::program::Program;
use tracer_common::control::{ProbeControl, ProbeCounters};
use tracer_common::limits::MAX_ACCOUNTS;
use tracer_common::op::{self, EncodedOp};
use tracer_common::record::{ChunkHeader, Miss, RecordHeader};

use super::{needs, recognised};

/// One test at a time, because they measure, fill rings and use the same sites.
static TURN: Mutex<()> = Mutex::new(());

/// A probe without limits.
pub(crate) const UNLIMITED: ProbeControl = ProbeControl {
    enabled: 1,
    per_process: 0,
    expires_ns: 0,
    hit_budget: 0,
    interval_ns: 0,
    burst_ns: 0,
};

/// The way to attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The best way of this kernel.
    Best,
    /// Perf events, as on kernels without multi-uprobe links.
    PerfEvents,
}

/// The ways to test. In an emulated machine each load takes seconds, so there it is only the best
/// one: perf events on the oldest kernel, and multi-uprobe links on the newer one.
pub(crate) fn ways() -> &'static [Way] {
    if emulated() {
        &[Way::Best]
    } else {
        &[Way::Best, Way::PerfEvents]
    }
}

/// True if the machine is emulated: `cargo xtask test` sets a variable for tests in its guests.
pub(crate) fn emulated() -> bool {
    std::env::var_os("TRACER_TEST_EMULATED").is_some()
}

/// The number of rounds, or a fifth of it in an emulated machine.
pub(crate) fn rounds(wanted: u64) -> u64 {
    if emulated() { wanted / 5 } else { wanted }
}

/// The loaded machine with its ring.
pub(crate) struct Rig {
    pub(crate) machine: Machine,
    ring: Ring,
    _turn: MutexGuard<'static, ()>,
}

/// A parsed record.
pub(crate) struct Record {
    pub(crate) header: RecordHeader,
    /// All its bytes.
    pub(crate) bytes: Vec<u8>,
}

impl Rig {
    /// Loads the machine. `None` if this kernel or user cannot, and the tests may be skipped.
    pub(crate) fn load(way: Way, ring_bytes: u32) -> Option<Self> {
        Self::load_as(way, ring_bytes, 0)
    }

    /// Such a rig with an account for each process.
    pub(crate) fn load_with_accounts(way: Way, ring_bytes: u32) -> Option<Self> {
        Self::load_as(way, ring_bytes, MAX_ACCOUNTS)
    }

    fn load_as(way: Way, ring_bytes: u32, accounts: u32) -> Option<Self> {
        if !needs::kernel() {
            return None;
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let options = LoadOptions {
            ring_bytes,
            perf_events: way == Way::PerfEvents,
            accounts,
            ..LoadOptions::default()
        };
        let mut machine = Machine::load(&options).expect("the programs load");
        let ring = machine.take_ring().expect("the ring");
        Some(Self {
            machine,
            ring,
            _turn: turn,
        })
    }

    /// Probes sites of this process. Returns the probe's slot and the sites' cookies.
    pub(crate) fn probe(
        &mut self,
        control: &ProbeControl,
        sites: &[(FileOffset, Vec<EncodedOp>)],
    ) -> (u32, Vec<u32>) {
        let requests = requests(sites);
        let reserved = self.machine.reserve(control, &requests).expect("room");
        let (slot, cookies) = (reserved.slot, reserved.cookies.clone());
        let failed = self
            .machine
            .attach(std::process::id(), reserved, &requests)
            .expect("attached");
        assert!(failed.is_empty(), "{failed:?}");
        (slot, cookies)
    }

    /// Removes a probe, waits until it is gone, and frees its map elements.
    pub(crate) fn remove(&mut self, slot: u32) {
        self.machine.detach(slot);
        self.machine.wait_closed();
        self.machine.forget(slot);
    }

    /// Takes all records out of the ring.
    pub(crate) fn records(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        let keep = |bytes: &[u8]| {
            let header = bytemuck::pod_read_unaligned(&bytes[..size_of::<RecordHeader>()]);
            records.push(Record {
                header,
                bytes: bytes.to_vec(),
            });
        };
        assert!(self.ring.drain(keep), "the ring was emptied");
        records
    }

    /// The failed reads since the last call.
    pub(crate) fn misses(&mut self) -> Vec<Miss> {
        std::iter::from_fn(|| self.ring.next_miss()).collect()
    }

    /// A probe's counters, after a check that each hit is in exactly one of them.
    pub(crate) fn counters(&self, slot: u32) -> ProbeCounters {
        let counters = self.machine.counters(slot).expect("counters");
        let sum = counters.events
            + counters.lost
            + counters.limited
            + counters.rejected
            + counters.faults
            + counters.silenced
            + counters.expired
            + counters.over_budget;
        assert_eq!(counters.hits, sum, "{counters:?}");
        counters
    }
}

impl Record {
    /// Status and data of each chunk.
    pub(crate) fn chunks(&self) -> Vec<(u8, &[u8])> {
        let mut chunks = Vec::new();
        let mut rest = &self.bytes[size_of::<RecordHeader>()..];
        while !rest.is_empty() {
            let (header, data) = rest.split_at(size_of::<ChunkHeader>());
            let header: ChunkHeader = bytemuck::pod_read_unaligned(header);
            let length = header.length as usize;
            chunks.push((header.status, &data[..length]));
            rest = &data[length.next_multiple_of(8)..];
        }
        chunks
    }
}

/// A program of exactly these ops, with the guard and the fetches that a compiler would state.
pub(crate) fn program(ops: Vec<EncodedOp>, flags: u32) -> Program {
    let flags = flags | recognised::adding_up(&ops, flags);
    let (guard, behind) = recognised::guard_of(&ops);
    let fetches = recognised::fetches_of(ops.get(behind..).unwrap_or_default(), flags);
    let mut program = Program::of_encoded(ops);
    program.flags = flags;
    program.runner = recognised::runner_of(&program.ops, flags, fetches.words != 0);
    program.guard = (guard.kind != 0).then_some(guard);
    program.fetches = (fetches.words != 0).then_some(fetches);
    program
}

/// Requests for sites of this program.
pub(crate) fn requests(sites: &[(FileOffset, Vec<EncodedOp>)]) -> Vec<SiteRequest> {
    let request = |(offset, ops): &(FileOffset, Vec<EncodedOp>)| SiteRequest {
        trigger: Trigger::at("/proc/self/exe", *offset),
        program: program(ops.clone(), 0),
        shift: 0,
        only_if: None,
        copies: Vec::new(),
        alone: false,
        begins_span: false,
    };
    sites.iter().map(request).collect()
}

/// Machine register of the target's `rdi`.
pub(crate) const RDI: u8 = op::TARGET_REGISTERS + 5;
/// Machine register of the target's `rsi`.
pub(crate) const RSI: u8 = op::TARGET_REGISTERS + 4;

/// Chunk `slot`: the 8 bytes of a register.
pub(crate) fn emit(slot: u32, src: u8) -> EncodedOp {
    EncodedOp {
        code: op::EMIT,
        src,
        size: 8,
        a: slot,
        ..EncodedOp::default()
    }
}

/// Chunk `slot`: `len` bytes at the address in a register.
pub(crate) fn copy(slot: u32, src: u8, len: u32) -> EncodedOp {
    EncodedOp {
        code: op::COPY,
        src,
        len,
        a: slot,
        ..EncodedOp::default()
    }
}

/// Sends the hits whose `rdi` is odd.
pub(crate) fn odd() -> Vec<EncodedOp> {
    vec![
        EncodedOp {
            code: op::ALU_CONST,
            dst: 0,
            src: RDI,
            a: op::alu::AND,
            ..EncodedOp::default()
        }
        .with_wide(1),
        EncodedOp {
            code: op::JUMP_IF_CONST,
            dst: 0,
            size: op::cond::NE,
            a: 3,
            ..EncodedOp::default()
        },
        EncodedOp {
            code: op::REJECT,
            ..EncodedOp::default()
        },
        emit(1, RDI),
    ]
}
