//! State that the session's threads share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::feed::Feed;
use super::known_labels::KnownLabels;
use super::locks::lock;
use super::reader::objects::WatchNews;
use super::reader::retired::Retired;
use super::reader::site_table::SiteTable;
use crate::event::{Exemplar, PlacementId, ProbeId, ProcessLabels};
use crate::session::sites::known_processes::KnownProcesses;
use crate::session::sites::process_modules::ProcessModules;
use crate::session::{Notice, SourceFile};
use crate::target::paging::Pager;

/// Number of looks that must find the ring empty after a removal before the probe's index is used
/// again. The links close some tens of milliseconds later. The looks are milliseconds apart, and
/// the tracer waits for closed links besides.
const LOOKS: u32 = 64;

/// Not an attach cookie: there are fewer sites than that.
const NO_SITE: u32 = u32::MAX;

/// News from the reader for the owner of the session.
#[derive(Clone, Copy, Debug)]
pub(super) enum ReaderNews {
    /// The target's dynamic linker has mapped or unmapped a library.
    LibraryLoaded,
    /// A watch has come to its object, or to its end.
    Watch(WatchNews),
}

/// Passes news on.
type TellNews = Box<dyn Fn(ReaderNews) + Send + Sync>;

/// A notice that comes after all events up to a time.
struct LaterNotice {
    ktime_ns: u64,
    notice: Notice,
}

/// State that the session's threads share.
pub(super) struct SharedState {
    /// On their way to the frontend.
    pub(super) feed: Feed,
    sites: RwLock<SiteTable>,
    processes: Mutex<KnownProcesses>,
    labels: Mutex<KnownLabels>,
    retired: Mutex<Vec<Retired>>,
    /// Notices that wait for older events, with their times of `CLOCK_MONOTONIC`.
    later: Mutex<Vec<LaterNotice>>,
    undecodable: Mutex<BTreeMap<PlacementId, u64>>,
    repeated: Mutex<BTreeMap<PlacementId, u64>>,
    strays: AtomicU64,
    /// The last span of each power of two of its time.
    exemplars: Mutex<BTreeMap<PlacementId, BTreeMap<u32, Exemplar>>>,
    /// Events that could not be delivered to a collector.
    undelivered: Mutex<BTreeMap<ProbeId, u64>>,
    /// Records that wait for space.
    backlog: AtomicUsize,
    /// Tells the owner of the session what the reader has found.
    news: TellNews,
    /// Source files whose text a frontend has asked for.
    shown: Mutex<Vec<SourceFile>>,
    /// The site in the target's dynamic linker; [`NO_SITE`]: there is none.
    loader: AtomicU32,
    /// Fetches pages. `None` if pages are not fetched.
    pager: Mutex<Option<Arc<Pager>>>,
}

impl SharedState {
    pub(super) fn new(processes: KnownProcesses, news: TellNews, pager: Option<Pager>) -> Self {
        Self {
            pager: Mutex::new(pager.map(Arc::new)),
            news,
            loader: AtomicU32::new(NO_SITE),
            feed: Feed::default(),
            sites: RwLock::default(),
            processes: Mutex::new(processes),
            labels: Mutex::default(),
            retired: Mutex::default(),
            later: Mutex::default(),
            undecodable: Mutex::default(),
            repeated: Mutex::default(),
            strays: AtomicU64::new(0),
            exemplars: Mutex::default(),
            undelivered: Mutex::default(),
            shown: Mutex::default(),
            backlog: AtomicUsize::new(0),
        }
    }

    /// Remembers that a frontend has the text of a source file.
    pub(super) fn add_shown(&self, file: &SourceFile) {
        let mut shown = lock(&self.shown);
        if shown.iter().all(|known| known.path != file.path) {
            shown.push(file.clone());
        }
    }

    /// The source files whose text a frontend has.
    pub(super) fn shown(&self) -> Vec<SourceFile> {
        lock(&self.shown).clone()
    }

    /// The pager.
    pub(super) fn pager(&self) -> Option<Arc<Pager>> {
        lock(&self.pager).clone()
    }

    /// Ends the fetching of pages.
    pub(super) fn end_paging(&self) {
        drop(lock(&self.pager).take());
    }

    /// The modules of the process with this id, to name the addresses of its hits.
    pub(super) fn modules_of(&self, pid: u32) -> Arc<ProcessModules> {
        let known = &mut *lock(&self.processes);
        known.modules_of(pid)
    }

