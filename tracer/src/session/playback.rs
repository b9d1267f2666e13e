//! A session that is over and can be shown as it was at any time.

use super::{Notice, ProbeStatus};
use crate::event::{Aggregate, Event};

/// A session that is over. A frontend shows a part of its events at a time, because there may be millions.
///
/// Events are numbered from 0, in the order of the recording.
pub trait Playback: Send + Sync {
    /// Its length.
    fn extent(&self) -> Extent;

    /// The events around a place, as far as `shows` is true for them.
    ///
    /// Reading them takes some milliseconds. A rare event that is far away can take seconds, and is
    /// searched up to a limit.
    fn window(&self, place: PlaybackPlace, shows: &dyn Fn(&Event) -> bool) -> Window;
}

/// The length of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Its events.
    pub events: u64,
    /// Time of its beginning in ns since the Unix epoch.
    pub first_ns: u64,
    /// Time of its end in ns since the Unix epoch.
    pub last_ns: u64,
}

/// A place in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaybackPlace {
    /// The first event.
    First,
    /// The last event.
    Last,
    /// An event of this number, or the next one that is shown.
    From(u64),
    /// An event of this number, or the one before it that is shown.
    Before(u64),
    /// The first event at or after this time, in ns since the Unix epoch.
    Time(u64),
}

/// The content of a session beyond the first or the last event of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Beyond {
    /// Nothing: the session begins or ends there.
    #[default]
    Nothing,
    /// More events.
    Events,
    /// Events that were not searched, from this number on.
    Unsearched(u64),
}

/// Events around a place, and the state at the place.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// Events and notes, in order.
    pub notices: Vec<Notice>,
    /// The numbers of the events among them.
    pub numbers: Vec<u64>,
    /// The number of the event at the place. `None` if no event is shown.
    pub selected: Option<u64>,
    /// Beyond the first one.
    pub before: Beyond,
    /// Beyond the last one.
    pub behind: Beyond,
    /// The probes, as they were.
    pub probes: Vec<ProbeStatus>,
    /// Their aggregates, as they were.
    pub aggregates: Vec<Aggregate>,
}
