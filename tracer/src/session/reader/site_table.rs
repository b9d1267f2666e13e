//! The attached sites, as the reader knows them, by their attach cookies.

use std::sync::Arc;

use crate::debuginfo::site::Site;
use crate::event::SiteOrigin;
use crate::kernel::WatchedMemory;
use crate::lang::ast::ProbeSpec;
use crate::plan::timing::SpanBegin;
use crate::plan::{Key, Layout};
use crate::session::reader::span_code::SpanCode;

/// The reader's data on an attached site.
#[derive(Debug)]
pub(in crate::session) struct SiteEntry {
    /// Index of its probe in the kernel's maps.
    pub(in crate::session) slot: u32,
    /// Its probe, as the user wrote it.
    pub(in crate::session) spec: Arc<ProbeSpec>,
    /// The common part of all of its events.
    pub(in crate::session) origin: Arc<SiteOrigin>,
    /// Layout of its records.
    pub(in crate::session) layout: Layout,
    /// Meaning of the keys by which its hits are aggregated.
    pub(in crate::session) key: Option<Key>,
    /// Style of its events.
    pub(in crate::session) style: EventStyle,
    /// Site of the first frame. `None` if a hit is elsewhere.
    pub(in crate::session) site: Option<Site>,
    /// The function around the site, if spans begin here.
    pub(in crate::session) span: Option<SpanCode>,
    /// The watched value, if the site is one.
    pub(in crate::session) watch: Option<WatchedObject>,
    /// The part of the site in a watch, if its hits send no events.
    pub(in crate::session) mark: Option<WatchMark>,
}

/// The part of a site in a watch whose object is found at a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum WatchMark {
    /// A hit finds the object.
    Finds,
    /// A hit ends the watch, if it is of that object.
    Ends,
}

/// A watched value.
#[derive(Clone, Debug)]
pub(in crate::session) struct WatchedObject {
    pub(in crate::session) watch: WatchedMemory,
    /// The thread whose stack has it.
    pub(in crate::session) stack_of: Option<u32>,
}

/// Options of a probe for its events.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct EventStyle {
    /// Frames of their stacks.
    pub(in crate::session) depth: u32,
    /// The stacks have the variables of the callers.
    pub(in crate::session) callers: bool,
    /// Hits between them are to be left out.
    pub(in crate::session) samples: bool,
}

/// Sites by their attach cookie.
#[derive(Debug, Default)]
pub(in crate::session) struct SiteTable {
    sites: Vec<Option<SiteEntry>>,
    /// Those at which spans begin.
    spans: Vec<usize>,
}

impl SiteTable {
    /// The site with this cookie.
    pub(in crate::session) fn get(&self, cookie: u32) -> Option<&SiteEntry> {
        self.sites.get(usize::try_from(cookie).ok()?)?.as_ref()
    }

    /// The sites at which spans begin.
    pub(in crate::session) fn spans(
        &self,
    ) -> impl Iterator<Item = (&SiteEntry, &SpanBegin, &SpanCode)> {
        self.spans.iter().filter_map(|&index| {
            let entry = self.sites.get(index)?.as_ref()?;
            Some((entry, entry.layout.span()?, entry.span.as_ref()?))
        })
    }

    /// Registers a site.
    pub(in crate::session) fn set(&mut self, cookie: u32, entry: Option<SiteEntry>) {
        let Ok(index) = usize::try_from(cookie) else {
            return;
        };
        self.spans.retain(|&other| other != index);
        if entry.as_ref().is_some_and(|entry| entry.span.is_some()) {
            self.spans.push(index);
        }
        if index >= self.sites.len() {
            self.sites.resize_with(index + 1, || None);
        }
        if let Some(slot) = self.sites.get_mut(index) {
            *slot = entry;
        }
    }
}
