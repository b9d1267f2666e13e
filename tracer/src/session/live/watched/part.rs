//! The part of a watch in one executable.

use std::collections::BTreeMap;

use crate::session::prepare::ReadySite;
use crate::session::reader::retired::HelperSites;
use crate::session::reader::site_table::WatchedObject;

/// A process with a value, or a thread with one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) struct ValueOwner {
    pub(in crate::session) pid: u32,
    pub(in crate::session) thread: Option<u32>,
}

/// The part of a watch in one executable.
#[derive(Default)]
pub(in crate::session) struct WatchedPart {
    /// The value, for processes that come later.
    pub(in crate::session) value: Option<ReadySite>,
    /// The processes in which it is watched, or their threads.
    pub(in crate::session) owners: Vec<ValueOwner>,
    /// The threads that the processes had at the last look, if each thread has a value of its own.
    pub(in crate::session) seen: BTreeMap<u32, Vec<u32>>,
    /// The sites that find the object, before they are attached.
    pub(in crate::session) finders: Vec<ReadySite>,
    /// The sites at which the watch ends, before they are attached.
    pub(in crate::session) enders: Vec<ReadySite>,
    /// The sites that find the object.
    pub(in crate::session) finding: Option<HelperSites>,
    /// The plans of the object, by the sites that find it.
    pub(in crate::session) objects: BTreeMap<u32, ReadySite>,
    /// The object that was found.
    pub(in crate::session) object: Option<WatchedObject>,
    /// The sites at which the watch ends.
    pub(in crate::session) ending: Option<HelperSites>,
}

impl WatchedPart {
    /// The sites whose hits are no events.
    pub(in crate::session) fn helpers(&self) -> impl Iterator<Item = HelperSites> {
        self.finding.iter().chain(&self.ending).cloned()
    }

    /// The number of sites that seek the object. 0 once it is found.
    pub(in crate::session) fn seeking(&self) -> usize {
        match (&self.finding, &self.object) {
            (Some(finding), None) => finding.cookies.len(),
            _ => 0,
        }
    }
}
