//! The loaded machine with its ring, and what tests do with it.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracer::address::FileOffset;
use tracer::kernel::{LoadOptions, Machine, Ring, SiteRequest};
use tracer_common::control::{ProbeControl, ProbeCounters};
use tracer_common::op::{self, Op};
use tracer_common::record::{ChunkHeader, Miss, RecordHeader};

use super::needs;

/// One test at a time: they measure, fill rings and take turns on CPUs.
static TURN: Mutex<()> = Mutex::new(());

/// A probe that does all that its ops say.
pub(crate) const UNLIMITED: ProbeControl = ProbeControl {
    enabled: 1,
    reserved: 0,
    expires_ns: 0,
    hit_budget: 0,
    interval_ns: 0,
    burst_ns: 0,
};

/// How to attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// As the kernel does it best.
    Best,
    /// By perf events, as where there is nothing better.
    PerfEvents,
}

/// The ways that are tried. In an emulated machine, where each load takes seconds, only the
/// best: the oldest kernel there has perf events, the newer one more.
pub(crate) fn ways() -> &'static [Way] {
    if emulated() {
        &[Way::Best]
    } else {
        &[Way::Best, Way::PerfEvents]
    }
}

/// Whether the machine is emulated: `cargo xtask test` says so to the tests in its guests.
pub(crate) fn emulated() -> bool {
    std::env::var_os("TRACER_TEST_EMULATED").is_some()
}

/// As many rounds, or a fifth of them in an emulated machine.
pub(crate) fn rounds(wanted: u64) -> u64 {
    if emulated() { wanted / 5 } else { wanted }
}

/// The loaded machine with its ring.
pub(crate) struct Rig {
    pub(crate) machine: Machine,
    ring: Ring,
    _turn: MutexGuard<'static, ()>,
}

/// A record, taken apart.
pub(crate) struct Record {
    pub(crate) header: RecordHeader,
    /// All its bytes.
    pub(crate) bytes: Vec<u8>,
}

impl Rig {
    /// Loads; `None` where this kernel or user cannot, and that is allowed.
    pub(crate) fn load(way: Way, ring_bytes: u32) -> Option<Self> {
        if !needs::kernel() {
            return None;
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let options = LoadOptions {
            ring_bytes,
            perf_events: way == Way::PerfEvents,
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

    /// Probes sites of this process; gives the probe's slot and the sites' cookies.
    pub(crate) fn probe(
        &mut self,
        control: &ProbeControl,
        sites: &[(FileOffset, Vec<Op>)],
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

    /// Removes a probe, waits for the end, gives its room back.
    pub(crate) fn remove(&mut self, slot: u32) {
        self.machine.detach(slot);
        self.machine.wait_closed();
        self.machine.forget(slot);
    }

    /// All that the ring has.
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

    /// What was told of reads that failed, since the last time.
    pub(crate) fn misses(&mut self) -> Vec<Miss> {
        std::iter::from_fn(|| self.ring.next_miss()).collect()
    }

    /// A probe's counters, after checking that each hit is in exactly one of them.
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

/// Requests for sites of this program.
pub(crate) fn requests(sites: &[(FileOffset, Vec<Op>)]) -> Vec<SiteRequest> {
    let request = |(offset, ops): &(FileOffset, Vec<Op>)| SiteRequest {
        path: PathBuf::from("/proc/self/exe"),
        offset: *offset,
        ops: ops.clone(),
        flags: 0,
        address: None,
        copies: Vec::new(),
        returns: false,
        alone: false,
    };
    sites.iter().map(request).collect()
}

/// Machine register of the target's `rdi`.
pub(crate) const RDI: u8 = op::TARGET_REGISTERS + 5;
/// Machine register of the target's `rsi`.
pub(crate) const RSI: u8 = op::TARGET_REGISTERS + 4;

/// Chunk `slot`: the 8 bytes of a register.
pub(crate) fn emit(slot: u32, src: u8) -> Op {
    Op {
        code: op::EMIT,
        src,
        size: 8,
        a: slot,
        ..Op::default()
    }
}

/// Chunk `slot`: `len` bytes at what a register holds.
pub(crate) fn copy(slot: u32, src: u8, len: u32) -> Op {
    Op {
        code: op::COPY,
        src,
        len,
        a: slot,
        ..Op::default()
    }
}

/// Sends the hits whose `rdi` is odd.
pub(crate) fn odd() -> Vec<Op> {
    vec![
        Op {
            code: op::ALU_CONST,
            dst: 0,
            src: RDI,
            a: op::alu::AND,
            ..Op::default()
        }
        .with_wide(1),
        Op {
            code: op::JUMP_IF_CONST,
            dst: 0,
            size: op::cond::NE,
            a: 3,
            ..Op::default()
        },
        Op {
            code: op::REJECT,
            ..Op::default()
        },
        emit(1, RDI),
    ]
}
