//! Parses numbers with units: durations, and shares of a CPU.

use std::time::Duration;

use super::words::name_length;

/// Units of durations, in nanoseconds.
const UNITS: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Parses a share of CPUs: `25%` is 0.25. It must be above zero, and at most 100 CPUs.
#[must_use]
pub(crate) fn parse_share(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%')?;
    if !number.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let percent: f64 = number.parse().ok()?;
    (percent > 0.0 && percent <= 10_000.0).then_some(percent / 100.0)
}

/// Parses a duration such as `500ms`, `1.5s` or `10m`. It must be above zero, and at most a year.
#[must_use]
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, nanoseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let duration = match number.parse::<u64>() {
        Ok(whole) => Duration::from_nanos(whole.checked_mul(*nanoseconds)?),
        Err(_) => {
            let unit = Duration::from_nanos(*nanoseconds).as_secs_f64();
            Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()?
        }
    };
    (duration > Duration::ZERO && duration <= YEAR).then_some(duration)
}

/// Parses a duration at the start of a text. Returns nanoseconds and the length in bytes.
pub(super) fn leading_duration(text: &str) -> Option<(u64, usize)> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let length = digits + name_length(text.get(digits..)?);
    let duration = parse_duration(text.get(..length)?)?;
    Some((u64::try_from(duration.as_nanos()).ok()?, length))
}
