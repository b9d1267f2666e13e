//! Loads and attaches the programs of `xtask/bench-ebpf`, and reads their events.

use std::io::{BufWriter, Write};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use aya::Ebpf;
use aya::maps::{PerCpuArray, RingBuf};
use aya::programs::UProbe;
use aya::programs::uprobe::{UProbeAttachLocation, UProbeScope};

use super::observed::{EventCounts, Observer, RunTime, Scratch, run_time_of};
use super::report::{SiteKind, Workload};
use super::target::{Hitter, directory};
use crate::support::failure::Failure;
use crate::{build::ebpf, support::workspace};

/// Time between two looks at the ring, as in tracer's reader.
const DRAIN: Duration = Duration::from_millis(20);

/// Compiles the programs. Returns the object.
///
/// # Errors
/// The build failed.
pub(super) fn build() -> Result<PathBuf> {
    let root = workspace::root();
    ebpf::build(
        &ebpf::toolchain()?,
        &root,
        ebpf::BENCH,
        &directory()?.join("ebpf"),
    )
    .context("cannot build the programs of the bench")
}

/// One of the programs on a site, with a reader if it sends events.
pub(super) struct BenchProgram {
    what: Workload,
    /// `None` once the reader has taken the ring, or the program is detached.
    ebpf: Option<Ebpf>,
    reader: Option<RingReader>,
}

impl BenchProgram {
    /// Loads the program and attaches it to the hitting program.
    ///
    /// # Errors
    /// The kernel refused the program.
    pub(super) fn start(
        object: &Path,
        what: Workload,
        hitter: &Hitter,
        site: SiteKind,
    ) -> Result<Self> {
        let name = match what {
            Workload::None => "empty",
            Workload::Log2 => "log2",
            Workload::Rejected => "rejected",
            Workload::Count => "hits",
            Workload::LogStruct => return Err(Failure::new("no such program is written").into()),
        };
        let bytes =
            std::fs::read(object).with_context(|| format!("cannot read {}", object.display()))?;
        let mut ebpf = Ebpf::load(&bytes).context("cannot load the programs of the bench")?;
        let reader = match what {
            Workload::Log2 => Some(RingReader::start(&mut ebpf)?),
            _ => None,
        };
        let program: &mut UProbe = ebpf
            .program_mut(name)
            .with_context(|| format!("the object has no program `{name}`"))?
            .try_into()?;
        program
            .load()
            .context("cannot load a program of the bench")?;
        let pid = NonZeroU32::new(hitter.pid()).context("the hitting program has no pid")?;
        program
            .attach(
                UProbeAttachLocation::AbsoluteOffset(hitter.offset(site)?),
                hitter.path(),
                UProbeScope::OneProcess(pid),
            )
            .context("cannot attach a program of the bench")?;
        Ok(Self {
            what,
            ebpf: Some(ebpf),
            reader,
        })
    }

    /// A counter of the programs, summed over all CPUs.
    fn counted(&self, index: u32) -> Result<u64> {
        let ebpf = self.ebpf.as_ref().context("it is detached")?;
        let map = ebpf.map("COUNTS").context("the object has no `COUNTS`")?;
        let counts: PerCpuArray<_, u64> = map.try_into()?;
        Ok(counts.get(&index, 0)?.iter().sum())
    }
}

impl Observer for BenchProgram {
    fn check_runs(&mut self) -> Result<()> {
        Ok(())
    }

    fn cpu(&self) -> Option<Duration> {
        // The reader is part of this unoptimised program, so its CPU time is not comparable.
        None
    }

    fn run_time(&self) -> Option<RunTime> {
        run_time_of("self")
    }

    fn settle(&mut self) -> Result<()> {
        if let Some(reader) = &self.reader {
            reader.wait_empty();
        }
        Ok(())
    }

    fn stop(mut self: Box<Self>) -> Result<EventCounts> {
        let lost = self.counted(1)?;
        let counted = self.counted(0)?;
        // Detaches.
        self.ebpf = None;
        let delivered = match self.reader.take() {
            Some(reader) => Some(reader.stop()?),
            None if self.what == Workload::Count => Some(counted),
            None if self.what == Workload::Rejected => Some(0),
            None => None,
        };
        Ok(EventCounts {
            delivered,
            lost: delivered.map(|_| lost),
        })
    }
}

/// State shared with the reader's thread.
#[derive(Default)]
struct ReaderState {
    stop: AtomicBool,
    /// Looks at the empty ring since the last event.
    idle: AtomicU64,
    delivered: AtomicU64,
}

/// A thread that writes one line of JSON per event.
struct RingReader {
    shared: Arc<ReaderState>,
    thread: JoinHandle<Result<()>>,
}

impl RingReader {
    fn start(ebpf: &mut Ebpf) -> Result<Self> {
        let map = ebpf
            .take_map("EVENTS")
            .context("the object has no `EVENTS`")?;
        let ring = RingBuf::try_from(map)?;
        let shared = Arc::new(ReaderState::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::spawn(move || read(ring, &theirs));
        Ok(Self { shared, thread })
    }

    /// Waits until the thread has seen the ring empty twice.
    fn wait_empty(&self) {
        while self.shared.idle.load(Ordering::Relaxed) < 2 && !self.thread.is_finished() {
            std::thread::sleep(DRAIN);
        }
    }

    fn stop(self) -> Result<u64> {
        self.shared.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(result) => result?,
            Err(_) => return Err(Failure::new("the reader of the bench failed").into()),
        }
        Ok(self.shared.delivered.load(Ordering::Relaxed))
    }
}

fn read(mut ring: RingBuf<aya::maps::MapData>, shared: &ReaderState) -> Result<()> {
    let file = Scratch::new("events")?;
    let mut out = BufWriter::with_capacity(64 << 10, file.create()?);
    loop {
        // The flag is read before the look, so that the last look comes after the last hit.
        let last = shared.stop.load(Ordering::Relaxed);
        let mut found = 0;
        while let Some(record) = ring.next() {
            let (time, id, left, right) =
                parse(&record).context("a record of the bench is too short")?;
            writeln!(
                out,
                r#"{{"type":"event","time":{time},"pid":{},"tid":{},"left":{left},"right":{right}}}"#,
                id >> 32,
                id & 0xFFFF_FFFF
            )?;
            found += 1;
        }
        out.flush()?;
        shared.delivered.fetch_add(found, Ordering::Relaxed);
        if found == 0 {
            shared.idle.fetch_add(1, Ordering::Relaxed);
        } else {
            shared.idle.store(0, Ordering::Relaxed);
        }
        if last {
            return Ok(());
        }
        std::thread::sleep(DRAIN);
    }
}

/// An event: time, process and thread, and the two integers.
fn parse(record: &[u8]) -> Option<(u64, u64, i32, i32)> {
    let eight = |at: usize| Some(u64::from_ne_bytes(record.get(at..at + 8)?.try_into().ok()?));
    let four = |at: usize| Some(i32::from_ne_bytes(record.get(at..at + 4)?.try_into().ok()?));
    Some((eight(0)?, eight(8)?, four(16)?, four(20)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_is_read_back() {
        let mut record = Vec::new();
        record.extend(7_u64.to_ne_bytes());
        record.extend(((3_u64 << 32) | 4).to_ne_bytes());
        record.extend((-1_i32).to_ne_bytes());
        record.extend(2_i32.to_ne_bytes());
        assert_eq!(parse(&record), Some((7, (3 << 32) | 4, -1, 2)));
        assert_eq!(parse(&record[..23]), None);
    }
}
