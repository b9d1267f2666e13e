//! Times of events as text, with the part that changes once a second kept.

use jiff::Timestamp;
use jiff::tz::TimeZone;

const SECOND: u64 = 1_000_000_000;

/// Writes ns since the Unix epoch; the time zone is read once a second only.
pub(super) struct Stamp {
    zone: TimeZone,
    /// For `strftime`: all that is before the fraction.
    format: &'static str,
    second: Option<u64>,
    text: String,
}

impl Stamp {
    /// `12:04:31` in a time zone.
    pub(super) fn clock(zone: TimeZone) -> Self {
        Self::new(zone, "%H:%M:%S")
    }

    /// `2026-11-22T12:04:31` in UTC.
    pub(super) fn utc() -> Self {
        Self::new(TimeZone::UTC, "%Y-%m-%dT%H:%M:%S")
    }

    const fn new(zone: TimeZone, format: &'static str) -> Self {
        Self {
            zone,
            format,
            second: None,
            text: String::new(),
        }
    }

    /// The time up to the second, and the nanoseconds in it.
    pub(super) fn of(&mut self, time_ns: u64) -> (&str, u64) {
        let (second, nanoseconds) = (time_ns / SECOND, time_ns % SECOND);
        if self.second != Some(second) {
            // Every u64 of ns is a year that a timestamp can hold.
            let time = i64::try_from(second)
                .ok()
                .and_then(|second| Timestamp::from_second(second).ok())
                .unwrap_or(Timestamp::UNIX_EPOCH);
            self.text = time
                .to_zoned(self.zone.clone())
                .strftime(self.format)
                .to_string();
            self.second = Some(second);
        }
        (&self.text, nanoseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_utc_is_iso_8601_and_follows_the_second() {
        let mut stamp = Stamp::utc();
        // `date -u -d @1763813071` of GNU coreutils.
        let start = 1_763_813_071 * SECOND;
        assert_eq!(
            stamp.of(start + 250_117_042),
            ("2025-11-22T12:04:31", 250_117_042)
        );
        assert_eq!(stamp.of(start + SECOND), ("2025-11-22T12:04:32", 0));
        assert_eq!(
            stamp.of(start - 1),
            ("2025-11-22T12:04:30", 999_999_999),
            "back again"
        );
    }

    #[test]
    fn of_any_time_does_not_panic() {
        let mut stamp = Stamp::clock(TimeZone::UTC);
        for time in [0, 1, u64::MAX] {
            assert_eq!(stamp.of(time).0.len(), "00:00:00".len());
        }
    }
}
