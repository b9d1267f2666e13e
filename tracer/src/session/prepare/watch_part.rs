//! The part of a site in a watch.

use crate::kernel;
use crate::plan::Plan;
use crate::plan::watching::WatchedPlace;
use crate::session::reader::site_table::WatchedObject;

/// The part of a site in a watch.
#[derive(Clone)]
pub(in crate::session) enum ReadyWatch {
    /// The value itself. Its address depends on the process.
    Value {
        place: WatchedPlace,
        on: kernel::WatchOn,
    },
    /// The value in one process.
    At(WatchedObject),
    /// A hit finds the object.
    Finds(Box<ObjectPlan>),
    /// A hit ends the watch.
    Ends,
}

/// The accesses to a value that a hit has found.
#[derive(Clone)]
pub(in crate::session) struct ObjectPlan {
    /// The plan of an access.
    pub(in crate::session) plan: Plan,
    /// Size of the value in bytes.
    pub(in crate::session) size: u32,
    /// The accesses that are hits.
    pub(in crate::session) on: kernel::WatchOn,
}