    /// The processes whose modules are known.
    pub(super) fn processes(&self) -> MutexGuard<'_, KnownProcesses> {
        lock(&self.processes)
    }

    /// A process, as values show it. `name` is what the kernel side knows of it.
    pub(super) fn labels_of(&self, pid: u32, name: &[u8]) -> Arc<ProcessLabels> {
        lock(&self.labels).of(pid, name)
    }

    /// The processes, as values show them.
    pub(super) fn labels(&self) -> MutexGuard<'_, KnownLabels> {
        lock(&self.labels)
    }

    pub(super) fn sites(&self) -> RwLockReadGuard<'_, SiteTable> {
        self.sites.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sites_mut(&self) -> RwLockWriteGuard<'_, SiteTable> {
        self.sites.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the site that is hit when the target loads a library.
    pub(super) fn set_loader(&self, cookie: u32) {
        self.loader.store(cookie, Ordering::Relaxed);
    }

    /// Returns true, and tells the owner, if the site is the dynamic linker's.
    pub(super) fn is_of_loader(&self, cookie: u32) -> bool {
        let is = self.loader.load(Ordering::Relaxed) == cookie;
        if is {
            self.tell_owner(ReaderNews::LibraryLoaded);
        }
        is
    }

    /// Tells the owner of the session.
    pub(super) fn tell_owner(&self, news: ReaderNews) {
        (self.news)(news);
    }

    /// Counts a record that could not be shown. `None` if its probe is gone.
    pub(super) fn count_undecodable(&self, placement: Option<PlacementId>) {
        match placement {
            Some(placement) => {
                *lock(&self.undecodable).entry(placement).or_default() += 1;
                self.feed.mark_lost(placement);
            }
            None => {
                self.strays.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Counts steps of a trace that are left out: turns of a loop like those before them.
    pub(super) fn count_repeated(&self, placement: PlacementId, steps: u64) {
        *lock(&self.repeated).entry(placement).or_default() += steps;
    }

    /// Steps of one placement that were left out.
    pub(super) fn repeated(&self, placement: PlacementId) -> u64 {
        lock(&self.repeated)
            .get(&placement)
            .copied()
            .unwrap_or_default()
    }

    /// Keeps a span as an example of its time.
    pub(super) fn set_exemplar(&self, placement: PlacementId, exemplar: Exemplar) {
        let power = exemplar.elapsed_ns.checked_ilog2().unwrap_or_default();
        let mut all = lock(&self.exemplars);
        all.entry(placement).or_default().insert(power, exemplar);
    }

    /// The spans that are kept of a probe, shortest first.
    pub(super) fn exemplars(&self, placement: PlacementId) -> Vec<Exemplar> {
        let all = lock(&self.exemplars);
        let of_it = all.get(&placement).into_iter();
        of_it.flat_map(|kept| kept.values().copied()).collect()
    }

    /// Counts events of a probe that could not be delivered to a collector.
    pub(super) fn count_undelivered(&self, probe: ProbeId, events: u64) {
        *lock(&self.undelivered).entry(probe).or_default() += events;
    }

    /// Events of a probe that could not be delivered to a collector.
    pub(super) fn undelivered(&self, probe: ProbeId) -> u64 {
        lock(&self.undelivered)
            .get(&probe)
            .copied()
            .unwrap_or_default()
    }

    /// Sets the number of records that wait for space.
    pub(super) fn set_backlog(&self, records: usize) {
        self.backlog.store(records, Ordering::Relaxed);
    }

    /// Records that wait for space.
    pub(super) fn backlog(&self) -> usize {
        self.backlog.load(Ordering::Relaxed)
    }

    /// Events of one placement that the kernel side sent and no frontend gets.
    pub(super) fn undecodable(&self, placement: PlacementId) -> u64 {
        let undecodable = lock(&self.undecodable);
        undecodable.get(&placement).copied().unwrap_or(0)
    }

    /// Keeps the kernel's indices of a removed probe from being used again for now.
    pub(super) fn retire(&self, retired: Retired) {
        lock(&self.retired).push(retired);
    }

    /// The reader has emptied the ring once more.
    pub(super) fn ring_was_emptied(&self) {
        for retired in &mut *lock(&self.retired) {
            retired.looks = retired.looks.saturating_add(1);
        }
    }

    /// Removed probes that have no records left; all removed probes when there are no more `looks`.
    pub(super) fn take_forgotten(&self, looks: bool) -> Vec<Retired> {
        let mut retired = lock(&self.retired);
        let (gone, left) = retired
            .drain(..)
            .partition(|retired| !looks || retired.looks >= LOOKS);
        *retired = left;
        gone
    }

    /// Sends a notice to the frontend after its events up to a time of `CLOCK_MONOTONIC`.
    pub(super) fn tell_after(&self, ktime_ns: u64, notice: Notice) {
        lock(&self.later).push(LaterNotice { ktime_ns, notice });
    }

    /// The frontend has all events up to a time.
    pub(super) fn events_are_told_until(&self, ktime_ns: u64) {
        let mut later = lock(&self.later);
        if later.is_empty() {
            return;
        }
        let due: Vec<Notice> = later
            .extract_if(.., |later| later.ktime_ns <= ktime_ns)
            .map(|later| later.notice)
            .collect();
        drop(later);
        self.feed.extend(due);
    }

    /// Sends a notice to the frontend.
    pub(super) fn tell(&self, notice: Notice) {
        self.feed.extend([notice]);
    }

    /// Reports a problem to the frontend.
    pub(super) fn warn(&self, text: String) {
        self.tell(Notice::Warning(text));
    }

    /// Reports a requested or expected change to the frontend.
    pub(super) fn note(&self, text: String) {
        self.tell(Notice::Note(text));
    }

    /// Reports to the frontend that the target is gone.
    pub(super) fn target_exited(&self) {
        self.feed.extend([Notice::TargetExited(None)]);
    }
}
