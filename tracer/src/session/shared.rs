//! What the session's threads share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::ProbeStatus;
use super::keeper::Keeper;
use super::looks::ModuleLooks;
use super::modules::Modules;
use super::queue::Queue;
use super::removed::Before;
use crate::address::RunAddr;
use crate::debuginfo::site::Site;
use crate::event::{Notice, Origin, PlacementId};
use crate::paging::Pager;
use crate::plan::{Key, Layout};
use crate::stack::Placed;

/// What the reader needs to know of an attached site.
#[derive(Debug)]
pub(super) struct SiteEntry {
    /// Index of its probe in the kernel's maps.
    pub(super) slot: u32,
    /// What all of its events have in common.
    pub(super) origin: Arc<Origin>,
    /// What its records look like.
    pub(super) layout: Layout,
    /// What the keys mean that its hits are added up by.
    pub(super) key: Option<Key>,
    /// What its events are to have.
    pub(super) style: EventStyle,
    /// What its first frame is at; `None` where a hit is elsewhere.
    pub(super) site: Option<Site>,
}

/// What a probe asks for in its events.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventStyle {
    /// Frames of their stacks.
    pub(super) depth: u32,
    /// Hits between them are to be left out.
    pub(super) samples: bool,
}

/// Sites by their attach cookie.
#[derive(Debug, Default)]
pub(super) struct SiteTable(Vec<Option<SiteEntry>>);

impl SiteTable {
    /// The site with this cookie.
    pub(super) fn get(&self, cookie: u32) -> Option<&SiteEntry> {
        self.0.get(usize::try_from(cookie).ok()?)?.as_ref()
    }

    /// Registers a site.
    pub(super) fn set(&mut self, cookie: u32, entry: Option<SiteEntry>) {
        let Ok(index) = usize::try_from(cookie) else {
            return;
        };
        if index >= self.0.len() {
            self.0.resize_with(index + 1, || None);
        }
        if let Some(slot) = self.0.get_mut(index) {
            *slot = entry;
        }
    }
}

/// How often the ring must have been empty after a removal before its room is used again. The
/// links close some tens of milliseconds later; the looks are milliseconds apart, and a closed
/// link is waited for besides.
const LOOKS: u32 = 64;

/// No attach cookie: there are not that many sites.
const NO_SITE: u32 = u32::MAX;

/// A probe that was removed, some of whose records may still be on their way.
#[derive(Debug)]
pub(super) struct Retired {
    /// As it was when it was removed.
    pub(super) status: ProbeStatus,
    /// The placement that is gone.
    pub(super) placement: PlacementId,
    /// Its index in the kernel's maps.
    pub(super) slot: u32,
    /// Those of its sites.
    pub(super) cookies: Vec<u32>,
    /// Counters that the removal itself makes grow, as they were before it.
    pub(super) before: Before,
    /// How often the ring was empty since.
    pub(super) looks: u32,
}

/// A notice that comes behind the events up to a time.
struct LaterNotice {
    ktime_ns: u64,
    notice: Notice,
}

/// What the session's threads share.
pub(super) struct Shared {
    /// On their way to the frontend.
    pub(super) queue: Queue,
    sites: RwLock<SiteTable>,
    modules: Mutex<Arc<Modules>>,
    looks: ModuleLooks,
    retired: Mutex<Vec<Retired>>,
    /// Notices that wait for older events, with their times of `CLOCK_MONOTONIC`.
    later: Mutex<Vec<LaterNotice>>,
    undecodable: Mutex<BTreeMap<PlacementId, u64>>,
    strays: AtomicU64,
    /// Records that wait for room.
    backlog: AtomicUsize,
    keeper: Keeper,
    /// The site in the target's dynamic linker; [`NO_SITE`]: there is none.
    loader: AtomicU32,
    /// Brings pages in; `None`: nobody does.
    pager: Mutex<Option<Arc<Pager>>>,
}

impl Shared {
    pub(super) fn new(
        queue: Queue,
        modules: Arc<Modules>,
        looks: ModuleLooks,
        keeper: Keeper,
        pager: Option<Pager>,
    ) -> Self {
        Self {
            looks,
            pager: Mutex::new(pager.map(Arc::new)),
            keeper,
            loader: AtomicU32::new(NO_SITE),
            queue,
            sites: RwLock::default(),
            modules: Mutex::new(modules),
            retired: Mutex::default(),
            later: Mutex::default(),
            undecodable: Mutex::default(),
            strays: AtomicU64::new(0),
            backlog: AtomicUsize::new(0),
        }
    }

