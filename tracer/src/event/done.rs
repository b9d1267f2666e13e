//! The end of a probe that has sent its last event.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ProbeId;

/// The end of a probe that has sent its last event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The limit that ended it.
    pub reason: DoneReason,
    /// Time of the removal of its breakpoints, in ns since the Unix epoch.
    pub time_ns: u64,
}

/// The limit that ended a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DoneReason {
    /// The number of hits, from `hits N` or its action.
    Hits(u64),
    /// The time from `for DURATION`.
    Time(Duration),
    /// The default time of a probe without `for DURATION`.
    DefaultTime(Duration),
    /// A hit came to the place of `until LOCATION`.
    Until,
    /// The function was left whose frame has the watched object.
    Left,
}

impl DoneReason {
    /// One word for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hits(_) => "hits",
            Self::Time(_) | Self::DefaultTime(_) => "time",
            Self::Until | Self::Left => "object",
        }
    }
}

impl fmt::Display for DoneReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hits(1) => f.write_str("after 1 hit"),
            Self::Hits(hits) => write!(f, "after {hits} hits"),
            Self::Time(time) => write!(f, "after {time:?}"),
            Self::Until => f.write_str("at the place of `until`"),
            Self::Left => f.write_str("since the function of its object was left"),
            Self::DefaultTime(time) => write!(
                f,
                "after {} min, the default of `for DURATION`",
                time.as_secs() / 60
            ),
        }
    }
}

/// Says that a probe is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeDone {
    /// The probe.
    pub probe: ProbeId,
    /// Its name.
    pub name: String,
    /// Its end.
    pub done: Done,
}

impl fmt::Display for ProbeDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, done, .. } = self;
        write!(
            f,
            "{name} is done {}; its breakpoints are removed",
            done.reason
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probe_that_is_done_says_why() {
        let said = |reason| {
            let done = Done { reason, time_ns: 0 };
            let name = "p1".into();
            let probe = ProbeId(1);
            ProbeDone { probe, name, done }.to_string()
        };
        let reasons = [
            DoneReason::Hits(1),
            DoneReason::Hits(5),
            DoneReason::Time(Duration::from_millis(1500)),
            DoneReason::DefaultTime(Duration::from_secs(3600)),
        ];
        assert_eq!(
            reasons.map(said),
            [
                "p1 is done after 1 hit; its breakpoints are removed",
                "p1 is done after 5 hits; its breakpoints are removed",
                "p1 is done after 1.5s; its breakpoints are removed",
                "p1 is done after 60 min, the default of `for DURATION`; its breakpoints are removed",
            ]
        );
    }
}
