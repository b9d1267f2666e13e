//! Maps that userspace and the programs share.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, PerCpuArray, RingBuf};
use tracer_common::aggregate::{BytesKey, NumberKey};
use tracer_common::control::{ProbeControl, ProbeCounters, ProbeState, Settings, SiteControl};
use tracer_common::limits::{
    MAX_COPY, MAX_NUMBERS, MAX_OPS, MAX_PROBES, MAX_RECORD, MAX_SITES, MAX_VALUES, REGISTERS,
    SCRATCH_PER_CPU,
};
use tracer_common::op::Op;
use tracer_common::record::{Miss, RecordHeader};
use tracer_common::timing::BegunKey;

/// What one hit works with, from its start to its end.
#[repr(C)]
pub struct Scratch {
    /// 1 while a hit has it.
    pub busy: u64,
    /// First op of the plan.
    pub first: u32,
    /// Next op to run.
    pub next: u32,
    /// Op behind the plan's last one.
    pub end: u32,
    /// Bytes of the record so far, a multiple of 8.
    pub length: u32,
    /// Where the header of the last chunk is; 0: there is none.
    pub chunk: u32,
    /// The record's flags.
    pub flags: u32,
    /// How the hit ended (`outcome`), or `RUNNING`.
    pub ended: u32,
    /// Why the number of a tally is not there, or 0.
    pub status: u32,
    /// The number of a tally.
    pub number: u64,
    /// What a helper writes, and the stack has no room for (see `step`).
    pub word: u64,
    /// Op that timed something (see `timing`), or 0.
    pub timed: u32,
    /// 1: chunks are kept from the beginning to the end.
    pub keeps: u32,
    /// 1: the function's entry has told of the call, or does so.
    pub told: u32,
    /// Why the last read that failed did: `CHUNK_…`.
    pub fault: u32,
    /// The message for userspace about a read that failed.
    pub miss: Miss,
    /// Which beginning it is.
    pub key: BegunKey,
    /// Address of its beginning in the map.
    pub begun: u64,
    /// ns since then.
    pub elapsed: u64,
    /// See `tracer_common::op`.
    pub registers: [u64; REGISTERS],
    /// The record; the longest copy that begins at its last byte still fits.
    pub record: [u8; (MAX_RECORD + 2 * MAX_COPY + 16) as usize],
}

impl Scratch {
    /// The record's header.
    #[inline(always)]
    pub fn header(&mut self) -> &mut RecordHeader {
        // SAFETY: the record begins with room for its header, aligned for it.
        unsafe { &mut *self.record.as_mut_ptr().cast() }
    }
}

/// Ops of all plans.
#[map(name = "OPS")]
pub static OPS: Array<Op> = Array::with_max_entries(MAX_OPS, 0);

/// Sites by attach cookie.
#[map(name = "SITES")]
pub static SITES: Array<SiteControl> = Array::with_max_entries(MAX_SITES, 0);

/// Limits of probes.
#[map(name = "PROBE_CONTROL")]
pub static PROBE_CONTROL: Array<ProbeControl> = Array::with_max_entries(MAX_PROBES, 0);

/// What is remembered of probes over all CPUs.
#[map(name = "PROBE_STATE")]
pub static PROBE_STATE: Array<ProbeState> = Array::with_max_entries(MAX_PROBES, 0);

/// Counters of probes.
#[map(name = "PROBE_COUNTERS")]
pub static PROBE_COUNTERS: PerCpuArray<ProbeCounters> =
    PerCpuArray::with_max_entries(MAX_PROBES, 0);

/// Hits by number. Its room is made when it is loaded.
#[map(name = "NUMBERS")]
pub static NUMBERS: HashMap<NumberKey, u64> = HashMap::with_max_entries(MAX_NUMBERS, 0);

/// Hits by text and other bytes.
#[map(name = "VALUES")]
pub static VALUES: HashMap<BytesKey, u64> = HashMap::with_max_entries(MAX_VALUES, 0);

/// `SCRATCH_PER_CPU` for each CPU; the loader sets the number.
#[map(name = "SCRATCH")]
pub static SCRATCH: Array<Scratch> = Array::with_max_entries(SCRATCH_PER_CPU, 0);

/// Records on their way to userspace; the loader sets the size.
#[map(name = "EVENTS")]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// What the loader says once, before the programs are loaded.
#[unsafe(no_mangle)]
static SETTINGS: Settings = Settings {
    pid_ns_dev: 0,
    pid_ns_ino: 0,
    wake_mark: 1 << 19,
    task_members: 0,
    vma_flags: 0,
};

/// What the loader says; constants for the verifier.
#[inline(always)]
pub fn settings() -> Settings {
    // SAFETY: a static of plain numbers; volatile, since the loader changes it.
    unsafe { core::ptr::read_volatile(&raw const SETTINGS) }
}
