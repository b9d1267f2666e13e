//! Omitted hits: those that a probe wants, but no frontend gets.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ProbeId;

/// Hits that were left out between two events of a probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Hits over the rate limit. None are counted if `every` sets the distance of events.
    pub limited: u64,
    /// Events that were lost.
    pub lost: u64,
}

impl LeftOut {
    /// There are none.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.limited == 0 && self.lost == 0
    }

    /// The sum of two gaps that have become one.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self {
            limited: self.limited.saturating_add(other.limited),
            lost: self.lost.saturating_add(other.lost),
        }
    }

    /// The line that marks the gap: `… 1,432 hits of p1 were over its rate limit`.
    #[must_use]
    pub fn line(self, name: &str) -> String {
        let Self { limited, lost } = self;
        match (limited, lost) {
            (limited, 0) => format!("… {} over its rate limit", hits_of(limited, name)),
            (0, lost) => format!("… {} lost", hits_of(lost, name)),
            (limited, lost) => format!(
                "… {} over its rate limit, and {} lost",
                hits_of(limited, name),
                grouped(lost)
            ),
        }
    }
}

fn hits_of(count: u64, name: &str) -> String {
    let verb = if count == 1 { "was" } else { "were" };
    format!("{} of {name} {verb}", counted(count, "hit"))
}

/// A number with a comma between each three digits: `1,432`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The noun for a number of things: `hit` for one, `hits` for all other numbers.
#[must_use]
pub fn noun(count: impl TryInto<u64>, one: &str) -> String {
    let ending = match count.try_into() {
        Ok(1) => "",
        _ if one.ends_with('s') => "es",
        _ => "s",
    };
    format!("{one}{ending}")
}

/// A number of things: `1 probe`, `1,200 events`.
#[must_use]
pub fn counted(count: impl TryInto<u64>, one: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    format!("{} {}", grouped(count), noun(count, one))
}

/// Says that a probe is over its rate limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeLimited {
    /// The probe.
    pub probe: ProbeId,
    /// Its name.
    pub name: String,
    /// Events a second.
    pub rate: u64,
    /// The probe does not say so itself.
    pub is_default: bool,
    /// The limit holds for each process by itself.
    pub per_process: bool,
    /// When that was found, in ns since the Unix epoch.
    pub time_ns: u64,
}

impl fmt::Display for ProbeLimited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, rate, .. } = self;
        let each = if self.per_process { " per process" } else { "" };
        let of = if self.is_default { ", the default" } else { "" };
        write!(
            f,
            "{name} is over its rate limit of {}/s{each}{of}: events are left out; `rate N/s` in the probe raises it",
            grouped(*rate)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gap_says_what_was_left_out() {
        let line = |limited, lost| LeftOut { limited, lost }.line("p1");
        assert_eq!(line(1432, 0), "… 1,432 hits of p1 were over its rate limit");
        assert_eq!(line(1, 0), "… 1 hit of p1 was over its rate limit");
        assert_eq!(line(0, 1_000_000), "… 1,000,000 hits of p1 were lost");
        assert_eq!(
            line(12, 3),
            "… 12 hits of p1 were over its rate limit, and 3 lost"
        );
        assert!(LeftOut::default().is_none());
    }

    #[test]
    fn one_thing_has_no_plural() {
        assert_eq!(counted(1_u64, "hit"), "1 hit");
        assert_eq!(counted(0_u64, "hit"), "0 hits");
        assert_eq!(counted(1_200_usize, "process"), "1,200 processes");
        assert_eq!(noun(1_u32, "process"), "process");
    }

    #[test]
    fn limit_names_where_it_comes_from() {
        let mut limited = ProbeLimited {
            probe: ProbeId(1),
            name: "p1".into(),
            rate: 1000,
            is_default: true,
            per_process: false,
            time_ns: 0,
        };
        assert_eq!(
            limited.to_string(),
            "p1 is over its rate limit of 1,000/s, the default: events are left out; `rate N/s` in the probe raises it"
        );
        limited.is_default = false;
        assert!(limited.to_string().contains("of 1,000/s: events"));
        limited.per_process = true;
        assert!(
            limited
                .to_string()
                .contains("of 1,000/s per process: events")
        );
    }
}
