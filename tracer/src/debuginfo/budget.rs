//! The work and the memory that reading one module's files may take.
//!
//! All readers of a module share one [`Budget`]. Each counts what it does, in steps of about a
//! nanosecond, and the bytes that it keeps. Work in proportion to the size of the files is
//! always allowed; work that grows faster, as a hostile file can make it, comes to an end.
//! The readers then stop where they are, and the module answers every question with the
//! refusal: what was read until then is never taken for all that there is.
//!
//! The counts do not depend on the clock, so the same file has the same answer; only what
//! comes back over time, for sessions that run long, does.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::limits::{
    MEMORY, MEMORY_PER_BYTE, WORK, WORK_PER_BYTE, WORK_PER_PROBE, WORK_RETURNS, WORK_RETURNS_AFTER,
};

/// Steps that a [`Meter`] counts by itself before it takes them from the budget.
const BATCH: u64 = 1 << 16;

/// Readers of foreign bytes, by what they read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
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
    /// Files of split units.
    SplitFiles,
}

/// Number of the last reader, plus one.
const READERS: usize = Reader::SplitFiles as usize + 1;

impl fmt::Display for Reader {
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
            Self::SplitFiles => "files of split units",
        })
    }
}

/// What the budget did not suffice for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// It took too many steps.
    Work,
    /// It would have taken too many bytes.
    Memory,
    /// One part of the file is larger than any that a compiler writes.
    Size {
        /// Its bytes, or its parts.
        found: u64,
        /// The limit.
        limit: u64,
    },
}

/// Why a module is not read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reader that reached the limit.
    pub reader: Reader,
    /// Which limit.
    pub excess: Excess,
    /// How many of its things the reader had read.
    pub read: u64,
    /// Bytes of the module's files.
    pub file_bytes: u64,
}

impl fmt::Display for Refusal {
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

/// See the module.
pub struct Budget {
    work: Account,
    memory: Account,
    file_bytes: AtomicU64,
    read: [AtomicU64; READERS],
    refusal: OnceLock<Refusal>,
    made: Instant,
    /// Milliseconds from `made` until work came back last.
    returned: AtomicU64,
}

#[derive(Default)]
struct Account {
    used: AtomicU64,
    limit: AtomicU64,
}

impl Account {
    /// Takes some; false when that is more than there is.
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

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("work", &self.work.used)
            .field("memory", &self.memory.used)
            .field("refusal", &self.refusal)
            .finish_non_exhaustive()
    }
}

impl Budget {
    /// For files of so many bytes, all together.
    pub(super) fn new(file_bytes: u64) -> Self {
        let budget = Self {
            work: Account::default(),
            memory: Account::default(),
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

    /// Allows for another file of so many bytes.
    pub(super) fn add_file(&self, bytes: u64) {
        self.file_bytes.fetch_add(bytes, Ordering::Relaxed);
        let work = bytes.saturating_mul(WORK_PER_BYTE);
        self.work.limit.fetch_add(work, Ordering::Relaxed);
        let memory = bytes.saturating_mul(MEMORY_PER_BYTE);
        self.memory.limit.fetch_add(memory, Ordering::Relaxed);
    }

    /// Allows for another probe.
    pub(super) fn add_probe(&self) {
        self.work.give_back(WORK_PER_PROBE);
    }

    /// Steps of work that were done, less those that came back.
    pub(super) fn work(&self) -> u64 {
        self.work.used.load(Ordering::Relaxed)
    }

    /// Bytes that are kept.
    pub(super) fn memory(&self) -> u64 {
        self.memory.used.load(Ordering::Relaxed)
    }

    /// Why the module is not read any further, once it is not.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.refusal.get().copied()
    }

    /// Whether reading may go on.
    pub(super) fn is_open(&self) -> bool {
        self.refusal.get().is_none()
    }

    /// Counts work that was done, and things that were read; false when reading must stop.
    pub(super) fn spend(&self, reader: Reader, steps: u64, things: u64) -> bool {
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

    /// Counts bytes that will be kept until the [`Kept`] is dropped; `None` when there is no
    /// room for them.
    pub(super) fn keep(self: &Arc<Self>, reader: Reader, bytes: u64) -> Option<Kept> {
        let mut kept = Kept::none(self);
        (kept.grow(reader, bytes) && kept.settle(reader)).then_some(kept)
    }

    /// Counts bytes that are kept for as long as the module is; false when there is no room.
    pub(super) fn hold(&self, reader: Reader, bytes: u64) -> bool {
        if !self.memory.take(bytes) {
            self.refuse(reader, Excess::Memory);
        }
        self.is_open()
    }

    /// Bytes that may be kept, all together.
    pub(super) fn memory_limit(&self) -> u64 {
        self.memory.limit.load(Ordering::Relaxed)
    }

    /// Refuses to read the module any further.
    pub(super) fn refuse(&self, reader: Reader, excess: Excess) {
        let read = self.read.get(reader as usize);
        self.refusal.get_or_init(|| Refusal {
            reader,
            excess,
            read: read.map_or(0, |read| read.load(Ordering::Relaxed)),
            file_bytes: self.file_bytes.load(Ordering::Relaxed),
        });
    }

    /// Gives back the work that time gives back.
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

    /// Counts the work of one pass.
    pub(super) const fn meter(&self, reader: Reader) -> Meter<'_> {
        Meter {
            budget: self,
            reader,
            steps: 0,
            things: 0,
        }
    }
}

/// Counts the work of one pass of a reader, and takes it from the budget now and then.
pub(super) struct Meter<'b> {
    budget: &'b Budget,
    reader: Reader,
    steps: u64,
    things: u64,
}

