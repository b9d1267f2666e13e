//! Times of events, as text.

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

fn timestamp(time_ns: u64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(time_ns)).ok()
}
