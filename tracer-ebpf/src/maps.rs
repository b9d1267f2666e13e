//! Maps that userspace and the programs share.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, PerCpuArray, RingBuf};
use tracer_common::aggregate::{BytesKey, NumberKey};
use tracer_common::control::{ProbeControl, ProbeCounters, ProbeState, Settings, SiteControl};
use tracer_common::limits::{
    MAX_COPY, MAX_NUMBERS, MAX_OPS, MAX_PROBES, MAX_RECORD, MAX_SITES, MAX_VALUES, REGISTERS,
    SCRATCH_PER_CPU,
};
use tracer_common::op::EncodedOp;
use tracer_common::record::{Miss, RecordHeader};
use tracer_common::timing::BegunKey;

/// Memory of one hit, from its start to its end.
#[repr(C)]
pub struct ScratchArea {
    /// 1 while a hit has claimed it.
    pub busy: u64,
    /// First op of the plan.
    pub first: u32,
    /// Next op to run.
    pub next: u32,
    /// Op after the plan's last one.
    pub end: u32,
    /// Size of the record so far in bytes, a multiple of 8.
    pub length: u32,
    /// Offset of the last chunk's header; 0 if there is no chunk.
    pub chunk: u32,
    /// The record's flags.
    pub flags: u32,
    /// How the hit ended (see `outcome`), or `RUNNING`.
    pub ended: u32,
    /// Why the number of a tally is missing (a `CHUNK_…` status), or 0.
    pub status: u32,
    /// The number of a tally.
    pub number: u64,
    /// Output of helpers, because the stack has no room for it (see `step`).
    pub word: u64,
    /// Code of the plan's timing op (see `timing`), or 0.
    pub timed: u32,
    /// 1 if chunks are kept from the beginning to the end.
    pub keeps: u32,
    /// 1 if the function's entry announces the call.
    pub told: u32,
    /// Why the last failed read failed: a `CHUNK_…` status.
    pub fault: u32,
    /// Not 0 if calls that are left are told.
    pub tells_left: u32,
    /// Length in bytes of the chunks of a call that was left.
    pub left: u32,
    /// The message for userspace about a failed read.
    pub miss: Miss,
    /// Key of the beginning.
    pub key: BegunKey,
    /// Address of the beginning's entry in the map.
    pub begun: u64,
    /// Nanoseconds since the beginning.
    pub elapsed: u64,
    /// Canonical frame address of a step.
    pub frame: u64,
    /// Roles of the step's site, and its order.
    pub roles: u32,
    /// Line of the step, or 0.
    pub line: u32,
    /// Not 0 if the hit takes a call.
    pub takes: u32,
    /// Zero.
    pub reserved: u32,
    /// Address that a step's site is about to call.
    pub target: u64,
    /// See `tracer_common::op`.
    pub registers: [u64; REGISTERS],
    /// The record. The longest copy still fits if it begins at the last byte of the record.
    pub record: [u8; (MAX_RECORD + 2 * MAX_COPY + 16) as usize],
}

impl ScratchArea {
    /// The record's header.
    #[inline(always)]
    pub fn header(&mut self) -> &mut RecordHeader {
        // SAFETY: the record begins with its header, and is aligned for it.
        unsafe { &mut *self.record.as_mut_ptr().cast() }
    }
}

/// Ops of all plans.
#[map(name = "OPS")]
pub static OPS: Array<EncodedOp> = Array::with_max_entries(MAX_OPS, 0);

/// Sites by attach cookie.
#[map(name = "SITES")]
pub static SITES: Array<SiteControl> = Array::with_max_entries(MAX_SITES, 0);

/// Limits of probes.
#[map(name = "PROBE_CONTROL")]
pub static PROBE_CONTROL: Array<ProbeControl> = Array::with_max_entries(MAX_PROBES, 0);

/// State of probes, for all CPUs together.
#[map(name = "PROBE_STATE")]
pub static PROBE_STATE: Array<ProbeState> = Array::with_max_entries(MAX_PROBES, 0);

/// Counters of probes.
#[map(name = "PROBE_COUNTERS")]
pub static PROBE_COUNTERS: PerCpuArray<ProbeCounters> =
    PerCpuArray::with_max_entries(MAX_PROBES, 0);

/// Hits by number.
#[map(name = "NUMBERS")]
pub static NUMBERS: HashMap<NumberKey, u64> = HashMap::with_max_entries(MAX_NUMBERS, 0);

/// Hits by text and other bytes.
#[map(name = "VALUES")]
pub static VALUES: HashMap<BytesKey, u64> = HashMap::with_max_entries(MAX_VALUES, 0);

/// `SCRATCH_PER_CPU` areas for each CPU. The loader sets the number.
#[map(name = "SCRATCH")]
pub static SCRATCH: Array<ScratchArea> = Array::with_max_entries(SCRATCH_PER_CPU, 0);

/// Records on their way to userspace. The loader sets the size.
#[map(name = "EVENTS")]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// Settings that the loader writes once, before the programs are loaded.
#[unsafe(no_mangle)]
static SETTINGS: Settings = Settings {
    pid_ns_dev: 0,
    pid_ns_ino: 0,
    wake_mark: 1 << 19,
    task_members: 0,
    vma_flags: 0,
};

/// The settings; constants for the verifier.
#[inline(always)]
pub fn settings() -> Settings {
    // SAFETY: a static of plain numbers. The read is volatile because the loader changes it.
    unsafe { core::ptr::read_volatile(&raw const SETTINGS) }
}