impl Meter<'_> {
    /// Counts one thing that takes so many steps; false when reading must stop.
    #[inline]
    pub(super) fn take(&mut self, steps: u64) -> bool {
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

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Bytes that are kept of a module's files, counted for as long as this lives.
#[derive(Debug)]
pub(super) struct Kept {
    budget: Arc<Budget>,
    /// Taken from the budget.
    bytes: u64,
    /// Not yet.
    pending: u64,
}

impl Kept {
    /// Nothing yet.
    pub(super) fn none(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            bytes: 0,
            pending: 0,
        }
    }

    /// Bytes that were counted.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes + self.pending
    }

    /// Counts further bytes; false when there is no room for them.
    pub(super) fn grow(&mut self, reader: Reader, bytes: u64) -> bool {
        self.pending = self.pending.saturating_add(bytes);
        self.pending < BATCH || self.settle(reader)
    }

    fn settle(&mut self, reader: Reader) -> bool {
        let bytes = std::mem::take(&mut self.pending);
        self.bytes = self.bytes.saturating_add(bytes);
        self.budget.hold(reader, bytes)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.budget.memory.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_above_the_limit_is_refused_for_good_with_what_was_read() {
        let budget = Budget::new(1000);
        let whole = WORK + 1000 * WORK_PER_BYTE;
        assert!(budget.spend(Reader::Entries, whole - 5, 7));
        assert!(budget.spend(Reader::Lines, 5, 3));
        assert_eq!(budget.refusal(), None);
        assert!(!budget.spend(Reader::Lines, 1, 2));
        let refusal = budget.refusal().expect("a refusal");
        assert_eq!(
            (refusal.reader, refusal.excess, refusal.read),
            (Reader::Lines, Excess::Work, 5)
        );
        // A further probe does not open it again.
        budget.add_probe();
        assert!(!budget.spend(Reader::Entries, 0, 0));
        assert_eq!(budget.refusal(), Some(refusal));
        assert_eq!(
            refusal.to_string(),
            "too much work for a file of its size; it stopped after 5 rows of line tables"
        );
    }

    #[test]
    fn work_comes_back_with_each_probe() {
        let budget = Budget::new(0);
        assert!(budget.spend(Reader::Entries, WORK, 1));
        budget.add_probe();
        assert!(budget.spend(Reader::Entries, WORK_PER_PROBE, 1));
        assert!(!budget.spend(Reader::Entries, 1, 1));
    }

    #[test]
    fn meter_takes_all_that_it_counted() {
        let budget = Budget::new(0);
        let mut meter = budget.meter(Reader::Names);
        assert!(meter.take(3) && meter.take(BATCH) && meter.take(4));
        assert_eq!(budget.work(), BATCH + 3);
        drop(meter);
        assert_eq!(budget.work(), BATCH + 7);
    }

    #[test]
    fn memory_that_is_dropped_may_be_kept_again_and_more_is_refused() {
        let budget = Arc::new(Budget::new(10));
        let whole = MEMORY + 10 * MEMORY_PER_BYTE;
        let kept = budget.keep(Reader::Symbols, whole).expect("room");
        drop(kept);
        assert_eq!(budget.memory(), 0);
        let mut kept = budget.keep(Reader::Symbols, whole - BATCH).expect("room");
        assert!(kept.grow(Reader::Symbols, BATCH - 1));
        assert_eq!(kept.bytes(), whole - 1);
        assert!(!kept.grow(Reader::Symbols, 2));
        let refusal = budget.refusal().expect("a refusal");
        assert_eq!(refusal.excess, Excess::Memory);
    }
}
