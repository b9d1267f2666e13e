//! Limits the work and the memory that reading one module's files may take.
//!
//! All readers of a module share one [`ReadBudget`]. Each counts its work, in steps of about a
//! nanosecond, and the bytes that it keeps. Work in proportion to the size of the files is always
//! allowed. A hostile file can make work grow faster than that, so such work ends at a limit. The
//! readers then stop, and the module answers every question with the refusal: a partial reading
//! is never taken for the whole.
//!
//! The counts do not depend on the clock, so the same file always has the same answer. Only the
//! work that is given back over time, for long sessions, depends on it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::debuginfo::limits::{
    MEMORY, MEMORY_PER_BYTE, WORK, WORK_PER_BYTE, WORK_PER_PROBE, WORK_RETURNS, WORK_RETURNS_AFTER,
};

/// Steps that a [`BudgetMeter`] counts before it takes them from the budget.
const BATCH: u64 = 1 << 16;

/// Readers of foreign bytes, by the kind of data that they read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReaderKind {
    /// Compressed sections.
    Sections,
    /// The symbol table.
    Symbols,
    /// Tables of abbreviations.
    Abbreviations,
    /// Units and their roots.
    Units,
    /// Debugging information entries.
    Entries,
    /// Rows of line tables.
    Lines,
    /// Directories and files of line tables.
    SourceFiles,
    /// Address ranges of entries.
    Ranges,
    /// Location lists.
    Locations,
    /// Call frame information.
    Frames,
    /// Names of functions and types.
    Names,
    /// Instructions.
    Code,
    /// Notes on USDT probes.
    StaticProbes,
    /// Files of split units.
    SplitFiles,
}

/// Number of the last reader, plus one.
const READERS: usize = ReaderKind::SplitFiles as usize + 1;

impl fmt::Display for ReaderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sections => "compressed sections",
            Self::Symbols => "symbols",
            Self::Abbreviations => "abbreviations",
            Self::Units => "units",
            Self::Entries => "entries",
            Self::Lines => "rows of line tables",
            Self::SourceFiles => "names of source files",
            Self::Ranges => "address ranges",
            Self::Locations => "items of location lists",
            Self::Frames => "entries of call frame information",
            Self::Names => "names",
            Self::Code => "bytes of code",
            Self::StaticProbes => "notes on USDT probes",
            Self::SplitFiles => "files of split units",
        })
    }
}

/// The item that the budget was too small for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// The work took too many steps.
    Work,
    /// The data would have taken too many bytes.
    Memory,
    /// One part of the file is larger than any that a compiler writes.
    Size {
        /// Number of its bytes, or of its parts.
        found: u64,
        /// The limit.
        limit: u64,
    },
}

/// The reason why a module is not read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetRefusal {
    /// The reader that reached the limit.
    pub reader: ReaderKind,
    /// The limit.
    pub excess: Excess,
    /// Number of things that the reader had read.
    pub read: u64,
    /// Bytes of the module's files.
    pub file_bytes: u64,
}

impl fmt::Display for BudgetRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reader, read, .. } = self;
        match self.excess {
            Excess::Work => write!(f, "too much work for a file of its size")?,
            Excess::Memory => write!(f, "too much memory for a file of its size")?,
            Excess::Size { found, limit } => {
                return write!(
                    f,
                    "its {reader} take {found} bytes in one place, over the limit of {limit}"
                );
            }
        }
        write!(f, "; it stopped after {read} {reader}")
    }
}

/// Budget of one module; see the [module documentation](self).
pub struct ReadBudget {
    work: ReaderAccount,
    memory: ReaderAccount,
    file_bytes: AtomicU64,
    read: [AtomicU64; READERS],
    refusal: OnceLock<BudgetRefusal>,
    made: Instant,
    /// Milliseconds from `made` until work was last given back.
    returned: AtomicU64,
}

#[derive(Default)]
struct ReaderAccount {
    used: AtomicU64,
    limit: AtomicU64,
}

impl ReaderAccount {
    /// Takes an amount. Returns false if the amount is more than is left.
    fn take(&self, amount: u64) -> bool {
        let used = self.used.fetch_add(amount, Ordering::Relaxed);
        used.saturating_add(amount) <= self.limit.load(Ordering::Relaxed)
    }

    fn give_back(&self, amount: u64) {
        let less = |used: u64| Some(used.saturating_sub(amount));
        let _ = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

impl fmt::Debug for ReadBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("work", &self.work.used)
            .field("memory", &self.memory.used)
            .field("refusal", &self.refusal)
            .finish_non_exhaustive()
    }
}

impl ReadBudget {
    /// Returns the budget for files of this total size.
    pub(in crate::debuginfo) fn new(file_bytes: u64) -> Self {
        let budget = Self {
            work: ReaderAccount::default(),
            memory: ReaderAccount::default(),
            file_bytes: AtomicU64::new(0),
            read: [const { AtomicU64::new(0) }; READERS],
            refusal: OnceLock::new(),
            made: Instant::now(),
            returned: AtomicU64::new(0),
        };
        budget.work.limit.store(WORK, Ordering::Relaxed);
        budget.memory.limit.store(MEMORY, Ordering::Relaxed);
        budget.add_file(file_bytes);
        budget
    }

