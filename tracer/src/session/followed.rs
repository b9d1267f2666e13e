//! Counts of the processes that the target has forked, and their wording.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::noun;

/// Counts of the processes that the target has forked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowedProcesses {
    /// They had the probes.
    pub followed: u64,
    /// They ended before they had them.
    pub too_short: u64,
    /// They executed another program, and had the probes no more.
    pub executed: u64,
    /// They never had them: too many at once, or the kernel refused.
    pub missed: u64,
    /// Hits that no counter has: too many processes came at once.
    pub missed_hits: u64,
    /// True if they had the probes from their first instruction. None is too short then.
    pub exact: bool,
    /// They match selectors. False if the target forked them.
    pub selected: bool,
    /// Times from their starts until they had the probes. `None` if there are none, or if nothing
    /// went unseen.
    pub unseen: Option<Unseen>,
}

/// Times that processes ran before they had the probes, in ns of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unseen {
    /// Shortest of these times.
    pub shortest_ns: u64,
    /// Longest of these times.
    pub longest_ns: u64,
}

impl Unseen {
    /// Adds one process to the times of the others.
    pub(super) fn with(of_others: Option<Self>, ns: u64) -> Self {
        let others = of_others.unwrap_or(Self {
            shortest_ns: ns,
            longest_ns: ns,
        });
        Self {
            shortest_ns: others.shortest_ns.min(ns),
            longest_ns: others.longest_ns.max(ns),
        }
    }
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shortest, longest) = (
            Milliseconds(self.shortest_ns),
            Milliseconds(self.longest_ns),
        );
        if shortest.to_string() == longest.to_string() {
            return write!(f, "{longest} ms");
        }
        write!(f, "{shortest} to {longest} ms")
    }
}

/// Nanoseconds as milliseconds, to two digits that count.
pub(super) struct Milliseconds(pub(super) u64);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let microseconds = self.0.div_ceil(1_000);
        let (whole, rest) = (microseconds / 1_000, microseconds % 1_000);
        match whole {
            0 if rest < 100 => write!(f, "0.{rest:03}"),
            0 => write!(f, "0.{:02}", rest / 10),
            1..10 => write!(f, "{whole}.{}", rest / 100),
            _ => write!(f, "{whole}"),
        }
    }
}

impl fmt::Display for FollowedProcesses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            followed,
            too_short,
            executed,
            missed,
            exact,
            selected,
            unseen,
            missed_hits: _,
        } = *self;
        if selected {
            return self.fmt_selected(f);
        }
        write!(
            f,
            "followed {followed} {} that the target forked",
            noun(followed, "process")
        )?;
        if executed > 0 {
            write!(
                f,
                ", {executed} of them until they executed another program"
            )?;
        }
        if exact {
            f.write_str(", each from its first instruction")?;
        }
        if let Some(unseen) = unseen {
            write!(
                f,
                "; the first {unseen} of each were not seen (`--follow-fork=exact` avoids this at a cost, see `--help`)"
            )?;
        }
        if too_short > 0 {
            write!(f, "; {too_short} more ended before the probes were there")?;
        }
        if missed > 0 {
            write!(f, "; {missed} more could not be followed")?;
        }
        Ok(())
    }
}

impl FollowedProcesses {
    /// The sentence on processes that match selectors.
    fn fmt_selected(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.followed {
            0 => f.write_str("no process was probed")?,
            1 => f.write_str("1 process was probed")?,
            count => write!(f, "{count} processes were probed")?,
        }
        if let Some(unseen) = self.unseen {
            write!(f, "; the first {unseen} of some were not seen")?;
        }
        match self.too_short {
            0 => {}
            1 => f.write_str("; 1 more ended before it was known what it ran")?,
            count => write!(f, "; {count} more ended before it was known what they ran")?,
        }
        match self.missed {
            0 => {}
            1 => f.write_str("; 1 more could not be probed")?,
            count => write!(f, "; {count} more could not be probed")?,
        }
        match self.missed_hits {
            0 => Ok(()),
            1 => f.write_str("; 1 hit was missed, because too many processes came at once"),
            count => write!(
                f,
                "; {count} hits were missed, because too many processes came at once"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn followed_says_only_what_happened() {
        let mut followed = FollowedProcesses {
            followed: 1,
            ..FollowedProcesses::default()
        };
        assert_eq!(
            followed.to_string(),
            "followed 1 process that the target forked"
        );
        followed = FollowedProcesses {
            followed: 12,
            too_short: 3,
            executed: 2,
            missed: 1,
            missed_hits: 0,
            exact: false,
            selected: false,
            unseen: Some(Unseen {
                shortest_ns: 212_400,
                longest_ns: 1_960_000,
            }),
        };
        assert_eq!(
            followed.to_string(),
            "followed 12 processes that the target forked, 2 of them until they executed another program; \
             the first 0.21 to 1.9 ms of each were not seen (`--follow-fork=exact` avoids this at a cost, see `--help`); \
             3 more ended before the probes were there; 1 more could not be followed"
        );
        followed = FollowedProcesses {
            followed: 2,
            exact: true,
            ..FollowedProcesses::default()
        };
        assert_eq!(
            followed.to_string(),
            "followed 2 processes that the target forked, each from its first instruction"
        );
    }

    #[test]
    fn missed_hits_of_selected_processes_are_told() {
        let followed = FollowedProcesses {
            followed: 7383,
            missed_hits: 2617,
            selected: true,
            ..FollowedProcesses::default()
        };
        assert_eq!(
            followed.to_string(),
            "7383 processes were probed; 2617 hits were missed, because too many processes came at once"
        );
    }

    #[test]
    fn unseen_is_the_shortest_and_the_longest_of_all() {
        let all = [3_000_000, 41_000, 22_500_000];
        let unseen = all
            .iter()
            .fold(None, |seen, &ns| Some(Unseen::with(seen, ns)));
        let unseen = unseen.expect("some");
        assert_eq!(unseen.to_string(), "0.041 to 22 ms");
        assert_eq!(Unseen::with(None, 3_000_000).to_string(), "3.0 ms");
    }
}
