//! Times of events as text, with the part that changes once a second kept.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

const SECOND: u64 = 1_000_000_000;

/// Style of times in text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeStyle {
    /// `12:04:31.250117`: local time.
    #[default]
    Local,
    /// `2026-11-22T12:04:31.250117+01:00`: local time with its date and zone.
    Date,
    /// `2026-11-22T11:04:31.250117Z`.
    Utc,
    /// `+12.250117`: seconds since the session began.
    Relative,
    /// `+0.000117`: seconds since the line before.
    Delta,
}

/// Writes times in one style.
#[derive(Clone, Debug)]
pub struct Clock {
    style: TimeStyle,
    stamp: Stamp,
    /// When the session began, in ns since the Unix epoch.
    start_ns: u64,
    /// Time of the line before.
    last_ns: u64,
    text: String,
}

impl Clock {
    /// A clock of a session that begins at `start_ns` since the Unix epoch.
    #[must_use]
    pub fn new(style: TimeStyle, zone: TimeZone, start_ns: u64) -> Self {
        let stamp = match style {
            TimeStyle::Date => Stamp::new(zone, "%Y-%m-%dT%H:%M:%S", Some("%:z")),
            TimeStyle::Utc => Stamp::utc(),
            TimeStyle::Local | TimeStyle::Relative | TimeStyle::Delta => {
                Stamp::new(zone, "%H:%M:%S", None)
            }
        };
        Self {
            style,
            stamp,
            start_ns,
            last_ns: start_ns,
            text: String::new(),
        }
    }

    /// Text of the time of a line, with microseconds.
    pub(super) fn line(&mut self, time_ns: u64) -> &str {
        let since = match self.style {
            TimeStyle::Relative => Some(self.start_ns),
            TimeStyle::Delta => Some(self.last_ns),
            TimeStyle::Local | TimeStyle::Date | TimeStyle::Utc => None,
        };
        self.last_ns = time_ns;
        self.write(time_ns, since);
        &self.text
    }

    /// Text of a time that stands in a line of its own kind: `delta` has none before it.
    pub(super) fn moment(&mut self, time_ns: u64) -> &str {
        let since = match self.style {
            TimeStyle::Relative | TimeStyle::Delta => Some(self.start_ns),
            TimeStyle::Local | TimeStyle::Date | TimeStyle::Utc => None,
        };
        self.write(time_ns, since);
        &self.text
    }

    fn write(&mut self, time_ns: u64, since: Option<u64>) {
        self.text.clear();
        // A string takes all that is written to it.
        let _ = match since {
            Some(since) => {
                let sign = if time_ns < since { '-' } else { '+' };
                let ns = time_ns.abs_diff(since);
                let (seconds, micros) = (ns / SECOND, ns % SECOND / 1_000);
                write!(self.text, "{sign}{seconds}.{micros:06}")
            }
            None => {
                let parts = self.stamp.parts(time_ns);
                let (micros, zone) = (parts.nanoseconds / 1_000, parts.zone);
                write!(self.text, "{}.{micros:06}{zone}", parts.second)
            }
        };
    }
}

/// Writes ns since the Unix epoch. The time zone is read only once a second.
#[derive(Clone, Debug)]
pub(super) struct Stamp {
    zone: TimeZone,
    /// `strftime` format of the part before the fraction.
    format: &'static str,
    /// `strftime` format of the part after the fraction. `None` for the suffix of [`Self::utc`], or
    /// for none.
    zone_format: Option<&'static str>,
    second: Option<u64>,
    text: String,
    zone_text: String,
}

/// A time, cut at its second.
#[derive(Debug, PartialEq, Eq)]
struct Parts<'s> {
    second: &'s str,
    nanoseconds: u64,
    /// The part after the fraction.
    zone: &'s str,
}

impl Stamp {
    /// `2026-11-22T12:04:31` in UTC.
    pub(super) fn utc() -> Self {
        let mut stamp = Self::new(TimeZone::UTC, "%Y-%m-%dT%H:%M:%S", None);
        stamp.zone_text.push('Z');
        stamp
    }

    const fn new(zone: TimeZone, format: &'static str, zone_format: Option<&'static str>) -> Self {
        Self {
            zone,
            format,
            zone_format,
            second: None,
            text: String::new(),
            zone_text: String::new(),
        }
    }

    /// The time up to the second, and the nanoseconds in it.
    pub(super) fn of(&mut self, time_ns: u64) -> (&str, u64) {
        let parts = self.parts(time_ns);
        (parts.second, parts.nanoseconds)
    }

    fn parts(&mut self, time_ns: u64) -> Parts<'_> {
        let (second, nanoseconds) = (time_ns / SECOND, time_ns % SECOND);
        if self.second != Some(second) {
            // Every u64 of ns is a year that a timestamp can hold.
            let time = i64::try_from(second)
                .ok()
                .and_then(|second| Timestamp::from_second(second).ok())
                .unwrap_or(Timestamp::UNIX_EPOCH)
                .to_zoned(self.zone.clone());
            self.text = time.strftime(self.format).to_string();
            if let Some(format) = self.zone_format {
                self.zone_text = time.strftime(format).to_string();
            }
            self.second = Some(second);
        }
        Parts {
            second: &self.text,
            nanoseconds,
            zone: &self.zone_text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `date -u -d @1763813071` of GNU coreutils: 2025-11-22 12:04:31.
    const START: u64 = 1_763_813_071 * SECOND;

    #[test]
    fn of_utc_is_iso_8601_and_follows_the_second() {
        let mut stamp = Stamp::utc();
        assert_eq!(
            stamp.of(START + 250_117_042),
            ("2025-11-22T12:04:31", 250_117_042)
        );
        assert_eq!(stamp.of(START + SECOND), ("2025-11-22T12:04:32", 0));
        assert_eq!(
            stamp.of(START - 1),
            ("2025-11-22T12:04:30", 999_999_999),
            "back again"
        );
    }

    #[test]
    fn of_any_time_does_not_panic() {
        let mut stamp = Stamp::new(TimeZone::UTC, "%H:%M:%S", None);
        for time in [0, 1, u64::MAX] {
            assert_eq!(stamp.of(time).0.len(), "00:00:00".len());
        }
    }

    #[test]
    fn line_is_written_in_each_style() {
        let zone = TimeZone::fixed(jiff::tz::offset(-3));
        let written = |style| {
            let mut clock = Clock::new(style, zone.clone(), START);
            let times = [250_117_042, SECOND + 117_999, SECOND + 118_000];
            times.map(|time| clock.line(START + time).to_owned())
        };
        assert_eq!(
            written(TimeStyle::Local),
            ["09:04:31.250117", "09:04:32.000117", "09:04:32.000118"]
        );
        assert_eq!(
            written(TimeStyle::Date)[0],
            "2025-11-22T09:04:31.250117-03:00"
        );
        assert_eq!(written(TimeStyle::Utc)[1], "2025-11-22T12:04:32.000117Z");
        assert_eq!(
            written(TimeStyle::Relative),
            ["+0.250117", "+1.000117", "+1.000118"]
        );
        assert_eq!(
            written(TimeStyle::Delta),
            ["+0.250117", "+0.750000", "+0.000000"]
        );
    }

    #[test]
    fn moments_are_no_lines_and_may_be_before_the_start() {
        let mut clock = Clock::new(TimeStyle::Delta, TimeZone::UTC, START);
        clock.line(START + SECOND);
        assert_eq!(clock.moment(START - SECOND / 2), "-0.500000");
        assert_eq!(clock.line(START + 2 * SECOND), "+1.000000");
    }
}
