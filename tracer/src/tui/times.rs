//! Times of events, as text.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Time of day, with `digits` of its second.
pub(super) fn short_time(time_ns: u64, zone: &TimeZone, digits: usize) -> String {
    let format = if digits >= 6 {
        "%H:%M:%S%.6f"
    } else {
        "%H:%M:%S%.3f"
    };
    timestamp(time_ns).map_or_else(
        || "?".into(),
        |time| time.to_zoned(zone.clone()).strftime(format).to_string(),
    )
}

/// Date and time, with all nine digits of the second.
pub(super) fn full_time(time_ns: u64, zone: &TimeZone) -> String {
    timestamp(time_ns).map_or_else(
        || "?".into(),
        |time| {
            time.to_zoned(zone.clone())
                .strftime("%Y-%m-%d %H:%M:%S%.9f %Z")
                .to_string()
        },
    )
}

/// An age in at most four columns: `12s`, `7m`, `3h`, `12d`.
pub(super) fn short_age(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..100 => format!("{seconds}s"),
        seconds @ 100..6000 => format!("{}m", seconds / 60),
        seconds @ 6000..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

fn timestamp(time_ns: u64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(time_ns)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let of = |seconds| short_age(Duration::from_secs(seconds));
        assert_eq!([of(0), of(99), of(100)], ["0s", "99s", "1m"]);
        assert_eq!([of(5999), of(6000)], ["99m", "1h"]);
        assert_eq!([of(172_799), of(172_800)], ["47h", "2d"]);
    }
}