    /// Raises the limits for another file of this size.
    pub(in crate::debuginfo) fn add_file(&self, bytes: u64) {
        self.file_bytes.fetch_add(bytes, Ordering::Relaxed);
        let work = bytes.saturating_mul(WORK_PER_BYTE);
        self.work.limit.fetch_add(work, Ordering::Relaxed);
        let memory = bytes.saturating_mul(MEMORY_PER_BYTE);
        self.memory.limit.fetch_add(memory, Ordering::Relaxed);
    }

    /// Raises the limits for another probe.
    pub(in crate::debuginfo) fn add_probe(&self) {
        self.work.give_back(WORK_PER_PROBE);
    }

    /// Gives all work back: a server answers questions for days, and each has the whole limit for itself.
    pub(in crate::debuginfo) fn add_question(&self) {
        self.work.used.store(0, Ordering::Relaxed);
    }

    /// Returns the steps of work that were done, less the steps that were given back.
    pub(in crate::debuginfo) fn work(&self) -> u64 {
        self.work.used.load(Ordering::Relaxed)
    }

    /// Returns the number of bytes that are kept.
    pub(in crate::debuginfo) fn memory(&self) -> u64 {
        self.memory.used.load(Ordering::Relaxed)
    }

    /// Returns the reason why the module is not read any further, if there is one.
    pub(in crate::debuginfo) fn refusal(&self) -> Option<BudgetRefusal> {
        self.refusal.get().copied()
    }

    /// Returns true if reading may go on.
    pub(in crate::debuginfo) fn is_open(&self) -> bool {
        self.refusal.get().is_none()
    }

    /// Counts work that was done and things that were read. Returns false if reading must stop.
    pub(in crate::debuginfo) fn spend(&self, reader: ReaderKind, steps: u64, things: u64) -> bool {
        if let Some(read) = self.read.get(reader as usize) {
            read.fetch_add(things, Ordering::Relaxed);
        }
        if self.is_open() && !self.work.take(steps) {
            self.return_work();
            if self.work() > self.work.limit.load(Ordering::Relaxed) {
                self.refuse(reader, Excess::Work);
            }
        }
        self.is_open()
    }

    /// Counts bytes that are kept until the [`KeptMemory`] is dropped. Returns `None` if there is
    /// no room for them.
    pub(in crate::debuginfo) fn keep(
        self: &Arc<Self>,
        reader: ReaderKind,
        bytes: u64,
    ) -> Option<KeptMemory> {
        let mut kept = KeptMemory::none(self);
        (kept.grow(reader, bytes) && kept.settle(reader)).then_some(kept)
    }

    /// Counts bytes that are kept for the module's lifetime. Returns false if there is no room.
    pub(in crate::debuginfo) fn hold(&self, reader: ReaderKind, bytes: u64) -> bool {
        if !self.memory.take(bytes) {
            self.refuse(reader, Excess::Memory);
        }
        self.is_open()
    }

    /// Returns the number of bytes that may be kept in total.
    pub(in crate::debuginfo) fn memory_limit(&self) -> u64 {
        self.memory.limit.load(Ordering::Relaxed)
    }

    /// Refuses to read the module any further.
    pub(in crate::debuginfo) fn refuse(&self, reader: ReaderKind, excess: Excess) {
        let read = self.read.get(reader as usize);
        self.refusal.get_or_init(|| BudgetRefusal {
            reader,
            excess,
            read: read.map_or(0, |read| read.load(Ordering::Relaxed)),
            file_bytes: self.file_bytes.load(Ordering::Relaxed),
        });
    }

    /// Gives back work in proportion to the time since it was last given back.
    fn return_work(&self) {
        let now = u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX);
        if now < WORK_RETURNS_AFTER * 1000 {
            return;
        }
        let before = self.returned.swap(now, Ordering::Relaxed);
        let whole = self.work.limit.load(Ordering::Relaxed);
        let each = whole / WORK_RETURNS / 1000;
        self.work
            .give_back(now.saturating_sub(before).saturating_mul(each));
    }

    /// Returns a meter that counts the work of one pass.
    pub(in crate::debuginfo) const fn meter(&self, reader: ReaderKind) -> BudgetMeter<'_> {
        BudgetMeter {
            budget: self,
            reader,
            steps: 0,
            things: 0,
        }
    }
}

/// Counts the work of one pass of a reader, and takes it from the budget in batches.
pub(in crate::debuginfo) struct BudgetMeter<'b> {
    budget: &'b ReadBudget,
    reader: ReaderKind,
    steps: u64,
    things: u64,
}