    /// Who brings pages in.
    pub(super) fn pager(&self) -> Option<Arc<Pager>> {
        lock(&self.pager).clone()
    }

    /// No more pages are brought in.
    pub(super) fn end_paging(&self) {
        drop(lock(&self.pager).take());
    }

    /// The modules of the target, as they were when last looked at.
    pub(super) fn modules(&self) -> Arc<Modules> {
        Arc::clone(&lock(&self.modules))
    }

    /// Puts these in the place of the target's modules.
    pub(super) fn set_modules(&self, modules: Modules) {
        *lock(&self.modules) = Arc::new(modules);
    }

    /// Reads the target's mappings once more; `None` when nothing has changed.
    pub(super) fn look_again(&self) -> Option<Arc<Modules>> {
        let now = self.looks.read()?;
        let mut modules = lock(&self.modules);
        *modules = Arc::new(modules.with(now)?);
        Some(Arc::clone(&modules))
    }

    /// The module that had a run address at a hit, with where it was.
    ///
    /// The target may have loaded it since the last look: it is looked for once more, as often as
    /// [`ModuleLooks`] lets it.
    pub(super) fn placed(&self, address: RunAddr, hit_ns: u64) -> Option<Placed> {
        let modules = self.modules();
        let found = modules.placed(address);
        let age = hit_ns.saturating_sub(modules.looked_ns());
        if !self.looks.may_look(found.is_some(), age) {
            return found;
        }
        drop(modules);
        let _changed = self.look_again();
        let found = self.modules().placed(address);
        self.looks.looked(found.is_some());
        found
    }

    pub(super) fn sites(&self) -> RwLockReadGuard<'_, SiteTable> {
        self.sites.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sites_mut(&self) -> RwLockWriteGuard<'_, SiteTable> {
        self.sites.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says which site is hit when the target loads a library.
    pub(super) fn set_loader(&self, cookie: u32) {
        self.loader.store(cookie, Ordering::Relaxed);
    }

    /// Tells the keeper when the site is the dynamic linker's; false for all others.
    pub(super) fn is_of_loader(&self, cookie: u32) -> bool {
        let is = self.loader.load(Ordering::Relaxed) == cookie;
        if is {
            self.keeper.wake();
        }
        is
    }

    /// Counts a record that could not be shown; `None`: of a probe that is gone.
    pub(super) fn count_undecodable(&self, placement: Option<PlacementId>) {
        match placement {
            Some(placement) => {
                *lock(&self.undecodable).entry(placement).or_default() += 1;
                self.queue.mark_lost(placement);
            }
            None => {
                self.strays.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Tells how many records wait for room.
    pub(super) fn set_backlog(&self, records: usize) {
        self.backlog.store(records, Ordering::Relaxed);
    }

    /// Events that wait for the frontend, made or not.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len() + self.backlog.load(Ordering::Relaxed)
    }

    /// Events of one placement that the kernel side sent and the frontend does not get.
    pub(super) fn lost_on_the_way(&self, placement: PlacementId) -> u64 {
        let undecodable = lock(&self.undecodable);
        self.queue.dropped(placement) + undecodable.get(&placement).copied().unwrap_or(0)
    }

    /// Keeps what the kernel knows of a removed probe from being used again for now.
    pub(super) fn retire(&self, retired: Retired) {
        lock(&self.retired).push(retired);
    }

    /// The reader has emptied the ring once more.
    pub(super) fn ring_was_emptied(&self) {
        for retired in &mut *lock(&self.retired) {
            retired.looks = retired.looks.saturating_add(1);
        }
    }

    /// Removed probes of which no record can be left; all of them when there are no more `looks`.
    pub(super) fn take_forgotten(&self, looks: bool) -> Vec<Retired> {
        let mut retired = lock(&self.retired);
        let (gone, left) = retired
            .drain(..)
            .partition(|retired| !looks || retired.looks >= LOOKS);
        *retired = left;
        gone
    }

    /// Tells the frontend something once it has the events up to a time of `CLOCK_MONOTONIC`.
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
        self.queue.extend(due);
    }

    /// Tells the frontend that the target is gone.
    pub(super) fn target_exited(&self) {
        self.queue.extend([Notice::TargetExited(None)]);
    }
}

/// Locks; a panic of another holder left the data as it was between two of its steps.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
