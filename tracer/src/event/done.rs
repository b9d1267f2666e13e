//! A probe that has had its last event.

use std::fmt;
use std::time::Duration;

use super::ProbeId;

/// The end of a probe that has had its last event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// Why nothing more comes.
    pub reason: DoneReason,
    /// When its breakpoints were taken out, in ns since the Unix epoch.
    pub time_ns: u64,
}

/// Why nothing more comes from a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoneReason {
    /// It has had so many hits, as `hits N` or its action says.
    Hits(u64),
    /// The time that `for` gives it is over.
    Time(Duration),
    /// The time is over that a probe without `for` has.
    DefaultTime(Duration),
}

impl DoneReason {
    /// One word for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hits(_) => "hits",
            Self::Time(_) | Self::DefaultTime(_) => "time",
        }
    }
}

impl fmt::Display for DoneReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hits(1) => f.write_str("it has had its 1 hit"),
            Self::Hits(hits) => write!(f, "it has had its {hits} hits"),
            Self::Time(time) => write!(f, "its time of {time:?} is over"),
            Self::DefaultTime(time) => write!(
                f,
                "its time of {} min is over, which `for DURATION` in the probe sets",
                time.as_secs() / 60
            ),
        }
    }
}

/// Says that a probe is done.
#[derive(Clone, Debug, PartialEq, Eq)]
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
            "{name} is done: {}; its breakpoints are out",
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
                "p1 is done: it has had its 1 hit; its breakpoints are out",
                "p1 is done: it has had its 5 hits; its breakpoints are out",
                "p1 is done: its time of 1.5s is over; its breakpoints are out",
                "p1 is done: its time of 60 min is over, which `for DURATION` in the probe sets; \
                 its breakpoints are out",
            ]
        );
    }
}