impl BudgetMeter<'_> {
    /// Counts one thing that takes this many steps. Returns false if reading must stop.
    #[inline]
    pub(in crate::debuginfo) fn take(&mut self, steps: u64) -> bool {
        self.things += 1;
        self.steps = self.steps.saturating_add(steps);
        self.steps < BATCH || self.flush()
    }

    fn flush(&mut self) -> bool {
        let (steps, things) = (self.steps, self.things);
        (self.steps, self.things) = (0, 0);
        self.budget.spend(self.reader, steps, things)
    }
}

impl Drop for BudgetMeter<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Bytes that are kept of a module's files. They are counted until this value is dropped.
#[derive(Debug)]
pub(in crate::debuginfo) struct KeptMemory {
    budget: Arc<ReadBudget>,
    /// Bytes that were taken from the budget.
    bytes: u64,
    /// Bytes that are not taken from the budget yet.
    pending: u64,
}

impl KeptMemory {
    /// Returns a value that has counted nothing yet.
    pub(in crate::debuginfo) fn none(budget: &Arc<ReadBudget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            bytes: 0,
            pending: 0,
        }
    }

    /// Returns the number of bytes that were counted.
    pub(in crate::debuginfo) const fn bytes(&self) -> u64 {
        self.bytes + self.pending
    }

    /// Counts further bytes. Returns false if there is no room for them.
    pub(in crate::debuginfo) fn grow(&mut self, reader: ReaderKind, bytes: u64) -> bool {
        self.pending = self.pending.saturating_add(bytes);
        self.pending < BATCH || self.settle(reader)
    }

    fn settle(&mut self, reader: ReaderKind) -> bool {
        let bytes = std::mem::take(&mut self.pending);
        self.bytes = self.bytes.saturating_add(bytes);
        self.budget.hold(reader, bytes)
    }
}

impl Drop for KeptMemory {
    fn drop(&mut self) {
        self.budget.memory.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_above_the_limit_is_refused_for_good_with_what_was_read() {
        let budget = ReadBudget::new(1000);
        let whole = WORK + 1000 * WORK_PER_BYTE;
        assert!(budget.spend(ReaderKind::Entries, whole - 5, 7));
        assert!(budget.spend(ReaderKind::Lines, 5, 3));
        assert_eq!(budget.refusal(), None);
        assert!(!budget.spend(ReaderKind::Lines, 1, 2));
        let refusal = budget.refusal().expect("a refusal");
        assert_eq!(
            (refusal.reader, refusal.excess, refusal.read),
            (ReaderKind::Lines, Excess::Work, 5)
        );
        // Another probe does not reopen the budget.
        budget.add_probe();
        assert!(!budget.spend(ReaderKind::Entries, 0, 0));
        assert_eq!(budget.refusal(), Some(refusal));
        assert_eq!(
            refusal.to_string(),
            "too much work for a file of its size; it stopped after 5 rows of line tables"
        );
    }

    #[test]
    fn work_comes_back_with_each_probe() {
        let budget = ReadBudget::new(0);
        assert!(budget.spend(ReaderKind::Entries, WORK, 1));
        budget.add_probe();
        assert!(budget.spend(ReaderKind::Entries, WORK_PER_PROBE, 1));
        assert!(!budget.spend(ReaderKind::Entries, 1, 1));
    }

    #[test]
    fn each_question_has_the_whole_limit_and_no_more() {
        let budget = ReadBudget::new(0);
        for _ in 0..3 {
            budget.add_question();
            assert!(budget.spend(ReaderKind::Entries, WORK, 1));
        }
        assert!(!budget.spend(ReaderKind::Entries, 1, 1));
        budget.add_question();
        assert!(!budget.spend(ReaderKind::Entries, 0, 0), "a refusal stays");
    }

    #[test]
    fn meter_takes_all_that_it_counted() {
        let budget = ReadBudget::new(0);
        let mut meter = budget.meter(ReaderKind::Names);
        assert!(meter.take(3) && meter.take(BATCH) && meter.take(4));
        assert_eq!(budget.work(), BATCH + 3);
        drop(meter);
        assert_eq!(budget.work(), BATCH + 7);
    }

    #[test]
    fn memory_that_is_dropped_may_be_kept_again_and_more_is_refused() {
        let budget = Arc::new(ReadBudget::new(10));
        let whole = MEMORY + 10 * MEMORY_PER_BYTE;
        let kept = budget.keep(ReaderKind::Symbols, whole).expect("room");
        drop(kept);
        assert_eq!(budget.memory(), 0);
        let mut kept = budget
            .keep(ReaderKind::Symbols, whole - BATCH)
            .expect("room");
        assert!(kept.grow(ReaderKind::Symbols, BATCH - 1));
        assert_eq!(kept.bytes(), whole - 1);
        assert!(!kept.grow(ReaderKind::Symbols, 2));
        let refusal = budget.refusal().expect("a refusal");
        assert_eq!(refusal.excess, Excess::Memory);
    }
}
